"""Frames out of pcap and pcapng files, a block of them at a time, whatever the size of the file.

Facts:
    - pcap: a file header (magic, version, snap length, link type), then records of 16 bytes and the frame. Magic
      ``a1b2c3d4`` counts microseconds, ``a1b23c4d`` nanoseconds; either byte order.
      Source: draft-ietf-opsawg-pcap §4, §5.
    - pcapng: blocks of (type, length, body, length again). A section header sets the byte order, each interface
      description a link type, a clock resolution (default 10⁻⁶ s) and an offset. Sections may follow each other.
      Source: draft-ietf-opsawg-pcapng §3, §4.
    - Walking from record to record is the only step that cannot be done for many at once, so it does nothing but
      note where each record begins; all else is arithmetic on arrays.

Rules:
    1. A file that ends inside a record was cut off: what came before counts, and ``cut`` says so.
    2. A record that cannot be (longer than any frame) ends the reading: nothing after it can be trusted.
    3. No more than a block of the file is in memory.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError

__all__ = ["Frames", "Reading", "frames_of", "gunzipped", "is_packet_capture"]

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

# Some 11,000 packets of sound: enough that arithmetic on arrays costs less than the walk, and little memory.
BLOCK_BYTES: Final = 2 * 2**20
MOST_FRAME_BYTES: Final = 2**18
"""MAXIMUM_SNAPLEN of libpcap; nothing longer is a frame."""
_MOST_BLOCK_BYTES: Final = 16 * 2**20  # pcapng: a block of names or of a decryption secret may be longer than a frame

_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000), b"\xa1\xb2\xc3\xd4": (">", 1_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1),
}  # fmt: skip
"""Magic number → (byte order, nanoseconds of a tick)."""
_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_GZIP: Final = b"\x1f\x8b"
# Block types: draft-ietf-opsawg-pcapng §4.1 to §4.4, the obsolete packet block in its appendix.
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_RESOLUTION, _OFFSET = 9, 14  # options of an interface: if_tsresol, if_tsoffset
_NS: Final = 1_000_000_000  # of a second: all instants are whole nanoseconds, as the finest captures have them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frames:
    """A block's frames of one link type: ``data`` (bytes,) holds them; each begins at ``begin`` for ``length`` bytes.

    All of shape (frames,). ``at_ns`` is the instant of each in nanoseconds of the capturing clock.
    """

    data: Bytes
    begin: Ints
    length: Ints
    at_ns: Ints
    link_type: int


@dataclass(slots=True, kw_only=True)
class Reading:
    """What is known of a capture once it was read: ``resolution_ns`` the coarsest clock met, what went wrong."""

    kind: str = "pcap"
    resolution_ns: int = 1
    frames: int = 0
    cut: bool = False
    damaged_at: int | None = None
    untimed: int = 0
    """Packets without an instant (simple packet blocks): they cannot be heard."""


@dataclass(slots=True)
class _Interface:
    link_type: int
    tick: tuple[int, int] = (10, 6)
    """Base and exponent: a tick is base⁻ᵉˣᵖ seconds."""
    offset_s: int = 0

    def nanoseconds(self, ticks: npt.NDArray[np.uint64]) -> Ints:
        base, exponent = self.tick
        if base == 2:
            # The whole seconds apart from the rest: a 64-bit count of binary ticks does not fit in a double.
            whole = (ticks >> np.uint64(exponent)).astype(np.int64) * _NS
            part = (ticks & np.uint64((1 << exponent) - 1)).astype(np.float64) * (_NS / 2.0**exponent)
            at_ns = whole + part.astype(np.int64)
        elif exponent <= 9:
            at_ns = ticks.astype(np.int64) * 10 ** (9 - exponent)
        else:
            at_ns = (ticks // np.uint64(10 ** (exponent - 9))).astype(np.int64)
        return np.asarray(at_ns + self.offset_s * _NS, dtype=np.int64)

    @property
    def resolution_ns(self) -> int:
        base, exponent = self.tick
        return max(1, round(_NS / float(base) ** exponent))


def is_packet_capture(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` (4 bytes or more, unpacked) is a packet capture."""
    return head[:4] in _PCAP or head[:4] == _PCAPNG


def gunzipped(file: BinaryIO) -> BinaryIO:
    """Return ``file`` as it was before gzip, where it was gzipped; at its beginning."""
    file.seek(0)
    packed = file.read(2) == _GZIP
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[return-value]


def frames_of(file: BinaryIO, place: str) -> tuple[Iterator[Frames], Reading]:
    """Return the frames of an unpacked capture block by block, and what is known of it (whole when they ended).

    Raises:
        BadInputError: no capture; a compressed stream that is damaged (while iterating).
    """
    head = file.read(4)
    reading = Reading()
    source = _Source(file, place, reading, bytearray(head))
    if head in _PCAP:
        return _pcap(source, *_PCAP[head]), reading
    if head == _PCAPNG:
        reading.kind = "pcapng"
        return _pcapng(source), reading
    raise BadInputError(f"{place} is no packet capture", "give a pcap or pcapng file, as Wireshark writes them")


@dataclass(slots=True)
class _Source:
    """The file behind a window: ``window`` are the bytes at hand, ``passed`` how many lie before them."""

    file: BinaryIO
    place: str
    reading: Reading
    window: bytearray
    passed: int = 0
    ended: bool = False

    def drop(self, count: int) -> None:
        """Forget the first ``count`` bytes, and fill the window up."""
        rest = bytes(memoryview(self.window)[count:])
        self.passed += count
        try:
            more = self.file.read(BLOCK_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            if isinstance(error, EOFError):  # gzip without its end: cut off
                more, self.reading.cut = b"", True
            else:
                raise BadInputError(f"{self.place} is damaged", "its gzip data cannot be unpacked") from error
        self.ended = not more
        self.window = bytearray(rest + more)


def _pcap(source: _Source, order: str, tick_ns: int) -> Iterator[Frames]:
    source.drop(0)
    if len(source.window) < 24:
        source.reading.cut = True
        return
    # The upper bits of the link type field hold the length of a frame check sequence.
    link_type = struct.unpack_from(f"{order}I", source.window, 20)[0] & 0x0FFFFFFF
    source.reading.resolution_ns = tick_ns
    used = 24
    length_at = struct.Struct(f"{order}I").unpack_from
    word = np.dtype(f"{order}u4")
    while True:
        source.drop(used)
        begins, used = _walk_pcap(source, length_at)
        if begins:
            data = np.frombuffer(bytes(memoryview(source.window)[:used]), dtype=np.uint8)
            begin = np.array(begins, dtype=np.int64)
            head = _rows(data, begin, 16).view(word)
            at_ns = head[:, 0].astype(np.int64) * _NS + head[:, 1].astype(np.int64) * tick_ns
            source.reading.frames += len(begins)
            yield Frames(
                data=data, begin=begin + 16, length=head[:, 2].astype(np.int64), at_ns=at_ns, link_type=link_type
            )
        if source.reading.damaged_at is not None or source.ended:
            source.reading.cut |= source.ended and used < len(source.window)
            return


def _walk_pcap(source: _Source, length_at: object) -> tuple[list[int], int]:
    """Return where the whole records of the window begin, and where the first that is not whole does."""
    window, reading = source.window, source.reading
    begins: list[int] = []
    at, last = 0, len(window) - 16
    note = begins.append
    while at <= last:
        length = length_at(window, at + 8)[0]  # type: ignore[operator]
        after = at + 16 + length
        if length > MOST_FRAME_BYTES:
            reading.damaged_at = source.passed + at
            break
        if after > last + 16:
            break
        note(at)
        at = after
    return begins, at


def _pcapng(source: _Source) -> Iterator[Frames]:
    walk = _Walk(source)
    while True:
        source.drop(walk.used)
        for frames in walk.window():
            source.reading.frames += len(frames.begin)
            yield frames
        if source.reading.damaged_at is not None or source.ended:
            source.reading.cut |= source.ended and walk.used < len(source.window)
            return


@dataclass(slots=True)
class _Walk:
    """The state of a pcapng section while its blocks go by."""

    source: _Source
    order: str = "<"
    interfaces: list[_Interface] = field(default_factory=list)
    used: int = 0

    def window(self) -> Iterator[Frames]:
        """Yield the frames of the packet blocks in the window; each run of them shares its interfaces."""
        window, reading = self.source.window, self.source.reading
        self.used = 0
        run: list[int] = []
        head = struct.Struct(f"{self.order}II").unpack_from
        while self.used <= len(window) - 12:
            kind, length = head(window, self.used)
            if kind == _SECTION:  # its byte order is known from its own magic only
                yield from self._frames(run)
                run = []
                self.order = "<" if window[self.used + 8 : self.used + 12] == b"\x4d\x3c\x2b\x1a" else ">"
                self.interfaces = []
                head = struct.Struct(f"{self.order}II").unpack_from
                length = head(window, self.used)[1]
            if length < 12 or length % 4 or length > _MOST_BLOCK_BYTES:
                reading.damaged_at = self.source.passed + self.used
                break
            if self.used + length > len(window):
                break
            # Their heads are alike, but for the interface number: both are read by one arithmetic below.
            if kind in (_ENHANCED, _OLD_PACKET) and length >= 32:
                run.append(self.used)
            elif kind == _INTERFACE:
                yield from self._frames(run)
                run = []
                self.interfaces.append(self._interface(self.used, length))
                reading.resolution_ns = max(reading.resolution_ns, self.interfaces[-1].resolution_ns)
            elif kind == _SIMPLE:
                reading.untimed += 1
            self.used += length
        yield from self._frames(run)

    def _interface(self, at: int, length: int) -> _Interface:
        """Read an interface description block: link type, snap length, options."""
        window, order = self.source.window, self.order
        found = _Interface(link_type=struct.unpack_from(f"{order}H", window, at + 8)[0])
        option, end = at + 16, at + length - 4
        while option <= end - 4:
            code, size = struct.unpack_from(f"{order}HH", window, option)
            value = bytes(window[option + 4 : min(option + 4 + size, end)])
            if code == 0:
                break
            if code == _RESOLUTION and value:
                found.tick = (2 if value[0] & 0x80 else 10, value[0] & 0x7F)
            elif code == _OFFSET and len(value) == 8:
                found.offset_s = struct.unpack(f"{order}q", value)[0]
            option += 4 + (size + 3) // 4 * 4
        # A finer tick than any clock's is damage: shifts by that much would overflow, so the default is taken.
        if found.tick[1] > (60 if found.tick[0] == 2 else 18):
            found.tick = (10, 6)
        return found

    def _frames(self, begins: list[int]) -> Iterator[Frames]:
        """Yield the frames of packet blocks, those of one interface together."""
        if not begins:
            return
        data = np.frombuffer(bytes(self.source.window), dtype=np.uint8)
        begin = np.array(begins, dtype=np.int64)
        head = _rows(data, begin, 28).view(np.dtype(f"{self.order}u4"))
        number = head[:, 2].astype(np.int64)
        old = head[:, 0] == _OLD_PACKET
        if old.any():  # interface and drops share the word: 16 bits each
            high, low = number >> 16, number & 0xFFFF
            number = np.where(old, low if self.order == "<" else high, number)
        ticks = (head[:, 3].astype(np.uint64) << np.uint64(32)) | head[:, 4].astype(np.uint64)
        length = head[:, 5].astype(np.int64)
        whole = begin + 28 + length <= begin + head[:, 1].astype(np.int64) - 4
        for index in np.unique(number[whole]).tolist():
            # A packet of an interface that was never described has no clock: it is left out.
            if index >= len(self.interfaces):
                continue
            interface = self.interfaces[index]
            mine = whole & (number == index)
            yield Frames(
                data=data,
                begin=begin[mine] + 28,
                length=length[mine],
                at_ns=interface.nanoseconds(ticks[mine]),
                link_type=interface.link_type,
            )


def _rows(data: Bytes, begin: Ints, width: int) -> Bytes:
    """Return ``width`` bytes from each of ``begin`` on, shape (n, width), in one piece of memory."""
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(data, width)[begin])
