"""What a camera is asked for: size, frames a second, bit rate, codec."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from rtcprobe.errors import BadInputError

__all__ = ["CODECS", "SDP_NAMES", "VIDEO_HZ", "VideoCodec", "VideoSettings", "parse_size"]

VideoCodec = Literal["vp8", "h264"]
CODECS: Final[tuple[VideoCodec, ...]] = get_args(VideoCodec)

SDP_NAMES: Final[Mapping[VideoCodec, str]] = {"vp8": "VP8", "h264": "H264"}
"""What session descriptions call them. Source: RFC 7741 §6.1, RFC 6184 §8.1."""

VIDEO_HZ: Final = 90_000
"""The RTP clock of video. Source: RFC 7741 §4.1, RFC 6184 §5.1."""

_LEAST_SIZE: Final = (160, 90)
"""The smallest at which every undamaged number was read."""
_MOST_MACROBLOCKS: Final = 3600
"""Of 16x16 pixels: what level 3.1 of H.264 allows, which is what calls negotiate (42e01f). Source: H.264 table A-1."""
# From one a second to what cameras usually give at most; the rates are wider than what either encoder keeps
# to (``glass``): they catch slips of the unit.
_FPS: Final = (1, 60)
_BITRATE_BPS: Final = (10_000, 20_000_000)

# size = width "x" height
_SIZE = re.compile(r"([0-9]{1,5}) ?[xX×] ?([0-9]{1,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """A camera and its encoder.

    Raises:
        BadInputError: a size that cannot be coded, or a rate that no call has.
    """

    width: int = 640
    height: int = 480
    fps: int = 30
    bitrate_bps: float = 500_000.0
    codec: VideoCodec = "vp8"

    def __post_init__(self) -> None:
        size = f"{self.width}x{self.height}"
        if self.width % 2 or self.height % 2:
            raise BadInputError(f"video of {size} cannot be coded", "both sides even: colour has half the resolution")
        if self.width < _LEAST_SIZE[0] or self.height < _LEAST_SIZE[1]:
            raise BadInputError(f"video of {size} is too small for its frame numbers", "160x90 at least")
        if math.ceil(self.width / 16) * math.ceil(self.height / 16) > _MOST_MACROBLOCKS:
            raise BadInputError(f"video of {size} is larger than calls negotiate", "1280x720 at most (level 3.1)")
        if self.codec not in CODECS:
            raise BadInputError(f"video codec {self.codec!r} is not known", f"use {' or '.join(CODECS)}")
        if not _FPS[0] <= self.fps <= _FPS[1]:
            raise BadInputError(f"video of {self.fps:g} frames a second is not filmed", "1 to 60, a whole number")
        if not _BITRATE_BPS[0] <= self.bitrate_bps <= _BITRATE_BPS[1]:
            raise BadInputError(f"video of {self.bitrate_bps / 1e3:g} kbit/s is not sent", "10kbit to 20mbit")

    @property
    def size(self) -> str:
        """As it is written: ``"640x480"``."""
        return f"{self.width}x{self.height}"

    @property
    def frame_s(self) -> float:
        """From one frame to the next."""
        return 1.0 / self.fps

    def timestamp(self, frame: int) -> int:
        """Return the RTP time of ``frame``, ticks since frame 0."""
        return frame * VIDEO_HZ // self.fps


def parse_size(text: str) -> tuple[int, int]:
    """Return width and height of ``"640x480"``.

    Raises:
        BadInputError: it is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadInputError(f"{text!r} is no picture size", "width x height in pixels: 640x480")
    return int(found[1]), int(found[2])
