"""The one declaration of a scenario's shape: a JSON Schema that editors show and that ``read.py`` judges by.

Facts:
    ``format`` names our written quantities (``duration``, ``rate``, ``share``, ``ppm``, ``decibels``, ``playout``,
    ``timer``, ``budget``, ``cue``, ``party``, ``message``, ``frequency``); the reader checks them with the very parsers
    that convert them. Editors that do not know these formats still have ``pattern``, descriptions and examples. Below
    ``link`` and ``legs`` the sentences are the link parser's own. ``default`` is what an absent key means: the reader
    fills it in.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from rtcprobe.link import BORDER, REGIONS
from rtcprobe.link.border import told_of_border
from rtcprobe.scenario.conversing import conversation_schema
from rtcprobe.scenario.keys import choice, quantity, record, text, written
from rtcprobe.scenario.link_schema import link_keys_schema
from rtcprobe.scenario.messages import messages_schema
from rtcprobe.scenario.party_schema import (
    codec_schema,
    devices_schema,
    mouth_schema,
    parties_schema,
    playout_schema,
    protection_schema,
    script_schema,
    servers_schema,
    site_schema,
)
from rtcprobe.scenario.video import video_schema
from rtcprobe.verdict.dialects import DIALECTS
from rtcprobe.verdict.metrics import METRICS
from rtcprobe.ways import BOTH_LEGS

__all__ = ["PLACES", "scenario_schema"]

# name = ( a-z / 0-9 ) *( a-z / 0-9 / "." / "_" / "-" )
NAME = r"^[a-z0-9][a-z0-9._-]*$"
"""Names become names of folders (``--wav``): none may lead out of where it is put."""

PLACES = ("caller", "callee", "signaling")
"""Keys that say where everybody is: what ``link`` replaces need not be written."""

_TARGET_OPTIONS: dict[str, tuple[str, Any]] = {
    "whip_token": ("Bearer token for publishing alone (whip+whep), by name.", "env:WHIP_TOKEN"),
    "whep_token": ("Bearer token for listening alone (whip+whep), by name.", "env:WHEP_TOKEN"),
    "trickle": ("Whether offers go without candidates, which follow by PATCH (whip+whep, sdp+https).", True),
    "prebuffer": (
        "How many packets of each talker a mixer keeps before it decodes (mix, janus audiobridge, up to 50).",
        6,
    ),
    "tick": ("How often a mixer of ours mixes, and so how long everybody's packets are (mix).", "20ms"),
    "listeners": ("How many listen at the same time (whip+whep up to 16, janus videoroom up to 8).", 3),
    "body": ("How the offer travels: sdp, json or form (sdp+https).", "json"),
    "kind": (
        "sfu: a forwarding server of ours; mix: one that mixes; agent: a voice agent to talk with (sdp+https).",
        "sfu",
    ),
    "last_n": ("How many are forwarded, the loudest by the levels their packets say (sfu); without it everybody.", 3),
    "stage": ("What going on stage (publishes) takes (sfu): same connection, new connection.", "new connection"),
    "service": ("How long a join takes a server of ours, assumed (sfu).", "20ms"),
    "pli_throttle": ("A camera is asked for a key frame once in so long at most (sfu).", "500ms"),
    "workers": ("How many joins a server of ours serves at a time (sfu).", 4),
    "nack": ("Who sends again (sfu): answer (the server), answer+ask (it asks its publisher, too), none.", "answer"),
    "fields": ("Further JSON members or form fields (sdp+https).", {"model": "gpt-realtime"}),
    "echo": ("Whether the far end sends back what it hears (sdp+https); if not, joins alone are measured.", False),
    "events": ("Name of the data channel that an agent tells of itself over, or false (sdp+https).", "oai-events"),
    "delete": ("Whether the Location of the answer is deleted at the end (sdp+https).", True),
    "session_origin": (
        "Where else than at its URLs the token may go, to change and end a session (whip+whep, sdp+https).",
        "https://media.example",
    ),
    "secret": ("The API's secret (janus), by name: env:NAME or file:PATH.", "env:JANUS_SECRET"),
    "steps": (
        "What is done on the page until it calls (page): click, fill, press, choose, wait.",
        [{"click": "#start"}, {"fill": ["#room", "1234"]}, {"wait": "text=connected"}],
    ),
    "hosts": ("Whom the page may reach beside its own host (page).", ["sfu.example", "*.vendor.example"]),
    "ends": ("echo: one page, which hears itself; two: a page at either end (page).", "two"),
    "mouth": ("generator: the microphone is ours; file: the browser's own, which plays a file of ours (page).", "file"),
    "browser": ("The Chromium to start (page); found by itself where it is left out.", "/usr/bin/chromium"),
    "textroom": ("Which TextRoom of the same server messages go through (janus videoroom, audiobridge).", 1234),
    "pin": ("The room's pin (janus), by name: env:NAME or file:PATH.", "env:ROOM_PIN"),
}
"""Described, not judged: what an option may be is its target's matter, who also may come from another package."""


@cache
def scenario_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12). Do not change what is returned: it is shared."""
    site = record(site_schema("this side"), required=("region", "access"))
    unneeded = "Not needed where link replaces the path both ways."
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rtcprobe scenario",
        **record(
            {
                **_told(),
                "caller": {**site, "description": f"The side that calls, and whose join is timed. {unneeded}"},
                "callee": {**site, "description": f"The side that answers. {unneeded}"},
                "parties": parties_schema(),
                "signaling": _signaling(),
                **_between(),
                "link": _link(),
                "legs": _legs(),
                **servers_schema(),
                "script": script_schema(),
                "conversation": conversation_schema(),
                "target": _target(),
                "ice": _ice(),
                "call": _call(),
                "codec": codec_schema(),
                "mouth": mouth_schema(),
                "protection": protection_schema(),
                "devices": devices_schema(),
                "playout": playout_schema(),
                "video": video_schema(),
                "messages": messages_schema(),
                "dtls": _dtls(),
                "budgets": _budgets(),
                "figures": choice(
                    "Whose words figures are told in, too: a service's names, thresholds and definitions.",
                    list(DIALECTS),
                ),
            },
            required=("name",),
        ),
        # Editors show it; the reader leaves it out, and says with ``_placed`` which place is missing.
        "anyOf": [{"required": ["link"]}, {"required": list(PLACES)}, {"required": ["parties"]}],
    }


def _told() -> dict[str, Any]:
    """Return the keys that tell a reader what it is; none of them changes what is measured."""
    return {
        "name": text(
            "Short name of the situation, in small letters, digits and . _ -; files are called after it.",
            "1v1-social",
            pattern=NAME,
        ),
        "serves": text("Whom this situation serves.", "Friends in two countries on a video app"),
        "sources": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "description": "Where the numbers come from; assumptions are called so.",
            "examples": [["RTT: AWS p50 (cloudping.co, Jul 2025)"]],
            "default": [],
        },
    }


def _between() -> dict[str, Any]:
    """Return the keys that say what lies between regions; none has a default, so situations without them stay equal."""
    return {
        "rtt": quantity("duration", "Round trip between the two regions, in place of the catalogue's.", "30ms"),
        "backbone": choice(
            "What carries packets between regions: public (the internet; meant where nothing is said), or private, a "
            "line of the vendor's own. It has no border, and its round trip, where the catalogue knows the public "
            "one alone, is estimated as a cloud's.",
            ["public", "private"],
        ),
        "border": choice(
            "How busy the public network into mainland China is: busy (the slow hours, meant where nothing is said: "
            f"{told_of_border('busy')}), worst ({told_of_border('worst')}), or quiet ({told_of_border('quiet')}).",
            list(BORDER),
        ),
    }


def _signaling() -> dict[str, Any]:
    return record(
        {
            "region": choice("Where the signalling server is; not needed where link is given.", sorted(REGIONS)),
            "connection": choice(
                "cold: TCP, TLS 1.3 and the request are all paid; warm: only the request.",
                ["cold", "warm"],
                default="cold",
            ),
        },
        description="How offer and answer are exchanged.",
    )


def _link() -> dict[str, Any]:
    one = _one_link()
    return {
        "description": "Replaces the path between the two sides, media and signalling alike, the server at the "
        "callee's end: one link for both directions, or one each. Packets keep their order unless order is free. "
        "Between parties, one link for every leg that legs does not name.",
        "anyOf": [*one["anyOf"], record(dict.fromkeys(BOTH_LEGS, one), minProperties=1)],
        "default": {},
    }


def _legs() -> dict[str, Any]:
    return {
        "type": "object",
        # No pattern of names: what is no leg is refused by ``ways.Leg``, in a better sentence than a pattern's.
        "additionalProperties": _one_link(),
        "minProperties": 1,
        "description": "Links between parties by name, FROM_to_WHERE, each in place of the path in its direction. "
        "Without signaling.region the signalling server stands at the last party's end.",
        "examples": [{"ana_to_ben": "delay 80ms", "ben_to_ana": "delay 30ms"}],
    }


def _one_link() -> dict[str, Any]:
    return {
        "anyOf": [{"type": "string", "minLength": 1}, link_keys_schema()],
        "description": "One line in tc-netem's words, or its keys; bps, kbps and mbps are bits per second here.",
        "examples": ["delay 80ms 10ms distribution normal loss 2% burst 3", {"delay": "80ms", "loss": "2%"}],
    }


def _target() -> dict[str, Any]:
    url = text(
        "Who is called. loopback: our own far end, everything emulated. sfu: a forwarding server of ours between all, "
        "emulated too, mix: one that mixes. whip+whep://HOST/PATH/{whip,whep}, "
        "janus+ws://HOST:PORT/videoroom/1234, sdp+https://HOST/PATH and others: a real server, on the real clock.",
        "janus+ws://192.0.2.7:8188/echotest",
    )
    keys = {
        "type": "object",
        "properties": {
            "url": url,
            "region": choice(
                "Where the server should seem to be: adds the backbone between it and each side. Without it, the "
                "distance is the real one.",
                sorted(REGIONS),
            ),
            "whip": text("Where to publish (whip+whep).", "https://media.example/whip/room"),
            "whep": text("Where to listen (whip+whep).", "https://media.example/whep/room"),
            "token": text("Bearer token, by name: env:NAME or file:PATH.", "env:WHIP_TOKEN"),
            "headers": {"type": "object", "description": "Further headers of every request; values may be env:NAME."},
            "ca": text("File of the authorities that sign the server's certificate.", "our-ca.pem"),
            **{key: {"description": told, "examples": [example]} for key, (told, example) in _TARGET_OPTIONS.items()},
        },
        "description": "Who is called: its URL, and what that kind of target wants to know.",
    }
    return {"description": "Who is called, a URL or keys.", "anyOf": [url, keys], "examples": url["examples"]}


def _ice() -> dict[str, Any]:
    urls = text("stun:HOST, turn:HOST:PORT?transport=udp or tcp, turns:HOST.", "turn:turn.example:3478?transport=tcp")
    server = record(
        {
            "urls": {
                "description": "One address of the server, or several.",
                "anyOf": [urls, {"type": "array", "items": urls}],
                "examples": urls["examples"],
            },
            "username": text("User name.", "probe"),
            "credential": text("Password, by name: env:NAME or file:PATH.", "env:TURN_PASSWORD"),
            "secret": text(
                "Shared secret of time-limited credentials (REST), by name: env:NAME or file:PATH.", "env:TURN_SECRET"
            ),
        },
        required=("urls",),
    )
    return record(
        {
            "servers": {
                "type": "array",
                "items": server,
                "description": "STUN and TURN servers; nobody is asked who is not named here or by the target.",
                "examples": [[{"urls": "turn:turn.example", "username": "probe", "credential": "env:TURN_PASSWORD"}]],
            },
            "policy": choice("Which candidates are used: all, or relayed ones alone.", ["all", "relay"]),
            "ca": text("File of the authorities that sign the certificates of turns: servers.", "our-ca.pem"),
        },
        description="How a target outside is reached: STUN and TURN servers.",
    )


def _call() -> dict[str, Any]:
    return record(
        {
            "calls": {
                "type": "integer",
                "minimum": 1,
                # What a call said is kept until the run ends, and its interval is narrow long before.
                "maximum": 1_000,
                "description": "Calls measured, each with a seed of its own: intervals rest on how they differ.",
                "examples": [5],
                # From five on an interval closes where one call's stays open (``verdict.budgets`` offers it as the
                # cure).
                "default": 5,
            },
            # Two markers a second: twenty a call and way, a hundred a run.
            "duration": quantity("duration", "How long each of the measured calls lasts.", "10s", default="10s"),
            "joins": {
                "type": "integer",
                "minimum": 1,
                # A join of two in virtual time takes a core some 6 to 12 ms: so many are ten to twenty minutes' work.
                "maximum": 100_000,
                "description": "Joins made before the calls, so that percentiles of the join mean something.",
                "examples": [20],
                # The fewest of which a p95 is told (``verdict.statistics.samples_needed``).
                "default": 20,
            },
            "join_timeout": quantity("duration", "When a join gives up.", "30s", default="30s"),
        },
        description="What is done.",
        default={},
    )


def _dtls() -> dict[str, Any]:
    return record(
        {
            "timer": written(
                "timer",
                # Coarse, for editors; ``DtlsTimer.parse`` judges.
                r"^(openssl|libwebrtc|.*[0-9].*)$",
                "When a lost handshake flight is first sent again: openssl (1 s), libwebrtc (twice the "
                "ICE round trip, 50 ms to 3 s), or a time.",
                "libwebrtc",
                # What aiortc does, as both ends are aiortc's where nothing else is written.
                default="openssl",
            )
        },
        description="The DTLS handshake.",
        default={},
    )


def _budgets() -> dict[str, Any]:
    return {
        "type": "array",
        "items": written(
            "budget",
            # Coarse, for editors; ``verdict.budgets`` has the grammar.
            r"^.*([<>]|\swithin\s).*$",
            "METRIC AGGREGATE OP VALUE, or METRIC within VALUE..VALUE, and (advisory) where missing it "
            "should not fail the run. "
            "AGGREGATE: p50 p90 p95 p99 min mean max share_above(VALUE); OP: < <= > >=; "
            "a metric of ways or legs takes the name of one after its first word "
            "(mouth_to_ear.caller_to_callee.lost, link.caller_to_callee.loss), without it the worst; "
            f"METRIC: {' '.join(METRICS)}",
            "join.first_audio p95 < 600ms",
        ),
        "description": "Numbers to stay within.",
        "examples": [["join.first_audio p95 < 600ms", "mouth_to_ear p95 < 100ms (advisory)"]],
        "default": [],
    }
