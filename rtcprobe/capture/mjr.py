"""Janus' own recordings (``.mjr``): every packet that reached the server, decrypted, with its instant.

Facts:
    - ``MJR00002``, a length (16 bits, big endian), JSON that says medium (``t``: a, v, d), codec (``c``), created and
      first packet (``s``, ``u``: µs of UTC); then packet after packet: ``MEET``, milliseconds since the first (32
      bits), a length (16 bits), RTP. Source: ``record.c`` of Janus 1.x, read off recordings of 1.1.2.
    - RTP headers are rewritten (sequence from 1, time from 0, another SSRC), gaps kept. Payloads are in clear.
    - Older files (``MEETECHO``) carry no instants, so they cannot be heard.

Rule: it is what the server got: the network between it and its listeners is not in it, and ``at_the_server`` says so.
"""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO, Final

import numpy as np

from rtcprobe.capture.stream import Capture, Packets, Stream
from rtcprobe.errors import BadInputError
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.wrapping import counted_on

__all__ = ["MJR_HEADS", "read_mjr"]

MJR_HEADS: Final = (b"MJR00002", b"MEETECHO", b"MJR00001")
# A day of Opus; and RTP clocks by the codec's name (RFC 3551: G.722's says 8,000 although it samples at 16,000).
_MOST_BYTES: Final = 256 * 2**20
_CLOCK_HZ: Final = {"opus": 48_000, "multiopus": 48_000, "pcmu": 8_000, "pcma": 8_000, "g722": 8_000}
# As of the other readers: fewer tell neither a clock nor a figure.
_LEAST_PACKETS: Final = 10


def read_mjr(file: BinaryIO, place: str) -> Capture:
    """Return the one stream of a recording.

    Raises:
        BadInputError: an older form without instants, not audio or video, damaged from its beginning, or empty.
    """
    data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BadInputError(f"{place} is longer than {_MOST_BYTES // 2**20} MB", "cut it with mjr2pcap or janus-pp-rec")
    if data[:8] != MJR_HEADS[0]:
        raise BadInputError(
            f"{place} is a Janus recording of an older form, which has no arrival times",
            "record with Janus 1.0 or newer",
        )
    about, at = _about(data, place)
    medium = {"a": "audio", "v": "video"}.get(str(about.get("t")))
    if medium is None:
        raise BadInputError(f"{place} records data, not sound", "give the recording of an audio stream")
    packets, cut = _packets(data, at)
    if packets is None:
        raise BadInputError(f"{place} holds fewer than {_LEAST_PACKETS} packets", "record while somebody speaks")
    codec = str(about.get("c", ""))
    # The first packet's instant where it is told, else when the file was made.
    begun_us = about.get("u", about.get("s"))
    stream = Stream(
        ssrc=0,
        source=f"Janus recording, {codec or medium}",
        count=len(packets),
        duration_s=float(np.ptp(packets.at_s)),
        clock_hz=VIDEO_HZ if medium == "video" else _CLOCK_HZ.get(codec),
        payload_type=int(packets.payload_type[0]),
        load=lambda: (packets, 0),
        # Decrypted in any case, but only Opus can be decoded here: other sound is played as a programme.
        encrypted=codec != "opus",
        at_the_server=True,
    )
    return Capture(
        kind="mjr",
        clock_resolution_s=1e-3,
        streams=(stream,),
        begun_unix_s=begun_us / 1e6 if isinstance(begun_us, int) else None,
        warnings=("the file was cut off: what came before counts",) if cut else (),
    )


def _about(data: bytes, place: str) -> tuple[dict[str, Any], int]:
    try:
        size = struct.unpack_from(">H", data, 8)[0]
        about = json.loads(data[10 : 10 + size])
    except (struct.error, ValueError, RecursionError) as error:
        raise BadInputError(f"{place} is a damaged Janus recording", "its description cannot be read") from error
    if not isinstance(about, dict):
        raise BadInputError(f"{place} is a damaged Janus recording", "its description cannot be read")
    return about, 10 + size


def _packets(data: bytes, at: int) -> tuple[Packets | None, bool]:
    """Return the packets from ``at`` on, and whether the file ends inside one."""
    rows: list[tuple[int, int, int, int, bytes]] = []
    cut = False
    while at < len(data):
        if at + 10 > len(data) or data[at : at + 4] != b"MEET":
            cut = True
            break
        at_ms, size = struct.unpack_from(">IH", data, at + 4)
        packet = data[at + 10 : at + 10 + size]
        at += 10 + size
        if len(packet) < size:
            cut = True
            break
        # Recordings of data channels have another form, and a damaged length may point into a packet: only RTP counts.
        if size >= 12 and packet[0] >> 6 == 2:
            second, sequence, timestamp = struct.unpack_from(">BHI", packet, 1)
            rows.append((at_ms, sequence, timestamp, second, _payload(packet)))
    if len(rows) < _LEAST_PACKETS:
        return None, cut
    rows.sort(key=lambda row: row[0])
    at_ms, sequences, timestamps, seconds, payloads = zip(*rows, strict=True)
    return Packets(
        at_s=np.array(at_ms, dtype=np.float64) / 1e3,
        sequence=counted_on(np.array(sequences, dtype=np.uint16), 16),
        timestamp=counted_on(np.array(timestamps, dtype=np.uint32), 32),
        size=np.array([len(each) for each in payloads], dtype=np.int64),
        payload_type=(np.array(seconds) & 0x7F).astype(np.uint8),
        marker=np.array(seconds, dtype=np.uint8) >= 0x80,
        payloads=payloads,
    ), cut


def _payload(packet: bytes) -> bytes:
    """Return what an RTP packet carries, header, extension and padding taken off (RFC 3550 §5.1, §5.3.1)."""
    at = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10 and at + 4 <= len(packet):
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    end = len(packet) - (packet[-1] if packet[0] & 0x20 else 0)
    return packet[at:end]
