"""Our own page, served: the page itself, and a place to post its offer to. For one browser, on 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from rtcprobe.call.ends.browser.launching import source
from rtcprobe.errors import RtcprobeError

__all__ = ["OwnPage"]

# Of a body: an offer of a browser is some kilobytes. The server is bound to 127.0.0.1, but any program here may ask it.
_MOST_BYTES = 1 << 20
# For a body to come and for the answer to be made, whose joining has a limit of its own that is told in other words.
_PATIENCE_S = 10.0
_ISOLATED = ("Cross-Origin-Opener-Policy: same-origin", "Cross-Origin-Embedder-Policy: require-corp")
"""A page that is alone has a clock of 5 µs, others one of 100. Source: High Resolution Time §4.2 (coarsen time)."""


class OwnPage:
    """A server of two resources. ``answer`` turns an offer into an answer."""

    def __init__(self, answer: Callable[[str], Awaitable[str]]) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._page = source("page.html").encode()

    async def start(self) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop, and let go of connections that a browser keeps."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            await self._conversation(reader, writer)
        finally:
            writer.close()

    async def _conversation(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whatever ends a connection ends its task: the browser opens another,
        # and a join that gets no answer says so itself.
        with suppress(OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError, asyncio.CancelledError):
            while True:
                # No limit here: connections that a browser keeps open wait for its next
                # request, until ``close`` cancels them.
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.partition("\r\n")[0].split(" ", 2)
                async with asyncio.timeout(_PATIENCE_S):
                    body = (await reader.readexactly(_length(head))).decode()
                    status, kind, said = await self._respond(method, path, body)
                lines = (
                    f"HTTP/1.1 {status}",
                    f"Content-Type: {kind}",
                    f"Content-Length: {len(said)}",
                    *_ISOLATED,
                    "",
                    "",
                )
                writer.write("\r\n".join(lines).encode() + said)
                await writer.drain()

    async def _respond(self, method: str, path: str, body: str) -> tuple[str, str, bytes]:
        if method == "POST" and path == "/offer":
            try:
                return "200 OK", "application/sdp", (await self._answer(body)).encode()
            except RtcprobeError as error:
                # The page throws it as an error of its own (``page.html``), which the join's failure then quotes.
                return "400 Bad Request", "text/plain", str(error).encode()
        if method == "GET" and path.partition("?")[0] == "/":
            return "200 OK", "text/html; charset=utf-8", self._page
        return "404 Not Found", "text/plain", b"no such thing"


def _length(head: str) -> int:
    """Return how long the body is; ValueError where it says nonsense."""
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            length = int(value)
            if 0 <= length <= _MOST_BYTES:
                return length
            raise ValueError(length)
    return 0
