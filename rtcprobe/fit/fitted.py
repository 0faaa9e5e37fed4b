"""A measured way as a link line, and proof that the line does what was measured.

Rules:
    1. The line is in the words that every link is written in: it can be given to ``--link`` as it is.
    2. Round trips are halved by a stated rule: half the base; the jitter over √2, for independent ways add variances;
       of losses 1 − √(1 − L).
    3. Steps of the route come first: the longest stretch without one is fitted, and the others are said.
    4. Where no shape fits, the delays themselves become a trace, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError
from rtcprobe.fit.losses import Losses, fit_losses
from rtcprobe.fit.series import LEAST_PROBES, Measured, Series
from rtcprobe.fit.shapes import Shape, Slots, fit_shape, slots_of
from rtcprobe.link import Link, parse_link
from rtcprobe.units import format_duration, format_ratio

__all__ = ["Fitted", "Row", "fit"]

Floats = npt.NDArray[np.float64]

# The fastest tenth of a window moves with the route alone. Of probes each second, as ``ping`` sends them, 15 s hold too
# few to know it (``LEAST_PROBES``): then a window is as long as 25 probes take, of which a fifth may be lost.
_STEP_WINDOW_S, _STEP_PROBES = 15.0, 25
# Of that tenth; and three times what it moves by from window to window in any case (``_stepped``).
_LEAST_STEP_S: Final = 0.005
# The line found is tried with so many that a share of 1 % is known to a tenth of itself (1/sqrt(200)).
_CHECKED_PACKETS: Final = 20_000
# As large as a call's packets of sound: a fitted line has no rate, so that no size matters to it.
_CHECKED_BYTES: Final = 200
# The floor, the middle, and the two tails that a jitter buffer is set by.
_PERCENTILES: Final = (5, 50, 95, 99)
# More than that does not fit a line that somebody has to read.
_MOST_OUTAGES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure as it was measured, asked for by the line, and met by the packets of a simulated one."""

    name: str
    measured: float
    achieved: float | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A way and its line. ``line`` is ``""`` where no shape fits (``reason``) and no trace was asked for."""

    kind: str
    way: str
    probes: int
    spacing_s: float
    line: str
    reason: str
    shape: Shape | None
    slots: Slots | None
    losses: Losses
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    trace: Floats
    """The delays of the probes in turn, seconds, NaN for lost: what ``delay_trace`` takes."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        shape, slots, losses = self.shape, self.slots, self.losses
        return {
            "schema": "rtcprobe.fit/1",
            "source": {"kind": self.kind, "way": self.way, "probes": self.probes, "spacing_ms": _ms(self.spacing_s)},
            "line": self.line or None,
            "reason": self.reason or None,
            "delay": None
            if shape is None
            else {
                "base_ms": _ms(shape.base_s), "base_ci_ms": [_ms(each) for each in shape.base_ci_s],
                "jitter_ms": _ms(shape.jitter_s), "jitter_ci_ms": [_ms(each) for each in shape.jitter_ci_s],
                "distribution": shape.distribution, "correlation": shape.correlation,
                "ks_distance": round(shape.distance, 6), "p99_off_ms": _ms(shape.tail_s),
            },
            "slot": None if slots is None else {"length_ms": _ms(slots.length_s), "base_ms": _ms(slots.base_s)},
            "loss": {
                "lost": losses.lost, "probes": losses.probes, "ratio": round(losses.ratio, 9),
                "ratio_ci": [round(each, 9) for each in losses.ratio_ci], "burst": _number(losses.burst),
                "burst_ci": None if losses.burst_ci is None else [_number(each) for each in losses.burst_ci],
                "model": "bursts" if losses.in_runs else "independent",
                "outages": [{"at_ms": _ms(each.at_s), "for_ms": _ms(each.for_s)} for each in losses.outages],
            },
            "check": [
                {
                    "figure": each.name, "measured": _number(each.measured), "achieved": _number(each.achieved),
                    "unit": each.unit,
                }
                for each in self.rows
            ],
            "notes": list(self.notes),
        }  # fmt: skip


_HALVED: Final = "round trips: half the base, the jitter over √2 and 1 − √(1 − loss) each way, as if both were alike"


def fit(measured: Measured, *, way: str | None = None, base_s: float | None = None, trace: str | None = None) -> Fitted:
    """Return the line of one way of ``measured`` (the first unless named).

    Args:
        measured: what a reader found.
        way: ``"up"``, ``"down"``, ``"one way"`` or ``"round trip"``.
        base_s: the delay of the fastest packet, where the source does not know it.
        trace: the name of a file that the delays will be written to, should no shape fit.

    Raises:
        BadInputError: the way is not told apart, or fewer than twenty probes came.
    """
    series = measured.way(way)
    _need_enough(series)
    notes = list(series.notes)
    if series.relative and base_s is not None:
        series = replace(series, delay_s=series.delay_s + base_s)
    losses = fit_losses(series)
    steady, said = _steady(series.only(losses.inside))
    notes += said
    slots = None if measured.ways[0].aggregated else slots_of(steady)
    shape = None if slots is not None else fit_shape(steady)
    reason = shape.misfit if shape is not None else ""
    halved = series.way == "round trip"
    if halved:
        notes.append(_HALVED)
    notes += _unknown(series, losses)
    if shape is not None and shape.hiccups:
        times = "moment" if shape.hiccups == 1 else "moments"
        notes.append(f"{shape.hiccups} {times} in which several packets in a row were far too late are not in the line")
    if reason:
        line = "" if trace is None else f"delay_trace {trace}"
    else:
        line = _line(shape, slots, losses, halved=halved, free=series.reordered)
    # A trace plays one way: half of each round trip, with the losses of both ways in it.
    delays = series.delay_s / 2.0 if halved else series.delay_s
    return Fitted(
        kind=measured.kind,
        way=series.way,
        probes=len(series.delay_s),
        spacing_s=series.spacing_s,
        line=line,
        reason=reason,
        shape=shape,
        slots=slots,
        losses=losses,
        rows=() if reason else _checked(line, steady, losses, halved=halved),
        notes=tuple(notes),
        trace=delays,
    )


def _need_enough(series: Series) -> None:
    came = int(np.count_nonzero(~series.lost))
    if came < LEAST_PROBES:
        raise BadInputError(
            f"{came} of {len(series.delay_s)} probes came",
            f"measure longer: {LEAST_PROBES} are the least, 500 are good",
        )


def _steady(series: Series) -> tuple[Series, list[str]]:
    """Return the longest stretch whose fastest packets keep their delay, and what is said of the others."""
    times_s = series.times_s - series.times_s[0] if len(series.delay_s) else series.times_s
    window_s = max(_STEP_WINDOW_S, _STEP_PROBES * series.spacing_s)
    windows = np.floor(times_s / window_s).astype(np.int64)
    if series.aggregated or not len(windows) or windows.max() < 2:
        return series, []
    floors = np.full(int(windows.max()) + 1, np.nan)
    for window in range(len(floors)):
        inside = series.delay_s[(windows == window) & ~series.lost]
        # Of few packets the fastest says little of the route.
        floors[window] = np.quantile(inside, 0.1) if len(inside) >= LEAST_PROBES else np.nan
    steps = [window for window in range(1, len(floors)) if _stepped(floors, window)]
    if not steps:
        return series, []
    edges = [0, *steps, len(floors)]
    begin, end = max(pairwise(edges), key=lambda stretch: stretch[1] - stretch[0])
    chosen = (windows >= begin) & (windows < end)
    where = ", ".join(f"{step * window_s:g} s" for step in steps[:6])
    said = f"the route changed about {where}: fitted from {begin * window_s:g} to {end * window_s:g} s"
    return series.only(chosen), [said]


def _stepped(floors: Floats, window: int) -> bool:
    """Return whether the floor moves at ``window`` and stays: two windows on either side agree among themselves."""
    before, after = floors[max(0, window - 2) : window], floors[window : window + 2]
    if len(before) < 2 or len(after) < 2 or np.isnan([*before, *after]).any():
        return False
    wobble = max(abs(before[1] - before[0]), abs(after[1] - after[0]))
    return bool(abs(after.mean() - before.mean()) > max(_LEAST_STEP_S, 3.0 * wobble))


def _unknown(series: Series, losses: Losses) -> list[str]:
    said = []
    if series.aggregated:
        said.append("probes are minutes apart: neither likeness of neighbours nor bursts can be known")
    elif series.spacing_s > 0.045:
        said.append(
            f"probes are {format_duration(series.spacing_s)} apart: likeness of neighbours and bursts of a call's "
            "packets are unknown (20 ms would show them)"
        )
    if losses.lost == 0:
        said.append(f"none lost: the share is below {format_ratio(losses.ratio_ci[1])}")
    elif losses.in_runs and losses.burst is None:
        said.append("losses come in runs, but fewer than ten were seen: their length is not given")
    if len(losses.outages) > _MOST_OUTAGES:
        said.append(f"{len(losses.outages)} outages: the line has the first {_MOST_OUTAGES}")
    return said


def _line(shape: Shape | None, slots: Slots | None, losses: Losses, *, halved: bool, free: bool) -> str:
    words: list[str] = []
    if slots is not None:
        words = ["delay", _time(slots.base_s), "slot", _time(slots.length_s)]
    elif shape is not None:
        base_s, jitter_s = (
            (shape.base_s / 2.0, shape.jitter_s / math.sqrt(2.0)) if halved else (shape.base_s, shape.jitter_s)
        )
        words = ["delay", _time(base_s)]
        if round(jitter_s, 5) > 0.0:
            words += [_time(jitter_s)]
            words += [f"{shape.correlation * 100:.0f}%"] if shape.correlation and round(shape.correlation, 2) else []
            words += ["distribution", shape.distribution]
            words += ["order", "free"] if free else []
    ratio = 1.0 - math.sqrt(1.0 - losses.ratio) if halved else losses.ratio
    if losses.lost and round(ratio, 5) > 0.0:
        words += ["loss", f"{ratio * 100:.2g}%"]
        # How likely a run of losses begins follows from both, ratio / (1 − ratio) / burst: more than certain cannot be.
        if losses.burst is not None and losses.burst > 1.05 and ratio / (1.0 - ratio) < losses.burst - 0.05:
            words += ["burst", f"{losses.burst:.2g}"]
    for outage in losses.outages[:_MOST_OUTAGES]:
        words += ["outage", _time(outage.at_s), _time(outage.for_s)]
    return " ".join(words)


def _checked(line: str, steady: Series, losses: Losses, *, halved: bool) -> tuple[Row, ...]:
    """Return the figures measured beside those of packets sent through the line, twenty thousand of them."""
    # The line as it is written, digits rounded: what is checked is what somebody will copy.
    spec = parse_link(line)
    link = Link(replace(spec, outages=()), np.random.SeedSequence(1))
    spacing_s = min(max(steady.spacing_s, 1e-3), 1.0)
    came: list[float] = []
    lost: list[bool] = []
    for number in range(_CHECKED_PACKETS):
        now_s = number * spacing_s
        fate = link.offer(_CHECKED_BYTES, now_s)
        lost.append(not fate.arrivals_s)
        came += [at_s - now_s for at_s in fate.arrivals_s[:1]]
    measured = steady.delay_s[~steady.lost]
    made = np.array(came)
    rows = []
    for percentile in _PERCENTILES:
        theirs, ours = float(np.percentile(measured, percentile)), float(np.percentile(made, percentile))
        if halved:  # two such ways make the round trip that was measured
            both = made + np.random.default_rng(1).permutation(made)
            ours = float(np.percentile(both, percentile))
        rows.append(Row(name=f"delay p{percentile}", measured=theirs, achieved=ours, unit="s"))
    share = float(np.mean(lost))
    rows.append(
        Row(name="loss", measured=losses.ratio, achieved=1 - (1 - share) ** 2 if halved else share, unit="share")
    )
    if losses.burst is not None:
        runs = int(np.count_nonzero(np.diff(np.array([False, *lost]).astype(np.int8)) == 1))
        rows.append(
            Row(name="mean burst", measured=losses.burst, achieved=sum(lost) / runs if runs else None, unit="packets")
        )
    return tuple(rows)


def _time(seconds: float) -> str:
    """Return a time with three digits that count: ``"30.6ms"``, ``"1.2s"``."""
    return format_duration(float(f"{max(seconds, 0.0):.3g}"))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else _number(seconds * 1e3)


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def as_trace(delays_s: Floats, why: Mapping[str, str]) -> str:
    """Return the text of a ``delay_trace`` file: a delay in ms a line, -1 for a lost probe; comments on top."""
    head = [f"# {key}: {value}" for key, value in why.items()]
    body = ["-1" if math.isnan(each) else f"{each * 1e3:.3f}" for each in delays_s.tolist()]
    return "\n".join([*head, *body]) + "\n"
