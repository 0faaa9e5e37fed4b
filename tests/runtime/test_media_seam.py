"""Frames in, packets out: what stands between aiortc's senders and receivers and ours."""

import asyncio
import threading
import types

import aiortc
import pytest
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket

from rtcprobe.runtime import aiortc_seam, media_seam
from rtcprobe.wrapping import without_wraps


def test_a_name_that_moved_is_said_in_one_sentence():
    with pytest.raises(
        aiortc_seam.SeamError, match=r"^SimpleNamespace\._handle_rtp_packet is gone: this rtcprobe knows"
    ):
        media_seam.take_rtp(types.SimpleNamespace(), print)


def test_a_receiver_whose_packets_are_taken_starts_no_thread_and_others_do():
    aiortc_seam.install()

    async def started(*, taken):
        connection = aiortc_seam.new_peer_connection()
        connection.addTransceiver("audio")
        receiver = connection.getTransceivers()[0].receiver
        receiver._track = aiortc.rtcrtpreceiver.RemoteStreamTrack(kind="audio")
        if taken:
            media_seam.take_rtp(receiver, lambda _packet: ())
        before = threading.active_count()
        await receiver.receive(RTCRtpReceiveParameters())
        more = threading.active_count() - before
        await receiver.stop()
        await connection.close()
        return more

    assert asyncio.run(started(taken=True)) == 0
    assert asyncio.run(started(taken=False)) == 1


def test_missing_numbers_are_asked_for_in_ascending_runs_because_aiortc_cannot_pack_a_wrap():
    runs = without_wraps([65_534, 65_535, 0, 1])
    assert runs == [[65_534, 65_535], [0, 1]]
    assert without_wraps([3, 9]) == [[3, 9]]

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
        media_seam.limit_resends(types.SimpleNamespace(), bool)
    with pytest.raises(aiortc_seam.SeamError, match=r"^SimpleNamespace\._RTCRtpSender__rtt is gone"):
        media_seam.round_trip_s(types.SimpleNamespace())


def test_round_trips_of_less_than_nothing_are_left_out(monkeypatch):
    # RFC 3550 §6.4.1: arrival - LSR - DLSR, which aiortc takes from the wall clock.
    async def told(*trips_s):
        sender = aiortc_seam.new_peer_connection().addTransceiver("audio").sender
        media_seam.only_possible_round_trips(sender)
        sender._RTCRtpSender__lsr, sender._RTCRtpSender__lsr_time = 7, 0.0
        out = []
        for trip_s in trips_s:
            monkeypatch.setattr(aiortc.rtcrtpsender.time, "time", lambda trip_s=trip_s: 1.0 + trip_s, raising=False)
            report = RtcpReceiverInfo(
                ssrc=sender._ssrc, fraction_lost=0, packets_lost=0, highest_sequence=0, jitter=0, lsr=7, dlsr=65_536
            )
            await sender._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[report]))
            out.append(media_seam.round_trip_s(sender))
        return out

    aiortc_seam.install()
    assert asyncio.run(told(-0.058)) == [None]
    kept = asyncio.run(told(0.040, -0.058, 0.040))
    assert kept == pytest.approx([0.040] * 3)
    assert asyncio.run(told(0.040, 0.0))[-1] == pytest.approx(0.85 * 0.040)  # nothing at all is possible
