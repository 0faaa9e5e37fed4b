"""What figures were made with, when, where, and from which state of the folder they were asked for in."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import rtcprobe
from rtcprobe.audio.opus import library_version

__all__ = ["environment"]

_PACKAGES: Final = {
    **{name: name for name in ("aiortc", "aioice", "av", "numpy", "scipy")},
    "pyopenssl": "OpenSSL",
    **{name: name for name in ("cryptography", "pylibsrtp")},
}
"""What times, encrypts, encodes or computes: its name as a package, and as a module. No other moves a figure."""

_GIT_S: Final = 2.0
"""A repository on a disk that is far away, or a git that asks something, is not waited for."""

_HEAD: Final = "# branch.oid "
"""Source: git-status(1), "Porcelain Format Version 2"."""


def environment() -> Mapping[str, object]:
    """Return date (UTC), host, and commit where the current folder is a git checkout; versions, machine."""
    commit = _commit(Path.cwd())
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        **({} if commit is None else {"commit": commit}),
        "rtcprobe": rtcprobe.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libopus": library_version(),
        **_versions(),
    }


def _commit(folder: Path) -> str | None:
    """Return the commit checked out in ``folder``, ``-dirty`` where tracked files differ from it; None if none is.

    ``git describe`` says both, and walks the whole history for a tag first: 12 ms of CPU here, seconds in a large one.
    """
    if not any((each / ".git").exists() for each in (folder, *folder.parents)):
        return None  # without starting a process
    asking = ("git", "--no-optional-locks", "-C", str(folder))
    # Of the index and the commit alone: untracked files make no difference, and upstream is not compared with.
    asked = ("status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=no", "--no-renames")
    try:
        done = subprocess.run(  # noqa: S603 - fixed
            (*asking, *asked), capture_output=True, text=True, timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    commit = next((line.removeprefix(_HEAD) for line in lines if line.startswith(_HEAD)), "")
    if done.returncode != 0 or not commit.isalnum():  # before its first commit a checkout is at "(initial)"
        return None
    return commit if all(line.startswith("# ") for line in lines) else f"{commit}-dirty"


@cache
def _versions() -> Mapping[str, str]:
    """Return the versions of what is loaded, as each says itself: their metadata are letters to parse, 15 ms."""
    return {package: import_module(module).__version__ for package, module in _PACKAGES.items()}
