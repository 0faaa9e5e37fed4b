"""Messages at a server of ours: what comes of whoever writes leaves to all who read it, over channels of its own.

Facts:
    A forwarding server ends SCTP on every leg: what it received whole, and in its turn, it sends on (mediasoup's data
    producers and consumers, LiveKit's data channels). So each leg sends again what that leg lost, and an ordered
    message waits in line at each of them.

Rules:
    1. Each who writes has a channel of its own on each leg, called by its name, with the limits it has at the writer's.
    2. A server spends no time: a message leaves at the instant it came. While the channel to somebody opens it waits;
       to who is not connected yet, nothing is sent on (LiveKit sends data to participants that are active alone).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from aiortc import InvalidStateError, RTCDataChannel, RTCPeerConnection

from rtcprobe.call.channel import opened
from rtcprobe.messages import Chunk, Delivered, MessagePlan, Passed, read_message
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.sctp_seam import SctpTap, scheduled, sctp_transport

__all__ = ["Courier", "Postroom", "passed"]


class Postroom:
    """Who gets what of whom, at one server."""

    def __init__(self) -> None:
        self._to: dict[str, list[_Outgoing]] = {}

    def send_on(self, writer: str, outgoing: _Outgoing) -> None:
        """Let what ``writer`` sends leave there too from now on."""
        self._to.setdefault(writer, []).append(outgoing)

    def came(self, writer: str, data: str | bytes) -> None:
        """Send a message on."""
        for each in self._to.get(writer, ()):
            each.send(data)


class Courier:
    """The messages of one leg of a server: ``sends`` are those who are read at its other end, with their channels."""

    def __init__(self, room: Postroom, network: Network, sends: Mapping[str, MessagePlan]) -> None:
        self.came: dict[str, list[Delivered]] = {}
        """What came, by who wrote it."""
        self._room, self._network, self._sends = room, network, sends
        self._streams: dict[str, RTCDataChannel] = {}
        self._outgoing: dict[str, _Outgoing] = {}

    def missed(self, writer: str) -> int | None:
        """Return the last message of ``writer`` that came before the other end was connected; None where none did."""
        outgoing = self._outgoing.get(writer)
        return None if outgoing is None else outgoing.missed

    def open(self, connection: RTCPeerConnection) -> None:
        """Put the section into ``connection``."""
        self.tap = SctpTap(sctp_transport(connection), self._network.now_s)
        connection.on("datachannel", self._listen)
        # One association a leg carries all channels there, so the weights of all who write are set at once.
        levels = {writer: plan.priority for writer, plan in self._sends.items() if plan.priority is not None}
        if levels:
            scheduled(sctp_transport(connection), levels)
        for writer, plan in self._sends.items():
            outgoing = self._outgoing[writer] = _Outgoing(opened(connection, writer, plan), connection)
            self._room.send_on(writer, outgoing)

    def stop(self) -> None:
        """Nothing is to be stopped: it sends what comes, and nothing of its own."""

    @property
    def busy(self) -> bool:
        """Whether messages are on their way from here."""
        return any(each.open for each in self._outgoing.values()) and self.tap.busy

    def took(self, writer: str) -> tuple[Sequence[Chunk], Sequence[Delivered]]:
        """Return the pieces that came of ``writer``, and what was taken of them."""
        channel = self._streams.get(writer)
        pieces = [] if channel is None else [each for each in self.tap.came if each.stream == channel.id]
        return pieces, self.came.get(writer, [])

    def left(self, writer: str) -> tuple[Sequence[Chunk], frozenset[int]]:
        """Return the pieces of ``writer``'s that left, and what was given up."""
        outgoing = self._outgoing.get(writer)
        pieces = [] if outgoing is None else [each for each in self.tap.left if each.stream == outgoing.channel.id]
        return pieces, frozenset(self.tap.abandoned)

    def _listen(self, channel: RTCDataChannel) -> None:
        writer = channel.label
        self._streams[writer] = channel

        def take(data: str | bytes) -> None:
            read = read_message(data)
            taken = Delivered(self._network.now_s(), read.number, read.size_bytes, read.wrong)
            self.came.setdefault(writer, []).append(taken)
            self._room.came(writer, data)

        channel.on("message", take)


class _Outgoing:
    """A channel to somebody; until it is open, what is sent waits, once its connection is there (rule 2)."""

    def __init__(self, channel: RTCDataChannel, connection: RTCPeerConnection) -> None:
        self.channel, self._connection = channel, connection
        self.missed: int | None = None
        """The last message that was not sent on because there was no connection yet."""
        self._waiting: deque[str | bytes] = deque()
        channel.on("open", self._opened)

    @property
    def open(self) -> bool:
        """Whether messages can leave."""
        return bool(self.channel.readyState == "open")

    def send(self, data: str | bytes) -> None:
        """Send a message, or keep it until that can be; to who has left, nothing is sent."""
        if self.channel.readyState == "connecting":
            # DTLS is up and the channel's OPEN is under way: the wait is of a round
            # trip. Before that there is nobody to wait for.
            if self._connection.connectionState == "connected":
                self._waiting.append(data)
            else:
                # Only the last is noted: messages are numbered, so all before it were missed as well.
                self.missed = read_message(data).number
            return
        try:
            self.channel.send(data)
        # Closed between the look and the sending: its reader has left, and what it misses is not asked of it.
        except InvalidStateError:
            return

    def _opened(self) -> None:
        while self._waiting:
            self.send(self._waiting.popleft())


def passed(writer: str, arriving: Courier, leaving: Courier) -> Passed:
    """Return what went through a server of what ``writer`` sent: in over one leg, out over another."""
    chunks, delivered = arriving.took(writer)
    left, abandoned = leaving.left(writer)
    return Passed(chunks=tuple(chunks), delivered=tuple(delivered), left=tuple(left), abandoned=abandoned)
