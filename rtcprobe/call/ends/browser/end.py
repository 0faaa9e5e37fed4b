"""A page in a browser of our own as an end of a call: opened, led through its steps, heard and listened to.

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
import base64
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rtcprobe.audio.marker import LEAD_S
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ
from rtcprobe.call.ends.browser.events import PAGE_ORDER, Told
from rtcprobe.call.ends.browser.figures import Passed, figures_of, passed_of
from rtcprobe.call.ends.browser.launching import Chromium, first_line, source
from rtcprobe.call.ends.browser.sounding import Returned
from rtcprobe.call.ends.browser.steps import Step, do
from rtcprobe.call.ends.browser.tap import BrowserTap
from rtcprobe.call.mouth_track import Speech
from rtcprobe.call.section import values
from rtcprobe.errors import MeasurementError
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.recording import Came, Said
from rtcprobe.runtime.media_seam import MediaPath
from rtcprobe.runtime.outside import OutsideHost, OutsideNetwork
from rtcprobe.runtime.socks import SocksProxy
from rtcprobe.runtime.streams import Line
from rtcprobe.runtime.turn_end import TurnEnd
from rtcprobe.timeline import Side, Timeline, Wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

__all__ = ["BrowserEnd", "PagePlan"]

_MOST_FAULTS: Final = 20
_LAST_PACKET_S: Final = 0.1
"""How long after the last word its packet may leave; what leaves later is silence that nobody waits for."""
_ASK_S: Final = 3.0
"""How long a page may take to answer a question of ours: one that hangs has been heard up to its last second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePlan:
    """A page to call from: its ``url``, the ``steps`` on it, the ``hosts`` it may reach (``"*.example"``: all below).

    ``generates``: its microphone is ours (else Chromium's own, which beeps once a second).
    """

    url: str
    hosts: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    generates: bool = True

    def allows(self, host: str) -> bool:
        """Return whether the page may reach ``host``."""
        host = host.rstrip(".").lower()
        return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in self.hosts)


class BrowserEnd:
    """One page (``ends.base.End``, but for descriptions)."""

    sections: Sequence[Any] = ()
    pictures: Sequence[Any] = ()

    def __init__(self, host: OutsideHost, side: Side, plan: PagePlan, speech: Speech | None, executable: str) -> None:
        self.side, self.plan = side, plan
        self.timeline = Timeline(side, PAGE_ORDER)
        self.connected, self.failed, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.heard_packet = asyncio.Event()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Says why there will be no call any more, when the page or the browser is the reason."""
        self.own_s: dict[str, float] = {}
        self.warnings: list[str] = []
        self.passed: Passed | None = None
        """Whether all media passed our link, once the call is over."""
        self.figures: Mapping[str, float] = {}
        """What the page says of its playout."""
        self.network: OutsideNetwork = host.network  # type: ignore[assignment]
        self.tap = host.tap = BrowserTap(side, self._on_link)
        self.direct = False
        """Whether nothing stands between it and whom it hears."""
        self._host, self._speech, self._executable = host, speech, executable
        self._told = Told(
            timeline=self.timeline,
            descriptions=self._described,
            connected=self._connected,
            refused=lambda why: self.lose(f"the page cannot speak: {why}"),
        )
        self._returned = Returned()
        self._early: dict[str, float] = {}
        self._sound = "" if speech is None else _sound_of(speech)
        self._turn: TurnEnd | None = None
        self._socks: SocksProxy | None = None
        self._chromium: Chromium | None = None
        self._page: Page | None = None
        self._speaking = False
        self._over = False

    # What a call asks of an end.

    @property
    def host_name(self) -> str:
        """The machine it is on."""
        return self._host.name

    @property
    def speaks(self) -> bool:
        """Whether it has something to say."""
        return self._speech is not None

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
            finished=mouth.ended_s is not None,
            departures=[each for each in self.tap.spoken() if since_s <= each.at_s <= until_s],
            late_s=mouth.late_s,
            late_from_s=mouth.late_from_s,
        )

    def came(self, *, forwarded: bool, there_and_back: bool) -> Came:
        """Return what came so far: packets by their headers, and the sound the page played."""
        shift_s = 0.0 if self._told.clock is None else self._told.clock - self._told.epoch_s
        return Came(
            listener=self.side,
            arrivals=self.tap.arrivals,
            agreed=None,
            begun_s=self.timeline.begun_s,
            forwarded=forwarded and not self.direct,
            there_and_back=there_and_back,
            sound=self._returned.sound(shift_s, self.figures),
        )

    # How it is led.

    async def prepare(self, address: str) -> None:
        """Start the browser, its TURN server at ``address`` and its proxy: no part of the join.

        Raises:
            MeasurementError: it does not start.
        """
        self._turn = TurnEnd(self.network, self._host, address)
        self._socks = SocksProxy(
            Line(self.network, self._host.stream_up, self._host.stream_down, self.side), self.plan.allows
        )
        port = await self._socks.start()
        flags = [f"--proxy-server=socks5://127.0.0.1:{port}", *_insecure(self.plan.url)]
        chromium = self._chromium = Chromium(self._executable, flags)
        bindings: dict[str, Callable[..., Any]] = {
            "__rtcprobe_tell": lambda _source, text: self._told.take(str(text)),
            "__rtcprobe_heard": lambda _source, text: self._returned.take(str(text)),
            "__rtcprobe_sound": lambda _source: self._sound,
        }
        context, page = await chromium.start(self._script(), bindings)
        self._page = page
        context.on("page", self._watch)
        self._watch(page)
        self._protocol = await context.new_cdp_session(page)
        await self._protocol.send("Performance.enable", {"timeDomain": "timeTicks"})

    async def open(self, limit_s: float) -> None:
        """Open the page and do its steps; its join begins with the navigation.

        Raises:
            MeasurementError: it does not open, or a step cannot be done.
        """
        from playwright.async_api import Error, TimeoutError  # noqa: A004, PLC0415 - an extra

        page, chromium, socks = self._page, self._chromium, self._socks
        assert page is not None
        assert chromium is not None
        assert socks is not None
        try:
            await page.goto(self.plan.url, wait_until="commit", timeout=limit_s * 1e3)
            await self._set_clock(page)
            await page.wait_for_load_state("domcontentloaded", timeout=limit_s * 1e3)
        except TimeoutError:
            raise MeasurementError(
                f"the page did not load within {limit_s:g} s{self._unreached()}", "look whether it does by hand"
            ) from None
        except Error as error:
            raise MeasurementError(f"the page does not open: {first_line(error)}{self._unreached()}") from error
        await do(page, self.plan.steps, limit_s)
        if self.plan.steps:
            self._mark("steps_done", self.network.now_s())

    async def speak(self) -> None:
        """Let its mouth speak, now and wherever it gets a microphone later."""
        self._speaking = True
        await self._everywhere("globalThis.__rtcprobe && __rtcprobe.speak()")

    async def finish(self) -> None:
        """Take what the page has still to tell: the last of its sound, and what it says of its connections."""
        if self._over or self._page is None:
            return
        self._over = True
        await self._everywhere("globalThis.__rtcprobe && __rtcprobe.flush()")
        said = await self._everywhere("globalThis.__rtcprobe ? __rtcprobe.figures() : []")
        told = [each for part in said if isinstance(part, list) for each in part]
        turn = self._turn
        assert turn is not None
        self.figures = figures_of(told)
        self.passed = passed_of(told, relayed=turn.relayed, up=turn.up_packets, down=turn.down_packets)

    async def close(self) -> None:
        """End the browser, and leave nothing of it."""
        self._over = True
        try:
            if self._chromium is not None:
                await self._chromium.close()
        finally:
            if self._socks is not None:
                await self._socks.close()
            if self._turn is not None:
                self._turn.close()

    def path(self) -> MediaPath:
        """Return nothing: what was agreed on is the page's matter."""
        return MediaPath()

    def line_waits(self) -> list[Wait]:
        """Return what the link's TCP sent again for its signalling."""
        return [] if self._socks is None else self._socks.line.waits()

    def lose(self, why: str) -> None:
        """Say that the call has come to its end: ``why``, in a sentence."""
        if not self.lost.done():
            self.lost.set_result(why)
        self.ended.set()

    def report(self) -> dict[str, Any]:
        """Return which browser it was and what was done to it, and what it says of itself."""
        chromium, socks = self._chromium, self._socks
        out: dict[str, Any] = {}
        if chromium is not None:
            out |= {
                "browser": f"Chromium {chromium.version}",
                "flags": " ".join(chromium.flags),
                "patches": "RTCPeerConnection: ICE servers ours, policy relay; getUserMedia: the microphone is ours",
                "priority": chromium.priority,
            }
        if self.plan.generates:
            out["mouth"] = "generator: echo cancellation, noise suppression and gain control of the page do not touch it"
        late_s = self._told.mouth.late_s
        if late_s:
            out |= {f"mouth_late_p{q}_s": float(np.percentile(late_s, q)) for q in (50, 95, 99)}
        if self.figures:
            out["getStats"] = dict(self.figures)
        if self.passed is not None:
            out["media"] = self.passed.words
        if socks is not None and socks.refused:
            out["hosts_refused"] = dict(socks.refused)
        return out

    def stopped(self) -> str:
        """Return what the page's own faults say about a join that failed, as the end of a sentence."""
        found = [*self._told.faults[:2], *self._hints()]
        return f" ({'; '.join(found)})" if found else ""

    def _hints(self) -> list[str]:
        if self._told.clock is not None and not self._told.connections:
            return ["the page made no connection"]
        if self._told.clock is not None and not self._told.asked and self.speaks:
            return ["the page never asked for a microphone"]
        return [self._unreached().strip(" ()")] if self._unreached() else []

    def _unreached(self) -> str:
        """Return which hosts the page asked for in vain, as the end of a sentence."""
        socks = self._socks
        if socks is None:
            return ""
        refused = [each for each in socks.refused if not each.endswith(_OF_CHROMIUM)]
        found = [f"{where}: {why}" for where, why in list(socks.failed.items())[:2]]
        found += [f"{', '.join(refused[:3])} not allowed: add target.hosts"] if refused else []
        return f" ({'; '.join(found)})" if found else ""

    def _script(self) -> str:
        turn = self._turn
        assert turn is not None
        who = turn.credentials
        loop, _, total = (0, 0, 0) if self._speech is None else _shape_of(self._speech)
        config = {
            "iceServers": [{"urls": turn.url, "username": who.user, "credential": who.password}],
            "generates": self.plan.generates,
            "loop": loop,
            "total": total,
            "mouth": source("mouth.js"),
            "ear": source("ear.js"),
        }
        return source("init.js").replace("/*config*/", json.dumps(config))

    async def _set_clock(self, page: Page) -> None:
        """Learn where the page's clock stands (``events``); its join began with the navigation."""
        wall_ms = await page.evaluate("performance.timeOrigin")
        told = await self._protocol.send("Performance.getMetrics")
        begun = {each["name"]: each["value"] for each in told["metrics"]}["NavigationStart"]
        self._told.epoch_s = self.network.epoch_s
        self.timeline.begin(begun - self.network.epoch_s)
        self._told.begin(begun - wall_ms / 1e3, self.network.epoch_s, wall_ms)
        for milestone, at_s in self._early.items():
            self.timeline.mark(milestone, at_s)

    def _watch(self, page: Page) -> None:
        """Hear of what may end a page."""
        assert self._chromium is not None
        page.on("crash", lambda _: self.lose("the page's renderer crashed"))
        page.on("dialog", self._answer)
        page.on("pageerror", lambda error: self._told.faults.append(f"the page says: {first_line(error)}"))
        page.on("console", self._complained)
        page.on("framenavigated", self._navigated)
        asyncio.ensure_future(self._until_gone(self._chromium))

    def _complained(self, message: Any) -> None:
        if message.type == "error" and len(self._told.faults) < _MOST_FAULTS:
            self._told.faults.append(f"the page says: {message.text}")

    async def _until_gone(self, chromium: Chromium) -> None:
        await chromium.gone.wait()
        if not self._over:
            self.lose("the browser went away")

    async def _answer(self, dialog: Any) -> None:
        self.warnings.append(f"the {self.side}'s page opened a dialog ({dialog.type}: {dialog.message}): accepted")
        with suppress(Exception):  # it may have gone with its page
            await dialog.accept()

    def _navigated(self, frame: Any) -> None:
        page = self._page
        if page is None or frame != page.main_frame or not self.connected.is_set() or self._over:
            return
        if frame.url.partition("#")[0] != self._here.partition("#")[0]:
            self.lose(f"the page left for {frame.url.partition('?')[0]}")

    def _described(self, sdp: str) -> None:
        """Learn the payload types of sound."""
        for section in sdp.split("\nm=")[1:]:
            if section.startswith("audio "):
                self.tap.audio |= {int(each) for each in section.splitlines()[0].split()[3:] if each.isdigit()}

    def _on_link(self, milestone: str, at_s: float) -> None:
        if self._told.clock is None:
            self._early.setdefault(milestone, at_s)
        else:
            self._mark(milestone, at_s)
        if milestone == "first_packet":
            self.heard_packet.set()

    def _connected(self) -> None:
        """Take the page's word for a media path; the link's instant stands where it has one."""
        self._mark("dtls_connected", self.network.now_s())
        page = self._page
        self._here = "" if page is None else page.url
        self.connected.set()
        if self._speaking:
            asyncio.ensure_future(self.speak())

    def _mark(self, milestone: str, at_s: float) -> None:
        self.timeline.mark(milestone, at_s)

    async def _everywhere(self, script: str) -> list[Any]:
        """Run ``script`` in every document of the browser; return what each answered in time."""
        page = self._page
        if page is None or self.lost.done():
            return []
        asking = [asyncio.ensure_future(frame.evaluate(script)) for each in page.context.pages for frame in each.frames]
        if not asking:
            return []
        done, late = await asyncio.wait(asking, timeout=_ASK_S)
        for task in late:
            task.cancel()
        return [task.result() for task in done if not task.cancelled() and task.exception() is None]


_OF_CHROMIUM: Final = (".google.com", ".googleapis.com", ".gvt1.com", "gstatic.com")
"""Hosts that Chromium itself calls, whatever its flags say."""


def _shape_of(speech: Speech) -> tuple[int, int, int]:
    """Return from which sample on the sound loops, how many samples it is, and how many are spoken (-1: without end)."""
    voice = speech.voice
    assert voice is not None
    whole, lead = (round(each_s * SAMPLE_RATE_HZ) for each_s in (speech.duration_s, LEAD_S))
    if speech.endless:
        return 0, min(lead, whole), -1  # a join: somebody is heard, whatever he says
    once = lead + round(voice.train.loop_s * SAMPLE_RATE_HZ)
    return (lead, once, whole) if voice.train.loops and whole > once else (0, whole, whole)


def _sound_of(speech: Speech) -> str:
    """Return what is spoken: 16 bits, 48 kHz, mono, in base64; what loops, once."""
    voice = speech.voice
    assert voice is not None
    _, samples, _ = _shape_of(speech)
    pcm = voice.mouth.pcm(samples / SAMPLE_RATE_HZ)[:samples]
    return base64.b64encode(np.round(pcm * 32767).astype("<i2").tobytes()).decode("ascii")


def _insecure(url: str) -> list[str]:
    """Return the flag that lets a page without TLS have a microphone, where it is one. Source: Secure Contexts §3.1."""
    origin = "/".join(url.split("/")[:3])
    return [f"--unsafely-treat-insecure-origin-as-secure={origin}"] if url.startswith("http://") else []
