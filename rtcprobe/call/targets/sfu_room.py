"""Who is connected to which forwarding server, and what passed them: seats, the connections between servers, ways.

Facts:
    A party that leaves and comes back, or goes on stage over a new connection, has several connections in one call, one
    after the other or beside each other: *seats*. Each that it publishes on has a source, numbers and a time base of
    its own (RFC 3550 §5.1); whoever listens sees one stream go on (``runtime.forwarding``).

Rules:
    1. A way is one thing to hear, whatever seats it took: what left is told on the time base of the first of them, and
       what came as well. What the server sent again from what it had is told as if it had left the talker by so much
       sooner as the way to the server takes at the fastest.
    2. What was said while it could not reach a listener is not asked of the way: before the listener's own section was
       open, after it left, and what the server left out.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from rtcprobe.call.courier import Courier
from rtcprobe.call.ends.server import Inlet, Nack, Outlet, ServerLeg
from rtcprobe.call.peer import UNDER_WAY_S, Peer
from rtcprobe.call.targets.base import CallSetup, Route
from rtcprobe.call.targets.emulated import World
from rtcprobe.call.targets.sfu_post import Post
from rtcprobe.call.transceiver import Sound, Transceiver
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.recording import Came, Departure, Departures, Said
from rtcprobe.runtime.forwarding import Forwarded, Forwarding, Turn
from rtcprobe.runtime.loudest import Loudest
from rtcprobe.runtime.riding import Ride
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.ways import Leg as LegName

__all__ = ["Room", "Seat", "Topology"]

_CYCLE = 1 << 32
_HALF = 1 << 31


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
        heard = [each for each in self.peer.sections if isinstance(each, Sound)]
        return heard[self.publishes + self.listens_to.index(talker)]

    def outlet(self, talker: str) -> Outlet:
        """Return where the server sends it ``talker``."""
        return next(each for each in self.leg.sections if isinstance(each, Outlet) and each.talker == talker)


class Room:
    """The servers, and every seat at them."""

    def __init__(self, setup: CallSetup, made: World, plan: Topology) -> None:
        self.setup, self.plan, self.world = setup, plan, made
        self.planes = {name: Forwarding(now_s=made.network.now_s, loudest=self._loudest()) for name in plan.servers}
        self.hears = {name: self._heard_by(name) for name in made.members}
        self.seats: dict[str, list[Seat]] = {name: [] for name in made.members}
        self.relays: list[tuple[ServerLeg, ServerLeg]] = []
        self.post = Post(made.members, plan.homes, setup.messages, made.network)
        """What is written: over the first seat of each, from there on."""
        self._rides: dict[Seat, Ride] = {}
        self._boarding: list[asyncio.Future[None]] = []
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
        written = None if self.seats[name] else self.post.wanted(name)
        if not publishes and not talkers and written is None:
            return None
        heard = [self.world.members[each] for each in talkers]
        peer = member.join(home, heard, heard=publishes, milestones=CALLER_ORDER, messages=written)
        plane, network = self.planes[home], self.world.network
        inlet = [Inlet(name, plane, asks=self._asks, network=network)] if publishes else []
        outlets = [Outlet(each, plane, network) for each in talkers]
        silent = [] if inlet or outlets else [Outlet(name, plane, network)]  # who only writes and reads
        courier = None if written is None else self.post.at_home(name)
        leg = self._leg(home, [*inlet, *outlets, *silent], CALLEE_ORDER, courier)
        seat = Seat(peer=peer, leg=leg, listens_to=talkers, publishes=publishes)
        self.seats[name].append(seat)
        if self.plan.rides and not network.sockets:
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

    def said(self, talker: str, listener: str) -> Said | None:
        """Return what ``talker`` said to ``listener`` (rules 1 and 2); None where it never had a connection for it."""
        seats = [seat for seat in self.seats[talker] if seat.publishes]
        if not seats:
            return None
        whole = self._whole(seats)
        if not whole.departures:
            return whole
        windows = list(self._windows(talker, listener, whole.departures[0].at_s))
        again = list(self._sent_again(talker, listener))
        if not again and windows == [(-math.inf, math.inf)]:
            return whole
        return _within(whole, windows, again)

    def came(self, talker: str, listener: str) -> Came | None:
        """Return what reached ``listener`` of ``talker`` (rule 1); None where it never had a connection for it."""
        seats = [seat for seat in self.seats[listener] if talker in seat.listens_to]
        if not seats:
            return None
        first = seats[0].peer.came(forwarded=False, there_and_back=False, section=seats[0].section(talker))
        shifts = self._shifts(talker)
        straight = not any(shifts.values()) and all(
            turn.shift == 0 for each in seats for turn in self._chain(talker, each).turns
        )
        if len(seats) == 1 and straight and math.isinf(seats[0].left_s):
            return first
        arrivals = Arrivals(likely=self.setup.expected(talker))
        for seat in seats:
            turns = self._chain(talker, seat).turns
            for at_s, packet in seat.section(talker).arrivals:
                if at_s > seat.left_s:
                    continue  # its fate was known before it left (``runtime.riding``)
                stamp = _before(packet.timestamp, turns, shifts)
                arrivals.add(at_s, packet.sequence, stamp, packet.payload, packet.payload_type)
        agreed = next((each.section(talker).agreed for each in seats if each.section(talker).arrivals), first.agreed)
        return replace(first, arrivals=arrivals, agreed=agreed)

    @property
    def peers(self) -> list[Peer]:
        """Every connection of every party, in the order of parties."""
        return [seat.peer for seats in self.seats.values() for seat in seats]

    def seat_of(self, peer: Peer) -> Seat:
        """Return the seat that a connection is of."""
        return next(seat for seats in self.seats.values() for seat in seats if seat.peer is peer)

    def _chain(self, talker: str, seat: Seat) -> Forwarded:
        """Return where timestamps changed on the way from ``talker`` to a seat: at the talker's own server."""
        home, there = self.plan.homes[talker], seat.leg.side
        if home == there:
            return seat.outlet(talker).forwarded
        towards = {id(leg): other.side for one in self.relays for leg, other in (one, one[::-1])}
        return next(
            each.forwarded
            for pair in self.relays
            for leg in pair
            if leg.side == home and towards[id(leg)] == there
            for each in leg.sections
            if isinstance(each, Outlet) and each.talker == talker
        )

    def _shifts(self, talker: str) -> dict[int, int]:
        """Return by how much each source of ``talker``'s differs from the time base of the first, by source."""
        seats = [seat for seat in self.seats[talker] if seat.publishes]
        bases = {}
        for seat in seats:
            said = seat.peer.said()
            if said.departures:
                bases[seat.peer.sound.ssrcs[0]] = _base(said)
        first = next(iter(bases.values()), 0)
        return {ssrc: (base - first) % _CYCLE for ssrc, base in bases.items()}

    def _whole(self, seats: Sequence[Seat]) -> Said:
        """Return what was said over all of ``seats``, on the time base of the first that spoke."""
        spoke = [(seat, seat.peer.said()) for seat in seats]
        spoke = [(seat, said) for seat, said in spoke if said.departures] or spoke[:1]
        first = spoke[0][1]
        if len(spoke) == 1:
            return first
        base, departures, gaps = _base(first), Departures(), list(first.gaps_s)
        for place, (_, said) in enumerate(spoke):
            shift = (base - _base(said)) % _CYCLE if place else 0
            for each in said.departures:
                stamp = (each.timestamp + shift) % _CYCLE
                departures.add(each.at_s, each.sequence, stamp, each.size_bytes, each.ssrc)
        for (_, before), (_, after) in pairwise(spoke):
            gaps.append((before.departures[-1].at_s, after.departures[0].at_s - after.ptime_s))
        finished = any(said.finished for _, said in spoke)
        return replace(first, departures=departures, gaps_s=tuple(gaps), finished=finished)

    def _windows(self, talker: str, listener: str, begun_s: float) -> Iterator[tuple[float, float]]:
        """Yield from when until when what left ``talker`` could reach ``listener``, in order."""
        for seat in self.seats[listener]:
            if talker not in seat.listens_to or not seat.peer.connected.is_set():
                continue
            opened_s = seat.outlet(talker).opened_s
            if opened_s is None:
                continue
            from_s = -math.inf if opened_s <= begun_s + self._up_s(talker, listener) else opened_s
            until_s = min(seat.left_s - UNDER_WAY_S, self.over_s)
            for last_s, again_s in (*self._left_out(talker, listener, seat), (math.inf, math.inf)):
                if from_s < min(last_s, until_s):
                    yield from_s, min(last_s, until_s)
                from_s = max(from_s, again_s)

    def _left_out(self, talker: str, listener: str, seat: Seat) -> Iterator[tuple[float, float]]:
        """Yield what the server left out: from behind which departure of ``talker``'s until before which."""
        del listener
        pauses = seat.outlet(talker).forwarded.pauses
        if not pauses:
            return
        spoken = self._whole([each for each in self.seats[talker] if each.publishes])
        left_s = {each.timestamp: each.at_s for each in spoken.departures}
        turns, shifts = self._chain(talker, seat).turns, self._shifts(talker)

        def departed_s(timestamp: int | None, otherwise_s: float) -> float:
            return otherwise_s if timestamp is None else left_s.get(_before(timestamp, turns, shifts), otherwise_s)

        for last, first in pauses:
            yield math.nextafter(departed_s(last, -math.inf), math.inf), departed_s(first, math.inf)

    def _sent_again(self, talker: str, listener: str) -> Iterator[Departure]:
        """Yield what the server sent ``listener`` again of ``talker`` (rule 1)."""
        shifts, up_s = self._shifts(talker), self._up_s(talker, listener)
        for seat in self.seats[listener]:
            if talker not in seat.listens_to:
                continue
            turns = self._chain(talker, seat).turns
            for at_s, sequence, timestamp, size_bytes in seat.outlet(talker).again:
                yield Departure(at_s - up_s, sequence, _before(timestamp, turns, shifts), size_bytes)

    async def _board(self, seat: Seat, talker: str) -> None:
        """Let what a seat hears of ``talker`` ride once its first packet was heard (``runtime.riding``)."""
        section = seat.section(talker)
        await section.heard_packet.wait()
        if section.agreed is None or section.agreed.nack:
            return
        if seat not in self._rides:
            network, home = self.world.network, seat.leg.side
            self._rides[seat] = Ride(self.planes[home], network, self.world.direction(home, seat.peer.side))
        self._rides[seat].board(talker, seat.outlet(talker).forwarded, section.arrivals.add)

    def _up_s(self, talker: str, listener: str) -> float:
        """Return how long it takes at the fastest from ``talker`` to the server of ``listener``."""
        home, there = self.plan.homes[talker], self.plan.homes[listener]
        between_s = 0.0 if home == there else self.world.fastest_s(home, there) or 0.0
        return (self.world.fastest_s(talker, home) or 0.0) + between_s

    def _heard_by(self, listener: str) -> list[str]:
        """Return whom a party hears."""
        member = self.world.members[listener]
        return [name for name, each in self.world.members.items() if each.mouth is not None and member.hears(each)]

    def _relay(self, one: str, other: str) -> tuple[ServerLeg, ServerLeg]:
        there, back = self._passing(one, other), self._passing(other, one)
        made = [
            [
                Outlet(name, plane, self.world.network, always=True)
                if name in sends
                else Inlet(name, plane, asks=self._asks, network=self.world.network)
                for name in (*there, *back)
            ]
            for plane, sends in ((self.planes[one], there), (self.planes[other], back))
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


def _base(said: Said) -> int:
    """Return the RTP timestamp of frame 0 of a speech."""
    size = round(said.ptime_s * RTP_CLOCK_HZ)
    return (said.departures[0].timestamp - said.first_sent * size) % _CYCLE


def _before(timestamp: int, turns: Sequence[Turn], shifts: Mapping[int, int]) -> int:
    """Return the timestamp that a packet had when it left its talker, on the time base of the first source."""
    for turn in reversed(turns):
        if (timestamp - turn.first) % _CYCLE < _HALF:
            return (timestamp - turn.shift - shifts.get(turn.source, 0)) % _CYCLE
    return timestamp


def _within(whole: Said, windows: Sequence[tuple[float, float]], again: Iterable[Departure]) -> Said:
    """Return what was said within ``windows``, and sent ``again`` by somebody else."""
    size = round(whole.ptime_s * RTP_CLOCK_HZ)
    base = _base(whole)
    kept = [each for each in whole.departures if any(from_s <= each.at_s < until_s for from_s, until_s in windows)]
    if not kept:
        return replace(whole, departures=(), gaps_s=((-math.inf, math.inf),))
    departures = Departures()
    for each in sorted((*kept, *again), key=lambda left: left.at_s):
        departures.add(*each)
    ends = [-math.inf, *(instant for window in windows for instant in window), math.inf]
    outside = [(ends[place], ends[place + 1]) for place in range(0, len(ends), 2)]
    gaps = [(left_s, again_s - whole.ptime_s) for left_s, again_s in outside if left_s < again_s]
    first = (kept[0].timestamp - base) % _CYCLE // size
    return replace(whole, departures=departures, gaps_s=(*whole.gaps_s, *gaps), first=first)
