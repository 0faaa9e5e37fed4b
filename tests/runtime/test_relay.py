import asyncio
import socket

import pytest

from rtcprobe.link import Fate, parse_link
from rtcprobe.runtime.direction import Room
from rtcprobe.runtime.endpoints import MOST_AT_ONCE
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.relay import Relay, resolve_udp, written
from rtcprobe.runtime.seconds import Lateness, Ledger, Seconds
from rtcprobe.runtime.tos import tos_of


class Peer(asyncio.DatagramProtocol):
    """Keeps what came, and when; an echo sends it back."""

    def __init__(self, *, echo=False):
        self.echo = echo
        self.came = []
        self.arrived = asyncio.Event()
        self.enough = asyncio.Event()
        self.awaited = 0

    async def heard(self, count):
        self.awaited = count
        if len(self.came) < count:
            await self.enough.wait()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.came.append((data, addr, asyncio.get_running_loop().time()))
        self.arrived.set()
        if len(self.came) == self.awaited:
            self.enough.set()
        if self.echo:
            self.transport.sendto(data, addr)


async def peer(*, echo=False, remote=None):
    local = None if remote else ("127.0.0.1", 0)
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Peer(echo=echo), local_addr=local, remote_addr=remote
    )
    return protocol


async def until(holds):
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - counters ring no bell
            await asyncio.sleep(0.002)


def relayed(main, up, down, *, seed=1, shared=False):
    async def run():
        server = await peer(echo=True)
        relay = Relay(
            listen=("127.0.0.1", 0),
            to=server.transport.get_extra_info("sockname"),
            up=[parse_link(up)],
            down=[parse_link(down)],
            seed=seed,
            shared=shared,
        )
        try:
            async with asyncio.timeout(60):
                await main(relay, server)
        finally:
            relay.close()
            server.transport.close()
        return relay, server

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        return runner.run(run())


def test_datagrams_go_there_and_back_each_way_through_its_own_link():
    async def main(relay, _server):
        client = await peer(remote=relay.address)
        sent_s = asyncio.get_running_loop().time()
        client.transport.sendto(b"hello")
        await client.arrived.wait()
        ((data, _, came_s),) = client.came
        assert data == b"hello"
        assert came_s - sent_s >= 0.030 + 0.010
        client.transport.close()

    relay, _ = relayed(main, "delay 30ms", "delay 10ms")
    (flow,) = relay.flows
    up, down = flow.to_server.achieved(), flow.to_client.achieved()
    assert (up.offered, up.delay_min_s) == (1, pytest.approx(0.030))
    assert (down.offered, down.delay_min_s) == (1, pytest.approx(0.010))
    assert len(relay.latenesses_s) == 2


def test_every_client_has_a_link_of_its_own_and_the_server_tells_them_apart():
    async def main(relay, server):
        clients = [await peer(remote=relay.address) for _ in range(3)]
        for client in clients:
            client.transport.sendto(b"x")
        for client in clients:
            await client.arrived.wait()
            client.transport.close()
        assert len({address for _, address, _ in server.came}) == 3

    # A queue of one packet would lose the others, were it shared.
    relay, _ = relayed(main, "rate 10kbit limit 1", "delay 1ms")
    assert [flow.to_server.achieved().loss for flow in relay.flows] == [0.0, 0.0, 0.0]


def test_equal_seeds_lose_the_same_packets():
    def outcome(seed):
        async def main(relay, server):
            client = await peer(remote=relay.address)
            for index in range(200):
                client.transport.sendto(bytes([index]))
                if index % 20 == 0:
                    await asyncio.sleep(0.001)
            await until(lambda: relay.flows and relay.flows[0].to_server.packets == 200)
            await until(lambda: len(server.came) == relay.flows[0].to_server.achieved().delivered)
            client.transport.close()

        _, server = relayed(main, "delay 1ms loss 30%", "loss 100%", seed=seed)
        return [data for data, _, _ in server.came]

    first = outcome(7)
    assert 100 < len(first) < 180  # 140 expected, sd 6.5
    assert outcome(7) == first
    assert outcome(8) != first


def test_a_server_that_is_not_there_is_counted_and_the_relay_goes_on():
    async def main(relay, server):
        server.transport.close()
        await asyncio.sleep(0)
        client = await peer(remote=relay.address)

        def refused():
            client.transport.sendto(b"x")
            return relay.flows and relay.flows[0].refused

        await until(refused)
        client.transport.close()

    relay, _ = relayed(main, "delay 1ms", "delay 1ms")
    assert relay.flows[0].refused >= 1


def test_more_clients_than_there_is_room_for_are_turned_away_and_counted(monkeypatch):
    monkeypatch.setattr("rtcprobe.runtime.relay.MOST_CLIENTS", 2)

    async def main(relay, _server):
        for _ in range(3):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
                plain.sendto(b"x", relay.address)
        await until(lambda: len(relay.flows) + relay.turned_away == 3)

    relay, _ = relayed(main, "delay 1ms", "delay 1ms")
    assert (len(relay.flows), relay.turned_away) == (2, 1)


def test_what_no_longer_fits_is_relayed_and_not_counted(monkeypatch):
    monkeypatch.setattr("rtcprobe.runtime.relay.MOST_COUNTED", 3)

    async def main(relay, server):
        client = await peer(remote=relay.address)
        for _ in range(6):
            client.transport.sendto(b"x")
        await server.heard(6)
        client.transport.close()

    relay, _ = relayed(main, "delay 1ms", "delay 1ms")
    assert (relay.flows[0].to_server.packets, relay.flows[0].to_server.achieved().offered) == (6, 3)


def test_a_silent_client_is_forgotten_and_what_was_done_to_it_is_not(monkeypatch):
    monkeypatch.setattr("rtcprobe.runtime.relay.SWEEP_S", 0.005)

    async def main(relay, server):
        client = await peer(remote=relay.address)
        client.transport.sendto(b"first")
        await client.arrived.wait()
        with monkeypatch.context() as silent:
            silent.setattr("rtcprobe.runtime.relay.IDLE_S", 0.02)
            await asyncio.sleep(0.06)
        client.transport.sendto(b"second")
        await server.heard(2)
        client.transport.close()

    relay, server = relayed(main, "delay 1ms", "delay 1ms")
    assert len(relay.flows) == 2
    assert len({address for _, address, _ in server.came}) == 2


def test_addresses_are_read_and_written():
    assert resolve_udp("127.0.0.1:5000", "--to") == ("127.0.0.1", 5000)
    assert written(resolve_udp("[::1]:5000", "--to")) == "[::1]:5000"


def test_a_flood_is_read_a_bounded_number_of_datagrams_at_a_time():
    async def main(relay, _server):
        client = await peer(remote=relay.address)
        for _ in range(3 * MOST_AT_ONCE):
            client.transport.sendto(b"x")
        loop = asyncio.get_running_loop()
        loop.remove_reader(relay._front)
        seen = []
        for _ in range(3):
            relay._from_clients()
            seen.append(relay.flows[0].to_server.packets)
        assert seen == [MOST_AT_ONCE, 2 * MOST_AT_ONCE, 3 * MOST_AT_ONCE]
        client.transport.close()

    relayed(main, "delay 1ms", "delay 1ms")


def test_more_under_way_than_there_is_room_for_is_turned_away_and_counted():
    async def main(relay, _server):
        relay._room = Room(10 * (1024 + 100))
        client = await peer(remote=relay.address)
        for _ in range(30):
            client.transport.sendto(bytes(100))
        await until(lambda: relay.flows and relay.flows[0].to_server.packets + relay.turned_away == 30)
        assert relay.turned_away == 20
        client.transport.close()

    relayed(main, "delay 20s", "delay 1ms")


def test_what_has_arrived_makes_room_again():
    async def main(relay, _server):
        relay._room = Room(1024)
        client = await peer(remote=relay.address)
        for count in range(1, 6):
            client.transport.sendto(bytes([count]))
            await until(lambda count=count: len(client.came) == count)
        assert relay.turned_away == 0
        client.transport.close()

    relayed(main, "delay 1ms", "delay 1ms")


def test_a_client_that_left_keeps_its_figures_and_of_very_many_the_last(monkeypatch):
    monkeypatch.setattr("rtcprobe.runtime.relay.MOST_REMEMBERED", 2)

    async def main(relay, _server):
        for count in range(1, 4):
            client = await peer(remote=relay.address)
            for _ in range(count):
                client.transport.sendto(b"x")
            await client.heard(count)
            client.transport.close()
            relay._forget(relay.flows[-1].client)

    relay, _ = relayed(main, "delay 1ms", "delay 1ms")
    assert [flow.to_server.achieved().offered for flow in relay.flows] == [2, 3]
    assert [flow.to_client.requested().delay_p50_s for flow in relay.flows] == [0.001, 0.001]
    assert relay.forgotten == 1


def test_clients_that_share_a_link_wait_for_each_other():
    # At 80 kb/s a datagram of 972 + 28 bytes takes 100 ms; two clients' leave one after the other, not at once.
    async def main(relay, _server):
        clients = [await peer(remote=relay.address) for _ in range(2)]
        for client in clients:
            client.transport.sendto(bytes(972))
        for client in clients:
            await client.arrived.wait()
            client.transport.close()

    relay, _ = relayed(main, "rate 80kbit", "delay 0ms", shared=True)
    assert sorted(round(flow.to_server.achieved().delay_max_s, 1) for flow in relay.flows) == [0.1, 0.2]
    relay, _ = relayed(main, "rate 80kbit", "delay 0ms")
    assert [round(flow.to_server.achieved().delay_max_s, 1) for flow in relay.flows] == [0.1, 0.1]


@pytest.mark.skipif(not hasattr(socket, "IP_RECVTOS"), reason="this system tells no TOS byte")
def test_what_a_datagram_says_of_ecn_is_carried_on_both_ways():
    async def main(relay, _server):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 1)  # ECT(1)
            client.connect(relay.address)
            client.send(b"x")
            ready = loop.create_future()
            loop.add_reader(client, ready.set_result, None)
            await ready
            loop.remove_reader(client)
            _, ancillary, _, _ = client.recvmsg(10, 64)
            came.extend(value[0] for _, kind, value in ancillary if kind == socket.IP_TOS)

    async def run():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.setblocking(False)
            server.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)

            def answer():
                data, ancillary, _, sender = server.recvmsg(10, 64)
                seen.extend(value[0] for _, kind, value in ancillary if kind == socket.IP_TOS)
                server.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 2)  # ECT(0)
                server.sendto(data, sender)

            asyncio.get_running_loop().add_reader(server, answer)
            link = [parse_link("delay 1ms")]
            relay = Relay(listen=("127.0.0.1", 0), to=server.getsockname(), up=link, down=link, seed=1)
            try:
                async with asyncio.timeout(10):
                    await main(relay, None)
            finally:
                relay.close()
                asyncio.get_running_loop().remove_reader(server)

    seen, came = [], []
    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        runner.run(run())
    assert (seen, came) == ([1], [2])


def test_a_queue_that_marks_says_so_to_the_receiver():
    assert tos_of([(socket.IPPROTO_IP, socket.IP_TOS, b"\x02")]) == 2
    assert tos_of([(socket.IPPROTO_IP, socket.IP_TTL, b"\x02")]) == 0


def test_seconds_count_what_was_offered_and_when_it_came_out():
    seconds = Seconds(Ledger(left=2))
    seconds.add(100, Fate((1.2,)), 0.9)
    seconds.add(100, Fate((), "queue"), 0.95)
    seconds.add(100, Fate((), "loss"), 0.95)
    seconds.add(100, Fate((2.5,)), 1.5)
    first, second = seconds.rows[0], seconds.rows[1]
    assert (first.offered, first.delivered, first.queue_drops, first.losses) == (3, 0, 1, 1)
    assert (second.offered, second.delivered_bytes, second.longest_s) == (1, 100, pytest.approx(0.3))
    assert 2 not in seconds.rows  # there was room for two


def test_a_second_is_late_whose_p95_is_and_a_run_is_invalid_of_which_one_in_twenty_are():
    lateness = Lateness(0.001)
    for second in range(40):
        for n in range(100):
            lateness.add(0.002 if n < (6 if second in (3, 7) else 5) else 0.0001, second + n / 100)
    assert lateness.invalid() == [3, 7]
    assert not lateness.is_invalid()  # two of forty are one in twenty, and not more
    lateness.add(0.5, 50.0)
    assert lateness.invalid() == [3, 7, 50]
    assert lateness.is_invalid()
