import asyncio
from contextlib import asynccontextmanager, closing, suppress

import anyio
import numpy as np
import pytest

from rtcprobe.link import Bernoulli, Delay, Link, LinkSpec, LossTrace, Path
from rtcprobe.runtime.direction import Direction
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.reach import StreamError, needs_dns
from rtcprobe.runtime.streams import Line, dial

ONE_WAY_S = 0.020


def way(seed=1, **spec):
    return Direction(Path([Link(LinkSpec(**{"delay": Delay(base_s=ONE_WAY_S), **spec}), np.random.SeedSequence(seed))]))


def line_of(up=None, down=None):
    return Line(Network(asyncio.get_running_loop(), sockets=True), up or way(), down or way())


def lost(*indices):
    return LossTrace(lost=tuple(index in indices for index in range(1000)))


@asynccontextmanager
async def echo_server():
    async def echo(reader, writer):
        with closing(writer), suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def opened(line, port, host="127.0.0.1"):
    marks = {}
    stream = await dial(
        line, host, port, mark=lambda name: marks.setdefault(name, line.network.now_s()), what=lambda: "request"
    )
    return stream, marks


async def echoed(stream, data):
    sent = asyncio.ensure_future(stream.send(data))
    came = bytearray()
    while len(came) < len(data):
        came += await stream.receive()
    await sent
    return bytes(came)


async def test_connecting_and_each_exchange_cost_a_round_trip_of_the_link():
    async with echo_server() as port:
        line = line_of()
        stream, marks = await opened(line, port)
        assert marks["tcp"] >= 2 * ONE_WAY_S
        before_s = line.network.now_s()
        assert await echoed(stream, b"ping") == b"ping"
        assert line.network.now_s() - before_s >= 2 * ONE_WAY_S
        await line.close()
    # SYN and data up, their acknowledgements down; everything passed the link and was counted.
    assert line.up.tally.achieved().offered >= 3
    assert len(line.network.lateness.samples_s) >= 6
    assert line.waits() == []


async def test_a_lost_segment_comes_again_after_its_timer_and_is_named():
    # Packet 0 up is the SYN, packet 1 the first segment: it comes again after SRTT + 200 ms (RFC 6298, Linux' floor).
    async with echo_server() as port:
        line = line_of(up=way(loss=lost(1)))
        stream, _ = await opened(line, port)
        before_s = line.network.now_s()
        assert await echoed(stream, b"ping") == b"ping"
        assert line.network.now_s() - before_s >= 0.200 + 2 * ONE_WAY_S
        await line.close()
    (wait,) = (each for each in line.waits() if each.what == "request")
    assert (wait.timer, wait.side, wait.needed) == ("signaling", "caller", True)


async def test_bytes_arrive_whole_and_in_order_through_loss_duplicates_and_reordering():
    harm = {"delay": Delay(base_s=0.002, jitter_s=0.001), "loss": Bernoulli(0.02), "duplicate": 0.05, "order": "free"}
    data = np.random.default_rng(1).bytes(60_000)
    async with echo_server() as port:
        line = line_of(way(2, **harm), way(3, **harm))
        stream, _ = await opened(line, port)
        assert await echoed(stream, data) == data
        await line.close()


async def test_a_reader_that_stops_stops_the_server():
    async def pour(_reader, writer):
        with closing(writer), suppress(ConnectionError):
            while True:
                writer.write(bytes(65_536))
                await writer.drain()
        poured.set()

    poured = asyncio.Event()
    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    quick = [way(delay=Delay(base_s=0.001)) for _ in range(2)]
    line = line_of(*quick)
    stream, _ = await opened(line, server.sockets[0].getsockname()[1])
    await asyncio.sleep(0.1)  # slow start takes the window to a megabyte in seven round trips of 2 ms
    assert line.down.tally.achieved().delivered * 1448 < 800_000
    assert len(await stream.receive()) > 0
    await line.close()
    await poured.wait()
    server.close()


async def test_the_end_and_a_reset_follow_what_was_sent():
    async def end(reader, writer):
        writer.write(b"last words")
        if await reader.read(1) == b"r":
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(end, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = line_of()
    for first in (b"e", b"r"):
        stream, _ = await opened(line, port)
        await stream.send(first)
        assert await stream.receive() == b"last words"
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        await stream.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"more")
    await line.close()
    server.close()


async def test_a_refusal_is_known_a_round_trip_later():
    line = line_of()
    with pytest.raises(StreamError) as caught:
        await opened(line, 1)
    assert (caught.value.kind, caught.value.reason) == ("refused", "127.0.0.1:1")
    assert line.network.now_s() >= 2 * ONE_WAY_S
    assert line.streams == []


async def test_a_name_costs_a_query_through_the_link_and_localhost_none():
    line = line_of()
    with pytest.raises(StreamError) as caught:
        await opened(line, 80, "nohost.invalid")
    assert caught.value.kind == "dns"
    assert line.network.now_s() >= 2 * ONE_WAY_S
    assert needs_dns("nohost.invalid")
    assert not any(needs_dns(host) for host in ("127.0.0.1", "[::1]", "localhost", "a.localhost.", "fe80::1%eth0"))


async def test_a_query_is_as_long_as_a_resolver_writes_it():
    line = line_of()
    question = b"\x06nohost\x07invalid\x00" + b"\x00\x01" + b"\x00\x01"  # RFC 1035 section 4.1.2: name, A, IN
    for name in ("nohost.invalid", "nohost.invalid."):
        with pytest.raises(StreamError):
            await opened(line, 80, name)
    assert line.up.tally.counted().sizes.tolist() == 2 * [20 + 8 + 12 + len(question)]


async def test_a_bare_line_is_the_plain_connection_timed_alike():
    bare = Direction(Path([]))
    async with echo_server() as port:
        line = line_of(bare, bare)
        stream, marks = await opened(line, port, "localhost")
        assert await echoed(stream, b"ping") == b"ping"
        await stream.aclose()
    assert list(marks) == ["tcp"]
    assert bare.tally.achieved().offered == 0
