"""Who is in a room at a server that is not ours, and what of it differs from server to server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtcprobe.call.member import EVENTS
from rtcprobe.call.mouth_track import Mouth
from rtcprobe.call.peer import Peer
from rtcprobe.call.script import goes_on_stage, silent
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.outside_ends import OutsideEnds
from rtcprobe.errors import MeasurementError
from rtcprobe.runtime.outside import OutsideHost
from rtcprobe.runtime.streams import Line

__all__ = ["Attendee", "NobodyThereError", "RoomHooks"]


class NobodyThereError(MeasurementError):
    """A listener's talker never came: why, was told of the talker."""


@dataclass(slots=True, kw_only=True, eq=False)
class Attendee:
    """A party in the room: its machine, its connections by what they are for, and whether it is there.

    ``on_air`` is done once its sound is published, or says what prevented that. ``published`` and ``heard`` are the
    connections it had for that, one after the other, by whom it heard; ``left_s`` is when it hung one up.
    """

    name: str
    host: OutsideHost
    line: Line
    mouth: Mouth | None = None
    hears: Sequence[str] = ()
    publishing: Peer | None = None
    hearing: dict[str, Peer] = field(default_factory=dict)
    on_air: asyncio.Future[None]
    there: bool = True
    may_be_heard: bool = False
    """Whether it was let on stage."""
    events: dict[str, asyncio.Event] = field(default_factory=lambda: {name: asyncio.Event() for name in EVENTS})
    published: list[Peer] = field(default_factory=list)
    heard: dict[str, list[Peer]] = field(default_factory=dict)
    left_s: dict[Peer, float] = field(default_factory=dict)

    @property
    def peers(self) -> list[Peer]:
        """The connections it has; the first stands for its signalling."""
        both = ([] if self.publishing is None else [self.publishing], self.hearing.values())
        # A mixer's party has one connection for both: each is named once.
        return list(dict.fromkeys(peer for each in both for peer in each))

    @property
    def all_peers(self) -> list[Peer]:
        """Those it had before as well."""
        before = (self.published, *self.heard.values())
        return list(dict.fromkeys([*(peer for each in before for peer in each), *self.peers]))

    def seated(self) -> None:
        """Note the connections that it has now."""
        if self.publishing is not None and self.publishing not in self.published:
            self.published.append(self.publishing)
        for talker, peer in self.hearing.items():
            known = self.heard.setdefault(talker, [])
            known += [] if peer in known else [peer]


class RoomHooks(OutsideEnds):
    """How a party enters, publishes, listens and leaves: a subclass's matter."""

    attendees: dict[str, Attendee]
    apart: bool = True
    """Whether each that a party hears has a connection of its own there: one to a mixer is there before any talker."""

    def __init__(self, setup: CallSetup, *, server: str) -> None:
        super().__init__(setup, server=server)
        self._over: dict[Peer, asyncio.Future[str]] = {}
        """Say why, when the server ends a connection."""

    async def enter(self, who: Attendee) -> None:
        """Let a party in: its signalling; marks of its first connection are those of all.

        Raises:
            MeasurementError: it was not let in.
        """

    async def publish(self, who: Attendee, peer: Peer) -> None:
        """Publish the sound of a party over ``peer``.

        Raises:
            MeasurementError: the server, or the way there, did not play along.
        """
        raise NotImplementedError

    async def listen(self, who: Attendee, talker: str, peer: Peer) -> None:
        """Let a party hear ``talker`` over ``peer``, once that is on the air.

        Raises:
            MeasurementError: the server, or the way there, did not play along.
        """
        raise NotImplementedError

    async def depart(self, who: Attendee) -> None:
        """Tell the server that a party has left, whose connections are closed."""

    async def let_go(self, who: Attendee, peer: Peer) -> None:
        """Tell the server that a party listens over ``peer`` no more, which is closed."""

    def connect_party(self, who: Attendee) -> None:
        """Make the connections of a party; of one that comes back, anew."""
        raise NotImplementedError

    def connect_to(self, who: Attendee, talker: str) -> None:
        """Make a party's connection to a talker who comes back."""
        raise NotImplementedError

    def write(self, who: Attendee) -> None:
        """Let a party send a message."""

    async def on_air(self, talker: str) -> None:
        """Wait until the sound of ``talker`` is published.

        Raises:
            MeasurementError: it will not be.
        """
        await asyncio.shield(self.attendees[talker].on_air)

    @property
    def there(self) -> list[Peer]:
        """The connections that are made at the start (``room_course``, rule 4)."""
        cues = self.setup.cues
        if not cues:
            return list(self.peers)
        return [peer for who in self.attendees.values() if who.there for peer in self.due(who)]

    def due(self, who: Attendee) -> list[Peer]:
        """Return which connections of a party can be made now: what it hears of those who talk, and its own if it may.

        One to a mixer can be made whoever talks.
        """
        # At a mixer the connection of one who waits is made at once, muted: it is the one that it hears over.
        waits = goes_on_stage(who.name, self.setup.cues) and self.apart
        out = [] if who.publishing is None or waits else [who.publishing]
        out += [peer for talker, peer in who.hearing.items() if not self.apart or self.is_talking(talker)]
        return list(dict.fromkeys(out))

    def is_talking(self, talker: str) -> bool:
        """Return whether a party is on the air, or on its way there."""
        who = self.attendees[talker]
        waits = goes_on_stage(talker, self.setup.cues) and not who.may_be_heard
        return who.there and not waits

    def let_speak(self, *, joining: bool) -> None:
        """Let those speak who are there and wait for no cue; in a join all of them, to be heard at all."""
        for who in self.attendees.values():
            if who.mouth is not None and who.there and (joining or not silent(who.name, self.setup.cues)):
                who.mouth.open()

    def lose_party(self, who: Attendee, why: str) -> None:
        """Say that the server has ended the session of a party: ``why``, in a sentence."""
        for peer in who.peers:
            self.lose_connection(peer, why)

    def lose_connection(self, peer: Peer, why: str) -> None:
        """Say that the server has ended one connection: ``why``, in a sentence."""
        over = self.over_of(peer)
        if not over.done():
            over.set_result(why)

    def over_of(self, peer: Peer) -> asyncio.Future[str]:
        """Return what says why, when the server ends a connection."""
        if peer not in self._over:
            self._over[peer] = asyncio.get_running_loop().create_future()
        return self._over[peer]

    def off_air(self, who: Attendee) -> None:
        """Say that a party has left: who waits for it waits no more; it may come back."""
        if not who.on_air.done():
            who.on_air.set_exception(NobodyThereError(f"{who.name} left before it was heard"))
            who.on_air.exception()  # where nobody waits for it
        # A new one: the party may come back, and who listens then waits for that.
        who.on_air = asyncio.get_running_loop().create_future()

    def owner_of(self, peer: Peer) -> Attendee:
        """Return whose connection it is, or was."""
        return next(who for who in self.attendees.values() if peer in who.all_peers)
