"""How a call to an outside target runs: joined within its time, talked through to the last packet, hung up in any case.

Rules:
    1. Whatever fails is one sentence in ``failed`` that says how far which side had come.
    2. After a call has come about, what ends it early is a sentence in ``cut``; what was measured until then stands.
    3. The end is bounded: leaving, every peer and every client have ``endings.HANG_UP_TIMEOUT_S`` each.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

from rtcprobe.call.faults import Exchange, timed_out
from rtcprobe.call.http import HttpClient
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.endings import all_of, bounded
from rtcprobe.errors import MeasurementError, RtcprobeError
from rtcprobe.runtime.media_seam import MediaPath
from rtcprobe.runtime.outside import OutsideNetwork

__all__ = ["CONNECTION", "Course"]

SILENCE_S = 0.5
"""How long nothing may have come for the end of the call to be the end."""
LONGEST_END_S = 3.0
GONE_S = 3.0
"""A listener that heard nothing for so long before the mouths fell silent had lost the target."""

CONNECTION = {"dns": "dns_resolved", "tcp": "tcp_connected", "tls": "tls_connected"}
"""The steps of a new connection, and the milestones they are."""


class Course:
    """What runs a call; who takes part, and how they connect, is a subclass's matter."""

    def __init__(self, setup: CallSetup) -> None:
        self.setup = setup
        self.failed: str | None = None
        self.cut: str | None = None
        self.cpu_s: float | None = None
        self.warnings: list[str] = []
        self.network = OutsideNetwork(asyncio.get_running_loop())
        self.may_speak = asyncio.Event()
        self.clients: list[HttpClient] = []
        """What is closed at the end."""
        self.paths: dict[Peer, MediaPath] = {}
        """What ICE and DTLS had agreed on when the call ended."""
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    # What a subclass fills in.

    @property
    def peers(self) -> Sequence[Peer]:
        """Every peer of ours."""
        raise NotImplementedError

    @property
    def ways(self) -> Sequence[Way]:
        """The directions whose sound can be heard."""
        raise NotImplementedError

    @property
    def joiners(self) -> Sequence[Peer]:
        """Whose join is timed."""
        raise NotImplementedError

    async def prepare(self) -> None:
        """Do what comes before the join, untimed.

        Raises:
            MeasurementError: there is no way to the target.
        """

    async def connect(self) -> None:
        """Get every peer connected: returns when nothing is left to ask the server.

        Raises:
            MeasurementError: the server, or the way there, did not play along.
        """
        raise NotImplementedError

    async def leave(self) -> None:
        """Tell the server that the call has ended; asked in any case, also after half a ``connect``."""

    def complaints(self) -> Iterable[str]:
        """Return what went wrong on the way without ending the call, a sentence each."""
        return ()

    def unanswered(self, peer: Peer) -> str:
        """Return who beside the target still owes ``peer`` an answer, as the end of a sentence; "" for nobody."""
        del peer
        return ""

    # How it runs.

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

    def lose(self, why: str) -> None:
        """Say that the server has ended the call: ``why``, in a sentence."""
        if not self._lost.done():
            self._lost.set_result(why)

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

    async def _within(self, reached: Sequence[asyncio.Event]) -> bool:
        """Connect and wait for ``reached`` until the join timeout; on failure set ``failed``."""
        try:
            await self.prepare()
        except RtcprobeError as error:
            self.failed = str(error)
            return False
        self.network.start()  # what it took to build the peers is not part of the call
        for peer in self.peers:
            peer.timeline.begin(self.network.now_s())
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
        arrived = asyncio.ensure_future(all_of(reached))
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
        finished = asyncio.ensure_future(all_of([talker.track.finished for talker in talkers]))
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
            if silent_s - last_s > GONE_S and not self._paused(way.talker, last_s) and not self.network.pauses:
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
        """Leave, close peers and clients, then whatever socket is left (rule 3)."""
        self.warnings += dict.fromkeys(self.complaints())
        self.paths = {peer: peer.path() for peer in self.peers}
        await bounded(self._leave())
        await asyncio.gather(*(bounded(peer.close()) for peer in self.peers))
        await asyncio.gather(*(bounded(client.aclose()) for client in self.clients))
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
        return f"{peer.side} {self._missing(peer)} not within {limit_s:g} s{self.unanswered(peer)}; {_came(peer)}"

    def _missing(self, peer: Peer) -> str:
        return next((each for each in peer.timeline.order if self._lacks(peer, each)), "media")

    def _lacks(self, peer: Peer, milestone: str) -> bool:
        optional = (*CONNECTION.values(), "first_audio")  # https alone has TLS, a name alone DNS
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
