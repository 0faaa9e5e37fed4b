"""Two peers connected in virtual time, with as many sections of sound and picture as a test asks for."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
from calls import OPUS_SILENCE

from rtcprobe.audio.protection import Protection
from rtcprobe.call.camera_track import CameraTrack
from rtcprobe.call.mouth_track import Mouth, MouthTrack, Speech
from rtcprobe.call.peer import Peer
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.transceiver import PictureWanted, SoundWanted
from rtcprobe.link import Delay, Link, LinkSpec, Path
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.virtual import VirtualEventLoop

ONE_WAY_S = 0.040
CLEAN = LinkSpec(delay=Delay(base_s=ONE_WAY_S))


class ThreePackets:
    """A film whose pictures are three packets each, of VP8's form, that say their number, and which are key frames."""

    codec = "VP8"
    frame_s = 1 / 30

    def __init__(self, count):
        self.count = count
        self.keys = []

    def __len__(self):
        return self.count

    def payloads(self, index, *, key):
        self.keys += [index] if key or not index else []
        return [bytes([0x10 if not part else 0x00, index, part]) * 100 for part in range(3)]


class Asking:
    """Who watches and asks for each gap once, and for a key frame when a given picture comes."""

    def __init__(self, feedback, key_at=None):
        self.feedback, self.key_at = feedback, key_at
        self.newest = None
        self.asked = []

    def packet_arrived(self, packet):
        if packet.resent:
            return
        if self.newest is not None:
            gap = [n % 2**16 for n in range(self.newest + 1, self.newest + (packet.sequence - self.newest) % 2**16)]
            self.asked += gap
            self.feedback.ask_again(packet.ssrc, gap)
        self.newest = packet.sequence
        if self.key_at is not None and packet.payload[1] == self.key_at:
            self.feedback.ask_key_frame(packet.ssrc)
            self.key_at = None


def run(main, seed=1):
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(seed)))) as runner:
        return runner.run(main())


@asynccontextmanager
async def two(wanted, link=None, *, change=lambda text: text, transport_cc=(False, False)):
    """Yield two peers that are connected; ``wanted(name, network, may)`` says which sections each has."""
    network, may = Network(asyncio.get_running_loop(), sockets=False), asyncio.Event()
    hosts = [network.add_host(name, f"10.0.0.{place}") for place, name in enumerate(("ana", "ben"), 1)]
    for (source, destination), spec in zip((hosts, hosts[::-1]), (link or CLEAN, CLEAN), strict=True):
        network.connect(source, destination, Path([Link(spec, np.random.SeedSequence(1))]))
    peers = [
        Peer(
            host,
            side,
            wanted(host.name, network, may),
            dtls_timeout_s=lambda _: 1.0,
            protection=Protection(),
            transport_cc=numbered,
        )
        for host, side, numbered in zip(hosts, ("caller", "callee"), transport_cc, strict=True)
    ]
    ana, ben = peers
    offer = await ana.offer()
    answer = await ben.answer(Sdp(kind="offer", text=change(offer.text)))
    await ana.accept(Sdp(kind="answer", text=change(answer.text)))
    await asyncio.gather(*(each.connected.wait() for each in peers))
    may.set()
    try:
        yield ana, ben
    finally:
        await asyncio.gather(*(each.close() for each in peers))


def mouth(network, may, payload=OPUS_SILENCE, frames=50):
    speech = Speech(frames=[payload] * frames, ptime_s=0.020)
    return MouthTrack(Mouth(speech=speech, phase_s=0.0, network=network, may_speak=may))


def camera(network, may, film=None):
    return CameraTrack(film or ThreePackets(30), phase_s=0.0, network=network, may_show=may)


def sound_and_picture(_name, network, may):
    return [SoundWanted(track=mouth(network, may)), PictureWanted(track=camera(network, may))]


async def shown(*peers):
    await asyncio.gather(*(section.track.finished.wait() for peer in peers for section in peer.sections))
    await asyncio.sleep(1.0)
