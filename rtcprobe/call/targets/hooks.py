"""What a subclass of ``course.Course`` fills in: who takes part, how they connect, what is said of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup, Trouble, Way
from rtcprobe.call.targets.blame import gave_up, stop_of, too_late, unanswered
from rtcprobe.call.targets.endings import bounded
from rtcprobe.messages import CameMessages, SaidMessages
from rtcprobe.recording import Came, Said
from rtcprobe.runtime.media_seam import MediaPath
from rtcprobe.runtime.network import Network
from rtcprobe.scenario import Cue
from rtcprobe.timeline import Stop
from rtcprobe.ways import Way as WayName

if TYPE_CHECKING:
    from rtcprobe.call.http import HttpClient  # a fifth of a second that calls without HTTP should not pay

__all__ = ["Hooks"]


class Hooks:
    """What a call consists of, and the steps of it that differ from target to target."""

    optional: Sequence[str] = ()
    """Milestones that a join may do without: it is never said to have waited for them."""

    def __init__(self, setup: CallSetup, network: Network) -> None:
        self.setup = setup
        self.network = network
        self.failed: str | None = None
        self.stopped: Stop | None = None
        self.cut: str | None = None
        self.troubles: dict[Peer, Trouble] = {}
        """What went wrong with connections without which the call goes on."""
        self.cpu_s: float | None = None
        self.warnings: list[str] = []
        self.invalid: list[str] = []
        """Why what was measured does not count, a sentence each."""
        self.happened: list[tuple[float, Cue]] = []
        """The cues that were carried out, and when, seconds since the epoch."""
        self.may_speak = asyncio.Event()
        self.clients: list[HttpClient] = []
        """What is closed at the end."""
        self.paths: dict[Peer, MediaPath] = {}
        """What ICE and DTLS had agreed on when the call ended."""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Says why, when the server ends the call."""

    @property
    def peers(self) -> Sequence[Peer]:
        """Every peer of ours."""
        raise NotImplementedError

    @property
    def there(self) -> Sequence[Peer]:
        """The peers that take part from the start."""
        return self.peers

    @property
    def ways(self) -> Sequence[Way]:
        """The directions whose sound can be heard."""
        raise NotImplementedError

    def messages(self) -> Sequence[tuple[WayName, SaidMessages, CameMessages]]:
        """Return what was sent on each way over data channels, and what of it came."""
        return ()

    @property
    def joiners(self) -> Sequence[Peer]:
        """Whose join is timed."""
        raise NotImplementedError

    def said_on(self, way: Way) -> Said:
        """Return what was said on a way so far."""
        return way.talker.said()

    def came_on(self, way: Way, *, forwarded: bool) -> Came:
        """Return what came on a way so far; ``forwarded``: through a server that is not ours."""
        # One peer that talks to itself is an echo's: what it hears went there and back.
        found = way.listener.came(forwarded=forwarded, there_and_back=way.talker is way.listener)
        return replace(found, mixed=way.mixed) if way.mixed else found

    def talked_s(self) -> float:
        """Return how long there has been talk: since the first word of the first way's."""
        ways = self.ways
        started_s = ways[0].talker.started_s if ways else None
        return 0.0 if started_s is None else max(0.0, self.network.now_s() - started_s)

    def server_of(self, joiner: Peer) -> str | None:
        """Return the server of ours that ``joiner`` is connected to; None where there is none."""
        del joiner
        return None

    async def prepare(self) -> None:
        """Do what comes before the join, untimed.

        Raises:
            MeasurementError: there is no way to the target.
        """

    async def connect(self) -> None:
        """Get every peer connected: returns when nothing is left to ask the server.

        Raises:
            MeasurementError: the server, or the way there, did not play along.
        """
        raise NotImplementedError

    def let_speak(self, *, joining: bool) -> None:
        """Let the mouths speak; ``joining``: to be heard at all, in a join."""
        del joining
        self.may_speak.set()

    async def say_all(self) -> None:
        """Wait until all is said, and the last of it has come; sets ``cut`` where the call ends before."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Tell the server that the call has ended; asked in any case, also after half a ``connect``."""

    def open_since(self, begun_s: float) -> list[str]:
        """Return what a server was asked for from ``begun_s`` on and has not answered yet, a sentence each."""
        return [each.message for each in unanswered(self.clients, begun_s, self.network.now_s())]

    async def close_peers(self) -> list[str | None]:
        """Hang up every peer; return what went wrong with each."""
        return await asyncio.gather(*(bounded(f"hanging up {peer.side}", peer.close()) for peer in self.peers))

    async def close_network(self) -> None:
        """Close what peers and clients left open."""

    @property
    def awaited(self) -> Sequence[asyncio.Event]:
        """What must have come before a join is over: a packet to each whose join is timed."""
        return [peer.heard_packet for peer in self.joiners]

    @property
    def preparing_s(self) -> float:
        """How long ``prepare`` may take, which is no part of the join."""
        return self.setup.join_timeout_s

    def too_late(self, peer: Peer, limit_s: float) -> str:
        """Return what ``peer`` was waiting for after ``limit_s``, in a sentence."""
        return too_late(peer, self.clients, self.stop_of(peer), limit_s, self.unanswered(peer))

    def gave_up(self, peer: Peer) -> str:
        """Return that the media path of ``peer`` gave up, in a sentence."""
        return gave_up(peer, self.stop_of(peer)) + self.unanswered(peer)

    def stop_of(self, peer: Peer) -> Stop:
        """Return where ``peer`` stopped."""
        return stop_of(peer, self.clients, self.optional)

    def complaints(self) -> Iterable[str]:
        """Return what went wrong on the way without ending the call, a sentence each."""
        return ()

    def unanswered(self, peer: Peer) -> str:
        """Return who beside the target still owes ``peer`` an answer, as the end of a sentence; "" for nobody."""
        del peer
        return ""
