"""A TURN server whose relayed datagrams pass a link, asked by aioice's own client over real sockets of this machine."""

import asyncio

import pytest
from aioice.turn import create_turn_endpoint

from rtcprobe.link import parse_link
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.turn import Credentials
from rtcprobe.runtime.turn_relay import TurnRelay

HOME = "127.0.0.1"


class Heard(asyncio.DatagramProtocol):
    """Notes what comes, and sends it back where ``echo`` is said."""

    def __init__(self, *, echo=False):
        self.came, self.echo = asyncio.Queue(), echo

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.came.put_nowait((data, address))
        if self.echo:
            self.transport.sendto(data[::-1], address)


def relayed(main, link="delay 0ms"):
    """Run ``main`` with a relay, a peer that echoes, and a client's own end."""

    async def whole():
        loop = asyncio.get_running_loop()
        hop = [parse_link(link)]
        turn = TurnRelay(
            listen=(HOME, 0), credentials=Credentials(user="probe", password="secret"), up=hop, down=hop, seed=1
        )
        peer_transport, peer = await loop.create_datagram_endpoint(lambda: Heard(echo=True), local_addr=(HOME, 0))
        try:
            async with asyncio.timeout(20):
                await main(turn, peer)
        finally:
            turn.close()
            peer_transport.close()

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        return runner.run(whole())


async def until(true):
    while not true():  # noqa: ASYNC110 - what it waits for belongs to a server that tells nobody
        await asyncio.sleep(0)


async def allocated(turn, password="secret", **more):
    return await create_turn_endpoint(Heard, turn.address, username="probe", password=password, **more)


def test_a_datagram_goes_to_its_peer_and_the_answer_comes_back_over_the_link_both_ways():
    async def main(turn, peer):
        transport, client = await allocated(turn)
        there = peer.transport.get_extra_info("sockname")
        transport.sendto(b"hello", there)
        assert await peer.came.get() == (b"hello", transport.get_extra_info("sockname"))
        assert await client.came.get() == (b"olleh", there)
        (flow,) = turn.flows
        assert (flow.to_server.packets, flow.to_client.packets) == (1, 1)  # control messages pass beside the link
        transport.close()

    relayed(main)


def test_what_the_link_loses_nobody_gets():
    async def main(turn, peer):
        transport, _ = await allocated(turn)
        for number in range(20):
            transport.sendto(bytes([number]), peer.transport.get_extra_info("sockname"))
        await until(lambda: turn.flows and turn.flows[0].to_server.packets == 20)
        assert peer.came.empty()
        assert turn.flows[0].to_server.achieved().loss == 1.0
        transport.close()

    relayed(main, "loss 100%")


def test_nobody_without_the_password_is_relayed():
    async def main(turn, _peer):
        with pytest.raises(Exception, match="401"):
            await allocated(turn, password="guess")
        assert turn.flows == []

    relayed(main)


def test_an_allocation_given_back_frees_its_place():
    async def main(turn, _peer):
        transport, _ = await allocated(turn)
        assert len(turn.turn.allocations) == 1
        transport.close()
        await until(lambda: not turn.turn.allocations)
        assert [type(flow.to_server).__name__ for flow in turn.flows] == ["_Done"]

    relayed(main)
