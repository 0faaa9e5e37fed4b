"""What leaves by the path of a sender that adapts, and what it is told."""

import asyncio

import pytest
from aiortc import RTCRtpSender
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket

from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.adapting_seam import AdaptingPath
from rtcprobe.runtime.aiortc_seam import SeamError


class Told:
    def __init__(self):
        self.places, self.reports = [], []

    def offer_sound(self, data):
        del data

    def offer_picture(self, data):
        del data

    def asked(self, places):
        self.places += places

    def reported(self, lost, expected, rtt_s):
        self.reports.append((lost, expected, rtt_s))


def told(first, count, *packets):
    """Return what is told of ``packets`` by their source, ``count`` packets being sent, numbered from ``first``."""

    async def main():
        connection = aiortc_seam.new_peer_connection()
        sender = connection.addTransceiver("video").sender
        found = Told()
        path = AdaptingPath(sender, found)
        for place in range(count):
            path._offer_picture(b"\x80\x60" + ((first + place) % 2**16).to_bytes(2, "big") + bytes(20))
        for make in packets:
            await sender._handle_rtcp_packet(make(sender._ssrc))
        await connection.close()
        return found

    aiortc_seam.install()
    return asyncio.run(main())


def nack(*numbers):
    return lambda ssrc: RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=ssrc, lost=list(numbers))


def report(highest, lost):
    def make(ssrc):
        info = RtcpReceiverInfo(
            ssrc=ssrc, fraction_lost=0, packets_lost=lost, highest_sequence=highest, jitter=0, lsr=0, dlsr=0
        )
        return RtcpRrPacket(ssrc=1, reports=[info])

    return make


def test_what_is_asked_for_again_is_counted_from_the_first_packet_over_the_wrap():
    found = told(65534, 10, nack(65535, 0, 5))
    assert found.places == [1, 2, 7]


def test_what_was_never_sent_is_asked_for_in_vain():
    assert told(100, 3, nack(99, 103)).places == []


def test_reports_tell_what_they_add_whether_their_number_wraps_or_not():
    # RFC 3550 §6.4.1: the extended highest sequence number; aiortc's receiver leaves the cycles out.
    found = told(65530, 40, report(65535, 1), report(9, 3), report(9, 3), report(5, 3))
    assert [each[:2] for each in found.reports] == [(1, 6), (2, 10), (0, 0), (0, 0)]


def test_a_name_that_moved_is_told_in_a_sentence(monkeypatch):
    async def main():
        connection = aiortc_seam.new_peer_connection()
        sender = connection.addTransceiver("video").sender
        monkeypatch.delattr(RTCRtpSender, "_retransmit")
        with pytest.raises(SeamError, match="_retransmit"):
            AdaptingPath(sender, Told())
        await connection.close()

    aiortc_seam.install()
    asyncio.run(main())
