"""What a forwarding server touches of aiortc: a sender without a track, its history, reports, audio levels."""

import asyncio
import types

import aiortc
import pytest
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.express_seam import Came
from rtcprobe.runtime.feedback_seam import when_reported
from rtcprobe.runtime.forwarding_seam import Outgoing, level_of


def test_a_name_that_moved_is_said_in_one_sentence():
    with pytest.raises(aiortc_seam.SeamError, match=r"is gone: this rtcprobe knows"):
        Outgoing(types.SimpleNamespace())
    with pytest.raises(aiortc_seam.SeamError, match=r"^SimpleNamespace\._handle_rtcp_packet is gone"):
        when_reported(types.SimpleNamespace(), print)


def test_nothing_leaves_before_the_transport_has_connected():
    aiortc_seam.install()

    async def sent():
        connection = aiortc_seam.new_peer_connection()
        out = Outgoing(connection.addTransceiver("audio", direction="sendonly").sender)
        left = out.send((96, 1), 1, 2, b"frame", None)
        await connection.close()
        return left

    assert asyncio.run(sent()) is False


def test_a_level_is_read_where_aiortc_writes_it():
    # RFC 6464 §3: one octet, the voice bit and -dBov; aiortc's own offer calls the extension 2.
    extensions = HeaderExtensionsMap()
    extensions.configure(
        types.SimpleNamespace(headerExtensions=aiortc.codecs.HEADER_EXTENSIONS["audio"])
    )  # mid 1, audio level 2
    packet = RtpPacket(payload_type=96, payload=b"frame")
    packet.extensions.mid, packet.extensions.audio_level = "12", (True, 37)
    wire = packet.serialize(extensions)
    head = wire[12 : len(wire) - len(b"frame")]
    assert level_of(Came(1, 2, 3, 96, b"frame", 1, head)) == level_of(RtpPacket.parse(wire, extensions)) == (True, 37)
    assert level_of(Came(1, 2, 3, 96, b"frame")) is None
    assert level_of(Came(1, 2, 3, 96, b"frame", 1, head[:5])) is None  # cut short
