"""A server that answers each request with another rubbish: what a monitor meets in a year, in some minutes.

``python benchmarks/rubbish.py [PORT]`` serves it; ``benchmarks/soak.py --rubbish`` probes it. Paths name the door:
``/sdp``, ``/json``, ``/whip``, ``/whep``, ``/janus`` over HTTP, and Janus over WebSocket on the next port. All doors
turn through what there is, so a run meets one kind after another; real calls are among them, so that sound and odd
packets come through too. It answers on 127.0.0.1 and calls nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

HERE: Final = "127.0.0.1"
MOST_BODY_BYTES: Final = 1_000_000
MOST_CALLS: Final = 8
LASTS_S: Final = 8.0
"""How long a call or a slow answer is kept: nobody who probes here waits longer."""

DEEP: Final = "[" * 200_000
JSON: Final[Sequence[str]] = (
    DEEP,
    '{"a":' * 50_000,
    "[]",
    "[1, 2]",
    "7",
    "null",
    '"words"',
    "{}",
    '{"janus": 7}',
    '{"janus": ["success"], "data": {"id": 1}}',
    '{"janus": "success", "data": []}',
    '{"janus": "success", "data": {"id": {"no": "number"}}}',
    '{"janus": "success", "data": {"id": 1e999}}',
    '{"janus": "error", "error": ["428"]}',
    '{"janus": "error", "error": {"code": {"no": 1}, "reason": [1]}}',
    '{"janus": "event", "plugindata": "x", "jsep": []}',
    '{"janus": "event", "plugindata": {"plugin": 1, "data": {"error_code": "428", "error": ["No such feed"]}}}',
    '{"janus": "event", "plugindata": {"data": {"publishers": 7, "result": "ok"}}, "jsep": {"type": 1, "sdp": [2]}}',
    '{"janus": "hangup", "reason": {"a": "b"}}',
    '{"sdp": ["v=0"], "type": 7}',
    '{"sdp": null, "type": "answer"}',
    '{"sdp": "v=0", "type": "answer", "type": "offer"}',
    "{'sdp': 1}",
    "\ufeff{}",
    '{"sdp": "\\ud800"}',
    "NaN",
    "1" * 5_000,
)

TEXTS: Final[Sequence[str]] = (
    "",
    "this is no session description",
    "v=0",
    "v=0\r\n" * 20_000,
    "v=0\r\nm=audio",
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111\r\n",
    "v=0\r\no=- 1e9 x IN IP4\r\ns=-\r\nt=a b\r\nm=audio x y z\r\n",
    "\ufeffv=0\r\n",
    "<" * 60_000,
    "<p>" * 20_000,
    "a://" * 15_000 + "@",
    "\x1b]0;title\x07\x1b[2J" * 50,
    "a" * 900_000,
    "authorization: bearer " * 3_000,
)

HEADERS: Final[Sequence[str]] = (
    "Retry-After: \u00b2",
    "Retry-After: -1e999",
    "Retry-After: 99999999999999999999",
    "Link: <stun:127.0.0.1:9>; rel=ice-server",
    "Link: <turn:127.0.0.1:9?transport=udp>; rel=ice-server; username=caller; credential=rtcprobe",
    "Link: <turn:127.0.0.1:9>; rel=ice-server; username=seed; credential=pass; credential-type=password",
    "Link: " + " " * 3_000 + "<",
    "Link: <" + "," * 3_000,
    "Link: <stun:>; rel=ice-server, <turns:[::1>; rel=ice-server, <stun:\u00e9>; rel=ice-server",
    "Location: http://127.0.0.2:9/session",
    "Location: https://127.0.0.1:9/session",
    "Location: //127.0.0.3/x",
    "Location: http://[::1",
    "Location: file:///etc/hostname",
    "Location: " + "a/" * 4_000,
    "ETag: " + '"' * 2_000,
    "Content-Encoding: gzip",
    "Content-Type: application/json; charset=utf-7",
    "Content-Type: " + ";" * 3_000,
    "Accept-Patch: ;;,,",
    "WWW-Authenticate: Bearer " + "=," * 2_000,
    "Set-Cookie: " + "x" * 4_000,
)

STATUSES: Final = ("200 OK", "201 Created", "204 No Content", "401 No", "404 Gone", "406 No", "409 Wait", "418 \u00e9")
STATUSES_MORE: Final = ("429 Slow", "500 Oops", "503 Busy", "999 What", "301 Moved", "308 Moved", "100 Continue", "0 0")

_Change = Callable[[str], str]


def _instead(pattern: str, by: str) -> _Change:
    return lambda sdp: re.sub(pattern, by, sdp, flags=re.MULTILINE)


def _after(pattern: str, *lines: str) -> _Change:
    more = "".join(f"{line}\r\n" for line in lines)
    return lambda sdp: re.sub(
        rf"^({pattern}[^\r\n]*\r\n)", lambda found: found[1] + more, sdp, count=1, flags=re.MULTILINE
    )


SDP: Final[Sequence[_Change]] = (
    lambda sdp: sdp,
    _instead(r"^a=sendrecv\r\n", ""),
    _instead(r"^a=sendrecv", "a=inactive"),
    _instead(r"^a=sendrecv", "a=sendonly"),
    _instead(r"^a=sendrecv", "a=recvonly"),
    _instead(r"^a=setup:.*\r\n", ""),
    _instead(r"^a=setup:\w+", "a=setup:actpass"),
    _instead(r"^a=ice-(ufrag|pwd):.*\r\n", ""),
    _instead(r"^a=ice-pwd:.*$", "a=ice-pwd:wrong-wrong-wrong-wrong-"),
    _instead(r"^a=fingerprint:.*\r\n", ""),
    _instead(r"^a=fingerprint:sha-256 ..", "a=fingerprint:sha-256 00"),
    _instead(r"^a=fingerprint:\S+ .*$", "a=fingerprint:sha-1 zz"),
    _instead(r"^a=candidate:.*\r\n", ""),
    _instead(r"^(a=candidate:\S+ 1) udp", r"\1 tcp"),
    _instead(r"^(a=candidate:\S+ 1 udp \d+) \S+", r"\1 nowhere.invalid"),
    _instead(r"^(a=candidate:\S+ 1 udp \d+ \S+) \d+", r"\1 99999"),
    _instead(r"^a=candidate:.*$", "a=candidate:x"),
    _after("a=mid", "a=extmap:1/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on"),
    _after("a=mid", "a=extmap:99999 x", "a=extmap:a b", "a=fmtp:111", "a=fmtp:x y", "a=rtcp-fb:*"),
    _after("a=mid", *(f"a=candidate:{n} 1 udp {n} 127.0.0.1 9 typ host" for n in range(2_000))),
    _instead(r"^a=rtpmap:(\d+) opus.*$", r"a=rtpmap:\1 opus/banana"),
    _instead(r"^m=audio \d+ (\S+) .*$", r"m=audio 9 \1 0 8"),
    _instead(r"^m=audio \d+", "m=audio 0"),
    _instead(r"^m=audio", "m=video"),
    _instead(r"^a=group:BUNDLE.*$", "a=group:BUNDLE 9 9 x"),
    _instead(r"^a=mid:.*\r\n", ""),
    _instead(r"^a=ssrc:.*$", "a=ssrc:-1 cname"),
    _instead(r"^a=rtcp-mux\r\n", ""),
    _instead(r"\r\n", "\n"),
    _instead(r"=", "= "),
    lambda sdp: sdp[: len(sdp) // 2],
    lambda sdp: sdp + sdp,
    lambda sdp: sdp.replace("a=", "\0a=", 1),
    lambda sdp: sdp.upper(),
    lambda sdp: "\ufeff" + sdp,
)

PACKETS: Final[Sequence[bytes]] = (
    bytes.fromhex("906f00010000000100000001bede0001f7000000") + b"\xf8\xff\xfe",  # an element longer than its block
    bytes.fromhex("906f00020000000200000001bedeffff") + b"\xf8\xff\xfe",  # a block longer than the packet
    bytes.fromhex("906f0003000000030000000110000001ff00ff00") + b"\xf8\xff\xfe",  # two-byte elements, cut
    bytes.fromhex("bf6f00040000000400000001") + b"\xff" * 8,  # fifteen sources, and no room for them
    bytes.fromhex("a06f00050000000500000001") + b"\xff" * 4,  # padding longer than the packet
    bytes.fromhex("80ff00060000000600000001"),  # nothing in it
    bytes.fromhex("80c8ffff00000001") + b"\0" * 8,  # a sender report longer than it is
    bytes.fromhex("9fcd0003000000010000000100000001"),  # feedback of a kind nobody knows
)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    method: str
    door: str
    body: str


class Rubbish:
    """The service: what each door says next, and the calls it holds."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)
        self._turns: dict[str, Iterable[Any]] = {}
        self._calls: list[RTCPeerConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.answered = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what one connection asks, and end it."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            async with asyncio.timeout(3 * LASTS_S):
                request = await _read(reader)
                async for part in self._said(request):
                    writer.write(part)
                    await writer.drain()
        writer.close()

    async def socket(self, connection: ServerConnection) -> None:
        """Answer what one WebSocket asks: the first requests rightly, one of three of the rest with rubbish."""
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                said = self._next("ws", (*JSON, *TEXTS[:12], b"\x00\xff", b""))
                proper = _janus(str(message), self._random) if self._random.random() < 0.5 else None
                await connection.send(said if proper is None else proper)

    async def _said(self, request: Request) -> AsyncIterator[bytes]:
        self.answered += 1
        if request.method != "POST":
            yield self._next("other", (_http("200 OK"), _http("404 No"), b"", b"HTTP/1.1 200 OK\r\n\r\n"))
            return
        if request.door == "janus":
            proper = _janus(request.body, self._random) if self._random.random() < 0.6 else None
            yield _http("200 OK", proper or self._next("janus", JSON), "application/json")
            return
        kinds: tuple[Callable[[Request], AsyncIterator[bytes]], ...] = (self._call, self._line, self._call, self._slow)
        async for part in self._next(f"kind {request.door}", kinds)(request):
            yield part

    async def _line(self, request: Request) -> AsyncIterator[bytes]:
        """Say some text under some status with some header."""
        door = request.door
        text = self._next("text of json" if door == "json" else "text", JSON if door == "json" else (*TEXTS, *JSON[:9]))
        status = self._next("status", (*STATUSES, *STATUSES_MORE))
        yield _http(status, text, "application/sdp", self._next("header", HEADERS))

    async def _slow(self, _request: Request) -> AsyncIterator[bytes]:
        """Say what never comes to an end, comes too slowly, or is no HTTP at all."""
        whole = _http("201 Created", "v=0\r\n", "application/sdp")
        bomb = gzip.compress(b"v" * 20_000_000)
        ways: Sequence[Iterable[bytes | float]] = (
            (b"",),
            (b"HTTP/1.1 200 OK\r\n", LASTS_S),
            (whole[:30], LASTS_S),
            (b"\x00\xff" * 500,),
            (b"HTTP/9.9 abc\r\n\r\n",),
            (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000,),
            (b"HTTP/1.1 201 Created\r\ncontent-length: 99999\r\n\r\nv=0",),
            (b"HTTP/1.1 201 Created\r\ncontent-length: -1\r\n\r\nv=0",),
            (b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",),
            (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + bomb,),
            (b"HTTP/1.1 200 OK\r\n\r\n", *(b"v=0\r\n" * 10_000 for _ in range(200))),
            tuple(part for byte in whole[:60] for part in (bytes([byte]), 0.1)),
        )
        for part in self._next("slow", ways):
            if isinstance(part, bytes):
                yield part
            else:
                await asyncio.sleep(part)

    async def _call(self, request: Request) -> AsyncIterator[bytes]:
        """Answer with a real call, whose description was changed in one way, and which then sends odd packets."""
        offer = json.loads(request.body)["sdp"] if request.door == "json" else request.body
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._calls.append(peer)
        if len(self._calls) > MOST_CALLS:
            await self._calls.pop(0).close()
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        peer.addTrack(AudioStreamTrack())
        await peer.setLocalDescription(await peer.createAnswer())
        self._keep(self._send_oddly(peer))
        sdp = self._next("sdp", SDP)(peer.localDescription.sdp)
        header = self._next("header", HEADERS)
        if request.door == "json":
            yield _http("200 OK", json.dumps({"sdp": sdp, "type": "answer"}), "application/json", header)
        else:
            yield _http("201 Created", sdp, "application/sdp", "Location: /session/1", header)

    async def _send_oddly(self, peer: RTCPeerConnection) -> None:
        transport = peer.getTransceivers()[0].receiver.transport
        for packet in itertools.islice(itertools.cycle(PACKETS), int(LASTS_S / 0.05)):
            await asyncio.sleep(0.05)
            if peer.connectionState == "connected":
                with contextlib.suppress(ConnectionError):
                    await transport._send_rtp(packet)  # noqa: SLF001 - as no sender of aiortc's would
        await peer.close()

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next(self, turn: str, values: Sequence[Any]) -> Any:
        return next(iter(self._turns.setdefault(turn, itertools.cycle(values))))


def _janus(asked: str, random: Random) -> str | None:
    """Return what Janus would say to what was asked; None where it is not understood."""
    try:
        request = json.loads(asked)
        kind, transaction = request["janus"], request["transaction"]
    except (ValueError, KeyError, TypeError):
        return None
    if kind in ("create", "attach"):
        return json.dumps({"janus": "success", "transaction": transaction, "data": {"id": random.getrandbits(30)}})
    place = {"transaction": transaction, "session_id": request.get("session_id"), "sender": request.get("handle_id")}
    event = json.loads(random.choice(JSON[8:19]))
    return json.dumps({**event, **place})


def _http(status: str, body: str = "", kind: str = "text/plain", *headers: str) -> bytes:
    said = body.encode(errors="surrogatepass")
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(said)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1", errors="replace") + said


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = min(int(headers.get("content-length", 0)), MOST_BODY_BYTES)
    body = (await reader.readexactly(length)).decode(errors="replace")
    method, path, _ = first.split(" ", 2)
    return Request(method, path.strip("/").split("/")[0].split("?")[0], body)


async def main(port: int) -> None:
    """Serve until told to end; Janus over WebSocket on ``port + 1``."""
    rubbish = Rubbish()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # its own calls end oddly too
    async with (
        await asyncio.start_server(rubbish.connection, HERE, port) as server,
        serve(rubbish.socket, HERE, port + 1, subprotocols=["janus-protocol"], max_size=MOST_BODY_BYTES),  # type: ignore[list-item]
    ):
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 19_830))
