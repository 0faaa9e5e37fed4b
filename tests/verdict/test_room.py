"""The figures of a room, each against what its definition gives by hand."""

import json
import math
from dataclasses import replace

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.result import Account, HeardCall, Playout, Result, Sample
from rtcprobe.verdict import compare, judge
from rtcprobe.verdict.budgets import evaluate, parse_budget
from rtcprobe.verdict.room import matrix, people, room_of, worst_pairs
from rtcprobe.verdict.room.figures import collision
from rtcprobe.verdict.room.grouping import by_role, readable, together
from rtcprobe.ways import Way
from tests.rooms_made import ROLES, heard, join, room


def value(expression, result):
    return evaluate(parse_budget(expression), result)


def test_spread_is_the_last_listeners_mean_less_the_firsts_and_names_both():
    result = room(heard("ana_to_ben", 100, 120), heard("ana_to_cho", 160, 200), heard("ana_to_dan", 130, 130))
    (spread,) = room_of(result).spreads
    # Means 110, 180, 130 ms.
    assert (spread.talker, spread.first, spread.last) == ("ana", "ben", "cho")
    assert spread.spread_s == pytest.approx(0.070)
    # Word by word: 160 - 100 and 200 - 120 ms.
    assert (spread.apart.minimum, spread.apart.maximum) == (pytest.approx(0.060), pytest.approx(0.080))


def test_a_word_that_one_listener_alone_heard_has_no_spread():
    result = room(heard("ana_to_ben", 100, 100), heard("ana_to_cho", 150), heard("ben_to_ana", 90))
    assert value("room.spread max <= 1s", result).value == pytest.approx(0.050)
    assert room_of(result).spreads[0].apart.n == 1
    assert value("room.ben.spread max < 1s", result).verdict == "inconclusive"


def test_the_interval_of_a_spread_rests_on_how_the_calls_differ():
    result = room(heard("ana_to_ben", 100, calls=3), heard("ana_to_cho", 180, calls=3))
    (spread,) = room_of(result).spreads
    assert (spread.low_s, spread.high_s) == (pytest.approx(0.080), pytest.approx(0.080))


def test_gap_share_is_time_in_gaps_of_a_length_and_more_through_time_listened():
    # 40 s listened to: 90 ms + 250 ms + 600 ms of gaps.
    result = room(
        heard("ana_to_ben", 100, gaps=[(1.0, 1.09)]),
        heard("ana_to_cho", 100, gaps=[(2.0, 2.25), (5.0, 5.6)]),
        heard("ben_to_ana", 100),
        heard("ben_to_cho", 100),
    )
    shares = {round(each.least_s * 1e3): (each.gaps, each.share) for each in room_of(result).gaps}
    assert shares == {
        80: (3, pytest.approx(0.94 / 40)),
        100: (2, pytest.approx(0.85 / 40)),
        200: (2, pytest.approx(0.85 / 40)),
        500: (1, pytest.approx(0.60 / 40)),
    }
    assert value("room.gap_share_200ms mean < 1%", result).value == pytest.approx(0.85 / 40)
    # To the audience alone 20 s were heard; to one way 10 s.
    assert value("room.audience.gap_share_500ms mean < 1%", result).value == pytest.approx(0.60 / 20)
    assert value("mouth_to_ear.ana_to_cho.gap_share_500ms mean < 1%", result).value == pytest.approx(0.06)
    assert value("mouth_to_ear.gap_share_500ms mean < 1%", result).value == pytest.approx(0.06)


def test_no_gap_at_all_is_bounded_by_the_rule_of_three():
    result = room(heard("ana_to_ben", 100), heard("ana_to_cho", 100), heard("ana_to_dan", 100))
    share = next(each for each in room_of(result).gaps if each.least_s == pytest.approx(0.2))
    # One talker's 10 s are 50 chances of 200 ms, however many listen: about 3/50 (Wilson's bound is 0.071).
    assert share.share == 0.0
    assert 3 / 50 < share.high < 4 / 50


def test_talk_over_is_the_sum_of_both_delays_and_its_collision_a_model_of_it():
    result = room(heard("ana_to_ben", 100), heard("ben_to_ana", 150), heard("ana_to_cho", 90))
    (pair,) = room_of(result).talk_over
    assert (pair.one, pair.other, pair.window_s) == ("ana", "ben", pytest.approx(0.250))
    assert pair.collision == pytest.approx(1.0 - math.exp(-1.0 * 0.250))
    assert collision(0.4, rate_hz=2.0) == pytest.approx(1.0 - math.exp(-0.8))
    assert value("room.talk_over max < 300ms", result).value == pytest.approx(0.250)


def test_joins_are_told_by_role_with_the_share_in_time():
    joins = [join("ana", 0.4), join("cho", 0.9), join("dan", 3.0), join("dan", None, 1)]
    result = room(heard("ana_to_cho", 100), heard("ana_to_dan", 100), joins=joins)
    by_group = {each.group: each for each in room_of(result).joins}
    assert (by_group["everybody"].within_1s, by_group["everybody"].within_5s) == (0.5, 0.75)
    assert by_group["audience"].parties == 2
    assert by_group["audience"].within_1s == pytest.approx(1 / 3)
    assert by_group["audience"].first_audio.never == 1
    assert value("join.within_5s mean > 90%", result).value == pytest.approx(0.75)
    assert value("join.audience.within_5s mean > 90%", result).value == pytest.approx(2 / 3)
    assert value("join.ana.within_1s mean > 90%", result).value == 1.0


def test_delays_between_roles_are_of_all_their_ways():
    result = room(heard("ana_to_cho", 100, 120), heard("ana_to_dan", 200, 220), heard("ben_to_cho", 300))
    by_pair = {(each.talkers, each.listeners): each for each in room_of(result).delays}
    pair = by_pair["host", "audience"]
    assert (pair.ways, pair.worst, pair.delay.n) == (2, "ana_to_dan", 4)
    assert pair.delay.mean == pytest.approx(0.160)
    assert value("mouth_to_ear.host_to_audience mean < 1s", result).value == pytest.approx(0.160)
    assert value("mouth_to_ear.ben_to_audience mean < 1s", result).value == pytest.approx(0.300)


def test_on_stage_is_from_the_cue_to_the_first_sound_at_each_listener():
    result = room(
        heard("ben_to_ana", 100, spells=[(3.2, 9.0)]),
        heard("ben_to_cho", 100, spells=[(3.5, 9.0)]),
        heard("ben_to_dan", 100, spells=[]),
        happenings=[(3.0, "ben", "publish")],
    )
    (entrance,) = room_of(result).entrances
    assert {each.listener: each.wait_s for each in entrance.waits} == {
        "ana": pytest.approx(0.2),
        "cho": pytest.approx(0.5),
        "dan": None,
    }
    # One of three never heard it: later than any limit.
    assert value("room.on_stage p50 < 600ms", result).value == pytest.approx(0.5)
    assert value("room.ben.on_stage max < 1s", result).verdict == "missed"


def test_who_came_later_or_left_before_does_not_wait():
    result = room(
        heard("ben_to_ana", 100, spells=[(3.2, 9.0)]),
        heard("ben_to_cho", 100, spells=[(6.4, 9.0)]),
        heard("ben_to_dan", 100, spells=[]),
        happenings=[(3.0, "ben", "publish"), (3.1, "dan", "leave"), (6.0, "cho", "join")],
    )
    (entrance,) = room_of(result).entrances
    assert [each.listener for each in entrance.waits] == ["ana"]
    (newcomer,) = room_of(result).newcomers
    assert (newcomer.party, newcomer.wait_s) == ("cho", pytest.approx(0.4))
    assert value("room.joined max < 1s", result).value == pytest.approx(0.4)


def test_who_joins_and_waits_to_speak_enters_by_the_later_cue():
    result = room(
        heard("ben_to_ana", 100, spells=[(5.3, 9.0)]),
        heard("ben_to_cho", 100, spells=[(5.3, 9.0)]),
        happenings=[(3.0, "ben", "join"), (5.0, "ben", "publish")],
    )
    (entrance,) = room_of(result).entrances
    assert (entrance.at_s, entrance.waits[0].wait_s) == (5.0, pytest.approx(0.3))


def test_a_host_gone_leaves_silence_until_a_host_is_heard_again():
    result = room(
        heard("ana_to_cho", 100, spells=[(0.0, 4.1), (9.0, 12.0)]),
        heard("ana_to_dan", 100, spells=[(0.0, 4.2), (9.1, 12.0)]),
        heard("ben_to_cho", 100, spells=[(6.1, 8.0)]),
        heard("ben_to_dan", 100, spells=[(2.0, 8.0)]),
        happenings=[(4.0, "ana", "leave"), (8.8, "ana", "join")],
    )
    (gone,) = room_of(result).exits
    assert (gone.party, gone.next) == ("ana", "ben")
    assert [each.wait_s for each in gone.fading] == [pytest.approx(0.1), pytest.approx(0.2)]
    # cho hears ben from 6.1 on; dan heard him all the while.
    assert [each.wait_s for each in gone.silences] == [pytest.approx(2.0), 0.0]
    assert value("room.silence max < 1s", result).value == pytest.approx(2.0)


def test_a_co_host_told_to_go_with_the_host_does_not_hold_the_room():
    result = room(
        heard("ana_to_cho", 100, spells=[(0.0, 4.1)]),
        heard("ben_to_cho", 100, spells=[(0.0, 4.2), (6.1, 8.0)]),
        heard("ana_to_ben", 100),
        happenings=[(4.0, "ana", "stop"), (4.0, "ben", "stop"), (6.0, "ben", "speak")],
    )
    (gone,) = room_of(result).exits
    assert gone.silences[0].wait_s == pytest.approx(2.0)


def test_nobody_after_the_host_is_never():
    result = room(
        heard("ana_to_cho", 100, spells=[(0.0, 4.1)]),
        heard("ana_to_dan", 100, spells=[(0.0, 4.1)]),
        happenings=[(4.0, "ana", "leave")],
    )
    (gone,) = room_of(result).exits
    assert gone.next is None
    assert gone.silences[0].wait_s is None
    outcome = value("room.silence max < 1h", result)
    assert (outcome.verdict, outcome.reason) == ("missed", "2 of 2 never came, later than any limit")


def test_two_people_are_no_room():
    assert room_of(room(heard("ana_to_ben", 100), heard("ben_to_ana", 100), roles={"ana": "", "ben": ""})) is None


def test_everybody_is_known_by_the_scenario_in_its_order():
    known = people(room(heard("dan_to_ana", 100)))
    assert {name: each.role for name, each in known.items()} == ROLES


def test_a_judged_room_is_written_and_read_again():
    result = judge(
        room(
            heard("ana_to_ben", 100, 110, calls=2),
            heard("ana_to_cho", 150, 160, calls=2, gaps=[(2.0, 2.3)]),
            heard("ben_to_ana", 100, 105, calls=2),
            happenings=[(0.5, "ana", "publish"), (4.0, "ana", "stop")],
            joins=[join("cho", 0.5)],
        ),
        [],
    )
    written = json.loads(json.dumps(result.to_dict()))
    assert Result.from_dict(written).to_dict() == written
    assert written["room"]["spreads"][0]["last"] == "cho"
    assert written["happenings"][1] == {"party": "ana", "does": "stop", "at_ms": 4000.0}


def test_a_metric_of_rooms_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(BadInputError, match=r"metric 'room.ana.spred' does not exist: the nearest: room.ana.spread"):
        parse_budget("room.ana.spred p95 < 1s")


def test_a_budget_about_a_role_that_nobody_has_says_whom_there_is():
    outcome = value("room.gust.spread p50 < 1s", room(heard("ana_to_ben", 100), heard("ana_to_cho", 100)))
    assert outcome.verdict == "inconclusive"
    whom = "use one of ana, ben, cho, dan, host, co-host, audience"
    assert outcome.reason == f"nothing was measured: there is no gust here, {whom}"


def test_a_room_of_many_ways_is_compared_by_roles_and_loses_no_marker():
    stage, audience = [f"s{n}" for n in range(4)], [f"l{n}" for n in range(6)]
    roles = {**dict.fromkeys(stage, "speaker"), **dict.fromkeys(audience, "audience")}

    def ran(more_ms):
        accounts = [
            heard(f"{a}_to_{b}", *[100 + n + more_ms * (b in audience) for n in range(3)], calls=4)
            for a in stage
            for b in (*stage, *audience)
            if a != b
        ]
        return judge(replace(room(*accounts, roles=roles), scenario_digest="d"), [])

    before, after = ran(0), ran(30)
    grouped = readable(before)
    assert {way: ear.heard for way, ear in grouped.mouth_to_ear.items()} == {
        "speaker_to_speaker": 4 * 3 * 3 * 4, "speaker_to_audience": 4 * 6 * 3 * 4,
    }  # fmt: skip
    found = {each.name: each for each in compare([before], [after]).differences}
    moved = found["mouth_to_ear.speaker_to_audience p50"]
    assert (moved.verdict, moved.difference) == ("worse", pytest.approx(0.030))
    assert found["mouth_to_ear.speaker_to_speaker p50"].verdict == "no difference shown"


def test_a_room_whose_ways_can_be_told_apart_stays_as_it_is():
    small = room(heard("ana_to_ben", 100), heard("ana_to_cho", 100))
    assert readable(small) is small


def test_the_least_of_waits_that_never_ended_is_no_number_and_misses_its_budget():
    result = room(heard("ben_to_ana", 100, spells=[]), happenings=[(3.0, "ben", "publish")])
    assert value("room.on_stage min < 1s", result).verdict == "missed"


@pytest.mark.parametrize(("came_s", "verdict"), [(0.3, "inconclusive"), (None, "pass")])
def test_a_dead_way_between_two_who_came_passes_no_room(came_s, verdict):
    """Where one of them never came it says so, and the rest is judged."""
    dead = replace(heard("ana_to_cho"), scheduled=20, heard=0, lost=20, samples=())
    joins = [join("ana", 0.3), join("ben", 0.3), join("cho", came_s)]
    result = room(heard("ana_to_ben", 100, 120), heard("ben_to_ana", 100, 110), dead, joins=joins)
    judged = judge(result, [parse_budget("mouth_to_ear p50 < 400ms")])
    assert judged.verdict == verdict
    assert any("none of 20 markers was heard" in each for each in judged.reasons)


def seen(way, delay_ms, *, from_s=0.0, until_s=10.0, step_s=0.5):
    """Return what was seen on a way: a frame each ``step_s``, filmed between two instants."""
    filmed_s = [from_s + k * step_s for k in range(round((until_s - from_s) / step_s))]
    samples = tuple(
        Sample(marker=k, spoken_s=at_s, heard_s=at_s + delay_ms / 1e3, delay_s=delay_ms / 1e3)
        for k, at_s in enumerate(filmed_s)
    )
    return Account(
        kind="glass_to_glass", way=Way(f"{way}.video"), scheduled=len(samples), heard=len(samples), rejected=0, lost=0,
        samples=samples, figures={"ssim": 0.9, "ssim_p5": delay_ms / 1e3, "freeze_share": 0.01},
        playout=Playout(policy="libwebrtc", w3c={"totalFreezesDuration": 1.0, "freezeCount": 2}),
    )  # fmt: skip


def test_who_joins_waits_for_a_picture_and_who_goes_on_stage_is_waited_for():
    result = room(
        heard("ana_to_ben", 100), heard("ana_to_cho", 100, spells=[(4.2, 10.0)]), heard("ben_to_ana", 100),
        seen("ana_to_ben", 150), seen("ana_to_cho", 250, from_s=4.5), seen("ben_to_ana", 90, from_s=6.0),
        happenings=[(4.0, "cho", "join"), (5.7, "ben", "publish")],
    )  # fmt: skip
    found = room_of(result)
    assert [(each.party, each.picture_s) for each in found.newcomers] == [("cho", pytest.approx(0.750))]
    assert [(each.listener, each.wait_s) for each in found.entrances[0].pictures] == [("ana", pytest.approx(0.390))]
    assert value("room.first_picture max < 1s", result).value == pytest.approx(0.750)
    assert value("room.ben.on_screen max < 1s", result).value == pytest.approx(0.390)
    back = Result.from_dict(json.loads(json.dumps(replace(result, room=found).to_dict()))).room
    assert back.newcomers[0].picture_s == pytest.approx(0.750)
    judged = judge(result, [])
    rows = {each.name for each in compare([judged], [judged]).differences}
    assert {"room.first_picture p50", "room.on_screen p50", "room.first_picture p95"} <= rows
    assert back.entrances[0].pictures[0].wait_s == pytest.approx(0.390)


def test_pictures_are_judged_by_way_by_role_and_by_their_worst_pair():
    result = room(heard("ana_to_cho", 100), heard("ana_to_dan", 100), seen("ana_to_cho", 150), seen("ana_to_dan", 350))
    assert value("glass_to_glass.ana_to_cho max < 1s", result).value == pytest.approx(0.150)
    assert value("glass_to_glass.host_to_audience max < 1s", result).value == pytest.approx(0.350)
    found = matrix(result, most=8, kind="glass_to_glass")
    assert [each.name for each in found.columns] == ["cho", "dan"]
    assert found.cells["ana", "dan"].p50_s == pytest.approx(0.350)
    assert worst_pairs(result, 1, "glass_to_glass")[0].worst.listener == "dan"


def watched(way, seen_frames, *, frozen_s, rate_hz):
    """Return what was seen on a way in 10 s of 250 frames, in one call."""
    figures = {"ssim": 0.9 if seen_frames == 250 else 0.7, "freeze_share": frozen_s / 10.0, "frame_rate": rate_hz}
    return replace(
        seen(way, 100, until_s=seen_frames * 0.04, step_s=0.04), scheduled=250, lost=250 - seen_frames, figures=figures,
        playout=Playout(policy="libwebrtc", w3c={"totalFreezesDuration": frozen_s, "totalInterFrameDelay": 10.0}),
        calls=(HeardCall(call=0, scheduled=250, heard=seen_frames, figures=figures),),
    )  # fmt: skip


def test_a_way_that_stood_still_counts_by_the_time_it_was_watched_not_by_the_few_frames_seen():
    both = together([
        watched("ana_to_cho", 250, frozen_s=0.0, rate_hz=25.0), watched("ana_to_dan", 25, frozen_s=9.0, rate_hz=2.5),
    ])  # fmt: skip
    for figures in (both.figures, both.calls[0].figures):
        assert figures["freeze_share"] == pytest.approx((0.0 + 9.0) / (10.0 + 10.0))
        assert figures["frame_rate"] == pytest.approx((25.0 * 10.0 + 2.5 * 10.0) / 20.0)
        assert figures["ssim"] == pytest.approx((0.9 * 250 + 0.7 * 25) / 275)  # a likeness is of frames


def test_a_short_look_counts_little_in_what_stood_still():
    short = replace(
        watched("ana_to_dan", 25, frozen_s=9.0, rate_hz=2.5),
        playout=Playout(policy="libwebrtc", w3c={"totalFreezesDuration": 0.9, "totalInterFrameDelay": 1.0}),
    )
    found = together([watched("ana_to_cho", 250, frozen_s=0.0, rate_hz=25.0), short])
    counted = found.playout.w3c
    share = counted["totalFreezesDuration"] / counted["totalInterFrameDelay"]
    assert found.figures["freeze_share"] == pytest.approx(share) == pytest.approx(0.9 / 11.0)


def test_pictures_of_a_room_too_large_to_tell_apart_are_told_by_role():
    names = [f"viewer-{n}" for n in range(25)]
    roles = {"ana": "host", **dict.fromkeys(names, "audience")}
    sights = [seen(f"ana_to_{name}", 100 + n) for n, name in enumerate(names)]
    (found,) = by_role(room(*sights, roles=roles), "glass_to_glass").items()
    assert found[0] == "host_to_audience"
    assert (found[1].heard, found[1].playout.w3c["freezeCount"]) == (25 * 20, 50)
    # Means stay, of the least the least.
    assert found[1].figures == {"ssim": pytest.approx(0.9), "ssim_p5": 0.1, "freeze_share": pytest.approx(0.01)}
