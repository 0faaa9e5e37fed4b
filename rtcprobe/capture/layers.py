"""UDP datagrams out of captured frames: link headers, tags and tunnels taken off, many frames at once.

Facts:
    - Read: Ethernet with 802.1Q/802.1ad tags and PPPoE, BSD null and loop, raw IP, Linux cooked v1 and v2; IPv4 with
      options, IPv6 with extension headers; TURN channel data and data indications, whose inside is what was meant.
      Numbers of link types: tcpdump.org/linktypes.html.
    - A frame may be longer than what it carries (Ethernet pads to 60 bytes): UDP's own length says where it ends.

Rule: what cannot be read is left out and counted by kind, never guessed. Fragments are: audio never needs them.

Sources: RFC 791, RFC 8200 §4, RFC 768, RFC 2516 §4 (PPPoE), IEEE 802.1Q, RFC 8656 §12 (channel data), RFC 8489 §5.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.capture.records import Frames

__all__ = ["LINK_TYPES", "Datagrams", "datagrams", "u16", "u32"]

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_IPV4, _IPV6, _PPPOE = 0x0800, 0x86DD, 0x8864  # EtherTypes (IANA, "IEEE 802 Numbers")
# 802.1Q, 802.1ad, and the QinQ of before the standard.
_TAGS: Final = (0x8100, 0x88A8, 0x9100)
# Each is a pass over all frames: what has more of them is nobody's frame of sound, and is left out.
_MOST_TAGS, _MOST_EXTENSIONS = 4, 8
# IANA's protocol numbers: RFC 768, and those of IPv6's extension headers (RFC 8200, section 4).
_UDP: Final = 17
_EXTENSIONS: Final = (0, 43, 60, 135)  # hop-by-hop, routing, destination options, mobility: length in eights
_FRAGMENT, _AUTHENTICATION = 44, 51  # a fixed length, and one in fours (RFC 4302 §2.2)
_BSD_IPV6: Final = (10, 24, 28, 30)  # AF_INET6 of Linux, OpenBSD, FreeBSD, macOS

LINK_TYPES: Final = {
    0: "BSD null", 1: "Ethernet", 12: "raw IP", 14: "raw IP", 101: "raw IP", 108: "BSD loop",
    113: "Linux cooked", 228: "raw IPv4", 229: "raw IPv6", 276: "Linux cooked v2",
}  # fmt: skip
"""What can be read."""
# So that a header may be read without asking whether it is there whole: what lies behind the end is judged by lengths.
_PAD: Final = np.zeros(64, dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Datagrams:
    """UDP payloads in ``data``, all of shape (n,): where each begins and how long it is, when it came, whose it is.

    ``address`` is where the 8 or 32 bytes of source and destination address begin, ``six`` whether they are IPv6's;
    ``ports`` source · 65536 + destination.
    """

    data: Bytes
    begin: Ints
    length: Ints
    at_ns: Ints
    address: Ints
    six: Mask
    ports: Ints


def u16(data: Bytes, at: Ints) -> Ints:
    """Return big-endian 16-bit numbers at ``at``."""
    return data[at].astype(np.int64) << 8 | data[at + 1]


def u32(data: Bytes, at: Ints) -> Ints:
    """Return big-endian 32-bit numbers at ``at``."""
    return u16(data, at) << 16 | u16(data, at + 2)


def datagrams(frames: Frames, left_out: Counter[str]) -> Datagrams | None:
    """Return the UDP datagrams of ``frames``; what was left out is counted by kind. None where there are none."""
    if frames.link_type not in LINK_TYPES:
        left_out[f"link type {frames.link_type}"] += len(frames.begin)
        return None
    # Headers are read before it is known how long a frame is: behind the last there is room.
    data = np.concatenate([frames.data, _PAD])
    place, kind = _network(data, frames)
    end = frames.begin + frames.length
    # The least that holds both headers: 20 or 40 bytes of IP, 8 of UDP.
    known = ((kind == _IPV4) & (place + 28 <= end)) | ((kind == _IPV6) & (place + 48 <= end))
    left_out["not IP"] += int(np.count_nonzero(~known))
    chosen = np.flatnonzero(known)
    place, six, end, at_ns = place[chosen], kind[chosen] == _IPV6, end[chosen], frames.at_ns[chosen]
    transport, protocol, fragment = _transport(data, place, six, end)
    left_out["fragments"] += int(np.count_nonzero(fragment))
    good = ~fragment & (protocol == _UDP) & (transport + 8 <= end)
    left_out["not UDP"] += int(np.count_nonzero(~fragment & (protocol != _UDP)))
    chosen = np.flatnonzero(good)
    transport, place, six, end, at_ns = transport[chosen], place[chosen], six[chosen], end[chosen], at_ns[chosen]
    # A length of 0 is a jumbogram's or an offload's: then the frame says where it ends.
    said = u16(data, transport + 4)
    length = np.minimum(np.where(said >= 8, said, end - transport), end - transport) - 8
    begin, length = _inside_turn(data, transport + 8, length)
    if not len(begin):
        return None
    return Datagrams(
        data=data,
        begin=begin,
        length=length,
        at_ns=at_ns,
        address=place + np.where(six, 8, 12),
        six=six,
        ports=u32(data, transport),
    )


def _network(data: Bytes, frames: Frames) -> tuple[Ints, Ints]:
    """Return where the network header of each frame begins, and which protocol it is (an EtherType)."""
    begin, link = frames.begin, frames.link_type
    if link in (12, 14, 101, 228, 229):
        return begin, _by_version(data, begin)
    if link == 0:  # the family is in the byte order of the machine that captured
        family = np.maximum(data[begin], data[begin + 3]).astype(np.int64)
        return begin + 4, np.where(family == 2, _IPV4, np.where(np.isin(family, _BSD_IPV6), _IPV6, 0))
    if link == 108:
        family = data[begin + 3].astype(np.int64)
        return begin + 4, np.where(family == 2, _IPV4, np.where(np.isin(family, _BSD_IPV6), _IPV6, 0))
    # Bytes of the link's header, and where in it the EtherType stands.
    header, kind_at = {1: (14, 12), 113: (16, 14), 276: (20, 0)}[link]
    place, kind = begin + header, u16(data, begin + kind_at)
    end = begin + frames.length
    for _ in range(_MOST_TAGS):
        tagged = np.isin(kind, _TAGS) & (place + 4 <= end)
        if not tagged.any():
            break
        kind = np.where(tagged, u16(data, np.where(tagged, place + 2, begin)), kind)
        place = np.where(tagged, place + 4, place)
    session = (kind == _PPPOE) & (place + 8 <= end)
    if session.any():
        protocol = u16(data, np.where(session, place + 6, begin))
        # PPP's numbers of IPv4 (RFC 1332 §3) and IPv6 (RFC 5072 §3).
        inner = np.where(protocol == 0x0021, _IPV4, np.where(protocol == 0x0057, _IPV6, 0))
        kind, place = np.where(session, inner, kind), np.where(session, place + 8, place)
    # A damaged length may point anywhere; behind the end there is only padding, which is no protocol.
    return np.minimum(place, len(data) - len(_PAD)), kind


def _by_version(data: Bytes, place: Ints) -> Ints:
    version = data[place] >> 4
    return np.where(version == 4, _IPV4, np.where(version == 6, _IPV6, 0))


def _transport(data: Bytes, place: Ints, six: Mask, end: Ints) -> tuple[Ints, Ints, Mask]:
    """Return where the transport header begins, its protocol, and whether the packet is a fragment."""
    last = len(data) - len(_PAD)
    words = (data[place] & 0x0F).astype(np.int64)
    # More fragments, or an offset: bits 2 to 15 of the word at 6.
    four_fragment = (u16(data, place + 6) & 0x3FFF) != 0
    at = np.where(six, place + 40, place + 4 * words)
    protocol = np.where(six, data[place + 6], data[place + 9]).astype(np.int64)
    fragment = ~six & (four_fragment | (words < 5))
    for _ in range(_MOST_EXTENSIONS):
        extended = six & np.isin(protocol, (*_EXTENSIONS, _FRAGMENT, _AUTHENTICATION)) & (at + 8 <= end)
        if not extended.any():
            break
        here = np.where(extended, at, place)
        # Lengths of extension headers: 8 bytes more than they say in eights (RFC 8200 §4), of AH in fours, less two
        # (RFC 4302 §2.2); a fragment's is fixed.
        eights = data[here + 1].astype(np.int64)
        size = np.where(
            protocol == _AUTHENTICATION, 4 * (eights + 2), np.where(protocol == _FRAGMENT, 8, 8 * (eights + 1))
        )
        # An atomic fragment (RFC 6946) is whole: offset and more-bit are zero.
        fragment |= extended & (protocol == _FRAGMENT) & ((u16(data, here + 2) & 0xFFF9) != 0)
        protocol = np.where(extended, data[here], protocol)
        at = np.minimum(np.where(extended, at + size, at), last)
    return np.minimum(at, last), protocol, fragment


def _inside_turn(data: Bytes, begin: Ints, length: Ints) -> tuple[Ints, Ints]:
    """Return datagrams with TURN's framing taken off: channel data (RFC 8656 §12.4), data and send indications."""
    first = data[begin]
    # Channel numbers are 0x4000 to 0x4FFF (RFC 8656 §12): neither STUN, DTLS nor RTP begins so (RFC 7983 §7).
    channel = (first >= 0x40) & (first <= 0x4F) & (length >= 4)
    if channel.any():
        inner = u16(data, begin + 2)
        channel &= inner + 4 <= length
        length = np.where(channel, inner, length)
        begin = np.where(channel, begin + 4, begin)
    # Indications: 0x0016 send, 0x0017 data; the magic cookie tells STUN.
    indication = (first == 0) & (length >= 24)
    for place in np.flatnonzero(indication).tolist():
        at, size = int(begin[place]), int(length[place])
        if data[at + 1] not in (0x16, 0x17) or bytes(data[at + 4 : at + 8]) != b"\x21\x12\xa4\x42":
            continue
        found = _attribute(bytes(data[at : at + size]), 0x0013)
        if found is not None:
            begin[place], length[place] = at + found[0], found[1]
    return begin, length


def _attribute(message: bytes, wanted: int) -> tuple[int, int] | None:
    """Return where the value of a STUN attribute begins and how long it is (RFC 8489 §14); None without it."""
    at = 20
    while at + 4 <= len(message):
        kind, size = int.from_bytes(message[at : at + 2], "big"), int.from_bytes(message[at + 2 : at + 4], "big")
        if kind == wanted and at + 4 + size <= len(message):
            return at + 4, size
        # Values are padded to four bytes, which their length does not count (RFC 8489 §14).
        at += 4 + (size + 3) // 4 * 4
    return None
