"""Results with one value changed, for ``fuzz.py``: read, shown, compared, checked and rendered.

Of a page's plots one case in ``DRAWN`` is drawn by matplotlib, which takes nine tenths of such a case. In the others
all that decides what is drawn runs, against a sheet that takes it and refuses limits that matplotlib would refuse.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import Any
from unittest import mock

DRAWN = 20

RUBBISH: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 10**9, -(10**9), 10**30, 0.5, -0.5, 1e-300, 1e300, float("inf"), float("nan"),
    "", " ", "x", "0", "1", "null", "NaN", "²", "p95", "virtual", "pass", "é\u202e", "\x1b[2Jx\r\n", "a" * 5000,
    "<script>", "[bold]", "[/]", "%s{}", "C:\\x", [], [1], [None], ["x"], [[]], [1, "x"], [1.0] * 300, {}, {"x": 1},
    {"": None}, {"p95": "x"}, {"a_ms": "x"}, [{}], [{"marker": 0}],
)  # fmt: skip


@cache
def _warm() -> None:
    """Import and make once what every use needs: no part of a case."""
    for use in ("page", "compare", "check", "outputs"):
        _used(_results()[0], use)


def results(chance: Random) -> tuple[str, Callable[[], object]]:
    """Return a result with one value changed, and what uses it as ``report``, ``compare`` and ``check`` would."""
    plain = _results()
    _warm()
    which = chance.randrange(len(plain))
    shown, changed = edited(plain[which], chance)
    use = chance.choice(["page", "compare", "check", "outputs"])
    drawn = chance.randrange(DRAWN) == 0
    said = f"{use}{', drawn' if drawn and use in ('page', 'compare') else ''}"
    return f"result {which}, {shown}, {said}", lambda: _used(changed, use, drawn=drawn)


class _Sheet:
    """What takes whatever is drawn on it, in place of matplotlib's figure and axes."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take any size."""
        self._x = (0.0, 1.0)

    def __getattr__(self, _: str) -> _Sheet:
        return self

    def __getitem__(self, _: object) -> _Sheet:
        return self

    def __iter__(self) -> Iterator[_Sheet]:
        return iter(())

    def __call__(self, *_: object, **__: object) -> _Sheet:
        return self

    def set_xlim(self, low: float, high: float) -> None:
        """Refuse what matplotlib refuses."""
        self.set_ylim(low, high)
        self._x = (low, high)

    def set_ylim(self, low: float, high: float) -> None:
        """Refuse what matplotlib refuses."""
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("Axis limits cannot be NaN or Inf")

    def get_xlim(self) -> tuple[float, float]:
        """Return the limits set."""
        return self._x


@contextlib.contextmanager
def _drawing(*, drawn: bool) -> Iterator[None]:
    """Within it plots are drawn, or go to a sheet."""
    if drawn:
        yield
        return
    from markupsafe import Markup  # noqa: PLC0415

    from rtcprobe.report.html import charts  # noqa: PLC0415

    with (
        mock.patch.object(charts, "Figure", _Sheet),
        mock.patch.object(charts, "drawing", return_value=contextlib.nullcontext()),
        mock.patch.object(charts, "inline", return_value=Markup("<svg/>")),
    ):
        yield


@cache
def _others() -> tuple[Any, ...]:
    """Return the two good results as they are read."""
    from rtcprobe.result import Result  # noqa: PLC0415

    return tuple(Result.from_dict(each) for each in _results()[:2])


def _used(changed: Any, use: str, *, drawn: bool = True) -> None:
    """Read the result from a file, show it, and use it."""
    from rich.console import Console  # noqa: PLC0415

    from rtcprobe.report.terminal import print_result  # noqa: PLC0415
    from rtcprobe.result.files import load_results  # noqa: PLC0415

    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(json.dumps(changed).replace("Infinity", "1e999"))
        file.flush()
        (result,) = load_results(file.name).results
    screen = Console(file=io.StringIO(), width=120)
    print_result(result, screen)
    uses = {"page": _page, "compare": _compared, "check": _checked, "outputs": _outputs}
    with _drawing(drawn=drawn):
        uses[use](result, list(_others()), screen)


def _page(result: Any, others: list[Any], _: Any) -> None:
    from rtcprobe.report.html import render_report  # noqa: PLC0415

    render_report([result, others[0]])


def _compared(result: Any, others: list[Any], screen: Any) -> None:
    from rtcprobe.report.comparison import ranking_lines, ranking_markdown  # noqa: PLC0415
    from rtcprobe.report.html import render_comparison  # noqa: PLC0415
    from rtcprobe.report.lines import print_lines  # noqa: PLC0415
    from rtcprobe.verdict import rank  # noqa: PLC0415

    sides = [("a", [result]), ("b", others)]
    ranking = rank(sides)
    print_lines(ranking_lines(ranking), screen)
    ranking_markdown(ranking)
    json.dumps(ranking.to_dict(), allow_nan=False)
    render_comparison([ranking], sides)


def _checked(result: Any, others: list[Any], screen: Any) -> None:
    from rtcprobe.report.check import check_cases, check_lines, check_markdown  # noqa: PLC0415
    from rtcprobe.report.lines import print_lines  # noqa: PLC0415
    from rtcprobe.verdict import check  # noqa: PLC0415

    found = check([result], others[:1] if result.seed == others[0].seed else others[1:])
    print_lines(check_lines(found), screen)
    check_markdown(found)
    check_cases(found)
    json.dumps(found.to_dict(), allow_nan=False)


def _outputs(result: Any, _: list[Any], screen: Any) -> None:
    from rtcprobe.report.cases import result_cases  # noqa: PLC0415
    from rtcprobe.report.github import annotation_lines  # noqa: PLC0415
    from rtcprobe.report.history import line_of  # noqa: PLC0415
    from rtcprobe.report.json import dumps  # noqa: PLC0415
    from rtcprobe.report.junit import junit  # noqa: PLC0415
    from rtcprobe.report.markdown import results_markdown  # noqa: PLC0415

    del screen
    cases = result_cases(result)
    junit(cases)
    annotation_lines(cases)
    results_markdown([result])
    results_markdown([result], brief=True)
    line_of(result)
    dumps([result])


@cache
def _results() -> tuple[dict[str, Any], ...]:
    """Return plain results of two seeds, and of one with losses, copies and a failed join."""
    from rtcprobe.probe import run_probe  # noqa: PLC0415
    from rtcprobe.scenario import find_scenario  # noqa: PLC0415

    plain = find_scenario("1v1-social", ["call.calls=2", "call.joins=2", "call.duration=6s"])
    hard = ["call.calls=2", "call.joins=3", "call.duration=6s", "link=delay 40ms 10ms loss 25%", "call.join_timeout=2s"]
    lossy = find_scenario("1v1-social", [*hard, "protection.red=1", "protection.nack=true"])
    runs = [(plain, 1), (plain, 2), (lossy, 1)]
    return tuple(json.loads(json.dumps(run_probe(each, seed=seed, clock="virtual").to_dict())) for each, seed in runs)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value below ``value``; of a long list the first and last few."""
    found: list[tuple[Any, ...]] = []
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = [pair for at, pair in enumerate(enumerate(value)) if at < 2 or at >= len(value) - 1]
    for key, below in items:
        found += [(*path, key), *_paths(below, (*path, key))]
    return found


def edited(value: Any, chance: Random) -> tuple[str, Any]:
    """Return ``value`` (plain JSON) with one change at one place, and what it was."""
    value = copy.deepcopy(value)
    path = chance.choice(_paths(value))
    inside = value
    for key in path[:-1]:
        inside = inside[key]
    before = inside[path[-1]]
    place = ".".join(map(str, path))
    change = chance.random()
    if change < 0.08:
        del inside[path[-1]]
        return f"{place} removed", value
    if change < 0.14 and isinstance(inside, dict):
        inside[str(chance.choice(["", "x", "p95", f"{path[-1]}_ms", "p1.2.3", "\x1b[2J"]))] = inside.pop(path[-1])
        return f"{place} renamed", value
    after: Any = chance.choice(RUBBISH)
    if change < 0.3 and isinstance(before, (int, float)):
        after = chance.choice([-before, before * 1e6, before + 1, before / 3, str(before), [before], -before * 1e12])
    elif change < 0.3 and isinstance(before, list):
        after = chance.choice([before[:-1], before * 2, before[::-1], [*before, chance.choice(RUBBISH)]])
    inside[path[-1]] = after
    return f"{place} = {json.dumps(after)[:60]}", value
