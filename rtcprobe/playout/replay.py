"""Play recorded arrivals through a policy, and ask when a sample of the sender was heard.

Facts:
    Playout has no influence on the network, so the ear listens after the call: several policies can play the same
    arrivals, and none of them takes time from the call itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError
from rtcprobe.playout.base import BLOCK_S, BLOCK_SAMPLES, SAMPLE_RATE_HZ, Block, Pcm, Playout, RtpPacket
from rtcprobe.units import format_duration

__all__ = ["Playback", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Playback:
    """What left a loudspeaker: ``pcm`` (samples,) at 48 kHz from ``start_s`` on, and the blocks it is made of.

    ``drift`` is how much faster than true the loudspeaker's clock runs, as a ratio (100 ppm: 1e-4).
    """

    start_s: float
    pcm: Pcm
    blocks: tuple[Block, ...]
    drift: float = 0.0
    _begins: npt.NDArray[np.int64] = field(init=False, repr=False)
    _places: npt.NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pairs = [
            (block.rtp_timestamp, place) for place, block in enumerate(self.blocks) if block.rtp_timestamp is not None
        ]
        table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        table = table[np.argsort(table[:, 0], kind="stable")]
        object.__setattr__(self, "_begins", table[:, 0])
        object.__setattr__(self, "_places", table[:, 1])

    @property
    def sounding(self) -> Sequence[Block]:
        """The blocks from the first with the sender's sound to the last."""
        sound = [place for place, block in enumerate(self.blocks) if block.rtp_timestamp is not None]
        return self.blocks[sound[0] : sound[-1] + 1] if sound else ()

    @property
    def concealed_ratio(self) -> float:
        """Samples invented for the listener, as a share of all from the first block with the sender's sound on."""
        blocks = self.sounding
        return sum(block.concealed_samples for block in blocks) / (len(blocks) * BLOCK_SAMPLES) if blocks else 0.0

    def play_instant(self, rtp_timestamp: int) -> float | None:
        """Return when the sender's sample of (unwrapped) RTP time ``rtp_timestamp`` left the loudspeaker.

        None where no block holds it: it came before or after the sound, was cut out, or its block was made up.
        """
        instant = float(self.play_instants(np.array([rtp_timestamp], dtype=np.int64))[0])
        return None if np.isnan(instant) else instant

    def play_instants(self, rtp_timestamps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return ``play_instant`` of many, shape (n,), seconds; NaN for None."""
        instants = np.full(len(rtp_timestamps), np.nan)
        if not len(self._begins):
            return instants
        at = np.searchsorted(self._begins, rtp_timestamps, side="right") - 1
        offset = rtp_timestamps - self._begins[at]
        held = (at >= 0) & (offset < BLOCK_SAMPLES)
        samples = self._places[at] * BLOCK_SAMPLES + offset
        instants[held] = self.start_s + samples[held] / (SAMPLE_RATE_HZ * (1 + self.drift))
        return instants


def replay(
    playout: Playout,
    arrivals: Sequence[tuple[float, RtpPacket]],
    first_tick_s: float,
    until_s: float,
    *,
    drift: float = 0.0,
    enough: Callable[[Block, float], bool] | None = None,
) -> Playback:
    """Return what ``playout`` makes of ``arrivals``, pulled every 10 ms from ``first_tick_s`` until ``until_s``.

    Args:
        playout: a fresh policy.
        arrivals: (instant, packet) in any order; equal instants keep the order given.
        first_tick_s: when the loudspeaker first asks; its phase to the packets is part of a measurement.
        until_s: the last tick is the last one before it.
        drift: how much faster than true the loudspeaker asks, as a ratio.
        enough: asked after every block, with its instant; True ends the replay.

    Raises:
        BadInputError: ``until_s`` before ``first_tick_s``.
    """
    if until_s < first_tick_s:
        raise BadInputError(
            f"playing until {format_duration(until_s)} ends before it begins",
            f"give {format_duration(first_tick_s)} or later",
        )
    ordered = sorted(arrivals, key=lambda arrival: arrival[0])
    # Ticks are counted, not added up: the hundredth is at exactly first + 1 s.
    period_s = BLOCK_S / (1 + drift)
    ticks = int(np.ceil((until_s - first_tick_s) / period_s - 1e-9))
    blocks: list[Block] = []
    upcoming, count = 0, len(ordered)
    for tick in range(ticks):
        now_s = first_tick_s + tick * period_s
        while upcoming < count and ordered[upcoming][0] <= now_s:
            arrived_s, packet = ordered[upcoming]
            playout.insert_packet(packet, arrived_s)
            upcoming += 1
        block = playout.get_audio(now_s)
        blocks.append(block)
        if enough is not None and enough(block, now_s):
            break
    pcm = np.concatenate([block.samples for block in blocks]) if blocks else np.zeros(0, dtype=np.float32)
    return Playback(start_s=first_tick_s, pcm=pcm, blocks=tuple(blocks), drift=drift)
