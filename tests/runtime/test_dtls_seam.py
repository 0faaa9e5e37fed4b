"""Handshake flights on the loop's clock, and what a handshake needs before it."""

import asyncio

import numpy as np
import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport
from OpenSSL import SSL

from rtcprobe.runtime import aiortc_seam, dtls_seam
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.virtual import VirtualEventLoop


def virtual(coroutine):
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(coroutine)


class FakeIce:
    """The two methods of an ICE transport that a handshake uses."""

    def __init__(self):
        self.sent = []
        self.inbox = asyncio.Queue()

    async def _send(self, data):
        self.sent.append((asyncio.get_running_loop().time(), data))

    async def _recv(self):
        return await self.inbox.get()


class FakeDtls:
    def __init__(self, ice):
        self.transport = ice
        self.state = "connecting"
        self._RTCDtlsTransport__handshake_done = False
        self.listeners = []

    def on(self, _event, listener):
        self.listeners.append(listener)

    def become(self, state):
        self.state = state
        for listener in self.listeners:
            listener()


FLIGHT, ANSWER, MEDIA = b"\x16flight", b"\x16answer", b"\x80media"


def test_the_real_dtls_transport_has_the_names_that_the_handshake_uses():
    assert "_RTCDtlsTransport__handshake_done" in RTCDtlsTransport.__init__.__code__.co_names


def test_a_handshake_uses_the_context_and_the_fingerprints_that_were_made_before():
    async def main():
        connection = aiortc_seam.new_peer_connection()
        connection.addTransceiver("audio")
        dtls = connection.getTransceivers()[0].sender.transport
        certificate = dtls._RTCDtlsTransport__local_certificate
        fingerprints = certificate.getFingerprints()
        dtls_seam.prepare_handshake(dtls)
        contexts = [certificate._create_ssl_context(srtp_profiles=dtls._srtp_profiles) for _ in range(2)]
        other = certificate._create_ssl_context(srtp_profiles=dtls._srtp_profiles[:1])
        said = dtls.getLocalParameters().fingerprints
        await connection.close()
        return contexts, other, said == fingerprints

    (first, second), other, same = asyncio.run(main())
    assert first is second
    assert other is not first
    assert same


def test_a_flight_without_an_answer_goes_again_with_doubling_timers():
    async def main():
        ice = FakeIce()
        dtls_seam.HandshakeFlights(FakeDtls(ice), lambda: 1.0)
        await ice._send(FLIGHT)
        await asyncio.sleep(8)
        return [at for at, _ in ice.sent]

    # Sent at 0, again after 1, 2 and 4 s. Source: RFC 6347 §4.2.4.1.
    assert virtual(main()) == pytest.approx([0, 1, 3, 7], abs=1e-6)


def test_media_that_arrives_meanwhile_does_not_postpone_the_timer():
    async def main():
        ice = FakeIce()
        dtls_seam.HandshakeFlights(FakeDtls(ice), lambda: 1.0)
        await ice._send(FLIGHT)
        for _ in range(100):
            ice.inbox.put_nowait(MEDIA)
            await ice._recv()
            await asyncio.sleep(0.02)
        return [at for at, _ in ice.sent]

    assert virtual(main()) == pytest.approx([0, 1], abs=1e-6)


def test_a_handshake_datagram_seen_before_brings_our_last_flight_again_even_after_the_end():
    async def main():
        ice = FakeIce()
        dtls = FakeDtls(ice)
        flights = dtls_seam.HandshakeFlights(dtls, lambda: 1.0)
        ice.inbox.put_nowait(ANSWER)
        await ice._recv()
        await ice._send(FLIGHT)
        dtls.become("connected")
        await asyncio.sleep(10)
        ice.inbox.put_nowait(ANSWER)
        await ice._recv()
        await asyncio.sleep(0.1)
        return ice.sent, flights.sent_s

    sent, flights = virtual(main())
    assert sent == [(0.0, FLIGHT), (pytest.approx(10.0), FLIGHT)]
    assert flights == [[0.0, pytest.approx(10.0)]]


def test_a_copy_that_the_network_made_is_not_answered():
    async def main():
        ice = FakeIce()
        flights = dtls_seam.HandshakeFlights(FakeDtls(ice), lambda: 1.0)
        for _ in range(3):  # the peer's datagram, and two copies of it right behind
            ice.inbox.put_nowait(ANSWER)
        await ice._recv()
        await ice._send(FLIGHT)
        for _ in range(2):
            await ice._recv()
            await asyncio.sleep(0.1)
        return flights.sent_s

    assert virtual(main()) == [[0.0]]


def test_an_answer_starts_a_new_flight_with_a_fresh_timer():
    async def main():
        ice = FakeIce()
        flights = dtls_seam.HandshakeFlights(FakeDtls(ice), lambda: 1.0)
        await ice._send(FLIGHT)
        await asyncio.sleep(0.9)
        ice.inbox.put_nowait(ANSWER)
        await ice._recv()
        await ice._send(b"\x16next")
        await asyncio.sleep(1.05)
        return flights.sent_s

    assert virtual(main()) == [[0.0], [pytest.approx(0.9), pytest.approx(1.9)]]


def test_calls_in_virtual_time_have_the_same_certificates_and_each_end_of_a_call_another():
    async def main():
        return [certificate_of(aiortc_seam.new_peer_connection()) for _ in range(3)]

    first, second = virtual(main()), virtual(main())
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert len(set(first)) == 3


def test_a_call_on_the_real_clock_has_certificates_of_its_own():
    async def main():
        return [certificate_of(aiortc_seam.new_peer_connection()) for _ in range(2)]

    assert not set(asyncio.run(main())) & {*asyncio.run(main()), *virtual(main())}


@pytest.fixture(autouse=True, scope="module")
def installed():
    aiortc_seam.install()


def certificate_of(connection):
    return connection._RTCPeerConnection__certificates[0]


def record(kind, body, *, epoch=0, number=0):
    """A DTLS 1.2 record. Source: RFC 6347 §4.1."""
    head = bytes([kind, 0xFE, 0xFD]) + epoch.to_bytes(2, "big") + number.to_bytes(6, "big")
    return head + len(body).to_bytes(2, "big") + body


def message(place, *, number=0):
    """A record with a handshake message that nobody looks into. Source: RFC 6347 §4.2.2."""
    return record(
        22, b"\x0b\x00\x00\x04" + place.to_bytes(2, "big") + bytes(3) + b"\x00\x00\x04" + b"body", number=number
    )


def finish(number):
    """A change of cipher, and what is encrypted behind it."""
    return record(20, b"\x01", number=number) + record(22, b"sealed %d" % number, epoch=1, number=number)


ALERT = record(21, b"bye", epoch=1, number=9)


@pytest.mark.parametrize(
    ("sent", "leave"),
    [
        ([message(0), message(0, number=1)], [message(0)]),
        ([message(0), message(0, number=1) + message(1, number=2)], [message(0), message(1, number=2)]),
        ([message(0), message(0, number=1) + finish(2)], [message(0), finish(2)]),
        ([message(1) + finish(1), message(1, number=2) + finish(3)], [message(1) + finish(1)]),
        ([message(1) + finish(1), message(1, number=2) + finish(3) + ALERT], [message(1) + finish(1), ALERT]),
        ([message(0), message(0)[:-1]], [message(0), message(0)[:-1]]),
    ],
    ids=["again", "again and the next", "again and the end", "the end again", "an alert", "no whole record"],
)
def test_what_openssl_sends_again_because_the_machine_stood_still_does_not_leave_in_virtual_time(sent, leave):
    async def main():
        ice = FakeIce()
        dtls_seam.HandshakeFlights(FakeDtls(ice), lambda: 1.0)
        for data in sent:
            await ice._send(data)
        return [data for _, data in ice.sent]

    assert virtual(main()) == leave
    assert asyncio.run(main()) == sent  # a stranger's retransmission is answered by it


def test_a_first_flight_of_openssl_is_one_handshake_record_numbered_zero():
    client = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    said = client.bio_read(1500)
    assert said[0] == message(0)[0] == 22
    assert said[17:22] == message(0)[17:22] == bytes(5)  # the message's place, and from where in it
    assert len(said) == 13 + int.from_bytes(said[11:13], "big")
