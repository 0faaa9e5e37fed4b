"""The page of a relay: for each client and way the rates, delay and drops over time, and which seconds are valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtcprobe.report.html.curves import WIDTHS, Curve, Panel, panels
from rtcprobe.report.html.page import environment
from rtcprobe.report.html.reduce import Floats
from rtcprobe.report.html.tables import Table
from rtcprobe.report.relay import ClientReport, RelayReport
from rtcprobe.report.sentences import counted, milliseconds
from rtcprobe.runtime.seconds import spans

__all__ = ["MOST_CLIENTS", "relay_page"]

# Clients drawn: each has two ways of up to three panels, for wide and for narrow screens.
MOST_CLIENTS = 8
_WAYS = {"to_server": "to the server", "to_client": "to the client"}
_CAPTION = (
    "Second by second: what was offered to the link, what came out of it, and the rate in force; mean delay above the "
    "least of the way; packets that its queue dropped. Crosses: seconds in which the relay itself was late."
)


def relay_page(report: RelayReport) -> str:
    """Return the page; of many clients those with most packets."""
    shown = report.busiest[:MOST_CLIENTS]
    parts = [
        _part(client, way, report, f"r{number}{way}") for number, client in enumerate(shown) for way in client.seconds
    ]
    hidden = len(report.clients) - len(shown)
    beside = f", {counted(hidden, 'client', 'clients')} with fewer packets not shown" if hidden else ""
    return (
        environment()
        .get_template("curves.html.j2")
        .render(
            title=f"{report.listen} · rtcprobe relay",
            heading=f"Relayed {report.listen} → {report.to}",
            intro=f"{report.duration_s:.1f} s, {counted(len(report.clients), 'client', 'clients')}{beside}; "
            f"priority: {report.priority}.",
            parts=[part for part in parts if part is not None],
            verdict=_verdict(report),
        )
    )


def _verdict(report: RelayReport) -> str:
    late = report.lateness.invalid()
    if not late:
        return ""
    word = "INVALID" if report.lateness.is_invalid() else "Not valid in some seconds"
    limit = milliseconds(report.lateness.limit_s, 2)
    return f"{word}: in {spans(late)} more than one in twenty datagrams left over {limit} ms late."


def _part(client: ClientReport, way: str, report: RelayReport, name: str) -> dict[str, object] | None:
    columns = client.seconds[way]
    if not columns.get("at_s"):
        return None
    drawn = _panels(columns, report.lateness.invalid())
    offered, dropped = sum(_known(columns["offered_packets"])), sum(_known(columns["queue_drops"]))
    label = f"Rates, delay and drops {_WAYS[way]} over {report.duration_s:.0f} s: {offered:.0f} packets, "
    label += f"{dropped:.0f} dropped."
    plots = [
        panels(drawn, name=f"{name}{width}", width=width, label=label, end_s=report.duration_s) for width in WIDTHS
    ]
    achieved = (client.to_server if way == "to_server" else client.to_client).achieved
    rows = (
        ("packets offered", f"{offered:,.0f}"),
        ("dropped by the queue", f"{dropped:,.0f}"),
        ("lost otherwise", f"{sum(_known(columns['losses'])):,.0f}"),
        ("delay p50, ms", milliseconds(achieved.delay_p50_s, 1)),
        ("delay p95, ms", milliseconds(achieved.delay_p95_s, 1)),
    )
    return {
        "name": client.client,
        "beside": _WAYS[way],
        "sentence": "",
        "plots": plots,
        "caption": _CAPTION,
        "table": Table(caption="What the link did", columns=("", "in all"), rows=rows),
        "warnings": (),
    }


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _panels(columns: Mapping[str, Sequence[float | None]], late: Sequence[int]) -> list[Panel]:
    at_s = _floats(columns["at_s"]) + 0.5
    rates = [
        Curve(title="offered", at_s=at_s, values=_floats(columns["offered_bps"]) / 1e3, tone="warn"),
        Curve(title="delivered", at_s=at_s, values=_floats(columns["delivered_bps"]) / 1e3),
    ]
    if _known(columns["rate_bps"]):
        rate = _floats(columns["rate_bps"]) / 1e3
        # First in the panel's words, as capacity is in those of adapt.
        rates.insert(0, Curve(title="rate in force", at_s=at_s - 0.5, values=rate, tone="ink", steps=True))
    drawn = [Panel(title="kb/s", curves=rates, marked="relay late", marked_s=np.array(late, dtype=np.float64) + 0.5)]
    # A line along the axis says no more than the table.
    if any(_known(columns["queue_ms"])):
        curve = Curve(title="", at_s=at_s, values=_floats(columns["queue_ms"]))
        drawn.append(Panel(title="ms above the least delay", curves=[curve]))
    if any(_known(columns["queue_drops"])):
        curve = Curve(title="", at_s=at_s - 0.5, values=_floats(columns["queue_drops"]), steps=True)
        drawn.append(Panel(title="packets dropped by the queue", curves=[curve]))
    return drawn


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
