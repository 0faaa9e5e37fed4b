"""The instrument measured by itself: known delays in, its errors out, per codec setting.

How:
    Markers are spoken between the samples of the clock (all of them shifted by the same fraction of one), encoded,
    and arrive with a known constant delay that is no whole number of anything; a fixed-delay playout pulls them with
    an arbitrary phase, and the ear says when they were heard. What that differs from
    ``packet time + codec look-ahead + delay + playout`` by is the instrument's error: detection, codec phase and the
    playout's rounding to whole samples (±10.4 µs) together. No network, no clock, no stack takes part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from rtcprobe.audio.ear import listen
from rtcprobe.audio.mouth import Mouth, encode_stream
from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.audio.opus_packet import phase_advance_s
from rtcprobe.playout.base import BLOCK_S, SAMPLE_RATE_HZ, RtpPacket
from rtcprobe.playout.fixed import FixedDelay
from rtcprobe.playout.replay import replay

__all__ = ["LIMIT_S", "SETTINGS", "SelftestReport", "SelftestRow", "selftest_rows"]

LIMIT_S = 50e-6
"""The most any single sample may be off."""

SETTINGS = (
    *(
        OpusSettings(application=application, bitrate_bps=bitrate_bps)
        for application in ("voip", "audio", "lowdelay")
        for bitrate_bps in (16_000, 24_000, 32_000, 64_000)
    ),
    OpusSettings(fec=True, expected_loss=0.10, complexity=5),
    OpusSettings(bandwidth="fullband"),
    *(OpusSettings(ptime_s=ptime_s) for ptime_s in (0.010, 0.040, 0.060)),
)

_SPEECH_S = 13.0  # every code once, and two of them twice
# The middle two are on no grid of samples, packets or ticks; the first and the last on that of the ticks.
_DELAYS_S = (0.0, 0.0123456789, 0.1000073, 0.4)
_PLAYOUT_S = 0.060


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestRow:
    """The errors at one codec setting over all injected delays, in seconds; ``worst_s`` keeps its sign."""

    codec: OpusSettings
    scheduled: int
    heard: int
    bias_s: float
    sd_s: float
    worst_s: float

    @property
    def passed(self) -> bool:
        """Whether every scheduled marker was heard and none is off by more than the limit."""
        return self.heard == self.scheduled and abs(self.worst_s) <= LIMIT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestReport:
    """Every setting's errors."""

    rows: tuple[SelftestRow, ...]
    delays_s: tuple[float, ...] = _DELAYS_S
    limit_s: float = LIMIT_S

    @property
    def passed(self) -> bool:
        """Whether every row passed."""
        return all(row.passed for row in self.rows)


def selftest_rows(settings: tuple[OpusSettings, ...] = SETTINGS, seed: int = 0) -> Iterator[SelftestRow]:
    """Yield the errors at each of ``settings``, about half a second each; fractions and phases come from ``seed``."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    for codec in settings:
        yield _measure(codec, rng)


def _measure(codec: OpusSettings, rng: np.random.Generator) -> SelftestRow:
    mouth = Mouth()
    fraction = float(rng.random())
    # Between samples: an ear that was right on whole samples alone would show here.
    payloads = encode_stream(_later(mouth.pcm(_SPEECH_S), fraction), codec)
    markers = mouth.train.markers(_SPEECH_S, start_s=fraction / SAMPLE_RATE_HZ)
    # What lies between a sample spoken and heard by definition: nothing of it is measured.
    constant_s = codec.ptime_s + OpusEncoder(codec).lookahead_samples / SAMPLE_RATE_HZ + _PLAYOUT_S
    advance_s = phase_advance_s(payloads)
    scheduled, errors_s = 0, np.zeros(0)
    for delay_s in _DELAYS_S:
        arrivals = [
            (
                (index + 1) * codec.ptime_s + delay_s,
                RtpPacket(sequence=index, timestamp=index * codec.frame_samples, payload=payload),
            )
            for index, payload in enumerate(payloads)
        ]
        playback = replay(
            FixedDelay(_PLAYOUT_S, OpusDecoder()),
            arrivals,
            first_tick_s=float(rng.random()) * BLOCK_S,
            # Until the last packet has been played to its end.
            until_s=arrivals[-1][0] + _PLAYOUT_S + codec.ptime_s,
        )
        hearing = listen(playback.pcm, playback.start_s, mouth.train, markers, advance_s=advance_s)
        scheduled += hearing.scheduled
        errors_s = np.append(errors_s, hearing.delays_s - constant_s - delay_s)
    return SelftestRow(
        codec=codec,
        scheduled=scheduled,
        heard=len(errors_s),
        bias_s=float(errors_s.mean()) if len(errors_s) else 0.0,
        sd_s=float(errors_s.std()) if len(errors_s) else 0.0,
        worst_s=float(errors_s[np.abs(errors_s).argmax()]) if len(errors_s) else 0.0,
    )


def _later(pcm: npt.NDArray[np.float32], fraction: float) -> npt.NDArray[np.float32]:
    """Return ``pcm`` delayed by a fraction of a sample: a turn of its spectrum, exact for sound within the band."""
    length = fft.next_fast_len(len(pcm), real=True)
    spectrum = fft.rfft(pcm.astype(np.float64), length)
    turned = spectrum * np.exp(-2j * np.pi * fraction * np.arange(len(spectrum)) / length)
    return np.asarray(fft.irfft(turned, length)[: len(pcm)], dtype=np.float32)
