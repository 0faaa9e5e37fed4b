"""The receiver's half of transport-wide feedback: what came, and when to say so.

Rules:
    1. The first arrival of a number counts, copies do not.
    2. A report reaches from the first number not yet reported (or a late older one) to the newest; nothing new, no
       report. A delta that does not fit 16 bit, and 0x7FFE missing numbers, begin another message.

Source: libwebrtc ``modules/remote_bitrate_estimator/transport_sequence_number_feedback_generator.cc``.
"""

from __future__ import annotations

from typing import Final

from rtcprobe.control.feedback import REFERENCE_TICKS, TICK_S, Feedback
from rtcprobe.wrapping import unwrapped

__all__ = ["Recorder", "interval_s"]

# kBackWindow 500 ms; 0x7FFE missing numbers are the most a message may begin with.
_REMEMBERED_S: Final = 0.5
_MOST_MISSING: Final = 0x7FFE
# The status count of the message has 16 bits.
_MOST_STATUSES: Final = 0xFFFF
# kDefaultInterval until an estimate is known, then kMinInterval to kMaxInterval.
_USUAL_S, _SHORTEST_S, _LONGEST_S = 0.100, 0.050, 0.250
# A message is reckoned as 30 bytes, the mean of those each 50 and each 250 ms, and 38 of IPv4, UDP and SRTP; reports
# may take 5 % of the rate (OnSendBandwidthEstimateChanged).
_REPORT_BITS: Final = 68 * 8
_SHARE: Final = 0.05


def interval_s(send_estimate_bps: float | None) -> float:
    """Return how far apart reports are: 5 % of the reporter's own send estimate, 100 ms while it has none."""
    if send_estimate_bps is None:
        return _USUAL_S
    return min(max(_REPORT_BITS / max(_SHARE * send_estimate_bps, 1.0), _SHORTEST_S), _LONGEST_S)


class Recorder:
    """Arrivals of one transport; ``reports`` hands over what is new of them."""

    def __init__(self, sender_ssrc: int = 1, media_ssrc: int = 2) -> None:
        self._ssrcs = sender_ssrc, media_ssrc
        self._came: dict[int, float] = {}  # unwrapped number → second
        self._newest: int | None = None
        self._next: int | None = None  # first number of the next report
        self._count = 0

    def arrived(self, sequence: int, now_s: float) -> None:
        """Take down that the packet numbered ``sequence`` (16 bit) came."""
        number = sequence if self._newest is None else unwrapped(sequence, self._newest, 16)
        if number in self._came:
            return
        if self._newest is None or number > self._newest:
            self._newest = number
        self._came[number] = now_s
        # A late one makes the next report reach back to it.
        if self._next is None or number < self._next:
            self._next = number

    def reports(self, now_s: float) -> list[Feedback]:
        """Return the messages that tell what came since those before; empty when nothing did."""
        made: list[Feedback] = []
        if self._newest is None or self._next is None:
            return made
        # ``_report`` moves ``_next`` on by one number at the least, the arrival that it begins with: this
        # ends.
        while self._next <= self._newest:
            made.append(self._report(self._next, self._newest))
        # Half a second after they were told they can be of no late packet's report any more.
        for number in [n for n, at in self._came.items() if n < self._next and now_s - at > _REMEMBERED_S]:
            del self._came[number]
        return made

    def _report(self, first: int, last: int) -> Feedback:
        number = first
        while number not in self._came:  # the newest is there
            number += 1
        # So much missing does not fit a message, and no sender remembers it.
        base = first if number - first <= _MOST_MISSING else number
        ticks = round(self._came[number] / TICK_S)
        reference = ticks // REFERENCE_TICKS
        before = reference * REFERENCE_TICKS
        deltas: list[int | None] = []
        self._next = base
        for number in range(base, min(last, base + _MOST_STATUSES - 1) + 1):
            at_s = self._came.get(number)
            if at_s is None:
                deltas.append(None)
                continue
            ticks = round(at_s / TICK_S)
            # 8.2 s between two arrivals: the next message has a reference time of its own.
            if not -0x8000 <= ticks - before <= 0x7FFF:
                break
            deltas.append(ticks - before)
            before = ticks
            self._next = number + 1
        # What has not come by now may come yet: the report ends with an arrival.
        while deltas and deltas[-1] is None:
            deltas.pop()
        self._count += 1
        sender_ssrc, media_ssrc = self._ssrcs
        return Feedback(
            sender_ssrc=sender_ssrc,
            media_ssrc=media_ssrc,
            base=base & 0xFFFF,
            reference=reference,
            count=(self._count - 1) & 0xFF,
            deltas=tuple(deltas),
        )
