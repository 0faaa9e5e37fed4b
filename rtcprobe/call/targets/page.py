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

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rtcprobe.call.ends.browser.launching import needs_playwright
from rtcprobe.call.ends.browser.microphone import LONGEST_S
from rtcprobe.call.ends.browser.steps import read_steps
from rtcprobe.call.ends.browser.tab import PagePlan
from rtcprobe.call.targets import plain
from rtcprobe.call.targets.base import ECHO_ROUTES, TWO_ENDS_ROUTES, CallSetup, Route
from rtcprobe.call.targets.page_call import PageCall
from rtcprobe.call.targets.page_ends import SPARE_S
from rtcprobe.errors import BadInputError
from rtcprobe.result import Clock
from rtcprobe.scenario import TargetPlan
from rtcprobe.ways import BOTH_WAYS
from rtcprobe.ways import Way as WayName

__all__ = ["PageTarget", "make_target"]

OPTIONS: Final = ("steps", "hosts", "ends", "browser", "mouth")
OWN_ROUTES: Final[tuple[Route, ...]] = (
    ("caller", "callee"),
    ("callee", "caller"),
    ("caller", "server"),
    ("server", "caller"),
)
"""Of our own page: the path between the two, and that of its signalling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTarget:
    """A page, and how many ends it has: ``plans`` are of the caller's page and the callee's; empty: our own page.

    ``browser`` is the one to start; None: whichever is here.
    """

    name: str
    browser: str | None
    plans: tuple[PagePlan, ...]
    generates: bool = True
    """Whether microphones are ours; else the browser's own, which play a file of ours."""
    clocks: tuple[Clock, ...] = ("real",)

    @property
    def directions(self) -> Sequence[WayName]:
        """Both ways between two ends, there and back of an echo."""
        return (WayName("round_trip"),) if len(self.plans) == 1 else BOTH_WAYS

    pictures = True
    """Pictures are shown and watched: between pages, by one that sees itself, between our own and our peer."""

    @property
    def films_there(self) -> frozenset[str]:
        """Whose pictures are filmed and encoded in their pages."""
        return frozenset(("caller", "callee") if self.plans else ("caller",))

    @property
    def microphone_s(self) -> float:
        """How long a join and a call may take together: a file ends, a generator does not."""
        return math.inf if self.generates else LONGEST_S - SPARE_S

    @property
    def routes(self) -> Sequence[Route]:
        """The ways packets take."""
        # By how many pages of strangers there are: none, one, two.
        return (OWN_ROUTES, ECHO_ROUTES, TWO_ENDS_ROUTES)[len(self.plans)]

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> PageCall:
        """Return a call, not yet begun, on the running loop.

        Raises:
            MeasurementError: no browser is here, or nothing to drive it with.
        """
        del clock
        needs_playwright()
        return PageCall(self.plans, self.browser, setup, seed, generates=self.generates)


def make_target(plan: TargetPlan) -> PageTarget:
    """Return the page that ``plan`` names.

    Raises:
        BadInputError: a URL, steps or hosts that cannot be meant; no browser, or nothing to drive it with.
    """
    own = plan.url == "page"
    if own and plan.region is not None:
        raise BadInputError(f"target {plan.shown!r} has no region", "the whole path of our own page is emulated")
    plan.only(("browser", "mouth") if own else OPTIONS)
    browser = plan.options.get("browser")
    if browser is not None and not isinstance(browser, str):
        raise BadInputError(f"target.browser {browser!r} is no path", "give the path of a Chromium")
    steps = read_steps(plan)
    plans: tuple[PagePlan, ...] = ()
    url = "" if own else plain.web_url(plan.url.partition("+")[2], "target")
    generates = plain.choice(plan, "mouth", {"generator": True, "file": False}, default=True)
    two = plain.choice(plan, "ends", {"echo": False, "two": True}, default=False)
    # A page may always reach where it was loaded from; every other host is the user's to name.
    hosts = (plain.host_of(url), *_hosts(plan)) if url else ()
    if url:
        plans = (PagePlan(url=url, hosts=hosts, steps=steps, generates=generates),) * (2 if two else 1)
    return PageTarget(name=plan.shown, browser=browser, plans=plans, generates=generates)


def _hosts(plan: TargetPlan) -> tuple[str, ...]:
    written = plan.options.get("hosts", ())
    cure = 'write them like ["sfu.example", "*.vendor.example"]'
    if isinstance(written, str) or not isinstance(written, Sequence):
        raise BadInputError(f"target.hosts {written!r} is no list of hosts", cure)
    for each in written:
        if not isinstance(each, str) or not each or "/" in each or "*" in each.removeprefix("*."):
            raise BadInputError(f"target.hosts: {each!r} is no host", cure)
    return tuple(each.lower() for each in written)
