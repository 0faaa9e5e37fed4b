"""A call of one sender and one receiver over an emulated link, in virtual time: camera, voice, control, pacer, RTX.

Theory of operation: a heap of events (a frame, a voice packet, a pacer's turn, an arrival, feedback, the controller's
25 ms), each at its instant; fates come from ``rtcprobe.link`` at once, so an arrival is known when its packet leaves.
Everything random is a child of one seed.

Facts:
    The encoder gets the target less the voice and the overhead of packets, less protection's share (what repair took
    of the last second, at most half), less what the congestion window pushes back (up to every second frame).
    Retransmissions are limited to the target over half a second and go before new media.
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
from rtcprobe.control import Controller, Feedback, Fixed, GoogCc, Pacer, Recorder, Remb, RembEstimator
from rtcprobe.errors import BadInputError
from rtcprobe.link import Link, LinkSpec
from rtcprobe.units import parse_rate

__all__ = ["Call", "Course", "Settings", "controller_of"]

_PACKET_BYTES: Final = 1130
"""RTP payload of a full packet."""
_OVERHEAD_BYTES: Final = 70
"""IP, UDP, RTP with extensions, SRTP tag, the payload's descriptor."""
_VOICE_BYTES: Final = 120
_VOICE_S: Final = 0.020
_VOICE_BPS: Final = 52e3
"""What the allocator sets aside for Opus at 32 kb/s with its headers."""
_FEEDBACK_S: Final = 0.050
_FEEDBACK_BYTES: Final = 84
_PROCESS_S: Final = 0.025
_REPORT_S: Final = 1.0
_PROTECTION_MOST: Final = 0.5
_RTX_WINDOW_S: Final = 0.500
_PAUSE_S: Final = 2.0
_NOISE: Final = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One call: ``forward`` carries media, ``back`` feedback. ``max_bps`` None: each size's default."""

    forward: LinkSpec
    back: LinkSpec
    length_s: float
    max_bps: float | None = 4e6
    seed: int = 0


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
        # Stock aiortc knows no other size than the camera's.
        scales = controller.feedback_kind != "remb"
        self.encoder = Encoder(_noise(rng), settings.max_bps, scales=scales)
        self.receiver = VideoReceiver()
        self.course = Course(settings.length_s)
        self._phase_s = float(np.random.default_rng(seeds[3]).uniform(0, 1 / FPS))
        self._pacer = Pacer(self._leave)
        self._recorder, self._estimator = Recorder(), RembEstimator()
        self._events: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._order = 0
        self._now_s = 0.0
        self._wake_s = math.inf
        self._sequence = self._number = self._frame = 0
        self._media: dict[int, tuple[int, int, int, bool, int]] = {}
        self._pending: set[int] = set()
        self._sent_again: dict[int, float] = {}
        self._rtx: deque[tuple[float, int]] = deque()
        self._rtx_bytes = 0
        self._shares: deque[tuple[float, int, int]] = deque()
        self._media_bytes = self._repair_bytes = 0
        self._rtt_s = 0.1
        self._sums = [0, 0, 0, 0, 0]  # bytes offered, delivered; queue drops, losses; RTX bytes
        self._freezes = 0

    def run(self) -> Course:
        """Return what came of it."""
        self._at(self._phase_s, self._on_frame)
        self._at(self._phase_s / 2, self._on_voice)
        self._at(0.0, self._on_process)
        self._at(1.0, self._on_second)
        if self.controller.feedback_kind == "transport-cc":
            self._at(_FEEDBACK_S, self._on_feedback_due)
        self._at(0.02, self._on_asks)
        events, end_s = self._events, self.settings.length_s
        while events and events[0][0] <= end_s + 1e-9:
            self._now_s, _, act, argument = heapq.heappop(events)
            act(argument)
        self.course.shown = self.receiver.shown
        return self.course

    def _at(self, at_s: float, act: Callable[[Any], None], argument: Any = None) -> None:
        self._order += 1
        heapq.heappush(self._events, (at_s, self._order, act, argument))

    def _on_frame(self, _: Any) -> None:
        self._at(self._now_s + 1 / FPS, self._on_frame)
        before = self.encoder.place
        if self._pacer.expected_s > _PAUSE_S and self._pacer.pacing_bps < math.inf:
            return
        made = self.encoder.frame(self._encoder_bps(), self._drop_every(), self._now_s)
        if isinstance(self.controller, GoogCc) and (before != self.encoder.place or self._frame == 0):
            self.controller.set_total(self.encoder.max_bps + _VOICE_BPS, self._now_s)
        if made is None:
            return
        size_bytes, key = made
        self.course.encoded += 1
        if key:
            self._pacer.flush()
        count = max(1, math.ceil(size_bytes / _PACKET_BYTES))
        each = math.ceil(size_bytes / count) + _OVERHEAD_BYTES
        for _packet in range(count):
            number = self._number
            self._number += 1
            self._media[number] = (number, self._frame, count, key, each)
            self._pacer.put("video", ("video", number), each, self._now_s)
        self._frame += 1
        self._wake()

    def _encoder_bps(self) -> float:
        """Return the encoder's target: the estimate's share, less voice, headers, protection, the window's drops."""
        controller = self.controller
        payload_bps = max(0.0, min(controller.target_bps - _VOICE_BPS, self.encoder.max_bps))
        payload_bps *= _PACKET_BYTES / (_PACKET_BYTES + _OVERHEAD_BYTES)
        media, repair = self._shared()
        payload_bps *= 1 - min(_PROTECTION_MOST, repair / (media + repair) if repair else 0.0)
        every = self._drop_every()
        return payload_bps * (1 - 1 / every) if every else payload_bps

    def _drop_every(self) -> int | None:
        reduction = 1 - self.controller.encoder_share
        return max(2, int(1 / reduction)) if reduction > 0.01 else None

    def _shared(self) -> tuple[int, int]:
        while self._shares and self._shares[0][0] < self._now_s - 1.0:
            _, media, repair = self._shares.popleft()
            self._media_bytes -= media
            self._repair_bytes -= repair
        return self._media_bytes, self._repair_bytes

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
        self.controller.sent(sequence & 0xFFFF, size_bytes, now_s, cluster)
        kind = packet[0] if packet is not None else "padding"
        again = kind == "again"
        if kind in ("video", "again"):
            self._shares.append((now_s, 0 if again else size_bytes, size_bytes if again else 0))
            self._media_bytes += 0 if again else size_bytes
            self._repair_bytes += size_bytes if again else 0
        sums = self._sums
        sums[0] += size_bytes
        if again:
            sums[4] += size_bytes
            self._pending.discard(packet[1])
        fate = self._forward.offer(size_bytes, now_s)
        if not fate.arrivals_s:
            sums[2 if fate.dropped in ("queue", "aqm", "policer") else 3] += 1
            self.course.voice_unplayed += kind == "voice"
            return
        for arrival_s in fate.arrivals_s:
            self._at(arrival_s, self._on_arrival, (kind, packet, sequence, size_bytes, now_s))

    def _on_arrival(self, came: tuple[str, Any, int, int, float]) -> None:
        kind, packet, sequence, size_bytes, sent_s = came
        self._sums[1] += size_bytes
        self._rtt_now_s = self._now_s - sent_s
        self.course.delays.append((sent_s, self._now_s - sent_s))
        if self.controller.feedback_kind == "transport-cc":
            self._recorder.arrived(sequence & 0xFFFF, self._now_s)
        elif self.controller.feedback_kind == "remb" and kind != "voice":
            rate_bps = self._estimator.add(sent_s, self._now_s, size_bytes - _OVERHEAD_BYTES)
            if rate_bps is not None:
                self._send_back(self._on_remb, rate_bps)
        if kind in ("video", "again"):
            number, frame, count, key, _ = self._media[packet[1]]
            self.receiver.arrived(number, frame, count, key=key, now_s=self._now_s)
            self._ask()

    _rtt_now_s = 0.05

    def _on_asks(self, _: Any) -> None:
        self._at(self._now_s + 0.020, self._on_asks)
        self._ask()
        if self.receiver.needs_key(self._now_s):
            self._send_back(self._on_key, None)

    def _ask(self) -> None:
        if self.receiver._missing:  # noqa: SLF001 - asked for every packet: a call would cost a tenth of the run
            numbers = self.receiver.asks(self._now_s, self._rtt_s)
            if numbers:
                self._send_back(self._on_nack, numbers)

    def _send_back(self, act: Callable[[Any], None], argument: Any) -> None:
        for arrival_s in self._back.offer(_FEEDBACK_BYTES, self._now_s).arrivals_s:
            self._at(arrival_s, act, argument)

    def _on_nack(self, numbers: list[int]) -> None:
        now_s, budget = self._now_s, self.controller.target_bps * _RTX_WINDOW_S / 8
        while self._rtx and self._rtx[0][0] < now_s - _RTX_WINDOW_S:
            self._rtx_bytes -= self._rtx.popleft()[1]
        for number in numbers:
            size_bytes = self._media[number][4]
            if number in self._pending or now_s - self._sent_again.get(number, -1.0) < self._rtt_s:
                continue
            if self._rtx_bytes + size_bytes > budget:
                break
            self._rtx.append((now_s, size_bytes))
            self._rtx_bytes += size_bytes
            self._pending.add(number)
            self._sent_again[number] = now_s
            self._pacer.put("retransmission", ("again", number), size_bytes, now_s)
        self._wake()

    def _on_key(self, _: Any) -> None:
        self.encoder.ask_key()

    def _on_remb(self, rate_bps: float) -> None:
        self.controller.told_remb(rate_bps, self._now_s)
        self._adopt()

    def _on_feedback_due(self, _: Any) -> None:
        self._at(self._now_s + _FEEDBACK_S, self._on_feedback_due)
        for message in self._recorder.reports(self._now_s):
            self._send_back(self._on_feedback, (message, self._now_s))

    def _on_feedback(self, told: tuple[Feedback, float]) -> None:
        message, sent_s = told
        self.controller.told(message, self._now_s)
        if self._now_s - self._reported_s >= _REPORT_S:
            self._reported_s = self._now_s
            self._rtt_s = self._rtt_now_s + self._now_s - sent_s
            self.controller.set_rtt(self._rtt_s)
        self._adopt()

    _reported_s = -1.0

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
