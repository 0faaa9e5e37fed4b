"""A call of one sender and one receiver over an emulated link, in virtual time: camera, voice, control, pacer, RTX.

Theory of operation: a heap of events (a frame, a voice packet, a pacer's turn, an arrival, feedback, the controller's
25 ms), each at its instant; fates come from ``rtcprobe.link`` at once, so an arrival is known when its packet leaves.
Everything random is a child of one seed.

Facts:
    Receiver reports come each half to one and a half seconds (RFC 3550 §6.2) and tell RTT and loss; NACKs are due each
    20 ms and with every gap. A *stall* is a stretch in which neither end runs, as when a machine is starved: what
    arrives meanwhile is read after it, with the system's time of arrival.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from rtcprobe.adaptation.encoder import FPS, Encoder
from rtcprobe.adaptation.receiver import VideoReceiver
from rtcprobe.adaptation.sender import OVERHEAD_BYTES, VOICE_BPS, VideoSender
from rtcprobe.control import (
    Controller,
    Feedback,
    Fixed,
    GoogCc,
    LossReports,
    Pacer,
    Recorder,
    Remb,
    RembEstimator,
    interval_s,
)
from rtcprobe.errors import BadInputError
from rtcprobe.link import Link, LinkSpec
from rtcprobe.units import parse_rate

__all__ = ["Call", "Course", "Settings", "controller_of"]

_VOICE_BYTES: Final = 120
_VOICE_S: Final = 0.020
_GRID_S: Final = 1 / 64
"""Chromium lets timers that ask for no precision go off on this grid (as recorded: 62.5, 109, 125 ms)."""
_STARTING_S: Final = 5.0
_STARTING_BPS, _VOICE_ONLY_BPS = 300e3, 1.5 * 52e3 + 10e3
"""The reporter's own estimate: the start, then what its voice alone lets it be, as recorded from 5 s on. So one who
sends voice alone reports each 125 ms, not each 50."""
_FEEDBACK_BYTES: Final = 84
_OWN_FEEDBACK_S, _OWN_FEEDBACK_BYTES = 0.0625, 70
"""What the sender tells of the other side's voice, on the line of its media, as recorded; no feedback tells of it."""
_TAG_BYTES: Final = 10
"""SRTP's tag is added below where sizes are taken down: the estimate is of the rest. Source: RFC 3711 §4.2.1."""
_PROCESS_S: Final = 0.025
_REPORT_S: Final = 1.0
_NACK_S: Final = 0.020
_NOISE: Final = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One call: ``forward`` carries media, ``back`` feedback. ``max_bps`` None: each size's default."""

    forward: LinkSpec
    back: LinkSpec
    length_s: float
    max_bps: float | None = 4e6
    seed: int = 0
    stalls: tuple[tuple[float, float], ...] = ()
    """(begin, end) of stretches in which neither end runs."""


@dataclass(slots=True)
class Course:
    """What came of a call: a row a second of ``target_bps`` and the rest, a row a packet of ``delays``."""

    length_s: float
    target_bps: list[float] = field(default_factory=list)
    offered_bps: list[float] = field(default_factory=list)
    delivered_bps: list[float] = field(default_factory=list)
    drops: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    rtx_bps: list[float] = field(default_factory=list)
    freezes: list[int] = field(default_factory=list)
    height: list[int] = field(default_factory=list)
    pacer_s: list[float] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)
    voice_sent: int = 0
    voice_unplayed: int = 0
    shown: int = 0
    encoded: int = 0


def controller_of(written: str) -> Controller:
    """Return a fresh controller: ``gcc``, ``remb`` or ``fixed:RATE``.

    Raises:
        BadInputError: another word, or a rate that cannot be meant.
    """
    if written == "gcc":
        return GoogCc()
    if written == "remb":
        return Remb()
    kind, _, rate = written.partition(":")
    if kind == "fixed" and rate:
        return Fixed(parse_rate(rate), paced=False)
    raise BadInputError(f"controller {written!r} is not known", "use gcc, remb or fixed:RATE, like fixed:1mbit")


class Call:
    """One call; ``run`` it once."""

    def __init__(self, settings: Settings, controller: Controller) -> None:
        self.settings = settings
        self.controller = controller
        seeds = np.random.SeedSequence(settings.seed).spawn(4)
        self._forward, self._back = Link(settings.forward, seeds[0]), Link(settings.back, seeds[1])
        rng = np.random.default_rng(seeds[2])
        # Stock aiortc knows no other size than the camera's, and no parity.
        stock = controller.feedback_kind == "remb"
        self.encoder = Encoder(_noise(rng), settings.max_bps, scales=not stock)
        self.receiver = VideoReceiver()
        self.course = Course(settings.length_s)
        self._pacer = Pacer(self._leave)
        self.sender = VideoSender(self.encoder, controller, self._pacer, protects=not stock)
        self._phases = np.random.default_rng(seeds[3])
        self._recorder, self._estimator = Recorder(), RembEstimator()
        self._events: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._order = 0
        self._now_s = 0.0
        self._wake_s = math.inf
        self._sequence = self._came = self._highest = 0
        self._told = (0, 0)  # highest number and count at the last receiver report
        self._one_way_s = 0.0
        self._losses = LossReports()
        self._place = -1
        self._sums = [0, 0, 0, 0, 0]  # bytes offered, delivered; queue drops, losses; RTX bytes
        self._freezes = 0

    def run(self) -> Course:
        """Return what came of it."""
        phases = self._phases
        self._at(phases.uniform(0, 1 / FPS), self._on_frame)
        self._at(phases.uniform(0, _VOICE_S), self._on_voice)
        self._at(0.0, self._on_process)
        self._at(1.0, self._on_second)
        self._at(phases.uniform(0.5, 1.5) * _REPORT_S, self._on_report_due)
        if self.controller.feedback_kind == "transport-cc":
            self._at(phases.uniform(0, 0.05), self._on_feedback_due)
            self._at(_OWN_FEEDBACK_S, self._on_own_feedback)
        self._at(_NACK_S, self._on_asks)
        events, end_s = self._events, self.settings.length_s
        stalls, late = deque(sorted(self.settings.stalls)), -1.0
        while events and events[0][0] <= end_s + 1e-9:
            at_s, order, act, argument = heapq.heappop(events)
            while stalls and at_s >= stalls[0][1]:
                stalls.popleft()
            if stalls and at_s >= stalls[0][0] and act != self._on_second:
                # Both ends stand still: one of the camera's pictures is kept, all else waits in a queue of the system.
                if act == self._on_frame:
                    self._at(at_s + 1 / FPS, act)
                    act, argument, kept = self._on_late_frame, stalls[0][1], late == stalls[0][1]
                    late = stalls[0][1]
                    if kept:
                        continue
                heapq.heappush(events, (stalls[0][1], order, act, argument))
                continue
            self._now_s = max(at_s, self._now_s)
            act(argument)
        self.course.shown, self.course.encoded = self.receiver.shown, self.sender.encoded
        return self.course

    def _at(self, at_s: float, act: Callable[[Any], None], argument: Any = None) -> None:
        self._order += 1
        heapq.heappush(self._events, (at_s, self._order, act, argument))

    def _on_frame(self, _: Any) -> None:
        self._at(self._now_s + 1 / FPS, self._on_frame)
        self._on_late_frame(None)

    def _on_late_frame(self, _: Any) -> None:
        waits = self.sender.frame(self._now_s)
        if self.encoder.place != self._place and isinstance(self.controller, GoogCc):
            self.controller.set_total(self.encoder.max_bps + VOICE_BPS, self._now_s)
        self._place = self.encoder.place
        if waits:
            self._wake()

    def _on_voice(self, _: Any) -> None:
        self._at(self._now_s + _VOICE_S, self._on_voice)
        self.course.voice_sent += 1
        self._pacer.put("audio", ("voice", self._now_s), _VOICE_BYTES, self._now_s)
        self._wake()

    def _on_process(self, _: Any) -> None:
        self._at(self._now_s + _PROCESS_S, self._on_process)
        self.controller.process(self._now_s)
        self._adopt()

    def _adopt(self) -> None:
        pacer, controller = self._pacer, self.controller
        pacer.pacing_bps, pacer.padding_bps = controller.pacing_bps, controller.padding_bps
        for probe in controller.probes():
            pacer.probe(probe, self._now_s)
        self._wake()

    def _wake(self) -> None:
        next_s = max(self._pacer.next_s, self._now_s)
        if next_s < self._wake_s:
            self._wake_s = next_s
            self._at(next_s, self._on_pacer)

    def _on_pacer(self, _: Any) -> None:
        if self._now_s + 1e-12 < self._wake_s:
            return
        self._wake_s = math.inf
        if self._pacer.next_s <= self._now_s + 1e-9:
            self._pacer.process(self._now_s)
        next_s = self._pacer.next_s
        if next_s < math.inf:
            self._wake_s = max(next_s, self._now_s + 1e-6)
            self._at(self._wake_s, self._on_pacer)

    def _leave(self, packet: Any, size_bytes: int, cluster: int | None) -> None:
        now_s, sequence = self._now_s, self._sequence
        self._sequence += 1
        self.controller.sent(sequence & 0xFFFF, size_bytes - _TAG_BYTES, now_s, cluster)
        kind: str
        content: Any
        kind, content = packet if packet is not None else ("padding", None)
        sums = self._sums
        sums[0] += size_bytes
        if kind == "again":
            sums[4] += size_bytes
        fate = self._forward.offer(size_bytes, now_s)
        if fate.arrivals_s:
            for arrival_s in fate.arrivals_s:
                self.course.delays.append((now_s, arrival_s - now_s))
                self._at(arrival_s, self._on_arrival, (kind, content, sequence, size_bytes, now_s, arrival_s))
        else:
            sums[2 if fate.dropped in ("queue", "aqm", "policer") else 3] += 1
            self.course.voice_unplayed += kind == "voice"
        if kind in ("video", "again"):
            self.sender.left(kind, content, size_bytes, now_s)
        elif kind == "parity":
            self.sender.left(kind, content[0], size_bytes, now_s)

    def _on_arrival(self, came: tuple[str, Any, int, int, float, float]) -> None:
        kind, content, sequence, size_bytes, sent_s, arrival_s = came
        now_s = self._now_s
        self._sums[1] += size_bytes
        self._one_way_s = arrival_s - sent_s
        self._came += 1
        self._highest = max(self._highest, sequence + 1)
        if self.controller.feedback_kind == "transport-cc":
            self._recorder.arrived(sequence & 0xFFFF, arrival_s)
        elif self.controller.feedback_kind == "remb" and kind != "voice":
            rate_bps = self._estimator.add(sent_s, now_s, size_bytes - OVERHEAD_BYTES)
            if rate_bps is not None:
                self._send_back(self._on_remb, rate_bps)
        if kind in ("video", "again"):
            numbers = self.receiver.arrived(content, now_s)
            if numbers:
                self._send_back(self._on_nack, numbers)
        elif kind == "parity":
            self.receiver.parity(content, now_s)

    def _on_asks(self, _: Any) -> None:
        self._at(self._now_s + _NACK_S, self._on_asks)
        if self.receiver.missing:
            numbers = self.receiver.asks(self._now_s, self.sender.rtt_s)
            if numbers:
                self._send_back(self._on_nack, numbers)
        if self.receiver.needs_key(self._now_s):
            self._send_back(self._on_key, None)

    def _send_back(self, act: Callable[[Any], None], argument: Any) -> None:
        for arrival_s in self._back.offer(_FEEDBACK_BYTES, self._now_s).arrivals_s:
            self._at(arrival_s, act, argument)

    def _on_nack(self, numbers: list[int]) -> None:
        if self.sender.asked(numbers, self._now_s):
            self._wake()

    def _on_key(self, _: Any) -> None:
        self.encoder.ask_key()

    def _on_remb(self, rate_bps: float) -> None:
        self.controller.told_remb(rate_bps, self._now_s)
        self._adopt()

    def _on_report_due(self, _: Any) -> None:
        self._at(self._now_s + self._phases.uniform(0.5, 1.5) * _REPORT_S, self._on_report_due)
        highest, came = self._told
        self._told = self._highest, self._came
        expected = self._highest - highest
        lost = expected - (self._came - came)
        self._send_back(self._on_report, (lost, expected, self._now_s, self._one_way_s))

    def _on_report(self, told: tuple[int, int, float, float]) -> None:
        lost, expected, sent_s, one_way_s = told
        self.sender.rtt_s = one_way_s + self._now_s - sent_s
        self.controller.set_rtt(self.sender.rtt_s)
        self.controller.told_loss(lost, expected, self._now_s)
        self._losses.told(lost, expected, self._now_s)
        self.sender.loss = self._losses.fraction
        self._adopt()

    def _on_own_feedback(self, _: Any) -> None:
        self._at(self._now_s + _OWN_FEEDBACK_S, self._on_own_feedback)
        fate = self._forward.offer(_OWN_FEEDBACK_BYTES, self._now_s)
        self._sums[0] += _OWN_FEEDBACK_BYTES
        if not fate.arrivals_s:
            self._sums[2 if fate.dropped in ("queue", "aqm", "policer") else 3] += 1

    def _on_feedback_due(self, _: Any) -> None:
        own_bps = _STARTING_BPS if self._now_s < _STARTING_S else _VOICE_ONLY_BPS
        self._at(self._now_s + math.ceil(interval_s(own_bps) / _GRID_S) * _GRID_S, self._on_feedback_due)
        for message in self._recorder.reports(self._now_s):
            self._send_back(self._on_feedback, message)

    def _on_feedback(self, message: Feedback) -> None:
        self.controller.told(message, self._now_s)
        self._adopt()

    def _on_second(self, _: Any) -> None:
        self._at(self._now_s + 1.0, self._on_second)
        course, sums = self.course, self._sums
        course.target_bps.append(self.controller.target_bps)
        course.offered_bps.append(8.0 * sums[0])
        course.delivered_bps.append(8.0 * sums[1])
        course.drops.append(sums[2])
        course.lost.append(sums[3])
        course.rtx_bps.append(8.0 * sums[4])
        course.freezes.append(self.receiver.freezes - self._freezes)
        course.height.append(self.encoder.size[1])
        course.pacer_s.append(self._pacer.expected_s)
        self._freezes = self.receiver.freezes
        self._sums = [0, 0, 0, 0, 0]


def _noise(rng: np.random.Generator) -> Iterator[float]:
    """Yield lognormal factors of mean 1."""
    while True:
        yield from np.exp(rng.normal(-_NOISE * _NOISE / 2, _NOISE, 256)).tolist()
