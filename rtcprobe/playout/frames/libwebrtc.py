"""libwebrtc's video receiver from packet to sink: the one that browsers and native applications have.

Theory of operation: whole frames wait in a buffer. While the decoder is free, the first decodable one is given a time
to be shown (``timing``) and a time to be decoded (``timers``). When that comes it is released: the jitter estimator
learns from it, the delay follows by its lateness, it is decoded, and shown (``smoothing``). Then the next is looked
at. A frame 5 ms late and more is dropped where a later one could be decoded without it.

Source: ``video/video_stream_buffer_controller.cc``, ``video_receive_stream2.cc`` of libwebrtc (2026-08).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from rtcprobe.playout.frames.assembly import Frame, VideoPacket
from rtcprobe.playout.frames.base import DECODE_US, FrameReceiver, Shown
from rtcprobe.playout.frames.buffer import FrameBuffer
from rtcprobe.playout.frames.jitter import DelayVariation, JitterEstimator
from rtcprobe.playout.frames.micros import MS, SECOND, to_ms
from rtcprobe.playout.frames.smoothing import Smoothing
from rtcprobe.playout.frames.timers import ReleaseTimer
from rtcprobe.playout.frames.timing import Timing

__all__ = ["LibwebrtcReceiver"]

_HOP_US: Final = 60  # from one of its threads to the next, as measured on an idle PC: 50 to 100
# kMaxAllowedFrameDelay of ``frame_decode_timing.cc``.
_LATE_US: Final = -5 * MS
# frame_decode_timing.cc, video_stream_buffer_controller.cc: a frame to be shown 10 s away means a clock that jumped;
# more than 8 frames wait for a decoder that cannot keep up.
_FAR_US: Final = 10 * SECOND
_CROWDED: Final = 8
# kMaxWaitForFrame and kMaxWaitForKeyFrame; kInactiveDuration: without a packet for so long nobody is asked.
_NO_FRAME_US, _NO_KEY_FRAME_US = 3 * SECOND, 200 * MS
_ACTIVE_US: Final = 5 * SECOND


class _Scheduled(NamedTuple):
    frame: Frame
    render_us: int
    due_us: int


class _Decoding(NamedTuple):
    frame: Frame
    render_us: int
    released_us: int
    done_us: int


# A key frame is required at the start and never again: nothing is decoded with a reference missing, so no
# decoder fails. What is scheduled is released a millisecond before the timeout at the latest, or that would
# ask for a key frame with a frame in hand. A render time of 0 is no instant: it means as soon as possible.
class LibwebrtcReceiver(FrameReceiver):
    """One stream as native applications (``smooth``) or browsers have it.

    ``decode_us``: how long each frame takes to decode, ``network_us`` how long a packet takes from the socket to the
    thread that looks at frames. ``playout_us`` is the least and the most delay, of the header extension or the
    application; (0, 0) is as soon as can be. ``rejecting`` keeps outliers out of the time base (releases from 2026 on).
    """

    def __init__(
        self,
        timer: ReleaseTimer,
        *,
        smooth: bool,
        start_us: int = 0,
        decode_us: int = DECODE_US,
        network_us: int = _HOP_US,
        playout_us: tuple[int, int] = (0, 10 * SECOND),
        nack: bool = True,
        rejecting: bool = True,
    ) -> None:
        super().__init__(start_us=start_us, nack=nack)
        self.timing = Timing(start_us, rejecting=rejecting)
        self.timing.playout_us = playout_us
        self._timer = timer
        self._smoothing: Smoothing[Shown] | None = Smoothing() if smooth else None
        self._decode_us, self._network_us = decode_us, network_us
        self._buffer = FrameBuffer()
        self._jitter = JitterEstimator()
        self._variation = DelayVariation()
        self._scheduled: _Scheduled | None = None
        self._decoding: _Decoding | None = None
        self._free_us: int | None = None  # when the buffer hears that the decoder is free; None: it has
        self._key_required = True
        self._timeout_us = start_us + _NO_KEY_FRAME_US
        self._released_us = 0
        self._any_frame = False
        self._packet_us: int | None = None
        self._key_packet_us: int | None = None

    def wish(self, least_us: int, most_us: int | None = None) -> None:
        """Take a least (and a most) playout delay, of synchronization or of the application."""
        self.timing.playout_us = (least_us, self.timing.playout_us[1] if most_us is None else most_us)

    def round_trip(self, rtt_us: int) -> None:
        """Take a round trip that RTCP measured."""
        super().round_trip(rtt_us)
        self._jitter.round_trips.update(to_ms(rtt_us) * MS)

    def asks_us(self) -> int | None:
        """Return when it may ask for something next, at the soonest; None before anything came."""
        nack_us = super().asks_us()
        if self._packet_us is None:
            return nack_us
        return self._timeout_us if nack_us is None else min(nack_us, self._timeout_us)

    def _arrived(self, packet: VideoPacket, now_us: int) -> None:
        if self._packet_us is None:  # nothing can time out before anything came
            self._timeout_us = max(self._timeout_us, now_us + _NO_KEY_FRAME_US)
        self._packet_us = now_us
        if packet.key:
            self._key_packet_us = now_us
        held = self._scheduled
        if held is not None:
            due_us = self._timer.woken(now_us, held.due_us)
            if due_us != held.due_us:
                self._scheduled = _Scheduled(held.frame, held.render_us, due_us)

    def _complete(self, frame: Frame, now_us: int) -> None:
        if not self._any_frame:
            self._any_frame = True
            if not frame.key:
                self._ask_key_frame(now_us, "the first whole frame was no key frame")
        refused, dropped = self._buffer.refused, self._buffer.dropped
        grown = self._buffer.insert(frame)
        if self._buffer.refused > refused:
            return
        self.counters.dropped += self._buffer.dropped - dropped
        if not frame.resent:
            self.timing.extrapolator.update(to_ms(frame.last_us) * MS, frame.timestamp)
        if grown:
            self._schedule(now_us + self._network_us)

    def _due_us(self) -> int | None:
        decoding, scheduled, smoothing = self._decoding, self._scheduled, self._smoothing
        due_us = self._free_us
        if decoding is not None:
            due_us = _sooner(due_us, decoding.done_us)
        elif self._packet_us is not None:
            due_us = _sooner(due_us, self._timeout_us)
        if scheduled is not None:
            due_us = _sooner(due_us, scheduled.due_us)
        if smoothing is not None and smoothing.due_us is not None:
            due_us = _sooner(due_us, smoothing.due_us)
        return due_us

    def _run(self, now_us: int) -> None:
        if self._smoothing is not None and self._smoothing.due_us == now_us:
            self._sink(self._smoothing.dequeue(now_us), now_us)
        elif self._decoding is not None and self._decoding.done_us == now_us:
            self._decoded(self._decoding)
        elif self._free_us == now_us:
            self._free_us = None
            self._schedule(now_us)
        elif self._scheduled is not None and self._scheduled.due_us == now_us:
            held, self._scheduled = self._scheduled, None
            self._release(held.frame, held.render_us, now_us)
        else:
            self._timed_out(now_us)

    def _schedule(self, now_us: int) -> None:
        """Choose the next frame and when it is released."""
        found = self._buffer.next_and_last()
        if found is None or self._decoding is not None or self._free_us is not None:
            return
        if self._key_required:
            self._force_key_frame(now_us)
            return
        while found is not None:
            frame, last = found
            if self._scheduled is not None and self._scheduled.frame is frame:
                return
            render_us = self.timing.render_us(frame.timestamp, now_us)
            crowded = len(self._buffer) > _CROWDED
            wait_us = self.timing.wait_us(render_us, now_us, last_us=self._released_us, crowded=crowded)
            if wait_us > _LATE_US or frame is last:
                left_us = max(0, self._timeout_us - now_us - MS)
                due_us = self._timer.schedule(max(0, min(wait_us, left_us)), now_us)
                self._scheduled = _Scheduled(frame=frame, render_us=render_us, due_us=due_us)
                return
            self._scheduled = None
            self._dropped(self._buffer.drop, frame)
            found = self._buffer.next_and_last()

    def _force_key_frame(self, now_us: int) -> None:
        """Drop frames until one is a key frame, and release that at once."""
        while (found := self._buffer.next_and_last()) is not None:
            frame = found[0]
            if frame.key:
                self._release(frame, self.timing.render_us(frame.timestamp, now_us), now_us)
                return
            self._dropped(self._buffer.drop, frame)

    def _release(self, frame: Frame, render_us: int, now_us: int) -> None:
        self._dropped(self._buffer.take, frame)
        self._released_us = now_us
        self._timeout_us = now_us + _NO_FRAME_US
        self._key_required = self._key_required and not frame.key
        far = render_us != 0 and abs(render_us - now_us) > _FAR_US
        if far or self.timing.target_us > _FAR_US:
            self._jitter.reset()
            self.timing.reset(now_us)
            render_us = self.timing.render_us(frame.timestamp, now_us)
        # What had to be asked for says nothing of the line's jitter, only that round trips are in it now.
        if frame.resent:
            self._jitter.frame_nacked(now_us)
        else:
            variation_us = self._variation.of(frame.timestamp, to_ms(frame.last_us) * MS)
            if variation_us is not None:
                self._jitter.update(variation_us, frame.size_bytes, now_us)
            self.timing.set_jitter(self._jitter.estimate_us(now_us))
            self.timing.released(render_us, now_us)
        self._assembler.clear_to(frame.last)
        if self._nack is not None:
            self._nack.clear_to(frame.last)
        self.counters.frame_released(
            frame, now_us, target_us=self.timing.stats_target_us, minimum_us=self.timing.jitter_us
        )
        done_us = now_us + _HOP_US + self._decode_us
        self._decoding = _Decoding(frame=frame, render_us=render_us, released_us=now_us, done_us=done_us)

    def _decoded(self, done: _Decoding) -> None:
        now_us = done.done_us
        self._decoding = None
        self._free_us = now_us + _HOP_US
        self.timing.decoded(self._decode_us, now_us)
        self._decode(done.frame, now_us, self._decode_us)
        shown = Shown(frame=done.frame, released_us=done.released_us, decoded_us=now_us, at_us=now_us)
        if self._smoothing is None:
            self._show(shown)
        else:
            at_us = now_us + _HOP_US
            self._sink(self._smoothing.add(shown, to_ms(done.render_us), at_us), at_us)

    def _sink(self, shown: Shown | None, now_us: int) -> None:
        if shown is not None:
            self._show(Shown(shown.frame, shown.released_us, shown.decoded_us, now_us, shown.damaged))

    def _timed_out(self, now_us: int) -> None:
        """Nothing was released for long: ask for a key frame if packets still come, and none of one just did."""
        active = self._packet_us is not None and now_us - self._packet_us < _ACTIVE_US
        receiving = self._key_packet_us is not None and now_us - self._key_packet_us < _NO_KEY_FRAME_US
        if active and not receiving:
            self._ask_key_frame(now_us, "no frame for long")
        self._timeout_us = now_us + (_NO_KEY_FRAME_US if self._key_required else _NO_FRAME_US)

    def _dropped(self, act: Callable[[Frame], object], frame: Frame) -> None:
        """Do something to the buffer, and count what it drops."""
        dropped = self._buffer.dropped
        act(frame)
        self.counters.dropped += self._buffer.dropped - dropped


def _sooner(one_us: int | None, other_us: int) -> int:
    return other_us if one_us is None or other_us < one_us else one_us
