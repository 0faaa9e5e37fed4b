from dataclasses import replace

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.result import Joins
from rtcprobe.verdict import compare, rank


@pytest.fixture
def runs(make_result, light):
    """Return three light runs with seeds 1 to 3."""
    return [make_result(seed=seed, **light) for seed in (1, 2, 3)]


@pytest.fixture
def slow(runs, slower):
    return [slower(each, phase_s=0.066, stage_s=0.015) for each in runs]


def verdicts(comparison):
    return {each.name: each.verdict for each in comparison.differences}


def test_a_run_differs_in_nothing_from_itself(runs):
    for side in (runs, runs[:1]):
        found = compare(side, side)
        rows = [*found.differences, *found.phases, *found.stages, *found.timers]
        assert found.paired
        assert {each.difference for each in rows if each.verdict != "not measured"} == {0.0}
        assert {(each.low, each.high) for each in rows if each.p_value is not None} == {(0.0, 0.0)}
        assert "worse" not in verdicts(found).values()


def test_a_planted_shift_is_its_own_interval_in_whole_and_in_part(runs, slow):
    for a, b in ((runs, slow), (runs[:1], slow[:1])):
        found = {each.name: each for each in compare(a, b).differences}
        assert found["join.first_audio p50"].difference == pytest.approx(0.066)
        ear = found["mouth_to_ear.caller_to_callee p50"]
        assert (ear.low, ear.high) == pytest.approx((0.015, 0.015))
        assert ear.verdict == "worse"
        assert ear.detectable == pytest.approx(1e-4)  # the instrument's own error
        assert {each.verdict for each in compare(b, a).differences if each.name == ear.name} == {"better"}


def test_phases_and_stages_sum_to_what_they_are_parts_of(runs):
    found = compare(runs, runs)
    joined = [each.first_audio_s for run in runs for each in run.join.attempts]
    assert sum(each.a.value for each in found.phases) == pytest.approx(sum(joined) / len(joined))
    ear = runs[0].mouth_to_ear["caller_to_callee"]
    assert sum(each.a.value for each in found.stages if each.direction == "caller_to_callee") == pytest.approx(
        ear.total_s
    )


def test_single_calls_with_seeds_of_their_own_get_no_verdict_on_the_ear(runs, slow):
    found = compare([runs[0]], [slow[1]])
    ears = [each for each in found.differences if each.metric.startswith("mouth_to_ear") and each.unit == "s"]
    assert {each.verdict for each in ears} == {"not judged"}
    assert all("within these calls only" in each.note for each in ears)
    assert {each.method for each in ears if each.verdict != "not measured"} == {"within calls"}


def test_a_figure_that_one_run_has_one_of_is_not_judged_from_one_run(runs):
    ears = {name: replace(ear, quality={"r": 80.0}) for name, ear in runs[0].mouth_to_ear.items()}
    better = {name: replace(ear, quality={"r": 79.9}) for name, ear in runs[0].mouth_to_ear.items()}
    found = compare([replace(runs[0], mouth_to_ear=better)], [replace(runs[0], mouth_to_ear=ears)])
    ratings = [each for each in found.differences if each.metric.endswith(".r")]
    assert [each.difference for each in ratings] == pytest.approx([0.1, 0.1])
    assert {each.verdict for each in ratings} == {"not judged"}
    assert {each.verdict for each in found.stages} == {"not judged"}


def test_smaller_than_the_ear_can_tell_is_no_difference(runs, slower):
    found = compare(runs, [slower(each, stage_s=0.00005) for each in runs])
    assert set(verdicts(found).values()) <= {"no difference shown", "not measured"}


def test_runs_that_say_nothing_are_left_out_and_told(runs):
    bad = [replace(runs[0], seed=7, verdict="invalid"), replace(runs[0], seed=8, interrupted=True)]
    found = compare([*runs, runs[0], *bad], runs, labels=("old.json", "new.json"))
    assert found.a.seeds == (1, 2, 3)
    assert found.notes[:2] == (
        "old.json: 2 of 6 runs were invalid or interrupted: left out",
        "old.json: of virtual runs with equal seeds the last counts, 3 of 4",
    )


def test_a_difference_on_the_real_clock_is_judged_over_runs(runs, slow):
    a, b = ([replace(each, clock="real", seed=i) for i, each in enumerate(side)] for side in (runs, slow))
    found = compare(a, b)
    assert not found.paired
    assert {each.name: each.method for each in found.differences}["mouth_to_ear.caller_to_callee p50"] == "runs"


def test_missing_joins_and_ears_are_not_measured_and_never_better(runs, make_result):
    silent = [make_result(seed=seed, join=Joins(), mouth_to_ear={}) for seed in (1, 2, 3)]
    assert set(verdicts(compare(runs, silent)).values()) == {"not measured"}
    assert compare(silent, silent).differences == ()


def test_a_side_neither_better_nor_worse_than_any_other_has_no_rank(runs, slow, slower):
    wild = [slower(run, stage_s=stage_s) for run, stage_s in zip(runs, (0.02, -0.02, 0.0), strict=True)]
    found = rank([("a", runs), ("b", slow), ("wild", wild)])
    delay = next(each for each in found.metrics if each.metric == "mouth_to_ear.caller_to_callee")
    assert [place.rank for place in delay.places] == [1, 2, None]


def test_runs_that_lost_nothing_do_not_promise_that_none_is_ever_lost(runs):
    whole = {name: replace(ear, scheduled=ear.heard, rejected=0, lost=0) for name, ear in runs[0].mouth_to_ear.items()}
    found = compare(*[[replace(run, mouth_to_ear=whole) for run in runs]] * 2)
    lost = next(each for each in found.differences if each.metric.endswith(".lost"))
    assert (lost.a.value, lost.a.low) == (0.0, 0.0)
    assert lost.a.high == pytest.approx(1.96**2 / (lost.a.n + 1.96**2), abs=1e-4)  # Wilson's of none in n


def test_sides_are_ranked_where_the_difference_is_real(runs, slow):
    found = rank([("a", runs), ("b", slow), ("c", runs)])
    ranks = {(each.metric, each.aggregate): [place.rank for place in each.places] for each in found.metrics}
    assert ranks["join.first_audio", "p50"] == [1, 3, 1]
    assert ranks["join.failed", "mean"] == [None, None, None]
    assert len(found.pairs) == 3
    assert found.to_dict()["metrics"][0]["places"][1]["rank"] == 3


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scenario": "other"}, "a holds runs of different scenarios: 1v1-social and other: keep them apart"),
        ({"clock": "real"}, "a holds runs of different clocks: virtual and real: keep them apart"),
        (
            {"settings": {"playout": "neteq"}},
            "a holds runs of 1v1-social with different settings: playout is not set there, neteq here: keep them apart",
        ),
    ],
)
def test_a_side_is_of_one_kind(runs, change, sentence):
    with pytest.raises(BadInputError) as caught:
        rank([("a", [runs[0], replace(runs[1], **change)]), ("b", runs)])
    assert str(caught.value) == sentence


def test_what_cannot_be_compared_is_refused(runs):
    for sides, sentence in (
        ([("a", runs)], "1 side cannot be ranked: give two or more"),
        ([("a", runs), ("a", runs)], "side 'a' is given twice: give each its own name"),
        ([("a", []), ("b", runs)], "a holds no results: measure first, with --json or --append"),
        (
            [("a", [replace(runs[0], verdict="invalid")]), ("b", runs)],
            "a holds no run that counts: 1 invalid or interrupted: measure again",
        ),
        (
            [("a", runs), ("b", [replace(each, scenario="other") for each in runs])],
            "a is of scenario 1v1-social, b of other: compare runs of one scenario",
        ),
    ):
        with pytest.raises(BadInputError) as caught:
            rank(sides)
        assert str(caught.value) == sentence
    with pytest.raises(BadInputError, match=r"^confidence 1 is impossible"):
        compare(runs, runs, confidence=1)
