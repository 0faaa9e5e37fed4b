"""One party of a modelled call: a mouth on its grid, an ear that notes packets, reports, and both halves of NACK.

Facts:
    A packet sent again has the number and the bytes it had; SRTP takes a number once.
    The round trip that NACK goes by is that of RTCP reports: known once a report on the latest sender report has come
    back, then smoothed (``RTT_ALPHA`` of aiortc's ``rtcrtpsender.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import gt
from typing import Final

import numpy as np

from rtcprobe.audio.red import RedEncoder
from rtcprobe.model import wire
from rtcprobe.model.agenda import Agenda
from rtcprobe.model.line import Line
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.nack import NackTracker, ResendLimit
from rtcprobe.recording import Agreed, Came, Departures, Said
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import without_wraps

__all__ = ["Party", "Voice"]

# ``RTT_ALPHA`` of aiortc's ``rtcrtpsender.py``.
_SMOOTHING: Final = 0.85
_REPORT_S: Final = (0.5, 1.5)
"""Between two reports of one kind, uniform. Source: RFC 3550 §6.2 with aiortc's interval of 1 s."""

_CONSENT_S: Final = (4.0, 6.0)
"""Between two consent checks, uniform. Source: RFC 7675 §5.1."""

_NTP_FRACTION: Final = 65536
"""Reports tell how long they were kept in 1/65536 s (RFC 3550 §6.4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What one side says: its frames, ``ptime_s`` each (None: nothing is sent), as RED with ``red_copies`` copies."""

    frames: Sequence[bytes | None]
    ptime_s: float
    red_copies: int = 0


class Party:
    """A side of a connection; ``connect`` it with the other before anything is said.

    ``phase`` is how far into a packet its mouth begins, 0 to 1.
    """

    def __init__(
        self, side: str, voice: Voice, agreed: Agreed, *, phase: float, agenda: Agenda, rng: np.random.Generator
    ) -> None:
        self.side = side
        self.started_s: float | None = None
        """When frame 0 begins; None before it may speak."""
        self.finished_s: float | None = None
        """When the last frame left."""
        self._voice, self._agreed, self._phase_s = voice, agreed, phase * voice.ptime_s
        self._agenda, self._rng = agenda, rng
        self._spoken = [index for index, payload in enumerate(voice.frames) if payload is not None]
        self._samples = round(voice.ptime_s * RTP_CLOCK_HZ)
        self._first_sequence, self._first_timestamp = int(rng.integers(1 << 16)), int(rng.integers(1 << 32))
        self._red = RedEncoder(voice.red_copies, agreed.opus_payload_type) if agreed.sends_red else None
        self._due_s = np.zeros(0)  # when each packet leaves
        self._newest = -1  # number of the packet sent last, counted from 0
        self._payloads: list[bytes] = []  # as sent, where they are not the frames themselves
        self._departures = Departures()
        self._received = _Received()
        self._nack = NackTracker() if agreed.nack else None
        self._limit = ResendLimit()
        self._round_trip_s: float | None = None
        self._reported_s = -math.inf  # when the latest sender report left
        self._heard_report: tuple[float, float] | None = None  # the other side's latest: when it left, when it came

    def connect(self, other: Party, line: Line) -> None:
        """Let what this party sends reach ``other`` through ``line``."""
        self._other, self._line = other, line

    def talk(self, now_s: float) -> None:
        """Speak from ``now_s`` on: the first frame sent is the one in progress then, and leaves when it ends."""
        ptime_s = self._voice.ptime_s
        self.started_s = self._phase_s + math.floor((now_s - self._phase_s) / ptime_s) * ptime_s
        self._due_s = self.started_s + (np.array(self._spoken) + 1) * ptime_s
        if self._spoken and self._nack is None and self._line.path.seals_many:
            self._plan()  # nothing hangs on when it arrives
        elif self._spoken:
            self._agenda.at(float(self._due_s[0]), self._speak)
        else:
            self.finished_s = now_s

    def report(self, from_s: float) -> None:
        """Send sender and receiver reports from ``from_s`` on, and take them in."""
        self._again(from_s, _REPORT_S, self._report_sent)
        self._again(from_s, _REPORT_S, self._report_received)

    def check(self, from_s: float) -> None:
        """Ask for consent, and answer, from ``from_s`` on."""
        self._again(from_s, _CONSENT_S, lambda: self._send(wire.CONSENT_BYTES, self._other.answer_check, asked=True))

    def answer_check(self) -> None:
        """Answer a check of the other side."""
        self._send(wire.RESPONSE_BYTES, _nothing)

    def said(self) -> Said:
        """Return what was said."""
        return Said(
            party=self.side,
            frames=self._voice.frames,
            ptime_s=self._voice.ptime_s,
            started_s=self.started_s,
            finished=self.finished_s is not None,
            departures=self._departures,
        )

    def came(self) -> Came:
        """Return what came of what the other side said."""
        return Came(listener=self.side, arrivals=self._other.as_heard(*self._received.in_order()), agreed=self._agreed)

    def as_heard(self, at_s: Sequence[float], numbers: Sequence[int]) -> Arrivals:
        """Return arrivals of this party's packets: the instants, and which of those sent each was."""
        kind = self._agreed.opus_payload_type if self._red is None else self._agreed.red_payload_type
        assert kind is not None
        number = np.array(numbers, dtype=np.int64)
        places = np.array(self._spoken, dtype=np.int64)[number]
        return Arrivals.of(
            np.array(at_s, dtype=np.float64),
            (self._first_sequence + number) & 0xFFFF,
            (self._first_timestamp + places * self._samples) & 0xFFFFFFFF,
            places if self._red is None else [self._payloads[each] for each in numbers],
            kind,
            likely=self._voice.frames,
        )

    def _speak(self) -> None:
        """Send the next frame; the one after it follows on the grid."""
        number = self._newest = self._newest + 1
        place = self._spoken[number]
        if self._red is not None:
            payload = self._voice.frames[place]
            assert payload is not None
            self._payloads.append(self._red.encode(payload, place * self._samples))
        self._send_packet(number)
        if number + 1 < len(self._spoken):
            self._agenda.at(float(self._due_s[number + 1]), self._speak)
        else:
            self.finished_s = self._agenda.now_s

    def _plan(self) -> None:
        """Let all frames leave on the grid."""
        spoken, payloads = self._spoken, [each for each in self._voice.frames if each is not None]
        if self._red is not None:
            stamped = zip(payloads, spoken, strict=True)
            self._payloads = payloads = [self._red.encode(each, place * self._samples) for each, place in stamped]
        sizes = np.fromiter(map(len, payloads), dtype=np.int64) + wire.RTP_BYTES
        sequences = (self._first_sequence + np.arange(len(spoken))) & 0xFFFF
        timestamps = (self._first_timestamp + np.array(spoken, dtype=np.int64) * self._samples) & 0xFFFFFFFF
        self._departures.add_many(self._due_s, sequences, timestamps, sizes)
        self._line.plan(self._due_s, sizes, self._other.note)
        self._newest, self.finished_s = len(spoken) - 1, float(self._due_s[-1])

    def _send_packet(self, number: int) -> None:
        now_s, place = self._agenda.now_s, self._spoken[number]
        payload = self._voice.frames[place] if self._red is None else self._payloads[number]
        assert payload is not None
        size = len(payload) + wire.RTP_BYTES
        sequence = (self._first_sequence + number) & 0xFFFF
        timestamp = (self._first_timestamp + place * self._samples) & 0xFFFFFFFF
        self._departures.add(now_s, sequence, timestamp, size)
        for at_s in self._line.offer(size, now_s):
            if self._nack is None:
                self._other.note((at_s,), (number,))  # nothing follows from it during the call
            else:
                self._agenda.at(at_s, partial(self._other.receive, number, sequence, timestamp))

    def note(self, at_s: Sequence[float], numbers: Sequence[int]) -> None:
        """Note when the other side's packets ``numbers`` come."""
        self._received.add(at_s, numbers)

    def receive(self, number: int, sequence: int, timestamp: int) -> None:
        """Take the other side's packet ``number`` now, and ask again for what is missing."""
        assert self._nack is not None
        now_s = self._agenda.now_s
        if not self._received.take(now_s, number):
            return
        missing = self._nack.packet_arrived(sequence, timestamp, now_s, self._round_trip_s)
        for asked in without_wraps(missing) if missing else ():
            self._send(wire.nack_bytes(asked), partial(self._other.send_again, asked))

    def send_again(self, sequences: Sequence[int]) -> None:
        """Send packets again that the other side asked for, as far as they are kept and were not just sent."""
        newest = (self._first_sequence + self._newest) & 0xFFFF
        for sequence in sequences:
            number = self._newest - ((newest - sequence) & 0xFFFF)
            may = self._limit.may_resend(sequence, self._agenda.now_s, self._round_trip_s)
            if may and self._newest - wire.RESENDABLE < number and number >= 0:
                self._send_packet(number)

    def _report_sent(self) -> None:
        self._reported_s = left_s = self._agenda.now_s
        self._send(wire.SENDER_REPORT_BYTES, lambda: self._other.take_sender_report(left_s))

    def take_sender_report(self, left_s: float) -> None:
        """Take the other side's report, which left at ``left_s``."""
        self._heard_report = left_s, self._agenda.now_s

    def _report_received(self) -> None:
        now_s = self._agenda.now_s
        if not self._received.any_by(now_s):
            self._other.settle(now_s)
        if not self._received.any_by(now_s):
            return
        left_s, came_s = self._heard_report or (math.nan, math.nan)
        kept_s = math.nan if self._heard_report is None else int((now_s - came_s) * _NTP_FRACTION) / _NTP_FRACTION
        self._send(wire.RECEIVER_REPORT_BYTES, lambda: self._other.take_receiver_report(left_s, kept_s))

    def take_receiver_report(self, about_s: float, kept_s: float) -> None:
        """Take the other side's report on ours that left at ``about_s``, which it had for ``kept_s``."""
        if about_s != self._reported_s or not kept_s > 0.0:
            return
        seen_s = self._agenda.now_s - about_s - kept_s
        before_s = self._round_trip_s
        self._round_trip_s = seen_s if before_s is None else _SMOOTHING * before_s + (1 - _SMOOTHING) * seen_s

    def settle(self, until_s: float) -> None:
        """See to it that all that leaves by ``until_s`` is sealed."""
        self._line.settle(until_s)

    def _send(self, size_bytes: int, arrived: Callable[[], object], *, asked: bool = False) -> None:
        """Send something now; ``asked``: it is of use even where no packet is asked for again, as reports are not."""
        if self._line.planned and not asked:
            self._line.note(size_bytes, self._agenda.now_s)
            return
        for at_s in self._line.offer(size_bytes, self._agenda.now_s):
            self._agenda.at(at_s, arrived)

    def _again(self, from_s: float, apart_s: tuple[float, float], what: Callable[[], object]) -> None:
        """Do ``what`` again and again, each time ``apart_s`` (from, to) after the last."""

        def once() -> None:
            what()
            self._again(self._agenda.now_s, apart_s, what)

        self._agenda.at(from_s + float(self._rng.uniform(*apart_s)), once)


class _Received:
    """Which packets came when; of each number the first (rule of SRTP, RFC 3711 §3.3.2)."""

    def __init__(self) -> None:
        self._at_s: list[float] = []
        self._numbers: list[int] = []
        self._taken: set[int] = set()
        self._newest = -1
        self._first_s = math.inf

    def add(self, at_s: Sequence[float], numbers: Sequence[int]) -> None:
        """Note packets, in any order."""
        self._at_s += at_s
        self._numbers += numbers
        self._first_s = min(self._first_s, *at_s, math.inf)

    def take(self, at_s: float, number: int) -> bool:
        """Note a packet in the order of time; return whether it counts."""
        if not self._counts(number):
            return False
        self.add((at_s,), (number,))
        return True

    def any_by(self, now_s: float) -> bool:
        """Return whether one had come by ``now_s``."""
        return self._first_s <= now_s

    def in_order(self) -> tuple[Sequence[float], Sequence[int]]:
        """Return instants and numbers of those that count, by instant."""
        # Kept one by one in the order of time (NACK): then every packet was judged when it came.
        if self._taken:
            return self._at_s, self._numbers
        order = np.argsort(np.array(self._at_s), kind="stable").tolist()
        # Most calls: nothing overtaken, nothing doubled, so nothing has to be judged at all.
        if order == list(range(len(order))) and all(map(gt, self._numbers[1:], self._numbers)):
            return self._at_s, self._numbers
        kept = [place for place in order if self._counts(self._numbers[place])]
        self._taken.clear()
        self._newest = -1
        return [self._at_s[place] for place in kept], [self._numbers[place] for place in kept]

    def _counts(self, number: int) -> bool:
        # SRTP's replay window: what is farther back is dropped although it never came before.
        if number in self._taken or number <= self._newest - wire.REPLAY_WINDOW:
            return False
        self._taken.add(number)
        self._newest = max(self._newest, number)
        return True


def _nothing() -> None:
    """Do nothing."""
