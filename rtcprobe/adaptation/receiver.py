"""Who receives: asks again for what is missing, repairs by parity, shows frames in order, and counts freezes.

Facts:
    A frame is decoded when all of it came and the one before it was decoded; a key frame needs none before it. Missing
    numbers are asked for at once, and again each RTT up to a hundred times: behind a full queue most retransmissions
    are asked for while they are on their way. A freeze is a frame decoded later after the one before it than three
    mean intervals and than a mean and 150 ms, the mean being that of the last 30 intervals, this one counted.
    Parity repairs one loss among the packets that it covers; of several, each covers every so manieth packet, which
    comes close to libwebrtc's masks.

Source: libwebrtc main f3ae3eb62e2a, ``modules/video_coding/nack_requester.cc``, ``video/video_quality_observer2.cc``,
``modules/rtp_rtcp/source/forward_error_correction.cc``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["Packet", "VideoReceiver"]

# kMaxNackRetries and kMaxNackPackets of nack_requester.cc: one too many missing empties the list and asks for
# a key frame.
_TRIES: Final = 100
_MOST_MISSING: Final = 1000
# kMaxWaitForFrame: nothing shown for so long asks for a key frame. It is asked for again each half second, so
# that a request that was lost costs no 3 s more.
_WAIT_S: Final = 3.0
_KEY_EVERY_S: Final = 0.5
# kMinIncreaseForFreezeMs, kMinFrameSamplesToDetectFreeze and kAvgInterframeDelaysWindowSizeFrames.
_FREEZE_S: Final = 0.150
_LEAST_INTERVALS, _INTERVALS = 5, 30
# How many parity packets wait for the rest of what they cover; each new packet looks at all of them.
_MOST_PARITY: Final = 16


class Packet(NamedTuple):
    """One media packet: its number, the frame's, the frame's first number and how many packets it has."""

    number: int
    frame: int
    first: int
    packets: int
    key: bool
    size_bytes: int


class VideoReceiver:
    """Numbers are those of the media, not of copies."""

    def __init__(self) -> None:
        self.freezes = 0
        self.frozen_s = 0.0
        self.longest_freeze_s = 0.0
        self.shown = 0
        self.missing: dict[int, tuple[float, int]] = {}
        """Number → (last asked, times)."""
        self._next = 0
        self._floor = 0  # every number below is of a frame that was decoded, or given up
        self._frames: dict[int, tuple[set[int], Packet]] = {}
        self._parity: deque[tuple[Sequence[Packet], int]] = deque(maxlen=_MOST_PARITY)
        self._decoded = -1
        self._shown_s: float | None = None
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)
        self._asked_key_s = -1.0
        self._full = False

    def arrived(self, packet: Packet, now_s: float) -> list[int]:
        """Take in a packet, the first time or again; return the numbers to ask for at once."""
        number = packet.number
        asked: list[int] = []
        if number >= self._next:
            asked = list(range(self._next, number))
            self._next = number + 1
            self.missing.update(dict.fromkeys(asked, (now_s, 1)))
            # libwebrtc first forgets what is before a key frame that came, and clears the list where that is
            # not enough: here it is cleared at once.
            if len(self.missing) > _MOST_MISSING:
                self.missing.clear()
                self._full = True
        elif self.missing:
            self.missing.pop(number, None)
        if packet.frame > self._decoded:
            self._take(packet, now_s)
        if self._parity:
            self._repair(now_s)
        return asked

    def parity(self, covered: Sequence[Packet], now_s: float) -> None:
        """Take in a parity packet over some media packets."""
        self._parity.append((covered, 0))
        self._repair(now_s)

    def asks(self, now_s: float, rtt_s: float) -> list[int]:
        """Return the numbers to ask for again, as an RTT has passed."""
        asked = []
        # A copy of the list: entries that were tried too often leave while it is walked.
        for number, (at_s, tries) in list(self.missing.items()):
            if now_s - at_s < rtt_s:
                continue
            if tries >= _TRIES:
                del self.missing[number]
                continue
            self.missing[number] = (now_s, tries + 1)
            asked.append(number)
        return asked

    def needs_key(self, now_s: float) -> bool:
        """Whether nothing was shown for so long, or so much is missing, that a key frame is asked for."""
        waited = self._shown_s is not None and now_s - self._shown_s >= _WAIT_S
        if not (waited or self._full) or now_s - self._asked_key_s < _KEY_EVERY_S:
            return False
        self._asked_key_s, self._full = now_s, False
        return True

    def _has(self, number: int) -> bool:
        return number < self._next and number not in self.missing

    def _repair(self, now_s: float) -> None:
        """Recover what is the only one missing of those that a parity packet covers."""
        again = True
        # A repaired packet may be the one that another parity packet lacked: from the start, until nothing
        # changes. Each round takes one entry off the list, so it ends.
        while again:
            again = False
            for entry in list(self._parity):
                lost = [packet for packet in entry[0] if packet.number >= self._floor and not self._has(packet.number)]
                if len(lost) > 1:
                    continue
                self._parity.remove(entry)
                if not lost:
                    continue
                packet = lost[0]
                if packet.number >= self._next:
                    # Repaired before anything after the gap came: what lies between is missing, but was asked
                    # for by nobody yet.
                    self.missing.update(dict.fromkeys(range(self._next, packet.number), (now_s, 0)))
                    self._next = packet.number + 1
                self.missing.pop(packet.number, None)
                if packet.frame > self._decoded:
                    self._take(packet, now_s)
                again = True
                break

    def _take(self, packet: Packet, now_s: float) -> None:
        came, _ = self._frames.setdefault(packet.frame, (set(), packet))
        came.add(packet.number)
        if len(came) == packet.packets:
            self._decode(packet, now_s)

    def _decode(self, packet: Packet, now_s: float) -> None:
        # Then whatever was whole already and waited for this one.
        if packet.frame == self._decoded + 1 or packet.key:
            self._show(packet.frame, now_s)
        while True:
            following = self._frames.get(self._decoded + 1)
            if following is None or len(following[0]) < following[1].packets:
                return
            self._show(self._decoded + 1, now_s)

    def _show(self, frame: int, now_s: float) -> None:
        _, packet = self._frames.pop(frame)
        # A key frame has overtaken: what was before it is asked for no more, and will not be shown.
        if frame > self._decoded + 1:
            for old in [each for each in self._frames if each < frame]:
                del self._frames[old]
            for number in [each for each in self.missing if each < packet.first]:
                del self.missing[number]
        self._floor = packet.first + packet.packets
        self._decoded = frame
        self.shown += 1
        if self._shown_s is not None:
            self._interval(now_s - self._shown_s)
        self._shown_s = now_s

    def _interval(self, interval_s: float) -> None:
        usual_s = self._intervals_s
        usual_s.append(interval_s)
        if interval_s > _FREEZE_S and len(usual_s) >= _LEAST_INTERVALS:
            mean_s = sum(usual_s) / len(usual_s)
            if interval_s >= max(3 * mean_s, mean_s + _FREEZE_S):
                self.freezes += 1
                self.frozen_s += interval_s
                self.longest_freeze_s = max(self.longest_freeze_s, interval_s)
