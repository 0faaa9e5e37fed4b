"""What a video receiver asks to have sent again.

Rules:
    1. A new gap is asked for at once, each missing packet once.
    2. Every 20 ms those are asked for again whose last time is a round trip ago and more. The round trip is 100 ms
       until one is known; a receiver that never sends has none (without RTCP XR), so 100 ms stays. So a packet whose
       copy is lost, too, stops the picture for two frames, two round trips and a tick: for more than three round trips
       where one takes less than 87 ms at 30 frames a second.
    3. Up to 100 times a packet; up to 1,000 packets (else all are forgotten and a key frame is asked for); no packet
       that is more than 10,000 older than the newest; none from before a frame that was released.

Source: ``modules/video_coding/nack_requester.cc`` of libwebrtc (2026-08).
"""

from __future__ import annotations

from typing import Final

from rtcprobe.playout.frames.micros import MS
from rtcprobe.wrapping import Unwrapper

__all__ = ["NACK_PERIOD_US", "NackRequester"]

# NackPeriodicProcessor::kUpdateInterval; kDefaultRtt; kMaxNackRetries, kMaxNackPackets, kMaxPacketAge.
NACK_PERIOD_US: Final = 20 * MS
_DEFAULT_RTT_US: Final = 100 * MS
_MOST_TRIES, _MOST_LISTED, _MOST_AGE = 100, 1000, 10_000


class NackRequester:
    """The list of what is missing of one stream. ``rtt_us`` may be set to what RTCP measured.

    No packet is asked for as often as ``most_tries``.
    """

    def __init__(self, *, most_tries: int = _MOST_TRIES) -> None:
        self._most_tries = most_tries
        self.rtt_us = _DEFAULT_RTT_US
        self.overflown = 0
        self._unwrap = Unwrapper(16)
        self._newest: int | None = None
        self._missing: dict[int, tuple[int, int | None]] = {}
        """Sequence number: how often it was asked for, and when last."""

    def arrived(self, sequence: int, now_us: int) -> tuple[int, list[int]]:
        """Return how often this packet had been asked for, and which 16-bit numbers to ask for now (rule 1)."""
        number = self._unwrap.unwrap(sequence)
        if self._newest is None:
            self._newest = number
            return 0, []
        if number <= self._newest:
            return self._missing.pop(number, (0, None))[0], []
        before, self._newest = self._newest, number
        if self._missing:
            for old in [each for each in self._missing if each < number - _MOST_AGE]:
                del self._missing[old]
        if number == before + 1:
            return 0, []
        gap = range(before + 1, number)
        # Upstream tries to forget what lies before a key frame first; here nothing is kept of where those
        # were.
        if len(self._missing) + len(gap) > _MOST_LISTED:
            self._missing.clear()
            self.overflown += 1
            return 0, []
        for missing in gap:
            self._missing[missing] = (0, None)
        return 0, self._ask(list(gap), now_us)

    def due(self, now_us: int) -> list[int]:
        """Return which 16-bit numbers to ask for again (rule 2)."""
        late = [
            number
            for number, (_, asked_us) in self._missing.items()
            if asked_us is not None and now_us - asked_us >= self.rtt_us
        ]
        return self._ask(sorted(late), now_us)

    def clear_to(self, number: int) -> None:
        """Forget what is older than ``number`` (unwrapped): a frame behind it was released."""
        if self._missing:
            for old in [each for each in self._missing if each < number]:
                del self._missing[old]

    @property
    def waiting(self) -> bool:
        """Whether anything is missing."""
        return bool(self._missing)

    def _ask(self, numbers: list[int], now_us: int) -> list[int]:
        for number in numbers:
            tries = self._missing[number][0] + 1
            # It is asked for this last time, and then forgotten.
            if tries >= self._most_tries:
                del self._missing[number]
            else:
                self._missing[number] = (tries, now_us)
        return [number & 0xFFFF for number in numbers]
