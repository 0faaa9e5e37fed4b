"""Signalling with a server that is not ours, step by step: what a target's ``connect`` is made of.

Rules:
    1. Every step is a milestone of the peer it is taken for; a connection's own steps (DNS, TCP, TLS) too.
    2. What a stranger's description says is taken as far as the stack can; what it cannot do about it is done here
       (names are looked up, sources are known), or told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from rtcprobe.call.faults import Exchange
from rtcprobe.call.http import HttpClient
from rtcprobe.call.peer import Peer
from rtcprobe.call.sdp import Usable, read_candidate, usable_answer, usable_offer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.blame import CONNECTION
from rtcprobe.call.targets.course import Course
from rtcprobe.errors import MeasurementError, RtcprobeError
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.reach import StreamError
from rtcprobe.runtime.streams import Line, resolve

__all__ = ["OutsideSteps"]

_T = TypeVar("_T")
# A sentence names the first; servers with many interfaces have a candidate of the same kind for each.
_MOST_REASONS = 3
_NO_PICTURE = "the target takes part without a picture: the sound was measured"


class OutsideSteps(Course):
    """The steps, each for a peer of ours behind its line."""

    network: OutsideNetwork

    def __init__(self, setup: CallSetup) -> None:
        super().__init__(setup, OutsideNetwork(asyncio.get_running_loop()))
        self.lines: dict[Peer, Line] = {}
        self._remote: dict[Peer, str] = {}
        self._said: dict[Peer, dict[str, Any]] = {}
        self._refused: dict[Peer, str] = {}

    def new_client(self, peer: Peer, **options: Any) -> HttpClient:
        """Return an HTTP client whose connections pass the access line of ``peer``; closed with the call."""
        client = HttpClient(self.lines[peer], **options)
        self.clients.append(client)
        return client

    async def reach(
        self, peer: Peer, client: HttpClient, url: str, *, opening: Awaitable[object] | None = None
    ) -> None:
        """Open the signalling connection of ``peer``: marks its steps, and ``signaling_connected``.

        ``opening`` does it in another way than by HTTP, through ``client`` too. With a warm connection the steps lie
        before the beginning, where nobody waits for them.
        """
        if not peer.timeline.marks:
            self.begin(peer)
        try:
            await (client.open("signalling connection", url) if opening is None else opening)
        finally:
            self.mark_connection(peer, client.exchanges[-1])
        if self.setup.connection == "warm":
            # The steps of opening took place, before the join: their marks would lie before its beginning.
            peer.timeline.marks.clear()
            self.begin(peer)
        peer.timeline.mark("signaling_connected", self.network.now_s())

    async def offered(self, peer: Peer, client: HttpClient, url: str) -> Sdp:
        """Return the offer of ``peer``: its candidates are gathered while the signalling connection is opened."""
        if self.setup.connection == "warm":
            await self.reach(peer, client, url)  # the join begins when it is there
            return await peer.offer()
        # Beside each other, as in a page: neither needs the other, and the slower one alone holds the join up.
        gathering = asyncio.ensure_future(peer.offer())
        try:
            await self.reach(peer, client, url)
            return await gathering
        finally:
            gathering.cancel()

    async def offered_at_once(self, peer: Peer, client: HttpClient, url: str) -> tuple[Sdp, asyncio.Future[list[str]]]:
        """Return the offer of ``peer`` without candidates, and what gathers them, once there is a connection."""
        await self.reach(peer, client, url)
        return await peer.offer_at_once()

    def mark_connection(self, peer: Peer, exchange: Exchange) -> None:
        """Mark the steps of a new connection: DNS, TCP, TLS, as far as it came."""
        for step, milestone in CONNECTION.items():
            if step in exchange.marks:
                peer.timeline.mark(milestone, exchange.marks[step])

    def mark(self, peer: Peer, milestone: str) -> None:
        """Mark a milestone of ``peer`` now."""
        peer.timeline.mark(milestone, self.network.now_s())

    def begin(self, peer: Peer) -> None:
        """Let the join of ``peer`` begin now."""
        peer.timeline.begin(self.network.now_s())

    async def accept(self, peer: Peer, answer: str, offer: Sdp, *, more_candidates: bool = False) -> None:
        """Take the server's answer to ``offer``; connecting begins.

        Raises:
            MeasurementError: it cannot be used.
        """
        self._remote[peer] = answer
        usable = usable_answer(answer, offer, more_candidates=more_candidates)
        await _understood("the answer", peer.accept(usable))
        self._follow(peer, "the answer", usable, more_candidates=more_candidates)

    async def answer(self, peer: Peer, offer: str, *, more_candidates: bool = False) -> Sdp:
        """Take the server's own offer and return our answer, of its audio alone; connecting begins.

        Raises:
            MeasurementError: it cannot be used.
        """
        self._remote[peer] = offer
        codec = next((each.codec for each in peer.pictures), None)
        usable = usable_offer(offer, more_candidates=more_candidates, codec=codec)
        if usable.without_picture:  # the stack answers no offer that lacks a section of ours
            await peer.go_without_pictures()
        answer = await _understood("the server's offer", peer.answer(usable))
        self._follow(peer, "the server's offer", usable, more_candidates=more_candidates)
        return usable.answered(answer)

    async def add_candidate(self, peer: Peer, attribute: str) -> None:
        """Take a candidate that came after the description ("candidate:..."), "" at their end; names are looked up."""
        found = read_candidate(attribute)
        for name in found.names:
            self.meanwhile(self._look_up(peer, name))
        # An empty attribute is the end of candidates, which the stack wants as
        # ""; one that cannot be used is nothing at all.
        for line in found.lines or (() if attribute.strip() else ("",)):
            await peer.add_candidate(line)

    def _follow(self, peer: Peer, what: str, usable: Usable, *, more_candidates: bool) -> None:
        """Do about a description what the stack does not: know its sources, look up names, tell what was left out.

        Raises:
            MeasurementError: it has candidates, and none that anything could be sent to.
        """
        peer.sources.announced = set(usable.announced)
        if usable.without_picture and _NO_PICTURE not in self.warnings:
            self.warnings.append(_NO_PICTURE)
        reasons = ", ".join(usable.left_out[:_MOST_REASONS])
        if usable.unreachable:
            raise MeasurementError(
                f"{what} has no candidate that we could reach, only {reasons}", "open a UDP port there"
            )
        if reasons and any("UDP" not in each for each in usable.left_out):  # TCP beside UDP is everybody's
            self.warnings.append(f"{what} has candidates that were left out: {reasons}")
        if usable.names:
            self.meanwhile(self._look_up_all(peer, usable.names, more_candidates=more_candidates))

    async def _look_up_all(self, peer: Peer, names: Sequence[str], *, more_candidates: bool) -> None:
        await asyncio.gather(*(self._look_up(peer, each) for each in names))
        # The end was held back (``sdp.usable_answer``) because names were still to come.
        if not more_candidates:
            await peer.add_candidate("")

    async def _look_up(self, peer: Peer, candidate: str) -> None:
        """Add a candidate whose address is a name: RFC 8839 §5.1; names of mDNS are the stack's own matter."""
        words = candidate.split()
        name = words[4]
        if name.lower().endswith(".local"):
            await peer.add_candidate(candidate)
            return
        try:
            for address in await resolve(self.lines[peer], name, int(words[5]), mark=lambda _: None):
                await peer.add_candidate(" ".join([*words[:4], address, *words[5:]]))
        except StreamError as error:
            self.warnings.append(f"the {peer.side} could not look up a candidate of the server, {name}: {error.reason}")

    def said(self, peer: Peer, **figures: Any) -> None:
        """Keep what the server said of itself to ``peer``, for the report."""
        self._said.setdefault(peer, {}).update(figures)

    def refused(self, peer: Peer, why: MeasurementError) -> None:
        """Keep what the server refused ``peer`` with, who asks again: a join that fails meanwhile says so."""
        self._refused[peer] = str(why)


async def _understood(what: str, taking: Awaitable[_T]) -> _T:
    """Await what the stack makes of a stranger's description.

    Raises:
        MeasurementError: the stack cannot take it.
    """
    try:
        return await taking
    except RtcprobeError:
        raise
    except Exception as error:  # whatever a parser of strangers' text raises, it is about the text
        raise MeasurementError(
            f"{what} is well formed, and our WebRTC stack does not take it ({type(error).__name__})",
            "please report it, with the description",
        ) from error
