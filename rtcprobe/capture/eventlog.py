"""RTC event logs: what a Chromium or a native libwebrtc wrote of the packets it got and the sound it asked for.

Facts:
    - A log is one protobuf message of many batches; files may be cut anywhere and joined end to end. Fields read:
      2 incoming RTP packets, 6 calls for audio ("playout"), 16 the beginning (one instant in UTC), 34 the delay an
      application asks for, 101 and 103 streams received. Source: ``logging/rtc_event_log/rtc_event_log2.proto`` of
      libwebrtc (branch-heads/7871); field numbers of other events are skipped.
    - A batch is a base event and ``number_of_deltas`` more: each column has a base and a block of deltas, bit by bit
      from the most significant: 2 bits kind, 6 bits width of a delta − 1; in kind 1 also 1 bit "deltas are signed",
      1 bit "values may be absent", 6 bits width of a value − 1; where values may be absent a bit each; the deltas of
      those that are there, summed modulo 2^width. An empty block: all equal the base.
      Source: ``logging/rtc_event_log/encoder/delta_encoding.cc``; read off logs of Chromium 156.
    - Instants are whole milliseconds. The playout events are every call for 10 ms of sound, however late it came.
      A receiver without a loudspeaker logs none. No log was ever seen to have its end event.

Rules:
    1. What comes after a cut or damaged field is left out, with a warning; what is unknown is skipped.
    2. No batch may ask for more memory than its bytes are worth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from rtcprobe.capture.stream import Capture, Packets, Stream, Wish, clock_of
from rtcprobe.errors import BadInputError
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import counted_on

__all__ = ["is_event_log", "read_event_log"]

Values = npt.NDArray[np.uint64]
Fields = Mapping[int, int | bytes]

# Field numbers of ``EventStream`` in ``rtc_event_log2.proto``.
_INCOMING, _PLAYOUT, _BEGIN, _MINIMUM_DELAY, _AUDIO_RECEIVED, _VIDEO_RECEIVED = 2, 6, 16, 34, 101, 103
# Fewer are a stream's beginning, or a stranger's: neither a clock nor a figure can be told of them.
_LEAST_PACKETS: Final = 10
# An hour of one stream of sound is 1.1 MB: ten days of that, held at once.
_MOST_BYTES: Final = 256 * 2**20
_MOST_EVENTS: Final = 1_000_000
"""In one batch: an encoder flushes every few seconds, so a thousandth of that is usual."""
_FAR_OFF: Final = 2**53  # milliseconds that cannot be meant

_COLUMNS: Final = {
    "at_ms": (1, 101), "marker": (2, 102), "payload_type": (3, 103), "sequence": (4, 104), "timestamp": (5, 105),
    "ssrc": (6, 106), "size": (8, 108),
}  # fmt: skip
"""Field of the base and of the deltas, in a batch of incoming RTP packets."""


class _DamagedError(ValueError):
    """The bytes are no such message."""


def is_event_log(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` (64 bytes) looks like an event log: a begin event comes first.

    Its three fields follow in order: an instant, the version (2), the same instant in UTC.
    """
    try:
        number, value, _ = _field(head, 0)
        inside = {} if not isinstance(value, bytes) or number != _BEGIN else _message(value)
    except _DamagedError:
        return False
    return inside.get(2) == 2 and isinstance(inside.get(3), int)


def read_event_log(file: BinaryIO, place: str) -> Capture:
    """Return the streams that the writer of the log received, the longest first.

    Raises:
        BadInputError: longer than can be read, or nothing in it that could be heard.
    """
    data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BadInputError(f"{place} is longer than {_MOST_BYTES // 2**20} MB", "an hour's log has about 1 MB")
    log = _Log()
    damaged = False
    try:
        for number, value in _fields(data):
            log.take(number, value)
    except _DamagedError:
        damaged = True
    streams = log.streams()
    if not streams:
        raise BadInputError(
            f"{place} logs no RTP packets that came in",
            "record while the call lasts, and end the call before the recording",
        )
    warnings = ["the log was cut off or is damaged: what came before counts"] if damaged else []
    return Capture(
        kind="rtc event log",
        clock_resolution_s=1e-3,
        streams=tuple(streams),
        begun_unix_s=log.begun_unix_s,
        warnings=tuple(warnings),
    )


@dataclass(slots=True)
class _Log:
    """What was read so far."""

    packets: list[Mapping[str, Values]] = field(default_factory=list)
    pulls: list[tuple[Values, Values]] = field(default_factory=list)
    wishes: list[tuple[Values, Values, Values]] = field(default_factory=list)
    audio: set[int] = field(default_factory=set)
    video: set[int] = field(default_factory=set)
    rtx: dict[int, int] = field(default_factory=dict)
    zero_ms: int | None = None
    begun_unix_s: float | None = None

    def take(self, number: int, value: int | bytes) -> None:
        """Take one batch or event of the log."""
        if not isinstance(value, bytes):
            return
        if number == _BEGIN:
            begin = _message(value)
            self.zero_ms = _number(begin, 1) if self.zero_ms is None else self.zero_ms
            self.begun_unix_s = _number(begin, 3) / 1e3 if self.begun_unix_s is None else self.begun_unix_s
        elif number == _INCOMING:
            batch = _message(value)
            count = _count(batch, 11, value)
            self.packets.append({name: _column(batch, *at, count) for name, at in _COLUMNS.items()})
        elif number == _PLAYOUT:
            batch = _message(value)
            count = _count(batch, 3, value)
            self.pulls.append((_column(batch, 1, 101, count), _column(batch, 2, 102, count)))
        elif number == _MINIMUM_DELAY:
            batch = _message(value)
            count = _count(batch, 4, value)
            self.wishes.append(
                (_column(batch, 1, 101, count), _column(batch, 2, 102, count), _column(batch, 3, 103, count))
            )
        elif number in (_AUDIO_RECEIVED, _VIDEO_RECEIVED):
            config = _message(value)
            (self.audio if number == _AUDIO_RECEIVED else self.video).add(_number(config, 2))
            if number == _VIDEO_RECEIVED and _number(config, 4):
                self.rtx[_number(config, 2)] = _number(config, 4)

    def streams(self) -> list[Stream]:
        """Return every stream of ten packets or more."""
        if not self.packets:
            return []
        columns = {name: np.concatenate([batch[name] for batch in self.packets]) for name in _COLUMNS}
        times = columns["at_ms"].astype(np.int64)
        # A damaged batch may decode to any number: what cannot be an instant is
        # left out before it is subtracted from anything.
        good = (times >= 0) & (times < _FAR_OFF)
        columns = {name: each[good] for name, each in columns.items()}
        if not good.any():
            return []
        zero_ms = int(times[good][0]) if self.zero_ms is None else self.zero_ms
        found = [self._stream(int(ssrc), columns, zero_ms) for ssrc in np.unique(columns["ssrc"])]
        return sorted((each for each in found if each is not None), key=lambda each: (-each.count, each.ssrc))

    def _stream(self, ssrc: int, columns: Mapping[str, Values], zero_ms: int) -> Stream | None:
        mine = {name: each[columns["ssrc"] == np.uint64(ssrc)] for name, each in columns.items()}
        if len(mine["at_ms"]) < _LEAST_PACKETS:
            return None
        at_s = _seconds(mine["at_ms"], zero_ms)
        packets = Packets(
            at_s=at_s,
            sequence=counted_on(mine["sequence"].astype(np.uint16), 16),
            timestamp=counted_on(mine["timestamp"].astype(np.uint32), 32),
            size=mine["size"].astype(np.int64),
            payload_type=(mine["payload_type"] & np.uint64(0x7F)).astype(np.uint8),
            marker=mine["marker"] != 0,
        ).only(np.argsort(at_s, kind="stable"))
        clock_hz = clock_of(packets.at_s, packets.timestamp.astype(np.uint32))
        # The log's own configuration is better than a guess by rate; a clock of 90 kHz
        # guessed for sound is a guess of too few packets.
        if ssrc in self.video:
            clock_hz = VIDEO_HZ
        elif ssrc in self.audio and clock_hz in (None, VIDEO_HZ):
            clock_hz = RTP_CLOCK_HZ
        return Stream(
            ssrc=ssrc,
            count=len(packets),
            duration_s=float(np.ptp(packets.at_s)),
            clock_hz=clock_hz,
            payload_type=int(np.bincount(packets.payload_type).argmax()),
            load=lambda: (packets, 0),
            pulls_s=self._pulls(ssrc, zero_ms),
            wishes=self._wishes(ssrc, zero_ms),
            rtx_ssrc=self.rtx.get(ssrc),
        )

    def _pulls(self, ssrc: int, zero_ms: int) -> npt.NDArray[np.float64] | None:
        chosen = [at_ms[who == np.uint64(ssrc)] for at_ms, who in self.pulls]
        at_ms = np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.uint64)
        return np.sort(_seconds(at_ms, zero_ms)) if len(at_ms) else None

    def _wishes(self, ssrc: int, zero_ms: int) -> tuple[Wish, ...]:
        found = [
            Wish(since_s=float(at_s), delay_s=int(delay_ms) / 1e3)
            for at_ms, who, delays_ms in self.wishes
            for at_s, remote, delay_ms in zip(_seconds(at_ms, zero_ms), who, delays_ms, strict=True)
            # Above ten seconds is no wish of an application (``kMaxBaseMinimumDelayMs``), but a damaged batch.
            if int(remote) == ssrc and int(delay_ms) <= 10_000
        ]
        return tuple(sorted(found, key=lambda each: each.since_s))


def _seconds(at_ms: Values, zero_ms: int) -> npt.NDArray[np.float64]:
    return (at_ms.astype(np.int64) - zero_ms) / 1e3


def _column(batch: Fields, base: int, deltas: int, count: int) -> Values:
    """Return a column of a batch: its base and ``count`` values more; what is absent is 0."""
    first = batch.get(base)
    block = batch.get(deltas, b"")
    if not isinstance(block, bytes) or isinstance(first, bytes):
        raise _DamagedError
    if not block:
        return np.full(count + 1, (first or 0) & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    return np.concatenate([np.array([first or 0], dtype=np.uint64), _deltas(block, first, count)])


def _deltas(block: bytes, base: int | None, count: int) -> Values:
    """Decode a block of ``count`` deltas upon ``base`` (None: absent)."""
    bits = np.unpackbits(np.frombuffer(block, dtype=np.uint8))
    kind, width = _read(bits, 0, 2), _read(bits, 2, 6) + 1
    at, signed, absent, value_width = 8, False, False, 64
    if kind == 1:
        signed, absent, value_width, at = bool(bits[8:9].any()), bool(bits[9:10].any()), _read(bits, 10, 6) + 1, 16
    elif kind != 0:
        raise _DamagedError
    there = np.ones(count, dtype=np.bool_)
    if absent:
        there = bits[at : at + count].astype(np.bool_)
        at += count
    present = int(np.count_nonzero(there)) if len(there) == count else -1
    values = np.zeros(max(present, 0), dtype=np.uint64)
    start = 0
    mask = np.uint64((1 << value_width) - 1)
    if base is None and present > 0:  # the first value stands whole
        base, start = _read(bits, at, value_width), 1
        values[0] = base
        at += value_width
    end = at + (present - start) * width
    if present < 0 or end > len(bits):
        raise _DamagedError
    if present > start:
        steps = _numbers(bits[at:end].reshape(-1, width))
        if signed and width < 64:
            # Two's complement of ``width`` bits, carried on to 64, so that sums wrap as the writer's did.
            negative = steps >= np.uint64(1 << (width - 1))
            steps = np.where(negative, steps - np.uint64(1 << width), steps)  # modulo 2^64
        values[start:] = (np.cumsum(steps, dtype=np.uint64) + np.uint64(base or 0)) & mask
    out = np.zeros(count, dtype=np.uint64)
    out[there] = values
    return out


def _numbers(rows: npt.NDArray[np.uint8]) -> Values:
    """Return the numbers that rows of bits write, most significant first: shape (n, width), width up to 64."""
    padded = np.zeros((len(rows), 64), dtype=np.uint8)
    # Right-aligned in 64 bits: then eight bytes of each row are one number, whatever the width.
    padded[:, 64 - rows.shape[1] :] = rows
    return np.packbits(padded, axis=1).view(">u8").reshape(-1).astype(np.uint64)


def _read(bits: npt.NDArray[np.uint8], at: int, width: int) -> int:
    if at + width > len(bits):
        raise _DamagedError
    return int(_numbers(bits[at : at + width].reshape(1, -1))[0])


def _count(batch: Fields, number: int, value: bytes) -> int:
    """Return how many events follow the base one; no more than a column of a bit each could have."""
    count = _number(batch, number)
    if count > min(_MOST_EVENTS, 64 * len(value) + 64):
        raise _DamagedError
    return count


def _number(message: Fields, number: int) -> int:
    value = message.get(number, 0)
    if isinstance(value, bytes):
        raise _DamagedError
    return value


def _message(data: bytes) -> dict[int, int | bytes]:
    return dict(_fields(data))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        number, value, at = _field(data, at)
        yield number, value


def _field(data: bytes, at: int) -> tuple[int, int | bytes, int]:
    """Return number and value of the protobuf field at ``at``, and where the next begins.

    Wire types 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. Source: protobuf.dev, Encoding.
    """
    tag, at = _varint(data, at)
    number, kind = tag >> 3, tag & 7
    if kind == 0:
        value, at = _varint(data, at)
        return number, value, at
    if kind == 2:
        size, at = _varint(data, at)
    elif kind in (1, 5):
        size = 8 if kind == 1 else 4
    else:
        raise _DamagedError
    if number == 0 or at + size > len(data):
        raise _DamagedError
    piece = data[at : at + size]
    return number, piece if kind == 2 else int.from_bytes(piece, "little"), at + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        # Ten bytes hold any varint (protobuf.dev, Encoding): more are no protobuf.
        if at >= len(data) or shift > 63:
            raise _DamagedError
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
