"""A small stand-in for a LiveKit server: ``python livekit_room.py ADDRESS PORT FOLDER`` (Python of ``.live/agents``).

It speaks LiveKit's own messages (protobuf over WebSocket, as ``livekit.protocol`` has them) with livekit-client, and
forwards each participant's sound, still encoded, to all others of its room. FOLDER's files are served beside it.

Facts:
    - livekit-client 2.23 joins at /rtc/v1 with one connection, whose offer travels within the WebSocket's URL. Answered
      404 there, as by servers before 1.9, it throws that connection away and joins at /rtc with two: one to publish,
      one to subscribe, the latter offered by the server. Both are here: the second in rooms whose name begins with old.
    - Who is to hear another in the one connection is asked for more sections (MediaSectionsRequirement), offers anew,
      and finds in the answer's ``mid_to_track_id`` whose sound comes in which.

Rules:
    1. A token is a JWT of ``SECRET`` (HS256); who has none is refused, 401.
    2. What it does not know it leaves alone: no codecs but Opus, no pictures, no data.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import itertools
import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket
from aiortc.sdp import SessionDescription, candidate_from_sdp
from av import Packet
from encoded_track import EncodedTrack
from livekit.protocol import models, rtc

SECRET = b"a-secret-of-the-stand-in-32-bytes"
PUBLISHER, SUBSCRIBER = rtc.SignalTarget.PUBLISHER, rtc.SignalTarget.SUBSCRIBER


class ForwardedTrack(EncodedTrack):
    """What came before anybody could take it is left out: sent in one burst, it would fill the listener's playout."""

    wanted = False

    async def recv(self) -> Packet:
        self.wanted = True
        return await super().recv()


@dataclass(eq=False)
class Participant:
    """One who is in a room: its WebSocket, and its connections by what they are for."""

    room: str
    identity: str
    sid: str
    socket: web.WebSocketResponse
    old: bool
    peers: dict[int, RTCPeerConnection] = field(default_factory=dict)
    microphone: models.TrackInfo | None = None
    heard: dict[str, tuple[str, ForwardedTrack]] = field(default_factory=dict)
    """Whom it hears, by the speaker's sid: in the section of which mid ("": in none yet), and what is sent there."""

    def info(self) -> models.ParticipantInfo:
        tracks = [self.microphone] if self.microphone is not None else []
        active = models.ParticipantInfo.State.ACTIVE
        may = models.ParticipantPermission(can_publish=True, can_subscribe=True)
        return models.ParticipantInfo(sid=self.sid, identity=self.identity, state=active, tracks=tracks, permission=may)

    async def tell(self, **message: Any) -> None:
        with suppress(ConnectionError):
            await self.socket.send_bytes(rtc.SignalResponse(**message).SerializeToString())

    def peer(self, target: int) -> RTCPeerConnection:
        # Without a configuration aiortc asks a public STUN server.
        return self.peers.setdefault(target, RTCPeerConnection(RTCConfiguration(iceServers=[])))


class Rooms:
    """All who are in any room."""

    def __init__(self) -> None:
        self.present: list[Participant] = []
        self._made = itertools.count(1)

    def others(self, one: Participant) -> list[Participant]:
        return [each for each in self.present if each.room == one.room and each is not one]

    async def come(self, socket: web.WebSocketResponse, claims: dict[str, Any], *, old: bool) -> Participant:
        one = Participant(claims["video"]["room"], claims["sub"], f"PA_{next(self._made)}", socket, old)
        self.present.append(one)
        there = [each.info() for each in self.others(one)]
        room = models.Room(sid=f"RM_{one.room}", name=one.room)
        await one.tell(
            join=rtc.JoinResponse(
                room=room,
                participant=one.info(),
                other_participants=there,
                server_info=models.ServerInfo(version="1.9.0", protocol=16),
                ping_timeout=15,
                ping_interval=5,
            )
        )
        await self.introduce(one)
        return one

    async def introduce(self, one: Participant) -> None:
        """Tell the others about ``one``."""
        for each in self.others(one):
            await each.tell(update=rtc.ParticipantUpdate(participants=[one.info()]))

    async def leave(self, one: Participant) -> None:
        self.present.remove(one)
        await asyncio.gather(*(peer.close() for peer in one.peers.values()))

    async def take(self, one: Participant, request: rtc.SignalRequest) -> None:
        """Answer what ``one`` says."""
        kind = request.WhichOneof("message")
        if kind == "offer":
            await self.answer(one, request.offer)
        elif kind == "answer":
            await one.peer(SUBSCRIBER).setRemoteDescription(RTCSessionDescription(request.answer.sdp, "answer"))
        elif kind == "trickle":
            await trickled(one.peer(request.trickle.target), request.trickle.candidateInit)
        elif kind == "add_track":
            await self.publish(one, request.add_track)
        elif kind == "ping_req":
            await one.tell(pong_resp=rtc.Pong(last_ping_timestamp=request.ping_req.timestamp))

    async def publish(self, one: Participant, wish: rtc.AddTrackRequest) -> None:
        sid = f"TR_{one.sid.removeprefix('PA_')}"
        one.microphone = models.TrackInfo(sid=sid, type=wish.type, name=wish.name, source=wish.source)
        await one.tell(track_published=rtc.TrackPublishedResponse(cid=wish.cid, track=one.microphone))
        await self.introduce(one)
        for each in self.others(one):
            await self.let_hear(each, one)

    async def let_hear(self, listener: Participant, speaker: Participant) -> None:
        """Open a way for ``speaker``'s sound to ``listener``."""
        if speaker.sid in listener.heard:
            return
        track = ForwardedTrack()
        listener.heard[speaker.sid] = ("", track)
        if not listener.old:
            await listener.tell(media_sections_requirement=rtc.MediaSectionsRequirement(num_audios=1))
            return
        peer = listener.peer(SUBSCRIBER)
        peer.addTransceiver(track, direction="sendonly")
        await peer.setLocalDescription(await peer.createOffer())
        mid = next(each.mid for each in peer.getTransceivers() if each.sender.track is track)
        listener.heard[speaker.sid] = (mid, track)
        sdp = named(peer.localDescription.sdp, self.tracks(listener))
        await listener.tell(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=len(listener.heard)))

    async def answer(self, one: Participant, offer: rtc.SessionDescription) -> None:
        peer = one.peer(PUBLISHER)
        await peer.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        asked = SessionDescription.parse(offer.sdp).media
        free = [each.rtp.muxId for each in asked if each.kind == "audio" and each.direction == "recvonly"]
        for transceiver in peer.getTransceivers():
            if transceiver.kind != "audio" or transceiver.mid not in free:
                continue
            waiting = [sid for sid, (mid, _) in one.heard.items() if not mid]
            if waiting and transceiver.sender.track is None:
                track = one.heard[waiting[0]][1]
                transceiver.sender.replaceTrack(track)
                transceiver.direction = "sendonly"
                one.heard[waiting[0]] = (transceiver.mid, track)
        for transceiver in peer.getTransceivers():
            if transceiver.kind == "audio" and transceiver.mid not in free:
                transceiver.receiver._handle_rtp_packet = self.forwarder(one)
        await peer.setLocalDescription(await peer.createAnswer())
        tracks = self.tracks(one)
        sdp = named(peer.localDescription.sdp, tracks)
        by_mid = {mid: track for mid, (_, track) in tracks.items()}
        await one.tell(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=offer.id, mid_to_track_id=by_mid))
        # Who was there and spoke before this one came.
        for each in self.others(one):
            if each.microphone is not None and not one.old:
                await self.let_hear(one, each)

    def forwarder(self, speaker: Participant) -> Any:
        async def take(packet: RtpPacket, arrival_time_ms: int) -> None:  # noqa: ARG001 - aiortc passes it by name
            for each in self.others(speaker):
                _, track = each.heard.get(speaker.sid, ("", None))
                if track is not None and track.wanted and not track.packets.full():
                    track.packets.put_nowait(packet)

        return take

    def tracks(self, one: Participant) -> dict[str, tuple[str, str]]:
        """Return, by mid, whose sound comes there: the speaker's sid and the track's."""
        return {mid: (sid, f"TR_{sid.removeprefix('PA_')}") for sid, (mid, _) in one.heard.items() if mid}


async def trickled(peer: RTCPeerConnection, text: str) -> None:
    said = json.loads(text)
    if said.get("candidate"):
        candidate = candidate_from_sdp(said["candidate"].removeprefix("candidate:"))
        candidate.sdpMid, candidate.sdpMLineIndex = said.get("sdpMid"), said.get("sdpMLineIndex")
        await peer.addIceCandidate(candidate)


def named(sdp: str, tracks: dict[str, tuple[str, str]]) -> str:
    """Return ``sdp`` whose sections say whose sound they bring, in LiveKit's words: ``a=msid:PA_1|TR_1 TR_1``."""
    session, *sections = sdp.split("m=")
    done = [session]
    for section in sections:
        mid = next(line.partition(":")[2] for line in section.split("\r\n") if line.startswith("a=mid:"))
        lines = [line for line in section.split("\r\n") if not line.startswith("a=msid:")]
        if mid in tracks:
            speaker, track = tracks[mid]
            lines.insert(-1, f"a=msid:{speaker}|{track} {track}")
        done.append("\r\n".join(lines))
    return "m=".join(done)


def claims_of(token: str) -> dict[str, Any] | None:
    """Return what a JWT claims (RFC 7519, HS256); None where it is not of ours."""
    head, _, signature = token.rpartition(".")
    mine = base64.urlsafe_b64encode(hmac.digest(SECRET, head.encode(), hashlib.sha256)).rstrip(b"=").decode()
    if not head or not hmac.compare_digest(mine, signature):
        return None
    payload = head.partition(".")[2]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def joined_with(query: Any) -> rtc.JoinRequest:
    """Return the request that travels in the URL of /rtc/v1."""
    text = query["join_request"]
    wrapped = rtc.WrappedJoinRequest.FromString(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    packed = wrapped.compression == rtc.WrappedJoinRequest.Compression.GZIP
    return rtc.JoinRequest.FromString(gzip.decompress(wrapped.join_request) if packed else wrapped.join_request)


async def validate(request: web.Request) -> web.Response:
    """Say what is wrong with a WebSocket that was refused: no page is told by its browser."""
    claims = claims_of(request.query.get("access_token", ""))
    if claims is None:
        return web.Response(status=401, text="invalid token")
    if "/v1" in request.path and claims["video"]["room"].startswith("old"):
        return web.Response(status=404)  # as a server from before 1.9
    return web.Response(text="success")


async def signalling(request: web.Request, rooms: Rooms, *, old: bool) -> web.StreamResponse:
    refused = await validate(request)
    claims = claims_of(request.query.get("access_token", ""))
    if refused.status != 200 or claims is None:
        return refused
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    one = await rooms.come(socket, claims, old=old)
    try:
        if not old:
            await rooms.answer(one, joined_with(request.query).publisher_offer)
        for each in rooms.others(one) if old else ():
            if each.microphone is not None:
                await rooms.let_hear(one, each)
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                await rooms.take(one, rtc.SignalRequest.FromString(message.data))
    finally:
        await rooms.leave(one)
    return socket


def main(address: str, port: int, folder: Path) -> None:
    rooms = Rooms()
    app = web.Application()
    app.router.add_get("/rtc/v1", lambda request: signalling(request, rooms, old=False))
    app.router.add_get("/rtc", lambda request: signalling(request, rooms, old=True))
    app.router.add_get("/rtc/v1/validate", validate)
    app.router.add_get("/rtc/validate", validate)
    app.router.add_static("/", folder, follow_symlinks=True)
    web.run_app(app, host=address, port=port, print=None)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
