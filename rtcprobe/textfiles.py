"""Files that people and programs wrote, read with limits.

Facts:
    - Editors and shells put a byte order mark before text; PowerShell's ``>`` writes UTF-16. Both are plain text to
      whoever made the file.
    - A named pipe without a writer keeps whoever opens it waiting for ever; one with a writer that says nothing, as
      well. ``<(command)`` of a shell is such a pipe, and a fair way to hand a file over.

Rules:
    1. Nothing is read without a limit, of bytes and of waiting.
    2. What cannot be read is an ``OSError`` whose ``strerror`` a person understands, or a ``UnicodeError``.
"""

from __future__ import annotations

import codecs
import errno
import os
import select
import stat
from pathlib import Path
from typing import Final

__all__ = ["MOST_BYTES", "is_marked", "need_regular", "read_bytes", "read_text", "without_mark"]

MOST_BYTES: Final = 64 * 2**20
"""Of a file that is read whole: an hour's trace of every packet is 2 MB."""

_NOBODY_S: Final = 10.0
"""How long a pipe may have nobody at its other end: who was started in the same breath is there by then."""
_SILENT_S: Final = 600.0
"""How long somebody at the other end may say nothing: a run that another process measures takes minutes."""
# How often somebody who fills a pipe is looked for: an interruption is heeded within that.
_LOOK_S: Final = 0.5

# Unicode's byte order marks (RFC 3629 section 6, RFC 2781 section 3.2). UTF-32 is not among them: its
# little-endian mark begins as that of UTF-16, and no editor writes it.
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def read_bytes(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """Return what the file at ``path`` holds, at most ``most`` bytes; pipes too.

    Raises:
        OSError: it cannot be read, holds more, or is a pipe out of which nothing comes.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # no waiting for a writer
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have that name ({error})") from error
    try:
        kind = os.fstat(file).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(kind):
            with os.fdopen(os.dup(file), "rb") as whole:
                # One byte more than allowed: so a file that is too large is known without being read whole.
                data = whole.read(most + 1)
        else:
            data = _from_pipe(file, most)
    finally:
        os.close(file)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most / 1e6:.0f} MB")
    return data


def read_text(path: Path, *, most: int = MOST_BYTES) -> str:
    """Return the text in the file at ``path``: UTF-8, or UTF-16 that says so; every line ends in a newline.

    Raises:
        OSError, UnicodeError: as ``read_bytes``; it is not such text.
    """
    text = without_mark(read_bytes(path, most=most)).decode()
    return text.replace("\r\n", "\n").replace("\r", "\n")


def without_mark(data: bytes) -> bytes:
    """Return the text in ``data`` in UTF-8 and without the byte order mark it may begin with.

    Raises:
        UnicodeError: the mark says UTF-16, and it is not.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            rest = data[len(mark) :]
            return rest if encoding == "utf-8" else rest.decode(encoding).encode()
    return data


def is_marked(data: bytes) -> bool:
    """Whether ``data`` begins with a byte order mark (three bytes tell)."""
    return data.startswith(tuple(mark for mark, _ in _MARKS))


def need_regular(path: Path) -> None:
    """Refuse what a library of somebody else's would wait for.

    Raises:
        OSError: it is not there, or is no regular file.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have that name ({error})") from error
    if not regular:
        raise OSError(errno.EINVAL, "it is no regular file")


def _from_pipe(file: int, most: int) -> bytes:
    """Return all that comes out of a pipe or device, until its end or more than ``most`` bytes.

    Source: pipe(7): where nothing is to be read, read(2) gives EAGAIN while somebody holds the other end, and an end of
    file while nobody does; poll(2) tells an end only after somebody has been there.
    """
    came = bytearray()
    silent_s, met = 0.0, False
    watch = select.poll()
    watch.register(file, select.POLLIN)
    while len(came) <= most:
        ready = bool(watch.poll(_LOOK_S * 1e3))
        try:
            block = os.read(file, 2**20)
        except BlockingIOError:
            met = True
        else:
            # Empty and nobody there yet is no end of file: a writer may still come (Source above).
            if not block and (met or ready):
                break
            came += block
            if block:
                silent_s, met = 0.0, True
                continue
        silent_s += _LOOK_S
        limit_s = _SILENT_S if met else _NOBODY_S
        if silent_s >= limit_s:
            raise TimeoutError(errno.ETIMEDOUT, f"it is a pipe, and nothing came out of it for {limit_s:.0f} s")
    return bytes(came)
