"""rtpengine's NG protocol: a question a datagram, asked again until its answer has come.

Facts:
    1. A datagram is a cookie, a space, and a dictionary in bencode; the answer begins with the same cookie.
    2. A question asked again under its cookie is not carried out again: rtpengine keeps answers for some seconds and
       sends the one it gave.
    3. ``result`` is ``ok``, ``pong`` or ``error``, which has an ``error-reason``.

Rules:
    1. Datagrams pass the asking party's access line, both ways.
    2. What does not begin with the cookie of an open question is nothing to us. What does, and cannot be read, ends it.

Source: https://rtpengine.readthedocs.io/en/mr10.5/ng_control_protocol.html; RFC 6298 §2 (the first timer, doubled).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rtcprobe.call.bencode import Value, decode, encode
from rtcprobe.call.faults import quoted
from rtcprobe.errors import MeasurementError
from rtcprobe.runtime.endpoints import EmulatedTransport
from rtcprobe.runtime.outside import OutsideHost, OutsideNetwork
from rtcprobe.timeline import Side, Wait
from rtcprobe.units import format_duration

__all__ = ["NgClient"]

# With a timer of a quarter of a second that doubles these are five questions, the last 1.25 s before the end.
LIMIT_S: Final = 5.0
FIRST_AGAIN_S: Final = 0.25
"""How soon a question is asked again, at first: more than a round trip to anywhere. Doubled each time."""

_CURES: Final[Mapping[str, str]] = {
    "unknown call-id": "the call is over there: was rtpengine started anew?",
    "incomplete sdp specification": "please report it, with rtpengine's version",
    "unrecognized command": "rtpengine 10 or newer is needed, for publish and subscribe",
}


@dataclass(slots=True)
class _Question:
    what: str
    begun_s: float
    answered: asyncio.Future[bytes]


class NgClient(asyncio.DatagramProtocol):
    """A party's way to ask an rtpengine; ``close`` it at the end."""

    def __init__(self, network: OutsideNetwork, host: OutsideHost, address: tuple[str, int], side: Side) -> None:
        self._network, self._side = network, side
        self._open: dict[bytes, _Question] = {}
        self._waits: list[Wait] = []
        self._shown = "{}:{}".format(*address)
        self._transport: EmulatedTransport
        self._transport, _ = network.create_endpoint(host, lambda: self, remote_addr=address)

    async def ask(self, what: str, question: Mapping[str, Value]) -> Mapping[str, Any]:
        """Return the answer to ``question``, ``what`` it is for.

        Raises:
            MeasurementError: rtpengine refused, said what cannot be read, or did not answer.
        """
        # Unguessable: whoever can send to our port could otherwise answer in rtpengine's place.
        cookie = secrets.token_hex(8).encode()
        asked = self._open[cookie] = _Question(what, self._network.now_s(), asyncio.get_running_loop().create_future())
        datagram = cookie + b" " + encode(question)
        again_s, times = FIRST_AGAIN_S, 0
        try:
            # The same datagram under the same cookie each time: a question carried
            # out already is answered from memory (fact 2).
            while (left_s := asked.begun_s + LIMIT_S - self._network.now_s()) > 0:
                self._transport.sendto(datagram)
                times += 1
                sent_s = self._network.now_s()
                done, _ = await asyncio.wait({asked.answered}, timeout=min(again_s, left_s))
                if done:
                    return self._read(what, asked.answered.result())
                self._note(what, sent_s)
                again_s *= 2
        finally:
            del self._open[cookie]
            asked.answered.cancel()
        raise MeasurementError(
            f"{self._late(asked, LIMIT_S)}, asked {times} times",
            "start it there (--listen-ng), or correct host and port",
        )

    def waits(self) -> list[Wait]:
        """Return every question that was asked again, as the wait that ended with it."""
        return list(self._waits)

    def unanswered(self, begun_s: float) -> list[str]:
        """Return what was asked from ``begun_s`` on and has not been answered yet, a sentence each."""
        now_s = self._network.now_s()
        return [
            self._late(each, round(now_s - each.begun_s, 1)) for each in self._open.values() if each.begun_s >= begun_s
        ]

    def close(self) -> None:
        """Ask no more."""
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Take an answer (rule 2)."""
        del addr
        cookie, _, written = data.partition(b" ")
        question = self._open.get(cookie)
        # Two answers may come of one question that was asked twice: the first is taken.
        if question is not None and not question.answered.done():
            question.answered.set_result(written)

    def _late(self, question: _Question, after_s: float) -> str:
        return f"rtpengine, {question.what}: {self._shown} did not answer within {format_duration(after_s)}"

    def _note(self, what: str, sent_s: float) -> None:
        self._waits.append(
            Wait(timer="signaling", side=self._side, what=what, from_s=sent_s, at_s=self._network.now_s(), needed=True)
        )

    def _read(self, what: str, written: bytes) -> Mapping[str, Any]:
        try:
            said = decode(written)
        except ValueError as error:
            shown = quoted(written.decode(errors="replace"))
            raise MeasurementError(
                f"rtpengine, {what}: the answer is no bencode ({error}), it begins {shown}", "is this an rtpengine?"
            ) from None
        result = said.get("result") if isinstance(said, Mapping) else None
        if not isinstance(said, Mapping) or result not in ("ok", "pong"):
            reason = said.get("error-reason") if isinstance(said, Mapping) else None
            words = f": {quoted(reason)}" if isinstance(reason, str) else ""
            cure = _CURES.get(reason.lower(), "look into rtpengine's log") if isinstance(reason, str) else ""
            raise MeasurementError(f"rtpengine, {what}: the server answered an error{words}", cure)
        return said
