"""Regression against a stored baseline: refused, passed, failed with the part that moved, or honestly undecided.

Rules:
    1. Only like is compared with like: the same scenario (budgets and prose apart), target, clock and requested link;
       on the virtual clock the same seeds, so that every join and marker has its own counterpart.
    2. Few headline figures gate: joining p50, p95 and failed; each direction's delay p50 and p95, lost and unplayed;
       with pictures the first one's p50 and p95, each way's delay p50 and p95, lost and the share frozen; of a room
       its spread, waits, gaps and joins in time. They are corrected together, so that unchanged code fails one check in
       twenty at most. Under equal seeds unchanged code measures equal figures, and never fails.
    3. *Fail*: a figure is shown to be worse than the tolerance allows. *Pass*: under an explicit tolerance, its whole
       interval lies within it; else, nothing worse is shown, and ``detectable`` of each difference says what could have
       been. *Inconclusive*: an explicit tolerance lies inside the interval, or the figure could not be measured any
       more.
    4. Phases, timers and stages explain and never gate. The means of phases sum to the mean join, those of stages to
       the mean mouth-to-ear delay: so what they moved by adds up to the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.result import Clock, Engine, Result
from rtcprobe.units import format_duration, format_ratio, parse_duration, parse_ratio
from rtcprobe.verdict.comparison import Both, Comparison
from rtcprobe.verdict.culprits import Culprit, find_culprits, told
from rtcprobe.verdict.difference import Difference, Row, holm, settle
from rtcprobe.verdict.sides import gather, settings_apart
from rtcprobe.verdict.statistics import CONFIDENCE

__all__ = ["STATISTICAL", "Gate", "RegressionCheck", "Tolerance", "check", "parse_tolerance", "refuse"]

GateVerdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How much worse is still fine: nothing that can be shown (``"statistical"``), seconds, or a ratio of the baseline.

    It is about delays; shares (failed, lost, unplayed) are always judged statistically.
    """

    kind: Literal["statistical", "absolute", "relative"] = "statistical"
    value: float = 0.0

    def __str__(self) -> str:
        """Return it as it is written on the command line: ``"+15ms"``."""
        if self.kind == "statistical":
            return self.kind
        return f"+{format_duration(self.value) if self.kind == 'absolute' else format_ratio(self.value)}"

    def limit(self, difference: Difference) -> float:
        """Return by how much a figure may be worse, in its unit."""
        if self.kind == "statistical" or difference.unit != "s":
            return 0.0
        # Of the baseline's figure; one that has none ("never") allows nothing.
        return self.value * (1.0 if self.kind == "absolute" else difference.a.value or 0.0)


STATISTICAL = Tolerance()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One headline figure judged: ``limit`` is what it may be worse by (seconds or a share; 0 when statistical)."""

    difference: Difference
    limit: float
    verdict: GateVerdict
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        factor = 1e3 if self.difference.unit == "s" else 1.0
        return {
            "metric": self.difference.metric,
            "aggregate": self.difference.aggregate,
            "limit": self.limit * factor,
            "verdict": self.verdict,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionCheck:
    """The verdict of a check: ``reasons`` say why it is not a pass, ``culprits`` (largest first) which part moved."""

    verdict: GateVerdict
    reasons: tuple[str, ...]
    gates: tuple[Gate, ...]
    culprits: tuple[Culprit, ...]
    tolerance: Tolerance
    comparison: Comparison
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "tolerance": str(self.tolerance),
            "gates": [each.to_dict() for each in self.gates],
            "culprits": [each.to_dict() for each in self.culprits],
            "comparison": self.comparison.to_dict(),
            "notes": list(self.notes),
        }


def parse_tolerance(text: object) -> Tolerance:
    """Return the tolerance ``"statistical"``, ``"+15ms"`` or ``"+5%"``.

    Raises:
        BadInputError: none of these.
    """
    cure = "write statistical, +15ms or +5%"
    word = str(text).strip()
    if word == "statistical":
        return STATISTICAL
    try:
        # tolerance = "statistical" / "+" ( duration / ratio )     the sign is asked for: it is how much *worse* is fine
        relative = word.endswith("%")
        value = parse_ratio(word) if relative else parse_duration(word)
    except BadInputError as error:
        raise BadInputError(f"tolerance {word!r} cannot be read", cure) from error
    if not word.startswith("+") or value <= 0.0:
        raise BadInputError(f"tolerance {word!r} is not above zero, with a plus", cure)
    return Tolerance(kind="relative" if relative else "absolute", value=value)


def refuse(
    baseline: Sequence[Result],
    *,
    scenario: str,
    scenario_digest: str,
    seeds: Iterable[int],
    clock: Clock,
    engine: Engine = "stack",
    target: str = "loopback",
    settings: Mapping[str, Any] | None = None,
    fresh_seeds: bool = False,
) -> None:
    """Refuse, before anything is measured, a baseline that such a run could not be checked against.

    ``settings`` of the scenario (``Result.settings``) let the refusal say what differs, and let budgets differ.

    Raises:
        BadInputError: another scenario, clock, engine or target, other seeds (virtual clock), or nothing usable in it.
    """
    side, runs, _ = gather("the baseline", baseline)
    anew = "measure the baseline anew, or give the one that belongs to this run"
    # Names before digests: "another scenario" is a better answer than two digests that differ.
    for what, theirs, ours in (
        ("scenario", side.scenario, scenario),
        ("target", side.target, target),
        ("clock", side.clock, clock),
        ("engine", side.engine, engine),
    ):
        if theirs != ours:
            raise BadInputError(f"the baseline is of {what} {theirs}, this run of {ours}", anew)
    if side.scenario_digest != scenario_digest:
        apart = settings_apart(runs[0].settings, settings or {})
        # Older versions' digests held the name, too: where both settings are known, only what differs in them counts.
        if apart or not settings:
            said = apart[0] if settings and apart else f"digest {side.scenario_digest} there, {scenario_digest} here"
            more = f" (and {len(apart) - 1} more)" if settings and len(apart) > 1 else ""
            raise BadInputError(f"the baseline measured another {scenario}: {said}{more}", anew)
    # On the real clock a seed decides nothing that the network does: other seeds are no other situation.
    wanted = tuple(sorted(set(seeds)))
    if clock == "virtual" and not fresh_seeds and wanted != side.seeds:
        raise BadInputError(
            f"the baseline has {_seeds(side.seeds)}, this run {_seeds(wanted)}",
            "give this run the baseline's seeds, or measure the baseline anew",
        )


def check(
    baseline: Sequence[Result],
    current: Sequence[Result],
    tolerance: Tolerance = STATISTICAL,
    *,
    confidence: float = CONFIDENCE,
    fresh_seeds: bool = False,
) -> RegressionCheck:
    """Return whether ``current`` got worse than ``baseline``.

    On the virtual clock both must hold the same seeds, and are compared pair by pair; ``fresh_seeds`` is the other
    policy: each side has seeds of its own, and runs are compared as independent.

    Raises:
        BadInputError: the two do not compare; see ``refuse``.
        MeasurementError: no run of ``current`` counts: all are invalid or interrupted.
    """
    # Before ``gather`` refuses the same: there it would be bad input (exit code 2), here the measurement failed (3).
    if current and all(each.verdict == "invalid" or each.interrupted for each in current):
        why = next((reason for each in current for reason in each.reasons), "")
        raise MeasurementError("no run to check counts: invalid or interrupted", why)
    both = Both.of("the baseline", baseline, "this run", current)
    # Once more, of results that exist: ``refuse`` was asked before the run, ``check`` may be called with files alone.
    first = both.pair.b[0]
    refuse(
        both.pair.a,
        scenario=first.scenario,
        scenario_digest=first.scenario_digest,
        seeds=both.b.seeds,
        clock=first.clock,
        engine=first.engine,
        target=first.target,
        settings=first.settings,
        fresh_seeds=fresh_seeds,
    )
    _refuse_other_link(both.pair.a[0], first)
    families = both.rows()
    comparison = both.settled(iter(settle(families, confidence)), confidence)
    gates, unjudged = _gates(families[0], comparison.differences, tolerance, confidence)
    verdict, reasons = _verdict(gates, both.pair.b)
    failed = [each.difference for each in gates if each.verdict == "fail"]
    return RegressionCheck(
        verdict=verdict,
        reasons=reasons,
        gates=gates,
        culprits=find_culprits(failed, comparison, both.pair),
        tolerance=tolerance,
        comparison=comparison,
        notes=(*comparison.notes, *unjudged, *_other_environment(both.pair.a[0], first)),
    )


def _gates(
    rows: Sequence[Row], differences: Sequence[Difference], tolerance: Tolerance, confidence: float
) -> tuple[tuple[Gate, ...], list[str]]:
    """Return the figures that gate, judged; and notes on those that the baseline does not hold."""
    gates, notes = [], []
    judged = [(row, seen) for row, seen in zip(rows, differences, strict=True) if seen.headline]
    limits = {seen.name: tolerance.limit(seen) for _, seen in judged}
    known = [(row, seen) for row, seen in judged if row.in_family]
    beyond: dict[str, bool] = {}
    # A tolerance asks its own question, "worse than that", and its p-values are Holm's over the family, as those of 0
    # are.
    for rare in (False, True):
        family = [(row, seen) for row, seen in known if seen.rare == rare]
        chances = holm([_chance(row, limits[seen.name]) for row, seen in family])
        beyond |= {seen.name: chance <= 1.0 - confidence for (_, seen), chance in zip(family, chances, strict=True)}
    for row, seen in judged:
        limit = limits[seen.name]
        if not seen.measured:
            # What only the baseline lacks may be new (a budgeted picture, another version's figure) and cannot have got
            # worse; what only this run lacks may be the very fault looked for.
            if seen.a.value is None:
                notes.append(f"{seen.name} does not gate, the baseline does not hold it: {seen.note}")
            else:
                reason = f"{seen.name} was measured in the baseline, not now: {seen.note}"
                gates.append(Gate(difference=seen, limit=limit, verdict="inconclusive", reason=reason))
            continue
        if row.withheld:
            notes.append(f"{seen.name} does not gate: {seen.note}")
            continue
        if limit == 0.0:
            fails = seen.verdict == "worse"
            over = False
        else:
            fails = beyond.get(seen.name, False)
            # Rule 3: an explicit tolerance has to hold the whole interval; an open end reaches everywhere.
            over = not fails and (seen.high is None or seen.high > limit)
        verdict: GateVerdict = "fail" if fails else "inconclusive" if over else "pass"
        gates.append(
            Gate(difference=seen, limit=limit, verdict=verdict, reason=_reason(seen, limit, tolerance, verdict))
        )
    return tuple(gates), notes


def _chance(row: Row, limit: float) -> float:
    """Return how likely a change this large is if the truth were exactly what the tolerance allows."""
    assert row.spread is not None
    # Two-sided, though only worse counts: a tolerance of 0 and none at all then judge alike.
    return min(1.0, 2.0 * row.spread.tails(limit)[0])


def _reason(seen: Difference, limit: float, tolerance: Tolerance, verdict: GateVerdict) -> str:
    if verdict == "pass":
        return ""
    if verdict == "fail":
        return f"{seen.name} {told(seen)}{f', more than {tolerance} allows' if limit else ''}"
    return f"{seen.name} {told(seen)}: the tolerance {tolerance} lies inside the interval; more runs would tell"


def _verdict(gates: Sequence[Gate], current: Sequence[Result]) -> tuple[GateVerdict, tuple[str, ...]]:
    # None heard is no slow join: the far side was not there, and nothing is said about it.
    attempts = [each for run in current for each in run.join.attempts]
    if attempts and all(each.first_audio_s is None for each in attempts):
        steps = ", ".join(dict.fromkeys(each.failed or "unknown step" for each in attempts))
        return "inconclusive", (f"none of {len(attempts)} joins was heard (gave up: {steps})",)
    if not gates:
        return "inconclusive", ("nothing could be compared: the baseline holds no figure that gates",)
    failed = tuple(each.reason for each in gates if each.verdict == "fail")
    unsure = tuple(each.reason for each in gates if each.verdict == "inconclusive")
    return ("fail" if failed else "inconclusive" if unsure else "pass"), (*failed, *unsure)


def _refuse_other_link(baseline: Result, current: Result) -> None:
    for direction, report in current.link.items():
        there = baseline.link.get(direction)
        if there is None:
            continue
        # Settings name the file of a trace, not what is in it: what it asked of the link tells whether it is the same.
        # Relative to the larger of the two, as both went through JSON.
        for name, ours in asdict(report.requested).items():
            theirs = getattr(there.requested, name)
            if (
                isinstance(ours, (int, float))
                and isinstance(theirs, (int, float))
                and abs(ours - theirs) > 1e-6 * max(abs(ours), abs(theirs))
            ):
                raise BadInputError(
                    f"the baseline's link was another, {direction.words}: {name} is {theirs:g} there, {ours:g} here",
                    "measure the baseline anew",
                )


_WHEN_AND_WHERE = frozenset({"date", "host", "commit"})
"""What every later run differs in; the rest of an environment is the software it was measured with."""


def _other_environment(baseline: Result, current: Result) -> list[str]:
    there, here = (
        {key: said for key, said in each.environment.items() if key not in _WHEN_AND_WHERE}
        for each in (baseline, current)
    )
    apart = settings_apart(there, here)
    # Four at most: a whole lock file would bury the verdict.
    return [f"measured with other software: {'; '.join(apart[:4])}"] if apart else []


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
