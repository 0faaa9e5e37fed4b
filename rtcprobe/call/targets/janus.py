"""Target ``janus``: Meetecho's Janus, its EchoTest (*echo*) and its VideoRoom (*one way*, one speaker, some listeners).

``janus://HOST/echotest`` and ``janus://HOST/videoroom/ROOM`` speak HTTPS, ``janus+http`` plain HTTP, ``janus+wss`` and
``janus+ws`` WebSocket. What stands before the plugin's name is where the API is: ``/janus`` over HTTP unless given.

Options: ``secret`` (the API's), ``token``, ``pin`` (the room's), each env:NAME or file:PATH; ``ca``; ``listeners``.

Facts:
    1. In a VideoRoom a speaker and a listener are different peer connections: who speaks joins, then offers; who
       listens is made an offer of one speaker's *feed*, and answers.
    2. A web application learns of feeds from the room's own events, on a connection it has long before. So a listener
       here begins with the feed known, and pays its connection, its session, its handle, and the offer.
    3. With ``full_trickle`` Janus sends its candidates after the description, as events.
    4. A room knows a feed when the speaker's media path is up on the server's side too, which is a moment after it is
       on ours. A listener that is told "no such feed" asks again for as long as an exchange may take; the time the
       server needed is a phase of its own, ``feed_ready``.

Source: https://janus.conf.meetecho.com/docs/videoroom.html, echotest.html (1.1.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import httpx
import numpy as np

from rtcprobe.call.http import parse_url
from rtcprobe.call.janus import JanusHandle, JanusSession
from rtcprobe.call.janus_answers import NO_SUCH_FEED, JanusAnswer, JanusRefusalError
from rtcprobe.call.peer import Media, Peer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.base import ECHO_ROUTES, TWO_ENDS_ROUTES, CallSetup, Route, listeners_named
from rtcprobe.call.targets.outside import OutsideCall
from rtcprobe.call.targets.plain import ca_file
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.result import Clock
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret, read_secret
from rtcprobe.timeline import Side
from rtcprobe.ways import Way as WayName

__all__ = ["JanusTarget", "make_target"]

SCHEMES: Final[Mapping[str, str]] = {
    "janus": "https",
    "janus+https": "https",
    "janus+http": "http",
    "janus+wss": "wss",
    "janus+ws": "ws",
}
OPTIONS: Final = ("secret", "token", "pin", "ca", "listeners")
MOST_LISTENERS: Final = 8
HTTP_BASE: Final = "/janus"
NAME_TIMEOUT_S: Final = 0.5
FEED_TIMEOUT_S: Final = 2.0
FEED_LIMIT_S: Final = 10.0
"""As long as any exchange may take (``http.Limits``)."""
FEED_AGAIN_S: Final = 0.1

_CONNECTION: Final = ("dns_resolved", "tcp_connected", "tls_connected", "signaling_connected")
_MEDIA: Final = ("ice_connected", "dtls_connected", "first_packet", "first_audio")
_SESSION: Final = ("session_created", "plugin_attached")
ECHO_ORDER: Final = (*_CONNECTION, *_SESSION, "ice_gathered", "offer_sent", "answer_received", *_MEDIA)
SPEAKER_ORDER: Final = (
    *_CONNECTION, *_SESSION, "room_joined", "ice_gathered", "offer_sent", "answer_received", *_MEDIA,
)  # fmt: skip
LISTENER_ORDER: Final = (
    *_CONNECTION, *_SESSION, "feed_ready", "offer_received", "ice_gathered", "answer_sent", "answer_accepted", *_MEDIA,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class JanusTarget:
    """A plugin of a Janus: ``room`` is None for the EchoTest."""

    name: str
    host: str
    url: str
    room: int | str | None
    listeners: int
    api_secret: Secret | None
    token: Secret | None
    pin: Secret | None
    ca_file: Path | None

    @property
    def directions(self) -> Sequence[WayName]:
        """There and back in the EchoTest, speaker to every listener in a room."""
        if self.room is None:
            return (WayName("round_trip"),)
        return tuple(WayName.of("caller", name) for name in listeners_named(self.listeners))

    @property
    def routes(self) -> Sequence[Route]:
        """The ways packets take."""
        return ECHO_ROUTES if self.room is None else TWO_ENDS_ROUTES

    @property
    def clocks(self) -> Sequence[Clock]:
        """A server of somebody else's lives in real time."""
        return ("real",)

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> OutsideCall:  # noqa: ARG002 - one clock
        """Return a call, not yet begun, on the running loop."""
        return _EchoTestCall(self, setup, seed) if self.room is None else _RoomCall(self, setup, seed)


def make_target(plan: TargetPlan) -> JanusTarget:
    """Return the target that ``plan`` names.

    Raises:
        BadInputError: a URL or an option that cannot be meant.
    """
    plan.only(OPTIONS)
    url, room = _address(plan)
    options = plan.options
    if room is None:
        for key in ("pin", "listeners"):
            if key in options:
                raise BadInputError(f"target.{key} means nothing to the EchoTest", "leave it out, or call a videoroom")
    secrets = {
        key: read_secret(options[key], what) if key in options else None
        for key, what in (("secret", "target.secret"), ("token", "target.token"), ("pin", "target.pin"))
    }
    return JanusTarget(
        name=plan.shown,
        host=httpx.URL(url).host,
        url=url,
        room=room,
        listeners=_listeners(options.get("listeners", 1)),
        api_secret=secrets["secret"],
        token=secrets["token"],
        pin=secrets["pin"],
        ca_file=ca_file(plan),
    )


class _JanusCall(OutsideCall):
    """What calls of every plugin have in common: a session a peer, destroyed at the end in any case."""

    plugin: str

    def __init__(self, target: JanusTarget, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        self.target = target
        self._sessions: list[JanusSession] = []
        super().__init__(setup, seed, server=target.host)

    async def leave(self) -> None:
        """Destroy every session; before that, one asks the server its name."""
        with suppress(MeasurementError, TimeoutError):
            async with asyncio.timeout(NAME_TIMEOUT_S):
                if self.failed is None and self.cut is None and self._sessions:
                    self.said(self.caller, server=await self._sessions[0].server())
        await asyncio.gather(*(session.close() for session in self._sessions))

    async def attach(self, peer: Peer) -> JanusHandle:
        """Return a handle of the plugin in a session of ``peer``'s own; marks every step."""
        target = self.target
        client = self.new_client(peer, ca_file=target.ca_file)
        session = JanusSession(client, target.url, api_secret=target.api_secret, token=target.token)
        session.on_gone = self.lose
        self._sessions.append(session)
        await self.reach(peer, client, target.url, opening=session.connect())
        await session.create()
        self.mark(peer, "session_created")
        handle = await session.attach(self.plugin)
        self.mark(peer, "plugin_attached")
        return handle

    def let_candidates_in(self, handle: JanusHandle, peer: Peer, described: Sdp) -> bool:
        """Hand ``peer`` the candidates that come later, if the description holds none (fact 3); return whether."""
        trickles = "a=candidate:" not in described.text
        if trickles:
            handle.deliver_candidates(lambda attribute: self.add_candidate(peer, attribute))
        return trickles

    async def exchange_descriptions(self, peer: Peer, handle: JanusHandle, what: str, body: Mapping[str, Any]) -> None:
        """Say ``body`` and ``peer``'s offer to the plugin; take its answer."""
        # Not earlier: making an offer takes milliseconds in which no answer of the server would be noticed.
        offer = await peer.offer()
        answer = await handle.message(what, body, offer, sent=lambda at_s: peer.timeline.mark("offer_sent", at_s))
        self.mark(peer, "answer_received")
        described = _described(answer, what)
        more = self.let_candidates_in(handle, peer, described)
        await self.accept(peer, described.text, offer, more_candidates=more)


class _EchoTestCall(_JanusCall):
    plugin = "janus.plugin.echotest"
    sides = (("caller", "sendrecv"),)
    milestones = ECHO_ORDER

    async def connect(self) -> None:
        """Have the EchoTest send back what we send."""
        handle = await self.attach(self.caller)
        await self.exchange_descriptions(self.caller, handle, "EchoTest", {"audio": True, "video": False})


class _RoomCall(_JanusCall):
    plugin = "janus.plugin.videoroom"
    optional = ("feed_ready",)
    milestones = SPEAKER_ORDER

    def __init__(self, target: JanusTarget, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        listeners: list[tuple[Side, Media]] = [("callee", "recvonly")] * target.listeners
        self.sides = (("caller", "sendonly"), *listeners)
        super().__init__(target, setup, seed)
        for listener in self.callees:
            listener.timeline.order = LISTENER_ORDER

    async def connect(self) -> None:
        """Let the caller speak in the room; when it is connected, let the callees listen, one after the other."""
        feed = await self._speak()
        await self.connected(self.caller)
        with suppress(TimeoutError):  # earlier, the room has no such feed; but it may forget to say that it is up
            async with asyncio.timeout(FEED_TIMEOUT_S):
                await self._sessions[0].media_up.wait()
        for listener in self.callees:
            self.begin(listener)
            await self._listen(listener, feed)
            await self.connected(listener)

    async def _speak(self) -> int | str:
        """Publish the caller's audio; return the id of its feed."""
        handle = await self.attach(self.caller)
        room, pin = self.target.room, self.target.pin
        what = f"join room {room}"
        body = {"request": "join", "ptype": "publisher", "room": room, "display": "rtcprobe"}
        joined = await handle.message(what, body, pin=pin)
        self.mark(self.caller, "room_joined")
        feed = joined.data.get("id")
        if not isinstance(feed, (int, str)):
            raise MeasurementError(f"Janus, {what}: the answer names no feed", "is this a VideoRoom of Janus?")
        body = {"request": "publish", "audiocodec": "opus"}
        await self.exchange_descriptions(self.caller, handle, f"publish in room {room}", body)
        return feed

    async def _listen(self, peer: Peer, feed: int | str) -> None:
        handle = await self.attach(peer)
        room = self.target.room
        what = f"listen in room {room}"
        body = {"request": "join", "ptype": "subscriber", "room": room, "streams": [{"feed": feed}]}
        offered = await self._offered(peer, handle, what, body)
        self.mark(peer, "offer_received")
        described = _described(offered, what)
        more = self.let_candidates_in(handle, peer, described)
        answer = await self.answer(peer, described.text, more_candidates=more)
        await handle.message(
            f"answer in room {room}",
            {"request": "start", "room": room},
            answer,
            sent=lambda at_s: peer.timeline.mark("answer_sent", at_s),
        )
        self.mark(peer, "answer_accepted")

    async def _offered(self, peer: Peer, handle: JanusHandle, what: str, body: Mapping[str, Any]) -> JanusAnswer:
        """Return the room's offer of a feed, asked for again while it does not know the feed yet (fact 4)."""
        begun_s, asked = self.network.now_s(), 0
        while True:
            asked_s = self.network.now_s()
            asked += 1
            try:
                offered = await handle.message(what, body, pin=self.target.pin)
            except JanusRefusalError as refusal:
                if refusal.code != NO_SUCH_FEED or asked_s - begun_s > FEED_LIMIT_S:
                    raise
                self.refused(peer, refusal)
                await asyncio.sleep(FEED_AGAIN_S)
                continue
            if asked > 1:
                peer.timeline.mark("feed_ready", asked_s)
            return offered


def _described(answer: JanusAnswer, what: str) -> Sdp:
    if answer.sdp is None:
        raise MeasurementError(f"Janus, {what}: the answer holds no session description")
    return answer.sdp


def _address(plan: TargetPlan) -> tuple[str, int | str | None]:
    """Return the URL of the API, and the room (None: the EchoTest)."""
    shown = plan.shown
    place = f"target {shown!r}"
    try:
        url = parse_url(SCHEMES[plan.scheme] + plan.url[len(plan.scheme) :])
    except BadInputError as error:
        raise error.within(place) from None
    if url.query or url.fragment:
        raise BadInputError(f"{place} holds more than an address", "secrets are given as target.secret, .token or .pin")
    *base, last = [""] if url.path in {"", "/"} else url.path.strip("/").split("/")
    room: int | str | None = None
    if last != "echotest":
        if not base or base.pop() != "videoroom" or not last:
            raise BadInputError(f"{place} names no plugin we can call", "end it with /echotest or /videoroom/ROOM")
        room = int(last) if last.isascii() and last.isdigit() else unquote(last)
    path = "/".join(["", *base]) or (HTTP_BASE if url.scheme.startswith("http") else "/")
    return str(url.copy_with(path=path)), room


def _listeners(written: object) -> int:
    if isinstance(written, bool) or not isinstance(written, int) or not 1 <= written <= MOST_LISTENERS:
        raise BadInputError(f"target.listeners {written!r} is impossible", f"give 1 to {MOST_LISTENERS}")
    return written
