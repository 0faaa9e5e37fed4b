"""What a relay did to its clients' packets: on a terminal, and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.text import Text

from rtcprobe.report.lines import wrapped
from rtcprobe.report.link_lines import link_lines
from rtcprobe.report.sentences import counted, milliseconds
from rtcprobe.result import LinkReport, LinkSide

__all__ = ["ClientReport", "RelayReport", "relay_lines"]

MOST_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientReport:
    """One client: where it is, when it came, both ways of its link, and what went wrong beside the link."""

    client: str
    begun_s: float
    to_server: LinkReport
    to_client: LinkReport
    refused: int
    unsendable: int

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
                }
                for each in self.clients
            ],
            "turned_away": self.turned_away,
            "forgotten": self.forgotten,
            "harness": {f"emulator_late_p{share}_s": self.late_quantile_s(share / 100) for share in (50, 95, 99)},
        }


def relay_lines(report: RelayReport) -> Iterator[Text]:
    """Return the lines of a terminal: the busiest clients, and what the relay itself added."""
    yield Text(
        f"relayed {report.listen} → {report.to} for {report.duration_s:.1f} s, "
        f"{counted(len(report.clients), 'client', 'clients')}, seed {report.seed}",
        style="bold",
    )
    busiest = sorted(report.clients, key=lambda each: -each.packets)[:MOST_SHOWN]
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
        yield Text(f"the relay itself added, ms: {', '.join(quantiles)}")


def _beside(client: ClientReport) -> Iterator[Text]:
    offered = [int(way.achieved.offered) for way in (client.to_server, client.to_client)]
    yield Text(f" packets  {offered[0]:,} to the server, {offered[1]:,} to the client")
    if client.refused:
        said = f"{counted(client.refused, 'datagram', 'datagrams')} came back: nobody listens at the server's port"
        yield from wrapped(said, indent=1, style="yellow")
    if client.unsendable:
        said = f"{counted(client.unsendable, 'datagram', 'datagrams')} could not be sent by this machine"
        yield from wrapped(said, indent=1, style="yellow")


def _plain(figures: LinkSide) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else _listed(value)
        for key, value in asdict(figures).items()
    }


def _listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if hasattr(value, "items") else value
