"""A session at a Janus server, over HTTP with a long poll or over WebSocket: one question at a time, answered by name.

Facts:
    1. A question carries a ``transaction`` of its own. What takes time is acknowledged (``ack``) and answered later by
       an ``event`` with the same transaction: over HTTP in the long poll, which is asked again after every answer.
    2. Everything else that comes belongs to a handle (``sender``): it hung up, media flows, a candidate was found.
    3. A session of which nothing is heard for a minute is ended by the server. A long poll counts; over WebSocket a
       ``keepalive`` is sent.
    4. Errors of the server come as ``error`` (code, reason), those of a plugin within its data (error_code, error).

Source: https://janus.conf.meetecho.com/docs/rest.html; janus-gateway 1.1.2, ``apierror.h`` and ``plugins/*.c``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from rtcprobe.call.faults import printable, quoted
from rtcprobe.call.http import HttpClient
from rtcprobe.call.janus_answers import JanusAnswer, description, id_of, judge_error, judged, refused
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.websocket import WebSocket
from rtcprobe.errors import MeasurementError, RtcprobeError, unforeseen
from rtcprobe.secrets import Secret
from rtcprobe.units import format_duration

__all__ = ["JanusHandle", "JanusSession"]

SUBPROTOCOL: Final = "janus-protocol"
KEEPALIVE_S: Final = 25.0
POLL_TIMEOUT_S: Final = 45.0
"""The server lets a long poll rest for 30 s."""
POLL_EVENTS: Final = 10
GOODBYE_S: Final = 1.0
MOST_OF_A_NAME: Final = 80

_OUTSIDE_SESSIONS: Final = ("create", "info")


class JanusSession:
    """A session and its handles: ``connect``, ``create``, ``attach``; ended by ``close`` in any case.

    It carries one call. ``gone`` is a sentence once the server has ended either; ``on_gone`` is called then.
    """

    def __init__(self, client: HttpClient, url: str, *, api_secret: Secret | None, token: Secret | None) -> None:
        self.gone: str | None = None
        self.on_gone: Callable[[str], None] = _ignore
        self._client = client
        self._url = url
        self._secrets = {
            name: secret for name, secret in (("apisecret", api_secret), ("token", token)) if secret is not None
        }
        self._socket: WebSocket | None = None
        self._session: int | None = None
        self._handles: dict[int, JanusHandle] = {}
        self._names = (f"rtcprobe{number}" for number in itertools.count(1))
        self._answers: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def _over_websocket(self) -> bool:
        return self._url.startswith("ws")

    async def connect(self) -> None:
        """Open the connection, so that the next question finds it open.

        Raises:
            BadInputError: a URL that cannot be called.
            MeasurementError: it did not open.
        """
        if self._over_websocket:
            self._socket = await WebSocket.open(self._client, "Janus WebSocket", self._url, subprotocol=SUBPROTOCOL)
            self.go_on(partial(self._receive, self._socket))
            self.go_on(self._keep_alive)
        else:
            await self._client.open("Janus session", self._url)

    async def create(self) -> None:
        """Create the session.

        Raises:
            MeasurementError: the server refused, or did not answer.
        """
        answer = await self.ask("create session", {"janus": "create"})
        self._session = id_of(answer, "create session")
        if not self._over_websocket:
            self.go_on(self._poll)

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
        if self._session is not None:
            with suppress(MeasurementError, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._answered("destroy session", {"janus": "destroy"})
        self._session = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.aclose()

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
                left_s = await self._send(what, {**request, "transaction": name}, handle)
                if sent is not None:
                    sent(left_s)
                return judged(what, await answer)
        except TimeoutError:
            raise MeasurementError(f"Janus, {what}: no answer within {format_duration(limit_s)}") from None
        finally:
            del self._answers[name]
            answer.cancel()

    async def _send(self, what: str, request: Mapping[str, Any], handle: int | None) -> float:
        """Send ``request``; return when it had left."""
        session = None if request["janus"] in _OUTSIDE_SESSIONS else self._session
        place = {"session_id": session, "handle_id": handle}
        secrets = {name: secret.reveal() for name, secret in self._secrets.items()}
        if self._socket is not None:
            known = {name: value for name, value in place.items() if value is not None}
            await self._socket.send(json.dumps({**request, **known, **secrets}))
            return self._client.line.network.now_s()
        path = "".join(f"/{part}" for part in place.values() if part is not None)
        reply = await self._client.exchange(
            f"Janus, {what}",
            "POST",
            self._url + path,
            body=json.dumps({**request, **secrets}),
            content_type="application/json",
            media_types=("application/json",),
        )
        said = reply.json()
        if not isinstance(said, Mapping) or "janus" not in said:
            raise MeasurementError(f"{reply.exchange}: the answer is not one of Janus", "is this its API?")
        self._take(said)
        return reply.exchange.marks["request_sent"]

    async def _poll(self) -> None:
        """Ask for events for as long as the session lives."""
        query = urlencode({"maxev": POLL_EVENTS, **{name: secret.reveal() for name, secret in self._secrets.items()}})
        url = f"{self._url}/{self._session}?{query}"
        while True:
            reply = await self._client.exchange(
                "Janus, long poll", "GET", url, media_types=("application/json",), timeout_s=POLL_TIMEOUT_S
            )
            events = reply.json()
            for event in events if isinstance(events, list) else [events]:
                self._take(event)

    async def _receive(self, socket: WebSocket) -> None:
        while True:
            text = await socket.receive()
            try:
                said = json.loads(text.removeprefix("\ufeff"))
            except (ValueError, RecursionError):
                raise MeasurementError(f"{socket.exchange}: a message is not JSON, it begins {quoted(text)}") from None
            self._take(said)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            if self._session is not None:
                await self._send("keepalive", {"janus": "keepalive", "transaction": next(self._names)}, None)

    def _take(self, said: Any) -> None:
        """Act on one message of the server; what concerns other sessions, or nobody, is nothing to us."""
        if not isinstance(said, Mapping) or said.get("session_id", self._session) != self._session:
            return
        kind = said.get("janus")
        if kind == "ack" or not isinstance(kind, str):
            return
        answer = self._answers.get(str(said.get("transaction")))
        if answer is not None:
            if not answer.done():
                answer.set_result(said)
            return
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
            ended = isinstance(candidate, Mapping) and candidate.get("completed") is True
            if isinstance(text, str) or ended:
                self._candidates.put_nowait("" if ended else str(text))


def _ignore(_: object) -> None:
    """Do nothing."""
