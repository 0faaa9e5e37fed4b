"""A voice agent behind "POST an SDP offer, get an answer", by aiortc: ``python aiortc_agent.py ADDRESS PORT``.

It has the shape of pipecat's small transport: ``/api/offer`` takes JSON ``{sdp, type}`` and answers ``{sdp, type,
pc_id}``, further candidates come by PATCH, zeros are sent while it is silent, and speech of 20 ms at a time by the wall
clock. What it hears and does is rtcprobe's simulated agent, whose own log ``GET /log`` tells, in samples of its voice.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, AudioResampler
from small_http import Answer, Request, serve_forever

from rtcprobe.conversation import AgentPlan, SimulatedAgent

PLAN = AgentPlan(hangover_s=0.5, think_s=0.3, spread=0.0, answer_s=(2.0, 3.0), interrupt_after_s=0.4)
RATE, FRAME = 48_000, 960


class Voice(MediaStreamTrack):
    """What the agent says: 20 ms whenever the wall clock has it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.agent = SimulatedAgent(PLAN, np.random.SeedSequence(1))
        self.heard = 0
        self._begun_s: float | None = None
        self._next = 0

    async def recv(self) -> AudioFrame:
        if self._begun_s is None:
            self._begun_s = time.monotonic()
        due_s = self._begun_s + self._next * FRAME / RATE
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        sound = self.agent.speak(self._next * FRAME, FRAME, self._next * FRAME / RATE)
        samples = np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)
        if np.abs(samples).max() < 8:
            samples[:] = 0  # pipecat sends zeros while it is silent
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._next * FRAME, Fraction(1, RATE)
        self._next += 1
        return frame

    async def listen(self, track: MediaStreamTrack) -> None:
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE, frame_size=480)
        while True:
            for each in resampler.resample(await track.recv()):
                block = each.to_ndarray().reshape(-1).astype(np.float32) / np.float32(32768)
                now_s = 0.0 if self._begun_s is None else time.monotonic() - self._begun_s
                self.agent.hear(block, now_s)
                self.heard += 1


class Agents:
    """The open sessions, and the log of the latest one."""

    def __init__(self) -> None:
        self.open: dict[str, RTCPeerConnection] = {}
        self.latest: Voice | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._halves = 0

    async def answer(self, offer: str) -> dict[str, str]:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        name = f"session-{len(self._tasks)}"
        voice = self.latest = Voice()
        self.open[name] = peer

        @peer.on("track")
        def listens(track: MediaStreamTrack) -> None:
            self._tasks.add(asyncio.ensure_future(voice.listen(track)))

        @peer.on("connectionstatechange")
        async def changed() -> None:
            if peer.connectionState in {"failed", "closed"}:
                self.open.pop(name, None)
                await peer.close()

        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        peer.addTrack(voice)
        await peer.setLocalDescription(await peer.createAnswer())
        return {"sdp": peer.localDescription.sdp, "type": "answer", "pc_id": name}

    async def half(self, offer: str, *, speaks: bool) -> Answer:
        """Answer a publisher's offer, or a listener's: whoever publishes and whoever listens are one caller."""
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._halves += 1
        name = f"half-{self._halves}"
        if self.latest is None or not any(each.startswith("half") for each in self.open):
            self.latest = Voice()
        voice = self.latest
        self.open[name] = peer

        @peer.on("track")
        def listens(track: MediaStreamTrack) -> None:
            if not speaks:
                self._tasks.add(asyncio.ensure_future(voice.listen(track)))

        @peer.on("connectionstatechange")
        async def changed() -> None:
            if peer.connectionState in {"failed", "closed"}:
                self.open.pop(name, None)
                await peer.close()

        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if speaks:
            peer.addTrack(voice)
        await peer.setLocalDescription(await peer.createAnswer())
        headers = {"Location": f"/session/{name}"}
        return Answer("201 Created", peer.localDescription.sdp, "application/sdp", headers)

    def told(self) -> list[dict[str, int | None]]:
        """Return what the latest voice said, in samples of it."""
        said = [] if self.latest is None else self.latest.agent.said
        return [{"begin": each.begin, "end": each.end} for each in said]

    async def end(self, path: str) -> Answer:
        """End a session by its address."""
        peer = self.open.pop(path.rpartition("/")[2], None)
        if peer is None:
            return Answer("404 Not Found")
        await peer.close()
        return Answer("200 OK")


async def respond(agents: Agents, request: Request) -> Answer:  # noqa: PLR0911 - a door each
    """Answer ``request``."""
    match request.method, request.path:
        case "POST", "/api/offer":
            made = await agents.answer(json.loads(request.body)["sdp"])
            return Answer("200 OK", json.dumps(made), "application/json")
        case "POST", "/whip" | "/whep":
            return await agents.half(request.body, speaks=request.path == "/whep")
        case "DELETE", path:
            return await agents.end(path)
        case "PATCH", "/api/offer":
            known = json.loads(request.body)["pc_id"] in agents.open
            return Answer("200 OK" if known else "404 Not Found")
        case "GET", "/calls":
            return Answer("200 OK", str(len(agents.open)))
        case "GET", "/log":
            return Answer("200 OK", json.dumps(agents.told()), "application/json")
    return Answer("405 Method Not Allowed", "POST an offer")


async def main(address: str, port: int) -> None:
    agents = Agents()
    await serve_forever(address, port, lambda request: respond(agents, request))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
