"""What commands that read results share: which of a file's results are wanted, and what is said about the file."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from rtcprobe.cli.common import complain

if TYPE_CHECKING:
    from rtcprobe.capture import Dump
    from rtcprobe.result import Result

__all__ = ["DUMP_HELP", "read_dumps", "read_results", "selecting_options"]

_Command = TypeVar("_Command", bound=Callable[..., int])

_SCENARIO = click.option("--scenario", metavar="NAME", help="Take only the results of this scenario.")
_LAST = click.option("--last", type=click.IntRange(min=1), metavar="N", help="Take only the last N of each file.")


DUMP_HELP = "Show what a browser counted of a call of its own (a dump of chrome://webrtc-internals) beside the runs."


def selecting_options(command: _Command) -> _Command:
    """Give ``command`` the flags ``scenario`` and ``last``."""
    return _SCENARIO(_LAST(command))


def read_results(path: str, *, scenario: str | None, last: int | None) -> tuple[Result, ...]:
    """Return the results in the file at ``path``; what is odd about it is said on standard error.

    Raises:
        BadInputError: it holds no results that can be read.
    """
    from rtcprobe.result.files import load_results

    loaded = load_results(path, scenario=scenario, last=last)
    for warning in loaded.warnings:
        complain(f"warning: {warning}")
    return loaded.results


def read_dumps(paths: Sequence[str]) -> tuple[Dump, ...]:
    """Return the browsers' dumps at ``paths``.

    Raises:
        BadInputError: one of them is none, or holds nothing of use.
    """
    if not paths:
        return ()
    from rtcprobe.capture import read_dump

    return tuple(read_dump(path) for path in paths)
