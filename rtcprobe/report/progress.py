"""Progress while a scenario runs: a moving bar on a terminal, else a plain line a step; always on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from rtcprobe.result import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

__all__ = ["narrate"]

Listener = Callable[[Progress], None]


@contextmanager
def narrate(name: str, *, quiet: bool) -> Iterator[Listener | None]:
    """Yield what to tell progress to; None when nobody wants to hear."""
    # Standard error in any case: standard output may be JSON for the next command.
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _Bar(name, bars)
    else:
        yield _Lines(name)


def _bars() -> Bars:
    from rich.console import Console  # noqa: PLC0415 - who is told in lines, or nothing, need not load it
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above
    from rich.progress import Progress as Bars  # noqa: PLC0415 - as above

    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class _Bar:
    """One moving bar a step."""

    def __init__(self, name: str, bars: Bars) -> None:
        self._name = name
        self._bars = bars
        self._task = bars.add_task(name, total=None)
        self._step = ""

    def __call__(self, progress: Progress) -> None:
        if progress.step != self._step:
            self._step = progress.step
            self._bars.reset(self._task, description=f"{self._name}: {progress.step}", total=round(progress.total))
        self._bars.update(self._task, completed=round(progress.done))


class _Lines:
    """One plain line when a step begins."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._step = ""

    def __call__(self, progress: Progress) -> None:
        if progress.step != self._step:
            self._step = progress.step
            click.echo(f"{self._name}: {progress.step} ({progress.total:g} {progress.unit})", err=True)
