"""A call through servers of ours, looked into: what they forward, rewrite, send again, and leave out."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from aiortc import RTCRtpSender
from aiortc.rtp import RtcpSrPacket

from rtcprobe.call.targets import sfu
from rtcprobe.probe import run_probe
from rtcprobe.runtime.forwarding import Forwarded, Forwarding
from rtcprobe.runtime.forwarding_seam import Outgoing
from rtcprobe.runtime.riding import Ride
from rtcprobe.scenario import parse_scenario

ROOM = """
name: looked-into
parties: {ana: {}, ben: {}, cho: {}, eve: {sends: nothing}}
target: sfu
signaling: {connection: warm}
link: delay 40ms 5ms distribution normal loss 1%
call: {calls: 1, duration: 2500ms, joins: 1}
"""


def run(*settings, text=ROOM, seed=1):
    return run_probe(parse_scenario(text, settings), seed=seed, clock="virtual")


@pytest.fixture
def riding(monkeypatch):
    """Let media ride on fates, or take the whole stack."""
    make = sfu.make_target

    def set_to(rides):
        monkeypatch.setattr(sfu, "make_target", lambda plan: replace(make(plan), rides=rides))

    return set_to


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("protection.red=1", "link=delay 40ms 5ms distribution normal loss 5% rate 200kbit"),
        (
            "servers={one: {}, two: {}}",
            "parties.ana.edge=two",
            "legs={one_to_two: delay 5ms 1ms distribution normal, two_to_one: delay 30ms 3ms distribution normal}",
            "script=[ben stops at 600ms, ana leaves at 900ms, ana joins at 1200ms]",
        ),
    ],
)
def test_media_on_the_fast_path_is_heard_as_through_the_whole_stack(riding, settings):
    found = []
    for rides in (False, True):
        riding(rides)
        told = run(*settings).to_dict()
        del told["environment"]
        found.append(told)
    assert list(apart(*found)) == []


def apart(one, other, at=""):
    """Yield where two results differ: of two whole ones nobody would find it."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from apart(one[key], other[key], f"{at}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (each, against) in enumerate(zip(one, other, strict=True)):
            yield from apart(each, against, f"{at}/{place}")
    elif one != other:
        yield at, one, other


def test_the_fast_path_is_taken(monkeypatch):
    boarded, board = [], Ride.board

    def noted(self, talker, *more):
        boarded.append(talker)
        board(self, talker, *more)

    monkeypatch.setattr(Ride, "board", noted)
    run("call.joins=1", "call.duration=1500ms")
    assert len(boarded) == 2 * 9  # a join and a call, three talkers to three listeners each
    boarded.clear()
    run("call.joins=1", "call.duration=1500ms", "protection.nack=true")
    assert not boarded  # what is asked for again depends on what came when


@pytest.mark.parametrize(
    ("nack", "protection", "brought_back"),
    [("none", "true", False), ("answer", "true", True), ("answer+ask", "true", True), ("answer", "false", False)],
)
def test_a_server_sends_again_what_it_has_where_the_scenario_says_so(nack, protection, brought_back):
    result = run(
        f"target={{kind: sfu, nack: {nack}}}", f"protection.nack={protection}", "link=delay 20ms",
        "legs.sfu_to_eve=delay 20ms loss 5%",
    )  # fmt: skip
    for account in result.accounts:
        recovered = account.protection.recovered_by_nack.frames
        assert (recovered > 0) == (brought_back and account.way.endswith("_to_eve"))
        assert account.protection.lost_before == recovered + account.protection.lost_after


@pytest.mark.parametrize(("nack", "brought_back"), [("answer", False), ("answer+ask", True)])
def test_only_a_server_that_asks_gets_what_was_lost_on_the_way_to_it(nack, brought_back):
    result = run(
        f"target={{kind: sfu, nack: {nack}}}", "protection.nack=true", "link=delay 20ms",
        "legs.ana_to_sfu=delay 20ms loss 5%",
    )  # fmt: skip
    for account in result.accounts:
        if account.way.startswith("ana_to_"):
            assert account.protection.lost_before > 0
            assert (account.protection.recovered_by_nack.frames > 0) == brought_back


def test_the_last_n_of_those_who_take_turns_are_all_heard_and_the_rest_is_left_out():
    # Markers take turns, and silence lies between: whoever speaks one is the loudest then.
    everybody, loudest = run("link=delay 40ms"), run("link=delay 40ms", "target={kind: sfu, last_n: 1}")
    for whole, account in zip(everybody.accounts, loudest.accounts, strict=True):
        assert account.way == whole.way
        assert account.heard == account.scheduled >= whole.scheduled - 1
        assert account.protection.lost_before == 0
        assert account.protection.sent < 0.8 * whole.protection.sent


def test_who_is_quieter_than_the_last_n_is_not_forwarded():
    loud = "parties.ana.mouth={programme: noise, marker_level: 20dB}"
    result = run(
        "link=delay 40ms", "target={kind: sfu, last_n: 1}", loud, "script=[ben stops at 1ms, cho stops at 1ms]"
    )
    assert {account.way: account.heard for account in result.accounts if account.scheduled} == {
        account.way: account.heard for account in result.accounts if account.way.startswith("ana_to_")
    }


def test_reports_of_a_publisher_are_translated_not_made_up(monkeypatch):
    told, report = [], Outgoing.report

    def noted(self, ntp_timestamp, rtp_timestamp):
        told.append((self.ssrc, ntp_timestamp, rtp_timestamp))
        report(self, ntp_timestamp, rtp_timestamp)

    monkeypatch.setattr(Outgoing, "report", noted)
    run("link=delay 40ms", "call.duration=5s")
    by_leg = {}
    for ssrc, ntp, rtp in told:
        by_leg.setdefault(ssrc, []).append((ntp, rtp))
    # RTP time goes as NTP time does, 48,000 a second, whatever the way to the server did to packets.
    apart = [
        ((later[1] - sooner[1]) & 0xFFFFFFFF, (later[0] - sooner[0]) / 2**32 * 48_000)
        for reports in by_leg.values()
        for sooner, later in pairwise(reports)
    ]
    assert len(apart) >= 9
    for rtp, ntp in apart:
        assert rtp == pytest.approx(ntp, abs=1)


def test_a_slot_that_nobody_speaks_in_sends_no_report_of_1900(monkeypatch):
    reported, send = [], RTCRtpSender._send_rtcp

    async def noted(self, packets):
        reported.extend(each.sender_info.ntp_timestamp for each in packets if isinstance(each, RtcpSrPacket))
        await send(self, packets)

    monkeypatch.setattr(RTCRtpSender, "_send_rtcp", noted)
    run("link=delay 40ms", "target={kind: sfu, stage: new connection}", "script=[cho publishes at 2s]")
    assert reported
    assert all(reported)


def test_a_server_leg_that_hangs_up_lets_go_of_what_it_forwarded():
    async def plane():
        made = Forwarding(now_s=lambda: 0.0)
        forwarded = Forwarded(out=None)
        made.send_on("ana", forwarded)
        made.leave_out("ana", forwarded)
        made.leave_out("ana", forwarded)
        return made.to

    assert asyncio.run(plane()) == {"ana": []}
