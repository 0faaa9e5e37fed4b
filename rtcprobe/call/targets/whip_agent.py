"""A voice agent behind a pair of WHIP and WHEP: what the user says is published, what the agent says is listened to.

Rules:
    1. Both are connections of one machine, behind one access line, and are made at the same time: a service that has
       the agent's stream only once somebody is there says so, and is asked again (``whip_steps``).
    2. The join is the listener's: until the agent is heard.
    3. What the user says and hears is one conversation, so the ear that decides when a line comes is that of the
       connection which listens.
"""

from __future__ import annotations

import asyncio

import numpy as np

from rtcprobe.call.live import LiveTrack
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets import access
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.outside import OutsideCall
from rtcprobe.call.targets.whip_steps import ORDER, Endpoints, WhipSteps
from rtcprobe.call.transceiver import SoundWanted
from rtcprobe.runtime.edge import Edge
from rtcprobe.runtime.streams import Line
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["WhipAgentCall"]

_USER = "caller"


class WhipAgentCall(WhipSteps, OutsideCall):
    """One conversation."""

    milestones = ORDER

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        super().__init__(setup, seed, server=endpoints.host)

    @property
    def ways(self) -> list[Way]:
        """From the user to the user: what comes back is not what was said."""
        return [Way(WayName("round_trip"), self.caller, self.callees[0])]

    def legs(self) -> dict[LegName, list[access.Leg]]:
        """Return the user's access line, both ways."""
        return access.legs(self._hosts[self.caller], {})

    async def connect(self) -> None:
        """Publish and listen."""
        publishing, listening = self.endpoints.publishing(_USER), self.endpoints.listening(_USER)
        await asyncio.gather(
            self.join_at(self.caller, publishing, publishing=True),
            self.join_at(self.callees[0], listening, publishing=False),
        )

    def _make_peers(self, seed: np.random.SeedSequence) -> list[Peer]:
        up_seed, down_seed, mouth_seed, phase_seed = seed.spawn(4)
        phase = float(np.random.Generator(np.random.PCG64(phase_seed)).random())
        host = self.add_host(_USER, _USER, up_seed, down_seed)
        line = Line(self.network, host.stream_up, host.stream_down, _USER)
        talker = self.add_peer(host, line, [self._sound(_USER, "sendonly", phase, mouth_seed)], self.milestones)
        ears = host.beside()
        listener = self.add_peer(ears, line, [SoundWanted(track=None, media="recvonly")], self.milestones)
        # One microphone and one loudspeaker at one machine: what the user hears and says are told at the same edge.
        host.edge = ears.edge = edge = Edge()
        track = talker.sound.track
        if isinstance(track, LiveTrack):
            track.mouth.listen(listener.sound)
            track.mouth.edge = edge
        return [talker, listener]
