"""What a browser says of its own call: the dumps of ``chrome://webrtc-internals``, read for W3C's figures alone.

Facts:
    - The page writes two files of one call, gzipped or not, with the same figures in both (Chromium 156).
      *internals*: one JSON object, ``PeerConnections[pc].stats["<id>-<property>"]``, each a column with its values as
      the text of a JSON array. A column that began late is aligned at its end; identifiers hold ``-``, so the property
      follows the last one; properties in brackets are worked out by the page.
      *rtcstats*: ``RTCStatsDump``, then a line of JSON each: ``[method, pc, ..., milliseconds since the line before]``.
      ``getStats`` holds the reports that changed since the last, each whole.
    - Counters run from the beginning of the call: the mean delay in the jitter buffer between two reports is
      Δ``jitterBufferDelay`` / Δ``jitterBufferEmittedCount``, seconds a sample. One that falls began anew.
      Source: W3C webrtc-stats, RTCInboundRtpStreamStats.
    - ``jitterBufferDelay`` leaves out the 10 to 30 ms that are decoded and wait to be played: it is no ear's delay.

Rules:
    1. A dump holds addresses, descriptions, URLs and names of devices. Numbers under the names below leave this module,
       and nothing else; connections are counted, not named.
    2. A stream ends with the last report to which a packet came: what a browser makes up after a call is nobody's loss.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

from rtcprobe.errors import BadInputError

__all__ = ["Dump", "DumpedStream", "is_dump", "read_dump"]

Kind = Literal["webrtc-internals dump", "rtcstats dump"]

MOST_BYTES: Final = 256 * 2**20
"""A minute of a call is 200 kB unpacked: this is the dump of a day."""

_HEAD: Final = "RTCStatsDump"

_COUNTERS: Final = {
    "audio": (
        "packetsReceived", "packetsLost", "jitterBufferDelay", "jitterBufferTargetDelay", "jitterBufferEmittedCount",
        "concealedSamples", "silentConcealedSamples", "concealmentEvents", "totalSamplesReceived", "interruptionCount",
        "totalInterruptionDuration", "insertedSamplesForDeceleration", "removedSamplesForAcceleration",
    ),
    "video": (
        "packetsReceived", "packetsLost", "jitterBufferDelay", "jitterBufferEmittedCount", "framesReceived",
        "framesDecoded", "framesDropped", "freezeCount", "totalFreezesDuration", "pauseCount", "totalPausesDuration",
    ),
}  # fmt: skip
"""W3C's counters of an incoming stream, by its kind."""

Report = tuple[float, Mapping[str, Any]]
"""When (Unix seconds), and what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpedStream:
    """What a browser counted of one stream it received, over ``lasted_s`` seconds.

    ``counted`` has W3C's counters in W3C's units, those alone that the browser gave, and ``polls`` the same at each
    instant (Unix seconds) at which it was asked. ``rtt_s`` is the middle of its connection's round trips, None where
    none was measured.
    """

    connection: int
    medium: str
    ssrc: int | None
    lasted_s: float
    counted: Mapping[str, float]
    rtt_s: float | None
    polls: tuple[tuple[float, Mapping[str, float]], ...] = ()

    def _share(self, part: str, whole: str) -> float | None:
        counted = self.counted
        return counted[part] / counted[whole] if part in counted and counted.get(whole) else None

    @property
    def jitter_buffer_s(self) -> float | None:
        """Mean time in the jitter buffer: of a sample, or of a frame of video."""
        return self._share("jitterBufferDelay", "jitterBufferEmittedCount")

    @property
    def target_s(self) -> float | None:
        """Mean of what the jitter buffer aimed at."""
        return self._share("jitterBufferTargetDelay", "jitterBufferEmittedCount")

    @property
    def concealed(self) -> float | None:
        """Share of its sound that was made up."""
        return self._share("concealedSamples", "totalSamplesReceived")

    @property
    def lost(self) -> float | None:
        """Share of its packets that never came."""
        lost, came = self.counted.get("packetsLost"), self.counted.get("packetsReceived", 0.0)
        return None if lost is None or lost + came <= 0.0 else max(0.0, lost) / (lost + came)

    @property
    def frozen(self) -> float | None:
        """Share of the time in which its picture stood."""
        frozen_s = self.counted.get("totalFreezesDuration")
        return None if frozen_s is None or self.lasted_s <= 0.0 else frozen_s / self.lasted_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """A dump that was read: the streams that came in, connection by connection."""

    name: str
    kind: Kind
    streams: tuple[DumpedStream, ...]


def is_dump(head: bytes) -> bool:
    """Return whether an unpacked file that begins with ``head`` (64 kB) is a dump."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(_HEAD.encode()) or (text.startswith(b"{") and b'"PeerConnections"' in text)


def read_dump(path: Path | str) -> Dump:
    """Return what the browser's dump at ``path`` says of the streams that it received.

    Raises:
        BadInputError: no such file, no dump, too large or damaged, or none of W3C's figures in it.
    """
    place = str(path)
    text = _text(Path(path), place)
    name = Path(path).name
    if text.lstrip().startswith(_HEAD):
        kind: Kind = "rtcstats dump"
        connections = _of_lines(text, place)
    else:
        kind, connections = "webrtc-internals dump", _of_object(text, place)
    streams = tuple(
        stream for number, reports in enumerate(connections, start=1) for stream in _streams(number, reports)
    )
    if not streams:
        raise BadInputError(
            f"{place} counts nothing that came in",
            "keep the page open while the call lasts; dumps of before 2020 do not have W3C's figures",
        )
    return Dump(name=name, kind=kind, streams=streams)


def _text(path: Path, place: str) -> str:
    try:
        if not path.is_file():
            raise BadInputError(f"{place} is no file", "name a dump of chrome://webrtc-internals")
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            inside = gzip.GzipFile(fileobj=file) if packed else file
            # A byte more than may be: so a file that unpacks without end is refused after that many bytes.
            data = inside.read(MOST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInputError(f"{place} is damaged", "its gzip data cannot be unpacked") from error
    except OSError as error:
        raise BadInputError(f"{place} cannot be read", error.strerror or str(error)) from error
    if len(data) > MOST_BYTES:
        raise BadInputError(f"{place} unpacks to more than {MOST_BYTES // 2**20} MB", "save the dump of one call")
    return data.decode("utf-8-sig", errors="replace")


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(
            f"{place} is no dump of a browser's statistics", "save one at chrome://webrtc-internals"
        ) from error


def _of_object(text: str, place: str) -> Iterator[Mapping[str, Sequence[Report]]]:
    """Yield the reports of each connection of an internals dump, by their identifier."""
    whole = _parsed(text, place)
    connections = whole.get("PeerConnections") if isinstance(whole, dict) else None
    if not isinstance(connections, dict):
        raise BadInputError(f"{place} has no PeerConnections", "save a dump at chrome://webrtc-internals")
    for connection in connections.values():
        stats = connection.get("stats") if isinstance(connection, dict) else None
        yield _of_columns(stats if isinstance(stats, dict) else {})


def _of_columns(stats: Mapping[str, Any]) -> Mapping[str, Sequence[Report]]:
    """Return an internals connection's reports: columns are aligned at their ends, and instants are one of them."""
    columns: dict[str, dict[str, list[Any]]] = defaultdict(dict)
    kinds: dict[str, str] = {}
    for key, column in stats.items():
        identifier, dash, name = key.rpartition("-")
        if not dash or name.startswith("[") or not isinstance(column, dict):
            continue
        try:
            values = json.loads(column.get("values", "[]"))
        except (TypeError, ValueError, RecursionError):
            continue
        if isinstance(values, list):
            columns[identifier][name] = values
            kinds[identifier] = str(column.get("statsType", ""))
    found: dict[str, Sequence[Report]] = {}
    for identifier, by_name in columns.items():
        instants = [_number(each) for each in by_name.get("timestamp", [])]
        rows: list[Report] = []
        # Counted from the end: columns that began late are shorter, and their last values are those of the last poll.
        for back in range(len(instants), 0, -1):
            at_ms = instants[-back]
            if at_ms is not None:
                row = {name: values[-back] for name, values in by_name.items() if len(values) >= back}
                rows.append((at_ms / 1e3, {**row, "type": kinds[identifier]}))
        found[identifier] = rows
    return found


def _of_lines(text: str, place: str) -> Iterator[Mapping[str, Sequence[Report]]]:
    """Yield the reports of each connection of an rtcstats dump; a last line that was cut off is left out."""
    lines = text.strip().splitlines()[1:]
    connections: dict[str, dict[str, list[Report]]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.startswith("["):
            continue
        try:
            said = json.loads(line)
        except (ValueError, RecursionError) as error:
            # A page that is closed, or a disk that is full, ends the file within a line.
            if number == len(lines):
                break
            raise BadInputError(f"{place} is damaged in line {number + 1}", "save the dump again") from error
        # Everything else in it (descriptions, candidates, constraints) is private and tells no figure.
        if len(said) < 3 or said[0] != "getStats" or not isinstance(said[2], dict):
            continue
        # By connection, as a page may hold several (one that it throws away, one per publisher).
        reports = connections.setdefault(str(said[1]), defaultdict(list))
        for identifier, report in said[2].items():
            at_ms = _number(report.get("timestamp")) if isinstance(report, dict) else None
            if at_ms is not None:
                reports[identifier].append((at_ms / 1e3, report))
    yield from connections.values()


def _streams(connection: int, reports: Mapping[str, Sequence[Report]]) -> Iterator[DumpedStream]:
    rtt_s = _round_trip_s(reports)
    for whole in reports.values():
        if not whole or whole[-1][1].get("type") != "inbound-rtp":
            continue
        rows = _while_packets_came(whole)
        # ``mediaType`` is an older name of W3C's for it.
        medium = str(rows[-1][1].get("kind", rows[-1][1].get("mediaType")))
        counted = {name: total for name in _COUNTERS.get(medium, ()) if (total := _total(rows, name)) is not None}
        if not counted.get("packetsReceived") or "jitterBufferDelay" not in counted:
            continue
        ssrc = _number(rows[-1][1].get("ssrc"))
        yield DumpedStream(
            connection=connection,
            medium=medium,
            ssrc=None if ssrc is None else int(ssrc),
            lasted_s=rows[-1][0] - rows[0][0],
            counted=counted,
            rtt_s=rtt_s,
            polls=tuple((at_s, _counters(row, counted)) for at_s, row in rows),
        )


def _counters(row: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, float]:
    return {name: value for name in names if (value := _number(row.get(name))) is not None}


def _while_packets_came(rows: Sequence[Report]) -> Sequence[Report]:
    came = [_number(row.get("packetsReceived")) for _, row in rows]
    last = max((place for place, (before, after) in enumerate(pairwise(came), start=1) if before != after), default=0)
    return rows[: last + 1]


def _total(rows: Sequence[Report], name: str) -> float | None:
    """Return what a counter came to, across every time that it began anew."""
    values = [value for _, row in rows if (value := _number(row.get(name))) is not None]
    if not values:
        return None
    if name == "packetsLost":  # may fall when a packet comes late: RFC 3550 §6.4.1
        return values[-1]
    # A counter that falls began anew: what it had reached by then counts as well.
    return values[-1] + math.fsum(before for before, after in pairwise(values) if after < before)


def _round_trip_s(reports: Mapping[str, Sequence[Report]]) -> float | None:
    """Return the middle of the round trips of the pair that carried the most."""
    pairs = [rows for rows in reports.values() if rows and rows[-1][1].get("type") == "candidate-pair"]
    # ICE may have tried many pairs; the one that carried the call has the bytes.
    used = max(pairs, key=lambda rows: _number(rows[-1][1].get("bytesReceived")) or 0.0, default=())
    trips = sorted(trip for _, row in used if (trip := _number(row.get("currentRoundTripTime"))) is not None)
    return trips[len(trips) // 2] if trips else None


def _number(value: object) -> float | None:
    """Return a finite number of a report, whatever stands there."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
