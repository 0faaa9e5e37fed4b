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
        self._ssl = None
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


class FakeSsl:
    """What of OpenSSL a handshake calls: a timer that has expired by the machine's clock writes the flight again."""

    def __init__(self):
        self.expired, self.out = False, b""

    def DTLSv1_handle_timeout(self):  # noqa: N802 - its name
        self.out += FLIGHT * self.expired
        expired, self.expired = self.expired, False
        return expired

    def do_handshake(self):
        raise AssertionError("not here")

    def recv(self, _size):
        self.DTLSv1_handle_timeout()  # it asks its timer itself
        self.out += b"next"
        return b""

    def bio_read(self, size):
        data, self.out = self.out[:size], self.out[size:]
        if not data:
            raise SSL.WantReadError
        return data


def test_a_machine_that_took_a_second_over_its_work_sends_nothing_twice():
    async def main():
        ice = FakeIce()
        dtls = FakeDtls(ice)
        dtls_seam.HandshakeFlights(dtls, lambda: 1.0)
        dtls._ssl = FakeSsl()
        said = []
        for expired in (False, True, False):
            ice.inbox.put_nowait(ANSWER)
            await ice._recv()
            dtls._ssl.expired = expired
            dtls._ssl.recv(1500)
            said.append(dtls._ssl.bio_read(1500))
        return said

    assert virtual(main()) == [b"next"] * 3


def test_on_the_real_clock_a_flight_goes_again_in_new_records_as_soon_as_openssl_makes_them():
    async def main():
        ice, sent = FakeIce(), asyncio.Queue()
        ice._send = sent.put
        dtls = FakeDtls(ice)
        dtls_seam.HandshakeFlights(dtls, lambda: 0.001)
        dtls._ssl = FakeSsl()
        await ice._send(ANSWER)  # what is sent first looks different here from what OpenSSL makes of it
        said = [await sent.get() for _ in range(2)]
        dtls._ssl.expired = True
        said += [await sent.get() for _ in range(2)]
        dtls.become("connected")
        return said

    # A stranger has seen the old records if they arrived, and answers none of them. Source: RFC 6347 §4.1.2.6.
    assert asyncio.run(main()) == [ANSWER, ANSWER, FLIGHT, FLIGHT]


def test_openssl_still_tells_its_timer_by_the_names_that_we_silence_it_by():
    for name in ("DTLSv1_handle_timeout", "bio_read", "do_handshake", "recv"):
        assert callable(getattr(SSL.Connection, name)), name
    assert "recv" in RTCDtlsTransport._recv_next.__code__.co_names
    assert "do_handshake" in RTCDtlsTransport._do_handshake.__code__.co_names
