"""Results as JSON: one result is one object; several are an array, in the order they were run. And whole files.

Rules:
    1. A file appears whole or not at all: written beside its place, then renamed into it. Links are followed.
    2. ``-`` is standard output, in ASCII: whatever encoding a pipe has, it is valid.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rtcprobe.errors import BadInputError
from rtcprobe.result import Result

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["check_writable", "dumps", "locked_folder", "write_json", "write_whole"]

LOCK_TIMEOUT_S = 30.0
"""A lock is held for as long as a baseline takes to read and write: seconds."""
READER_TIMEOUT_S = 10.0
"""Whoever was started in the same breath as this command reads its pipe by then."""


def dumps(results: Sequence[Result], *, ascii_only: bool = False) -> str:
    """Return the JSON text of one result (an object) or several (an array), ending in a newline."""
    plain = [each.to_dict() for each in results]
    value = plain[0] if len(plain) == 1 else plain
    return json.dumps(value, indent=1, ensure_ascii=ascii_only, allow_nan=False) + "\n"


def check_writable(path: str) -> None:
    """Refuse a place that JSON could not be written to, before an hour is spent measuring.

    Raises:
        BadInputError: the folder is missing or not writable, or the path is a folder.
    """
    if path == "-":
        return
    target = _resolved(path)
    # The folder, too, as a file is renamed into its place (rule 1).
    folder = target.parent
    if target.is_dir():
        raise BadInputError(f"{path} cannot be written", "it is a folder; name a file in it")
    if not folder.is_dir():
        raise BadInputError(f"{path} cannot be written", f"the folder {folder} does not exist")
    if not os.access(folder, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise BadInputError(f"{path} cannot be written", "you have no right to write there")


def write_json(results: Sequence[Result], path: str) -> None:
    """Write ``results`` to ``path``, or to standard output for ``"-"``.

    Raises:
        BadInputError: the place cannot be written to.
    """
    write_whole(dumps(results, ascii_only=path == "-"), path)


def write_whole(text: str, path: str) -> None:
    """Write ``text`` to ``path``, whole or not at all, or to standard output for ``"-"``.

    Raises:
        BadInputError: the place cannot be written to.
    """
    if path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    check_writable(path)
    target = _resolved(path)
    try:
        if target.exists() and not target.is_file():  # /dev/null, a pipe: nothing could be renamed into its place
            _write_into(target, text)
            return
        # Beside its place: a rename over two file systems would be a copy, and a crash in it half a file.
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="replace", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            beside = Path(file.name)
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                # NamedTemporaryFile makes files that only their owner reads (0600); whoever replaces one keeps its
                # rights.
                beside.chmod(0o644 if not target.exists() else target.stat().st_mode & 0o777)
                beside.replace(target)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BadInputError(f"{path} cannot be written", error.strerror or str(error)) from error


@contextmanager
def locked_folder(path: str) -> Iterator[None]:
    """Hold the folder of ``path`` for as long as a file in it is read, changed and put back, against others who do too.

    A file that is renamed into its place cannot be locked itself: who waits would hold what is gone.

    Raises:
        BadInputError: another process keeps it locked.
    """
    if path == "-" or fcntl is None:
        yield
        return
    folder = _resolved(path).parent
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BadInputError(f"{folder} cannot be locked", error.strerror or str(error)) from error
    try:
        deadline_s = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise BadInputError(f"{folder} is locked by another process", "end it, or wait for it") from None
                time.sleep(0.01)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        os.close(handle)


def _resolved(path: str) -> Path:
    """Return where ``path`` leads: a link stays a link, and what it points at is written.

    Raises:
        BadInputError: it leads in a circle, or no file can have that name.
    """
    target = Path(path)
    try:
        return target.resolve() if target.is_symlink() else target
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInputError(f"{path} cannot be written", f"it leads nowhere ({error})") from error


def _write_into(place: Path, text: str) -> None:
    """Write into a device or a pipe; a pipe that nobody reads is refused, not waited for."""
    deadline_s = time.monotonic() + READER_TIMEOUT_S
    while True:
        try:
            # Opening a pipe to write waits for a reader, for ever; without waiting it fails with ENXIO until there is
            # one (fifo(7)).
            handle = os.open(place, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > deadline_s:
                raise OSError(errno.ENXIO, f"nobody read this pipe for {READER_TIMEOUT_S:.0f} s") from None
            time.sleep(0.01)
    os.set_blocking(handle, True)
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
