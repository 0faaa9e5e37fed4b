from rtcprobe.call.targets.base import TWO_ENDS_ROUTES
from rtcprobe.link import ACCESS, Requested, backbone
from rtcprobe.probe.routes import never_met, nominal_round_trip_s, routes
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
    assert nominal_round_trip_s(hops(), "caller", "callee") is None  # part of it is not ours to know


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


def test_what_calls_are_too_short_for_is_said_with_how_long_they_should_be():
    late = "link={delay: 20ms, schedule: [{at: 4s, loss: 5%}, {at: 20s, loss: 30%}]}"
    said = never_met(find_scenario("1v1-social", [late, "call.duration=6s"]), joined_s=0.6)
    sentence = (
        "link (both ways): the schedule's entry at 20s is never reached, for each call is over before (6s): "
        "give call.duration above 20s"
    )
    assert said == (sentence,)
    assert never_met(find_scenario("1v1-social", [late, "call.duration=21s"]), joined_s=0.6) == ()
    one = "link={caller_to_callee: {delay: 20ms, outages: [{at: 7s, for: 1s}]}, callee_to_caller: delay 20ms}"
    assert never_met(find_scenario("1v1-social", [one, "call.duration=7s"]), joined_s=0.6) == ()
    (warning,) = never_met(find_scenario("1v1-social", [one, "call.duration=6s", "call.calls=1"]), joined_s=0.6)
    assert warning.startswith("link (caller to callee): the outage at 7s is never reached, for the call is over")


def abroad(*settings):
    scenario = find_scenario("1v1-social", ["caller.region=shenzhen", "callee.region=frankfurt", *settings])
    out, back = ("caller", "callee"), ("callee", "caller")
    found = routes(scenario, [out, back])
    return found[out][1], found[back][1], scenario.warnings


def test_the_border_of_mainland_china_takes_from_what_comes_in_and_nothing_from_what_goes_out():
    # Zhu et al., POMACS 2020: about 15 % lost on average in the slow hours, up to 40 %, inwards only.
    for settings, share in (((), 0.15), (("border=busy",), 0.15), (("border=worst",), 0.40)):
        out, into, warnings = abroad(*settings)
        assert out == backbone("shenzhen", "frankfurt").spec
        assert into.loss.ratio == share
        assert into.rate.bps == 1e6
        assert into.delay == out.delay
        assert len(warnings) == (not settings)  # what nobody said is told
        assert all("taken as busy, loss 15% rate 1mbit (Zhu et al., 2020)" in warning for warning in warnings)


def test_a_private_line_and_the_quiet_hours_have_no_border():
    assert abroad("border=quiet") == (*[backbone("shenzhen", "frankfurt").spec] * 2, ())
    private = backbone("shenzhen", "frankfurt", private=True)
    assert abroad("backbone=private") == (private.spec, private.spec, ())
    assert private.rtt_s < backbone("shenzhen", "frankfurt").rtt_s
    given = backbone("shenzhen", "frankfurt", 0.2).spec
    assert abroad("backbone=private", "rtt=200ms") == (given, given, ())


def test_within_the_mainland_and_elsewhere_nothing_is_crossed():
    assert abroad("callee.region=beijing", "signaling.region=shanghai")[1].loss is None
    assert find_scenario("1v1-social", ["border=worst"]).warnings == (
        "border has no effect: no path enters mainland China",
    )
    assert find_scenario("1v1-social", ["backbone=private"]).warnings == (
        "backbone private has no effect: no path is known by the public network alone",
    )
