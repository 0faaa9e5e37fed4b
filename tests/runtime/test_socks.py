"""A SOCKS5 proxy that knows named hosts alone, spoken to byte by byte (RFC 1928)."""

import asyncio
import struct
import time

import numpy as np
import pytest

from rtcprobe.link import Link, Path, parse_link
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.socks import SocksProxy
from rtcprobe.runtime.streams import Line

GREETING = bytes((5, 1, 0))


def proxied(main, link=None, allowed=("localhost",)):
    """Run ``main`` with a proxy, its port, and that of a server that sends back what it gets."""

    echoing = set()

    async def echo(reader, writer):
        echoing.add(asyncio.current_task())
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async def whole():
        network = OutsideNetwork(asyncio.get_running_loop())
        hops = [] if link is None else [parse_link(link)]
        up, down = (Path([Link(hop, np.random.SeedSequence(seed)) for hop in hops]) for seed in (1, 2))
        host = network.add_outside_host("caller", (), up=up, down=down)
        proxy = SocksProxy(Line(network, host.stream_up, host.stream_down), lambda name: name in allowed)
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        try:
            async with asyncio.timeout(20):
                await main(proxy, await proxy.start(), server.sockets[0].getsockname()[1])
        finally:
            await proxy.close()
            server.close()
            await asyncio.gather(*echoing)

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        return runner.run(whole())


async def asked(port, host, to, command=1):
    """Return what the proxy replies to a request, and the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    name = host.encode()
    writer.write(GREETING + bytes((5, command, 0, 3, len(name))) + name + struct.pack("!H", to))
    assert await reader.readexactly(2) == bytes((5, 0))
    reply = await reader.readexactly(10)
    return reply[1], reader, writer


def test_a_named_host_is_reached_and_bytes_come_back():
    async def main(proxy, port, server):
        code, reader, writer = await asked(port, "localhost", server)
        assert code == 0
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        assert not proxy.refused

    proxied(main)


def test_connecting_over_a_link_costs_a_round_trip_and_so_does_what_is_said():
    async def main(_proxy, port, server):
        begun_s = time.monotonic()
        code, reader, writer = await asked(port, "localhost", server)
        assert code == 0
        assert time.monotonic() - begun_s >= 0.040
        writer.write(b"hello")
        await reader.readexactly(5)
        assert time.monotonic() - begun_s >= 0.080
        writer.close()

    proxied(main, link="delay 20ms")


def test_who_is_not_named_is_refused_and_counted():
    async def main(proxy, port, server):
        for _ in range(3):
            code, _, writer = await asked(port, "clients2.google.com", server)
            assert code == 2  # not allowed by ruleset
            writer.close()
        assert proxy.refused == {"clients2.google.com": 3}

    proxied(main)


def test_a_named_host_where_nobody_listens_is_told_apart():
    async def main(proxy, port, _server):
        code, _, writer = await asked(port, "localhost", 9)
        assert code == 5  # connection refused
        writer.close()
        assert list(proxy.failed) == ["localhost:9"]

    proxied(main)


def test_binding_is_not_supported():
    async def main(_proxy, port, server):
        code, _, writer = await asked(port, "localhost", server, command=2)
        assert code == 7
        writer.close()

    proxied(main)


@pytest.mark.parametrize("rubbish", [b"GET / HTTP/1.1\r\n\r\n", b"\x04\x01", b"\x05\x01\x00\x05\x01\x00\x09zz"])
def test_what_is_no_socks_is_hung_up_on(rubbish):
    async def main(_proxy, port, _server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(rubbish)
        writer.write_eof()
        assert len(await reader.read()) <= 12
        writer.close()

    proxied(main)
