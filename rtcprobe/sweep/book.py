"""The rows of a sweep on disk: one line of JSON a job, written as it is done, so that nothing done is ever done again.

Rules:
    1. A row is on disk before the next is taken; a last line without its end is a client that was killed: that job is
       done again.
    2. When all are done the file is laid out in the order of the grid: it equals that of a serial run to the byte.
    3. Rows of other grids in the same file stay where they are, before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rtcprobe.errors import BadInputError
from rtcprobe.sweep.grid import Task

__all__ = ["Book", "read_rows"]

# A hundred thousand jobs of 10 kB: what a grid may have (``sweep.grid``).
MOST_BYTES: Final = 2**30
Row = Mapping[str, Any]


class Book:
    """The file of a sweep: ``known`` are the rows that it holds, by key."""

    def __init__(self, path: Path) -> None:
        """Open ``path``, which may not be there yet.

        Raises:
            BadInputError: it cannot be written, or holds something else.
        """
        self.path = path
        rows, self._whole = _rows(path) if path.exists() else ([], 0)
        self.known: dict[str, Row] = {str(each["key"]): each for each in rows}
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            # A line without its end is cut off (rule 1), so that the next row does not continue it.
            os.ftruncate(self._file, self._whole)
            os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            raise BadInputError(f"{path} cannot be written", error.strerror or str(error)) from error

    def add(self, row: Row) -> None:
        """Write a row.

        Raises:
            BadInputError: the disk is full, or gone.
        """
        if row["key"] in self.known:
            return
        try:
            os.write(self._file, line(row))
            # A row may have cost seconds of computing: syncing each costs less than losing one to a machine that fails.
            os.fsync(self._file)
        except OSError as error:
            raise BadInputError(f"{self.path} cannot be written", error.strerror or str(error)) from error
        self.known[str(row["key"])] = row

    def finish(self, jobs: Sequence[Task]) -> None:
        """Lay the rows out in the order of ``jobs``, whole or not at all."""
        keys = [job.key for job in jobs]
        wanted = set(keys)
        rest = [row for key, row in self.known.items() if key not in wanted]
        # In the same folder, for only there does renaming replace the file in one step (rename(2)).
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with beside.open("wb") as file:
                file.writelines(line(row) for row in [*rest, *(self.known[key] for key in dict.fromkeys(keys))])
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise BadInputError(f"{self.path} cannot be written", error.strerror or str(error)) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def line(row: Row) -> bytes:
    """Return the line of a row."""
    return json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_rows(path: Path) -> list[Row]:
    """Return the rows in the file at ``path``.

    Raises:
        BadInputError: it cannot be read, or holds none.
    """
    if not path.is_file():
        raise BadInputError(f"{path} cannot be read", "name a file that rtcprobe sweep wrote")
    rows, _ = _rows(path)
    if not rows:
        raise BadInputError(f"{path} holds no row of a sweep", "run rtcprobe sweep GRID.yaml -o FILE first")
    return rows


def _rows(path: Path) -> tuple[list[Row], int]:
    """Return the whole rows of a file, and where they end."""
    try:
        if not path.is_file():
            raise BadInputError(f"{path} is no file", "name one")
        if path.stat().st_size > MOST_BYTES:
            raise BadInputError(f"{path} is longer than a gigabyte", "sweep into another file")
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read", error.strerror or str(error)) from error
    end = data.rfind(b"\n") + 1
    rows: list[Row] = []
    for number, text in enumerate(data[:end].splitlines(), start=1):
        rows.append(_row(text, f"{path}, line {number}"))
    return rows, end


def _row(text: bytes, place: str) -> Row:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{place} is no row of a sweep", "name a file that rtcprobe sweep wrote") from error
    if not isinstance(row, dict) or not {"key", "point", "seed"} <= set(row) or not isinstance(row["point"], dict):
        raise BadInputError(f"{place} is no row of a sweep", "name a file that rtcprobe sweep wrote")
    figures = row.get("figures", {})
    if not isinstance(figures, dict) or not all(
        each is None or isinstance(each, int | float) for each in figures.values()
    ):
        raise BadInputError(f"{place} holds a figure that is no number", "the file is damaged: sweep again")
    return row
