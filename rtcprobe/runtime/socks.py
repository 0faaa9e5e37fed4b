"""A SOCKS5 proxy in process that knows named hosts only, each connection through an emulated line: for browsers.

Facts:
    A browser told to use SOCKS5 hands names over unresolved (RFC 1928 §4, address type 3), so that the query for them
    passes the line too (``streams``). Its UDP, and so its media, does not go this way: that is ``turn_end``'s matter.

Rules:
    1. Who is not named is refused (reply 2, "not allowed by ruleset") and counted: a browser calls its maker's hosts
       whatever its flags say.
    2. Over the line runs our TCP: connecting costs a round trip, bytes come in order, segments are lost and sent again.
    3. It listens on 127.0.0.1 alone, for as long as the call lasts.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import anyio
from anyio.abc import ByteStream

from rtcprobe.runtime.reach import StreamError
from rtcprobe.runtime.streams import Line, dial

__all__ = ["SocksProxy"]

_VERSION = 5
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_GRANTED, _FORBIDDEN, _UNREACHABLE, _REFUSED, _NOT_SUPPORTED = 0, 2, 4, 5, 7
"""Replies. Source: RFC 1928 §6."""
# What a socket hands over at once; a browser that does not finish its greeting is not one; and the names refused that
# are kept for the report.
_CHUNK_BYTES = 65_536
_GREETING_S = 10.0
_GOODBYE_S = 1.0
_MOST_REMEMBERED = 256


class SocksProxy:
    """The proxy of one browser; ``allowed`` tells of a host name or address whether it may be reached."""

    def __init__(self, line: Line, allowed: Callable[[str], bool]) -> None:
        self.line = line
        self.refused: Counter[str] = Counter()
        """How often each host was asked for that is not named."""
        self.failed: dict[str, str] = {}
        """Why a named host was not reached, by ``host:port``."""
        self._allowed = allowed
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen; return the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving, timeout=_GOODBYE_S)
        await self.line.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            stream = await self._opened(reader, writer)
            if stream is not None:
                await _pump(reader, writer, stream)
        except (OSError, EOFError, anyio.BrokenResourceError, anyio.ClosedResourceError, asyncio.CancelledError):
            pass  # either side may go at any moment: the other is hung up on
        finally:
            self._serving.discard(task)
            writer.close()

    async def _opened(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ByteStream | None:
        """Return the stream a client asked for; None where it was refused."""
        async with asyncio.timeout(_GREETING_S):
            version, methods = await reader.readexactly(2)
            if version != _VERSION:
                return None
            await reader.readexactly(methods)
            writer.write(bytes((_VERSION, 0)))
            version, command, _, kind = await reader.readexactly(4)
            host = await _address(reader, kind)
            (port,) = struct.unpack("!H", await reader.readexactly(2))
        if command != _CONNECT or host is None:
            _reply(writer, _NOT_SUPPORTED)
            return None
        if not self._allowed(host):
            if host in self.refused or len(self.refused) < _MOST_REMEMBERED:
                self.refused[host] += 1
            _reply(writer, _FORBIDDEN)
            return None
        where = f"{host}:{port}"
        try:
            stream = await dial(self.line, host, port, mark=lambda _: None, what=lambda: f"bytes to {where}")
        except StreamError as error:
            self.failed[where] = "connection refused" if error.kind == "refused" else error.reason
            _reply(writer, _REFUSED if error.kind == "refused" else _UNREACHABLE)
            return None
        _reply(writer, _GRANTED)
        return stream


async def _address(reader: asyncio.StreamReader, kind: int) -> str | None:
    """Read where a client wants to go; None for a kind of address that is not known."""
    if kind == _NAME:
        (length,) = await reader.readexactly(1)
        return (await reader.readexactly(length)).decode("ascii", "replace").lower()
    if kind in {_IPV4, _IPV6}:
        return str(ipaddress.ip_address(await reader.readexactly(4 if kind == _IPV4 else 16)))
    return None


def _reply(writer: asyncio.StreamWriter, code: int) -> None:
    writer.write(bytes((_VERSION, code, 0, _IPV4)) + bytes(6))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: ByteStream) -> None:
    """Carry bytes both ways until either side has ended."""

    async def out() -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            await stream.send(chunk)

    async def back() -> None:
        with suppress(anyio.EndOfStream):
            while True:
                writer.write(await stream.receive(_CHUNK_BYTES))
                await writer.drain()

    ways = [asyncio.ensure_future(each) for each in (out(), back())]
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in done:
            way.result()
    finally:
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        for way in ways:
            if not way.cancelled():
                way.exception()  # known by now, or of no interest any more
        await stream.aclose()
