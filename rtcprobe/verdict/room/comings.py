"""Who comes, goes on stage and leaves, and how long others wait for it: what happened, beside what was heard when.

Facts:
    An account keeps when its listener heard its talker, spell by spell (spans ``"heard"``). A wait is from the cue, the
    tap on a screen, to the first of them that began after it.

Rules:
    1. Who heard the talker already when the cue came does not wait. Who was not there at the cue, or leaves before
       there is anything to hear, is no listener of it.
    2. A listener who was there and heard nothing until the talker fell silent or left again, or the call was over,
       never heard it: None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain

from rtcprobe.result import Account, Entrance, Exit, Happening, Newcomer, Result, Span, Waited
from rtcprobe.verdict.room.people import HOSTS, Person
from rtcprobe.ways import Way

__all__ = ["entrances", "exits", "newcomers", "pictures_awaited", "viewers"]

_ENTERS = ("publish", "join")
_ENDS = ("stop", "leave")
_ON_S = 1.0
"""Whose camera filmed something so short a time before is on already."""


def entrances(result: Result) -> tuple[Entrance, ...]:
    """Return everybody who began to send by a cue: went on stage, or joined with a voice; each listener's wait."""
    ears = result.mouth_to_ear
    talkers = {way.talker for way in ears}
    return tuple(
        Entrance(
            party=each.party,
            does=each.does,
            at_s=each.at_s,
            call=each.call,
            waits=tuple(_waits(result, each)),
            pictures=tuple(_on_screen(result, each)),
        )
        for each in result.happenings
        if each.does in _ENTERS and each.party in talkers and not _waits_to_speak(result, each)
    )


def _waits_to_speak(result: Result, joined: Happening) -> bool:
    """Return whether a party that joined began to speak by a later cue only: then that is its entrance."""
    begins_s = _next(result, joined, ("publish", "speak"))
    return joined.does == "join" and begins_s < _next(result, joined, _ENDS)


def _waits(result: Result, entered: Happening) -> Iterator[Waited]:
    until_s = _next(result, entered, _ENDS)
    for way, ear in result.mouth_to_ear.items():
        if way.talker != entered.party or way.there_and_back or not _present(result, way.listener, entered):
            continue
        spells = _spells(ear, entered.call)
        # Rule 1: heard already.
        if any(each.from_s < entered.at_s < each.until_s for each in spells):
            continue
        first_s = min((each.from_s for each in spells if each.from_s >= entered.at_s), default=math.inf)
        late_s = first_s - entered.at_s if first_s < _heard_until(ear, until_s) else None
        # Rule 1: whoever left before there was anything to hear did not wait in vain. That it left later changes no
        # wait.
        if late_s is None and _leaves_s(result, way.listener, entered) < math.inf:
            continue
        yield Waited(listener=way.listener, wait_s=late_s)


def _on_screen(result: Result, entered: Happening) -> Iterator[Waited]:
    """Yield how long each viewer waited for the picture of who came; whose camera was on before is not waited for."""
    until_s = _next(result, entered, _ENDS)
    for way, sight in result.of_kind("glass_to_glass").items():
        if way.talker != entered.party or not _present(result, way.listener, entered):
            continue
        own = [each for each in sight.samples if each.call == entered.call]
        if any(entered.at_s - _ON_S <= each.spoken_s < entered.at_s for each in own):
            continue
        first_s = min((each.heard_s for each in own if each.spoken_s >= entered.at_s), default=math.inf)
        late_s = first_s - entered.at_s if first_s < _heard_until(sight, until_s) else None
        if late_s is None and _leaves_s(result, way.listener, entered) < math.inf:
            continue
        yield Waited(listener=way.listener, wait_s=late_s)


def viewers(result: Result) -> frozenset[str]:
    """Return everybody who is shown somebody."""
    return frozenset(way.listener for way, sight in result.of_kind("glass_to_glass").items() if sight.scheduled)


def _heard_until(ear: Account, until_s: float) -> float:
    """Return until when what was said before ``until_s`` can still begin to be heard: as late as anything was."""
    return until_s + max((each.delay_s for each in ear.samples), default=0.0)


def exits(result: Result, known: Mapping[str, Person]) -> tuple[Exit, ...]:
    """Return every host who left or fell silent by a cue, and how long each listener heard no host then."""
    hosts = [name for name, each in known.items() if each.role in HOSTS]
    out: list[Exit] = []
    for each in result.happenings:
        # Only the host's going leaves a room without one; a co-host's is an exit of nobody's who holds it (but may fill
        # in).
        if each.does not in _ENDS or known.get(each.party, Person(name="")).role != HOSTS[0]:
            continue
        fading: list[Waited] = []
        silences: list[Waited] = []
        heard_first: list[str] = []
        for way, ear in result.mouth_to_ear.items():
            # Other hosts are not waiting for a host: they are one.
            if way.talker != each.party or way.listener in hosts or not _present(result, way.listener, each):
                continue
            last_s = max(
                (spell.until_s for spell in _spells(ear, each.call) if spell.from_s <= each.at_s), default=None
            )
            if last_s is None:
                continue
            fading.append(Waited(listener=way.listener, wait_s=max(0.0, last_s - each.at_s)))
            again_s, who = _next_host(result, hosts, way.listener, each, last_s)
            if who is None and _leaves_s(result, way.listener, each) < math.inf:
                continue
            silences.append(Waited(listener=way.listener, wait_s=None if who is None else again_s - last_s))
            heard_first += [] if who is None else [who]
        if fading:
            most = max(dict.fromkeys(heard_first), key=heard_first.count, default=None)
            out.append(
                Exit(
                    party=each.party,
                    does=each.does,
                    at_s=each.at_s,
                    call=each.call,
                    fading=tuple(fading),
                    silences=tuple(silences),
                    next=most,
                )
            )
    return tuple(out)


def _next_host(
    result: Result, hosts: list[str], listener: str, gone: Happening, last_s: float
) -> tuple[float, str | None]:
    """Return when ``listener`` first heard a host again after ``last_s``, and whom; ``last_s`` where one was heard.

    One that was told to go by then, too, does not hold the room, though its last words are still on their way.
    """
    found: tuple[float, str | None] = (math.inf, None)
    ears = result.mouth_to_ear
    for name in hosts:
        way = Way.of(name, listener)
        spells = _spells(ears[way], gone.call) if way in ears else ()
        told_s = [
            each.at_s
            for each in result.happenings
            if (each.call, each.party) == (gone.call, name) and each.does in _ENDS and each.at_s <= last_s
        ]
        since_s = max(told_s, default=-math.inf)
        # A spell that goes on through ``last_s`` is a wait of 0: there was no silence. One that began before its
        # speaker was told to go, too, are last words.
        begins = [max(each.from_s, last_s) for each in spells if each.until_s > last_s and not each.from_s <= since_s]
        if begins and min(begins) < found[0]:
            found = min(begins), name
    return found


def newcomers(result: Result) -> tuple[Newcomer, ...]:
    """Return everybody who joined by a cue while all went on, and its wait for the first sound of anybody."""
    ears = result.mouth_to_ear
    listeners = {way.listener for way in ears}
    out = []
    for each in result.happenings:
        if each.does != "join" or each.party not in listeners:
            continue
        until_s = _next(result, each, ("leave",))
        own = (_spells(ear, each.call) for way, ear in ears.items() if way.listener == each.party)
        first_s = min(
            (spell.from_s for spell in chain.from_iterable(own) if spell.from_s >= each.at_s), default=math.inf
        )
        wait_s = first_s - each.at_s if first_s < until_s else None
        seen_s = _first_seen_s(result, each) - each.at_s
        out.append(
            Newcomer(
                party=each.party,
                at_s=each.at_s,
                call=each.call,
                wait_s=wait_s,
                picture_s=seen_s if seen_s < until_s - each.at_s else None,
            )
        )
    return tuple(out)


def pictures_awaited(result: Result) -> tuple[Waited, ...]:
    """Return the wait for a first picture of everybody who joined and is shown somebody; as the result's room says."""
    watch = viewers(result)
    joined = () if result.room is None else result.room.newcomers
    return tuple(Waited(listener=each.party, wait_s=each.picture_s) for each in joined if each.party in watch)


def _first_seen_s(result: Result, joined: Happening) -> float:
    """Return when who joined saw the first picture of anybody; infinity where it saw none."""
    own = (each for way, each in result.of_kind("glass_to_glass").items() if way.listener == joined.party)
    shown_s = (one.heard_s for each in own for one in each.samples if one.call == joined.call)
    return min((at_s for at_s in shown_s if at_s >= joined.at_s), default=math.inf)


def _spells(ear: Account, call: int) -> list[Span]:
    return [each for each in ear.spans if each.what == "heard" and each.call == call]


def _next(result: Result, happened: Happening, does: tuple[str, ...]) -> float:
    """Return when the same party next did one of ``does`` in the same call; infinity where it never did."""
    return min(
        (
            each.at_s
            for each in result.happenings
            if (each.call, each.party) == (happened.call, happened.party)
            and each.does in does
            and each.at_s > happened.at_s
        ),
        default=math.inf,
    )


def _present(result: Result, name: str, at: Happening) -> bool:
    """Return whether a party was there when it happened: its last coming or going before was no going."""
    own = [
        each
        for each in result.happenings
        if each.call == at.call and each.party == name and each.does in ("join", "leave")
    ]
    before = [each for each in own if each.at_s <= at.at_s]
    if before:
        return max(before, key=lambda each: each.at_s).does == "join"
    # Without a coming or going before: there from the start, unless its first is a coming.
    return not own or own[0].does == "leave"


def _leaves_s(result: Result, name: str, at: Happening) -> float:
    """Return when a party left after ``at``; infinity where it stayed."""
    return _next(result, Happening(party=name, does="", at_s=at.at_s, call=at.call), ("leave",))
