"""An echo over "POST an SDP offer, get an answer", by aiortc: ``python aiortc_echo.py ADDRESS PORT``.

It stands for the many services joined like that, and can be as awkward as they are. Packets go back encoded as they
came, so the process needs little CPU and adds no codec.

Paths, by what the service wants or does:
    /offer      JSON ``{sdp, type}``, as aiortc's own examples
    /plain      ``application/sdp`` in, ``application/sdp`` out, 201 and a Location that takes DELETE
    /bearer     as /plain, with ``Authorization: Bearer`` of the environment's ECHO_TOKEN
    /silent     an answer, then not one packet
    /stranger   media from an SSRC that nobody announced, next to the echo
    /garbage    200 and something that is no SDP
    /pcmu       an answer that knows no Opus
    /never      no answer at all
    /page       a page that calls /offer, as awkward as its query says (``awkward.html``); /mute-page: its microphone
                is refused by a policy of ours; /closed-page: 403
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from encoded_track import EncodedTrack
from small_http import Answer, Request, serve_forever

PAGE = Path(__file__).parent / "awkward.html"


class Echo:
    """The service: its open calls, by number."""

    def __init__(self) -> None:
        self.calls: dict[int, RTCPeerConnection] = {}
        self._made = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, offer: str, way: str) -> tuple[int, str]:
        """Return a call's number and the answer to ``offer``."""
        # Without a configuration aiortc asks a public STUN server.
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._made += 1
        number = self._made
        self.calls[number] = peer

        @peer.on("connectionstatechange")
        async def changed() -> None:
            if peer.connectionState in {"failed", "closed"}:
                await self.hang_up(number)

        track = EncodedTrack()
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if way != "silent":
            peer.addTrack(track)
        receiver = peer.getTransceivers()[0].receiver

        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:  # noqa: ARG001 - aiortc passes it by name
            if not track.packets.full():
                track.packets.put_nowait(packet)

        receiver._handle_rtp_packet = take
        await peer.setLocalDescription(await peer.createAnswer())
        if way == "stranger":
            task = asyncio.ensure_future(self._speak_as_a_stranger(peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return number, peer.localDescription.sdp

    async def hang_up(self, number: int) -> bool:
        peer = self.calls.pop(number, None)
        if peer is not None:
            await peer.close()
        return peer is not None

    async def _speak_as_a_stranger(self, peer: RTCPeerConnection) -> None:
        transport = peer.getTransceivers()[0].receiver.transport
        for sequence in range(100_000):
            await asyncio.sleep(0.02)
            if peer.connectionState == "closed":
                return
            if peer.connectionState == "connected":
                packet = RtpPacket(
                    payload_type=96, sequence_number=sequence % 65536, timestamp=(960 * sequence) % 2**32
                )
                packet.ssrc = 0xBAD5EED
                packet.payload = b"\xf8\xff\xfe"  # a valid frame of silence
                await transport._send_rtp(packet.serialize())


async def respond(echo: Echo, request: Request) -> Answer:
    """Answer ``request``."""
    way = request.path.partition("?")[0].strip("/")
    match request.method, way:
        case "GET", "page" | "mute-page":
            policy = {"Permissions-Policy": "microphone=()"} if way == "mute-page" else {}
            return Answer("200 OK", PAGE.read_text(), "text/html", policy)
        case "GET", "closed-page":
            return Answer("403 Forbidden", "not for you")
        case "GET", "calls":
            return Answer("200 OK", str(len(echo.calls)))
        case "DELETE", _:
            gone = await echo.hang_up(int(way.rsplit("/", 1)[1]))
            return Answer("200 OK" if gone else "404 Not Found")
        case "POST", _:
            return await take_offer(echo, way, request)
    return Answer("405 Method Not Allowed", "POST an offer")


async def take_offer(echo: Echo, way: str, request: Request) -> Answer:
    """Answer an offer in the ``way`` asked for."""
    if way == "never":
        await asyncio.Event().wait()
    if way == "garbage":
        return Answer("200 OK", "this is no session description", "application/sdp")
    if way == "bearer" and request.headers.get("authorization") != f"Bearer {os.environ['ECHO_TOKEN']}":
        return Answer("401 Unauthorized", "no such token")
    number, answer = await echo.answer(json.loads(request.body)["sdp"] if way == "offer" else request.body, way)
    if way == "pcmu":
        answer = only_pcmu(answer)
    if way == "offer":
        return Answer("200 OK", json.dumps({"sdp": answer, "type": "answer"}), "application/json")
    return Answer("201 Created", answer, "application/sdp", {"Location": f"/call/{number}"})


def only_pcmu(sdp: str) -> str:
    """Return ``sdp`` with one codec, PCMU."""
    lines = [line for line in sdp.split("\r\n") if not line.startswith(("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"))]
    done: list[str] = []
    for line in lines:
        if line.startswith("m=audio"):
            done += [" ".join([*line.split(" ")[:3], "0"]), "a=rtpmap:0 PCMU/8000"]
        else:
            done.append(line)
    return "\r\n".join(done)


async def main(address: str, port: int) -> None:
    echo = Echo()
    await serve_forever(address, port, lambda request: respond(echo, request))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
