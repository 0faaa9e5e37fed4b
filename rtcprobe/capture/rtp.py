"""RTP streams among a capture's datagrams.

Facts:
    - RTP is not labelled: version 2, a second byte that is no RTCP type (192 to 223, RFC 5761 §4), and sequence
      numbers that mostly step by little. A capture holds other programmes' streams, and other protocols' chances.
    - ``-i any`` and mirror ports capture a packet twice: the same sequence and time within a millisecond. The same
      sequence much later is a wrap; the same a little later was sent again (NACK), which counts.
    - Padding (RFC 3550 §5.1) is counted by the payload's last byte, which SRTP encrypts: it is taken off only where
      nothing is encrypted.

Rules:
    1. What is kept of a packet is 17 bytes, whatever its size: a gigabyte of audio fits in a tenth of it.
    2. Streams are told apart by both addresses, both ports and SSRC, never added up.
"""

from __future__ import annotations

import ipaddress
import mmap
from collections import Counter
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from rtcprobe.capture.layers import Datagrams, datagrams, u16, u32
from rtcprobe.capture.records import Reading, frames_of, gunzipped
from rtcprobe.capture.stream import Capture, Packets, Stream, clock_of
from rtcprobe.errors import BadInputError
from rtcprobe.playout.base import SAMPLE_RATE_HZ
from rtcprobe.wrapping import counted_on

__all__ = ["read_packet_capture"]

Ints = npt.NDArray[np.int64]

# Ten packets of another protocol that all look like RTP with small steps are
# not to be expected; a call has them in 0.2 s.
LEAST_PACKETS: Final = 10
# Losses and reordering step by a few, one packet in five may step farther; numbers that are chance step by thousands.
_SMALL_STEP, _SMALL_SHARE = 16, 0.8
# A mirror port's second copy comes within microseconds; what was sent again has been asked for a round trip before.
_COPY_S: Final = 0.001
_ROW: Final = np.dtype([("at_ns", "<i8"), ("timestamp", "<u4"), ("sequence", "<u2"), ("size", "<u2"), ("kind", "u1")])
_SAMPLES: Final = 64
"""So many payloads of a stream are looked at to tell Opus in clear from ciphertext."""
# One in ten may fit nothing: padding, keep-alives, what is damaged.
_CLEAR_SHARE: Final = 0.9
# What tells a stream's kind stands at either end of it: hours in between need not be read for it.
_EDGE: Final = 1600
# A capture may hold thousands of chance streams of a few packets, and one of millions: pieces double in between.
_SMALLEST_PIECE, _LARGEST_PIECE = 64 * 1024, 4 * 2**20


@dataclass(slots=True)
class _Rows:
    """Rows of ``_ROW`` without end, in memory of their own.

    Among the arrays that every block makes and drops, what stays would leave holes that nothing fits into again: a
    gigabyte's rows took five times their size. Anonymous maps lie elsewhere.
    """

    pieces: list[mmap.mmap] = field(default_factory=list)

    def add(self, rows: bytes) -> None:
        """Append some rows."""
        view = memoryview(rows)
        while view:
            piece = self.pieces[-1] if self.pieces else None
            if piece is None or piece.tell() == len(piece):
                size = _SMALLEST_PIECE if piece is None else min(2 * len(piece), _LARGEST_PIECE)
                piece = mmap.mmap(-1, size)
                self.pieces.append(piece)
            room = len(piece) - piece.tell()
            piece.write(view[:room])
            view = view[room:]

    def __len__(self) -> int:
        return sum(piece.tell() for piece in self.pieces) // _ROW.itemsize

    def whole(self) -> npt.NDArray[np.void]:
        """Return all rows in one piece."""
        return np.frombuffer(b"".join(piece[: piece.tell()] for piece in self.pieces), dtype=_ROW)

    def edges(self) -> npt.NDArray[np.void]:
        """Return the rows of the beginning and of the end, ``_EDGE`` of each at most."""
        if len(self) <= 2 * _EDGE:
            return self.whole()
        size = _EDGE * _ROW.itemsize
        last = b"".join(piece[: piece.tell()] for piece in self.pieces[-2:])
        return np.frombuffer(self.pieces[0][:size] + last[-size:], dtype=_ROW)


@dataclass(slots=True)
class _Found:
    """A stream while it is being read: the rows of its packets, and what must be known of all of them."""

    ssrc: int
    source: str
    destination: str
    rows: _Rows = field(default_factory=_Rows)
    count: int = 0
    small_steps: int = 0
    types: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(128, dtype=np.int64))
    samples: list[bytes] = field(default_factory=list)
    payloads: list[bytes] | None = None
    """Of the stream whose sound is wanted; padding taken off."""
    last: int | None = None

    def add(self, rows: npt.NDArray[np.void]) -> None:
        """Take the packets of a block."""
        if not len(rows):
            return
        sequence = rows["sequence"]
        before = sequence[:1] if self.last is None else np.array([self.last], dtype=np.uint16)
        steps = np.diff(np.concatenate([before, sequence])).view(np.int16)
        self.small_steps += int(np.count_nonzero(np.abs(steps.astype(np.int32)) <= _SMALL_STEP))
        self.types += np.bincount(rows["kind"] & 0x7F, minlength=128)
        self.count += len(rows)
        self.last = int(sequence[-1])
        self.rows.add(rows.tobytes())


def read_packet_capture(file: BinaryIO, place: str, *, sound_of: int | None = None) -> Capture:
    """Return the RTP streams of a pcap or pcapng file (gzipped or not), the longest first.

    ``sound_of`` is the SSRC whose payloads are kept where they are in clear: a second reading, when it is known whose.

    Raises:
        BadInputError: no capture, or damaged from its beginning.
    """
    frames, reading = frames_of(gunzipped(file), place)
    found: dict[int, _Found] = {}
    left_out: Counter[str] = Counter()
    begun_ns: int | None = None
    for block in frames:
        if begun_ns is None and len(block.at_ns):
            begun_ns = int(block.at_ns[0])
        carried = datagrams(block, left_out)
        if carried is not None:
            _sort(carried, found, sound_of)
    if not reading.frames:
        raise BadInputError(f"{place} holds no packet", _why_empty(reading))
    streams = [stream for each in found.values() if (stream := _stream(each, begun_ns or 0)) is not None]
    return Capture(
        kind=reading.kind,
        clock_resolution_s=reading.resolution_ns / 1e9,
        streams=tuple(sorted(streams, key=lambda each: (-each.count, each.ssrc))),
        begun_unix_s=None if begun_ns is None else begun_ns / 1e9,
        warnings=tuple(_warnings(reading, left_out)),
    )


def _why_empty(reading: Reading) -> str:
    if reading.untimed:
        return "its packets have no times (simple packet blocks): capture with dumpcap or tcpdump"
    return "capture again, or give the whole file" if reading.cut else "capture while the call lasts"


def _warnings(reading: Reading, left_out: Counter[str]) -> list[str]:
    said = []
    if reading.cut:
        said.append("the file was cut off: what came before counts")
    if reading.damaged_at is not None:
        said.append(f"the file is damaged at byte {reading.damaged_at:,}: only what came before counts")
    if left_out["fragments"]:
        said.append(f"{left_out['fragments']:,} fragments of IP packets were left out")
    said += [f"{count:,} frames of {kind} were not read" for kind, count in left_out.items() if kind.startswith("link")]
    if reading.untimed:
        said.append(f"{reading.untimed:,} packets without a time were left out")
    return said


def _sort(carried: Datagrams, found: dict[int, _Found], sound_of: int | None) -> None:
    """Give the RTP packets of a block to their streams."""
    data = carried.data
    first, second = data[carried.begin], data[carried.begin + 1]
    rtp = (carried.length >= 12) & (first >> 6 == 2) & ((second < 192) | (second > 223))
    chosen = np.flatnonzero(rtp)
    if not len(chosen):
        return
    begin, length, at_ns = carried.begin[chosen], carried.length[chosen], carried.at_ns[chosen]
    first, second = first[chosen], second[chosen]
    header = 12 + 4 * (first & 0x0F).astype(np.int64)
    extended = (first & 0x10) != 0
    room = np.minimum(begin + header, len(data) - 4)
    header += np.where(extended, 4 + 4 * u16(data, room + 2), 0)
    whole = header <= length
    rows = np.empty(len(chosen), dtype=_ROW)
    rows["at_ns"], rows["timestamp"], rows["sequence"] = at_ns, u32(data, begin + 4), u16(data, begin + 2)
    rows["size"], rows["kind"] = np.where(whole, length - header, 0), second
    ssrc = u32(data, begin + 8)
    address, six, ports = carried.address[chosen], carried.six[chosen], carried.ports[chosen]
    key = _keys(data, address, six, ports, ssrc)
    order = np.argsort(key, kind="stable")
    bounds = np.flatnonzero(np.diff(key[order])) + 1
    for places in np.split(order, bounds):
        at = int(places[0])
        stream = found.get(int(key[at]))
        if stream is None:
            names = _names(data, int(address[at]), bool(six[at]), int(ports[at]))
            stream = found[int(key[at])] = _Found(int(ssrc[at]), *names)
        good = places[whole[places]]
        stream.add(rows[good])
        if stream.ssrc == sound_of:
            stream.payloads = stream.payloads or []
            stream.payloads += _payloads(data, begin[good] + header[good], rows["size"][good], first[good])
        wanted = good[: _SAMPLES - len(stream.samples)]
        # Flags of zero: under encryption the last byte is no length of padding, and nothing may be taken off.
        stream.samples += _payloads(
            data, begin[wanted] + header[wanted], rows["size"][wanted], np.zeros(len(wanted), dtype=np.uint8)
        )


def _payloads(
    data: npt.NDArray[np.uint8], begin: Ints, size: npt.NDArray[np.uint16], first: npt.NDArray[np.uint8]
) -> list[bytes]:
    """Return payloads, padding taken off where ``first`` (byte of the header) says there is some."""
    out = []
    for at, much, flags in zip(begin.tolist(), size.tolist(), first.tolist(), strict=True):
        padding = int(data[at + much - 1]) if flags & 0x20 and much else 0
        out.append(data[at : at + max(0, much - padding)].tobytes())
    return out


def _keys(data: npt.NDArray[np.uint8], address: Ints, six: npt.NDArray[np.bool_], ports: Ints, ssrc: Ints) -> Ints:
    """Return a number a packet, the same for packets of one stream (64 bits of multiplicative hashing)."""
    # The golden ratio's constant spreads the ports, FNV's prime each word of the addresses: 64 bits make a collision of
    # two streams of one capture a matter of 10⁻¹² even for thousands of them.
    key = (ports * 0x9E3779B1) ^ (ssrc * 0x85EBCA77C2B2)
    with np.errstate(over="ignore"):
        for word in range(8):
            value = u32(data, address + 4 * word) if word < 2 else np.where(six, u32(data, address + 4 * word), 0)
            key = (key ^ value) * 0x100000001B3 + (key >> 29)
    return np.asarray(key, dtype=np.int64)


def _names(data: npt.NDArray[np.uint8], address: int, six: bool, ports: int) -> tuple[str, str]:
    size = 16 if six else 4
    source, destination = (ipaddress.ip_address(data[at : at + size].tobytes()) for at in (address, address + size))
    shown = ("[{}]:{}" if six else "{}:{}").format
    return shown(source, ports >> 16), shown(destination, ports & 0xFFFF)


def _stream(found: _Found, begun_ns: int) -> Stream | None:
    """Return a stream of RTP; None for what only looked like it."""
    if found.count < LEAST_PACKETS or found.small_steps < _SMALL_SHARE * found.count:
        return None
    edges = found.rows.edges()
    encrypted = not _in_clear(found.samples, edges["timestamp"])
    payloads = None if found.payloads is None or encrypted else tuple(found.payloads)
    edges_s = (edges["at_ns"] - begun_ns) / 1e9

    def load() -> tuple[Packets, int]:
        rows = found.rows.whole()
        packets = Packets(
            at_s=(rows["at_ns"] - begun_ns) / 1e9,
            sequence=counted_on(rows["sequence"], 16),
            timestamp=counted_on(rows["timestamp"], 32),
            size=rows["size"].astype(np.int64)
            if payloads is None
            else np.array([len(each) for each in payloads], dtype=np.int64),
            payload_type=(rows["kind"] & 0x7F).astype(np.uint8),
            marker=rows["kind"] >= 0x80,
            payloads=payloads,
        )
        return _once(packets)

    return Stream(
        ssrc=found.ssrc,
        source=found.source,
        destination=found.destination,
        count=found.count,
        duration_s=float(np.ptp(edges_s)),
        clock_hz=clock_of(edges_s, edges["timestamp"]),
        payload_type=int(found.types.argmax()),
        load=load,
        encrypted=encrypted,
    )


def _once(packets: Packets) -> tuple[Packets, int]:
    """Return the packets in the order they came, copies that the capture made taken out, and how many those were."""
    in_time = packets.only(np.argsort(packets.at_s, kind="stable"))
    order = np.lexsort((in_time.at_s, in_time.timestamp, in_time.sequence))
    same = (np.diff(in_time.sequence[order]) == 0) & (np.diff(in_time.timestamp[order]) == 0)
    same &= np.diff(in_time.at_s[order]) <= _COPY_S
    copies = order[1:][same]
    if not len(copies):
        return in_time, 0
    keep = np.ones(len(in_time), dtype=np.bool_)
    keep[copies] = False
    return in_time.only(keep), len(copies)


def _in_clear(samples: list[bytes], timestamp: npt.NDArray[np.uint32]) -> bool:
    """Return whether payloads are Opus in clear: their own lengths are the steps of the RTP time, again and again.

    Of ciphertext one in some twenty is as long as the step by chance (RFC 6716 §3.1: the table of contents byte).
    """
    from rtcprobe.audio.opus_packet import duration_samples  # noqa: PLC0415 - most streams have no need of it

    steps = np.diff(counted_on(timestamp[: len(samples)], 32))
    usual = int(np.median(steps)) if len(steps) else 0
    # 2.5 to 120 ms of Opus at 48 kHz (RFC 6716 §2.1.4, §3.2.5).
    if not 120 <= usual <= SAMPLE_RATE_HZ * 12 // 100:
        return False
    fitting, asked = 0, 0
    for payload in samples:
        if not payload:
            continue
        asked += 1
        try:
            fitting += duration_samples(payload) == usual
        except ValueError:
            continue
    return asked >= LEAST_PACKETS and fitting >= _CLEAR_SHARE * asked
