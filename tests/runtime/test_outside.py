"""Real sockets of this machine, 127.0.0.1 alone; a few milliseconds each."""

import asyncio
import socket

import numpy as np
import pytest

from rtcprobe.errors import MeasurementError
from rtcprobe.link import Link, Path, parse_link
from rtcprobe.runtime.network import acting_as
from rtcprobe.runtime.outside import OutsideNetwork, all_addresses, local_addresses
from rtcprobe.runtime.real import RealEventLoop

DELAY_S = 0.004


class Heard(asyncio.DatagramProtocol):
    def __init__(self):
        self.came = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.came.put_nowait((asyncio.get_running_loop().time(), data, addr))


def path(line=None):
    seed = np.random.SeedSequence(1)
    return Path([Link(parse_link(line), seed)] if line else [])


def on_the_real_loop(main):
    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        return runner.run(main())


async def opened(network, name, *, up=None, down=None, **where):
    host = network.add_outside_host(name, ["127.0.0.1"], up=path(up), down=path(down))
    with acting_as(host):
        transport, heard = await asyncio.get_running_loop().create_datagram_endpoint(Heard, **where)
    return host, transport, heard


def test_what_a_host_sends_and_receives_passes_its_line_and_the_rest_is_real():
    async def main():
        network = OutsideNetwork(asyncio.get_running_loop())
        _, sender, back = await opened(network, "caller", up="delay 4ms", down="delay 8ms")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.setblocking(False)
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            sender.sendto(b"there", server.getsockname())
            data, addr = await loop.sock_recvfrom(server, 100)
            there_s = loop.time() - begun_s
            assert (data, addr) == (b"there", sender.get_extra_info("sockname"))
            server.sendto(b"back", addr)
            came_s, data, _ = await asyncio.wait_for(back.came.get(), 5)
        network.close()
        return there_s, came_s - begun_s - there_s, network.lateness.samples_s

    there_s, back_s, lateness_s = on_the_real_loop(main)
    assert there_s >= DELAY_S
    assert back_s >= 2 * DELAY_S
    assert len(lateness_s) == 2


def test_a_line_that_loses_everything_delivers_nothing_and_says_so():
    async def main():
        network = OutsideNetwork(asyncio.get_running_loop())
        host, sender, _ = await opened(network, "caller", up="loss 100%")
        _, receiver, heard = await opened(network, "callee")
        for _ in range(20):
            sender.sendto(b"lost", receiver.get_extra_info("sockname"))
        receiver.sendto(b"last", receiver.get_extra_info("sockname"))
        _, data, _ = await asyncio.wait_for(heard.came.get(), 5)
        network.close()
        return data, host.up.tally.achieved()

    data, achieved = on_the_real_loop(main)
    assert data == b"last"
    assert (achieved.offered, achieved.delivered) == (20, 0)


def test_what_no_socket_can_send_is_counted_and_harms_nothing():
    async def main():
        network = OutsideNetwork(asyncio.get_running_loop())
        host, sender, heard = await opened(network, "caller")
        for odd in (("nobody.local", 5000), ("127.0.0.1", 0), ("::1", 5000), ("127.0.0.1", 70_000)):
            sender.sendto(b"odd", odd)
        sender.sendto(b"to nobody")
        sender.sendto(b"fine", sender.get_extra_info("sockname"))
        _, data, _ = await asyncio.wait_for(heard.came.get(), 5)
        network.close()
        sender.sendto(b"closed", sender.get_extra_info("sockname"))
        return host.unsendable, data

    assert on_the_real_loop(main) == (5, b"fine")


def test_a_socket_with_a_peer_hears_its_peer_alone():
    async def main():
        network = OutsideNetwork(asyncio.get_running_loop())
        _, server, _ = await opened(network, "server")
        address = server.get_extra_info("sockname")
        _, client, heard = await opened(network, "caller", remote_addr=address)
        _, stranger, _ = await opened(network, "stranger")
        stranger.sendto(b"stranger", client.get_extra_info("sockname"))
        server.sendto(b"server", client.get_extra_info("sockname"))
        _, data, addr = await asyncio.wait_for(heard.came.get(), 5)
        assert client.get_extra_info("peername") == address
        network.close()
        return data, addr == address, heard.came.empty()

    assert on_the_real_loop(main) == (b"server", True, True)


def test_a_name_is_no_peer():
    async def main():
        network = OutsideNetwork(asyncio.get_running_loop())
        with pytest.raises(OSError, match=r"^turn.example is a name: look it up first$"):
            await opened(network, "caller", remote_addr=("turn.example", 3478))

    on_the_real_loop(main)


def test_a_server_on_this_machine_is_reached_from_all_its_addresses():
    assert local_addresses(["127.0.0.1"]) == all_addresses()
    assert all_addresses()[-1] == "127.0.0.1"
    assert set(local_addresses([all_addresses()[0]])) == set(all_addresses())


def test_no_address_is_no_way():
    with pytest.raises(MeasurementError, match=r"^this machine has no way to nowhere: "):
        local_addresses([])
