"""Peers of ours at a server that is not: each party behind its own access line, what it is told, how it ends.

Rules:
    1. Signalling and media of a party pass its access line both ways, whatever number of connections it has; the rest
       of the way, and the server, are real. So what the link did is known exactly, and the whole way from departure to
       arrival too, but not its other parts.
    2. Every side's milestones count from its own beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rtcprobe.call.description import read_description
from rtcprobe.call.http import tls_context
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup, Route
from rtcprobe.call.targets.endings import HANG_UP_TIMEOUT_S
from rtcprobe.call.targets.outside_steps import OutsideSteps
from rtcprobe.call.transceiver import PictureWanted, SoundWanted
from rtcprobe.errors import MeasurementError
from rtcprobe.link import Link, LinkSpec, Path
from rtcprobe.runtime.gathering import Gathering
from rtcprobe.runtime.outside import OutsideHost, all_addresses, local_addresses
from rtcprobe.runtime.reach import known_addresses, look_up
from rtcprobe.runtime.streams import Line
from rtcprobe.timeline import Side, Timer, Wait

__all__ = ["OutsideEnds"]


class OutsideEnds(OutsideSteps):
    """What calls of two and rooms have in common; who takes part is a subclass's matter."""

    def __init__(self, setup: CallSetup, *, server: str) -> None:
        """Make a call to ``server``, a host name or address; nothing is opened yet."""
        super().__init__(setup)
        self.server = server
        self._hosts: dict[Peer, OutsideHost] = {}
        self._gatherings: dict[Peer, Gathering] = {}

    def add_host(self, name: str, side: Side, up: np.random.SeedSequence, down: np.random.SeedSequence) -> OutsideHost:
        """Return a machine of ours called ``name``, behind the access line that ``side`` has."""
        ways = self._path((side, "target"), up), self._path(("target", side), down)
        return self.network.add_outside_host(name, (), up=ways[0], down=ways[1])

    def add_peer(
        self,
        host: OutsideHost,
        line: Line,
        wanted: Sequence[SoundWanted | PictureWanted],
        milestones: Sequence[str],
        **more: Any,
    ) -> Peer:
        """Return a connection at ``host``, of whose ``line`` it is.

        One with a picture numbers its packets, and tells which came: what adapts to the line does so by that.
        """
        gathering = Gathering(self.setup.ice, line, tls=lambda: tls_context(self.setup.ice.ca_file))
        # Transport-wide feedback or REMB, not both: ``by_estimate`` says that a camera adapts by the latter.
        numbered = any(isinstance(each, PictureWanted) for each in wanted) and not self.setup.by_estimate
        peer = self.setup.peer(
            host, line.side, wanted, milestones=milestones, gathering=gathering, transport_cc=numbered, **more
        )
        self._hosts[peer] = host
        self.lines[peer] = line
        self._gatherings[peer] = gathering
        return peer

    def waits(self, joiner: Peer) -> list[Wait]:
        """Return what ``joiner`` sent again: ICE checks, handshake flights, signalling; the server's are unknown."""
        begun_s = joiner.timeline.begun_s
        found = [*joiner.waits(joiner.progress_s(), joiner.tap.round_trip_s), *self.lines[joiner].waits()]
        # On the joiner's own timeline (rule 2); what was resent before its join began held nothing up.
        shifted = (replace(each, from_s=each.from_s - begun_s, at_s=each.at_s - begun_s) for each in found)
        return [each for each in shifted if each.at_s > 0.0]

    def awaited_s(self, joiner: Peer, never_s: float) -> dict[Timer, float]:
        """Return from when on each kind of timer can have held the join up."""
        marks = joiner.timeline.marks
        described_s = marks.get("answer_received", marks.get("offer_received", never_s))
        return {"stun": described_s, "dtls": marks.get("ice_connected", never_s)}

    def report_of(self, peer: Peer) -> dict[str, Any]:
        """Return what ``peer`` and the server agreed on, and what it says of its path."""
        path, agreed, host = self.paths.get(peer) or peer.path(), peer.negotiated, self._hosts[peer]
        out: dict[str, Any] = {
            "candidates": self._candidates_of(peer),
            "pair": None if path.local is None else f"{path.local} to {path.remote}",
            "local_address": path.local_address,
            "remote_address": path.remote_address,
            "dtls": path.dtls,
            "cipher": path.cipher,
            "srtp": path.srtp,
            "rtcp_round_trip_s": peer.round_trip_s,
            "stun_round_trip_s": peer.tap.round_trip_s,
        }
        if agreed is not None:
            out |= {
                "codec": f"opus {agreed.opus_payload_type}",
                "fec": "useinbandfec=1" in self._remote.get(peer, ""),
                "red": agreed.red_payload_type is not None,
                "nack": agreed.nack,
            }
        if self._gatherings[peer].allocations:
            begun_s = peer.timeline.begun_s
            out["ice_servers"] = [each.plain(begun_s) for each in self._gatherings[peer].allocations]
        counts = {
            "unexpected_source_packets": peer.sources.strangers,
            "unreadable_packets": peer.unreadable + host.unreadable,
            "unsendable_datagrams": host.unsendable,
            "turned_away_datagrams": self.network.room.turned_away,
        }
        return out | {name: count for name, count in counts.items() if count} | self._said.get(peer, {})

    def complaints(self) -> Iterator[str]:
        """Yield what STUN and TURN servers refused, where the call can go on without."""
        if self.setup.ice.policy == "all":  # else they failed the call
            for gathering in self._gatherings.values():
                yield from gathering.complaints()

    def unanswered(self, peer: Peer) -> str:
        """Return which STUN and TURN servers have not answered ``peer`` yet, and what it was refused with."""
        open_now = [each.server.url for each in self._gatherings[peer].allocations if each.open]
        if peer in self._refused and "answer_received" not in peer.timeline.marks:
            return f", {self._refused[peer]}"
        return f", waiting for {' and '.join(open_now)}" if open_now else ""

    def _candidates_of(self, peer: Peer) -> Mapping[str, int]:
        try:
            return read_description(self._remote.get(peer, ""), "it").candidate_types()
        except MeasurementError:
            return {}

    async def close_network(self) -> None:
        """Let what is on its way up the lines leave, then close whatever socket is left."""
        await self.network.drained(HANG_UP_TIMEOUT_S)
        self.network.close()

    async def prepare(self) -> None:
        """Find the local addresses from which the server is reached: no part of the join."""
        try:
            found = known_addresses(self.server) or await look_up(asyncio.get_running_loop(), self.server, 0)
            addresses = local_addresses(found)
        except OSError:
            addresses = all_addresses()  # the join will find out that there is no such server, and say so
        for host in self.network.hosts:
            host.candidates = addresses
            host.address = addresses[0]

    def _path(self, route: Route, seed: np.random.SeedSequence) -> Path:
        specs = self.setup.routes[route]
        pairs = zip(specs, seed.spawn(len(specs)), strict=True)
        # What does nothing is left out: even a delay of 0 lets a packet out only when the loop comes round.
        return Path([Link(spec, child) for spec, child in pairs if spec != LinkSpec()])
