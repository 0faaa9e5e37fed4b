"""What a real sender does on a line that changes: a call at a target, told second by second as the model's calls are.

Theory of operation: the line lies between the target and one end of ours (``down``: on what the target sends us;
``up``: on what we send), its clock begins with the join. What enters it and what became of that is noted packet by
packet; freezes are those of the video receiver that watched during the call; sizes stand in its key frames; the voice
is played through NetEQ afterwards.

Rules:
    1. ``down`` is about the target's sender. ``up``, and in a call between two of ours (loopback, in virtual time), the
       sender is ours, by the controller that was asked for; at a server what it tells back is what ours adapts to.
    2. What nobody knows (a server's own estimate) is NaN, not zero. Ours is what our controller says.
    3. Senders are told when the line let a packet out, not when this process came to look at it: what is late here by
       milliseconds is a late report, no queue. So a second is late from the instrument's own limit on (``harness``):
       one in which more than one in twenty packets left our emulator later than that. It is told, and where more than
       one in twenty seconds are so, or the loop itself was as late at p95, the call does not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from rtcprobe.adaptation import Case, Course, controller_of
from rtcprobe.adaptation.course import ROW_S
from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup, Route, Target
from rtcprobe.call.targets.camera import CameraCall, CameraTarget
from rtcprobe.call.targets.loopback import LoopbackCall
from rtcprobe.call.transceiver import Picture
from rtcprobe.call.watching import Watching
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.hearing.playing import play
from rtcprobe.hearing.speech import speak
from rtcprobe.link import Fate, LinkSpec
from rtcprobe.picture.payload import vp8_size
from rtcprobe.playout.base import BLOCK_SAMPLES
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.probe.beforehand import check_target
from rtcprobe.probe.harness import LIMIT_S
from rtcprobe.probe.pictures import Pictures
from rtcprobe.probe.placing import Attempt, Placing
from rtcprobe.probe.setup import call_setup
from rtcprobe.probe.sweeping import unwalked
from rtcprobe.result import Clock
from rtcprobe.runtime.direction import Direction
from rtcprobe.runtime.outside import OutsideHost, OutsideNetwork
from rtcprobe.runtime.seconds import Lateness, spans
from rtcprobe.scenario import Scenario, find_scenario
from rtcprobe.scenario.servers import FORWARDING
from rtcprobe.secrets import scrub
from rtcprobe.shelf import Shelf
from rtcprobe.units import format_rate

__all__ = ["Adapted", "Adapting", "Heading"]

Heading = Literal["down", "up"]
PAGE: Final = "page"
LOOPBACK: Final = "loopback"
SCENARIO: Final = "1v1-video"
"""A voice and a picture, each way where the target has both."""
# What a link says of a packet that its queue dropped (``link.Fate.dropped``); everything else is loss.
_QUEUE: Final = ("queue", "aqm", "policer")
# As a scenario's join_timeout where nothing is written: a page starts a browser first.
_JOIN_S: Final = 30.0
# Where only a scenario is wanted, to judge settings by: any rate that a camera takes.
_USUAL_BPS: Final = 4e6
_HERE: Final[tuple[LinkSpec, ...]] = ()
_DECIDED: Final = {
    "call.duration": "a call lasts as long as its scenario: give --link and --length",
    "call.calls": "give --seeds",
    "call.joins": "one join is made a call: leave it out",
    "budgets": "a scoreboard is judged by nobody: leave it out",
    "target": "give --target alone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """One call: its course, how late our emulator was, by the second, and what a reader should know."""

    course: Course
    lateness: Lateness
    sender: str
    """Whose packets the line carried, in words."""
    warnings: Sequence[str] = ()
    loop_late_s: float = 0.0
    """How late our loop was at p95."""

    @property
    def invalid(self) -> bool:
        """Whether it does not count (rule 3)."""
        return self.lateness.is_invalid() or self.loop_late_s > LIMIT_S

    @property
    def late(self) -> str | None:
        """How late this machine was, and in which seconds, in words; None where it was in time."""
        said, late = list[str](), self.lateness.invalid()
        if late:
            said.append(f"packets left our emulator over {1e3 * self.lateness.limit_s:g} ms late in {spans(late)}")
        if self.invalid:
            said.append(f"our loop was {1e3 * self.loop_late_s:.1f} ms late at p95")
        return ", ".join(said) or None


@dataclass(slots=True)
class _Noted:
    """What entered a line: (when, bytes, fate)."""

    packets: list[tuple[float, int, Fate]] = field(default_factory=list)

    def __call__(self, size_bytes: int, fate: Fate, now_s: float) -> None:
        self.packets.append((now_s, size_bytes, fate))


def _ours(target: str) -> BadInputError:
    return BadInputError(
        f"target {target} is ours: it answers no feedback, and sends no pictures of its own",
        "call loopback for two ends of ours, page, or a server of somebody else's",
    )


class Adapting:
    """Calls at one target, one a case and seed."""

    def __init__(self, url: str, settings: Sequence[str], heading: Heading, controller: str | None = None) -> None:
        """Refuse what cannot be measured.

        Raises:
            BadInputError: a target that cannot be meant, that shows no picture, or whose far end is ours.
            MeasurementError: no browser is here, or nothing to drive it with.
        """
        self.page, self.loopback = url == PAGE, url == LOOPBACK
        self.clock: Clock = "virtual" if self.loopback else "real"
        if url in FORWARDING:  # told before its leg is asked for, which would not help
            raise _ours(url)
        self._heading: Heading = "up" if self.loopback else heading
        if controller is not None and self._heading == "down":
            raise BadInputError(
                f"--controller {controller} and --target {scrub(url)} are both given",
                "a target's sender decides itself: add --way up for one of ours",
            )
        self._controller = controller or "gcc"
        controller_of(self._controller)
        if self.page and heading == "up":
            raise BadInputError("--way up and target page", "the page sends, and we watch: leave --way out")
        self._refuse(settings)
        self._settings = (f"target={url}", *settings, "call.calls=1", "call.joins=1", "budgets=[]")
        self._scenario(10.0, _USUAL_BPS)  # settings that cannot be meant are told before anything is started
        self.target: Target | CameraTarget = self._page() if self.page else self._called()

    def _refuse(self, settings: Sequence[str]) -> None:
        """Refuse what the command itself decides: it would have no effect, or be told as something else."""
        decided = dict(_DECIDED)
        if self._heading == "up":
            decided["video.control"] = "give --controller: gcc, remb or fixed:RATE"
            if self._controller.startswith("fixed:"):
                decided["video.bitrate"] = "write it as --controller fixed:RATE"
        for each in settings:
            cure = decided.get(each.partition("=")[0].strip())
            if cure is not None:
                raise BadInputError(f"--set {scrub(each)} has no place here", cure)

    def _page(self) -> CameraTarget:
        browser = self._scenario(10.0, _USUAL_BPS).target.options.get("browser")
        if browser is not None and not isinstance(browser, str):
            raise BadInputError(f"target.browser {browser!r} is no path", "give the path of a Chromium")
        return CameraTarget.of(browser)

    def _called(self) -> Target:
        scenario = self._scenario(10.0, _USUAL_BPS)
        if scenario.target.ours and not self.loopback:
            raise _ours(scenario.target.shown)
        cure = "call whip+whep, janus (videoroom, echotest), or page"
        if scenario.target.scheme.startswith("page+"):  # its packets pass the browser's line, not one of ours
            raise BadInputError(f"a sender's rate is not measured with {scenario.target.shown}", cure)
        target = check_target(scenario, self.clock)
        if not getattr(target, "pictures", False):
            raise BadInputError(f"pictures are not measured with {target.name}", cure)
        return target

    def _scenario(self, length_s: float, max_bps: float) -> Scenario:
        sends: tuple[str, ...] = ()
        if self._heading == "up":
            kind, _, rate = self._controller.partition(":")
            sends = (f"video.control={kind}", f"video.bitrate={rate or format_rate(max_bps)}")
        return find_scenario(SCENARIO, (*sends, *self._settings, f"call.duration={length_s:g}s"))

    def call(self, case: Case, seed: int, tick: Callable[[float], None]) -> Adapted:
        """Place one call over the line of ``case``, and tell what came of it.

        Raises:
            MeasurementError: the call did not come about, or without a picture.
        """
        scenario = self._scenario(case.length_s, case.max_bps)
        setup = self._setup(scenario, case)
        noted, lateness = _Noted(), Lateness(limit_s=LIMIT_S)

        def begun(attempt: Attempt) -> None:
            network = attempt.call.network
            if isinstance(network, OutsideNetwork):
                network.late = lateness.add
            self._line(attempt).noted = noted

        placing = Placing(self.target, self.clock)
        with unwalked(self.clock):
            attempt = placing.talk(setup, np.random.SeedSequence(seed), begun, tick)
        call = attempt.call
        _refuse_cut(call.failed, call.cut)
        listener = self._listener(attempt)
        picture = next((each for each in listener.pictures if each.arrivals), None)
        if picture is None:
            raise MeasurementError(f"no picture came of {self.target.name}", "does it forward VP8?")
        course = _course(case, noted.packets, picture, listener)
        if isinstance(call, CameraCall):
            _estimates(course, call)
        elif self._heading == "up":
            _decided(course, call.ways[0].talker)
        return Adapted(
            course=course,
            lateness=lateness,
            sender=self._sender(call),
            loop_late_s=float(np.quantile(attempt.lag_s, 0.95)) if len(attempt.lag_s) else 0.0,
            warnings=call.warnings,
        )

    def _setup(self, scenario: Scenario, case: Case) -> CallSetup:
        if self.page:
            routes: dict[Route, Sequence[LinkSpec]] = {
                ("target", "caller"): [case.link],
                ("caller", "target"): [case.back],
            }
            return CallSetup(
                routes=routes,
                speech={"caller": None},
                connection="warm",
                dtls_timeout_s=scenario.dtls.timeout_s,
                join_timeout_s=_JOIN_S,
                linger_s=0.1,
                lasts_s=case.length_s,
            )
        ends = {end for route in self.target.routes for end in route} - {"target"}
        if self.loopback:
            ours = {("caller", "callee"): [case.link], ("callee", "caller"): [case.back]}
            return self._ours(scenario, {**dict.fromkeys(self.target.routes, _HERE), **ours}, case.length_s)
        # Down, whoever listens: of two sides at a server that is the callee, of an echo the caller itself.
        end = "callee" if self._heading == "down" and "callee" in ends else "caller"
        there, back = ((end, "target"), ("target", end))
        media, other = (back, there) if self._heading == "down" else (there, back)
        routes = {**dict.fromkeys(self.target.routes, _HERE), media: [case.link], other: [case.back]}
        return self._ours(scenario, routes, case.length_s)

    def _ours(self, scenario: Scenario, routes: dict[Route, Sequence[LinkSpec]], length_s: float) -> CallSetup:
        voices = speak(scenario.sending("audio"), length_s, shelf=Shelf("speech"))
        cameras = Pictures(scenario, video_dir=None).cameras(endless=False)
        if self.loopback:
            del cameras["callee"]  # the line carries one picture, as the model's
        return call_setup(scenario, voices, routes, endless=False, cameras=cameras)

    def _listener(self, attempt: Attempt) -> Peer:
        call = attempt.call
        return call.ways[0].listener if call.ways else call.peers[0]

    def _line(self, attempt: Attempt) -> Direction:
        call = attempt.call
        if isinstance(call, LoopbackCall):
            return call.direction("caller", "callee")
        talks = self._heading == "up" and call.ways
        peer = call.ways[0].talker if talks else self._listener(attempt)
        network = call.network
        assert isinstance(network, OutsideNetwork)
        host = next(each for each in network.hosts if each.name == peer.host_name)
        assert isinstance(host, OutsideHost)
        return host.up if self._heading == "up" else host.down

    def _sender(self, call: Any) -> str:
        if isinstance(call, CameraCall):
            return f"Chromium {call.page.version.partition('.')[0]}"
        return self.target.name if self._heading == "down" else f"our {self._controller}"


def _refuse_cut(failed: str | None, cut: str | None) -> None:
    """Raise where a call did not come about, or ended before its time: what is told is of the whole of it."""
    if failed is not None:
        raise MeasurementError(failed)
    if cut is not None:
        raise MeasurementError(f"the call was cut: {cut}")


def _course(case: Case, packets: Sequence[tuple[float, int, Fate]], picture: Picture, listener: Peer) -> Course:
    """Return what came of a call, a row a second of the line's clock."""
    seconds = math.ceil(case.length_s)
    course = Course(case.length_s)
    offered, delivered = np.zeros(seconds), np.zeros(seconds)
    drops, lost = np.zeros(seconds, dtype=int), np.zeros(seconds, dtype=int)
    sent_bps = np.zeros(round(case.length_s / ROW_S))
    for now_s, size_bytes, fate in packets:
        second = int(now_s)
        # Packets of the join's last moments, and those after the end, are of no second of the line.
        if not 0 <= second < seconds:
            continue
        offered[second] += 8 * size_bytes
        # The last row may be cut short by the end: what comes within its rounding belongs to it.
        sent_bps[min(int(now_s / ROW_S), len(sent_bps) - 1)] += 8 * size_bytes / ROW_S
        # Twice where the link duplicated it: both used the line.
        for arrival_s in fate.arrivals_s:
            course.delays.append((now_s, arrival_s - now_s))
            if arrival_s < seconds:
                delivered[int(arrival_s)] += 8 * size_bytes
        if not fate.arrivals_s:
            (drops if fate.dropped in _QUEUE else lost)[second] += 1
    course.offered_bps, course.delivered_bps = offered.tolist(), delivered.tolist()
    course.drops, course.lost, course.sent_bps = drops.tolist(), lost.tolist(), sent_bps.tolist()
    course.target_bps = [math.nan] * seconds
    watcher = picture.watcher
    # A freeze is known once it has ended, as W3C counts them.
    froze = [until_s for _, until_s in watcher.freezes_s()] if isinstance(watcher, Watching) else []
    course.freezes = np.bincount([int(at) for at in froze if at < seconds], minlength=seconds).tolist()
    course.height = _heights(picture, seconds)
    course.voice_sent, course.voice_unplayed = _voice(listener)
    course.shown = watcher.shown if isinstance(watcher, Watching) else 0
    return course


def _heights(picture: Picture, seconds: int) -> list[float]:
    """Return the height that holds at the end of each second: what the latest key frame said; 0 before the first.

    NaN where no key frame says it: without one, and with another codec than VP8.
    """
    told = picture.agreed is not None and picture.agreed.codec.upper() == "VP8"
    said = ((each.at_s, vp8_size(each.payload)) for each in picture.arrivals if told)
    changes = [(at_s, size[1]) for at_s, size in said if size is not None]
    if not changes:
        return [math.nan] * seconds
    rows, height, place = list[float](), 0, 0
    for second in range(seconds):
        # The latest change before the end of the second holds for it.
        while place < len(changes) and changes[place][0] < second + 1:
            height = changes[place][1]
            place += 1
        rows.append(height)
    return rows


def _voice(listener: Peer) -> tuple[int, int]:
    """Return how many blocks of voice were played, and how many of them NetEQ made up."""
    sound = listener.sound
    if not len(sound.arrivals):
        return 0, 0
    # Without drift, devices and listener: only how much was made up is asked.
    playback, _ = play(
        PlayoutChoice(policy="neteq"),
        sound.agreed,
        sound.arrivals,
        OpusDecoder(),
        phase_s=0.0,
        drift=0.0,
        listen=lambda _at_s: lambda _played: None,
    )
    return len(playback.sounding), round(int(playback.sounding.sum()) / BLOCK_SAMPLES)


def _decided(course: Course, talker: Peer) -> None:
    """Put what our own sender decided in each second in its place."""
    course.states = [""] * len(course.target_bps)
    adapts = next((picture.adapts for picture in talker.pictures if picture.adapts is not None), None)
    for each in adapts.seconds if adapts is not None else ():
        second = int(each.at_s)
        if second < len(course.target_bps):
            course.target_bps[second] = each.target_bps
            course.states[second] = each.state


def _estimates(course: Course, call: CameraCall) -> None:
    """Put the mean of what Chromium said of the line in each second in its place."""
    network = call.network
    # From the browser's wall clock to the line's: it tells by the former.
    offset_s = call.wall_offset_s + network.epoch_s
    rows: list[list[float]] = [[] for _ in course.target_bps]
    for each in call.told:
        second = int(each.at_s - offset_s)
        if 0 <= second < len(rows) and each.estimate_bps:
            rows[second].append(each.estimate_bps)
    course.target_bps = [float(np.mean(row)) if row else math.nan for row in rows]
