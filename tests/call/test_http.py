import asyncio
import sys
from pathlib import Path as FilePath

import numpy as np
import pytest

sys.path.insert(0, str(FilePath(__file__).parents[1] / "broken"))

from zoo import SDP, Authority, open_zoo

from rtcprobe.call.http import HttpClient
from rtcprobe.link import Delay, Link, LinkSpec, Path
from rtcprobe.runtime.direction import Direction
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.streams import Line
from rtcprobe.secrets import Secret

ROUND_TRIP_S = 0.030


def way(delay_s):
    return Direction(Path([Link(LinkSpec(delay=Delay(base_s=delay_s)), np.random.SeedSequence(1))]))


@pytest.fixture
async def line():
    return Line(Network(asyncio.get_running_loop(), sockets=True), way(ROUND_TRIP_S / 3), way(ROUND_TRIP_S * 2 / 3))


async def test_a_new_connection_costs_three_round_trips_by_step_and_an_open_one_the_exchange_alone(line, tmp_path):
    # TCP 1, TLS 1.3 1 (RFC 8446 §2), the exchange 1; the server is on this machine and answers in no time.
    authority = Authority()
    async with open_zoo(authority.server(tmp_path, "localhost")) as zoo:
        client = HttpClient(line, ca_file=authority.write(tmp_path / "ca.pem"))
        url = f"https://localhost:{zoo.port}/fine"
        first = (await client.exchange("offer", "POST", url, body=SDP)).exchange
        second = (await client.exchange("offer", "POST", url, body=SDP)).exchange
        await client.aclose()
        assert zoo.connections == 1
    assert list(first.marks) == ["tcp", "tls", "request_sent", "response_headers", "response_body"]
    assert list(second.marks) == ["request_sent", "response_headers", "response_body"]
    for step, trips in (("tcp", 1), ("tls", 2), ("response_headers", 3)):
        assert first.marks[step] - first.begun_s >= trips * ROUND_TRIP_S
    assert second.marks["response_headers"] - second.begun_s >= ROUND_TRIP_S
    assert first.marks["request_sent"] - first.marks["tls"] < ROUND_TRIP_S / 3 + 0.1  # sent, not arrived
    assert client.waits() == []


async def test_a_connection_opened_ahead_is_the_one_the_exchange_uses(line):
    async with open_zoo() as zoo:
        client = HttpClient(line)
        url = f"http://127.0.0.1:{zoo.port}/fine"
        ahead = await client.open("signalling", url)
        reply = await client.exchange("offer", "POST", url, body=SDP, media_types=["application/sdp"])
        await client.aclose()
        assert zoo.connections == 1
    assert list(ahead.marks) == ["tcp"]
    assert "tcp" not in reply.exchange.marks
    assert (reply.text(), reply.media_type) == (SDP, "application/sdp")


async def test_what_is_sent_is_what_was_asked_for(line):
    async with open_zoo() as zoo:
        client = HttpClient(line)
        token = Secret("http-planted-token", "env:TOKEN")
        form = {"sdp": ("application/sdp", SDP), "session": ("application/json", "{}")}
        url = f"http://127.0.0.1:{zoo.port}/echo?room=7"
        reply = await client.exchange("offer", "POST", url, form=form, headers={"X-Beta": "1"}, token=token)
        await client.aclose()
        head = zoo.seen[0][0]
    assert head.startswith("POST /echo?room=7 HTTP/1.1\r\n")
    for field in ("X-Beta: 1", "Authorization: Bearer http-planted-token", "Accept-Encoding: identity"):
        assert field.lower() in head.lower()
    for part in ('name="sdp"', "Content-Type: application/sdp", SDP, 'name="session"', "{}"):
        assert part in reply.text()
    assert "planted" not in repr(client.exchanges)


async def test_many_exchanges_at_once_have_connections_of_their_own(line):
    async with open_zoo() as zoo:
        client = HttpClient(line)
        url = f"http://127.0.0.1:{zoo.port}/echo"
        replies = await asyncio.gather(
            *(client.exchange("message", "POST", url, body=f"message {index}") for index in range(5))
        )
        await client.aclose()
        assert zoo.connections == 5
    assert [reply.text() for reply in replies] == [f"message {index}" for index in range(5)]
