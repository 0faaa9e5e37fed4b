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

import numpy as np

from rtcprobe.playout.arrivals import Coming
from rtcprobe.playout.base import BLOCK_SAMPLES, Decoder, Pcm
from rtcprobe.playout.neteq.buffer import PacketBuffer
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

    def glide(  # noqa: PLR0912, PLR0915 - one loop: a call in it costs as much as a tick does
        self, tick: int, coming: Coming, clock: tuple[float, float, int], most: int
    ) -> tuple[int, Pcm]:
        """Do up to ``most`` ticks after ``tick``; return how many, and their sound, 480 samples each.

        ``clock`` is (start, period, index): until the n-th of these ticks (from 0) comes what comes by
        start + (index + n) · period.
        """
        decision, buffer, sound = self._decision, self._buffer, self._sound
        history, sync, packets = decision.history, sound.sync, buffer.packets
        target, decode = decision.target, self._decoder.decode
        start_s, period_s, index = clock
        sync.make_room()
        data, end, first = sync.data, sync.end, sync.next
        future, expected, duration = end - first, sync.end_timestamp, sound.last_duration
        # How late the sound would be beside a packet of time zero: the same in all of these ticks.
        behind_ms = (tick + 1) * TICK_MS - (expected - future) // SAMPLES_PER_MS
        level_q8, rest, begun = decision.level.level_q8, decision.rest_ticks, tick
        waited_ms = targets_ms = minima_ms = 0
        decoded_at = array("q")  # the ticks that decode
        targets, delays = self._trace.target_ms, self._trace.delay_ms
        changed = True
        while tick - begun < most:
            now_s = start_s + (index + tick - begun) * period_s
            if coming.at_s <= now_s:
                changed = going = True
                while going and coming.at_s <= now_s:
                    going = self._intake.insert(coming.take(), tick)
                if not going:
                    break
            # In a tick that decodes nothing as well: ``decide`` looks at the packet, not at what is left to play.
            if not packets or packets[0].timestamp != expected:
                break
            if changed:
                if (
                    buffer.has_dtx or decision.was_flushed
                ):  # silence has a length of its own; a flush sets the level anew
                    break
                changed = False
                last = packets[-1]
                newest = last.timestamp + (last.duration or duration)
                target_ms = decision.target_ms
                factor = level_factor(target_ms)
                late_ms = max(0, behind_ms - history.fast_ms)
                high = target_ms + history.max_delay_ms + GRANULARITY_MS
                if late_ms >= 4 * high:  # a fast accelerate waits for no rest
                    break
                off = not target_ms <= late_ms < high
            if off and tick + 1 >= rest:
                break
            if future < _LEAST_SAMPLES:
                packet = packets[0]
                if packet.duration != duration or packet.codec_level or packet.red_level or end + duration > len(data):
                    break
                try:
                    decoded = decode(packet.payload)
                except ValueError:
                    break  # a tick of its own will be refused as well
                level_q8 = (factor * level_q8 >> 8) + (256 - factor) * (newest - expected)
                tick += 1
                buffer.pop()
                waited_ms += tick - packet.tick
                targets_ms += target_ms
                minima_ms += target.target_ms
                decoded_at.append(tick)
                data[end : end + duration] = decoded
                end += duration
                expected += duration
                future += duration
            else:
                level_q8 = (factor * level_q8 >> 8) + (256 - factor) * (newest - expected)
                tick += 1
            future -= BLOCK_SAMPLES
            targets.append(target_ms)
            delays.append(late_ms)
        done = tick - begun
        if done:
            self._trace.operations.extend(bytes(done))  # the first of the words: normal
            decision.calmly(level_q8)
            sums_ms = waited_ms * TICK_MS, targets_ms, minima_ms
            self._counters.glide(done * BLOCK_SAMPLES, len(decoded_at), duration, sums_ms)
            self._listen(sync.end, duration, begun, decoded_at, tick)
            sync.end, sync.next, sync.end_timestamp = end, end - future, expected
            sound.calmly()
        return done, data[first : first + done * BLOCK_SAMPLES].copy()

    def _listen(self, end: int, duration: int, begun: int, decoded_at: Sequence[int], over: int) -> None:
        """Let the background learn from ticks ``begun`` + 1 to ``over``, of which some decoded ``duration`` samples.

        ``end`` is where, in what was decoded, the first of those began.
        """
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
