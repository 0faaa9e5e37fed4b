"""One picture as it was shown, beside the film at the same frame: a small JPEG to look at."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import Interpolation

__all__ = ["still"]

_MOST_WIDTH: Final = 240
"""Of each half: both stand side by side on a phone."""
_QUALITY: Final = 4  # of 2 to 31: its errors do not stand out beside those of the call


def still(filmed: npt.NDArray[np.uint8], shown: av.VideoFrame) -> bytes:
    """Return a JPEG: left what was filmed (planar YUV 4:2:0), right what was shown, each 240 pixels across at most."""
    original = av.VideoFrame.from_ndarray(filmed, format="yuv420p")
    scale = min(1.0, _MOST_WIDTH / original.width)
    width, height = (max(2, round(each * scale) // 2 * 2) for each in (original.width, original.height))
    left, right = (
        each.reformat(width=width, height=height, format="rgb24", interpolation=Interpolation.AREA).to_ndarray()
        for each in (original, shown)
    )
    both = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.concatenate([left, right], axis=1)), format="rgb24")
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = 2 * width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.thread_count = 1
    encoder.options = {"qmin": str(_QUALITY), "qmax": str(_QUALITY)}
    frame = both.reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(each) for each in (*encoder.encode(frame), *encoder.encode(None)))
