"""The messages of a call through servers of ours: who carries what on which leg, and what passed on each way.

Rule: a message takes the legs its sound would: from whoever writes to its server, to the other's where that is another,
    to whoever reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import permutations

from rtcprobe.call.channel import ChannelWanted
from rtcprobe.call.courier import Courier, Postroom, passed
from rtcprobe.call.member import Member
from rtcprobe.call.targets.base import Route
from rtcprobe.messages import CameMessages, MessagePlan, SaidMessages
from rtcprobe.runtime.network import Network
from rtcprobe.ways import Way

__all__ = ["Post"]


class Post:
    """What is written in one call; ``homes`` is each party's server, ``plans`` what those send who do."""

    def __init__(
        self,
        members: Mapping[str, Member],
        homes: Mapping[str, str],
        plans: Mapping[str, MessagePlan],
        network: Network,
    ) -> None:
        self._members, self._homes, self._plans, self._network = members, homes, plans, network
        self._rooms = {server: Postroom() for server in homes.values()}
        self._at_home: dict[str, Courier] = {}
        self._between: dict[Route, Courier] = {}

    @property
    def couriers(self) -> list[Courier]:
        """Every server's end of a leg that messages pass."""
        return [*self._at_home.values(), *self._between.values()]

    def wanted(self, party: str) -> ChannelWanted | None:
        """Return what goes over a party's channel; None where it neither writes nor reads."""
        return self._members[party].messages(self._members.values())

    def at_home(self, party: str) -> Courier | None:
        """Return what carries messages at the server's end of a party's leg."""
        wanted = self.wanted(party)
        if wanted is None:
            return None
        found = self._at_home[party] = self._courier(self._homes[party], wanted.reads)
        return found

    def between(self, one: str, other: str) -> Courier | None:
        """Return what carries messages from one server to another, and takes those that come back."""
        there, back = self._read_at(one, other), self._read_at(other, one)
        if not (there or back):
            return None
        found = self._between[one, other] = self._courier(one, there)
        return found

    def exchanged(self) -> Iterator[tuple[Way, SaidMessages, CameMessages]]:
        """Yield what was sent on each way, and what of it came, by who writes in the order written, then by reader."""
        for one, other in permutations(self._members, 2):
            if not self._members[one].writes_to(self._members[other]):
                continue
            home, there = self._homes[one], self._homes[other]
            sender = self._members[one].peers[home].channel
            taker = self._members[other].peers[there].channel
            if sender is None or taker is None or not sender.may_send.is_set():
                continue
            legs = [self._at_home[one]]
            legs += [] if home == there else [self._between[home, there], self._between[there, home]]
            legs.append(self._at_home[other])
            via = [passed(one, *pair) for pair in zip(legs[::2], legs[1::2], strict=True)]
            yield Way.of(one, other, "messages"), sender.said(), taker.received(one, via=via)

    def _courier(self, server: str, writers: Collection[str]) -> Courier:
        return Courier(self._rooms[server], self._network, {each: self._plans[each] for each in writers})

    def _read_at(self, one: str, other: str) -> list[str]:
        """Return who at server ``one`` is read by anybody at ``other``."""
        readers = [member for name, member in self._members.items() if self._homes[name] == other]
        return [
            name
            for name, member in self._members.items()
            if self._homes[name] == one and any(member.writes_to(reader) for reader in readers)
        ]
