import io

from rich.console import Console

from rtcprobe.report.situation import print_situation
from rtcprobe.scenario import find_scenario, parse_scenario

ROOM = """
name: room
serves: Three friends
parties:
  ana: {region: singapore, access: wifi-good}
  ben: {region: jakarta, access: 5g, leaves: 8s}
  cho: {sends: nothing, region: frankfurt, access: fibre, comes: 2s}
signaling: {region: singapore, connection: warm}
protection: {red: 1}
legs: {ana_to_ben: delay 80ms loss 2%}
script: [ben stops at 3s]
budgets: [mouth_to_ear p95 < 200ms]
"""


def lines(scenario):
    screen = Console(file=io.StringIO(), width=100)
    print_situation(scenario, screen)
    return [" ".join(line.split()) for line in screen.file.getvalue().splitlines()]


def test_a_room_is_told_by_party_by_way_and_by_cue():
    told = lines(parse_scenario(ROOM))
    assert told[0].startswith("room digest ")
    assert "ben jakarta 5g 32kbit 20ms RED 1 all neteq until 8s" in told
    assert "cho frankfurt fibre nothing all neteq from 2s" in told
    assert "ana to ben link 80.0 80.0 2%" in told
    assert [line.split(",")[0] for line in told if line.startswith("ana to cho")] == ["ana to cho wifi-good"]
    assert not any(line.startswith("cho to") for line in told)
    assert "cue ben stops at 3s" in told
    assert "signaling in singapore, warm" in told
    assert "budget mouth_to_ear p95 < 200ms" in told


def test_a_call_of_two_over_a_link_has_its_server_at_the_callee_s_end():
    told = lines(find_scenario("1v1-social", ["link=delay 40ms"]))
    assert "caller to callee link 40.0 40.0 0%" in told
    assert "signaling at callee's end of the link, cold" in told


def test_a_target_outside_has_a_real_network_between():
    told = lines(find_scenario("1v1-social", ["target=whip+whep://media.example/live"]))
    assert any(line.startswith("caller to callee 4g-good, the real network, wifi-good") for line in told)
