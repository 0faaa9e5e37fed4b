"""What a sender tells beside its media: sender reports on both streams, feedback on the other side's voice.

Facts:
    They go the way of the media, wait in the same queue, and no feedback tells of them. Sender reports on video come
    each 360 s by the rate in kb/s, a second at most, by half more or less; those on voice each 2.5 to 7.5 s.
    What the RTT of the last second was is what repeats of retransmissions are held against.

Source: libwebrtc ``modules/rtp_rtcp/source/rtcp_sender.cc``, ``rtp_rtcp_impl2.cc``; sizes as recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from rtcprobe.adaptation.course import Course, Tally
from rtcprobe.adaptation.far import Agenda, FarEnd, Line
from rtcprobe.adaptation.sender import VideoSender
from rtcprobe.control import Controller

__all__ = ["OwnReports"]

# As recorded, headers and SRTCP included; a second at most, or RFC 3550's 360 s by the rate in kb/s (section
# 6.2); on voice 5 s. Each is spread by half, more or less.
_REPORT_BYTES, _REPORT_S, _REPORT_BITS, _VOICE_REPORT_S = 98, 1.0, 360e3, 5.0
# kRttUpdateInterval of rtp_rtcp_impl2.cc: the history of packets learns the RTT no more often.
_RTT_S: Final = 1.0
# On the other side's voice, while this end sends video: the shortest interval, 50 ms, on Chromium's grid of
# 1/64 s.
_FEEDBACK_S, _FEEDBACK_BYTES = 0.0625, 70


class Sending(Protocol):
    """The end that sends, as its reports need it."""

    controller: Controller
    course: Course
    sender: VideoSender
    tally: Tally


class OwnReports:
    """Sends the reports of one call when they are due."""

    def __init__(self, sending: Sending, agenda: Agenda, line: Line, far: FarEnd, phases: np.random.Generator) -> None:
        self.told_rtt_s = -math.inf
        """When a report told the RTT last."""
        self._sending = sending
        self._at = agenda.add
        self._line = line
        self._far = far
        self._phases = phases
        self._now_s = 0.0

    def begin(self, begin_s: float) -> None:
        """Put on the agenda what a call begins with."""
        phases = self._phases
        self._at(begin_s + phases.uniform(0.5, 1.5) * _REPORT_S, self._on_sender_report)
        self._at(begin_s + phases.uniform(0.5, 1.5) * _VOICE_REPORT_S, self._on_voice_report)
        self._at(begin_s + phases.uniform(0, 1) * _RTT_S, self._on_rtt_due)
        if self._sending.controller.feedback_kind == "transport-cc":
            self._at(begin_s + _FEEDBACK_S, self._on_feedback)

    def at(self, now_s: float, act: Callable[[Any], None], argument: Any) -> None:
        """Let something of these happen now."""
        self._now_s = max(now_s, self._now_s)
        act(argument)

    def _on_feedback(self, _: Any) -> None:
        self._at(self._now_s + _FEEDBACK_S, self._on_feedback)
        self._send(_FEEDBACK_BYTES)

    def _on_sender_report(self, _: Any) -> None:
        offered_bps = self._sending.course.offered_bps
        # By what left in the second before; none is known in the first.
        every_s = min(_REPORT_BITS / offered_bps[-1], _REPORT_S) if offered_bps and offered_bps[-1] else _REPORT_S
        self._at(self._now_s + self._phases.uniform(0.5, 1.5) * every_s, self._on_sender_report)
        for arrival_s in self._send(_REPORT_BYTES):
            self._at(arrival_s, self._far.on_sender_report, arrival_s - self._now_s)

    def _on_voice_report(self, _: Any) -> None:
        self._at(self._now_s + self._phases.uniform(0.5, 1.5) * _VOICE_REPORT_S, self._on_voice_report)
        for arrival_s in self._send(_REPORT_BYTES):
            self._at(arrival_s, self._far.on_voice_report, arrival_s - self._now_s)

    def _on_rtt_due(self, _: Any) -> None:
        self._at(self._now_s + _RTT_S, self._on_rtt_due)
        # No report within the second: the old RTT stays, however long the queue has become since.
        if self._now_s - self.told_rtt_s < _RTT_S:
            self._sending.sender.repeat_rtt_s = self._sending.sender.rtt_s

    def _send(self, size_bytes: int) -> tuple[float, ...]:
        """Send a report; return when it arrives."""
        fate = self._line.offer(size_bytes, self._now_s)
        self._sending.tally.offered(size_bytes, self._now_s, fate)
        self._sending.course.untold += len(fate.arrivals_s)
        return fate.arrivals_s
