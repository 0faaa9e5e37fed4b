"""RTP payload formats of VP8 and H.264: a frame cut into packets, looked at on its way, and put together again.

Facts:
    - VP8: a descriptor stands before each piece: X, S where a partition begins, and a PictureID of 15 bits, as browsers
      and aiortc send it. The frame's own first bit is 0 in a key frame.
    - H.264: a NAL unit that fits is a packet; small ones that follow each other share one (STAP-A); a large one is cut
      (FU-A). Where a frame begins is not to be seen in a packet (``playout.frames.assembly``).
    - libwebrtc cuts into pieces of about the same size and keeps packets within 1,200 bytes with headers.
    - x264 tells its settings in an SEI before its first frame, 600 bytes that no receiver reads: left out.

Source: RFC 7741 §4.2–4.3 (VP8), RFC 6184 §5.6–5.8 (H.264); ``api/video_codecs``, ``rtp_format.cc`` of libwebrtc
(1,200 bytes, equal pieces).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from rtcprobe.picture.settings import VideoCodec

__all__ = ["MOST_BYTES", "PICTURE_IDS", "Glimpse", "PayloadFormat", "payload_format", "vp8_size"]

MOST_BYTES: Final = 1160
"""Of a payload: 1,200 less the RTP header (12), and what header extensions take (28 for mid, time and number)."""
# 15 bits, the long form (M set): the short one of 7 wraps after four seconds of 30 a second.
PICTURE_IDS: Final = 1 << 15

_START: Final = b"\x00\x00\x01"
_IDR, _SEI, _SPS, _DELIMITER = 5, 6, 7, 9  # H.264 table 7-1
_STAP_A, _FU_A = 24, 28  # RFC 6184 table 1
_NAL_TYPE, _NAL_IMPORTANCE = 0x1F, 0xE0


class Glimpse(NamedTuple):
    """What a receiver sees in a payload: whether a frame begins with it (None: not to be seen), and a key frame.

    ``size_bytes`` is what it holds of the frame, without descriptors.
    """

    begins: bool | None
    key: bool
    size_bytes: int


class PayloadFormat(Protocol):
    """How frames of a codec travel in RTP."""

    def packets(self, frame: bytes, number: int) -> list[bytes]:
        """Return the payloads of ``frame``, the ``number``-th of its stream; the last one gets the marker bit."""
        ...

    def look(self, payload: bytes) -> Glimpse:
        """Return what is to be seen in a payload.

        Raises:
            ValueError: it is cut off, or not of this format.
        """
        ...

    def opens_key_frame(self, payload: bytes) -> bool:
        """Return whether a key frame that can be decoded begins with a payload; one cut off opens none."""
        ...

    def frame(self, payloads: Sequence[bytes]) -> bytes:
        """Return the frame that ``payloads`` are, in order.

        Raises:
            ValueError: one is cut off, or not of this format.
        """
        ...


def vp8_size(payload: bytes) -> tuple[int, int] | None:
    """Return the width and height that a key frame of VP8 begins with; None of any other payload.

    Source: RFC 6386 §9.1: three bytes of tag, the start code 9d 01 2a, then 14 bits each beside two of scale.
    """
    try:
        header = _vp8_descriptor_bytes(payload)
    except ValueError:
        return None
    frame = payload[header : header + 10]
    # S set and partition 0, so the frame's first byte follows; its lowest bit is 0 in a key frame.
    if payload[0] & 0x1F != 0x10 or len(frame) < 10 or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    return int.from_bytes(frame[6:8], "little") & 0x3FFF, int.from_bytes(frame[8:10], "little") & 0x3FFF


def payload_format(codec: VideoCodec) -> PayloadFormat:
    """Return the payload format of ``codec``."""
    return _FORMATS[codec]()


class _Vp8:
    def packets(self, frame: bytes, number: int) -> list[bytes]:
        picture = (0x8000 | number % PICTURE_IDS).to_bytes(2, "big")  # M: 15 bits
        pieces = _pieces(frame, MOST_BYTES - 4)
        # X with I alone; S at the beginning; partition 0 all along, as the cuts are not those of partitions.
        return [(b"\x90\x80" if at == 0 else b"\x80\x80") + picture + piece for at, piece in enumerate(pieces)]

    def look(self, payload: bytes) -> Glimpse:
        header = _vp8_descriptor_bytes(payload)
        begins = payload[0] & 0x1F == 0x10  # S, partition 0
        return Glimpse(begins, begins and not payload[header] & 1, len(payload) - header)

    def opens_key_frame(self, payload: bytes) -> bool:
        try:
            return self.look(payload).key
        except ValueError:
            return False

    def frame(self, payloads: Sequence[bytes]) -> bytes:
        return b"".join(payload[_vp8_descriptor_bytes(payload) :] for payload in payloads)


def _vp8_descriptor_bytes(payload: bytes) -> int:
    """Return how long the descriptor is."""
    try:
        size = 1
        if payload[0] & 0x80:
            extension = payload[1]
            size = 2
            if extension & 0x80:
                size += 2 if payload[2] & 0x80 else 1
            # L: a byte of TL0PICIDX; T or K, or both: one byte that they share (RFC 7741, section 4.2).
            size += bool(extension & 0x40) + bool(extension & 0x30)
        payload[size]  # something has to follow
    except IndexError:
        raise ValueError(f"a VP8 payload of {len(payload)} bytes is cut off") from None
    return size


class _H264:
    def packets(self, frame: bytes, number: int) -> list[bytes]:
        del number
        found: list[bytes] = []
        together: list[bytes] = []
        for unit in _units(frame):
            if unit[0] & _NAL_TYPE in {_SEI, _DELIMITER}:
                continue
            # A byte of STAP-A's own header, and two of length before each unit.
            room = MOST_BYTES - 1 - sum(2 + len(each) for each in together)
            if together and 2 + len(unit) > room:
                found.append(_aggregated(together))
                together = []
            if len(unit) > MOST_BYTES:
                found += _fragments(unit)
            else:
                together.append(unit)
        return [*found, _aggregated(together)] if together else found

    def look(self, payload: bytes) -> Glimpse:
        units = list(_parts(payload))
        key = any(header & _NAL_TYPE in {_IDR, _SPS} for header, _, _ in units)
        return Glimpse(None, key, sum(len(rest) + opens for _, opens, rest in units))

    def opens_key_frame(self, payload: bytes) -> bool:
        try:
            return any(header & _NAL_TYPE == _SPS for header, _, _ in _parts(payload))  # without it none can be decoded
        except ValueError:
            return False

    def frame(self, payloads: Sequence[bytes]) -> bytes:
        whole = bytearray()
        for payload in payloads:
            for header, opens, rest in _parts(payload):
                if opens:
                    whole += b"\x00" + _START + bytes([header])
                whole += rest
        return bytes(whole)


def _units(frame: bytes) -> Iterator[bytes]:
    """Yield the NAL units between start codes, of three or four bytes. Source: H.264 annex B."""
    begin = frame.find(_START)
    while begin >= 0:
        begin += len(_START)
        end = frame.find(_START, begin)
        unit = frame[begin:] if end < 0 else frame[begin:end]
        # Emulation prevention keeps the start code out of a unit's own bytes (H.264, 7.4.1), so a search
        # finds only true ones.
        unit = unit.rstrip(b"\x00")  # of the next start code; a unit itself ends with a bit that is set
        if unit:
            yield unit
        begin = end


def _aggregated(units: Sequence[bytes]) -> bytes:
    """Return units as one payload: a single one as it is, several as STAP-A (RFC 6184 §5.7.1)."""
    if len(units) == 1:
        return units[0]
    # NRI of an aggregate is the most of those in it (RFC 6184, section 5.7).
    importance = max(unit[0] & 0x60 for unit in units)
    return bytes([importance | _STAP_A]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def _fragments(unit: bytes) -> list[bytes]:
    """Return a unit as FU-A (RFC 6184 §5.8): its own header is not repeated."""
    indicator, kind = unit[0] & _NAL_IMPORTANCE | _FU_A, unit[0] & _NAL_TYPE
    pieces = _pieces(unit[1:], MOST_BYTES - 2)
    last = len(pieces) - 1
    return [
        bytes([indicator, kind | (0x80 if at == 0 else 0) | (0x40 if at == last else 0)]) + piece
        for at, piece in enumerate(pieces)
    ]


def _parts(payload: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Yield of each NAL unit in a payload its header, whether it begins here, and what follows the header."""
    if len(payload) < 2:
        raise ValueError(f"an H.264 payload of {len(payload)} bytes is cut off")
    kind = payload[0] & _NAL_TYPE
    if 0 < kind < _STAP_A:
        yield payload[0], True, payload[1:]
    elif kind == _FU_A:
        if len(payload) < 3:
            raise ValueError(f"an H.264 fragment of {len(payload)} bytes is cut off")
        yield payload[0] & _NAL_IMPORTANCE | payload[1] & _NAL_TYPE, bool(payload[1] & 0x80), payload[2:]
    elif kind == _STAP_A:
        at = 1
        while at < len(payload):
            size = int.from_bytes(payload[at : at + 2], "big")
            unit = payload[at + 2 : at + 2 + size]
            if not size or len(unit) < size:
                raise ValueError(f"a unit of {size} bytes is cut off in an H.264 payload of {len(payload)}")
            yield unit[0], True, unit[1:]
            at += 2 + size
    else:
        raise ValueError(f"an H.264 payload of type {kind} is not of packetization mode 1")


def _pieces(data: bytes, most: int) -> list[bytes]:
    """Return ``data`` cut into as few pieces as can be, of about the same size."""
    count = max(1, math.ceil(len(data) / most))
    edges = [len(data) * place // count for place in range(count + 1)]
    return [data[begin:end] for begin, end in pairwise(edges)]


_FORMATS: Final[Mapping[VideoCodec, Callable[[], PayloadFormat]]] = {"vp8": _Vp8, "h264": _H264}
