"""Running a scenario on one of the two clocks; the same program on both."""

from __future__ import annotations

import asyncio
import gc
import platform
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

import rtcprobe
from rtcprobe.audio.opus import SAMPLE_RATE_HZ, library_version
from rtcprobe.audio.wav import write_wav
from rtcprobe.call.peer import Peer, Speech
from rtcprobe.call.targets.loopback import CallSetup, LoopbackCall
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.probe.ears import Ear, first_audio_s
from rtcprobe.probe.harness import Harness
from rtcprobe.probe.routes import nominal_round_trip_s, routes
from rtcprobe.probe.speech import Spoken, speak
from rtcprobe.result import (
    Clock,
    Direction,
    JoinAttempt,
    Joins,
    LinkReport,
    MouthToEar,
    Progress,
    Result,
    Retransmission,
)
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.real import LagMeter, RealEventLoop
from rtcprobe.runtime.virtual import VirtualEventLoop
from rtcprobe.scenario import Devices, Scenario
from rtcprobe.timeline import phases, price
from rtcprobe.verdict import judge

__all__ = ["run_probe"]

Listener = Callable[[Progress], None]

LINGER_S = 0.150
"""How long a join goes on beyond a delay its playout was given: stock aiortc lets a frame go when five are there."""

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
        BadInputError: a WAV that cannot be written.
        MeasurementError: the machine refuses sockets (real clock).
    """
    # What is loaded by now stays: the collector need not walk it again and again while packets are timed.
    gc.collect()
    gc.freeze()
    try:
        return _Run(scenario, seed, clock, progress or _silent).whole(wav_dir)
    finally:
        gc.unfreeze()


@dataclass(slots=True)
class _Attempt:
    """A join or the call: its own network, and where its loudspeakers' grids lie."""

    call: LoopbackCall
    caller_phase_s: float
    callee_phase_s: float


@dataclass(slots=True)
class _Run:
    scenario: Scenario
    seed: int
    clock: Clock
    progress: Listener
    harness: Harness = field(init=False)
    attempts: list[JoinAttempt] = field(default_factory=list)
    talk: _Attempt | None = None
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False

    def whole(self, wav_dir: Path | None) -> Result:
        scenario = self.scenario
        hops = routes(scenario)
        round_trip_s = nominal_round_trip_s(hops)
        spoken = speak(scenario.mouth, scenario.codec, scenario.call.duration_s)
        error_s, survived, checked = spoken.self_check()
        self.harness = Harness(self.clock, detection_error_s=error_s, survived=survived, checked=checked)
        joins_seed, call_seed = np.random.SeedSequence(self.seed).spawn(2)
        try:
            self._join_repeatedly(self._setup(hops, spoken, endless=True), joins_seed, round_trip_s)
            self._talk(self._setup(hops, spoken, endless=False), call_seed)
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
        )

    def _join_repeatedly(self, setup: CallSetup, seed: np.random.SeedSequence, round_trip_s: float | None) -> None:
        count = self.scenario.call.joins
        for done, child in enumerate(seed.spawn(count)):
            self.progress(Progress(step="joining", done=done, total=count, unit="joins"))
            attempt = self._on_a_loop(setup, child, LoopbackCall.join)
            if attempt.call.cpu_s is not None:
                self.harness.join_cpu_s.append(attempt.call.cpu_s)
            self.attempts.append(self._judge_join(attempt, round_trip_s))
        self.progress(Progress(step="joining", done=count, total=count, unit="joins"))

    def _talk(self, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        for child in seed.spawn(CALL_ATTEMPTS):
            self.talk = None
            attempt = self._on_a_loop(setup, child, LoopbackCall.talk, keep=True)
            if attempt.call.failed is None:
                return
            self.warnings.append(f"the long call did not join: {attempt.call.failed}")

    def _on_a_loop(
        self,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        use: Callable[[LoopbackCall], Awaitable[bool]],
        *,
        keep: bool = False,
    ) -> _Attempt:
        """Make a call on a loop of its own and ``use`` it; ``keep`` makes it the call that an interruption leaves."""
        entropy_seed, call_seed, phase_seed = seed.spawn(3)
        caller_phase, callee_phase = np.random.Generator(np.random.PCG64(phase_seed)).random(2) * BLOCK_S

        async def main() -> _Attempt:
            call = LoopbackCall(setup, call_seed, sockets=self.clock == "real")
            attempt = _Attempt(call, float(caller_phase), float(callee_phase))
            if keep:
                self.talk = attempt
            meter = LagMeter(asyncio.get_running_loop()) if self.clock == "real" else None
            ticker = asyncio.ensure_future(self._tick(call)) if keep else None
            try:
                await use(call)
            finally:
                if ticker is not None:
                    ticker.cancel()
                if meter is not None:
                    meter.stop()
                    self._measure_harness(call, meter)
            return attempt

        def make_loop() -> asyncio.AbstractEventLoop:
            return RealEventLoop() if self.clock == "real" else VirtualEventLoop(Entropy(entropy_seed))

        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(main())

    async def _tick(self, call: LoopbackCall) -> None:
        total_s = self.scenario.call.duration_s
        while True:
            started_s = call.caller.track.started_s
            done_s = 0.0 if started_s is None else min(total_s, max(0.0, call.network.now_s() - started_s))
            self.progress(Progress(step="talking", done=done_s, total=total_s, unit="s"))
            await asyncio.sleep(1.0)

    def _measure_harness(self, call: LoopbackCall, meter: LagMeter) -> None:
        self.harness.loop_s += meter.samples_s
        self.harness.emulator_s += call.network.lateness.samples_s
        for peer in (call.caller, call.callee):
            self.harness.pacing_s += peer.pacing_lateness_s()

    def _judge_join(self, attempt: _Attempt, round_trip_s: float | None) -> JoinAttempt:
        call = attempt.call
        marks = {"caller": dict(call.caller.timeline.marks), "callee": dict(call.callee.timeline.marks)}
        if call.failed is None:
            ways = (
                (call.callee, call.caller, attempt.caller_phase_s),
                (call.caller, call.callee, attempt.callee_phase_s),
            )
            for talker, listener, phase_s in ways:
                heard_s = first_audio_s(
                    talker, listener, playout=self.scenario.playout, devices=self.scenario.devices, phase_s=phase_s
                )
                if heard_s is not None:
                    marks[listener.side]["first_audio"] = heard_s
        total_s = marks["caller"].get("first_audio")
        failed = call.failed or (None if total_s is not None else "caller first_audio: nothing of it could be played")
        end_s = call.setup.join_timeout_s if total_s is None else total_s
        costs = price(call.waits(), total_s=end_s, not_before_s=call.awaited_s(end_s))
        return JoinAttempt(
            caller=marks["caller"],
            callee=marks["callee"],
            phases=phases(marks["caller"]),
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
        )

    def _ears(self, spoken: Spoken) -> dict[Direction, Ear]:
        if self.talk is None:
            return {}
        caller, callee = self.talk.call.caller, self.talk.call.callee
        ways: tuple[tuple[Direction, Peer, Peer, float], ...] = (
            ("caller_to_callee", caller, callee, self.talk.callee_phase_s),
            ("callee_to_caller", callee, caller, self.talk.caller_phase_s),
        )
        playout, devices = self.scenario.playout, self.scenario.devices
        return {
            direction: Ear(talker, listener, spoken, playout=playout, devices=devices, phase_s=phase_s)
            for direction, talker, listener, phase_s in ways
        }

    def _result(self, mouth_to_ear: Mapping[Direction, MouthToEar]) -> Result:
        complaints = self.harness.complaints()
        result = Result(
            scenario=self.scenario.name,
            scenario_digest=self.scenario.digest,
            seed=self.seed,
            clock=self.clock,
            settings=self.scenario.settings,
            verdict="invalid" if complaints else "inconclusive",
            reasons=complaints,
            warnings=(*self.scenario.warnings, *self.warnings),
            interrupted=self.interrupted,
            environment=_environment(),
            join=Joins(attempts=tuple(self.attempts)),
            mouth_to_ear=mouth_to_ear,
            link=self._links(),
            harness=self.harness.figures(),
        )
        return judge(result, self.scenario.budgets)

    def _links(self) -> dict[Direction, LinkReport]:
        if self.talk is None:
            return {}
        ways: tuple[tuple[Direction, str, str], ...] = (
            ("caller_to_callee", "caller", "callee"),
            ("callee_to_caller", "callee", "caller"),
        )
        reports: dict[Direction, LinkReport] = {}
        for name, source, destination in ways:
            direction = self.talk.call.direction(source, destination)
            reports[name] = LinkReport.of(direction.path.requested(), direction.tally.achieved())
        return reports


def _write_wavs(
    folder: Path, call: LoopbackCall, spoken: Spoken, ears: Mapping[Direction, Ear], devices: Devices
) -> None:
    """Write four files whose first sample is the start of the call: sound in the air, devices' delays included.

    The mouth's file ends with what was spoken when the call ended.
    """
    talkers = {"caller_to_callee": call.caller, "callee_to_caller": call.callee}
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
    packages = ("aiortc", "aioice", "av", "numpy", "scipy", "pyopenssl", "cryptography", "pylibsrtp")
    return {
        "rtcprobe": rtcprobe.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "libopus": library_version(),
        **{name: version(name) for name in packages},
    }


def _silent(_progress: Progress) -> None:
    """Listen to nothing."""
