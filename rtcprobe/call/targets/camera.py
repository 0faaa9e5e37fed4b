"""A camera in a real Chromium that we watch: the sender that most calls have, over a line of ours, as it adapts.

Rules:
    1. The page is ours, and so is whoever watches it; its packets pass our access line both ways, as any server's do.
    2. We say nothing: what goes back are reports, and what is asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rtcprobe.call.ends.browser.camera import CameraPage, Sending, wall_offset_s
from rtcprobe.call.ends.browser.launching import find_chromium, needs_playwright
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import ECHO_ROUTES, CallSetup, Route, Way
from rtcprobe.call.targets.endings import bounded
from rtcprobe.call.targets.outside_ends import OutsideEnds
from rtcprobe.call.transceiver import PictureWanted, SoundWanted
from rtcprobe.call.watching import Watching
from rtcprobe.result import Clock
from rtcprobe.runtime.streams import Line
from rtcprobe.timeline import CALLEE_ORDER
from rtcprobe.ways import Way as WayName

__all__ = ["CameraCall", "CameraTarget"]

_HERE: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraTarget:
    """A Chromium that shows a camera: ``executable``, and the most it sends of its picture (None: its own limit)."""

    executable: str
    most_bps: float | None = 4e6
    hint: str = ""
    name: str = "page"
    clocks: tuple[Clock, ...] = ("real",)
    directions: Sequence[WayName] = ()
    routes: Sequence[Route] = ECHO_ROUTES

    @classmethod
    def of(cls, browser: str | None = None) -> CameraTarget:
        """Return the Chromium of this machine, or the one given.

        Raises:
            MeasurementError: there is none, or nothing to drive it with.
        """
        needs_playwright()
        return cls(executable=find_chromium(browser))

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> CameraCall:
        """Return a call, not yet begun, on the running loop."""
        del clock
        return CameraCall(self, setup, seed)


class CameraCall(OutsideEnds):
    """One call that we watch. ``told`` is what Chromium said of its sending, once the call has ended."""

    optional = ("offer_sent", "answer_received")

    def __init__(self, target: CameraTarget, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        super().__init__(setup, server=_HERE)
        self._target = target
        self.page = CameraPage(target.executable)
        self.told: Sequence[Sending] = ()
        self.connected_s: float | None = None
        """When Chromium was connected (``time.time()``)."""
        self.wall_offset_s = wall_offset_s()
        """What its clock reads less our loop's."""
        # The scene is the page's own: of a seed this call takes what its two lines draw, and nothing else.
        up, down = seed.spawn(2)
        host = self.host = self.add_host("caller", "caller", up, down)
        watch = PictureWanted(
            track=None,
            media="recvonly",
            codec="VP8",
            watch=lambda feedback, network: Watching("libwebrtc", "vp8", nack=True, feedback=feedback, network=network),
            remb=True,
        )
        line = Line(self.network, host.stream_up, host.stream_down, "caller")
        self._peer = self.add_peer(host, line, [SoundWanted(track=None, media="recvonly"), watch], CALLEE_ORDER)

    @property
    def peers(self) -> list[Peer]:
        """Who watches."""
        return [self._peer]

    @property
    def ways(self) -> list[Way]:
        """None whose words are known."""
        return []

    @property
    def joiners(self) -> list[Peer]:
        """Who watches."""
        return [self._peer]

    def legs(self) -> dict[Any, Any]:
        """Return no leg: what a line did is told packet by packet (``Direction.noted``)."""
        return {}

    def report(self) -> dict[str, Any]:
        """Return what was agreed on, and with which browser."""
        return {"caller": self.report_of(self._peer), "page": {"browser": f"Chromium {self.page.version}"}}

    async def prepare(self) -> None:
        """Start the browser."""
        await super().prepare()
        await self.page.start()

    async def connect(self) -> None:
        """Answer the page's offer."""
        self.begin(self._peer)
        offer = await self.page.offer(self._target.most_bps, self._target.hint)
        answer = await self.answer(self._peer, offer)
        await self.page.accept(answer.text)

    async def say_all(self) -> None:
        """Watch for as long as the call lasts; ends early when it does."""
        begun_s = self.network.now_s()
        ended = asyncio.ensure_future(self._peer.ended.wait())
        try:
            waited_for: set[asyncio.Future[Any]] = {ended, self.lost}
            await asyncio.wait(waited_for, timeout=self.setup.lasts_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if self._peer.ended.is_set():
            self.cut = f"the path from the page broke {self.network.now_s() - begun_s:.1f} s into the call"

    async def leave(self) -> None:
        """Take what Chromium says of its sending."""
        # A page that failed to connect has nothing to tell, and asking a browser that has died takes its patience.
        if self.failed is None:
            self.told = await self.page.told()
            self.connected_s = await self.page.connected_s()

    async def close_peers(self) -> list[str | None]:
        """End the browser, then our own."""
        return [await bounded("ending the browser", self.page.close()), *await super().close_peers()]
