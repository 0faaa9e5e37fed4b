"""Rooms compared: what no single way has (spread, waits, gaps, joins in time) judges beside the ways."""

from functools import cache

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.report.comparison import difference_lines
from rtcprobe.scenario import parse_scenario
from rtcprobe.verdict import check, compare, judge
from tests.rooms_made import newcomers

ROOM = """
name: compared
parties:
  host: {role: host}
  guest: {role: guest}
  eve: {sends: nothing, role: audience}
target: sfu
signaling: {connection: warm}
link: delay 40ms
playout: fixed:100ms
call: {calls: 3, duration: 4s, joins: 2}
script: [guest publishes at 1500ms, host leaves at 2s, host joins at 2500ms]
"""


@cache
def ran(*settings, seed=1):
    return run_probe(parse_scenario(ROOM, settings), seed=seed, clock="virtual")


def rows(a, b):
    return {each.name: each for each in compare([a], [b]).differences}


def test_a_listener_80_ms_farther_away_spreads_the_room_by_as_much_and_no_wait_of_the_host_more():
    found = rows(ran(), ran("legs={sfu_to_eve: delay 120ms}"))
    spread = found["room.spread p50"]
    # guest and eve hear the host, host and eve the guest: all at once before, eve 80 ms after the other now.
    assert spread.verdict == "worse"
    assert spread.difference == pytest.approx(0.080, abs=1e-4)
    assert (spread.method, spread.paired) == ("calls", True)
    assert found["room.silence p50"].difference == pytest.approx(0.0, abs=0.021)
    assert found["room.talk_over p50"].verdict == "no difference shown"  # host and guest are where they were
    assert not found["room.talk_over p50"].headline
    assert found["join.within_5s mean"].verdict == "no difference shown"


def test_equal_rooms_are_equal_and_gaps_are_shares_of_the_time_listened():
    found = rows(ran(), ran())
    for name in ("room.spread p50", "room.gap_share_200ms mean", "join.within_1s mean"):
        assert (found[name].difference, found[name].verdict) == (0.0, "no difference shown")
    lossy = "legs={sfu_to_eve: {delay: 40ms, outages: [{at: 3s, for: 700ms}]}}"
    gaps = rows(ran(), ran(lossy))["room.gap_share_200ms mean"]
    assert gaps.b.value > 0.02
    assert gaps.rare


def test_what_never_came_on_stage_is_not_compared_as_a_number():
    never = "script=[guest publishes at 1500ms, host leaves at 3990ms]"
    found = rows(ran(), ran(never))
    assert found["room.silence p50"].verdict == "not measured"


def test_a_percentile_among_waits_that_never_ended_is_not_said_to_lack_newcomers():
    # 22 of 42 never heard anything: so did the middle one.
    found = rows(judge(newcomers(3, 4, 4, 4, 3, 4), []), judge(newcomers(0, 0, 0, 0, 0, 0), []))["room.joined p50"]
    assert (found.verdict, found.note) == ("not measured", "p50 lies among waits that never ended")
    few = judge(newcomers(0, of=2), [])
    assert rows(few, few)["room.joined p95"].note.endswith(" newcomers, 2 and 2 were there")


def test_half_the_newcomers_in_vain_where_three_of_42_were_fails_the_check():
    before, now = judge(newcomers(0, 1, 0, 1, 0, 1), []), judge(newcomers(3, 3, 4, 3, 3, 4), [])
    never = rows(before, now)["room.joined.never mean"]
    assert (never.a.value, never.b.value) == (pytest.approx(3 / 42), pytest.approx(20 / 42))
    assert (never.verdict, never.method, never.rare) == ("worse", "calls", True)
    assert rows(now, before)["room.joined.never mean"].verdict == "better"
    checked = check([before], [now])
    # The middle newcomer heard something on both sides: by those who did, nothing got worse.
    assert [each.reason.partition(" ")[0] for each in checked.gates if each.verdict == "fail"] == ["room.joined.never"]
    assert checked.verdict == "fail"


def test_waits_that_all_ended_have_no_row_of_those_that_did_not():
    ended = judge(newcomers(0, 0, 0), [])
    assert "room.joined.never mean" not in rows(ended, ended)


def test_calls_of_two_have_no_rows_of_rooms():
    two = run_probe(
        parse_scenario("name: two\nlink: delay 20ms\ncall: {calls: 1, duration: 2s, joins: 1}\n"),
        seed=1,
        clock="virtual",
    )
    assert not [name for name in rows(two, two) if name.startswith("room") or "within" in name]


def test_the_screen_has_a_group_for_the_room():
    lines = [line.plain for line in difference_lines(compare([ran()], [ran()]).differences, ("A", "B"))]
    assert any(line.startswith("─ Room ─") for line in lines)
    assert any(line.startswith(" spread p50, ms") for line in lines)
