"""Pictures compared and checked: first pictures, the delay of frames, freezes, likeness; what moved is named."""

from dataclasses import replace

import pytest

from rtcprobe.report.check import check_cases, check_lines, check_markdown
from rtcprobe.report.comparison import ranking_lines
from rtcprobe.report.vendors import matrices, panel_sentence
from rtcprobe.verdict import Account, check, compare, judge, panel, rank
from rtcprobe.verdict.breaking import parse_break
from rtcprobe.verdict.budgets import evaluate, parse_budget
from rtcprobe.ways import Way
from tests.sights import WAY, shown

SEEN = "glass_to_glass.caller_to_callee.video"


@pytest.fixture
def runs(make_result, light):
    return [judge(shown(make_result(seed=seed, **light)), []) for seed in (1, 2, 3)]


@pytest.fixture
def late(make_result, light):
    return [judge(shown(make_result(seed=seed, **light), later_s=0.030), []) for seed in (1, 2, 3)]


def rows(found):
    return {each.name: each for each in found.differences}


def test_frames_that_come_later_are_worse_by_as_much_and_the_stage_is_named(runs, late):
    found = rows(compare(runs, late))
    for name in (f"{SEEN} p50", f"{SEEN} p95", "join.first_picture p50"):
        assert found[name].difference == pytest.approx(0.030)
        assert found[name].verdict == "worse"
    checked = check(runs, late)
    assert checked.verdict == "fail"
    (way,) = [each for each in checked.culprits if each.direction == "caller_to_callee.video"]
    assert way.sentence == "stage network_min, caller to callee, video: +30ms (49ms → 79ms)"


def test_the_same_pictures_differ_in_nothing(runs):
    assert {each.verdict for each in compare(runs, runs).differences} <= {
        "no difference shown", "not judged", "not measured",
    }  # fmt: skip
    assert check(runs, runs).verdict == "pass"


def test_a_picture_that_stands_still_longer_is_worse(runs, make_result, light):
    frozen = [judge(shown(make_result(seed=seed, **light), frozen_s=0.7), []) for seed in (1, 2, 3)]
    found = rows(compare(runs, frozen))[f"{SEEN}.freeze_share mean"]
    assert found.difference == pytest.approx(0.1)  # 0.2 of 2 s
    assert found.verdict == "worse"


def test_likeness_explains_and_skew_is_not_judged(runs, late):
    found = rows(compare(runs, late))
    assert not found[f"{SEEN}.ssim mean"].headline
    skew = found["lip_sync.caller_to_callee.video p50"]
    assert (skew.headline, skew.verdict) == (False, "not judged")
    assert skew.difference == pytest.approx(0.030)


def test_runs_without_pictures_have_no_rows_about_them(make_result, light):
    alone = [make_result(seed=seed, **light) for seed in (1, 2, 3)]
    names = {each.metric for each in compare(alone, alone).differences}
    assert not any("video" in each or "picture" in each for each in names)


def test_a_gate_about_pictures_is_seen_red_by_breaking_a_stage_that_only_they_have(runs):
    broken = parse_break("render +40ms")
    broken.refuse(runs)
    found = check(runs, [judge(broken.applied(each), []) for each in runs])
    failed = {each.difference.metric for each in found.gates if each.verdict == "fail"}
    assert failed == {SEEN, "glass_to_glass.callee_to_caller.video"}


def test_the_screen_and_a_cis_cases_tell_of_pictures_as_of_sound(runs, late):
    checked = check(runs, late)
    screen = "\n".join(line.plain for line in check_lines(checked))
    assert "Glass to glass" in screen
    assert "first picture p50" in screen
    assert "Glass to glass" in "\n".join(line.plain for line in ranking_lines(rank([("old", runs), ("new", late)])))
    failed = [each.name for each in check_cases(checked) if each.outcome == "failed"]
    assert f"{SEEN} p50 against its baseline" in failed
    assert "glass to glass caller → callee p50" in check_markdown(checked)


def test_a_vendor_that_is_seen_sooner_is_said_to_be(runs, late):
    sides = (("a", late), ("b", runs))
    found = panel(("a", "b"), ("5g",), [Account(vendor=name, link="5g", runs=tuple(side)) for name, side in sides])
    assert panel_sentence(found).startswith("Take b: it shows a first picture soonest and is seen soonest")
    assert "Glass to glass, caller → callee, p50, ms" in [each.name for each in matrices(found)]


@pytest.mark.parametrize("way", ["round_trip", "caller_to_caller", "caller_to_caller.video"])
def test_pictures_that_came_back_from_an_echo_are_judged_by_each_name_of_that_way(way, make_result, light):
    result = shown(make_result(**light))
    echoed = [
        replace(each, way=Way("caller_to_caller.video"))
        for each in result.accounts
        if each.kind == "glass_to_glass" and each.way == WAY
    ]
    budget = parse_budget(f"glass_to_glass.{way}.freeze_share mean < 1%")
    assert evaluate(budget, replace(result, accounts=tuple(echoed))).value == pytest.approx(0.26)  # 0.52 of 2 s
