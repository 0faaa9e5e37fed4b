"""What figures were made with, when, where, and from which state of the folder they were asked for in."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

import rtcprobe
from rtcprobe.audio.opus import library_version

__all__ = ["environment"]

_GIT_S = 2.0
"""A repository on a disk that is far away, or a git that asks something, is not waited for."""


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
    """Return the commit checked out in ``folder``, ``-dirty`` where tracked files differ from it; None if none is."""
    if not any((each / ".git").exists() for each in (folder, *folder.parents)):
        return None  # without starting a process
    # --exclude=* leaves tags out: a commit's number is the same wherever tags were fetched. -dirty needs no untracked
    # files.
    command = ("git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_S, check=False)  # noqa: S603 - fixed
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


@cache
def _versions() -> Mapping[str, str]:
    # What times, encrypts, encodes or computes; the rest of the tree moves no figure.
    packages = ("aiortc", "aioice", "av", "numpy", "scipy", "pyopenssl", "cryptography", "pylibsrtp")
    return {name: version(name) for name in packages}
