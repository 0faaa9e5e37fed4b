"""Messages through a TextRoom of Janus, beside the sound of the same call: another handle, another media path.

Facts:
    1. ``setup`` makes Janus offer a connection of data channels alone, and ``ack`` takes the answer. Everything else,
       joining the room too, is JSON over a channel that the client opens (``JanusDataChannel``).
    2. What one says in the room is sent to everybody in it, each wrapped anew, with who it is from. Text goes alone.
    3. SCTP ends at Janus: pieces leave it under numbers of its own, by usrsctp's timers.

Rules:
    1. Messages of all come over one channel: each who writes numbers its own from a place of its own.
    2. What goes wrong with a party's TextRoom is a warning, and its messages are lost; its sound goes on.

Source: https://janus.conf.meetecho.com/docs/textroom.html (1.1.2).
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
from aiortc import RTCPeerConnection, RTCRtpTransceiver

from rtcprobe.call.channel import Channel, ChannelEnd, ChannelWanted, drained, opened
from rtcprobe.call.ends.connecting import Connecting
from rtcprobe.call.faults import quoted
from rtcprobe.call.janus import JanusHandle, JanusSession
from rtcprobe.call.peer import UNDER_WAY_S, Peer
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.endings import bounded
from rtcprobe.call.targets.janus_steps import JanusSteps
from rtcprobe.call.targets.room_course import RoomCourse
from rtcprobe.call.targets.room_hooks import Attendee
from rtcprobe.call.transceiver import Transceiver
from rtcprobe.errors import MeasurementError
from rtcprobe.messages import CameMessages, MessagePlan, SaidMessages
from rtcprobe.messages.text import OF_ONE
from rtcprobe.runtime.network import Host, Network
from rtcprobe.runtime.sctp_seam import SctpTap, sctp_transport
from rtcprobe.ways import Way as WayName

__all__ = ["TextRoomBeside"]

TEXTROOM: Final = "janus.plugin.textroom"
LABEL: Final = "JanusDataChannel"
_ORDER: Final = ("ice_gathered", "ice_connected", "dtls_connected")


class TextRoomBeside(JanusSteps, RoomCourse):
    """What a room of Janus has beside its sound where messages are written and ``textroom`` names where they go."""

    textroom: int | str | None = None

    def open_textroom(self, textroom: int | str | None, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        """Say which room is for text, once everybody is known."""
        self.textroom = textroom
        self._texts: dict[str, _TextEnd] = {}
        self._talk_s: float | None = None
        self._wanted: dict[str, ChannelWanted] = {}
        if textroom is None:
            return
        children = seed.spawn(len(setup.speech))
        for place, (name, child) in enumerate(zip(setup.speech, children, strict=True)):
            plan, heard = setup.messages.get(name), setup.hears.get(name, setup.speech)
            reads = tuple(each for each in setup.messages if each in heard and each != name)
            # Who neither writes nor reads has no handle of the TextRoom: it would be a media path for nothing.
            if plan is None and not reads:
                continue
            by_rate = () if plan is None else plan.by_rate(setup.lasts_s, np.random.Generator(np.random.PCG64(child)))
            self._wanted[name] = ChannelWanted(
                plan=plan, by_rate=by_rate, lasts_s=setup.lasts_s, reads=reads, first=place * OF_ONE
            )

    async def attach(self, peer: Peer, plugin: str, on_gone: Callable[[str], None]) -> tuple[JanusSession, JanusHandle]:
        """Attach as ever; a party's first session is its text's, too."""
        session, handle = await super().attach(peer, plugin, on_gone)
        who = next(each for each in self.attendees.values() if peer in each.peers)
        if who.name in self._wanted and who.name not in self._texts:
            channel = _TextChannel(who.name, self._wanted[who.name], self.network, room=self.textroom)
            self._texts[who.name] = _TextEnd(who.host.beside(), who.name, channel, self.setup)
            # One that comes later: the others were let write when the talk began.
            if self._talk_s is not None:
                channel.let_send(self._talk_s)
            self.meanwhile(self._meet_textroom(who, session))
        elif who.name in self._wanted:
            self.warnings.append(f"{who.name} came back, and writes and reads nothing any more: a text is joined once")
        return session, handle

    def let_speak(self, *, joining: bool) -> None:
        """Let mouths speak, and messages go."""
        super().let_speak(joining=joining)
        self._talk_s = self.network.now_s()
        for end in self._texts.values():
            end.channel.let_send(self._talk_s)

    def write(self, who: Attendee) -> None:
        """Let a party send a message, once its text is connected."""
        end = self._texts.get(who.name)
        if end is not None:
            end.channel.post()

    async def depart(self, who: Attendee) -> None:
        """Hang up a party's text, too."""
        end = self._texts.get(who.name)
        if end is not None:
            end.channel.left_alone(UNDER_WAY_S)
            end.channel.stop()
            why = await bounded(f"{who.name} left", end.close())
            self.warnings += [] if why is None else [why]
        await super().depart(who)

    async def say_all(self) -> None:
        """Wait until all is said, and written."""
        await super().say_all()
        if self.cut is None:
            ends = [end for name, end in self._texts.items() if self.attendees[name].there]
            await drained([ChannelEnd(end.channel, end.ended) for end in ends])
        self.warnings += [end.channel.refused for end in self._texts.values() if end.channel.refused]

    async def close_peers(self) -> list[str | None]:
        """Hang up, the text's connections too."""
        for end in self._texts.values():
            end.channel.stop()
        left = await super().close_peers()
        return [
            *left,
            *[await bounded(f"hanging up the text of {name}", end.close()) for name, end in self._texts.items()],
        ]

    def messages(self) -> list[tuple[WayName, SaidMessages, CameMessages]]:
        """Return what was sent on each way, by who writes in the order written, then by reader."""
        channels = {name: end.channel for name, end in self._texts.items()}
        return [
            (WayName.of(one, other, "messages"), reader.could_read(writer.said()), reader.received(one))
            for one, writer in channels.items()
            for other, reader in channels.items()
            if one in reader.wanted.reads and writer.may_send.is_set()
        ]

    async def _meet_textroom(self, who: Attendee, session: JanusSession) -> None:
        """Get a party's text connected (fact 1)."""
        end = self._texts[who.name]
        handle = await session.attach(TEXTROOM)
        offered = await handle.message("set up a textroom", {"request": "setup"})
        if offered.sdp is None:
            raise MeasurementError("Janus, set up a textroom: the answer holds no session description")
        answer = await end.answer(offered.sdp)
        await handle.message("answer of a textroom", {"request": "ack"}, answer)


class _TextEnd(Connecting):
    """A connection of data channels alone."""

    channel: _TextChannel

    def __init__(self, host: Host, side: str, channel: _TextChannel, setup: CallSetup) -> None:
        super().__init__(
            host,
            side,
            dtls_timeout_s=setup.dtls_timeout_s,
            protection=setup.protection,
            milestones=_ORDER,
            gathering=None,
            transport_cc=False,
        )
        self.channel, self.sections = channel, [_Unasked(host.network)]
        self._open()
        self.timeline.begin(host.network.now_s())


class _Unasked(Transceiver):
    """No section of media: what ICE and DTLS are found by, where a description has none."""

    kind = "audio"

    def __init__(self, network: Network) -> None:
        super().__init__("recvonly", None, network, _nothing)

    def open(self, connection: RTCPeerConnection) -> None:
        """Have the transport of the data channels."""
        # ``Connecting`` asks its first section's sender for the transport, and for nothing else.
        found = SimpleNamespace(transport=sctp_transport(connection).transport)
        self.sender = found  # type: ignore[assignment]  # nothing is asked of it but that

    def agree(self) -> None:
        """Nothing is agreed on."""

    def _listen(self, section: RTCRtpTransceiver) -> None:
        """Nothing comes."""


class _TextChannel(Channel):
    """A party's messages to and from a TextRoom. ``refused`` is why the room did not let it in, in a sentence."""

    def __init__(self, side: str, wanted: ChannelWanted, network: Network, *, room: int | str | None) -> None:
        super().__init__(side, wanted, network)
        self.refused = ""
        self._room, self._transactions = room, 0

    def open(self, connection: RTCPeerConnection) -> None:
        """Open the channel over which all goes."""
        self.tap = SctpTap(sctp_transport(connection), self._network.now_s)
        self._channel = opened(connection, LABEL, self.wanted.plan or MessagePlan())
        self._channel.on("open", lambda: self._say(textroom="join", username=self.side, display=self.side))
        # Answers come over the channel that was opened here; one that Janus opens itself is listened to as well.
        self._channel.on("message", self._told)
        connection.on("datachannel", lambda other: other.on("message", self._told))
        if self.wanted.plan is None:
            self.finished.set()
        else:
            self._task = asyncio.ensure_future(self._send_all())

    def received(self, writer: str, *, via: Any = ()) -> CameMessages:
        """Return what came so far of what ``writer`` sent: its pieces are known by the numbers of its messages."""
        del via
        # Each who writes has a range of numbers (``OF_ONE``), so one of its
        # messages tells which pieces of SCTP are its own.
        first = next((each.number for each in self.came.get(writer, ()) if each.number is not None), 0)
        ours = range(first - first % OF_ONE, first - first % OF_ONE + OF_ONE)
        return CameMessages(
            listener=self.side,
            chunks=tuple(each for each in self.tap.came if each.number is None or each.number in ours),
            delivered=tuple(self.came.get(writer, ())),
            forwarded=True,
        )

    def could_read(self, said: SaidMessages) -> SaidMessages:
        """Return what was sent while this party was in the room: of what came before it, nobody there knows."""
        since_s, came = self._opened_s, {each.number for each in self.came.get(said.party, ())}
        if since_s is None:
            return said
        until_s = math.inf if self._alone_s is None else self._alone_s
        read = (m for m in said.messages if since_s <= m.due_s < until_s or m.number in came)
        return replace(said, messages=tuple(read))

    def _wrapped(self, text: str) -> str:
        self._transactions += 1
        said = {"text": text, "textroom": "message", "transaction": str(self._transactions), "room": self._room}
        # Without acknowledgements: Janus would send one back for every message, over the line that is measured.
        return json.dumps({**said, "ack": False})

    def _say(self, **what: object) -> None:
        self._transactions += 1
        assert self._channel is not None
        self._channel.send(json.dumps({**what, "transaction": str(self._transactions), "room": self._room}))

    def _told(self, data: object) -> None:
        """Take what the room says: that it let us in, or did not; a message."""
        try:
            said = json.loads(data) if isinstance(data, (str, bytes)) else None
        except (ValueError, RecursionError):  # whatever is raised here ends all of the transport
            said = None
        what = said.get("textroom") if isinstance(said, dict) else None
        if said is None or what is None:
            self.came.setdefault("", [])
            return
        if what == "success" and not self._is_open.is_set():
            self._opened()
        elif what == "error" and not self._is_open.is_set():
            self.refused = f"{self.side}: TextRoom {self._room} of Janus refused, {quoted(str(said.get('error')))}"
        elif what == "message" and said.get("from") in self.wanted.reads:
            self._take(str(said["from"]), said.get("text"))


def _nothing(_at_s: float) -> None:
    """Note nothing."""
