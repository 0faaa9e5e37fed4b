"""Targets ``page`` and ``page+https://HOST/PATH``: a call from a page in a real browser, the page left as it is.

Facts:
    What most people call with is a browser, and what vendors give them is a page or an SDK for one. All of its media
    goes through a TURN server of ours, all of its requests through a proxy of ours: so its whole network is emulated,
    without root and without a change to the page (``ends.browser``).

Rules:
    1. ``page`` is our own smallest page, calling a peer of ours: Chromium's playout, mouth and join, with no vendor
       between. The whole path between the two is emulated; signalling stands where the scenario puts it.
    2. ``page+https://...`` is anybody's: an *echo*, or with ``ends: two`` two such pages in two browsers. Each side's
       access is emulated; the rest of the way, and the server, are real.
    3. A page is led by ``steps``; it reaches its own host and those of ``hosts``, nobody else. ``{party}`` in its URL
       and in words of steps is whose page it is.
    4. Browsers live in real time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from rtcprobe.call.ends.browser.end import BrowserEnd
from rtcprobe.call.ends.browser.launching import LAUNCH_TIMEOUT_S, find_chromium, needs_playwright
from rtcprobe.call.ends.browser.served import OwnPage
from rtcprobe.call.ends.browser.steps import read_steps
from rtcprobe.call.ends.browser.tab import PagePlan
from rtcprobe.call.peer import Peer
from rtcprobe.call.sdp import usable_offer
from rtcprobe.call.targets import plain
from rtcprobe.call.targets.access import Leg
from rtcprobe.call.targets.base import ECHO_ROUTES, TWO_ENDS_ROUTES, CallSetup, Route, Way
from rtcprobe.call.targets.course import Course
from rtcprobe.call.targets.endings import HANG_UP_TIMEOUT_S, OVERTIME_S
from rtcprobe.call.transceiver import Sound, SoundWanted
from rtcprobe.errors import BadInputError
from rtcprobe.link import Link, LinkSpec, Path, Requested
from rtcprobe.recording import Came
from rtcprobe.result import Clock
from rtcprobe.runtime.network import Direction
from rtcprobe.runtime.outside import OutsideHost, OutsideNetwork, all_addresses, local_addresses
from rtcprobe.scenario import TargetPlan
from rtcprobe.timeline import CALLEE_ORDER, Timer, Wait
from rtcprobe.ways import BOTH_WAYS
from rtcprobe.ways import Leg as LegName
from rtcprobe.ways import Way as WayName

__all__ = ["PageTarget", "make_target"]

OPTIONS: Final = ("steps", "hosts", "ends", "browser")
OWN_ROUTES: Final[tuple[Route, ...]] = (
    ("caller", "callee"),
    ("callee", "caller"),
    ("caller", "server"),
    ("server", "caller"),
)
"""Of our own page: the path between the two, and that of its signalling."""

_END_S: Final = 1.0
"""How long a call goes on after the last word: what was said last passes a jitter buffer of a second at most."""
_PAGE_S: Final = 5.0
"""What the empty page takes, once the browser is there, on a machine with other work."""
_SLACK_S: Final = 0.001
"""How much shorter than the link a round trip may seem: stats of a page count whole milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTarget:
    """A page, and how many ends it has: ``plans`` are of the caller's page and the callee's; empty: our own page.

    ``browser`` is the one to start; None: whichever is here.
    """

    name: str
    browser: str | None
    plans: tuple[PagePlan, ...]
    clocks: tuple[Clock, ...] = ("real",)

    @property
    def directions(self) -> Sequence[WayName]:
        """Both ways between two ends, there and back of an echo."""
        return (WayName("round_trip"),) if len(self.plans) == 1 else BOTH_WAYS

    @property
    def pictures(self) -> bool:
        """Whether pictures are shown and watched: between pages, and by one that sees itself."""
        return bool(self.plans)

    films_itself = True
    """What pages show is filmed and encoded in them."""

    @property
    def routes(self) -> Sequence[Route]:
        """The ways packets take."""
        return (OWN_ROUTES, ECHO_ROUTES, TWO_ENDS_ROUTES)[len(self.plans)]

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> PageCall:
        """Return a call, not yet begun, on the running loop.

        Raises:
            MeasurementError: no browser is here, or nothing to drive it with.
        """
        del clock
        needs_playwright()
        return PageCall(self, setup, seed)


def make_target(plan: TargetPlan) -> PageTarget:
    """Return the page that ``plan`` names.

    Raises:
        BadInputError: a URL, steps or hosts that cannot be meant; no browser, or nothing to drive it with.
    """
    own = plan.url == "page"
    if own and plan.region is not None:
        raise BadInputError(f"target {plan.shown!r} has no region", "the whole path of our own page is emulated")
    plan.only(("browser",) if own else OPTIONS)
    browser = plan.options.get("browser")
    if browser is not None and not isinstance(browser, str):
        raise BadInputError(f"target.browser {browser!r} is no path", "give the path of a Chromium")
    steps = read_steps(plan)
    plans: tuple[PagePlan, ...] = ()
    url = "" if own else plain.web_url(plan.url.partition("+")[2], "target")
    two = plain.choice(plan, "ends", {"echo": False, "two": True}, default=False)
    hosts = (plain.host_of(url), *_hosts(plan)) if url else ()
    if url:
        plans = (PagePlan(url=url, hosts=hosts, steps=steps),) * (2 if two else 1)
    return PageTarget(name=plan.shown, browser=browser, plans=plans)


def _hosts(plan: TargetPlan) -> tuple[str, ...]:
    written = plan.options.get("hosts", ())
    cure = 'write them like ["sfu.example", "*.vendor.example"]'
    if isinstance(written, str) or not isinstance(written, Sequence):
        raise BadInputError(f"target.hosts {written!r} is no list of hosts", cure)
    for each in written:
        if not isinstance(each, str) or not each or "/" in each or "*" in each.removeprefix("*."):
            raise BadInputError(f"target.hosts: {each!r} is no host", cure)
    return tuple(each.lower() for each in written)


class _DirectPeer(Peer):
    """Our end of a call with a page: nothing stands between."""

    def came(self, *, forwarded: bool, there_and_back: bool, section: Sound | None = None) -> Came:
        del forwarded, there_and_back
        return super().came(forwarded=False, there_and_back=False, section=section)


class PageCall(Course):
    """One call from one or two pages. What it measured stays readable at any moment, finished or not."""

    network: OutsideNetwork
    optional = ("steps_done", "microphone_given", "connection_made", "offer_sent", "answer_received")

    def __init__(self, target: PageTarget, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        super().__init__(setup, OutsideNetwork(asyncio.get_running_loop()))
        self.target = target
        self._served: OwnPage | None = None
        names = list(setup.speech)[:2]
        network_seed, phase_seed, mouth_seed = seed.spawn(3)
        far = "callee" if not target.plans else "target"
        signals = "server" if not target.plans else "target"
        seeds = network_seed.spawn(4 * len(names))
        plans = target.plans or (PagePlan(url="", hosts=("localhost",)),)
        executable = find_chromium(target.browser)
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
                    direct=not target.plans,
                    camera=None if camera is None else camera.film.settings,
                    looks=bool(setup.cameras) and bool(target.plans),
                )
            )
        self._ours: _DirectPeer | None = None
        if not target.plans:
            phase = float(np.random.Generator(np.random.PCG64(phase_seed)).random())
            self._ours = self._own_peer(names[1], phase, mouth_seed)

    # Who takes part.

    @property
    def peers(self) -> list[Any]:
        """The pages, and our peer where there is one."""
        return [*self.pages, *([] if self._ours is None else [self._ours])]

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

    # How it runs.

    @property
    def preparing_s(self) -> float:
        """How long a browser may take to start: on a machine with work to do much longer than a join."""
        return max(self.setup.join_timeout_s, LAUNCH_TIMEOUT_S + _PAGE_S)

    async def prepare(self) -> None:
        """Start the browsers, and serve our own page."""
        address = _own_address()
        if self._ours is not None:
            host = self._hosts[self._ours.side]
            host.candidates = local_addresses([address])
            host.address = host.candidates[0]
            self._served = OwnPage(self._answer)
            port = await self._served.start()
            tab = self.pages[0].tab
            tab.plan = replace(tab.plan, url=f"http://localhost:{port}/")
        await asyncio.gather(*(page.prepare(address) for page in self.pages))
        for page in self.pages:
            page.tab.lost.add_done_callback(self._lost)

    async def connect(self) -> None:
        """Open the pages, and lead them to their calls."""
        if self._ours is not None:
            self._ours.begin()
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
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self.cut = f"a mouth had not said all it has {limit_s:.1f} s into the call"
            return
        await asyncio.gather(*(page.look() for page in self.pages))
        await asyncio.sleep(_END_S + max(0.0, self.network.last_arrival_s - self.network.now_s()))

    async def leave(self) -> None:
        """Take what the pages have still to tell, and look whether all media passed our link."""
        for page in self.pages:
            await page.finish()
            self.warnings += page.tab.warnings
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

    def _said_all(self) -> bool:
        ours = self._ours
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
        asked = [Requested.of([link.spec for link in way.path.links]).delay_min_s for way in (host.up, host.down)]
        least_s = sum(each or 0.0 for each in asked)
        if passed.round_trip_s is not None and passed.round_trip_s < least_s - _SLACK_S:
            trip_ms, least_ms = passed.round_trip_s * 1e3, least_s * 1e3
            return f"the page's round trip, {trip_ms:.1f} ms, is shorter than our link's, {least_ms:.1f}: it went past"
        return None

    # What it is made of.

    @property
    def _hosts(self) -> dict[str, OutsideHost]:
        return {each.name: each for each in self.network.hosts}

    def _host(self, name: str, far: str, signals: str, seeds: Sequence[np.random.SeedSequence]) -> OutsideHost:
        """Return the host of a page: its lines to the other side, and those of its signalling."""
        host = self.network.add_outside_host(
            name, (), up=self._path((name, far), seeds[0]), down=self._path((far, name), seeds[1])
        )
        if signals != far:
            host.stream_up = Direction(self._path((name, signals), seeds[2]))
            host.stream_down = Direction(self._path((signals, name), seeds[3]))
        return host

    def _path(self, route: Route, seed: np.random.SeedSequence) -> Path:
        specs = self.setup.routes[route]
        pairs = zip(specs, seed.spawn(len(specs)), strict=True)
        return Path([Link(spec, child) for spec, child in pairs if spec != LinkSpec()])

    def _own_peer(self, name: str, phase: float, seed: np.random.SeedSequence) -> _DirectPeer:
        host = self.network.add_outside_host(name, (), up=Path([]), down=Path([]))
        mouth = self.setup.mouth(name, self.network, phase=phase, may_speak=self.may_speak, seed=seed)
        track = None if mouth is None else mouth.track()
        return _DirectPeer(
            host,
            name,
            [SoundWanted(track=track)],
            dtls_timeout_s=self.setup.dtls_timeout_s,
            protection=self.setup.protection,
            milestones=CALLEE_ORDER,
        )

    async def _answer(self, offer: str) -> str:
        """Answer the offer of our own page."""
        assert self._ours is not None
        usable = usable_offer(offer)
        answer = await self._ours.answer(usable)
        return usable.answered(answer).text


def _own_address() -> str:
    """Return the address of this machine at which peers anywhere find what we relay."""
    return all_addresses()[0]
