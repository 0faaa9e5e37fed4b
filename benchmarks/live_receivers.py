"""Real receivers: libwebrtc inside this process (PyPI ``reactor-webrtc``), and a headless Chromium.

Facts (reactor-webrtc 0.24):
    - Its synthetic audio device pulls 10 ms every 10 ms on a thread of libwebrtc's; the callback gets what NetEQ gave,
      before mixing. Blocks of zeros are not handed over.
    - What a callback raises is swallowed: it only notes the instant and the bytes.
Facts (Chromium):
    - A remote track's blocks come from the same place. Their timestamp is the instant of that, in µs since an origin of
      its own. The page's clock at the quickest read tells where that lies, too late by what that read took; the page's
      clock itself is known to half the time of the quickest look at it.
    - It pulls as its audio output asks for sound: an element has to play the track. Without a sound card there is a
      stand-in.
Rule: both are given an empty list of ICE servers; nothing is asked of anybody outside.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError, MeasurementError

GATHER_S = 10.0
PAGE_LOOKS = 50
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_FLAGS = [
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",  # host candidates as addresses: no multicast
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGE_ANSWERS = """async offer => {
  const pc = window.pc = new RTCPeerConnection({iceServers: []});
  const noted = window.noted = {stamps: [], reads: [], pieces: [], rates: []};
  pc.ontrack = async ({track}) => {
    const player = window.player = new Audio();
    player.srcObject = new MediaStream([track]);
    player.play();
    const reader = new MediaStreamTrackProcessor({track, maxBufferSize: 1000}).readable.getReader();
    for (;;) {
      const {done, value} = await reader.read();
      if (done) break;
      noted.reads.push(performance.now());
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, {planeIndex: 0, format: 'f32-planar'});
      noted.stamps.push(value.timestamp);
      noted.rates.push(value.sampleRate);
      noted.pieces.push(Int16Array.from(samples, x => Math.max(-32768, Math.min(32767, Math.round(x * 32768)))));
      value.close();
    }
  };
  await pc.setRemoteDescription({type: 'offer', sdp: offer});
  await pc.setLocalDescription(await pc.createAnswer());
  while (pc.iceGatheringState !== 'complete') await new Promise(wake => setTimeout(wake, 10));
  return pc.localDescription.sdp;
}"""
PAGE_COUNTS = """async () => {
  for (const stats of (await window.pc.getStats()).values()) if (stats.type === 'inbound-rtp') return stats;
}"""
PAGE_RECORDED = """async () => {
  const {stamps, reads, pieces, rates} = window.noted;
  const bytes = new Blob(pieces);
  const url = await new Promise(done => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.readAsDataURL(bytes);
  });
  return [stamps, reads, pieces.map(piece => piece.length), rates, url.slice(url.indexOf(',') + 1)];
}"""

Block = tuple[float, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Counters of a receiver, as W3C webrtc-stats names them; seconds × samples. None: not told."""

    target_delay_s: float
    emitted: int
    concealed: int | None = None
    total: int | None = None


class Receiver(Protocol):
    """A WebRTC endpoint that answers an offer and records what it would play."""

    def describe(self) -> str:
        """Return name and versions."""
        ...

    async def answer(self, offer: str) -> str:
        """Return the answer to an offer, all candidates in it."""
        ...

    async def snapshot(self) -> Snapshot:
        """Return the counters now."""
        ...

    async def recording(self) -> list[Block]:
        """Return every block so far: instant on the monotonic clock, samples at 48 kHz, mono."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class Reactor:
    """libwebrtc by ``reactor-webrtc``."""

    def __init__(self) -> None:
        import reactor_webrtc  # noqa: PLC0415 - of a dependency group that few install

        sys.setswitchinterval(0.0005)  # its callbacks wait for the interpreter: 5 ms would be half a tick
        self._library: Any = reactor_webrtc
        self._blocks: list[tuple[float, bytes, int, int]] = []
        self._candidates: list[str] = []
        observer = reactor_webrtc.PeerConnectionObserver()
        observer.on_ice_candidate = lambda candidate: self._candidates.append(candidate.candidate)
        observer.on_ice_gathering_change = self._gathering
        observer.on_track = self._track
        self._gathered = False
        self._tracks: list[Any] = []
        self._observer = observer
        self._factory = reactor_webrtc.PeerConnectionFactory()
        self._connection = self._factory.create_peer_connection(
            reactor_webrtc.RtcConfiguration(ice_servers=[]), observer
        )

    def describe(self) -> str:
        """Return name and versions."""
        binary = next(Path(self._library.__file__).parent.glob("*.abi3.so"), Path(self._library.__file__))
        return f"reactor-webrtc {version('reactor-webrtc')} ({source_date(binary)})"

    async def answer(self, offer: str) -> str:
        """Return the answer to an offer, all candidates in it."""
        library, connection = self._library, self._connection
        await connection.set_remote_description(library.SessionDescription("offer", offer))
        answer = await connection.create_answer()
        await connection.set_local_description(answer)
        waited_until_s = time.monotonic() + GATHER_S
        while not self._gathered and time.monotonic() < waited_until_s:  # noqa: ASYNC110 - set by a foreign thread
            await asyncio.sleep(0.01)
        lines = [f"a={candidate}\r\n" for candidate in self._candidates]
        return str(answer.sdp) + "".join(lines) + "a=end-of-candidates\r\n"

    async def snapshot(self) -> Snapshot:
        """Return the counters now."""
        report = await self._connection.get_stats()
        inbound = report.inbound_rtp[0]
        return Snapshot(
            target_delay_s=inbound.jitter_buffer_target_delay_s,
            emitted=inbound.jitter_buffer_emitted_count,
        )

    async def recording(self) -> list[Block]:
        """Return every block so far: instant on the monotonic clock, samples at 48 kHz, mono."""
        blocks: list[Block] = []
        for at_s, data, rate_hz, channels in list(self._blocks):
            if rate_hz != 48_000:
                raise MeasurementError(
                    f"the receiver plays at {rate_hz} Hz, not at 48000 Hz", "set its output to 48 kHz"
                )
            pcm = np.frombuffer(data, dtype="<i2").reshape(-1, channels)[:, 0]
            blocks.append((at_s, pcm.astype(np.float32) / np.float32(32768)))
        return blocks

    async def close(self) -> None:
        """Hang up: the connection closes when nothing holds it any more."""
        self._factory.set_adm_playout_enabled(False)

    def _gathering(self, state: Any) -> None:
        self._gathered = state == self._library.IceGatheringState.Complete

    def _track(self, kind: Any, track: Any) -> None:
        if kind == self._library.MediaKind.Audio:
            self._tracks.append(track)
            track.on_audio_frame(self._frame)

    def _frame(self, pcm: bytes, rate_hz: int, channels: int, _frames: int) -> None:
        self._blocks.append((time.monotonic(), pcm, rate_hz, channels))


def source_date(binary: Path) -> str:
    """Return the day of the libwebrtc sources in a binary: their only version that stays in it."""
    found = re.search(rb"WebRTC source stamp (\d{4}-\d\d-\d\d)", binary.read_bytes())
    return f"libwebrtc sources of {found[1].decode()}" if found else "libwebrtc of unknown date"


class Chromium:
    """A headless Chromium of this machine, driven by ``playwright``."""

    def __init__(self) -> None:
        from playwright.async_api import Error, async_playwright  # noqa: PLC0415 - of a group that few install

        self._start, self._refused = async_playwright, Error
        self._path = next((path for path in map(shutil.which, BROWSERS) if path), None)
        if self._path is None:
            raise BadInputError("Chromium is not installed", "apt-get install chromium")
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._page: Any = None

    def describe(self) -> str:
        """Return name and versions."""
        assert self._path is not None
        said = subprocess.run([self._path, "--version"], check=True, capture_output=True, text=True)
        return f"{said.stdout.strip()} by playwright {version('playwright')}"

    async def answer(self, offer: str) -> str:
        """Return the answer to an offer, all candidates in it."""
        with unhurried():
            driver = await self._start().start()
            self._closing.append(driver.stop)
            try:
                browser = await driver.chromium.launch(executable_path=self._path, args=BROWSER_FLAGS)
            except self._refused as error:
                said = str(error).splitlines()[0]
                raise MeasurementError(f"{self._path} does not start ({said})", "start it by hand to see why") from None
            self._closing.append(browser.close)
        self._page = await browser.new_page()
        return str(await self._page.evaluate(PAGE_ANSWERS, offer))

    async def snapshot(self) -> Snapshot:
        """Return the counters now."""
        inbound = await self._page.evaluate(PAGE_COUNTS)
        return Snapshot(
            target_delay_s=inbound["jitterBufferTargetDelay"],
            emitted=inbound["jitterBufferEmittedCount"],
            concealed=inbound["concealedSamples"],
            total=inbound["totalSamplesReceived"],
        )

    async def recording(self) -> list[Block]:
        """Return every block so far: instant on the monotonic clock, samples at 48 kHz, mono."""
        page_zero_s = await self._page_zero_s()
        stamps, reads, lengths, rates, sound = await self._page.evaluate(PAGE_RECORDED)
        if set(rates) - {48_000}:
            raise MeasurementError(
                f"the receiver plays at {max(rates):g} Hz, not at 48000 Hz", "set its output to 48 kHz"
            )
        pcm = np.frombuffer(base64.b64decode(sound), dtype="<i2").astype(np.float32) / np.float32(32768)
        pieces = np.split(pcm, np.cumsum(lengths)[:-1])
        noted_s = np.array(stamps) / 1e6
        noted_s += page_zero_s + float((np.array(reads) / 1e3 - noted_s).min(initial=np.inf))
        return [(float(at_s), piece) for at_s, piece in zip(noted_s, pieces, strict=True) if piece.any()]

    async def _page_zero_s(self) -> float:
        """Return where the page's clock begins on the monotonic clock: between the two ends of the quickest look."""
        looks: list[tuple[float, float]] = []
        for _ in range(PAGE_LOOKS):
            before_s = time.monotonic()
            page_ms = await self._page.evaluate("performance.now()")
            after_s = time.monotonic()
            looks.append((after_s - before_s, (before_s + after_s) / 2 - page_ms / 1e3))
        return min(looks)[1]

    async def close(self) -> None:
        """Hang up and close the browser."""
        for close in reversed(self._closing):
            await close()


@contextmanager
def unhurried() -> Iterator[None]:
    """Start processes of ordinary priority in this block: a whole browser would leave the machine nothing."""
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, before, parameters)


def describe(name: str) -> str:
    """Return the versions of a receiver by name.

    Raises:
        BadInputError: it is not installed.
    """
    return make(name).describe()


def make(name: str) -> Receiver:
    """Return a fresh receiver by name.

    Raises:
        BadInputError: it is not installed.
    """
    try:
        return Chromium() if name == "chromium" else Reactor()
    except ImportError as error:
        raise BadInputError(f"{error.name} is not installed", "uv pip install --group live") from None
