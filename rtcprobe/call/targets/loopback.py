"""Target ``loopback``: both ends are ours, joined by the emulated network, the signalling server between them."""

from __future__ import annotations

import asyncio

import numpy as np

from rtcprobe.call.camera import first_pictures
from rtcprobe.call.peer import Peer
from rtcprobe.call.signaling import EmulatedSignaling
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.endings import all_of, bounded, said_all
from rtcprobe.errors import BadInputError
from rtcprobe.link import Link, Path
from rtcprobe.result import WAYS, Clock, Direction
from rtcprobe.runtime.network import Direction as PathDirection
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.real import work_s
from rtcprobe.scenario import TargetPlan
from rtcprobe.timeline import Stop, Timer, Wait

__all__ = ["ROUTES", "CallSetup", "LoopbackCall", "LoopbackTarget", "make_target"]

ROUTES = (
    ("caller", "callee"),
    ("callee", "caller"),
    ("caller", "server"),
    ("server", "caller"),
    ("callee", "server"),
    ("server", "callee"),
)
"""Every way packets take, in the fixed order in which seeds are handed out."""

RETRANSMISSION_S = 1.0
"""How long after the last packet one that was asked for again can still come: the rule of ``playout.nack``."""


LAST_PACKET_S = 0.010
"""How long a call goes on after its last packet was due: who hangs up at that very instant may be ahead of it."""


class LoopbackTarget:
    """The far end is ours, on either clock."""

    name = "loopback"
    directions = WAYS
    routes = ROUTES
    clocks: tuple[Clock, ...] = ("virtual", "real")

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> LoopbackCall:
        """Return a call, not yet begun, on the running loop."""
        return LoopbackCall(setup, seed, sockets=clock == "real")


def make_target(plan: TargetPlan) -> LoopbackTarget:
    """Return the loopback.

    Raises:
        BadInputError: options, for it has none.
    """
    if plan.url != "loopback" or plan.region is not None:
        raise BadInputError(f"target {plan.shown!r} is impossible", "loopback stands alone: both ends are emulated")
    plan.only(())
    return LoopbackTarget()


class LoopbackCall:
    """One call on the running loop. What it measured stays readable at any moment, finished or not."""

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, *, sockets: bool) -> None:
        self.setup = setup
        loop = asyncio.get_running_loop()
        network_seed, phase_seed = seed.spawn(2)
        self.network = Network(loop, sockets=sockets)
        addresses = ("127.0.0.1",) * 3 if sockets else ("10.0.0.1", "10.0.0.2", "10.0.0.3")
        caller, callee, server = (
            self.network.add_host(name, address)
            for name, address in zip(("caller", "callee", "server"), addresses, strict=True)
        )
        hosts = self._hosts = {"caller": caller, "callee": callee, "server": server}
        for (source, destination), route_seed in zip(ROUTES, network_seed.spawn(len(ROUTES)), strict=True):
            specs = setup.routes[source, destination]
            links = [Link(spec, child) for spec, child in zip(specs, route_seed.spawn(len(specs)), strict=True)]
            self.network.connect(hosts[source], hosts[destination], Path(links))
        self.may_speak = asyncio.Event()
        phases = np.random.Generator(np.random.PCG64(phase_seed)).random(4).tolist()
        self.caller = setup.peer(caller, "caller", phase=phases[0], camera_phase=phases[2], may_speak=self.may_speak)
        self.callee = setup.peer(callee, "callee", phase=phases[1], camera_phase=phases[3], may_speak=self.may_speak)
        self.signaling = EmulatedSignaling(
            self.network, caller=caller, server=server, callee=callee, connection=setup.connection
        )
        self.cpu_s: float | None = None
        """CPU seconds this process spent from the start of the call until both sides had what they waited for."""
        self.failed: str | None = None
        """Why the join gave up: the milestone missing and the timer that was still trying; None while it has not."""
        self.stopped: Stop | None = None
        self.cut: str | None = None
        self.warnings: list[str] = []

    @property
    def ways(self) -> list[Way]:
        """Both directions, as links are named."""
        return [
            Way("caller_to_callee", self.caller, self.callee),
            Way("callee_to_caller", self.callee, self.caller),
        ]

    @property
    def joiners(self) -> list[Peer]:
        """The caller."""
        return [self.caller]

    @property
    def peers(self) -> list[Peer]:
        """Both."""
        return [self.caller, self.callee]

    def legs(self) -> dict[Direction, list[Leg]]:
        """Return the media path of both directions."""
        return {way.direction: [Leg.of(self.direction(way.talker.side, way.listener.side))] for way in self.ways}

    def report(self) -> dict[str, object]:
        """Return nothing: both sides are ours."""
        return {}

    async def join(self) -> bool:
        """Join, wait until both sides have a packet of the other, linger, hang up; return whether it connected.

        Where they show themselves, it waits for the first picture on both sides too.
        """
        self.may_speak.set()
        reached = [self.caller.heard_packet, self.callee.heard_packet]
        reached += [event for peer in self.peers for event in first_pictures(peer)]
        try:
            if await self._within(self._connect(), *reached):
                await asyncio.sleep(self.setup.linger_s)
        finally:
            await self._hang_up()
        return self.failed is None

    async def talk(self) -> bool:
        """Join, let both mouths say all they have, wait for the last packet, hang up; return whether it connected.

        A path that breaks meanwhile ends it early: ``cut`` says when.
        """
        try:
            if await self._within(self._connect(), self.caller.connected, self.callee.connected):
                self.may_speak.set()
                self.cut = await said_all(self.peers, self.peers, self.network)
                await asyncio.sleep(max(0.0, self.network.last_arrival_s - self.network.now_s()) + LAST_PACKET_S)
                if any(peer.pictures or (peer.negotiated is not None and peer.negotiated.nack) for peer in self.peers):
                    await asyncio.sleep(RETRANSMISSION_S)
        finally:
            await self._hang_up()
        return self.failed is None

    def waits(self, joiner: Peer | None = None) -> list[Wait]:
        """Return every retransmission of the join so far, on either side."""
        del joiner
        return [
            *self.caller.waits(self.callee.progress_s(), self._fastest_s("caller", "callee")),
            *self.callee.waits(self.caller.progress_s(), self._fastest_s("callee", "caller")),
            *self.signaling.waits(),
        ]

    def awaited_s(self, joiner: Peer, never_s: float) -> dict[Timer, float]:
        """Return from when on each kind of timer can have held the join up; ``never_s`` for what was never reached.

        What is sent one way before the other side can take it in is not early.
        """
        del joiner
        ways_s = [self._fastest_s(*route) or 0.0 for route in (("caller", "callee"), ("callee", "caller"))]
        caller, callee = self.caller.timeline.marks, self.callee.timeline.marks
        ready_s = max(marks.get("ice_connected", never_s) for marks in (caller, callee))
        return {"stun": caller.get("answer_received", never_s) - min(ways_s), "dtls": ready_s - min(ways_s)}

    def direction(self, source: str, destination: str) -> PathDirection:
        """Return the way from one host to another (names of ``ROUTES``)."""
        return self.network.direction(self._hosts[source], self._hosts[destination])

    def _fastest_s(self, source: str, destination: str) -> float | None:
        return self.direction(source, destination).tally.achieved().delay_min_s

    async def _connect(self) -> None:
        self.network.start()  # what it took to build the peers is not part of the call
        connecting = self.signaling.connect(self.caller.timeline, self.callee.timeline)
        _, offer = await asyncio.gather(connecting, self.caller.offer())  # made while the first packet is under way
        answer = await self.signaling.exchange(offer, self.callee.answer, self.caller.timeline, self.callee.timeline)
        await self.caller.accept(answer)

    async def _within(self, connect: object, *reached: asyncio.Event) -> bool:
        """Run ``connect`` and wait for ``reached`` until the join timeout; on failure set ``failed``."""
        begun_s = work_s()
        deadline = asyncio.timeout(self.setup.join_timeout_s)
        gave_up = [asyncio.ensure_future(peer.failed.wait()) for peer in (self.caller, self.callee)]
        try:
            async with deadline:
                await connect  # type: ignore[misc]
                arrived = asyncio.ensure_future(all_of(reached))
                await asyncio.wait([arrived, *gave_up], return_when=asyncio.FIRST_COMPLETED)
                if arrived.done():
                    self.cpu_s = work_s() - begun_s
                    return True
                arrived.cancel()
                self.failed = self._blame("gave up")
        except TimeoutError:
            self.failed = self._blame(f"not within {self.setup.join_timeout_s:g} s")
        finally:
            for task in gave_up:
                task.cancel()
        return False

    def _blame(self, how: str) -> str:
        late = next((peer for peer in self.peers if peer.timeline.awaited() != "first_audio"), self.caller)
        awaited = late.timeline.awaited()
        self.stopped = Stop(late.timeline.reached(), awaited)
        missing = f"{late.side} {awaited}"
        waits = sorted(self.waits(), key=lambda wait: wait.at_s)
        if not waits:
            return f"{missing} {how}; no timer had fired"
        last = waits[-1]
        times = sum(wait.timer == last.timer and wait.side == last.side for wait in waits)
        return (
            f"{missing} {how}; "
            f"the {last.side}'s {last.timer} timer had resent {times} time{'s' * (times != 1)}, last its {last.what}"
        )

    async def _hang_up(self) -> None:
        self.signaling.close()
        for peer in (self.caller, self.callee):
            await bounded(peer.close())
