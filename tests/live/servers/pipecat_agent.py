"""A pipecat agent, the real one, offline: ``python pipecat_agent.py ADDRESS PORT WAV``.

The pipeline is pipecat's: its small transport, Silero's voice detector, its turn taking and interruptions. What would
need a service is played: nobody transcribes (turns end by the voice detector and 0.6 s), and the answer is a WAV file,
handed over ``THINKS_S`` after pipecat took the turn for over. ``GET /log`` tells what the agent itself knows of its
latest session.
"""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from typing import Any

from agent_truth import Truth, watch_packets
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc import transport as small
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.request_handler import (
    IceCandidate,
    SmallWebRTCPatchRequest,
    SmallWebRTCRequest,
    SmallWebRTCRequestHandler,
)
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner
from small_http import Answer, Request, serve_forever

THINKS_S = 0.2

logs: list[Truth] = []


class Answers(FrameProcessor):
    """In place of a model that hears and speaks: the same sound to every turn of the user's."""

    def __init__(self, truth: Truth, sound: bytes, rate: int) -> None:
        super().__init__()
        self._truth, self._sound, self._rate = truth, sound, rate
        self._thinking: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame | UserStoppedSpeakingFrame):
            self._truth.happened(type(frame).__name__)
            if self._thinking is not None:
                self._thinking.cancel()
        if isinstance(frame, UserStoppedSpeakingFrame):
            self._thinking = asyncio.ensure_future(self._answer())
        await self.push_frame(frame, direction)

    async def _answer(self) -> None:
        await asyncio.sleep(THINKS_S)
        await self.push_frame(TTSStartedFrame())
        await self.push_frame(TTSAudioRawFrame(audio=self._sound, sample_rate=self._rate, num_channels=1))
        await self.push_frame(TTSStoppedFrame())


class LoggedTrack(small.RawAudioTrack):
    """pipecat's track, and what can be heard of what it hands over."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.truth = logs[-1]

    async def recv(self) -> Any:
        frame = await super().recv()
        self.truth.hands_over(frame.to_ndarray(), frame.pts, frame.sample_rate)
        return frame


async def converse(connection: SmallWebRTCConnection, sound: bytes, rate: int, truth: Truth) -> None:
    """Be the agent of one session until its caller is gone."""
    transport = small.SmallWebRTCTransport(connection, TransportParams(audio_in_enabled=True, audio_out_enabled=True))
    turns = UserTurnStrategies(
        start=[VADUserTurnStartStrategy()], stop=[SpeechTimeoutUserTurnStopStrategy(wait_for_transcript=False)]
    )
    pair = LLMContextAggregatorPair(
        LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer(), user_turn_strategies=turns)
    )
    pipeline = Pipeline(
        [transport.input(), pair.user(), Answers(truth, sound, rate), transport.output(), pair.assistant()]
    )
    worker = PipelineWorker(pipeline, params=PipelineParams(audio_out_sample_rate=rate))

    @transport.event_handler("on_client_disconnected")
    async def gone(_transport: object, _client: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


class Agents:
    """pipecat's own door, and the sessions behind it."""

    def __init__(self, sound: bytes, rate: int) -> None:
        self._sound, self._rate = sound, rate
        self._door = SmallWebRTCRequestHandler()
        self._sessions: set[asyncio.Task[None]] = set()

    async def _begin(self, connection: SmallWebRTCConnection) -> None:
        logs.append(Truth())
        session = asyncio.ensure_future(converse(connection, self._sound, self._rate, logs[-1]))
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)

    async def respond(self, request: Request) -> Answer:
        """Answer ``request``."""
        match request.method, request.path:
            case "POST", "/api/offer":
                offer = SmallWebRTCRequest.from_dict(json.loads(request.body))
                return Answer(
                    "200 OK", json.dumps(await self._door.handle_web_request(offer, self._begin)), "application/json"
                )
            case "PATCH", "/api/offer":
                told = json.loads(request.body)
                candidates = [IceCandidate(**each) for each in told["candidates"]]
                await self._door.handle_patch_request(SmallWebRTCPatchRequest(told["pc_id"], candidates))
                return Answer("200 OK", '{"status": "success"}', "application/json")
            case "GET", "/calls":
                return Answer("200 OK", str(len(self._sessions)))
            case "GET", "/log":
                return Answer("200 OK", json.dumps(logs[-1].told()), "application/json")
        return Answer("405 Method Not Allowed", "POST an offer")


async def main(address: str, port: int, answer: str) -> None:
    with wave.open(answer, "rb") as file:
        rate, sound = file.getframerate(), file.readframes(file.getnframes())
    watch_packets(logs)
    small.RawAudioTrack = LoggedTrack
    SileroVADAnalyzer()  # its model is loaded, and compiled, before anybody calls
    await serve_forever(address, port, Agents(sound, rate).respond)


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
