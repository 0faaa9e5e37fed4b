"""What passed a room through servers of ours, way by way, whatever seats it took (``sfu_room``).

Rules:
    1. What left is told on the time base of the first seat that its talker published on, and what came as well. What
       the server sent again from what it had is told as if it had left the talker by so much sooner as the way to the
       server takes at the fastest.
    2. What was said while it could not reach a listener is not asked of the way: before the listener's own section was
       open, after it left, and what the server left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rtcprobe.call.ends.server import Outlet
from rtcprobe.call.peer import UNDER_WAY_S
from rtcprobe.call.targets.sfu_room import Room, Seat
from rtcprobe.call.targets.stints import base_of, whole, within
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.recording import Came, Departure, Said
from rtcprobe.runtime.forwarding import Forwarded, Turn
from rtcprobe.wrapping import RTP_CYCLE

__all__ = ["Passed"]

# What lies less than half the cycle ahead of another came after it (RFC 1982 §3.2, serial numbers of 32 bits).
_HALF = RTP_CYCLE // 2


class Passed:
    """What was said to whom in a room, and what came of it."""

    def __init__(self, room: Room) -> None:
        self.room = room

    def said(self, talker: str, listener: str) -> Said | None:
        """Return what ``talker`` said to ``listener`` (rules 1 and 2); None where it never had a connection for it."""
        seats = [seat for seat in self.room.seats[talker] if seat.publishes]
        if not seats:
            return None
        spoken = self._whole(seats)
        if not spoken.departures:
            return spoken
        windows = list(self._windows(talker, listener, spoken.departures[0].at_s))
        again = list(self._sent_again(talker, listener))
        # Nothing was left out: the recording as it is, without a copy of it.
        if not again and windows == [(-math.inf, math.inf)]:
            return spoken
        return within(spoken, windows, again)

    def came(self, talker: str, listener: str) -> Came | None:
        """Return what reached ``listener`` of ``talker`` (rule 1); None where it never had a connection for it."""
        seats = [seat for seat in self.room.seats[listener] if talker in seat.listens_to]
        if not seats:
            return None
        first = seats[0].peer.came(forwarded=False, there_and_back=False, section=seats[0].section(talker))
        shifts = self._shifts(talker)
        # No seat has another time base, and no server renumbered: arrivals can be told as they are.
        straight = not any(shifts.values()) and all(
            turn.shift == 0 for each in seats for turn in self._chain(talker, each).turns
        )
        if len(seats) == 1 and straight and math.isinf(seats[0].left_s):
            return first
        arrivals = Arrivals(likely=self.room.setup.expected(talker))
        for seat in seats:
            turns = self._chain(talker, seat).turns
            for at_s, packet in seat.section(talker).arrivals:
                if at_s > seat.left_s:
                    continue  # its fate was known before it left (``runtime.riding``)
                stamp = _before(packet.timestamp, turns, shifts)
                arrivals.add(at_s, packet.sequence, stamp, packet.payload, packet.payload_type)
        agreed = next((each.section(talker).agreed for each in seats if each.section(talker).arrivals), first.agreed)
        return replace(first, arrivals=arrivals, agreed=agreed)

    def _chain(self, talker: str, seat: Seat) -> Forwarded:
        """Return where timestamps changed on the way from ``talker`` to a seat: at the talker's own server."""
        home, there = self.room.plan.homes[talker], seat.leg.side
        if home == there:
            return seat.outlet(talker).forwarded
        towards = {id(leg): other.side for one in self.room.relays for leg, other in (one, one[::-1])}
        return next(
            each.forwarded
            for pair in self.room.relays
            for leg in pair
            if leg.side == home and towards[id(leg)] == there
            for each in leg.sections
            if isinstance(each, Outlet) and each.talker == talker
        )

    def _shifts(self, talker: str) -> dict[int, int]:
        """Return by how much each source of ``talker``'s differs from the time base of the first, by source."""
        seats = [seat for seat in self.room.seats[talker] if seat.publishes]
        bases = {}
        for seat in seats:
            said = seat.peer.said()
            if said.departures:
                bases[seat.peer.sound.ssrcs[0]] = base_of(said)
        first = next(iter(bases.values()), 0)
        return {ssrc: (base - first) % RTP_CYCLE for ssrc, base in bases.items()}

    def _whole(self, seats: Sequence[Seat]) -> Said:
        """Return what was said over all of ``seats``, on the time base of the first that spoke."""
        return whole([seat.peer.said() for seat in seats])

    def _windows(self, talker: str, listener: str, begun_s: float) -> Iterator[tuple[float, float]]:
        """Yield from when until when what left ``talker`` could reach ``listener``, in order."""
        for seat in self.room.seats[listener]:
            if talker not in seat.listens_to or not seat.peer.connected.is_set():
                continue
            opened_s = seat.outlet(talker).opened_s
            if opened_s is None:
                continue
            from_s = -math.inf if opened_s <= begun_s + self._up_s(talker, listener) else opened_s
            until_s = min(seat.left_s - UNDER_WAY_S, self.room.over_s)
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
        spoken = self._whole([each for each in self.room.seats[talker] if each.publishes])
        left_s = {each.timestamp: each.at_s for each in spoken.departures}
        turns, shifts = self._chain(talker, seat).turns, self._shifts(talker)

        def departed_s(timestamp: int | None, otherwise_s: float) -> float:
            return otherwise_s if timestamp is None else left_s.get(_before(timestamp, turns, shifts), otherwise_s)

        for last, first in pauses:
            # Just behind the last that was sent on, which itself was not left out.
            yield math.nextafter(departed_s(last, -math.inf), math.inf), departed_s(first, math.inf)

    def _sent_again(self, talker: str, listener: str) -> Iterator[Departure]:
        """Yield what the server sent ``listener`` again of ``talker`` (rule 1)."""
        shifts, up_s = self._shifts(talker), self._up_s(talker, listener)
        for seat in self.room.seats[listener]:
            if talker not in seat.listens_to:
                continue
            turns = self._chain(talker, seat).turns
            for at_s, sequence, timestamp, size_bytes in seat.outlet(talker).again:
                yield Departure(at_s - up_s, sequence, _before(timestamp, turns, shifts), size_bytes)

    def _up_s(self, talker: str, listener: str) -> float:
        """Return how long it takes at the fastest from ``talker`` to the server of ``listener``."""
        home, there = self.room.plan.homes[talker], self.room.plan.homes[listener]
        between_s = 0.0 if home == there else self.room.world.fastest_s(home, there) or 0.0
        return (self.room.world.fastest_s(talker, home) or 0.0) + between_s


def _before(timestamp: int, turns: Sequence[Turn], shifts: Mapping[int, int]) -> int:
    """Return the timestamp that a packet had when it left its talker, on the time base of the first source."""
    # The latest turn that began at or before this timestamp is the one whose source it is of.
    for turn in reversed(turns):
        if (timestamp - turn.first) % RTP_CYCLE < _HALF:
            return (timestamp - turn.shift - shifts.get(turn.source, 0)) % RTP_CYCLE
    return timestamp
