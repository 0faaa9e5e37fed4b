"""What every command shares: where it prints, and what its exit codes mean."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TextIO

import click

from rtcprobe.errors import printable
from rtcprobe.secrets import scrub

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["EXIT_CODES", "INTERRUPTED", "complain", "console", "language_option", "say"]

# Columns below which rich's tables come apart; nobody reads on such a terminal.
_NARROWEST = 20
# What a width that is too small, or none at all, stands for.
_USUAL = 80

INTERRUPTED = "130 interrupted (143 by SIGTERM, 129 by SIGHUP)"
EXIT_CODES = (
    "Exit codes: 0 budgets met, 1 a budget missed, 2 bad scenario or usage, 3 could not measure, 4 budgets met but "
    f"the figures could not be handed over (--push, --openmetrics), {INTERRUPTED}: what was measured is kept and "
    "written."
)


def _language(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Refuse a language that nobody speaks before anything is done."""
    from rtcprobe.report.words import language_named

    return language_named(value)


language_option = click.option(
    "--lang",
    "language",
    metavar="LANGUAGE",
    default="en",
    show_default=True,
    callback=_language,
    help="Language of labels and sentences: en, or zh (Chinese). What others wrote stays as it is.",
)


def console(*, stderr: bool = False) -> Console:
    """Return where a command prints: standard output, or standard error."""
    from rich.console import Console

    # Before the console looks at its stream's encoding.
    _forgive(sys.stderr if stderr else sys.stdout)
    # rich would colour numbers, paths and quotes within sentences as if they were code.
    screen = Console(stderr=stderr, highlight=False)
    if screen.width < _NARROWEST:  # COLUMNS=0 and its like say that nobody knows
        screen.width = _USUAL
    return screen


def complain(sentence: str) -> None:
    """Print a sentence on standard error, without any secret or control character it may hold."""
    click.echo(f"rtcprobe: {printable(scrub(sentence))}", err=True)


def say(line: str, *, err: bool = False) -> None:
    """Print a line, without any secret or control character it may hold."""
    _forgive(sys.stderr if err else sys.stdout)
    click.echo(printable(scrub(line)), err=err)


def _forgive(stream: TextIO) -> None:
    """A name that a terminal cannot spell is no reason to stop."""
    if isinstance(stream, io.TextIOWrapper):
        # Strict, as it is by default, a name beyond ASCII or a code page would end the command (UnicodeEncodeError).
        stream.reconfigure(errors="replace")
