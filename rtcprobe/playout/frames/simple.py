"""Receivers that are nobody's browser: as soon as possible, and what stock aiortc does.

Facts of aiortc (1.16): a frame is handed on when the first packet of the *next* one is there, the marker bit is not
looked at; what is missing is asked for only when something new goes missing, then all of it again, never by time. Its
buffer holds 512 packets and skips nothing until it is full; then it drops whole frames, asks for a key frame and
decodes on, whatever is missing. There is no delay to smooth anything.

Source: ``jitterbuffer.py``, ``rtcrtpreceiver.py`` of aiortc 1.16.0.
"""

from __future__ import annotations

from typing import Final

from rtcprobe.playout.frames.assembly import Frame, VideoPacket
from rtcprobe.playout.frames.base import DECODE_US, FrameReceiver, Shown
from rtcprobe.playout.frames.buffer import FrameBuffer
from rtcprobe.wrapping import Unwrapper

__all__ = ["AsSoonAsPossible", "StockAiortc"]

# jitterbuffer.py: 512 packets; a jump back of fewer than 100 is reordering. rtcrtpreceiver.py: 128 numbers are
# remembered as missing.
_CAPACITY: Final = 512
_MISORDERED: Final = 100
_HISTORY: Final = 128


class _AtOnce(FrameReceiver):
    """Decodes frames one after the other, and shows each when it is decoded."""

    def __init__(self, *, start_us: int = 0, decode_us: int = DECODE_US, nack: bool = True) -> None:
        super().__init__(start_us=start_us, nack=nack)
        self._decode_us = decode_us
        self._busy: list[Shown] = []

    def _due_us(self) -> int | None:
        return self._busy[0].at_us if self._busy else None

    def _run(self, now_us: int) -> None:
        shown = self._busy.pop(0)
        self._decode(shown.frame, now_us, self._decode_us)
        self._show(shown)

    def _release(self, frame: Frame, now_us: int, *, damaged: bool = False) -> None:
        self.counters.frame_released(frame, now_us, target_us=0, minimum_us=0)
        # One decoder: a frame waits for the ones before it.
        begin_us = max(now_us, self._busy[-1].at_us) if self._busy else now_us
        done_us = begin_us + self._decode_us
        self._busy.append(Shown(frame=frame, released_us=now_us, decoded_us=done_us, at_us=done_us, damaged=damaged))


class AsSoonAsPossible(_AtOnce):
    """Shows each frame as soon as it and all that it needs are there: the least delay any receiver could have."""

    def __init__(self, *, start_us: int = 0, decode_us: int = DECODE_US, nack: bool = True) -> None:
        super().__init__(start_us=start_us, decode_us=decode_us, nack=nack)
        self._buffer = FrameBuffer()
        self._any_frame = False

    def _complete(self, frame: Frame, now_us: int) -> None:
        if not self._any_frame and not frame.key:
            self._ask_key_frame(now_us, "the first whole frame was no key frame")
        self._any_frame = True
        dropped = self._buffer.dropped
        self._buffer.insert(frame)
        while (found := self._buffer.next_and_last()) is not None:
            self._release(self._buffer.take(found[0]), now_us)
            self._assembler.clear_to(found[0].last)
            if self._nack is not None:
                self._nack.clear_to(found[0].last)
        self.counters.dropped += self._buffer.dropped - dropped


class StockAiortc(_AtOnce):
    """What stock aiortc shows of the same packets."""

    def __init__(self, *, start_us: int = 0, decode_us: int = DECODE_US) -> None:
        super().__init__(start_us=start_us, decode_us=decode_us, nack=False)
        self._unwrap = Unwrapper(16)
        self._packets: dict[int, tuple[VideoPacket, int]] = {}
        self._origin: int | None = None
        self._newest: int | None = None
        self._missing: dict[int, None] = {}
        self._broken = True

    def _complete(self, frame: Frame, now_us: int) -> None:
        """The marker bit is not looked at: ``_arrived`` does what there is."""

    def _arrived(self, packet: VideoPacket, now_us: int) -> None:
        number = self._unwrap.unwrap(packet.sequence)
        self._note_missing(number, now_us)
        if self._origin is None:
            self._origin = number
        if number < self._origin:
            if self._origin - number < _MISORDERED:
                return
            self._packets.clear()
            self._begin_at(number, now_us)
        if number - self._origin >= _CAPACITY:
            self._make_room(number, now_us)
        self._packets[number] = (packet, now_us)
        frame = self._first_frame()
        if frame is not None:
            # aiortc decodes on with references missing; what is shown until the next key frame is said to be
            # damaged.
            self._broken = self._broken and not frame.key
            self._release(frame, now_us, damaged=self._broken)

    def _note_missing(self, number: int, now_us: int) -> None:
        if self._newest is None or number > self._newest:
            # No further back than aiortc's list reaches: a jump of thousands asks for the last 128 alone.
            gap = () if self._newest is None else range(max(self._newest + 1, number - _HISTORY), number)
            self._missing.update(dict.fromkeys(gap))
            self._newest = number
            for old in [each for each in self._missing if each < number - _HISTORY]:
                del self._missing[old]
            # All of it again, and only now: aiortc has no timer for it (Facts).
            if gap:
                self._ask([each & 0xFFFF for each in sorted(self._missing)], now_us)
        else:
            self._missing.pop(number, None)

    def _make_room(self, number: int, now_us: int) -> None:
        """Drop whole frames until ``number`` fits; all of them where it lies further ahead than the buffer is long."""
        assert self._origin is not None
        begin, timestamp = self._origin, None
        for at in range(begin, begin + _CAPACITY):
            held = self._packets.get(at)
            if held is not None:
                if held[0].timestamp != timestamp:
                    if at > number - _CAPACITY:
                        self._begin_at(at, now_us)
                        return
                    self.counters.dropped += 1
                timestamp = held[0].timestamp
                del self._packets[at]
        self._begin_at(number, now_us)

    def _begin_at(self, number: int, now_us: int) -> None:
        self._origin, self._broken = number, True
        self._ask_key_frame(now_us, "the jitter buffer was full")

    def _first_frame(self) -> Frame | None:
        """Return the first frame if the next one has begun, without holes before it."""
        at = self._origin
        assert at is not None
        parts: list[tuple[VideoPacket, int]] = []
        while (held := self._packets.get(at)) is not None:
            if parts and held[0].timestamp != parts[0][0].timestamp:
                return self._joined(parts, at)
            parts.append(held)
            at += 1
        return None

    def _joined(self, parts: list[tuple[VideoPacket, int]], end: int) -> Frame:
        first = self._origin
        assert first is not None
        for number in range(first, end):
            del self._packets[number]
        self._origin = end
        key = bool(parts[0][0].key)
        return Frame(
            first=first, last=end - 1, after=None if key else first - 1, timestamp=parts[0][0].timestamp,
            size_bytes=sum(packet.size_bytes for packet, _ in parts), key=key,
            first_us=min(at_us for _, at_us in parts), last_us=max(at_us for _, at_us in parts),
            resent=False, packets=len(parts),
        )  # fmt: skip
