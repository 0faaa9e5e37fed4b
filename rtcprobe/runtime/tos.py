"""The TOS byte of IPv4, and IPv6's traffic class: told with each datagram that comes, and sent with those that leave.

Fact: Linux tells of IPv4 one byte and of IPv6 an int in the machine's byte order (ip(7), ipv6(7): ``IP_RECVTOS``,
``IPV6_RECVTCLASS``), and takes an int for either.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

__all__ = ["Datagram", "sender", "tell_tos", "tos_of"]

Datagram = tuple[bytes, int]
"""What was sent, and its TOS byte or traffic class."""

_TOS_KINDS = {(socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, getattr(socket, "IPV6_TCLASS", -1))}


def tell_tos(udp: socket.socket) -> None:
    """Ask to be told each datagram's TOS byte, where the system can."""
    if udp.family == socket.AF_INET6:
        level, option = socket.IPPROTO_IPV6, getattr(socket, "IPV6_RECVTCLASS", None)
    else:
        level, option = socket.IPPROTO_IP, getattr(socket, "IP_RECVTOS", None)
    if option is not None:
        with suppress(OSError):
            udp.setsockopt(level, option, 1)


def tos_of(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    """Return the TOS byte or traffic class that came with a datagram; 0 where none did."""
    for level, kind, value in ancillary:
        if (level, kind) in _TOS_KINDS and value:
            return value[0] if sys.byteorder == "little" or len(value) == 1 else value[-1]
    return 0


def sender(udp: socket.socket, to: tuple[str, int] | None = None) -> Callable[[Datagram], object]:
    """Return what sends a datagram with its TOS byte."""
    inner = (socket.IPPROTO_IP, socket.IP_TOS)
    if udp.family == socket.AF_INET6:
        inner = (socket.IPPROTO_IPV6, getattr(socket, "IPV6_TCLASS", -1))
    where = () if to is None else (to,)

    def send(datagram: Datagram) -> None:
        data, tos = datagram
        if tos:
            udp.sendmsg([data], [(*inner, struct.pack("i", tos))], 0, *where)
        elif to is None:
            udp.send(data)
        else:
            udp.sendto(data, to)

    return send
