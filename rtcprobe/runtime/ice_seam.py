"""The part of the seam that touches aioice's gathering: our servers in place of the two it would ask.

Known to hold for aioice 0.13; ``tests/runtime/test_ice_seam.py`` says which name moved when a new release breaks it.

Facts:
    - ``Connection.get_component_candidates`` opens the host candidates, asks the servers it was given, and returns what
      came. Given none, it is the place to ask others.
    - A relayed candidate is a protocol over a ``TurnTransport``; TURN over TCP is opened by ``loop.create_connection``.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import aioice.ice
from aioice import Candidate, Connection, TransportPolicy
from aioice.ice import StunProtocol
from aiortc.rtcdtlstransport import RTCDtlsTransport

from rtcprobe.runtime.aiortc_seam import SeamError
from rtcprobe.runtime.network import Tap

__all__ = ["IceAgent", "gather_more", "gather_with"]


class IceAgent:
    """One component of an ICE agent while it gathers; what is added here are candidates of it.

    What comes after the agent has told what it gathered (``late``) joins the checks that are going on.
    """

    def __init__(self, connection: Connection, component: int) -> None:
        self.found: list[Candidate] = []
        self.late = False
        self._connection = connection
        self._component = component
        self._protocols: list[StunProtocol] = _attribute(connection, "_protocols")
        self._hosts = [each for each in self._protocols if each.local_candidate.component == component]

    async def add_reflexive(self, server: tuple[str, int], seen: Callable[[str], None]) -> None:
        """Ask a STUN server (address, port) from every host candidate of IPv4; ``seen`` is told each address it sees.

        One of our addresses may reach it at once, and another never.

        Raises:
            ConnectionError: no host candidate could ask.
            TransactionError: it refused, or did not answer any of them.
        """
        query = _attribute(aioice.ice, "server_reflexive_candidate")
        asked = [each for each in self._hosts if ipaddress.ip_address(each.local_candidate.host).version == 4]
        fault: Exception = ConnectionError("no IPv4 address")
        answered = False
        pending = {asyncio.ensure_future(query(each, server)) for each in asked}
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if isinstance(error, Exception):
                        fault = error  # of one address; the others may be answered
                        continue
                    answered = True
                    candidate, _ = task.result()
                    self._add(candidate)
                    seen(f"{candidate.host}:{candidate.port}")
        finally:
            for task in pending:
                task.cancel()
        if not answered:
            raise fault

    async def add_relayed(
        self,
        server: tuple[str, int],
        username: str | None,
        password: str | None,
        *,
        transport: Literal["udp", "tcp"],
        tap: Tap | None,
        clock: Callable[[], float],
    ) -> str:
        """Allocate an address at a TURN server and return it; ``tap`` sees what is relayed, at the times of ``clock``.

        Raises:
            TransactionError: it refused, or did not answer.
            OSError: no connection to it.
        """
        allocate = _attribute(aioice.ice, "relayed_candidate")
        relay_only = _attribute(self._connection, "_transport_policy") == TransportPolicy.RELAY
        candidate, protocol = await allocate(
            component=self._component,
            hide_related_address=relay_only,
            protocol_factory=lambda: StunProtocol(self._connection),
            turn_server=server,
            turn_username=username,
            turn_password=password,
            turn_ssl=None,
            turn_transport=transport,
        )
        if tap is not None:
            _tapped(protocol, tap, clock)
        self._protocols.append(protocol)
        self._add(candidate)
        return f"{candidate.host}:{candidate.port}"

    def _add(self, candidate: Candidate) -> None:
        self.found.append(candidate)
        if not self.late:
            return
        connection = self._connection
        _attribute(connection, "_local_candidates").append(candidate)
        if not _attribute(connection, "_early_checks_done") or _attribute(connection, "_check_list_done"):
            return  # the checks have not begun, and will find it; or they are over
        pairs = _attribute(connection, "_check_list")
        before = len(pairs)
        for remote in _attribute(connection, "_remote_candidates"):
            _attribute(connection, "_pair_remote_candidate")(remote)
        fresh = list(pairs[before:])
        connection.sort_check_list()
        for pair in fresh:
            connection.check_start_task(pair)


def gather_with(dtls: RTCDtlsTransport, gather: Callable[[IceAgent], Awaitable[None]]) -> None:
    """Let ``gather`` add candidates whenever the transport below ``dtls`` gathers its own.

    Raises:
        SeamError: an internal name has moved.
    """
    connection: Connection = _attribute(dtls.transport, "_connection")
    own = _attribute(connection, "get_component_candidates")

    async def together(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:  # noqa: ASYNC109 - aioice's
        candidates: list[Candidate] = await own(component, addresses, timeout)
        agent = IceAgent(connection, component)
        await gather(agent)
        agent.late = True
        return candidates + agent.found

    connection.get_component_candidates = together  # type: ignore[method-assign]


async def gather_more(dtls: RTCDtlsTransport, gather: Callable[[IceAgent], Awaitable[None]]) -> list[str]:
    """Let ``gather`` add candidates to a transport that has gathered before; return them as SDP has them.

    Raises:
        SeamError: an internal name has moved.
    """
    connection: Connection = _attribute(dtls.transport, "_connection")
    agent = IceAgent(connection, 1)
    agent.late = True
    await gather(agent)
    return [f"candidate:{each.to_sdp()}" for each in agent.found]


def _tapped(protocol: StunProtocol, tap: Tap, clock: Callable[[], float]) -> None:
    transport: Any = _attribute(protocol, "transport")
    send, receive = _attribute(transport, "sendto"), _attribute(protocol, "datagram_received")

    def sendto(data: bytes, addr: tuple[str, int]) -> None:
        tap.sent(data, clock())
        send(data, addr)

    def datagram_received(data: bytes | str, addr: tuple[Any, ...]) -> None:
        if not data:
            return  # nothing, relayed: DTLS would look at its first byte
        if isinstance(data, bytes):
            tap.received(data, clock())
        receive(data, addr)

    transport.sendto = sendto
    protocol.datagram_received = datagram_received  # type: ignore[method-assign]


def _attribute(owner: object, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        raise SeamError(f"{owner!r} has no {name} any more: this rtcprobe knows aioice 0.13, install that") from None
