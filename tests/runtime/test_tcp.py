import asyncio
import time

import numpy as np
import pytest

from rtcprobe.link import Delay, Link, LinkSpec, LossTrace, Path
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.tcp import TcpConnection
from rtcprobe.runtime.virtual import VirtualEventLoop

ONE_WAY_S = 0.050


def spec(*lost):
    loss = LossTrace(lost=tuple(index in lost for index in range(200))) if lost else None
    return LinkSpec(delay=Delay(base_s=ONE_WAY_S), loss=loss)


def run(use, *, up=(), down=(), known_s=None):
    async def main():
        network = Network(asyncio.get_running_loop(), sockets=False)
        client, server = network.add_host("client", "10.0.0.1"), network.add_host("server", "10.0.0.2")
        ways = [
            network.connect(a, b, Path([Link(spec(*lost), np.random.SeedSequence(1))]))
            for a, b, lost in ((client, server, up), (server, client, down))
        ]
        connection = TcpConnection(network, *ways, side="caller", open_round_trip_s=known_s)
        at_s = await use(connection, network)
        await asyncio.sleep(5)
        connection.close()
        return at_s, connection.waits()

    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(main())


async def connect(connection, network):
    await connection.connect()
    return network.now_s()


def send(size_bytes):
    async def use(connection, network):
        await connection.send(size_bytes, "request")
        return network.now_s()

    return use


def test_a_handshake_takes_one_round_trip():
    assert run(connect) == (pytest.approx(0.1, abs=1e-6), [])


@pytest.mark.parametrize(("up", "down"), [((0,), ()), ((), (0,))])
def test_a_lost_syn_or_syn_ack_costs_the_initial_rto_of_one_second(up, down):
    at_s, waits = run(connect, up=up, down=down)
    assert at_s == pytest.approx(1.1, abs=1e-6)
    assert [(wait.what, wait.at_s - wait.from_s) for wait in waits] == [("TCP SYN", pytest.approx(1.0))]


def test_two_lost_syns_double_the_timer():
    at_s, _ = run(connect, up=(0, 1))
    assert at_s == pytest.approx(1 + 2 + 0.1, abs=1e-6)


def test_a_message_within_the_initial_window_takes_one_way():
    assert run(send(10 * 1448))[0] == pytest.approx(ONE_WAY_S, abs=1e-6)


def test_a_message_beyond_the_initial_window_takes_another_round_trip():
    # RFC 6928: ten segments go at once, the eleventh waits for the first acknowledgement.
    assert run(send(10 * 1448 + 1))[0] == pytest.approx(3 * ONE_WAY_S, abs=1e-6)


def test_a_lost_segment_costs_the_retransmission_timer_of_an_old_connection():
    # Known round trip 100 ms, no variation: RTO = 100 ms + floor 200 ms.
    at_s, waits = run(send(1000), up=(0,), known_s=0.1)
    assert at_s == pytest.approx(0.3 + ONE_WAY_S, abs=1e-6)
    assert [wait.what for wait in waits] == ["request"]


def test_three_duplicate_acknowledgements_resend_without_waiting_for_the_timer():
    # Segment 0 of 5 is lost; the acknowledgements of 1 to 3 arrive after one round trip and bring it again.
    at_s, _ = run(send(5 * 1448), up=(0,), known_s=0.1)
    assert at_s == pytest.approx(0.1 + ONE_WAY_S, abs=1e-6)


def test_a_whole_flight_lost_comes_again_after_one_timeout_not_one_a_segment():
    # Three segments lost: RTO 300 ms, segment 0 again; its acknowledgement releases 1, and that one's 2.
    at_s, _ = run(send(3 * 1448), up=(0, 1, 2), known_s=0.1)
    assert at_s == pytest.approx(0.3 + 0.1 + 0.1 + ONE_WAY_S, abs=1e-6)


def test_a_lost_acknowledgement_delays_nothing_and_its_retransmission_shows_as_not_needed():
    at_s, waits = run(send(1000), down=(0,), known_s=0.1)
    assert at_s == pytest.approx(ONE_WAY_S, abs=1e-6)
    assert waits
    assert not any(wait.needed for wait in waits)


def test_messages_arrive_in_order_even_when_the_first_was_lost():
    async def both(connection, network):
        done = []

        async def one(name, size):
            await connection.send(size, name)
            done.append((name, network.now_s()))

        await asyncio.gather(one("first", 1000), one("second", 1000))
        return done

    done, _ = run(both, up=(0,), known_s=0.1)
    assert [name for name, _ in done] == ["first", "second"]
    assert done[1][1] >= 0.3


def test_a_server_answers_when_the_question_was_due_though_this_machine_was_busy():
    async def main():
        network = Network(asyncio.get_running_loop(), sockets=True)
        client, server = network.add_host("client", "127.0.0.1"), network.add_host("server", "127.0.0.1")
        up, down = (
            network.connect(a, b, Path([Link(spec(), np.random.SeedSequence(1))]))
            for a, b in ((client, server), (server, client))
        )
        connection = TcpConnection(network, up, down, side="caller", open_round_trip_s=2 * ONE_WAY_S)
        offered_s = {"up": [], "down": []}
        for name, way in (("up", up), ("down", down)):
            note, offer = offered_s[name].append, way.offer
            way.offer = lambda size, now_s, note=note, offer=offer: note(now_s) or offer(size, now_s)
        there = asyncio.Event()
        connection.post(100, "question", lambda: connection.post(100, "answer", there.set, from_server=True))
        network.loop.call_later(0.9 * ONE_WAY_S, time.sleep, 0.5 * ONE_WAY_S)  # a peer at work when the question comes
        await there.wait()
        connection.close()
        return offered_s, max(network.lateness.samples_s)

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        offered_s, late_s = runner.run(main())
    assert late_s > 0.3 * ONE_WAY_S
    asked_s = offered_s["up"][0]
    assert offered_s["down"] == pytest.approx([asked_s + ONE_WAY_S] * 2, abs=1e-6)  # acknowledgement and answer
