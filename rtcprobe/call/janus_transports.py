"""The two ways to a Janus server: HTTP, where a long poll brings what comes unasked, and WebSocket.

Facts:
    1. Over HTTP the session and the handle are the URL's path, over WebSocket members of the message.
    2. A session of which the server hears nothing for a minute is ended. A long poll counts as a word; over WebSocket
       a ``keepalive`` is said instead.

Source: https://janus.conf.meetecho.com/docs/rest.html, "Plain HTTP REST Interface" and "WebSockets Interface".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from rtcprobe.call.faults import quoted
from rtcprobe.call.http import HttpClient
from rtcprobe.call.websocket import WebSocket
from rtcprobe.errors import MeasurementError
from rtcprobe.secrets import Secret

__all__ = ["LongPoll", "Socket"]

SUBPROTOCOL: Final = "janus-protocol"
"""What the server's documentation asks of a client's handshake (``Sec-WebSocket-Protocol``)."""

KEEPALIVE_S: Final = 25.0
"""Two fit into the server's minute: one may be late or lost, and the session lives on (fact 2)."""

POLL_TIMEOUT_S: Final = 45.0
"""The server lets a long poll rest for 30 s."""

POLL_EVENTS: Final = 10
"""So many at once, where the usual is one a poll: a poll more is a round trip later."""


class LongPoll:
    """HTTP: questions by POST, events by a GET that rests until there is one.

    ``take`` is given every message that comes, an answer or not; ``name`` gives a question its transaction.
    """

    def __init__(
        self,
        client: HttpClient,
        url: str,
        secrets: Mapping[str, Secret],
        *,
        take: Callable[[Any], None],
        name: Callable[[], str],
    ) -> None:
        del name
        self._client = client
        self._url = url
        self._secrets = secrets
        self._take = take

    async def open(self) -> None:
        """Open the connection.

        Raises:
            MeasurementError: it did not open.
        """
        await self._client.open("Janus session", self._url)

    async def send(self, what: str, request: Mapping[str, Any], session: int | None, handle: int | None) -> float:
        """Send ``request``; return when it had left. What is answered at once is taken before.

        Raises:
            MeasurementError: no answer, or not one of Janus.
        """
        path = "".join(f"/{part}" for part in (session, handle) if part is not None)
        reply = await self._client.exchange(
            f"Janus, {what}",
            "POST",
            self._url + path,
            body=json.dumps({**request, **_revealed(self._secrets)}),
            content_type="application/json",
            media_types=("application/json",),
        )
        said = reply.json()
        if not isinstance(said, Mapping) or "janus" not in said:
            raise MeasurementError(f"{reply.exchange}: the answer is not one of Janus", "is this its API?")
        # Before the question's own waiter goes on: whoever asked finds the
        # answer there, and later events find it taken.
        self._take(said)
        return reply.exchange.marks["request_sent"]

    async def receive(self) -> None:
        """Nothing comes unasked before there is a session to poll."""

    async def stay(self, session: int) -> None:
        """Ask for events for as long as the session lives; that keeps it alive, too."""
        # A GET has no body, so the secrets of the API stand in its query (the documentation's own form).
        query = urlencode({"maxev": POLL_EVENTS, **_revealed(self._secrets)})
        url = f"{self._url}/{session}?{query}"
        while True:
            reply = await self._client.exchange(
                "Janus, long poll", "GET", url, media_types=("application/json",), timeout_s=POLL_TIMEOUT_S
            )
            events = reply.json()
            # A list where maxev is heeded, a lone event from servers that do not know it.
            for event in events if isinstance(events, list) else [events]:
                self._take(event)

    async def aclose(self) -> None:
        """Nothing to do: the connection is the client's."""


class Socket:
    """WebSocket: questions, answers and events go over one connection, in any order; arguments as of ``LongPoll``."""

    def __init__(
        self,
        client: HttpClient,
        url: str,
        secrets: Mapping[str, Secret],
        *,
        take: Callable[[Any], None],
        name: Callable[[], str],
    ) -> None:
        self._client = client
        self._url = url
        self._secrets = secrets
        self._take = take
        self._name = name
        self._socket: WebSocket | None = None

    async def open(self) -> None:
        """Open the connection.

        Raises:
            BadInputError: a URL that cannot be called.
            MeasurementError: it did not open.
        """
        self._socket = await WebSocket.open(self._client, "Janus WebSocket", self._url, subprotocol=SUBPROTOCOL)

    async def send(self, what: str, request: Mapping[str, Any], session: int | None, handle: int | None) -> float:
        """Send ``request``; return when it had left. Its answer comes by ``take``.

        Raises:
            MeasurementError: the connection is not open.
        """
        del what
        place = {"session_id": session, "handle_id": handle}
        known = {key: value for key, value in place.items() if value is not None}
        await self._open_socket.send(json.dumps({**request, **known, **_revealed(self._secrets)}))
        return self._client.line.network.now_s()

    async def receive(self) -> None:
        """Take what comes for as long as the connection stands: the first answer needs no session."""
        socket = self._open_socket
        while True:
            text = await socket.receive()
            try:
                said = json.loads(text.removeprefix("\ufeff"))
            except (ValueError, RecursionError):
                raise MeasurementError(f"{socket.exchange}: a message is not JSON, it begins {quoted(text)}") from None
            self._take(said)

    async def stay(self, session: int) -> None:
        """Say now and then that the session is wanted still."""
        while True:
            await asyncio.sleep(KEEPALIVE_S)
            # Acknowledged only, so nobody waits for an answer to it.
            await self.send("keepalive", {"janus": "keepalive", "transaction": self._name()}, session, None)

    async def aclose(self) -> None:
        """Close the connection; one that was never open is none."""
        if self._socket is not None:
            await self._socket.aclose()

    @property
    def _open_socket(self) -> WebSocket:
        if self._socket is None:
            raise MeasurementError("the connection to Janus is not open")
        return self._socket


def _revealed(secrets: Mapping[str, Secret]) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in secrets.items()}
