"""A call to a server that is not ours: our peers, each behind its own access line, and whatever signalling it takes.

A target's call is a subclass that says which peers there are and how they get connected::

    class EchoCall(OutsideCall):
        sides = (("caller", "sendrecv"),)

        async def connect(self) -> None:
            offer = await self.caller.offer()
            answer = ...                                  # ask the server
            await self.accept(self.caller, answer)

        async def leave(self) -> None: ...                # tell the server

Rules:
    1. The joiner is who listens: the callee where it alone does (*one way*), else the caller. A callee that listens
       begins when the caller is connected; every side's milestones count from its own beginning.
    2. Signalling and media of a side pass its access line both ways; the rest of the way, and the server, are real. So
       what the link did is known exactly, and the whole way from departure to arrival too, but not its other parts.
    3. How it runs, fails and ends is told in ``course``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from rtcprobe.call.faults import Exchange
from rtcprobe.call.http import HttpClient, tls_context
from rtcprobe.call.live import LiveTrack
from rtcprobe.call.peer import Media, Peer
from rtcprobe.call.sdp import Usable, read_candidate, read_description, usable_answer, usable_offer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets import access
from rtcprobe.call.targets.base import CallSetup, Route, Way, listeners_named
from rtcprobe.call.targets.blame import CONNECTION
from rtcprobe.call.targets.course import Course
from rtcprobe.call.targets.endings import HANG_UP_TIMEOUT_S, said_all
from rtcprobe.call.targets.last_words import gone, last_packets
from rtcprobe.call.transceiver import SoundWanted
from rtcprobe.errors import MeasurementError, RtcprobeError
from rtcprobe.link import Link, LinkSpec, Path
from rtcprobe.runtime.edge import Edge
from rtcprobe.runtime.gathering import Gathering
from rtcprobe.runtime.outside import OutsideHost, OutsideNetwork, all_addresses, local_addresses
from rtcprobe.runtime.reach import StreamError, known_addresses, look_up
from rtcprobe.runtime.streams import Line, resolve
from rtcprobe.timeline import OUTSIDE_ORDER, Side, Timer, Wait
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["OutsideCall"]

_T = TypeVar("_T")
_MOST_REASONS = 3


class OutsideCall(Course):
    """One call on the running real loop. What it measured stays readable at any moment, finished or not."""

    network: OutsideNetwork
    sides: Sequence[tuple[Side, Media]] = (("caller", "sendrecv"),)
    milestones: Sequence[str] = OUTSIDE_ORDER

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, *, server: str) -> None:
        """Make a call to ``server``, a host name or address; nothing is opened yet."""
        super().__init__(setup, OutsideNetwork(asyncio.get_running_loop()))
        self.server = server
        self.lines: dict[Peer, Line] = {}
        self._hosts: dict[Peer, OutsideHost] = {}
        self._gatherings: dict[Peer, Gathering] = {}
        self._remote: dict[Peer, str] = {}
        self._said: dict[Peer, dict[str, Any]] = {}
        self._refused: dict[Peer, str] = {}
        self._peers = self._make_peers(seed)

    # What ``connect`` and ``leave`` are made of.

    @property
    def caller(self) -> Peer:
        """The caller."""
        return self._peers[0]

    @property
    def callees(self) -> list[Peer]:
        """The callees: none in an echo, several in a room."""
        return self._peers[1:]

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
            peer.timeline.marks.clear()
            self.begin(peer)
        peer.timeline.mark("signaling_connected", self.network.now_s())

    async def offered(self, peer: Peer, client: HttpClient, url: str) -> Sdp:
        """Return the offer of ``peer``: its candidates are gathered while the signalling connection is opened."""
        if self.setup.connection == "warm":
            await self.reach(peer, client, url)  # the join begins when it is there
            return await peer.offer()
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
        usable = usable_offer(offer, more_candidates=more_candidates)
        answer = await _understood("the server's offer", peer.answer(usable))
        self._follow(peer, "the server's offer", usable, more_candidates=more_candidates)
        return usable.answered(answer)

    async def add_candidate(self, peer: Peer, attribute: str) -> None:
        """Take a candidate that came after the description ("candidate:..."), "" at their end; names are looked up."""
        found = read_candidate(attribute)
        for name in found.names:
            self.meanwhile(self._look_up(peer, name))
        for line in found.lines or (() if attribute.strip() else ("",)):
            await peer.add_candidate(line)

    def _follow(self, peer: Peer, what: str, usable: Usable, *, more_candidates: bool) -> None:
        """Do about a description what the stack does not: know its sources, look up names, tell what was left out.

        Raises:
            MeasurementError: it has candidates, and none that anything could be sent to.
        """
        peer.sources.announced = set(usable.announced)
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

    # What the probe asks (``base.Call``).

    @property
    def ways(self) -> list[Way]:
        """There and back in an echo; else to every callee that listens, and to the caller if it does."""
        if not self.callees:
            return [Way(WayName("round_trip"), self.caller, self.caller)]
        media = [each for _, each in self.sides]
        ways = [
            Way(WayName.of("caller", name), self.caller, callee)
            for name, callee, theirs in zip(listeners_named(len(self.callees)), self.callees, media[1:], strict=True)
            if theirs != "sendonly"
        ]
        if media[0] == "sendrecv":
            ways += [Way(WayName("callee_to_caller"), self.callees[0], self.caller)]
        return ways

    @property
    def joiners(self) -> list[Peer]:
        """Whose join is timed (rule 1)."""
        listening = [way.listener for way in self.ways]
        return [self.caller] if self.caller in listening else listening

    @property
    def peers(self) -> list[Peer]:
        """The caller, then the callees."""
        return self._peers

    def waits(self, joiner: Peer) -> list[Wait]:
        """Return what ``joiner`` sent again: ICE checks, handshake flights, signalling; the server's are unknown."""
        begun_s = joiner.timeline.begun_s
        found = [*joiner.waits(joiner.progress_s(), joiner.tap.round_trip_s), *self.lines[joiner].waits()]
        shifted = (replace(each, from_s=each.from_s - begun_s, at_s=each.at_s - begun_s) for each in found)
        return [each for each in shifted if each.at_s > 0.0]

    def awaited_s(self, joiner: Peer, never_s: float) -> dict[Timer, float]:
        """Return from when on each kind of timer can have held the join up."""
        marks = joiner.timeline.marks
        return {"stun": marks.get("answer_received", never_s), "dtls": marks.get("ice_connected", never_s)}

    def legs(self) -> dict[LegName, list[access.Leg]]:
        """Return the access lines: the speaker's up and each listener's down, and those of the first one's answers."""
        names = listeners_named(len(self.callees))
        listeners = dict(zip(names, (self._hosts[callee] for callee in self.callees), strict=False))
        return access.legs(self._hosts[self.caller], listeners)

    def report(self) -> dict[str, Any]:
        """Return, by peer, what was agreed on with the server, and what each side says of the path."""
        names = [self.caller.side, *listeners_named(len(self.callees))[: len(self.callees)]]
        return {name: self._report_of(peer) for name, peer in zip(names, self.peers, strict=True)}

    def _report_of(self, peer: Peer) -> dict[str, Any]:
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

    def _make_peers(self, seed: np.random.SeedSequence) -> list[Peer]:
        route_seeds, phase_seed = seed.spawn(2)
        phases = np.random.Generator(np.random.PCG64(phase_seed)).random(len(self.sides)).tolist()
        peers = []
        for place, ((side, media), phase, own_seed) in enumerate(
            zip(self.sides, phases, route_seeds.spawn(len(self.sides)), strict=True)
        ):
            up_seed, down_seed, mouth_seed = own_seed.spawn(3)
            host = self.network.add_outside_host(
                side if place < 2 else f"{side}{place}",
                (),
                up=self._path((side, "target"), up_seed),
                down=self._path(("target", side), down_seed),
            )
            line = Line(self.network, host.stream_up, host.stream_down, side)
            gathering = Gathering(self.setup.ice, line, tls=lambda: tls_context(self.setup.ice.ca_file))
            peer = self.setup.peer(
                host,
                side,
                [self._sound(side, media, phase, mouth_seed)],
                milestones=self.milestones,
                gathering=gathering,
            )
            self._hosts[peer] = host
            track = peer.sound.track
            if isinstance(track, LiveTrack):
                track.mouth.listen(peer.sound)
                track.mouth.edge = host.edge = Edge()
            self.lines[peer] = line
            self._gatherings[peer] = gathering
            peers.append(peer)
        return peers

    def _sound(self, side: Side, media: Media, phase: float, seed: np.random.SeedSequence) -> SoundWanted:
        """Return the section of sound of one side: of two parties the first calls, the second is called."""
        caller, callee = list(self.setup.speech)[:2]
        ours, other = (caller, callee) if side == "caller" else (callee, caller)
        mouth = self.setup.mouth(ours, self.network, phase=phase, may_speak=self.may_speak, seed=seed)
        track = None if mouth is None else mouth.track()
        return SoundWanted(track=track, media=media, expected=self.setup.expected(other))

    def _path(self, route: Route, seed: np.random.SeedSequence) -> Path:
        specs = self.setup.routes[route]
        pairs = zip(specs, seed.spawn(len(specs)), strict=True)
        # What does nothing is left out: even a delay of 0 lets a packet out only when the loop comes round.
        return Path([Link(spec, child) for spec, child in pairs if spec != LinkSpec()])

    async def say_all(self) -> None:
        """Wait until the talkers have said all, and the last of it has come; ends early when the call does."""
        begun_s = self.network.now_s()
        self.cut = await said_all(dict.fromkeys(way.talker for way in self.ways), self.peers, self.network, self.lost)
        if self.cut is None:
            silent_s = self.network.now_s()
            self.cut = gone(self.ways, self.network, begun_s)
            await last_packets(self.ways, self.network, silent_s)

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
        for host in self._hosts.values():
            host.candidates = addresses
            host.address = addresses[0]


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
