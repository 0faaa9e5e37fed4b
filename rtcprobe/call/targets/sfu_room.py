"""Who is connected to which forwarding server, and what passed them: seats, the connections between servers, ways.

Facts:
    A party that leaves and comes back, or goes on stage over a new connection, has several connections in one call, one
    after the other or beside each other: *seats*. Each that it publishes on has a source, numbers and a time base of
    its own (RFC 3550 §5.1); whoever listens sees one stream go on (``runtime.forwarding``).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from rtcprobe.call.courier import Courier
from rtcprobe.call.ends.server import Inlet, Nack, Outlet, ServerLeg
from rtcprobe.call.ends.showing import PictureInlet, PictureOutlet
from rtcprobe.call.live import LiveMouth
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup, Route
from rtcprobe.call.targets.emulated import World
from rtcprobe.call.targets.sfu_post import Post
from rtcprobe.call.transceiver import Picture, Sound, Transceiver
from rtcprobe.call.watching import Watching
from rtcprobe.errors import unforeseen
from rtcprobe.runtime.forwarding import Forwarding
from rtcprobe.runtime.loudest import Loudest
from rtcprobe.runtime.picture_forwarding import PICTURE_THROTTLE_S, PicturePlane
from rtcprobe.runtime.riding import Ride
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER
from rtcprobe.ways import Leg as LegName

__all__ = ["Room", "Seat", "Topology"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What is where: ``homes`` is each party's server, ``between`` the pairs of servers that sound passes.

    ``routes`` are all that packets take, ``legs`` those that links are told of. ``signaling`` is the host of a
    signalling server, None where each server is its own. ``nack`` says who sends again, ``new_connection`` whether
    going on stage takes one; a join takes a server ``service_s``, ``workers`` of them at a time.
    """

    homes: Mapping[str, str]
    servers: Sequence[str]
    between: Sequence[Route]
    routes: Sequence[Route]
    legs: Sequence[LegName]
    signaling: str | None
    nack: Nack
    new_connection: bool = False
    service_s: float = 0.0
    workers: int = 1
    last_n: int | None = None
    """How many are forwarded, the loudest; None: everybody."""
    pli_throttle_s: float = PICTURE_THROTTLE_S
    """A talker is asked for a key frame once in so long at most."""
    rides: bool = True
    """Whether media rides on fates after the first packet of each leg, where it may (``runtime.riding``)."""
    assumed: str | None = None
    """What of that is an assumption, in a sentence."""


@dataclass(slots=True, kw_only=True, eq=False)
class Seat:
    """One connection of a party to its server; ``left_s`` is when it hung up, seconds since the epoch."""

    peer: Peer
    leg: ServerLeg
    listens_to: Sequence[str]
    publishes: bool
    left_s: float = math.inf

    def section(self, talker: str) -> Sound:
        """Return where it hears ``talker``: its own section is the first, where it has one."""
        # Sections stand as ``Member.join`` made them: its own sound, then one
        # of each talker in the order of ``listens_to``.
        heard = [each for each in self.peer.sections if isinstance(each, Sound)]
        return heard[self.publishes + self.listens_to.index(talker)]

    @property
    def camera(self) -> Picture | None:
        """Return where it shows itself; None where it does not."""
        return next((each for each in self.peer.pictures if each.track is not None), None)

    def picture(self, talker: str) -> Picture | None:
        """Return where it sees ``talker``; None where that has no camera."""
        # By the server's sections, for not every talker has a camera: its outlets
        # of pictures stand as the party's sections do.
        outlets = [each.talker for each in self.leg.sections if isinstance(each, PictureOutlet)]
        seen = [each for each in self.peer.pictures if each.track is None]
        return dict(zip(outlets, seen, strict=True)).get(talker)

    def watching(self, talker: str) -> Watching | None:
        """Return who watches ``talker`` there while pictures come; None where nobody does."""
        picture = self.picture(talker) if talker in self.listens_to else None
        watcher = None if picture is None else picture.watcher
        return watcher if isinstance(watcher, Watching) else None

    def picture_outlet(self, talker: str) -> PictureOutlet:
        """Return where the server sends it what ``talker`` shows."""
        return next(each for each in self.leg.sections if isinstance(each, PictureOutlet) and each.talker == talker)

    def outlet(self, talker: str) -> Outlet:
        """Return where the server sends it ``talker``."""
        return next(each for each in self.leg.sections if isinstance(each, Outlet) and each.talker == talker)


class Room:
    """The servers, and every seat at them."""

    def __init__(self, setup: CallSetup, made: World, plan: Topology) -> None:
        self.setup, self.plan, self.world = setup, plan, made
        self.planes = {name: Forwarding(now_s=made.network.now_s, loudest=self._loudest()) for name in plan.servers}
        self.picture_planes = {
            name: PicturePlane(now_s=made.network.now_s, throttle_s=plan.pli_throttle_s) for name in plan.servers
        }
        for name, plane in self.planes.items():
            # The plane of sound decides who is among the loudest, and tells the pictures' plane.
            plane.beside = self.picture_planes[name].choose
        self.hears = {name: self._heard_by(name) for name in made.members}
        self.seats: dict[str, list[Seat]] = {name: [] for name in made.members}
        self.relays: list[tuple[ServerLeg, ServerLeg]] = []
        self.post = Post(made.members, plan.homes, setup.messages, made.network)
        """What is written, over one seat of each at a time."""
        self._rides: dict[Seat, Ride] = {}
        self._boarding: list[asyncio.Future[None]] = []
        self.faults: list[str] = []
        """What went wrong with the fast path, a sentence each."""
        self.over_s = math.inf
        """When the script was over, seconds since the epoch: what was said later is not waited for."""

    def _loudest(self) -> Loudest | None:
        return None if self.plan.last_n is None else Loudest(self.plan.last_n)

    def heard(self, name: str) -> bool:
        """Return whether anybody hears a party."""
        return any(name in talkers for talkers in self.hears.values())

    def take_seat(self, name: str, *, publishes: bool, listens: bool = True) -> Seat | None:
        """Make a party's connection and the server's end of it; None where it would have nothing to do there."""
        member, home = self.world.members[name], self.plan.homes[name]
        talkers = self.hears[name] if listens else []
        publishes = publishes and member.mouth is not None and self.heard(name)
        written = self.post.wanted(name)
        if not publishes and not talkers and written is None:
            return None
        heard = [self.world.members[each] for each in talkers]
        peer = member.join(home, heard, heard=publishes, milestones=CALLER_ORDER, messages=written)
        plane, network = self.planes[home], self.world.network
        sections = self._inlets(name, home) if publishes else []
        sections += [section for each in talkers for section in self._outlets(each, home)]
        # A connection for messages alone still needs a section: ICE and DTLS are found by the first one's sender.
        silent = [] if sections else [Outlet(name, plane, network)]  # who only writes and reads
        courier = self.post.at_home(name, peer)
        leg = self._leg(home, [*sections, *silent], CALLEE_ORDER, courier)
        seat = Seat(peer=peer, leg=leg, listens_to=talkers, publishes=publishes)
        self.seats[name].append(seat)
        # Real sockets cannot be ridden past, and a live mouth decides by what it hears while it hears it.
        if self.plan.rides and not network.sockets and not isinstance(member.mouth, LiveMouth):
            self._boarding += [asyncio.ensure_future(self._board(seat, talker)) for talker in talkers]
        return seat

    def settle(self) -> None:
        """Seal the fates of all that has left so far."""
        now_s = self.world.network.now_s()
        for ride in self._rides.values():
            ride.settle(now_s)

    def free(self, seat: Seat) -> None:
        """Let a seat be free: nothing is heard there from now on."""
        seat.left_s = self.world.network.now_s()
        self.post.hang_up(seat.peer)
        if seat in self._rides:
            self._rides[seat].stop()

    def stop(self) -> None:
        """Let nobody board any more."""
        self.settle()
        for each in self._boarding:
            each.cancel()

    def lay_relays(self) -> None:
        """Make the connections between servers: each sends the other whom somebody hears there."""
        met = {frozenset(pair) for pair in self.plan.between}
        self.relays = [self._relay(*pair) for pair in combinations(self.plan.servers, 2) if frozenset(pair) in met]

    @property
    def peers(self) -> list[Peer]:
        """Every connection of every party, in the order of parties."""
        return [seat.peer for seats in self.seats.values() for seat in seats]

    def seat_of(self, peer: Peer) -> Seat:
        """Return the seat that a connection is of."""
        return next(seat for seats in self.seats.values() for seat in seats if seat.peer is peer)

    async def _board(self, seat: Seat, talker: str) -> None:
        """Let what a seat hears of ``talker`` ride once its first packet was heard (``runtime.riding``).

        A fault of ours is told; what it hears then goes on through the whole stack.
        """
        try:
            await self._board_it(seat, talker)
        except Exception as error:  # noqa: BLE001 - one way goes on as it was, and the others ride
            self.faults.append(f"{talker} to {seat.peer.side} did not take the fast path: {unforeseen(error)}")

    async def _board_it(self, seat: Seat, talker: str) -> None:
        section = seat.section(talker)
        await section.heard_packet.wait()
        # Who asks again sees packets as they come (``runtime.riding``, rule 2).
        if section.agreed is None or section.agreed.nack:
            return
        if seat not in self._rides:
            network, home = self.world.network, seat.leg.side
            self._rides[seat] = Ride(self.planes[home], network, self.world.direction(home, seat.peer.side))
        self._rides[seat].board(talker, seat.outlet(talker).forwarded, section.arrivals.add)

    def _heard_by(self, listener: str) -> list[str]:
        """Return whom a party hears."""
        member = self.world.members[listener]
        return [name for name, each in self.world.members.items() if each.mouth is not None and member.hears(each)]

    def _relay(self, one: str, other: str) -> tuple[ServerLeg, ServerLeg]:
        there, back = self._passing(one, other), self._passing(other, one)
        made = [
            [
                section
                for name in (*there, *back)
                for section in (
                    # ``always``: between servers nobody is left out, for each chooses its loudest from all.
                    self._outlets(name, server, always=True) if name in sends else self._inlets(name, server)
                )
            ]
            for server, sends in ((one, there), (other, back))
        ]
        # Servers that exchange messages alone have a silent section, too.
        near = made[0] or [Outlet(one, self.planes[one], self.world.network)]
        far = made[1] or [Inlet(one, self.planes[other], asks=False, network=self.world.network)]
        return (
            self._leg(one, near, CALLER_ORDER, self.post.between(one, other)),
            self._leg(other, far, CALLEE_ORDER, self.post.between(other, one)),
        )

    def _passing(self, one: str, other: str) -> list[str]:
        """Return who at server ``one`` is heard by anybody at ``other``."""
        homes = self.plan.homes
        there = [self.hears[name] for name in self.world.members if homes[name] == other]
        return [name for name in self.world.members if homes[name] == one and any(name in each for each in there)]

    def _inlets(self, talker: str, server: str) -> list[Transceiver]:
        """Return the sections in which what ``talker`` says comes to a server, and what it shows where it does."""
        network, camera = self.world.network, self.setup.cameras.get(talker)
        sections: list[Transceiver] = [Inlet(talker, self.planes[server], asks=self._asks, network=network)]
        if camera is not None:
            plane, codec = self.picture_planes[server], camera.film.settings.codec
            sections.append(PictureInlet(talker, plane, network, codec, nack=self._nacks, asks=self._asks))
        return sections

    def _outlets(self, talker: str, server: str, *, always: bool = False) -> list[Transceiver]:
        """Return the sections in which what ``talker`` says leaves a server, and what it shows where it does."""
        network, camera = self.world.network, self.setup.cameras.get(talker)
        sections: list[Transceiver] = [Outlet(talker, self.planes[server], network, always=always)]
        if camera is not None:
            plane, codec = self.picture_planes[server], camera.film.settings.codec
            sections.append(PictureOutlet(talker, plane, network, codec, nack=self._nacks, always=always))
        return sections

    @property
    def _nacks(self) -> bool:
        return self.plan.nack != "none"

    @property
    def _asks(self) -> bool:
        return self.plan.nack == "answer+ask"

    def _leg(
        self, server: str, sections: Sequence[Transceiver], milestones: Sequence[str], courier: Courier | None
    ) -> ServerLeg:
        return ServerLeg(
            self.world.hosts[server].beside(),
            server,
            sections,
            dtls_timeout_s=self.setup.dtls_timeout_s,
            protection=self.setup.protection,
            nack=self.plan.nack,
            milestones=milestones,
            courier=courier,
        )
