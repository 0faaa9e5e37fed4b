import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rtcprobe.errors import BadInputError, ExitCode
from rtcprobe.result import (
    Account,
    Asked,
    BudgetOutcome,
    HeardCall,
    Join,
    LinkReport,
    Met,
    Quantile,
    Result,
    Sample,
    Summary,
)
from rtcprobe.result.plain import to_plain
from rtcprobe.verdict import judge, parse_budget
from rtcprobe.ways import BOTH_WAYS


@pytest.fixture
def judged(make_result):
    lines = ("join.first_audio p95 < 600ms", "mouth_to_ear p95 < 100ms (advisory)", "mouth_to_ear.lost mean < 1%")
    return judge(make_result(), [parse_budget(line) for line in lines])


def test_a_result_read_back_writes_the_same_bytes(judged):
    first = json.dumps(judged.to_dict(), allow_nan=False)
    assert json.dumps(Result.from_dict(json.loads(first)).to_dict(), allow_nan=False) == first


def test_a_result_read_back_is_in_seconds_again(judged):
    read = Result.from_dict(json.loads(json.dumps(judged.to_dict())))
    attempt = read.join.attempts[4]
    assert attempt.first_audio_s == pytest.approx(1.487, abs=1e-9)
    assert attempt.retransmissions[0].cost_s == 1.0
    assert read.link["caller_to_callee"].requested.delay_p50_s == pytest.approx(0.041)
    assert read.mouth_to_ear["caller_to_callee"].stages["look_ahead"] == pytest.approx(0.0065)
    assert read.budgets[0].limit == pytest.approx(0.6)


def test_json_is_in_milliseconds_under_the_promised_names(judged):
    data = judged.to_dict()
    promised = "schema scenario seed clock verdict environment join mouth_to_ear link harness budgets"
    assert set(promised.split()) <= data.keys()
    assert data["schema"] == "rtcprobe.result/2"
    attempt = data["join"]["attempts"][4]
    # 132 + 1 + 0 + 66 + 60 + (121 + 1000) + 45 + 62 ms
    assert attempt["marks"]["first_audio"] == 1487.0
    assert attempt["retransmissions"][0]["at_ms"] == 1260.0
    assert attempt["retransmissions"][0]["cost_ms"] == 1000.0
    summary = data["join"]["summary"]["first_audio_ms"]
    assert {"n", "p50", "p50_ci", "p95", "p95_ci"} <= summary.keys()
    ear = data["mouth_to_ear"]["caller_to_callee"]
    assert {"scheduled", "heard", "rejected", "lost", "samples", "stages", "summary"} <= ear.keys()
    assert {"spoken_ms", "heard_ms", "delay_ms", "correlation"} <= ear["samples"][0].keys()
    assert ear["stages"]["capture"] == 10.0
    assert data["link"]["caller_to_callee"]["achieved"]["delay_min_ms"] == 35.2
    assert {"expression", "value", "verdict"} <= data["budgets"][0].keys()


def test_numbers_that_are_no_numbers_become_null():
    report = LinkReport(requested=Asked(loss=math.nan), achieved=Met(delay_min_s=math.inf, offered_bps=np.float64(2.5)))
    plain = to_plain(report)
    assert plain["requested"]["loss"] is plain["achieved"]["delay_min_ms"] is None
    assert plain["achieved"]["offered_bps"] == 2.5


def test_the_last_bits_of_a_sum_do_not_show():
    # 0.1 + 0.2 and 0.3 differ by 5.6e-17 s; a run must not differ by the order of its additions.
    one, other = (Sample(marker=0, spoken_s=0.0, heard_s=d, delay_s=d, correlation=1.0) for d in (0.1 + 0.2, 0.3))
    assert to_plain(one) == to_plain(other)


def test_phases_that_do_not_sum_to_the_join_are_refused():
    with pytest.raises(BadInputError, match=r"^join phases sum to 300\.000 ms of 500\.000 ms"):
        Join(party="caller", round=0, marks={"first_audio": 0.5}, phases={"ice": 0.1, "dtls": 0.2})


def test_markers_that_do_not_add_up_are_refused():
    with pytest.raises(BadInputError, match=r"^3 markers scheduled but 1 heard"):
        Account(kind="mouth_to_ear", way=BOTH_WAYS[0], scheduled=3, heard=1, rejected=0, lost=1)


@pytest.mark.parametrize(("scheduled", "heard"), [(-1, -1), (3, 4), (3, -1)])
def test_a_call_in_which_more_was_heard_than_was_said_is_refused(scheduled, heard):
    with pytest.raises(BadInputError, match=f"^{heard} of {scheduled} were heard in call 0: impossible"):
        HeardCall(call=0, scheduled=scheduled, heard=heard)


def test_a_marker_of_a_call_that_the_run_did_not_make_is_refused(make_ear):
    ear = make_ear(1)
    calls = (HeardCall(call=0, scheduled=ear.scheduled, heard=ear.heard),)
    stray = (*ear.samples[:-1], replace(ear.samples[-1], call=7))
    with pytest.raises(BadInputError, match=r"^some markers are of call 7, which is not among the calls of the run: "):
        replace(ear, calls=calls, samples=stray)


def test_a_summary_keeps_open_intervals_and_refusals():
    summary = Summary(
        n=19,
        effective_n=19.0,
        quantiles=(
            Quantile(probability=0.5, value=0.1, low=0.09, high=0.2),
            Quantile(probability=0.9, value=0.15, low=0.1, high=None),
            Quantile(probability=0.95, value=None, needs=20),
        ),
    )
    data = summary.to_dict()
    assert data["p90_ci"] == [100.0, None]
    assert (data["p95"], data["p95_ci"], data["p95_needs"]) == (None, None, 20)
    assert Summary.from_dict(data) == summary


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"verdict": "pass"}, ExitCode.MET),
        ({"verdict": "fail"}, ExitCode.MISSED),
        ({"verdict": "inconclusive"}, ExitCode.NOT_MEASURED),
        ({"verdict": "invalid"}, ExitCode.NOT_MEASURED),
        ({"verdict": "fail", "interrupted": True}, ExitCode.INTERRUPTED),
    ],
)
def test_every_verdict_has_its_exit_code(make_result, changes, code):
    assert make_result(**changes).exit_code == code


def test_a_share_stays_a_share_in_json():
    outcome = BudgetOutcome(
        expression="join.failed mean < 1%", metric="join.failed", aggregate="mean", unit="share", limit=0.01,
        value=0.05, verdict="missed",
    )  # fmt: skip
    assert outcome.to_dict()["value"] == 0.05
    assert BudgetOutcome.from_dict(outcome.to_dict()) == outcome


def test_what_only_outside_targets_say_is_written_only_by_them(make_result):
    plain = make_result().to_dict()
    assert not {"measures", "cut", "peers"} & set(plain)
    assert "joiner" not in plain["join"]["attempts"][0]
    outside = replace(
        make_result(),
        measures=("round_trip",),
        cut="nothing came any more",
        parties={"caller": {"pair": "host to relay", "rtcp_round_trip_s": 0.052}},
    )
    data = json.loads(json.dumps(outside.to_dict()))
    assert data["parties"]["caller"]["rtcp_round_trip_ms"] == 52.0
    read = Result.from_dict(data)
    assert (read.measures, read.cut, read.parties) == (outside.measures, outside.cut, outside.parties)


def test_the_joins_of_a_party_are_those_timed_and_those_that_are_not(make_result):
    joins = make_result().join
    assert [each.round for each in joins.of("callee")] == [each.round for each in joins.of("caller")]
    assert {each.first_audio_s for each in joins.of("caller")} == {each.first_audio_s for each in joins.attempts}
    assert not any(each.phases for each in joins.of("callee"))
    assert joins.of("cho") == ()
