"""A byte stream dressed as an asyncio transport, for protocols that want one: TURN over TCP and TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream

from rtcprobe.runtime.streams import Line, Mark, dial

__all__ = ["StreamTransport", "open_transport"]

LOG: Final = logging.getLogger("rtcprobe")

_P = TypeVar("_P", bound=asyncio.Protocol)


async def open_transport(
    line: Line,
    protocol_factory: Callable[[], _P],
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    mark: Mark,
    what: str,
) -> tuple[StreamTransport, _P]:
    """Connect over ``line`` and give the connection to a new protocol; marks ``dns``, ``tcp`` and ``tls``.

    Raises:
        StreamError: no stream comes about.
        OSError: TLS does not (``ssl.SSLError``).
    """
    stream = await dial(line, host, port, mark=mark, what=lambda: what)
    if tls is not None:
        plain = stream
        try:
            stream = await TLSStream.wrap(
                plain, ssl_context=tls, hostname=host, server_side=False, standard_compatible=False
            )
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            await plain.aclose()
            raise ssl.SSLEOFError("the connection was closed in the TLS handshake") from None
        except BaseException:
            await plain.aclose()
            raise
        mark("tls")
    protocol = protocol_factory()
    return StreamTransport(stream, protocol), protocol


class StreamTransport(asyncio.Transport):
    """Writes to and reads from a stream, in tasks of its own."""

    def __init__(self, stream: ByteStream, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._stream = stream
        self._protocol = protocol
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closing = False
        protocol.connection_made(self)
        self._writer = asyncio.ensure_future(self._write())
        self._reader = asyncio.ensure_future(self._read())

    def write(self, data: Any) -> None:
        """Send ``data`` behind what is waiting."""
        if not self._closing:
            self._queue.put_nowait(bytes(data))

    def close(self) -> None:
        """Send what is waiting, then hang up."""
        if not self._closing:
            self._closing = True
            self._queue.put_nowait(None)

    abort = close

    def is_closing(self) -> bool:
        """Return whether ``close`` was called, or the other side hung up."""
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the ``peername``."""
        if name == "peername":
            return self._stream.extra(SocketAttribute.remote_address, default)  # noqa: S610 - no Django
        return default

    async def _write(self) -> None:
        error: Exception | None = None
        try:
            while (data := await self._queue.get()) is not None:
                await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as broken:
            error = broken
        finally:
            self._closing = True
            self._reader.cancel()
            await self._stream.aclose()
            self._protocol.connection_lost(error)

    async def _read(self) -> None:
        try:
            while True:
                self._protocol.data_received(await self._stream.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            self.close()
        except Exception as error:
            LOG.info("what came over TCP was not read: %s", error, exc_info=error)
            self.close()
