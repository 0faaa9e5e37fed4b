"""A page in a browser of our own as an end of a call: what it said, what came, how its join came about.

Facts:
    A page has no offer or answer for us: it signals by itself, with whoever it likes. What it leaves is what every end
    leaves (``recording``): when its mouth spoke, what left and came on its link, and the sound it played.

Rules:
    1. Its media passes our TURN server, or the run does not count: that the pair in use is relayed by us, that no round
       trip is shorter than the link's, and that packets of page and link agree is looked at after every call.
    2. What it says of itself (getStats) stands beside what was measured, never in its place.
    3. The packets of its join are timed on the link; the rest by its own clock, which is ours (``events``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from rtcprobe.call.ends.browser.events import PageTimeline, Told
from rtcprobe.call.ends.browser.figures import figures_of, passed_of
from rtcprobe.call.ends.browser.filming import PagePictures
from rtcprobe.call.ends.browser.launching import source
from rtcprobe.call.ends.browser.microphone import FileMicrophone
from rtcprobe.call.ends.browser.record import PageRecord
from rtcprobe.call.ends.browser.sounding import Returned
from rtcprobe.call.ends.browser.tab import PagePlan, Tab
from rtcprobe.call.ends.browser.tap import BrowserTap
from rtcprobe.call.ends.browser.voice import PageVoice
from rtcprobe.call.mouth_track import Speech
from rtcprobe.picture.settings import VideoSettings
from rtcprobe.runtime.outside import OutsideHost
from rtcprobe.runtime.turn_end import TurnEnd
from rtcprobe.timeline import Side

__all__ = ["BrowserEnd"]


class BrowserEnd(PageRecord):
    """One page (``ends.base.End``, but for descriptions)."""

    def __init__(
        self,
        host: OutsideHost,
        side: Side,
        plan: PagePlan,
        speech: Speech | None,
        executable: str,
        *,
        direct: bool,
        patience_s: float,
        camera: VideoSettings | None = None,
        looks: bool = False,
    ) -> None:
        """Make it; nothing is opened. ``direct``: nothing stands between it and whom it hears; ``camera``: it films.

        ``patience_s`` is how long a microphone may be open before anybody talks.
        """
        self.side = side
        self.timeline = PageTimeline(side)
        self.connected, self.failed, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.heard_packet = asyncio.Event()
        self.own_s: dict[str, float] = {}
        self.passed = None
        self.speaks = speech is not None
        self.tap = host.tap = BrowserTap(side, self._on_link)
        self.tab = Tab(host, side, plan, executable)
        # A page that is lost, whatever it died of, ends its part in the call as a broken path does.
        self.tab.lost.add_done_callback(lambda _: self.ended.set())
        self.host, self.direct = host, direct
        self._voice = PageVoice.of(speech if plan.generates else None)
        self.figures = {}
        self.told = Told(
            timeline=self.timeline,
            described=self.tap.described,
            connected=self._connected,
            complain=self.tab.complain,
            refused=lambda why: self.tab.lose(f"the page cannot speak: {why}"),
        )
        self._microphone: FileMicrophone | None = None
        if speech is not None and not plan.generates:
            self._microphone = FileMicrophone(speech, patience_s, host.network.now_s)
            self.told.microphone = self._microphone.mouth
        lasts_s = 0.0 if speech is None else speech.duration_s
        self.sights = PagePictures(
            settings=camera, looks=looks, direct=direct, lasts_s=lasts_s, told=self.told, tap=self.tap
        )
        self.returned = Returned()
        self._early: dict[str, float] = {}
        self._turn: TurnEnd | None = None
        self._speaking = self._finished = False

    async def prepare(self, address: str) -> None:
        """Start the browser, with a TURN server of its own at ``address``: no part of the join.

        Raises:
            MeasurementError: it does not start.
        """
        turn = self._turn = self.sights.turn = TurnEnd(self.host, address)
        # Playwright calls a binding with where the call came from first; what it
        # returns goes to the page as a promise's value.
        bindings: dict[str, Callable[..., Any]] = {
            "__rtcprobe_tell": lambda _source, text: self.told.take(str(text)),
            "__rtcprobe_heard": lambda _source, text: self.returned.take(str(text)),
            "__rtcprobe_seen": lambda _source, text: self.sights.take(str(text)),
            "__rtcprobe_sound": lambda _source: self._voice.sound,
        }
        flags = []
        if self._microphone is not None:
            # ``microphone`` is bound on the next line, and there by the time a page can open one.
            bindings["__rtcprobe_tapped"] = lambda _source, text: microphone.take(str(text))
            flags, microphone = [self._microphone.write()], self._microphone
        await self.tab.start(self._script(turn), bindings, flags)

    async def open(self, limit_s: float) -> None:
        """Open the page and do its steps; its join begins with the navigation.

        Raises:
            MeasurementError: it does not open, or a step cannot be done.
        """
        await self.tab.open(limit_s, self._opened)
        if self.tab.plan.steps:
            self.timeline.mark("steps_done", self.host.network.now_s())

    async def speak(self) -> None:
        """Let its mouth speak, now and wherever it gets a microphone later."""
        self._speaking = True
        if self._microphone is not None:
            self._microphone.speak()
        await self.tab.everywhere("globalThis.__rtcprobe && __rtcprobe.speak()")

    async def look(self) -> None:
        """Take what the page says of its connections, now: once nobody speaks any more its playout makes up sound."""
        turn = self._turn
        if turn is None or self.passed is not None:
            return
        said = await self.tab.everywhere("globalThis.__rtcprobe ? __rtcprobe.figures() : []")
        told = [each for part in said if isinstance(part, list) for each in part]
        self.figures = figures_of(told)
        self.passed = passed_of(told, relayed=turn.relayed, up=turn.up_packets, down=turn.down_packets)

    async def finish(self) -> None:
        """Take what the page has still to tell: the last of its sound, and what it says where nobody asked yet."""
        if self._finished or self._turn is None:
            return
        # Before the first await: two tasks may ask for the end at once, and what closes now closes because we say so.
        self._finished = self.tab.over = True
        await self.tab.everywhere("globalThis.__rtcprobe && __rtcprobe.flush()")
        await self.look()

    async def close(self) -> None:
        """End the browser, and leave nothing of it."""
        try:
            await self.tab.close()
        finally:
            if self._turn is not None:
                self._turn.close()
            if self._microphone is not None:
                self._microphone.close()

    def _script(self, turn: TurnEnd) -> str:
        who = turn.credentials
        config = {
            "iceServers": [{"urls": turn.url, "username": who.user, "credential": who.password}],
            "generates": self.tab.plan.generates,
            "taps": self._microphone is not None,
            "loop": self._voice.loop,
            "total": self._voice.total,
            "mouth": source("mouth.js"),
            "ear": source("ear.js"),
            **self.sights.plan,
        }
        # JSON is a literal of JavaScript, so the whole plan stands in the script where the placeholder stood.
        return source("init.js").replace("/*config*/", json.dumps(config))

    def _opened(self, origin_ms: float, begun: float) -> None:
        """Begin the join with the navigation, whose instants are ``begun`` of ours and ``origin_ms`` of the page's."""
        epoch_s = self.host.network.epoch_s
        self.timeline.begin(begun - epoch_s)
        self.told.begin(begun - origin_ms / 1e3, epoch_s, origin_ms)
        # What the link saw before the clock of the page was known: these packets are
        # the join's own, for the page navigated first.
        for milestone, at_s in self._early.items():
            self.timeline.mark(milestone, at_s)

    def _on_link(self, milestone: str, at_s: float) -> None:
        if self.told.clock is None:
            self._early.setdefault(milestone, at_s)
        else:
            self.timeline.mark(milestone, at_s)
        if milestone == "first_packet":
            self.heard_packet.set()

    def _connected(self) -> None:
        """Take the page's word for a media path; the link's instant stands where it has one."""
        self.timeline.mark("dtls_connected", self.host.network.now_s())
        self.tab.settled = True
        self.connected.set()
        # A page that connects anew (a room that is joined again) may have a document whose mouth was not told to speak.
        if self._speaking:
            self.tab.beside(self.speak())
