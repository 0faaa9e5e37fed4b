"""RFC 8888 feedback: what came of each stream, when, and with which ECN mark; libwebrtc has it behind a trial.

Facts:
    A report tells, for each SSRC, of all numbers since the last report of it, or since a late older one. An arrival is
    so many 1/1024 s before the report's timestamp: 0x1FFE and more are "long ago", 0x1FFF is "not yet".
    One is sent with the last packet of a frame or 25 ms after the first that was not told, 25 ms apart at least. What
    they take beyond 500 kb/s has to be waited for, 250 ms from one to the next at most, and is owed till then.

Source: RFC 8888 §3.1; libwebrtc main f3ae3eb62e2a, ``modules/remote_bitrate_estimator/``
``congestion_control_feedback_generator.cc``, ``congestion_control_feedback_tracker.cc``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rtcprobe.errors import BadInputError
from rtcprobe.wrapping import unwrapped

__all__ = ["CcFeedback", "CcRecorder", "Metric", "parse_ccfb", "write_ccfb"]

_HEADER: Final = struct.Struct("!BBHI")
# RTPFB with FMT 11; offsets of 13 bits in 1/1024 s reach 8 s back, with two values of their own at the end
# (§3.1).
_TYPE, _FORMAT = 205, 11
_UNITS_PER_S: Final = 1024
_LONG_AGO, _NOT_YET = 0x1FFE, 0x1FFF
_CE: Final = 3  # congestion experienced, of the two bits of ECN (RFC 3168 §5)
# A block must not report more (§3.1: a quarter of the numbers there are).
_MOST_STATUSES: Final = 16_384
# min_send_delta, max_send_delta and kMaxFeedbackRate of the generator: what feedback may cost at most.
_LEAST_S, _MOST_S = 0.025, 0.250
_MOST_BPS: Final = 500e3
_OVERHEAD_BYTES: Final = 28
"""IPv4 and UDP, which count as well."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One packet that came: ``offset`` in 1/1024 s before the report, ``ecn`` the two bits of its IP header."""

    offset: int
    ecn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CcFeedback:
    """``blocks`` by SSRC: the first number (16 bit), then what came of it and of those after it, None: nothing."""

    sender_ssrc: int
    blocks: Mapping[int, tuple[int, tuple[Metric | None, ...]]]
    timestamp: int
    """The middle 32 bits of an NTP timestamp."""


def write_ccfb(feedback: CcFeedback) -> bytes:
    """Return the RTCP packet."""
    body = bytearray()
    for ssrc, (begin, metrics) in feedback.blocks.items():
        body += struct.pack("!IHH", ssrc, begin & 0xFFFF, len(metrics))
        for metric in metrics:
            word = 0 if metric is None else 0x8000 | (metric.ecn & 3) << 13 | min(metric.offset, _NOT_YET)
            body += word.to_bytes(2, "big")
        # Blocks are padded to 32 bits; the padding is no status, and the count does not include it.
        body += bytes(2 * (len(metrics) % 2))
    body += feedback.timestamp.to_bytes(4, "big")
    # RTCP's length is in words of 32 bits, less one (RFC 3550, section 6.4.1).
    words = (_HEADER.size + len(body)) // 4 - 1
    return _HEADER.pack(0x80 | _FORMAT, _TYPE, words, feedback.sender_ssrc) + bytes(body)


def parse_ccfb(packet: bytes) -> CcFeedback:
    """Return what one RTCP packet tells.

    Raises:
        BadInputError: another packet, or one cut short.
    """
    if len(packet) < _HEADER.size + 4 or packet[0] != 0x80 | _FORMAT or packet[1] != _TYPE:
        raise BadInputError("RTCP packet is no congestion control feedback", "give PT 205 FMT 11 (RFC 8888)")
    _, _, words, sender_ssrc = _HEADER.unpack_from(packet)
    size = 4 * (words + 1)
    if size != len(packet):
        raise BadInputError(f"RTCP packet of {len(packet)} bytes says {size}", "give it whole")
    blocks: dict[int, tuple[int, tuple[Metric | None, ...]]] = {}
    at, end = _HEADER.size, size - 4
    while at < end:
        if at + 8 > end:
            raise BadInputError("congestion control feedback ends within a block", "give it whole")
        ssrc, begin, count = struct.unpack_from("!IHH", packet, at)
        at += 8
        if count > _MOST_STATUSES or at + 2 * (count + count % 2) > end:
            raise BadInputError(f"congestion control feedback has no room for {count} numbers", "give it whole")
        told = struct.unpack_from(f"!{count}H", packet, at)
        blocks[ssrc] = begin, tuple(Metric(w & 0x1FFF, w >> 13 & 3) if w & 0x8000 else None for w in told)
        at += 2 * (count + count % 2)
    return CcFeedback(sender_ssrc=sender_ssrc, blocks=blocks, timestamp=int.from_bytes(packet[end:], "big"))


@dataclass(slots=True)
class _Stream:
    came: dict[int, tuple[float, int]] = field(default_factory=dict)  # unwrapped number → (second, ECN)
    newest: int = -1
    next: int | None = None  # the first number of the next report


class CcRecorder:
    """Arrivals of every stream; ``due_s`` says when to report, ``report`` hands over what is new."""

    def __init__(self, sender_ssrc: int = 1) -> None:
        self._sender_ssrc = sender_ssrc
        self._streams: dict[int, _Stream] = {}
        self._first_s: float | None = None  # the first arrival that was not told
        self._marked = False
        self._sent_s: float | None = None
        self._free_s = 0.0  # when the reports so far are paid for

    def arrived(self, ssrc: int, sequence: int, now_s: float, *, ecn: int = 0, last_of_frame: bool = False) -> None:
        """Take down a packet; of copies the first counts, but for a mark of congestion, which any of them may bear."""
        stream = self._streams.setdefault(ssrc, _Stream())
        number = sequence if stream.newest < 0 else unwrapped(sequence, stream.newest, 16)
        first_s, before = stream.came.get(number, (now_s, None))
        # RFC 8888 §3.1: the mark must be reported, so a copy that bears the first one is news of its own.
        if before is not None and (ecn != _CE or before == _CE):
            return
        stream.came[number] = first_s, ecn
        stream.newest = max(stream.newest, number)
        stream.next = number if stream.next is None else min(stream.next, number)
        self._first_s = now_s if self._first_s is None else self._first_s
        self._marked = self._marked or last_of_frame

    @property
    def due_s(self) -> float | None:
        """When to report; None while nothing came."""
        if self._first_s is None:
            return None
        wanted_s = self._first_s if self._marked else self._first_s + _LEAST_S
        if self._sent_s is None:
            return wanted_s
        # Only what is not paid for yet is held to 250 ms: after a pause a frame has its 25 ms as ever.
        return max(wanted_s, self._sent_s + _LEAST_S, min(self._free_s, self._sent_s + _MOST_S))

    def report(self, now_s: float, timestamp: int) -> CcFeedback | None:
        """Return what came since the last report; None when nothing did."""
        if self._first_s is None:
            return None
        blocks = {}
        for ssrc, stream in self._streams.items():
            if stream.next is None or stream.next > stream.newest:
                continue
            begin = max(stream.next, stream.newest - _MOST_STATUSES + 1)
            numbers = range(begin, stream.newest + 1)
            blocks[ssrc] = begin & 0xFFFF, tuple(self._metric(stream.came.get(number), now_s) for number in numbers)
            # What can be in no report any more is forgotten; else an hour's call would keep every packet of
            # it.
            for number in [each for each in stream.came if each < stream.newest - _MOST_STATUSES]:
                del stream.came[number]
            stream.next = stream.newest + 1
        made = CcFeedback(sender_ssrc=self._sender_ssrc, blocks=blocks, timestamp=timestamp)
        self._first_s, self._marked, self._sent_s = None, False, now_s
        # What the 250 ms of ``due_s`` let leave too early is still owed (send_rate_debt_).
        self._free_s = max(self._free_s, now_s) + 8 * (len(write_ccfb(made)) + _OVERHEAD_BYTES) / _MOST_BPS
        return made

    def _metric(self, came: tuple[float, int] | None, now_s: float) -> Metric | None:
        if came is None:
            return None
        at_s, ecn = came
        # Arrived after the report's timestamp, as a host may stamp packets ahead of who writes the report.
        if at_s > now_s:
            return Metric(_NOT_YET, ecn)
        return Metric(min(int(_UNITS_PER_S * (now_s - at_s)), _LONG_AGO), ecn)
