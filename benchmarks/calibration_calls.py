"""Intervals and false alarms of simulated calls (``calibration.py``): runs drawn from a pool, and short runs split."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from calibration_runs import ALARMS_AT_MOST, Floats, Line, Piece, composed, hash_of

import rtcprobe
from rtcprobe import Scenario, find_scenario, run_probe
from rtcprobe.result import Account, Join, Joins, Result, Summary
from rtcprobe.verdict import check, evaluate, judge, parse_budget
from rtcprobe.verdict.figures import named
from rtcprobe.ways import BOTH_WAYS, Way

SCENARIOS = ("1v1-social", "1v1-long-haul", "spoken-practice", "video-support", "voice-room-pair")
COVERED_RUNS = (0.92, 0.98)
POOL_RUNS, POOL_CALLS, POOL_JOINS = 10, 20, 30
"""Simulated runs of a scenario, and calls and joins of each: the whole world that runs are drawn from."""
POOL_SEED = 70_001
WIDEST_P50_S = 0.020
DECIDED_AT_LEAST = 0.95
_PACKAGE = Path(rtcprobe.__file__).parent
_JUDGING = ("verdict", "report", "cli", "exporter")
"""Rooms that make no call: the pool outlives changes to them."""


def pool_key(first_seed: int) -> str:
    """Return what the pool depends on: the code and scenarios that make calls."""
    seen = hashlib.sha256(f"{POOL_RUNS} {POOL_CALLS} {POOL_JOINS} {first_seed}".encode())
    for path in sorted((*_PACKAGE.rglob("*.py"), *_PACKAGE.rglob("*.yaml"))):
        if path.relative_to(_PACKAGE).parts[0] not in _JUDGING:
            seen.update(path.read_bytes())
    for name in SCENARIOS:
        seen.update(find_scenario(name).digest.encode())
    return seen.hexdigest()[:16]


def pool_run(case: tuple[str, int]) -> dict[str, Any]:
    """Return one long run of a scenario as JSON has it."""
    name, seed = case
    plan = find_scenario(name, (f"call.calls={POOL_CALLS}", f"call.joins={POOL_JOINS}"))
    return dict(run_probe(plan, seed=seed, clock="virtual").to_dict())


@dataclass(frozen=True, slots=True)
class Pool:
    """Every simulated call and join of a scenario."""

    name: str
    joins: tuple[float, ...]
    ways: Mapping[Way, tuple[Piece, ...]]

    @classmethod
    def of(cls, name: str, results: Sequence[Result]) -> Pool:
        """Return what long runs hold."""
        ways: dict[Way, tuple[Piece, ...]] = {}
        for direction in BOTH_WAYS:
            ways[direction] = tuple(piece for each in results for piece in pieces(each.mouth_to_ear[direction]))
        joins = [a.first_audio_s for each in results for a in each.join.attempts]
        return cls(name, tuple(math.inf if each is None else each for each in joins), ways)


def pieces(ear: Account) -> Iterable[Piece]:
    """Yield the calls of an account."""
    for call in ear.calls:
        yield Piece(
            delays=tuple(each.delay_s for each in ear.samples if each.call == call.call),
            scheduled=call.scheduled,
            unplayed=call.unplayed or 0.0,
            sent=round((0 if ear.protection is None else ear.protection.sent) / len(ear.calls)),
            r=call.r,
            burst_ratio=(None if ear.quality is None else ear.quality.burst_ratio) or 1.0,
            stages=tuple(call.stages.items()),
        )


def pools(executor: ProcessPoolExecutor, first_seed: int) -> list[Pool]:
    """Return the pool of every scenario, simulated or as it was kept."""
    kept = Path(tempfile.gettempdir()) / f"rtcprobe-calls-{pool_key(first_seed)}.json"
    if kept.exists():
        plain = json.loads(kept.read_text())
    else:
        cases = [(name, seed) for name in SCENARIOS for seed in range(first_seed, first_seed + POOL_RUNS)]
        made = list(executor.map(pool_run, cases))
        plain = {name: made[i * POOL_RUNS : (i + 1) * POOL_RUNS] for i, name in enumerate(SCENARIOS)}
        kept.write_text(json.dumps(plain))
    return [Pool.of(name, [Result.from_dict(each) for each in runs]) for name, runs in plain.items()]


def drawn(pool: Pool, plan: Scenario, rng: np.random.Generator) -> Result:
    """Return a run of the scenario's own numbers of calls and joins, drawn from the pool and judged."""
    ears = []
    for direction, every in pool.ways.items():
        ears.append(composed([every[i] for i in rng.integers(len(every), size=plan.call.calls)], direction))
    times = [pool.joins[i] for i in rng.integers(len(pool.joins), size=plan.call.joins)]
    attempts = tuple(
        Join(party="caller", round=number, marks={"first_audio": each})
        if math.isfinite(each)
        else Join(party="caller", round=number, marks={}, failed="ice")
        for number, each in enumerate(times)
    )
    run = Result(scenario=pool.name, seed=0, clock="virtual", join=Joins(attempts=attempts), accounts=tuple(ears))
    return judge(run, plan.budgets)


def another_run(case: tuple[Pool, int]) -> list[Line]:
    """Return how often the intervals of ``runs`` runs hold what the whole pool gives, and how wide they are."""
    pool, runs = case
    plan = find_scenario(pool.name)
    rng = np.random.default_rng(hash_of(pool.name))
    seen = [drawn(pool, plan, rng) for _ in range(runs)]
    lines = [_held("join.first_audio p50", 0.5, np.array(pool.joins), [r.join.summary["first_audio"] for r in seen])]
    for direction, every in pool.ways.items():
        delays = np.concatenate([each.delays for each in every])
        summaries = [summary for run in seen if (summary := run.mouth_to_ear[direction].summary) is not None]
        for p in (0.5, 0.95):
            line = _held(f"mouth_to_ear.{direction} {named(p)}", p, delays, summaries)
            if pool.name == "1v1-social" and p == 0.5:
                wide = float(np.median([_width(each, named(p)) for each in summaries]))
                line = Line(line.text, line.kept and wide <= WIDEST_P50_S)
            lines.append(line)
        r = float(np.mean([each.r for each in every if each.r is not None]))
        lines.append(_mean_held(f"mouth_to_ear.{direction}.r", r, seen))
        unplayed = float(np.average([each.unplayed for each in every], weights=[each.sent for each in every]))
        lines.append(_mean_held(f"mouth_to_ear.{direction}.unplayed", unplayed, seen))
    budget = next(each for each in plan.budgets if each.metric == "mouth_to_ear" and not each.advisory)
    decided = float(np.mean([evaluate(budget, run).verdict in ("met", "missed") for run in seen]))
    needed = DECIDED_AT_LEAST if pool.name == "1v1-social" else 0.0
    lines.append(Line(f"{budget.expression} is decided in {decided:.1%} of runs", decided >= needed))
    return [Line(f"{pool.name:<16} {each.text}", each.kept) for each in lines]


def _held(name: str, p: float, pooled: Floats, summaries: Sequence[Summary]) -> Line:
    truth = float(np.quantile(pooled, p))
    ends = [(q.low, q.high) for each in summaries if (q := each.quantile(named(p))) is not None]
    held = sum((low is None or low <= truth) and (high is None or truth <= high) for low, high in ends) / len(ends)
    pointed = sum(low is not None and low == high for low, high in ends)
    wide = float(np.median([_width(each, named(p)) for each in summaries]))
    text = f"{name:<38} holds {held:6.1%}   median width {wide * 1e3:7.1f} ms   without width {pointed}"
    return Line(text, COVERED_RUNS[0] <= held <= COVERED_RUNS[1] and not pointed)


def _mean_held(metric: str, truth: float, runs: Sequence[Result]) -> Line:
    """Return how often the interval of a mean (of a share, of a rating) holds the ``truth``."""
    at_least = parse_budget(f"{metric} mean >= 0{'%' if metric.endswith('unplayed') else ''}")
    found = [evaluate(at_least, run) for run in runs]
    ends = [(each.low, each.high) for each in found if each.low is not None and each.high is not None]
    held = sum(low <= truth <= high for low, high in ends) / len(found)
    wide = float(np.median([high - low for low, high in ends]))
    return Line(f"{metric:<38} holds {held:6.1%}   median width {wide:7.3g}", held >= COVERED_RUNS[0])


def _width(summary: Summary, name: str) -> float:
    found = summary.quantile(name)
    return math.inf if found is None or found.low is None or found.high is None else found.high - found.low


# Real runs


def real_run(seed: int) -> dict[str, Any]:
    """Return a short virtual run, as JSON has it (results do not travel between processes)."""
    settings = ("call.calls=1", "call.duration=15s", "call.joins=20")
    return dict(run_probe(find_scenario("1v1-social", settings), seed=seed, clock="virtual").to_dict())


def real_alarms(results: Sequence[Result], size: int, splits: int) -> Line:
    """Return how often ``size`` runs were called worse than ``size`` others of the same build."""
    rng = np.random.default_rng(size)
    failed = 0
    for _ in range(splits):
        drawn = [results[i] for i in rng.permutation(len(results))[: 2 * size]]
        failed += check(drawn[:size], drawn[size:], fresh_seeds=True).verdict == "fail"
    share = failed / splits
    said = f"{len(results)} virtual runs, {size} against {size} other seeds, {splits} draws   alarms {share:6.1%}"
    return Line(said, share <= ALARMS_AT_MOST)
