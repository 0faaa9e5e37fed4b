"""The far end of a call: who receives, and what it sends back when; and the agenda that both ends share."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import numpy as np

from rtcprobe.adaptation.receiver import VideoReceiver
from rtcprobe.adaptation.sender import OVERHEAD_BYTES, VideoSender
from rtcprobe.control import Controller, Feedback, Recorder, RembEstimator, interval_s
from rtcprobe.link import Fate

__all__ = ["Agenda", "End", "FarEnd", "Line", "owner_of"]

_GRID_S: Final = 1 / 64
"""Chromium lets timers that ask for no precision go off on this grid (as recorded: 62.5, 109, 125 ms)."""
# The reporter's own estimate decides how often it reports (``control.interval_s``). One who sends voice alone
# is held at the bound of libwebrtc's increase, 1.5 times what is acknowledged and 10 kb/s.
_STARTING_S: Final = 5.0
_STARTING_BPS, _VOICE_ONLY_BPS = 300e3, 1.5 * 52e3 + 10e3
"""The reporter's own estimate: the start, then what its voice alone lets it be, as recorded from 5 s on. So one who
sends voice alone reports each 125 ms, not each 50."""
# What any message back is reckoned with, headers and SRTCP included: sizes differ with what is told, which
# matters only on a way back that is nearly as narrow.
_FEEDBACK_BYTES: Final = 84
# Reports on video each second, half more or less (RFC 3550, section 6.2: so that they do not come in step).
_REPORT_S: Final = 1.0
# NackPeriodicProcessor::kUpdateInterval.
_NACK_S: Final = 0.020
_FIRST_RTT_S: Final = 0.100
"""How long who asks waits before it asks again, until it knows better; ``modules/video_coding/nack_requester.cc``."""


class Line(Protocol):
    """Carries packets one way: a link, or one that several calls share."""

    def offer(self, size_bytes: int, now_s: float) -> Fate:
        """Return what becomes of a packet."""


class Agenda:
    """What is to happen, in the order of time; several calls may share one."""

    def __init__(self) -> None:
        self.events: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._order = 0

    def add(self, at_s: float, act: Callable[[Any], None], argument: Any = None) -> None:
        """Let ``act(argument)`` happen at an instant; of equal instants what was added first."""
        self._order += 1
        # The running number settles equal instants and keeps the heap from comparing functions, which have no
        # order.
        heapq.heappush(self.events, (at_s, self._order, act, argument))


class End(Protocol):
    """Lets what belongs to it happen."""

    def at(self, now_s: float, act: Callable[[Any], None], argument: Any) -> None:
        """Let one of its own methods happen now."""


def owner_of(act: Callable[[Any], None]) -> End:
    """Return the end that something on an agenda belongs to: every act is a method of its end."""
    # By name, for a plain callable has no such attribute in the type checker's eyes.
    return cast("End", getattr(act, "__self__"))  # noqa: B009


class Near(Protocol):
    """The other end, as this one needs it: what it is told, and by whom."""

    controller: Controller
    receiver: VideoReceiver
    sender: VideoSender

    def on_nack(self, numbers: list[int]) -> None:
        """Take in what is asked for again."""

    def on_key(self, _: Any) -> None:
        """Take in that a key frame is asked for."""

    def on_remb(self, rate_bps: float) -> None:
        """Take in the receiver's estimate."""

    def on_report(self, told: tuple[int, int, float, float | None]) -> None:
        """Take in a receiver report."""

    def on_feedback(self, message: Feedback) -> None:
        """Take in transport-wide feedback."""


class FarEnd:
    """Takes in what arrives; sends back NACKs, feedback, receiver reports and requests for key frames."""

    def __init__(self, near: Near, agenda: Agenda, back: Line, phases: np.random.Generator) -> None:
        self._near = near
        self._at = agenda.add
        self._back = back
        self._phases = phases
        self._recorder, self._estimator = Recorder(), RembEstimator()
        self._begun_s = self._now_s = 0.0
        self._came = self._highest = self._bytes = 0
        self._told = (0, 0)  # highest number and count at the last receiver report
        self._one_way_s: float | None = None
        self._back_s = 0.0
        self._rtt_s = _FIRST_RTT_S

    def begin(self, begin_s: float) -> None:
        """Put on the agenda what a call begins with."""
        self._begun_s = begin_s
        self._at(begin_s + self._phases.uniform(0.5, 1.5) * _REPORT_S, self._on_report_due)
        if self._near.controller.feedback_kind == "transport-cc":
            self._at(begin_s + self._phases.uniform(0, 0.05), self._on_feedback_due)
        self._at(begin_s + _NACK_S, self._on_asks)

    def at(self, now_s: float, act: Callable[[Any], None], argument: Any) -> None:
        """Let something of this end happen now."""
        self._now_s = max(now_s, self._now_s)
        act(argument)

    def take_bytes(self) -> int:
        """Return what arrived since this was asked last."""
        taken, self._bytes = self._bytes, 0
        return taken

    def on_arrival(self, came: tuple[str, Any, int, int, float, float]) -> None:
        """Take in a packet: kind, content, number, bytes, when it left, when it arrived."""
        kind, content, sequence, size_bytes, sent_s, arrival_s = came
        near, now_s = self._near, self._now_s
        self._bytes += size_bytes
        self._came += 1
        # Sequence numbers of the model do not wrap: they count packets of the transport from zero on.
        self._highest = max(self._highest, sequence + 1)
        told = near.controller.feedback_kind
        if told == "transport-cc":
            self._recorder.arrived(sequence & 0xFFFF, arrival_s)
        elif told == "remb" and kind != "voice":
            # aiortc's receiver counts RTP payloads, transport-wide feedback whole packets.
            rate_bps = self._estimator.add(sent_s, now_s, size_bytes - OVERHEAD_BYTES)
            if rate_bps is not None:
                self._send(near.on_remb, rate_bps)
        if kind in ("video", "again"):
            numbers = near.receiver.arrived(content, now_s)
            if numbers:
                self._send(near.on_nack, numbers)
        elif kind == "parity":
            near.receiver.parity(content, now_s)

    def on_sender_report(self, one_way_s: float) -> None:
        """Take in a sender report, and how long it took."""
        self._one_way_s = one_way_s

    def on_voice_report(self, one_way_s: float) -> None:
        """Take in what tells the RTT: a report on this end's own voice, and how long it took."""
        self._rtt_s = one_way_s + self._back_s

    def _on_asks(self, _: Any) -> None:
        self._at(self._now_s + _NACK_S, self._on_asks)
        receiver = self._near.receiver
        if receiver.missing:
            numbers = receiver.asks(self._now_s, self._rtt_s)
            if numbers:
                self._send(self._near.on_nack, numbers)
        if receiver.needs_key(self._now_s):
            self._send(self._near.on_key, None)

    def _on_report_due(self, _: Any) -> None:
        self._at(self._now_s + self._phases.uniform(0.5, 1.5) * _REPORT_S, self._on_report_due)
        highest, came = self._told
        self._told = self._highest, self._came
        # Since the last report (RFC 3550, appendix A.3): a copy makes it negative, a late packet belongs to
        # the next one.
        expected = self._highest - highest
        lost = expected - (self._came - came)
        self._send(self._near.on_report, (lost, expected, self._now_s, self._one_way_s))

    def _on_feedback_due(self, _: Any) -> None:
        own_bps = _STARTING_BPS if self._now_s < self._begun_s + _STARTING_S else _VOICE_ONLY_BPS
        self._at(self._now_s + math.ceil(interval_s(own_bps) / _GRID_S) * _GRID_S, self._on_feedback_due)
        for message in self._recorder.reports(self._now_s):
            self._send(self._near.on_feedback, message)

    def _send(self, act: Callable[[Any], None], argument: Any) -> None:
        # None where it is lost: nothing is told again, the next message tells of more.
        for arrival_s in self._back.offer(_FEEDBACK_BYTES, self._now_s).arrivals_s:
            self._back_s = arrival_s - self._now_s
            self._at(arrival_s, act, argument)
