"""The library's rooms as a user runs them, one short call each: what each is there to show is shown."""

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario


def ran(name, *settings):
    scenario = find_scenario(name, ["call.calls=1", "call.joins=1", *settings])
    return run_probe(scenario, seed=1, clock="virtual")


def test_a_guest_goes_on_stage_and_everybody_there_hears_it_within_seconds():
    result = ran("community-stage", "call.duration=4s")
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


def test_a_seller_who_drops_out_is_replaced_and_comes_back():
    result = ran("live-commerce")
    (gone,) = result.room.exits
    assert (gone.party, gone.next) == ("seller", "helper")
    assert all(each.wait_s is not None and each.wait_s < 1.0 for each in gone.silences)
    assert [each.party for each in result.room.entrances] == ["seller"]
    assert len({each.party for each in result.room.newcomers}) == 7
