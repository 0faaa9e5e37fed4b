"""The TURN server at the end of a browser's line, asked by aioice's own client over real sockets of this machine."""

import asyncio
import time

import numpy as np
import pytest
from aioice.turn import create_turn_endpoint

from rtcprobe.link import Link, Path, parse_link
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.turn_end import TurnEnd

HOME = "127.0.0.1"
RTP = bytes([0x80, 111, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9])


class Peer(asyncio.DatagramProtocol):
    """Sends back what comes."""

    def __init__(self):
        self.came = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.came.put_nowait(data)
        self.transport.sendto(data, address)


class Tap:
    def __init__(self):
        self.out, self.back = [], []

    def sent(self, data, now_s):
        self.out.append((data, now_s))

    def received(self, data, now_s):
        self.back.append((data, now_s))


def behind(main, up="delay 20ms", down="delay 10ms"):
    """Run ``main`` with a server whose host has these lines, a tap on it, and a peer that echoes."""

    async def whole():
        loop = asyncio.get_running_loop()
        network = OutsideNetwork(loop)
        lines = (Path([Link(parse_link(each), np.random.SeedSequence(seed))]) for seed, each in enumerate((up, down)))
        host = network.add_outside_host("caller", (), up=next(lines), down=next(lines))
        host.tap = Tap()
        end = TurnEnd(host, HOME)
        transport, peer = await loop.create_datagram_endpoint(Peer, local_addr=(HOME, 0))
        try:
            async with asyncio.timeout(20):
                await main(end, host.tap, peer)
        finally:
            end.close()
            transport.close()

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        return runner.run(whole())


async def allocated(end, password=None):
    who = end.credentials
    host, port = end.url.removeprefix("turn:").removesuffix("?transport=udp").split(":")
    server = (host, int(port))
    return await create_turn_endpoint(Peer, server, username=who.user, password=password or who.password)


def test_whom_media_went_to_and_what_peers_saw_is_known_when_the_allocation_has_ended():
    async def main(end, _tap, peer):
        transport, client = await allocated(end)
        to = peer.transport.get_extra_info("sockname")
        transport.sendto(RTP, to)
        assert await client.came.get() == RTP
        relayed = end.relayed
        transport.sendto(b"\0\1" + bytes(18), ("127.0.0.1", 9))  # a check is no media
        transport.close()
        for _ in range(1000):
            if not end.relayed:
                break
            await asyncio.sleep(0.01)
        assert not end.relayed
        assert (end.sent_to, end.given) == ({to}, set(relayed))

    behind(main)


def test_what_is_relayed_passes_the_line_both_ways_and_is_seen_on_the_browsers_side_of_it():
    async def main(end, tap, peer):
        transport, client = await allocated(end)
        begun_s = time.monotonic()
        transport.sendto(RTP, peer.transport.get_extra_info("sockname"))
        assert await client.came.get() == RTP
        # No clock of a busy machine is right to the millisecond, but none lets a packet through before its time.
        assert time.monotonic() - begun_s >= 0.030
        assert [data for data, _ in tap.out] == [RTP]
        assert [data for data, _ in tap.back] == [RTP]
        assert tap.back[0][1] - tap.out[0][1] >= 0.030
        assert (end.up_packets, end.down_packets) == (1, 1)
        assert end.relayed == [transport.get_extra_info("sockname")]
        transport.close()

    behind(main)


def test_a_stranger_is_given_nothing():
    async def main(end, tap, _peer):
        with pytest.raises(Exception, match="401"):
            await allocated(end, password="guessed")
        assert end.relayed == []
        assert not tap.out

    behind(main)


def test_two_servers_have_no_password_in_common():
    async def main(end, _tap, _peer):
        network = OutsideNetwork(asyncio.get_running_loop())
        other = TurnEnd(network.add_outside_host("callee", (), up=Path([]), down=Path([])), HOME)
        assert other.credentials.password != end.credentials.password
        other.close()
        other.close()  # as often as one likes

    behind(main)
