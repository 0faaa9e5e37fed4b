import io
import itertools
from dataclasses import replace

import pytest
from rich.console import Console

from rtcprobe.report.lines import COLUMNS, WIDEST
from rtcprobe.report.pages import Page, waterfall
from rtcprobe.report.terminal import print_result, screen
from rtcprobe.result import LATENESSES, Instrument, Joins, Lateness, PlacedCall
from rtcprobe.verdict import judge, parse_budget
from rtcprobe.ways import BOTH_LEGS, BOTH_WAYS

BUDGETS = (
    "join.failed mean <= 0%",
    "join.first_audio p50 < 1s",
    "join.first_audio p95 < 600ms (advisory)",
    "mouth_to_ear p95 < 100ms",
    "mouth_to_ear.lost mean < 1%",
    "join.first_audio p99 < 2s",
)


def lines_of(result, budgets=BUDGETS, width=COLUMNS):
    return [line.plain for line in screen(judge(result, [parse_budget(each) for each in budgets]), width)]


def row(lines, start):
    return next(line for line in lines if line.startswith(start))


def wordy(make_result, make_attempt):
    attempts = (*(make_attempt(dtls_lost=True),) * 10, *(make_attempt(failed="dtls"),) * 10)
    return make_result(
        join=Joins(attempts=attempts),
        scenario="a-scenario-with-a-name-of-some-length",
        warnings=("x " * 100 + "end of x", "y " * 100 + "end of y", "z", "w"),
    )


@pytest.mark.parametrize("width", [COLUMNS, 100, WIDEST])
def test_nothing_is_wider_than_the_screen_and_nothing_said_is_cut(make_result, make_attempt, width):
    worst = wordy(make_result, make_attempt)
    for result, budgets in ((make_result(), BUDGETS), (worst, BUDGETS * 4), (make_result(), ())):
        lines = lines_of(result, budgets, width)
        assert max(map(len, lines)) <= width
        assert not [line for line in lines if line.endswith("…")]
        words = " ".join(" ".join(lines).split())
        assert all(f"end of {each}" in words for each in "xy") or result is not worst
        judged = judge(result, [parse_budget(each) for each in budgets])
        assert all(each.reason in words for each in judged.budgets)


def test_the_same_rows_are_there_whatever_the_width(make_result):
    titles = [[line.split("  ")[0] for line in lines_of(make_result(), (), width)] for width in (COLUMNS, WIDEST)]
    assert [each.rstrip("─ ").split("[")[0] for each in titles[0] if each.startswith(" ")] == [
        each.rstrip("─ ").split("[")[0] for each in titles[1] if each.startswith(" ")
    ]


def test_the_printed_screen_takes_the_room_its_terminal_has(make_result):
    for given, drawn in ((60, 60), (100, 100), (300, WIDEST)):
        out = io.StringIO()
        print_result(judge(make_result(), []), Console(file=out, width=given))
        assert max(map(len, out.getvalue().splitlines())) == drawn


def test_a_sentence_on_top_says_what_was_found(make_result):
    said = " ".join(" ".join(lines_of(make_result())[1:4]).split())
    assert said.startswith("Joining took 487 ms, for one call in twenty more than 1,487, 887 over the goal of 600;")
    assert "you hear each other after 158 ms, later than the 100 ms that an ear notices, every time." in said


def test_both_goals_stand_with_the_share_beyond_them_and_its_interval(make_result):
    lines = lines_of(make_result())
    # Two joins of twenty took 1,487 ms: Wilson's interval of 2 in 20 is 2.8 % to 30.1 %.
    assert row(lines, " later than 600 ms") == (" later than 600 ms: 10% [2.8%–30%] of 20 joins (goal 5%): undecided")
    assert row(lines, " later than 100 ms").count("100% [") == 2


def test_the_verdict_comes_first_in_words(make_result):
    assert lines_of(make_result())[0].startswith("FAIL  1v1-social")
    assert lines_of(make_result(), ())[0].startswith("PASS  1v1-social")


def test_the_slowest_join_names_the_timer_that_cost_it_time(make_result):
    assert " slowest: 1,000 ms of this 1,487 ms join was one lost DTLS flight" in lines_of(make_result())


def test_phases_stand_beside_each_other_and_sum_to_the_join(make_result):
    lines = lines_of(make_result())
    assert row(lines, " dtls ").split()[-2:] == ["121.0", "1,121.0"]
    assert row(lines, " total ").split()[-2:] == ["487.0", "1,487.0"]
    # gathering and offer, 1 ms together, are below half a per cent of 487 ms
    assert row(lines, " other ").split()[-2:] == ["1.0", "1.0"]


def test_stages_sum_to_the_mouth_to_ear_delay(make_result):
    lines = lines_of(make_result())
    assert row(lines, " jitter buffer ").split()[-2:] == ["51.8", "51.8"]
    # 10 + 20 + 6.5 + 0.4 + 41 + 8.2 + 51.8 + 20 + 0.1
    assert row(lines, " sum (playout fixed:60ms)").split()[-1] == "158.0"


def test_percentiles_stand_beside_their_intervals_and_open_ones_say_so(make_result):
    first = row(lines_of(make_result()), " first audio ")
    assert "p50 487.0 ms [487.0–487.0]" in first
    assert "p95 1,487.0 ms [487.0–open]" in first


def test_a_refused_percentile_says_what_it_needs(make_result, make_attempt):
    few = make_result(join=Joins(attempts=(make_attempt(),) * 5))
    assert "p95 needs 20 joins, 5 made" in row(lines_of(few), " first audio ")


def test_failed_joins_are_counted_and_named(make_result, make_attempt):
    attempts = (*(make_attempt(),) * 16, *(make_attempt(failed="dtls"),) * 3, make_attempt(failed="ice"))
    lines = lines_of(make_result(join=Joins(attempts=attempts)))
    assert "16 of 20 heard" in row(lines, "─ Join")
    assert " gave up: dtls (3), ice (1)" in lines
    assert "p95 never (4 of 20 failed)" in row(lines, " first audio ")


def test_requested_and_achieved_stand_side_by_side(make_result):
    lines = lines_of(make_result())
    assert row(lines, " loss ").endswith("1% (1.0)→0.95% (1.0)     1% (1.0)→0.95% (1.0)")
    assert row(lines, " delay p50/p95").split()[-1] == "41.0/56.0→41.2/55.8"


def test_the_harness_stands_on_one_line_in_virtual_and_whole_in_real_time(make_result):
    virtual = make_result(harness=Instrument(timers="virtual, never late", detection_error_s=6e-5))
    assert "─ Harness, ms: timers virtual, never late, detection 0.06 " in row(lines_of(virtual), "─ Harness")
    late = dict.fromkeys(LATENESSES, Lateness(p50_s=0.5e-3, p95_s=0.95e-3, p99_s=0.99e-3))
    lines = lines_of(make_result(harness=Instrument(detection_error_s=6e-5, **late, join_cpu_s=0.0123)))
    assert row(lines, "─ Harness").startswith("─ Harness, ms, p50/p95/p99 ─")
    first = lines.index(row(lines, " detection"))
    assert " ".join(line.strip() for line in lines[first : first + 2]) == (
        "detection 0.06, loop lag 0.50/0.95/0.99, emulator 0.50/0.95/0.99, pacing 0.50/0.95/0.99, CPU a join 12.30"
    )


def test_the_largest_phase_is_never_hidden_among_others(make_result, make_attempt):
    phases = {"session": 0.4, "attach": 0.06, "ice": 0.05, "dtls": 0.05, "media": 0.03, "playout": 0.002}
    joined = replace(make_attempt(), phases=phases, marks={**make_attempt().marks, "first_audio": sum(phases.values())})
    lines = lines_of(make_result(join=Joins(attempts=(joined,) * 20)), BUDGETS * 5)
    assert row(lines, " session ").split()[-1] == "400.0"
    assert row(lines, " other ").split()[-1] == "2.0"


def test_a_bar_never_touches_the_name_before_it(make_result, make_ear):
    ear = make_ear(0)
    ear = replace(ear, stages={"network_and_target": ear.total_s})
    line = row(lines_of(make_result(mouth_to_ear=dict.fromkeys(BOTH_WAYS, ear)), ()), " network and target")
    assert line.startswith(" network and target █")


def test_a_loss_that_chance_makes_of_what_was_asked_for_is_called_so(make_result):
    # 20 of 2,000 lost is 0.65 % to 1.54 % (Wilson, 1927): 1 % asked for lies inside, 3 % outside.
    link = make_result().link["caller_to_callee"]
    met = replace(link.achieved, loss=0.01, offered=2000, mean_burst=1.0)
    told = [
        replace(link, requested=replace(link.requested, loss=asked, mean_burst=1.0), achieved=met)
        for asked in (0.01, 0.03)
    ]
    ways = dict(zip(BOTH_LEGS, told, strict=False))
    assert row(lines_of(make_result(link=ways), ()), " is that chance?").split("]", 1)[1].split() == [
        "yes", "[0.65%–1.54%]", "no", "[0.65%–1.54%]",
    ]  # fmt: skip


def test_marks_have_a_row_where_there_are_any(make_result):
    link = make_result().link["caller_to_callee"]  # written before marks were counted
    assert not any("marked" in line for line in lines_of(make_result(link=dict.fromkeys(BOTH_LEGS, link)), ()))
    for marked, cells in ((0.0, None), (0.25, ["→25%", "→25%"])):
        told = replace(link, achieved=replace(link.achieved, marked=marked))
        found = [line for line in lines_of(make_result(link=dict.fromkeys(BOTH_LEGS, told)), ()) if "marked" in line]
        assert [line.split()[2:] for line in found] == ([cells] if cells else [])


def test_budgets_that_were_not_met_come_first(make_result):
    lines = lines_of(make_result())
    words = [line.split()[0] for line in lines[lines.index(row(lines, "─ Budgets")) + 1 :] if line[1:2].strip()]
    assert words == ["missed", "inconclusive", "undecided", "undecided", "met", "met"]


def test_an_empty_result_is_shown_and_not_a_crash(make_result):
    lines = lines_of(make_result(join=Joins(), mouth_to_ear={}, link={}, harness=Instrument()))
    assert lines[0].startswith("INCONCLUSIVE  1v1-social")
    assert "  no join was tried" in lines


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_gets_ascii(make_result, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_result(judge(make_result(), [parse_budget(each) for each in BUDGETS]), Console(file=out, width=80))
    out.flush()
    text = out.buffer.getvalue().decode("ascii")
    assert "caller > callee" in text
    assert "####" in text


def test_an_outside_target_says_what_was_agreed_with_each_peer(make_result):
    name = "whip+whep://media.a-vendor-with-a-long-name.example/live/{whip,whep}"
    peer = {"pair": "host to srflx", "dtls": "DTLSv1.2", "codec": "opus 111", "nack": True, "rtcp_round_trip_s": 0.0521}
    ears = {"caller_to_callee": make_result().mouth_to_ear["caller_to_callee"]}
    lines = lines_of(
        make_result(
            target=name, parties={"caller": peer, "callee": {}}, measures=("caller_to_callee",), mouth_to_ear=ears
        )
    )
    assert lines[0].endswith("whip+whep")
    assert row(lines, "─ Target").startswith(f"─ Target: {name}")
    assert row(lines, " caller:") == " caller: host to srflx, DTLSv1.2, opus 111, NACK, RTCP round trip 52.1 ms"
    assert not [line for line in lines if line.startswith(" callee")]
    assert "callee → caller" not in row(lines, "─ Mouth to ear")


def test_of_several_candidate_types_and_no_protection_the_screen_tells_too(make_result):
    peer = {"pair": "host to relay", "dtls": "DTLSv1.2", "codec": "opus 96", "stun_round_trip_s": 0.0521}
    lines = lines_of(make_result(parties={"caller": peer | {"candidates": {"host udp": 2, "relay udp": 1}}}))
    assert (
        " caller: offered host udp and relay udp, host to relay, DTLSv1.2, opus 96, no",
        "   protection, STUN round trip 52.1 ms",
    ) in itertools.pairwise(lines)


def test_the_link_of_a_caller_alone_leads_to_the_target(make_result):
    lines = lines_of(make_result(measures=("round_trip",), parties={"caller": {}}))
    assert row(lines, "─ Link").endswith("caller → target ──────── target → caller ")


def test_what_kept_every_join_from_being_heard_is_told_whole(make_result, make_attempt):
    fault = f"offer (POST https://media.example/{'x' * 80}): {'the server said no ' * 9}: and here is the cure"
    lines = lines_of(make_result(join=Joins(attempts=(make_attempt(failed=fault),) * 3)))
    assert "and here is the cure)" in " ".join(line.strip() for line in lines[:8])
    assert not [line for line in lines if line.startswith(" gave up")]  # once is enough


def test_there_and_back_is_called_so(make_result):
    ears = {"round_trip": make_result().mouth_to_ear["caller_to_callee"]}
    lines = lines_of(make_result(measures=("round_trip",), mouth_to_ear=ears), ["mouth_to_ear p50 < 1s"])
    assert "there and back" in row(lines, "─ Mouth to ear")
    assert row(lines, " met").strip().startswith("met")


def test_a_call_that_was_cut_is_no_pass(make_result):
    result = judge(make_result(cut="nothing came to the caller any more 3.2 s into the call"), [])
    assert (result.verdict, result.reasons) == (
        "inconclusive",
        ("the call was cut: nothing came to the caller any more 3.2 s into the call",),
    )


def test_a_run_of_several_calls_says_of_how_many_and_void_ones_are_none(make_result):
    placed = (*(PlacedCall(call=index) for index in range(5)), PlacedCall(call=5, void="this machine stopped"))
    assert row(lines_of(make_result(calls=placed)), "─ Mouth to ear").startswith("─ Mouth to ear: 5 calls, ms ─")
    assert row(lines_of(make_result()), "─ Mouth to ear").startswith("─ Mouth to ear, ms ─")


def test_a_column_more_than_there_are_places_stands_behind_the_last_and_never_vanishes():
    from rtcprobe.report.lines import cells, rule

    assert cells("a", ("1", "2", "3"), edges=(10, 20)).plain == "a        1         2 3"
    assert rule("t", ("one", "two", "three"), edges=(20, 30)).plain.startswith(
        "─ t ──────────── one ───── two  three ─"
    )


def test_parts_that_reach_beyond_their_sum_are_drawn_within_the_page():
    """A negative residual leaves a sum that its parts exceed: in an edited file so far that a bar took gigabytes."""
    stages = {"capture": 0.02, "jitter_buffer": 1e9, "residual": -1e9}
    lines = [line.plain for line in waterfall([stages], Page())]
    assert lines
    assert max(map(len, lines)) <= Page().width
