"""Calls of more than two: every way is told on every surface, in rows where there is no room for columns."""

import io

import pytest
from rich.console import Console

from rtcprobe.report.cases import result_cases
from rtcprobe.report.html import render_report
from rtcprobe.report.junit import junit
from rtcprobe.report.lead import lead
from rtcprobe.report.markdown import results_markdown
from rtcprobe.report.sentences import arrow, milliseconds
from rtcprobe.report.terminal import print_result
from rtcprobe.verdict import compare, evaluate, judge, parse_budget

BUDGETS = ("mouth_to_ear p95 < 200ms", "mouth_to_ear.ana_to_ben p50 < 200ms", "link.cho_to_ben.loss mean < 10%")


@pytest.fixture
def room(make_room):
    return judge(make_room(), [parse_budget(line) for line in BUDGETS])


def lines_of(result, width=80):
    screen = Console(file=io.StringIO(), width=width)
    print_result(result, screen)
    return screen.file.getvalue().splitlines()


def test_a_screen_of_six_ways_has_a_row_each_with_both_percentiles_and_every_fate(room):
    lines = lines_of(room)
    assert max(map(len, lines)) <= 80
    for way, ear in room.mouth_to_ear.items():
        (row, *others) = [line for line in lines if line.startswith(f" {arrow(way)} ")]
        for name in ("p50", "p95"):
            assert milliseconds(ear.summary.quantile(name).value) in row
        assert f"{ear.lost}+{ear.rejected} of {ear.scheduled}" in row
        assert any("84.1, 4.17, 4.26" in line for line in others)
        assert any("41.0/56.0→41.2/55.8" in line for line in others)


def test_a_party_of_a_long_name_loses_no_figure(make_room):
    long = "a-guest-whose-name-has-32-letter"
    lines = lines_of(judge(make_room(parties=(long, "ben", "cho")), ()))
    assert max(map(len, lines)) <= 80
    place = lines.index(f" {long} → ben")
    assert lines[place + 1].split()[0] == "158.1"


def test_the_stages_of_the_soonest_and_of_the_latest_way_stand_beside_each_other(room):
    lines = lines_of(room)
    place = next(place for place, line in enumerate(lines) if "soonest and latest" in line)
    assert "ana → ben" in lines[place]
    assert "cho → ben" in lines[place]
    assert [line.split()[-2:] for line in lines[place:] if line.startswith(" network min")] == [["41.0", "91.0"]]


def test_one_sentence_says_how_late_the_soonest_and_the_latest_are_heard(room):
    assert "people hear each other after 158 to 208 ms (ben hears cho last), later than" in lead(room)


def test_markdown_junit_and_page_name_every_way(room):
    markdown, page = results_markdown([room]), render_report([room]).replace("\N{NO-BREAK SPACE}", " ")
    names = junit(result_cases(room))
    for way in room.mouth_to_ear:
        assert f"| {arrow(way)} |" in markdown
        assert f">{arrow(way)}<" in page
        assert f"goal: 100 ms to the ear, {arrow(way)}" in names


def test_a_page_of_56_ways_draws_as_many_as_can_be_told_apart_and_has_all_in_its_table(make_room):
    result = judge(make_room(parties=tuple("abcdefgh")), ())
    page = render_report([result]).replace("\N{NO-BREAK SPACE}", " ")
    assert len(page) < 1_000_000
    assert "50 more are in the table" in page
    assert all(f">{arrow(way)}<" in page for way in result.mouth_to_ear)


def test_a_budget_without_a_way_is_about_the_worst_of_all_six(room):
    worst = room.mouth_to_ear["cho_to_ben"].summary.quantile("p95")
    assert room.budgets[0].value == worst.value
    assert [each.verdict for each in room.budgets] == ["missed", "met", "met"]


def test_a_budget_about_a_way_that_there_is_not_says_which_there_are(room):
    found = evaluate(parse_budget("mouth_to_ear.ana_to_bean p50 < 1s"), room)
    assert found.verdict == "inconclusive"
    assert found.reason.startswith("nothing was measured: there is no ana_to_bean here, did you mean ana_to_ben")


def test_two_rooms_are_compared_way_by_way(make_room):
    found = compare([judge(make_room(seed=seed), ()) for seed in (1, 2)], [judge(make_room(), ())])
    assert {each.direction for each in found.stages} == set(make_room().mouth_to_ear)
