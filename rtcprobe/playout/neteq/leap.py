"""Ticks that have nothing to decide, all of them in one, where it was foreseen what comes.

Facts:
    Frame k of those that wait or will come in a row is decoded in the tick in which what is left runs short for the
    (k + 1)-th time, and has to be there from the tick after the frame before it was decoded.
    How late the sound is beside a packet of time zero is the same in all of these ticks; what it is beside the fastest
    packet, and what is aimed at, changes with packets, and those were foreseen.

Rules:
    1. What happens is what as many single ticks (``NetEq.get_audio``) come to, to the bit.
    2. A leap ends before the first tick that is not certain to be of this kind.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.base import BLOCK_SAMPLES, Decoder, Pcm
from rtcprobe.playout.neteq.buffer import PacketBuffer, WaitingPacket
from rtcprobe.playout.neteq.decision import GRANULARITY_MS, Decision
from rtcprobe.playout.neteq.delay import level_factors
from rtcprobe.playout.neteq.dsp import OVERLAP_SAMPLES
from rtcprobe.playout.neteq.foresight import Foresight
from rtcprobe.playout.neteq.history import SAMPLES_PER_MS, TICK_MS
from rtcprobe.playout.neteq.noise import WINDOW_SAMPLES
from rtcprobe.playout.neteq.sound import Sound
from rtcprobe.playout.neteq.stats import Counters

__all__ = ["Leaper", "Trace"]

_LEAST_SAMPLES: Final = OVERLAP_SAMPLES + BLOCK_SAMPLES  # with less than this a tick decodes
_MOST_PACKETS: Final = 128  # so many are looked at: 2.5 s of 20 ms, longer than most leaps
_Column = npt.NDArray[np.int64]


class Trace(NamedTuple):
    """What every tick did, one entry a tick: its target delay, how late it played (both ms), which word it was."""

    target_ms: array[int]
    delay_ms: array[int]
    operations: bytearray


class _Leap(NamedTuple):
    """What is certain to happen in ``ticks`` ticks after ``tick``.

    ``place`` is that of the first packet to be taken in, and ``come`` how many were by each tick. Frames are decoded in
    the ticks ``decoded_at``, counted from 1, to ``sound``. ``target_ms``, ``raw_ms`` (before its constraints) and
    ``late_ms`` are those after each packet, the latest one before the leap first.
    """

    tick: int
    place: int
    ticks: int
    come: _Column
    decoded_at: _Column
    target_ms: _Column
    raw_ms: _Column
    late_ms: _Column
    sound: Pcm


@cache
def _row(step: int) -> _Column:
    return step * np.arange(512)


def _multiples(step: int, count: int) -> _Column:
    """Return 0, ``step``, 2 · ``step``, …: the first ``count`` multiples, read-only where they are few."""
    row = _row(step)
    return row[:count] if count <= len(row) else step * np.arange(count)


class Leaper:
    """Lets the parts of one ``NetEq`` leap."""

    def __init__(self, decoder: Decoder, parts: tuple[Decision, PacketBuffer, Sound, Counters, Trace]) -> None:
        self._decoder = decoder
        self._many: Callable[[Sequence[bytes]], tuple[Pcm, int]] | None = getattr(decoder, "decode_many", None)
        self._decision, self._buffer, self._sound, self._counters, self._trace = parts

    @property
    def _foresight(self) -> Foresight:
        foresight = self._decision.foresight
        assert foresight is not None
        return foresight

    def leap(self, tick: int, most: int) -> tuple[int, int, Pcm] | None:
        """Do up to ``most`` ticks after ``tick``; return how many, the packets taken in, the sound; None: not one.

        The sound is 480 samples a tick.
        """
        leap = None if self._decision.foresight is None else self._certain(tick, most)
        if leap is None:
            return None
        came = int(leap.come[leap.ticks - 1])
        self._account(leap)
        self._listen(leap)
        samples = self._play(leap)
        self._take_in(leap, came)
        return leap.ticks, came, samples

    def _in_a_row(self, tick: int, place: int, stop: int) -> tuple[int, _Column]:
        """Return how many frames will be there in time one after the other, and in which tick each would be decoded.

        Packets from ``place`` to ``stop`` may come; of the ticks there is one more.
        """
        foresight, waiting, sync = self._foresight, self._buffer.packets, self._sound.sync
        held, duration = len(waiting), foresight.duration
        there = np.concatenate([[packet.timestamp for packet in waiting], foresight.stamps[place:stop]])
        row = _multiples(duration, len(there) + 1)
        missing = there != row[:-1] + sync.end_timestamp
        frames = int(missing.argmax())
        if not missing[frames]:
            frames = len(there)
        decoded_at = (row[: frames + 1] + (sync.future - _LEAST_SAMPLES)) // BLOCK_SAMPLES + 2
        np.maximum(decoded_at, 1, out=decoded_at)
        if frames > held:
            # Each is looked for from the tick after the one before it was decoded.
            late = foresight.ticks[place : place + frames - held] > tick + decoded_at[held - 1 : frames - 1]
            if late.any():
                frames = held + int(late.argmax())
        return frames, decoded_at

    def _certain(self, tick: int, most: int) -> _Leap | None:
        """Return what is certain of the ticks to come, and decode its frames; None where that is nothing."""
        foresight, decision, waiting = self._foresight, self._decision, self._buffer.packets
        place = foresight.latest + 1
        if place <= foresight.first or decision.was_flushed or self._sound.last_duration != foresight.duration:
            return None
        # One less than would overflow the packet buffer: a flush is for a tick of its own.
        room = min(_MOST_PACKETS, self._buffer.max_packets - len(waiting) - 1)
        stop = max(place, min(place + room, foresight.calm_until(place)))
        # What waits must lie before all that comes, or the row has a packet in it that was overtaken.
        if stop > place and waiting[-1].timestamp >= foresight.stamps[place]:
            return None
        frames, decoded_at = self._in_a_row(tick, place, stop)
        ticks = min(int(decoded_at[frames - 1]) if frames else 0, most)
        if stop < len(foresight.ticks):
            ticks = min(ticks, int(foresight.ticks[stop]) - tick)
        if ticks <= 0:
            return None
        come = foresight.ticks[place:stop].searchsorted(np.arange(tick, tick + ticks), side="right")
        target_ms, raw_ms, late_ms, unrest = self._aims(tick, place, int(come[-1]))
        if unrest.any():
            # Out of its bounds a delay waits for the rest to be over; far out of them it waits for nothing.
            ends = unrest[come] + (np.arange(tick + 1, tick + ticks + 1) >= decision.rest_ticks) > 1
            ticks = int(ends.argmax()) if ends.any() else ticks
        frames = int(decoded_at[:frames].searchsorted(ticks, side="right"))
        sound, got = self._decoded([packet.payload for packet in waiting[:frames]], place, frames)
        if got < frames:  # a tick of its own will be refused as well
            ticks = int(decoded_at[got]) - 1
        if not ticks:
            return None
        return _Leap(tick, place, ticks, come, decoded_at[:got], target_ms, raw_ms, late_ms, sound)

    def _aims(self, tick: int, place: int, came: int) -> tuple[_Column, _Column, _Column, _Column]:
        """Return target (with and without constraints), lateness, and how far off it is after each packet: 0, 1 or 2.

        0 is within bounds, 2 so far out of them that a fast accelerate waits for no rest.
        """
        foresight, decision, sync = self._foresight, self._decision, self._sound.sync
        told = slice(place - 1, place + came)
        raw_ms, fast_ms = foresight.target_ms[told], foresight.fast_ms[told]
        target_ms = np.full(came + 1, decision.target_ms)
        if came:
            same = int(raw_ms[1:].min()) == int(raw_ms[1:].max())
            each = raw_ms[1:2] if same else raw_ms[1:]
            target_ms[1:] = [decision.constraints.clamp(aim) for aim in each.tolist()]
        # How late the sound would be beside a packet of time zero: the same in all of these ticks.
        behind_ms = (tick + 1) * TICK_MS - (sync.end_timestamp - sync.future) // SAMPLES_PER_MS
        late_ms = np.maximum(behind_ms - fast_ms, 0)
        high_ms = target_ms + foresight.max_delay_ms[told] + GRANULARITY_MS
        off = (late_ms < target_ms) | (late_ms >= high_ms)
        return target_ms, raw_ms, late_ms, off.astype(np.int64) + (late_ms >= 4 * high_ms)

    def _decoded(self, payloads: list[bytes], place: int, frames: int) -> tuple[Pcm, int]:
        """Return the sound of ``frames`` frames, those of packets from ``place`` on behind ``payloads``, and how many.

        They are fewer where one is damaged.
        """
        payloads += self._foresight.payloads[place : place + frames - len(payloads)]
        if self._many is not None:
            return self._many(payloads)
        parts: list[Pcm] = [np.zeros(0, dtype=np.float32)]
        for payload in payloads:
            try:
                parts.append(self._decoder.decode(payload))
            except ValueError:
                break
        return np.concatenate(parts), len(parts) - 1

    def _account(self, leap: _Leap) -> None:
        """Note what each tick did, and count it."""
        foresight, waiting, expected = self._foresight, self._buffer.packets, self._sound.sync.end_timestamp
        come = leap.come[: leap.ticks]
        targets_ms = leap.target_ms[come]
        self._trace.target_ms.frombytes(targets_ms.astype(np.int32).tobytes())
        self._trace.delay_ms.frombytes(leap.late_ms[come].astype(np.int32).tobytes())
        self._trace.operations.extend(bytes(leap.ticks))  # the first of the words: normal
        frames, duration = len(leap.decoded_at), foresight.duration
        # What waits from the next frame, before this tick takes one, to the newest.
        decoded = leap.decoded_at.searchsorted(np.arange(leap.ticks), side="right")
        newest = np.concatenate([[waiting[-1].timestamp], foresight.stamps[leap.place : leap.place + int(come[-1])]])
        spans = newest[come] + duration - (expected + duration * decoded)
        level_q8 = self._decision.level.level_q8
        factors = level_factors(targets_ms)
        for factor, added in zip(factors.tolist(), ((256 - factors) * spans).tolist(), strict=True):
            level_q8 = (factor * level_q8 >> 8) + added
        self._decision.calmly(level_q8)
        emitted = come[leap.decoded_at - 1]
        waited = int(leap.decoded_at.sum()) + leap.tick * frames
        waited -= sum(packet.tick for packet in waiting[:frames])
        waited -= int(foresight.ticks[leap.place : leap.place + max(0, frames - len(waiting))].sum())
        sums_ms = waited * TICK_MS, int(leap.target_ms[emitted].sum()), int(leap.raw_ms[emitted].sum())
        self._counters.glide(leap.ticks * BLOCK_SAMPLES, frames, duration, sums_ms)

    def _listen(self, leap: _Leap) -> None:
        """Let the background learn from each frame in the tick that decoded it and those after it."""
        background, duration = self._sound.background, self._foresight.duration
        ends = [*leap.decoded_at.tolist(), leap.ticks + 1]
        for _ in range(ends[0] - 1):
            background.update_again()
        if len(ends) > 1:
            windows = leap.sound.reshape(-1, duration)[:, duration - WINDOW_SAMPLES :]
            background.follow(windows, [after - before - 1 for before, after in pairwise(ends)])

    def _play(self, leap: _Leap) -> Pcm:
        """Return what is played, and leave in the sync buffer what is not and what was last."""
        sync = self._sound.sync
        samples = sync.pass_on(leap.sound, leap.ticks * BLOCK_SAMPLES)
        sync.end_timestamp += len(leap.sound)
        self._sound.calmly()
        return samples

    def _take_in(self, leap: _Leap, came: int) -> None:
        """Let those packets wait that came and were not decoded."""
        foresight, waiting, place = self._foresight, self._buffer.packets, leap.place
        frames = len(leap.decoded_at)
        begin = place + max(0, frames - len(waiting))
        del waiting[:frames]
        waiting += [
            WaitingPacket(
                int(foresight.stamps[at]),
                foresight.sequences[at],
                foresight.payloads[at],
                foresight.duration,
                False,
                0,
                0,
                int(foresight.ticks[at]),
            )
            for at in range(begin, place + came)
        ]
        if came:
            self._decision.foreseen(place + came - 1)
