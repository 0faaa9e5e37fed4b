"""The library's rooms as a user runs them, one short call each: what each is there to show is shown."""

from functools import cache

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario


@cache
def ran(name, *settings):
    scenario = find_scenario(name, ["call.calls=1", "call.joins=1", *settings])
    return run_probe(scenario, seed=1, clock="virtual")


def test_a_guest_goes_on_stage_and_everybody_there_hears_it_within_seconds():
    result = ran("community-stage", "call.duration=4s", "target.stage=new connection")
    (entrance,) = result.room.entrances
    assert entrance.party == "guest"
    assert {each.listener for each in entrance.waits} == {each.way.listener for each in result.accounts} - {"guest"}
    assert all(each.wait_s is not None and 0.1 < each.wait_s < 2.0 for each in entrance.waits)


def test_a_guest_that_keeps_its_connection_is_heard_sooner():
    waits = {}
    for kind in ("new connection", "same connection"):
        result = ran("community-stage", "call.duration=4s", f"target.stage={kind}")
        waits[kind] = [each.wait_s for each in result.room.entrances[0].waits]
    # A new connection costs the guest an answer, ICE and DTLS: some round trips of its own.
    assert max(waits["same connection"]) < min(waits["new connection"])


@pytest.fixture(scope="module")
def sale():
    # Small and few pictures, told by RTP time: what is asked here is when they come, not how they look.
    small = ("video.size=180x320", "video.fps=10", "video.bitrate=100kbit", "video.read=timestamps")
    return ran("live-commerce", *small)


def test_a_seller_who_drops_out_is_replaced_and_comes_back(sale):
    result = sale
    (gone,) = result.room.exits
    assert (gone.party, gone.next) == ("seller", "helper")
    assert all(each.wait_s is not None and each.wait_s < 1.0 for each in gone.silences)
    assert [each.party for each in result.room.entrances] == ["seller"]
    assert len({each.party for each in result.room.newcomers}) == 7


def test_who_comes_to_a_live_sale_sees_the_goods_within_seconds_and_all_see_them_go_on(sale):
    result = sale
    waits = {each.party: each.picture_s for each in result.room.newcomers}
    assert len(waits) == 7
    assert all(0.1 < wait_s < 2.5 for wait_s in waits.values())
    (back,) = result.room.entrances
    assert all(0.1 < each.wait_s < 2.0 for each in back.pictures)
    sights = result.of_kind("glass_to_glass")
    assert len(sights) == len(result.mouth_to_ear) == 26
    for each in sights.values():
        assert each.scheduled
        assert each.heard >= 0.9 * each.scheduled
        assert each.lost == 0
        assert each.figures["freeze_share"] < 0.1  # three seconds without the seller are none
    told = {outcome.metric: outcome for outcome in result.budgets}
    assert told["glass_to_glass.host_to_audience"].value < 0.4
