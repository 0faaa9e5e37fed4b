"""A page in a browser of its own, led: started behind our proxy, opened, clicked through, asked, ended.

Rules:
    1. What ends a page before its time (a crash, the browser or its driver gone, a navigation away) is a sentence in
       ``lost``.
    2. A dialog is accepted, for nobody sits there to read it, and told.
    3. Whatever the page is asked is answered within ``ASK_S`` or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from rtcprobe.call.ends.browser.launching import Chromium, first_line
from rtcprobe.call.ends.browser.steps import PARTY, Step, do
from rtcprobe.errors import MeasurementError
from rtcprobe.runtime.outside import OutsideHost
from rtcprobe.runtime.socks import SocksProxy
from rtcprobe.runtime.streams import Line
from rtcprobe.timeline import Side

if TYPE_CHECKING:
    from playwright.async_api import Page

__all__ = ["PagePlan", "Tab"]

# A frame that hangs (a synchronous dialog, a loop) must not keep the figures of all others; an answer takes some ms.
ASK_S: Final = 3.0
# Asked each second: with ``_SILENT_S`` a driver that was killed cuts a call within ten.
_BEAT_S: Final = 1.0
_SILENT_S: Final = 8.0
"""How long a browser may be silent. On two cores that four programmes computed on none was for more than a second."""
# Of a navigation that Chromium breaks off with ERR_NETWORK_CHANGED, at once: interfaces come up one after another.
_TRIES: Final = 5
_OF_THE_JOIN: Final = 0.8
"""Of the time for a join, what one step may take: who waits longer is not connected in the rest."""
_OF_LOADING: Final = 0.9
"""And what loading may: later the join would have ended without saying of what."""
# A page that logs an error each frame would fill the report; the first ones are the telling ones.
_MOST_FAULTS: Final = 20
_ICON: Final = "/favicon.ico"
"""What every browser asks for, and many a site has not."""
_NOT_LOADED: Final = "Failed to load resource"
"""How Chromium begins, without saying which."""
_OF_CHROMIUM: Final = (".google.com", ".googleapis.com", ".gvt1.com", "gstatic.com")
"""Hosts that Chromium itself calls, whatever its flags say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePlan:
    """A page to call from: its ``url``, the ``steps`` on it, the ``hosts`` it may reach (``"*.example"``: all below).

    ``generates``: its microphone is ours (else Chromium's own, which plays a file of ours: ``microphone``).
    """

    url: str
    hosts: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    generates: bool = True

    def allows(self, host: str) -> bool:
        """Return whether the page may reach ``host``."""
        host = host.rstrip(".").lower()
        # ``*.example`` is what lies below ``example``, not it itself: the dot stays in the comparison.
        return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in self.hosts)

    def of(self, party: str) -> PagePlan:
        """Return it as ``party`` goes by it.

        Raises:
            BadInputError: words of a step that are named, and not to be found.
        """
        steps = tuple(step.of(party) for step in self.steps)
        return replace(self, url=self.url.replace(PARTY, quote(party)), steps=steps)


class Tab:
    """One page of ``side``, on ``host``; ``faults`` are what the page itself complained of."""

    def __init__(self, host: OutsideHost, side: Side, plan: PagePlan, executable: str) -> None:
        self.plan = plan
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.warnings: list[str] = []
        self.faults: list[str] = []
        self.step = ""
        """What is being done on the page."""
        self.settled = False
        """Whether the call has come about: a page that leaves now takes it along."""
        self.over = False
        """Whether what ends now ends because we say so."""
        self.socks = SocksProxy(Line(host.network, host.stream_up, host.stream_down, side), plan.allows)
        self.chromium: Chromium | None = None
        self._side, self._executable = side, executable
        self._page: Page | None = None
        self._protocol: Any = None
        self._here = ""
        self._beside: set[asyncio.Task[Any]] = set()

    async def start(self, script: str, bindings: Mapping[str, Callable[..., Any]], flags: Sequence[str] = ()) -> None:
        """Start the browser with more ``flags``; all its documents begin with ``script``. No part of the join.

        Raises:
            MeasurementError: it does not start.
        """
        port = await self.socks.start()
        flags = [*flags, f"--proxy-server=socks5://127.0.0.1:{port}", *_insecure(self.plan.url)]
        chromium = self.chromium = Chromium(self._executable, flags)
        context, self._page = await chromium.start(script, bindings)
        context.on("page", self._watch)
        self._watch(self._page)
        self.beside(self._until_gone(chromium))
        self.beside(self._until_silent(chromium))
        self._protocol = await context.new_cdp_session(self._page)
        await self._protocol.send("Performance.enable", {"timeDomain": "timeTicks"})
        self._protocol.on("Page.frameNavigated", self._navigated)
        await self._protocol.send("Page.enable")

    async def open(self, limit_s: float, opened: Callable[[float, float], None]) -> None:
        """Open the page and do its steps.

        ``opened`` is told its time origin as soon as there is one: on the page's wall clock (milliseconds), and on
        ``time.monotonic()``.

        Raises:
            MeasurementError: it does not open, or a step cannot be done.
        """
        from playwright.async_api import Error, TimeoutError  # noqa: A004, PLC0415 - an extra

        page = self._page
        assert page is not None
        loading_s = _OF_LOADING * limit_s
        try:
            await self._goto(page, loading_s)
            # As soon as the navigation is committed: both numbers belong to this
            # document, and a redirect by script makes another.
            origin_ms = await page.evaluate("performance.timeOrigin")
            told = await self._protocol.send("Performance.getMetrics")
            opened(origin_ms, {each["name"]: each["value"] for each in told["metrics"]}["NavigationStart"])
            await page.wait_for_load_state("domcontentloaded", timeout=loading_s * 1e3)
        except TimeoutError:
            raise MeasurementError(
                f"the page did not load within {loading_s:.3g} s{self.unreached()}", "look whether it does by hand"
            ) from None
        except Error as error:
            why = self.unreached() or f" ({first_line(error)})"
            raise MeasurementError(f"the page does not open{why}", "look whether it does by hand") from error
        try:
            await do(page, self.plan.steps, _OF_THE_JOIN * limit_s, self._begun)
        except MeasurementError as error:
            raise MeasurementError(f"{error.message}{_told(self.faults)}{self.unreached()}", error.hint) from error
        self.step = ""

    async def _goto(self, page: Page, limit_s: float) -> None:
        """Begin the navigation; again where this machine's own network has just changed, which Chromium gives up on."""
        from playwright.async_api import Error  # noqa: PLC0415 - an extra

        for tried in range(1, _TRIES + 1):
            try:
                answer = await page.goto(self.plan.url, wait_until="commit", timeout=limit_s * 1e3)
            except Error as error:
                if "ERR_NETWORK_CHANGED" not in str(error) or tried == _TRIES:
                    raise
            else:
                # No reason to stop: static hosts answer 404 with a page that works.
                if answer is not None and answer.status >= 400:  # RFC 9110 §15.5
                    self.complain(f"the page answered {answer.status} {answer.status_text}".rstrip())
                return

    async def everywhere(self, script: str) -> list[Any]:
        """Run ``script`` in every document of the browser; return what each answered in time."""
        page = self._page
        if page is None or self.lost.done():
            return []
        asking = [asyncio.ensure_future(frame.evaluate(script)) for each in page.context.pages for frame in each.frames]
        if not asking:
            return []
        # All at once: documents that answer do not wait for one that does not.
        done, late = await asyncio.wait(asking, timeout=ASK_S)
        for task in late:
            task.cancel()
        return [task.result() for task in done if not task.cancelled() and task.exception() is None]

    async def close(self) -> None:
        """End the browser, and leave nothing of it."""
        self.over = True
        for task in self._beside:
            task.cancel()
        try:
            if self.chromium is not None:
                await self.chromium.close()
        finally:
            await self.socks.close()

    def lose(self, why: str) -> None:
        """Say that the page has come to its end: ``why``, in a sentence."""
        if not self.lost.done():
            self.lost.set_result(why)

    def beside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do ``work`` until the tab is closed."""
        task = asyncio.ensure_future(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def complain(self, sentence: str) -> None:
        """Keep what the page complains of."""
        if len(self.faults) < _MOST_FAULTS and sentence not in self.faults:
            self.faults.append(sentence)

    def unreached(self) -> str:
        """Return which hosts the page asked for in vain, as the end of a sentence."""
        refused = [each for each in self.socks.refused if not each.endswith(_OF_CHROMIUM)]
        found = [f"{where}: {why}" for where, why in list(self.socks.failed.items())[:2]]
        found += [f"{', '.join(refused[:3])} not allowed: add target.hosts"] if refused else []
        return f" ({'; '.join(found)})" if found else ""

    def _begun(self, step: str) -> None:
        self.step = step

    def _watch(self, page: Page) -> None:
        """Hear of what may end a page, and of what it says."""
        page.on("crash", lambda _: self.lose("the page's renderer crashed"))
        page.on("dialog", lambda dialog: self.beside(self._accept(dialog)))
        page.on("pageerror", lambda error: self.complain(f"the page says: {first_line(error)}"))
        page.on("console", self._said)

    def _said(self, message: Any) -> None:
        url = str(message.location.get("url", ""))
        if message.type != "error" or url.endswith(_ICON):
            return
        self.complain(f"the page says: {message.text}" + (f" {url}" if message.text.startswith(_NOT_LOADED) else ""))

    async def _until_gone(self, chromium: Chromium) -> None:
        await chromium.gone.wait()
        if not self.over:
            self.lose("the browser went away")

    async def _until_silent(self, chromium: Chromium) -> None:
        """Ask the browser now and then whether it is there: of a driver that was killed nobody tells."""
        while True:
            await asyncio.sleep(_BEAT_S)
            if not await chromium.answers(_SILENT_S):
                break
        if not self.over:
            self.lose("the browser does not answer any more")

    async def _accept(self, dialog: Any) -> None:
        self.warnings.append(f"the {self._side}'s page opened a dialog ({dialog.type}: {dialog.message}): accepted")
        with suppress(Exception):  # it may have gone with its page
            await dialog.accept()

    def _navigated(self, event: Mapping[str, Any]) -> None:
        """Hear of a document that took another's place; what a page does to its URL alone is none."""
        frame = event["frame"]
        if frame.get("parentId") is not None:
            return
        # What follows "#" is the page's own business; everything else is another document, and this one's call is gone.
        before, self._here = self._here, str(frame["url"]).partition("#")[0]
        if self.settled and not self.over:
            shown = self._here.partition("?")[0]
            self.lose("the page was loaded anew" if self._here == before else f"the page left for {shown}")


def _told(faults: Sequence[str]) -> str:
    """Return the first of a page's own faults, as the end of a sentence."""
    return f" ({'; '.join(faults[:2])})" if faults else ""


def _insecure(url: str) -> list[str]:
    """Return the flag that lets a page without TLS have a microphone, where it is one. Source: Secure Contexts §3.1."""
    origin = "/".join(url.split("/")[:3])
    return [f"--unsafely-treat-insecure-origin-as-secure={origin}"] if url.startswith("http://") else []
