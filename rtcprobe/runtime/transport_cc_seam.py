"""The part of the seam that numbers every packet of a transport, and tells which came: transport-wide feedback.

Known to hold for aiortc 1.16; ``tests/call/test_transport_cc.py`` says which name moved when a new release breaks it.

Facts:
    aiortc knows the header extension (it reads and writes it) and neither offers it nor counts: a browser that sends to
    it has nothing to estimate by but REMB. Header extensions stand in the clear under SRTP (RFC 3711 §3.1), so the wire
    shows the number of each packet as it leaves and comes, behind whatever pacer and before whatever buffer.

Rules:
    1. One counter runs over all that a transport sends, what is sent again too: a number each transmission.
    2. Reports go out while anything came, as often as Chromium's do that sends voice alone.
    3. A report is about the whole transport, and names a source all the same: one that came. libwebrtc heeds none that
       names a source it does not send (``rtcp_receiver.cc``; Chromium 156 stayed at its 300 kb/s).
    4. A packet came when its line let it out, however late this process was to look at it: a sender would take that for
       a queue.
    5. What the numbers are for (an estimate of the path, ``control.gcc``) is somebody else's matter: here they are
       facts, ``left`` and ``came`` and ``told``.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple

from aiortc import RTCDtlsTransport, RTCRtpSender
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, unpack_header_extensions

from rtcprobe.control.feedback import EXTENSION_URI, Feedback, parse_feedback
from rtcprobe.control.receiver import Recorder, interval_s
from rtcprobe.errors import BadInputError
from rtcprobe.runtime.aiortc_seam import attribute, on_state
from rtcprobe.runtime.extensions import place_of
from rtcprobe.runtime.network import Network

__all__ = ["EXTENSION_URI", "Numbered", "TransportCc"]

_SENDER_MAP: Final = "_RTCRtpSender__rtp_header_extensions_map"
_IDS: Final = "_HeaderExtensionsMap__ids"
_EXTENDED: Final = 0x10  # RFC 3550 §5.1: the X bit; below it how many contributing sources
_SSRC: Final = struct.Struct("!I")
_OWN_BPS: Final = 174_000.0
"""The reporter's own send estimate in recorded calls of Chromium 156 that sends voice alone: a report each 62.5 ms."""


class Numbered(NamedTuple):
    """A packet with its number in the transport (16 bits): when (seconds since the epoch), of whom, how large."""

    at_s: float
    number: int
    ssrc: int
    size_bytes: int


class TransportCc:
    """The numbers of one transport: what ``left``, what ``came``, and what the far side ``told`` of the former.

    Nothing of it happens unless both sides agreed on the extension.
    """

    def __init__(self, dtls: RTCDtlsTransport, network: Network) -> None:
        """Stand beside ``dtls``.

        Raises:
            SeamError: an internal name has moved.
        """
        self.left: list[Numbered] = []
        self.came: list[Numbered] = []
        self.told: list[tuple[float, Feedback]] = []
        self.when_told: Callable[[Feedback, float], None] | None = None
        """Called with each report as it comes, and when: who adapts to them."""
        self.at_the_door = False
        """Packets are numbered as they leave (``renumbered``), not as they are made: a pacer changes their order."""
        self._network = network
        self._dtls = dtls
        self._next = 0
        self._own_ssrc = 0
        self._recorder = Recorder()
        self._sending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._map = attribute(dtls, "_rtp_header_extensions_map")
        attribute(self._map, _IDS)
        handle: Callable[[bytes], Coroutine[Any, Any, None]] = attribute(dtls, "_handle_rtcp_data")

        async def handled(data: bytes) -> None:
            self._read(data)
            await handle(data)

        dtls._handle_rtcp_data = handled  # type: ignore[method-assign]  # noqa: SLF001
        on_state(dtls, "connected", self._report)
        for state in ("closed", "failed"):
            on_state(dtls, state, self.stop)

    def number(self, sender: RTCRtpSender) -> None:
        """Let what ``sender`` sends be numbered.

        Raises:
            SeamError: an internal name has moved.
        """
        attribute(sender, _SENDER_MAP)
        self._own_ssrc = self._own_ssrc or attribute(sender, "_ssrc")
        setattr(sender, _SENDER_MAP, _Numbering(self._count))

    def sent(self, data: bytes, now_s: float) -> None:
        """Note a packet of RTP on the wire that leaves at ``now_s``."""
        number = self._number_of(data)
        if number is not None:
            self.left.append(Numbered(now_s, number, _SSRC.unpack_from(data, 8)[0], len(data)))

    def received(self, data: bytes, now_s: float) -> None:
        """Note a packet of RTP from the wire that comes at ``now_s``."""
        number = self._number_of(data)
        if number is not None:
            self.came.append(Numbered(now_s, number, _SSRC.unpack_from(data, 8)[0], len(data)))
            due_s = self._network.arrival_s
            self._recorder.arrived(number, now_s if due_s is None else due_s)

    def stop(self) -> None:
        """Report nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def renumbered(self, data: bytes) -> tuple[bytes, int | None]:
        """Return a packet of RTP with the transport's next number, and that; as it is and None where it bears none."""
        wanted = getattr(self._map, _IDS).transport_sequence_number
        if not wanted or not data[0] & _EXTENDED:
            return data, None
        begin = 12 + 4 * (data[0] & 0x0F)
        until = begin + 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4], "big")
        place = place_of(data[begin:until], wanted)
        if place is None:
            return data, None
        number = self._draw()
        at = begin + place
        return data[:at] + number.to_bytes(2, "big") + data[at + 2 :], number

    def _count(self) -> int:
        return 0 if self.at_the_door else self._draw()

    def _draw(self) -> int:
        number, self._next = self._next, (self._next + 1) & 0xFFFF
        return number

    def _number_of(self, data: bytes) -> int | None:
        """Return the number that stands in the clear in a packet; None where there is none, or it cannot be read."""
        wanted = getattr(self._map, _IDS).transport_sequence_number
        if not wanted or not data[0] & _EXTENDED:
            return None
        begin = 12 + 4 * (data[0] & 0x0F)
        head = data[begin : begin + 4]
        length = 4 * int.from_bytes(head[2:], "big")
        try:
            found = unpack_header_extensions(int.from_bytes(head[:2], "big"), data[begin + 4 : begin + 4 + length])
        except (ValueError, IndexError, struct.error):
            return None
        return next((int.from_bytes(value, "big") for name, value in found if name == wanted and len(value) == 2), None)

    def _read(self, data: bytes) -> None:
        """Take the feedback out of a compound of RTCP packets, RFC 3550 §6.1."""
        place = 0
        while place + 4 <= len(data):
            end = place + 4 + 4 * int.from_bytes(data[place + 2 : place + 4], "big")
            with suppress(BadInputError):  # another packet of the compound, or nonsense
                report, now_s = parse_feedback(data[place:end]), self._network.now_s()
                self.told.append((now_s, report))
                if self.when_told is not None:
                    self.when_told(report, now_s)
            place = end

    def _report(self) -> None:
        for report in self._recorder.reports(self._network.now_s()):
            named = replace(report, sender_ssrc=self._own_ssrc, media_ssrc=self.came[-1].ssrc)
            task = asyncio.ensure_future(self._send(named.to_bytes()))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        self._timer = asyncio.get_running_loop().call_later(interval_s(_OWN_BPS), self._report)

    async def _send(self, data: bytes) -> None:
        try:
            await self._dtls._send_rtp(data)  # noqa: SLF001
        except ConnectionError:
            self.stop()  # the path has ended


class _Numbering(HeaderExtensionsMap):
    """Takes the place of a sender's map of extensions: each packet made by it gets the next number."""

    def __init__(self, count: Callable[[], int]) -> None:
        super().__init__()
        self._next = count

    def set(self, values: HeaderExtensions) -> tuple[int, bytes]:
        if getattr(self, _IDS).transport_sequence_number:
            values.transport_sequence_number = self._next()
        return super().set(values)
