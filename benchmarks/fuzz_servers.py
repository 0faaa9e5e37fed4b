"""What servers answer, damaged, for ``fuzz.py``.

A description that we call usable must be one to the stack: every one is parsed by it, and one in ``_WHOLE`` is taken by
a whole peer connection of ours too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cache
from importlib import import_module
from random import Random
from typing import Any

import httpx

from rtcprobe.call.faults import Exchange
from rtcprobe.call.http import Reply
from rtcprobe.errors import RtcprobeError

_WHOLE = 25

_KEY = ":".join(f"{byte:02X}" for byte in range(32))
_SESSION = [
    "v=0",
    "o=- 1 2 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0 1",
    "a=ice-lite",
    "a=msid-semantic: WMS *",
]
_TRANSPORT = ["a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", f"a=fingerprint:sha-256 {_KEY}", "a=setup:active"]
_CANDIDATES = [
    "a=candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host generation 0 ufrag abcd network-cost 10",
    "a=candidate:2 1 UDP 1694498815 198.51.100.7 40001 typ srflx raddr 192.0.2.1 rport 40000",
    "a=candidate:3 1 tcp 1 192.0.2.1 9 typ host tcptype active",
    "a=candidate:4 2 udp 5 2001:db8::1 40002 typ relay raddr :: rport 9",
    "a=candidate:5 1 udp 5 sfu.example 40003 typ host",
    "a=end-of-candidates",
]
_AUDIO = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 110",
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    *_TRANSPORT,
    "a=mid:0",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on",
    "a=extmap:4/sendrecv urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=sendrecv",
    "a=msid:stream track",
    "a=rtcp-mux",
    "a=rtcp-rsize",
    "a=rtpmap:111 opus/48000/2",
    "a=rtcp-fb:111 nack",
    "a=rtcp-fb:* transport-cc",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=rtpmap:63 red/48000/2",
    "a=fmtp:63 111/111",
    "a=rtpmap:110 telephone-event/48000",
    "a=ssrc:1234567890 cname:x",
    "a=ssrc:1234567890 msid:stream track",
    *_CANDIDATES,
]
_VIDEO = ["m=video 0 UDP/TLS/RTP/SAVPF 97 98", "a=bundle-only", "a=mid:1", "a=sendonly", "a=rtpmap:97 VP8/90000"]
_WORDS = (
    "", " ", ":", "=", "/", "a=", "m=", "\r", "\n", "\t", "\ufeff", "\x00", "²", "٣", "é", "0", "-1",
    "99999999999999999999", "65536", "a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive", "a=bundle-only",
    "a=setup:actpass", "a=setup:passive", "a=mid:0", "a=mid:1", "a=mid:", "a=group:BUNDLE",
    "a=group:BUNDLE 1 0", "a=rtpmap:96 opus/48000/2", "a=rtpmap:72 opus/48000/2", "a=fmtp:111",
    "a=fmtp:111 useinbandfec=" + "9" * 50, "a=extmap:15 urn:x", "a=ssrc:-1 x", "a=rtcp:",
    "a=candidate:" + "1 " * 3000, "a=candidate:1 1 udp 1 a." + "b." * 100 + " 1 typ host", "x" * 5000,
    " " * 20_000, "a=fingerprint:sha-256 AA", "a=ice-ufrag:a b", "c=IN IP6", "b=AS:",
    "m=audio 9/x UDP/TLS/RTP/SAVPF 111", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "m=audio 0 RTP/AVP 0",
)  # fmt: skip


def descriptions(chance: Random) -> tuple[str, Callable[[], object]]:
    """Return an answer or an offer of a server with one to four edits, and what uses it."""
    offers = chance.random() < 0.4
    lines = [*_SESSION, *_AUDIO, *(_VIDEO if offers else [])]
    said = []
    for _ in range(chance.randint(1, 4)):
        lines, edit = _edited(lines, chance)
        said.append(edit)
    text = chance.choice(("\r\n", "\r\n", "\n")).join(lines) + "\r\n"
    if chance.random() < 0.3:
        at = chance.randrange(len(text))
        word = chance.choice(_WORDS)
        text = text[:at] + word + text[at + chance.randint(0, 3) :]
        said.append(f"{word[:20]!r} at {at}")
    whole = chance.randrange(_WHOLE) == 0
    return f"{'offer' if offers else 'answer'}: {'; '.join(said)}", lambda: _use(text, offers=offers, whole=whole)


def _edited(lines: list[str], chance: Random) -> tuple[list[str], str]:
    out, at = list(lines), chance.randrange(len(lines))
    kind = chance.randrange(6)
    if kind == 0:
        return [*out[:at], *out[at + 1 :]], f"without {out[at][:30]!r}"
    if kind == 1:
        return [*out[: at + 1], *([out[at]] * chance.choice((1, 2, 500))), *out[at + 1 :]], f"{out[at][:30]!r} again"
    word = chance.choice(_WORDS)
    if kind == 2:
        return [*out[:at], word, *out[at:]], f"{word[:30]!r} before {out[at][:30]!r}"
    line = out[at]
    begin = chance.randrange(len(line) + 1)
    if kind == 3:
        out[at] = line[:begin]
    elif kind == 4:
        out[at] = line[:begin] + word + line[begin + chance.randint(0, 4) :]
    else:
        words = line.split(" ")
        words[chance.randrange(len(words))] = word
        out[at] = " ".join(words)
    return out, f"{line[:30]!r} as {out[at][:30]!r}"


def _use(text: str, *, offers: bool, whole: bool) -> None:
    from aiortc.sdp import SessionDescription  # noqa: PLC0415

    from rtcprobe.call.sdp import usable_answer, usable_offer  # noqa: PLC0415
    from rtcprobe.call.signaling import Sdp  # noqa: PLC0415

    if offers:
        usable = usable_offer(text)
        usable.answered(Sdp(kind="answer", text=_our_offer()))
    else:
        usable = usable_answer(text, Sdp(kind="offer", text=_our_offer()))
    SessionDescription.parse(usable.text)
    if whole:
        _through_a_peer(usable, offers=offers)


@cache
def _our_offer() -> str:
    return "\r\n".join([*_SESSION[:4], "a=group:BUNDLE 0", *_AUDIO]) + "\r\n"


def _through_a_peer(usable: object, *, offers: bool) -> None:
    """Give the description to a peer of ours in virtual time: what it says of it would fail a call."""
    import numpy as np  # noqa: PLC0415

    from rtcprobe.audio.protection import Protection  # noqa: PLC0415
    from rtcprobe.call.mouth_track import Mouth, MouthTrack, Speech  # noqa: PLC0415
    from rtcprobe.call.peer import Peer  # noqa: PLC0415
    from rtcprobe.call.transceiver import SoundWanted  # noqa: PLC0415
    from rtcprobe.runtime.entropy import Entropy  # noqa: PLC0415
    from rtcprobe.runtime.network import Network  # noqa: PLC0415
    from rtcprobe.runtime.virtual import VirtualEventLoop  # noqa: PLC0415

    async def main() -> None:
        network = Network(asyncio.get_running_loop(), sockets=False)
        speech = Speech(frames=[b"\x78\xff\xfe"], ptime_s=0.02, endless=True)
        mouth = Mouth(speech=speech, phase_s=0.0, network=network, may_speak=asyncio.Event())
        peer = Peer(
            network.add_host("caller", "10.0.0.1"), "caller", [SoundWanted(track=MouthTrack(mouth))],
            dtls_timeout_s=lambda _: 1.0, protection=Protection(fec=True, nack=True, red_copies=1),
        )  # fmt: skip
        try:
            if offers:
                await peer.answer(usable)  # type: ignore[arg-type]
            else:
                await peer.offer()
                await peer.accept(usable)  # type: ignore[arg-type]
        finally:
            await peer.close()

    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        runner.run(main())


_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    7,
    2**70,
    1e308,
    float("inf"),
    float("nan"),
    "",
    "x",
    "success",
    "ack",
    "event",
    "hangup",
    "trickle",
    "timeout",
    "error",
    "\ud800",
    "\x00",
    "²",
    "a" * 3000,
    [],
    [1],
    [[]],
    {},
    {"a": {}},
    {"code": []},
    [{}] * 50,
    {"candidate": 7},
    {"candidate": "candidate:1 1 udp 1 a 1 typ host"},
    {"completed": True},
    {"id": 7},
    {"type": "offer", "sdp": []},
)
_MESSAGE: dict[str, Any] = {
    "janus": "event",
    "session_id": 11,
    "sender": 22,
    "transaction": "rtcprobe1",
    "reason": "DTLS alert",
    "candidate": {"candidate": "candidate:1 1 udp 1 192.0.2.1 1 typ host", "sdpMid": "0"},
    "data": {"id": 11},
    "error": {"code": 428, "reason": "No such feed"},
    "name": "Janus",
    "version_string": "1.1.2",
    "plugindata": {
        "plugin": "janus.plugin.videoroom",
        "data": {"videoroom": "event", "error_code": 428, "error": "no"},
    },
    "jsep": {"type": "answer", "sdp": "v=0\r\n"},
}
_HEADERS = (
    "",
    "/session/1",
    "//x",
    "http://[::1",
    "http://h:99999/",
    "https://h/",
    "ws://h/",
    "mailto:x",
    "\x00",
    "é",
    '"etag"',
    "²",
    "-1",
    "1e9",
    "9" * 400,
    "Wed, 21 Oct 2026 07:28:00 GMT",
    '<stun:a>; rel="ice-server"',
    '<turn:a:1?transport=udp>;rel=ice-server;username="u',
    "<" * 500,
    "; a=" * 300,
    "<turns:[::1]>; rel='ice-server'; credential='",
    "a" * 5000,
    "http://u:p@h/",
    "?",
    "#",
    "%",
    "..",
)


def messages(chance: Random) -> tuple[str, Callable[[], object]]:
    """Return a message of a Janus, an answer's body or its headers with values of any kind, and what reads them."""
    _loaded()
    kind = chance.choice(("janus", "janus", "body", "headers"))
    if kind == "headers":
        headers = {name: chance.choice(_HEADERS) for name in ("location", "etag", "retry-after", "link", "server")}
        return f"headers {headers}"[:300], lambda: _read_headers(headers)
    said: dict[str, Any] = dict(_MESSAGE) if kind == "janus" else {"sdp": "v=0\r\n", "type": "answer", "error": "x"}
    for _ in range(chance.randint(1, 3)):
        place, depth = said, chance.randrange(3)
        key = chance.choice([*place, "more"])
        while depth and isinstance(place.get(key), dict) and place[key]:
            place[key] = dict(place[key])
            place, depth = place[key], depth - 1
            key = chance.choice([*place])
        if chance.random() < 0.15:
            place.pop(key, None)
        else:
            place[key] = chance.choice(_VALUES)
    value: Any = chance.choice([[said], *_VALUES]) if chance.random() < 0.05 else said
    return f"{kind} {value}"[:300], lambda: _read_janus(value) if kind == "janus" else _read_body(value)


@cache
def _loaded() -> None:
    """Import what the cases use: no part of any of them."""
    for name in ("janus", "session", "targets.sdp_http", "targets.whip", "targets.whip_steps"):
        import_module(f"rtcprobe.call.{name}")


def _read_janus(said: object) -> None:
    from types import SimpleNamespace  # noqa: PLC0415

    from rtcprobe.call.http import Limits  # noqa: PLC0415
    from rtcprobe.call.janus import JanusHandle, JanusSession  # noqa: PLC0415

    class Client:
        limits = Limits(exchange_s=0.001)
        line = SimpleNamespace(network=SimpleNamespace(now_s=lambda: 0.0))

    class Session(JanusSession):
        async def _send(self, what: str, request: object, handle: int | None) -> float:
            del what, request, handle
            self._take(said)
            return 0.0

    async def main() -> None:
        session = Session(Client(), "ws://h/", api_secret=None, token=None)  # type: ignore[arg-type]
        session._session, session._handles = 11, {22: JanusHandle(session, 22)}  # noqa: SLF001
        told: list[str] = []
        session.on_gone = told.append
        for ask in (session.create, session.server, lambda: JanusHandle(session, 22).message("listen", {})):
            session.gone, session._names = None, (name for name in ("rtcprobe1",))  # noqa: SLF001
            try:
                answer = await ask()
                str(answer).encode()
            except RtcprobeError as error:
                told.append(str(error))
        wrong = [each for each in told if not each.isprintable() or "a fault of rtcprobe" in each]
        if wrong:
            raise AssertionError(wrong[0])

    asyncio.run(main())


def _read_body(said: object) -> None:
    from rtcprobe.call.faults import refusal  # noqa: PLC0415
    from rtcprobe.call.targets.sdp_http import _answer_of  # noqa: PLC0415

    body = json.dumps(said).encode()
    reply = _reply({"content-type": "application/json"}, body)
    str(refusal(reply.exchange, body, token=None)).encode()
    _answer_of(reply)


def _read_headers(headers: dict[str, str]) -> None:
    from rtcprobe.call.session import Rights, Session  # noqa: PLC0415
    from rtcprobe.call.targets.whip_steps import _retry_s  # noqa: PLC0415
    from rtcprobe.ice import read_links  # noqa: PLC0415
    from rtcprobe.secrets import Secret  # noqa: PLC0415

    reply = _reply(headers, b"")
    rights = Rights(url="https://h/in", token=Secret("planted-token"), headers={})
    session = Session.of(reply, None, rights)  # type: ignore[arg-type]
    if session.url is not None and not session.url.startswith("https://"):
        raise AssertionError(session.url)
    said = [session.warning or "", *read_links(reply.headers.get_list("link"))[1]]
    wrong = [each for each in said if not each.isprintable()]
    if wrong:
        raise AssertionError(wrong[0])
    _retry_s(reply.headers.get("retry-after"))


def _reply(headers: dict[str, str], body: bytes) -> Reply:
    exchange = Exchange(what="offer", method="POST", url="https://h/in", host="h", begun_s=0.0, status=201)
    written = httpx.Headers([(name.encode(), value.encode(errors="replace")) for name, value in headers.items()])
    return Reply(status=201, headers=written, body=body, url="https://h/in", exchange=exchange)
