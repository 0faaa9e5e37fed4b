"""The link catalogue on a terminal: regions, accesses with their sources, round trips with theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from rtcprobe.errors import same_name
from rtcprobe.link import ACCESS, BORDER, MAINLAND, REGIONS, LinkSpec, Requested, backbone, distance_km, light_bound_s
from rtcprobe.link.border import told_of_border
from rtcprobe.report.sentences import milliseconds
from rtcprobe.units import format_rate, format_ratio

__all__ = ["print_catalogue", "print_round_trips"]


def print_catalogue(console: Console) -> None:
    """Print every region, and every access with what is sourced and what is assumed."""
    table = Table(box=None, pad_edge=False, title="Regions", title_justify="left")
    for _ in range(2):
        table.add_column("region", style="bold")
        table.add_column("place")
    names = list(REGIONS)
    # Two columns of regions, the first the longer one: rounded up.
    half = -(-len(names) // 2)
    for left, right in zip(names[:half], [*names[half:], ""], strict=False):
        table.add_row(left, REGIONS[left].place, right, REGIONS[right].place if right else "")
    console.print(table)
    console.print("Round trips from a region: rtcprobe links REGION\n")
    for access in ACCESS.values():
        console.print(f"[bold]{access.name}[/bold]: {access.means}")
        console.print(f"  up    {_figures(access.up)}")
        console.print(f"  down  {_figures(access.down)}")
        _print_list("sourced", access.sourced, console)
        _print_list("assumed", access.assumed, console)


def print_round_trips(names: Sequence[str], console: Console) -> None:
    """Print the round trips from each of ``names`` to every region, beside the light bound and the source.

    Raises:
        BadInputError: no such region.
    """
    for written in names:
        name = same_name(written, REGIONS) or written
        table = Table(box=None, pad_edge=False, title=f"From {name}", title_justify="left")
        table.add_column("to", style="bold")
        for column in ("RTT, ms", "private, ms", "light, ms", "km"):
            table.add_column(column, justify="right")
        table.add_column("source")
        found = sorted(((backbone(name, other), other) for other in REGIONS), key=lambda entry: entry[0].rtt_s)
        for hop, other in found:
            bound, km = light_bound_s(name, other), distance_km(name, other)
            kind = hop.provenance.partition(":")[0]
            private_s = backbone(name, other, private=True).rtt_s
            # Only where the public network alone was pinged is a private line another (``regions.backbone``).
            private = "" if private_s == hop.rtt_s else milliseconds(private_s, 0)
            table.add_row(other, milliseconds(hop.rtt_s, 0), private, milliseconds(bound, 0), f"{km:,.0f}", kind)
        console.print(table)
        for source in dict.fromkeys(hop.provenance for hop, _ in found if not hop.provenance.startswith("estimated")):
            console.print(source)
        console.print("estimated: the light bound times the route inflation at that distance (Azure's table, 2026)")
        console.print("private: the same with backbone private, where that is another; estimated")
        if name in MAINLAND:
            _print_border(console)


def _print_border(console: Console) -> None:
    console.print("\nFrom abroad into mainland China, over the public network:")
    for state in BORDER:
        console.print(f"  border {state:<6} {told_of_border(state)}")
    console.print("  outwards, and with backbone private: nothing")
    _print_list(
        "sourced", ("loss and rate: Zhu et al., POMACS 4(1), 2020, doi 10.1145/3379479, by its summaries",), console
    )
    _print_list("assumed", ("independent losses, a queue 200 ms deep, no further delay",), console)


def _figures(spec: LinkSpec) -> str:
    asked = Requested.of([spec])
    parts = []
    if asked.delay_p50_s is not None and asked.delay_p95_s is not None:
        parts.append(f"delay p50 {milliseconds(asked.delay_p50_s)} p95 {milliseconds(asked.delay_p95_s)} ms")
    if asked.loss is not None:
        parts.append(f"loss {format_ratio(asked.loss)}")
    # Independent losses have bursts of 1 / (1 − loss), little above one: no news.
    if asked.mean_burst is not None and asked.mean_burst > 1.5:
        parts.append(f"in bursts of {asked.mean_burst:.3g}")
    if asked.rate_bps is not None:
        parts.append(f"rate {format_rate(asked.rate_bps)}")
    return ", ".join([*parts, *(note for note in asked.notes if note.startswith("the schedule"))])


def _print_list(title: str, entries: Iterable[str], console: Console) -> None:
    for index, entry in enumerate(entries):
        console.print(f"  {title if index == 0 else '':<8}  {entry}", soft_wrap=True)
