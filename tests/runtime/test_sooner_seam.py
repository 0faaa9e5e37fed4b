"""What is worked out by a shorter way comes to the same, and each name that this leans on is held."""

import asyncio
import hmac
import ipaddress
import queue
import threading

import aioice.candidate
import aioice.ice
import aioice.stun
import aiortc.rtcrtpreceiver
import aiortc.sdp
import numpy as np
import pyee.asyncio
import pytest
from aiortc import RTCRtpReceiver

from rtcprobe.runtime import aiortc_seam, sooner_seam
from rtcprobe.runtime.stand_ins import SeamError

KEY = b"tiivrPQSI8hqBFUXxmOgiu"


@pytest.fixture(autouse=True)
def installed():
    aiortc_seam.install()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *((module, "ipaddress") for module in (aioice.candidate, aioice.ice, aioice.stun, aiortc.sdp)),
        *((aioice.stun, name) for name in ("set_body_length", "HEADER_LENGTH", "INTEGRITY_LENGTH")),
        (aioice.stun, "message_integrity"),
        *((aiortc.rtcrtpreceiver, name) for name in ("queue", "threading")),
    ],
)
def test_a_name_that_has_moved_is_named(module, name, monkeypatch):
    for each in (aioice.candidate, aioice.ice, aioice.stun, aiortc.sdp):
        monkeypatch.setattr(each, "ipaddress", each.ipaddress)  # as it is now, once this test is over
    monkeypatch.setattr(aioice.stun, "message_integrity", aioice.stun.message_integrity)
    for each in ("queue", "threading"):
        monkeypatch.setattr(aiortc.rtcrtpreceiver, each, getattr(aiortc.rtcrtpreceiver, each))
    monkeypatch.delattr(module, name)
    with pytest.raises(SeamError, match=rf"{module.__name__}\.{name} is gone"):
        sooner_seam.install(lambda: True)


def test_pyee_asks_of_what_a_handler_returned_by_the_name_that_is_replaced():
    assert "iscoroutine" in pyee.asyncio.AsyncIOEventEmitter._emit_run.__code__.co_names


def test_a_handler_that_is_a_coroutine_is_still_run():
    async def main():
        emitter, heard = pyee.asyncio.AsyncIOEventEmitter(), []

        async def later(what):
            await asyncio.sleep(0)
            heard.append(f"{what} later")

        emitter.on("news", later)
        emitter.on("news", lambda what: heard.append(f"{what} at once"))
        emitter.emit("news", "it rains")
        await emitter.wait_for_complete()
        return heard

    assert asyncio.run(main()) == ["it rains at once", "it rains later"]


@pytest.mark.parametrize("size", [20, 64, 100, 1452])
def test_the_integrity_of_a_message_is_the_hmac_that_rfc_8489_has(size):
    # §14.5: HMAC-SHA1 over the message up to the attribute, its length counting the attribute (24 bytes) in already.
    data = np.random.default_rng(size).bytes(size)
    covered = data[:2] + (size - 20 + 24).to_bytes(2, "big") + data[4:]
    assert aioice.stun.message_integrity(data, KEY) == hmac.new(KEY, covered, "sha1").digest()


def test_addresses_are_read_as_ever_and_refused_as_ever():
    for text in ("10.0.0.1", "2001:db8::1", "127.0.0.1", "10.0.0.1"):
        assert aioice.stun.ipaddress.ip_address(text) == ipaddress.ip_address(text)
    assert aioice.stun.ipaddress.IPv4Address is ipaddress.IPv4Address
    for _ in range(2):
        with pytest.raises(ValueError, match="'ana' does not appear to be an IPv4 or IPv6 address"):
            aiortc.sdp.ipaddress.ip_address("ana")


def test_a_receiver_has_a_queue_for_its_decoder_where_it_will_have_one():
    async def main():
        connection = aiortc_seam.new_peer_connection()
        usual = connection.addTransceiver("audio").receiver
        with aiortc_seam.without_decoder():
            ours = connection.addTransceiver("audio").receiver
        await connection.close()
        return usual, ours

    usual, ours = asyncio.run(main())
    assert isinstance(inside(usual, "decoder_queue"), queue.Queue)
    assert isinstance(inside(usual, "decoder_error"), threading.Event)
    assert not isinstance(inside(ours, "decoder_queue"), queue.Queue)
    assert not inside(ours, "decoder_error").is_set()


def inside(receiver, name):
    """Return what aiortc keeps under ``name``: a test of the names themselves, too."""
    return vars(receiver)[f"_{RTCRtpReceiver.__name__}__{name}"]
