"""The schema of what a party is: where it is, what it says and through what, how it hears.

Rule: a call of two says most of it once, for both; parties say each what is different with them, in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rtcprobe.audio.mouth import MARKER_TO_SPEECH_DB
from rtcprobe.audio.opus import APPLICATIONS, OpusSettings
from rtcprobe.audio.protection import MAX_RED_COPIES
from rtcprobe.link import ACCESS, REGIONS
from rtcprobe.scenario.groups import MOST_ALIKE
from rtcprobe.scenario.keys import choice, quantity, record, text, written
from rtcprobe.scenario.lines import FILE
from rtcprobe.scenario.link_schema import link_keys_schema
from rtcprobe.scenario.messages import messages_schema
from rtcprobe.scenario.servers import ASSIGN
from rtcprobe.scenario.video import video_schema
from rtcprobe.units import format_duration, format_rate, format_ratio

__all__ = [
    "PARTY_NAME",
    "codec_schema",
    "devices_schema",
    "mouth_schema",
    "parties_schema",
    "playout_schema",
    "protection_schema",
    "script_schema",
    "servers_schema",
    "site_schema",
]

# name = a-z *31( a-z / 0-9 / "_" / "-" )      no "_" at its end, no "_to_" in it or "_to" there: a way is A_to_B
PARTY_NAME: Final = r"^(?!.*_to(_|$))[a-z][a-z0-9_-]{0,31}(?<!_)$"
"""What ``ways.party_named`` takes."""


_LINE: Final = "delay 20ms 5ms loss 1%"


def site_schema(who: str) -> dict[str, Any]:
    """Return the schemas of the two keys that say where ``who`` is."""
    return {
        "region": choice(f"Where {who} is (rtcprobe links lists the regions).", sorted(REGIONS)),
        "access": {
            # The list first: an editor offers it, and a slip of the pen is told by its nearest name (``read._meant``).
            "anyOf": [{"enum": sorted(ACCESS)}, {"type": "string", "pattern": f"^{FILE}."}, _own_lines()],
            "description": "What it is connected by: one that rtcprobe links lists, lines of its own (up and down), or "
            f"a file that holds them, like {FILE}home.yaml.",
            "examples": sorted(ACCESS)[:1],
        },
    }


def _own_lines() -> dict[str, Any]:
    line = {"anyOf": [{"type": "string", "minLength": 1}, link_keys_schema()]}
    ways = {
        "up": {**line, "description": "The link that its packets pass on their way out.", "examples": [_LINE]},
        "down": {**line, "description": "The link that packets to it pass at last.", "examples": [_LINE]},
    }
    return {**record(ways, required=("up", "down")), "examples": [{"up": _LINE, "down": _LINE}]}


def parties_schema() -> dict[str, Any]:
    """Return the schema of ``parties``."""
    party = record(
        {
            **site_schema("this party"),
            "role": {
                "type": "string",
                "format": "role",
                "pattern": PARTY_NAME,
                "description": "What it is in the room, in a word: host, co-host, guest, audience, or another. Figures "
                "and budgets are told by role too; a room without a host or co-host is silent.",
                "examples": ["host", "audience"],
            },
            "sends": choice("audio, or nothing: it only listens.", ["audio", "nothing"], default="audio"),
            "hears": {
                "type": ["string", "array"],
                "items": {"type": "string", "format": "party", "pattern": PARTY_NAME},
                "description": "Whom it hears: all others, nobody, or a list of names.",
                "examples": [["ana", "ben"], "all"],
                "default": "all",
            },
            "count": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_ALIKE,
                "description": "How many of it there are: NAME-1, NAME-2 and so on, of the role NAME unless it has "
                "one. What names the group (a leg, whom somebody hears, a cue) names each.",
                "examples": [50],
            },
            "comes": quantity("duration", "When it joins, counted from when all who are there at first have.", "5s"),
            "edge": {
                "type": "string",
                "format": "party",
                "pattern": PARTY_NAME,
                "description": "Which of the servers it is connected to, whatever assign says.",
                "examples": ["singapore"],
            },
            "leaves": quantity("duration", "When it leaves; without it, it stays to the end.", "20s"),
            **{name: _own(schema) for name, schema in _common().items()},
        },
    )
    return {
        "type": "object",
        # A pattern for editors, a parser for the reader: one word, both times ``ways.party_named``.
        "propertyNames": {"format": "party", "pattern": PARTY_NAME},
        "additionalProperties": party,
        "description": "Who takes part, by name, in place of caller and callee; the first calls. What is said of all "
        "(codec, mouth, devices, playout) a party may say otherwise of itself.",
        "examples": [{"ana": {"region": "singapore", "access": "wifi-good"}, "ben": {"sends": "nothing"}}],
    }


def servers_schema() -> dict[str, Any]:
    """Return the keys that say where forwarding servers of ours are, and who is connected to which."""
    region = choice("Where it is (rtcprobe links lists the regions).", sorted(REGIONS))
    return {
        "servers": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"format": "party", "pattern": PARTY_NAME},
            "additionalProperties": record({"region": region}),
            "description": "Forwarding servers of ours (target: sfu) by name, each connected to all others. Legs "
            "between them, and to them, may be written out.",
            "examples": [{"sg": {"region": "singapore"}, "fra": {"region": "frankfurt"}}],
        },
        "edges": {
            "type": "array",
            "minItems": 1,
            "items": region,
            "description": "The same, called by their regions.",
            "examples": [["singapore", "frankfurt"]],
        },
        "assign": choice(
            "Who is connected to which: nearest (by round trip; meant where nothing is said), best-pair (so that ways "
            "are short on the mean), or named (every party says its edge).",
            list(ASSIGN),
        ),
    }


def script_schema() -> dict[str, Any]:
    """Return the schema of ``script``."""
    return {
        "type": "array",
        "items": written(
            "cue",
            # ``script.parse_cue`` has the grammar.
            r"^\s*\S+\s+\S+\s+(at|after)\s+.*$",
            "PARTY speaks, stops, publishes, joins, leaves or sends (one message), or SERVER dies, at TIME (since all "
            "who are there at first have joined) or after PARTY joined, was heard or fell silent.",
            "ben joins after ana was heard",
        ),
        "description": "What happens in a call, a cue each.",
        "examples": [["ben joins after ana was heard", "ana stops at 8s"]],
    }


def _common() -> dict[str, Any]:
    return {
        "codec": codec_schema(),
        "mouth": mouth_schema(),
        "devices": devices_schema(),
        "playout": playout_schema(),
        "video": video_schema(),
        "messages": messages_schema(),
    }


def _own(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of the same key within a party: what it leaves out is as with all."""
    # A default within a party would be taken for its own word, and hide what is written of all.
    kept = {key: each for key, each in schema.items() if key != "default"}
    if "properties" in kept:
        kept["properties"] = {key: _own(each) for key, each in kept["properties"].items()}
    return kept


def playout_schema() -> dict[str, Any]:
    """Return the schema of ``playout``."""
    return written(
        "playout",
        # playout = "neteq" [ ":" time ] / "fixed:" time / "aiortc"       coarse, for editors; ``PlayoutChoice`` judges
        r"^(neteq(:.*[0-9].*)?|fixed:.*[0-9].*|aiortc)$",
        "The receiver's playout. neteq: what Chrome and nearly every mobile SDK have, neteq:DELAY with a "
        "jitter buffer target asked for; fixed:DELAY: every packet held until DELAY after the fastest of "
        "the first; aiortc: what stock aiortc does.",
        "neteq",
        default="neteq",
    )


def codec_schema() -> dict[str, Any]:
    """Return the schema of ``codec``."""
    usual = OpusSettings()
    return record(
        {
            "bitrate": quantity("rate", "Opus bit rate.", "32kbit", default=format_rate(usual.bitrate_bps)),
            "ptime": quantity("duration", "Sound in one packet.", "20ms", default=format_duration(usual.ptime_s)),
            "application": choice("Opus mode.", list(APPLICATIONS), default=usual.application),
            "complexity": {
                "type": "integer",
                "minimum": 0,
                # libopus' own scale (OPUS_SET_COMPLEXITY).
                "maximum": 10,
                "description": "How hard the encoder tries: 0 quick, 10 thorough. It changes no delay.",
                "examples": [5],
                "default": usual.complexity,
            },
            "fec": {"type": "boolean", "description": "In-band redundancy.", "examples": [True], "default": usual.fec},
            "expected_loss": quantity(
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


def mouth_schema() -> dict[str, Any]:
    """Return the schema of ``mouth``."""
    return record(
        {
            "programme": text(
                "What is spoken between the markers: silence, noise, or a WAV file of speech (its path, seen from the "
                "scenario's folder). NetEQ stretches silence freely and speech reluctantly.",
                "silence",
                default="silence",
            ),
            "marker_level": quantity(
                "decibels",
                "How loud the markers are beside the speech.",
                "-10dB",
                default=f"{MARKER_TO_SPEECH_DB:g}dB",
            ),
        },
        description="What each side says.",
        default={},
    )


def protection_schema() -> dict[str, Any]:
    """Return the schema of ``protection``."""
    return record(
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


def devices_schema() -> dict[str, Any]:
    """Return the schema of ``devices``."""
    return record(
        {
            # A block of 10 ms at either side, and a second one behind the loudspeaker: assumed, and said to be.
            "capture": quantity("duration", "Microphone to first sample in hand.", "10ms", default="10ms"),
            "playback": quantity("duration", "Last sample handed over to loudspeaker.", "20ms", default="20ms"),
            "drift": quantity(
                "ppm", "How much faster than true the loudspeakers' clocks run.", "50ppm", default="0ppm"
            ),
        },
        description="Assumed delays of sound devices, reported as stages of their own.",
        default={},
    )
