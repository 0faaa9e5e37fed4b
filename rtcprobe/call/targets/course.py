"""How a call runs, whoever is called: joined within its time, talked through to the last packet, hung up in any case.

Theory of operation:
    ``join`` and ``talk`` are one course with two middles. *Prepare*: what is no part of a join (names looked up,
    browsers started); the network's clock starts behind it. *Get there*: ``connect`` and what is awaited, side by side,
    until both are done, a path gives up, the server ends it, or the time is over. *Stay*: a join lingers until it can
    be heard; a talk lets the mouths speak, and waits for the last packet. *Hang up*: from wherever it had come to.
    Until a call got there it can fail; from then on it can only be cut.

Rules:
    1. Whatever fails is one sentence in ``failed`` that says how far which side had come, our own faults too.
    2. After a call has come about, what ends it early is a sentence in ``cut``; what was measured until then stands.
    3. The end is bounded: leaving, every peer and every client have ``endings.HANG_UP_TIMEOUT_S`` each, and what takes
       longer is told. What is on its way up the line by then still leaves: without the goodbye (RTCP BYE, the alert of
       DTLS) the far side would keep the session until its ICE consent runs out, half a minute later (RFC 7675 §5.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from rtcprobe.call.doing import Doing
from rtcprobe.call.live import how_it_ended
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.blame import came, gave_up, latecomer
from rtcprobe.call.targets.endings import arriving, bounded
from rtcprobe.call.targets.hooks import Hooks
from rtcprobe.errors import MeasurementError, RtcprobeError, unforeseen
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.real import work_s

__all__ = ["Course"]


class Course(Hooks):
    """What runs a call; who takes part, and how they connect, is a subclass's matter."""

    def __init__(self, setup: CallSetup, network: Network) -> None:
        super().__init__(setup, network)
        self._meanwhile = Doing(self.warnings.append)

    async def join(self) -> bool:
        """Join until what is ``awaited`` has come, linger, hang up; return whether it connected."""
        self.let_speak(joining=True)
        try:
            if await self._within(self.awaited):
                # The first packets alone do not tell when the first sound was: a jitter buffer wants some of the next.
                await asyncio.sleep(self.setup.linger_s)
        finally:
            await self._hang_up()
        return self.failed is None

    async def talk(self) -> bool:
        """Join, let the mouths say all they have, wait for the last packet, hang up; return whether it connected."""
        try:
            if await self._within([peer.connected for peer in self.there]):
                self.let_speak(joining=False)
                await self.say_all()
                self._heed(how_it_ended(each.track for peer in self.peers for each in peer.sections))
        finally:
            await self._hang_up()
        return self.failed is None

    def lose(self, why: str) -> None:
        """Say that the server has ended the call: ``why``, in a sentence."""
        if not self.lost.done():
            self.lost.set_result(why)

    def meanwhile(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` beside the join, until the call ends; what goes wrong is a warning."""
        self._meanwhile.do(work)

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
            raise MeasurementError(gave_up(peer, self.stop_of(peer)))

    async def _within(self, reached: Sequence[asyncio.Event]) -> bool:
        """Connect and wait for ``reached`` until the join timeout; on failure set ``failed`` and ``stopped``."""
        limit_s = self.setup.join_timeout_s
        begun_s = work_s()
        try:
            # A limit of its own: a browser that starts, or a name that is looked
            # up, must not use up the time for the join.
            async with asyncio.timeout(self.preparing_s):
                await self.prepare()
            self.network.start()  # what it took to build the peers is not part of the call
            for peer in self.there:
                peer.timeline.begin(self.network.now_s())
            begun_s = work_s()  # again: what was prepared is no work of the join
            await self.get_there(reached, limit_s)
            # Only of a join that came about: what a failed one spent waiting says nothing of what a join takes.
            self.cpu_s = work_s() - begun_s
        except TimeoutError:
            self.failed = self.too_late(self._latecomer(reached), limit_s)
        except RtcprobeError as error:
            self.failed = str(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours fails this join, not those before and after it
            self.failed = unforeseen(error)
        if self.failed is not None:
            self.stopped = self.stop_of(self._latecomer(reached))
        return self.failed is None

    async def get_there(self, reached: Sequence[asyncio.Event], limit_s: float) -> None:
        """Connect and wait for ``reached``, or for what makes that impossible; ``limit_s`` at most.

        Raises:
            MeasurementError: the signalling failed, a path gave up, or the server ended the call.
            TimeoutError: it took longer.
        """

        def lost(why: str) -> str:
            return f"{why}; {came(self._latecomer(reached))}"

        async with asyncio.timeout(limit_s):
            await arriving(self.connect(), reached, self.there, self.lost, lost=lost, broken=self.gave_up)

    async def _hang_up(self) -> None:
        """Leave, close peers and clients, then whatever socket is left (rule 3)."""
        for task in self._meanwhile:
            task.cancel()
        # What was agreed on is asked for before anything is closed.
        self.paths = {peer: peer.path() for peer in self.peers}
        begun_s = self.network.now_s()
        # In this order: the server is told first (it may answer with what it measured), then media paths close, then
        # the connections that both went over; what is left on the lines is let out last.
        told = [await bounded("leaving", self.leave(), lambda: self.open_since(begun_s))]
        told += await self.close_peers()
        told += await asyncio.gather(*(bounded("closing a connection", each.aclose()) for each in self.clients))
        # Each sentence once: a server that does not answer says the same of every connection.
        self.warnings += dict.fromkeys([*filter(None, told), *self.complaints()])
        await self.close_network()

    def _heed(self, ended: tuple[str | None, str | None]) -> None:
        """Take what live mouths say went wrong: what fails the call, and what cut it short."""
        failed, cut = ended
        if failed is not None:
            self.failed = failed
            self.stopped = self.stop_of(self.joiners[0])
        self.cut = self.cut or cut

    def _latecomer(self, reached: Sequence[asyncio.Event]) -> Peer:
        return latecomer(self.there, self.joiners, reached)
