"""What budgets can ask of a room: ``room.spread p95 < 100ms``, ``room.guest.on_stage p95 < 1s``, ``join.within_5s``.

Names:
    room.spread           each word: the latest of a talker's listeners less the soonest (of all talkers; or of one)
    room.on_stage         cue to go on stage → first heard, each listener (of everybody who came; or of one)
    room.joined           cue to join → first sound heard, each newcomer
    room.first_picture    cue to join → first picture seen, each newcomer
    room.on_screen        cue to go on stage, or to come back → first seen, each viewer
    room.silence          a host gone → a host heard again, each listener
    room.joined.never     the share of such waits that never ended; of the four others above, too
    room.talk_over        the sum of both delays of each pair that hears each other, of each call
    room.gap_share_200ms  the share of sound listened to that was made up in gaps of 200 ms or longer (of all ways, or
                          of those to one listener); 80, 100, 200 and 500 ms
    join.within_1s        the share of joins heard within 1 s (and 5 s)

A party's name or a role after ``room`` narrows each to it: ``room.audience.gap_share_200ms``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from rtcprobe.result import Account, Join, Kind, Result
from rtcprobe.verdict.intervals import Calls, Rated
from rtcprobe.verdict.metric import Metric, Observations
from rtcprobe.verdict.room.comings import entrances, exits, newcomers, viewers
from rtcprobe.verdict.room.figures import GAPS_S, gap_share, gaps_named, joined_within, pooled_delays, words_apart
from rtcprobe.verdict.room.people import people, those
from rtcprobe.ways import Way

__all__ = ["delays_between", "joins_of", "room_metrics"]

_WITHIN_S = (1.0, 5.0)
"""One second is where a user begins to wonder (Nielsen, *Usability Engineering*, 1993); five is what Agora and
Volcengine call a join that succeeded (``verdict.dialects``)."""

_Waits = tuple[int, Sequence[float | None]]
"""What was waited for once: in which call, and how long each waited, seconds; None: it never came."""


def room_metrics() -> Iterable[Metric]:
    """Yield every metric of rooms, and of joins and ways what rooms ask of them."""
    yield Metric(root="room", suffix=".spread", unit="s", pick=_spread, over="room")
    yield Metric(root="room", suffix=".talk_over", unit="s", pick=_talk_over, over="room")
    waits = {
        "on_stage": _on_stage, "silence": _silence, "joined": _joined, "first_picture": _first_picture,
        "on_screen": _on_screen,
    }  # fmt: skip
    for name, read in waits.items():
        yield Metric(root="room", suffix=f".{name}", unit="s", pick=_timed(read), over="room")
        never = f".{name}.never"
        yield Metric(root="room", suffix=never, unit="share", pick=_in_vain(read), aggregates=("mean",), over="room")
    for least_s in GAPS_S:
        name = f".{gaps_named(least_s)}"
        yield Metric(root="room", suffix=name, unit="share", pick=_gaps_to(least_s), aggregates=("mean",), over="room")
        yield Metric(
            root="mouth_to_ear",
            suffix=name,
            unit="share",
            pick=_gaps_of(least_s),
            aggregates=("mean",),
            over="mouth_to_ear",
        )
    for limit_s in _WITHIN_S:
        yield Metric(
            root="join",
            suffix=f".within_{limit_s:g}s",
            unit="share",
            pick=_within(limit_s),
            aggregates=("mean",),
            over="join",
        )


def joins_of(result: Result, name: str) -> tuple[Join, ...]:
    """Return the joins of a party, or of everybody of a role; of nobody in particular, all that are timed."""
    if not name:
        return result.join.attempts
    named = those(people(result), name)
    return tuple(each for party in named for each in result.join.of(party))


def delays_between(result: Result, way: str, kind: Kind = "mouth_to_ear") -> Calls | None:
    """Return the delays of every way from one role, or party, to another; None where there is no such way."""
    known, asked = people(result), Way(way)
    talkers, listeners = those(known, asked.talker), those(known, asked.listener)
    ears = [
        ear
        for each, ear in result.of_kind(kind).items()
        if each.talker in talkers and each.listener in listeners and ear.heard
    ]
    return pooled_delays(ears) if ears else None


def _named(result: Result, name: str) -> Sequence[str] | None:
    """Return whom a metric is about; None: everybody."""
    return those(people(result), name) if name else None


def _spread(result: Result, name: str) -> Observations:
    return Observations(calls=words_apart(result.mouth_to_ear, _named(result, name)))


def _talk_over(result: Result, name: str) -> Observations:
    named = _named(result, name)
    means: dict[int, dict[Way, float]] = {}
    for way, ear in result.mouth_to_ear.items():
        for call in {each.call for each in ear.samples}:
            delays_s = [each.delay_s for each in ear.samples if each.call == call]
            means.setdefault(call, {})[way] = float(np.mean(delays_s))
    parts = []
    for _, by_way in sorted(means.items()):
        pairs = [
            by_way[way] + by_way[way.back]
            for way in by_way
            if way.back in by_way
            # Each pair once, whichever of its two ways comes first.
            and way.talker < way.listener
            and (named is None or way.talker in named or way.listener in named)
        ]
        parts += [np.array(pairs)] if pairs else []
    return Observations(calls=Calls(parts=tuple(parts), least=0.0)) if parts else Observations()


def _on_stage(result: Result, name: str) -> Iterator[_Waits]:
    named = _named(result, name)
    for each in entrances(result):
        if named is None or each.party in named:
            yield each.call, [wait.wait_s for wait in each.waits]


def _silence(result: Result, name: str) -> Iterator[_Waits]:
    named, known = _named(result, name), people(result)
    for each in exits(result, known):
        if named is None or each.party in named:
            yield each.call, [wait.wait_s for wait in each.silences]


def _joined(result: Result, name: str) -> Iterator[_Waits]:
    named = _named(result, name)
    for each in newcomers(result):
        if named is None or each.party in named:
            yield each.call, [each.wait_s]


def _first_picture(result: Result, name: str) -> Iterator[_Waits]:
    named, watch = _named(result, name), viewers(result)
    for each in newcomers(result):
        if each.party in watch and (named is None or each.party in named):
            yield each.call, [each.picture_s]


def _on_screen(result: Result, name: str) -> Iterator[_Waits]:
    named = _named(result, name)
    for each in entrances(result):
        if named is None or each.party in named:
            yield each.call, [wait.wait_s for wait in each.pictures]


def _timed(read: Callable[[Result, str], Iterable[_Waits]]) -> Callable[[Result, str], Observations]:
    """Return waits call by call; where some never ended, as they are: never is later than any of them."""

    def timed(result: Result, name: str) -> Observations:
        taken = [(call, wait_s) for call, waits in read(result, name) for wait_s in waits]
        values = tuple(wait_s for _, wait_s in taken if wait_s is not None)
        # With some in vain no call-by-call interval is true (``room_figures`` rule 3): all waits together, the rest as
        # never.
        if not taken or len(values) < len(taken):
            return Observations(values=values, never=len(taken) - len(values))
        by_call: dict[int, list[float]] = {}
        for call, wait_s in taken:
            by_call.setdefault(call, []).append(wait_s or 0.0)
        return Observations(calls=Calls(parts=tuple(map(np.array, by_call.values())), least=0.0))

    return timed


def _in_vain(read: Callable[[Result, str], Iterable[_Waits]]) -> Callable[[Result, str], Observations]:
    """Return the share of waits that never ended, call by call. Those for one party have one cause: an event."""

    def in_vain(result: Result, name: str) -> Observations:
        waited = [(call, waits) for call, waits in read(result, name) if waits]
        if not waited:
            return Observations()
        by_call: dict[int, list[bool]] = {}
        for call, waits in waited:
            by_call.setdefault(call, []).extend(wait_s is None for wait_s in waits)
        every = [never for each in by_call.values() for never in each]
        return Observations(
            rated=Rated(
                value=sum(every) / len(every),
                figures=tuple(sum(each) / len(each) for each in by_call.values()),
                weights=tuple(float(len(each)) for each in by_call.values()),
                # Thirty who wait for one host wait in vain together: cues are the events, not listeners.
                events=float(len(waited)),
            )
        )

    return in_vain


def _gaps_to(least_s: float) -> Callable[[Result, str], Observations]:
    def read(result: Result, name: str) -> Observations:
        named = _named(result, name)
        ears: Mapping[Way, Account] = result.mouth_to_ear
        return Observations(
            rated=gap_share([ear for way, ear in ears.items() if named is None or way.listener in named], least_s)
        )

    return read


def _gaps_of(least_s: float) -> Callable[[Result, str], Observations]:
    def read(result: Result, way: str) -> Observations:
        ear = result.mouth_to_ear.get(way)  # type: ignore[call-overload]  # a way is its text
        return Observations() if ear is None else Observations(rated=gap_share([ear], least_s))

    return read


def _within(limit_s: float) -> Callable[[Result, str], Observations]:
    return lambda result, name: Observations(values=joined_within(joins_of(result, name), limit_s))
