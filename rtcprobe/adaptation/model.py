"""A call of one sender and one receiver over an emulated link, in virtual time: camera, voice, control, pacer, RTX.

Theory of operation: a heap of events (a frame, a voice packet, a pacer's turn, an arrival, feedback, the controller's
25 ms), each at its instant; fates come from ``rtcprobe.link`` at once, so an arrival is known when its packet leaves.
Everything random is a child of one seed.

Facts:
    Receiver reports come each half to one and a half seconds (RFC 3550 §6.2) and tell loss, and the RTT of the last
    sender report: of where the queue was then, not of now. So a sender lowers its rate faster after a fall than the
    new RTT would let it.
    NACKs are due each 20 ms and with every gap. Neither end knows the RTT of now: a sender that is asked twice within
    the RTT that it took down in the last second sends once; who asks again has its own from reports on voice, each 2.5
    to 7.5 s. After a fall both are too small for a while, and what is missing is sent several times.
    A *stall* is a stretch in which neither end runs, as when a machine is starved: what arrives meanwhile is read after
    it, with the system's time of arrival.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rtcprobe.adaptation.course import Course, Tally
from rtcprobe.adaptation.degrading import DEGRADES, Degradation
from rtcprobe.adaptation.encoder import FPS, Encoder
from rtcprobe.adaptation.far import Agenda, FarEnd, Line, owner_of
from rtcprobe.adaptation.own import OwnReports
from rtcprobe.adaptation.receiver import VideoReceiver
from rtcprobe.adaptation.sender import VOICE_BPS, VideoSender
from rtcprobe.control import (
    Controller,
    Feedback,
    Fixed,
    GoogCc,
    LossReports,
    Pacer,
    Remb,
)
from rtcprobe.errors import BadInputError
from rtcprobe.link import Link, LinkSpec
from rtcprobe.units import parse_rate

__all__ = ["Call", "Course", "Settings", "controller_of", "frame_noise"]

# Opus frames of 20 ms, libwebrtc's default.
_VOICE_S: Final = 0.020
_TAG_BYTES: Final = 10
"""SRTP's tag is added below where sizes are taken down: the estimate is of the rest. Source: RFC 3711 §4.2.1."""
# libwebrtc's network controller is processed each 25 ms.
_PROCESS_S: Final = 0.025
_NOISE: Final = 0.07
"""By how much frames of a steady rate differ, read off the frames of recorded seconds without loss: 5 to 9 %."""


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
    start_s: float = 0.0
    """When the call begins, on the clock of its line."""
    pauses: tuple[tuple[float, float], ...] = ()
    """(begin, end) of stretches in which camera and microphone give nothing."""
    voice_bytes: int = 120
    """A voice packet with all its headers, 50 a second: Opus at some 25 kb/s."""
    protects: bool = True
    """RED and ULPFEC are negotiated, where the controller is one that has them."""
    degrades: Degradation = DEGRADES


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


# Seeds are four children in this order, lines, camera, phases, whether lines are given or not: a flow among others
# has the camera that it has alone. Camera, voice and reports begin anywhere in their periods; in step with each other
# they would meet in the queue every time, which no two devices do. The pacer has one turn that counts, at
# ``_wake_s``. An earlier one may be asked for after it was put on the agenda, which nothing leaves, so a turn that
# comes at another instant is stale and does nothing. The controller is told of a packet before its fate is known: it
# must learn of a loss by feedback alone.
class Call:
    """One call; ``run`` it once. Of several on one agenda each has lines that lead over the shared ones."""

    def __init__(
        self,
        settings: Settings,
        controller: Controller,
        agenda: Agenda | None = None,
        lines: tuple[Line, Line] | None = None,
    ) -> None:
        self.settings = settings
        self.controller = controller
        seeds = np.random.SeedSequence(settings.seed).spawn(4)
        self._forward: Line
        self._back: Line
        self._forward, self._back = lines or (Link(settings.forward, seeds[0]), Link(settings.back, seeds[1]))
        rng = np.random.default_rng(seeds[2])
        # Stock aiortc knows no other size than the camera's, and no parity.
        stock = controller.feedback_kind == "remb"
        self.encoder = Encoder(frame_noise(rng), settings.max_bps, scales=not stock, degrades=settings.degrades)
        self.course = Course(settings.length_s)
        self._pacer = Pacer(self._leave)
        protects = settings.protects and not stock
        self.sender = VideoSender(self.encoder, controller, self._pacer, protects=protects)
        self._phases = np.random.default_rng(seeds[3])
        self._agenda = agenda or Agenda()
        self._at = self._agenda.add
        self.receiver = VideoReceiver()
        self._far = FarEnd(self, self._agenda, self._back, self._phases)
        self.tally = Tally(self.course)
        self._own = OwnReports(self, self._agenda, self._forward, self._far, self._phases)
        self._now_s = 0.0
        self._wake_s = math.inf
        self._sequence = 0
        self._losses = LossReports()
        self._place = -1
        self._freezes = 0

    def begin(self) -> None:
        """Put on the agenda what a call begins with."""
        phases, begin_s = self._phases, self.settings.start_s
        self._at(begin_s + phases.uniform(0, 1 / FPS), self._on_frame)
        self._at(begin_s + phases.uniform(0, _VOICE_S), self._on_voice)
        self._at(begin_s, self._on_process)
        self._at(1.0, self._on_second)
        self._own.begin(begin_s)
        self._far.begin(begin_s)

    def at(self, now_s: float, act: Callable[[Any], None], argument: Any) -> None:
        """Let something of this call happen now."""
        self._now_s = max(now_s, self._now_s)
        act(argument)

    def end(self) -> Course:
        """Return what came of it."""
        self.tally.end()
        self.course.shown, self.course.encoded = self.receiver.shown, self.sender.encoded
        return self.course

    def run(self) -> Course:
        """Return what came of it."""
        self.begin()
        events, end_s = self._agenda.events, self.settings.length_s
        stalls, late = deque(sorted(self.settings.stalls)), -1.0
        while events and events[0][0] <= end_s + 1e-9:
            at_s, order, act, argument = heapq.heappop(events)
            # Events come in the order of time, so what a stall held back is put on the agenda again at its
            # end, in the old order, and this loop moves on to the next stall.
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
            owner_of(act).at(at_s, act, argument)
        return self.end()

    def _on_frame(self, _: Any) -> None:
        self._at(self._now_s + 1 / FPS, self._on_frame)
        if not self._paused():
            self._on_late_frame(None)

    def _paused(self) -> bool:
        return any(begin_s <= self._now_s < end_s for begin_s, end_s in self.settings.pauses)

    def _on_late_frame(self, _: Any) -> None:
        waits = self.sender.frame(self._now_s)
        if self.encoder.place != self._place and isinstance(self.controller, GoogCc):
            self.controller.set_total(self.encoder.max_bps + VOICE_BPS, self._now_s)
        self._place = self.encoder.place
        if waits:
            self._wake()

    def _on_voice(self, _: Any) -> None:
        self._at(self._now_s + _VOICE_S, self._on_voice)
        if self._paused():
            return
        self.course.voice_sent += 1
        self._pacer.put("audio", ("voice", self._now_s), self.settings.voice_bytes, self._now_s)
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
            # Later in any case: by rounding a debt may look paid at an instant that has passed.
            self._wake_s = max(next_s, self._now_s + 1e-6)
            self._at(self._wake_s, self._on_pacer)

    def _leave(self, packet: Any, size_bytes: int, cluster: int | None) -> None:
        now_s, sequence = self._now_s, self._sequence
        self._sequence += 1
        self.controller.sent(sequence & 0xFFFF, size_bytes - _TAG_BYTES, now_s, cluster)
        kind: str
        content: Any
        kind, content = packet if packet is not None else ("padding", None)
        fate = self._forward.offer(size_bytes, now_s)
        self.tally.offered(size_bytes, now_s, fate, again=kind == "again")
        if fate.arrivals_s:
            for arrival_s in fate.arrivals_s:
                self.course.delays.append((now_s, arrival_s - now_s))
                self._at(arrival_s, self._far.on_arrival, (kind, content, sequence, size_bytes, now_s, arrival_s))
        else:
            # Nobody asks for voice again: what the line drops is never played.
            self.course.voice_unplayed += kind == "voice"
        if kind in ("video", "again"):
            self.sender.left(kind, content, size_bytes, now_s)
        elif kind == "parity":
            self.sender.left(kind, content[0], size_bytes, now_s)

    def on_nack(self, numbers: list[int]) -> None:
        """Take in what is asked for again."""
        if self.sender.asked(numbers, self._now_s):
            self._wake()

    def on_key(self, _: Any) -> None:
        """Take in that a key frame is asked for."""
        self.encoder.ask_key()

    def on_remb(self, rate_bps: float) -> None:
        """Take in the receiver's estimate."""
        self.controller.told_remb(rate_bps, self._now_s)
        self._adopt()

    def on_report(self, told: tuple[int, int, float, float | None]) -> None:
        """Take in a receiver report: lost, expected, when it left, how long the last sender report took if one came."""
        lost, expected, sent_s, one_way_s = told
        if one_way_s is not None:
            self.sender.rtt_s = one_way_s + self._now_s - sent_s
            self._own.told_rtt_s = self._now_s
            self.controller.set_rtt(self.sender.rtt_s)
        self.controller.told_loss(lost, expected, self._now_s)
        self._losses.told(lost, expected, self._now_s)
        self.sender.loss = self._losses.fraction
        self._adopt()

    def on_feedback(self, message: Feedback) -> None:
        """Take in transport-wide feedback."""
        self.controller.told(message, self._now_s)
        self._adopt()

    def _on_second(self, _: Any) -> None:
        self._at(self._now_s + 1.0, self._on_second)
        course = self.course
        course.target_bps.append(self.controller.target_bps)
        course.states.append(self.controller.state)
        course.delivered_bps.append(8.0 * self._far.take_bytes())
        self.tally.take()
        course.freezes.append(self.receiver.freezes - self._freezes)
        course.height.append(self.encoder.size[1])
        course.pacer_s.append(self._pacer.expected_s)
        self._freezes = self.receiver.freezes


def frame_noise(rng: np.random.Generator) -> Iterator[float]:
    """Yield lognormal factors of mean 1."""
    while True:
        # A lognormal's mean is exp(mu + sigma² / 2): this mu makes it 1. They are drawn 256 at a time, for
        # what a call of the generator costs.
        yield from np.exp(rng.normal(-_NOISE * _NOISE / 2, _NOISE, 256)).tolist()
