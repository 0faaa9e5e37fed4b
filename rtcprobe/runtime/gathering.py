"""Candidates from STUN and TURN servers: every server asked at once, timed step by step, and heard out when it refuses.

Facts:
    aioice asks one STUN and one TURN server and keeps silent about why nothing came of it. Here every server is asked
    (through ``aiortc_seam``), and what became of it is kept: an ``Allocation`` each.

Rules:
    1. A server's name is resolved through the line (``streams``). TURN over TCP and TLS passes the line, TURN over UDP
       and STUN the host's own paths, as everything of the host does.
    2. What has been gathered is used at once. An offer waits for a server as long as that shows signs of life: an
       answer, or a step towards it, within ``SILENCE_S`` and two round trips of the line. What comes later is added to
       the checks that are going on, and a server that has not answered after ``GATHER_TIMEOUT_S`` is given up.
    3. With relayed candidates alone the first of them is waited for: without it there is nothing to call with.
    4. Relayed packets are tapped where they are still ours to read: inside the TURN frames, before TLS.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aioice.stun import TransactionFailed, TransactionTimeout

from rtcprobe.errors import MeasurementError
from rtcprobe.ice import IceServer, IceSettings
from rtcprobe.runtime.dialing import DIALER
from rtcprobe.runtime.direction import nominal_s
from rtcprobe.runtime.ice_seam import IceAgent
from rtcprobe.runtime.network import Tap
from rtcprobe.runtime.reach import StreamError, needs_dns
from rtcprobe.runtime.streams import Line, resolve
from rtcprobe.runtime.transports import StreamTransport, open_transport
from rtcprobe.secrets import scrub

__all__ = ["GATHER_TIMEOUT_S", "Allocation", "Gathering"]

GATHER_TIMEOUT_S = 5.0
"""aioice's own; browsers take a little longer, and trickle meanwhile."""
SILENCE_S = 0.5
"""After so long a question is asked again (RFC 8489 §6.2.1): it was answered, or it is lost."""

_SETTLING_S = 0.1
"""A server that is given up says so a moment later."""

# RFC 8656 §19 and RFC 8489 §14.8: what a server says, and what to do about it.
_ADVICE = {
    300: "name that other server",
    401: "check user name and credential",
    403: "the server may not relay for us: look into its configuration",
    420: "the server is too old, or no TURN server",
    437: "try again in a minute",
    438: "look into the server's log",
    441: "check user name and credential",
    442: "the server relays no UDP",
    486: "this user has all the allocations he may have",
    508: "the server has no port left: look into its port range",
}


@dataclass(slots=True, eq=False)
class Allocation:
    """What became of one server: milestones in seconds since the call started, an address won, or why none.

    ``marks`` holds, as far as it came: ``dns``, ``tcp``, ``tls``, ``gathered``.
    """

    server: IceServer
    begun_s: float
    marks: dict[str, float] = field(default_factory=dict)
    address: str | None = None
    failed: str | None = None

    @property
    def open(self) -> bool:
        """Whether nothing has become of it yet."""
        return self.address is None and self.failed is None

    @property
    def last_sign_s(self) -> float:
        """When it last showed that it lives, or was first asked."""
        return max([self.begun_s, *self.marks.values()])

    def plain(self, origin_s: float) -> dict[str, object]:
        """Return it for a result, without secrets, its times from ``origin_s`` on."""
        steps = {f"{name}_s": at_s - origin_s for name, at_s in self.marks.items()}
        outcome = {"address": self.address} if self.failed is None else {"failed": self.failed}
        return {"url": self.server.url, "begun_s": self.begun_s - origin_s, **steps, **outcome}


class Gathering:
    """The servers of one peer, and what became of each."""

    def __init__(
        self,
        settings: IceSettings,
        line: Line,
        *,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        """Ask the servers of ``settings`` over ``line``; ``tls`` is what ``turns:`` servers are verified by."""
        self.settings = settings
        self.allocations: list[Allocation] = []
        self._line = line
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._tls = tls
        self._unix_s = unix_s
        self.tap: Tap | None = None
        """Sees what is relayed."""

    async def gather(self, agent: IceAgent) -> None:
        """Add what the servers give to ``agent``; it has its host candidates already."""
        await self._gather_from(self.settings.servers, agent)

    async def gather_from(self, servers: Sequence[IceServer], agent: IceAgent) -> None:
        """Add what further servers give, those left out that were asked before."""
        asked = {each.server.url for each in self.allocations}
        await self._gather_from([each for each in servers if each.url not in asked], agent)

    async def stop(self) -> None:
        """Ask nobody any more: the call ends, or begins anew."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in self.allocations:
            if each.open:
                each.failed = "no answer came while the call lasted: check host, port and transport"

    async def start_over(self) -> None:
        """Forget what was asked: a new agent will ask for itself."""
        await self.stop()
        self.allocations.clear()

    async def _gather_from(self, servers: Sequence[IceServer], agent: IceAgent) -> None:
        now_s = self._line.network.now_s()
        fresh = [Allocation(server, now_s) for server in servers if self._useful(server)]
        self.allocations += fresh
        for allocation in fresh:
            task = asyncio.ensure_future(self._ask(agent, allocation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # Any sign of life may put the end off, and any refusal may bring it: it is reckoned anew with each.
        while (left_s := self._worth_waiting_s(fresh)) > 0.0:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._news.wait()

    def _worth_waiting_s(self, allocations: Sequence[Allocation]) -> float:
        """Return how much longer an offer waits for one of ``allocations`` that is open (rules 2 and 3)."""
        now_s = self._line.network.now_s()
        relayed = any(each.server.kind == "turn" and each.address for each in self.allocations)
        needed = self.settings.policy == "relay" and not relayed
        ends_s = [
            # What must come is waited for as long as it may, and a moment for the word that it will not.
            each.begun_s + GATHER_TIMEOUT_S + _SETTLING_S if needed else each.last_sign_s + self._silence_s
            for each in allocations
            if each.open
        ]
        return max(ends_s, default=now_s) - now_s

    @property
    def _silence_s(self) -> float:
        ways = (self._line.up, self._line.down)
        return SILENCE_S + 2 * sum(nominal_s(way.path) for way in ways if way is not None)

    def check(self) -> None:
        """Make sure there is something to call with.

        Raises:
            MeasurementError: relayed candidates alone are wanted, and there are none.
        """
        if self.settings.policy != "relay" or any(
            each.server.kind == "turn" and each.address for each in self.allocations
        ):
            return
        if not self.allocations:
            raise MeasurementError("ice policy is relay, and there is no TURN server", "name one: ice.servers")
        raise MeasurementError("; ".join(self.complaints()))

    def complaints(self) -> list[str]:
        """Return what went wrong, a sentence a server."""
        return [f"{each.server.url} gave no candidate, {each.failed}" for each in self.allocations if each.failed]

    def _useful(self, server: IceServer) -> bool:
        return server.kind == "turn" or self.settings.policy == "all"

    async def _ask(self, agent: IceAgent, allocation: Allocation) -> None:
        def mark(milestone: str) -> None:
            allocation.marks.setdefault(milestone, self._line.network.now_s())
            self._news.set()

        def seen(address: str) -> None:
            # Each host candidate asks the same server: the first that is answered tells when it did.
            allocation.address = allocation.address or address
            mark("gathered")

        try:
            async with asyncio.timeout(GATHER_TIMEOUT_S):
                if allocation.server.kind == "stun":
                    (address, *_) = await self._addresses(allocation.server, mark)
                    await agent.add_reflexive((address, allocation.server.port), seen)
                else:
                    seen(await self._relayed(agent, allocation.server, mark))
        except Exception as error:  # noqa: BLE001 - whatever it was, this server gave nothing more, and that is said
            if allocation.address is None:
                allocation.failed = scrub(_reason(error, allocation))
        finally:
            self._news.set()

    async def _relayed(self, agent: IceAgent, server: IceServer, mark: Callable[[str], None]) -> str:
        username, password = server.credentials(self._unix_s())
        if server.transport == "udp":
            (host, *_) = await self._addresses(server, mark)
        else:
            # ``open_transport`` looks the name up itself, and TLS checks the certificate against it.
            host = server.host

        async def dialer(
            protocol_factory: Callable[[], asyncio.Protocol], host: str, port: int
        ) -> tuple[StreamTransport, asyncio.Protocol]:
            tls = self._tls() if server.transport == "tls" else None
            return await open_transport(
                self._line, protocol_factory, host, port, tls=tls, mark=mark, what=f"packet to {server.url}"
            )

        # aioice has the loop open its TCP connection, which asks who stands here (``real``): so the server is
        # reached through the line.
        token = DIALER.set(dialer)
        try:
            return await agent.add_relayed(
                (host, server.port),
                username,
                password,
                transport="udp" if server.transport == "udp" else "tcp",
                tap=self.tap,
                clock=self._line.network.now_s,
            )
        finally:
            DIALER.reset(token)

    async def _addresses(self, server: IceServer, mark: Callable[[str], None]) -> Sequence[str]:
        return await resolve(self._line, server.host, server.port, mark=mark)


def _reason(error: Exception, allocation: Allocation) -> str:  # noqa: PLR0911 - one return a reason
    if isinstance(error, TransactionFailed):
        code, said = error.response.attributes.get("ERROR-CODE", (0, "no reason"))
        advice = _ADVICE.get(code, "look into the server's log")
        return f"it answered {code} {said}: {advice}"
    if isinstance(error, (TimeoutError, TransactionTimeout)):
        unknown = needs_dns(allocation.server.host) and "dns" not in allocation.marks
        what = "no address for its name" if unknown else "no answer"
        return f"{what} came within {GATHER_TIMEOUT_S:g} s: check host, port and transport"
    if isinstance(error, StreamError):
        if error.kind in {"dns", "resolver"}:
            return f"its name does not resolve, {error.reason}: check the host name"
        if error.kind == "refused":
            return f"{error.reason} refuses the TCP connection: check host, port and transport"
        return f"there is no way to {error.reason}: check the address"
    # Before the error that it is a kind of.
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted, {error.verify_message}: name the CA file that vouches for it"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS on this port: write turn: or another port"
    return f"asking it failed, {type(error).__name__} {error}"
