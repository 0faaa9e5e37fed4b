"""Vendors on links: who is to be taken, and what keeps one from being it."""

from dataclasses import replace

import pytest

from rtcprobe.report.html import render_vendors
from rtcprobe.report.vendors import BEST, cards, matrices, panel_lines, panel_markdown, panel_sentence
from rtcprobe.result import Joins
from rtcprobe.verdict import Account, judge, panel
from rtcprobe.verdict.goals import pooled


@pytest.fixture
def account(make_result, make_attempt):
    """Return runs of a vendor whose every join takes ``slower_s`` more than the factory's, a little apart by run."""

    def made(vendor, link, slower_s=0.0, **changes):
        runs = []
        for seed in (1, 2, 3):
            attempts = tuple(stretched(make_attempt(), slower_s + 0.001 * seed + 0.0001 * n) for n in range(20))
            about = {"seed": seed, "clock": "real", "join": Joins(attempts=attempts), **changes}
            runs.append(judge(make_result(**about), []))
        return Account(vendor=vendor, link=link, runs=tuple(runs))

    def stretched(attempt, by_s):
        total = attempt.first_audio_s + by_s
        return replace(
            attempt,
            phases={**attempt.phases, "ice": attempt.phases["ice"] + by_s},
            marks={**attempt.marks, "first_audio": total},
        )

    return made


@pytest.fixture
def silent(make_result, make_attempt):
    dead = Joins(attempts=(make_attempt(failed="offer: 401"),) * 3)
    return tuple(judge(make_result(seed=seed, clock="real", join=dead, mouth_to_ear={}), []) for seed in (1, 2))


def test_the_quicker_vendor_is_to_be_taken_where_it_is_better_and_worse_nowhere(account):
    found = panel(("a", "b"), ("5g", "cable"), [
        account("a", "5g", 0.2), account("b", "5g"), account("a", "cable"), account("b", "cable"),
    ])  # fmt: skip
    assert found.choice == "b"
    assert {(each.vendor, each.link, each.metric.metric) for each in found.wins} == {("b", "5g", "join.first_audio")}
    assert panel_sentence(found) == "Take b: it joins soonest on 5g, and no other is shown to be better in anything."


def test_who_is_better_here_and_worse_there_is_a_choice_for_the_reader(account):
    found = panel(("a", "b"), ("5g", "cable"), [
        account("a", "5g", 0.2), account("b", "5g"), account("a", "cable"), account("b", "cable", 0.2),
    ])  # fmt: skip
    assert found.choice is None
    assert panel_sentence(found) == "It depends: b joins soonest on 5g; a joins soonest on cable."


def test_equals_are_not_ranked(account):
    found = panel(("a", "b"), ("5g",), [account("a", "5g"), account("b", "5g")])
    assert (found.wins, found.choice) == ((), None)
    assert panel_sentence(found) == "No vendor is shown to be best in joining or in delay, on any link."


def test_a_vendor_nobody_could_join_is_named_with_the_reason_and_not_ranked(account, silent):
    gone = Account(vendor="c", link="5g", runs=silent, faults=("the server did not answer",))
    found = panel(("a", "b", "c"), ("5g",), [account("a", "5g", 0.2), account("b", "5g"), gone])
    assert [each.label for each in found.rankings["5g"].sides] == ["a", "b"]
    assert panel_sentence(found).endswith("c could not be measured.")
    (card,) = [each for each in cards(found) if each.vendor == "c"]
    assert (card.best, card.runs) == ("could not be measured", "0 of 3 runs counted")
    assert "the server did not answer" in card.faults[0]
    assert "offer: 401" in card.faults[0]
    (row,) = {row for matrix in matrices(found) for vendor, row in matrix.rows if vendor == "c"}
    assert row == (("not measured", "", False),)


def test_with_one_vendor_left_there_is_nothing_to_compare(account, silent):
    found = panel(("a", "b"), ("5g",), [account("a", "5g"), Account(vendor="b", link="5g", runs=silent)])
    assert panel_sentence(found) == "There are no two vendors to compare. b could not be measured."


def test_every_form_has_every_figure_with_its_interval_and_the_mark(account):
    found = panel(("a", "b"), ("5g",), [account("a", "5g", 0.2), account("b", "5g")])
    screen = [line.plain for line in panel_lines(found)]
    at = next(index for index, line in enumerate(screen) if line.startswith("─ Joining, p50, ms"))
    # 487 ms, 2 ms of runs and 1 ms of joins more in the middle; a 200 ms later
    assert screen[at + 1].split()[:2] == ["a", "690"]
    assert screen[at + 2].split()[:2] == ["b", "490"]
    assert screen[at + 2].endswith(f"] {BEST}")
    assert not screen[at + 1].rstrip().endswith(BEST)
    assert max(map(len, screen)) <= 80
    page, text = render_vendors(found), panel_markdown(found)
    for form in (page, text):
        assert "Take b: it joins soonest" in form
        assert "Joining, p50, ms" in form
    assert '<span class="rank good">best</span> 490' in page
    assert found.to_dict()["choice"] == "b"


def test_goals_are_of_all_runs_together(account):
    slow = account("a", "5g", 0.2)
    (joins, *ears) = slow.goals
    assert (joins.of, joins.outcome.value) == (60, 1.0)
    whole = pooled(slow.runs).mouth_to_ear["caller_to_callee"]
    assert [each.of for each in ears] == [whole.heard, whole.heard]
    assert len(whole.calls) == 3
    assert {each.call for each in whole.samples} == {0, 1, 2}


def test_a_link_gets_its_part_of_what_chance_may_do(account):
    found = panel(("a", "b"), ("5g", "cable"), [account(v, link) for link in ("5g", "cable") for v in ("a", "b")])
    assert [each.confidence for each in found.rankings.values()] == [pytest.approx(0.975)] * 2
