"""An audience by its count: one line stands for many alike, and whatever names them names each."""

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.scenario import parse_scenario

ROOM = """
name: counted
parties:
  host: {role: host}
  fan: {sends: nothing, hears: [host], count: 3}
target: sfu
signaling: {connection: warm}
link: delay 20ms
legs: {sfu_to_fan: delay 60ms}
script: [fan joins at 1s]
call: {calls: 1, duration: 3s, joins: 1}
"""


def test_a_count_is_as_many_parties_with_names_of_their_own_and_one_role():
    scenario = parse_scenario(ROOM)
    assert [party.name for party in scenario.parties] == ["host", "fan-1", "fan-2", "fan-3"]
    assert {party.role for party in scenario.parties[1:]} == {"fan"}
    assert {str(leg) for leg in scenario.legs} >= {"sfu_to_fan-1", "sfu_to_fan-2", "sfu_to_fan-3"}
    assert [str(cue) for cue in scenario.script] == [f"'fan-{n} joins at 1s'" for n in (1, 2, 3)]


def test_it_is_the_scenario_that_has_them_written_out():
    names = "\n".join(f"  fan-{n}: {{role: fan, sends: nothing, hears: [host]}}" for n in (1, 2, 3))
    written = ROOM.replace("  fan: {sends: nothing, hears: [host], count: 3}", names)
    written = written.replace("sfu_to_fan: delay 60ms", ", ".join(f"sfu_to_fan-{n}: delay 60ms" for n in (1, 2, 3)))
    written = written.replace("fan joins at 1s", ", ".join(f"fan-{n} joins at 1s" for n in (1, 2, 3)))
    assert parse_scenario(written).digest == parse_scenario(ROOM).digest


@pytest.mark.parametrize(
    "legs", ["sfu_to_fan-1: delay 90ms, sfu_to_fan: delay 20ms", "sfu_to_fan: delay 20ms, sfu_to_fan-1: delay 90ms"]
)
def test_a_leg_of_one_of_them_holds_before_that_of_all_in_whatever_order_they_stand(legs):
    scenario = parse_scenario(ROOM.replace("sfu_to_fan: delay 60ms", legs))
    delays_s = {str(leg): spec.delay.base_s for leg, spec in scenario.legs.items() if str(leg).startswith("sfu_to_fan")}
    assert delays_s == {"sfu_to_fan-1": 0.09, "sfu_to_fan-2": 0.02, "sfu_to_fan-3": 0.02}


def test_who_hears_the_group_it_is_of_hears_all_others_of_it():
    scenario = parse_scenario(
        ROOM.replace("sends: nothing, hears: [host]", "hears: [host, fan]").replace("sfu_to_fan", "fan_to_fan"),
        ["target=loopback"],
    )
    assert scenario.party("fan-2").hears == ("host", "fan-1", "fan-3")
    assert {str(leg) for leg in scenario.legs} >= {"fan-1_to_fan-2", "fan-3_to_fan-1"}


def test_all_of_them_join_at_once_and_are_heard():
    result = run_probe(parse_scenario(ROOM), seed=1, clock="virtual")
    assert [ear.heard == ear.scheduled > 1 for ear in result.accounts] == [True] * 3
    assert [each.party for each in result.room.newcomers] == ["fan-1", "fan-2", "fan-3"]
    assert len({each.at_s for each in result.room.newcomers}) == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("parties.fan.count=0", "parties.fan.count 0 is impossible: give 1 to 500"),
        ("parties.fan.count=many", "parties.fan.count many is not a whole number: write it like 50"),
        ("parties.fan-2={sends: nothing}", "there are two called 'fan-2': one has a count: give one another name"),
        ("script=[host stops after fan joined]", "cue 'host stops after fan joined' waits for 'fan', who is not there"),
        ("parties.host.count=60", "60 talkers cannot be told apart in one call by 48 marker codes: give 1 to 48"),
    ],
)
def test_a_count_that_cannot_be_meant_is_one_sentence(settings, said):
    with pytest.raises(BadInputError) as refused:
        parse_scenario(ROOM, [settings])
    assert said in str(refused.value)
