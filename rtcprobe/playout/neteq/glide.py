"""Ticks that have nothing to decide, many at once: nineteen of twenty are such.

Where nothing was foreseen, because packets are still to come or are of several kinds, they are gone through one by one
with nothing between them; else they pass in one leap (``leap``).

Facts:
    While the packet expected is there, and its lateness asks neither for a stretch nor for a cut, a tick plays what was
    decoded, and decodes one more frame when that runs short. From one such tick to the next, how late the sound is
    changes only when a packet arrives: the clock and the RTP time go on by the same ten milliseconds.

Rules:
    1. What happens is what as many single ticks (``NetEq.get_audio``) come to, to the bit.
    2. A glide ends before the first tick that is not certain to be of this kind, and leaves that one to them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rtcprobe.playout.arrivals import Coming
from rtcprobe.playout.base import BLOCK_SAMPLES, Decoder, Pcm
from rtcprobe.playout.neteq.buffer import PacketBuffer, WaitingPacket
from rtcprobe.playout.neteq.decision import GRANULARITY_MS, Decision, Mode
from rtcprobe.playout.neteq.delay import level_factor
from rtcprobe.playout.neteq.dsp import OVERLAP_SAMPLES
from rtcprobe.playout.neteq.history import SAMPLES_PER_MS, TICK_MS
from rtcprobe.playout.neteq.intake import Intake
from rtcprobe.playout.neteq.leap import Leaper, Trace
from rtcprobe.playout.neteq.noise import WINDOW_SAMPLES
from rtcprobe.playout.neteq.sound import Sound
from rtcprobe.playout.neteq.stats import Counters

__all__ = ["Glider"]

_LEAST_SAMPLES = OVERLAP_SAMPLES + BLOCK_SAMPLES  # with less than this a tick decodes


# Worked out when a packet comes, not each tick: with packets of 20 ms that is one tick in two. ``off`` does
# not end a glide at once: a stretch waits for the rest after the last one.
class _Aim(NamedTuple):
    """What a packet's arrival changes: until the next one it holds for every tick. ``off``: a stretch or cut is due."""

    target_ms: int
    late_ms: int
    factor: int
    newest: int
    off: bool


class _Passed:
    """What a glide has done: the ticks that decoded, and sums over the frames that they decoded."""

    __slots__ = ("decoded_at", "minima_ms", "targets_ms", "waited_ticks")

    def __init__(self) -> None:
        self.decoded_at = array("q")
        self.waited_ticks = self.targets_ms = self.minima_ms = 0

    def decoded(self, tick: int, packet: WaitingPacket, target_ms: int, minimum_ms: int) -> None:
        """Note that ``tick`` decoded ``packet``."""
        self.decoded_at.append(tick)
        self.waited_ticks += tick - packet.tick
        self.targets_ms += target_ms
        self.minima_ms += minimum_ms


# What a glide's loop knows it keeps in names of its own until the end: wherever it breaks off, the parts are
# then as after its last whole tick. Frames are written behind ``sync.end``, where nobody looks before that is
# moved; the sound leaves as a copy, for ``make_room`` moves what lies there.
class Glider:
    """Lets the parts of one ``NetEq`` do many ticks: in one leap where it was foreseen what comes, else one by one."""

    def __init__(
        self,
        decoder: Decoder,
        parts: tuple[Decision, PacketBuffer, Sound, Counters, Trace],
        intake: Intake,
    ) -> None:
        self._decoder = decoder
        self._decision, self._buffer, self._sound, self._counters, self._trace = parts
        self._intake = intake
        self._leaper = Leaper(decoder, parts)

    def ready(self) -> bool:
        """Return whether the next tick may be one to glide over."""
        sound, packets = self._sound, self._buffer.packets
        return (
            sound.mode is Mode.NORMAL
            and bool(packets)
            and packets[0].timestamp == sound.sync.end_timestamp
            and self._decision.history.known
            and sound.last_duration >= BLOCK_SAMPLES
            and sound.sync.whole
            and self._counters.playing
        )

    def go_on(self, tick: int, coming: Coming, clock: tuple[float, float, int], most: int) -> tuple[int, Pcm]:
        """Do what ``glide`` does, in one where that can be."""
        leap = self._leaper.leap(tick, most)
        if leap is None:
            return self.glide(tick, coming, clock, most)
        done, came, samples = leap
        coming.skip(came)
        self._intake.skip(came)
        return done, samples

    def glide(self, tick: int, coming: Coming, clock: tuple[float, float, int], most: int) -> tuple[int, Pcm]:
        """Do up to ``most`` ticks after ``tick``; return how many, and their sound, 480 samples each.

        ``clock`` is (start, period, index): until the n-th of these ticks (from 0) comes what comes by
        start + (index + n) · period.
        """
        buffer, sync, packets = self._buffer, self._sound.sync, self._buffer.packets
        start_s, period_s, index = clock
        sync.make_room()
        data, end, first = sync.data, sync.end, sync.next
        future, expected, duration = end - first, sync.end_timestamp, self._sound.last_duration
        # How late the sound would be beside a packet of time zero: the same in all of these ticks.
        behind_ms = (tick + 1) * TICK_MS - (expected - future) // SAMPLES_PER_MS
        level_q8, rest, begun = self._decision.level.level_q8, self._decision.rest_ticks, tick
        passed = _Passed()
        targets, delays = self._trace.target_ms, self._trace.delay_ms
        aim: _Aim | None = None
        while tick - begun < most:
            now_s = start_s + (index + tick - begun) * period_s
            if coming.at_s <= now_s:
                aim = None
                if not self._take_in(coming, now_s, tick):
                    break
            # In a tick that decodes nothing as well: ``decide`` looks at the packet, not at what is left to play.
            if not packets or packets[0].timestamp != expected:
                break
            if aim is None:
                aim = self._aim(duration, behind_ms)
                if aim is None:
                    break
                target_ms, late_ms, factor, newest, off = aim
            if off and tick + 1 >= rest:
                break
            next_q8 = (factor * level_q8 >> 8) + (256 - factor) * (newest - expected)
            if future < _LEAST_SAMPLES:
                decoded = self._decoded(packets[0], duration, len(data) - end)
                if decoded is None:
                    break
                data[end : end + duration] = decoded
                passed.decoded(tick + 1, buffer.pop(), target_ms, self._decision.target.target_ms)
                end, expected, future = end + duration, expected + duration, future + duration
            tick, level_q8, future = tick + 1, next_q8, future - BLOCK_SAMPLES
            targets.append(target_ms)
            delays.append(late_ms)
        if tick > begun:
            self._decision.calmly(level_q8)
            self._settle(passed, begun, tick)
            sync.end, sync.next, sync.end_timestamp = end, end - future, expected
        return tick - begun, data[first : first + (tick - begun) * BLOCK_SAMPLES].copy()

    def _take_in(self, coming: Coming, now_s: float, tick: int) -> bool:
        """Insert what comes by ``now_s``; return whether all of it just goes on."""
        going = True
        while going and coming.at_s <= now_s:
            going = self._intake.insert(coming.take(), tick)
        return going

    def _aim(self, duration: int, behind_ms: int) -> _Aim | None:
        """Return what holds until the next packet comes; None where a tick is not certain to be of this kind."""
        decision, buffer = self._decision, self._buffer
        if buffer.has_dtx or decision.was_flushed:  # silence has a length of its own; a flush sets the level anew
            return None
        last, history, target_ms = buffer.packets[-1], decision.history, decision.target_ms
        late_ms = max(0, behind_ms - history.fast_ms)
        high = target_ms + history.max_delay_ms + GRANULARITY_MS
        if late_ms >= 4 * high:  # a fast accelerate waits for no rest
            return None
        newest = last.timestamp + (last.duration or duration)
        return _Aim(target_ms, late_ms, level_factor(target_ms), newest, not target_ms <= late_ms < high)

    def _decoded(self, packet: WaitingPacket, duration: int, room: int) -> Pcm | None:
        """Return the sound of a frame like those before; None of another, and of one that will be refused."""
        if packet.duration != duration or packet.codec_level or packet.red_level or duration > room:
            return None
        try:
            return self._decoder.decode(packet.payload)
        except ValueError:
            return None  # a tick of its own will be refused as well

    def _settle(self, passed: _Passed, begun: int, over: int) -> None:
        """Let every part have done the ticks ``begun`` + 1 to ``over``."""
        sound, frames = self._sound, len(passed.decoded_at)
        self._trace.operations.extend(bytes(over - begun))  # the first of the words: normal
        sums_ms = passed.waited_ticks * TICK_MS, passed.targets_ms, passed.minima_ms
        self._counters.glide((over - begun) * BLOCK_SAMPLES, frames, sound.last_duration, sums_ms)
        self._listen(sound.sync.end, sound.last_duration, begun, passed.decoded_at, over)
        sound.calmly()

    def _listen(self, end: int, duration: int, begun: int, decoded_at: Sequence[int], over: int) -> None:
        """Let the background learn from ticks ``begun`` + 1 to ``over``, of which some decoded ``duration`` samples.

        ``end`` is where, in what was decoded, the first of those began.
        """
        # Ticks before the first frame look at what the background has seen already; from then on each frame
        # is looked at once, and again in every tick until the next one.
        background = self._sound.background
        count = len(decoded_at)
        for _ in range((decoded_at[0] if count else over + 1) - begun - 1):
            background.update_again()
        if not count:
            return
        data = self._sound.sync.data
        windows: Pcm = np.ndarray(
            (count, WINDOW_SAMPLES),
            np.float32,
            data,
            (end + duration - WINDOW_SAMPLES) * data.itemsize,
            (duration * data.itemsize, data.itemsize),
        )
        again = [after - before - 1 for before, after in pairwise((*decoded_at, over + 1))]
        background.follow(windows, again)
