"""Histories: results appended to a file, one a line, by any number of processes, through crashes.

Rules:
    1. A line appears whole or not at all: one write under an exclusive lock, then fsync; a write that fails (a full
       disk) is taken back.
    2. A last line without its end was torn by a crash. If it is JSON it gets its end, else it is removed, and said so.
    3. A file that is something else is never appended to.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rtcprobe.errors import BadInputError
from rtcprobe.report.json import check_writable
from rtcprobe.result import Result
from rtcprobe.result.files import begins_a_history, parse_line

__all__ = ["append_result", "check_appendable", "line_of"]

LOCK_TIMEOUT_S = 30.0
"""A lock is held for milliseconds; who waits longer waits for a process that hangs."""

# A result's line is some tens of kB: the last ones are read from the end, whatever the file has grown to.
_TAIL_BYTES = 2**20


def line_of(result: Result) -> bytes:
    """Return ``result`` as a line of a history."""
    return json.dumps(result.to_dict(), separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def check_appendable(path: str) -> None:
    """Refuse, before an hour is spent measuring, a file that results could not be appended to.

    Raises:
        BadInputError: it cannot be written, or holds something other than results, one a line.
    """
    check_writable(path)
    target = Path(path)
    if not target.exists():
        return
    if not target.is_file():
        raise BadInputError(f"{path} cannot be appended to", "name a regular file")
    with target.open("rb") as file:
        first = file.readline(_TAIL_BYTES)
    if first and not begins_a_history(first):
        raise BadInputError(f"{path} is no history of results, one a line", "name another file, or a new one")


def append_result(result: Result, path: str) -> str | None:
    """Append ``result`` to the history at ``path``; return what a reader should know, usually None.

    Raises:
        BadInputError: the file cannot be written, or another process keeps it locked.
    """
    # Before the lock: others wait for as long as it is held.
    line = line_of(result)
    try:
        with _locked(path) as file:
            size = os.fstat(file).st_size
            keep, end, told = _healed(file, size, path)
            # Healed before the new line is written, within the same lock: nobody reads a torn line in between.
            if keep < size:
                os.ftruncate(file, keep)
            try:
                _write(file, end + line)
                os.fsync(file)
            # Also Ctrl-C in the midst of a write: what is half there is taken back (rule 1).
            except BaseException:
                os.ftruncate(file, keep)
                raise
        # A new file's name is in its folder's data, which fsync of the file does not write (fsync(2)).
        if size == 0:
            _sync_folder(Path(path).parent)
    except OSError as error:
        raise BadInputError(f"{path} cannot be appended to", error.strerror or str(error)) from error
    return told


@contextmanager
def _locked(path: str) -> Iterator[int]:
    """Open ``path`` for appending and hold its lock; the lock goes with the file, whatever happens to us."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError as error:
        raise BadInputError(f"{path} cannot be locked on this system", "write results with --json") from error
    # O_APPEND: each write lands at the end, also where another process of an older version does not lock. Not
    # inherited: a child that outlives us would keep the lock.
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        # Looked at once open, not before: what a name leads to may have changed since ``check_appendable``.
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise BadInputError(f"{path} cannot be appended to", "name a regular file")
        deadline_s = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                # Asked again and again, not waited for: flock(2) has no time-out, and a signal that ended the wait
                # would have to be the process' own.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise BadInputError(
                        f"{path} is locked by another process", "end it, or name another file"
                    ) from None
                time.sleep(0.002)
        yield file
    finally:
        os.close(file)


def _healed(file: int, size: int, path: str) -> tuple[int, bytes, str | None]:
    """Return how many bytes of the file stay, what ends its last line, and what to say about it."""
    if size == 0 or os.pread(file, 1, size - 1) == b"\n":
        return size, b"", None
    begin, tail = size, b""
    # A room's result can be longer than ``_TAIL_BYTES``: on, until the line's beginning is found.
    while begin > 0 and b"\n" not in tail:
        length = min(_TAIL_BYTES, begin)
        begin -= length
        tail = os.pread(file, length, begin) + tail
    torn = tail[tail.rfind(b"\n") + 1 :]
    try:
        parse_line(torn)
    except ValueError:
        said = f"{path}: the last line, {len(torn):,} bytes without an end, was torn by a crash and is removed"
        return size - len(torn), b"", said
    return size, b"\n", None


def _write(file: int, data: bytes) -> None:
    """Write all of ``data``: one system call, more only where the system took less."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    """Make a new file's name last; a file system that cannot is no reason to stop."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
