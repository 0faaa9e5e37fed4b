"""What calls of every plugin of Janus have in common: a session a party, its handles, descriptions, candidates.

Facts:
    1. In a VideoRoom a speaker and a listener are different peer connections: who speaks joins, then offers; who
       listens is made an offer of one speaker's *feed*, and answers.
    2. With ``full_trickle`` Janus sends its candidates after the description, as events.
    3. A room knows a feed when the speaker's media path is up on the server's side too, which is a moment after it is
       on ours. A listener that is told "no such feed" asks again for as long as an exchange may take; the time the
       server needed is a phase of its own, ``feed_ready``.

Source: https://janus.conf.meetecho.com/docs/videoroom.html (1.1.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rtcprobe.call.janus import JanusHandle, JanusSession
from rtcprobe.call.janus_answers import NO_SUCH_FEED, JanusAnswer, JanusRefusalError
from rtcprobe.call.peer import Peer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.outside_ends import OutsideEnds
from rtcprobe.errors import MeasurementError
from rtcprobe.secrets import Secret

__all__ = ["CONNECTION", "MEDIA", "SESSION", "VIDEOROOM", "JanusApi", "JanusSteps", "VideoRoomSteps"]

# Only a label of the report: a server that is slow to tell its name must not make a call longer.
NAME_TIMEOUT_S: Final = 0.5
FEED_LIMIT_S: Final = 10.0
"""As long as any exchange may take (``http.Limits``)."""
# By so much may ``feed_ready`` be late. A room knows a feed within some milliseconds of the talker's path being up.
FEED_AGAIN_S: Final = 0.1

VIDEOROOM: Final = "janus.plugin.videoroom"

CONNECTION: Final = ("dns_resolved", "tcp_connected", "tls_connected", "signaling_connected")
MEDIA: Final = ("ice_connected", "dtls_connected", "first_packet", "first_audio")
SESSION: Final = ("session_created", "plugin_attached")


@dataclass(frozen=True, slots=True, kw_only=True)
class JanusApi:
    """Where the API is, and what it takes to be let in; ``pin`` is a room's."""

    host: str
    url: str
    secret: Secret | None = None
    token: Secret | None = None
    pin: Secret | None = None
    ca_file: Path | None = None


class JanusSteps(OutsideEnds):
    """The steps; every session is destroyed at the end in any case."""

    api: JanusApi

    def __init__(self, *args: Any, **options: Any) -> None:
        self._sessions: list[JanusSession] = []
        super().__init__(*args, **options)

    async def leave(self) -> None:
        """Destroy every session; before that, one asks the server its name."""
        with suppress(MeasurementError, TimeoutError):
            async with asyncio.timeout(NAME_TIMEOUT_S):
                if self.failed is None and self.cut is None and self._sessions:
                    self.said(self.peers[0], server=await self._sessions[0].server())
        await asyncio.gather(*(session.close() for session in self._sessions))

    async def attach(self, peer: Peer, plugin: str, on_gone: Callable[[str], None]) -> tuple[JanusSession, JanusHandle]:
        """Return a session of ``peer``'s own with a handle of ``plugin``; marks every step."""
        api = self.api
        # A client of its own for each session, as each is another user's: connections are not shared between them.
        client = self.new_client(peer, ca_file=api.ca_file)
        session = JanusSession(client, api.url, api_secret=api.secret, token=api.token)
        session.on_gone = on_gone
        self._sessions.append(session)
        await self.reach(peer, client, api.url, opening=session.connect())
        await session.create()
        self.mark(peer, "session_created")
        handle = await session.attach(plugin)
        self.mark(peer, "plugin_attached")
        return session, handle

    def let_candidates_in(self, handle: JanusHandle, peer: Peer, described: Sdp) -> bool:
        """Hand ``peer`` the candidates that come later, if the description holds none (fact 2); return whether."""
        # Without ``full_trickle``, Janus' default, all candidates are in the description, and no more are waited for.
        trickles = "a=candidate:" not in described.text
        if trickles:
            handle.deliver_candidates(lambda attribute: self.add_candidate(peer, attribute))
        return trickles

    async def exchange_descriptions(
        self, peer: Peer, handle: JanusHandle, what: str, body: Mapping[str, Any]
    ) -> JanusAnswer:
        """Say ``body`` and ``peer``'s offer to the plugin; take its answer, and return it."""
        # Not earlier: making an offer takes milliseconds in which no answer of the server would be noticed.
        offer = await peer.offer()
        answer = await handle.message(what, body, offer, sent=lambda at_s: peer.timeline.mark("offer_sent", at_s))
        self.mark(peer, "answer_received")
        described = _described(answer, what)
        more = self.let_candidates_in(handle, peer, described)
        await self.accept(peer, described.text, offer, more_candidates=more)
        return answer


class VideoRoomSteps(JanusSteps):
    """The steps of a VideoRoom."""

    room: int | str

    async def join_room(self, peer: Peer, handle: JanusHandle, display: str) -> tuple[int | str, Mapping[str, Any]]:
        """Join as somebody who may publish; return the id of the feed that will be, and all the room said."""
        what = f"join room {self.room}"
        body = {"request": "join", "ptype": "publisher", "room": self.room, "display": display}
        joined = await handle.message(what, body, pin=self.api.pin)
        self.mark(peer, "room_joined")
        feed = joined.data.get("id")
        if not isinstance(feed, (int, str)):
            raise MeasurementError(f"Janus, {what}: the answer names no feed", "is this a VideoRoom of Janus?")
        return feed, joined.data

    async def publish_feed(self, peer: Peer, handle: JanusHandle) -> None:
        """Publish what ``peer``, who has joined, says and shows."""
        body = {"request": "publish", "audiocodec": "opus"}  # a codec of pictures that the room has not is an error
        await self.exchange_descriptions(peer, handle, f"publish in room {self.room}", body)

    async def take_feed(self, peer: Peer, handle: JanusHandle, feed: int | str) -> None:
        """Let ``peer`` listen to ``feed`` by a ``handle`` of its own."""
        what = f"listen in room {self.room}"
        body = {"request": "join", "ptype": "subscriber", "room": self.room, "streams": [{"feed": feed}]}
        offered = await self._offered(peer, handle, what, body)
        self.mark(peer, "offer_received")
        described = _described(offered, what)
        more = self.let_candidates_in(handle, peer, described)
        answer = await self.answer(peer, described.text, more_candidates=more)
        await handle.message(
            f"answer in room {self.room}",
            {"request": "start", "room": self.room},
            answer,
            sent=lambda at_s: peer.timeline.mark("answer_sent", at_s),
        )
        self.mark(peer, "answer_accepted")

    async def _offered(self, peer: Peer, handle: JanusHandle, what: str, body: Mapping[str, Any]) -> JanusAnswer:
        """Return the room's offer of a feed, asked for again while it does not know the feed yet (fact 3)."""
        begun_s, asked = self.network.now_s(), 0
        while True:
            asked_s = self.network.now_s()
            asked += 1
            try:
                offered = await handle.message(what, body, pin=self.api.pin)
            except JanusRefusalError as refusal:
                if refusal.code != NO_SUCH_FEED or asked_s - begun_s > FEED_LIMIT_S:
                    raise
                # Kept, though it is asked again: a join that runs out of time meanwhile says what the server answered.
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
