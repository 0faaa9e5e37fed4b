"""Offers and answers between peers through a server somewhere on the emulated network.

Facts:
    A cold caller pays TCP (1 round trip to the server), TLS 1.3 (1 more, RFC 8446 §2) and the request itself; a warm
    one, whose application holds a connection open, pays the request alone. Who calls nobody waits for calls, so its
    connection is always open.

Rules:
    1. Every message is bytes on a path, lost and resent as TCP would (``tcp``).
    2. Servers and peers answer in no time: what is measured is the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rtcprobe.runtime.direction import nominal_s
from rtcprobe.runtime.network import Host, Network
from rtcprobe.runtime.tcp import TcpConnection
from rtcprobe.scenario.plans import Connection
from rtcprobe.timeline import Timeline, Wait

__all__ = ["EmulatedSignaling", "Sdp"]

# Sizes of what surrounds the SDP. Assumptions of ours, of the size that captures of browsers show: a ClientHello with a
# hybrid post-quantum key share, an ECDSA chain of two certificates, HTTP/2 headers with a bearer token.
CLIENT_HELLO_BYTES = 1700  # 1,216 of them X25519MLKEM768's share
SERVER_FLIGHT_BYTES = 3200  # 1,120 of them its answer, most of the rest certificates
CLIENT_FINISHED_BYTES = 74  # record 5, header 4, SHA-384 48, content type 1, tag 16: RFC 8446 §4.4.4, §5.2
REQUEST_HEADER_BYTES = 600  # the bearer token among them
PUSH_HEADER_BYTES = 100  # over a connection that stands: no request's headers
RESPONSE_HEADER_BYTES = 300  # no token, no cookies


@dataclass(frozen=True, slots=True)
class Sdp:
    """A session description: ``kind`` is ``"offer"`` or ``"answer"``."""

    kind: str
    text: str


_Message = tuple[TcpConnection, int, str]
"""The connection that carries it, its size in bytes, and what it is."""


class EmulatedSignaling:
    """The way of parties to each other by a signalling server that is a host of the same network.

    Who calls anybody reaches the server first; who is only called waits with a connection open.
    """

    def __init__(self, network: Network, *, server: Host, connection: Connection) -> None:
        self._network = network
        self._server = server
        self._warm = connection == "warm"
        self._members: dict[str, TcpConnection] = {}
        self._reaching: dict[str, asyncio.Task[None]] = {}
        self._greeted: set[str] = set()

    def admit(self, host: Host, *, calls: bool) -> None:
        """Let the party at ``host`` take part; ``calls``: it has to reach the server first, unless it is warm."""
        up, down = self._network.direction(host, self._server), self._network.direction(self._server, host)
        # A connection that is open has measured its round trip long ago: its retransmission timer begins from that.
        known_s = nominal_s(up.path) + nominal_s(down.path) if self._warm or not calls else None
        self._members[host.name] = TcpConnection(self._network, up, down, side=host.name, open_round_trip_s=known_s)
        if self._warm or not calls:
            self._greeted.add(host.name)

    async def connect(self, caller: Timeline, callee: Timeline) -> None:
        """Reach the server: marks ``signaling_connected``, at once on a connection that is open."""
        # Who is called waits with a connection open, or comes in itself: it has
        # to be there before an offer can reach it.
        for timeline in (callee, caller):
            if timeline.side not in self._greeted:
                await self._reach(timeline.side)
            timeline.mark("signaling_connected", self._network.now_s())

    async def exchange(
        self, offer: Sdp, answer_offer: Callable[[Sdp], Awaitable[Sdp]], caller: Timeline, callee: Timeline
    ) -> Sdp:
        """Carry ``offer`` to the callee and return its answer; marks the milestones of both sides."""
        ours, theirs = self._members[caller.side], self._members[callee.side]
        # TLS 1.3's Finished goes out with the first request (RFC 8446, section 4.4.4): a cold caller's first message is
        # longer.
        finished_bytes = 0 if caller.side in self._greeted else CLIENT_FINISHED_BYTES
        self._greeted.add(caller.side)
        caller.mark("offer_sent", self._network.now_s())
        await _through(
            (ours, len(offer.text) + REQUEST_HEADER_BYTES + finished_bytes, "offer to the server"),
            (theirs, len(offer.text) + PUSH_HEADER_BYTES, f"offer to {_named(callee.side)}"),
        )
        callee.mark("offer_received", self._network.now_s())
        answer = await answer_offer(offer)
        callee.mark("answer_sent", self._network.now_s())
        await _through(
            (theirs, len(answer.text) + REQUEST_HEADER_BYTES, "answer to the server"),
            (ours, len(answer.text) + RESPONSE_HEADER_BYTES, f"answer to {_named(caller.side)}"),
        )
        caller.mark("answer_received", self._network.now_s())
        return answer

    def waits(self, *parties: str) -> list[Wait]:
        """Return the retransmissions on the connections of ``parties``."""
        return [wait for party in parties for wait in self._members[party].waits()]

    def close(self) -> None:
        """Stop all timers."""
        for reaching in self._reaching.values():
            reaching.cancel()
        for member in self._members.values():
            member.close()

    async def _reach(self, party: str) -> None:
        """Open the connection of ``party``, once, whoever waits for it."""
        if party not in self._reaching:
            self._reaching[party] = asyncio.ensure_future(self._open(self._members[party]))
        # Whoever waits may be given up (its join timed out); the others still wait for the same connection.
        await asyncio.shield(self._reaching[party])

    async def _open(self, member: TcpConnection) -> None:
        await member.connect()
        await _through(
            (member, CLIENT_HELLO_BYTES, "TLS client hello"),
            (member, SERVER_FLIGHT_BYTES, "TLS server flight"),
        )


def _named(side: str) -> str:
    """Return what sentences call a side: of a call of two that nobody named, by its role."""
    return f"the {side}" if side in ("caller", "callee") else side


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
