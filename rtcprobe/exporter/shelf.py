"""HTML reports on disk: so many of each probe, so many bytes in all, and a full disk is a state, not a stop.

Rules:
    1. Only files named as ours are counted, served or removed; the folder may hold others.
    2. The newest are kept. Space is made before a report is written, so the limit holds at any time but for the one
       being written.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path

from rtcprobe.exporter.config import Reports

__all__ = ["Shelf"]

_OURS = re.compile(r"(?P<probe>[a-z0-9][a-z0-9._-]{0,63})--(?P<at>\d{8}T\d{6}Z)--(?P<seed>\d{1,10})\.html")
_USUAL_BYTES = 200_000
"""Room made for the next report: several times what one takes."""


class Shelf:
    """The folder of the reports; of no folder, nothing is kept."""

    def __init__(self, reports: Reports) -> None:
        self.reports = reports
        self.writable = True
        self._bytes: dict[str, int] = {}
        if reports.folder is not None:
            with contextlib.suppress(OSError):
                reports.folder.mkdir(parents=True, exist_ok=True)
            self._look()

    @property
    def count(self) -> int:
        """How many reports are kept."""
        return len(self._bytes)

    @property
    def total_bytes(self) -> int:
        """What they take."""
        return sum(self._bytes.values())

    def place(self, probe: str, seed: int, now_unix_s: float) -> Path | None:
        """Return where the report of a run goes, with room made for it; None where none is kept."""
        if self.reports.folder is None:
            return None
        self._make_room(probe)
        stamp = datetime.fromtimestamp(now_unix_s, UTC).strftime("%Y%m%dT%H%M%SZ")
        return self.reports.folder / f"{probe}--{stamp}--{seed}.html"

    def note(self, path: Path, fault: str) -> None:
        """Take note that a report was written to ``path``; or not, for the reason in ``fault``."""
        self.writable = not fault
        if fault:
            return
        try:
            self._bytes[path.name] = path.stat().st_size
        except OSError:
            self.writable = False

    def find(self, name: str) -> Path | None:
        """Return the report of that name; None where there is none, or the name is not one of ours."""
        if self.reports.folder is None or not _OURS.fullmatch(name) or name not in self._bytes:
            return None
        return self.reports.folder / name

    def _look(self) -> None:
        folder = self.reports.folder
        assert folder is not None
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if _OURS.fullmatch(path.name):
                    self._bytes[path.name] = path.stat().st_size

    def _make_room(self, probe: str) -> None:
        def age(name: str) -> str:
            match = _OURS.fullmatch(name)
            return match["at"] if match else ""

        def probe_of(name: str) -> str:
            match = _OURS.fullmatch(name)
            return match["probe"] if match else ""

        own = sorted((name for name in self._bytes if probe_of(name) == probe), key=age)
        for name in own[: max(0, len(own) + 1 - self.reports.keep)]:
            self._remove(name)
        for name in sorted(self._bytes, key=age):
            if self.total_bytes + _USUAL_BYTES <= self.reports.limit_bytes:
                break
            self._remove(name)

    def _remove(self, name: str) -> None:
        assert self.reports.folder is not None
        with contextlib.suppress(FileNotFoundError):
            try:
                (self.reports.folder / name).unlink()
            except PermissionError:
                return  # it stays, and stays counted
        del self._bytes[name]
