"""What comes before a run: refusing what cannot be run, and the first join of the process, which nobody measures."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rtcprobe.call.script import absent, cues_of
from rtcprobe.call.targets.base import CallSetup, PlacedTarget, RoomTarget, Target, find_target
from rtcprobe.call.targets.loopback import LoopbackTarget
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.result import Clock, Engine
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.virtual import VirtualEventLoop
from rtcprobe.scenario import CallPlan, Cue, Scenario
from rtcprobe.units import format_duration
from rtcprobe.verdict import Budget
from rtcprobe.verdict.metrics import Over, metric_named
from rtcprobe.ways import BOTH_LEGS, BOTH_WAYS, Leg, Medium, Way

__all__ = ["carries_messages", "check_target", "warm_up"]

TURNS: tuple[Over, ...] = ("response", "barge_in")
"""What budgets of a conversation are about."""


SIMULATED = ("loopback", "sfu")
"""Targets at which the simulated agent answers."""

_OF_PARTIES: tuple[Over, ...] = ("join", "room")
"""What budgets name a party or a role of."""

_OF_MEDIA: Mapping[Over, Medium] = {"glass_to_glass": "video", "lip_sync": "video", "messages": "messages"}
"""The medium of what budgets are about, where it is not sound."""

_TWO = ("caller", "callee")
"""Whom targets outside know."""


def _refuse_unsteered(scenario: Scenario) -> None:
    """Refuse cameras that adapt where nobody tells them of the line."""
    plans = [stream.video for stream in scenario.sending("video").values() if stream.video is not None]
    control = next((plan.control for plan in plans if plan.control != "fixed"), None)
    if control is None:
        return
    plan = scenario.target
    if plan.scheme.startswith("page"):
        raise BadInputError(f"video.control {control} at target {plan.shown}: a browser decides itself", "leave it out")
    if plan.ours and plan.scheme != "loopback":
        raise BadInputError(
            f"video.control {control} at target {plan.shown}: a server of ours tells nothing of the line",
            "call loopback, or a server of somebody else's",
        )
    # REMB and transport-wide feedback are negotiated for the whole call (rtcp-fb lines), not for one camera.
    if len({plan.control for plan in plans} - {"fixed"}) > 1:
        raise BadInputError(
            "video.control is gcc for one and remb for another", "one call tells of its lines in one way"
        )


def _refuse_unspoken(target: Target, call: CallPlan) -> None:
    """Refuse calls longer than the file that a browser's own microphone plays."""
    lasts_s = getattr(target, "microphone_s", math.inf)
    if call.duration_s + call.join_timeout_s > lasts_s:
        asked = f"call.duration {format_duration(call.duration_s)} is too long for target.mouth file"
        # Whole minutes, rounded down: what is offered as the cure must be accepted.
        longest_s = int((lasts_s - call.join_timeout_s) / 60) * 60
        raise BadInputError(asked, f"give {format_duration(longest_s)} or less, or leave target.mouth out")


def check_target(scenario: Scenario, clock: Clock, engine: Engine = "stack") -> Target:
    """Return whom ``scenario`` calls, once everything that can be known before has been refused.

    Raises:
        BadInputError: a target that cannot be meant, or not on this clock or by this engine; a budget about a way that
            the target does not measure.
    """
    plan = scenario.target
    if scenario.conversation is not None and plan.scheme.startswith(("sdp+", "whip+whep")):
        plan = replace(plan, options={"kind": "agent", **plan.options})  # whom else would one talk with
    target = find_target(plan)
    if engine == "model" and (clock == "real" or scenario.target.scheme != "loopback"):
        fact = "knows no real time" if clock == "real" else f"cannot call {target.name}"
        raise BadInputError(f"engine model {fact}", "it models the loopback in virtual time: use engine stack")
    _refuse_unsteered(scenario)
    _refuse_unspoken(target, scenario.call)
    names = tuple(party.name for party in scenario.parties)
    outside = not scenario.target.ours
    if isinstance(target, PlacedTarget):
        target = target.placed(scenario)
    elif not outside or names != _TWO:
        if not isinstance(target, RoomTarget):
            raise BadInputError(f"{target.name} cannot be called by {', '.join(names)}", "write a caller and a callee")
        target = target.joining(names, [way for way in scenario.ways if way.medium == "audio"])
    if outside and cues_of(scenario.parties, scenario.script) and not getattr(target, "performs", False):
        raise BadInputError(
            f"{target.name} is called without cues",
            "a script, comes and leaves are performed in rooms: write parties, or leave them out",
        )
    if scenario.target.scheme == "loopback":
        _refuse_back(cues_of(scenario.parties, scenario.script))
    if engine == "model" and cues_of(scenario.parties, scenario.script):
        raise BadInputError("engine model performs no cues", "it models who is there all the time: use engine stack")
    if clock not in target.clocks:
        raise BadInputError(
            f"target {target.name} cannot be called in virtual time", "time passes at a real server: add --real-time"
        )
    if scenario.conversation is not None:
        _check_conversation(scenario, target, engine)
        return target
    measured = tuple(map(Way, target.directions))
    of_media = {over: _sent(scenario, medium, measured) for over, medium in _OF_MEDIA.items()}
    roles = {party.name: party.role for party in scenario.parties}
    for budget in scenario.budgets:
        _refuse_unknown(budget, target, measured, roles)
        _refuse_unseen(budget, of_media, roles)
        _refuse_uncarried(budget, target, outside=outside)
    return target


def carries_messages(target: Target, *, outside: bool) -> bool:
    """Return whether messages are exchanged: with a target ``outside``, where it has a TextRoom beside its room."""
    return not outside or getattr(target, "textroom", None) is not None


def _refuse_back(cues: Sequence[Cue]) -> None:
    """Refuse a cue by which somebody comes back: who call each other without a server connect once.

    Raises:
        BadInputError: with what can be meant.
    """
    for party in dict.fromkeys(cue.party for cue in cues):
        joins = [cue for cue in cues if cue.party == party and cue.does == "join"]
        # Who is there from the start comes back by its first join; who comes by a cue, by its second.
        back = joins[1:] if absent(party, cues) else joins
        if back:
            raise BadInputError(
                f"cue {back[0]} lets {party} come back, and parties that call each other connect once",
                "take it out, or write target: sfu",
            )


def _refuse_unknown(budget: Budget, target: Target, measured: Sequence[Way], roles: Mapping[str, str]) -> None:
    """Refuse a budget about a conversation, a way, a leg, a party or a role that there will not be.

    ``roles`` are those of the parties, by name, "" of none.

    Raises:
        BadInputError: with the nearest there is.
    """
    metric = metric_named(budget.metric)
    if metric.over in TURNS:
        cure = "give a conversation with lines to say"
        raise BadInputError(f"budget {budget.expression!r}: there is no conversation here", cure)
    parties = tuple(roles)
    # Role to role there are delays alone (``verdict.room.metrics``): lost.host_to_audience is nothing.
    of_roles = metric.over == "mouth_to_ear" and not metric.suffix and _between_roles(metric.way, measured, roles)
    unmeasured = metric.way not in measured and not (metric.way is None and measured) and not of_roles
    if metric.over == "mouth_to_ear" and unmeasured:
        # Two can be listed; of a room's many the nearest is offered.
        few = len(measured) <= len(BOTH_WAYS) or metric.way is None
        known = " and ".join(measured) or "joins alone"
        cure = f"it measures {known}" if few else did_you_mean(metric.way, measured)
        raise BadInputError(f"budget {budget.expression!r}: {target.name} does not measure that way", cure)
    # Who knows legs of its own tells them; of a call of two they are there and back, and those of any echo.
    if isinstance(target, PlacedTarget) or (parties != _TWO and isinstance(target, RoomTarget)):
        legs = {*target.legs}
    else:
        legs = {*BOTH_LEGS, *(Leg.between(way.talker, way.listener) for way in measured if not way.there_and_back)}
    ends = dict.fromkeys((*parties, *(way.listener for way in measured), *filter(None, roles.values())))
    there: Sequence[str] = sorted(legs) if metric.over == "link" else list(ends) if metric.over in _OF_PARTIES else ()
    if metric.way is not None and there and metric.way not in there:
        cure = did_you_mean(metric.way, there)
        raise BadInputError(f"budget {budget.expression!r}: there is no {metric.way} here", cure)


def _sent(scenario: Scenario, medium: Medium, measured: Sequence[Way]) -> tuple[Way, ...]:
    """Return the ways of a medium: an echo sends the pictures of who calls back to it, and nobody else's anywhere."""
    ways = tuple(way for way in scenario.ways if way.medium == medium)
    echoed = [way for way in measured if way.there_and_back]
    if medium != "video" or not echoed:
        return ways
    shown = {way.talker for way in ways}
    return tuple(Way.of(way.talker, way.listener, medium) for way in echoed if way.talker in shown)


def _refuse_unseen(budget: Budget, of_media: Mapping[Over, Sequence[Way]], roles: Mapping[str, str]) -> None:
    """Refuse a budget about messages that nobody sends, and about pictures or messages on a way that has none.

    Raises:
        BadInputError: with the nearest there is.
    """
    metric = metric_named(budget.metric)
    there = of_media.get(metric.over, ())
    if metric.over == "messages" and not there:
        cure = "give messages: {rate: 5/s, size: 200B}, of all or of a party"
        raise BadInputError(f"budget {budget.expression!r}: nobody sends messages here", cure)
    if metric.way is None or not there:
        return
    way, known = Way(metric.way), [Way.of(each.talker, each.listener) for each in there]
    of_roles = not metric.suffix and metric.over == "glass_to_glass" and _between_roles(way, there, roles)
    if Way.of(way.talker, way.listener) not in known and not of_roles:
        cure = did_you_mean(Way.of(way.talker, way.listener), known)
        raise BadInputError(f"budget {budget.expression!r}: nothing of that is sent on that way", cure)


def _refuse_uncarried(budget: Budget, target: Target, *, outside: bool) -> None:
    """Refuse a budget about messages where a target exchanges none.

    Raises:
        BadInputError: it is one.
    """
    if metric_named(budget.metric).over == "messages" and not carries_messages(target, outside=outside):
        raise BadInputError(
            f"budget {budget.expression!r}: messages are not exchanged with {target.name}",
            "judge them at the loopback, sfu, mix, or a room of Janus with target.textroom",
        )


def _between_roles(way: str | None, measured: Sequence[Way], roles: Mapping[str, str]) -> bool:
    """Return whether a way that is measured leads from one role, or party, to another."""
    if way is None:
        return False
    talker, listener = Way(way).talker, Way(way).listener
    return any(
        talker in (each.talker, roles.get(each.talker)) and listener in (each.listener, roles.get(each.listener))
        for each in measured
    )


def _check_conversation(scenario: Scenario, target: Target, engine: Engine) -> None:
    """Refuse what cannot be, and budgets that would judge nothing but what was written.

    Raises:
        BadInputError: the model, which speaks no lines; a budget about markers, which nobody speaks; one that the
            simulated agent's own parameters decide.
    """
    if engine == "model":
        raise BadInputError("engine model holds no conversation", "use engine stack")
    simulated = target.name in SIMULATED
    if not simulated and not getattr(target, "agent", False):
        raise BadInputError(f"target {target.name} is no voice agent", "call one by sdp+https or whip+whep")
    asked = scenario.conversation is not None and scenario.conversation.intelligibility
    if asked and not simulated:
        raise BadInputError(
            "conversation.intelligibility compares with the original, which an agent outside keeps to itself",
            "leave it out, or call the loopback",
        )
    for budget in scenario.budgets:
        metric = metric_named(budget.metric)
        if metric.suffix.endswith("stoi") and not asked:
            cure = "add conversation.intelligibility: true"
            raise BadInputError(f"budget {budget.expression!r}: intelligibility is not measured", cure)
        if metric.over == "mouth_to_ear":
            cure = "it has response and barge_in"
            raise BadInputError(f"budget {budget.expression!r}: in a conversation nobody speaks markers", cure)
        if not simulated or metric.over not in TURNS:
            continue
        # A budget whose outcome the scenario itself has written down tells nothing of the network.
        if metric.suffix == ".stages.agent" or (metric.suffix in ("", ".stop", ".arrived") and not budget.advisory):
            raise BadInputError(
                f"budget {budget.expression!r} is pointless: the simulated agent's hangover, think and interrupt_after "
                "decide it",
                f"make it advisory, judge {metric.over}.added, or call an agent: --target",
            )


def warm_up(setup: CallSetup) -> float:
    """Join once, here and in no time, so that no measured join is the first of the process; return the CPU it took."""
    begun_s = time.process_time()
    # Not the run's seed: it must not move what is drawn afterwards.
    nobody = np.random.SeedSequence(0)

    async def main() -> None:
        await LoopbackTarget().call(setup, nobody, "virtual").join()

    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(nobody))) as runner:
        runner.run(main())
    return time.process_time() - begun_s
