"""The network of the HTTP client: connections made over a ``Line``, TLS on top, each step marked where it belongs.

Facts:
    httpcore opens connections through an ``AsyncNetworkBackend``, in the task that asked for the exchange: a context
    variable says which exchange that is.
"""

from __future__ import annotations

import importlib
import select
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import anyio
import httpcore
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

from rtcprobe.call.faults import Exchange
from rtcprobe.runtime.reach import needs_dns
from rtcprobe.runtime.streams import Line, ShapedStream, dial

importlib.import_module("anyio._backends._asyncio")  # or the first exchange would wait for it, a quarter of a second

__all__ = ["EXCHANGE", "Backend", "NetStream"]

EXCHANGE: ContextVar[Exchange] = ContextVar("rtcprobe_exchange")
"""The exchange that the current task is about."""


class NetStream(httpcore.AsyncNetworkStream):
    """A connection of the client; exchanges follow each other on it."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._base: ByteStream | None = None
        self._stream: ByteStream | None = None
        self._what = "request"

    @property
    def _open(self) -> ByteStream:
        assert self._stream is not None
        return self._stream

    async def connect(self, host: str, port: int) -> None:
        """Reach the server; marks ``dns`` and ``tcp``."""
        exchange = EXCHANGE.get()
        self._what = exchange.what
        # Set before anything is sent: a look-up that never ends has to be named as what is waited for.
        exchange.phase = "dns" if needs_dns(host) else "tcp"

        def mark(milestone: str) -> None:
            exchange.marks[milestone] = self._line.network.now_s()
            exchange.phase = "tcp"

        # Asked anew each time: connections are reused, and what was resent
        # belongs to the exchange that was under way then.
        self._base = self._stream = await dial(self._line, host, port, mark=mark, what=lambda: self._what)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore's
        """Return what has come; nothing at the end."""
        try:
            return await self._open.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - httpcore's
        """Send ``buffer``."""
        self._what = EXCHANGE.get().what
        try:
            if buffer:
                await self._open.send(buffer)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Hang up, TLS' goodbye left out: nobody waits for it."""
        if self._base is not None:
            await self._base.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's
    ) -> NetStream:
        """Shake hands, unless that was done ahead; marks ``tls``."""
        # ``HttpClient.open`` has done TCP and TLS ahead of the join; the pool,
        # which thinks the connection new, asks once more.
        if self._stream is not self._base:
            return self
        exchange = EXCHANGE.get()
        exchange.phase = "tls"
        try:
            self._stream = wrapped = await TLSStream.wrap(
                self._open,
                ssl_context=ssl_context,
                hostname=(server_hostname or "").strip("[]"),
                server_side=False,
                # Servers of the web end TCP without close_notify (RFC 8446 §6.1 demands one): an end of stream is no
                # error here, and HTTP's own framing tells a body that was cut.
                standard_compatible=False,
            )
        # Also when a timeout cancels the handshake: nobody else knows of this
        # stream yet, so nobody else would close it.
        except BaseException:
            await self.aclose()
            raise
        exchange.marks["tls"] = self._line.network.now_s()
        exchange.tls_version = wrapped.extra(TLSAttribute.tls_version)  # noqa: S610 - no Django
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return whether the idle connection ``is_readable``: it ended, then; nothing else is known."""
        if self._stream is None or self._base is None:
            return None
        if info == "is_readable":
            if isinstance(self._base, ShapedStream):
                return self._base.readable
            # On the real clock without a link a plain socket lies below: an idle one that is readable has the server's
            # FIN (or bytes that nobody asked for) in it, and must not be used again.
            plain = self._base.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django
            return bool(select.select([plain], [], [], 0)[0])
        return None


class Backend(httpcore.AsyncNetworkBackend):
    """Connects over ``line``; what was opened ahead is handed out first."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ahead: dict[tuple[str, int], list[NetStream]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> NetStream:
        """Return a connection to ``host``."""
        if self._ahead.get((host, port)):
            return self._ahead[host, port].pop()
        stream = NetStream(self._line)
        await stream.connect(host, port)
        return stream

    def keep(self, host: str, port: int, stream: NetStream) -> None:
        """Hand ``stream`` out to the next who connects there."""
        self._ahead.setdefault((host, port), []).append(stream)
