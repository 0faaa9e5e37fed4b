"""What a target is: whoever is called, from the URL that names it to calls that can be measured.

A target is found by the scheme of its URL: one of ours, or one that another package brings in the entry point group
``rtcprobe.targets`` (name: the scheme; object: a factory ``TargetPlan -> Target``)::

    [project.entry-points."rtcprobe.targets"]
    "acme+https" = "acme_rtcprobe:make_target"

``tests/call/echo_target.py`` is a whole target in a hundred lines; most subclass ``outside.OutsideCall``.

Rules:
    1. A factory reads the plan and refuses what cannot be meant, in a sentence, before anything runs. It opens nothing.
    2. ``call`` is asked on the loop that runs the call. Every join has a call of its own, with connections of its own.
    3. What a call measured stays readable at any moment, finished or not; what failed it is a sentence in ``failed``,
       never an exception.
    4. ``join`` and ``talk`` end within their timeouts, hang up in any case, and leave nothing open here or there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast, runtime_checkable

import numpy as np

from rtcprobe.audio.protection import Protection
from rtcprobe.call.live import LiveMouth, LiveSpeech
from rtcprobe.call.mouth_track import Mouth, Speech
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.kinds import GROUP
from rtcprobe.call.transceiver import PictureWanted, SoundWanted
from rtcprobe.call.watching import Watching
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.ice import IceSettings
from rtcprobe.link import LinkSpec
from rtcprobe.link.streams import Seed
from rtcprobe.messages import CameMessages, MessagePlan, SaidMessages
from rtcprobe.recording import Came, Said
from rtcprobe.result import Clock
from rtcprobe.runtime.network import Host, Network
from rtcprobe.scenario import Cue, Scenario, TargetPlan
from rtcprobe.scenario.plans import Connection
from rtcprobe.timeline import Side, Stop, Timer, Wait
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

if TYPE_CHECKING:  # few calls have one
    from rtcprobe.call.camera import Camera

__all__ = [
    "ECHO_ROUTES",
    "GROUP",
    "TWO_ENDS_ROUTES",
    "Call",
    "CallSetup",
    "PlacedTarget",
    "RoomTarget",
    "Route",
    "Target",
    "Trouble",
    "Way",
    "find_target",
    "listeners_named",
    "target_schemes",
]

Route = tuple[str, str]

ECHO_ROUTES: Final[tuple[Route, ...]] = (("caller", "target"), ("target", "caller"))
"""The ways of an *echo*: one peer of ours, and the target sends back what it hears."""

TWO_ENDS_ROUTES: Final[tuple[Route, ...]] = (*ECHO_ROUTES, ("callee", "target"), ("target", "callee"))
"""The ways of *two ends*: both peers are ours, the target between them."""

# Named, not imported: a browser's driver, Janus' client and HTTP are loaded by the calls that need them alone.
_BUILT_IN: Final[Mapping[str, str]] = {
    "loopback": "rtcprobe.call.targets.loopback:make_target",
    "sfu": "rtcprobe.call.targets.sfu:make_target",
    "mix": "rtcprobe.call.targets.mix:make_target",
    "whip+whep": "rtcprobe.call.targets.whip:make_target",
    "whip+whep+http": "rtcprobe.call.targets.whip:make_target",
    "sdp+https": "rtcprobe.call.targets.sdp_http:make_target",
    "sdp+http": "rtcprobe.call.targets.sdp_http:make_target",
    "page": "rtcprobe.call.targets.page:make_target",
    "page+https": "rtcprobe.call.targets.page:make_target",
    "page+http": "rtcprobe.call.targets.page:make_target",
    "janus": "rtcprobe.call.targets.janus:make_target",
    "janus+http": "rtcprobe.call.targets.janus:make_target",
    "janus+ws": "rtcprobe.call.targets.janus:make_target",
    "janus+https": "rtcprobe.call.targets.janus:make_target",
    "janus+wss": "rtcprobe.call.targets.janus:make_target",
    "rtpengine+ng": "rtcprobe.call.targets.rtpengine:make_target",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSetup:
    """What a call is made of.

    ``routes`` gives the hops of every pair in the target's ``routes``; ``speech`` is what each party says, in the order
    in which they call (None: it only listens); ``hears`` whom each listens to, everybody where nothing is said of it.
    ``cameras`` is what those show who have one, ``messages`` what those send who do. ``linger_s`` is how long a join
    goes on after it has its first packets, so that it can be heard; ``dtls_timeout_s`` turns the measured round trip
    (None when unknown) into the initial handshake timer, seconds; ``protection`` is what all want against loss; ``ice``
    says which STUN and TURN servers are asked outside. ``cues`` are what happens in a call but for everybody joining
    and saying all they have (``script``); a call with cues lasts ``lasts_s``.
    """

    routes: Mapping[Route, Sequence[LinkSpec]]
    speech: Mapping[str, Speech | None]
    connection: Connection
    dtls_timeout_s: Callable[[float | None], float]
    join_timeout_s: float
    linger_s: float
    hears: Mapping[str, Collection[str]] = field(default_factory=dict)
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    messages: Mapping[str, MessagePlan] = field(default_factory=dict)
    protection: Protection = field(default_factory=Protection)
    ice: IceSettings = field(default_factory=IceSettings)
    cues: tuple[Cue, ...] = ()
    lasts_s: float = 0.0

    @property
    def longest_speech_s(self) -> float:
        """How long the longest speech takes."""
        return max((each.duration_s for each in self.speech.values() if each is not None), default=self.lasts_s)

    @property
    def numbered(self) -> bool:
        """Whether packets are numbered over all sections, for a camera that adapts by what came of them."""
        return any(camera.control == "gcc" for camera in self.cameras.values())

    @property
    def by_estimate(self) -> bool:
        """Whether a camera adapts to what the other side estimates (REMB): then nobody numbers packets."""
        return any(camera.control == "remb" for camera in self.cameras.values())

    def mouth(
        self,
        party: str,
        network: Network,
        *,
        phase: float,
        may_speak: asyncio.Event,
        seed: np.random.SeedSequence | Seed | None = None,
    ) -> Mouth | None:
        """Return a party's mouth, None where it only listens; ``phase`` is how far into a packet it begins, 0 to 1.

        ``seed`` is spent by one whose speech is decided as it goes.
        """
        speech = self.speech[party]
        if speech is None:
            return None
        # Microphones are not in step with each other, nor with any loudspeaker:
        # where in a packet a call begins is chance.
        phase_s = phase * speech.ptime_s
        if isinstance(speech, LiveSpeech):
            assert seed is not None
            drawn = seed.mixed() if isinstance(seed, Seed) else seed
            return LiveMouth(speech=speech, phase_s=phase_s, network=network, may_speak=may_speak, seed=drawn)
        return Mouth(speech=speech, phase_s=phase_s, network=network, may_speak=may_speak)

    def expected(self, party: str) -> Sequence[bytes | None]:
        """Return the frames that whoever listens to ``party`` will likely hear."""
        speech = self.speech[party]
        return () if speech is None else speech.frames

    def peer(self, host: Host, side: Side, wanted: Sequence[SoundWanted | PictureWanted], **more: Any) -> Peer:
        """Return a connection of ``side`` at ``host`` with these m-sections."""
        more.setdefault("transport_cc", self.numbered)
        peer = Peer(host, side, wanted, dtls_timeout_s=self.dtls_timeout_s, protection=self.protection, **more)
        # A watcher is made with its section, the connection after it: only now is there somebody to ask.
        for picture in peer.pictures:
            if isinstance(picture.watcher, Watching):
                picture.watcher.round_trip_s = lambda: peer.round_trip_s
        return peer


def listeners_named(count: int) -> tuple[str, ...]:
    """Return what several who only listen are called: the first as if it were alone, the others with a number."""
    return ("callee", *(f"callee-{number}" for number in range(2, count + 1)))


class Way(NamedTuple):
    """One direction of a call whose sound is measured: who speaks, who listens (the same peer in a round trip).

    ``mixed`` are the stages known of what lies between, where a server mixes: what is left is the mixer's.
    """

    direction: WayName
    talker: Peer
    listener: Peer
    mixed: Mapping[str, float] = MappingProxyType({})


class Trouble(NamedTuple):
    """What went wrong with one connection, in a sentence, and where it stopped."""

    why: str
    stop: Stop


class Call(Protocol):
    """One call on the running loop."""

    failed: str | None
    """Why the call did not come about, in a sentence that names the step reached; None while nothing failed."""
    stopped: Stop | None
    """Where it failed; None while nothing failed."""
    cut: str | None
    """What ended a call that had come about before its time; None otherwise."""
    warnings: list[str]
    """What a reader should know although the call went on, a sentence each."""
    happened: list[tuple[float, Cue]]
    """The cues that were carried out, and when, seconds since the epoch of its network."""
    cpu_s: float | None
    """CPU seconds this process spent until the join had what it waited for."""

    @property
    def setup(self) -> CallSetup:
        """What it is made of."""
        ...

    @property
    def network(self) -> Network:
        """Its hosts, and the clock that everything of it is told in."""
        ...

    @property
    def ways(self) -> Sequence[Way]:
        """The directions whose sound can be heard, the joiner's own listening first."""
        ...

    def messages(self) -> Sequence[tuple[WayName, SaidMessages, CameMessages]]:
        """Return what was sent on each way over data channels, and what of it came; asked where ``setup`` has some."""
        ...

    @property
    def joiners(self) -> Sequence[Peer]:
        """The peers whose join is timed; each listens in one of ``ways``."""
        ...

    @property
    def peers(self) -> Sequence[Peer]:
        """Every peer of ours."""
        ...

    @property
    def troubles(self) -> Mapping[Peer, Trouble]:
        """What went wrong with connections without which the call went on."""
        ...

    async def join(self) -> bool:
        """Join until every joiner has a packet of the other side, linger, hang up; return whether it connected."""
        ...

    async def talk(self) -> bool:
        """Join, let the mouths say all they have, wait for the last packet, hang up; return whether it connected."""
        ...

    def said_on(self, way: Way) -> Said:
        """Return what was said on a way so far."""
        ...

    def came_on(self, way: Way, *, forwarded: bool) -> Came:
        """Return what came on a way so far; ``forwarded``: through a server that is not ours."""
        ...

    def talked_s(self) -> float:
        """Return how long there has been talk, seconds."""
        ...

    def server_of(self, joiner: Peer) -> str | None:
        """Return the server of ours that ``joiner`` is connected to; None where there is none."""
        ...

    def waits(self, joiner: Peer) -> list[Wait]:
        """Return every retransmission that can have held ``joiner`` up, on its timeline."""
        ...

    def awaited_s(self, joiner: Peer, never_s: float) -> Mapping[Timer, float]:
        """Return from when on each kind of timer can have held ``joiner`` up; ``never_s`` for what was not reached."""
        ...

    def legs(self) -> Mapping[LegName, Sequence[Leg]]:
        """Return the emulated lines of each direction, in the order packets pass them: one or two."""
        ...

    def report(self) -> Mapping[str, Any]:
        """Return, by peer, what was negotiated with the target and what it said; {} where there is nobody else."""
        ...


class Target(Protocol):
    """Whoever is called.

    One whose calls show and watch pictures beside the sound, where ``CallSetup.cameras`` has any, says so by an
    attribute ``pictures``, true; one whose parties come, go and speak by cues (``CallSetup.cues``) by ``performs``.
    """

    @property
    def name(self) -> str:
        """What results call it, without secrets."""
        ...

    @property
    def directions(self) -> Sequence[WayName]:
        """The directions in which it can measure mouth to ear."""
        ...

    @property
    def routes(self) -> Sequence[Route]:
        """Every way packets take whose hops a call needs; ``"target"`` is the far side."""
        ...

    @property
    def clocks(self) -> Sequence[Clock]:
        """The clocks it can be called on: outside, time cannot jump."""
        ...

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> Call:
        """Return a call, not yet begun, on the running loop."""
        ...


@runtime_checkable
class RoomTarget(Protocol):
    """Whoever can be called by any number of parties."""

    @property
    def legs(self) -> Sequence[LegName]:
        """The legs that links are written for, with those parties."""
        ...

    def joining(self, parties: Sequence[str], ways: Sequence[WayName]) -> Target:
        """Return it as these parties call it, who hear each other on these ways.

        Raises:
            BadInputError: they cannot.
        """
        ...


@runtime_checkable
class PlacedTarget(Protocol):
    """Servers of ours, whose places a scenario tells."""

    @property
    def legs(self) -> Sequence[LegName]:
        """The legs that links are written for, there."""
        ...

    def placed(self, scenario: Scenario) -> Target:
        """Return it between the parties of ``scenario``.

        Raises:
            BadInputError: it cannot be.
        """
        ...


def target_schemes() -> list[str]:
    """Return every scheme a target can be named by, ours first."""
    return [*_BUILT_IN, *(each.name for each in entry_points(group=GROUP) if each.name not in _BUILT_IN)]


def find_target(plan: TargetPlan) -> Target:
    """Return the target that ``plan`` names.

    Raises:
        BadInputError: no such scheme, a target that cannot be loaded, or a plan it refuses.
    """
    scheme = plan.scheme
    if scheme in _BUILT_IN:
        module, _, name = _BUILT_IN[scheme].partition(":")
        factory = getattr(import_module(module), name)
        return cast("Target", factory(plan))
    # Ours first: no package can take the place of a scheme that comes with rtcprobe.
    brought = next((each for each in entry_points(group=GROUP) if each.name == scheme), None)
    if brought is None:
        cure = f"{did_you_mean(scheme, target_schemes(), most=2)}"
        raise BadInputError(f"target {plan.shown!r} is of no known kind", cure)
    try:
        factory = brought.load()
    # A package of somebody else's may fail in any way while it is imported:
    # that is told as the target's fault, by name.
    except Exception as error:
        raise BadInputError(
            f"target {plan.shown!r} cannot be loaded from {brought.value}", f"{type(error).__name__}: {error}"
        ) from error
    return cast("Target", factory(plan))
