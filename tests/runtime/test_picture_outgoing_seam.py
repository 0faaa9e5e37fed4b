"""What a forwarding server touches of aiortc to send pictures: its header extensions, and RTX."""

import asyncio
import types

import pytest
from aiortc.rtcrtpparameters import RTCRtpParameters
from aiortc.rtp import RtpPacket, unwrap_rtx

from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.picture_outgoing_seam import KEPT_S, OutgoingPicture


def test_a_name_that_moved_is_said_in_one_sentence():
    with pytest.raises(aiortc_seam.SeamError, match=r"is gone: this rtcprobe knows"):
        OutgoingPicture(types.SimpleNamespace())


@pytest.mark.parametrize("rtx", [98, None])
def test_what_was_sent_in_the_last_two_seconds_is_sent_again_in_rtx_or_as_it_was(rtx):
    aiortc_seam.install()
    wire, now = [], [0.0]

    async def asked():
        connection = aiortc_seam.new_peer_connection()
        sender = connection.addTransceiver("video", direction="sendonly").sender
        out = OutgoingPicture(sender)
        sender._RTCRtpSender__rtx_payload_type = rtx
        sender._RTCRtpSender__rtp_header_extensions_map.configure(RTCRtpParameters())
        out._loop = types.SimpleNamespace(time=lambda: now[0])
        out._send = lambda data: wire.append(RtpPacket.parse(data)) or len(data)
        out.open = True
        for number in (65_535, 0):
            out.send((97, 1), number, 3000, b"piece %d" % number, None)
        await sender._retransmit(0)  # nobody agreed to that
        out.may_resend = lambda _number: True
        now[0] = KEPT_S
        await sender._retransmit(65_535)
        await sender._retransmit(7)  # never sent
        now[0] += 0.1
        await sender._retransmit(0)  # too old
        await connection.close()
        return sender._ssrc, sender._rtx_ssrc

    ssrc, rtx_ssrc = asyncio.run(asked())
    assert [(each.ssrc, each.sequence_number) for each in wire[:2]] == [(ssrc, 65_535), (ssrc, 0)]
    (again,) = wire[2:]
    if rtx is not None:
        assert (again.ssrc, again.payload_type) == (rtx_ssrc, rtx)
        again = unwrap_rtx(again, payload_type=97, ssrc=ssrc)
    assert (again.sequence_number, again.payload, again.marker) == (65_535, b"piece 65535", 1)
