"""What happens in a call: cues, each for one party, at an instant or once something has happened to a party.

Rules:
    1. Instants count from the moment at which everybody who is there from the start has joined and may speak.
    2. A party is there from ``comes_s`` to ``leaves_s``; one whose first cue of coming and going is to join comes by
       that cue alone (``comes_by_cue``).
    3. Who sends may speak as soon as it has joined, unless its first cue about sound says when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from rtcprobe.audio.marker import trains
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.scenario.parties import Party, written_time
from rtcprobe.units import parse_duration
from rtcprobe.ways import Leg

__all__ = ["DOES", "EVENTS", "Cue", "Does", "Event", "check_parties", "comes_by_cue", "parse_cue"]

Does = Literal["speak", "stop", "publish", "join", "leave", "send", "die"]
"""What a cue has a party do. ``publish``: begin to send, as who goes on stage does; ``speak`` and ``stop``: open and
close its mouth, while silence is sent in between. ``send``: send one message. ``die``: what a server of ours does."""

Event = Literal["joined", "heard", "fell silent"]
"""What a cue may wait for: that a party has joined, that somebody has heard it, that it has stopped speaking."""

DOES: Final[tuple[Does, ...]] = get_args(Does)
EVENTS: Final[tuple[Event, ...]] = get_args(Event)

_COMING_AND_GOING: Final = ("join", "leave")

# cue   = party verb ( "at" time / "after" party event ) ; words apart by blanks
# verb  = "speaks" / "stops" / "publishes" / "joins" / "leaves" / "sends" / "dies"
# event = "joined" / "was heard" / "fell silent"
_VERBS: Final[Mapping[str, Does]] = {f"{each}{'es' if each == 'publish' else 's'}": each for each in DOES}
_HAPPENINGS: Final[Mapping[str, Event]] = {"was heard" if each == "heard" else each: each for each in EVENTS}
# "ana stops at 8s": party, verb, at, time.
_LEAST_WORDS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Something a party does in a call: ``at_s``, or ``after`` an event of a party.

    Raises:
        BadInputError: no time at all, or two; a time before the call.
    """

    party: str
    does: Does
    at_s: float | None = None
    after: tuple[str, Event] | None = None

    def __post_init__(self) -> None:
        if (self.at_s is None) == (self.after is None):
            count = "no time" if self.at_s is None else "two times"
            raise BadInputError(f"cue '{self.party} {self.does}' has {count}", "give at 5s, or after ana joined")
        if self.at_s is not None and self.at_s < 0.0:
            raise BadInputError(f"cue {self} is before the call", "give 0ms or more")

    def __str__(self) -> str:
        verb = f"{self.party} {next(word for word, does in _VERBS.items() if does == self.does)}"
        if self.after is not None:
            who, event = self.after
            return f"'{verb} after {who} {next(words for words, each in _HAPPENINGS.items() if each == event)}'"
        return f"'{verb} at {written_time(self.at_s or 0.0)}'"


def parse_cue(text: object) -> Cue:
    """Return the cue that ``text`` says: ``"ben joins after ana was heard"``, ``"ana stops at 8s"``.

    Raises:
        BadInputError: words that are no cue, or no time.
    """
    words = text.split() if isinstance(text, str) else []
    if len(words) < _LEAST_WORDS or words[2] not in ("at", "after"):
        raise BadInputError(f"cue {text!r} cannot be read", "write it like ben joins after ana was heard, or at 5s")
    party, verb, when, *rest = words
    if verb not in _VERBS:
        raise BadInputError(f"cue {text!r}: {verb!r} is nothing a party does", did_you_mean(verb, list(_VERBS)))
    if when == "at":
        try:
            # A time may have a blank before its unit.
            at_s = parse_duration(" ".join(rest))
        except BadInputError as error:
            raise error.within(f"cue {text!r}") from error
        return Cue(party=party, does=_VERBS[verb], at_s=at_s)
    whom, event = rest[0], " ".join(rest[1:])
    if event not in _HAPPENINGS:
        raise BadInputError(f"cue {text!r}: {event!r} does not happen", did_you_mean(event, list(_HAPPENINGS)))
    return Cue(party=party, does=_VERBS[verb], after=(whom, _HAPPENINGS[event]))


def check_parties(parties: Sequence[Party], servers: Iterable[str], legs: Iterable[Leg], script: Sequence[Cue]) -> None:
    """Refuse what cannot be meant.

    Raises:
        BadInputError: two of one name; a name that is nobody's; more speakers than there are marker codes; cues that
            could never be given.
    """
    names = [party.name for party in parties]
    places = [*names, *servers]
    twice = next((name for name in places if places.count(name) > 1), None)
    if twice is not None:
        raise BadInputError(f"there are two called {twice!r}", "give every party and server a name of its own")
    for party in parties:
        for heard in () if party.hears == "all" else party.hears:
            _known(heard, names, f"{party.name} hears {heard!r}, who is not there")
    for leg in legs:
        for end in (leg.source, leg.destination):
            _known(end, places, f"leg {str(leg)!r} names {end!r}, who is not there")
        if leg.source == leg.destination:
            raise BadInputError(f"leg {str(leg)!r} leads from {leg.source} to itself", "name two")
    speakers = sum(party.sent("audio") is not None for party in parties)
    if speakers:
        trains(speakers)  # refuses more than there are codes
    by_name = {party.name: party for party in parties}
    for cue in script:
        if cue.does == "die":
            known = places[len(names) :]
            if cue.party not in known:
                cure = did_you_mean(cue.party, known) if known else "give target: sfu"
                raise BadInputError(f"cue {cue} is for {cue.party!r}, which is no server of ours", cure)
        else:
            _check_cue(cue, by_name)
    for party in parties:
        _check_presence(party, [cue for cue in script if cue.party == party.name])
    _check_waiting(script)


def comes_by_cue(name: str, script: Sequence[Cue]) -> bool:
    """Return whether the party of that name is not there at the start, but joins by a cue."""
    first = next((cue for cue in script if cue.party == name and cue.does in _COMING_AND_GOING), None)
    return first is not None and first.does == "join"


def _known(name: str, known: Sequence[str], fact: str) -> None:
    if name not in known:
        raise BadInputError(fact, did_you_mean(name, known))


def _check_cue(cue: Cue, parties: Mapping[str, Party]) -> None:
    """Refuse a cue about nobody, or about sound of somebody who has none."""
    _known(cue.party, list(parties), f"cue {cue} is for {cue.party!r}, who is not there")
    if cue.does in ("speak", "stop", "publish") and not parties[cue.party].speaks:
        raise BadInputError(f"cue {cue}: {cue.party} sends nothing", f"give {cue.party} something to send")
    if cue.does == "send" and parties[cue.party].sent("messages") is None:
        raise BadInputError(f"cue {cue}: {cue.party} sends no messages", f"give {cue.party} messages: {{size: 200B}}")
    if cue.after is None:
        return
    whom, event = cue.after
    _known(whom, list(parties), f"cue {cue} waits for {whom!r}, who is not there")
    if event != "joined" and not parties[whom].speaks:
        raise BadInputError(f"cue {cue}: {whom} sends nothing, and is never heard", "wait for somebody who speaks")


def _check_presence(party: Party, cues: Sequence[Cue]) -> None:
    """Refuse cues of ``party`` at instants at which it is known not to be there."""
    absent = comes_by_cue(party.name, cues)
    if absent and party.comes_s > 0.0:
        join = next(cue for cue in cues if cue.does == "join")
        raise BadInputError(
            f"{party.name} comes at {written_time(party.comes_s)}, and by cue {join}", "leave one of them out"
        )
    if any(cue.after is not None for cue in cues if cue.does in _COMING_AND_GOING):
        return  # when it comes and goes is only known in the call
    there, why = not absent, "has not joined"
    # By time alone, as cues do not compare: of equal times the one written first comes first.
    for at_s, cue in sorted(((cue.at_s, cue) for cue in cues if cue.at_s is not None), key=lambda each: each[0]):
        if at_s < party.comes_s:
            raise BadInputError(f"cue {cue}: {party.name} comes at {written_time(party.comes_s)}", "give a later time")
        if party.leaves_s is not None and at_s >= party.leaves_s:
            there, why = False, f"has left ({written_time(party.leaves_s)})"
        # Joining is what somebody does who is not there; everything else needs presence.
        if not there and cue.does != "join":
            raise BadInputError(f"cue {cue}: by then {party.name} {why}", "let it join before, or drop the cue")
        if cue.does in _COMING_AND_GOING:
            there, why = cue.does == "join", f"has left ({written_time(at_s)})"


def _check_waiting(script: Sequence[Cue]) -> None:
    """Refuse joins that wait for each other in a circle: none of them would ever come."""
    awaited = {
        cue.party: cue.after[0]
        for cue in reversed(script)  # of several the first counts
        if cue.after is not None and cue.does == "join" and comes_by_cue(cue.party, script)
    }
    for name in reversed(awaited):
        met = [name]
        # Follows who waits for whom until nobody waits, or somebody was met before: then those in between are a circle.
        while awaited.get(met[-1]) not in (None, *met):
            met.append(awaited[met[-1]])
        if awaited.get(met[-1]) == name:
            cue = next(cue for cue in script if cue.party == name and cue.does == "join")
            circle = " and ".join(met[1:]) or "itself"
            raise BadInputError(f"cue {cue}: {name} never joins", f"it waits for {circle} in a circle: give a time")
