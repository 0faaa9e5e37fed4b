"""Audio retransmission, both halves of its rule: what a receiver asks for, and what a sender sends again.

Facts:
    Stock offers do not negotiate NACK for audio. Where it is negotiated, libwebrtc's receiver thinks about it at
    every packet that arrives, so nothing is asked for while nothing arrives, and a lost last packet never.
    A frame asked for arrives a round trip after its loss could first be noticed.

Rules, receiver:
    1. A packet newer than all before it puts every number in between on the list, its RTP time interpolated; not so
       where that makes packets of no time at all or of more than 120 ms. What arrives leaves the list; what is more
       than 250 numbers old is forgotten.
    2. At every packet the listed ones are wanted whose age, by RTP time behind the newest, and a round trip together
       stay below 1 s.
    3. All that is wanted is asked for when the last time is more than 1.5 round trips and 5 ms ago (100 ms while the
       round trip is not known); meanwhile only what came after the last number asked for.

Rule, sender:
    4. A packet that was sent again less than a round trip and 5 ms ago is not sent again now.

Source: ``audio/nack_tracker.cc``; ``SendNACK``, ``TimeToSendFullNackList`` in ``rtp_rtcp_impl2.cc``,
``OnReceivedNack`` in ``rtp_sender.cc``, ``VerifyRtt`` in ``rtp_packet_history.cc`` (``modules/rtp_rtcp/source``) of
libwebrtc, branch-heads/7871.
"""

from __future__ import annotations

import math

from rtcprobe.playout.base import SAMPLE_RATE_HZ

__all__ = ["NackTracker", "ResendLimit"]

_HISTORY_PACKETS = 250  # 5 s of 20 ms packets. Source: ``kNackRtpHistoryMs`` / 20 in ``webrtc_voice_engine.cc``
_DEFAULT_ROUND_TRIP_S = 0.100  # ``kDefaultRtt``
_MAX_DELAY_US = 1_000_000  # ``kMaxNackDelay``
_MAX_PACKET_SAMPLES = 120 * SAMPLE_RATE_HZ // 1000  # ``kMaxPacketDuration``
_MARGIN_S = 0.005  # on top of round trips, on both sides
_FIRST_WAIT_S = 0.100  # ``kStartUpRttMs``


class NackTracker:
    """The receiver's half for one stream of 48 kHz; ``packet_arrived`` is called for every packet, in any order."""

    def __init__(self) -> None:
        self._newest: tuple[int, int] | None = None  # sequence number, timestamp
        self._missing: dict[int, int] = {}  # sequence number: estimated timestamp; oldest first
        self._asked_all_s = -math.inf
        self._last_asked: int | None = None

    def packet_arrived(self, sequence: int, timestamp: int, now_s: float, round_trip_s: float | None) -> list[int]:
        """Return the sequence numbers to ask for at ``now_s``, oldest first (rule 3); ``round_trip_s`` as measured."""
        self._note(sequence, timestamp)
        if not self._missing:
            return []
        return self._due(self.wanted(round_trip_s), now_s, round_trip_s)

    def wanted(self, round_trip_s: float | None) -> list[int]:
        """Return all that is missing and could still come in time, oldest first (rule 2)."""
        if self._newest is None:
            return []
        newest = self._newest[1]
        # In whole microseconds, as upstream compares: a float would put a packet on the bound to either side.
        patience_us = _MAX_DELAY_US - round((_DEFAULT_ROUND_TRIP_S if round_trip_s is None else round_trip_s) * 1e6)
        return [
            sequence
            for sequence, timestamp in self._missing.items()
            if ((newest - timestamp) & 0xFFFFFFFF) * 1_000_000 // SAMPLE_RATE_HZ < patience_us
        ]

    def _note(self, sequence: int, timestamp: int) -> None:
        """Take a packet into the account (rule 1)."""
        if self._newest is None:
            self._newest = sequence, timestamp
            return
        self._missing.pop(sequence, None)
        last, last_timestamp = self._newest
        # Half of the numbers are ahead, half behind: a copy, or one that was overtaken, tells of no gap.
        ahead = (sequence - last) & 0xFFFF
        if not 0 < ahead < 0x8000:
            return
        # The packets between share the time between evenly: it is all that is known of them.
        samples = ((timestamp - last_timestamp) & 0xFFFFFFFF) // ahead
        if 0 < samples <= _MAX_PACKET_SAMPLES:
            for step in range(max(1, ahead - _HISTORY_PACKETS), ahead):
                self._missing[(last + step) & 0xFFFF] = (last_timestamp + step * samples) & 0xFFFFFFFF
        self._newest = sequence, timestamp
        for oldest in list(self._missing):
            if (sequence - oldest) & 0xFFFF <= _HISTORY_PACKETS:
                break
            del self._missing[oldest]

    def _due(self, wanted: list[int], now_s: float, round_trip_s: float | None) -> list[int]:
        """Return which of ``wanted`` to ask for now (rule 3)."""
        if not wanted:
            return []
        wait_s = _FIRST_WAIT_S if round_trip_s is None else 1.5 * round_trip_s + _MARGIN_S
        if now_s - self._asked_all_s > wait_s:
            self._asked_all_s = now_s
        # In the meantime what is new is asked for at once, what was asked for is not.
        # If that one is no longer wanted (it came, or is too old), all that is wanted is asked for again:
        # nothing tells which of it was.
        elif self._last_asked in wanted:
            wanted = wanted[wanted.index(self._last_asked) + 1 :]
        if wanted:
            self._last_asked = wanted[-1]
        return wanted


class ResendLimit:
    """The sender's half (rule 4)."""

    def __init__(self) -> None:
        self._resent_s: dict[int, float] = {}

    def may_resend(self, sequence: int, now_s: float, round_trip_s: float | None) -> bool:
        """Return whether to send ``sequence`` again at ``now_s``, and remember it if so."""
        wait_s = _MARGIN_S + (round_trip_s or 0.0)
        if now_s - self._resent_s.get(sequence, -math.inf) < wait_s:
            return False
        self._resent_s[sequence] = now_s
        return True
