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
    3. Whatever fails is one sentence in ``failed`` that says how far which side had come. After a call has come about,
       what ends it early is a sentence in ``cut``, and what was measured until then stands.
    4. The end is bounded: ``leave`` and every peer have ``HANG_UP_TIMEOUT_S`` each, at the same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from rtcprobe.call.faults import Exchange, timed_out
from rtcprobe.call.http import HttpClient, tls_context
from rtcprobe.call.peer import Media, Peer
from rtcprobe.call.sdp import read_description, usable_answer, usable_offer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.base import CallSetup, Route, Way
from rtcprobe.errors import MeasurementError, RtcprobeError
from rtcprobe.link import Achieved, Link, LinkSpec, Path, Requested, Tally
from rtcprobe.result import Direction, LinkReport
from rtcprobe.runtime.aiortc_seam import MediaPath
from rtcprobe.runtime.gathering import Gathering
from rtcprobe.runtime.network import Direction as PathDirection
from rtcprobe.runtime.outside import OutsideHost, OutsideNetwork, all_addresses, local_addresses
from rtcprobe.runtime.streams import Line
from rtcprobe.timeline import OUTSIDE_ORDER, Side, Timer, Wait

__all__ = ["HANG_UP_TIMEOUT_S", "OutsideCall"]

HANG_UP_TIMEOUT_S = 5.0
SILENCE_S = 0.5
"""How long nothing may have come for the end of the call to be the end."""
LONGEST_END_S = 3.0
GONE_S = 3.0
"""A listener that heard nothing for so long before the mouths fell silent had lost the target."""

_RANKS = 512
"""Equally likely delays a line is taken apart into, to be added to those of another."""

_T = TypeVar("_T")

_CONNECTION = {"dns": "dns_resolved", "tcp": "tcp_connected", "tls": "tls_connected"}


class OutsideCall:
    """One call on the running real loop. What it measured stays readable at any moment, finished or not."""

    sides: Sequence[tuple[Side, Media]] = (("caller", "sendrecv"),)
    milestones: Sequence[str] = OUTSIDE_ORDER

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, *, server: str) -> None:
        """Make a call to ``server``, a host name or address; nothing is opened yet."""
        self.setup = setup
        self.server = server
        self.failed: str | None = None
        self.cut: str | None = None
        self.cpu_s: float | None = None
        self.warnings: list[str] = []
        self.network = OutsideNetwork(asyncio.get_running_loop())
        self.may_speak = asyncio.Event()
        self.clients: list[HttpClient] = []
        """What is closed at the end."""
        self.lines: dict[Peer, Line] = {}
        self._hosts: dict[Peer, OutsideHost] = {}
        self._gatherings: dict[Peer, Gathering] = {}
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._remote: dict[Peer, str] = {}
        self._said: dict[Peer, dict[str, Any]] = {}
        self._paths: dict[Peer, MediaPath] = {}
        self._peers = self._make_peers(seed)

    # What a target's call fills in.

    async def connect(self) -> None:
        """Get every peer connected: returns when nothing is left to ask the server.

        Raises:
            MeasurementError: the server, or the way there, did not play along.
        """
        raise NotImplementedError

    async def leave(self) -> None:
        """Tell the server that the call has ended; asked in any case, also after half a ``connect``."""

    # What it does that with.

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

    def mark_connection(self, peer: Peer, exchange: Exchange) -> None:
        """Mark the steps of a new connection: DNS, TCP, TLS, as far as it came."""
        for step, milestone in _CONNECTION.items():
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
        peer.sources.announced = read_description(usable.text, "the answer").sources()
        await _understood("the answer", peer.accept(usable))

    async def answer(self, peer: Peer, offer: str, *, more_candidates: bool = False) -> Sdp:
        """Take the server's own offer and return our answer, of its audio alone; connecting begins.

        Raises:
            MeasurementError: it cannot be used.
        """
        self._remote[peer] = offer
        usable = usable_offer(offer, more_candidates=more_candidates)
        peer.sources.announced = read_description(usable.text, "the server's offer").sources()
        return await _understood("the server's offer", peer.answer(usable))

    async def connected(self, peer: Peer) -> None:
        """Wait until ``peer`` has its media path.

        Raises:
            MeasurementError: ICE or DTLS gave up.
        """
        waiting = [asyncio.ensure_future(each.wait()) for each in (peer.connected, peer.failed)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if not peer.connected.is_set():
            raise MeasurementError(self._gave_up(peer))

    def said(self, peer: Peer, **figures: Any) -> None:
        """Keep what the server said of itself to ``peer``, for the report."""
        self._said.setdefault(peer, {}).update(figures)

    def lose(self, why: str) -> None:
        """Say that the server has ended the call: ``why``, in a sentence."""
        if not self._lost.done():
            self._lost.set_result(why)

    # What the probe asks (``base.Call``).

    @property
    def ways(self) -> list[Way]:
        """There and back in an echo; else to every callee that listens, and to the caller if it does."""
        if not self.callees:
            return [Way("round_trip", self.caller, self.caller)]
        media = [each for _, each in self.sides]
        ways = [
            Way("caller_to_callee", self.caller, callee)
            for callee, theirs in zip(self.callees, media[1:], strict=True)
            if theirs != "sendonly"
        ]
        if media[0] == "sendrecv":
            ways += [Way("callee_to_caller", self.callees[0], self.caller)]
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

    async def join(self) -> bool:
        """Join until every joiner has a packet, linger, hang up; return whether it connected."""
        self.may_speak.set()
        try:
            if await self._within([peer.heard_packet for peer in self.joiners]):
                await asyncio.sleep(self.setup.linger_s)
        finally:
            await self._hang_up()
        return self.failed is None

    async def talk(self) -> bool:
        """Join, let the mouths say all they have, wait for the last packet, hang up; return whether it connected."""
        try:
            if await self._within([peer.connected for peer in self.peers]):
                self.may_speak.set()
                await self._say_all()
        finally:
            await self._hang_up()
        return self.failed is None

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

    def links(self) -> dict[Direction, LinkReport]:
        """Return what the access lines of each direction did together: the speaker's up, the first listener's down."""
        caller = self._hosts[self.caller]
        callee = self._hosts[self.callees[0]] if self.callees else None
        there = [caller.up] if callee is None else [caller.up, callee.down]
        back = [caller.down] if callee is None else [callee.up, caller.down]
        return {"caller_to_callee": _report(there), "callee_to_caller": _report(back)}

    def report(self) -> dict[str, Any]:
        """Return, by peer, what was agreed on with the server, and what each side says of the path."""
        names: list[str] = [peer.side for peer in self.peers]
        if len(self.callees) > 1:
            names[1:] = [f"callee {place}" for place in range(1, len(self.peers))]
        return {name: self._report_of(peer) for name, peer in zip(names, self.peers, strict=True)}

    def _report_of(self, peer: Peer) -> dict[str, Any]:
        path, agreed, host = self._paths.get(peer) or peer.path(), peer.negotiated, self._hosts[peer]
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
                "red": agreed.red_payload_type is not None,
                "nack": agreed.nack,
            }
        if self._gatherings[peer].allocations:
            begun_s = peer.timeline.begun_s
            out["ice_servers"] = [each.plain(begun_s) for each in self._gatherings[peer].allocations]
        counts = {"unexpected_source_packets": peer.sources.strangers, "unsendable_datagrams": host.unsendable}
        return out | {name: count for name, count in counts.items() if count} | self._said.get(peer, {})

    def _candidates_of(self, peer: Peer) -> Mapping[str, int]:
        try:
            return read_description(self._remote.get(peer, ""), "it").candidate_types()
        except MeasurementError:
            return {}

    # How a call runs.

    def _make_peers(self, seed: np.random.SeedSequence) -> list[Peer]:
        route_seeds, phase_seed = seed.spawn(2)
        phases = np.random.Generator(np.random.PCG64(phase_seed)).random(len(self.sides)).tolist()
        peers = []
        for place, ((side, media), phase, own_seed) in enumerate(
            zip(self.sides, phases, route_seeds.spawn(len(self.sides)), strict=True)
        ):
            up_seed, down_seed = own_seed.spawn(2)
            host = self.network.add_outside_host(
                side if place < 2 else f"{side}{place}",
                (),
                up=self._path((side, "target"), up_seed),
                down=self._path(("target", side), down_seed),
            )
            line = Line(self.network, host.stream_up, host.stream_down, side)
            gathering = Gathering(self.setup.ice, line, tls=lambda: tls_context(self.setup.ice.ca_file))
            speech = self.setup.caller_speech if side == "caller" else self.setup.callee_speech
            peer = Peer(
                host,
                side,
                speech,
                phase_s=phase * speech.ptime_s,
                may_speak=self.may_speak,
                dtls_timeout_s=self.setup.dtls_timeout_s,
                protection=self.setup.protection,
                media=media,
                milestones=self.milestones,
                gathering=gathering,
            )
            self._hosts[peer] = host
            self.lines[peer] = line
            self._gatherings[peer] = gathering
            peers.append(peer)
        return peers

    def _path(self, route: Route, seed: np.random.SeedSequence) -> Path:
        specs = self.setup.routes[route]
        pairs = zip(specs, seed.spawn(len(specs)), strict=True)
        # What does nothing is left out: even a delay of 0 lets a packet out only when the loop comes round.
        return Path([Link(spec, child) for spec, child in pairs if spec != LinkSpec()])

    async def _choose_addresses(self) -> None:
        """Find the local addresses from which the server is reached: no part of the join."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(self.server, None)
            addresses = local_addresses(dict.fromkeys(str(each[4][0]) for each in found))
        except OSError:
            addresses = all_addresses()  # the join will find out that there is no such server, and say so
        for host in self._hosts.values():
            host.candidates = addresses
            host.address = addresses[0]

    async def _within(self, reached: Sequence[asyncio.Event]) -> bool:
        """Connect and wait for ``reached`` until the join timeout; on failure set ``failed``."""
        try:
            await self._choose_addresses()
        except RtcprobeError as error:
            self.failed = str(error)
            return False
        self.network.start()  # what it took to build the peers is not part of the call
        for peer in self.peers:
            self.begin(peer)
        begun_s = time.process_time()
        try:
            async with asyncio.timeout(self.setup.join_timeout_s):
                await self._whole_join(reached)
            self.cpu_s = time.process_time() - begun_s
        except TimeoutError:
            self.failed = self._too_late(self._latecomer(reached))
        except RtcprobeError as error:
            self.failed = str(error)
        return self.failed is None

    async def _whole_join(self, reached: Sequence[asyncio.Event]) -> None:
        """Connect and wait for ``reached``, or for what makes that impossible.

        Raises:
            MeasurementError: the signalling failed, a path gave up, or the server ended the call.
        """
        connecting = asyncio.ensure_future(self.connect())
        arrived = asyncio.ensure_future(_all(reached))
        ended = {asyncio.ensure_future(peer.ended.wait()): peer for peer in self.peers}
        try:
            pending: set[asyncio.Future[Any]] = {connecting, arrived, self._lost, *ended}
            while pending & {connecting, arrived}:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if connecting in done:
                    connecting.result()
                if self._lost in done:
                    raise MeasurementError(f"{self._lost.result()}; {_came(self._latecomer(reached))}")
                broken = next((peer for task, peer in ended.items() if task in done), None)
                if broken is not None:
                    raise MeasurementError(self._gave_up(broken))
        finally:
            for task in (connecting, arrived, *ended):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError, RtcprobeError):
                await connecting

    async def _say_all(self) -> None:
        """Wait until the talkers have said all, and the last of it has come; ends early when the call does."""
        begun_s = self.network.now_s()
        talkers = dict.fromkeys(way.talker for way in self.ways)
        finished = asyncio.ensure_future(_all([talker.track.finished for talker in talkers]))
        ended = {asyncio.ensure_future(peer.ended.wait()): peer for peer in self.peers}
        try:
            watched: list[asyncio.Future[Any]] = [finished, self._lost, *ended]
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (finished, *ended):
                task.cancel()
        if finished not in done:
            after_s = self.network.now_s() - begun_s
            broken = next((peer for task, peer in ended.items() if task in done), None)
            why = self._lost.result() if broken is None else f"the {broken.side}'s media path broke"
            self.cut = f"{why} {after_s:.1f} s into the call"
            return
        silent_s = self.network.now_s()
        for way in self.ways:
            last_s = way.listener.arrivals[-1][0] if way.listener.arrivals else begun_s
            if silent_s - last_s > GONE_S and not self._paused(way.talker, last_s):
                self.cut = f"nothing came to the {way.listener.side} any more {last_s - begun_s:.1f} s into the call"
        await self._last_packets(silent_s)

    def _paused(self, talker: Peer, since_s: float) -> bool:
        """Return whether ``talker`` sent nothing after ``since_s`` either."""
        departures = talker.tap.departures
        return not departures or departures[-1].at_s < since_s

    async def _last_packets(self, silent_s: float) -> None:
        """Wait until nothing has come for ``SILENCE_S``; a server that never falls silent gets ``LONGEST_END_S``."""
        while True:
            now_s = self.network.now_s()
            came_s = [way.listener.arrivals[-1][0] for way in self.ways if way.listener.arrivals]
            quiet_s = now_s - max([silent_s, self.network.last_arrival_s, *came_s])
            if quiet_s >= SILENCE_S or now_s - silent_s >= LONGEST_END_S:
                return
            await asyncio.sleep(min(SILENCE_S - quiet_s, SILENCE_S) + 0.001)

    async def _hang_up(self) -> None:
        """Leave, close peers and clients, then whatever socket is left (rule 4)."""
        if self.setup.ice.policy == "all":  # else they failed the call
            complaints = (each for gathering in self._gatherings.values() for each in gathering.complaints())
            self.warnings += dict.fromkeys(complaints)
        self._paths = {peer: peer.path() for peer in self.peers}
        await _bounded(self._leave())
        await asyncio.gather(*(_bounded(peer.close()) for peer in self.peers))
        await asyncio.gather(*(_bounded(client.aclose()) for client in self.clients))
        self.network.close()

    async def _leave(self) -> None:
        try:
            await self.leave()
        except RtcprobeError as error:
            self.warnings.append(f"leaving: {error}")

    def _latecomer(self, reached: Sequence[asyncio.Event]) -> Peer:
        """Return the side that has come the least far of those waited for."""
        waiting = [
            peer
            for peer in self.peers
            if any(event in reached and not event.is_set() for event in (peer.connected, peer.heard_packet))
        ]
        unconnected = [peer for peer in self.peers if not peer.connected.is_set()]
        return (unconnected or waiting or self.joiners)[0]

    def _too_late(self, peer: Peer) -> str:
        """Return what ``peer`` was waiting for when the time was up: an exchange, or a milestone."""
        limit_s = self.setup.join_timeout_s
        asked = [client.exchanges[-1] for client in self.clients if client.exchanges and client.line.side == peer.side]
        open_now = next((each for each in asked if not _is_over(each)), None)
        if open_now is not None:
            return f"{timed_out(open_now, limit_s).message}; {_came(peer)}"
        return f"{peer.side} {self._missing(peer)} not within {limit_s:g} s; {_came(peer)}"

    def _missing(self, peer: Peer) -> str:
        return next((each for each in peer.timeline.order if self._lacks(peer, each)), "media")

    def _lacks(self, peer: Peer, milestone: str) -> bool:
        optional = (*_CONNECTION.values(), "first_audio")  # https alone has TLS, a name alone DNS
        return milestone not in optional and milestone not in peer.timeline.marks

    def _gave_up(self, peer: Peer) -> str:
        how = "gave up" if "dtls_connected" not in peer.timeline.marks else "was ended by the target"
        return f"{peer.side} {self._missing(peer)} {how}; {_came(peer)}"


def _came(peer: Peer) -> str:
    reached = peer.timeline.reached()
    return f"the {peer.side} had come to {reached}" if reached else f"the {peer.side} had reached nothing"


def _is_over(exchange: Exchange) -> bool:
    last = ("tls" if exchange.url.startswith(("https", "wss")) else "tcp") if exchange.method == "CONNECT" else None
    return (last or "response_body") in exchange.marks


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
        words = str(error) or type(error).__name__
        if "description send parameters" in words:
            raise MeasurementError(
                f"{what} has no codec that we have", "we offer Opus, as every browser does"
            ) from error
        raise MeasurementError(f"{what} cannot be used", words) from error


async def _bounded(ending: Awaitable[object]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HANG_UP_TIMEOUT_S):
            await ending


async def _all(events: Sequence[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


def _report(legs: Sequence[PathDirection]) -> LinkReport:
    """Return what one or two access lines in a row did; of two, as if they were independent."""
    requested = Requested.of([link.spec for leg in legs for link in leg.path.links])
    emulated = [leg for leg in legs if leg.path.links] or list(legs[:1])
    achieved = emulated[0].tally.achieved() if len(emulated) == 1 else _in_a_row(emulated[0].tally, emulated[1].tally)
    return LinkReport.of(requested, achieved)


def _in_a_row(speaker: Tally, listener: Tally) -> Achieved:
    """Return the figures of two lines passed one after the other: chances multiply, delays add.

    Bursts span both lines, so nothing is said of them.
    """
    first, second = speaker.achieved(), listener.achieved()

    def passing(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else 1 - (1 - a) * (1 - b)

    delays = np.zeros(0)
    if first.delivered and second.delivered:
        ranks = (np.arange(_RANKS) + 0.5) / _RANKS
        delays = np.add.outer(*(np.quantile(each.delays_s(), ranks) for each in (speaker, listener))).ravel()

    def quantile(q: float) -> float | None:
        return float(np.quantile(delays, q)) if len(delays) else None

    def known(q: float, *both: float | None) -> float | None:
        return None if None in both else quantile(q)  # too few packets for it on one of the lines

    return replace(
        first,
        delivered=min(first.delivered, second.delivered),
        loss=passing(first.loss, second.loss),
        mean_burst=None,
        longest_burst=None,
        delay_min_s=quantile(0.0),
        delay_p5_s=known(0.05, first.delay_p5_s, second.delay_p5_s),
        delay_p50_s=quantile(0.5),
        delay_p95_s=known(0.95, first.delay_p95_s, second.delay_p95_s),
        delay_p99_s=known(0.99, first.delay_p99_s, second.delay_p99_s),
        delay_max_s=quantile(1.0),
        reordered=passing(first.reordered, second.reordered),
        duplicated=passing(first.duplicated, second.duplicated),
        corrupted=passing(first.corrupted, second.corrupted),
        delivered_bps=second.delivered_bps,
        drops={
            cause: first.drops.get(cause, 0) + second.drops.get(cause, 0)
            for cause in sorted({*first.drops, *second.drops})
        },
    )
