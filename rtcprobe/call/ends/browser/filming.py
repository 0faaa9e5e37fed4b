"""A page's camera and its eye: what is filmed in it, what it shows of others, and when.

Facts:
    - A generator track takes pictures as planes: nothing is drawn, nothing converted, and a worker that may wait hands
      each over within a millisecond of its time.
    - ``VideoFrame.metadata()`` tells the RTP time of a decoded picture (WebCodecs VideoFrame Metadata Registry), and so
      does ``requestVideoFrameCallback``, with the instant at which it was on the screen (``presentationTime``). The
      former leaves no picture out, the latter 3 to 12 in 100: read by the one, timed by the other.

Rules:
    1. Who has a camera in the scenario films wherever its page asks for a camera; else the page is given the browser's.
    2. Each camera counts its frames from 0. What was filmed is what that one filmed which a connection had for longest;
       where none had any, as of a track that was copied, the latest.
    3. Every remote picture is looked at; the viewer's is the track in which most numbers are read.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np

from rtcprobe.call.ends.browser.events import Told
from rtcprobe.call.ends.browser.launching import source
from rtcprobe.call.ends.browser.tap import BrowserTap
from rtcprobe.picture.marker import CELLS, NUMBERS, edges, read_cells, word
from rtcprobe.picture.settings import VideoSettings
from rtcprobe.recording import Filmed, Glimpse, Looked
from rtcprobe.runtime.turn_end import TurnEnd
from rtcprobe.wrapping import RTP_CYCLE

__all__ = ["PagePictures"]

_SPARE_S: Final = 60.0
"""What a camera may have filmed before the call begins: the page's own steps, and those who are waited for."""


@dataclass(slots=True)
class _Shot:
    filmed_ms: dict[int, float] = field(default_factory=dict)
    """By number."""
    sent: int = 0
    """Reports during which a connection had it."""

    def weight(self) -> tuple[int, bool]:
        return self.sent, bool(self.filmed_ms)


@dataclass(slots=True)
class _Seen:
    at_ms: list[float] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)
    cells: list[list[int] | None] = field(default_factory=list)
    shown_ms: dict[int, float] = field(default_factory=dict)
    """By RTP time."""


@dataclass(slots=True, kw_only=True)
class PagePictures:
    """What one page films by ``settings`` (None: nothing) for ``lasts_s`` at most, and sees where it ``looks``."""

    settings: VideoSettings | None
    looks: bool
    lasts_s: float
    told: Told
    tap: BrowserTap
    direct: bool = False
    """Nothing stands between it and whom it sees."""
    turn: TurnEnd | None = None
    """Through which its media goes, once there is one."""
    policy: ClassVar = "the browser's own"
    _cameras: dict[int, _Shot] = field(default_factory=dict)
    _eyes: dict[tuple[int, int], _Seen] = field(default_factory=dict)

    @property
    def plan(self) -> Mapping[str, Any]:
        """What the page is told: its camera's plan (None: there is none), and the scripts of camera and eye."""
        scripts = {"looks": self.looks, "film": source("film.js"), "eye": source("eye.js")}
        return {"camera": None if self.settings is None else _plan(self.settings, self.lasts_s), **scripts}

    def take(self, text: str) -> None:
        """Take what the camera or an eye told, as the init script words it; what cannot be read is left out."""
        try:
            event = json.loads(text)
            if "filmed" in event:
                shot = self._cameras.setdefault(int(event["c"]), _Shot())
                shot.filmed_ms.update((int(number), float(at_ms)) for number, at_ms in event["filmed"])
                shot.sent += event.get("sent") is True
            elif "fault" in event:
                self.told.complain(f"a picture could not be looked at: {str(event['fault'])[:200]}")
            else:
                self._look(event)
        except (ValueError, TypeError, KeyError):
            return

    def filmed(self) -> Filmed | None:
        """Return what was filmed, and is asked for while the mouth spoke; None where nothing was."""
        filmed_ms = max(reversed(self._cameras.values()), key=_Shot.weight, default=_Shot()).filmed_ms
        if self.settings is None or not filmed_ms:
            return None
        numbers, mouth, films = sorted(filmed_ms), self.told.mouth, self.tap.films()
        return Filmed(
            numbers=np.array(numbers, dtype=np.int64),
            at_s=np.array([filmed_ms[each] for each in numbers]) / 1e3 + self.told.shift_s,
            departures=self.tap.departures(*films) if films else (),
            fps=self.settings.fps,
            size=self.settings.size,
            # The camera films from when the page asked for it; asked for is what it
            # filmed while its party spoke, as of sound.
            since_s=math.inf if mouth.began_s is None else max(mouth.began_s, mouth.since_s or -math.inf),
            until_s=math.inf if mouth.ended_s is None else mouth.ended_s,
        )

    def meets(self, other: PagePictures) -> bool:
        """Return whether all media of this page went to the ``other`` itself: no server stood between."""
        if self.direct:
            return True
        # Where its media went to is what the other page was given by its own TURN server: then nobody stands between.
        to = None if self.turn is None else self.turn.sent_to
        return bool(to) and other.turn is not None and other.turn.given.issuperset(to or ())

    def looked(self) -> Looked:
        """Return what the eye saw in which most numbers were read."""
        seen, shift_s = max(self._eyes.values(), key=_read, default=_Seen()), self.told.shift_s
        glimpses = [
            Glimpse(
                at_s=at_ms / 1e3 + shift_s,
                timestamp=stamp,
                size=size,
                cells=None if cells is None else np.array(cells, dtype=np.float64),
                shown_s=None if stamp not in seen.shown_ms else seen.shown_ms[stamp] / 1e3 + shift_s,
            )
            for at_ms, stamp, size, cells in zip(seen.at_ms, seen.timestamps, seen.sizes, seen.cells, strict=True)
        ]
        return Looked(glimpses=glimpses, arrivals=self.tap.pictures_came())

    def _look(self, event: Mapping[str, Any]) -> None:
        eye = self._eyes.setdefault((int(event["n"]), int(event["id"])), _Seen())
        for each in event.get("shown", ()):
            eye.shown_ms[int(each["rtp"]) % RTP_CYCLE] = float(each["at"])
        for each in event.get("seen", ()):
            if each.get("rtp") is None:
                continue  # nobody could say which frame it is
            cells = each["cells"]
            size = f"{int(each['size'][0])}x{int(each['size'][1])}"
            at_ms, stamp = float(each["at"]), int(each["rtp"]) % RTP_CYCLE
            # A picture too small for its marker, or one whose planes could not be
            # read, has no cells: it came, and names no frame.
            found = None if cells is None or len(cells) != CELLS else [int(cell) for cell in cells]
            eye.at_ms.append(at_ms)
            eye.timestamps.append(stamp)
            eye.sizes.append(size)
            eye.cells.append(found)


def _plan(settings: VideoSettings, lasts_s: float) -> Mapping[str, Any]:
    rows, columns = edges(settings.height, settings.width)
    # One word of cells a frame, made here: the worker that films must not compute while its next frame is due.
    count = min(NUMBERS, math.ceil((lasts_s + _SPARE_S) * settings.fps))
    words = np.array([word(number) for number in range(count)], dtype="<u4")
    shape = {"width": settings.width, "height": settings.height, "fps": settings.fps, "rows": rows, "columns": columns}
    return {**shape, "words": base64.b64encode(words.tobytes()).decode("ascii")}


def _read(seen: _Seen) -> int:
    # Of the first ten seconds at 30 a second: enough to tell the track that has our numbers from one that has none.
    found = (read_cells(np.array(each, dtype=np.float64)) for each in seen.cells[:300] if each is not None)
    return sum(each is not None for each in found)
