"""What went wrong in a room at a server that is not ours: with which connection, whose fault it was, and who is told.

Rules:
    1. What goes wrong with one connection is told of it alone, and the others go on. Who waits for a talker that never
       came is told why that did not.
    2. Of what followed from something else nothing is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import CallSetup, Trouble, Way
from rtcprobe.call.targets.room_hooks import Attendee, NobodyThereError, RoomHooks

__all__ = ["RoomTroubles"]


class RoomTroubles(RoomHooks):
    """Who is still heard, and why the others are not; how a room runs is a subclass's matter."""

    def __init__(self, setup: CallSetup, *, server: str) -> None:
        super().__init__(setup, server=server)
        self.in_vain: set[Peer] = set()
        """Connections that waited for somebody who never came."""

    def heard_ways(self) -> list[Way]:
        """Return the ways whose two connections have come about, and not broken."""
        return [way for way in self.ways if way.talker not in self.troubles and way.listener not in self.troubles]

    def last_of(self, who: Attendee) -> Peer:
        """Return which of a party's listening connections was the last, of those whose talker came."""
        came_by = [peer for peer in who.hearing.values() if peer not in self.in_vain] or list(who.hearing.values())
        return max(came_by, key=lambda peer: peer.timeline.marks.get("first_packet", float("inf")))

    def trouble(self, peer: Peer, why: str) -> None:
        """Note what went wrong with a connection not hung up by us, and tell those who wait for what it publishes."""
        who = self.owner_of(peer)
        # What happens to a path after we hung it up is nobody's trouble.
        if peer in who.left_s:
            return
        self.troubles.setdefault(peer, Trouble(why, self.stop_of(peer)))
        if peer is who.publishing and not who.on_air.done():
            who.on_air.set_exception(NobodyThereError(f"{who.name} was not there to be heard: {why}"))
            who.on_air.exception()  # where nobody waits for it, it was told all the same

    def reason(self) -> str:
        """Return why nobody is heard by anybody: what went wrong first of what did not follow from something else."""
        own = [each.why for peer, each in self.troubles.items() if peer not in self.in_vain]
        return own[0] if own else "nobody is heard by anybody"

    def has_talker(self, peer: Peer) -> bool:
        """Return whether somebody whom ``peer`` hears is on the air."""
        who = self.owner_of(peer)
        talkers = [talker for talker, each in who.hearing.items() if each is peer]
        on_air = [self.attendees[talker].on_air for talker in talkers if talker in self.attendees]
        return not talkers or any(each.done() and each.exception() is None for each in on_air)

    def blame_talkers(self) -> None:
        """Let whoever waited in vain say what prevented the talker."""
        for who in self.attendees.values():
            for talker, peer in who.hearing.items():
                sent = self.attendees[talker].publishing
                if peer in self.in_vain and sent in self.troubles:
                    why = f"{talker} was not there to be heard: {self.troubles[sent].why}"
                    self.troubles[peer] = self.troubles[peer]._replace(why=why)

    def told_since(self, before: Mapping[Peer, Trouble]) -> list[str]:
        """Return a sentence for each trouble that is not among those ``before``, nor followed from another's."""
        fresh = {peer: each.why for peer, each in self.troubles.items() if peer not in {*before, *self.in_vain}}
        out: list[str] = []
        for who in self.attendees.values():
            whys = dict.fromkeys(fresh[peer] for peer in who.all_peers if peer in fresh)
            out += [
                f"{who.name} {_missed(who, [p for p in who.all_peers if fresh.get(p) == why])}: {why}" for why in whys
            ]
        return out


def _missed(who: Attendee, peers: Iterable[Peer]) -> str:
    """Return what a party missed whose connections these are."""
    hit = set(peers)
    if hit == set(who.peers):
        return "was not in the room, or not to its end"
    names = [talker for talker, each in who.heard.items() if hit.intersection(each)]
    unheard = f"did not hear {' and '.join(names)}" if names else ""
    return " and ".join(each for each in ("was not heard" if hit.intersection(who.published) else "", unheard) if each)
