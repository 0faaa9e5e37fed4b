"""The fast path of forwarded media in virtual time: once a leg's first packet has come, the rest ride on their fates.

Facts:
    What becomes of media is decided by fates, which are sealed when a packet enters a path (``link``), and by nothing
    above: neither SRTP nor ICE nor the loop's turns move an arrival. A packet costs nine tenths of its CPU there.

Theory of operation:
    A server notes once what comes to it. A *ride* goes through these notes for one leg: each packet is renamed,
    offered to the path at the instant it left, and noted where it is heard. It does so late, in bulk, but always before
    anything else enters the same path: so fates are drawn in the order of time, as they are without it.

Rules:
    1. A section boards when its first packet was heard: types are known then, and stay. Where anything is left out, it
       gets off again.
    2. Nobody rides whose listener asks for packets again: what it asks for depends on what came when.
    3. Nothing leaves for a listener who has hung up; what is under way then, is noted all the same, for it may have
       been already.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rtcprobe.runtime.direction import IPV4_UDP_HEADER_BYTES, Direction
from rtcprobe.runtime.forwarding import Forwarded, Forwarding
from rtcprobe.runtime.network import Network

__all__ = ["Ride", "Take"]

Take = Callable[[float, int, int, bytes, int], None]
"""Hears a packet: when (seconds since the epoch), number, timestamp, payload, type."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seat:
    """A section on a ride: from which note on, as what, and how many bytes a packet has beside its payload."""

    from_place: int
    forwarded: Forwarded
    beside_bytes: int
    take: Take


class Ride:
    """What leaves one server for one party."""

    def __init__(self, plane: Forwarding, network: Network, direction: Direction) -> None:
        self._plane, self._network, self._direction = plane, network, direction
        self._notes = plane.notes
        self._place = 0
        self._seats: dict[str, _Seat] = {}
        self._over_s = math.inf
        direction.before = self.settle

    def board(self, talker: str, forwarded: Forwarded, take: Take) -> None:
        """Let what is forwarded of ``talker`` ride from now on (rule 1)."""
        beside_bytes = forwarded.out.beside_bytes
        if forwarded.source is None or beside_bytes is None or forwarded.paused:
            return
        self._plane.noting = True
        if not self._seats:
            self._place = len(self._notes)
        self._seats[talker] = _Seat(len(self._notes), forwarded, beside_bytes + IPV4_UDP_HEADER_BYTES, take)
        forwarded.get_off = lambda: self._get_off(talker)

    def stop(self) -> None:
        """Nothing leaves any more."""
        self.settle(self._network.now_s())
        self._over_s = self._network.now_s()

    def settle(self, until_s: float) -> None:
        """Seal the fates of everything that left until ``until_s``."""
        notes, place, seats, over_s = self._notes, self._place, self._seats, self._over_s
        if place == len(notes):
            return
        offer, in_order, epoch_s = self._direction.enter, self._direction.in_order, self._network.epoch_s
        last_s, ceil = self._network.last_arrival_s, math.ceil
        count = len(notes)
        while place < count and notes[place][0] <= until_s:
            at_s, talker, packet, came_as = notes[place]
            place += 1
            seat = seats.get(talker)
            if seat is None or place <= seat.from_place or at_s > over_s:
                continue
            kind, sequence, timestamp, payload = seat.forwarded.renamed(packet, came_as, at_s)
            for arrival_s in offer(seat.beside_bytes + len(payload), at_s).arrivals_s:
                last_s = max(last_s, arrival_s)
                # The loop counts whole nanoseconds, and wakes at the first that is not too early (``virtual``).
                heard_s = ceil(in_order(epoch_s + arrival_s) * 1e9) * 1e-9 - epoch_s
                seat.take(heard_s, sequence, timestamp, payload, kind)
        self._place, self._network.last_arrival_s = place, last_s

    def _get_off(self, talker: str) -> None:
        """Let what comes of ``talker`` be sent again, packet by packet."""
        self.settle(self._network.now_s())
        self._seats.pop(talker).forwarded.get_off = None
