"""A data channel of a connection: messages sent when they are due, and what of the other side's comes.

Theory of operation:
    Whoever writes opens a channel of its own, called by its name, in band (RFC 8832): the other side learns of it by
    the first message that it carries, which opens it. Over a connection to a server come those of all who are read. The
    section is in every description between two of whom one writes; it shares the transport of sound and picture
    (BUNDLE).

Rules:
    1. What is sent by rate begins when the channel is open; what has an instant of its own waits for it. Who comes, or
       comes back, has missed what was due before.
    2. Nothing that a channel refuses ends a call: the message says why it was not sent.
    3. Messages are noted as they come. Which are late, and why, is worked out afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aiortc import InvalidStateError, RTCDataChannel, RTCPeerConnection

from rtcprobe.messages import CameMessages, Delivered, Due, MessagePlan, Passed, Posted, SaidMessages, read_message
from rtcprobe.messages.text import write_message
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.sctp_seam import SctpTap, scheduled, sctp_transport

__all__ = ["Carries", "Channel", "ChannelEnd", "ChannelWanted", "drained", "opened"]

_PATIENCE_S = 10.0
"""How long the end of a call waits for messages under way: SCTP's timer (1 s at least, RFC 9260 §16) ten times over."""
# No event tells that SCTP has been acknowledged: it is looked at, twenty times in the shortest of its timers.
_LOOK_S = 0.020


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelWanted:
    """The messages of one connection: what is sent there (None: nothing), when, and whether what comes is taken.

    ``by_rate`` are due so long after the channel has opened; ``plan.listed`` so long after everybody may send.
    ``lasts_s`` is when the last may be sent, counted likewise. ``reads`` are those whose messages are taken. Messages
    are numbered from ``first`` on.
    """

    plan: MessagePlan | None = None
    by_rate: Sequence[Due] = ()
    lasts_s: float = 0.0
    reads: Collection[str] = ()
    first: int = 0


class Channel:
    """The messages of one connection of ``side``, both ways. ``may_send`` is set when everybody may."""

    def __init__(self, side: str, wanted: ChannelWanted, network: Network) -> None:
        self.side, self.wanted = side, wanted
        self.may_send = asyncio.Event()
        self.finished = asyncio.Event()
        """Set when all that was due has been sent, or never will be."""
        self.came: dict[str, list[Delivered]] = {}
        """What came, by who wrote it."""
        self._streams: dict[str, RTCDataChannel] = {}
        self._network = network
        self._messages: list[Posted] = []
        self._waiting: list[int] = []
        self._is_open = asyncio.Event()
        self._opened_s: float | None = None
        self._begun_s = self._let_s = 0.0
        self._stopped = False
        self._alone_s: float | None = None
        self._state = ""
        self._channel: RTCDataChannel | None = None
        self._task: asyncio.Task[None] | None = None

    def open(self, connection: RTCPeerConnection) -> None:
        """Put the section into ``connection``; once more where it starts over."""
        self.tap = SctpTap(sctp_transport(connection), self._network.now_s)
        connection.on("datachannel", self._listen)
        plan = self.wanted.plan
        if plan is None:
            self.finished.set()
            return
        if plan.priority is not None:
            # Priorities are weights between the streams of one association
            # (``runtime.fair``): the transport's to know, not the channel's.
            scheduled(sctp_transport(connection), {self.side: plan.priority})
        self._channel = opened(connection, self.side, plan)
        self._channel.on("open", self._opened)
        # A connection that starts over (``Connecting.start_over``) opens its
        # channel once more; the messages go on as they are.
        if self._task is None:
            self._task = asyncio.ensure_future(self._send_all())

    def let_send(self, begun_s: float) -> None:
        """Let messages go; those with an instant of their own are counted from ``begun_s``, seconds since the epoch."""
        if not self.may_send.is_set():
            self._begun_s, self._let_s = begun_s, self._network.now_s()
            self.may_send.set()

    @property
    def first(self) -> int:
        """The number of its first message."""
        return self.wanted.first

    def post(self, size_bytes: int | None = None) -> None:
        """Send a message now, as large as all others unless told; while the channel opens, it waits."""
        if self.wanted.plan is not None and not self._stopped:
            self._post(self._network.now_s(), size_bytes or self.wanted.plan.size_bytes)

    def left_alone(self, under_way_s: float) -> None:
        """Note that the other side leaves: what was sent less than ``under_way_s`` ago need not come."""
        self._alone_s = self._network.now_s() - under_way_s
        self.stop()

    def stop(self) -> None:
        """Send nothing more; note how far SCTP has come, before it is closed."""
        self._state, self._stopped = self._state or self.tap.state, True
        if self._task is not None:
            self._task.cancel()
        self.finished.set()

    @property
    def busy(self) -> bool:
        """Whether messages of ours are on their way."""
        return self._opened_s is not None and self.tap.busy

    def said(self) -> SaidMessages:
        """Return what was sent so far."""
        messages = self._messages
        # A channel that never opened still owed its messages: a run that says
        # nothing of them would look like one that lost none.
        if self._opened_s is None and self.may_send.is_set():
            messages = [*messages, *self._never_sent()]
        if self._alone_s is not None:
            came_by_s = self._alone_s
            messages = [each for each in messages if each.due_s < came_by_s]
        return SaidMessages(
            party=self.side,
            messages=tuple(messages),
            left=tuple(self.tap.left),
            begun_s=self._begun_s,
            opened_s=self._opened_s,
            state=self._state or self.tap.state,
            opening=tuple(self.tap.opening),
            abandoned=frozenset(self.tap.abandoned),
            ordered=self.wanted.plan is None or self.wanted.plan.ordered,
        )

    def received(self, writer: str, *, via: Sequence[Passed] = ()) -> CameMessages:
        """Return what came so far of what ``writer`` sent, through the servers ``via``."""
        channel = self._streams.get(writer)
        return CameMessages(
            listener=self.side,
            chunks=() if channel is None else tuple(each for each in self.tap.came if each.stream == channel.id),
            delivered=tuple(self.came.get(writer, ())),
            via=via,
        )

    async def _send_all(self) -> None:
        """Send what is due when it is."""
        await self.may_send.wait()
        plan = self.wanted.plan
        assert plan is not None
        # Both kinds may be in one plan; each has a time of its own to begin, so neither waits for the other.
        by_rate = asyncio.ensure_future(self._send_by_rate())
        try:
            for due in plan.listed:
                # What was due before this party could send is not owed (rule 1), nor what comes after the talk is over.
                if self._let_s <= self._begun_s + due.at_s and due.at_s < self.wanted.lasts_s:
                    await self._until(self._begun_s + due.at_s)
                    self._post(self._begun_s + due.at_s, due.size_bytes)
            await by_rate
        finally:
            by_rate.cancel()
            self.finished.set()

    async def _send_by_rate(self) -> None:
        if not self.wanted.by_rate:
            return
        await self._is_open.wait()
        assert self._opened_s is not None
        # Whichever is later: permission to send, or a channel to send on.
        from_s = max(self._let_s, self._opened_s)
        for due in self.wanted.by_rate:
            if from_s + due.at_s - self._begun_s >= self.wanted.lasts_s:
                return
            await self._until(from_s + due.at_s)
            self._post(from_s + due.at_s, due.size_bytes)

    def _never_sent(self) -> list[Posted]:
        """Return what would have been sent by rate over a channel that did not open."""
        first = self.first + len(self._messages)
        return [
            Posted(first + place, self._let_s + due.at_s, due.size_bytes, None)
            for place, due in enumerate(self.wanted.by_rate)
            if self._let_s + due.at_s < self._begun_s + self.wanted.lasts_s
        ]

    def _post(self, due_s: float, size_bytes: int) -> None:
        # A number is given when a message is due, not when it is sent: what
        # waits or is refused has one too, and is counted.
        number = self.first + len(self._messages)
        self._messages.append(Posted(number, due_s, size_bytes, None))
        if self._opened_s is None:
            self._waiting.append(number)
        else:
            self._give(number)

    def _give(self, number: int) -> None:
        """Give a message to the channel."""
        assert self._channel is not None
        place = number - self.first
        posted = self._messages[place]
        try:
            self._channel.send(self._wrapped(write_message(number, posted.size_bytes)))
        # aiortc raises this for a channel that is closing or closed, and ValueError for a message larger than the other
        # side's ``max-message-size`` (RFC 8841 §6).
        except InvalidStateError:
            self._messages[place] = posted._replace(fault="the channel had closed")
        except ValueError as error:
            self._messages[place] = posted._replace(fault=_refused(error, posted.size_bytes))
        else:
            self._messages[place] = posted._replace(posted_s=self._network.now_s())

    def _wrapped(self, text: str) -> str:
        """Return what goes over the channel for a message."""
        return text

    def _opened(self) -> None:
        self._opened_s = self._network.now_s()
        self._is_open.set()
        for number in self._waiting:
            self._give(number)
        self._waiting.clear()

    def _listen(self, channel: RTCDataChannel) -> None:
        writer = channel.label
        if writer not in self.wanted.reads:
            return
        self._streams[writer] = channel

        channel.on("message", lambda data: self._take(writer, data))

    def _take(self, writer: str, data: object) -> None:
        """Note a message of ``writer``'s."""
        read = read_message(data)
        taken = Delivered(self._network.now_s(), read.number, read.size_bytes, read.wrong)
        self.came.setdefault(writer, []).append(taken)

    async def _until(self, when_s: float) -> None:
        await asyncio.sleep(max(0.0, when_s - self._network.now_s()))


def opened(connection: RTCPeerConnection, writer: str, plan: MessagePlan) -> RTCDataChannel:
    """Return a channel for what ``writer`` sends, with the limits of its plan; it is open when the other side says so.

    It is announced when both sides are connected (RFC 8832 §5.1).
    """
    return connection.createDataChannel(
        writer,
        ordered=plan.ordered,
        maxRetransmits=plan.max_retransmits,
        # Milliseconds, whole ones: PR-SCTP's lifetime as the DCEP message carries it (RFC 8832 §5.1).
        maxPacketLifeTime=None if plan.max_lifetime_s is None else round(plan.max_lifetime_s * 1e3),
    )


class Carries(Protocol):
    """The messages of one end of a connection: a party's (``Channel``), or a server's (``courier.Courier``)."""

    def open(self, connection: RTCPeerConnection) -> None:
        """Put the section into ``connection``."""
        ...

    def stop(self) -> None:
        """Send nothing more of one's own."""
        ...

    @property
    def busy(self) -> bool:
        """Whether messages are on their way from here."""
        ...


class ChannelEnd(NamedTuple):
    """A party's end of a channel, what is set when its path has ended, and a server's end where it leads to one."""

    channel: Channel
    ended: asyncio.Event
    server: Carries | None = None


async def drained(ends: Sequence[ChannelEnd], between: Sequence[Carries] = ()) -> None:
    """Wait until all is sent that is due, and delivered or given up: ``_PATIENCE_S`` after the last, at most.

    ``between`` are channels between servers. What went over a path that has broken is not waited for.
    """
    loop = asyncio.get_running_loop()
    lasts_s = max((each.channel.wanted.lasts_s for each in ends), default=0.0)
    # The first limit is for those who never finish; it is drawn in once everybody has sent all, so that a call of an
    # hour whose messages end early does not wait for an hour.
    until_s = loop.time() + lasts_s + _PATIENCE_S
    while loop.time() < until_s:
        there = [each for each in ends if not each.ended.is_set()]
        if all(each.channel.finished.is_set() for each in there):
            until_s = min(until_s, loop.time() + _PATIENCE_S)
            carriers = (*between, *(carrier for each in there for carrier in (each.channel, each.server)))
            # Nothing left to wait for: all paths have ended, or nothing is
            # unacknowledged on any leg, the servers' own among them.
            if not (there and any(each is not None and each.busy for each in carriers)):
                return
        await asyncio.sleep(_LOOK_S)


def _refused(error: ValueError, size_bytes: int) -> str:
    """Return why a channel did not take a message: of these, its size is the one there is."""
    return f"the other side takes no {size_bytes} bytes" if "only supports" in str(error) else str(error)
