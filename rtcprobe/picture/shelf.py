"""Encoded films kept on disk: encoding a minute of 640x480 takes six seconds.

Rules:
    1. The folder is ``$RTCPROBE_CACHE``, else ``rtcprobe`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; 512 MB at most, for
       which those go that were not used for longest. It may be deleted at any time.
    2. A film is named by all that it depends on: settings, scene, encoder. A longer one serves for a shorter.
    3. What cannot be read or written is as if it were not there: it is encoded again.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import numpy as np

__all__ = ["MOST_BYTES", "Shelf", "default_folder"]

MOST_BYTES: Final = 512 * 10**6
"""Two hours of 500 kb/s."""
_SUFFIX: Final = ".film.npz"


def default_folder() -> Path:
    """Return where films are kept (rule 1)."""
    own = os.environ.get("RTCPROBE_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rtcprobe"


class Shelf:
    """Films in ``folder``, ``most_bytes`` of them."""

    def __init__(self, folder: Path | None = None, *, most_bytes: int = MOST_BYTES) -> None:
        self.folder = default_folder() if folder is None else folder
        self._most_bytes = most_bytes

    def take(self, name: str, count: int) -> list[bytes] | None:
        """Return the first ``count`` frames of the film called ``name``; None where there are not so many."""
        path = self._path(name)
        try:
            # A zip file: its CRC is looked at. Opened here, as numpy leaves one that it cannot read open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                # Of the name only a hash is the file's name: a collision, or a file put there by hand, is no
                # film of ours.
                if str(kept["name"]) != name or len(kept["sizes"]) < count:
                    return None
                edges = np.concatenate(([0], np.cumsum(kept["sizes"][:count])))
                data = kept["data"].tobytes()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        with suppress(OSError):
            # Used now: those go first that were not used for longest, and the time of access is not kept on
            # many file systems.
            path.touch()
        return [data[begin:end] for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]

    def put(self, name: str, frames: Sequence[bytes]) -> None:
        """Keep a film, in place of a shorter one."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
                np.savez(
                    file,
                    name=np.array(name),
                    sizes=np.array([len(frame) for frame in frames], dtype=np.int64),
                    data=np.frombuffer(b"".join(frames), dtype=np.uint8),
                )
            Path(file.name).replace(self._path(name))  # whole or not at all, whoever else writes it
            self._make_room()

    def _make_room(self) -> None:
        found = sorted(((each.stat(), each) for each in self.folder.glob(f"*{_SUFFIX}")), key=lambda e: e[0].st_mtime)
        over = sum(stat.st_size for stat, _ in found) - self._most_bytes
        for stat, path in found[:-1]:  # the newest stays, however large
            if over <= 0:
                break
            path.unlink(missing_ok=True)
            over -= stat.st_size

    def _path(self, name: str) -> Path:
        return self.folder / (hashlib.sha256(name.encode()).hexdigest()[:24] + _SUFFIX)
