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
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from rtcprobe.call.ends.browser.events import PageTimeline, Told
from rtcprobe.call.ends.browser.figures import Passed, figures_of, passed_of
from rtcprobe.call.ends.browser.filming import PagePictures
from rtcprobe.call.ends.browser.launching import source
from rtcprobe.call.ends.browser.sounding import Returned
from rtcprobe.call.ends.browser.tab import PagePlan, Tab
from rtcprobe.call.ends.browser.tap import BrowserTap
from rtcprobe.call.ends.browser.voice import PageVoice
from rtcprobe.call.mouth_track import Speech
from rtcprobe.call.transceiver import Sound
from rtcprobe.hearing.played import MOST_UNSETTLED, SETTLING_S, disturbances, unsettled_s
from rtcprobe.picture.settings import VideoSettings
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.recording import Came, Said
from rtcprobe.runtime.media_seam import MediaPath
from rtcprobe.runtime.outside import OutsideHost
from rtcprobe.runtime.turn_end import TurnEnd
from rtcprobe.timeline import Side, Wait

__all__ = ["BrowserEnd"]

_LAST_PACKET_S: Final = 0.04
"""How long after the last word its packet may leave: it is of 20 ms. What leaves later is silence that nobody waits
for, sent while the page is asked for its figures, which holds it up for some 20 ms."""


class BrowserEnd:
    """One page (``ends.base.End``, but for descriptions)."""

    sections: Sequence[Any] = ()
    pictures: Sequence[Any] = ()

    def __init__(
        self,
        host: OutsideHost,
        side: Side,
        plan: PagePlan,
        speech: Speech | None,
        executable: str,
        *,
        direct: bool,
        camera: VideoSettings | None = None,
        looks: bool = False,
    ) -> None:
        """Make it; nothing is opened. ``direct``: nothing stands between it and whom it hears; ``camera``: it films."""
        self.side = side
        self.timeline = PageTimeline(side)
        self.connected, self.failed, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.heard_packet = asyncio.Event()
        self.own_s: dict[str, float] = {}
        self.passed: Passed | None = None
        """Whether all media passed our link, once the call is over."""
        self.speaks = speech is not None
        self.tap = host.tap = BrowserTap(side, self._on_link)
        self.tab = Tab(host, side, plan, executable)
        self.tab.lost.add_done_callback(lambda _: self.ended.set())
        self._host, self._direct = host, direct
        self._voice = PageVoice.of(speech)
        self._figures: Mapping[str, float] = {}
        self._told = Told(
            timeline=self.timeline,
            described=self.tap.described,
            connected=self._connected,
            complain=self.tab.complain,
            refused=lambda why: self.tab.lose(f"the page cannot speak: {why}"),
        )
        lasts_s = 0.0 if speech is None else speech.duration_s
        self.sights = PagePictures(settings=camera, looks=looks, lasts_s=lasts_s, told=self._told, tap=self.tap)
        self._returned = Returned()
        self._early: dict[str, float] = {}
        self._turn: TurnEnd | None = None
        self._speaking = self._finished = False

    # What a call asks of an end.

    @property
    def host_name(self) -> str:
        """The machine it is on."""
        return self._host.name

    @property
    def started_s(self) -> float | None:
        """When its first sample was spoken; None before."""
        return self._told.mouth.began_s

    @property
    def said_all(self) -> bool:
        """Whether it has said all it has."""
        return self._told.mouth.ended_s is not None

    @property
    def came_s(self) -> tuple[float, float] | None:
        """When the first and the last packet of sound came; None before the first."""
        arrivals = self.tap.arrivals
        return (arrivals[0][0], arrivals[-1][0]) if len(arrivals) else None

    def said(self) -> Said:
        """Return what was said so far."""
        mouth = self._told.mouth
        since_s = mouth.began_s or 0.0
        until_s = math.inf if mouth.ended_s is None else mouth.ended_s + _LAST_PACKET_S
        return Said(
            party=self.side,
            frames=(),
            ptime_s=BLOCK_S,
            started_s=mouth.began_s,
            finished=self.said_all,
            departures=[each for each in self.tap.spoken() if since_s <= each.at_s <= until_s],
            late_s=mouth.late_s,
            late_from_s=mouth.late_from_s,
        )

    def came(self, *, forwarded: bool, there_and_back: bool, section: Sound | None = None) -> Came:
        """Return what came so far: packets by their headers, and the sound the page played."""
        del section  # of a page's sections none is ours to choose from
        sound, *beside = self._returned.sounds(self._told.shift_s, self._figures)
        return Came(
            listener=self.side,
            arrivals=self.tap.arrivals,
            agreed=None,
            begun_s=self.timeline.begun_s,
            forwarded=forwarded and not self._direct,
            there_and_back=there_and_back,
            sound=sound,
            beside=beside,
            away_s=self.tap.echoed_s() if there_and_back else (),
        )

    def disturbed(self) -> str | None:
        """Return that the browser itself spoilt more than a twentieth of the call, in a sentence; None where not."""
        said, sound = self.said(), self._returned.sounds(self._told.shift_s, {})[0]
        since_s, until_s = said.started_s, self.came_s
        if since_s is None or until_s is None:
            return None
        stalls = [each for each in disturbances(said, sound) if each.at_s >= until_s[0]]
        spoilt_s = unsettled_s(stalls, since_s, until_s[1])
        if spoilt_s <= MOST_UNSETTLED * (until_s[1] - since_s):
            return None
        first = next(each for each in stalls if since_s - SETTLING_S < each.at_s < until_s[1])
        late_ms = f"{first.lasted_s * 1e3:.0f} ms late"
        return f"{first.what} of the {self.side}'s browser was {late_ms} at {first.at_s:.2f} s"

    def path(self) -> MediaPath:
        """Return nothing: what was agreed on is the page's matter."""
        return MediaPath()

    def line_waits(self) -> list[Wait]:
        """Return what the link's TCP sent again for its signalling."""
        return self.tab.socks.line.waits()

    # How it is led.

    async def prepare(self, address: str) -> None:
        """Start the browser, with a TURN server of its own at ``address``: no part of the join.

        Raises:
            MeasurementError: it does not start.
        """
        turn = self._turn = self.sights.turn = TurnEnd(self._host, address)
        bindings: dict[str, Callable[..., Any]] = {
            "__rtcprobe_tell": lambda _source, text: self._told.take(str(text)),
            "__rtcprobe_heard": lambda _source, text: self._returned.take(str(text)),
            "__rtcprobe_seen": lambda _source, text: self.sights.take(str(text)),
            "__rtcprobe_sound": lambda _source: self._voice.sound,
        }
        await self.tab.start(self._script(turn), bindings)

    async def open(self, limit_s: float) -> None:
        """Open the page and do its steps; its join begins with the navigation.

        Raises:
            MeasurementError: it does not open, or a step cannot be done.
        """
        await self.tab.open(limit_s, self._opened)
        if self.tab.plan.steps:
            self.timeline.mark("steps_done", self._host.network.now_s())

    async def speak(self) -> None:
        """Let its mouth speak, now and wherever it gets a microphone later."""
        self._speaking = True
        await self.tab.everywhere("globalThis.__rtcprobe && __rtcprobe.speak()")

    async def look(self) -> None:
        """Take what the page says of its connections, now: once nobody speaks any more its playout makes up sound."""
        turn = self._turn
        if turn is None or self.passed is not None:
            return
        said = await self.tab.everywhere("globalThis.__rtcprobe ? __rtcprobe.figures() : []")
        told = [each for part in said if isinstance(part, list) for each in part]
        self._figures = figures_of(told)
        self.passed = passed_of(told, relayed=turn.relayed, up=turn.up_packets, down=turn.down_packets)

    async def finish(self) -> None:
        """Take what the page has still to tell: the last of its sound, and what it says where nobody asked yet."""
        if self._finished or self._turn is None:
            return
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

    def report(self) -> dict[str, Any]:
        """Return which browser it was and what was done to it, and what it says of itself."""
        out = _of_browser(self.tab)
        late_s = self._told.mouth.late_s
        if late_s:
            out |= {f"mouth_late_p{q}_s": float(np.percentile(late_s, q)) for q in (50, 95, 99)}
        if self._figures:
            out["getStats"] = dict(self._figures)
        if self.passed is not None:
            out["media"] = self.passed.words
        if self.tab.socks.refused:
            out["hosts_refused"] = dict(self.tab.socks.refused)
        return out

    def excuses(self) -> str:
        """Return what the page's own faults say about a join that failed, as the end of a sentence."""
        found = ([f"at {self.tab.step}"] if self.tab.step else []) + self.tab.faults[:2]
        if self._told.clock is not None and not self._told.connections:
            found = [*found, "the page made no connection"]
        elif self._told.clock is not None and not self._told.asked and self.speaks:
            found = [*found, "the page never asked for a microphone"]
        return (f" ({'; '.join(found)})" if found else "") + self.tab.unreached()

    def _script(self, turn: TurnEnd) -> str:
        who = turn.credentials
        config = {
            "iceServers": [{"urls": turn.url, "username": who.user, "credential": who.password}],
            "generates": self.tab.plan.generates,
            "loop": self._voice.loop,
            "total": self._voice.total,
            "mouth": source("mouth.js"),
            "ear": source("ear.js"),
            **self.sights.plan,
        }
        return source("init.js").replace("/*config*/", json.dumps(config))

    def _opened(self, origin_ms: float, begun: float) -> None:
        """Begin the join with the navigation, whose instants are ``begun`` of ours and ``origin_ms`` of the page's."""
        epoch_s = self._host.network.epoch_s
        self.timeline.begin(begun - epoch_s)
        self._told.begin(begun - origin_ms / 1e3, epoch_s, origin_ms)
        for milestone, at_s in self._early.items():
            self.timeline.mark(milestone, at_s)

    def _on_link(self, milestone: str, at_s: float) -> None:
        if self._told.clock is None:
            self._early.setdefault(milestone, at_s)
        else:
            self.timeline.mark(milestone, at_s)
        if milestone == "first_packet":
            self.heard_packet.set()

    def _connected(self) -> None:
        """Take the page's word for a media path; the link's instant stands where it has one."""
        self.timeline.mark("dtls_connected", self._host.network.now_s())
        self.tab.settled = True
        self.connected.set()
        if self._speaking:
            self.tab.beside(self.speak())


def _of_browser(tab: Tab) -> dict[str, Any]:
    chromium, out = tab.chromium, dict[str, Any]()
    if chromium is not None and chromium.version:
        out |= {"browser": f"Chromium {chromium.version}", "flags": " ".join(chromium.flags)}
        out |= {"priority": chromium.priority, "patches": _PATCHES}
    if tab.plan.generates:
        out["mouth"] = _GENERATED
    return out


_PATCHES: Final = (
    "RTCPeerConnection: ICE servers ours, policy relay; getUserMedia: the microphone is ours, and the camera where the "
    "scenario has one"
)
_GENERATED: Final = "generator: what the page asked of echo cancellation, noise suppression and gain is passed by"
