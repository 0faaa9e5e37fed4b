"""What a party shows, and how what others show is watched: the key ``video`` of a scenario and of a party.

Rule: where ``video`` is not written nobody shows anything; written for all, whoever sends sound shows a picture too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rtcprobe.errors import BadInputError
from rtcprobe.picture.settings import CODECS, VideoSettings, parse_size
from rtcprobe.playout.frames import POLICIES
from rtcprobe.scenario.keys import choice, quantity, record, written
from rtcprobe.units import format_duration, format_rate, parse_duration, parse_rate

__all__ = ["VideoPlan", "video_plan", "video_schema"]

_LONGEST_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPlan:
    """A camera, and the viewer at the same place.

    ``playout`` is one of ``playout.frames``; ``nack`` whether packets are asked for again. ``capture_s``, ``encode_s``
    and ``display_s`` are what camera, encoder and screen add: assumed, constant, reported as stages of their own.
    """

    settings: VideoSettings = field(default_factory=VideoSettings)
    playout: str = "libwebrtc"
    nack: bool = True
    capture_s: float = 0.0
    encode_s: float = 0.0
    display_s: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("capture", self.capture_s), ("encode", self.encode_s), ("display", self.display_s)):
            if not 0.0 <= value <= _LONGEST_S:
                raise BadInputError(f"{name} {format_duration(value)} is impossible", "give 0ms to 10s")

    def __str__(self) -> str:
        """As one reads it: ``"640x480 30/s vp8 500kbit"``."""
        each = self.settings
        return f"{each.size} {each.fps}/s {each.codec} {format_rate(each.bitrate_bps)}"


def video_plan(says: Mapping[str, Any]) -> VideoPlan:
    """Return what the key ``video`` says; what it leaves out is as usual.

    Raises:
        BadInputError: a size or a rate that cannot be meant.
    """
    usual = {name: schema["default"] for name, schema in video_schema()["properties"].items()}
    says = {**usual, **says}
    width, height = parse_size(says["size"])
    return VideoPlan(
        settings=VideoSettings(
            width=width,
            height=height,
            fps=says["fps"],
            bitrate_bps=parse_rate(says["bitrate"]),
            codec=says["codec"],
        ),
        playout=says["playout"],
        nack=says["nack"],
        capture_s=parse_duration(says["capture"]),
        encode_s=parse_duration(says["encode"]),
        display_s=parse_duration(says["display"]),
    )


def video_schema() -> dict[str, Any]:
    """Return the schema of ``video``."""
    usual = VideoSettings()
    return record(
        {
            "size": written("size", r"^\s*[0-9]+ ?[xX×] ?[0-9]+\s*$", "Width x height.", "640x480", default=usual.size),
            "fps": {
                "type": "integer",
                "minimum": 1,
                "maximum": 60,
                "description": "Frames a second.",
                "examples": [30],
                "default": usual.fps,
            },
            "bitrate": quantity("rate", "What the encoder aims at.", "500kbit", default=format_rate(usual.bitrate_bps)),
            "codec": choice("How pictures are encoded.", list(CODECS), default=usual.codec),
            "playout": choice(
                "How pictures are watched: libwebrtc (native applications), chromium (its 64 Hz ticks), aiortc (what "
                "stock aiortc does), asap (as soon as can be).",
                list(POLICIES),
                default="libwebrtc",
            ),
            "nack": {
                "type": "boolean",
                "description": "Whether lost packets are asked for again.",
                "examples": [False],
                "default": True,
            },
            "capture": quantity("duration", "What the camera adds; assumed.", "30ms", default="0ms"),
            "encode": quantity("duration", "What encoding a frame adds; assumed.", "5ms", default="0ms"),
            "display": quantity("duration", "What the screen adds; assumed.", "20ms", default="0ms"),
        },
        description="The picture beside the sound: what the camera sends, and how it is watched. Its content is a "
        "moving scene with the number of each frame in it. Without this key there is no picture.",
        examples=[{"size": "640x480", "fps": 30, "bitrate": "500kbit", "codec": "vp8"}],
    )
