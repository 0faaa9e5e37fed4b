"""Running a scenario on one of the two clocks; the same program on both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtcprobe.errors import BadInputError, RtcprobeError
from rtcprobe.hearing.speech import checked_alone, speak
from rtcprobe.probe import stalls
from rtcprobe.probe.beforehand import carries_messages, check_target, warm_up
from rtcprobe.probe.deadline import Deadline, longest_join_s, longest_talk_s
from rtcprobe.probe.environment import environment
from rtcprobe.probe.harness import Harness
from rtcprobe.probe.joining import Joining
from rtcprobe.probe.messaging import Messages
from rtcprobe.probe.notes import Listener, Notes
from rtcprobe.probe.placing import Placing
from rtcprobe.probe.routes import never_met, nominal_round_trip_s, routes
from rtcprobe.probe.seeing import NoPictures
from rtcprobe.probe.setup import call_setup
from rtcprobe.probe.stalls import Voided
from rtcprobe.probe.sweeping import unwalked
from rtcprobe.probe.talking import CALL_ATTEMPTS, Talking
from rtcprobe.result import (
    Clock,
    Engine,
    Joins,
    Progress,
    Result,
)
from rtcprobe.scenario import Scenario
from rtcprobe.secrets import hiding, scrubbed
from rtcprobe.shelf import Shelf
from rtcprobe.verdict import judge

if TYPE_CHECKING:
    from rtcprobe.probe.conversing import Conversing
    from rtcprobe.probe.pictures import Pictures

__all__ = ["check_target", "run_probe"]

WITHOUT_JOINS = "engine model makes no joins, it models calls alone: budgets about joins are shown and do not bind"


def run_probe(
    scenario: Scenario,
    *,
    seed: int,
    clock: Clock,
    engine: Engine = "stack",
    progress: Listener | None = None,
    wav_dir: Path | None = None,
    video_dir: Path | None = None,
) -> Result:
    """Return what ``measure`` does, judged by the budgets of ``scenario``.

    Raises:
        BadInputError, MeasurementError: as ``measure`` does.
    """
    told = progress or _silent
    measured = measure(
        scenario, seed=seed, clock=clock, engine=engine, progress=told, wav_dir=wav_dir, video_dir=video_dir
    )
    return judge(measured, scenario.budgets)


def measure(
    scenario: Scenario,
    *,
    seed: int,
    clock: Clock,
    engine: Engine,
    progress: Listener,
    wav_dir: Path | None,
    video_dir: Path | None = None,
) -> Result:
    """Return what ``scenario`` measures, not judged: its joins, its calls; interrupted (Ctrl-C), what there is so far.

    ``wav_dir`` gets mouth and ear of both directions, aligned to the start of the call; of several calls each has a
    folder of its own in it, ``call-1`` and so on. ``video_dir`` gets what was filmed and, beside it, what was shown, in
    the same way. The ``engine`` is the whole stack, or the model of it, which makes no joins and is faster.

    Raises:
        BadInputError: a WAV that cannot be written; the model, and not the loopback in virtual time; a target that
            cannot be meant, or not on this clock; a budget about a direction that the target does not measure.
        MeasurementError: the machine refuses sockets (real clock).
    """
    target = check_target(scenario, clock, engine)
    with unwalked(clock, len(scenario.parties)), hiding():
        return _Run(scenario, Placing(target, clock), engine, seed, progress, wav_dir, video_dir).whole()


@dataclass(slots=True)
class _Run:
    scenario: Scenario
    placing: Placing
    engine: Engine
    seed: int
    progress: Listener
    wav_dir: Path | None
    video_dir: Path | None
    notes: Notes = field(init=False)
    joining: Joining = field(init=False)
    talking: Talking = field(init=False)
    interrupted: bool = False

    def whole(self) -> Result:
        scenario, plan, made_with = self.scenario, self.scenario.call, environment()
        hops = routes(scenario, self.placing.target.routes)
        conversing = _conversing(scenario)
        lasts_s = plan.duration_s if conversing is None else min(plan.duration_s, conversing.markers_s)
        mixed = getattr(self.placing.target, "mixes", False)
        voices = speak(scenario.sending("audio"), lasts_s, mixed=mixed, shelf=Shelf("speech"))
        # Before any call: an ear that is wrong on this very speech makes all of them void.
        error_s, survived, checked = checked_alone(voices)
        harness = Harness(self.placing.clock, detection_error_s=error_s, survived=survived, checked=checked)
        notes = self.notes = Notes(scenario, self.placing, harness, self.progress)
        self.joining = Joining(notes, Voided("join", plan.joins))
        pictures = self._pictures()
        messages = Messages(scenario, without=self._without("messages", "exchanged"))
        voided = Voided("call", plan.calls)
        self.talking = Talking(notes, self.engine, voices, pictures, messages, self.wav_dir, voided, conversing)
        # Rule 1 of the package: two children, whatever is made of them. A run without joins has the calls of one with a
        # hundred.
        joins_seed, calls_seed = np.random.SeedSequence(self.seed).spawn(2)
        # Only there is a join's CPU part of a time that passes.
        if self.placing.outside:
            harness.first_run_s = warm_up(call_setup(scenario, voices, None, endless=True))
        joining, talking = (
            call_setup(scenario, voices, hops, endless=endless, cameras=pictures.cameras(endless=endless))
            for endless in (True, False)
        )
        talking = talking if conversing is None else conversing.setup(talking)
        self.placing.deadline = Deadline(
            plan.joins * stalls.TRIES * longest_join_s(joining) + plan.calls * CALL_ATTEMPTS * longest_talk_s(talking)
        )
        try:
            if self.engine == "stack":
                self.joining.repeat(joining, joins_seed, partial(nominal_round_trip_s, hops))
            else:
                notes.warn(WITHOUT_JOINS)
            self.talking.repeat(talking, calls_seed)
        except KeyboardInterrupt:
            self.interrupted = True
        except RtcprobeError as error:
            # A WAV that cannot be written is the user's to mend; of what went wrong out there, what was measured before
            # stands.
            if isinstance(error, BadInputError) or not self.joining.attempts:
                raise
            notes.warn(f"the run ended early: {error}")  # what was measured before stands
        return self._result(made_with)

    def _pictures(self) -> Pictures | NoPictures:
        if not self.scenario.sending("video"):
            return NoPictures()
        from rtcprobe.probe.pictures import Pictures  # noqa: PLC0415 - 30 modules, of which sound needs none

        return Pictures(
            self.scenario,
            video_dir=self.video_dir,
            without=self._without("pictures", "measured"),
            filmed_there=getattr(self.placing.target, "films_there", ()),
        )

    def _without(self, what: str, done: str) -> str | None:
        """Return why ``what`` a scenario may have beside sound is not measured; None where it is."""
        if self.engine == "model":
            return f"engine model knows no {what}: sound alone was modelled"
        target = self.placing.target
        if what == "pictures":
            has = getattr(target, "pictures", False)
        else:
            has = carries_messages(target, outside=self.placing.outside)
        return None if has else f"{what} are not {done} with {target.name}: the sound was"

    def _result(self, made_with: Mapping[str, object]) -> Result:
        notes, joining, talking = self.notes, self.joining, self.talking
        notes.harness.priority = self.placing.priority
        voided = (self.joining.voided, self.talking.voided)
        missing = (each.complaint(self.placing.priority) for each in voided)
        accounts = talking.accounts()
        complaints = (*notes.harness.complaints(accounts), *(each for each in missing if each is not None))
        repeated = (sentence for each in voided for sentence in each.warnings())
        joined_s = max((each.first_audio_s for each in joining.attempts if each.first_audio_s is not None), default=0.0)
        late = never_met(self.scenario, joined_s)
        warnings = (
            *self.scenario.warnings,
            *late,
            *notes.warnings,
            *talking.pictures.warnings(),
            *talking.messages.warnings(),
            *repeated,
        )
        if self.placing.outside and not notes.joined:
            # The instrument spoilt nothing: there was nothing to measure.
            complaints, warnings = (), (*warnings, *complaints)
        cut = talking.cut(interrupted=self.interrupted)
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
            join=Joins(attempts=tuple(joining.attempts), others=tuple(joining.others)),
            accounts=accounts,
            link=talking.link(),
            harness=notes.harness.figures(),
            target=self.placing.target.name,
            measures=talking.measured,
            cut=cut,
            calls=tuple(talking.calls),
            happenings=tuple(talking.happenings),
            parties=talking.report or {party.name: {} for party in self.scenario.parties},
        )
        # Outside targets report in their own words, tokens among them.
        return scrubbed(result) if self.placing.outside else result


def _conversing(scenario: Scenario) -> Conversing | None:
    if scenario.conversation is None:
        return None
    from rtcprobe.probe.conversing import Conversing  # noqa: PLC0415 - 20 modules, of which markers need none

    return Conversing(scenario, scenario.conversation)


def _silent(_progress: Progress) -> None:
    """Listen to nothing."""
