"""Captures made for tests: frames, packet captures, event logs."""

import struct

import numpy as np

AT_S = 1_700_000_000


def rtp(sequence, timestamp, ssrc=7, payload=None, *, kind=111, marker=False, first=0x80):
    if payload is None:  # as ciphertext looks, and as long as Opus is: it varies
        payload = np.random.default_rng(sequence).bytes(58 + sequence % 7)
    return (
        struct.pack(">BBHII", first, kind | (0x80 if marker else 0), sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
        + payload
    )


def udp(data, source=5000, destination=6000):
    return struct.pack(">HHHH", source, destination, 8 + len(data), 0) + data


def ipv4(data, *, options=b"", flags=0, protocol=17):
    words = 5 + len(options) // 4
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + len(data), 0, flags, 64, protocol, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
    )
    return head + options + data


def ipv6(data, *, extensions=b"", kind=17):
    return (
        struct.pack(">IHBB", 6 << 28, len(extensions) + len(data), kind, 64)
        + bytes(15)
        + b"\1"
        + bytes(15)
        + b"\2"
        + extensions
        + data
    )


def ethernet(data, kind=0x0800, tags=b""):
    return bytes(12) + tags + struct.pack(">H", kind) + data


def pcap(frames, *, order="<", nanoseconds=False, link_type=1):
    """``frames``: (seconds, bytes)."""
    magic, per_second = (0xA1B23C4D, 10**9) if nanoseconds else (0xA1B2C3D4, 10**6)
    out = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)]
    for at_s, frame in frames:
        ticks = round(at_s * per_second)
        out.append(
            struct.pack(f"{order}IIII", AT_S + ticks // per_second, ticks % per_second, len(frame), len(frame)) + frame
        )
    return b"".join(out)


def _block(order, kind, body):
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def pcapng(frames, *, order="<", link_type=1, resolution=None, offset_s=None):
    per_second = 10**6 if resolution is None else 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    options = b"" if resolution is None else struct.pack(f"{order}HHB3x", 9, 1, resolution)
    options += b"" if offset_s is None else struct.pack(f"{order}HHq", 14, 8, offset_s)
    out = _block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += _block(order, 1, struct.pack(f"{order}HHI", link_type, 0, 65535) + options)
    for at_s, frame in frames:
        ticks = round((AT_S + at_s - (offset_s or 0)) * per_second)
        head = struct.pack(f"{order}IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        out += _block(order, 6, head + frame)
    return out


def call(seconds=3.0, *, lost=(), late=None, ssrc=7, start=65_500, wrap=2**32 - 9600, ptime_s=0.020, clock_hz=48_000):
    """Return (instant, RTP) of a stream whose sequence and time wrap."""
    late = late or {}
    step = round(ptime_s * clock_hz)
    return [
        (index * ptime_s + late.get(index, 0.0), rtp(start + index, wrap + index * step, ssrc))
        for index in range(round(seconds / ptime_s))
        if index not in lost
    ]


def on_the_wire(packets):
    return sorted((at_s, ethernet(ipv4(udp(data)))) for at_s, data in packets)


# An event log, encoded as ``delta_encoding.cc`` describes: a column is a base and deltas, or a base that all equal.
def _varint(value):
    out = b""
    while True:
        value, low = value >> 7, value & 0x7F
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def number(field, value):
    return _varint(field << 3) + _varint(value & 0xFFFFFFFFFFFFFFFF)


def fixed(field, value):
    return _varint(field << 3 | 5) + struct.pack("<I", value & 0xFFFFFFFF)


def blob(field, value):
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def deltas(values, *, width=20, signed=True, value_width=64):
    """Return a block of kind 1 for ``values`` after the first."""
    bits = f"01{width - 1:06b}{int(signed)}0{value_width - 1:06b}"
    for step in np.diff(np.array(values, dtype=object)):
        bits += f"{int(step) % (1 << width):0{width}b}"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def incoming(times_ms, sequences, timestamps, ssrc, sizes):
    count = len(times_ms)
    return blob(
        2,
        number(1, times_ms[0])
        + number(2, 0)
        + number(3, 111)
        + number(4, sequences[0])
        + fixed(5, timestamps[0])
        + fixed(6, ssrc)
        + number(8, sizes[0])
        + number(11, count - 1)
        + blob(101, deltas(times_ms))
        + blob(104, deltas(sequences, width=16, signed=False, value_width=16))
        + blob(105, deltas(timestamps, width=32, signed=False, value_width=32))
        + blob(108, deltas(sizes)),
    )


def playouts(times_ms, ssrc):
    return blob(
        6, number(1, times_ms[0]) + number(2, ssrc) + number(3, len(times_ms) - 1) + blob(101, deltas(times_ms))
    )


def begin(at_ms=5_000):
    return blob(16, number(1, at_ms) + number(2, 2) + number(3, AT_S * 1000))


def event_log(seconds=3.0, *, ssrc=7, lost=()):
    kept = [index for index in range(round(seconds / 0.02)) if index not in lost]
    times = [5_100 + 20 * index for index in kept]
    pulls = [5_000 + 10 * index for index in range(round(seconds * 100) + 60)]
    sequences = [(65_500 + index) & 0xFFFF for index in kept]
    stamps = [(2**32 - 9600 + 960 * index) & 0xFFFFFFFF for index in kept]
    return (
        begin() + incoming(times, sequences, stamps, ssrc, [60 + index % 3 for index in kept]) + playouts(pulls, ssrc)
    )


def mjr(packets):
    about = b'{"t":"a","c":"opus","s":1700000000000000,"u":1700000000100000}'
    out = b"MJR00002" + struct.pack(">H", len(about)) + about
    for at_s, data in packets:
        out += b"MEET" + struct.pack(">IH", round(at_s * 1000), len(data)) + data
    return out
