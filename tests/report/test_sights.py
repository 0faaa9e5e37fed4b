"""The screen's part about pictures: what was seen, what froze, how like the film it was, lips and voice."""

from dataclasses import replace

import numpy as np
import pytest

from rtcprobe.hearing.sights import sight_account, skew_account
from rtcprobe.report.html import render_report
from rtcprobe.report.html.sights import frames, sight_table, told
from rtcprobe.report.markdown import result_markdown
from rtcprobe.report.pages import Page
from rtcprobe.report.sights import first_picture_told, sight_lines
from rtcprobe.ways import Way
from tests.sights import BACK, WAY, sight, with_summary


def result_with(make_result, *accounts):
    base = make_result()
    return replace(base, accounts=(*base.accounts, *map(with_summary, accounts)))


def test_frames_fates_and_figures_of_several_calls_add_up():
    account = sight_account(WAY, {0: sight(lost={3}), 2: sight(delay_s=0.080, dropped={7, 8})})
    assert (account.scheduled, account.heard, account.rejected, account.lost) == (120, 117, 2, 1)
    assert {each.why for each in account.missed} == {"", "dropped"}
    assert [(row.call, row.heard) for row in account.calls] == [(0, 59), (2, 58)]
    assert sum(account.stages.values()) == pytest.approx(np.mean([each.delay_s for each in account.samples]))
    assert account.stages["network_min"] == pytest.approx(0.049)  # the fastest of both calls
    assert account.figures["freeze_share"] == 0.25
    assert account.figures["ssim"] == pytest.approx((58 * 0.8 + 59 * 0.9 + 0 * 0.8) / 117, abs=0.002)
    assert account.figures["ssim_in_worst_second"] == pytest.approx(0.8)
    assert account.playout.w3c["freezeCount"] == 2


def test_skew_is_measured_where_both_a_marker_and_its_frame_came(make_ear):
    sound = make_ear(0)
    call = sight(frames=3000, lost=set(range(60, 120)))
    account = skew_account(WAY, sound, {0: call})
    assert account.scheduled == sound.heard
    assert account.lost == 0 or all(each.fate == "lost" for each in account.missed)
    by_marker = {each.marker: each for each in sound.samples}
    for moment in account.samples:
        assert moment.delay_s == pytest.approx(0.060 - by_marker[moment.marker].delay_s)


def test_the_screen_tells_a_column_each_way(make_result):
    result = result_with(
        make_result, sight_account(WAY, {0: sight()}), sight_account(BACK, {0: sight(0.090, lost={1})})
    )
    lines = "\n".join(line.plain for line in sight_lines(result, Page(80)))
    assert "Glass to glass, ms" in lines
    assert "60, 0, 0 of 60" in lines
    assert "59, 0, 1 of 60" in lines
    assert "25%, 1, 500" in lines
    assert "35.0 dB, 0.850 (0.800)" in lines
    assert all(len(line.plain) <= 80 for line in sight_lines(result, Page(80)))


def test_the_page_has_frames_freezes_and_w3cs_figures(make_result):
    result = result_with(make_result, sight_account(WAY, {0: sight(lost={4}, dropped={9})}))
    table = sight_table(result)
    rows = {row[0]: row[1] for row in table.rows}
    assert rows["seen, left out, lost"] == "58, 1, 1 of 60"
    assert rows["share of the time frozen"] == "25%"
    assert rows["SSIM mean, p5, worst second"].startswith("0.8")
    assert rows["freezeCount"] == "1"
    drawn = frames(WAY, result.of_kind("glass_to_glass")[WAY], {0: 10.0}, ())
    assert drawn.stood_s == ((10.5, 11.0),)
    assert told(drawn).endswith("1 frames lost, 1 left out, 1 freezes (0.5 s).")
    assert "| seen, left out, lost | 58, 1, 1 of 60 |" in result_markdown(result)
    page = render_report([result])
    assert "Glass to glass: frame filmed" in page
    assert "the picture stood still" in page
    assert "Glass to glass" not in render_report([make_result()])


def test_more_than_two_ways_have_a_row_each(make_result):
    ways = [Way("ana_to_ben.video"), Way("ben_to_ana.video"), Way("ana_to_cleo.video")]
    result = result_with(make_result, *(sight_account(way, {0: sight()}) for way in ways))
    lines = [line.plain for line in sight_lines(result, Page(80))]
    assert [line.split("  ")[0].strip() for line in lines[1:]] == ["ana → ben", "ben → ana", "ana → cleo"]


def test_where_nobody_shows_a_picture_nothing_is_said_of_any(make_result):
    assert list(sight_lines(make_result(), Page(80))) == []
    assert first_picture_told(make_result().join.attempts) == ""


def test_the_first_picture_of_joins_is_told_with_its_steps(make_attempt):
    def attempt(late):
        marks = {"first_video_packet": 0.4 + late, "first_key_frame": 0.45 + late, "first_picture": 0.46 + late}
        found = make_attempt()
        return replace(found, marks={**found.marks, **marks})

    told = first_picture_told([attempt(late) for late in (0.0, 0.1, 1.0)])
    assert told == "first picture p50 560.0 ms (packet 500.0, key frame whole 550.0), slowest 1,460.0"
    asking = [replace(attempt(0.0), asked=asked) for asked in ({"packets": 3, "resent": 2}, {"key_frames": 1}, {})]
    assert first_picture_told(asking).endswith("; of 3 joins 1 asked for packets again, 1 asked for a key frame")
