"""Running a scenario on one of the two clocks; the same program on both."""

from __future__ import annotations

import asyncio
import gc
import math
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import rtcprobe
from rtcprobe.audio.opus import SAMPLE_RATE_HZ, library_version
from rtcprobe.audio.wav import write_wav
from rtcprobe.call.peer import Peer, Speech
from rtcprobe.call.targets.base import Call, CallSetup, Target, Way
from rtcprobe.call.targets.loopback import ROUTES
from rtcprobe.errors import RtcprobeError, unforeseen
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.probe.beforehand import check_target, warm_up
from rtcprobe.probe.deadline import Deadline, end, in_time, longest_join_s, longest_talk_s
from rtcprobe.probe.ears import Ear
from rtcprobe.probe.harness import Harness
from rtcprobe.probe.playing import first_audio_s
from rtcprobe.probe.routes import nominal_round_trip_s, routes
from rtcprobe.probe.speech import Spoken, speak
from rtcprobe.result import (
    Clock,
    Direction,
    JoinAttempt,
    Joins,
    MouthToEar,
    Progress,
    Result,
    Retransmission,
)
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.real import LagMeter, RealEventLoop
from rtcprobe.runtime.rehearsal_seam import rehearsals
from rtcprobe.runtime.virtual import VirtualEventLoop
from rtcprobe.scenario import Devices, Scenario
from rtcprobe.secrets import hiding, scrubbed
from rtcprobe.timeline import Stop, phases, price
from rtcprobe.verdict import judge

__all__ = ["check_target", "run_probe"]

Listener = Callable[[Progress], None]

LINGER_S = 0.150
"""How long a join goes on beyond a delay its playout was given: stock aiortc lets a frame go when five are there."""

VAIN_JOINS = 3
"""So many joins to an outside target, none of them heard, are enough."""

CALL_ATTEMPTS = 3
"""How often the long call is tried: its own join may fail, and joins are counted elsewhere."""


def run_probe(
    scenario: Scenario,
    *,
    seed: int,
    clock: Clock,
    progress: Listener | None = None,
    wav_dir: Path | None = None,
) -> Result:
    """Return what ``scenario`` measures: its joins, its call, its verdict; interrupted (Ctrl-C), what there is so far.

    ``wav_dir`` gets mouth and ear of both directions, aligned to the start of the call.

    Raises:
        BadInputError: a WAV that cannot be written; a target that cannot be meant, or not on this clock; a budget about
            a direction that the target does not measure.
        MeasurementError: the machine refuses sockets (real clock).
    """
    target = check_target(scenario, clock)
    # What is loaded by now stays: the collector need not walk it again and again while packets are timed.
    if clock == "real":
        gc.collect()  # and what is garbage by now is no walk in the middle of a call
    gc.freeze()
    try:
        with hiding():
            return _Run(scenario, target, seed, clock, progress or _silent).whole(wav_dir)
    finally:
        gc.unfreeze()


@dataclass(slots=True)
class _Attempt:
    """A join or the call: its own network, and where the grid of each listener's loudspeaker lies."""

    call: Call
    phases_s: Sequence[float]
    """The caller's, the callee's, and those of any more listeners."""

    def phase_s(self, listener: Peer) -> float:
        """Return where the grid of ``listener``'s loudspeaker lies."""
        return self.phases_s[self.call.peers.index(listener)]


@dataclass(slots=True)
class _Run:
    scenario: Scenario
    target: Target
    seed: int
    clock: Clock
    progress: Listener
    harness: Harness = field(init=False)
    deadline: Deadline = field(init=False)
    attempts: list[JoinAttempt] = field(default_factory=list)
    talk: _Attempt | None = None
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    listeners_s: list[float | None] = field(default_factory=list)
    """The mean mouth-to-ear delay of each listener, where there are several; None where nothing was heard."""

    def whole(self, wav_dir: Path | None) -> Result:
        scenario = self.scenario
        hops = routes(scenario, self.target.routes)
        round_trip_s = nominal_round_trip_s(hops)
        spoken = speak(scenario.mouth, scenario.codec, scenario.call.duration_s)
        error_s, survived, checked = spoken.self_check
        self.harness = Harness(self.clock, detection_error_s=error_s, survived=survived, checked=checked)
        joins_seed, call_seed = np.random.SeedSequence(self.seed).spawn(2)
        if self._outside:
            self.harness.first_run_s = warm_up(self._setup(dict.fromkeys(ROUTES, ()), spoken, endless=True))
        joining, talking = (self._setup(hops, spoken, endless=endless) for endless in (True, False))
        longest_s = scenario.call.joins * longest_join_s(joining) + CALL_ATTEMPTS * longest_talk_s(talking)
        self.deadline = Deadline(longest_s)
        try:
            self._join_repeatedly(joining, joins_seed, round_trip_s)
            self._talk(talking, call_seed)
        except KeyboardInterrupt:
            self.interrupted = True
        mouth_to_ear: Mapping[Direction, MouthToEar] = {}
        try:
            mouth_to_ear = self._listen(spoken, wav_dir)
        except KeyboardInterrupt:
            self.interrupted = True
        return self._result(mouth_to_ear)

    def _listen(self, spoken: Spoken, wav_dir: Path | None) -> Mapping[Direction, MouthToEar]:
        ears = self._ears(spoken)
        if wav_dir is not None and self.talk is not None:
            _write_wavs(wav_dir, self.talk.call, spoken, ears, self.scenario.devices)
        delays_s = [ear.delay_s for ear in ears.values() if ear.delay_s is not None]
        echo_path_s = sum(delays_s) / len(delays_s) if len(delays_s) == len(ears) > 0 else None
        return {direction: ear.report(echo_path_s) for direction, ear in ears.items()}

    def _setup(self, hops: Mapping[tuple[str, str], object], spoken: Spoken, *, endless: bool) -> CallSetup:
        scenario = self.scenario
        speech = Speech(frames=spoken.frames, ptime_s=spoken.codec.ptime_s, endless=endless)
        return CallSetup(
            routes=hops,  # type: ignore[arg-type]
            caller_speech=speech,
            callee_speech=speech,
            connection=scenario.signaling.connection,
            dtls_timeout_s=scenario.dtls.timeout_s,
            join_timeout_s=scenario.call.join_timeout_s,
            linger_s=(scenario.playout.delay_s or 0.0) + LINGER_S,
            protection=scenario.protection,
            ice=scenario.ice,
        )

    def _join_repeatedly(self, setup: CallSetup, seed: np.random.SeedSequence, round_trip_s: float | None) -> None:
        count = self.scenario.call.joins
        for done, child in enumerate(seed.spawn(count)):
            self.progress(Progress(step="joining", done=done, total=count, unit="joins"))
            if self._hopeless():
                self.warnings.append(f"{count - done} joins and the call were not tried: none of {done} was heard")
                return
            if self.deadline.passed:
                self.warnings.append(f"{count - done} joins were not tried: {self.deadline}")
                return
            attempt = self._on_a_loop(setup, child, lambda call: call.join())
            if attempt.call.cpu_s is not None:
                self.harness.join_cpu_s.append(attempt.call.cpu_s)
                for peer in attempt.call.peers:
                    self.harness.count_own(peer.own_s)
            self.attempts += [self._judge_join(attempt, joiner, round_trip_s) for joiner in attempt.call.joiners]
        self.progress(Progress(step="joining", done=count, total=count, unit="joins"))

    @property
    def _outside(self) -> bool:
        """Whether the far side is not ours: then time cannot jump."""
        return "virtual" not in self.target.clocks

    def _hopeless(self) -> bool:
        """Return whether an outside target has not been heard at all: it need not be asked again and again."""
        return self._outside and not self._heard() and len(self.attempts) >= VAIN_JOINS

    def _heard(self) -> bool:
        return any(each.first_audio_s is not None for each in self.attempts)

    def _talk(self, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        if self._hopeless():
            return
        attempts = CALL_ATTEMPTS
        if self._outside and not self._heard():
            attempts = VAIN_JOINS - len(self.attempts)  # what the joins may be, the call may not exceed
        for child in seed.spawn(CALL_ATTEMPTS)[:attempts]:
            if self.deadline.passed:
                self.warnings.append(f"the call was not tried again: {self.deadline}")
                return
            self.talk = None
            attempt = self._on_a_loop(setup, child, lambda call: call.talk(), keep=True)
            if attempt.call.failed is None:
                return
            said = f"the long call did not join: {attempt.call.failed}"
            self.warnings += [said] if said not in self.warnings else []

    def _on_a_loop(
        self,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        use: Callable[[Call], Awaitable[bool]],
        *,
        keep: bool = False,
    ) -> _Attempt:
        """Make a call on a loop of its own and ``use`` it; ``keep`` makes it the call that an interruption leaves.

        Whatever nobody foresaw fails the call, and leaves the run what it has.
        """
        entropy_seed, call_seed, phase_seed = seed.spawn(3)
        made: list[_Attempt] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            call = self.target.call(setup, call_seed, self.clock)
            phases = np.random.Generator(np.random.PCG64(phase_seed)).random(max(2, len(call.peers))) * BLOCK_S
            made.append(_Attempt(call, phases.tolist()))
            if keep:
                self.talk = made[0]
            meter = LagMeter(loop) if self.clock == "real" else None
            ticker = asyncio.ensure_future(self._tick(call)) if keep else None
            try:
                longest_s = longest_talk_s(setup) if keep else longest_join_s(setup)
                await in_time(call, use(call), min(longest_s, self.deadline.left_s))
            finally:
                self.deadline.spend(loop.time() - begun_s)
                self.warnings += [each for each in call.warnings if each not in self.warnings]
                if ticker is not None:
                    ticker.cancel()
                if meter is not None:
                    meter.stop()
                    self._measure_harness(call, meter)

        def make_loop() -> asyncio.AbstractEventLoop:
            if self.clock == "virtual":
                return VirtualEventLoop(Entropy(entropy_seed))
            # Where both ends are ours, whatever this process takes is added to a join; a server here needs its core.
            if keep or self._outside:
                return RealEventLoop()
            return RealEventLoop(awake=True, rehearsals=rehearsals())

        try:
            with asyncio.Runner(loop_factory=make_loop) as runner:
                runner.run(main())
        except Exception as error:
            if isinstance(error, RtcprobeError) or not made:
                raise
            end(made[0].call, unforeseen(error))
        return made[0]

    async def _tick(self, call: Call) -> None:
        total_s = self.scenario.call.duration_s
        while True:
            started_s = call.ways[0].talker.track.started_s if call.ways else None
            done_s = 0.0 if started_s is None else min(total_s, max(0.0, call.network.now_s() - started_s))
            self.progress(Progress(step="talking", done=done_s, total=total_s, unit="s"))
            await asyncio.sleep(1.0)

    def _measure_harness(self, call: Call, meter: LagMeter) -> None:
        self.harness.loop_s += meter.samples_s
        self.harness.emulator_s += call.network.lateness.samples_s
        for peer in call.peers:
            self.harness.pacing_s += peer.pacing_lateness_s()

    def _judge_join(self, attempt: _Attempt, joiner: Peer, round_trip_s: float | None) -> JoinAttempt:
        call = attempt.call
        marks = {peer.side: dict(peer.timeline.marks) for peer in call.peers}
        marks[joiner.side] = dict(joiner.timeline.marks)
        if call.failed is None:
            for way in call.ways:
                if way.listener is not joiner and joiner.side == way.listener.side:
                    continue  # another listener of the room: an attempt of its own
                heard_s = self._first_audio_s(attempt, way)
                if heard_s is not None:
                    marks[way.listener.side]["first_audio"] = heard_s
        total_s = marks[joiner.side].get("first_audio")
        failed, stopped = call.failed, call.stopped
        if failed is None and total_s is None:
            failed = f"{joiner.side} first_audio: nothing of it could be played"
            stopped = Stop(joiner.timeline.reached(), "first_audio")
        end_s = call.setup.join_timeout_s if total_s is None else total_s
        costs = price(call.waits(joiner), total_s=end_s, not_before_s=call.awaited_s(joiner, end_s))
        return JoinAttempt(
            caller=marks["caller"],
            callee=marks.get("callee", {}),
            phases=phases(marks[joiner.side], joiner.timeline.order),
            retransmissions=tuple(
                Retransmission(
                    timer=cost.wait.timer,
                    side=cost.wait.side,
                    at_s=cost.wait.at_s,
                    cost_s=cost.cost_s,
                    what=cost.wait.what,
                )
                for cost in costs
            ),
            rtts=total_s / round_trip_s if total_s is not None and round_trip_s else None,
            failed=failed,
            joiner=joiner.side,
            reached=None if stopped is None else stopped.reached,
            awaited=None if stopped is None else stopped.awaited,
        )

    def _first_audio_s(self, attempt: _Attempt, way: Way) -> float | None:
        """Return when the listener heard the talker first, seconds since the listener began."""
        heard_s = first_audio_s(
            way.talker,
            way.listener,
            playout=self.scenario.playout,
            devices=self.scenario.devices,
            phase_s=attempt.phase_s(way.listener),
            outside=self._outside,
        )
        return None if heard_s is None else heard_s - way.listener.timeline.begun_s

    def _ears(self, spoken: Spoken) -> dict[Direction, Ear]:
        """Return the ear of each direction: of several listeners the one that hears latest, or not at all."""
        if self.talk is None:
            return {}
        ears: dict[Direction, list[Ear]] = {}
        for way in self.talk.call.ways:
            if way.direction not in self.target.directions:
                continue
            ear = Ear(
                way.talker,
                way.listener,
                spoken,
                playout=self.scenario.playout,
                devices=self.scenario.devices,
                phase_s=self.talk.phase_s(way.listener),
                outside=self._outside,
            )
            ears.setdefault(way.direction, []).append(ear)
        for several in ears.values():
            if len(several) > 1:
                self.listeners_s = [ear.delay_s for ear in several]
        return {direction: max(several, key=_lateness_s) for direction, several in ears.items()}

    def _result(self, mouth_to_ear: Mapping[Direction, MouthToEar]) -> Result:
        complaints = self.harness.complaints()
        warnings = (*self.scenario.warnings, *self.warnings)
        talk = self.talk
        if self._outside and not self._heard() and (talk is None or talk.call.failed is not None):
            # The instrument spoilt nothing: there was nothing to measure.
            complaints, warnings = (), (*warnings, *complaints)
        cut = None if talk is None else talk.call.cut
        if complaints and cut is not None:
            complaints = (*complaints, f"the call was cut: {cut}")
        result = Result(
            scenario=self.scenario.name,
            scenario_digest=self.scenario.digest,
            seed=self.seed,
            clock=self.clock,
            settings=self.scenario.settings,
            verdict="invalid" if complaints else "inconclusive",
            reasons=complaints,
            warnings=warnings,
            interrupted=self.interrupted,
            environment=_environment(),
            join=Joins(attempts=tuple(self.attempts)),
            mouth_to_ear=mouth_to_ear,
            link={} if talk is None else talk.call.links(),
            harness=self.harness.figures(),
            target=self.target.name,
            measures=tuple(self.target.directions),
            cut=cut,
            peers={} if talk is None else self._peers(talk.call),
        )
        return judge(scrubbed(result) if self._outside else result, self.scenario.budgets)

    def _peers(self, call: Call) -> Mapping[str, Any]:
        """Return what was agreed with the target, and of several listeners how late each heard."""
        peers = dict(call.report())
        for name, delay_s in zip(list(peers)[1:], self.listeners_s, strict=False):
            peers[name] = {**peers[name], "mouth_to_ear_mean_s": delay_s}
        return peers


def _lateness_s(ear: Ear) -> float:
    return math.inf if ear.delay_s is None else ear.delay_s


def _write_wavs(folder: Path, call: Call, spoken: Spoken, ears: Mapping[Direction, Ear], devices: Devices) -> None:
    """Write four files whose first sample is the start of the call: sound in the air, devices' delays included.

    The mouth's file ends with what was spoken when the call ended.
    """
    talkers = {way.direction: way.talker for way in call.ways}
    for direction, ear in ears.items():
        started_s = talkers[direction].track.started_s or 0.0
        mouth = spoken.pcm[: round(ear.said_s() * SAMPLE_RATE_HZ)]
        for name, start_s, pcm in (
            ("mouth", started_s - devices.capture_s, mouth),
            ("ear", ear.playback.start_s + devices.playback_s, ear.playback.pcm),
        ):
            lead = round(start_s * SAMPLE_RATE_HZ)
            aligned = np.concatenate([np.zeros(max(lead, 0), dtype=np.float32), pcm[max(-lead, 0) :]])
            write_wav(folder / f"{direction}.{name}.wav", aligned)


def _environment() -> Mapping[str, object]:
    """Return what the figures were made with: versions, machine."""
    return {
        "rtcprobe": rtcprobe.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libopus": library_version(),
        **_versions(),
    }


@cache
def _versions() -> Mapping[str, str]:
    packages = ("aiortc", "aioice", "av", "numpy", "scipy", "pyopenssl", "cryptography", "pylibsrtp")
    return {name: version(name) for name in packages}


def _silent(_progress: Progress) -> None:
    """Listen to nothing."""
