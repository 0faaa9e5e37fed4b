"""What a relay did to its clients' packets: on a terminal, and as plain data."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from rich.text import Text

from rtcprobe.report.lines import wrapped
from rtcprobe.report.link_lines import link_lines
from rtcprobe.report.sentences import counted, milliseconds
from rtcprobe.result import LinkReport, LinkSide
from rtcprobe.runtime.seconds import Lateness, Row, Seconds, spans

__all__ = ["COLUMNS", "ClientReport", "RelayReport", "columns_of", "relay_csv", "relay_lines"]

# Clients on a screen, each some lines; the JSON has all.
MOST_SHOWN = 8
# Seconds without a packet that are still told, as zeros; a client that came back after a longer absence has a gap in
# its columns, or an hour of zeros would be told of it.
LONGEST_GAP_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientReport:
    """One client: where it is, when it came, both ways of its link, and what went wrong beside the link."""

    client: str
    begun_s: float
    to_server: LinkReport
    to_client: LinkReport
    refused: int
    unsendable: int
    seconds: Mapping[str, Mapping[str, Sequence[float | None]]] = field(default_factory=dict)
    """Each way (``to_server``, ``to_client``) second by second, in columns: ``COLUMNS``."""

    @property
    def packets(self) -> int:
        """Packets of both ways."""
        return sum(int(way.achieved.offered) for way in (self.to_server, self.to_client))


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayReport:
    """Everything a relay did. ``late_s`` is how late each datagram was let out."""

    listen: str
    to: str
    seed: int
    duration_s: float
    clients: Sequence[ClientReport]
    turned_away: int
    """Datagrams of clients beyond the most that are served at a time, and those that found too many under way."""
    forgotten: int
    """Clients so long gone that nothing more is said of them."""
    late_s: Sequence[float]
    shared: bool = False
    """Whether all clients passed one link each way."""
    priority: str = "ordinary"
    lateness: Lateness = field(default_factory=Lateness)

    @property
    def busiest(self) -> list[ClientReport]:
        """The clients, the one that carried most first: of a browser's several sockets the one with the media."""
        return sorted(self.clients, key=lambda each: -each.packets)

    def late_quantile_s(self, quantile: float) -> float | None:
        """Return a quantile of the relay's own lateness, seconds; None where nothing was relayed."""
        return float(np.quantile(self.late_s, quantile)) if len(self.late_s) else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; numbers that are no numbers become None."""
        return {
            "format": "rtcprobe.relay/1",
            "listen": self.listen,
            "to": self.to,
            "seed": self.seed,
            "duration_s": self.duration_s,
            "clients": [
                {
                    "client": each.client,
                    "begun_s": each.begun_s,
                    **{
                        way: {"requested": _plain(report.requested), "achieved": _plain(report.achieved)}
                        for way, report in (("to_server", each.to_server), ("to_client", each.to_client))
                    },
                    "refused": each.refused,
                    "unsendable": each.unsendable,
                    "seconds": each.seconds,
                }
                for each in self.busiest
            ],
            "shared": self.shared,
            "turned_away": self.turned_away,
            "forgotten": self.forgotten,
            "harness": {
                **{f"emulator_late_p{share}_s": self.late_quantile_s(share / 100) for share in (50, 95, 99)},
                "priority": self.priority,
                "late_limit_s": self.lateness.limit_s,
                "invalid_seconds": list(self.lateness.invalid()),
                "invalid": self.lateness.is_invalid(),
            },
        }


def relay_lines(report: RelayReport) -> Iterator[Text]:
    """Return the lines of a terminal: the busiest clients, and what the relay itself added."""
    yield Text(
        f"relayed {report.listen} → {report.to} for {report.duration_s:.1f} s, "
        f"{counted(len(report.clients), 'client', 'clients')}, seed {report.seed}",
        style="bold",
    )
    if report.shared and len(report.clients) > 1:
        yield Text("all clients shared one link each way")
    busiest = report.busiest[:MOST_SHOWN]
    for each in busiest:
        yield from link_lines(each.client, (each.to_server, each.to_client), ("to the server", "to the client"))
        yield from _beside(each)
    hidden = len(report.clients) - len(busiest)
    if hidden:
        yield Text(f"and {counted(hidden, 'client', 'clients')} with fewer packets: --json has them all")
    if report.forgotten:
        yield Text(f"{counted(report.forgotten, 'client', 'clients')} left long ago, and nothing more is known of them")
    if report.turned_away:
        yield Text(f"{counted(report.turned_away, 'datagram', 'datagrams')} turned away: too many at once")
    if len(report.late_s):
        quantiles = (f"p{share} {milliseconds(report.late_quantile_s(share / 100), 2)}" for share in (50, 95, 99))
        yield from wrapped(f"the relay itself added, ms: {', '.join(quantiles)}; priority: {report.priority}", indent=0)
    invalid = report.lateness.invalid()
    if invalid:
        limit = milliseconds(report.lateness.limit_s, 2)
        word = "INVALID" if report.lateness.is_invalid() else "not valid"
        said = f"{word} in {counted(len(invalid), 'second', 'seconds')}"
        said += f" ({spans(invalid)}): more than one in twenty datagrams left over {limit} ms late there"
        yield from wrapped(said, indent=0, style="yellow")


COLUMNS: Final = {
    "at_s": "second, since the relay began",
    "offered_bps": "offered to the link",
    "delivered_bps": "delivered by it",
    "offered_packets": "packets offered",
    "queue_drops": "dropped by its queue",
    "losses": "lost otherwise",
    "delay_ms": "mean delay of what was delivered",
    "longest_delay_ms": "longest delay",
    "queue_ms": "mean delay above the least of the way",
    "rate_bps": "rate in force",
}
"""What is told of each second of a way."""


def columns_of(seconds: Seconds, rate_bps_at: Callable[[float], float | None], end_s: float) -> dict[str, list[Any]]:
    """Return the seconds of a way in columns, those in which nothing came among them."""
    rows = seconds.rows
    columns: dict[str, list[Any]] = {key: [] for key in COLUMNS}
    means_ms = {at: 1e3 * row.delays_s / row.delivered for at, row in rows.items() if row.delivered}
    # The least mean of a second stands for the empty queue: what the line takes by itself is not known to a relay.
    floor_ms = min(means_ms.values(), default=0.0)
    for second in _with_gaps(rows, int(end_s)):
        # A second without a packet is one of nothing offered, and of no delay at all.
        row = rows.get(second) or Row()
        mean_ms = means_ms.get(second)
        told = (
            second,
            8 * row.offered_bytes,
            8 * row.delivered_bytes,
            row.offered,
            row.queue_drops,
            row.losses,
            mean_ms,
            1e3 * row.longest_s if row.delivered else None,
            None if mean_ms is None else mean_ms - floor_ms,
            # In the middle of the second: a schedule changes at whole ones.
            rate_bps_at(second + 0.5),
        )
        for key, value in zip(COLUMNS, told, strict=True):
            columns[key].append(round(value, 3) if isinstance(value, float) else value)
    return columns


def _with_gaps(rows: Mapping[int, Row], end_s: int) -> list[int]:
    """Return the seconds that have a row, and those between that have none, unless the client was away for long."""
    out: list[int] = []
    for second in sorted(rows):
        if second <= end_s:
            if out and second - out[-1] <= LONGEST_GAP_S:
                out.extend(range(out[-1] + 1, second))
            out.append(second)
    return out


def relay_csv(report: RelayReport) -> str:
    """Return every second of every way of every client as CSV, the busiest client first."""
    out = io.StringIO()
    # RFC 4180 ends lines by CRLF; diff, git and awk expect LF, and spreadsheets read either.
    write = csv.writer(out, lineterminator="\n").writerow
    write(["client", "way", *COLUMNS, "late_max_ms", "valid"])
    invalid = set(report.lateness.invalid())
    for client in report.busiest:
        for way, columns in client.seconds.items():
            for row in zip(*columns.values(), strict=True):
                second = int(row[0])
                late = report.lateness.seconds.get(second)
                late_ms = "" if late is None else f"{1e3 * late[2]:.3f}"
                # An empty cell, as spreadsheets take it for no value; "None" would be text.
                told = ["" if value is None else value for value in row]
                write([client.client, way, *told, late_ms, "no" if second in invalid else "yes"])
    return out.getvalue()


def _beside(client: ClientReport) -> Iterator[Text]:
    offered = [int(way.achieved.offered) for way in (client.to_server, client.to_client)]
    yield Text(f" packets  {offered[0]:,} to the server, {offered[1]:,} to the client")
    rates = [_rates(client.seconds.get(way, {})) for way in ("to_server", "to_client")]
    yield Text(f" kb/s, offered → delivered  {rates[0]} to the server, {rates[1]} to the client")
    if client.refused:
        said = f"{counted(client.refused, 'datagram', 'datagrams')} came back: nobody listens at the server's port"
        yield from wrapped(said, indent=1, style="yellow")
    if client.unsendable:
        said = f"{counted(client.unsendable, 'datagram', 'datagrams')} could not be sent by this machine"
        yield from wrapped(said, indent=1, style="yellow")


def _rates(columns: Mapping[str, Sequence[float | None]]) -> str:
    """Return what a way was offered and what it delivered, kb/s: means over its seconds."""
    seconds = len(columns.get("at_s", ()))
    if not seconds:
        return "none"
    offered, delivered = (sum(filter(None, columns[key])) / seconds / 1e3 for key in ("offered_bps", "delivered_bps"))
    return f"{offered:,.0f} → {delivered:,.0f}"


def _plain(figures: LinkSide) -> dict[str, Any]:
    return {
        # JSON has neither infinity nor NaN (RFC 8259 §6).
        key: None if isinstance(value, float) and not math.isfinite(value) else _listed(value)
        for key, value in asdict(figures).items()
    }


def _listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if hasattr(value, "items") else value
