"""What a run needs of a call that was placed, whoever placed it: the stack, on either clock, or the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtcprobe.call.targets.access import Leg as Line
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.hearing.speech import Voices
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.probe import stalls
from rtcprobe.probe.hearing import Listened
from rtcprobe.probe.messaging import Exchanged, exchanged
from rtcprobe.probe.placing import Attempt
from rtcprobe.probe.seeing import Looking, Watched, watched
from rtcprobe.probe.spoke import Spoke, spoke_in
from rtcprobe.recording import Said
from rtcprobe.result import Clock
from rtcprobe.scenario import Cue
from rtcprobe.ways import Leg, Way

__all__ = ["Placed", "left_by", "modelled", "of_stack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A call: each way listened to, each watched and each of messages, its emulated lines, and how it went.

    ``said`` is what each of our peers said, ``happened`` which cues were carried out, and when. ``void`` says why the
    machine spoilt it, ``failed`` why it did not come about, ``cut`` what ended it. ``spoke`` is what the user of a
    conversation said. ``lag_s`` and ``emulator_s`` are how late loop and emulator ran.
    """

    ways: Sequence[Listened]
    watched: Sequence[Watched | Looking] = ()
    exchanged: Sequence[Exchanged] = ()
    said: Sequence[Said]
    legs: Mapping[Leg, Sequence[Line]]
    report: Mapping[str, Any] = field(default_factory=dict)
    failed: str | None = None
    cut: str | None = None
    void: str | None = None
    warnings: Sequence[str] = ()
    invalid: Sequence[str] = ()
    """Why what was measured does not count, a sentence each."""
    happened: Sequence[tuple[float, Cue]] = ()
    spoke: Spoke = field(default_factory=Spoke)
    lag_s: Sequence[float] = ()
    emulator_s: Sequence[float] = ()


def of_stack(attempt: Attempt, *, outside: bool) -> Placed:
    """Return what an attempt left; ``outside``: through a server that is not ours."""
    call = attempt.call
    return Placed(
        ways=[
            Listened(
                way=Way(way.direction),
                said=call.said_on(way),
                came=call.came_on(way, forwarded=outside),
                phase_s=attempt.phase_s(way.listener),
            )
            for way in call.ways
        ],
        watched=watched(call, outside=outside),
        exchanged=exchanged(call),
        said=[peer.said() for peer in call.peers if peer.speaks],
        legs={Leg(name): lines for name, lines in call.legs().items()},
        report=call.report(),
        failed=call.failed,
        cut=call.cut,
        void=stalls.void_call(attempt),
        warnings=call.warnings,
        invalid=getattr(call, "invalid", ()),  # targets of other packages need not know of it
        happened=call.happened,
        spoke=spoke_in(call),
        lag_s=attempt.lag_s,
        emulator_s=call.network.lateness.samples_s,
    )


def left_by(attempt: Attempt, clock: Clock) -> Placed:
    """Return of a join what ``Notes`` take: what it says of the machine, and not what was heard in it.

    In virtual time the machine has nothing to do with it, so that nobody asks what was said, packet by packet.
    """
    call = attempt.call
    return Placed(
        ways=(),
        said=[peer.said() for peer in call.peers if peer.speaks] if clock == "real" else (),
        legs={},
        warnings=call.warnings,
        invalid=getattr(call, "invalid", ()),
        lag_s=attempt.lag_s,
        emulator_s=call.network.lateness.samples_s,
    )


def modelled(setup: CallSetup, voices: Voices, seed: np.random.SeedSequence) -> Placed:
    """Return a call of the pure engine; ``seed`` is spent as ``Placing`` spends it on a call of the stack."""
    # The third child is the phases' in both: equal seeds have equal loudspeakers (``Placing._place`` spawns four).
    chance, call_seed, phase_seed = seed.spawn(3)
    red_copies = setup.protection.red_copies
    from rtcprobe.model import Plan, Voice, place  # noqa: PLC0415 - six modules that a call of the stack does without

    plan = Plan(
        routes=setup.routes,
        voices={
            name: Voice(frames=voice.frames, ptime_s=voice.codec.ptime_s, red_copies=red_copies)
            if (voice := voices.get(name)) is not None
            else None
            for name in setup.speech
        },
        hears=setup.hears,
        protection=setup.protection,
        connection=setup.connection,
        dtls_timeout_s=setup.dtls_timeout_s,
        join_timeout_s=setup.join_timeout_s,
    )
    call = place(plan, call_seed, chance)
    # One for each party in the order written, as hosts are made by the stack.
    draws = np.random.Generator(np.random.PCG64(phase_seed)).random(len(setup.speech)) * BLOCK_S
    phase_s = dict(zip(setup.speech, draws.tolist(), strict=True))
    return Placed(
        ways=[
            Listened(way=way, said=heard.said, came=heard.came, phase_s=phase_s[way.listener])
            for way, heard in call.ways.items()
        ],
        said=[heard.said for heard in call.ways.values()],
        legs={
            leg: [Line(specs=specs, tally=tally)] for leg, (specs, tally) in call.lines.items() if Way(leg) in call.ways
        },
        failed=call.failed,
    )
