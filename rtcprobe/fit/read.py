"""Any measurement of a path, told by what is in it."""

from __future__ import annotations

import gzip
import stat
import zlib
from pathlib import Path

from rtcprobe.capture.eventlog import is_event_log
from rtcprobe.capture.mjr import MJR_HEADS
from rtcprobe.capture.records import gunzipped, is_packet_capture
from rtcprobe.errors import BadInputError
from rtcprobe.fit.oneway import read_captured, read_irtt, read_lens, read_owamp
from rtcprobe.fit.pings import parsed, read_atlas, read_fping, read_mtr_raw, read_ping, refuse_sums
from rtcprobe.fit.series import Measured

__all__ = ["read_measured"]

# Bounds what a file may cost in memory, where text is held as bytes and as characters at once.
MOST_BYTES = 256 * 2**20
_KNOWN = (
    "give irtt's JSON, the output of ping, fping -C, mtr --raw or owping, RIPE Atlas' JSON, a LENS table, "
    "a packet capture or an RTC event log"
)


def read_measured(path: Path | str, *, interval_s: float | None = None) -> Measured:
    """Return what was measured in the file at ``path``; ``interval_s`` apart where it does not say.

    Raises:
        BadInputError: no such file, nothing that can be read, sums alone, or nothing in it.
    """
    place = str(path)
    data = _bytes(place)
    if is_packet_capture(data) or data[:8] in MJR_HEADS or is_event_log(data[:64]):
        return read_captured(path)
    text = _text(data)
    try:
        found = _from_text(text, interval_s)
    except BadInputError as error:
        raise error.within(place) from error
    if found is None or not any(len(each.delay_s) for each in found.ways):
        raise BadInputError(
            f"{place} is {'empty' if not data.strip() else 'no measurement that rtcprobe knows'}", _KNOWN
        )
    return found


def _from_text(text: str, interval_s: float | None) -> Measured | None:
    # ``ping -D`` begins its lines with "[" as well: what is no JSON goes on as text.
    if text.lstrip()[:1] in ("{", "["):
        value = parsed(text)
        if value is not None:
            refuse_sums(value)
            return read_irtt(value) or read_atlas(value)
    # The most particular first: a table's head or owping's words are nothing else's, while ping's pattern fits much.
    return (
        read_lens(text)
        or read_owamp(text)
        or read_fping(text, interval_s=interval_s)
        or read_ping(text, interval_s=interval_s)
        or read_mtr_raw(text, interval_s=interval_s)
    )


def _bytes(place: str) -> bytes:
    try:
        if not stat.S_ISREG(Path(place).stat().st_mode):
            raise BadInputError(f"{place} is no file", "name a file")
        with Path(place).open("rb") as file:
            data = gunzipped(file).read(MOST_BYTES + 1)
    except gzip.BadGzipFile as error:
        raise BadInputError(f"{place} is damaged", "its gzip data cannot be unpacked") from error
    except OSError as error:
        raise BadInputError(f"{place} cannot be read", error.strerror or str(error)) from error
    except (EOFError, zlib.error) as error:
        raise BadInputError(f"{place} is damaged", "its gzip data cannot be unpacked") from error
    if len(data) > MOST_BYTES:
        raise BadInputError(f"{place} is longer than {MOST_BYTES // 2**20} MB", "give a part of it")
    return data


def _text(data: bytes) -> str:
    """Return the text of ``data``, in whatever encoding a shell wrote it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # PowerShell's > writes UTF-16
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")
