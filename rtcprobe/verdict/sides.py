"""Who is compared: the runs of a side that count, whether two sides are pairs, and in what their settings differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtcprobe.errors import BadInputError
from rtcprobe.result import Clock, Engine, Result

__all__ = ["PROSE", "Side", "are_pairs", "counts", "gather", "settings_apart"]

PROSE = frozenset({"name", "serves", "sources", "budgets", "figures"})
"""Keys of a scenario that change nothing of what is measured: what is said and judged of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Who was measured: the caller's ``label`` (a target, a file), and the runs that count (``seeds`` one each).

    ``calls`` of all its runs; ``troubles`` are sentences that a reader must see before any figure: runs left out,
    budgets missed, nothing heard.
    """

    label: str
    scenario: str
    scenario_digest: str
    clock: Clock
    target: str
    seeds: tuple[int, ...]
    joins: int
    calls: int = 0
    engine: Engine = "stack"
    troubles: tuple[str, ...] = ()

    @property
    def instrument(self) -> str:
        """See ``Result.instrument``."""
        return f"{self.clock} clock" if self.engine == "stack" else f"engine {self.engine}"

    @property
    def runs(self) -> int:
        """How many runs count."""
        return len(self.seeds)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "label": self.label,
            "scenario": self.scenario,
            "scenario_digest": self.scenario_digest,
            "clock": self.clock,
            "target": self.target,
            "seeds": list(self.seeds),
            "joins": self.joins,
            "calls": self.calls,
            **({} if self.engine == "stack" else {"engine": self.engine}),
            "troubles": list(self.troubles),
        }


def gather(label: str, results: Sequence[Result]) -> tuple[Side, tuple[Result, ...], tuple[str, ...]]:
    """Return the side, its runs that count in order of their seeds (virtual clock), and notes on those that do not.

    Invalid and interrupted runs say nothing; of virtual runs with one seed the last counts, as they are one draw.

    Raises:
        BadInputError: no run counts, or the runs are of different scenarios, settings, clocks or targets.
    """
    if not results:
        raise BadInputError(f"{label} holds no results", "measure first, with --json or --append")
    good = [each for each in results if counts(each)]
    if not good:
        raise BadInputError(f"{label} holds no run that counts: {len(results)} invalid or interrupted", "measure again")
    troubles, notes = [], []
    if len(good) < len(results):
        troubles.append(
            f"{label}: {len(results) - len(good)} of {len(results)} runs were invalid or interrupted: left out"
        )
    first = good[0]
    for each in good[1:]:
        _same(label, first, each)
    if first.clock == "virtual":
        # A dict keeps the last: who measured a seed again did so as the first was not to be used.
        by_seed = {each.seed: each for each in good}
        if len(by_seed) < len(good):
            notes.append(f"{label}: of virtual runs with equal seeds the last counts, {len(by_seed)} of {len(good)}")
        good = [by_seed[seed] for seed in sorted(by_seed)]
    troubles += _troubles(label, good)
    notes += _older(label, good)
    side = Side(
        label=label,
        scenario=first.scenario,
        scenario_digest=first.scenario_digest,
        clock=first.clock,
        target=first.target,
        seeds=tuple(each.seed for each in good),
        joins=sum(len(each.join.attempts) for each in good),
        calls=sum(_calls(each) for each in good),
        engine=first.engine,
        troubles=tuple(troubles),
    )
    return side, tuple(good), (*troubles[: len(good) < len(results)], *notes)


def counts(result: Result) -> bool:
    """Whether a run says anything of its side."""
    return result.verdict != "invalid" and not result.interrupted


def _troubles(label: str, runs: Sequence[Result]) -> list[str]:
    """Return what makes a side a failed one, a sentence each."""
    found = []
    attempts = [each for run in runs for each in run.join.attempts]
    if attempts and all(each.first_audio_s is None for each in attempts):
        steps = ", ".join(dict.fromkeys(each.failed or "unknown step" for each in attempts))
        found.append(f"{label} failed: none of its {len(attempts)} joins was heard (gave up: {steps})")
    # Only where something was heard on no run at all; one silent run of several is among the figures (lost).
    elif silent := [
        way
        for way in runs[0].measures
        if not any(way in run.mouth_to_ear and run.mouth_to_ear[way].heard for run in runs)
    ]:
        ways = " and ".join(way.replace("_", " ") for way in silent)
        found.append(f"{label} failed: nothing was heard {ways}")
    missed = [run for run in runs if run.verdict == "fail"]
    if missed:
        lines = dict.fromkeys(each.expression for run in missed for each in run.budgets if each.verdict == "missed")
        which = f": {', '.join(lines)}" if lines else ""
        found.append(f"{label} missed budgets in {len(missed)} of {len(runs)} runs{which}")
    return found


def _calls(result: Result) -> int:
    # Results of one call have none listed (``rtcprobe.result/1``).
    return max((max(len(ear.calls), 1) for ear in result.mouth_to_ear.values()), default=0)


def _older(label: str, runs: Sequence[Result]) -> list[str]:
    """Return what to know of runs of one call each, as results were before runs had several."""
    if not any(run.mouth_to_ear for run in runs) or max(map(_calls, runs)) > 1:
        return []
    if len(runs) == 1:
        return [f"{label}: one call, so its mouth-to-ear intervals are about that call, not about another run"]
    return [f"{label}: one call a run, so each run counts as one call"]


def are_pairs(a: Sequence[Result], b: Sequence[Result]) -> bool:
    """Whether both sides drew the same: virtual clock, equal seeds, joins and call alike in number and length."""
    # Seeds decide what is drawn, but for a call of another length other markers are: a script of other cues is another
    # draw.
    if {each.clock for each in (*a, *b)} != {"virtual"} or [each.seed for each in a] != [each.seed for each in b]:
        return False
    return _part(a[0], "call") == _part(b[0], "call")


def settings_apart(a: Mapping[str, Any], b: Mapping[str, Any], place: str = "") -> tuple[str, ...]:
    """Return in which keys two settings differ, as sentences (``"devices.playback is 20ms there, 35ms here"``).

    Prose and budgets do not count: they change nothing of what is measured.
    """
    found: list[str] = []
    for key in dict.fromkeys((*a, *b)):
        # At the top only: a party may be called "name", and a link has sources of its own.
        if not place and key in PROSE:
            continue
        ours, theirs = a.get(key), b.get(key)
        name = f"{place}{key}"
        # Where one side lacks a whole mapping its keys are told, "devices.playback is not set there", not two nested
        # dumps.
        if isinstance(ours, Mapping | None) and isinstance(theirs, Mapping | None) and ours != theirs:
            found += settings_apart(ours or {}, theirs or {}, f"{name}.")
        elif ours != theirs:
            found.append(f"{name} is {_shown(ours)} there, {_shown(theirs)} here")
    return tuple(found)


def _same(label: str, first: Result, other: Result) -> None:
    facts = (
        ("scenarios", first.scenario, other.scenario),
        ("clocks", first.clock, other.clock),
        ("engines", first.engine, other.engine),
        ("targets", first.target, other.target),
    )
    for what, ours, theirs in facts:
        if ours != theirs:
            raise BadInputError(f"{label} holds runs of different {what}: {ours} and {theirs}", "keep them apart")
    # Runs of one call and of eight differ in what their intervals are about; mixed, neither meaning would be true.
    if (_calls(first) > 1) != (_calls(other) > 1) and first.mouth_to_ear and other.mouth_to_ear:
        raise BadInputError(
            f"{label} holds runs of one call beside runs of several",
            "keep them apart, or take the newest alone with --last N",
        )
    # Results before settings were kept have a digest alone.
    apart = settings_apart(first.settings, other.settings)
    if apart or (first.scenario_digest != other.scenario_digest and not (first.settings and other.settings)):
        said = apart[0] if apart else f"digests {first.scenario_digest} and {other.scenario_digest}"
        raise BadInputError(
            f"{label} holds runs of {first.scenario} with different settings: {said}", "keep them apart"
        )


def _part(result: Result, name: str) -> object:
    return result.settings.get(name)


def _shown(value: object) -> str:
    return "not set" if value is None or value == {} else _written(value)


def _written(value: object) -> str:
    """Return a value as a scenario would have it, in one line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_written(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
