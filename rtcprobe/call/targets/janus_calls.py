"""Calls of two at a Janus: its EchoTest, and its VideoRoom with one speaker and some who listen.

Fact:
    A web application learns of feeds from the room's own events, on a connection it has long before. So a listener
    here begins with the feed known, and pays its connection, its session, its handle, and the offer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import numpy as np

from rtcprobe.call.peer import Media
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.janus_steps import (
    CONNECTION,
    MEDIA,
    SESSION,
    VIDEOROOM,
    JanusApi,
    JanusSteps,
    VideoRoomSteps,
)
from rtcprobe.call.targets.outside import OutsideCall
from rtcprobe.timeline import Side

__all__ = ["EchoTestCall", "ListenersCall"]

# Bounds the wait for ``webrtcup``, a moment after our side is connected. Without it the feed is asked for all the same,
# and again while the room does not know it.
FEED_TIMEOUT_S: Final = 2.0

ECHO_ORDER: Final = (*CONNECTION, *SESSION, "ice_gathered", "offer_sent", "answer_received", *MEDIA)
SPEAKER_ORDER: Final = (
    *CONNECTION, *SESSION, "room_joined", "ice_gathered", "offer_sent", "answer_received", *MEDIA,
)  # fmt: skip
LISTENER_ORDER: Final = (
    *CONNECTION, *SESSION, "feed_ready", "offer_received", "ice_gathered", "answer_sent", "answer_accepted", *MEDIA,
)  # fmt: skip


class EchoTestCall(JanusSteps, OutsideCall):
    """The caller alone, who hears itself."""

    sides = (("caller", "sendrecv"),)
    milestones = ECHO_ORDER

    def __init__(self, api: JanusApi, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        self.api = api
        super().__init__(setup, seed, server=api.host)

    async def connect(self) -> None:
        """Have the EchoTest send back what we send."""
        _, handle = await self.attach(self.caller, "janus.plugin.echotest", self.lose)
        # The plugin echoes what this request says, whatever the offer has.
        wanted = {"audio": True, "video": bool(self.caller.pictures)}
        await self.exchange_descriptions(self.caller, handle, "EchoTest", wanted)


class ListenersCall(VideoRoomSteps, OutsideCall):
    """The caller speaks in a room, and one or more callees listen."""

    optional = ("feed_ready",)
    milestones = SPEAKER_ORDER

    def __init__(
        self, api: JanusApi, room: int | str, listeners: int, setup: CallSetup, seed: np.random.SeedSequence
    ) -> None:
        self.api, self.room = api, room
        callees: list[tuple[Side, Media]] = [("callee", "recvonly")] * listeners
        self.sides = (("caller", "sendonly"), *callees)
        super().__init__(setup, seed, server=api.host)
        for listener in self.callees:
            listener.timeline.order = LISTENER_ORDER

    async def connect(self) -> None:
        """Let the caller speak in the room; when it is connected, let the callees listen, one after the other."""
        _, speaking = await self.attach(self.caller, VIDEOROOM, self.lose)
        feed, _ = await self.join_room(self.caller, speaking, "rtcprobe")
        await self.publish_feed(self.caller, speaking)
        await self.connected(self.caller)
        with suppress(TimeoutError):  # earlier, the room has no such feed; but it may forget to say that it is up
            async with asyncio.timeout(FEED_TIMEOUT_S):
                await speaking.media_up.wait()
        for listener in self.callees:
            self.begin(listener)
            _, handle = await self.attach(listener, VIDEOROOM, self.lose)
            await self.take_feed(listener, handle, feed)
            await self.connected(listener)
