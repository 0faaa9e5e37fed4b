"""Any recording of a call, told by its first bytes."""

from __future__ import annotations

import gzip
import stat
import zlib
from pathlib import Path

from rtcprobe.capture.dump import is_dump
from rtcprobe.capture.eventlog import is_event_log, read_event_log
from rtcprobe.capture.mjr import MJR_HEADS, read_mjr
from rtcprobe.capture.records import gunzipped, is_packet_capture
from rtcprobe.capture.rtp import read_packet_capture
from rtcprobe.capture.stream import Capture
from rtcprobe.errors import BadInputError

__all__ = ["read_capture"]

_KNOWN = "give a pcap or pcapng file, an RTC event log of Chromium, or a Janus recording (.mjr)"


def read_capture(path: Path | str, *, sound_of: int | None = None) -> Capture:
    """Return the media streams in the file at ``path``; ``sound_of`` keeps the payloads of one stream of a capture.

    Raises:
        BadInputError: no such file, no regular file, nothing that can be read, or nothing in it.
    """
    place = str(path)
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise BadInputError(f"{place} is no file", "name a file")
        with Path(path).open("rb") as file:
            inside = gunzipped(file)
            # Enough for every kind but a dump, whose telling word comes later: 64 kB more are read only for that.
            head = inside.read(64)
            if is_packet_capture(head):
                return read_packet_capture(file, place, sound_of=sound_of)
            inside = gunzipped(file)
            if head[:8] in MJR_HEADS:
                return read_mjr(inside, place)
            if is_event_log(head):
                return read_event_log(inside, place)
            if is_dump(head + inside.read(2**16)):
                raise BadInputError(
                    f"{place} is what a browser counted, without a packet to hear",
                    "see it beside a run: rtcprobe report RESULT --dump FILE -o PAGE",
                )
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise BadInputError(f"{place} is damaged", "its gzip data cannot be unpacked") from error
        raise BadInputError(f"{place} cannot be read", error.strerror or str(error)) from error
    except (EOFError, zlib.error) as error:
        raise BadInputError(f"{place} is damaged", "its gzip data cannot be unpacked") from error
    if not head:
        raise BadInputError(f"{place} is empty", _KNOWN)
    raise BadInputError(f"{place} is no recording of a call that rtcprobe can read", _KNOWN)
