"""What a sender is asked for by RTCP feedback."""

import asyncio
import struct
import types

import pytest
from aiortc.rtp import RTCP_PSFB_FIR, RTCP_PSFB_PLI, RtcpPsfbPacket

from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.feedback_seam import Feedback, when_key_frame_asked


def asked(*make):
    """Return how often a sender of pictures was asked for a key frame, by packets made of its source."""

    async def main():
        connection = aiortc_seam.new_peer_connection()
        sender = connection.addTransceiver("video").sender
        calls = []
        when_key_frame_asked(sender, lambda: calls.append(1))
        sender.transport._rtp_router.register_sender(sender, ssrc=sender._ssrc)
        for each in make:
            await sender.transport._handle_rtcp_data(bytes(each(sender._ssrc)))
        await connection.close()
        return len(calls)

    aiortc_seam.install()
    return asyncio.run(main())


def pli(ssrc):
    return RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=ssrc)


def fir(number, *, header=0, to=None):
    def make(ssrc):
        entry = struct.pack("!IBxxx", ssrc if to is None else to, number)
        return RtcpPsfbPacket(fmt=RTCP_PSFB_FIR, ssrc=1, media_ssrc=header and ssrc, fci=entry)

    return make


def test_a_picture_loss_indication_asks_for_a_key_frame():
    assert asked(pli, pli) == 2
    assert asked(lambda ssrc: pli(ssrc ^ 1)) == 0


def test_a_full_intra_request_names_its_source_in_its_entries():
    # RFC 5104 §4.3.1.2: the SSRC of media source in the header SHALL be 0.
    assert asked(fir(5)) == 1
    assert asked(fir(5, header=1)) == 1
    assert asked(fir(5, to=9)) == 0


def test_a_full_intra_request_sent_again_is_obeyed_once():
    # §4.3.1.2: a repeated request has the number it had.
    assert asked(fir(5), fir(5), fir(6)) == 2


def test_a_name_that_moved_is_said_in_one_sentence():
    with pytest.raises(aiortc_seam.SeamError, match=r"^SimpleNamespace\._send_rtcp_nack is gone: this rtcprobe knows"):
        Feedback(types.SimpleNamespace())
    with pytest.raises(aiortc_seam.SeamError, match=r"^SimpleNamespace\._send_keyframe is gone"):
        when_key_frame_asked(types.SimpleNamespace(), print)
