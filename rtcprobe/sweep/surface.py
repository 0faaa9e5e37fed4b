"""A sweep's rows as surfaces: a figure over two axes, with its interval over seeds; and where a budget breaks.

Rule: what is shown of a point is the mean over its seeds with Student's t at 95 %; a point of one seed has no interval,
    and one that failed or lacks the figure says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.sweep.job import FIGURES
from rtcprobe.verdict.statistics import mean_interval

__all__ = ["Edge", "Point", "Surface", "frontier", "surface_of"]

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A figure at one place: mean over ``seeds`` that have it, its interval, and how many lack it."""

    value: float | None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """``figure`` over ``columns`` of axis ``x`` and ``rows`` of axis ``y`` (None: one row); other axes as ``fixed``.

    ``engine`` is what made the calls (``result.Engine``).
    """

    figure: str
    x: str
    columns: tuple[str, ...]
    y: str | None
    rows: tuple[str, ...]
    fixed: Mapping[str, str]
    points: Mapping[tuple[str, str], Point]
    engine: str = "stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """How far a budget holds along x for one row: ``last`` value that holds, ``first`` that does not (None: none)."""

    row: str
    last: str | None
    first: str | None
    unsure: bool


def surface_of(
    rows: Sequence[Row],
    figure: str,
    *,
    x: str | None = None,
    y: str | None = None,
    fixed: Mapping[str, str] | None = None,
) -> list[Surface]:
    """Return ``figure`` over two axes, a surface for every combination of the others.

    Raises:
        BadInputError: no such figure or axis.
    """
    if figure not in FIGURES:
        raise BadInputError(f"figure {figure!r} is not known", did_you_mean(figure, FIGURES))
    axes: dict[str, dict[str, None]] = {}
    for row in rows:
        for axis, value in row["point"].items():
            # A dictionary for its order: values stand as they first came, which is
            # the order in which the grid has them.
            axes.setdefault(str(axis), {})[str(value)] = None
    for name in (x, y, *(fixed or {})):
        if name is not None and name not in axes:
            raise BadInputError(f"axis {name!r} is not in this sweep", did_you_mean(name, tuple(axes)))
    chosen = _chosen(rows, fixed or {})
    # The axis with most values lies across, where there is room for it.
    first = x or max(axes, key=lambda axis: len(axes[axis]))
    rest = [axis for axis in axes if axis != first]
    # An axis of one value tells no two rows apart.
    second = y or next((axis for axis in rest if len(axes[axis]) > 1), None)
    others = [axis for axis in rest if axis != second]
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Row]] = {}
    for row in chosen:
        key = tuple((axis, str(row["point"].get(axis, ""))) for axis in others)
        # Engines apart even within one file: a model's figures never stand beside the stack's.
        groups.setdefault((str(row.get("engine", "stack")), key), []).append(row)
    return [
        Surface(
            figure=figure,
            x=first,
            columns=tuple(axes[first]),
            y=second,
            rows=("",) if second is None else tuple(axes[second]),
            fixed=dict(key),
            points=_points(group, figure, first, second),
            engine=engine,
        )
        for (engine, key), group in groups.items()
    ]


def _chosen(rows: Sequence[Row], fixed: Mapping[str, str]) -> list[Row]:
    return [row for row in rows if all(str(row["point"].get(axis)) == value for axis, value in fixed.items())]


def _points(rows: Sequence[Row], figure: str, x: str, y: str | None) -> dict[tuple[str, str], Point]:
    cells: dict[tuple[str, str], list[float | None]] = {}
    for row in rows:
        place = str(row["point"].get(x, "")), "" if y is None else str(row["point"].get(y, ""))
        cells.setdefault(place, []).append((row.get("figures") or {}).get(figure))
    return {place: _point(values) for place, values in cells.items()}


def _point(values: Sequence[float | None]) -> Point:
    known = [each for each in values if each is not None]
    if not known:
        return Point(value=None, missing=len(values))
    low, high = mean_interval(known) if len(known) > 1 else (None, None)
    return Point(value=float(np.mean(known)), low=low, high=high, seeds=len(known), missing=len(values) - len(known))


def frontier(surface: Surface, limit: float) -> list[Edge]:
    """Return, for each row, how far along x the figure stays at or below ``limit``; ``r`` and ``heard`` at or above.

    The order of x is that in which its values were written; the first that breaks ends it. ``unsure``: the interval of
    the last that holds, or of the first that does not, reaches across the limit.
    """
    rising = surface.figure not in ("r", "heard")
    edges = []
    for row in surface.rows:
        last = first = None
        unsure = False
        for column in surface.columns:
            point = surface.points.get((column, row), Point(value=None))
            # Where nothing was measured the budget does not hold: silence is no success.
            holds = point.value is not None and (point.value <= limit if rising else point.value >= limit)
            crosses = point.low is not None and point.high is not None and point.low <= limit <= point.high
            if not holds:
                first, unsure = column, unsure or crosses
                break
            last, unsure = column, crosses
        edges.append(Edge(row=row, last=last, first=first, unsure=unsure))
    return edges
