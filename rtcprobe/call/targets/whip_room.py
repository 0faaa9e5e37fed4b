"""A room by WHIP and WHEP: each who speaks publishes a stream of its own, and is listened to by a connection each.

Facts:
    Neither protocol knows of rooms: who may be listened to is the application's matter, and so is when. Here a listener
    asks for a stream the moment its talker is connected, as one does whom an application tells at once; the time until
    then is a phase of its own, ``on_air``.
"""

from __future__ import annotations

import asyncio

import numpy as np

from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.outside_room import RoomCall
from rtcprobe.call.targets.room_hooks import Attendee
from rtcprobe.call.targets.whip_steps import ORDER, Endpoints, WhipSteps

__all__ = ["WhipRoomCall"]


class WhipRoomCall(WhipSteps, RoomCall):
    """One call of a room."""

    speaker_order = ORDER
    listener_order = ("on_air", *ORDER)

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        super().__init__(setup, seed, server=endpoints.host)

    async def publish(self, who: Attendee, peer: Peer) -> None:
        """Publish what the party says."""
        await self.join_at(peer, self.endpoints.publishing(who.name), publishing=True)

    async def depart(self, who: Attendee) -> None:
        """Delete every session of a party."""
        await asyncio.gather(*(self.end_session(peer) for peer in who.peers))

    async def let_go(self, who: Attendee, peer: Peer) -> None:
        """Delete the session by which a party listened."""
        del who
        await self.end_session(peer)

    async def listen(self, who: Attendee, talker: str, peer: Peer) -> None:
        """Listen to ``talker`` as soon as it is there."""
        del who
        await self.on_air(talker)
        self.mark(peer, "on_air")
        await self.join_at(peer, self.endpoints.listening(talker), publishing=False)
