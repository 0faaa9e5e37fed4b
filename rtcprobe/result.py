"""What a run found: frozen records shared by probe, verdict and reports, and their JSON (``rtcprobe.result/1``).

Rules:
    1. Seconds and ratios inside; milliseconds only in ``to_dict`` / ``from_dict``. A JSON number is in milliseconds
       unless its key says another unit; shares lie in 0..1.
    2. Equal runs give equal bytes: fixed key order, numbers rounded to 10⁻⁶ ms (a picosecond-scale difference of two
       summation orders never shows), ``null`` for what is absent, never NaN. Only ``environment`` may differ.
    3. An account always balances: scheduled = heard + rejected + lost, and the phases of a join sum to its total.

``link``, ``harness``, ``playout`` and ``side_figures`` are plain mappings of words to numbers, laid down by the room
that measured them. Their keys carry their units: those in ``_s`` are written as ``_ms``, the rest pass unchanged.
``environment`` and ``settings`` pass as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, cast, get_args

from rtcprobe.errors import BadInputError, ExitCode
from rtcprobe.timeline import Side, Timer

__all__ = [
    "DIRECTIONS",
    "SCHEMA",
    "STAGES",
    "BudgetOutcome",
    "BudgetVerdict",
    "Clock",
    "Direction",
    "JoinAttempt",
    "Joins",
    "LinkReport",
    "MissedMarker",
    "MouthToEar",
    "Progress",
    "Quantile",
    "Result",
    "Retransmission",
    "Sample",
    "Summary",
    "Unit",
    "Verdict",
]

SCHEMA = "rtcprobe.result/1"

Clock = Literal["virtual", "real"]
Direction = Literal["caller_to_callee", "callee_to_caller"]
Verdict = Literal["pass", "fail", "inconclusive", "invalid"]
BudgetVerdict = Literal["met", "missed", "inconclusive"]
Unit = Literal["s", "share", "number"]
Plain = Mapping[str, Any]

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

STAGES = (
    "capture",
    "packetisation",
    "look_ahead",
    "sender_pacing",
    "network_min",
    "network_variable",
    "jitter_buffer",
    "decode",
    "device",
    "residual",
)
"""Stages of the mouth-to-ear delay in the order sound passes them; those a run did not have are left out."""

_SUM_TOLERANCE_S = 1e-3
_MS_DIGITS = 6
_PLAIN_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: ``done`` of ``total`` (``unit``: ``"joins"``, ``"s"``) of the ``step`` in hand."""

    step: str
    done: float
    total: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """One percentile with its interval: ``low``/``high`` None where the interval is open on that side.

    ``value`` None: refused, because ``needs`` samples would be needed, or because it lies among observations that
    never came (failed joins), where ``needs`` is None too.
    """

    probability: float
    value: float | None
    low: float | None = None
    high: float | None = None
    needs: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.probability < 1.0:
            raise BadInputError(f"quantile of probability {self.probability} is impossible", "give one inside 0..1")

    @property
    def name(self) -> str:
        """The everyday name: ``"p95"``."""
        return f"p{round(self.probability * 100, 6):g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What ``n`` observations say: percentiles with intervals, mean, extremes.

    ``never`` of them never came (a failed join is later than every other). ``effective_n`` is the number of
    independent observations worth as much: smaller than ``n`` where neighbours resemble each other.
    """

    n: int
    effective_n: float
    quantiles: tuple[Quantile, ...] = ()
    mean: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    never: int = 0
    confidence: float = 0.95

    def quantile(self, name: str) -> Quantile | None:
        """Return the percentile called ``"p95"``, or None where it was not asked for."""
        return next((q for q in self.quantiles if q.name == name), None)

    def to_dict(self, factor: float = 1e3) -> dict[str, Any]:
        """Return plain JSON values, each multiplied by ``factor`` (seconds to milliseconds unless told)."""
        out: dict[str, Any] = {"n": self.n, "effective_n": _number(self.effective_n), "confidence": self.confidence}
        for q in self.quantiles:
            out[q.name] = _scaled(q.value, factor)
            out[f"{q.name}_ci"] = (
                None if q.low is None and q.high is None else [_scaled(q.low, factor), _scaled(q.high, factor)]
            )
            if q.needs is not None:
                out[f"{q.name}_needs"] = q.needs
        for name, value in (("mean", self.mean), ("min", self.minimum), ("max", self.maximum)):
            out[name] = _scaled(value, factor)
        out["never"] = self.never
        return out

    @classmethod
    def from_dict(cls, data: Plain, factor: float = 1e3) -> Summary:
        """Read back what ``to_dict`` wrote."""
        quantiles = []
        for key in data:
            if key[:1] == "p" and key[1:].replace(".", "", 1).isdigit():
                low, high = data.get(f"{key}_ci") or (None, None)
                quantiles.append(
                    Quantile(
                        probability=float(key[1:]) / 100,
                        value=_unscaled(data[key], factor),
                        low=_unscaled(low, factor),
                        high=_unscaled(high, factor),
                        needs=data.get(f"{key}_needs"),
                    )
                )
        return cls(
            n=data["n"],
            effective_n=data["effective_n"],
            confidence=data["confidence"],
            quantiles=tuple(quantiles),
            mean=_unscaled(data["mean"], factor),
            minimum=_unscaled(data["min"], factor),
            maximum=_unscaled(data["max"], factor),
            never=data["never"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retransmission:
    """A timer that fired while joining: when (since the call started), what was sent again, what it cost the join."""

    timer: Timer
    side: Side
    at_s: float
    cost_s: float
    what: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "timer": self.timer,
            "side": self.side,
            "at_ms": _scaled(self.at_s),
            "cost_ms": _scaled(self.cost_s),
            "what": self.what,
        }

    @classmethod
    def from_dict(cls, data: Plain) -> Retransmission:
        """Read back what ``to_dict`` wrote."""
        return cls(
            timer=data["timer"],
            side=data["side"],
            at_s=data["at_ms"] / 1e3,
            cost_s=data["cost_ms"] / 1e3,
            what=data["what"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAttempt:
    """One join: milestones of both sides in seconds since the call started, and what delayed them.

    ``phases`` are the caller's, contiguous, and sum to ``caller["first_audio"]``; ``rtts`` is the join in round trips
    of the media path; ``failed`` names the timer or step that gave up, None for a join that was heard.

    Raises:
        BadInputError: a milestone before the call, or phases that do not sum to the total within 1 ms.
    """

    caller: Mapping[str, float]
    callee: Mapping[str, float] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    retransmissions: tuple[Retransmission, ...] = ()
    rtts: float | None = None
    failed: str | None = None

    def __post_init__(self) -> None:
        for side, milestones in (("caller", self.caller), ("callee", self.callee)):
            for name, at_s in milestones.items():
                if not (math.isfinite(at_s) and at_s >= 0.0):
                    raise BadInputError(f"{side} milestone {name} at {at_s} s is impossible", "time starts at the call")
        total_s = self.first_audio_s
        if self.phases and total_s is not None:
            summed_s = math.fsum(self.phases.values())
            if abs(summed_s - total_s) > _SUM_TOLERANCE_S:
                raise BadInputError(
                    f"join phases sum to {summed_s * 1e3:.3f} ms of {total_s * 1e3:.3f} ms", "phases are contiguous"
                )

    @property
    def first_audio_s(self) -> float | None:
        """Call started → first sample of the other side heard by the caller; None where it never was."""
        return self.caller.get("first_audio")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "caller": _scaled_mapping(self.caller),
            "callee": _scaled_mapping(self.callee),
            "phases": _scaled_mapping(self.phases),
            "retransmissions": [each.to_dict() for each in self.retransmissions],
            "rtts": _number(self.rtts),
            "failed": self.failed,
        }

    @classmethod
    def from_dict(cls, data: Plain) -> JoinAttempt:
        """Read back what ``to_dict`` wrote."""
        return cls(
            caller=_unscaled_mapping(data["caller"]),
            callee=_unscaled_mapping(data["callee"]),
            phases=_unscaled_mapping(data["phases"]),
            retransmissions=tuple(Retransmission.from_dict(each) for each in data["retransmissions"]),
            rtts=data["rtts"],
            failed=data["failed"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Joins:
    """Every join of the run, and its summaries by metric name (``"first_audio"``, a phase, ...; seconds)."""

    attempts: tuple[JoinAttempt, ...] = ()
    summary: Mapping[str, Summary] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; summary keys gain ``_ms``."""
        return {
            "attempts": [each.to_dict() for each in self.attempts],
            "summary": {f"{name}_ms": summary.to_dict() for name, summary in self.summary.items()},
        }

    @classmethod
    def from_dict(cls, data: Plain) -> Joins:
        """Read back what ``to_dict`` wrote."""
        return cls(
            attempts=tuple(JoinAttempt.from_dict(each) for each in data["attempts"]),
            summary={name.removesuffix("_ms"): Summary.from_dict(each) for name, each in data["summary"].items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One marker heard: spoken and heard in seconds since the call started, and how surely (correlation 0..1)."""

    marker: int
    spoken_s: float
    heard_s: float
    delay_s: float
    correlation: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "marker": self.marker,
            "spoken_ms": _scaled(self.spoken_s),
            "heard_ms": _scaled(self.heard_s),
            "delay_ms": _scaled(self.delay_s),
            "correlation": _number(self.correlation),
        }

    @classmethod
    def from_dict(cls, data: Plain) -> Sample:
        """Read back what ``to_dict`` wrote."""
        return cls(
            marker=data["marker"],
            spoken_s=data["spoken_ms"] / 1e3,
            heard_s=data["heard_ms"] / 1e3,
            delay_s=data["delay_ms"] / 1e3,
            correlation=data["correlation"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedMarker:
    """A marker spoken and not counted: ``"rejected"`` (heard too unsurely) or ``"lost"``."""

    marker: int
    spoken_s: float
    fate: Literal["rejected", "lost"]
    correlation: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "marker": self.marker,
            "spoken_ms": _scaled(self.spoken_s),
            "fate": self.fate,
            "correlation": _number(self.correlation),
        }

    @classmethod
    def from_dict(cls, data: Plain) -> MissedMarker:
        """Read back what ``to_dict`` wrote."""
        return cls(
            marker=data["marker"],
            spoken_s=data["spoken_ms"] / 1e3,
            fate=data["fate"],
            correlation=data["correlation"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthToEar:
    """One direction of the long call: markers spoken on one side, heard on the other.

    ``stages`` maps stage names to seconds in the order sound passes them; they sum to the measured total.
    ``playout`` holds the policy's name and its figures; ``side_figures`` what another receiver would have delivered,
    by its label.

    Raises:
        BadInputError: markers that do not add up.
    """

    scheduled: int
    heard: int
    rejected: int
    lost: int
    samples: tuple[Sample, ...] = ()
    missed: tuple[MissedMarker, ...] = ()
    stages: Mapping[str, float] = field(default_factory=dict)
    playout: Plain = field(default_factory=dict)
    side_figures: Plain = field(default_factory=dict)
    summary: Summary | None = None

    def __post_init__(self) -> None:
        if self.scheduled != self.heard + self.rejected + self.lost or len(self.samples) != self.heard:
            raise BadInputError(
                f"{self.scheduled} markers scheduled but {self.heard} heard ({len(self.samples)} with a delay), "
                f"{self.rejected} rejected and {self.lost} lost",
                "every marker has exactly one fate",
            )

    @property
    def total_s(self) -> float:
        """Sum of the stages."""
        return math.fsum(self.stages.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "scheduled": self.scheduled,
            "heard": self.heard,
            "rejected": self.rejected,
            "lost": self.lost,
            "samples": [each.to_dict() for each in self.samples],
            "missed": [each.to_dict() for each in self.missed],
            "stages": _scaled_mapping(self.stages),
            "playout": _plain(self.playout, edge=True),
            "side_figures": _plain(self.side_figures, edge=True),
            "summary": None if self.summary is None else self.summary.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Plain) -> MouthToEar:
        """Read back what ``to_dict`` wrote."""
        return cls(
            scheduled=data["scheduled"],
            heard=data["heard"],
            rejected=data["rejected"],
            lost=data["lost"],
            samples=tuple(Sample.from_dict(each) for each in data["samples"]),
            missed=tuple(MissedMarker.from_dict(each) for each in data["missed"]),
            stages=_unscaled_mapping(data["stages"]),
            playout=_inside(data["playout"]),
            side_figures=_inside(data["side_figures"]),
            summary=None if data["summary"] is None else Summary.from_dict(data["summary"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReport:
    """One direction of the media path: what was asked for and what the packets of the run really met."""

    requested: Plain
    achieved: Plain

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; keys carry their units."""
        return {"requested": _plain(self.requested, edge=True), "achieved": _plain(self.achieved, edge=True)}

    @classmethod
    def of(cls, requested: Any, achieved: Any) -> LinkReport:
        """Return the report of two dataclass records, as the link room makes them."""
        return cls(
            requested={each.name: getattr(requested, each.name) for each in fields(requested)},
            achieved={each.name: getattr(achieved, each.name) for each in fields(achieved)},
        )

    @classmethod
    def from_dict(cls, data: Plain) -> LinkReport:
        """Read back what ``to_dict`` wrote."""
        return cls(requested=_inside(data["requested"]), achieved=_inside(data["achieved"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetOutcome:
    """One budget line and what became of it; ``value`` and ``limit`` in ``unit`` (seconds, a share, a bare number)."""

    expression: str
    metric: str
    aggregate: str
    unit: Unit
    limit: float
    value: float | None
    verdict: BudgetVerdict
    low: float | None = None
    high: float | None = None
    advisory: bool = False
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: milliseconds where ``unit`` is ``"ms"``."""
        factor = 1e3 if self.unit == "s" else 1.0
        return {
            "expression": self.expression,
            "metric": self.metric,
            "aggregate": self.aggregate,
            "unit": "ms" if self.unit == "s" else self.unit,
            "limit": _scaled(self.limit, factor),
            "value": _scaled(self.value, factor),
            "value_ci": None
            if self.low is None and self.high is None
            else [_scaled(self.low, factor), _scaled(self.high, factor)],
            "verdict": self.verdict,
            "advisory": self.advisory,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: Plain) -> BudgetOutcome:
        """Read back what ``to_dict`` wrote."""
        factor = 1e3 if data["unit"] == "ms" else 1.0
        low, high = data["value_ci"] or (None, None)
        return cls(
            expression=data["expression"],
            metric=data["metric"],
            aggregate=data["aggregate"],
            unit="s" if data["unit"] == "ms" else data["unit"],
            limit=data["limit"] / factor,
            value=_unscaled(data["value"], factor),
            low=_unscaled(low, factor),
            high=_unscaled(high, factor),
            verdict=data["verdict"],
            advisory=data["advisory"],
            reason=data["reason"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A whole run. ``reasons`` say why it is not a pass; ``warnings`` what a reader should know in any case.

    ``scenario`` is its name, ``scenario_digest`` the digest of ``settings`` (the scenario as one plain mapping with
    written units, overrides included): two results compare only where the digests agree.
    """

    scenario: str
    seed: int
    clock: Clock
    target: str = "loopback"
    scenario_digest: str = ""
    settings: Plain = field(default_factory=dict)
    verdict: Verdict = "inconclusive"
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    interrupted: bool = False
    environment: Plain = field(default_factory=dict)
    join: Joins = field(default_factory=Joins)
    mouth_to_ear: Mapping[Direction, MouthToEar] = field(default_factory=dict)
    link: Mapping[Direction, LinkReport] = field(default_factory=dict)
    harness: Plain = field(default_factory=dict)
    budgets: tuple[BudgetOutcome, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The process exit code this result asks for."""
        if self.interrupted:
            return ExitCode.INTERRUPTED
        return {"pass": ExitCode.MET, "fail": ExitCode.MISSED}.get(self.verdict, ExitCode.NOT_MEASURED)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds, in a fixed order."""
        return {
            "schema": SCHEMA,
            "scenario": self.scenario,
            "scenario_digest": self.scenario_digest,
            "seed": self.seed,
            "clock": self.clock,
            "target": self.target,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
            "interrupted": self.interrupted,
            "environment": _plain(self.environment),
            "settings": _plain(self.settings),
            "join": self.join.to_dict(),
            "mouth_to_ear": {d: self.mouth_to_ear[d].to_dict() for d in DIRECTIONS if d in self.mouth_to_ear},
            "link": {d: self.link[d].to_dict() for d in DIRECTIONS if d in self.link},
            "harness": _plain(self.harness, edge=True),
            "budgets": [each.to_dict() for each in self.budgets],
        }

    @classmethod
    def from_dict(cls, data: object) -> Result:
        """Read back what ``to_dict`` wrote.

        Raises:
            BadInputError: not a result, a result of another schema version, or one with parts missing.
        """
        if not isinstance(data, Mapping) or "schema" not in data:
            raise BadInputError("this is not an rtcprobe result", f"it has no schema; {SCHEMA} is expected")
        if data["schema"] != SCHEMA:
            raise BadInputError(
                f"result schema {data['schema']!r} cannot be read", f"this version reads {SCHEMA}; measure again"
            )
        try:
            return cls(
                scenario=data["scenario"],
                scenario_digest=data["scenario_digest"],
                seed=data["seed"],
                clock=data["clock"],
                target=data["target"],
                verdict=data["verdict"],
                reasons=tuple(data["reasons"]),
                warnings=tuple(data["warnings"]),
                interrupted=data["interrupted"],
                environment=data["environment"],
                settings=data["settings"],
                join=Joins.from_dict(data["join"]),
                mouth_to_ear=_directions(data["mouth_to_ear"], MouthToEar.from_dict),
                link=_directions(data["link"], LinkReport.from_dict),
                harness=_inside(data["harness"]),
                budgets=tuple(BudgetOutcome.from_dict(each) for each in data["budgets"]),
            )
        except KeyError as error:
            raise BadInputError(f"result lacks {error.args[0]!r}", "the file is damaged; measure again") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInputError("result holds a value of the wrong kind", str(error)) from error


def _directions(data: Mapping[str, Any], read: Any) -> dict[Direction, Any]:
    for name in data:
        if name not in DIRECTIONS:
            raise BadInputError(f"result has the unknown direction {name!r}", f"they are {' and '.join(DIRECTIONS)}")
    return {cast("Direction", name): read(each) for name, each in data.items()}


def _number(value: float | None, digits: int = _PLAIN_DIGITS) -> float | None:
    """Round, and let neither NaN, infinity nor minus zero through."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0


def _scaled(value: float | None, factor: float = 1e3) -> float | None:
    return None if value is None else _number(value * factor, _MS_DIGITS if factor == 1e3 else _PLAIN_DIGITS)


def _unscaled(value: float | None, factor: float = 1e3) -> float | None:
    return None if value is None else value / factor


def _scaled_mapping(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _scaled(value) for name, value in values.items()}


def _unscaled_mapping(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value / 1e3 for name, value in values.items()}


def _plain(value: Any, *, edge: bool = False) -> Any:
    """Return JSON values only: numpy scalars become numbers, tuples lists, NaN and infinity null.

    At the ``edge`` of a measured mapping, keys in seconds are written in milliseconds.
    """
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        out = {}
        for key, each in value.items():
            if edge and str(key).endswith("_s"):
                out[f"{str(key).removesuffix('_s')}_ms"] = _times(each, 1e3)
            else:
                out[str(key)] = _plain(each, edge=edge)
        return out
    if isinstance(value, Sequence):
        return [_plain(each, edge=edge) for each in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _plain(value.tolist())
    raise BadInputError(f"{value!r} has no place in a result", "give numbers, words, lists and mappings")


def _inside(value: Any) -> Any:
    """Undo what ``_plain`` did at the edge: milliseconds back to seconds."""
    if isinstance(value, Mapping):
        return {
            f"{key.removesuffix('_ms')}_s" if key.endswith("_ms") else key: _times(each, 1e-3)
            if key.endswith("_ms")
            else _inside(each)
            for key, each in value.items()
        }
    return [_inside(each) for each in value] if isinstance(value, list) else value


def _times(value: Any, factor: float) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_times(each, factor) for each in value]
    if value is None:
        return None
    return _scaled(value) if factor > 1 else value / 1e3
