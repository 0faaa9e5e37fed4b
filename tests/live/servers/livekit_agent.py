"""A LiveKit agent, the real one, offline and without a LiveKit server: ``python livekit_agent.py ADDRESS PORT WAV``.

``AgentSession`` is LiveKit's: its voice detector, its endpointing, its interruptions. Its sound comes and goes by
aiortc, behind "POST an SDP offer, get an answer" as pipecat's agents have it. What would need a service is played: the
answer is a WAV file, ``THINKS_S`` after the session asked for one. ``GET /log`` tells what the agent itself knows of
its latest session.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import wave
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import numpy as np
from agent_truth import Truth, watch_packets
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame, AudioResampler
from livekit import rtc
from livekit.agents import Agent, AgentSession, inference, llm
from livekit.agents.voice import io
from small_http import Answer, Request, serve_forever

THINKS_S = 0.2
HEARD_RATE, SAID_RATE = 16_000, 24_000
CHUNK = SAID_RATE // 50  # 20 ms

logs: list[Truth] = []


class Ears(io.AudioInput):
    """What comes from the caller, as a session takes it: 16 kHz, 20 ms."""

    def __init__(self) -> None:
        super().__init__(label="aiortc")
        self._frames: asyncio.Queue[rtc.AudioFrame | None] = asyncio.Queue()

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await self._frames.get()
        if frame is None:
            raise StopAsyncIteration
        return frame

    async def listen(self, track: MediaStreamTrack) -> None:
        """Take everything of ``track`` until it ends."""
        resampler = AudioResampler(format="s16", layout="mono", rate=HEARD_RATE, frame_size=HEARD_RATE // 50)
        try:
            while True:
                for each in resampler.resample(await track.recv()):
                    sound = each.to_ndarray().tobytes()
                    self._frames.put_nowait(rtc.AudioFrame(sound, HEARD_RATE, 1, len(sound) // 2))
        except MediaStreamError:
            pass  # its caller is gone
        finally:
            self._frames.put_nowait(None)


class Mouth(io.AudioOutput):
    """Where a session puts what it says; a track takes it from here, 20 ms at a time."""

    def __init__(self) -> None:
        super().__init__(label="aiortc", capabilities=io.AudioOutputCapabilities(pause=False), sample_rate=SAID_RATE)
        self._rest = np.zeros(0, dtype=np.int16)
        self._said = 0
        self._flushed = False

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._said and not len(self._rest):
            self.on_playback_started(created_at=time.time())
        self._rest = np.concatenate([self._rest, np.frombuffer(frame.data, dtype=np.int16)])

    def flush(self) -> None:
        super().flush()
        self._flushed = True

    def clear_buffer(self) -> None:
        if len(self._rest) or self._flushed:
            self._rest = self._rest[:0]
            self._over(interrupted=True)

    def take(self) -> np.ndarray:
        """Return the next 20 ms; zeros where nothing is to be said."""
        part, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
        self._said += len(part)
        if self._flushed and not len(self._rest):
            self._over(interrupted=False)
        return np.pad(part, (0, CHUNK - len(part)))

    def _over(self, *, interrupted: bool) -> None:
        said, self._said, self._flushed = self._said, 0, False
        self.on_playback_finished(playback_position=said / SAID_RATE, interrupted=interrupted)


class Voice(MediaStreamTrack):
    """The track of an agent: by the wall clock, zeros while nothing is said."""

    kind = "audio"

    def __init__(self, mouth: Mouth, truth: Truth) -> None:
        super().__init__()
        self._mouth, self._truth = mouth, truth
        self._begun_s: float | None = None
        self._position = 0

    async def recv(self) -> AudioFrame:
        if self._begun_s is None:
            self._begun_s = time.monotonic()
        await asyncio.sleep(max(0.0, self._begun_s + self._position / SAID_RATE - time.monotonic()))
        samples = self._mouth.take()
        self._truth.hands_over(samples, self._position, SAID_RATE)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAID_RATE, self._position, Fraction(1, SAID_RATE)
        self._position += CHUNK
        return frame


class NoModel(llm.LLM):
    """A session wants a model before it replies; ``Assistant`` never asks it."""

    def chat(self, **_named: Any) -> Any:
        raise NotImplementedError


class Assistant(Agent):
    """In place of a model and a voice: the same sound to every turn of the user's."""

    def __init__(self, sound: np.ndarray) -> None:
        super().__init__(instructions="")
        self._sound = sound

    async def llm_node(self, *_: Any) -> AsyncIterator[str]:
        await asyncio.sleep(THINKS_S)
        yield "of course"

    async def tts_node(self, text: Any, _settings: Any) -> AsyncIterator[rtc.AudioFrame]:
        async for _word in text:
            pass
        for begin in range(0, len(self._sound), CHUNK):
            part = self._sound[begin : begin + CHUNK]
            yield rtc.AudioFrame(part.tobytes(), SAID_RATE, 1, len(part))


class Session:
    """One caller and its agent."""

    def __init__(self, sound: np.ndarray) -> None:
        logs.append(Truth())
        self.truth = logs[-1]
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._ears, self._mouth, self._sound = Ears(), Mouth(), sound
        self._agent = AgentSession(
            vad=inference.VAD(),
            llm=NoModel(),
            turn_handling={
                "turn_detection": "vad",
                "interruption": {"mode": "vad", "resume_false_interruption": False},
                "preemptive_generation": {"enabled": False},
            },
            aec_warmup_duration=None,
        )
        self._agent.input.audio, self._agent.output.audio = self._ears, self._mouth
        self._tasks: set[asyncio.Task[None]] = set()

        @self._agent.on("user_state_changed")
        def changed(event: Any) -> None:
            self.truth.happened(f"user {event.new_state}")

    async def answer(self, offer: str) -> str:
        """Return the answer to an offer; whoever is to speak is there by then."""

        @self.peer.on("track")
        def heard(track: MediaStreamTrack) -> None:
            self._tasks.add(asyncio.ensure_future(self._ears.listen(track)))

        await self.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self.peer.addTrack(Voice(self._mouth, self.truth))
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        await self._agent.start(Assistant(self._sound), record=False)
        return self.peer.localDescription.sdp

    async def end(self) -> None:
        """Let go of everything."""
        await self.peer.close()
        await self._agent.aclose()


class Sessions:
    """The open ones, by the name their answer gave."""

    def __init__(self, sound: np.ndarray) -> None:
        self._sound = sound
        self._open: dict[str, Session] = {}

    async def _begin(self, offer: str) -> dict[str, str]:
        session, name = Session(self._sound), f"session-{len(logs)}"
        self._open[name] = session

        @session.peer.on("connectionstatechange")
        async def changed() -> None:
            if session.peer.connectionState in {"failed", "closed"} and self._open.pop(name, None) is not None:
                await session.end()

        return {"sdp": await session.answer(offer), "type": "answer", "pc_id": name}

    async def respond(self, request: Request) -> Answer:
        """Answer ``request``."""
        match request.method, request.path:
            case "POST", "/api/offer":
                return Answer(
                    "200 OK", json.dumps(await self._begin(json.loads(request.body)["sdp"])), "application/json"
                )
            case "PATCH", "/api/offer":
                told = json.loads(request.body)
                for each in told["candidates"]:
                    candidate = candidate_from_sdp(each["candidate"]) if each["candidate"] else None
                    if candidate is not None:
                        candidate.sdpMid, candidate.sdpMLineIndex = each["sdp_mid"], each["sdp_mline_index"]
                    await self._open[told["pc_id"]].peer.addIceCandidate(candidate)
                return Answer("200 OK", '{"status": "success"}', "application/json")
            case "GET", "/calls":
                return Answer("200 OK", str(len(self._open)))
            case "GET", "/log":
                return Answer("200 OK", json.dumps(logs[-1].told()), "application/json")
        return Answer("405 Method Not Allowed", "POST an offer")


async def main(address: str, port: int, answer: str) -> None:
    with wave.open(answer, "rb") as file:
        assert file.getframerate() == SAID_RATE
        sound = np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)
    watch_packets(logs)
    await serve_forever(address, port, Sessions(sound).respond)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
