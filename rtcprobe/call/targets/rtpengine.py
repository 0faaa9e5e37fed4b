"""Target ``rtpengine+ng://HOST:PORT``: Sipwise's rtpengine as a forwarding server, by its NG protocol.

Whoever speaks publishes; who listens subscribes to one talker a connection. A caller and a callee do both, as any
number of parties does. Options: none.

Facts:
    1. rtpengine has no rooms, but calls: all parties are in one of ours, named by chance, and deleted at the end.
    2. ``publish`` takes an offer and returns an answer. ``subscribe request`` returns an offer of what ``from-tag``
       publishes, and ``subscribe answer`` takes the answer to it.
    3. It multiplexes RTCP, and does ICE and DTLS-SRTP towards a browser, where it is told to.
    4. NG is what a vendor's own server says to it, as a rule beside it. Here each party says it itself, through its
       access line: a question and an answer, like one exchange of HTTP on a connection that is open.

Source: https://rtpengine.readthedocs.io/en/mr10.5/ng_control_protocol.html (10.5).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from rtcprobe.call.bencode import Value
from rtcprobe.call.http import parse_url
from rtcprobe.call.ng import NgClient
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import Call, CallSetup, Route
from rtcprobe.call.targets.outside_room import RoomCall, Venue, routes_of
from rtcprobe.call.targets.room_hooks import Attendee
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.result import Clock
from rtcprobe.runtime.reach import known_addresses, look_up
from rtcprobe.scenario import TargetPlan
from rtcprobe.ways import BOTH_WAYS, Way

__all__ = ["OPTIONS", "RtpengineTarget", "make_target"]

OPTIONS: Final = ()

_MEDIA: Final = ("ice_connected", "dtls_connected", "first_packet", "first_audio")
SPEAKER_ORDER: Final = ("ice_gathered", "offer_sent", "answer_received", *_MEDIA)
LISTENER_ORDER: Final = ("on_air", "offer_received", "ice_gathered", "answer_sent", "answer_accepted", *_MEDIA)

TOWARDS_A_BROWSER: Final[Mapping[str, Value]] = {
    "ICE": "force",
    "rtcp-mux": ["offer", "require"],
    "transport-protocol": "UDP/TLS/RTP/SAVPF",
}
"""What an offer and an answer for WebRTC need (RFC 8834, RFC 8827); rtpengine's own default is plain RTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpengineTarget(Venue):
    """An rtpengine at ``host`` and ``port``."""

    name: str
    host: str
    port: int
    parties: tuple[str, ...] = ("caller", "callee")
    ways: tuple[Way, ...] = BOTH_WAYS

    @property
    def directions(self) -> Sequence[Way]:
        """Whoever speaks, to everybody who hears it."""
        return self.ways

    @property
    def routes(self) -> Sequence[Route]:
        """The ways packets take."""
        return routes_of(self.parties)

    def joining(self, parties: Sequence[str], ways: Sequence[Way]) -> RtpengineTarget:
        """Return it with these parties."""
        return replace(self, parties=tuple(parties), ways=tuple(ways))

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> Call:
        """Return a call, not yet begun, on the running loop."""
        del clock
        return RtpengineCall(self, setup, seed)


def make_target(plan: TargetPlan) -> RtpengineTarget:
    """Return the target that ``plan`` names.

    Raises:
        BadInputError: a URL that is no host and port, or any option.
    """
    plan.only(OPTIONS)
    place = f"target {plan.shown!r}"
    try:
        # NG has no URLs of its own: host and port are read as those of HTTP are.
        url = parse_url(f"http{plan.url[len(plan.scheme) :]}")
    except BadInputError as error:
        raise error.within(place) from None
    if url.port is None or url.path not in ("", "/") or url.query or url.userinfo:
        raise BadInputError(f"{place} is not a host and a port", "write it like rtpengine+ng://10.0.0.5:2223")
    return RtpengineTarget(name=plan.shown, host=url.host, port=url.port)


class RtpengineCall(RoomCall):
    """One call of a room."""

    speaker_order = SPEAKER_ORDER
    listener_order = LISTENER_ORDER

    def __init__(self, target: RtpengineTarget, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        super().__init__(setup, seed, server=target.host)
        self._target = target
        # By chance and not by count: several probes may ask one server at the same time, and calls of a name are one.
        self._call: Mapping[str, Value] = {"call-id": f"rtcprobe-{secrets.token_hex(8)}"}
        self._asking: dict[str, NgClient] = {}
        self._tags: dict[Peer, str] = {}
        """What rtpengine calls the listening end of each subscription."""
        self._address: tuple[str, int] | None = None

    async def prepare(self) -> None:
        """Find the server, and from where it is reached.

        Raises:
            MeasurementError: there is no such host.
        """
        await super().prepare()
        host = self._target.host
        try:
            found = known_addresses(host) or await look_up(asyncio.get_running_loop(), host, self._target.port)
        except OSError:
            raise MeasurementError(f"rtpengine: {host} cannot be looked up", "correct the host's name") from None
        # One address for all: NG goes to the server's own, whatever else the name resolves to.
        self._address = found[0], self._target.port

    async def enter(self, who: Attendee) -> None:
        """Open a socket to ask by."""
        assert self._address is not None
        client = self._asking[who.name] = NgClient(self.network, who.host, self._address, who.name)
        # Questions asked again are waits of the party's line, as TCP's retransmissions are of other signalling.
        who.line.watch(client.waits)

    async def publish(self, who: Attendee, peer: Peer) -> None:
        """Publish what the party says."""
        offer = await peer.offer()
        self.mark(peer, "offer_sent")
        said = await self._ask(who, "publish", {"from-tag": who.name, "sdp": offer.text, **TOWARDS_A_BROWSER})
        self.mark(peer, "answer_received")
        await self.accept(peer, _sdp(said, "publish"), offer)

    async def listen(self, who: Attendee, talker: str, peer: Peer) -> None:
        """Subscribe to ``talker`` as soon as it is there."""
        await self.on_air(talker)
        self.mark(peer, "on_air")
        what = f"subscribe request to {talker}"
        said = await self._ask(who, what, {"from-tag": talker, **TOWARDS_A_BROWSER}, command="subscribe request")
        self.mark(peer, "offer_received")
        answer = await self.answer(peer, _sdp(said, what))
        self.mark(peer, "answer_sent")
        tag = said.get("to-tag")
        if not isinstance(tag, str):
            raise MeasurementError(f"rtpengine, {what}: the answer holds no to-tag", "is this an rtpengine?")
        self._tags[peer] = tag
        told = {"to-tag": tag, "sdp": answer.text}
        await self._ask(who, f"subscribe answer to {talker}", told, command="subscribe answer")
        self.mark(peer, "answer_accepted")

    async def depart(self, who: Attendee) -> None:
        """End the subscriptions of a party, and what it publishes."""
        for peer in who.peers:
            await self.let_go(who, peer)
        if who.publishing is not None and who.publishing.connected.is_set():
            await self._ask(who, f"delete {who.name}", {"from-tag": who.name, "delete-delay": 0}, command="delete")

    async def let_go(self, who: Attendee, peer: Peer) -> None:
        """End a subscription."""
        tag = self._tags.pop(peer, None)
        if tag is not None:
            await self._ask(who, f"unsubscribe {tag}", {"to-tag": tag}, command="unsubscribe")

    def open_since(self, begun_s: float) -> list[str]:
        """Return the questions that were not answered."""
        return [each for client in self._asking.values() for each in client.unanswered(begun_s)]

    async def leave(self) -> None:
        """Delete the call, whatever came of it."""
        try:
            # A call is deleted whole by its call-id: one of us says it for all.
            for client in list(self._asking.values())[:1]:
                await client.ask("delete", {"command": "delete", "delete-delay": 0, **self._call})
        finally:
            for client in self._asking.values():
                client.close()

    async def _ask(
        self, who: Attendee, what: str, question: Mapping[str, Value], *, command: str | None = None
    ) -> Mapping[str, Any]:
        return await self._asking[who.name].ask(what, {"command": command or what, **self._call, **question})


def _sdp(said: Mapping[str, Any], what: str) -> str:
    sdp = said.get("sdp")
    if not isinstance(sdp, str):
        raise MeasurementError(f"rtpengine, {what}: the answer holds no session description", "is this an rtpengine?")
    return sdp
