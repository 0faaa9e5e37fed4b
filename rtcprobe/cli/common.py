"""What every command shares: where it prints, and what its exit codes mean."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import click

from rtcprobe.secrets import scrub

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["EXIT_CODES", "complain", "console"]

EXIT_CODES = (
    "Exit codes: 0 budgets met, 1 a budget missed, 2 bad scenario or usage, 3 could not measure, 4 budgets met but "
    "the figures could not be handed over (--push, --openmetrics), 130 interrupted (what was measured is kept and "
    "written)."
)


def console(*, stderr: bool = False) -> Console:
    """Return where a command prints: standard output, or standard error."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):  # a name that a terminal cannot spell is no reason to stop
        stream.reconfigure(errors="replace")
    return Console(stderr=stderr, highlight=False)


def complain(sentence: str) -> None:
    """Print a sentence on standard error, without any secret it may hold."""
    click.echo(f"rtcprobe: {scrub(sentence)}", err=True)
