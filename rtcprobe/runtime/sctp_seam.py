"""What touches the internals of aiortc's SCTP: its transport before a channel asks for one, and what pieces go by.

Known to hold for aiortc 1.16; ``tests/runtime/test_sctp_seam.py`` says which name moved when a new release breaks it.
Its clock and its randomness are ``aiortc_seam``'s, like those of all others; its timers are the loop's.

Facts:
    A piece (DATA chunk) leaves again because T3-rtx expired or because acknowledgements missed it; the stack marks it
    alike. So who expired is noted when it does: what is sent again without that was missed (fast retransmit). While no
    channel is open, INIT and COOKIE ECHO have a timer of their own, T1 (RFC 9260 §5.1).

    What is sent waits message by message in one queue while pieces of another leave. A channel is announced with a
    priority of 0, which W3C's API cannot say (RFC 8832 §5.1: an OPEN's second word).

Rules:
    1. Nothing is changed; what goes by is noted.
    2. But where ``scheduled`` is asked to: then whose turn it is, is told by the priority of channels, and announced. A
       message, once begun, leaves whole: the stack has no I-DATA (RFC 8260 §2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Final, Literal

import aiortc.rtcsctptransport
from aiortc import RTCPeerConnection
from aiortc.rtcsctptransport import RTCSctpTransport

from rtcprobe.messages import PRIORITIES, WEIGHTS, Chunk, Priority, Timeout, Why
from rtcprobe.messages.text import number_in
from rtcprobe.runtime.aiortc_seam import attribute
from rtcprobe.runtime.fair import FairQueue

__all__ = ["SctpTap", "scheduled", "sctp_transport"]

_CREATE: Final = "_RTCPeerConnection__createSctpTransport"
_WAITING: Final = "_data_channel_queue"


def sctp_transport(connection: RTCPeerConnection) -> RTCSctpTransport:
    """Return the SCTP transport of ``connection``, made now where it had none: its offer then has the section.

    Raises:
        SeamError: an internal name has moved.
    """
    if connection.sctp is None:
        attribute(connection, _CREATE)()
    transport = connection.sctp
    assert transport is not None
    return transport


def scheduled(transport: RTCSctpTransport, priorities: Mapping[str, Priority]) -> None:
    """Let whose message leaves next be told by ``priorities``, by the label of the channel; no channel is open yet.

    Raises:
        SeamError: an internal name has moved.
    """
    module = aiortc.rtcsctptransport
    attribute(transport, _WAITING)
    control, opens = attribute(module, "WEBRTC_DCEP"), attribute(module, "DATA_CHANNEL_OPEN")
    setattr(transport, _WAITING, _Turns(priorities, control, opens))


class _Turns:
    """Messages that wait, in place of the stack's queue: (channel, protocol, data) each."""

    def __init__(self, priorities: Mapping[str, Priority], control: int, opens: int) -> None:
        self._priorities, self._control, self._opens = priorities, control, opens
        self._waiting: FairQueue[tuple[Any, int, bytes]] = FairQueue()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[tuple[Any, int, bytes]]:
        return iter(self._waiting)

    def append(self, item: tuple[Any, int, bytes]) -> None:
        """Let a message wait; what opens a channel says its priority."""
        channel, protocol, data = item
        level = self._priorities.get(channel.label, "low")
        # The priority is the third and fourth byte of an OPEN (RFC 8832, section 5.1).
        if protocol == self._control and data[:1] == bytes([self._opens]):
            data = data[:2] + PRIORITIES[level].to_bytes(2, "big") + data[4:]
        self._waiting.push(channel, WEIGHTS[level], len(data), (channel, protocol, data))

    def popleft(self) -> tuple[Any, int, bytes]:
        """Return whose turn it is."""
        return self._waiting.pop()


class SctpTap:
    """Notes every piece of a message that leaves over ``transport``, and each that comes for the first time.

    Raises:
        SeamError: an internal name has moved.
    """

    def __init__(self, transport: RTCSctpTransport, now_s: Callable[[], float]) -> None:
        self.left: list[Chunk] = []
        self.came: list[Chunk] = []
        self.opening: list[Timeout] = []
        """Timers that expired while the association came about, or its channels opened."""
        self.abandoned: set[int] = set()
        """TSNs that the sender gave up (RFC 3758 §3.5)."""
        self._transport, self._now_s = transport, now_s
        self._expired: set[int] = set()
        self._last_s: dict[object, float] = {}
        module = aiortc.rtcsctptransport
        self._data = attribute(module, "DataChunk")
        self._begins: int = attribute(module, "SCTP_DATA_FIRST_FRAG")
        self._ends: int = attribute(module, "SCTP_DATA_LAST_FRAG")
        self._control: int = attribute(module, "WEBRTC_DCEP")
        self._queues = [attribute(transport, each) for each in ("_sent_queue", "_outbound_queue")]
        for name, wrapped in (
            ("_send_chunk", self._sending),
            ("_t1_expired", self._t1),
            ("_t3_expired", self._t3),
            ("_maybe_abandon", self._abandoning),
            ("_receive_data_chunk", self._receiving),
        ):
            setattr(transport, name, wrapped(attribute(transport, name)))

    @property
    def state(self) -> str:
        """How far the association has come, in RFC 9260's words (§4): ``"COOKIE-WAIT"``."""
        return str(attribute(self._transport, "_association_state").name).replace("_", "-")

    @property
    def busy(self) -> bool:
        """Whether anything waits to leave, or to be acknowledged."""
        return any(self._queues) or bool(attribute(self._transport, _WAITING))

    def _sending(self, usual: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], Coroutine[Any, Any, None]]:
        async def send(chunk: Any) -> None:
            now_s = self._now_s()
            if isinstance(chunk, self._data):
                self._note(chunk, now_s)
            else:
                self._last_s[type(chunk).__name__] = now_s
            await usual(chunk)

        return send

    def _note(self, chunk: Any, now_s: float) -> None:
        why: Why = ""
        # It left before; nothing but the timer's note tells the two reasons apart (Facts).
        if chunk.tsn in self._last_s:
            why = "T3-rtx" if chunk.tsn in self._expired else "fast retransmit"
            self._expired.discard(chunk.tsn)
        if chunk.protocol != self._control:
            self.left.append(self._piece(chunk, now_s, why))
        elif why:
            self.opening.append(Timeout(why, self._last_s[chunk.tsn], now_s))
        self._last_s[chunk.tsn] = now_s

    def _piece(self, chunk: Any, now_s: float, why: Why = "") -> Chunk:
        begins = bool(chunk.flags & self._begins)
        # The number stands in the header of the first piece; its check is of the whole.
        number = number_in(bytes(chunk.user_data)) if begins else None
        return Chunk(now_s, chunk.tsn, begins, bool(chunk.flags & self._ends), number, why, chunk.stream_id)

    def _t1(self, usual: Callable[[], None]) -> Callable[[], None]:
        def expired() -> None:
            kind = type(attribute(self._transport, "_t1_chunk")).__name__
            what: Literal["T1-init", "T1-cookie"] = "T1-init" if kind == "InitChunk" else "T1-cookie"
            now_s = self._now_s()
            self.opening.append(Timeout(what, self._last_s.get(kind, now_s), now_s))
            usual()

        return expired

    def _t3(self, usual: Callable[[], None]) -> Callable[[], None]:
        def expired() -> None:
            usual()
            self._expired |= {chunk.tsn for chunk in self._queues[0] if attribute(chunk, "_retransmit")}

        return expired

    def _abandoning(self, usual: Callable[[Any], bool]) -> Callable[[Any], bool]:
        def abandon(chunk: Any) -> bool:
            given_up = usual(chunk)
            if given_up:  # its message, all pieces of it
                self.abandoned |= {each.tsn for each in self._queues[0] if attribute(each, "_abandoned")}
            return given_up

        return abandon

    def _receiving(
        self, usual: Callable[[Any], Coroutine[Any, Any, None]]
    ) -> Callable[[Any], Coroutine[Any, Any, None]]:
        seen: set[int] = set()

        async def receive(chunk: Any) -> None:
            if chunk.protocol != self._control and chunk.tsn not in seen:
                seen.add(chunk.tsn)
                self.came.append(self._piece(chunk, self._now_s()))
            await usual(chunk)

        return receive
