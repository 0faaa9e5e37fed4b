"""Each name of aiortc and aioice that the seam leans on, held: a new release that moves one fails here, and says so."""

import asyncio
import hashlib
import threading
import time
import types

import aioice
import aiortc
import numpy as np
import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpPacket, RtcpRtpfbPacket
from cryptography.hazmat.primitives import serialization

from rtcprobe.runtime import aiortc_seam, dtls_seam
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.virtual import EPOCH_S, VirtualEventLoop


def virtual(coroutine):
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(coroutine)


def test_the_versions_are_those_the_seam_knows():
    assert aiortc.__version__.startswith("1.16.")
    assert aioice.__version__.startswith("0.13.")


def test_installing_twice_is_installing_once():
    aiortc_seam.install()
    once = aiortc.clock.current_datetime
    aiortc_seam.install()
    assert aiortc.clock.current_datetime is once


def test_outside_our_loops_the_stack_keeps_the_machines_clock_and_randomness():
    aiortc_seam.install()
    assert abs(aiortc.clock.current_datetime().timestamp() - time.time()) < 60
    assert aiortc.utils.random32() != aiortc.utils.random32()
    assert aioice.utils.random_string(22) != aioice.utils.random_string(22)


def test_in_virtual_time_every_clock_of_the_stack_reads_the_loop():
    aiortc_seam.install()

    async def main():
        await asyncio.sleep(12.5)
        clock = aiortc.clock
        return (
            clock.current_datetime().timestamp(),
            clock.current_ms() / 1e3 - 2_208_988_800,
            clock.current_ntp_time() / 2**32 - 2_208_988_800,
            aiortc.rtcrtpsender.time.time(),
            aiortc.rtcrtpreceiver.time.time(),
        )

    assert virtual(main()) == pytest.approx([EPOCH_S + 12.5] * 5, abs=2e-3)


def test_in_virtual_time_every_draw_of_the_stack_is_seeded():
    aiortc_seam.install()

    async def main():
        return (
            aiortc.utils.random32(),
            aiortc.rtcrtpsender.random.random(),
            aioice.ice.random.random(),
            aioice.ice.secrets.randbits(64),
            aioice.utils.random_string(22),
            aioice.utils.random_transaction_id(),
            str(aiortc.rtcpeerconnection.uuid.uuid4()),
        )

    assert virtual(main()) == virtual(main())


def test_a_name_that_moved_is_said_in_one_sentence():
    with pytest.raises(
        aiortc_seam.SeamError, match=r"^SimpleNamespace\._handle_rtp_packet is gone: this rtcprobe knows"
    ):
        aiortc_seam.take_rtp(types.SimpleNamespace(), print)


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


def test_a_receiver_whose_packets_are_taken_starts_no_thread_and_others_do():
    aiortc_seam.install()

    async def started(*, taken):
        connection = aiortc_seam.new_peer_connection()
        connection.addTransceiver("audio")
        receiver = connection.getTransceivers()[0].receiver
        receiver._track = aiortc.rtcrtpreceiver.RemoteStreamTrack(kind="audio")
        if taken:
            aiortc_seam.take_rtp(receiver, lambda _packet: ())
        before = threading.active_count()
        await receiver.receive(RTCRtpReceiveParameters())
        more = threading.active_count() - before
        await receiver.stop()
        await connection.close()
        return more

    assert asyncio.run(started(taken=True)) == 0
    assert asyncio.run(started(taken=False)) == 1


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


def test_missing_numbers_are_asked_for_in_ascending_runs_because_aiortc_cannot_pack_a_wrap():
    runs = aiortc_seam._without_wraps([65_534, 65_535, 0, 1])
    assert runs == [[65_534, 65_535], [0, 1]]
    assert aiortc_seam._without_wraps([3, 9]) == [[3, 9]]

    def packed(lost):
        sent = bytes(RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=2, lost=lost))
        return RtcpPacket.parse(sent)[0].lost

    assert [packed(run) for run in runs] == runs
    with pytest.raises(ValueError, match="negative shift count"):
        packed([65_535, 0])  # when this no longer fails, the runs are no longer needed


def test_retransmission_has_the_names_that_the_seam_uses():
    assert callable(aiortc.RTCRtpSender._retransmit)
    assert callable(aiortc.RTCRtpReceiver._send_rtcp_nack)
    assert "_RTCRtpSender__rtt" in aiortc.RTCRtpSender.__init__.__code__.co_names
    with pytest.raises(aiortc_seam.SeamError, match=r"^SimpleNamespace\._retransmit is gone"):
        aiortc_seam.limit_resends(types.SimpleNamespace(), bool)
    with pytest.raises(aiortc_seam.SeamError, match=r"^SimpleNamespace\._RTCRtpSender__rtt is gone"):
        aiortc_seam.round_trip_s(types.SimpleNamespace())


def test_fingerprints_are_written_as_rfc_8122_has_them():
    aiortc_seam.install()
    certificate = aiortc.RTCCertificate.generateCertificate()
    for fingerprint in certificate.getFingerprints():
        digest = getattr(hashlib, fingerprint.algorithm.replace("-", ""))(
            certificate._cert.public_bytes(serialization.Encoding.DER)
        ).digest()
        assert fingerprint.value == ":".join(f"{byte:02X}" for byte in digest)


def test_a_codec_agreed_on_is_a_copy_to_its_last_part():
    aiortc_seam.install()
    ours = aiortc.codecs.CODECS["video"][0]
    (copied,) = aiortc.rtcpeerconnection.find_common_codecs([ours], [ours])
    assert copied == ours
    copied.parameters["x"] = 1
    copied.rtcpFeedback.clear()
    assert "x" not in ours.parameters
    assert ours.rtcpFeedback
