"""Encoded films and speech kept on disk: a minute of 640x480 takes six seconds to encode, one of speech 0.2.

Rules:
    1. The folder is ``$RTCPROBE_CACHE``, else ``rtcprobe`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; 512 MB at most, for
       which those go that were not used for longest. It may be deleted at any time, and be no folder at all.
    2. Frames are named by all that they depend on: what is shown or said, how it is coded, and what codes it. A longer
       row of the same name serves for a shorter.
    3. What cannot be read or written is as if it were not there: it is encoded again.

A file is a CRC of all that follows, how long the name is and how many frames there are, the name, the frames' sizes,
and the frames.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final, Literal

__all__ = ["MOST_BYTES", "Shelf", "default_folder"]

MOST_BYTES: Final = 512 * 10**6
"""Two hours of film at 500 kb/s, or 35 hours of speech at 32."""

_CRC: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<II")
# As globs know it: 24 of the 64 hexadecimal digits of a SHA-256, 96 bits, which no two names share by chance.
_NAME: Final = "[0-9a-f]" * 24
_OURS: Final = (f"{_NAME}.film", f"{_NAME}.speech", f"{_NAME}.film.npz", ".rtcprobe-*.part")
"""What room is made among, for the folder may hold other things: films of older versions and interrupted writes too."""


def default_folder() -> Path | None:
    """Return where frames are kept (rule 1); None where there is no home, as for a user whom the system does not know.

    Source: XDG Base Directory Specification 0.8, ``$XDG_CACHE_HOME``.
    """
    own = os.environ.get("RTCPROBE_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # A relative one is to be ignored: it would be another folder wherever a command is given.
        return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "rtcprobe"  # noqa: PTH117 - of text
    except RuntimeError:
        return None


@dataclass(frozen=True, slots=True)
class Shelf:
    """Encoded frames of one ``kind`` in ``folder``, where those of both take ``most_bytes`` at most."""

    kind: Literal["film", "speech"]
    folder: Path | None = field(default_factory=default_folder)
    most_bytes: int = MOST_BYTES

    def take(self, name: str, count: int) -> list[bytes] | None:
        """Return the first ``count`` frames of what is called ``name``; None where there are not so many."""
        path = self._path(name)
        if path is None:
            return None
        try:
            frames = _unpacked(path.read_bytes(), name, count)
        except OSError:
            return None
        if frames is not None:
            # Used now: those go first that were not used for longest, and the time of access is not kept on many file
            # systems.
            with suppress(OSError):
                path.touch()
        return frames

    def put(self, name: str, frames: Sequence[bytes]) -> None:
        """Keep frames, in place of a shorter row."""
        path = self._path(name)
        if path is None:
            return
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, _packed(name, frames))
            self._make_room(path.parent)

    def _make_room(self, folder: Path) -> None:
        found = sorted(((each.stat(), each) for each in _kept(folder)), key=lambda e: e[0].st_mtime)
        over = sum(stat.st_size for stat, _ in found) - self.most_bytes
        for stat, path in found[:-1]:  # the newest stays, however large
            if over <= 0:
                break
            path.unlink(missing_ok=True)
            over -= stat.st_size

    def _path(self, name: str) -> Path | None:
        named = f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.{self.kind}"
        return None if self.folder is None else self.folder / named


def _kept(folder: Path) -> Iterator[Path]:
    return (path for pattern in _OURS for path in folder.glob(pattern))


def _write(path: Path, parts: Sequence[bytes]) -> None:
    """Write ``path``, whole or not at all, whoever else writes it; raise OSError where that cannot be."""
    with NamedTemporaryFile(dir=path.parent, prefix=".rtcprobe-", suffix=".part", delete=False) as file:
        part = Path(file.name)
        try:
            file.writelines(parts)
            file.close()
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)  # of a full disk nothing is kept from others
            raise


def _packed(name: str, frames: Sequence[bytes]) -> tuple[bytes, bytes]:
    named, sizes = name.encode(), struct.pack(f"<{len(frames)}I", *map(len, frames))
    body = b"".join((_HEAD.pack(len(named), len(frames)), named, sizes, *frames))
    return _CRC.pack(zlib.crc32(body)), body


def _unpacked(data: bytes, name: str, count: int) -> list[bytes] | None:
    """Return the first ``count`` frames; None where they are fewer, called otherwise, or damaged."""
    named = name.encode()
    begin = _CRC.size + _HEAD.size
    behind = begin + len(named)
    # Of the name only a hash is the file's name: a collision, or a file put there by hand, is nothing of ours.
    if data[begin:behind] != named or data[: _CRC.size] != _CRC.pack(zlib.crc32(memoryview(data)[_CRC.size :])):
        return None
    length, held = _HEAD.unpack_from(data, _CRC.size)
    if length != len(named) or held < count:
        return None
    sizes = struct.unpack_from(f"<{held}I", data, behind)[:count]
    edges = accumulate(sizes, initial=behind + 4 * held)
    return [data[first:last] for first, last in pairwise(edges)]
