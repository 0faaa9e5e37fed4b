"""A call through a mixing server of ours (``targets.mix``): one section a party, ticks that send every one a mix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from rtcprobe.audio.mixer import Mixer
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.call.ends.booth import Booth, MixingRoom
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.sfu_call import SfuCall, Topology
from rtcprobe.call.transceiver import Media
from rtcprobe.runtime.network import Direction
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER
from rtcprobe.ways import Way as WayName

__all__ = ["MixCall"]


_ANSWERED: Final[Mapping[Media, Media]] = {"recvonly": "sendonly", "sendonly": "recvonly", "sendrecv": "sendrecv"}


class MixCall(SfuCall):
    """One call on the running loop. ``prebuffer`` is in packets, ``encoding`` how mixes are."""

    def __init__(
        self,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        plan: Topology,
        *,
        prebuffer: int,
        encoding: OpusSettings,
        sockets: bool,
    ) -> None:
        self._mixer = Mixer(prebuffer=prebuffer, encoding=encoding)
        self._tick_s = encoding.ptime_s
        self._mixing: MixingRoom | None = None
        super().__init__(setup, seed, plan, sockets=sockets)
        grid = np.random.Generator(np.random.PCG64(seed.spawn(1)[0]))
        self._room.phase_s = float(grid.random()) * self._tick_s

    @property
    def ways(self) -> list[Way]:
        """Who hears whom, and how long the way to the mixer and from it takes: all else between is the mixer's."""
        return [
            Way(WayName.of(one, other), self._peers[one], self._peers[other], mixed=self._between(one, other))
            for one in self.parties
            for other in self.parties
            if one in self._heard[other]
        ]

    async def close_peers(self) -> list[str | None]:
        """Mix no more, and hang up."""
        self._room.stop()
        return await super().close_peers()

    @property
    def _room(self) -> MixingRoom:
        if self._mixing is None:  # asked for while parties are admitted
            self._mixing = MixingRoom(self._mixer, self.network, tick_s=self._tick_s)
        return self._mixing

    def _admit(self, name: str) -> None:
        """Make a party's connection and the server's end of it: one section, whoever hears whom."""
        member = self._members[name]
        speaks = member.mouth is not None and any(name in talkers for talkers in self._heard.values())
        hears, written = frozenset(self._heard[name]), self._post.wanted(name)
        if not speaks and not hears and written is None:
            return
        home = self._plan.homes[name]
        media: Media = "recvonly" if not speaks else "sendrecv" if hears else "sendonly"
        self._peers[name] = member.join_mix(home, media, milestones=CALLER_ORDER, messages=written)
        booth = Booth(name, self._room, _ANSWERED[media], hears, self.network)
        self._legs[name] = self._leg(home, [booth], CALLEE_ORDER, self._post.at_home(name))

    def _between(self, one: str, other: str) -> Mapping[str, float]:
        """Return what the network took between two, up and down, on average."""
        up, down = (self.direction(one, self._plan.homes[one]), self.direction(self._plan.homes[other], other))
        return {"network": _mean_s(up) + _mean_s(down)}


def _mean_s(way: Direction) -> float:
    """Return what the packets of a path took, on average."""
    delays_s = way.tally.delays_s()
    return float(np.mean(delays_s)) if len(delays_s) else 0.0
