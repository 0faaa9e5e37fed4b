"""A session at a Janus server, over HTTP with a long poll or over WebSocket: one question at a time, answered by name.

Facts:
    1. A question carries a ``transaction`` of its own. What takes time is acknowledged (``ack``) and answered later by
       an ``event`` with the same transaction: over HTTP in the long poll, which is asked again after every answer.
    2. Everything else that comes belongs to a handle (``sender``): it hung up, media flows, a candidate was found.
    3. A session of which nothing is heard for a minute is ended by the server (``call.janus_transports``).
    4. Errors of the server come as ``error`` (code, reason), those of a plugin within its data (error_code, error).

Source: https://janus.conf.meetecho.com/docs/rest.html; janus-gateway 1.1.2, ``apierror.h`` and ``plugins/*.c``.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from rtcprobe.call.faults import printable, quoted
from rtcprobe.call.http import HttpClient
from rtcprobe.call.janus_answers import JanusAnswer, description, id_of, judge_error, judged, refused
from rtcprobe.call.janus_transports import LongPoll, Socket
from rtcprobe.call.signaling import Sdp
from rtcprobe.errors import MeasurementError, RtcprobeError, unforeseen
from rtcprobe.secrets import Secret
from rtcprobe.units import format_duration

__all__ = ["JanusHandle", "JanusSession"]

GOODBYE_S: Final = 1.0
"""A goodbye is a courtesy: the server would end the session by itself (fact 3), so nobody waits longer for it."""

MOST_OF_A_NAME: Final = 80
"""What a terminal shows on a line; a stranger's name may be of any length."""

_OUTSIDE_SESSIONS: Final = ("create", "info")


class JanusSession:
    """A session and its handles: ``connect``, ``create``, ``attach``; ended by ``close`` in any case.

    It carries one call. ``gone`` is a sentence once the server has ended either; ``on_gone`` is called then.
    """

    def __init__(self, client: HttpClient, url: str, *, api_secret: Secret | None, token: Secret | None) -> None:
        self.gone: str | None = None
        self.on_gone: Callable[[str], None] = _ignore
        self._client = client
        secrets = {name: secret for name, secret in (("apisecret", api_secret), ("token", token)) if secret is not None}
        # Transactions have to differ within a session alone; counted, so that a log of the server reads in order.
        self._names = (f"rtcprobe{number}" for number in itertools.count(1))
        transport = Socket if url.startswith("ws") else LongPoll
        self._transport = transport(client, url, secrets, take=self._take, name=self._names.__next__)
        self._session: int | None = None
        self._handles: dict[int, JanusHandle] = {}
        self._answers: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Open the connection, so that the next question finds it open.

        Raises:
            BadInputError: a URL that cannot be called.
            MeasurementError: it did not open.
        """
        await self._transport.open()
        self.go_on(self._transport.receive)

    async def create(self) -> None:
        """Create the session.

        Raises:
            MeasurementError: the server refused, or did not answer.
        """
        answer = await self.ask("create session", {"janus": "create"})
        self._session = id_of(answer, "create session")
        self.go_on(partial(self._transport.stay, self._session))

    async def attach(self, plugin: str) -> JanusHandle:
        """Return a new handle of ``plugin`` (such as ``janus.plugin.echotest``).

        Raises:
            MeasurementError: the server refused, or did not answer.
        """
        what = f"attach {plugin}"
        number = id_of(await self.ask(what, {"janus": "attach", "plugin": plugin}), what)
        handle = self._handles[number] = JanusHandle(self, number)
        return handle

    async def close(self) -> None:
        """Destroy the session, whatever has become of its call; takes a second or so at most."""
        # Not by ``ask``, which refuses where the session is gone: one that hung up by itself is destroyed all the same.
        if self._session is not None:
            with suppress(MeasurementError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._answered("destroy session", {"janus": "destroy"})
        self._session = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.aclose()

    def go_on(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do ``work`` for as long as the session lives; when it ends with a fault, the session is lost, and says so."""
        self._tasks.add(asyncio.ensure_future(self._to_the_end(work)))

    def lose(self, sentence: str) -> None:
        """Say that the session has ended: ``sentence``; only the first is told."""
        if self.gone is not None:
            return
        self.gone = sentence
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(MeasurementError(sentence))
        self.on_gone(sentence)

    async def ask(
        self,
        what: str,
        request: Mapping[str, Any],
        handle: int | None = None,
        sent: Callable[[float], None] | None = None,
    ) -> Mapping[str, Any]:
        """Send ``request`` and return its final answer; ``sent`` is told when it had left.

        Raises:
            MeasurementError: the server refused, is gone, or did not answer.
        """
        if self.gone is not None:
            raise MeasurementError(self.gone)
        return await self._answered(what, request, handle, sent)

    async def server(self) -> str:
        """Return what the server calls itself, with its version.

        Raises:
            MeasurementError: it did not say.
        """
        said = await self.ask("info", {"janus": "info"})
        return printable(f"{said.get('name', 'Janus')} {said.get('version_string', '')}", MOST_OF_A_NAME)

    async def _answered(
        self,
        what: str,
        request: Mapping[str, Any],
        handle: int | None = None,
        sent: Callable[[float], None] | None = None,
    ) -> Mapping[str, Any]:
        name = next(self._names)
        answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[name] = answer
        limit_s = self._client.limits.exchange_s
        try:
            async with asyncio.timeout(limit_s):
                # ``create`` makes the session, ``info`` is asked of the server: neither has a session in its path.
                session = None if request["janus"] in _OUTSIDE_SESSIONS else self._session
                left_s = await self._transport.send(what, {**request, "transaction": name}, session, handle)
                if sent is not None:
                    sent(left_s)
                return judged(what, await answer)
        except TimeoutError:
            raise MeasurementError(f"Janus, {what}: no answer within {format_duration(limit_s)}") from None
        finally:
            del self._answers[name]
            answer.cancel()

    def _take(self, said: Any) -> None:
        """Act on one message of the server; what concerns other sessions, or nobody, is nothing to us."""
        # Answers to ``create`` and ``info`` name no session, ours has none yet then: both count as meant for us.
        if not isinstance(said, Mapping) or said.get("session_id", self._session) != self._session:
            return
        kind = said.get("janus")
        # An ``ack`` comes at once and says only that an answer will (fact 1).
        if kind == "ack" or not isinstance(kind, str):
            return
        answer = self._answers.get(str(said.get("transaction")))
        if answer is not None:
            # An answer that came after its question was given up is nobody's any more.
            if not answer.done():
                answer.set_result(said)
            return
        # An error that answers no question concerns the session: most often 458, it is not known (any more).
        if kind == "error" and "transaction" not in said:
            self.lose(str(judge_error("session", said)))
        elif kind == "timeout":
            self.lose("Janus ended the session: it heard nothing from us for too long")
        else:
            for number, handle in self._handles.items():
                if said.get("sender") == number:
                    handle.take(kind, said)

    async def _to_the_end(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except RtcprobeError as error:
            self.lose(str(error))
        except Exception as error:  # noqa: BLE001 - a task that died in silence would leave everybody waiting
            self.lose(unforeseen(error))


class JanusHandle:
    """Our end of a plugin; each has a media path of its own.

    ``on_event`` is told what the plugin says unasked, ``on_gone`` when the server ended it: the session, unless told.
    """

    def __init__(self, session: JanusSession, number: int) -> None:
        self.on_event: Callable[[Mapping[str, Any]], None] = _ignore
        self.on_gone: Callable[[str], None] = session.lose
        self.media_up = asyncio.Event()
        """Set when the server says that the media path is up, on its side too."""
        self._session = session
        self._number = number
        self._candidates: asyncio.Queue[str] = asyncio.Queue()

    async def message(
        self,
        what: str,
        body: Mapping[str, Any],
        sdp: Sdp | None = None,
        *,
        pin: Secret | None = None,
        sent: Callable[[float], None] | None = None,
    ) -> JanusAnswer:
        """Say ``body`` to the plugin, with a session description if there is one; return its answer.

        ``sent`` is told when the request had left, in seconds since the call started.

        Raises:
            MeasurementError: the server or the plugin refused, hung up, or did not answer.
        """
        body = dict(body) if pin is None else {**body, "pin": pin.reveal()}
        request: dict[str, Any] = {"janus": "message", "body": body}
        if sdp is not None:
            request["jsep"] = {"type": sdp.kind, "sdp": sdp.text}
        answer = await self._session.ask(what, request, self._number, sent)
        plugin = answer.get("plugindata")
        data = plugin.get("data") if isinstance(plugin, Mapping) else None
        if not isinstance(data, Mapping):
            raise MeasurementError(f"Janus, {what}: the answer holds no data of the plugin")
        # The core calls it a success: that the plugin was reached says nothing of what it made of the message.
        if "error" in data or "error_code" in data:
            raise refused(what, data.get("error_code"), data.get("error"))
        return JanusAnswer(data, description(what, answer.get("jsep")))

    def deliver_candidates(self, take: Callable[[str], Awaitable[None]]) -> None:
        """Give ``take`` every candidate that the server sends after its description, those that came before too.

        Each is an SDP attribute's value (``candidate:...``); an empty one says there are no more.
        """

        async def deliver() -> None:
            while True:
                await take(await self._candidates.get())

        self._session.go_on(deliver)

    def take(self, kind: str, said: Mapping[str, Any]) -> None:
        """Act on what the server says of this handle unasked."""
        if kind in {"hangup", "detached"}:
            reason = said.get("reason")
            why = f", {quoted(reason)}" if isinstance(reason, str) else ""
            self.on_gone(f"Janus hung up{why}" if kind == "hangup" else "Janus took the plugin's handle away")
        elif kind == "webrtcup":
            self.media_up.set()
        elif kind == "event":
            plugin = said.get("plugindata")
            data = plugin.get("data") if isinstance(plugin, Mapping) else None
            if isinstance(data, Mapping):
                self.on_event(data)
        elif kind == "trickle":
            candidate = said.get("candidate")
            text = candidate.get("candidate") if isinstance(candidate, Mapping) else None
            # ``{"completed": true}`` is how Janus says end-of-candidates (RFC 8838).
            ended = isinstance(candidate, Mapping) and candidate.get("completed") is True
            if isinstance(text, str) or ended:
                self._candidates.put_nowait("" if ended else str(text))


def _ignore(_: object) -> None:
    """Do nothing."""
