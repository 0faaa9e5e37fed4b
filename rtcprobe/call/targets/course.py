"""How a call runs, whoever is called: joined within its time, talked through to the last packet, hung up in any case.

Rules:
    1. Whatever fails is one sentence in ``failed`` that says how far which side had come, our own faults too.
    2. After a call has come about, what ends it early is a sentence in ``cut``; what was measured until then stands.
    3. The end is bounded: leaving, every peer and every client have ``endings.HANG_UP_TIMEOUT_S`` each. What is on its
       way up the line by then still leaves: without the goodbye (RTCP BYE, the alert of DTLS) the far side would keep
       the session until its ICE consent runs out, half a minute later (RFC 7675 §5.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rtcprobe.call.live import how_it_ended
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.blame import came, gave_up, latecomer, stop_of, too_late
from rtcprobe.call.targets.endings import HANG_UP_TIMEOUT_S, all_of, bounded
from rtcprobe.errors import MeasurementError, RtcprobeError, unforeseen
from rtcprobe.runtime.media_seam import MediaPath
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.real import work_s
from rtcprobe.timeline import Stop

if TYPE_CHECKING:
    from rtcprobe.call.http import HttpClient  # a fifth of a second that calls without HTTP should not pay

__all__ = ["Course"]


class Course:
    """What runs a call; who takes part, and how they connect, is a subclass's matter."""

    optional: Sequence[str] = ()
    """Milestones that a join may do without: it is never said to have waited for them."""

    def __init__(self, setup: CallSetup, network: Network) -> None:
        self.setup = setup
        self.network = network
        self.failed: str | None = None
        self.stopped: Stop | None = None
        self.cut: str | None = None
        self.cpu_s: float | None = None
        self.warnings: list[str] = []
        self.may_speak = asyncio.Event()
        self.clients: list[HttpClient] = []
        """What is closed at the end."""
        self.paths: dict[Peer, MediaPath] = {}
        """What ICE and DTLS had agreed on when the call ended."""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Says why, when the server ends the call."""
        self._meanwhile: set[asyncio.Task[None]] = set()

    # What a subclass fills in.

    @property
    def peers(self) -> Sequence[Peer]:
        """Every peer of ours."""
        raise NotImplementedError

    @property
    def there(self) -> Sequence[Peer]:
        """The peers that take part from the start."""
        return self.peers

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

    def let_speak(self, *, joining: bool) -> None:
        """Let the mouths speak; ``joining``: to be heard at all, in a join."""
        del joining
        self.may_speak.set()

    async def say_all(self) -> None:
        """Wait until all is said, and the last of it has come; sets ``cut`` where the call ends before."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Tell the server that the call has ended; asked in any case, also after half a ``connect``."""

    async def close_peers(self) -> list[str | None]:
        """Hang up every peer; return what went wrong with each."""
        return await asyncio.gather(*(bounded(peer.close()) for peer in self.peers))

    async def close_network(self) -> None:
        """Close what peers and clients left open."""

    @property
    def awaited(self) -> Sequence[asyncio.Event]:
        """What must have come before a join is over: a packet to each whose join is timed."""
        return [peer.heard_packet for peer in self.joiners]

    def too_late(self, peer: Peer, limit_s: float) -> str:
        """Return what ``peer`` was waiting for after ``limit_s``, in a sentence."""
        return too_late(peer, self.clients, self.stop_of(peer), limit_s, self.unanswered(peer))

    def gave_up(self, peer: Peer) -> str:
        """Return that the media path of ``peer`` gave up, in a sentence."""
        return gave_up(peer, self.stop_of(peer)) + self.unanswered(peer)

    def stop_of(self, peer: Peer) -> Stop:
        """Return where ``peer`` stopped."""
        return stop_of(peer, self.clients, self.optional)

    def complaints(self) -> Iterable[str]:
        """Return what went wrong on the way without ending the call, a sentence each."""
        return ()

    def unanswered(self, peer: Peer) -> str:
        """Return who beside the target still owes ``peer`` an answer, as the end of a sentence; "" for nobody."""
        del peer
        return ""

    # How it runs.

    async def join(self) -> bool:
        """Join until what is ``awaited`` has come, linger, hang up; return whether it connected."""
        self.let_speak(joining=True)
        try:
            if await self._within(self.awaited):
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
        task = asyncio.ensure_future(work)
        self._meanwhile.add(task)
        task.add_done_callback(self._done_meanwhile)

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
            async with asyncio.timeout(limit_s):
                await self.prepare()
            self.network.start()  # what it took to build the peers is not part of the call
            for peer in self.there:
                peer.timeline.begin(self.network.now_s())
            begun_s = work_s()
            async with asyncio.timeout(limit_s):
                await self._whole_join(reached)
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

    async def _whole_join(self, reached: Sequence[asyncio.Event]) -> None:
        """Connect and wait for ``reached``, or for what makes that impossible.

        Raises:
            MeasurementError: the signalling failed, a path gave up, or the server ended the call.
        """
        connecting = asyncio.ensure_future(self.connect())
        arrived = asyncio.ensure_future(all_of(reached))
        ended = {asyncio.ensure_future(peer.ended.wait()): peer for peer in self.there}
        try:
            pending: set[asyncio.Future[Any]] = {connecting, arrived, self.lost, *ended}
            while pending & {connecting, arrived}:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if connecting in done:
                    connecting.result()
                if self.lost in done:
                    raise MeasurementError(f"{self.lost.result()}; {came(self._latecomer(reached))}")
                broken = next((peer for task, peer in ended.items() if task in done), None)
                if broken is not None:
                    raise MeasurementError(self.gave_up(broken))
        finally:
            for task in (connecting, arrived, *ended):
                task.cancel()
            await asyncio.wait({connecting}, timeout=HANG_UP_TIMEOUT_S)
            if connecting.done() and not connecting.cancelled():
                connecting.exception()  # known by now, or of no interest any more

    async def _hang_up(self) -> None:
        """Leave, close peers and clients, then whatever socket is left (rule 3)."""
        for task in self._meanwhile:
            task.cancel()
        self.paths = {peer: peer.path() for peer in self.peers}
        left = await bounded(self.leave())
        self.warnings += [] if left is None else [f"leaving: {left}"]
        closed = await self.close_peers()
        closed += await asyncio.gather(*(bounded(client.aclose()) for client in self.clients))
        self.warnings += dict.fromkeys([*(f"hanging up: {each}" for each in closed if each), *self.complaints()])
        await self.close_network()

    def _done_meanwhile(self, task: asyncio.Task[None]) -> None:
        self._meanwhile.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.warnings.append(str(error) if isinstance(error, RtcprobeError) else unforeseen(error))

    def _heed(self, ended: tuple[str | None, str | None]) -> None:
        """Take what live mouths say went wrong: what fails the call, and what cut it short."""
        failed, cut = ended
        if failed is not None:
            self.failed = failed
            self.stopped = self.stop_of(self.joiners[0])
        self.cut = self.cut or cut

    def _latecomer(self, reached: Sequence[asyncio.Event]) -> Peer:
        return latecomer(self.there, self.joiners, reached)
