"""A server from its start to its end: the socket, the signals, the way down.

Facts:
    uvicorn and starlette are pure Python over h11 and anyio, which are here for httpx anyway: two packages for a server
    whose limits are settable. prometheus_client's own server has no limits, no auth and a thread a connection.

Rules:
    1. SIGHUP reads the configuration anew; a bad one is said and the old goes on. SIGTERM and SIGINT end the server:
       runs in hand have ``GRACE_S``, answers ``HANG_UP_S``, then it is over, with exit code 0.
    2. A request's head must be whole within ``HEAD_S``, and a part of it is kept up to ``MOST_HEADER_BYTES`` (h11 reads
       64 kB at once, so the application looks at the whole again); connections are bounded.
    3. A connection that waits for a request holds its place until others want it: beyond ``MOST_WAITING`` the one that
       has waited longest is closed. So nobody keeps scrapes out by saying nothing. An answer that is not taken within
       ``TAKEN_S`` is dropped, with its connection.
    4. Out of file descriptors, connections wait and the log says so once in ``SAID_AGAIN_S``: asyncio says it for each
       place of its backlog, every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
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

# With HANG_UP_S the 10 s after which Docker kills (``docker stop``) what it asked to end; Kubernetes waits 30.
GRACE_S: Final = 8.0
# An answer under way: a scrape takes milliseconds, and uvicorn counts in whole seconds.
HANG_UP_S: Final = 2
# A scraper sends its head in one packet; who takes longer keeps a place (Slowloris). A TLS handshake has as long.
HEAD_S: Final = 10.0
# Longer than any scrape's own time-out: who has not taken its answer by then is not reading.
TAKEN_S: Final = 30.0
# A line a minute in the log, instead of one for each place of the backlog a second.
SAID_AGAIN_S: Final = 60.0
# Beyond, uvicorn answers 503; half of them may wait idle (rule 3), the other half are being answered.
MOST_CONNECTIONS: Final = 200
# Half of all connections (rule 3): the other half is for who has something to ask.
MOST_WAITING: Final = 100
# Linux cuts a larger one to net.core.somaxconn, 128 before 5.4; and asyncio accepts as many in one turn of its loop.
BACKLOG: Final = 128
# Connections, and of each worker two pipes and what asyncio watches it by: far more than both, and no more than memory
# pays for.
_DESCRIPTORS: Final = 16_384
# As asyncio's own list of what accept() may lack for a while.
_SPENT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
SWITCH_S: Final = 0.0005
"""How long a thread that reads a result may keep the loop waiting at a time; Python's usual 5 ms add up in a scrape."""


def bind(listen: str) -> socket.socket:
    """Return a socket that listens at ``HOST:PORT``; port 0 is one that is free.

    Raises:
        BadInputError: not an address, or one that cannot be had.
    """
    host, colon, port = listen.rpartition(":")
    # An IPv6 address is written in brackets (RFC 3986 §3.2.2), else its last group would be the port.
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise BadInputError(f"--listen {listen!r} is no address", "write it like 127.0.0.1:9817 or [::1]:9817")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            # A server started anew must not wait for connections of the last in TIME_WAIT.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise BadInputError(f"--listen {listen} cannot be had", error.strerror or str(error)) from error
    listener.setblocking(False)
    return listener


async def serve(
    config: Path,
    listener: socket.socket,
    web_config: Path | None = None,
    grace_s: float = GRACE_S,
    *,
    told_before: Callable[[], bool] = lambda: False,
) -> None:
    """Probe and answer until a signal ends it; ``told_before`` says whether a SIGHUP came before this could take it.

    Raises:
        BadInputError: a configuration that cannot be meant.
    """
    sys.setswitchinterval(SWITCH_S)
    _raise_limit()
    asyncio.get_running_loop().set_exception_handler(_Complaints())
    fleet = Fleet(lambda: read_config(config))
    doors = _Doors(web_config)

    async def reload() -> None:
        try:
            # Doors are read first and turned last: where either is refused, both stay as they were.
            web = await asyncio.to_thread(doors.read)
        except BadInputError as error:
            fleet.refuse(error)
            raise
        await fleet.reload()
        doors.turn(web)

    server = _Server(_uvicorn_config(make_app(fleet, lambda: doors.gate, reload), doors))
    with _signals(server, reload) as hang_up:
        await fleet.start()
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        serving.add_done_callback(lambda _: server.ended.set())
        scheme = "https" if doors.tls else "http"
        LOG.info("listening on %s://%s", scheme, _shown(listener))
        # A SIGHUP that came while Python still imported would have ended the process; the command took note of it.
        if told_before():
            hang_up()
        # Order of the end: no new runs, those in hand have their grace while scrapes are still answered; then the doors
        # close.
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

    def read(self) -> WebConfig:
        """Read the web config anew, beside the loop, and change nothing.

        Raises:
            BadInputError: it cannot be meant, or turns TLS on or off.
        """
        if self._path is None:
            return self._web
        web = read_web_config(self._path)
        # The listener is TLS or it is not: uvicorn was told so once.
        if (web.tls is None) == self.tls:
            raise BadInputError(f"web config {self._path} turns TLS on or off", "start the server again for that")
        return web

    def turn(self, web: WebConfig) -> None:
        """Go over to what was read."""
        self._web = web
        self.gate.turn(web.users)

    def context(self, *_given: Any) -> ssl.SSLContext:
        """Return a TLS context that goes over to the newest certificate at every handshake."""
        outer = self._web.tls
        assert outer is not None

        def newest(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
            if self._web.tls is not None:
                connection.context = self._web.tls

        # Called at every handshake, with or without a server name (``ssl``): the one hook at which a context can be
        # exchanged.
        outer.sni_callback = newest
        return outer


class _Room:
    """The connections of a server that wait for a request, the one that has waited longest first (rule 3)."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._waiting: dict[_Protocol, None] = {}

    def enter(self, connection: _Protocol) -> None:
        self._waiting.setdefault(connection)
        if len(self._waiting) > self._most:
            # A dict keeps the order in which they entered.
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            longest.transport.close()

    def leave(self, connection: _Protocol) -> None:
        self._waiting.pop(connection, None)


class _Protocol(H11Protocol):
    """HTTP/1.1 whose request heads must be whole in time, and whose answers must be taken in time."""

    def __init__(self, room: _Room, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._room = room
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._room.enter(self)
        self._deadline = self.loop.call_later(HEAD_S, transport.close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # h11 leaves IDLE once a head is whole: then neither HEAD_S nor the room's limit applies to it any more.
        if self.conn.their_state is not h11.IDLE:
            self._forget()
            self._room.leave(self)
        # The first bytes of a next request on a connection that was kept: they have as long as those of the first.
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(HEAD_S, self.transport.close)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._room.enter(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        # abort, not close: close would wait for the very buffer to drain that nobody takes.
        self._stuck = self._stuck or self.loop.call_later(TAKEN_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unstick()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._unstick()
        self._room.leave(self)
        super().connection_lost(exc)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None


class _Complaints:
    """What the loop has to complain of; that descriptors are spent, once in a while (rule 4)."""

    def __init__(self) -> None:
        self._said_s: float | None = None

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _SPENT:
            loop.default_exception_handler(context)
            return
        now_s = loop.time()
        if self._said_s is None or now_s - self._said_s >= SAID_AGAIN_S:
            self._said_s = now_s
            LOG.error("connections wait: %s (raise ulimit -n)", error.strerror)


class _Server(uvicorn.Server):
    """uvicorn without its own signals; ``ended`` is set when somebody asks it to end."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen as uvicorn does, with a bounded time for a TLS handshake and a backlog that fits."""
        loop, config = asyncio.get_running_loop(), self.config
        protocol: Any = config.http_protocol_class
        make = partial(protocol, config=config, server_state=self.server_state, app_state={})
        handshake_s = HEAD_S if config.ssl is not None else None
        self.servers = [
            await loop.create_server(
                make, sock=each, ssl=config.ssl, backlog=BACKLOG, ssl_handshake_timeout=handshake_s
            )
            for each in sockets or ()
        ]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to ``_signals``."""
        yield


def _uvicorn_config(app: Any, doors: _Doors) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=partial(_Protocol, _Room()),  # type: ignore[arg-type]  # it is called, and that is all
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        # Longer than Prometheus' usual minute between scrapes, so that its connection (and TLS session) is used again.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=HANG_UP_S,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        ssl_context_factory=doors.context if doors.tls else None,
    )


@contextlib.contextmanager
def _signals(server: _Server, reload: Callable[[], Awaitable[None]]) -> Iterator[Callable[[], None]]:
    """Take the signals; yield what a SIGHUP does."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    async def read() -> None:
        try:
            await reload()
        except BadInputError as error:
            LOG.warning("the old configuration goes on; %s", error)
        except Exception:
            LOG.exception("the old configuration goes on; this is a fault of rtcprobe itself")

    def hang_up() -> None:
        task = loop.create_task(read())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.ended.set)
    try:
        yield hang_up
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # all is over but the exit: nothing is left to read for


def _raise_limit() -> None:
    """Let this process have as many file descriptors as it may: the usual 1,024 are few for a server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
