"""``/probe?target=…&scenario=…``: one run for one scrape, as the blackbox exporter does it.

Facts:
    Prometheus says in ``X-Prometheus-Scrape-Timeout-Seconds`` how long it waits. An answer that comes later is lost
    whole, so the run is ended ``OFFSET_S`` before (blackbox_exporter's ``--timeout-offset``).

Rules:
    1. Each answer has a registry of its own. What was not reached is absent; ``probe_success`` says 0.
    2. A run that failed is an answer (200); what may not or cannot be run now is a refusal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from rtcprobe.exporter.config import ProbePlan
from rtcprobe.exporter.fleet import Fleet
from rtcprobe.exporter.instruments import CONTENT_TYPES, Format, Instruments, expose, negotiate
from rtcprobe.exporter.outcome import Outcome, events_of, probe_labels, set_last_run, set_up
from rtcprobe.exporter.promises import run_said
from rtcprobe.report.terminal import screen
from rtcprobe.secrets import scrub

__all__ = ["Answer", "Refusal", "answer_probe"]

# As the blackbox exporter's default: what encoding, network and the scraper's own clock take of the time.
OFFSET_S: Final = 0.5
# Less would not be enough for one call of anything.
LEAST_S: Final = 1.0
_PARAMETERS: Final = ("target", "scenario", "debug")
_TIMEOUT_HEADER: Final = "x-prometheus-scrape-timeout-seconds"


class Refusal(Exception):  # noqa: N818 - a refusal is an answer
    """Why nothing is run, with its HTTP ``status``."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back."""

    body: bytes
    content_type: str


async def answer_probe(fleet: Fleet, query: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> Answer:
    """Make the run that ``query`` asks for and return what it measured.

    Raises:
        Refusal: it asks for what the configuration does not allow, or for too much at once.
    """
    asked = _asked(query)
    plan = _allowed(fleet, asked)
    outcome = await fleet.run_on_demand(plan, _patience_s(headers, plan.timeout_s))
    if outcome is None:
        raise Refusal(503, "no worker is free for this: ask again, or raise on_demand.concurrency or concurrency")
    form = negotiate(headers.get("accept", ""))
    # The same run and the same figures, said to a person, as the blackbox exporter's debug=true does.
    if asked.get("debug") == "true":
        return Answer(body=scrub(_explained(plan, outcome)).encode(), content_type="text/plain; charset=utf-8")
    return Answer(body=_exposition(plan, outcome, form), content_type=CONTENT_TYPES[form])


def _asked(query: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    asked: dict[str, str] = {}
    for name, value in query:
        if name not in _PARAMETERS:
            raise Refusal(400, f"parameter {name[:40]!r} is not known: use {', '.join(_PARAMETERS)}")
        if name in asked:
            raise Refusal(400, f"parameter {name} is given twice: leave one out")
        asked[name] = value
    if asked.get("debug", "false") not in ("true", "false"):
        raise Refusal(400, f"debug {asked['debug'][:40]!r} is not known: use true or false")
    return asked


def _allowed(fleet: Fleet, asked: Mapping[str, str]) -> ProbePlan:
    plans = fleet.config.on_demand.plans
    if not plans:
        raise Refusal(403, "nothing may be probed on demand: the configuration has no on_demand")
    scenarios = list(dict.fromkeys(scenario for scenario, _ in plans))
    targets = list(dict.fromkeys(target for _, target in plans))
    chosen = []
    for name, known in (("scenario", scenarios), ("target", targets)):
        # With one scenario or one target allowed it need not be named.
        value = asked.get(name) or (known[0] if len(known) == 1 else "")
        if not value:
            raise Refusal(400, f"{name} is missing: the configuration allows several")
        if value not in known:
            raise Refusal(403, f"{name} is not one of those that the configuration allows on demand")
        chosen.append(value)
    return plans[chosen[0], chosen[1]]


def _patience_s(headers: Mapping[str, str], timeout_s: float) -> float:
    """Return how long the asker waits, less the time an answer needs; the plan's timeout where it does not say."""
    written = headers.get(_TIMEOUT_HEADER)
    if written is None:
        return timeout_s
    try:
        patience_s = float(written)
    except ValueError:
        patience_s = math.nan
    if not 0.0 < patience_s < math.inf:
        raise Refusal(400, f"X-Prometheus-Scrape-Timeout-Seconds {written[:40]!r} is no time: give seconds, like 10")
    if patience_s - OFFSET_S < LEAST_S:
        fact = f"a scrape timeout of {patience_s:g} s leaves no time for a call"
        raise Refusal(400, f"{fact}: give {OFFSET_S + LEAST_S:g} s or more")
    return min(timeout_s, patience_s - OFFSET_S)


def _exposition(plan: ProbePlan, outcome: Outcome, form: Format) -> bytes:
    instruments = Instruments(("run",), probe_labels(plan.name, plan.scenario, plan.target))
    set_up(instruments, plan.scenario, plan.job.clock)
    set_last_run(instruments, outcome, plan.objectives)
    # These two by the client library: they are not ours but the blackbox exporter's, so that its alerts hold here too.
    registry = CollectorRegistry()
    passed = float(outcome.verdict == "pass")
    Gauge("probe_success", "Whether the verdict of the run is pass.", registry=registry).set(passed)
    took = Gauge("probe_duration_seconds", "How long the run took.", unit="seconds", registry=registry)
    took.set(outcome.duration_s)
    return expose([instruments], form, [registry])


def _explained(plan: ProbePlan, outcome: Outcome) -> str:
    lines = [
        f"scenario {plan.scenario.name}, target {plan.target}, {plan.job.clock} clock, seed {outcome.seed}",
        f"waited {outcome.waited_s:.2f} s for a worker, took {outcome.duration_s:.2f} s",
        "",
    ]
    if outcome.result is None:
        lines += [f"no result ({outcome.failure}): {outcome.sentence}"]
    else:
        lines += [line.plain.rstrip() for line in screen(outcome.result)]
        lines += ["", *(f"reason: {each}" for each in outcome.result.reasons)]
        for slo, (events, bad) in events_of(outcome, plan.objectives).items():
            lines.append(f"objective: {run_said(slo, plan.objectives[slo], events, bad)}")
    return "\n".join([*lines, "", "metrics:", "", _exposition(plan, outcome, "text").decode()])
