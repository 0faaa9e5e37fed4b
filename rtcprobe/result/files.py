"""Results read from files: one JSON object, a JSON array (``--json``), or one result a line (``--append``).

Rules:
    1. Nothing is built that is not wanted: a history is read from its end, and reading stops at ``last`` results.
    2. Every whole line of a history counts. A last line without its end is a writer that crashed: it is left out, and a
       warning names it. A damaged line anywhere else is refused: something other than a crash happened to the file.
    3. More results than can be read in seconds are refused with the cure, never read in vain.
"""

from __future__ import annotations

import errno
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from rtcprobe.errors import BadInputError
from rtcprobe.result.records import Result
from rtcprobe.textfiles import is_marked, read_bytes, without_mark

__all__ = ["MOST_RESULTS", "Loaded", "begins_a_history", "load_results", "parse_line"]

MOST_RESULTS = 500
"""How many results are read from one file at most: a minute's call takes some 15 ms to build."""

MOST_BYTES = 256 * 2**20
"""Longest JSON document, or line of a history: an hour's call is 4 MB."""

_CURE = "name a file that rtcprobe run --json or --append wrote"
# Read at a time from the end of a history: some dozens of results of a minute's call.
_BLOCK_BYTES = 2**20
_HEAD = re.compile(rb'\s*\{\s*"schema"\s*:\s*"[^"\\]*"\s*,\s*"scenario"\s*:\s*"([^"\\]*)"')
"""How a line that rtcprobe wrote begins: it names its scenario, so lines of another need not be parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The results of a file in the order they were written, and what a reader should know about the file."""

    results: tuple[Result, ...]
    warnings: tuple[str, ...] = ()


def load_results(path: str | Path, *, scenario: str | None = None, last: int | None = None) -> Loaded:
    """Return the results in the file at ``path``: those of ``scenario`` if given, of these the ``last``.

    Raises:
        BadInputError: no such file, not results, cut off, of another schema version, none of that scenario, or too
            many to read.
    """
    place = str(path)
    try:
        with _opened(Path(path)) as file:
            return _read(file, _Wanted(place=place, scenario=scenario, last=last))
    except _TooManyError as error:
        narrower = "" if scenario else ", or one scenario with --scenario NAME"
        raise BadInputError(
            f"{place} holds more than {MOST_RESULTS} results", f"choose the last ones with --last N{narrower}"
        ) from error
    except OSError as error:
        reason = "it is a folder; name a file in it" if isinstance(error, IsADirectoryError) else error.strerror
        raise BadInputError(f"{place} cannot be read", reason or str(error)) from error
    except UnicodeError as error:
        raise BadInputError(f"{place} is not UTF-8 text", _CURE) from error


def begins_a_history(first: bytes) -> bool:
    """Whether a file with this first line holds one result a line: JSON laid out for people opens with a bracket."""
    line = first.strip()
    return line.startswith(b"{") and (_HEAD.match(line) is not None or line.endswith(b"}"))


def parse_line(line: bytes) -> Any:
    """Return the JSON value of ``line``.

    Raises:
        ValueError: it is not JSON; NaN and infinity are not.
    """
    try:
        return json.loads(line, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


class _TooManyError(Exception):
    """More results are wanted than are read."""


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """Which results of a file are wanted, and the scenarios met while looking for one."""

    place: str
    scenario: str | None
    last: int | None
    names: dict[str, None] = field(default_factory=dict)

    def named(self, name: object) -> bool:
        """Whether a result of the scenario ``name`` is wanted; what names none is: it will be refused."""
        # Taken note of also where it is not wanted: who asks for a scenario that is not there is told which are.
        if isinstance(name, str):
            self.names[name] = None
        return self.scenario is None or not isinstance(name, str) or name == self.scenario

    def built(self, chosen: Sequence[tuple[Callable[[], str], Any]], *warnings: str) -> Loaded:
        """Return the results in ``chosen`` (where each stands, its JSON), newest last.

        Raises:
            BadInputError: there is none, or one that cannot be read.
        """
        if not chosen and self.scenario is not None and self.names:
            known = ", ".join(list(self.names)[:5])
            raise BadInputError(f"{self.place} holds no result of scenario {self.scenario!r}", f"it has {known}")
        if not chosen:
            raise BadInputError(f"{self.place} holds no result", "write one with rtcprobe run --json or --append")
        results = []
        for place, data in chosen:
            try:
                results.append(Result.from_dict(parse_line(data) if isinstance(data, bytes) else data))
            except BadInputError as error:
                raise error.within(place()) from error
            except ValueError as error:
                _refuse(error, place())
        return Loaded(results=tuple(results), warnings=warnings)


def _opened(path: Path) -> BinaryIO:
    """Return the file at ``path``, which can be read from its end: of a pipe, and of marked text, what it holds."""
    try:
        # A pipe, as of <(zcat old.gz), cannot be read from its end: it is read whole.
        regular = path.is_file()
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have that name ({error})") from error
    if regular:
        file = path.open("rb")
        # UTF-8's byte order mark, which Windows' editors write: with it offsets would be three off, so the text is
        # taken whole.
        if not is_marked(file.read(3)):
            file.seek(0)
            return file
        file.close()
    return io.BytesIO(without_mark(read_bytes(path, most=MOST_BYTES)))


def _read(file: BinaryIO, wanted: _Wanted) -> Loaded:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    first = file.readline(_BLOCK_BYTES)
    # A file that begins with empty lines was edited by hand, and is read all the same.
    while first.isspace():
        first = file.readline(_BLOCK_BYTES)
    if not first:
        raise BadInputError(f"{wanted.place} is empty", "write a result with rtcprobe run --json or --append")
    return _lines(file, size, wanted) if begins_a_history(first) else _document(file, wanted)


def _document(file: BinaryIO, wanted: _Wanted) -> Loaded:
    """Read one JSON value: a result, or an array of them."""
    file.seek(0)
    try:
        value = parse_line(_bounded(file, wanted.place))
    except ValueError as error:
        _refuse(error, wanted.place)
    every = value if isinstance(value, list) else [value]
    chosen = [each for each in every if wanted.named(each.get("scenario") if isinstance(each, dict) else None)]
    if wanted.last is not None:
        chosen = chosen[-wanted.last :]
    if len(chosen) > MOST_RESULTS:
        raise _TooManyError
    return wanted.built([(lambda: wanted.place, each) for each in chosen])


def _lines(file: BinaryIO, size: int, wanted: _Wanted) -> Loaded:
    """Read a history from its end."""
    warnings: list[str] = []
    chosen: list[tuple[Callable[[], str], bytes]] = []
    for begin, line, whole in _backwards(file, size, wanted.place):
        # Before the line is looked at: what is older than wanted need not even be whole.
        if len(chosen) == wanted.last:
            break
        place = partial(_place, file, begin, wanted.place)
        # The last line alone has no end; the only one of a file (begin 0) is refused as cut off rather than left out.
        if not whole and begin > 0 and line.strip() and not _is_json(line):
            warnings.append(f"{place()} has no end, its writer crashed: it is left out")
        elif line.strip() and wanted.named(_scenario_of(line) if wanted.scenario is not None else None):
            if len(chosen) == MOST_RESULTS:
                raise _TooManyError
            chosen.append((place, line))
    return wanted.built(chosen[::-1], *warnings)


def _scenario_of(line: bytes) -> object:
    """Return the scenario that a line of a history names; None where it cannot be told."""
    # Some tens of kilobytes a line: its first hundred bytes tell whether the rest need be parsed.
    head = _HEAD.match(line)
    if head is not None:
        return head[1].decode(errors="replace")
    try:
        value = parse_line(line)
    except ValueError:
        return None
    return value.get("scenario") if isinstance(value, dict) else None


def _is_json(line: bytes) -> bool:
    try:
        parse_line(line)
    except ValueError:
        return False
    return True


def _backwards(file: BinaryIO, size: int, place: str) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (offset, line, whether it has its end) from the last line to the first."""
    begin, rest, whole = size, b"", False
    while begin > 0:
        length = min(max(_BLOCK_BYTES, len(rest)), begin)  # twice as much each time, so a long line costs no more
        begin -= length
        file.seek(begin)
        # Everything but the first piece is whole lines; the first may begin in the block before, and is kept for it.
        rest, *lines = (file.read(length) + rest).split(b"\n")
        if len(rest) > MOST_BYTES:
            _too_long(place)
        end = begin + len(rest) + sum(len(line) + 1 for line in lines)
        for line in reversed(lines):
            end -= len(line)
            yield end, line, whole
            end, whole = end - 1, True
    yield 0, rest, whole


def _place(file: BinaryIO, offset: int, name: str) -> str:
    """Return where the line that begins at ``offset`` stands: ``"history.jsonl, line 12"``."""
    return f"{name}, line {_number(file, offset)}"


def _number(file: BinaryIO, offset: int) -> int:
    """Return the number of the line that begins at ``offset``, the first being 1."""
    file.seek(0)
    count, left = 1, offset
    while left > 0 and (block := file.read(min(_BLOCK_BYTES, left))):
        count += block.count(b"\n")
        left -= len(block)
    return count


def _refuse(error: ValueError, place: str) -> NoReturn:
    """Say why ``data`` is not JSON: cut off, or something else."""
    # A parser that stopped at the very end, or within a string, was cut short; one that stopped before it met something
    # else.
    if isinstance(error, json.JSONDecodeError):
        rest = len(error.doc.rstrip()) - error.pos
        if rest <= 0 or error.msg.startswith("Unterminated string"):
            raise BadInputError(f"{place} is cut off: its JSON has no end", "copy it again or measure again") from error
        raise BadInputError(
            f"{place} is not JSON (line {error.lineno}, column {error.colno})",
            _CURE,
        ) from error
    fact = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"not JSON ({error})"
    raise BadInputError(f"{place} is {fact}", _CURE) from error


def _bounded(file: BinaryIO, place: str) -> bytes:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        _too_long(place)
    return data


def _too_long(place: str) -> NoReturn:
    raise BadInputError(
        f"{place} is a JSON document of more than {MOST_BYTES // 2**20} MB",
        "keep many results as a history, one a line, with --append",
    )


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
