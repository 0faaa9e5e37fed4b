"""A fitted link on a terminal: how it was found and how sure, for people; the line itself is printed apart."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from rtcprobe.fit import Fitted, Row
from rtcprobe.report.lines import rule, wrapped
from rtcprobe.report.sentences import bounds, figure, milliseconds
from rtcprobe.units import format_duration, format_ratio

__all__ = ["fitted_lines"]


def fitted_lines(fitted: Fitted) -> Iterator[Text]:
    """Return the lines that say how a link line was found."""
    yield rule(f"{fitted.kind}, {fitted.way}: {fitted.probes:,} probes, {format_duration(fitted.spacing_s)} apart")
    if fitted.slots is not None:
        yield Text(f" slots        every {milliseconds(fitted.slots.length_s)} ms, packets arrive together")
    shape = fitted.shape
    if shape is not None:
        yield Text(f" base         {figure(shape.base_s, 's')} {bounds(*shape.base_ci_s, 's')}")
        yield Text(
            f" jitter       {figure(shape.jitter_s, 's')} {bounds(*shape.jitter_ci_s, 's')}, {shape.distribution}"
        )
        alike = "unknown" if shape.correlation is None else f"{shape.correlation * 100:.0f} %"
        yield Text(f" neighbours   alike by {alike}")
        tail = f"the slowest in a hundred {shape.tail_s * 1e3:+.1f} ms"
        yield Text(f" off by       {shape.distance:.3f} (Kolmogorov-Smirnov), {tail}")
    losses = fitted.losses
    share = f"{format_ratio(losses.ratio)} {bounds(*losses.ratio_ci, 'share')}"
    yield Text(f" loss         {share}, {losses.lost:,} of {losses.probes:,}")
    if losses.burst is not None and losses.burst_ci is not None:
        yield Text(f" mean burst   {losses.burst:.1f} {bounds(*losses.burst_ci, 'number')} packets")
    # A screen of them; the JSON has all. A link with more is told by its losses, not by outages.
    for outage in losses.outages[:8]:
        yield Text(
            f" outage       {format_duration(round(outage.for_s, 2))} at {format_duration(round(outage.at_s, 1))}"
        )
    if fitted.rows:
        yield rule("measured → what the line does, simulated")
        for row in fitted.rows:
            yield Text(f" {row.name:<12} {_figure(row, row.measured):>12} → {_figure(row, row.achieved)}")
    for note in fitted.notes:
        yield from wrapped(note, indent=0, style="yellow", most=None)
    if fitted.reason:
        yield from wrapped(f"no shape fits: {fitted.reason}", indent=0, style="bold yellow", most=None)


def _figure(row: Row, value: float | None) -> str:
    if row.unit == "s":
        return figure(value, "s")
    return figure(value, "share") if row.unit == "share" else figure(value, "number")
