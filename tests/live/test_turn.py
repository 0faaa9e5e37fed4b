"""TURN servers for real: allocated over UDP, TCP and TLS, refused with a reason, and relayed through, link and all."""

import asyncio
import ssl

import numpy as np
import pytest
from certificates import Authority
from coturn import REST_SECRET, TURN_PASSWORD, TURN_USER

from rtcprobe.errors import MeasurementError
from rtcprobe.ice import read_ice
from rtcprobe.link import Delay, Link, LinkSpec, Path
from rtcprobe.probe import run_probe
from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.gathering import Gathering
from rtcprobe.runtime.ice_seam import gather_with
from rtcprobe.runtime.network import acting_as
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.streams import Line
from rtcprobe.scenario import find_scenario


def on_the_real_loop(main):
    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        return runner.run(main())


def path(delay_s):
    return Path([Link(LinkSpec(delay=Delay(base_s=delay_s)), np.random.SeedSequence(1))] if delay_s else [])


class Client:
    """A peer connection of a host of its own, its candidates gathered at the servers of ``settings``."""

    def __init__(self, address, settings, authority, *, delay_s=0.0):
        aiortc_seam.install()
        network = OutsideNetwork(asyncio.get_running_loop())
        self.host = network.add_outside_host("caller", [address], up=path(delay_s), down=path(delay_s))
        self.line = Line(network, self.host.stream_up, self.host.stream_down)
        self.gathering = Gathering(settings, self.line, tls=lambda: ssl.create_default_context(cafile=authority.ca))
        self.connection = aiortc_seam.new_peer_connection(relay_only=settings.policy == "relay")
        self.channel = self.connection.createDataChannel("d")
        gather_with(self.connection.sctp.transport, self.gathering.gather)
        self.heard = asyncio.get_running_loop().create_future()

    async def offer(self):
        with acting_as(self.host):
            await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription

    async def close(self):
        await self.connection.close()
        await asyncio.sleep(0.1)
        await self.line.close()


def turn(server, transport="udp", *, credential="env:TURN_PASSWORD", policy="relay", **more):
    host = server.address
    url = (
        f"turns:{host}:{server.tls_port}" if transport == "tls" else f"turn:{host}:{server.port}?transport={transport}"
    )
    return read_ice(
        {"servers": [{"urls": url, "username": TURN_USER, "credential": credential, **more}], "policy": policy}
    )


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    monkeypatch.setenv("TURN_PASSWORD", TURN_PASSWORD)
    monkeypatch.setenv("TURN_WRONG", "wrong-password")
    monkeypatch.setenv("TURN_SECRET", REST_SECRET)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_an_address_is_allocated_and_each_step_is_timed_through_the_link(coturn, authority, transport):
    async def main():
        client = Client(coturn.address, turn(coturn, transport), authority, delay_s=0.020)
        offer = await client.offer()
        client.gathering.check()
        await client.close()
        return offer.sdp, client.gathering.allocations

    sdp, (allocation,) = on_the_real_loop(main)
    assert "typ relay" in sdp
    assert "typ host" not in sdp
    steps = [allocation.marks[name] for name in ("tcp", "tls", "gathered") if name in allocation.marks]
    # A round trip for TCP, one for TLS, and two for the allocation: it is asked without credentials first.
    trips = {"udp": (2,), "tcp": (1, 3), "tls": (1, 2, 4)}[transport]
    for at_s, count in zip(steps, trips, strict=True):
        assert count * 0.040 <= at_s - allocation.begun_s < count * 0.040 + 0.150


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_time_limited_credentials_are_made_from_the_shared_secret(rest_coturn, authority, transport):
    settings = read_ice(
        {
            "policy": "relay",
            "servers": [{"urls": turn(rest_coturn, transport).servers[0].url, "secret": "env:TURN_SECRET"}],
        }
    )

    async def main():
        client = Client(rest_coturn.address, settings, authority)
        await client.offer()
        client.gathering.check()
        await client.close()

    on_the_real_loop(main)


def refusal(address, settings, authority):
    async def main():
        client = Client(address, settings, authority)
        await client.offer()
        try:
            with pytest.raises(MeasurementError) as caught:
                client.gathering.check()
        finally:
            await client.close()
        return str(caught.value)

    return on_the_real_loop(main)


def test_a_wrong_password_is_said(coturn, authority):
    for transport in ("udp", "tcp"):
        settings = turn(coturn, transport, credential="env:TURN_WRONG")
        assert refusal(coturn.address, settings, authority) == (
            f"{settings.servers[0].url} gave no candidate, it answered 401 Unauthorized: check user name and credential"
        )


@pytest.mark.beside
def test_nobody_there_is_said(coturn, authority):
    def at(url):
        settings = read_ice({"servers": [{"urls": url}], "policy": "relay"})
        return refusal(coturn.address, settings, authority)

    host = coturn.address
    assert at(f"turn:{host}:1?transport=tcp") == (
        f"turn:{host}:1?transport=tcp gave no candidate, {host}:1 refuses the TCP connection: check host, port and "
        "transport"
    )
    assert at(f"turns:{host}:{coturn.port}").startswith(f"turns:{host}:{coturn.port}?transport=tcp gave no candidate, ")
    assert at(f"turn:{host}:1") == (
        f"turn:{host}:1?transport=udp gave no candidate, no answer came within 5 s: check host, port and transport"
    )


def test_an_untrusted_certificate_is_said(coturn, tmp_path):
    said = refusal(coturn.address, turn(coturn, "tls"), Authority(tmp_path))
    assert "gave no candidate, its certificate is not trusted, " in said
    assert said.endswith(": name the CA file that vouches for it")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_two_peers_talk_through_the_relay_alone(coturn, authority, transport):
    async def main():
        ours = Client(coturn.address, turn(coturn, transport), authority)
        theirs = Client(coturn.address, turn(coturn, transport), authority)
        theirs.connection.on("datachannel", lambda channel: channel.on("message", theirs.heard.set_result))
        ours.channel.on("open", lambda: ours.channel.send("hello"))
        async with asyncio.timeout(15):
            await theirs.connection.setRemoteDescription(await ours.offer())
            with acting_as(theirs.host):
                await theirs.connection.setLocalDescription(await theirs.connection.createAnswer())
            with acting_as(ours.host):
                await ours.connection.setRemoteDescription(theirs.connection.localDescription)
            heard = await theirs.heard
        await ours.close()
        await theirs.close()
        return heard

    assert on_the_real_loop(main) == "hello"


@pytest.mark.beside
def test_a_whole_run_is_relayed_and_says_so(coturn, aiortc_echo):
    server = f"urls: 'turn:{coturn.address}:{coturn.port}?transport=tcp', username: {TURN_USER}"
    changes = [
        f"target=sdp+{aiortc_echo.origin}/plain",
        "call.joins=2",
        "call.calls=1",
        "call.duration=5s",
        "link.delay=20ms",
        "ice.policy=relay",
        f"ice.servers=[{{{server}, credential: 'env:TURN_PASSWORD'}}]",
    ]
    result = run_probe(find_scenario("1v1-social", changes), seed=1, clock="real")
    assert [attempt.failed for attempt in result.join.attempts] == [None, None]
    caller = result.parties["caller"]
    assert caller["pair"].startswith("relay to ")
    (asked,) = caller["ice_servers"]
    assert asked["gathered_s"] >= 3 * 0.040
    assert result.mouth_to_ear["round_trip"].heard > 0
    assert TURN_PASSWORD not in str(result)
