"""A VideoRoom of Janus with any number of parties: each publishes what it says, and listens to whom it hears.

Facts:
    1. Who joins is told which feeds there are, and of each that comes from then on, by the room's own events. A feed is
       announced when its speaker's media path is up on the server's side.
    2. A subscription has a handle of its own in its party's session, and a media path of its own. (Since 1.0 one can
       take several feeds; it is then negotiated anew for each that comes.)

Rules:
    1. A party that only listens joins like one that publishes, and does not: so it hears of feeds.
    2. Strangers in the room are heard by nobody: feeds are known by the ids that our own parties got.

Source: https://janus.conf.meetecho.com/docs/videoroom.html (1.1.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from rtcprobe.call.janus import JanusHandle, JanusSession
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.janus_steps import CONNECTION, MEDIA, SESSION, VIDEOROOM, JanusApi, VideoRoomSteps
from rtcprobe.call.targets.janus_text import TextRoomBeside
from rtcprobe.call.targets.outside_room import RoomCall
from rtcprobe.call.targets.room_hooks import Attendee

__all__ = ["VideoRoomCall"]

_ENTERED: Final = (*CONNECTION, *SESSION, "room_joined")


class VideoRoomCall(TextRoomBeside, VideoRoomSteps, RoomCall):
    """One call of a room."""

    speaker_order = (*_ENTERED, "ice_gathered", "offer_sent", "answer_received", *MEDIA)
    listener_order = (
        *_ENTERED, "feed_ready", "feed_attached", "offer_received", "ice_gathered", "answer_sent", "answer_accepted",
        *MEDIA,
    )  # fmt: skip

    def __init__(
        self,
        api: JanusApi,
        room: int | str,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        *,
        textroom: int | str | None = None,
    ) -> None:
        self.api, self.room = api, room
        super().__init__(setup, seed, server=api.host)
        self.open_textroom(textroom, setup, seed)
        self._places: dict[str, tuple[JanusSession, JanusHandle]] = {}
        self._feeds: dict[str, int | str] = {}
        """What the feed of each party is."""
        self._announced = {name: _Announced() for name in self.attendees}

    async def enter(self, who: Attendee) -> None:
        """Join the room; from then on the party hears of feeds."""
        first = who.peers[0]
        self._places[who.name] = await self.attach(first, VIDEOROOM, lambda why: self.lose_party(who, why))
        _, handle = self._places[who.name]
        self._announced[who.name] = _Announced()  # of one that comes back: what it knew before is over
        announced = self._announced[who.name]
        handle.on_event = announced.take
        feed, said = await self.join_room(first, handle, who.name)
        self._feeds[who.name] = feed
        # The answer to a join lists who publishes already; later ones come as events of the same handle.
        announced.take(said)

    async def depart(self, who: Attendee) -> None:
        """Destroy the session: the room tells everybody that its feed is gone."""
        await super().depart(who)
        self._feeds.pop(who.name, None)
        if who.name in self._places:
            await self._places.pop(who.name)[0].close()

    async def publish(self, who: Attendee, peer: Peer) -> None:
        """Publish what the party says."""
        _, handle = self._places[who.name]
        await self.publish_feed(peer, handle)

    async def listen(self, who: Attendee, talker: str, peer: Peer) -> None:
        """Take the feed of ``talker`` as soon as the room tells of it."""
        feed = await self._feed_of(talker, self._announced[who.name])
        self.mark(peer, "feed_ready")
        session, _ = self._places[who.name]
        handle = await session.attach(VIDEOROOM)
        self.mark(peer, "feed_attached")
        handle.on_gone = lambda why: self.lose_connection(peer, why)
        await self.take_feed(peer, handle, feed)

    async def _feed_of(self, talker: str, announced: _Announced) -> int | str:
        """Return the feed of ``talker`` once it is announced.

        Raises:
            MeasurementError: it never will be.
        """
        on_air = self.attendees[talker].on_air
        while True:
            feed = self._feeds.get(talker)
            if feed is not None and feed in announced.feeds:
                return feed
            if on_air.done():
                on_air.result()  # raises where it never came; else the room will say so in a moment
            news = asyncio.ensure_future(announced.news.wait())
            # The task that waits was made before: news that come between the two
            # lines are not lost, for nothing runs in between.
            announced.news.clear()
            try:
                waited_for: list[asyncio.Future[Any]] = [news] if on_air.done() else [news, on_air]
                await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()


class _Announced:
    """The feeds that a party was told of; ``news`` is set with each new one."""

    def __init__(self) -> None:
        self.feeds: set[int | str] = set()
        self.news = asyncio.Event()

    def take(self, said: Mapping[str, Any]) -> None:
        """Take what the room says."""
        publishers = said.get("publishers")
        for each in publishers if isinstance(publishers, list) else ():
            feed = each.get("id") if isinstance(each, Mapping) else None
            if isinstance(feed, (int, str)):
                self.feeds.add(feed)
                self.news.set()
