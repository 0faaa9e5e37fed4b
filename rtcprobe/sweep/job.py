"""A job done: from a situation and a seed to the figures that a sweep keeps of it.

Rule: a row is a pure function of its job: equal jobs give equal bytes, in whatever process, in whatever order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from rtcprobe.errors import RtcprobeError
from rtcprobe.result import Result
from rtcprobe.sweep.grid import Task

__all__ = ["FIGURES", "done"]

FIGURES: Final = (
    "join_p50_ms", "join_p95_ms", "join_failed", "mouth_to_ear_p50_ms", "mouth_to_ear_p95_ms", "heard", "unplayed",
    "concealed", "r",
)  # fmt: skip
"""What is kept of a run: of both ways of a call the worse."""


def done(task: Task) -> dict[str, Any]:
    """Return the row of ``task``: its place in the grid, its seed, its figures; or the sentence that it failed with."""
    row: dict[str, Any] = {"key": task.key, "point": dict(task.point), "seed": task.seed}
    if task.job.engine != "stack":
        # Only where it is not the stack: rows of before there were engines stay equal to the byte.
        row["engine"] = task.job.engine
    try:
        result = task.job.run()
    # A job that cannot be measured is a row all the same: it is not tried
    # again, and the surface says that it is missing.
    except RtcprobeError as error:
        return row | {"failed": str(error)}
    return row | {"verdict": result.verdict, "figures": _figures(result)}


def _figures(result: Result) -> Mapping[str, float | None]:
    import numpy as np  # noqa: PLC0415 - whoever only hands jobs out need not pay for it

    # A join that heard nothing is counted as failed and is in no percentile: it took no time, it took for ever.
    joins = [each.first_audio_s for each in result.join.attempts]
    heard_s = [each for each in joins if each is not None]
    ways = list(result.mouth_to_ear.values())
    delays = [[sample.delay_s for sample in way.samples] for way in ways]

    def worst(values: list[float | None], *, least: bool = False) -> float | None:
        known = [each for each in values if each is not None and math.isfinite(each)]
        return (min if least else max)(known, default=None)

    def percentile(values: list[float], share: int) -> float | None:
        return round(float(np.percentile(values, share)) * 1e3, 6) if values else None

    scheduled = sum(way.scheduled for way in ways)
    return {
        "join_p50_ms": percentile(heard_s, 50),
        "join_p95_ms": percentile(heard_s, 95),
        "join_failed": round(1.0 - len(heard_s) / len(joins), 9) if joins else None,
        "mouth_to_ear_p50_ms": worst([percentile(each, 50) for each in delays]),
        "mouth_to_ear_p95_ms": worst([percentile(each, 95) for each in delays]),
        "heard": round(sum(way.heard for way in ways) / scheduled, 9) if scheduled else None,
        "unplayed": worst([way.unplayed for way in ways]),
        "concealed": worst([way.concealed for way in ways]),
        "r": worst([way.r for way in ways], least=True),
    }
