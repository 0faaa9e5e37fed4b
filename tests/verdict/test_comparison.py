from dataclasses import replace

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.result import HeardCall, Joins
from rtcprobe.verdict import compare, rank
from rtcprobe.verdict.sides import settings_apart
from tests.accounts import accounts_of


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
    ears, better = (
        tuple(replace(ear, quality=replace(ear.quality, r=r)) for ear in runs[0].accounts) for r in (80.0, 79.9)
    )
    found = compare([replace(runs[0], accounts=better)], [replace(runs[0], accounts=ears)])
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


def test_a_side_told_from_neither_of_two_stands_between_them_and_shares_both_letters(runs, slow, slower):
    wild = [slower(run, stage_s=stage_s) for run, stage_s in zip(runs, (0.03, -0.02, 0.01), strict=True)]
    found = rank([("a", runs), ("b", slow), ("wild", wild)])
    delay = next(each for each in found.metrics if each.metric == "mouth_to_ear.caller_to_callee")
    assert [(place.label, place.letters) for place in delay.places] == [("a", "a"), ("wild", "ab"), ("b", "b")]
    assert delay.best == ("a", "wild")


def test_runs_that_lost_nothing_do_not_promise_that_none_is_ever_lost(runs):
    whole = tuple(replace(ear, scheduled=ear.heard, rejected=0, lost=0) for ear in runs[0].accounts)
    found = compare(*[[replace(run, accounts=whole) for run in runs]] * 2)
    lost = next(each for each in found.differences if each.metric.endswith(".lost"))
    assert (lost.a.value, lost.a.low) == (0.0, 0.0)
    assert lost.a.high == pytest.approx(1.96**2 / (lost.a.n + 1.96**2), abs=1e-4)  # Wilson's of none in n


def test_each_side_is_told_with_as_many_runs_as_it_has(runs, slow):
    found = compare(runs, slow[:-1])
    told = {each.metric: (each.a.runs, each.b.runs) for each in found.differences if each.a.runs and each.b.runs}
    assert "join.failed" in told
    assert set(told.values()) == {(len(runs), len(runs) - 1)}


def test_sides_are_ranked_where_the_difference_is_real(runs, slow):
    found = rank([("a", runs), ("b", slow), ("c", runs)])
    groups = {
        (each.metric, each.aggregate): [(place.label, place.letters) for place in each.places] for each in found.metrics
    }
    assert groups["join.first_audio", "p50"] == [("a", "a"), ("c", "a"), ("b", "b")]
    assert groups["join.failed", "mean"] == [("a", "a"), ("b", "a"), ("c", "a")]
    assert len(found.pairs) == 3
    first = found.to_dict()["metrics"][0]
    assert (first["best"], first["places"][2]["letters"]) == (["a", "c"], "b")


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


def test_a_side_without_a_run_that_counts_is_left_out_of_three_and_named(runs, slow):
    dead = [replace(each, verdict="invalid", reasons=("this machine stopped for 0.61 s",)) for each in runs]
    found = rank([("a", runs), ("dead", dead), ("b", slow)])
    assert [side.label for side in found.sides] == ["a", "b"]
    assert found.troubles == (
        "dead is left out: all 3 of its runs are invalid or interrupted (this machine stopped for 0.61 s)",
    )


def test_a_failed_side_is_named(runs, make_attempt):
    dead = [replace(each, join=Joins(attempts=(make_attempt(failed="ice"),) * 4)) for each in runs]
    assert compare(runs, dead).b.troubles == ("B failed: none of its 12 joins was heard (gave up: ice)",)
    missed = [replace(runs[0], verdict="fail"), *runs[1:]]
    assert compare(missed, runs).a.troubles == ("A missed budgets in 1 of 3 runs",)


def test_phases_stand_in_the_order_of_the_run_and_one_that_a_side_lacks_is_not_there(runs):
    def janus(run):
        attempts = tuple(
            replace(
                each,
                marks={**each.marks, "first_audio": each.first_audio_s + 0.4},
                phases={"signaling": each.phases["signaling"], "session": 0.1, "attach": 0.3}
                | {name: took_s for name, took_s in each.phases.items() if name != "signaling"},
            )
            for each in run.join.attempts
        )
        return replace(run, join=Joins(attempts=attempts))

    found = compare(runs, [janus(each) for each in runs])
    names = [each.part for each in found.phases]
    assert names[:4] == ["signaling", "session", "attach", "gathering"]
    session = found.phases[1]
    assert (session.verdict, session.a.value, session.b.value) == ("not measured", None, pytest.approx(0.1))
    assert sum(each.b.value for each in found.phases) - sum(each.a.value or 0.0 for each in found.phases) == (
        pytest.approx(0.4)
    )


def test_one_call_a_run_beside_several_is_refused_in_one_side_and_told_of_two(runs):
    ear = next(iter(runs[0].mouth_to_ear.values()))
    samples = tuple(replace(each, call=i % 2) for i, each in enumerate(ear.samples))
    half = ear.scheduled // 2
    calls = tuple(HeardCall(call=i, scheduled=half, heard=half, stages=ear.stages) for i in range(2))
    ears = accounts_of(dict.fromkeys(runs[0].mouth_to_ear, replace(ear, samples=samples, calls=calls)))
    several = [replace(run, accounts=ears) for run in runs]
    with pytest.raises(BadInputError) as caught:
        compare([runs[0], several[1]], runs)
    assert str(caught.value) == (
        "A holds runs of one call beside runs of several: keep them apart, or take the newest alone with --last N"
    )
    found = compare(runs, several)
    assert "A: one call a run, so each run counts as one call" in found.notes
    assert (found.a.calls, found.b.calls) == (3, 6)
    alone = compare(runs[:1], several)
    assert "A: one call, so its mouth-to-ear intervals are about that call, not about another run" in alone.notes


def test_r_of_one_call_is_as_unsure_as_its_delay_and_its_loss_and_is_not_judged(make_result):
    for seeds in ((1, 2), (1, 1)):  # of another seed, and of the same
        found = compare([make_result(seed=seeds[0])], [make_result(seed=seeds[1])])
        r = next(each for each in found.differences if each.metric == "mouth_to_ear.caller_to_callee.r")
        assert not r.a.exact
        assert r.a.low < r.a.value < r.a.high
        assert r.low < r.difference < r.high
        assert r.verdict == "not judged"


def test_what_one_side_alone_sets_is_told_key_by_key_and_as_a_scenario_has_it():
    bare = {"target": {"mouth": "file"}, "steps": [{"click": "#go"}]}
    full = {"messages": {"rate": "5/s", "ordered": False}, "target": "page", "steps": [{"click": "#go"}, True]}
    assert settings_apart(bare, full) == (
        "target is {mouth: file} there, page here",
        "steps is [{click: #go}] there, [{click: #go}, true] here",
        "messages.rate is not set there, 5/s here",
        "messages.ordered is not set there, false here",
    )
