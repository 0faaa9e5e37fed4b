"""A server in the test's own loop, on 127.0.0.1: it answers as a test says, and its peers are ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from calls import OPUS_SILENCE

from rtcprobe.audio.protection import Protection
from rtcprobe.call.mouth_track import Mouth, MouthTrack, Speech
from rtcprobe.call.peer import Peer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.base import CallSetup, find_target
from rtcprobe.call.transceiver import PictureWanted, SoundWanted
from rtcprobe.ice import IceSettings
from rtcprobe.link import LinkSpec, Path, parse_link
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.scenario import TargetPlan


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class FarEnd:
    """Every request goes to ``respond``, which returns bytes to send, or None to say nothing more for ever."""

    respond: Callable[[FarEnd, Request], Awaitable[bytes | None]]
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    network: OutsideNetwork | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is a peer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def peer(self, *, speaks: bool = True, media: str = "sendrecv", beside: Sequence[PictureWanted] = ()) -> Peer:
        host = self.network.add_outside_host(f"far{len(self.peers)}", ["127.0.0.1"], up=Path([]), down=Path([]))
        may_speak = asyncio.Event()
        if speaks:
            may_speak.set()
        speech = Speech(frames=[OPUS_SILENCE], ptime_s=0.020, endless=True)
        mouth = Mouth(speech=speech, phase_s=0.0, network=self.network, may_speak=may_speak)
        made = Peer(
            host,
            "callee",
            [SoundWanted(track=MouthTrack(mouth), media=media), *beside],
            dtls_timeout_s=lambda _: 1.0,
            protection=Protection(),
        )
        self.peers.append(made)
        self.asked.set()
        return made

    async def answer(self, offer: str, **how: object) -> str:
        """Return the answer of a new peer."""
        return (await self.peer(**how).answer(Sdp(kind="offer", text=offer))).text

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := (await reader.readline()).decode():
                method, path, _ = line.split(" ", 2)
                headers = {}
                while name := (await reader.readline()).decode().strip():
                    key, _, value = name.partition(":")
                    headers[key.lower()] = value.strip()
                body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
                request = Request(method, path, headers, body)
                self.requests.append(request)
                said = await self.respond(self, request)
                if said is None:
                    await asyncio.get_running_loop().create_future()
                writer.write(said)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def reply(status: str, body: str = "", **headers: str) -> bytes:
    """Return an HTTP answer; a header named ``content_type`` is ``Content-Type``."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *lines])
    return f"{head}\r\n\r\n{body}".encode()


@asynccontextmanager
async def far_end(respond):
    made = FarEnd(respond)
    made.network = OutsideNetwork(asyncio.get_running_loop())
    server = await asyncio.start_server(made._serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        for peer in made.peers:
            await peer.close()
        made.network.close()
        server.close()


def outside_setup(target, *, link=None, frames=5, endless=True, join_timeout_s=5.0, ice=None):
    speech = Speech(frames=[OPUS_SILENCE] * frames, ptime_s=0.020, endless=endless)
    spec = parse_link(link) if link else LinkSpec()
    return CallSetup(
        routes={route: [spec] for route in target.routes},
        speech={"caller": speech, "callee": speech},
        connection="cold",
        dtls_timeout_s=lambda _: 1.0,
        join_timeout_s=join_timeout_s,
        linger_s=0.0,
        ice=ice or IceSettings(),
    )


class _Ahead(RealEventLoop):
    """The real loop, which a test may put ahead: a limit is over when what it is of has come, on any machine."""

    ahead_s = 0.0

    def time(self):
        return super().time() + self.ahead_s


def put_ahead(by_s):
    """Let that much time have gone by: every timer that would have been due is."""
    asyncio.get_running_loop().ahead_s += by_s


async def connected(server, count):
    """Wait until so many connections to ``server`` are there, and have been long enough for both ends to know."""
    while len(server.peers) < count:  # noqa: ASYNC110 - there is no event of the n-th
        await asyncio.sleep(0.01)
    await asyncio.gather(*(peer.connected.wait() for peer in server.peers))
    for _ in range(20):  # a packet that has come is read in the loop's next turn, however late that is
        await asyncio.sleep(0.01)


def on_the_real_loop(main):
    with asyncio.Runner(loop_factory=_Ahead) as runner:
        return runner.run(main)


async def called(url, *, options=None, talk=False, **how):
    """Return a call to ``url`` that has ended."""
    target = find_target(TargetPlan(url=url, options=options or {}))
    call = target.call(outside_setup(target, endless=not talk, **how), np.random.SeedSequence(1), "real")
    await (call.talk() if talk else call.join())
    return call
