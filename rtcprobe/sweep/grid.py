"""A grid of situations: any settings as axes, times seeds.

::

    scenario: 1v1-social                    # of the library, or a file
    set: [call.calls=1, call.joins=1]       # for every job
    axes:                                   # every combination of these
      link.loss: [0%, 1%, 2%, 5%]
      playout: ["neteq", "fixed:60ms"]
    seeds: 5                                # 1 to 5; or a list of seeds
    engine: model                           # calls modelled instead of placed: faster, without joins

Rule: everything is refused before anything runs: each point of the grid is read as a scenario first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final, get_args

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.probe.job import Job
from rtcprobe.result import Engine
from rtcprobe.scenario import Scenario
from rtcprobe.strictyaml import read_yaml

__all__ = ["MOST_JOBS", "Grid", "Task", "read_grid"]

# At 0.12 to 0.15 s of CPU a short call that is four hours of a core; and each is read as a scenario before any runs.
MOST_JOBS: Final = 100_000
_MOST_SEEDS: Final = 10_000  # a mean's standard error is a hundredth of one call's spread by then
_KEYS: Final = ("scenario", "set", "axes", "seeds", "engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A job of the grid, as plain and picklable as that.

    ``point`` is where in the grid it lies, axis by axis, as written; ``key`` names it for ever: the same situation
    under the same seed has the same, whatever else the grid holds.
    """

    job: Job
    point: tuple[tuple[str, str], ...]
    key: str

    @property
    def seed(self) -> int:
        """The seed of its job."""
        return self.job.seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What is to be run: ``axes`` by setting, with the values as written."""

    scenario: str
    settings: tuple[str, ...]
    axes: Mapping[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    engine: Engine = "stack"

    @property
    def size(self) -> int:
        """How many jobs there are."""
        count = len(self.seeds)
        for values in self.axes.values():
            count *= len(values)
        return count

    def points(self) -> Iterator[tuple[tuple[str, str], ...]]:
        """Yield every combination of the axes, the last axis moving fastest."""
        for values in product(*self.axes.values()):
            yield tuple(zip(self.axes, values, strict=True))

    def tasks(self) -> list[Task]:
        """Return every job, point by point and seed by seed.

        Raises:
            BadInputError: a point that is no scenario, or none that can be swept.
        """
        found: list[Task] = []
        for point in self.points():
            settings = (*self.settings, *(f"{axis}={value}" for axis, value in point))
            job = Job(scenario=self.scenario, settings=settings, engine=self.engine)
            try:
                # Read here as a worker will read it: what cannot be meant is told
                # before the first call, with its place in the grid.
                plan = job.plan()
                _refuse(plan, self.engine)
            except BadInputError as error:
                where = ", ".join(f"{axis}={value}" for axis, value in point) or "the grid"
                raise error.within(where) from error
            # The two engines' figures never stand for each other.
            name = plan.digest_without() + ("" if self.engine == "stack" else f"-{self.engine}")
            found += [Task(job=job.seeded(seed), point=point, key=f"{name}-{seed}") for seed in self.seeds]
        return found


def _refuse(plan: Scenario, engine: Engine) -> None:
    """Refuse what a run of ``plan`` would refuse.

    Raises:
        BadInputError: it cannot be run in virtual time, or not by ``engine``.
    """
    from rtcprobe.call.targets.base import find_target  # noqa: PLC0415 - a look at rows should not pay for the stack
    from rtcprobe.probe.beforehand import check_target  # noqa: PLC0415

    if "virtual" not in find_target(plan.target).clocks:
        raise BadInputError(
            f"{plan.name} calls {plan.target.shown}, which needs the real clock",
            "sweep the loopback: many real calls at once would disturb each other",
        )
    check_target(plan, "virtual", engine)


def read_grid(path: Path) -> Grid:
    """Return the grid in the file at ``path``.

    Raises:
        BadInputError: it cannot be read, or says something that cannot be meant.
    """
    return read_yaml(path, _grid)


def _grid(written: object) -> Grid:
    if not isinstance(written, Mapping):
        raise BadInputError("this is no grid", "write scenario, axes and seeds")
    for key in written:
        if key not in _KEYS:
            raise BadInputError(f"{key!r} is not known", did_you_mean(key, _KEYS))
    scenario = written.get("scenario")
    if not isinstance(scenario, str) or not scenario:
        raise BadInputError("scenario is missing", "name one of the library, or a file: scenario: 1v1-social")
    settings = written.get("set", [])
    if not isinstance(settings, list) or not all(isinstance(each, str) for each in settings):
        raise BadInputError(f"set {settings!r} is no list of settings", "write it like set: [call.joins=1]")
    engine = written.get("engine", "stack")
    if engine not in get_args(Engine):
        raise BadInputError(f"engine {engine!r} is not known", did_you_mean(str(engine), get_args(Engine)))
    grid = Grid(
        engine=engine,
        scenario=scenario,
        settings=tuple(settings),
        axes=_axes(written.get("axes")),
        seeds=_seeds(written.get("seeds", 1)),
    )
    if grid.size > MOST_JOBS:
        raise BadInputError(
            f"the grid has {grid.size:,} jobs", f"{MOST_JOBS:,} are the most: take values out of an axis, or seeds"
        )
    return grid


def _axes(written: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(written, Mapping) or not written:
        raise BadInputError("axes are missing", "write them like axes: {link.loss: [0%, 2%]}")
    found: dict[str, tuple[str, ...]] = {}
    for name, values in written.items():
        if name == "engine":
            raise BadInputError(
                "engine is no axis", "a model's calls never stand beside real ones: write engine: model"
            )
        if not isinstance(values, list) or not values:
            raise BadInputError(f"axis {name} has no values", f"write a list: {name}: [a, b]")
        texts = tuple(_text(value) for value in values)
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise BadInputError(f"axis {name} has {twice} twice", "leave one out")
        found[str(name)] = texts
    return found


def _text(value: Any) -> str:
    """Return a value as a setting writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON is YAML as well, and ``--set`` reads its values as YAML: lists and numbers come back as they were written.
    return value if isinstance(value, str) else json.dumps(value)


def _seeds(written: object) -> tuple[int, ...]:
    if isinstance(written, float) and written.is_integer():
        written = int(written)
    if isinstance(written, int) and not isinstance(written, bool) and 1 <= written <= _MOST_SEEDS:
        return tuple(range(1, written + 1))
    if (
        isinstance(written, list)
        and written
        and all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in written)
        and len(set(written)) == len(written) <= _MOST_SEEDS
    ):
        return tuple(written)
    raise BadInputError(f"seeds {written!r} are impossible", f"give 1 to {_MOST_SEEDS:,}, or a list of different seeds")
