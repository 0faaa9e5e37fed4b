"""How large what the stack sends is, in bytes of UDP payload as a tap sees it, and how often it sends it.

Source: datagrams of calls of aiortc 1.16 and aioice 0.13 with AES-128-GCM, as ``tests/model/test_parity.py`` counts
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rtcprobe.link import HEADER_BYTES

__all__ = [
    "CHECK_BYTES",
    "CONSENT_BYTES",
    "DTLS_FLIGHTS_BYTES",
    "GOODBYE_BYTES",
    "NOMINATION_BYTES",
    "RECEIVER_REPORT_BYTES",
    "REPLAY_WINDOW",
    "RESENDABLE",
    "RESPONSE_BYTES",
    "RTP_BYTES",
    "SENDER_REPORT_BYTES",
    "STUN_RTO_S",
    "nack_bytes",
    "on_the_wire",
]

RTP_BYTES: Final = 12 + 8 + 16
"""Around a payload: RTP's header (RFC 3550 §5.1), extensions (RFC 8285 §4.2: 4 bytes, a ``mid`` of 2, padding), the tag
of AES-GCM (RFC 7714 §12)."""

_SRTCP_BYTES: Final = 16 + 4  # the tag of AES-GCM, and the index. Source: RFC 7714 §9
SENDER_REPORT_BYTES: Final = 28 + 48 + _SRTCP_BYTES
"""RFC 3550 §6.4.1 without report blocks, §6.5 with a CNAME of 36 characters (a UUID)."""

RECEIVER_REPORT_BYTES: Final = 32 + _SRTCP_BYTES
"""RFC 3550 §6.4.2 with one report block."""

CHECK_BYTES: Final = 88  # header 20, USERNAME 16, PRIORITY 8, role 12, integrity 24, fingerprint 8
NOMINATION_BYTES: Final = 92  # and USE-CANDIDATE 4
RESPONSE_BYTES: Final = 64  # header 20, XOR-MAPPED-ADDRESS 12, integrity 24, fingerprint 8
"""RFC 8445 §7: USERNAME of 9 bytes, PRIORITY, a role, MESSAGE-INTEGRITY, FINGERPRINT; a nomination adds
USE-CANDIDATE."""

CONSENT_BYTES: Final = 88
"""RFC 7675 §5.1: a check that nominates nothing."""

DTLS_FLIGHTS_BYTES: Final = (192, 832, 704, 128)
"""Client hello, server's flight, client's, server's last (RFC 6347 §4.2.4), rounded up as links see DTLS."""

GOODBYE_BYTES: Final = (8 + _SRTCP_BYTES, 64)
"""RTCP's BYE (RFC 3550 §6.6) and DTLS's close_notify, rounded up."""

STUN_RTO_S: Final = 0.5
"""From a check to its first repetition (``aioice.stun.RETRY_RTO``)."""

RESENDABLE: Final = 128
"""How many packets are kept to be sent again (``aiortc.rtcrtpsender.RTP_HISTORY_SIZE``)."""

REPLAY_WINDOW: Final = 1024
"""How many numbers behind the newest SRTP still takes a packet (``aiortc.rtcdtlstransport``)."""

_BITS: Final = 16  # beside its own number, one entry of a NACK names any of the next 16. Source: RFC 4585 §6.2.1


def on_the_wire(payload_bytes: int) -> int:
    """Return the size at which links see a datagram: IPv4 and UDP headers included."""
    return payload_bytes + HEADER_BYTES


def nack_bytes(sequences: Sequence[int]) -> int:
    """Return the size of a NACK for ``sequences``, ascending without a wrap (RFC 4585 §6.2.1)."""
    entries, first = 1, sequences[0]
    for sequence in sequences[1:]:
        if sequence - first > _BITS:
            entries, first = entries + 1, sequence
    return 12 + 4 * entries + _SRTCP_BYTES
