"""The self-test on a terminal: one row a codec setting, the instrument's own errors beside the limit."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from rtcprobe.audio.opus import OpusSettings
from rtcprobe.selftest import LIMIT_S, SelftestReport, SelftestRow
from rtcprobe.selftest_voice import OFFSET_S, ONSET_S, VoiceRow
from rtcprobe.units import format_duration, format_rate

__all__ = ["print_selftest", "print_voice_selftest"]

_CODEC = 34
"""As wide as the longest setting; a line then takes 79 columns."""
_USUAL = OpusSettings()


def print_selftest(rows: Iterable[SelftestRow], console: Console) -> bool:
    """Print the rows and whether the instrument may be trusted; return whether it may."""
    console.print(f"{'codec':<{_CODEC}} {'heard':<8} {'bias, ms':>9} {'sd, ms':>8} {'worst, ms':>9}", style="bold")
    seen: list[SelftestRow] = []
    for row in rows:
        seen.append(row)
        # Four decimals of a millisecond: the instrument's own errors are tenths of microseconds to tens of them.
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


def print_voice_selftest(rows: Iterable[VoiceRow], console: Console) -> bool:
    """Print what is heard of a simulated agent's answers against its own log; return whether that is near enough."""
    title = "simulated agent's voice"
    console.print(f"{title:<{_CODEC}} {'heard':<8} {'onset p95, ms':>14} {'offset p95, ms':>14}", style="bold")
    passed = True
    for row in rows:
        passed = passed and row.passed
        errors = f"{1e3 * row.onset_s:>14.2f} {1e3 * row.offset_s:>14.2f}"
        verdict = "[green]pass[/green]" if row.passed else "[bold red]FAIL[/bold red]"
        console.print(f"{f'{row.level_dbfs:g} dBFS':<{_CODEC}} {f'{row.heard}/{row.said}':<8} {errors}  {verdict}")
    limits = f"limits: {ONSET_S * 1e3:g} and {OFFSET_S * 1e3:g} ms"
    console.print(f"[bold]{'PASS' if passed else 'FAIL'}[/bold]  conversations, against the agent's log; {limits}")
    return passed


def _codec(row: SelftestRow) -> str:
    codec = row.codec
    words = [codec.application, format_rate(codec.bitrate_bps), format_duration(codec.ptime_s)]
    words += [codec.bandwidth] if codec.bandwidth != _USUAL.bandwidth else []
    words += ["fec"] if codec.fec else []
    words += [f"complexity {codec.complexity}"] if codec.complexity else []
    return " ".join(words)
