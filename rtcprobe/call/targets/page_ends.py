"""Who takes part in a call from pages: browsers behind their lines, and where the page is our own, a peer of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from rtcprobe.call.ends.browser.end import BrowserEnd
from rtcprobe.call.ends.browser.launching import find_chromium
from rtcprobe.call.ends.browser.tab import PagePlan
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.base import CallSetup, Route, Way
from rtcprobe.call.targets.course import Course
from rtcprobe.call.targets.page_peer import PagePeer, picture_wanted
from rtcprobe.call.transceiver import SoundWanted
from rtcprobe.call.watching import Watching
from rtcprobe.link import Link, LinkSpec, Path
from rtcprobe.runtime.direction import Direction
from rtcprobe.runtime.outside import OutsideHost, OutsideNetwork
from rtcprobe.timeline import CALLEE_ORDER, Timer, Wait
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["SPARE_S", "PageEnds"]

SPARE_S: Final = 10.0
"""How much longer than a join may take a page's microphone is expected to be open before anybody talks."""


class PageEnds(Course):
    """Pages, and our peer where they call it; how they are led is a subclass's matter (``page_call``)."""

    network: OutsideNetwork
    optional = ("steps_done", "microphone_given", "connection_made", "offer_sent", "answer_received")

    def __init__(
        self,
        plans: Sequence[PagePlan],
        browser: str | None,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        *,
        generates: bool = True,
    ) -> None:
        """Make a call from pages by their plans; none: from our own page to a peer of ours.

        ``generates``: the microphone of our own page is ours.
        """
        super().__init__(setup, OutsideNetwork(asyncio.get_running_loop()))
        names = list(setup.speech)[:2]
        network_seed, phase_seed, mouth_seed = seed.spawn(3)
        own = not plans
        far, signals = ("callee", "server") if own else ("target", "target")
        # Four a page, whether or not its signalling has lines of its own: seeds do not depend on the kind of page.
        seeds = network_seed.spawn(4 * len(names))
        # Its URL is known when it is served (``page_call.prepare``).
        plans = plans or (PagePlan(url="", hosts=("localhost",), generates=generates),)
        executable = find_chromium(browser)
        self.pages = []
        for place, (name, plan) in enumerate(zip(names, plans, strict=False)):
            host = self._host(name, far, signals, seeds[4 * place :])
            camera = setup.cameras.get(name)
            self.pages.append(
                BrowserEnd(
                    host,
                    name,
                    plan.of(name),
                    setup.speech[name],
                    executable,
                    direct=own,
                    patience_s=setup.join_timeout_s + SPARE_S,
                    camera=None if camera is None else camera.film.settings,
                    looks=bool(setup.cameras),
                )
            )
        self.ours: PagePeer | None = None
        if own:
            phase = float(np.random.Generator(np.random.PCG64(phase_seed)).random())
            self.ours = self._own_peer(names[1], phase, mouth_seed)

    @property
    def peers(self) -> list[Any]:
        """The pages, and our peer where there is one."""
        return [*self.pages, *([] if self.ours is None else [self.ours])]

    @property
    def ways(self) -> list[Way]:
        """There and back in an echo; else both ways."""
        one, other = self.peers[0], self.peers[-1]
        if one is other:
            return [Way(WayName("round_trip"), one, one)]
        both = [Way(WayName.of(a.side, b.side), a, b) for a, b in ((one, other), (other, one))]
        return [way for way in both if way.talker.speaks]

    @property
    def joiners(self) -> list[Any]:
        """The caller's page."""
        return self.peers[:1]

    def waits(self, joiner: Any) -> list[Wait]:
        """Return the checks that the page sent again, and the segments of its signalling."""
        begun_s = joiner.timeline.begun_s
        found = [*joiner.tap.waits(), *joiner.line_waits()]
        shifted = (replace(each, from_s=each.from_s - begun_s, at_s=each.at_s - begun_s) for each in found)
        return [each for each in shifted if each.at_s > 0.0]

    def awaited_s(self, joiner: Any, never_s: float) -> Mapping[Timer, float]:
        """Return from when on each kind of timer can have held the join up."""
        marks = joiner.timeline.marks
        return {"stun": marks.get("answer_received", never_s), "dtls": marks.get("ice_connected", never_s)}

    def legs(self) -> dict[LegName, list[Leg]]:
        """Return the emulated lines."""
        one = self._hosts[self.pages[0].side]
        if len(self.pages) == 1:
            return {
                LegName("caller_to_callee"): [Leg.of(one.up)],
                LegName("callee_to_caller"): [Leg.of(one.down)],
            }
        other = self._hosts[self.pages[1].side]
        return {
            LegName("caller_to_callee"): [Leg.of(one.up), Leg.of(other.down)],
            LegName("callee_to_caller"): [Leg.of(other.up), Leg.of(one.down)],
        }

    def report(self) -> dict[str, Any]:
        """Return, by party, which browser it was, what was done to it, and what it says of itself."""
        return {peer.side: peer.report() if isinstance(peer, BrowserEnd) else {} for peer in self.peers}

    @property
    def _hosts(self) -> dict[str, OutsideHost]:
        return {each.name: each for each in self.network.hosts}

    def _host(self, name: str, far: str, signals: str, seeds: Sequence[np.random.SeedSequence]) -> OutsideHost:
        """Return the host of a page: its lines to the other side, and those of its signalling."""
        host = self.network.add_outside_host(
            name, (), up=self._path((name, far), seeds[0]), down=self._path((far, name), seeds[1])
        )
        # Our own page signals elsewhere than where its media goes; a stranger's server is one machine, by one line.
        if signals != far:
            host.stream_up = Direction(self._path((name, signals), seeds[2]))
            host.stream_down = Direction(self._path((signals, name), seeds[3]))
        return host

    def _path(self, route: Route, seed: np.random.SeedSequence) -> Path:
        specs = self.setup.routes[route]
        pairs = zip(specs, seed.spawn(len(specs)), strict=True)
        return Path([Link(spec, child) for spec, child in pairs if spec != LinkSpec()])

    def _own_peer(self, name: str, phase: float, seed: np.random.SeedSequence) -> PagePeer:
        # The whole path is the page's own lines: ours would count it twice.
        host = self.network.add_outside_host(name, (), up=Path([]), down=Path([]))
        mouth = self.setup.mouth(name, self.network, phase=phase, may_speak=self.may_speak, seed=seed)
        cameras = self.setup.cameras
        ours, theirs = (cameras.get(each) for each in (name, self.pages[0].side))
        picture = picture_wanted(ours, theirs, network=self.network, phase=phase, may_show=self.may_speak)
        peer = PagePeer(
            host,
            name,
            [SoundWanted(track=None if mouth is None else mouth.track()), *([] if picture is None else [picture])],
            dtls_timeout_s=self.setup.dtls_timeout_s,
            protection=self.setup.protection,
            milestones=CALLEE_ORDER,
            transport_cc=picture is not None,
        )
        viewer = ours or theirs
        if viewer is not None:
            peer.watches = viewer.policy, viewer.nack
        for each in peer.pictures:
            if isinstance(each.watcher, Watching):
                each.watcher.round_trip_s = lambda: peer.round_trip_s
        return peer
