"""The one declaration of a scenario's shape: a JSON Schema that editors show and that ``read.py`` judges by.

Facts:
    ``format`` names our written quantities (``duration``, ``rate``, ``share``, ``ppm``, ``decibels``, ``playout``,
    ``timer``, ``budget``); the reader checks them with the very parsers that convert them. Editors that do not know
    these formats still have ``pattern``, descriptions and examples. Below ``link`` the sentences are the link parser's
    own. ``default`` is what an absent key means: the reader fills it in.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from rtcprobe.audio.mouth import MARKER_TO_SPEECH_DB
from rtcprobe.audio.opus import APPLICATIONS, OpusSettings
from rtcprobe.audio.protection import MAX_RED_COPIES
from rtcprobe.link import ACCESS, BORDER, REGIONS
from rtcprobe.link.border import told_of_border
from rtcprobe.scenario.link_schema import QUANTITY, link_keys_schema
from rtcprobe.units import format_duration, format_rate, format_ratio
from rtcprobe.verdict.metrics import METRICS
from rtcprobe.ways import BOTH_WAYS

__all__ = ["PLACES", "scenario_schema"]

NAME = r"^[a-z0-9][a-z0-9._-]*$"
"""Names become names of folders (``--wav``): none may lead out of where it is put."""

PLACES = ("caller", "callee", "signaling")
"""Keys that say where everybody is: what ``link`` replaces need not be written."""

_TARGET_OPTIONS: dict[str, tuple[str, Any]] = {
    "whip_token": ("Bearer token for publishing alone (whip+whep), by name.", "env:WHIP_TOKEN"),
    "whep_token": ("Bearer token for listening alone (whip+whep), by name.", "env:WHEP_TOKEN"),
    "trickle": ("Whether offers go without candidates, which follow by PATCH (whip+whep).", True),
    "listeners": ("How many listen at the same time (whip+whep up to 16, janus videoroom up to 8).", 3),
    "body": ("How the offer travels: sdp, json or form (sdp+https).", "json"),
    "fields": ("Further JSON members or form fields (sdp+https).", {"model": "gpt-realtime"}),
    "echo": ("Whether the far end sends back what it hears (sdp+https); if not, joins alone are measured.", False),
    "delete": ("Whether the Location of the answer is deleted at the end (sdp+https).", True),
    "session_origin": (
        "Where else than at its URLs the token may go, to change and end a session (whip+whep, sdp+https).",
        "https://media.example",
    ),
    "secret": ("The API's secret (janus), by name: env:NAME or file:PATH.", "env:JANUS_SECRET"),
    "pin": ("The room's pin (janus), by name: env:NAME or file:PATH.", "env:ROOM_PIN"),
}
"""Described, not judged: what an option may be is its target's matter, who also may come from another package."""


def _object(properties: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": list(required)} if required else {}),
        **more,
    }


def _quantity(kind: str, description: str, example: str, **more: Any) -> dict[str, Any]:
    return _written(kind, QUANTITY, description, example, **more)


def _written(kind: str, pattern: str, description: str, example: str, **more: Any) -> dict[str, Any]:
    written = {"type": "string", "format": kind, "pattern": pattern}
    return {**written, "description": description, "examples": [example], **more}


def _text(description: str, example: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description, "examples": [example], **more}


def _choice(description: str, known: list[str], **more: Any) -> dict[str, Any]:
    return {"enum": known, "description": description, "examples": known[:1], **more}


@cache
def scenario_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12). Do not change what is returned: it is shared."""
    site = _object(
        {
            "region": _choice("Where this side is (rtcprobe links lists the regions).", sorted(REGIONS)),
            "access": _choice("What it is connected by (rtcprobe links lists the accesses).", sorted(ACCESS)),
        },
        required=("region", "access"),
    )
    unneeded = "Not needed where link replaces the path both ways."
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rtcprobe scenario",
        **_object(
            {
                "name": _text(
                    "Short name of the situation, in small letters, digits and . _ -; files are called after it.",
                    "1v1-social",
                    pattern=NAME,
                ),
                "serves": _text("Whom this situation serves.", "Friends in two countries on a video app"),
                "sources": {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "description": "Where the numbers come from; assumptions are called so.",
                    "examples": [["RTT: AWS p50 (cloudping.co, Jul 2025)"]],
                    "default": [],
                },
                "caller": {**site, "description": f"The side that calls, and whose join is timed. {unneeded}"},
                "callee": {**site, "description": f"The side that answers. {unneeded}"},
                "signaling": _signaling(),
                **_between(),
                "link": _link(),
                "target": _target(),
                "ice": _ice(),
                "call": _call(),
                "codec": _codec(),
                "mouth": _mouth(),
                "protection": _protection(),
                "devices": _devices(),
                "playout": _written(
                    "playout",
                    r"^(neteq(:.*[0-9].*)?|fixed:.*[0-9].*|aiortc)$",
                    "The receiver's playout. neteq: what Chrome and nearly every mobile SDK have, neteq:DELAY with a "
                    "jitter buffer target asked for; fixed:DELAY: every packet held until DELAY after the fastest of "
                    "the first; aiortc: what stock aiortc does.",
                    "neteq",
                    default="neteq",
                ),
                "dtls": _object(
                    {
                        "timer": _written(
                            "timer",
                            r"^(openssl|libwebrtc|.*[0-9].*)$",
                            "When a lost handshake flight is first sent again: openssl (1 s), libwebrtc (twice the "
                            "ICE round trip, 50 ms to 3 s), or a time.",
                            "libwebrtc",
                            default="openssl",
                        )
                    },
                    description="The DTLS handshake.",
                    default={},
                ),
                "budgets": {
                    "type": "array",
                    "items": _written(
                        "budget",
                        r"^.*[<>].*$",
                        "METRIC AGGREGATE OP VALUE, and (advisory) where missing it should not fail the run. "
                        "AGGREGATE: p50 p90 p95 p99 min mean max share_above(VALUE); OP: < <= > >=; "
                        f"METRIC: {' '.join(METRICS)}",
                        "join.first_audio p95 < 600ms",
                    ),
                    "description": "Numbers to stay within.",
                    "examples": [["join.first_audio p95 < 600ms", "mouth_to_ear p95 < 100ms (advisory)"]],
                    "default": [],
                },
            },
            required=("name",),
        ),
        "anyOf": [{"required": ["link"]}, {"required": list(PLACES)}],
    }


def _between() -> dict[str, Any]:
    """Return the keys that say what lies between regions; none has a default, so situations without them stay equal."""
    return {
        "rtt": _quantity("duration", "Round trip between the two regions, in place of the catalogue's.", "30ms"),
        "backbone": _choice(
            "What carries packets between regions: public (the internet; meant where nothing is said), or private, a "
            "line of the vendor's own. It has no border, and its round trip, where the catalogue knows the public "
            "one alone, is estimated as a cloud's.",
            ["public", "private"],
        ),
        "border": _choice(
            "How busy the public network into mainland China is: busy (the slow hours, meant where nothing is said: "
            f"{told_of_border('busy')}), worst ({told_of_border('worst')}), or quiet ({told_of_border('quiet')}).",
            list(BORDER),
        ),
    }


def _signaling() -> dict[str, Any]:
    return _object(
        {
            "region": _choice("Where the signalling server is; not needed where link is given.", sorted(REGIONS)),
            "connection": _choice(
                "cold: TCP, TLS 1.3 and the request are all paid; warm: only the request.",
                ["cold", "warm"],
                default="cold",
            ),
        },
        description="How offer and answer are exchanged.",
    )


def _link() -> dict[str, Any]:
    one = {
        "anyOf": [
            {"type": "string", "minLength": 1},
            link_keys_schema(),
        ],
        "description": "One line in tc-netem's words, or its keys; bps, kbps and mbps are bits per second here.",
        "examples": ["delay 80ms 10ms distribution normal loss 2% burst 3", {"delay": "80ms", "loss": "2%"}],
    }
    return {
        "description": "Replaces the path between the two sides, media and signalling alike, the server at the "
        "callee's end: one link for both directions, or one each. Packets keep their order unless order is free.",
        "anyOf": [*one["anyOf"], _object(dict.fromkeys(BOTH_WAYS, one), minProperties=1)],
        "default": {},
    }


def _target() -> dict[str, Any]:
    url = _text(
        "Who is called. loopback: our own far end, everything emulated. whip+whep://HOST/PATH/{whip,whep}, "
        "janus+ws://HOST:PORT/videoroom/1234, sdp+https://HOST/PATH and others: a real server, on the real clock.",
        "janus+ws://192.0.2.7:8188/echotest",
    )
    keys = {
        "type": "object",
        "properties": {
            "url": url,
            "region": _choice(
                "Where the server should seem to be: adds the backbone between it and each side. Without it, the "
                "distance is the real one.",
                sorted(REGIONS),
            ),
            "whip": _text("Where to publish (whip+whep).", "https://media.example/whip/room"),
            "whep": _text("Where to listen (whip+whep).", "https://media.example/whep/room"),
            "token": _text("Bearer token, by name: env:NAME or file:PATH.", "env:WHIP_TOKEN"),
            "headers": {"type": "object", "description": "Further headers of every request; values may be env:NAME."},
            "ca": _text("File of the authorities that sign the server's certificate.", "our-ca.pem"),
            **{key: {"description": told, "examples": [example]} for key, (told, example) in _TARGET_OPTIONS.items()},
        },
        "description": "Who is called: its URL, and what that kind of target wants to know.",
    }
    return {"description": "Who is called, a URL or keys.", "anyOf": [url, keys], "examples": url["examples"]}


def _ice() -> dict[str, Any]:
    urls = _text("stun:HOST, turn:HOST:PORT?transport=udp or tcp, turns:HOST.", "turn:turn.example:3478?transport=tcp")
    server = _object(
        {
            "urls": {
                "description": "One address of the server, or several.",
                "anyOf": [urls, {"type": "array", "items": urls}],
                "examples": urls["examples"],
            },
            "username": _text("User name.", "probe"),
            "credential": _text("Password, by name: env:NAME or file:PATH.", "env:TURN_PASSWORD"),
            "secret": _text(
                "Shared secret of time-limited credentials (REST), by name: env:NAME or file:PATH.", "env:TURN_SECRET"
            ),
        },
        required=("urls",),
    )
    return _object(
        {
            "servers": {
                "type": "array",
                "items": server,
                "description": "STUN and TURN servers; nobody is asked who is not named here or by the target.",
                "examples": [[{"urls": "turn:turn.example", "username": "probe", "credential": "env:TURN_PASSWORD"}]],
            },
            "policy": _choice("Which candidates are used: all, or relayed ones alone.", ["all", "relay"]),
            "ca": _text("File of the authorities that sign the certificates of turns: servers.", "our-ca.pem"),
        },
        description="How a target outside is reached: STUN and TURN servers.",
    )


def _call() -> dict[str, Any]:
    return _object(
        {
            "calls": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000,
                "description": "Calls measured, each with a seed of its own: intervals rest on how they differ.",
                "examples": [5],
                "default": 5,
            },
            "duration": _quantity("duration", "How long each of the measured calls lasts.", "10s", default="10s"),
            "joins": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "description": "Joins made before the calls, so that percentiles of the join mean something.",
                "examples": [20],
                "default": 20,
            },
            "join_timeout": _quantity("duration", "When a join gives up.", "30s", default="30s"),
        },
        description="What is done.",
        default={},
    )


def _codec() -> dict[str, Any]:
    usual = OpusSettings()
    return _object(
        {
            "bitrate": _quantity("rate", "Opus bit rate.", "32kbit", default=format_rate(usual.bitrate_bps)),
            "ptime": _quantity("duration", "Sound in one packet.", "20ms", default=format_duration(usual.ptime_s)),
            "application": _choice("Opus mode.", list(APPLICATIONS), default=usual.application),
            "complexity": {
                "type": "integer",
                "minimum": 0,
                "maximum": 10,
                "description": "How hard the encoder tries: 0 quick, 10 thorough. It changes no delay.",
                "examples": [5],
                "default": usual.complexity,
            },
            "fec": {"type": "boolean", "description": "In-band redundancy.", "examples": [True], "default": usual.fec},
            "expected_loss": _quantity(
                "share", "Loss the encoder prepares for.", "5%", default=format_ratio(usual.expected_loss)
            ),
            "dtx": {
                "type": "boolean",
                "description": "Send less in silence.",
                "examples": [True],
                "default": usual.dtx,
            },
        },
        description="How each side encodes (Opus).",
        default={},
    )


def _mouth() -> dict[str, Any]:
    return _object(
        {
            "programme": _text(
                "What is spoken between the markers: silence, noise, or a WAV file of speech (its path, seen from the "
                "scenario's folder). NetEQ stretches silence freely and speech reluctantly.",
                "silence",
                default="silence",
            ),
            "marker_level": _quantity(
                "decibels",
                "How loud the markers are beside the speech.",
                "-10dB",
                default=f"{MARKER_TO_SPEECH_DB:g}dB",
            ),
        },
        description="What each side says.",
        default={},
    )


def _protection() -> dict[str, Any]:
    return _object(
        {
            "red": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_RED_COPIES,
                "description": "How often each frame is sent again in later packets (RED, RFC 2198); 0 is off.",
                "examples": [1],
                "default": 0,
            },
            "nack": {
                "type": "boolean",
                "description": "Whether the receiver asks again for what is missing (RFC 4585).",
                "examples": [True],
                "default": False,
            },
        },
        description="What is done against loss beside the codec's own in-band redundancy (codec.fec).",
        default={},
    )


def _devices() -> dict[str, Any]:
    return _object(
        {
            "capture": _quantity("duration", "Microphone to first sample in hand.", "10ms", default="10ms"),
            "playback": _quantity("duration", "Last sample handed over to loudspeaker.", "20ms", default="20ms"),
            "drift": _quantity(
                "ppm", "How much faster than true the loudspeakers' clocks run.", "50ppm", default="0ppm"
            ),
        },
        description="Assumed delays of sound devices, reported as stages of their own.",
        default={},
    )
