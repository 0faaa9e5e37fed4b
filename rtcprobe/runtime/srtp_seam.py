"""The part of the seam that seals and opens packets of RTP: libsrtp, called without what pylibsrtp makes each time.

Known to hold for aiortc 1.16, aioice 0.13 and pylibsrtp 1.0; ``tests/runtime/test_express_seam.py`` says which name
moved when a new release breaks it.

Fact: pylibsrtp makes a new cell for the length with each packet, and looks its function up; libsrtp itself is the
smaller part of what it costs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, cast

import pylibsrtp
from aiortc import RTCDtlsTransport
from aiortc.rtcdtlstransport import State

from rtcprobe.runtime.aiortc_seam import attribute

__all__ = ["HEADER", "nominated_pair", "opening", "sealed", "sealing"]

HEADER: Final = struct.Struct("!BBHLL")
"""RFC 3550 §5.1: version and flags, marker and type, sequence number, timestamp, SSRC; in the clear under SRTP."""

_MOST_BYTES: Final = 1500 - 144  # pylibsrtp's buffer, less the longest trailer of SRTP

Process = Callable[[bytes], bytes]


def sealed(dtls: RTCDtlsTransport) -> Callable[[bytes], int]:
    """Return what sends an RTP packet through SRTP and the pair of candidates that was nominated.

    It returns how many bytes left, and raises ``ConnectionError`` where ``dtls`` is not connected.
    """
    pair_of = nominated_pair(dtls)
    seal: Process | None = None

    def send(data: bytes) -> int:
        nonlocal seal
        if dtls._state is not State.CONNECTED:  # noqa: SLF001
            raise ConnectionError("Cannot send encrypted RTP, not connected")
        if seal is None:
            seal = sealing(dtls)
        pair = pair_of()
        if pair is None:
            raise ConnectionError("Cannot send data, not connected")
        whole = seal(data)
        pair.protocol.transport.sendto(whole, pair.remote_addr)
        return len(whole)

    return send


def nominated_pair(dtls: RTCDtlsTransport) -> Callable[[], Any]:
    """Return what tells aioice's pair of candidates in use; None while there is none."""
    nominated: dict[int, Any] = attribute(attribute(dtls.transport, "_connection"), "_nominated")
    return lambda: nominated.get(1)  # the component: RTP, and RTCP with it (RFC 5761)


def sealing(dtls: RTCDtlsTransport) -> Process:
    """Return what makes SRTP of RTP, once ``dtls`` is connected."""
    return _processed(attribute(dtls, "_tx_srtp"), "srtp_protect")


def opening(dtls: RTCDtlsTransport) -> Process:
    """Return what makes RTP of SRTP, once ``dtls`` is connected; it raises ``pylibsrtp.Error`` where that is none."""
    return _processed(attribute(dtls, "_rx_srtp"), "srtp_unprotect")


def _processed(session: pylibsrtp.Session, name: str) -> Process:
    """Return one of libsrtp's functions on ``session``, as pylibsrtp calls it but without making what it can keep."""
    function = attribute(attribute(pylibsrtp, "lib"), name)
    state, memory, buffer = (attribute(session, each) for each in ("_srtp", "_cdata", "_buffer"))
    size = attribute(pylibsrtp, "ffi").new("int *")
    context = state[0]

    def process(data: bytes) -> bytes:
        length = len(data)
        if length > _MOST_BYTES:
            raise ValueError(f"an RTP packet of {length} bytes is too long")
        size[0] = length
        buffer[0:length] = data
        code = function(context, memory, size)
        if code:
            raise pylibsrtp.Error(pylibsrtp.ERRORS[code])
        return cast("bytes", buffer[0 : size[0]])

    return process
