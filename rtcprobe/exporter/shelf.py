"""HTML reports on disk: so many of each probe, so many bytes in all, and a full disk is a state, not a stop.

Rules:
    1. Only plain files named as ours are counted, served or removed; the folder may hold others.
    2. The newest are kept. Space is made before a report is written, so the limit holds at any time but for the one
       being written.
    3. Whatever the file system says no to costs a report, never a run: it is the ``fault`` until a report is written.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

from rtcprobe.exporter.config import Reports

__all__ = ["Shelf"]

# report = probe "--" date "T" time "Z" "--" seed ".html"      UTC, ISO 8601 basic: names in order are reports in order
# probe  = ( a-z / 0-9 ) 0*63( a-z / 0-9 / "." / "_" / "-" )   as ``config`` has it; no slash: none leaves the folder
# seed   = 1*10DIGIT                                           of 31 bits
_OURS = re.compile(r"(?P<probe>[a-z0-9][a-z0-9._-]{0,63})--(?P<at>\d{8}T\d{6}Z)--(?P<seed>\d{1,10})\.html")
_USUAL_BYTES = 200_000
"""Room made for the next report: several times what one takes."""


class Shelf:
    """The folder of the reports; of no folder, nothing is kept."""

    def __init__(self, reports: Reports) -> None:
        self.reports = reports
        self.fault = ""
        """Why reports cannot be written; "" while they can."""
        self._bytes: dict[str, int] = {}
        if reports.folder is not None:
            self._open(reports.folder)
            self._look(reports.folder)

    @property
    def writable(self) -> bool:
        """Whether reports can be written, as far as is known."""
        return not self.fault

    @property
    def count(self) -> int:
        """How many reports are kept."""
        return len(self._bytes)

    @property
    def total_bytes(self) -> int:
        """What they take."""
        return sum(self._bytes.values())

    def place(self, probe: str, seed: int, now_unix_s: float) -> Path | None:
        """Return where the report of a run goes, with room made for it; None where none is kept, or none can be."""
        if self.reports.folder is None or not self._open(self.reports.folder):
            return None
        if not self._make_room(probe):
            return None
        stamp = datetime.fromtimestamp(now_unix_s, UTC).strftime("%Y%m%dT%H%M%SZ")
        return self.reports.folder / f"{probe}--{stamp}--{seed}.html"

    def note(self, path: Path, fault: str) -> None:
        """Take note that a report was written to ``path``; or not, for the reason in ``fault``."""
        self.fault = fault
        if not fault:
            try:
                self._bytes[path.name] = path.stat().st_size
            except OSError as error:
                self.fault = f"{path.name} is not there: {_reason(error)}"

    def find(self, name: str) -> Path | None:
        """Return the report of that name; None where there is none, or the name is not one of ours."""
        # Only what is counted is served: a file put there by somebody else, named like ours, is seen after a restart.
        if self.reports.folder is None or not _OURS.fullmatch(name) or name not in self._bytes:
            return None
        return self.reports.folder / name

    def _open(self, folder: Path) -> bool:
        """Make the folder where it is not there; return whether something can be written into it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.fault = f"{folder} cannot be made: {_reason(error)}"
            return False
        # Also where root runs it: access(2) fails with EROFS on a file system that is read-only, which mkdir did not
        # touch.
        if not os.access(folder, os.W_OK | os.X_OK):
            self.fault = f"{folder} cannot be written to"
            return False
        return True

    def _look(self, folder: Path) -> None:
        try:
            names = [path.name for path in folder.iterdir() if _OURS.fullmatch(path.name)]
        except OSError as error:
            self.fault = self.fault or f"{folder} cannot be read: {_reason(error)}"
            return
        for name in names:
            try:
                # Not stat: a link named like a report must not have its target served, or counted.
                found = (folder / name).lstat()
            except OSError:
                continue  # gone since
            if stat.S_ISREG(found.st_mode):
                self._bytes[name] = found.st_size

    def _make_room(self, probe: str) -> bool:
        """Remove what is beyond the number and the bytes; return whether there is room for one more."""
        own = sorted((name for name in self._bytes if _part(name, "probe") == probe), key=_at)
        # First the probe's own oldest, then whoever's: a probe that runs every second must not push out all others'
        # reports.
        for name in own[: max(0, len(own) + 1 - self.reports.keep)]:
            if not self._remove(name):
                return False
        for name in sorted(self._bytes, key=_at):
            if self.total_bytes + _USUAL_BYTES <= self.reports.limit_bytes:
                break
            if not self._remove(name):
                return False
        return True

    def _remove(self, name: str) -> bool:
        assert self.reports.folder is not None
        try:
            (self.reports.folder / name).unlink(missing_ok=True)
        except OSError as error:
            self.fault = f"{name} cannot be removed: {_reason(error)}"
            return False  # it stays, and stays counted
        del self._bytes[name]
        return True


def _at(name: str) -> str:
    return _part(name, "at")


def _part(name: str, part: str) -> str:
    match = _OURS.fullmatch(name)
    return match[part] if match else ""


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
