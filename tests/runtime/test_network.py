import asyncio

import numpy as np
import pytest

from rtcprobe.link import Delay, Interval, Link, LinkSpec, LossTrace, Path
from rtcprobe.runtime.direction import wire_size
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.lag import LagMeter
from rtcprobe.runtime.network import Network, acting_as
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.virtual import VirtualEventLoop


class Listener(asyncio.DatagramProtocol):
    def __init__(self, network):
        self.network = network
        self.heard = []
        self.closed = False
        self.first = asyncio.Event()

    def datagram_received(self, data, addr):
        self.first.set()
        self.heard.append((self.network.now_s(), data, addr))

    def connection_lost(self, _exc):
        self.closed = True


def path(**spec):
    return Path([Link(LinkSpec(**spec), np.random.SeedSequence(1))])


async def pair(network, forward, address="10.0.0.1", other="10.0.0.2"):
    loop = asyncio.get_running_loop()
    a, b = network.add_host("a", address), network.add_host("b", other)
    network.connect(a, b, forward)
    ends = []
    for host in (a, b):
        with acting_as(host):
            ends.append(await loop.create_datagram_endpoint(lambda: Listener(network), local_addr=(host.address, 0)))
    return a, b, ends


def virtual(coroutine):
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(coroutine)


def test_a_datagram_arrives_after_the_delay_of_its_path_from_the_senders_address():
    async def main():
        network = Network(asyncio.get_running_loop(), sockets=False)
        _, _, ((sender, _), (receiver, listener)) = await pair(network, path(delay=Delay(base_s=0.04)))
        sender.sendto(b"hello", receiver.get_extra_info("sockname"))
        await asyncio.sleep(1)
        return listener.heard, sender.get_extra_info("sockname")

    heard, address = virtual(main())
    assert heard == [(pytest.approx(0.04, abs=2e-9), b"hello", address)]


def test_datagrams_that_arrive_at_the_same_instant_keep_their_order():
    # A handover of 1 s holds ten datagrams and releases them together.
    async def main():
        network = Network(asyncio.get_running_loop(), sockets=False)
        forward = path(handovers=(Interval(at_s=0.0, for_s=1.0),))
        _, _, ((sender, _), (receiver, listener)) = await pair(network, forward)
        for index in range(10):
            sender.sendto(bytes([index]), receiver.get_extra_info("sockname"))
        await asyncio.sleep(2)
        return [data[0] for _, data, _ in listener.heard]

    assert virtual(main()) == list(range(10))


def test_a_lost_datagram_never_arrives_and_is_counted():
    async def main():
        network = Network(asyncio.get_running_loop(), sockets=False)
        forward = path(loss=LossTrace(lost=(True, False)))
        a, b, ((sender, _), (receiver, listener)) = await pair(network, forward)
        for text in (b"1", b"2", b"3", b"4"):
            sender.sendto(text, receiver.get_extra_info("sockname"))
        await asyncio.sleep(1)
        return [data for _, data, _ in listener.heard], network.direction(a, b).tally.achieved()

    heard, achieved = virtual(main())
    assert heard == [b"2", b"4"]
    assert (achieved.offered, achieved.delivered, dict(achieved.drops)) == (4, 2, {"trace": 2})


def test_a_corrupted_datagram_dies_of_its_checksum():
    async def main():
        network = Network(asyncio.get_running_loop(), sockets=False)
        a, b, ((sender, _), (receiver, listener)) = await pair(network, path(corrupt=1.0))
        sender.sendto(b"hello", receiver.get_extra_info("sockname"))
        await asyncio.sleep(1)
        achieved = network.direction(a, b).tally.achieved()
        return listener.heard, achieved.corrupted, dict(achieved.drops)

    assert virtual(main()) == ([], 1.0, {"corrupt": 1})


def test_nothing_arrives_at_a_closed_endpoint_nor_at_an_address_nobody_has():
    async def main():
        network = Network(asyncio.get_running_loop(), sockets=False)
        _, _, ((sender, _), (receiver, listener)) = await pair(network, path(delay=Delay(base_s=0.04)))
        sender.sendto(b"late", receiver.get_extra_info("sockname"))
        sender.sendto(b"nowhere", ("10.9.9.9", 1))
        receiver.close()
        await asyncio.sleep(1)
        return listener.heard, listener.closed, receiver.is_closing()

    assert virtual(main()) == ([], True, True)


def test_the_path_sees_ip_packets_and_rounded_dtls_records():
    # 20 bytes IPv4 + 8 bytes UDP; DTLS (first byte 20..63) up to the next multiple of 64.
    assert wire_size(b"\x80" + bytes(99)) == 128
    assert wire_size(b"\x16" + bytes(99)) == 128 + 28
    assert wire_size(b"\x16" + bytes(127)) == 128 + 28


def test_the_real_loop_carries_the_same_datagrams_over_sockets_of_this_machine():
    async def main():
        loop = asyncio.get_running_loop()
        network = Network(loop, sockets=True)
        meter = LagMeter(loop)
        forward = path(delay=Delay(base_s=0.02))
        _, _, ((sender, _), (receiver, listener)) = await pair(network, forward, "127.0.0.1", "127.0.0.1")
        sender.sendto(b"hello", receiver.get_extra_info("sockname"))
        async with asyncio.timeout(5):
            await listener.first.wait()
        await asyncio.sleep(0.03)
        meter.stop()
        for transport in (sender, receiver):
            transport.close()
        await asyncio.sleep(0)
        return listener.heard, network.lateness.samples_s, meter.samples_s

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        ((at_s, data, _),), lateness_s, lag_s = runner.run(main())
    assert data == b"hello"
    assert at_s >= 0.02  # never early; how late is a matter of the machine, and measured
    assert len(lateness_s) == 1
    assert lateness_s[0] >= 0
    assert len(lag_s) >= 2
    assert min(lag_s) >= 0
