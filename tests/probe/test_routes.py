from rtcprobe.call.targets.base import TWO_ENDS_ROUTES
from rtcprobe.link import ACCESS, Requested, backbone
from rtcprobe.probe.routes import nominal_round_trip_s, routes
from rtcprobe.scenario import find_scenario

TARGET = "target=whip+whep://media.example/live"


def hops(*settings):
    return routes(find_scenario("1v1-social", [TARGET, *settings]), TWO_ENDS_ROUTES)


def test_each_side_keeps_its_access_and_the_way_to_the_target_is_the_real_one():
    caller, callee = ACCESS["4g-good"], ACCESS["wifi-good"]
    assert hops() == {
        ("caller", "target"): [caller.up],
        ("target", "caller"): [caller.down],
        ("callee", "target"): [callee.up],
        ("target", "callee"): [callee.down],
    }
    assert nominal_round_trip_s(hops()) is None  # part of it is not ours to know


def test_a_region_puts_the_target_at_a_distance_from_each_side():
    found = hops("target={url: whip+whep://media.example/live, region: tokyo}")
    assert found["caller", "target"] == [ACCESS["4g-good"].up, backbone("bangkok", "tokyo").spec]
    assert found["target", "callee"] == [backbone("tokyo", "singapore").spec, ACCESS["wifi-good"].down]


def test_a_link_written_out_carries_its_direction_alone_on_the_caller_s_side():
    # As in a loopback call: the server stands at the callee's end of it.
    found = hops("link={caller_to_callee: delay 80ms, callee_to_caller: delay 30ms}")
    assert [Requested.of(found[route]).delay_p50_s for route in TWO_ENDS_ROUTES] == [0.080, 0.030, 0.0, 0.0]


def test_a_round_trip_alone_is_put_on_the_caller_s_side():
    with_rtt, without = hops("rtt=100ms"), hops()
    longer = {
        route: Requested.of(with_rtt[route]).delay_min_s - Requested.of(without[route]).delay_min_s
        for route in TWO_ENDS_ROUTES
    }
    assert 0.040 < longer["caller", "target"] <= 0.051
    assert longer["callee", "target"] == longer["target", "callee"] == 0.0
