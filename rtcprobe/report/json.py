"""Results as JSON: one result is one object; several are an array, in the order they were run. And whole files.

Rules:
    1. A file appears whole or not at all: written beside its place, then renamed into it.
    2. ``-`` is standard output, in ASCII: whatever encoding a pipe has, it is valid.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rtcprobe.errors import BadInputError
from rtcprobe.result import Result

__all__ = ["check_writable", "dumps", "write_json", "write_whole"]


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
    target = Path(path)
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
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # /dev/null, a pipe: nothing could be renamed into its place
            target.write_text(text, encoding="utf-8")
            return
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="replace", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            beside = Path(file.name)
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                beside.chmod(0o644 if not target.exists() else target.stat().st_mode & 0o777)
                beside.replace(target)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BadInputError(f"{path} cannot be written", error.strerror or str(error)) from error
