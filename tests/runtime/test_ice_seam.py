"""Each name of aioice that gathering leans on, held; and STUN servers asked, on this machine alone."""

import asyncio
import inspect
import ssl

import aioice
import aioice.ice
import pytest
from aioice import stun

from rtcprobe.errors import MeasurementError
from rtcprobe.ice import read_ice
from rtcprobe.link import Path
from rtcprobe.runtime import aiortc_seam, gathering
from rtcprobe.runtime.aiortc_seam import SeamError
from rtcprobe.runtime.gathering import Gathering
from rtcprobe.runtime.ice_seam import IceAgent, gather_with
from rtcprobe.runtime.network import acting_as
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.real import RealEventLoop
from rtcprobe.runtime.streams import Line


def test_aioice_is_as_the_seam_knows_it():
    assert aioice.__version__.startswith("0.13.")
    assert set(inspect.signature(aioice.ice.relayed_candidate).parameters) == {
        "component",
        "hide_related_address",
        "protocol_factory",
        "turn_server",
        "turn_username",
        "turn_password",
        "turn_ssl",
        "turn_transport",
    }
    assert list(inspect.signature(aioice.ice.server_reflexive_candidate).parameters) == ["protocol", "stun_server"]
    agent = aioice.Connection(ice_controlling=True)
    assert list(inspect.signature(agent.get_component_candidates).parameters) == ["component", "addresses", "timeout"]
    assert agent._protocols == []


def test_a_name_that_has_moved_is_said():
    class Transport:
        transport = None

    with pytest.raises(SeamError, match=r"None has no _connection any more: this rtcprobe knows aioice 0\.13"):
        gather_with(Transport(), None)


class StunServer(asyncio.DatagramProtocol):
    """Tells everybody the same address."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        asked = stun.parse_message(data)
        answer = stun.Message(asked.message_method, stun.Class.RESPONSE, transaction_id=asked.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.7", 4242)
        self.transport.sendto(bytes(answer), addr)


def gathered(servers, policy="all", *, server=StunServer, addresses=("127.0.0.1",), after=None):
    """Return the offer and the gathering of a peer that asks ``servers`` (a function of the STUN server's port).

    ``after`` is awaited between the offer and the end, with the offer's ICE agent and its gathering.
    """

    async def main():
        aiortc_seam.install()
        loop = asyncio.get_running_loop()
        answering, _ = await loop.create_datagram_endpoint(server, local_addr=("127.0.0.1", 0))
        network = OutsideNetwork(loop)
        host = network.add_outside_host("caller", addresses, up=Path([]), down=Path([]))
        line = Line(network, host.stream_up, host.stream_down)
        written = {"servers": servers(answering.get_extra_info("sockname")[1]), "policy": policy}
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the system's authorities take a fifth of a second to read
        asking = Gathering(read_ice(written), line, tls=lambda: tls)
        connection = aiortc_seam.new_peer_connection(relay_only=policy == "relay")
        connection.createDataChannel("d")
        gather_with(connection.sctp.transport, asking.gather)
        with acting_as(host):
            await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        if after is not None:
            await after(connection.sctp.transport.transport._connection, asking)
        await asking.stop()
        await connection.close()
        network.close()
        answering.close()
        return offer, asking

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        return runner.run(main())


def test_every_stun_server_is_asked_and_what_it_saw_is_a_candidate():
    offer, asking = gathered(lambda port: [f"stun:127.0.0.1:{port}", f"stun:localhost:{port}"])
    assert offer.count("198.51.100.7 4242 typ srflx") >= 1
    assert [each.address for each in asking.allocations] == ["198.51.100.7:4242"] * 2
    assert asking.complaints() == []
    plain = asking.allocations[0].plain(0.0)
    assert plain["gathered_s"] >= plain["begun_s"]


def test_servers_that_give_nothing_are_told_apart_and_the_rest_is_used(monkeypatch):
    monkeypatch.setattr(gathering, "GATHER_TIMEOUT_S", 0.2)
    offer, asking = gathered(
        lambda port: [
            f"stun:127.0.0.1:{port}",
            "stun:127.0.0.1:9",
            "turn:nohost.invalid?transport=tcp",
            "turns:127.0.0.1:1",
        ]
    )
    assert "typ srflx" in offer
    assert asking.allocations[0].failed is None
    unanswered, unresolved, refused = asking.complaints()
    assert unanswered == (
        "stun:127.0.0.1:9 gave no candidate, no answer came within 0.2 s: check host, port and transport"
    )
    assert unresolved.startswith("turn:nohost.invalid:3478?transport=tcp gave no candidate, ")
    assert refused == (
        "turns:127.0.0.1:1?transport=tcp gave no candidate, 127.0.0.1:1 refuses the TCP connection: check host, port "
        "and transport"
    )
    asking.check()  # not everything failed


def test_with_relayed_candidates_alone_nothing_else_is_asked_and_none_is_an_error():
    offer, asking = gathered(lambda port: [f"stun:127.0.0.1:{port}", "turn:127.0.0.1:1?transport=tcp"], "relay")
    assert "a=candidate" not in offer
    assert [each.server.kind for each in asking.allocations] == ["turn"]
    with pytest.raises(MeasurementError) as caught:
        asking.check()
    assert str(caught.value).startswith("turn:127.0.0.1:1?transport=tcp gave no candidate, 127.0.0.1:1 refuses")


class PickyServer(StunServer):
    """Answers 127.0.0.1 at once, and nobody else: no way leads back to them."""

    def datagram_received(self, data, addr):
        if addr[0] == "127.0.0.1":
            super().datagram_received(data, addr)


def test_a_server_that_answers_one_of_our_addresses_has_answered():
    still_asking = []

    async def after(_agent, asking):
        still_asking.extend(asking._tasks)

    offer, asking = gathered(
        lambda port: [f"stun:127.0.0.1:{port}"],
        server=PickyServer,
        addresses=("127.0.0.2", "127.0.0.1"),
        after=after,
    )
    assert still_asking  # the offer did not wait for the other address
    assert offer.count("typ srflx") == 1
    assert asking.complaints() == []


class SlowServer(StunServer):
    """Answers what is asked the second time, half a second later."""

    asked = 0

    def datagram_received(self, data, addr):
        self.asked += 1
        if self.asked > 1:
            super().datagram_received(data, addr)


def test_what_comes_after_the_offer_is_added_to_the_agent(monkeypatch):
    monkeypatch.setattr(gathering, "SILENCE_S", 0.05)
    seen = []

    async def later(agent, asking):
        seen.append([each.type for each in agent.local_candidates])
        while asking.allocations[0].open:
            asking._news.clear()
            await asking._news.wait()
        seen.append([each.type for each in agent.local_candidates])

    offer, asking = gathered(lambda port: [f"stun:127.0.0.1:{port}"], server=SlowServer, after=later)
    assert "typ srflx" not in offer
    assert seen == [["host"], ["host", "srflx"]]
    assert asking.complaints() == []


def test_a_relay_that_comes_late_joins_the_checks_that_are_going_on(monkeypatch):
    relay = aioice.Candidate("1", 1, "udp", 5, "198.51.100.9", 4242, "relay")
    checked = []

    async def relayed(**_options):
        return relay, StandIn(relay)

    class StandIn:
        def __init__(self, local_candidate):
            self.local_candidate = local_candidate

        async def request(self, _request, addr, **_options):
            checked.append(addr)
            await asyncio.get_running_loop().create_future()

        async def close(self):
            pass

    async def main():
        connection = aioice.Connection(ice_controlling=True)
        connection._local_candidates_end = True
        connection.remote_username, connection.remote_password = "abcd", "abcdefghijklmnopqrstuv"
        await connection.add_remote_candidate(aioice.Candidate("1", 1, "udp", 5, "192.0.2.1", 40_000, "host"))
        connecting = asyncio.ensure_future(connection.connect())
        await asyncio.sleep(0)
        agent = IceAgent(connection, 1)
        agent.late = True
        monkeypatch.setattr(aioice.ice, "relayed_candidate", relayed)
        address = await agent.add_relayed(("127.0.0.1", 1), None, None, transport="udp", tap=None, clock=None)
        await asyncio.sleep(0)
        told = connection.local_candidates
        await connection.close()
        await asyncio.gather(connecting, return_exceptions=True)
        return address, told

    address, told = asyncio.run(main())
    assert address == "198.51.100.9:4242"
    assert told == [relay]
    assert checked == [("192.0.2.1", 40_000)]
