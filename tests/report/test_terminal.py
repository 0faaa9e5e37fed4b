import io
import itertools
from dataclasses import replace

import pytest
from rich.console import Console

from rtcprobe.report.terminal import COLUMNS, ROWS, print_result, screen
from rtcprobe.result import DIRECTIONS, Joins
from rtcprobe.verdict import judge, parse_budget

BUDGETS = (
    "join.failed mean <= 0%",
    "join.first_audio p50 < 1s",
    "join.first_audio p95 < 600ms (advisory)",
    "mouth_to_ear p95 < 100ms",
    "mouth_to_ear.lost mean < 1%",
    "join.first_audio p99 < 2s",
)


def lines_of(result, budgets=BUDGETS):
    return [line.plain for line in screen(judge(result, [parse_budget(each) for each in budgets]))]


def row(lines, start):
    return next(line for line in lines if line.startswith(start))


def test_the_screen_fits_80_columns_and_leaves_a_row_for_the_prompt(make_result, make_attempt):
    attempts = (*(make_attempt(dtls_lost=True),) * 10, *(make_attempt(failed="dtls"),) * 10)
    worst = make_result(
        join=Joins(attempts=attempts),
        scenario="a-scenario-with-a-name-of-some-length",
        warnings=("x" * 200, "y" * 200, "z", "w"),
    )
    for result, budgets in ((make_result(), BUDGETS), (worst, BUDGETS), (worst, BUDGETS * 4), (make_result(), ())):
        lines = lines_of(result, budgets)
        assert len(lines) <= ROWS < 40
        assert max(len(line) for line in lines) <= COLUMNS == 80


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
    virtual = make_result(harness={"timers": "virtual, never late", "detection_error_s": 6e-5})
    assert "─ Harness, ms: timers virtual, never late, detection 0.06 " in row(lines_of(virtual), "─ Harness")
    late = {f"{name}_p{q}_s": q / 1e5 for name in ("loop_lag", "emulator_late", "pacing_late") for q in (50, 95, 99)}
    lines = lines_of(make_result(harness={"detection_error_s": 6e-5, **late, "join_cpu_s": 0.0123}))
    assert row(lines, "─ Harness").startswith("─ Harness, ms, p50/p95/p99 ─")
    first = lines.index(row(lines, " detection"))
    assert " ".join(line.strip() for line in lines[first : first + 2]) == (
        "detection 0.06, loop lag 0.50/0.95/0.99, emulator 0.50/0.95/0.99, pacing 0.50/0.95/0.99, CPU a join 12.30"
    )


def test_however_much_there_is_to_say_three_rows_are_left_for_budgets(make_result, make_attempt, make_ear):
    late = {f"{name}_p{q}_s": q / 10 for name in ("loop_lag", "emulator_late", "pacing_late") for q in (50, 95, 99)}

    def even(parts):  # none of them small
        return dict.fromkeys(parts, sum(parts.values()) / len(parts))

    heard = make_attempt(dtls_lost=True)
    attempts = (*(replace(heard, phases=even(heard.phases)),) * 15, *(make_attempt(failed="dtls"),) * 5)
    ear = make_ear(0)
    red = {"frames": 9, "later_p50_s": 0.02}
    ear = replace(ear, stages=even(ear.stages), protection={**ear.protection, "recovered_by_red": red})
    link = make_result().link["caller_to_callee"]
    link = replace(link, achieved={**link.achieved, "reordered": 0.02})
    result = make_result(
        join=Joins(attempts=attempts), harness={"detection_error_s": 6e-5, **late}, warnings=("x " * 200,) * 4,
        mouth_to_ear=dict.fromkeys(DIRECTIONS, ear), link=dict.fromkeys(DIRECTIONS, link),
    )  # fmt: skip
    lines = lines_of(result, BUDGETS * 3)
    assert len(lines) <= ROWS
    assert lines[lines.index(row(lines, "─ Budgets")) + 1].split()[0] == "missed"
    assert lines[-1].startswith(" … and ")


def test_marks_have_a_row_where_there_are_any(make_result):
    link = make_result().link["caller_to_callee"]  # written before marks were counted
    assert not any("marked" in line for line in lines_of(make_result(link=dict.fromkeys(DIRECTIONS, link)), ()))
    for marked, cells in ((0.0, None), (0.25, ["→25%", "→25%"])):
        told = replace(link, requested={**link.requested, "marked": None}, achieved={**link.achieved, "marked": marked})
        found = [line for line in lines_of(make_result(link=dict.fromkeys(DIRECTIONS, told)), ()) if "marked" in line]
        assert [line.split()[2:] for line in found] == ([cells] if cells else [])


def test_cells_never_touch_their_title_or_each_other(make_result, make_ear):
    held = {"missing_ratio": 0.1236, "holding_p50_s": 12276.5e-3, "holding_p95_s": 12304.0e-3}
    ears = dict.fromkeys(DIRECTIONS, replace(make_ear(0), side_figures={"stock aiortc": held}))
    line = row(lines_of(make_result(mouth_to_ear=ears), ()), " stock aiortc")
    assert line.split()[-4:-2] == ["12,276.5/12,304.0,", "12.36%"]
    assert line.split()[-5] == "misses"


def test_stock_aiortc_is_a_labelled_side_figure(make_result):
    line = row(lines_of(make_result(), ()), " stock aiortc")
    assert line.split()[-2:] == ["81.5/222.1,", "1.36%"]


def test_budgets_that_were_not_met_come_first_and_the_rest_is_counted(make_result):
    lines = lines_of(make_result())
    words = [line.split()[0] for line in lines[lines.index(row(lines, "─ Budgets")) + 1 :] if line[1:2].strip()]
    assert words == ["missed", "inconclusive", "undecided", "undecided", "met", "met"]
    many = lines_of(make_result(), (*BUDGETS, *["join.first_audio p50 < 1s"] * 30))
    assert many[-1].startswith(" … and ")
    assert many[-1].endswith(" met (see --json)")


def test_an_empty_result_is_shown_and_not_a_crash(make_result):
    lines = lines_of(make_result(join=Joins(), mouth_to_ear={}, link={}, harness={}))
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
            target=name, peers={"caller": peer, "callee": {}}, measures=("caller_to_callee",), mouth_to_ear=ears
        )
    )
    assert lines[0].endswith("whip+whep")
    assert row(lines, "─ Target").startswith(f"─ Target: {name}")
    assert row(lines, " caller:") == " caller: host to srflx, DTLSv1.2, opus 111, NACK, RTCP round trip 52.1 ms"
    assert not [line for line in lines if line.startswith(" callee")]
    assert "callee → caller" not in row(lines, "─ Mouth to ear")


def test_of_several_candidate_types_and_no_protection_the_screen_tells_too(make_result):
    peer = {"pair": "host to relay", "dtls": "DTLSv1.2", "codec": "opus 96", "stun_round_trip_s": 0.0521}
    lines = lines_of(make_result(peers={"caller": peer | {"candidates": {"host udp": 2, "relay udp": 1}}}))
    assert (
        " caller: offered host udp and relay udp, host to relay, DTLSv1.2, opus 96, no",
        "   protection, STUN round trip 52.1 ms",
    ) in itertools.pairwise(lines)


def test_the_link_of_a_caller_alone_leads_to_the_target(make_result):
    lines = lines_of(make_result(measures=("round_trip",), peers={"caller": {}}))
    assert row(lines, "─ Link").endswith("caller → target ──────── target → caller ")


def test_what_kept_every_join_from_being_heard_is_told_whole(make_result, make_attempt):
    fault = f"offer (POST https://media.example/{'x' * 80}): {'the server said no ' * 9}: and here is the cure"
    lines = lines_of(make_result(join=Joins(attempts=(make_attempt(failed=fault),) * 3)))
    assert "and here is the cure)" in " ".join(line.strip() for line in lines[:8])
    assert not [line for line in lines if line.startswith(" gave up")]  # once is enough
    assert len(lines) <= ROWS


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
