"""What a page tells of its call, read: instants on our clock, connections by number, and which of them is the call.

Facts:
    CDP's ``Performance.getMetrics`` gives ``NavigationStart``, a document's time origin, in seconds of CLOCK_MONOTONIC,
    which is ``time.monotonic()``: inside the round trip that asked for it in 5 of 5 tries, unmoved after 15 s. So the
    wall clock of pages (``timeOrigin + now()``) and ours differ by one number. Source of the name: the DevTools
    protocol, Performance domain, ``timeDomain: "timeTicks"``.

Rules:
    1. A page may make connections that it throws away: the one that came the furthest is the call's.
    2. ICE, DTLS and the first packet are the link's to tell (``tap``); the page tells what no packet does.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from rtcprobe.timeline import Side, Timeline

__all__ = ["PAGE_ORDER", "PageMouth", "PageTimeline", "Told"]

PAGE_ORDER: Final = (
    "page_opened",
    "page_loaded",
    "steps_done",
    "microphone_given",
    "connection_made",
    "offer_sent",
    "answer_received",
    "ice_connected",
    "dtls_connected",
    "first_packet",
    "first_audio",
)
"""A join from a page: its first script could run, all of them did, what was to be clicked was; then as any other."""


class PageTimeline(Timeline):
    """A page's milestones in the order in which it reached them, what it has not reached as ``PAGE_ORDER`` has it.

    No order is every page's: livekit-client is connected before it asks for a microphone, Janus' demos ask first.
    """

    def __init__(self, side: Side) -> None:
        super().__init__(side, PAGE_ORDER)

    def mark(self, milestone: str, at_s: float) -> None:
        """Note that ``milestone`` was reached ``at_s`` seconds after the call started."""
        super().mark(milestone, at_s)
        usual = PAGE_ORDER.index
        # Two of one instant stand in the usual order: the page's clock has steps of 0.1 ms, so it happens.
        reached = sorted(self.marks, key=lambda each: (self.marks[each], usual(each)))
        self.order = (*reached, *(each for each in PAGE_ORDER if each not in self.marks))


_REFUSALS: Final = ("NotAllowedError", "NotFoundError", "SecurityError", "NotReadableError")
"""What no page gets over by asking for something else. Source: Media Capture and Streams §10.2.1."""

_INSTANTS: Final = ("at", "began", "ended", "from")
"""Of an event: milliseconds of the page's wall clock."""


@dataclass(slots=True)
class _Connection:
    made_s: float
    offered_s: float | None = None
    answered_s: float | None = None
    dtls_s: float | None = None
    offers: bool = True


@dataclass(slots=True, kw_only=True)
class PageMouth:
    """When its first sample was spoken and its last; how late each block was, the first due at ``late_from_s``.

    ``since_s`` is from when on it counts, where it spoke before that; ``lasts_s`` how long it speaks from its first
    sample on, where that is not as long as the speech.
    """

    began_s: float | None = None
    ended_s: float | None = None
    late_from_s: float = 0.0
    late_s: array[float] = field(default_factory=lambda: array("d"))
    since_s: float | None = None
    lasts_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Told:
    """What one page told so far. Until ``clock`` is set nothing is known of when; then ``timeline`` is marked."""

    timeline: Timeline
    epoch_s: float = 0.0
    """The network's epoch on ``time.monotonic()``."""
    clock: float | None = None
    """``time.monotonic()`` less the page's wall clock, seconds."""
    described: Callable[[str, bool], None]
    """Takes each description that the page set, and whether it is the page's own."""
    complain: Callable[[str], None]
    """Takes what went wrong in the page, a sentence."""
    connected: Callable[[], None]
    """Called when a connection has its media path, by what the page says."""
    refused: Callable[[str], None]
    """Called with why there will be no microphone."""
    microphone: Callable[[float], PageMouth] | None = None
    """Tells of the mouth, given ``shift_s``, where the page's microphone is the browser's own."""
    asked: bool = False
    """Whether it asked for a microphone."""
    closed: set[int] = field(default_factory=set)
    mouths: dict[int, PageMouth] = field(default_factory=dict)
    connections: dict[int, _Connection] = field(default_factory=dict)
    _waiting: list[dict[str, Any]] = field(default_factory=list)

    @property
    def mouth(self) -> PageMouth:
        """The mouth that spoke; where a page asked for several microphones, the latest that did."""
        if self.microphone is not None:
            return self.microphone(self.shift_s)
        return next((each for each in reversed(self.mouths.values()) if each.began_s is not None), PageMouth())

    def take(self, text: str) -> None:
        """Take an event, as the init script words it."""
        event = _event_of(text)
        if event is None:
            return
        if self.clock is None:
            self._waiting.append(event)
        else:
            self._settle(event)

    def begin(self, clock: float, epoch_s: float, origin_ms: float) -> None:
        """Let instants be known: what was told since ``origin_ms`` is settled, what the empty page told is not."""
        self.clock, self.epoch_s = clock, epoch_s
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            # The init script runs in the empty page (about:blank) too, whose clock
            # began before the navigation that the join is.
            if event["at"] >= origin_ms:
                self._settle(event)

    @property
    def shift_s(self) -> float:
        """What turns the page's wall clock into seconds since the epoch; 0 while that is not known."""
        return 0.0 if self.clock is None else self.clock - self.epoch_s

    def at_s(self, wall_ms: float) -> float:
        """Return a page's instant in seconds since the epoch."""
        return wall_ms / 1e3 + self.shift_s

    def _settle(self, event: dict[str, Any]) -> None:
        what, at_s = event["what"], self.at_s(event["at"])
        if what == "document" and event.get("top"):
            self._mark("page_opened", at_s)
        elif what == "loaded" and event.get("top"):
            self._mark("page_loaded", at_s)
        elif what == "microphone asked":
            self.asked = True
        elif what == "microphone":
            self._mark("microphone_given", at_s)
        elif what == "microphone refused":
            why = f"the microphone was refused ({event.get('name')}: {event.get('message')})"
            self.complain(why)
            # Other refusals (OverconstrainedError) pages answer by asking for less; those are complained of alone.
            if event.get("name") in _REFUSALS:
                self.refused(why)
        elif what == "fault":
            self.complain(str(event.get("message")))
        elif what == "mouth":
            self._spoke(event)
        elif what in {"connection", "local", "remote", "dtls", "state", "closed"}:
            self._connecting(what, event, at_s)

    def _connecting(self, what: str, event: dict[str, Any], at_s: float) -> None:
        number = event["n"]
        each = self.connections.setdefault(number, _Connection(at_s))
        if what in {"local", "remote"}:
            self.described(str(event.get("sdp")), what == "local")
            # The first offer counts: a later one renegotiates. It may be the other side's, where the server offers.
            if event.get("type") == "offer" and each.offered_s is None:
                each.offered_s, each.offers = at_s, what == "local"
            elif event.get("type") == "answer" and each.answered_s is None:
                each.answered_s = at_s
        # The first transport of a connection that is connected makes it the
        # call: a throw-away one never comes that far.
        elif what == "dtls" and event.get("state") == "connected" and each.dtls_s is None:
            each.dtls_s = at_s
            self._call(each)
        elif what == "closed":
            self.closed.add(number)

    def _call(self, each: _Connection) -> None:
        """Mark what came before, now that it is known which connection is the call (rule 1)."""
        self._mark("connection_made", each.made_s)
        for milestone, at_s in (("offer_sent", each.offered_s), ("answer_received", each.answered_s)):
            if at_s is not None:
                self._mark(milestone, at_s)
        self.connected()

    def _spoke(self, event: dict[str, Any]) -> None:
        mouth = self.mouths.setdefault(event["m"], PageMouth())
        if "began" in event:
            mouth.began_s = self.at_s(event["began"])
        if "ended" in event:
            mouth.ended_s = self.at_s(event["ended"])
        if "late" in event:
            # Reports come 50 blocks at a time, one behind the other without a gap:
            # the instant of the first is that of them all.
            if not mouth.late_s:
                mouth.late_from_s = self.at_s(event["from"])
            mouth.late_s.extend(each / 1e3 for each in event["late"])

    def _mark(self, milestone: str, at_s: float) -> None:
        self.timeline.mark(milestone, at_s)


def _event_of(text: str) -> dict[str, Any] | None:
    """Return the event that the init script worded, its numbers read; None where a page called our name by itself."""
    try:
        event: dict[str, Any] = json.loads(text)
        read = {name: float(event[name]) for name in _INSTANTS if name == "at" or name in event}
        late = [float(each) for each in event.get("late", ())]
        numbers = {name: int(event.get(name) or 0) for name in ("n", "m")}
    # Nesting without end and integers past a float's range are strings of a stranger's like any other. An event waits
    # for ``begin`` before it is settled: what raised there would end the join, not the page's own call of our name.
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    # A report of blocks says from when on they count, or none of them has an instant.
    if ("late" in event and "from" not in read) or not all(map(math.isfinite, (*read.values(), *late))):
        return None
    return event | read | numbers | {"what": str(event.get("what"))} | ({"late": late} if "late" in event else {})
