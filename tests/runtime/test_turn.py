"""A TURN server's answers, by the RFCs: who may allocate, what is relayed, when it ends."""

import struct

import pytest
from aioice import stun

from rtcprobe.runtime.turn import Credentials, Relayed, TurnServer

CLIENT, PEER, RELAYED = ("192.0.2.1", 5000), ("198.51.100.7", 6000), ("203.0.113.9", 40000)


class Client:
    """Writes a client's messages, and reads the answers."""

    def __init__(self, address=CLIENT, user="probe", password="secret"):
        self.ended = []
        self.address, self.credentials = address, Credentials(user=user, password=password)
        self.server = TurnServer(
            credentials=Credentials(user="probe", password="secret"), open=lambda _: RELAYED, close=self.ended.append
        )
        self.challenge = {}

    def request(self, method, now_s=0.0, *, known=True, again=None, **attributes):
        named = {name.upper().replace("_", "-"): value for name, value in attributes.items()}
        message = stun.Message(message_method=method, message_class=stun.Class.REQUEST, attributes=named)
        if again is not None:
            message.transaction_id = again.transaction_id
        if known:
            if not self.challenge:
                refused = self.request(stun.Method.ALLOCATE, known=False, requested_transport=17 << 24)
                self.challenge = {name: refused.attributes[name] for name in ("REALM", "NONCE")}
            message.attributes |= {"USERNAME": self.credentials.user, **self.challenge}
            message.add_message_integrity(self.credentials.key)
        self.asked = message
        return stun.parse_message(self.server.receive(bytes(message), self.address, now_s))

    def allocate(self, now_s=0.0, **more):
        return self.request(stun.Method.ALLOCATE, now_s, **{"requested_transport": 17 << 24, **more})

    def send(self, data, peer=PEER):
        message = stun.Message(
            message_method=stun.Method.SEND,
            message_class=stun.Class.INDICATION,
            attributes={"XOR-PEER-ADDRESS": peer, "DATA": data},
        )
        return self.server.receive(bytes(message), self.address, 0.0)


def test_whoever_shows_no_credentials_is_asked_for_them_and_gets_nothing():
    client = Client()
    refused = client.request(stun.Method.ALLOCATE, known=False, requested_transport=17 << 24)
    assert refused.error_code == 401
    assert {"REALM", "NONCE"} <= refused.attributes.keys()
    assert client.send(b"hello") is None
    assert not client.server.allocations


def test_wrong_credentials_are_refused_and_counted():
    client = Client(password="guess")
    assert client.allocate().error_code == 401
    assert client.server.refused == 1


def test_an_allocation_is_an_address_of_the_server_for_ten_minutes_at_least():
    client = Client()
    answer = client.allocate(lifetime=1)
    assert answer.attributes["XOR-RELAYED-ADDRESS"] == RELAYED
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == CLIENT
    assert answer.attributes["LIFETIME"] == 600
    assert answer.check_message_integrity(client.credentials.key)


def test_a_request_that_comes_again_is_no_second_one():
    client = Client()
    first, asked = client.allocate(), client.asked
    assert client.request(stun.Method.ALLOCATE, again=asked, requested_transport=17 << 24).attributes == {
        **first.attributes
    }
    assert client.allocate().error_code == 437


@pytest.mark.parametrize("transport", [0, 6 << 24])
def test_relaying_anything_but_udp_is_refused(transport):
    assert Client().allocate(requested_transport=transport).error_code == 442


def test_a_request_that_does_not_say_what_to_relay_is_a_bad_one():
    assert Client().request(stun.Method.ALLOCATE).error_code == 400


def test_what_a_client_sends_comes_out_for_its_peer_and_the_peers_answer_is_wrapped_for_it():
    client = Client()
    client.allocate()
    assert client.send(b"hello") == Relayed(b"hello", PEER)
    back = stun.parse_message(client.server.allocations[CLIENT].wrapped(b"hi", PEER))
    assert (back.message_method, back.message_class) == (stun.Method.DATA, stun.Class.INDICATION)
    assert (back.attributes["XOR-PEER-ADDRESS"], back.attributes["DATA"]) == (PEER, b"hi")


def test_a_channel_carries_the_same_in_four_bytes():
    client = Client()
    client.allocate()
    assert client.request(stun.Method.CHANNEL_BIND, channel_number=0x4001, xor_peer_address=PEER).error_code is None
    framed = struct.pack("!HH", 0x4001, 5) + b"hello"
    assert client.server.receive(framed, CLIENT, 0.0) == Relayed(b"hello", PEER)
    assert client.server.receive(framed + b"\0\0\0", CLIENT, 0.0) == Relayed(b"hello", PEER)  # padded
    assert client.server.allocations[CLIENT].wrapped(b"hello", PEER) == framed


@pytest.mark.parametrize(
    ("number", "peer"), [(0x3FFF, PEER), (0x5000, PEER), (0x4001, ("198.51.100.8", 1)), (0x4002, PEER)]
)
def test_a_channel_is_of_one_peer_and_a_peer_of_one_channel(number, peer):
    client = Client()
    client.allocate()
    client.request(stun.Method.CHANNEL_BIND, channel_number=0x4001, xor_peer_address=PEER)
    assert client.request(stun.Method.CHANNEL_BIND, channel_number=number, xor_peer_address=peer).error_code == 400


def test_permissions_are_granted_and_nothing_waits_for_them():
    client = Client()
    assert client.request(stun.Method.CREATE_PERMISSION, xor_peer_address=PEER).error_code == 437
    client.allocate()
    assert client.request(stun.Method.CREATE_PERMISSION, xor_peer_address=PEER).error_code is None


def test_an_allocation_ends_when_it_is_not_refreshed_or_when_it_is_given_back():
    client = Client()
    client.allocate(0.0)
    client.request(stun.Method.REFRESH, 500.0, lifetime=900)
    client.server.expire(1399.0)
    assert not client.ended
    client.server.expire(1400.0)
    assert [each.relayed for each in client.ended] == [RELAYED]
    client.allocate(1401.0)
    assert client.request(stun.Method.REFRESH, 1402.0, lifetime=0).attributes["LIFETIME"] == 0
    assert len(client.ended) == 2
    assert client.request(stun.Method.REFRESH, 1403.0, lifetime=0).error_code is None
    assert client.request(stun.Method.REFRESH, 1403.0, lifetime=600).error_code == 437


def test_a_binding_request_is_told_where_it_came_from():
    client = Client()
    answer = client.request(stun.Method.BINDING, known=False)
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == CLIENT


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\x40", b"\x40\x01\0\x10short", bytes(20), b"\xff" * 40, b"\0\3" + b"\0" * 30]
)
def test_what_is_no_message_is_dropped(data):
    client = Client()
    client.allocate()
    assert client.server.receive(data, CLIENT, 0.0) is None
