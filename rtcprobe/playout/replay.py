"""Play recorded arrivals through a policy, and ask when a sample of the sender was heard.

Facts:
    Playout has no influence on the network, so the ear listens after the call: several policies can play the same
    arrivals, and none of them takes time from the call itself.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError
from rtcprobe.playout.arrivals import Arrival, Coming
from rtcprobe.playout.base import BLOCK_S, BLOCK_SAMPLES, SAMPLE_RATE_HZ, Block, Pcm, Playout, Run
from rtcprobe.units import format_duration

__all__ = ["NO_SOUND", "Playback", "replay"]


NO_SOUND = -(1 << 62)
"""What stands for the RTP time of a block that holds no sound of the sender."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Playback:
    """What left a loudspeaker from ``start_s`` on, block by block.

    ``stamps`` is the (unwrapped) RTP time of each block's first sample, ``NO_SOUND`` where it has none; ``concealed``
    the samples of each that were invented; both of shape (blocks,). ``pcm`` is the sound, shape (samples,) at
    48 kHz, empty where it was listened to block by block. ``drift`` is how much faster than true the loudspeaker's
    clock runs, as a ratio (100 ppm: 1e-4).
    """

    start_s: float
    stamps: npt.NDArray[np.int64]
    concealed: npt.NDArray[np.uint16]
    pcm: Pcm = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    drift: float = 0.0

    @property
    def sounding(self) -> npt.NDArray[np.uint16]:
        """What was invented in each block from the first with the sender's sound to the last, shape (blocks,)."""
        sound = np.flatnonzero(self.stamps != NO_SOUND)
        return self.concealed[sound[0] : sound[-1] + 1] if len(sound) else self.concealed[:0]

    @property
    def concealed_ratio(self) -> float:
        """Samples invented for the listener, as a share of all from the first block with the sender's sound on."""
        concealed = self.sounding
        return int(concealed.sum()) / (len(concealed) * BLOCK_SAMPLES) if len(concealed) else 0.0

    def play_instant(self, rtp_timestamp: int) -> float | None:
        """Return when the sender's sample of (unwrapped) RTP time ``rtp_timestamp`` left the loudspeaker.

        None where no block holds it: it came before or after the sound, was cut out, or its block was made up.
        """
        instant = float(self.play_instants(np.array([rtp_timestamp], dtype=np.int64))[0])
        return None if np.isnan(instant) else instant

    def play_instants(self, rtp_timestamps: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return ``play_instant`` of many, shape (n,), seconds; NaN for None."""
        instants = np.full(len(rtp_timestamps), np.nan)
        places = np.flatnonzero(self.stamps != NO_SOUND)
        if not len(places):
            return instants
        # By RTP time: a stream that began anew may play earlier times after later ones.
        places = places[np.argsort(self.stamps[places], kind="stable")]
        begins = self.stamps[places]
        at = np.searchsorted(begins, rtp_timestamps, side="right") - 1
        # A block is 480 samples of RTP time from its stamp on, however it was stretched inside: the instant
        # of a sample is right to the stretch within its own block.
        offset = rtp_timestamps - begins[at]
        held = (at >= 0) & (offset < BLOCK_SAMPLES)
        samples = places[at] * BLOCK_SAMPLES + offset
        instants[held] = self.start_s + samples[held] / (SAMPLE_RATE_HZ * (1 + self.drift))
        return instants


@runtime_checkable
class Gliding(Playout, Protocol):
    """A policy that can play many blocks at once where nothing is to be decided."""

    def glide(self, coming: Coming, clock: tuple[float, float, int], most: int) -> Run | None:
        """Return up to ``most`` blocks, having taken in what is ``coming``; None: ask ``get_audio`` for the next one.

        ``clock`` is (start, period, index): the n-th of these blocks (from 0) is asked for at start + (index + n) ·
        period, and what comes by then is taken in before it.
        """
        ...


@cache
def _glides(kind: type) -> bool:
    """Return whether it is ``Gliding``: to look takes Python longer than a short replay does."""
    return issubclass(kind, Gliding)


def replay(
    playout: Playout,
    arrivals: Sequence[Arrival],
    first_tick_s: float,
    until_s: float,
    *,
    drift: float = 0.0,
    enough: Callable[[Block, float], bool] | None = None,
    from_s: float = -math.inf,
    each: Callable[[Block | Run], object] | None = None,
) -> Playback:
    """Return what ``playout`` makes of ``arrivals``, pulled every 10 ms from ``first_tick_s`` until ``until_s``.

    Args:
        playout: a fresh policy.
        arrivals: (instant, packet) in any order; equal instants keep the order given.
        first_tick_s: when the loudspeaker first asks; its phase to the packets is part of a measurement.
        until_s: the last tick is the last one before it.
        drift: how much faster than true the loudspeaker asks, as a ratio.
        enough: asked after every block later than ``from_s``, with its instant; True ends the replay.
        from_s: see ``enough``.
        each: takes what is played, a block or a run of them at a time; the sound is then kept by nobody else.

    Raises:
        BadInputError: ``until_s`` before ``first_tick_s``.
    """
    if until_s < first_tick_s:
        raise BadInputError(
            f"playing until {format_duration(until_s)} ends before it begins",
            f"give {format_duration(first_tick_s)} or later",
        )
    # Ticks are counted, not added up: the hundredth is at exactly first + 1 s.
    period_s = BLOCK_S / (1 + drift)
    # The trifle keeps a division that ends a rounding above a whole number from playing a block too many.
    ticks = int(np.ceil((until_s - first_tick_s) / period_s - 1e-9))
    # So many blocks are played whatever they are; one less than by division, which may be off by a rounding.
    certain = ticks if enough is None else min(ticks, math.floor(max(from_s - first_tick_s, 0.0) / period_s) - 1)
    pulling = _Pulling(playout, Coming(arrivals), first_tick_s, period_s, each)
    while pulling.tick < ticks:
        if pulling.tick < certain and pulling.glide(certain):
            continue
        now_s = first_tick_s + pulling.tick * period_s
        block = pulling.block(now_s)
        if enough is not None and now_s > from_s and enough(block, now_s):
            break
    return pulling.playback(drift)


class _Pulling:
    """A loudspeaker pulling: what it got so far, and the index of the block it asks for next."""

    def __init__(
        self,
        playout: Playout,
        coming: Coming,
        first_tick_s: float,
        period_s: float,
        each: Callable[[Block | Run], object] | None,
    ) -> None:
        self.tick = 0
        self._playout, self._coming = playout, coming
        self._gliding = cast("Gliding", playout) if _glides(type(playout)) else None
        self._first_s, self._period_s = first_tick_s, period_s
        self._stamps, self._concealed = array("q"), array("H")
        self._sound: list[Pcm] = []
        self._take = each or (lambda played: self._sound.append(played.samples))

    def glide(self, until: int) -> bool:
        """Get blocks up to index ``until`` at once; return whether there were any to be had so."""
        clock = self._first_s, self._period_s, self.tick
        run = None if self._gliding is None else self._gliding.glide(self._coming, clock, until - self.tick)
        if run is None:
            return False
        self._stamps.extend(range(run.rtp_timestamp, run.rtp_timestamp + run.blocks * BLOCK_SAMPLES, BLOCK_SAMPLES))
        # Zeros: in a run nothing is made up.
        self._concealed.frombytes(bytes(self._concealed.itemsize * run.blocks))
        self._take(run)
        self.tick += run.blocks
        return True

    def block(self, now_s: float) -> Block:
        """Get one block at ``now_s``, once what came by then was taken in."""
        coming, playout = self._coming, self._playout
        # An arrival at the very instant of a tick goes in before it (rule 1 of ``base``).
        while coming.at_s <= now_s:
            at_s = coming.at_s
            playout.insert_packet(coming.take(), at_s)
        block = playout.get_audio(now_s)
        self._stamps.append(NO_SOUND if block.rtp_timestamp is None else block.rtp_timestamp)
        self._concealed.append(block.concealed_samples)
        self._take(block)
        self.tick += 1
        return block

    def playback(self, drift: float) -> Playback:
        """Return all that was got."""
        return Playback(
            start_s=self._first_s,
            stamps=np.frombuffer(self._stamps, dtype=np.int64),
            concealed=np.frombuffer(self._concealed, dtype=np.uint16),
            pcm=np.concatenate(self._sound) if self._sound else np.zeros(0, dtype=np.float32),
            drift=drift,
        )
