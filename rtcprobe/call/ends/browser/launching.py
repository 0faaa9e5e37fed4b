"""Starting and ending a browser of one's own: Chromium of this machine, driven by playwright, with a profile that goes.

Facts:
    - Chromium calls hosts of its maker's whatever flags say: behind our proxy (``runtime.socks``) it reaches nobody who
      is not named.
    - Playwright's driver, a process of its own, ends its browsers when the pipe to it closes: also when this process is
      killed. It starts them in sessions of their own, so Ctrl-C in a terminal is ours alone.
    - With four programmes computing beside it on two cores the mouth of a browser at real-time priority was 0.0 ms late
      at p99, of an ordinary one 5.7 ms.

Rules:
    1. Playwright is an extra: who has none is told how to get it, in a sentence.
    2. A browser lives for one call: no cache, no cookie, no connection of one join helps the next.
    3. Profiles lie in a folder of ours, which goes with the call; what a killed probe left, the next one removes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from rtcprobe.errors import MeasurementError
from rtcprobe.runtime.priority import lend, to_itself

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

__all__ = ["LAUNCH_TIMEOUT_S", "PREFIX", "Chromium", "find_chromium", "needs_playwright", "short_root"]

# As Debian, Ubuntu and Fedora and Google's own packages call it; ``chrome`` is what a download unpacks to.
NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
LEAST_VERSION: Final = 94
"""MediaStreamTrackGenerator and MediaStreamTrackProcessor came with it (chromestatus.com/feature/5499415634640896)."""
# Playwright's own default; a browser that takes that long on this machine would not keep time in a call either.
LAUNCH_TIMEOUT_S: Final = 30.0
# Two seconds in all: SIGKILL is obeyed within milliseconds, but by a process that
# waits for a disk, which nobody can help from here.
_TRIES: Final = 20
_BETWEEN_S: Final = 0.1  # from one look to the next
PREFIX: Final = "rtcprobe-browser-"
"""Of folders that go with a call; the number of the process follows."""
_LONGEST_PATH: Final = 40
"""Chromium opens a socket below its temporary folder, and ends where the path is longer than 107 (unix(7)): tried."""

FLAGS: Final = (
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # Sandboxed frames of a document of their own raced the init script in 31 of 40 tries; without it in none of 20.
    "--disable-features=WebRtcHideLocalIpsWithMdns,IsolateSandboxedIframes",
    # On a machine without any other interface there would be no candidate at all.
    "--allow-loopback-in-peer-connection",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Loopback hosts too: whatever the page asks for passes the link.
    "--proxy-bypass-list=<-loopback>",
)
"""No root's sandbox, a microphone without a question, sound without a click, every request by proxy."""


def needs_playwright() -> None:
    """Refuse to go on without playwright.

    Raises:
        MeasurementError: it is not installed.
    """
    try:
        import playwright.async_api  # noqa: F401, PLC0415 - an extra, and a third of a second
    except ImportError:
        raise MeasurementError(
            "a page is called by a browser, and playwright, which drives it, is not installed",
            'pip install "rtcprobe[browser]"',
        ) from None


def find_chromium(written: str | None) -> str:
    """Return the browser to start: the one given, or the first of ``NAMES`` there is.

    Raises:
        MeasurementError: there is none.
    """
    if written is not None:
        found = shutil.which(written)
        if found is None:
            raise MeasurementError(f"target.browser {written!r} is no program", "give the path of a Chromium")
        return found
    found = next((path for name in NAMES if (path := shutil.which(name)) is not None), None)
    if found is None:
        raise MeasurementError(
            f"no Chromium is on this machine: none of {', '.join(NAMES)} is found",
            "install one (apt install chromium), or give target.browser its path",
        )
    return found


_GOODBYE_S: Final = 1.5
"""For browser and driver each: together less than a call's ``endings.HANG_UP_TIMEOUT_S``, which would cut them off."""
_LOCKS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]] = WeakKeyDictionary()


class Chromium:
    """One browser; ``version`` and ``priority`` are known once it has started."""

    def __init__(self, executable: str, flags: Sequence[str]) -> None:
        self._executable = executable
        self.flags = (*FLAGS, *flags)
        self.version = ""
        self.priority = "ordinary"
        self.gone = asyncio.Event()
        """Set when the browser went away, asked or not."""
        self._starting: Any = None
        self._driver: Any = None
        self._browser: Browser | None = None
        self._itself: Any = None
        """A session of the browser's own, no page's."""
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    async def start(self, init: str, bindings: Mapping[str, Any]) -> tuple[BrowserContext, Page]:
        """Start it; return its context, whose documents all begin with ``init``, and an empty page.

        Raises:
            MeasurementError: it does not start, or is too old.
        """
        from playwright.async_api import Error, async_playwright  # noqa: PLC0415 - an extra

        # What the browser leaves in a temporary folder goes with ours, however it ended.
        _sweep()
        prefix = f"{PREFIX}{os.getpid()}-"
        self._scratch = tempfile.TemporaryDirectory(prefix=prefix, dir=short_root(), ignore_cleanup_errors=True)
        try:
            async with _starting():
                with to_itself(), _temporary(self._scratch.name):
                    self._starting = async_playwright()
                    self._driver = await _driver_of(self._starting)
            self._browser = await self._driver.chromium.launch(
                executable_path=self._executable,
                headless=True,
                args=list(self.flags),
                # Playwright would end browsers at our signals, before the call has told what it measured.
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
                timeout=LAUNCH_TIMEOUT_S * 1e3,
                env={**os.environ, "TMPDIR": self._scratch.name},
            )
        except Error as error:
            raise MeasurementError(
                f"{self._executable} does not start: {first_line(error)}", "try it by hand with --headless"
            ) from error
        browser = self._browser
        assert browser is not None
        self.version = browser.version
        if int(self.version.partition(".")[0] or 0) < LEAST_VERSION:
            raise MeasurementError(
                f"{self._executable} is Chromium {self.version}", f"{LEAST_VERSION} and later can be measured"
            )
        browser.on("disconnected", lambda _: self.gone.set())
        self._itself = await browser.new_browser_cdp_session()
        # CSP for the init script (it makes workers of blobs); certificates no user would accept are not measured.
        context = await browser.new_context(bypass_csp=True, ignore_https_errors=False)
        # Before any page: what is exposed to a context is there in every document of it, the first one's too.
        for name, take in bindings.items():
            await context.expose_binding(name, take)
        await context.add_init_script(script=init)
        page = await context.new_page()
        self.priority = lend("playwright")
        return context, page

    async def answers(self, limit_s: float) -> bool:
        """Return whether browser and driver answer within a time; no page of it is asked."""
        from playwright.async_api import Error  # noqa: PLC0415 - an extra

        try:
            async with asyncio.timeout(limit_s):
                await self._itself.send("Browser.getVersion")
        except (Error, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """End it, and take its profile away; whatever state it is in."""
        from playwright.async_api import Error  # noqa: PLC0415 - an extra

        try:
            if self._browser is not None:
                with suppress(Error, TimeoutError):
                    async with asyncio.timeout(_GOODBYE_S):
                        await self._browser.close()
            if self._driver is not None:
                with suppress(Error, TimeoutError):
                    async with asyncio.timeout(_GOODBYE_S):
                        await self._driver.stop()
            elif self._starting is not None:  # interrupted while it started: it may have a process already
                with suppress(Error, TimeoutError, AttributeError):
                    async with asyncio.timeout(_GOODBYE_S):
                        await self._starting.__aexit__()
        finally:
            if self._scratch is not None:
                await _end_those_of(self._scratch.name)
                self._scratch.cleanup()


async def _driver_of(starting: Any) -> Any:
    """Return the driver, once it has started.

    Raises:
        MeasurementError: it ended at once; what it lacks it has said itself, on the standard error that it shares.
    """
    try:
        return await starting.start()
    except Exception as error:  # playwright raises no class of its own here
        raise MeasurementError(
            f"playwright's driver does not start: {first_line(error)}",
            "python -m playwright --version says what it lacks",
        ) from error


def _starting() -> asyncio.Lock:
    """Return what one driver at a time is started under: priority and environment belong to the whole process."""
    return _LOCKS.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def short_root() -> str:
    """Return the temporary folder, or one whose path is short where that one's is long."""
    usual = tempfile.gettempdir()
    return "/tmp" if len(usual) > _LONGEST_PATH and os.access("/tmp", os.W_OK) else usual  # noqa: S108


def _sweep() -> None:
    """Remove what a probe left that was killed."""
    for left in Path(short_root()).glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        # A probe that runs beside this one keeps its own: only folders of processes that are gone are left over.
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


async def _end_those_of(folder: str) -> None:
    """End what still runs with its temporary files in ``folder``: browsers whose driver was ended before them.

    So may a driver, on a machine too busy for it to end within its time: the loop that started it closes soon, and has
    to hear of its end before.
    """
    for _ in range(_TRIES):
        found = _running_in(folder)
        if not found:
            return
        for pid in found:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(_BETWEEN_S)


def _running_in(folder: str) -> list[int]:
    """Return the processes whose command line or environment names ``folder``; none where proc(5) does not tell."""
    # A browser names its profile in its command line, what it started has
    # TMPDIR in its environment: hence both are read.
    found = set()
    for entry in (each for kind in ("cmdline", "environ") for each in Path("/proc").glob(f"[0-9]*/{kind}")):
        with suppress(OSError):
            if folder.encode() in entry.read_bytes():
                found.add(int(entry.parent.name))
    return sorted(found - {os.getpid()})


@contextmanager
def _temporary(folder: str) -> Iterator[None]:
    """Let what is started meanwhile have its temporary files there: the driver makes profiles among them."""
    before = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


def first_line(error: Exception) -> str:
    """Return what a fault of playwright's says, without its logs and its own call's name."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line.partition(": ")[2] or line


def source(name: str) -> str:
    """Return one of the scripts beside this file."""
    return (Path(__file__).parent / "js" / name).read_text(encoding="utf-8")
