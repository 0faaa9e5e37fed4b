"""The messages of a call through servers of ours: who carries what on which leg, and what passed on each way.

Facts:
    Products keep messages apart from who is on stage: LiveKit's clients send data over the connection that publishes
    and take it over the one that subscribes, whatever else those carry; Janus' TextRoom is a connection of its own.

Rules:
    1. A message takes the legs its sound would: from whoever writes to its server, to the other's where that is
       another, to whoever reads.
    2. A party's channel is over one connection: going on stage over a second one leaves it where it is. Who comes back
       has a new one, over which its messages go on.
    3. A message is meant for who is there to read it: connected when it came to their server, and not about to leave.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

from rtcprobe.call.channel import Channel, ChannelEnd, ChannelWanted
from rtcprobe.call.courier import Courier, Postroom, passed
from rtcprobe.call.member import Member
from rtcprobe.call.peer import UNDER_WAY_S, Peer
from rtcprobe.call.targets.base import Route
from rtcprobe.messages import CameMessages, MessagePlan, SaidMessages
from rtcprobe.runtime.network import Network
from rtcprobe.ways import Way

__all__ = ["Post"]


@dataclass(slots=True, kw_only=True, eq=False)
class _Line:
    """A party's channel over one connection, and the server's end of it, while the party is there.

    ``first``: it takes part from the beginning, so all is meant for it, though it never connects.
    """

    channel: Channel
    ended: asyncio.Event
    courier: Courier
    first: bool
    from_s: float
    until_s: float = math.inf

    def misses(self, writer: str, number: int, due_s: float) -> bool:
        """Return whether a message of ``writer`` is not meant for it (rule 3)."""
        last = None if self.first else self.courier.missed(writer)
        return not self.from_s <= due_s < self.until_s or (last is not None and number <= last)


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
        self._lines: dict[str, list[_Line]] = {name: [] for name in members}
        self._between: dict[Route, Courier] = {}

    @property
    def ends(self) -> list[ChannelEnd]:
        """The channels of who is there."""
        lines = [line for each in self._lines.values() for line in each if line.until_s == math.inf]
        return [ChannelEnd(line.channel, line.ended, line.courier) for line in lines if line.channel.may_send.is_set()]

    @property
    def relays(self) -> list[Courier]:
        """What carries messages between servers."""
        return list(self._between.values())

    def wanted(self, party: str) -> ChannelWanted | None:
        """Return what goes over a new connection of a party; None where nothing does, or it has another for that."""
        # A second connection beside the first carries no messages (rule 2); one after it does, and counts on.
        found, lines = self._members[party].messages(self._members.values()), self._lines[party]
        if found is None or not lines:
            return found
        before = lines[-1]
        # Numbers go on where those of its last connection ended, so that each message of a party has one of its own.
        return None if before.until_s == math.inf else replace(found, first=_after(before.channel))

    def at_home(self, party: str, peer: Peer) -> Courier | None:
        """Return what carries messages at the server's end of a new connection; None where that has no channel."""
        if peer.channel is None:
            return None
        courier, first = self._courier(self._homes[party], peer.channel.wanted.reads), not self._lines[party]
        self._lines[party].append(
            _Line(
                channel=peer.channel,
                ended=peer.ended,
                courier=courier,
                first=first and self._members[party].there,
                from_s=self._network.now_s(),
            )
        )
        return courier

    def hang_up(self, peer: Peer) -> None:
        """Note that a party hangs up a connection: what was sent just before need not come."""
        for line in self._lines[peer.side]:
            if line.channel is peer.channel:
                line.until_s = self._network.now_s() - UNDER_WAY_S

    def between(self, one: str, other: str) -> Courier | None:
        """Return what carries messages from one server to another, and takes those that come back."""
        there, back = self._read_at(one, other), self._read_at(other, one)
        if not (there or back):
            return None
        found = self._between[one, other] = self._courier(one, there)
        return found

    def exchanged(self) -> Iterator[tuple[Way, SaidMessages, CameMessages]]:
        """Yield what was sent on each way, and what of it came, by who writes in the order written, then by reader.

        A way has several where a party came back: one for each connection of the one and of the other.
        """
        for one, other in permutations(self._members, 2):
            if not self._members[one].writes_to(self._members[other]):
                continue
            sent = [line for line in self._lines[one] if line.channel.may_send.is_set()]
            for place, (sender, taker) in enumerate(product(sent, self._lines[other])):
                said, came = self._on(sender, taker, last=sender is sent[-1])
                # A pair of connections that never were at the same time carried nothing; the first stands where none
                # did, so that the way is told at all.
                if came.meant or not place:
                    yield Way.of(one, other, "messages"), said, came

    def _on(self, sender: _Line, taker: _Line, *, last: bool) -> tuple[SaidMessages, CameMessages]:
        """Return what was sent over one connection, and what of it came over another; ``last``: strangers, too."""
        writer, said = sender.channel.side, sender.channel.said()
        home, there = self._homes[writer], self._homes[taker.channel.side]
        legs: Sequence[Courier] = [sender.courier, taker.courier]
        if home != there:
            # Four ends where two servers lie between: in at the writer's, out
            # towards the other, in there, out to the reader.
            legs = [sender.courier, self._between[home, there], self._between[there, home], taker.courier]
        via = [passed(writer, *pair) for pair in zip(legs[::2], legs[1::2], strict=True)]
        came = taker.channel.received(writer, via=via)
        own = range(sender.channel.first, _after(sender.channel))
        meant = (each.number for each in said.messages if not taker.misses(writer, each.number, each.due_s))
        delivered = [each for each in came.delivered if _is_of(each.number, own, last=last)]
        return said, replace(came, delivered=delivered, meant=frozenset(meant))

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


def _after(channel: Channel) -> int:
    """Return the number after the last of a channel's messages."""
    return channel.first + len(channel.said().messages)


def _is_of(number: int | None, own: range, *, last: bool) -> bool:
    """Return whether what came is one of ``own``, or, told with the last of a writer's connections, nobody's."""
    return number in own or (last and (number is None or number >= own.stop))
