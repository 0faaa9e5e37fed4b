"""What a party shows, and how what others show is watched: the key ``video`` of a scenario and of a party.

Rule: where ``video`` is not written nobody shows anything; written for all, whoever sends sound shows a picture too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rtcprobe.errors import BadInputError
from rtcprobe.picture.settings import CODECS, VideoSettings, parse_size
from rtcprobe.playout.frames import POLICIES
from rtcprobe.scenario.keys import choice, quantity, record, written
from rtcprobe.units import format_duration, format_rate, parse_duration, parse_rate

__all__ = ["VideoPlan", "parse_read", "video_plan", "video_schema"]

# Of a camera, an encoder or a screen, as of ``parties.LONGEST_DEVICE_S``.
_LONGEST_S: Final = 10.0
CONTROLS: Final = ("fixed", "gcc", "remb")
_ADAPTS: Final = ("640x480", 30, "vp8")
"""Where the law of the encoder was read off recorded calls (``adaptation.encoder``)."""
_LEAST_MAX_BPS: Final = 150e3
"""RFC 8867 §4.3: the least that a camera's encoder can be asked for."""
# read = "all" / "timestamps" / "every " number ordinal ; "every 5th"
_READ: Final = re.compile(r"^\s*(?:all|timestamps|every ([1-9][0-9]{0,3})(?:st|nd|rd|th))\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPlan:
    """A camera, and the viewer at the same place.

    ``playout`` is one of ``playout.frames``; ``nack`` whether packets are asked for again; ``sync`` whether sound and
    picture are made to agree. ``read_every``: the number is read in every n-th frame, in none for 0. ``control``
    names what the rate follows (``adaptation.controller_of``). ``capture_s``, ``encode_s`` and ``display_s`` are what
    camera, encoder and screen add: assumed, constant, stages of their own.
    """

    settings: VideoSettings = field(default_factory=VideoSettings)
    playout: str = "libwebrtc"
    nack: bool = True
    sync: bool = True
    read_every: int = 1
    capture_s: float = 0.0
    encode_s: float = 0.0
    display_s: float = 0.0
    control: str = "fixed"

    def __post_init__(self) -> None:
        self._check_control()
        for name, value in (("capture", self.capture_s), ("encode", self.encode_s), ("display", self.display_s)):
            if not 0.0 <= value <= _LONGEST_S:
                raise BadInputError(f"{name} {format_duration(value)} is impossible", "give 0ms to 10s")

    def _check_control(self) -> None:
        """Refuse what is not known of a camera that adapts: its encoder's law is that of one size and codec."""
        if self.control == "fixed":
            return
        each = self.settings
        if (each.size, each.fps, each.codec) != _ADAPTS:
            raise BadInputError(
                f"control {self.control} with {each.size} {each.fps}/s {each.codec} is not known",
                "a camera that adapts is one of 640x480, 30 a second, vp8",
            )
        if each.bitrate_bps < _LEAST_MAX_BPS:
            raise BadInputError(
                f"bitrate {format_rate(each.bitrate_bps)} leaves control {self.control} nothing to decide",
                f"it is the most that the encoder takes: give {format_rate(_LEAST_MAX_BPS)} or more",
            )
        if self.read_every:
            raise BadInputError(
                f"frames are not read with control {self.control}: how large each is depends on the line",
                "read: timestamps, or leave read out",
            )

    @property
    def watched(self) -> str:
        """How pictures are watched, and which are read where not all are: ``"libwebrtc, every 5th read"``."""
        every = self.read_every
        if every == 1:
            return self.playout
        # 11th, 12th and 13th are no 1st, 2nd, 3rd.
        ending = {1: "st", 2: "nd", 3: "rd"}.get(every % 10 if every % 100 not in {11, 12, 13} else 0, "th")
        return f"{self.playout}, every {every}{ending} read" if every else f"{self.playout}, told by RTP time"

    def reads(self, number: int) -> bool:
        """Return whether the number of a frame is read, and its likeness measured."""
        return bool(self.read_every) and number % self.read_every == 0

    def __str__(self) -> str:
        """As one reads it: ``"640x480 30/s vp8 500kbit"``."""
        each = self.settings
        rate = format_rate(each.bitrate_bps)
        most = rate if self.control == "fixed" else f"at most {rate} by {self.control}"
        return f"{each.size} {each.fps}/s {each.codec} {most}"


def video_plan(says: Mapping[str, Any]) -> VideoPlan:
    """Return what the key ``video`` says; what it leaves out is as usual.

    Raises:
        BadInputError: a size or a rate that cannot be meant.
    """
    # From the schema, so that a default is written once.
    usual = {name: schema["default"] for name, schema in video_schema()["properties"].items() if "default" in schema}
    # ``control`` has no default in the schema, which would move every digest: here it has one.
    says = {"control": "fixed", **usual, **says}
    if says["control"] != "fixed" and says["read"] == "all":  # what an absent key says: there is nothing to read
        says["read"] = "timestamps"
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
        sync=says["sync"],
        read_every=parse_read(says["read"]),
        capture_s=parse_duration(says["capture"]),
        encode_s=parse_duration(says["encode"]),
        display_s=parse_duration(says["display"]),
        control=says["control"],
    )


def parse_read(text: str) -> int:
    """Return which frames ``"all"``, ``"every 5th"`` or ``"timestamps"`` read: every n-th; 0: none.

    Raises:
        BadInputError: none of these.
    """
    match = _READ.match(text)
    if match is None:
        raise BadInputError(f"{text!r} is no way to read frames", "all, every 5th (or another), timestamps")
    # "all" is every first, "timestamps" every 0th: none.
    return int(match[1]) if match[1] else int(text.strip() == "all")


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
            "nack": _switch("Whether lost packets are asked for again."),
            "sync": _switch("Whether sound and picture are made to agree (neteq beside libwebrtc or chromium)."),
            "read": written(
                "read",
                _READ.pattern,
                "In which frames the number is read: all, every n-th, or none: then each is told by its RTP timestamp, "
                "and its likeness is not measured.",
                "every 5th",
                default="all",
            ),
            "control": _control_schema(),
            "capture": quantity("duration", "What the camera adds; assumed.", "30ms", default="0ms"),
            "encode": quantity("duration", "What encoding a frame adds; assumed.", "5ms", default="0ms"),
            "display": quantity("duration", "What the screen adds; assumed.", "20ms", default="0ms"),
        },
        description="The picture beside the sound: what the camera sends, and how it is watched. Its content is a "
        "moving scene with the number of each frame in it. Without this key there is no picture.",
        examples=[{"size": "640x480", "fps": 30, "bitrate": "500kbit", "codec": "vp8"}],
    )


def _control_schema() -> dict[str, Any]:
    """Return the schema of ``control``: without a default, so that situations without it stay equal."""
    return choice(
        "What the rate follows. fixed (meant where nothing is said): bitrate, whatever the line takes. gcc: "
        "transport-wide feedback, as libwebrtc's sender does (rate, size, frame rate, pacing, repair); remb: the "
        "receiver's estimate, as stock aiortc does. Then bitrate is the most that the encoder takes, and frames are "
        "told by their RTP time.",
        list(CONTROLS),
    )


def _switch(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description, "examples": [False], "default": True}
