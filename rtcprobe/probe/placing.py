"""Placing one call on a loop of its own, on either clock, with the clockwork of the machine measured beside it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from rtcprobe.call.live import LiveTrack
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import Call, CallSetup, Target
from rtcprobe.errors import RtcprobeError, unforeseen
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.probe.deadline import Deadline, end, in_time, longest_join_s, longest_talk_s
from rtcprobe.result import Clock
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.lag import LagMeter, Stall
from rtcprobe.runtime.priority import ORDINARY, prioritised
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.rehearsal_seam import rehearsals
from rtcprobe.runtime.virtual import VirtualEventLoop

__all__ = ["Attempt", "Placing", "afresh"]

LOG: Final = logging.getLogger("rtcprobe")

# How often a screen can use news of a call.
_TICK_S = 1.0
_PERIODS_S = {False: 0.020, True: 0.005}
"""How often lateness is looked at, by whether the call talks: a join's loop has better things to do while it waits."""


@dataclass(slots=True)
class Attempt:
    """A join or a call: its own network, where the grid of each listener's loudspeaker lies, and how late its loop ran.

    ``lag_s`` and ``stalls`` (on the clock of the network) are empty in virtual time, and while the call goes on.
    """

    call: Call
    phases_s: Mapping[str, float]
    """One for each host that a peer is on: a party that listens over several connections has one loudspeaker."""
    lag_s: Sequence[float] = ()
    stalls: Sequence[Stall] = ()

    def phase_s(self, listener: Peer) -> float:
        """Return where the grid of ``listener``'s loudspeaker lies."""
        return self.phases_s[listener.host_name]


@dataclass(slots=True)
class Placing:
    """How attempts are made: whom they call, on which clock, and how much time is left for them."""

    target: Target
    clock: Clock
    deadline: Deadline = field(default_factory=lambda: Deadline(math.inf))
    priority: str = ORDINARY
    """What the latest attempt on the real clock had (``runtime.priority``)."""

    @property
    def outside(self) -> bool:
        """Whether the far side is not ours: then time cannot jump."""
        return "virtual" not in self.target.clocks

    def join(self, setup: CallSetup, seed: np.random.SeedSequence) -> Attempt:
        """Make a call, join it, hang up."""
        longest_s = longest_join_s(setup)
        return self._prioritised(setup, seed, lambda call: call.join(), _no_one, longest_s)

    def talk(
        self,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        begun: Callable[[Attempt], None],
        tick: Callable[[float], None],
    ) -> Attempt:
        """Make a call and talk; ``begun`` gets it before anything else, so that an interruption leaves it.

        ``tick`` is told every second how many seconds were talked so far.
        """

        async def use(call: Call) -> bool:
            ticker = asyncio.ensure_future(_tick(call, tick))
            try:
                return await call.talk()
            finally:
                ticker.cancel()

        return self._prioritised(setup, seed, use, begun, longest_talk_s(setup), talks=True)

    def _prioritised(
        self,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        use: Callable[[Call], Awaitable[bool]],
        begun: Callable[[Attempt], None],
        longest_s: float,
        *,
        talks: bool = False,
    ) -> Attempt:
        """Make a call, on the real clock with what priority the system grants while it lasts."""
        if self.clock == "virtual":
            return self._place(setup, seed, use, begun, longest_s, talks=talks)
        with prioritised() as self.priority:
            return self._place(setup, seed, use, begun, longest_s, talks=talks)

    def _place(
        self,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        use: Callable[[Call], Awaitable[bool]],
        begun: Callable[[Attempt], None],
        longest_s: float,
        *,
        talks: bool,
    ) -> Attempt:
        """Make a call on a loop of its own and ``use`` it, ``longest_s`` at most.

        Whatever nobody foresaw fails the call, and leaves the run what it has.
        """
        entropy_seed, call_seed, phase_seed, round_seed = seed.spawn(4)  # always four: none moves another
        share = float(np.random.Generator(np.random.PCG64(round_seed)).random())  # of a round, the same for all hops
        setup = replace(setup, routes={way: [hop.met(share) for hop in hops] for way, hops in setup.routes.items()})
        made: list[Attempt] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(_log)
            begun_s = loop.time()
            call = self.target.call(setup, call_seed, self.clock)
            hosts = list(dict.fromkeys(peer.host_name for peer in call.peers))
            phases = np.random.Generator(np.random.PCG64(phase_seed)).random(len(hosts)) * BLOCK_S
            made.append(Attempt(call, dict(zip(hosts, phases.tolist(), strict=True))))
            for peer in call.peers:
                for each in peer.sections:
                    if isinstance(each.track, LiveTrack) and each.track.mouth.ear is not None:
                        each.track.mouth.ear.phase_s = made[0].phase_s(peer)  # it plays in the call itself
            begun(made[0])  # before anything is awaited: an interruption leaves it (``talking``)
            meter = LagMeter(loop, _PERIODS_S[talks]) if self.clock == "real" else None
            try:
                await in_time(call, use(call), min(longest_s, self.deadline.left_s))
            finally:
                self.deadline.spend(loop.time() - begun_s)
                if meter is not None:
                    meter.stop()
                    made[0].lag_s = meter.samples_s
                    made[0].stalls = [Stall(at_s - call.network.epoch_s, lasted) for at_s, lasted in meter.stalls]

        try:
            with asyncio.Runner(loop_factory=lambda: self._loop(entropy_seed, talks=talks)) as runner:
                runner.run(main())
        except Exception as error:
            if isinstance(error, RtcprobeError) or not made:
                raise
            end(made[0].call, unforeseen(error))
        return made[0]

    def _loop(self, seed: np.random.SeedSequence, *, talks: bool) -> asyncio.AbstractEventLoop:
        """Return a loop for one call."""
        if self.clock == "virtual":
            return VirtualEventLoop(Entropy(seed))
        # Where both ends are ours, whatever this process takes is added to a join; a server here needs its core.
        if talks or self.outside:
            return RealEventLoop()
        return RealEventLoop(awake=True, rests=self.priority.startswith("real-time"), rehearsals=rehearsals())


def afresh(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    """Return ``seed`` as it was before it had children, so that it has the same ones again."""
    return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)


async def _tick(call: Call, tick: Callable[[float], None]) -> None:
    while True:
        tick(call.talked_s())
        await asyncio.sleep(_TICK_S)


def _log(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """Keep what a task of the stack's own died of for the log: on a terminal it would be a traceback."""
    LOG.info("%s", context.get("message", "a task died"), exc_info=context.get("exception"))


def _no_one(_attempt: Attempt) -> None:
    """Tell nobody."""
