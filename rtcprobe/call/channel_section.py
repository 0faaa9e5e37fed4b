"""The section of data channels in a stranger's answer, written anew for our stack.

Source: RFC 8841 §5 (``sctp-port``), §6 (``max-message-size``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rtcprobe.call.section import Transport, values

__all__ = ["channel_section"]

# What browsers, aiortc and Janus announce, and what Chromium meant before there was the attribute (``a=sctpmap:5000``).
# The association goes through DTLS: the number names no port of the machine.
_USUAL_PORT: Final = "5000"


def channel_section(section: Sequence[str], own: Sequence[str], others: Sequence[Sequence[str]]) -> list[str]:
    """Return the answer's ``section`` to ``own``; what it does not say of its transport, ``others`` do.

    One that turns channels down is written like one that takes them, as the stack knows no other: they never open.

    Raises:
        MeasurementError: nothing says what the transport is.
    """
    transport = Transport.read((section, *others), "answer", "the answer, its data channels", "the answer")
    return [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{next(values(own, 'mid'), '1')}",
        f"a=sctp-port:{_number(section, 'sctp-port') or _USUAL_PORT}",
        *(f"a=max-message-size:{size}" for size in [_number(section, "max-message-size")] if size),
        *transport.lines,
    ]


def _number(section: Sequence[str], name: str) -> str:
    value = next(values(section, name), "")
    # Digits of Unicode pass ``isdigit`` and mean nothing in SDP; nine of ASCII's hold any port and any 32-bit size but
    # those above 999,999,999, which no message of ours comes near.
    return value if value.isascii() and value.isdigit() and len(value) < 10 else ""
