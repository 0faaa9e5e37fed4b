"""The self-test on a terminal: one row a codec setting, the instrument's own errors beside the limit."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from rtcprobe.audio.opus import OpusSettings
from rtcprobe.selftest import LIMIT_S, SelftestReport, SelftestRow
from rtcprobe.units import format_duration, format_rate

__all__ = ["print_selftest"]

_CODEC = 34
"""As wide as the longest setting; a line then takes 79 columns."""
_USUAL = OpusSettings()


def print_selftest(rows: Iterable[SelftestRow], console: Console) -> bool:
    """Print the rows and whether the instrument may be trusted; return whether it may."""
    console.print(f"{'codec':<{_CODEC}} {'heard':<8} {'bias, ms':>9} {'sd, ms':>8} {'worst, ms':>9}", style="bold")
    seen: list[SelftestRow] = []
    for row in rows:
        seen.append(row)
        errors = f"{1e3 * row.bias_s:>+9.4f} {1e3 * row.sd_s:>8.4f} {1e3 * row.worst_s:>+9.4f}"
        verdict = "[green]pass[/green]" if row.passed else "[bold red]FAIL[/bold red]"
        console.print(f"{_codec(row):<{_CODEC}} {f'{row.heard}/{row.scheduled}':<8} {errors}  {verdict}")
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
    words += [codec.bandwidth] if codec.bandwidth != _USUAL.bandwidth else []
    words += ["fec"] if codec.fec else []
    words += [f"complexity {codec.complexity}"] if codec.complexity else []
    return " ".join(words)
