"""A page of ours in a real Chromium that shows a camera: a real sender that adapts, for whoever watches it.

Facts:
    - Chromium's camera is a file of raw pictures (YUV4MPEG2), its microphone beeps once a second.
    - What it says of its sending (``getStats``) is stamped on the wall clock.
    - Chromium calls hosts of its maker's whatever flags say (``launching``).

Rules:
    1. The scene is the one that our own cameras film, with noise enough that a line of 3 Mb/s can be filled.
    2. No address is asked for anywhere: candidates are those of this machine.
    3. No request leaves the browser: the page is answered here, and whatever else asks finds a proxy that nobody is.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from rtcprobe.call.ends.browser.launching import Chromium, first_line, source
from rtcprobe.errors import MeasurementError
from rtcprobe.picture.glass import glass

if TYPE_CHECKING:
    from playwright.async_api import Page

__all__ = ["CameraPage", "Sending"]

URL: Final = "https://camera.invalid/"
"""Answered here: only a page of a secure origin may use a camera. ``.invalid`` is nobody's (RFC 2606 §2)."""
_NOWHERE: Final = "--proxy-server=socks5://127.0.0.1:9"
"""Names, too, are asked of a SOCKSv5 proxy alone (``net/docs/proxy.md`` of Chromium); port 9 discards (RFC 863)."""
# VGA at 30 a second: what ``camera.js`` asks for, and what the encoder's model was measured on
# (``adaptation.encoder``), so that both can be compared.
_WIDTH, _HEIGHT, _FPS = 640, 480, 30
# 55 MB of planes; Chromium plays them over and over, and shows frame 0 twice at each turn.
_CLIP_S: Final = 4
# Of 8-bit luma, of every pixel anew in every frame: no encoder can predict it, so it takes what rate it is given.
_NOISE_SIGMA: Final = 3.0


class Sending(NamedTuple):
    """What Chromium said of its sending at ``at_s`` (``time.time()``): estimate, bytes, height, camera's rate."""

    at_s: float
    estimate_bps: float
    sent_bytes: int
    height: int
    camera_fps: float


class CameraPage:
    """One browser with one page; ``shows`` a camera where it is to send."""

    def __init__(self, executable: str, *, shows: bool = True) -> None:
        self._executable, self._shows = executable, shows
        self._clips: tempfile.TemporaryDirectory[str] | None = None
        self._chromium: Chromium | None = None
        self._page: Page | None = None

    @property
    def version(self) -> str:
        """The browser's; "" before it has started."""
        return "" if self._chromium is None else self._chromium.version

    async def start(self) -> None:
        """Start the browser and open the page.

        Raises:
            MeasurementError: it does not start.
        """
        flags = [_NOWHERE]
        if self._shows:
            self._clips = tempfile.TemporaryDirectory(prefix="rtcprobe-camera-", ignore_cleanup_errors=True)
            clip = Path(self._clips.name) / "camera.y4m"
            write_clip(clip)
            flags.append(f"--use-file-for-fake-video-capture={clip}")
        self._chromium = Chromium(self._executable, flags)
        _, page = await self._chromium.start(source("camera.js"), {})
        await page.route(URL, lambda route: route.fulfill(body="<p>calling", content_type="text/html"))
        await page.goto(URL)
        self._page = page

    async def offer(self, most_bps: float | None = None, hint: str = "") -> str:
        """Return the page's offer, all candidates in it.

        ``most_bps`` is the most it sends of its picture, ``hint`` what that is (W3C mst-content-hint: ``"detail"``
        keeps its size).
        """
        return str(await self._ask("offer", {"most": most_bps, "hint": hint}))

    async def accept(self, answer: str) -> None:
        """Take the answer; sending begins."""
        await self._ask("accept", answer)

    async def answer(self, offer: str) -> str:
        """Watch who made ``offer``."""
        return str(await self._ask("answer", offer))

    async def connected_s(self) -> float | None:
        """Return when it was connected (``time.time()``); None before."""
        at_ms = float(await self._ask("connected", None))
        return at_ms / 1e3 if at_ms else None

    async def told(self) -> Sequence[Sending]:
        """Return what it said of its sending so far, in the order of time."""
        rows: Sequence[Sequence[float]] = await self._ask("told", None)
        return [Sending(at / 1e3, bps, int(sent), int(height), fps) for at, bps, sent, height, fps in rows]

    async def close(self) -> None:
        """End it, whatever state it is in."""
        try:
            if self._chromium is not None:
                await self._chromium.close()
        finally:
            if self._clips is not None:
                self._clips.cleanup()

    async def _ask(self, what: str, argument: object) -> Any:
        from playwright.async_api import Error  # noqa: PLC0415 - an extra

        if self._page is None:
            raise MeasurementError("the page that shows a camera was not opened")
        try:
            return await self._page.evaluate(f"(argument) => rtcprobeCamera.{what}(argument)", argument)
        except Error as error:
            raise MeasurementError(f"the page that shows a camera, {what}: {first_line(error)}") from error


def wall_offset_s() -> float:
    """Return what the wall clock reads less ``time.monotonic()``, which our loops run on."""
    return time.time() - time.monotonic()


def write_clip(path: Path) -> None:
    """Write some seconds of the scene (rule 1). Source of the format: yuv4mpeg(5)."""
    scene = glass(_WIDTH, _HEIGHT, seed=1)
    random = np.random.default_rng(1)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{_WIDTH} H{_HEIGHT} F{_FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(_CLIP_S * _FPS):
            planes = scene.picture(number)
            noise = random.normal(0.0, _NOISE_SIGMA, (_HEIGHT, _WIDTH))
            # Luma alone, and within its nominal range (ITU-R BT.601: 16 to 235).
            planes[:_HEIGHT] = (planes[:_HEIGHT] + noise).clip(16, 235).astype(np.uint8)
            file.write(b"FRAME\n" + planes.tobytes())
