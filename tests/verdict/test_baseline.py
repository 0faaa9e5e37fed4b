from dataclasses import replace

import pytest

from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.result import Joins
from rtcprobe.verdict import check, parse_tolerance, refuse


@pytest.fixture
def runs(make_result, light):
    return [make_result(seed=seed, **light) for seed in (1, 2, 3)]


def names(found):
    return [(each.kind, each.name) for each in found.culprits]


def test_unchanged_code_passes_every_time(runs):
    for tolerance in ("statistical", "+1ms", "+1%"):
        found = [check(runs, runs, parse_tolerance(tolerance)) for _ in range(3)]
        assert {each.verdict for each in found} == {"pass"}
        assert len({str(each.to_dict()) for each in found}) == 1


def test_a_slower_stage_fails_and_is_named(runs, slower):
    for size in (1, 3):
        found = check(runs[:size], [slower(each, stage_s=0.015) for each in runs[:size]])
        assert found.verdict == "fail"
        assert {each for each in names(found) if each[0] == "stage"} == {("stage", "device")}
        assert found.culprits[0].sentence == "stage device, caller to callee: +15ms (20ms → 35ms)"
        assert found.culprits[0].share == pytest.approx(1.0)


def test_an_extra_round_trip_in_joining_fails_and_its_phase_is_named(runs, slower):
    found = check(runs, [slower(each, phase_s=0.066) for each in runs])
    assert found.verdict == "fail"
    assert names(found)[0] == ("phase", "dtls")
    assert found.reasons[0] == "join.first_audio p50 +66ms (487ms → 553ms)"


def test_a_timer_that_fires_more_often_is_named(runs, make_attempt):
    lost = Joins(attempts=tuple(make_attempt(dtls_lost=i != 7) for i in range(8)))
    found = check(runs, [replace(each, join=lost) for each in runs])
    assert found.verdict == "fail"
    assert names(found) == [("phase", "dtls"), ("timer", "dtls")]
    # 7 of 8 joins instead of 1 of 8 pay 1 s: three quarters of a second of the mean.
    assert found.culprits[1].moved == pytest.approx(0.75)
    assert found.culprits[1].sentence.startswith("retransmissions by the dtls timer: +750ms (125ms → 875ms")


def test_a_tolerance_is_what_a_delay_may_be_worse_by(runs, slower):
    slow = [slower(each, stage_s=0.015) for each in runs]
    told = {text: check(runs, slow, parse_tolerance(text)).verdict for text in ("+10ms", "+20ms", "+5%", "+15%")}
    assert told == {"+10ms": "fail", "+20ms": "pass", "+5%": "fail", "+15%": "pass"}  # 15 ms of 158 ms are 9.5 %


def test_better_is_a_pass(runs, slower):
    assert check([slower(each, phase_s=0.066) for each in runs], runs).verdict == "pass"


def test_what_is_not_measured_any_more_is_inconclusive(runs):
    found = check(runs, [replace(each, accounts=()) for each in runs])
    assert found.verdict == "inconclusive"
    assert found.reasons[0].startswith("mouth_to_ear.caller_to_callee p50 was measured in the baseline, not now: ")


def test_no_join_heard_is_no_measurement(runs, make_attempt):
    dead = Joins(attempts=(make_attempt(failed="ice"),) * 8)
    found = check(runs, [replace(each, join=dead) for each in runs])
    assert (found.verdict, found.reasons) == ("inconclusive", ("none of 24 joins was heard (gave up: ice)",))
    with pytest.raises(MeasurementError, match="no run to check counts: invalid or interrupted: late"):
        check(runs, [replace(each, verdict="invalid", reasons=("late",)) for each in runs])


def test_too_few_joins_for_a_percentile_are_a_note_and_no_gate(runs):
    found = check(runs[:1], runs[:1])
    assert "join.first_audio p95" not in {each.difference.name for each in found.gates}
    note = (
        "join.first_audio p95 does not gate, the baseline does not hold it: "
        "p95 needs 20 joins a side, 8 and 8 were tried"
    )
    assert note in found.notes


SEEDS = "give this run the baseline's seeds, or measure the baseline anew"
ANEW = "measure the baseline anew, or give the one that belongs to this run"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scenario": "other"}, f"the baseline is of scenario 1v1-social, this run of other: {ANEW}"),
        ({"target": "whip"}, f"the baseline is of target loopback, this run of whip: {ANEW}"),
        ({"clock": "real"}, f"the baseline is of clock virtual, this run of real: {ANEW}"),
        (
            {"scenario_digest": "ff", "settings": {"name": "1v1-social", "playout": "fixed:60ms"}},
            f"the baseline measured another 1v1-social: playout is not set there, fixed:60ms here: {ANEW}",
        ),
        ({"seed": 9}, f"the baseline has seed 1, this run seed 9: {SEEDS}"),
    ],
)
def test_another_baseline_is_refused_with_the_reason(runs, change, sentence):
    ours = replace(runs[0], **change)
    about = {key: getattr(ours, key) for key in ("scenario", "scenario_digest", "clock", "target", "settings")}
    for refused in (
        lambda: refuse(runs[:1], seeds=[ours.seed], **about),  # before anything is measured
        lambda: check(runs[:1], [ours]) if "scenario" not in change else refuse(runs[:1], seeds=[1], **about),
    ):
        with pytest.raises(BadInputError) as caught:
            refused()
        assert str(caught.value) == sentence


def test_other_budgets_are_no_other_scenario(runs):
    ours = replace(runs[0], scenario_digest="ff", settings={**runs[0].settings, "budgets": ["join.failed mean <= 0%"]})
    assert check(runs[:1], [ours]).verdict == "pass"


def test_another_link_is_refused(runs):
    link = {way: replace(each, requested=replace(each.requested, loss=0.02)) for way, each in runs[0].link.items()}
    with pytest.raises(BadInputError) as caught:
        check(runs[:1], [replace(runs[0], link=link)])
    assert str(caught.value) == (
        "the baseline's link was another, caller to callee: loss is 0.01 there, 0.02 here: measure the baseline anew"
    )


def test_fresh_seeds_are_another_policy(runs):
    other = [replace(each, seed=each.seed + 10) for each in runs]
    with pytest.raises(BadInputError, match="the baseline has seeds 1 to 3, this run seeds 11 to 13"):
        check(runs, other)
    found = check(runs, other, fresh_seeds=True)
    assert (found.verdict, found.comparison.paired) == ("pass", False)


@pytest.mark.parametrize("text", ["15ms", "+0ms", "-5%", "five", "+5", ""])
def test_a_tolerance_that_cannot_be_meant(text):
    with pytest.raises(BadInputError, match=r"write statistical, \+15ms or \+5%$"):
        parse_tolerance(text)


def test_a_tolerance_is_written_as_it_is_read():
    assert [str(parse_tolerance(text)) for text in ("statistical", "+15ms", "+5%")] == ["statistical", "+15ms", "+5%"]


def test_a_tolerance_inside_the_interval_is_undecided(runs, slower):
    # +5 ms in the mean of three calls, from −15 to +25 ms in each: 20 ms are not shown to be kept.
    moved = [slower(run, stage_s=stage_s) for run, stage_s in zip(runs, (-0.015, 0.005, 0.025), strict=True)]
    found = check(runs, moved, parse_tolerance("+20ms"))
    delays = [each for each in found.gates if each.difference.name.endswith("callee p50")]
    assert {each.verdict for each in delays} == {"inconclusive"}
    assert found.verdict == "inconclusive"
    assert all(each.difference.difference == pytest.approx(0.005, abs=1e-3) for each in delays)
    assert all(each.difference.high > 0.020 for each in delays)
    assert "the tolerance +20ms lies inside the interval; more runs would tell" in found.reasons[0]


def test_what_a_share_could_show_agrees_with_its_interval(runs):
    # Markers lost in 3 runs of 24: counting alone is a normal's, not a t of two degrees of freedom (it said 60 %).
    found = check(runs, runs)
    for gate in found.gates:
        if gate.difference.metric.endswith(".lost"):
            assert gate.difference.detectable < 0.12
