"""Rooms in the metrics: labels that stay few however many take part, and the figures of the room itself."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as read_text

from rtcprobe.exporter.config import OBJECTIVES
from rtcprobe.exporter.instruments import Instruments, expose
from rtcprobe.exporter.outcome import Outcome, add_run, probe_labels, set_last_run, set_up
from rtcprobe.exporter.room_metrics import RUN_ROWS as ROOMS
from rtcprobe.exporter.rooms import directions
from rtcprobe.report.room import facts
from rtcprobe.scenario import find_scenario, parse_scenario
from rtcprobe.verdict import goals, judge
from tests.rooms_made import heard, join, room, unseen

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"

PAIR = """
name: pair
caller: {region: tokyo, access: fibre}
callee: {region: seoul, access: 5g}
signaling: {region: tokyo}
"""


def exported(result, scenario):
    instruments = Instruments(("probe", "run"), probe_labels("room", scenario, "sfu"))
    set_up(instruments, scenario, "virtual")
    outcome = Outcome(result=result, seed=1, ended_unix_s=1.7e9, duration_s=2.0, goals=goals(result))
    add_run(instruments, outcome, OBJECTIVES)
    set_last_run(instruments, outcome)
    return [sample for family in read_text(expose([instruments], "text").decode()) for sample in family.samples]


def values(samples, name, *labels):
    return {tuple(each.labels[label] for label in labels): each.value for each in samples if each.name == name}


SMALL = judge(
    room(
        heard("ana_to_ben", *[100] * 20, gaps=[(2.0, 2.3)]),
        heard("ana_to_cho", *[180] * 20),
        heard("ben_to_ana", *[120] * 20, spells=[(3.5, 10.0)]),
        heard("ben_to_cho", *[150] * 20, spells=[]),
        happenings=[(3.0, "ben", "publish")],
        joins=[join("ben", 0.5), join("cho", 2.0)],
    ),
    [],
)


def test_the_matrix_is_a_series_a_pair_and_the_rooms_figures_are_those_of_the_result():
    samples = exported(SMALL, find_scenario("community-stage"))
    pairs = values(samples, "rtcprobe_last_room_pair_seconds", "talker", "listener", "aggregate")
    assert pairs["ana", "cho", "p50"] == pytest.approx(0.180)
    assert pairs["ana", "cho", "p95"] == pytest.approx(0.180)
    assert len(pairs) == 8
    assert values(samples, "rtcprobe_last_room_spread_seconds", "talker")["ana",] == pytest.approx(0.080)
    # 0.3 s of 10 + 10 + 6.5 s listened to.
    assert values(samples, "rtcprobe_last_room_gap_ratio", "least")["200ms",] == pytest.approx(0.3 / 26.5)
    joined = values(samples, "rtcprobe_last_room_joined_ratio", "group", "within")
    assert joined["everybody", "1s"] == 0.5
    assert joined["audience", "5s"] == 1.0
    waits = values(samples, "rtcprobe_last_room_wait_seconds", "what", "aggregate")
    assert waits == {("on_stage", "p50"): pytest.approx(0.5), ("on_stage", "max"): pytest.approx(0.5)}
    assert values(samples, "rtcprobe_last_room_waits_never", "what") == {("on_stage",): 1.0}
    assert values(samples, "rtcprobe_last_room_talk_over_seconds", "aggregate")["max",] == pytest.approx(0.220)
    assert values(samples, "rtcprobe_last_room_parties", "role") == {("host",): 1, ("co-host",): 1, ("audience",): 2}


@pytest.mark.parametrize(("watches", "never"), [(("cho", "dan"), {("first_picture",): 2.0}), (("dan",), {})])
def test_who_joins_and_never_sees_a_picture_is_counted_and_who_watches_nobody_is_not(watches, never):
    result = judge(
        room(
            heard("ana_to_cho", 100, spells=[(4.2, 10.0)]),
            heard("ana_to_dan", 100),
            *(unseen(f"ana_to_{name}") for name in watches),
            happenings=[(4.0, "cho", "join"), *([(4.1, "dan", "join")] if len(watches) == 2 else [])],
        ),
        [],
    )
    told = dict(facts(result, result.room)).get("joined meanwhile → first picture")
    waits = values(exported(result, find_scenario("community-stage")), "rtcprobe_last_room_waits_never", "what")
    assert {key: count for key, count in waits.items() if key == ("first_picture",)} == never
    assert told == ("never at cho, dan (2 times)" if never else None)


def test_the_rooms_dashboard_asks_for_label_values_that_a_room_exports():
    samples = exported(SMALL, find_scenario("community-stage"))
    board = json.loads((GRAFANA / "dashboards" / "rtcprobe-room.json").read_text(encoding="utf-8"))
    exprs = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    asked = {each for expr in exprs for each in re.findall(r"(rtcprobe_last_room_\w+)\{([^}]*)\}", expr)}
    assert len({name for name, _ in asked}) == len(ROOMS)  # and every figure of a room is in a panel
    for name, matchers in asked:
        wanted = [pair for pair in re.findall(r'(\w+)="([^"]*)"', matchers) if not pair[1].startswith("$")]
        assert any(each.name == name and set(wanted) <= set(each.labels.items()) for each in samples), (name, wanted)


def test_a_room_of_28_has_a_direction_a_pair_of_roles_and_some_hundred_series():
    stage, audience = [f"s{n}" for n in range(8)], [f"l{n}" for n in range(20)]
    accounts = [heard(f"{a}_to_{b}", 150) for a in stage for b in (*stage, *audience) if a != b]
    roles = {**dict.fromkeys(stage, "speaker"), **dict.fromkeys(audience, "audience")}
    result = judge(room(*accounts, roles=roles), [])
    assert {name: each.heard for name, each in directions(result).items()} == {
        "speaker_to_speaker": 56, "speaker_to_audience": 160,
    }  # fmt: skip
    samples = exported(result, find_scenario("voice-room"))
    heard_by = values(samples, "rtcprobe_mouth_to_ear_seconds_count", "direction")
    assert heard_by == {("speaker_to_speaker",): 56.0, ("speaker_to_audience",): 160.0}
    assert len(samples) < 400


def test_the_regions_of_a_room_are_those_of_who_speaks_and_of_who_listens():
    two = probe_labels("p", parse_scenario(PAIR), "loopback")
    assert (two["caller_region"], two["callee_region"]) == ("tokyo", "seoul")
    stage = probe_labels("p", find_scenario("community-stage"), "sfu")
    assert stage["caller_region"] == "bangkok+istanbul"
    assert stage["callee_region"] == "11 regions"


def test_two_people_have_no_rooms_figures():
    result = judge(room(heard("ana_to_ben", 100), heard("ben_to_ana", 100), roles={"ana": "", "ben": ""}), [])
    assert not [each for each in exported(result, parse_scenario(PAIR)) if "_room_" in each.name]
