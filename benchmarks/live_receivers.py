"""Real receivers: libwebrtc inside this process (PyPI ``reactor-webrtc``).

Facts (reactor-webrtc 0.24):
    - Its synthetic audio device pulls 10 ms every 10 ms on a thread of libwebrtc's; the callback gets what NetEQ gave,
      before mixing. Blocks of zeros are not handed over.
    - What a callback raises is swallowed: it only notes the instant and the bytes.
    - A list of ICE servers has to be given, or none is what it uses; nothing is asked of anybody outside.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError

GATHER_S = 10.0

Block = tuple[float, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Counters of a receiver, as W3C webrtc-stats names them; seconds × samples. None: not told."""

    target_delay_s: float
    buffer_delay_s: float
    emitted: int
    received: int
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
            buffer_delay_s=inbound.jitter_buffer_delay_s,
            emitted=inbound.jitter_buffer_emitted_count,
            received=inbound.packets_received,
        )

    async def recording(self) -> list[Block]:
        """Return every block so far: instant on the monotonic clock, samples at 48 kHz, mono."""
        blocks: list[Block] = []
        for at_s, data, rate_hz, channels in list(self._blocks):
            if rate_hz != 48_000:
                raise ValueError(f"the receiver plays at {rate_hz} Hz, not at 48000 Hz")
            pcm = np.frombuffer(data, dtype="<i2").reshape(-1, channels)[:, 0]
            blocks.append((at_s, pcm.astype(np.float32) / 32768))
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
    if name == "chromium":
        raise BadInputError("chromium is not supported", "use reactor")
    try:
        return Reactor()
    except ImportError:
        raise BadInputError("reactor-webrtc is not installed", "uv pip install --group live") from None
