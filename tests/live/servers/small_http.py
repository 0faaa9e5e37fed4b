"""The least of an HTTP/1.1 server, for services that tests start: requests with a length, answers with a length."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Answer", "Request", "serve_forever"]

MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said: ``status`` is code and reason."""

    status: str
    body: str = ""
    kind: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)


async def serve_forever(address: str, port: int, respond: Callable[[Request], Awaitable[Answer]]) -> None:
    """Answer every request with ``respond``."""
    server = await asyncio.start_server(lambda r, w: _connection(r, w, respond), address, port)
    async with server:
        await server.serve_forever()


async def _connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Callable[[Request], Awaitable[Answer]]
) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
            length = min(int(headers.get("content-length", 0)), MAX_BODY_BYTES)
            body = (await reader.readexactly(length)).decode()
            method, path, _ = first.split(" ", 2)
            answer = await respond(Request(method, path, headers, body))
            said = answer.body.encode()
            fields = {"Content-Type": answer.kind, "Content-Length": str(len(said)), **answer.headers}
            writer.write(f"HTTP/1.1 {answer.status}\r\n".encode())
            writer.write("".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n" + said)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
