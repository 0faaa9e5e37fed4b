"""The doors: ``/metrics``, ``/probe``, the page, reports, health, reload. An ASGI application and nothing else.

Rules:
    1. No answer waits for a run but ``/probe``'s own, and that one is bounded by the scraper's patience.
    2. ``/probe`` runs what the configuration allows, exactly as it names it; anything else is refused unread.
    3. What is counted by handler is one of ``HANDLERS``: paths are the asker's, labels are ours.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rtcprobe.errors import BadInputError
from rtcprobe.exporter.fleet import Fleet
from rtcprobe.exporter.instruments import CONTENT_TYPES, negotiate, takes_gzip
from rtcprobe.exporter.ondemand import Refusal, answer_probe
from rtcprobe.exporter.page import render_page
from rtcprobe.exporter.webconfig import Gate

__all__ = ["HANDLERS", "make_app"]

HANDLERS: Final = ("/", "/metrics", "/probe", "/runs", "/-/healthy", "/-/ready", "/-/reload")

# A target's URL and a scenario's name, several times over.
MOST_QUERY_BYTES: Final = 4_096
# Twice the 8 kB that Apache takes of one line (LimitRequestFieldSize): what a proxy for single sign-on adds fits.
MOST_HEADER_BYTES: Final = 16_384

_SAFETY: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    # The page has no script; its styles and pictures are inline. No other site may frame it (reload is a POST away).
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
}
# A report is a page of its own with a script; in a sandbox it has an origin of its own, and can read nothing here.
_REPORT_POLICY: Final = (
    "sandbox allow-scripts allow-popups; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; font-src data:"
)


def make_app(fleet: Fleet, gate: Callable[[], Gate], reload: Callable[[], Awaitable[None]]) -> ASGIApp:
    """Return the application. ``gate`` returns who may come in now; ``reload`` reads the configuration anew."""
    answers = _Answers(fleet, reload)
    routes = [
        Route("/", answers.page),
        Route("/metrics", answers.metrics),
        Route("/probe", answers.probe),
        Route("/runs/{name}", answers.report),
        Route("/-/healthy", answers.healthy),
        Route("/-/ready", answers.ready),
        Route("/-/reload", answers.reload, methods=["POST", "PUT"]),
    ]
    return _Door(Starlette(routes=routes, exception_handlers={Exception: answers.fault}), fleet, gate)


class _Answers:
    """What is behind each path."""

    def __init__(self, fleet: Fleet, reload: Callable[[], Awaitable[None]]) -> None:
        self._fleet = fleet
        self._reload = reload

    async def metrics(self, request: Request) -> Response:
        form = negotiate(request.headers.get("accept", ""))
        packed = takes_gzip(request.headers.get("accept-encoding", ""))
        headers = {"content-type": CONTENT_TYPES[form], "vary": "accept, accept-encoding"}
        if packed:
            headers["content-encoding"] = "gzip"
        return Response(self._fleet.exposition(form, packed=packed), headers=headers)

    async def page(self, _request: Request) -> Response:
        return HTMLResponse(render_page(self._fleet, time.time()))

    async def probe(self, request: Request) -> Response:
        try:
            answer = await answer_probe(self._fleet, request.query_params.multi_items(), request.headers)
        except Refusal as refusal:
            return PlainTextResponse(f"{refusal}\n", refusal.status)
        return Response(answer.body, headers={"content-type": answer.content_type})

    async def report(self, request: Request) -> Response:
        path = self._fleet.shelf.find(request.path_params["name"])
        if path is None or not path.is_file():
            return PlainTextResponse("this report is not kept any more\n", 404)
        return FileResponse(path, media_type="text/html", headers={"content-security-policy": _REPORT_POLICY})

    async def healthy(self, _request: Request) -> Response:
        return PlainTextResponse("rtcprobe is healthy.\n")

    async def ready(self, _request: Request) -> Response:
        if self._fleet.stopping:
            return PlainTextResponse("rtcprobe is stopping.\n", 503)
        silent = self._fleet.silent()
        if silent:
            return PlainTextResponse(f"no outcome for two intervals: {', '.join(silent)}\n", 503)
        return PlainTextResponse("rtcprobe is ready.\n")

    async def reload(self, _request: Request) -> Response:
        try:
            await self._reload()
        except BadInputError as error:
            return PlainTextResponse(f"the old configuration goes on; {error}\n", 400)
        return PlainTextResponse("the configuration was read.\n")

    async def fault(self, _request: Request, error: Exception) -> Response:
        return PlainTextResponse(f"this is a fault of rtcprobe itself: {type(error).__name__}\n", 500)


class _Door:
    """Around the application: who may come in, how long a query may be, what is counted, headers on every answer."""

    def __init__(self, app: ASGIApp, fleet: Fleet, gate: Callable[[], Gate]) -> None:
        self._app = app
        self._fleet = fleet
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began_s = time.perf_counter()
        code = 500

        async def send_safely(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _SAFETY.items():
                    # Set where an answer has none of its own: a report's policy is another.
                    headers.setdefault(name, value)
            await send(message)

        try:
            app = await self._let_in(scope)
            await app(scope, receive, send_safely)
        finally:
            self._fleet.figures.answered(_handler(scope["path"]), code, time.perf_counter() - began_s)

    async def _let_in(self, scope: Scope) -> ASGIApp:
        # h11's own limit lets 64 kB through once read (server, rule 2).
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            return PlainTextResponse(f"the headers are longer than {MOST_HEADER_BYTES} bytes\n", 431)
        if len(scope["query_string"]) > MOST_QUERY_BYTES:
            return PlainTextResponse(f"the query is longer than {MOST_QUERY_BYTES} bytes\n", 414)
        admission = await self._gate().admits(Headers(scope=scope).get("authorization", ""))
        if admission == "busy":
            return PlainTextResponse("too many are being asked for their password\n", 503, headers={"retry-after": "5"})
        if admission == "refused":
            challenge = {"www-authenticate": 'Basic realm="rtcprobe"'}
            return PlainTextResponse("a user and a password are needed\n", 401, headers=challenge)
        return self._app


def _handler(path: str) -> str:
    if path.startswith("/runs/"):
        return "/runs"
    # Rule 3: a scanner's paths would be a series each.
    return path if path in HANDLERS else "other"
