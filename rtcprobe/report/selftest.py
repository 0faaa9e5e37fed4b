"""The self-test on a terminal: one row a codec setting, the instrument's own errors beside the limit."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from rtcprobe.selftest import LIMIT_S, SelftestReport, SelftestRow
from rtcprobe.units import format_duration, format_rate

__all__ = ["print_selftest"]


def print_selftest(rows: Iterable[SelftestRow], console: Console) -> bool:
    """Print the rows and whether the instrument may be trusted; return whether it may."""
    console.print(f"{'codec':<30} {'heard':>10} {'bias, ms':>10} {'sd, ms':>9} {'worst, ms':>10}", style="bold")
    seen: list[SelftestRow] = []
    for row in rows:
        seen.append(row)
        errors = f"{1e3 * row.bias_s:>+10.4f} {1e3 * row.sd_s:>9.4f} {1e3 * row.worst_s:>+10.4f}"
        verdict = "[green]pass[/green]" if row.passed else "[bold red]FAIL[/bold red]"
        console.print(f"{_codec(row):<30} {row.heard:>4}/{row.scheduled:<5} {errors}  {verdict}")
    report = SelftestReport(rows=tuple(seen))
    delays = ", ".join(f"{each * 1e3:.4g}" for each in report.delays_s)
    console.print(f"injected one-way delays: {delays} ms; limit of any one sample: {LIMIT_S * 1e3:g} ms")
    failed = sum(not row.passed for row in report.rows)
    said = f"{failed} of {len(report.rows)} settings failed" if failed else f"all {len(report.rows)} settings pass"
    console.print(f"[bold]{'FAIL' if failed else 'PASS'}[/bold]  {said}")
    return report.passed


def _codec(row: SelftestRow) -> str:
    codec = row.codec
    words = [codec.application, format_rate(codec.bitrate_bps), format_duration(codec.ptime_s)]
    words += ["fec"] if codec.fec else []
    words += [f"complexity {codec.complexity}"] if codec.complexity else []
    return " ".join(words)
