"""How a call from pages runs: browsers started, pages led to their calls, asked, ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

from rtcprobe.call.ends.browser.end import BrowserEnd
from rtcprobe.call.ends.browser.launching import LAUNCH_TIMEOUT_S
from rtcprobe.call.ends.browser.served import OwnPage
from rtcprobe.call.sdp import usable_offer
from rtcprobe.call.targets.endings import HANG_UP_TIMEOUT_S, OVERTIME_S
from rtcprobe.call.targets.page_ends import PageEnds
from rtcprobe.link import Requested
from rtcprobe.runtime.outside import all_addresses, local_addresses

__all__ = ["PageCall"]

_END_S: Final = 1.0
"""How long a call goes on after the last word: what was said last passes a jitter buffer of a second at most."""
_PAGE_S: Final = 5.0
"""What the empty page takes, once the browser is there, on a machine with other work."""
_SLACK_S: Final = 0.001
"""How much shorter than the link a round trip may seem: stats of a page count whole milliseconds."""


class PageCall(PageEnds):
    """One call from one or two pages. What it measured stays readable at any moment, finished or not."""

    _served: OwnPage | None = None
    """Our own page, while it is served."""

    @property
    def preparing_s(self) -> float:
        """How long a browser may take to start: on a machine with work to do much longer than a join."""
        return max(self.setup.join_timeout_s, LAUNCH_TIMEOUT_S + _PAGE_S)

    async def prepare(self) -> None:
        """Start the browsers, and serve our own page."""
        address = _own_address()
        if self.ours is not None:
            host = self._hosts[self.ours.side]
            host.candidates = local_addresses([address])
            host.address = host.candidates[0]
            self._served = OwnPage(self._answer)
            port = await self._served.start()
            tab = self.pages[0].tab
            # By the name that the plan's hosts allow (``page_ends``).
            tab.plan = replace(tab.plan, url=f"http://localhost:{port}/{self._pictures()}")
        await asyncio.gather(*(page.prepare(address) for page in self.pages))
        for page in self.pages:
            page.tab.lost.add_done_callback(self._lost)

    async def connect(self) -> None:
        """Open the pages, and lead them to their calls."""
        if self.ours is not None:
            self.ours.begin()
        await asyncio.gather(*(page.open(self.setup.join_timeout_s) for page in self.pages))

    def let_speak(self, *, joining: bool) -> None:
        """Let the mouths speak."""
        super().let_speak(joining=joining)
        for page in self.pages:
            self.meanwhile(page.speak())

    async def say_all(self) -> None:
        """Wait until all is said and the last of it has come; ends early when the call does."""
        begun_s = self.network.now_s()
        limit_s = self.setup.longest_speech_s + OVERTIME_S
        try:
            async with asyncio.timeout(limit_s):
                while not self._said_all():
                    if self.lost.done() or any(peer.ended.is_set() for peer in self.peers):
                        self.cut = self._why_cut(begun_s)
                        return
                    # Ends are told in several ways (a page's event, a track, a path): looked at
                    # twenty times a second, as nothing is timed by it.
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self.cut = f"a mouth had not said all it has {limit_s:.1f} s into the call"
            return
        # Before the last second: from here on playout makes up sound, and its counters go on.
        await asyncio.gather(*(page.look() for page in self.pages))
        await asyncio.sleep(_END_S + max(0.0, self.network.last_arrival_s - self.network.now_s()))

    async def leave(self) -> None:
        """Take what the pages have still to tell, and look whether all media passed our link."""
        for page in self.pages:
            await page.finish()
            self.warnings += page.tab.warnings
            # A call that failed measured nothing that could be doubted.
            doubt = None if self.failed is not None else self._doubt(page)
            if doubt is not None:
                self.invalid.append(doubt)

    async def close_peers(self) -> list[str | None]:
        """End the browsers, then our own."""
        closed = await super().close_peers()
        if self._served is not None:
            await self._served.close()
        return closed

    async def close_network(self) -> None:
        """Close whatever socket is left."""
        await self.network.drained(HANG_UP_TIMEOUT_S)
        self.network.close()

    def unanswered(self, peer: Any) -> str:
        """Return what the page's own faults say."""
        return peer.excuses() if isinstance(peer, BrowserEnd) else ""

    def _pictures(self) -> str:
        """Return what our own page is told of pictures: that it films, that it watches, or nothing."""
        cameras = self.setup.cameras
        return "" if not cameras else "?films" if self.pages[0].side in cameras else "?watches"

    def _said_all(self) -> bool:
        ours = self.ours
        done = [page.said_all for page in self.pages if page.speaks]
        if ours is not None and ours.speaks:
            done.append(ours.track.finished.is_set())
        return all(done)

    def _why_cut(self, begun_s: float) -> str:
        after_s = self.network.now_s() - begun_s
        if self.lost.done():
            return f"{self.lost.result()} {after_s:.1f} s into the call"
        broken = next(peer for peer in self.peers if peer.ended.is_set())
        return f"the {broken.side}'s media path broke {after_s:.1f} s into the call"

    def _lost(self, why: asyncio.Future[str]) -> None:
        if not why.cancelled():
            self.lose(why.result())

    def _doubt(self, page: BrowserEnd) -> str | None:
        """Return why what ``page`` measured does not count, a sentence; None where it does."""
        passed = page.passed
        if passed is None or passed.wrong is not None:
            return None if passed is None else passed.wrong
        host = self._hosts[page.side]
        # What the links were asked for at the least, not what they did: a media
        # path that went past them has no tally at all.
        asked = [Requested.of([link.spec for link in way.path.links]).delay_min_s for way in (host.up, host.down)]
        least_s = sum(each or 0.0 for each in asked)
        if passed.round_trip_s is not None and passed.round_trip_s < least_s - _SLACK_S:
            trip_ms, least_ms = passed.round_trip_s * 1e3, least_s * 1e3
            return f"the page's round trip, {trip_ms:.1f} ms, is shorter than our link's, {least_ms:.1f}: it went past"
        return None

    async def _answer(self, offer: str) -> str:
        """Answer the offer of our own page."""
        assert self.ours is not None
        codec = next((each.codec for each in self.ours.pictures), None)
        usable = usable_offer(offer, codec=codec)
        if usable.without_picture:  # the stack answers no offer that lacks a section of ours
            await self.ours.go_without_pictures()
            self.warnings.append("the browser offered no picture that our peer knows: the sound was measured")
        answer = await self.ours.answer(usable)
        return usable.answered(answer).text


def _own_address() -> str:
    """Return the address of this machine at which peers anywhere find what we relay."""
    return all_addresses()[0]
