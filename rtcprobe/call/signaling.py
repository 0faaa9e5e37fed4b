"""Offer and answer between two peers through a server somewhere on the emulated network.

Facts:
    A cold caller pays TCP (1 round trip to the server), TLS 1.3 (1 more, RFC 8446 §2) and the request itself; a warm
    one, whose application holds a connection open, pays the request alone. The callee waits for calls, so its
    connection is always open.

Rules:
    1. Every message is bytes on a path, lost and resent as TCP would (``tcp``).
    2. Servers and peers answer in no time: what is measured is the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from rtcprobe.runtime.network import Host, Network, nominal_s
from rtcprobe.runtime.tcp import TcpConnection
from rtcprobe.timeline import Side, Timeline, Wait

__all__ = ["Connection", "EmulatedSignaling", "Sdp"]

Connection = Literal["cold", "warm"]

# Sizes of what surrounds the SDP. Assumptions of ours, of the size that captures of browsers show: a ClientHello with a
# hybrid post-quantum key share, an ECDSA chain of two certificates, HTTP/2 headers with a bearer token.
CLIENT_HELLO_BYTES = 1700
SERVER_FLIGHT_BYTES = 3200
CLIENT_FINISHED_BYTES = 74
REQUEST_HEADER_BYTES = 600
PUSH_HEADER_BYTES = 100
RESPONSE_HEADER_BYTES = 300


@dataclass(frozen=True, slots=True)
class Sdp:
    """A session description: ``kind`` is ``"offer"`` or ``"answer"``."""

    kind: str
    text: str


_Message = tuple[TcpConnection, int, str]
"""The connection that carries it, its size in bytes, and what it is."""


class EmulatedSignaling:
    """The caller's way to the callee by a signalling server that is a host of the same network."""

    def __init__(self, network: Network, *, caller: Host, server: Host, callee: Host, connection: Connection) -> None:
        self._network = network
        self._connection = connection

        def tcp(host: Host, side: Side, *, is_open: bool) -> TcpConnection:
            up, down = network.direction(host, server), network.direction(server, host)
            known_s = nominal_s(up.path) + nominal_s(down.path) if is_open else None
            return TcpConnection(network, up, down, side=side, open_round_trip_s=known_s)

        self._caller = tcp(caller, "caller", is_open=connection == "warm")
        self._callee = tcp(callee, "callee", is_open=True)

    async def connect(self, caller: Timeline, callee: Timeline) -> None:
        """Reach the server: marks ``signaling_connected``, at once on a warm connection and for the callee."""
        callee.mark("signaling_connected", self._network.now_s())
        if self._connection == "cold":
            await self._caller.connect()
            await _through(
                (self._caller, CLIENT_HELLO_BYTES, "TLS client hello"),
                (self._caller, SERVER_FLIGHT_BYTES, "TLS server flight"),
            )
        caller.mark("signaling_connected", self._network.now_s())

    async def exchange(
        self, offer: Sdp, answer_offer: Callable[[Sdp], Awaitable[Sdp]], caller: Timeline, callee: Timeline
    ) -> Sdp:
        """Carry ``offer`` to the callee and return its answer; marks the milestones of both sides."""
        finished_bytes = CLIENT_FINISHED_BYTES if self._connection == "cold" else 0
        caller.mark("offer_sent", self._network.now_s())
        await _through(
            (self._caller, len(offer.text) + REQUEST_HEADER_BYTES + finished_bytes, "offer to the server"),
            (self._callee, len(offer.text) + PUSH_HEADER_BYTES, "offer to the callee"),
        )
        callee.mark("offer_received", self._network.now_s())
        answer = await answer_offer(offer)
        callee.mark("answer_sent", self._network.now_s())
        await _through(
            (self._callee, len(answer.text) + REQUEST_HEADER_BYTES, "answer to the server"),
            (self._caller, len(answer.text) + RESPONSE_HEADER_BYTES, "answer to the caller"),
        )
        caller.mark("answer_received", self._network.now_s())
        return answer

    def waits(self) -> list[Wait]:
        """Return the retransmissions of both connections."""
        return self._caller.waits() + self._callee.waits()

    def close(self) -> None:
        """Stop all timers."""
        self._caller.close()
        self._callee.close()


async def _through(up: _Message, down: _Message) -> None:
    """Send a message to the server and, the moment it has come there, what follows from there; return when that came.

    No task of a peer's, at work on the same machine, may come between: the server is a host of its own.
    """
    there = asyncio.Event()
    (sender, up_bytes, up_what), (receiver, down_bytes, down_what) = up, down

    def forward() -> None:
        receiver.post(down_bytes, down_what, there.set, from_server=True)

    sender.post(up_bytes, up_what, forward)
    await there.wait()
