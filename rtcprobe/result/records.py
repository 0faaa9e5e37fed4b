"""What a run found: frozen records shared by probe, verdict and reports.

Rules:
    1. Seconds and ratios inside; milliseconds only in ``to_dict`` / ``from_dict`` (``plain.py`` has the one rule).
    2. Equal runs give equal bytes. Only ``environment`` may differ.
    3. An account always balances: scheduled = heard + rejected + lost, and the phases of a join sum to its total.

What a party negotiated outside is a plain mapping of words to numbers, laid down by the room that measured it; its keys
carry their units. ``environment`` and ``settings`` pass as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rtcprobe.errors import BadInputError, ExitCode
from rtcprobe.result.accounts import KINDS, Account, Kind, WayMap
from rtcprobe.result.instrument import Instrument
from rtcprobe.result.joins import Joins
from rtcprobe.result.links import LinkReport
from rtcprobe.result.named import NamedFigure
from rtcprobe.result.older import OLDER, modernised
from rtcprobe.result.outcomes import BudgetOutcome
from rtcprobe.result.plain import MEASURED, OWN, SPARSE, UnfitError, from_plain, read_as, to_plain
from rtcprobe.result.rooms import Happening, Room
from rtcprobe.secrets import NAME, WORDS
from rtcprobe.ways import BOTH_WAYS, Leg, Way

__all__ = [
    "SCHEMA",
    "Clock",
    "Engine",
    "PlacedCall",
    "Progress",
    "Result",
    "Verdict",
]

SCHEMA = "rtcprobe.result/2"

Clock = Literal["virtual", "real"]
Engine = Literal["stack", "model"]
Verdict = Literal["pass", "fail", "inconclusive", "invalid"]
Plain = Mapping[str, Any]

# Told by where an account stands, not in it.
_KEYS = ("kind", "way")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: ``done`` of ``total`` (``unit``: ``"joins"``, ``"s"``) of the ``step`` in hand."""

    step: str
    done: float
    total: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedCall:
    """One call that a run placed, counted from 0, and which try it was (1, 2, ...).

    ``void`` says why its markers are not counted (a stall of the probe's own machine); ``cut`` what ended it before
    its time; ``failed`` why it was never joined. A void or failed try is followed by another of the same ``call``.
    """

    call: int
    attempt: int = 1
    void: str | None = None
    cut: str | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A whole run. ``reasons`` say why it is not a pass; ``warnings`` what a reader should know in any case.

    ``scenario`` is its name, ``scenario_digest`` the digest of ``settings`` (the scenario as one plain mapping with
    written units, overrides included, but for the target): two results compare only where the digests agree.
    ``engine`` is what placed the calls: the whole stack, or the model of it (``rtcprobe.model``), which makes no joins.
    ``measures`` are the directions the target can measure; ``cut`` says what ended a call before its time;
    ``parties`` are ours by name, each with what it negotiated with an outside target and what that reported.
    ``happenings`` is what cues had parties do, and ``room`` what is said of more than two together. ``named`` are
    figures as the service calls them whose words were asked for (``settings["figures"]``).
    """

    scenario: str = field(metadata=NAME)
    scenario_digest: str = field(default="", metadata=NAME)
    seed: int
    clock: Clock
    target: str = "loopback"
    verdict: Verdict = "inconclusive"
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    interrupted: bool = False
    environment: Plain = field(default_factory=dict, metadata=WORDS)
    settings: Plain = field(default_factory=dict, metadata=WORDS)
    join: Joins = field(default_factory=Joins)
    accounts: tuple[Account, ...] = field(default=(), metadata=OWN)
    link: Mapping[Leg, LinkReport] = field(default_factory=dict)
    harness: Instrument = field(default_factory=Instrument)
    budgets: tuple[BudgetOutcome, ...] = ()
    engine: Engine = field(default="stack", metadata=SPARSE)
    measures: tuple[Way, ...] = field(default=BOTH_WAYS, metadata={**SPARSE, **NAME})
    cut: str | None = field(default=None, metadata=SPARSE)
    calls: tuple[PlacedCall, ...] = field(default=(), metadata=SPARSE)
    parties: Mapping[str, Plain] = field(default_factory=dict, metadata={**MEASURED, **SPARSE, "text": "free"})
    happenings: tuple[Happening, ...] = field(default=(), metadata=SPARSE)
    room: Room | None = field(default=None, metadata=SPARSE)
    named: tuple[NamedFigure, ...] = field(default=(), metadata=SPARSE)

    def __post_init__(self) -> None:
        named = [(each.kind, each.way) for each in self.accounts]
        if len(set(named)) < len(named):
            kind, way = next(each for each in named if named.count(each) > 1)
            raise BadInputError(f"{kind} of {way} is accounted for twice", "a way has one account of each kind")
        # The one place of a result whose words are not ours: what an outside target reported.
        for name, said in self.parties.items():
            if not isinstance(said, Mapping):
                raise BadInputError(f"{name!r} reported {said!r:.40}, no set of keys", "the file is damaged")

    @property
    def instrument(self) -> str:
        """What it was measured by, in two words: the clock of the stack, or the engine that models it."""
        return f"{self.clock} clock" if self.engine == "stack" else f"engine {self.engine}"

    @property
    def exit_code(self) -> ExitCode:
        """The process exit code this result asks for."""
        # Before the verdict, which is of half a run.
        if self.interrupted:
            return ExitCode.INTERRUPTED
        return {"pass": ExitCode.MET, "fail": ExitCode.MISSED}.get(self.verdict, ExitCode.NOT_MEASURED)

    def of_kind(self, kind: Kind) -> WayMap:
        """Return the accounts of one kind, by way."""
        return WayMap(each for each in self.accounts if each.kind == kind)

    @property
    def mouth_to_ear(self) -> WayMap:
        """The accounts of sound, by way: what was spoken, and heard on the other side."""
        return self.of_kind("mouth_to_ear")

    @property
    def ways(self) -> tuple[Way, ...]:
        """Every way of sound of this run: those that could be measured, and any more that were."""
        return tuple(dict.fromkeys((*self.measures, *self.mouth_to_ear)))

    @property
    def room_of_many(self) -> bool:
        """Whether more than two take part: who hears whom is then a question for each way."""
        return len({each for way in self.ways for each in (way.talker, way.listener)}) > len(BOTH_WAYS)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds, in a fixed order: accounts by kind, then by way."""
        out: dict[str, Any] = {"schema": SCHEMA}
        for key, value in to_plain(self).items():
            # Accounts stand before the links, as a reader asks for them; a kind that nobody measured is not there, but
            # for sound.
            if key == "link":
                out |= {kind: _by_way(found) for kind in KINDS if (found := self.of_kind(kind)) or kind == KINDS[0]}
            out[key] = value
        return out

    @classmethod
    def from_dict(cls, data: object) -> Result:
        """Read back what ``to_dict`` wrote.

        Raises:
            BadInputError: not a result, a result of another schema version, or one with parts missing.
        """
        if not isinstance(data, Mapping) or "schema" not in data:
            raise BadInputError("this is not an rtcprobe result", f"it has no schema; {SCHEMA} is expected")
        if data["schema"] not in (SCHEMA, OLDER):
            cure = f"this version reads {SCHEMA} and {OLDER}; measure again"
            raise BadInputError(f"result schema {data['schema']!r} cannot be read", cure)
        try:
            # Made new once, before anything is read: no reader knows of /1 (``older``).
            written = modernised(data) if data["schema"] == OLDER else data
            return from_plain(cls, {**written, "accounts": _accounts(written)})
        # Of readers that index (``outcomes``, ``older``); what ``plain`` refuses has its place in the sentence.
        except KeyError as error:
            raise BadInputError(f"result lacks {error.args[0]!r}", "the file is damaged; measure again") from error
        except UnfitError as error:
            raise BadInputError(f"result holds a value of the wrong kind: {error}", "measure again") from error


def _by_way(accounts: WayMap) -> dict[str, Any]:
    """Return the JSON values of one kind's accounts: kind and way are the keys they stand under."""
    return {
        way: {key: value for key, value in to_plain(account).items() if key not in _KEYS}
        for way, account in accounts.items()
    }


def _accounts(data: Plain) -> tuple[Account, ...]:
    """Read back what ``_by_way`` wrote, of every kind."""
    found: list[Account] = []
    # Sound is missed where it is absent; other kinds may be.
    for kind in (KINDS[0], *(each for each in KINDS[1:] if each in data)):
        for way, written in read_as(Mapping[Way, Plain], data, kind).items():
            try:
                found.append(from_plain(Account, {**written, "kind": kind, "way": way}))
            except UnfitError as error:
                raise error.within(way).within(kind) from None
    return tuple(found)
