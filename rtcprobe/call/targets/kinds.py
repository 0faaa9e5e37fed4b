"""The kinds of targets that come with rtcprobe: how each is written, what it measures, what it wants to know.

One table for ``rtcprobe targets`` and the README; ``tests/call/test_targets.py`` holds it against the targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["GROUP", "KINDS", "Kind"]

GROUP: Final = "rtcprobe.targets"
"""The entry point group in which other packages bring targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind. ``plain``: the scheme to write where the server has no TLS; ``options``: keys under ``target``."""

    written: str
    schemes: tuple[str, ...]
    plain: str = ""
    calls: str
    hears: str
    options: tuple[str, ...] = ()


_HTTP = ("token", "headers", "ca")

KINDS = (
    Kind(
        written="loopback",
        schemes=("loopback",),
        calls="our own far end: the whole path emulated, on either clock",
        hears="both ways",
    ),
    Kind(
        written="sfu",
        schemes=("sfu",),
        calls="a forwarding server of ours between all parties, of sound and pictures: emulated whole, on either clock",
        hears="every way, through the server",
        options=("nack", "last_n", "stage", "service", "workers", "pli_throttle"),
    ),
    Kind(
        written="mix",
        schemes=("mix",),
        calls="a mixing server of ours, as AudioBridge mixes: emulated whole, on either clock",
        hears="every way, through the mixer: its delay is a stage, and told by plateaus",
        options=("prebuffer", "tick"),
    ),
    Kind(
        written="whip+whep://HOST/PATH/{whip,whep}",
        schemes=("whip+whep", "whip+whep+http"),
        plain="whip+whep+http://",
        calls="any media server: publish by WHIP (RFC 9725), listen by WHEP; with /{party} parties have a stream each",
        hears="one way, through the server; of parties every way; with kind: agent conversations",
        options=(*_HTTP, "whip", "whep", "whip_token", "whep_token", "kind", "listeners", "trickle", "session_origin"),
    ),
    Kind(
        written="janus+wss://HOST:PORT/videoroom/ROOM",
        schemes=("janus+wss", "janus+ws", "janus", "janus+https", "janus+http"),
        plain="janus+ws://, janus+http://",
        calls="a room of Janus: one speaks, others listen, or all parties do both (janus:// asks over HTTPS)",
        hears="one way, through the server; of parties every way",
        options=("secret", "token", "pin", "ca", "listeners", "textroom"),
    ),
    Kind(
        written="janus+wss://HOST:PORT/audiobridge/ROOM",
        schemes=("janus+wss", "janus+ws", "janus", "janus+https", "janus+http"),
        plain="janus+ws://, janus+http://",
        calls="a mixer of Janus: everybody hears one mix of all others",
        hears="every way, through the mixer: its delay is a stage, and told by plateaus",
        options=("secret", "token", "pin", "ca", "prebuffer", "textroom"),
    ),
    Kind(
        written="janus+wss://HOST:PORT/echotest",
        schemes=("janus+wss", "janus+ws", "janus", "janus+https", "janus+http"),
        plain="janus+ws://, janus+http://",
        calls="the EchoTest of Janus",
        hears="there and back",
        options=("secret", "token", "ca"),
    ),
    Kind(
        written="rtpengine+ng://HOST:PORT",
        schemes=("rtpengine+ng",),
        calls="rtpengine as a forwarding server, by its NG protocol: all publish and subscribe to each other",
        hears="every way, through the server",
    ),
    Kind(
        written="sdp+https://HOST/PATH",
        schemes=("sdp+https", "sdp+http"),
        plain="sdp+http://",
        calls="whoever answers a POST of an offer: voice agents, aiortc's examples",
        hears="there and back; with echo: false joins alone; with kind: agent conversations",
        options=(*_HTTP, "body", "fields", "kind", "echo", "trickle", "events", "delete", "session_origin"),
    ),
    Kind(
        written="page",
        schemes=("page",),
        calls="our own page in a real Chromium, and a peer of ours: a browser's playout, mouth and join",
        hears="both ways",
        options=("browser", "mouth"),
    ),
    Kind(
        written="page+https://HOST/PATH",
        schemes=("page+https", "page+http"),
        plain="page+http://",
        calls="any page in a real Chromium: a vendor's demo, a page of yours with an SDK",
        hears="there and back; with ends: two both ways",
        options=("steps", "hosts", "ends", "browser", "mouth"),
    ),
)
