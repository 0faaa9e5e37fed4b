"""The figures of a room that need nobody to come or go: spread, gaps, joins, delays by role, talk-over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from rtcprobe.result import (
    Account,
    GapShare,
    GroupDelay,
    GroupJoins,
    HeardCall,
    Join,
    Result,
    Room,
    Span,
    Spread,
    TalkOver,
)
from rtcprobe.verdict.intervals import Calls, Rated, fixed_s, of_calls
from rtcprobe.verdict.room.comings import entrances, exits, newcomers
from rtcprobe.verdict.room.people import Person, groups, people
from rtcprobe.verdict.statistics import Ends, summarise
from rtcprobe.ways import Way

__all__ = [
    "GAPS_S",
    "STARTS_HZ",
    "collision",
    "gap_share",
    "gaps_named",
    "joined_within",
    "room_of",
    "talk_over",
    "words_apart",
]

GAPS_S: Final = (0.080, 0.100, 0.200, 0.500)
"""Lengths from which on a gap is counted: 80 ms as Volcengine counts (volcengine.com/docs/6348/1167931), 200 ms as
Agora does (docs.agora.io/en/agora-analytics/reference/call-search-terms); 100 and 500 ms are what lies between, and
what everybody hears."""

STARTS_HZ: Final = 1.0
"""How often one who waits for a pause begins to speak: an assumption of the collision's model, not a measurement."""

# Two are a call: what can be said of their room is said of their ways.
_PARTIES: Final = 3
# How far apart two hear a word needs two.
_LEAST_LISTENERS: Final = 2


def room_of(result: Result) -> Room | None:
    """Return what is said of the room; None where it is no room."""
    known = people(result)
    if len(known) < _PARTIES:
        return None
    ears = result.mouth_to_ear
    return Room(
        spreads=tuple(_spreads(ears)),
        gaps=tuple(each for least_s in GAPS_S if (each := _gap_share(ears.values(), least_s)) is not None),
        joins=tuple(_joins(result, known)),
        delays=tuple(_delays(ears, known)),
        entrances=entrances(result),
        exits=exits(result, known),
        newcomers=newcomers(result),
        talk_over=tuple(_talk_over(ears)),
    )


def words_apart(ears: Mapping[Way, Account], talkers: Iterable[str] | None = None) -> Calls | None:
    """Return how far apart the listeners of a talker heard each word, seconds, call by call.

    Of one or several ``talkers``, of all where none are named. A word that fewer than two heard says nothing; None
    where no word was heard by two.
    """
    wanted = None if talkers is None else set(talkers)
    when: dict[tuple[int, str, int], list[float]] = {}
    for way, ear in ears.items():
        if not way.there_and_back and (wanted is None or way.talker in wanted):
            for each in ear.samples:
                # Markers are numbered by who speaks, so one number is one word to all listeners of a talker.
                when.setdefault((each.call, way.talker, each.marker), []).append(each.delay_s)
    by_call: dict[int, list[float]] = {}
    for (call, _, _), delays_s in when.items():
        if len(delays_s) >= _LEAST_LISTENERS:
            by_call.setdefault(call, []).append(max(delays_s) - min(delays_s))
    if not by_call:
        return None
    return Calls(parts=tuple(np.array(by_call[call]) for call in sorted(by_call)), least=0.0)


def _spreads(ears: Mapping[Way, Account]) -> Iterator[Spread]:
    """Yield the spread of every talker with two listeners or more who heard it."""
    by_talker: dict[str, list[Account]] = {}
    for way, ear in ears.items():
        if ear.heard and not way.there_and_back:
            by_talker.setdefault(way.talker, []).append(ear)
    for talker, heard in by_talker.items():
        if len(heard) < _LEAST_LISTENERS:
            continue
        means = {ear.way.listener: _mean_s(ear) for ear in heard}
        first, last = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        soon, late = (next(ear for ear in heard if ear.way.listener == name) for name in (first, last))
        low_s, high_s = _apart(soon, late, means[last] - means[first]).ends()
        apart = words_apart(ears, [talker])
        yield Spread(
            talker=talker,
            first=first,
            last=last,
            first_s=means[first],
            last_s=means[last],
            # First and last are chosen by what was heard: their distance is never below 0, though the interval of a
            # difference may be.
            low_s=None if low_s is None else max(low_s, 0.0),
            high_s=high_s,
            apart=None if apart is None else apart.summary(),
        )


def _apart(soon: Account, late: Account, apart_s: float) -> Rated:
    """Return how much later one listener hears than another, of the run and of each call in which both did."""
    ends = [{call: _mean_of(values) for call, values in _by_call(ear).items()} for ear in (soon, late)]
    both = [call for call in ends[0] if call in ends[1]]
    figures = tuple(ends[1][call] - ends[0][call] for call in both)
    return Rated(value=apart_s, figures=figures, weights=(1.0,) * len(both))


def _by_call(ear: Account) -> Mapping[int, list[float]]:
    found: dict[int, list[float]] = {}
    for each in ear.samples:
        found.setdefault(each.call, []).append(each.delay_s)
    return found


def _mean_of(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _mean_s(ear: Account) -> float:
    return _mean_of([each.delay_s for each in ear.samples])


def gaps_named(least_s: float) -> str:
    """Return the name of the gap share from a length on: ``"gap_share_200ms"``."""
    return f"gap_share_{least_s * 1e3:g}ms"


def gap_share(ears: Iterable[Account], least_s: float) -> Rated | None:
    """Return the share of sound listened to that was made up in gaps of ``least_s`` or longer; None of nothing.

    Σ over ways of the time in such gaps, through Σ over ways of the time listened.
    """
    known = [ear for ear in ears if ear.figures.get("listened_s")]
    if not known:
        return None
    lost_s: dict[int, float] = {}
    heard_s: dict[int, float] = {}
    for ear in known:
        for call in ear.calls or (_alone(ear),):
            heard_s[call.call] = heard_s.get(call.call, 0.0) + call.figures.get("listened_s", 0.0)
        for span in _gaps(ear, least_s):
            lost_s[span.call] = lost_s.get(span.call, 0.0) + span.until_s - span.from_s
    calls = [call for call in heard_s if heard_s[call] > 0.0]
    whole_s = math.fsum(ear.figures["listened_s"] for ear in known)
    return Rated(
        value=min(1.0, math.fsum(lost_s.values()) / whole_s),
        figures=tuple(min(1.0, lost_s.get(call, 0.0) / heard_s[call]) for call in calls),
        weights=tuple(heard_s[call] for call in calls),
        events=_chances(known, least_s),
    )


def _alone(ear: Account) -> HeardCall:
    """Return an account that is of one call as that call."""
    return HeardCall(call=0, scheduled=ear.scheduled, heard=ear.heard, figures=ear.figures)


def _gaps(ear: Account, least_s: float) -> Iterator[Span]:
    hair_s = 1e-9  # of a length that went through milliseconds and back
    return (each for each in ear.spans if each.what == "gap" and each.until_s - each.from_s >= least_s - hair_s)


def _chances(ears: Sequence[Account], least_s: float) -> float:
    """Return how many independent chances of a gap there were: as many as such gaps would have filled the time.

    What is lost on a talker's way up is lost to all who listen: each talker's time counts once.
    """
    by_talker: dict[str, list[float]] = {}
    for ear in ears:
        by_talker.setdefault(ear.way.talker, []).append(ear.figures["listened_s"])
    return math.fsum(map(_mean_of, by_talker.values())) / least_s


def _gap_share(ears: Iterable[Account], least_s: float) -> GapShare | None:
    ears = list(ears)
    found = gap_share(ears, least_s)
    if found is None:
        return None
    low, high = found.ends()
    count = sum(1 for ear in ears for _ in _gaps(ear, least_s))
    return GapShare(least_s=least_s, share=found.value, gaps=count, low=low, high=high)


def joined_within(joins: Iterable[Join], limit_s: float) -> tuple[float, ...]:
    """Return of each join whether it was heard within ``limit_s``, 1 or 0; one that never was, was not."""
    return tuple(float(each.first_audio_s is not None and each.first_audio_s <= limit_s) for each in joins)


def _joins(result: Result, known: Mapping[str, Person]) -> Iterator[GroupJoins]:
    """Yield the joins of everybody, then those of each role."""
    everybody = tuple(dict.fromkeys(each.party for each in result.join.attempts))
    for group, names in (("everybody", everybody), *groups(known).items()):
        made = [each for each in result.join.attempts if each.party in names]
        if not made:
            continue
        heard_s = [each.first_audio_s for each in made if each.first_audio_s is not None]
        yield GroupJoins(
            group=group,
            parties=len({each.party for each in made}),
            first_audio=summarise(heard_s, never=len(made) - len(heard_s)),
            within_1s=_mean_of(joined_within(made, 1.0)),
            within_5s=_mean_of(joined_within(made, 5.0)),
        )


def _delays(ears: Mapping[Way, Account], known: Mapping[str, Person]) -> Iterator[GroupDelay]:
    """Yield the delay from every role to every role, where there are roles."""
    found: dict[tuple[str, str], list[Account]] = {}
    for way, ear in ears.items():
        roles = tuple(known[name].role if name in known else "" for name in (way.talker, way.listener))
        if ear.heard and all(roles):
            found.setdefault((roles[0], roles[1]), []).append(ear)
    for (talkers, listeners), heard in found.items():
        yield GroupDelay(
            talkers=talkers,
            listeners=listeners,
            ways=len(heard),
            worst=max(heard, key=_mean_s).way,
            delay=pooled_delays(heard).summary(),
        )


def pooled_delays(ears: Iterable[Account]) -> Calls:
    """Return the delays of several ways together, seconds, call by call."""
    by_call: dict[int, list[float]] = {}
    least_s = math.inf
    for ear in ears:
        least_s = min(least_s, fixed_s(ear))
        for each in ear.samples:
            by_call.setdefault(each.call, []).append(each.delay_s)
    parts = tuple(np.array(by_call[call]) for call in sorted(by_call))
    return Calls(parts=parts, least=least_s if parts else -math.inf)


def talk_over(there: Account, back: Account) -> Rated:
    """Return the window of two who hear each other: the sum of both mean delays, and that of each call."""
    ends = [{call: _mean_of(values) for call, values in _by_call(ear).items()} for ear in (there, back)]
    both = [call for call in ends[0] if call in ends[1]]

    def joined(confidence: float) -> Ends:
        # What each mean may be off by is joined as squares (Zou & Donner, Statistics in Medicine 27, 2008).
        means = (_mean_s(there), _mean_s(back))
        lows, highs = zip(of_calls(there).mean(confidence), of_calls(back).mean(confidence), strict=True)
        return _aside(means, lows, -1.0), _aside(means, highs, 1.0)

    return Rated(
        value=_mean_s(there) + _mean_s(back),
        figures=tuple(ends[0][call] + ends[1][call] for call in both),
        weights=(1.0,) * len(both),
        made=joined,
    )


def _aside(means: Sequence[float], ends: Sequence[float | None], sign: float) -> float | None:
    """Return the end of a sum's interval; None where one of its parts' is open."""
    off = [abs(end - mean) for mean, end in zip(means, ends, strict=True) if end is not None]
    return math.fsum(means) + sign * math.hypot(*off) if len(off) == len(means) else None


def collision(window_s: float, rate_hz: float = STARTS_HZ) -> float:
    """Return the chance that, where one of two begins to speak, the other begins within their window not knowing it.

    A model: whoever waits begins as a Poisson process of ``rate_hz``, so 1 − exp(−rate · window).
    """
    return -math.expm1(-rate_hz * window_s)


def _talk_over(ears: Mapping[Way, Account]) -> Iterator[TalkOver]:
    """Yield every pair that hears each other, once."""
    done: set[Way] = set()
    for way, there in ears.items():
        back = ears.get(way.back)
        if way in done or way.there_and_back or back is None or not (there.heard and back.heard):
            continue
        done.add(way.back)
        window = talk_over(there, back)
        low_s, high_s = window.ends()
        yield TalkOver(
            one=way.talker,
            other=way.listener,
            window_s=window.value,
            low_s=low_s,
            high_s=high_s,
            rate_hz=STARTS_HZ,
            collision=collision(window.value),
        )
