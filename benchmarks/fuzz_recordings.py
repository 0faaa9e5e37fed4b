"""Recordings of calls and measurements of paths, damaged: heard and fitted as the commands would."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from rtcprobe.capture import hear, read_capture
from rtcprobe.fit import fit, read_measured
from rtcprobe.report.fitted import fitted_lines
from rtcprobe.report.heard import heard_lines

__all__ = ["recordings"]

_PACKETS = 60


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="rtcprobe-fuzz-"))


def _rtp(index: int) -> bytes:
    head = struct.pack(">BBHII", 0x80, 111, (65_520 + index) & 0xFFFF, (2**32 - 9600 + 960 * index) & 0xFFFFFFFF, 7)
    return head + bytes((index * 37 + place * 11) & 0xFF for place in range(60 + index % 5))


def _frame(data: bytes) -> bytes:
    udp = struct.pack(">HHHH", 5000, 6000, 8 + len(data), 0) + data
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return bytes(12) + b"\x08\x00" + ip + udp


@cache
def _originals() -> dict[str, bytes]:
    """Return one small file of each kind."""
    frames = [(index * 20_000 + index % 3 * 700, _frame(_rtp(index))) for index in range(_PACKETS)]
    pcap = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    pcapng = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    pcapng += struct.pack("<IIHHII", 1, 20, 1, 0, 65535, 20)
    for at_us, data in frames:
        pcap += struct.pack("<IIII", at_us // 10**6, at_us % 10**6, len(data), len(data)) + data
        padded = data + bytes(-len(data) % 4)
        size = 32 + len(padded)
        pcapng += struct.pack("<IIIIIII", 6, size, 0, 0, at_us, len(data), len(data)) + padded + struct.pack("<I", size)
    about = b'{"t":"a","c":"opus","s":1700000000000000}'
    mjr = b"MJR00002" + struct.pack(">H", len(about)) + about
    mjr += b"".join(b"MEET" + struct.pack(">IH", 20 * n, len(_rtp(n))) + _rtp(n) for n in range(_PACKETS))
    ping = "".join(f"64 bytes from h: icmp_seq={n} ttl=5 time={20 + n % 7}.5 ms\n" for n in range(1, 60) if n % 13)
    windows = "".join(f"Antwort von h: Bytes=32 Zeit={20 + n % 5}ms TTL=57\n" for n in range(40))
    trips = [
        {
            "lost": "false",
            "timestamps": {"client": {"send": {"monotonic": n * 20_000_000}}},
            "delay": {"send": 20_000_000 + n % 9 * 10**6, "receive": 30_000_000, "rtt": 50_000_000},
        }
        for n in range(60)
    ]
    return {
        "pcap": pcap,
        "pcapng": pcapng,
        "mjr": mjr,
        "ping": ping.encode(),
        "windows": windows.encode(),
        "irtt": json.dumps({"config": {}, "stats": {}, "round_trips": trips}).encode(),
    }


def recordings(chance: Random) -> tuple[str, Callable[[], object]]:
    """Return what a damaged recording or measurement is, and what hears or fits it."""
    kind = chance.choice(sorted(_originals()))
    data = bytearray(_originals()[kind])
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(data))
        how = chance.randrange(4)
        if how == 0:
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif how == 1:
            del data[place : place + chance.randint(1, 40)]
        elif how == 2:
            data[place:place] = data[place : place + chance.randint(1, 200)]
        else:
            data = data[: max(1, place)]
        if not data:
            data = bytearray(b"\0")
    damaged = bytes(data)

    def attempt() -> object:
        path = _folder() / "file"
        path.write_bytes(damaged)
        if kind in ("pcap", "pcapng", "mjr"):
            return list(heard_lines(hear(read_capture(path), "file")))
        return list(fitted_lines(fit(read_measured(path), trace="trace")))

    return f"{kind} of {len(damaged)} bytes", attempt
