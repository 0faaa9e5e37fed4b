"""Target ``mix``: every party has one connection to a mixing server of ours, and hears one mix of all it hears.

Facts:
    A mixer (RFC 7667 §3.6.1) costs a listener one stream however many speak, and everybody the time that it keeps
    packets: ``prebuffer`` of them before a talker is mixed (six where nothing is said, as Janus' AudioBridge; of one,
    what came last), and up to a ``tick`` until the next mix.
    A mix is encoded anew, and nothing in it tells whose packet it was made of: its talkers share no marker codes.

Rules:
    1. There is one mixer: one that another mixer's mix goes into would be heard twice.
    2. Seeds, legs and joins are as with ``sfu``, the server called ``mix``; the grid of its ticks is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np

from rtcprobe.audio.mixer import MIXED
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.mix_call import MixCall
from rtcprobe.call.targets.sfu import SfuTarget
from rtcprobe.errors import BadInputError
from rtcprobe.result import Clock
from rtcprobe.scenario import Scenario, TargetPlan
from rtcprobe.units import format_duration, parse_duration

__all__ = ["MixTarget", "make_target"]

OPTIONS: Final = ("prebuffer", "tick")
_USUAL_PREBUFFER = 6
"""DEFAULT_PREBUFFERING of janus-gateway, ``plugins/janus_audiobridge.c``."""
_MOST_PREBUFFER = 50
"""MAX_PREBUFFERING there."""
# The mixer's thread of ``plugins/janus_audiobridge.c`` mixes each 20 ms, and packs a mix into one packet.
_USUAL_TICK_S = 0.020


@dataclass(frozen=True, slots=True, kw_only=True)
class MixTarget(SfuTarget):
    """A mixer of ours between the parties, on either clock. ``prebuffer`` is in packets."""

    mixes: ClassVar[bool] = True
    pictures: ClassVar[bool] = False
    prebuffer: int = _USUAL_PREBUFFER
    tick_s: float = _USUAL_TICK_S

    @property
    def name(self) -> str:
        """What results call it."""
        return "mix"

    def placed(self, scenario: Scenario) -> MixTarget:
        """Return the mixer of ``scenario``, between its parties.

        Raises:
            BadInputError: several servers; packets that are no tick long; as with ``sfu``.
        """
        if len(scenario.servers) > 1:
            raise BadInputError(
                f"target mix has {len(scenario.servers)} servers ({', '.join(scenario.servers)})",
                "one mixes: leave one, or write target: sfu",
            )
        for party, stream in scenario.sending("audio").items():
            # A tick takes one packet of each talker: a shorter one would pile up in
            # the prebuffer, a longer one would leave gaps.
            if abs(stream.codec.ptime_s - self.tick_s) > 1e-9:
                ptime, tick = format_duration(stream.codec.ptime_s), format_duration(self.tick_s)
                raise BadInputError(
                    f"{party} sends packets of {ptime}, and target mix mixes one each {tick}",
                    f"write target.tick {ptime}, the same for all",
                )
        found = SfuTarget.placed(self, scenario)
        assert isinstance(found, MixTarget)
        return found

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> MixCall:
        """Return a call, not yet begun, on the running loop."""
        encoding = replace(MIXED, ptime_s=self.tick_s)
        return MixCall(setup, seed, self.topology, prebuffer=self.prebuffer, encoding=encoding, sockets=clock == "real")


def make_target(plan: TargetPlan) -> MixTarget:
    """Return a mixer that nobody is connected to yet.

    Raises:
        BadInputError: options that cannot be meant.
    """
    if plan.url != "mix":
        raise BadInputError(f"target {plan.shown!r} is impossible", "mix stands alone: target.region says where it is")
    plan.only(OPTIONS)
    return MixTarget(
        nack="answer",
        prebuffer=_prebuffer(plan.options.get("prebuffer", _USUAL_PREBUFFER)),
        tick_s=_tick(plan.options.get("tick", "20ms")),
    )


def _prebuffer(written: Any) -> int:
    if isinstance(written, bool) or not isinstance(written, int) or not 1 <= written <= _MOST_PREBUFFER:
        raise BadInputError(f"target.prebuffer {written!r} is impossible", f"give 1 to {_MOST_PREBUFFER} packets")
    return written


def _tick(written: Any) -> float:
    try:
        tick_s = parse_duration(written)
    except BadInputError as error:
        raise error.within("target.tick") from error
    # Opus' frame lengths (RFC 6716 §2.1.4) from 10 ms on, which is what browsers say of themselves (``minptime=10``).
    if not any(abs(tick_s - each) < 1e-9 for each in (0.010, 0.020, 0.040, 0.060)):
        raise BadInputError(f"target.tick {format_duration(tick_s)} is impossible", "use 10ms, 20ms, 40ms or 60ms")
    return tick_s
