"""A forwarder with WHIP and WHEP by aiortc: ``python aiortc_sfu.py ADDRESS PORT``.

What is published at ``/whip`` goes, still encoded, to everyone at ``/whep``, with timestamps, numbers and a source of
the forwarder's own. One room. It can be as awkward as real servers are, by the path asked for:
    /whep              an answer, as the draft has it
    /whep-actpass      an answer whose DTLS role is actpass, as streaming servers give
    /whep-counter      406 with the server's own offer, answered by PATCH to the Location
    /whep-later        409 with Retry-After twice, then an answer
    /rooms/x/sessions  no WHIP at all: the API of the example target, an echo
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from aiortc.sdp import candidate_from_sdp
from encoded_track import EncodedTrack
from small_http import Answer, Request, serve_forever

SDP = "application/sdp"


class Room:
    """One publisher's sound to every listener; sessions by number."""

    def __init__(self) -> None:
        self.sessions: dict[int, RTCPeerConnection] = {}
        self.listeners: dict[int, EncodedTrack] = {}
        self._made = 0
        self.refusals = 0

    def _open(self) -> tuple[int, RTCPeerConnection]:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._made += 1
        self.sessions[self._made] = peer
        return self._made, peer

    async def publish(self, offer: str) -> tuple[int, str]:
        number, peer = self._open()
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))

        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:  # noqa: ARG001 - aiortc passes it by name
            for track in self.listeners.values():
                if not track.packets.full():
                    track.packets.put_nowait(packet)

        peer.getTransceivers()[0].receiver._handle_rtp_packet = take
        await peer.setLocalDescription(await peer.createAnswer())
        return number, peer.localDescription.sdp

    async def listen(self, offer: str) -> tuple[int, str]:
        number, peer = self._open()
        track = self.listeners[number] = EncodedTrack()
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        peer.addTrack(track)
        await peer.setLocalDescription(await peer.createAnswer())
        return number, peer.localDescription.sdp

    async def echo(self, offer: str) -> tuple[int, str]:
        """Let one who speaks hear himself."""
        number, peer = self._open()
        track = EncodedTrack()
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        peer.addTrack(track)

        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:  # noqa: ARG001 - aiortc passes it by name
            if not track.packets.full():
                track.packets.put_nowait(packet)

        peer.getTransceivers()[0].receiver._handle_rtp_packet = take
        await peer.setLocalDescription(await peer.createAnswer())
        return number, peer.localDescription.sdp

    async def offer_to_listen(self) -> tuple[int, str]:
        number, peer = self._open()
        track = self.listeners[number] = EncodedTrack()
        peer.addTransceiver(track, direction="sendonly")
        await peer.setLocalDescription(await peer.createOffer())
        return number, peer.localDescription.sdp

    async def hang_up(self, number: int) -> bool:
        self.listeners.pop(number, None)
        peer = self.sessions.pop(number, None)
        if peer is not None:
            await peer.close()
        return peer is not None


async def respond(room: Room, request: Request) -> Answer:
    """Answer ``request``."""
    way = request.path.strip("/")
    match request.method:
        case "OPTIONS":  # a page of another origin asks first (Fetch §3.2.4)
            return Answer("204 No Content", headers={"Access-Control-Allow-Headers": "*"})
        case "GET":
            return Answer("200 OK", str(len(room.sessions)))
        case "DELETE":
            gone = await room.hang_up(int(way.rsplit("/", 1)[1]))
            return Answer("200 OK" if gone else "404 Not Found")
        case "PATCH":
            peer = room.sessions[int(way.rsplit("/", 1)[1])]
            if request.headers.get("content-type") == "application/trickle-ice-sdpfrag":
                return await take_candidates(peer, request)
            await peer.setRemoteDescription(RTCSessionDescription(request.body, "answer"))
            return Answer("204 No Content")
    return await take_offer(room, way, request.body)


async def take_candidates(peer: RTCPeerConnection, request: Request) -> Answer:
    """Take the candidates that an offer lacked."""
    if request.headers.get("if-match") != '"1"':
        return Answer("412 Precondition Failed")
    for line in request.body.splitlines():
        if line.startswith("a=candidate:"):
            candidate = candidate_from_sdp(line.removeprefix("a=candidate:"))
            candidate.sdpMid = "0"
            await peer.addIceCandidate(candidate)
    await peer.addIceCandidate(None)
    return Answer("204 No Content")


async def take_offer(room: Room, way: str, offer: str) -> Answer:
    """Answer an offer in the ``way`` asked for."""
    if way == "whep-later" and room.refusals < 2:
        room.refusals += 1
        return Answer("409 Conflict", "nobody is on the air", headers={"Retry-After": "0"})
    if way.startswith("rooms/"):
        number, answer = await room.echo(json.loads(offer)["offer"])
        return Answer("201 Created", json.dumps({"id": number, "answer": answer}), "application/json")
    if way == "whip":
        number, answer = await room.publish(offer)
        return Answer("201 Created", answer, SDP, {"Location": f"/session/{number}", "ETag": '"1"'})
    if way == "whep-counter":
        number, own = await room.offer_to_listen()
        return Answer("406 Not Acceptable", own, SDP, {"Location": f"/session/{number}"})
    number, answer = await room.listen(offer)
    if way == "whep-actpass":
        answer = answer.replace("a=setup:active", "a=setup:actpass").replace("a=setup:passive", "a=setup:actpass")
    return Answer("201 Created", answer, SDP, {"Location": f"/session/{number}", "ETag": '"1"'})


async def main(address: str, port: int) -> None:
    room = Room()

    async def to_any_page(request: Request) -> Answer:
        answer = await respond(room, request)
        return replace(answer, headers={**answer.headers, "Access-Control-Allow-Origin": "*"})

    await serve_forever(address, port, to_any_page)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
