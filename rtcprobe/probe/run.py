"""Running a scenario on one of the two clocks; the same program on both."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rtcprobe.call.targets import access
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.errors import BadInputError, RtcprobeError
from rtcprobe.hearing.pooled import CallAccount, pooled
from rtcprobe.hearing.speech import Voices, checked_alone, speak
from rtcprobe.probe import stalls
from rtcprobe.probe.beforehand import check_target, warm_up
from rtcprobe.probe.conversing import MARKERS_S, Conversing
from rtcprobe.probe.deadline import Deadline, longest_join_s, longest_talk_s
from rtcprobe.probe.environment import environment
from rtcprobe.probe.harness import Harness
from rtcprobe.probe.hearing import Heard, hear_call, judge_join
from rtcprobe.probe.placed import Placed, modelled, of_stack
from rtcprobe.probe.placing import Attempt, Placing
from rtcprobe.probe.routes import never_met, nominal_round_trip_s, routes
from rtcprobe.probe.setup import call_setup
from rtcprobe.probe.stalls import Voided
from rtcprobe.result import (
    Account,
    Clock,
    Engine,
    JoinAttempt,
    Joins,
    LinkReport,
    PlacedCall,
    Progress,
    Result,
)
from rtcprobe.scenario import Scenario
from rtcprobe.secrets import hiding, scrubbed
from rtcprobe.verdict import judge
from rtcprobe.ways import Leg, Way

__all__ = ["check_target", "run_probe"]

Listener = Callable[[Progress], None]

WITHOUT_JOINS = "engine model makes no joins, it models calls alone: budgets about joins are shown and do not bind"

VAIN_TRIES = 3
"""So many joins and calls to an outside target, none of them heard, are enough."""

CALL_ATTEMPTS = stalls.TRIES
"""How often each call is tried: its own join may fail, and joins are counted elsewhere."""


def run_probe(
    scenario: Scenario,
    *,
    seed: int,
    clock: Clock,
    engine: Engine = "stack",
    progress: Listener | None = None,
    wav_dir: Path | None = None,
) -> Result:
    """Return what ``scenario`` measures: its joins, its calls, its verdict; interrupted (Ctrl-C), what there is so far.

    ``wav_dir`` gets mouth and ear of both directions, aligned to the start of the call; of several calls each has a
    folder of its own in it, ``call-1`` and so on. The ``engine`` is the whole stack, or the model of it, which makes no
    joins and is faster.

    Raises:
        BadInputError: a WAV that cannot be written; the model, and not the loopback in virtual time; a target that
            cannot be meant, or not on this clock; a budget about a direction that the target does not measure.
        MeasurementError: the machine refuses sockets (real clock).
    """
    target = check_target(scenario, clock, engine)
    # What is loaded by now stays: the collector need not walk it again and again while packets are timed.
    if clock == "real":
        gc.collect()  # and what is garbage by now is no walk in the middle of a call
    gc.freeze()
    try:
        with hiding():
            return _Run(scenario, Placing(target, clock), engine, seed, progress or _silent, wav_dir).whole()
    finally:
        # A call leaves circles behind, 2 MB each. What is frozen need not be walked to find them: 2 ms instead of 48.
        gc.collect()
        gc.unfreeze()


@dataclass(slots=True)
class _Run:
    scenario: Scenario
    placing: Placing
    engine: Engine
    seed: int
    progress: Listener
    wav_dir: Path | None
    voices: Voices = field(init=False)
    harness: Harness = field(init=False)
    joins: list[JoinAttempt] = field(default_factory=list)
    calls: list[PlacedCall] = field(default_factory=list)
    """Every try of every call."""
    heard: dict[int, Heard] = field(default_factory=dict)
    """What each call said, by its number; the calls themselves are gone by then."""
    legs: list[Mapping[Leg, Sequence[access.Leg]]] = field(default_factory=list)
    report: Mapping[str, Any] = field(default_factory=dict)
    """What the latest call agreed on with an outside target."""
    void_joins: Voided = field(init=False)
    void_calls: Voided = field(init=False)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    conversing: Conversing | None = None

    def whole(self) -> Result:
        scenario, made_with = self.scenario, environment()
        hops = routes(scenario, self.placing.target.routes)
        lasts_s, plan = scenario.call.duration_s, scenario.conversation
        if plan is not None:
            self.conversing = Conversing(scenario, plan)
            lasts_s = min(lasts_s, MARKERS_S)
        self.voices = speak(scenario.sending("audio"), lasts_s)
        error_s, survived, checked = checked_alone(self.voices)
        self.harness = Harness(self.placing.clock, detection_error_s=error_s, survived=survived, checked=checked)
        joins_seed, calls_seed = np.random.SeedSequence(self.seed).spawn(2)
        if self.placing.outside:
            self.harness.first_run_s = warm_up(call_setup(scenario, self.voices, None, endless=True))
        joining, talking = (call_setup(scenario, self.voices, hops, endless=endless) for endless in (True, False))
        if self.conversing is not None:
            talking = self.conversing.setup(talking)
        calls = scenario.call
        self.void_joins, self.void_calls = Voided("join", calls.joins), Voided("call", calls.calls)
        self.placing.deadline = Deadline(
            calls.joins * stalls.TRIES * longest_join_s(joining) + calls.calls * CALL_ATTEMPTS * longest_talk_s(talking)
        )
        try:
            if self.engine == "stack":
                self._join_repeatedly(
                    joining, joins_seed, nominal_round_trip_s(hops, *(party.name for party in scenario.parties[:2]))
                )
            else:
                self._warn(WITHOUT_JOINS)
            self._call_repeatedly(talking, calls_seed)
        except KeyboardInterrupt:
            self.interrupted = True
        except RtcprobeError as error:
            if isinstance(error, BadInputError) or not self.joins:
                raise
            self._warn(f"the run ended early: {error}")  # what was measured before stands
        return self._result(made_with)

    def _join_repeatedly(self, setup: CallSetup, seed: np.random.SeedSequence, round_trip_s: float | None) -> None:
        count = self.scenario.call.joins
        judged = partial(judge_join, scenario=self.scenario, round_trip_s=round_trip_s, outside=self.placing.outside)
        for done, child in enumerate(seed.spawn(count)):
            self.progress(Progress(step="joining", done=done, total=count, unit="joins"))
            if self._hopeless():
                rest = "the call" if self.scenario.call.calls == 1 else "the calls"
                self.warnings.append(f"{count - done} joins and {rest} were not tried: none of {done} was heard")
                return
            if self.placing.deadline.passed:
                self.warnings.append(f"{count - done} joins were not tried: {self.placing.deadline}")
                return
            attempt = self._join(done, setup, child)
            if attempt is None:
                continue
            self._take(of_stack(attempt, outside=self.placing.outside))
            if attempt.call.cpu_s is not None:
                self.harness.join_cpu_s.append(attempt.call.cpu_s)
                for peer in attempt.call.peers:
                    self.harness.count_own(peer.own_s)
            self.joins += [judged(attempt, joiner) for joiner in attempt.call.joiners]
        self.progress(Progress(step="joining", done=count, total=count, unit="joins"))

    def _join(self, number: int, setup: CallSetup, seed: np.random.SeedSequence) -> Attempt | None:
        """Make one join, as often as it takes for this machine not to spoil it; None where it always does."""
        for _ in range(stalls.TRIES):
            attempt = self.placing.join(setup, _afresh(seed))
            why = stalls.void_join(attempt)
            if why is None:
                return attempt
            self.void_joins.add(number, why)
        self.void_joins.missing.add(number)
        return None

    def _call_repeatedly(self, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        for number, child in enumerate(seed.spawn(self.scenario.call.calls)):
            if self._call(number, setup, child):
                continue
            if self.placing.deadline.passed:
                return
            if self.placing.outside and self.calls and self.calls[-1].void is None:
                self._leave_out(number + 1)
                return

    def _call(self, number: int, setup: CallSetup, seed: np.random.SeedSequence) -> bool:
        """Place one call, as often as it takes, and hear it; return whether it came about."""
        seeds = iter(seed.spawn(CALL_ATTEMPTS))
        child = next(seeds)
        for tried in range(1, CALL_ATTEMPTS + 1):
            if self._hopeless():
                return False
            if self.placing.deadline.passed:
                self._warn(f"{self._called(number)} was not tried again: {self.placing.deadline}")
                return False
            placed = self._talk(number, setup, _afresh(child))
            void, failed, cut = placed.void, placed.failed, placed.cut
            self.calls.append(PlacedCall(call=number, attempt=tried, void=void, cut=cut, failed=failed))
            if void is not None:
                self.void_calls.add(number, void)
                continue
            self._take(placed)
            if failed is None:
                self._hear(number, placed)
                return True
            self._keep(placed, heard=False)
            self._warn(f"{self._called(number)} did not join: {failed}")
            child = next(seeds, child)
        if self.calls[-1].void is not None:
            self.void_calls.missing.add(number)
        return False

    def _talk(self, number: int, setup: CallSetup, seed: np.random.SeedSequence) -> Placed:
        """Place a call once; of an interrupted one what came until then is heard, and the interruption goes on."""
        begun: list[Attempt] = []
        plan, outside = self.scenario.call, self.placing.outside

        def tick(talked_s: float) -> None:
            done_s = number * plan.duration_s + min(talked_s, plan.duration_s)
            self.progress(Progress(step="talking", done=done_s, total=plan.calls * plan.duration_s, unit="s"))

        if self.engine == "model":
            placed = modelled(setup, self.voices, seed)
            tick(plan.duration_s)
            return placed
        try:
            return of_stack(self.placing.talk(setup, seed, begun.append, tick), outside=outside)
        except KeyboardInterrupt:
            if begun:
                self.calls.append(PlacedCall(call=number, attempt=self._tries(number) + 1, cut="interrupted"))
                self._hear(number, of_stack(begun[0], outside=outside))
            raise

    def _hear(self, number: int, placed: Placed) -> None:
        wav_dir = self.wav_dir
        if wav_dir is not None and self.scenario.call.calls > 1:
            wav_dir /= f"call-{number + 1}"
            try:
                wav_dir.mkdir(exist_ok=True)
            except OSError as error:
                raise BadInputError(f"{wav_dir} cannot be written", error.strerror or str(error)) from error
        if self.conversing is not None:
            self.conversing.hear(number, placed.ways, placed.lines, wav_dir)
        self.heard[number] = hear_call(
            placed.ways,
            self.voices,
            self.scenario,
            wanted=self._measures(),
            wav_dir=wav_dir if self.conversing is None else None,
        )
        self._keep(placed, heard=True)

    def _keep(self, placed: Placed, *, heard: bool) -> None:
        """Keep what a call says of its links and its target; of one that failed, while there is no other."""
        if heard or not self.heard:
            self.report = placed.report
            self.legs = [*self.legs[: len(self.heard) - 1], placed.legs] if heard else [placed.legs]

    def _take(self, placed: Placed) -> None:
        """Take what an attempt says of the machine, and what a reader should know."""
        for each in placed.warnings:
            self._warn(each)
        if self.placing.clock == "real":
            self.harness.loop_s.extend(placed.lag_s)
            self.harness.emulator_s.extend(placed.emulator_s)
            for said in placed.said:
                self.harness.pacing_s.extend(said.pacing_lateness_s())

    def _hopeless(self) -> bool:
        """Return whether an outside target has not been heard at all: it need not be asked again and again."""
        return self.placing.outside and not self._joined() and len(self.joins) + len(self.calls) >= VAIN_TRIES

    def _joined(self) -> bool:
        heard = any(each.first_audio_s is not None for each in self.joins)
        return heard or any(each.failed is None for each in self.calls)

    def _tries(self, number: int) -> int:
        return sum(each.call == number for each in self.calls)

    def _leave_out(self, number: int) -> None:
        """Say that the calls from ``number`` on were not placed, where there are any and joins were heard."""
        count = self.scenario.call.calls
        if number < count and self._joined():
            left_out = f"call {count}" if number + 1 == count else f"calls {number + 1} to {count}"
            self.warnings.append(f"{left_out} not placed: {self._called(number - 1)} failed {CALL_ATTEMPTS} times")

    def _called(self, number: int) -> str:
        count = self.scenario.call.calls
        return "the call" if count == 1 else f"call {number + 1} of {count}"

    def _warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _result(self, made_with: Mapping[str, object]) -> Result:
        self.harness.priority = self.placing.priority
        voided = (self.void_joins, self.void_calls)
        missing = (each.complaint(self.placing.priority) for each in voided)
        accounts = self._accounts()
        complaints = (
            *self.harness.complaints(accounts),
            *(each for each in missing if each is not None),
        )
        repeated = (sentence for each in voided for sentence in each.warnings())
        joined_s = max((each.first_audio_s for each in self.joins if each.first_audio_s is not None), default=0.0)
        late = never_met(self.scenario, joined_s)
        warnings = (*self.scenario.warnings, *late, *self.warnings, *repeated)
        if self.placing.outside and not self._joined():
            # The instrument spoilt nothing: there was nothing to measure.
            complaints, warnings = (), (*warnings, *complaints)
        cut = self._cut()
        if complaints and cut is not None:
            complaints = (*complaints, f"the call was cut: {cut}")
        result = Result(
            scenario=self.scenario.name,
            scenario_digest=self.scenario.digest,
            seed=self.seed,
            clock=self.placing.clock,
            engine=self.engine,
            settings=self.scenario.settings,
            verdict="invalid" if complaints else "inconclusive",
            reasons=complaints,
            warnings=warnings,
            interrupted=self.interrupted,
            environment=made_with,
            join=Joins(attempts=tuple(self.joins)),
            accounts=accounts,
            link=self._link(),
            harness=self.harness.figures(),
            target=self.placing.target.name,
            measures=self._measures(),
            cut=cut,
            calls=tuple(self.calls),
            peers=self._peers(),
        )
        return judge(scrubbed(result) if self.placing.outside else result, self.scenario.budgets)

    def _cut(self) -> str | None:
        """Return what ended the first call that was cut short, and of several which it was."""
        if self.interrupted:
            return None
        first = next((each for each in self.calls if each.cut is not None and each.void is None), None)
        if first is None or self.scenario.call.calls == 1:
            return None if first is None else first.cut
        return f"{first.cut} ({self._called(first.call)})"

    def _measures(self) -> tuple[Way, ...]:
        return () if self.conversing is not None else tuple(map(Way, self.placing.target.directions))

    def _accounts(self) -> tuple[Account, ...]:
        accounts: dict[Way, dict[int, CallAccount]] = {}
        for number, heard in self.heard.items():
            for way, account in heard.accounts.items():
                accounts.setdefault(way, {})[number] = account
        turns = () if self.conversing is None else self.conversing.accounts
        return (*(pooled(calls) for calls in accounts.values()), *turns)

    def _link(self) -> Mapping[Leg, LinkReport]:
        first = self.legs[0] if self.legs else {}
        return {each: access.report([legs[each] for legs in self.legs]) for each in first}

    def _peers(self) -> Mapping[str, Any]:
        """Return what was agreed with the target, and of several listeners how late each heard, a mean over calls."""
        peers = dict(self.report)
        by_listener = zip(*(heard.listeners_s for heard in self.heard.values() if heard.listeners_s), strict=True)
        for name, calls_s in zip(list(peers)[1:], by_listener, strict=False):
            known_s = [each for each in calls_s if each is not None]
            mean_s = sum(known_s) / len(known_s) if known_s else None
            peers[name] = {**peers[name], "mouth_to_ear_mean_s": mean_s}
        return peers


def _afresh(seed: np.random.SeedSequence) -> np.random.SeedSequence:
    """Return ``seed`` as it was before it had children, so that it has the same ones again."""
    return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)


def _silent(_progress: Progress) -> None:
    """Listen to nothing."""
