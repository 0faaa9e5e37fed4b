"""What commands that read results share: which of a file's results are wanted, and what is said about the file."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from rtcprobe.cli.common import complain

if TYPE_CHECKING:
    from rtcprobe.result import Result

__all__ = ["read_results", "selecting_options"]

_Command = TypeVar("_Command", bound=Callable[..., int])

_SCENARIO = click.option("--scenario", metavar="NAME", help="Take only the results of this scenario.")
_LAST = click.option("--last", type=click.IntRange(min=1), metavar="N", help="Take only the last N of each file.")


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
