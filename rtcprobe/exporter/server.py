"""A server from its start to its end: the socket, the signals, the way down.

Facts:
    uvicorn and starlette are pure Python over h11 and anyio, which are here for httpx anyway: two packages for a server
    whose limits are settable. prometheus_client's own server has no limits, no auth and a thread a connection.

Rules:
    1. SIGHUP reads the configuration anew; a bad one is said and the old goes on. SIGTERM and SIGINT end the server:
       runs in hand have ``GRACE_S``, answers ``HANG_UP_S``, then it is over, with exit code 0.
    2. A request's head must be whole within ``HEAD_S``, and a part of it is kept up to ``MOST_HEADER_BYTES`` (h11 reads
       64 kB at once, so the application looks at the whole again); connections are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from rtcprobe.errors import BadInputError
from rtcprobe.exporter.config import read_config
from rtcprobe.exporter.fleet import Fleet
from rtcprobe.exporter.web import MOST_HEADER_BYTES, make_app
from rtcprobe.exporter.webconfig import Gate, WebConfig, read_web_config

__all__ = ["bind", "serve"]

LOG: Final = logging.getLogger("rtcprobe")

GRACE_S: Final = 8.0
HANG_UP_S: Final = 2
HEAD_S: Final = 10.0
MOST_CONNECTIONS: Final = 200
SWITCH_S: Final = 0.0005
"""How long a thread that reads a result may keep the loop waiting at a time; Python's usual 5 ms add up in a scrape."""


def bind(listen: str) -> socket.socket:
    """Return a socket that listens at ``HOST:PORT``; port 0 is one that is free.

    Raises:
        BadInputError: not an address, or one that cannot be had.
    """
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise BadInputError(f"--listen {listen!r} is no address", "write it like 127.0.0.1:9817 or [::1]:9817")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise BadInputError(f"--listen {listen} cannot be had", error.strerror or str(error)) from error
    listener.setblocking(False)
    return listener


async def serve(
    config: Path, listener: socket.socket, web_config: Path | None = None, grace_s: float = GRACE_S
) -> None:
    """Probe and answer until a signal ends it.

    Raises:
        BadInputError: a configuration that cannot be meant.
    """
    sys.setswitchinterval(SWITCH_S)
    fleet = Fleet(lambda: read_config(config))
    doors = _Doors(web_config)

    def reload() -> None:
        doors.reload()
        fleet.reload()

    server = _Server(_uvicorn_config(make_app(fleet, lambda: doors.gate, reload), doors))
    with _signals(server, reload):
        await fleet.start()
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        serving.add_done_callback(lambda _: server.ended.set())
        scheme = "https" if doors.tls else "http"
        LOG.info("listening on %s://%s", scheme, _shown(listener))
        await server.ended.wait()
        LOG.info("ending: runs in hand have %g s", grace_s)
        await fleet.stop(grace_s)
        server.should_exit = True
        await serving
    LOG.info("ended")


class _Doors:
    """Who may come in and how, by the web config; read anew at a reload, certificates too."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._web = WebConfig({}, None) if path is None else read_web_config(path)
        self.gate = Gate(self._web.users)

    @property
    def tls(self) -> bool:
        """Whether connections are TLS; that stays as it was at the start."""
        return self._web.tls is not None

    def reload(self) -> None:
        """Read the web config anew.

        Raises:
            BadInputError: it cannot be meant, or turns TLS on or off.
        """
        if self._path is None:
            return
        web = read_web_config(self._path)
        if (web.tls is None) == self.tls:
            raise BadInputError(f"web config {self._path} turns TLS on or off", "start the server again for that")
        self._web = web
        self.gate = Gate(web.users)

    def context(self, *_given: Any) -> ssl.SSLContext:
        """Return a TLS context that goes over to the newest certificate at every handshake."""
        outer = self._web.tls
        assert outer is not None

        def newest(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
            if self._web.tls is not None:
                connection.context = self._web.tls

        outer.sni_callback = newest
        return outer


class _Protocol(H11Protocol):
    """HTTP/1.1 whose request heads must be whole in time: a connection that says nothing, or very slowly, is closed."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_S, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(HEAD_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """uvicorn without its own signals; ``ended`` is set when somebody asks it to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to ``_signals``."""
        yield


def _uvicorn_config(app: Any, doors: _Doors) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=HANG_UP_S,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        ssl_context_factory=doors.context if doors.tls else None,
    )


@contextlib.contextmanager
def _signals(server: _Server, reload: Any) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def hang_up() -> None:
        try:
            reload()
        except BadInputError as error:
            LOG.warning("the old configuration goes on; %s", error)

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.ended.set)
    try:
        yield
    finally:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
