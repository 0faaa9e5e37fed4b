"""What goes by express is what aiortc itself would have sent and taken, bit by bit and instant by instant."""

import asyncio
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from aiortc.rtp import RtpPacket

from rtcprobe.probe import run_probe
from rtcprobe.runtime import coasting_seam, express_seam, sending_seam, srtp_seam
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.stand_ins import SeamError
from rtcprobe.runtime.virtual import VirtualEventLoop
from rtcprobe.scenario import find_scenario

LINK = "link=delay 30ms 10ms distribution normal order free loss 5% corrupt 1% duplicate 1%"


def a_call(*settings):
    asked = [LINK, "call.calls=1", "call.joins=1", "call.duration=2s", *settings]
    return run_probe(find_scenario("1v1-social", asked), seed=5, clock="virtual")


def told(result):
    ways = result.mouth_to_ear
    return [(way, ears.samples, ears.stages, ears.playout, ears.protection) for way, ears in ways.items()], result.link


def test_a_call_by_express_is_the_call_that_aiortc_alone_makes(monkeypatch):
    by_express = told(a_call("protection.nack=true"))
    monkeypatch.setattr(sending_seam, "send_paced", lambda _sender: None)
    monkeypatch.setattr(express_seam, "express", lambda _dtls: None)
    assert told(a_call("protection.nack=true")) == by_express


def test_after_the_first_packets_none_is_read_or_written_field_by_field(monkeypatch):
    fields = []
    parse, serialize = RtpPacket.parse, RtpPacket.serialize
    monkeypatch.setattr(RtpPacket, "parse", lambda *given: fields.append("read") or parse(*given))
    monkeypatch.setattr(RtpPacket, "serialize", lambda *given: fields.append("written") or serialize(*given))
    a_call()
    assert fields.count("read") <= 12  # of 400: first packets of a source, and one to learn its extensions
    assert fields.count("written") <= 12


def test_timers_of_one_instant_go_off_in_the_order_they_were_asked_for():
    loop, gone = VirtualEventLoop(Entropy(np.random.SeedSequence(1))), []
    for name in "abc":
        loop.at(0.5, gone.append, name)
    loop.at(0.25, gone.append, "first")
    loop.call_at(0.75, loop.stop)
    loop.run_forever()
    loop.close()
    assert gone == ["first", "a", "b", "c"]
    assert loop.time() == 0.75


def test_a_timer_that_fails_is_told_and_ends_nothing(caplog):
    loop = VirtualEventLoop(Entropy(np.random.SeedSequence(1)))
    loop.at(0.1, lambda: 1 // 0)
    with caplog.at_level(logging.ERROR, logger="asyncio"):
        loop.run_until_complete(asyncio.sleep(0.2))
    loop.close()
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("gone", ["_srtp", "_cdata", "_buffer"])
def test_a_name_inside_pylibsrtp_that_has_moved_is_said(gone):
    session = SimpleNamespace(**{name: [None] for name in ("_srtp", "_cdata", "_buffer") if name != gone})
    with pytest.raises(SeamError, match=f"SimpleNamespace.{gone} is gone: this rtcprobe knows"):
        srtp_seam.sealing(SimpleNamespace(_tx_srtp=session))
    with pytest.raises(SeamError, match=r"SimpleNamespace\._rx_srtp is gone"):
        srtp_seam.opening(SimpleNamespace())


@pytest.mark.parametrize("gone", ["_enabled", "_state", "_ssrc"])
def test_a_name_inside_aiortc_that_a_coast_asks_for_and_that_has_moved_is_said(gone):
    transport = SimpleNamespace(transport=SimpleNamespace(_connection=SimpleNamespace(_nominated={})), _state=None)
    sender = SimpleNamespace(transport=transport, _enabled=True, _ssrc=1)
    delattr(transport if gone == "_state" else sender, gone)
    with pytest.raises(SeamError, match=f"SimpleNamespace.{gone} is gone: this rtcprobe knows"):
        coasting_seam.Coast(None, sender, None, None)
