"""A short recording to be listened to on a page: two ears' sound in one small file that browsers play.

Facts:
    WebM with Opus is played by Chromium, Firefox, and Safari since 17. At 24 kb/s, stereo, eight seconds are 24 kB.

Rule: equal sound makes equal bytes on equal libraries: no date and no random name is written (FFmpeg's ``bitexact``).
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm

__all__ = ["MIME", "webm_of"]

MIME: Final = "audio/webm"
# Enough to hear gaps and stretches by; at 64 kb/s a page of twenty clips would grow from half a megabyte to
# more than one.
_BITRATE_BPS: Final = 24_000
_FRAME: Final = 960  # 20 ms


def webm_of(left: Pcm, right: Pcm) -> bytes:
    """Return ``left`` and ``right`` as a file: each of shape (samples,), 48 kHz, full scale ±1.0.

    The shorter ends in silence.
    """
    # Whole frames, for libopus takes no others; and one at least, for a file without sound is none to a
    # browser.
    samples = -(-max(len(left), len(right), 1) // _FRAME) * _FRAME
    both = np.zeros((2, samples), dtype=np.float32)
    for row, each in zip(both, (left, right), strict=True):
        row[: len(each)] = np.clip(each, -1.0, 1.0)
    out = io.BytesIO()
    import av  # noqa: PLC0415 - a twentieth of a page's CPU, and few pages have clips to make

    with av.open(out, "w", format="webm", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("libopus", rate=SAMPLE_RATE_HZ, layout="stereo", options={"flags": "+bitexact"})
        stream.bit_rate = _BITRATE_BPS
        for begin in range(0, samples, _FRAME):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(both[:, begin : begin + _FRAME].T).reshape(1, -1), format="flt", layout="stereo"
            )
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, begin
            file.mux(stream.encode(frame))
        # The encoder holds back its look-ahead: without this the last milliseconds are missing.
        file.mux(stream.encode(None))
    return out.getvalue()
