"""How to run a result again: the command, the scenario file, the versions.

Rules:
    1. A command is only given when it was tried: the scenario it names has the digest of the result.
    2. Otherwise the scenario stands in the page whole, and the command runs that file.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from rtcprobe.errors import RtcprobeError
from rtcprobe.result import Result

__all__ = ["Repeat", "repeat"]

_MOST_CHANGES = 12
"""A command with more ``--set`` than this is worse to read than the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """``command`` to type; ``file`` is the scenario as YAML, which the command needs where ``needs_file``."""

    command: str
    file: str
    needs_file: bool


def repeat(result: Result) -> Repeat:
    """Return how to measure ``result`` again."""
    file = yaml.safe_dump(_plain(result.settings), sort_keys=False, allow_unicode=True, width=100)
    flags = ["--seed", str(result.seed), *(["--real-time"] if result.clock == "real" else [])]
    flags += ["--engine", result.engine] if result.engine != "stack" else []
    changes = _changes(result)
    if changes is None:
        return Repeat(command=shlex.join(["rtcprobe", "run", "scenario.yaml", *flags]), file=file, needs_file=True)
    settings = [word for change in changes for word in ("--set", change)]
    return Repeat(
        command=shlex.join(["rtcprobe", "run", result.scenario, *flags, *settings]), file=file, needs_file=False
    )


def _changes(result: Result) -> list[str] | None:
    """Return the ``--set`` that make the library's scenario the one that ran; None where none do."""
    from rtcprobe.scenario import find_scenario, library  # noqa: PLC0415 - reads YAML, which few pages need

    if result.scenario not in library():
        return None
    try:
        changes = list(_differences(find_scenario(result.scenario).settings, result.settings))
        # Rule 1: found, applied to the scenario of this version, and its digest compared.
        if len(changes) > _MOST_CHANGES or find_scenario(result.scenario, changes).digest != result.scenario_digest:
            return None
    except RtcprobeError:
        return None
    return changes


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in theirs.items():
        mine = ours.get(key)
        # Into a mapping that is there; one that is not is set whole.
        if isinstance(value, Mapping) and isinstance(mine, Mapping) and mine:
            yield from _differences(mine, value, f"{path}{key}.")
        elif value != mine and (value or mine):
            yield f"{path}{key}={_flow(value)}"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(_plain(value), default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    # PyYAML ends a bare scalar with a document's end.
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: Any) -> Any:
    """Return ``value`` in the few types YAML writes."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
