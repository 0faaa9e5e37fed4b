"""``probes.yaml``: what serve runs and when, what ``/probe`` may call, where reports are kept.

Everything is judged when it is read, scenarios and targets too: a configuration is refused whole, in one sentence,
and the one before goes on. Files are seen from the configuration's folder.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.probe.beforehand import check_target
from rtcprobe.probe.job import Job
from rtcprobe.result import Clock
from rtcprobe.scenario import Scenario, library
from rtcprobe.secrets import scrub
from rtcprobe.strictyaml import load_yaml
from rtcprobe.textfiles import read_text
from rtcprobe.units import format_duration, format_ratio, parse_bytes, parse_duration, parse_ratio

__all__ = [
    "OBJECTIVES",
    "Objective",
    "OnDemand",
    "ProbePlan",
    "Reports",
    "ServeConfig",
    "described",
    "parse_config",
    "read_config",
]

# name = ( letter / digit ) 0*63( letter / digit / "." / "_" / "-" ) ; small letters
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NAME_CURE: Final = "use small letters and digits, and . _ - after the first, 64 at most"
# At some 500 series a probe (``instruments``) these are 100,000 in one scrape: beyond, another serve parts them.
MOST_PROBES: Final = 200
# Processes at once: each holds up to ``workers.MOST_RESIDENT_BYTES``.
MOST_CONCURRENCY: Final = 64
# A short run and its report take 0.3 s of a warm worker (``workers``): below a second a slower machine would miss
# starts.
SHORTEST_INTERVAL_S: Final = 1.0
# Of an interval, a jitter or a timeout: longer than a week is a slip of the unit, and no alert's window reaches as far.
LONGEST_S: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A promise to users: ``share`` of all joins, or markers, within ``limit_s``; alerts burn on it."""

    limit_s: float
    share: float


OBJECTIVES: Final[Mapping[str, Objective]] = {
    "join": Objective(limit_s=0.6, share=0.95),
    "mouth_to_ear": Objective(limit_s=0.15, share=0.95),
}
"""What is promised where nothing is written: 600 ms to join, and ITU-T G.114's 150 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """One probe: what it runs, and when. ``target`` is what its results call it."""

    name: str
    job: Job
    scenario: Scenario
    target: str
    interval_s: float
    jitter_s: float
    timeout_s: float
    objectives: Mapping[str, Objective] = field(default_factory=lambda: OBJECTIVES)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemand:
    """What ``/probe`` may run: jobs by (scenario, target) as they are asked for; how many at once; for how long."""

    plans: Mapping[tuple[str, str], ProbePlan] = field(default_factory=dict)
    concurrency: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Where HTML reports are kept (None: nowhere), and how much: bytes in all, newest of each probe."""

    folder: Path | None = None
    limit_bytes: int = 200_000_000
    keep: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeConfig:
    """A configuration, understood."""

    probes: tuple[ProbePlan, ...]
    on_demand: OnDemand = field(default_factory=OnDemand)
    reports: Reports = field(default_factory=Reports)
    concurrency: int = 1


def described(plan: ProbePlan) -> str:
    """Return what a probe is in one line: what it runs, how often, and what users are promised."""
    promises = [
        f"{name.replace('_', ' ')} {format_ratio(each.share)} within {format_duration(each.limit_s)}"
        for name, each in plan.objectives.items()
    ]
    times = f"every {format_duration(plan.interval_s)}, at most {format_duration(plan.timeout_s)} a run"
    said = (plan.scenario.name, plan.target, f"{plan.job.clock} clock", times, *promises)
    return f"{plan.name}: {', '.join(said)}"


def read_config(path: Path) -> ServeConfig:
    """Return the configuration in the file at ``path``.

    Raises:
        BadInputError: the file cannot be read, or says something that cannot be meant.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInputError(f"configuration {path} cannot be read", f"{reason}") from error
    return parse_config(text, called=str(path), folder=path.parent)


def parse_config(text: str, *, called: str = "configuration", folder: Path | None = None) -> ServeConfig:
    """Return the configuration that the YAML ``text`` writes; see ``read_config``."""
    try:
        written = load_yaml(text)
        keys = _Keys(written, "", ("probes", "defaults", "concurrency", "on_demand", "reports"))
        defaults = _Keys(keys.get("defaults", {}), "defaults", _PROBE_DEFAULTS)
        here = folder or Path()
        probes = tuple(
            _probe(each, f"probes[{number}]", defaults, here) for number, each in enumerate(keys.list("probes"), 1)
        )
        _no_twins(probes)
        config = ServeConfig(
            probes=probes,
            on_demand=_on_demand(keys, defaults, here),
            reports=_reports(keys, here),
            concurrency=keys.whole("concurrency", 1, MOST_CONCURRENCY),
        )
    except BadInputError as error:
        # A target may carry a token in its URL, and this sentence goes to logs and to whoever may reload.
        raise BadInputError(scrub(error.message), scrub(error.hint)).within(called) from error
    if not config.probes and not config.on_demand.plans:
        raise BadInputError(f"{called}: there is nothing to run", "name at least one of probes or on_demand")
    return config


_PROBE_DEFAULTS = ("interval", "jitter", "timeout", "clock", "set", "objectives")


def _probe(written: object, place: str, defaults: _Keys, folder: Path) -> ProbePlan:
    keys = _Keys(written, place, ("name", "scenario", "target", *_PROBE_DEFAULTS))
    name = keys.text("name")
    if not _NAME.fullmatch(name):
        raise BadInputError(f"{place}.name {name!r} is impossible", _NAME_CURE)
    # From here on it is told by name: "probes[7]" is nothing that anybody looks for in a file.
    keys = keys.called(f"probe {name}")
    interval_s = keys.seconds("interval", defaults, "60s", SHORTEST_INTERVAL_S)
    longest = format_duration(interval_s)
    jitter_s = keys.seconds("jitter", defaults, format_duration(interval_s / 10), 0.0)
    timeout_s = keys.seconds("timeout", defaults, "5min", 1.0)
    if jitter_s > interval_s:
        fact = f"{keys.place}: jitter {format_duration(jitter_s)} is longer than the interval of {longest}"
        raise BadInputError(fact, "give less")
    return _plan(keys, name, (interval_s, jitter_s, timeout_s), defaults, folder)


def _plan(keys: _Keys, name: str, times_s: tuple[float, float, float], defaults: _Keys, folder: Path) -> ProbePlan:
    settings = {**defaults.mapping("set"), **keys.mapping("set")}
    target = keys.get("target", None)
    if target is not None:
        if "target" in settings:
            raise BadInputError(f"{keys.place}: target and set.target are given together", "leave one out")
        settings["target"] = target
    # What is whole comes before its parts, wherever they stand: a target replaced later would lose its token.
    ordered = sorted(settings.items(), key=lambda each: str(each[0]).count("."))
    job = Job(
        scenario=_scenario_place(keys.text("scenario"), folder),
        settings=tuple(f"{key}={json.dumps(value)}" for key, value in ordered),
    )
    try:
        # Planned here, in the server, that a probe which cannot run is refused when it is read and not at its first
        # start. What is run is planned once more, in the worker: a Job is plain, a Scenario stays here.
        scenario = job.plan()
        outside = not scenario.target.ours
        clock = keys.choice("clock", defaults, ("virtual", "real"), "real" if outside else "virtual")
    except BadInputError as error:
        raise error if error.message.startswith(keys.place) else error.within(keys.place) from error
    # Two answers to one question: what nobody asked for is chosen (real), what was asked for and cannot be is refused.
    if outside and clock == "virtual":
        raise BadInputError(f"{keys.place}: time passes at an outside target", "write clock: real, or leave it out")
    job = dataclasses.replace(job, clock=cast("Clock", clock))
    try:
        called = check_target(scenario, job.clock).name
    except BadInputError as error:
        raise error.within(keys.place) from error
    interval_s, jitter_s, timeout_s = times_s
    return ProbePlan(
        name=name,
        job=job,
        scenario=scenario,
        target=called,
        interval_s=interval_s,
        jitter_s=jitter_s,
        timeout_s=timeout_s,
        objectives={**_objectives(defaults), **_objectives(keys)},
    )


def _objectives(keys: _Keys) -> Mapping[str, Objective]:
    below = keys.below("objectives", tuple(OBJECTIVES))
    out: dict[str, Objective] = dict(OBJECTIVES) if keys.place == "defaults" else {}
    for name in below.written:
        one = below.below(name, ("limit", "share"))
        # What an objective leaves out is the built-in one's, not the default's of this file: limit and share are one
        # promise.
        limit_s = one.seconds("limit", one, format_duration(OBJECTIVES[name].limit_s), 1e-3)
        out[name] = Objective(limit_s=limit_s, share=one.share("share", OBJECTIVES[name].share))
    return out


def _on_demand(keys: _Keys, defaults: _Keys, folder: Path) -> OnDemand:
    if "on_demand" not in keys.written:
        return OnDemand()
    below = _Keys(
        keys.get("on_demand", {}), "on_demand", ("scenarios", "targets", "concurrency", "timeout", "clock", "set")
    )
    timeout_s = below.seconds("timeout", defaults, "60s", 1.0)
    plans: dict[tuple[str, str], ProbePlan] = {}
    for scenario in below.list("scenarios"):
        # Every pair is planned now: what ``/probe`` may be asked for is known to run before anybody asks.
        for target in below.list("targets", ["loopback"]):
            one = _Keys({**below.written, "scenario": scenario, "target": target}, "on_demand", None)
            plan = _plan(one, Path(one.text("scenario")).stem, (0.0, 0.0, timeout_s), defaults, folder)
            plans[one.text("scenario"), one.text("target")] = plan
    return OnDemand(plans=plans, concurrency=below.whole("concurrency", 1, MOST_CONCURRENCY))


def _reports(keys: _Keys, folder: Path) -> Reports:
    if "reports" not in keys.written:
        return Reports()
    below = _Keys(keys.get("reports", {}), "reports", ("folder", "limit", "keep"))
    limit = below.get("limit", "200MB")
    try:
        limit_bytes = parse_bytes(limit)
    except BadInputError as error:
        raise error.within("reports.limit") from error
    if limit_bytes <= 0:
        raise BadInputError(f"reports.limit {limit!r} is impossible", "give above 0MB, or leave reports out")
    return Reports(folder=folder / below.text("folder"), limit_bytes=limit_bytes, keep=below.whole("keep", 20, 10_000))


def _scenario_place(name: str, folder: Path) -> str:
    """Return a name of the library as it is, and a file's path seen from the configuration's ``folder``."""
    # The library's names win over files; what ends like a file is one, seen from the configuration's folder.
    return name if name in library() else str(folder / name) if name.endswith((".yaml", ".yml")) else name


def _no_twins(probes: Sequence[ProbePlan]) -> None:
    names = [each.name for each in probes]
    twin = next((name for name in names if names.count(name) > 1), None)
    if twin is not None:
        raise BadInputError(f"two probes are named {twin}", "names tell their metrics apart: rename one")
    if len(probes) > MOST_PROBES:
        raise BadInputError(f"{len(probes)} probes are too many", f"give {MOST_PROBES} at most, and run another serve")


class _Keys:
    """A mapping of the file, read key by key; whatever is not as it should be is a sentence with its place."""

    def __init__(self, written: object, place: str, known: Sequence[str] | None) -> None:
        if not isinstance(written, Mapping):
            kind = place or "this"
            cure = f"it has the keys {', '.join(known or ())}"
            raise BadInputError(f"{kind} is not a set of keys", cure)
        self.written: Mapping[str, Any] = written
        self.place = place
        for key in written if known is not None else ():
            if key not in (known or ()):
                raise BadInputError(f"{self._at(key)} is not known", did_you_mean(key, known or ()))

    def called(self, place: str) -> _Keys:
        return _Keys(self.written, place, None)

    def below(self, key: str, known: Sequence[str]) -> _Keys:
        return _Keys(self.written.get(key, {}), self._at(key), known)

    def share(self, key: str, default: float) -> float:
        value = self.written.get(key)
        if value is None:
            return default
        try:
            share = parse_ratio(value)
        except BadInputError as error:
            raise error.within(self._at(key)) from error
        if not 0.0 < share < 1.0:
            raise BadInputError(f"{self._at(key)} {value!r} is impossible", "give above 0% and below 100%")
        return share

    def get(self, key: str, default: Any) -> Any:
        return self.written.get(key, default)

    def text(self, key: str) -> str:
        value = self.written.get(key)
        if key not in self.written:
            raise BadInputError(f"{self._at(key)} is missing", f"write it like {_EXAMPLES[key]}")
        if not isinstance(value, str) or not value:
            raise BadInputError(f"{self._at(key)} {value!r} is not a text", f"write it like {_EXAMPLES[key]}")
        return value

    def list(self, key: str, default: Sequence[Any] = ()) -> Iterator[Any]:
        value = self.written.get(key, default)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise BadInputError(f"{self._at(key)} is not a list", "begin each entry with a dash")
        yield from value

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.written.get(key, {})
        if not isinstance(value, Mapping):
            raise BadInputError(f"{self._at(key)} is not a set of keys", f"write it like {_EXAMPLES[key]}")
        return value

    def whole(self, key: str, default: int, most: int) -> int:
        value = self.written.get(key, default)
        # YAML reads 1e1 as a float, and JSON's writers may write 10.0. A bool is an int to Python, and "concurrency:
        # yes" is no number.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise BadInputError(f"{self._at(key)} {value!r} is impossible", f"give a whole number, 1 to {most}")
        return value

    def choice(self, key: str, defaults: _Keys, known: Sequence[str], default: str) -> str:
        value = self.written.get(key, defaults.get(key, default))
        if value not in known:
            raise BadInputError(f"{self._at(key)} {value!r} is not known", f"use {' or '.join(known)}")
        return str(value)

    def seconds(self, key: str, defaults: _Keys, default: str, least_s: float) -> float:
        value = self.written.get(key, defaults.get(key, default))
        try:
            seconds = parse_duration(value)
        except BadInputError as error:
            raise error.within(self._at(key)) from error
        if not least_s <= seconds <= LONGEST_S:
            cure = f"give {format_duration(least_s)} to {format_duration(LONGEST_S)}"
            raise BadInputError(f"{self._at(key)} {value!r} is impossible", cure)
        return seconds

    def _at(self, key: str) -> str:
        joint = ": " if self.place.startswith("probe ") and ":" not in self.place else "."
        return f"{self.place}{joint}{key}" if self.place else key


_EXAMPLES: Mapping[str, str] = {
    "name": "bangkok-singapore",
    "scenario": "1v1-social",
    "target": "loopback",
    "folder": "reports",
    "set": "{call.joins: 5}",
}
