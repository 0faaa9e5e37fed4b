"""The calls of a run: each placed as often as it takes, heard in every direction, and let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcprobe.call.targets import access
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.errors import BadInputError
from rtcprobe.hearing.pooled import CallAccount, pooled
from rtcprobe.hearing.speech import Voices
from rtcprobe.probe import stalls
from rtcprobe.probe.hearing import hear_call
from rtcprobe.probe.messaging import Messages
from rtcprobe.probe.notes import Notes
from rtcprobe.probe.placed import Placed, modelled, of_stack
from rtcprobe.probe.placing import Attempt, afresh
from rtcprobe.probe.seeing import NoPictures
from rtcprobe.probe.stalls import Voided
from rtcprobe.result import Account, Engine, Happening, LinkReport, PlacedCall, Progress
from rtcprobe.ways import Leg, Way

if TYPE_CHECKING:
    from rtcprobe.probe.conversing import Conversing
    from rtcprobe.probe.pictures import Pictures

__all__ = ["CALL_ATTEMPTS", "Talking"]

CALL_ATTEMPTS = stalls.TRIES
"""How often each call is tried: its own join may fail, and joins are counted elsewhere."""


@dataclass(slots=True)
class Talking:
    """The calls so far, and what each said; the calls themselves are gone by then."""

    notes: Notes
    engine: Engine
    voices: Voices
    pictures: Pictures | NoPictures
    messages: Messages
    wav_dir: Path | None
    voided: Voided
    conversing: Conversing | None = None
    """What is held in place of speeches, in a conversation."""
    calls: list[PlacedCall] = field(default_factory=list)
    """Every try of every call."""
    heard: dict[int, Mapping[Way, CallAccount]] = field(default_factory=dict)
    """What each call said, by its number."""
    happenings: list[Happening] = field(default_factory=list)
    legs: list[Mapping[Leg, Sequence[access.Leg]]] = field(default_factory=list)
    report: Mapping[str, Any] = field(default_factory=dict)
    """What the latest call agreed on with an outside target."""

    def repeat(self, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        """Place and hear every call of the scenario."""
        for number, child in enumerate(seed.spawn(self.notes.scenario.call.calls)):
            if self._call(number, setup, child):
                continue
            if self.notes.placing.deadline.passed:
                return
            # A server that failed thrice in a row is left alone; ours, and calls that this machine spoilt, are tried
            # on.
            if self.notes.placing.outside and self.calls and self.calls[-1].void is None:
                self._leave_out(number + 1)
                return

    def _call(self, number: int, setup: CallSetup, seed: np.random.SeedSequence) -> bool:
        """Place one call, as often as it takes, and hear it; return whether it came about."""
        # A void try is made again with the seed it had; one that failed, with the next: the same network would fail it
        # again.
        seeds = iter(seed.spawn(CALL_ATTEMPTS))
        child = next(seeds)
        for tried in range(1, CALL_ATTEMPTS + 1):
            if self.notes.hopeless:
                return False
            if self.notes.placing.deadline.passed:
                self.notes.warn(f"{self._called(number)} was not tried again: {self.notes.placing.deadline}")
                return False
            placed = self._talk(number, setup, afresh(child))
            void, failed, cut = placed.void, placed.failed, placed.cut
            self.calls.append(PlacedCall(call=number, attempt=tried, void=void, cut=cut, failed=failed))
            self.notes.count(joined=failed is None)
            if void is not None:
                self.voided.add(number, void)
                self.report = self.report or placed.report  # who took part is true of a spoilt call too
                continue
            self.notes.take(placed)
            if failed is None:
                self._hear(number, placed)
                return True
            # What a call agreed on before it failed is told where nothing better comes.
            self._keep(placed, heard=False)
            self.notes.warn(f"{self._called(number)} did not join: {failed}")
            child = next(seeds, child)
        if self.calls[-1].void is not None:
            self.voided.missing.add(number)
        return False

    def _talk(self, number: int, setup: CallSetup, seed: np.random.SeedSequence) -> Placed:
        """Place a call once; of an interrupted one what came until then is heard, and the interruption goes on."""
        begun: list[Attempt] = []
        plan, outside = self.notes.scenario.call, self.notes.placing.outside

        def tick(talked_s: float) -> None:
            done_s = number * plan.duration_s + min(talked_s, plan.duration_s)
            self.notes.progress(Progress(step="talking", done=done_s, total=plan.calls * plan.duration_s, unit="s"))

        if self.engine == "model":
            placed = modelled(setup, self.voices, seed)
            tick(plan.duration_s)
            return placed
        try:
            return of_stack(self.notes.placing.talk(setup, seed, begun.append, tick), outside=outside)
        except KeyboardInterrupt:
            if begun:
                self.calls.append(PlacedCall(call=number, attempt=self._tries(number) + 1, cut="interrupted"))
                # Whether it had joined or not: an end by the user's own hand speaks against no server.
                self.notes.count(joined=True)
                self._hear(number, of_stack(begun[0], outside=outside))
            raise

    def _hear(self, number: int, placed: Placed) -> None:
        wav_dir = self.wav_dir
        if wav_dir is not None and self.notes.scenario.call.calls > 1:
            wav_dir /= f"call-{number + 1}"
            try:
                # A run into the same folder as an earlier one writes over it.
                wav_dir.mkdir(exist_ok=True)
            except OSError as error:
                raise BadInputError(f"{wav_dir} cannot be written", error.strerror or str(error)) from error
        if self.conversing is None:
            sound = {each.way: each.came for each in placed.ways}
            self.heard[number] = hear_call(
                placed.ways,
                self.voices,
                self.notes.scenario,
                wanted=self.measured,
                wav_dir=wav_dir,
                lips=self.pictures.beside(placed.watched, sound),
            )
        else:
            self.conversing.hear(number, placed.ways, placed.spoke, wav_dir)
            # Known to have been heard, with no marker in it: ``_keep`` counts calls by this.
            self.heard[number] = {}
        self.pictures.see(number, placed.watched)
        self.messages.take(number, placed.exchanged)
        self.happenings += (
            Happening(party=cue.party, does=cue.does, at_s=at_s, call=number) for at_s, cue in placed.happened
        )
        self._keep(placed, heard=True)

    def _keep(self, placed: Placed, *, heard: bool) -> None:
        """Keep what a call says of its links and its target; of one that failed, while there is no other."""
        if heard or not self.heard:
            self.report = placed.report
            # Legs of calls that were heard, one for each; those of a failed one stand only until then.
            self.legs = [*self.legs[: len(self.heard) - 1], placed.legs] if heard else [placed.legs]

    def _tries(self, number: int) -> int:
        return sum(each.call == number for each in self.calls)

    def _leave_out(self, number: int) -> None:
        """Say that the calls from ``number`` on were not placed, where there are any and joins were heard."""
        count = self.notes.scenario.call.calls
        if number < count and self.notes.joined:
            left_out = f"call {count}" if number + 1 == count else f"calls {number + 1} to {count}"
            self.notes.warnings.append(
                f"{left_out} not placed: {self._called(number - 1)} failed {CALL_ATTEMPTS} times"
            )

    def _called(self, number: int) -> str:
        count = self.notes.scenario.call.calls
        return "the call" if count == 1 else f"call {number + 1} of {count}"

    def cut(self, *, interrupted: bool) -> str | None:
        """Return what ended the first call that was cut short, and of several which it was."""
        if interrupted:
            return None
        first = next((each for each in self.calls if each.cut is not None and each.void is None), None)
        if first is None or self.notes.scenario.call.calls == 1:
            return None if first is None else first.cut
        return f"{first.cut} ({self._called(first.call)})"

    @property
    def measured(self) -> tuple[Way, ...]:
        """The ways whose markers are heard: in a conversation nobody speaks any."""
        return () if self.conversing is not None else tuple(map(Way, self.notes.placing.target.directions))

    def accounts(self) -> tuple[Account, ...]:
        """Return what was heard and seen on each way, all calls together."""
        accounts: dict[Way, dict[int, CallAccount]] = {}
        for number, heard in self.heard.items():
            for way, account in heard.items():
                accounts.setdefault(way, {})[number] = account
        sound = tuple(pooled(calls) for calls in accounts.values())
        turns = () if self.conversing is None else self.conversing.accounts
        return (*sound, *self.pictures.accounts(sound), *self.messages.accounts(), *turns)

    def link(self) -> Mapping[Leg, LinkReport]:
        """Return what was asked of the emulated lines, and what they did in all calls."""
        first = self.legs[0] if self.legs else {}
        return {each: access.report([legs[each] for legs in self.legs]) for each in first}
