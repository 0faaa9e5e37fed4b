"""The engine as its users meet it: what it says of itself, what it refuses, and what it is never compared with."""

from dataclasses import replace

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.report.markdown import result_markdown
from rtcprobe.result import Joins, Result
from rtcprobe.scenario import find_scenario
from rtcprobe.verdict import check, compare, judge, parse_budget

BRIEF = ["call.duration=2s", "call.calls=2", "link=delay 40ms"]


def test_a_modelled_run_says_so_and_makes_no_joins():
    result = run_probe(find_scenario("1v1-social", BRIEF), seed=1, clock="virtual", engine="model")
    assert (result.engine, result.instrument) == ("model", "engine model")
    assert not result.join.attempts
    assert [each.heard for each in result.mouth_to_ear.values()] == [8, 8]
    assert result.to_dict()["engine"] == "model"
    assert Result.from_dict(result.to_dict()).engine == "model"
    assert any("makes no joins" in each for each in result.warnings)
    assert "Join" not in result_markdown(result)


def test_sound_is_written_as_from_the_stack(tmp_path):
    scenario = find_scenario("1v1-social", [*BRIEF, "call.calls=1"])
    run_probe(scenario, seed=1, clock="virtual", engine="model", wav_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_result_of_the_stack_says_nothing_of_engines(make_result):
    assert "engine" not in make_result().to_dict()


@pytest.fixture
def modelled(make_result, light):
    return make_result(**light | {"join": Joins(), "engine": "model"})


def test_a_modelled_run_whose_budgets_are_all_about_joins_does_not_pass(modelled):
    result = judge(
        modelled, [parse_budget("join.first_audio p50 < 1s"), parse_budget("mouth_to_ear p50 < 2s (advisory)")]
    )
    assert result.verdict == "inconclusive"
    assert "every budget that binds is about joins" in result.reasons[0]


def test_budgets_about_joins_stay_open_and_do_not_bind(modelled):
    lines = ["join.first_audio p95 < 600ms", "join.failed mean <= 0%", "mouth_to_ear p50 < 2s"]
    result = judge(modelled, [parse_budget(each) for each in lines], strict=True)
    assert [(each.verdict, each.advisory) for each in result.budgets] == [
        ("inconclusive", True),
        ("inconclusive", True),
        ("met", False),
    ]
    assert result.verdict == "pass"


def test_a_budget_that_a_modelled_run_misses_fails_it(modelled):
    assert judge(modelled, [parse_budget("mouth_to_ear p50 < 1ms")]).verdict == "fail"


def test_a_modelled_run_that_heard_nothing_is_inconclusive(modelled):
    assert judge(replace(modelled, accounts=()), []).verdict == "inconclusive"


def test_the_engines_are_never_compared(modelled, make_result, light):
    stack = make_result(**light)
    with pytest.raises(BadInputError, match="m is of engine model, s of stack"):
        compare([modelled], [stack], labels=("m", "s"))
    with pytest.raises(BadInputError, match="holds runs of different engines: model and stack"):
        compare([modelled, replace(stack, seed=2)], [stack], labels=("m", "s"))
    with pytest.raises(BadInputError, match="the baseline is of engine stack, this run of model"):
        check([stack], [modelled])
    assert compare([modelled], [modelled], labels=("m", "n")).paired


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--joins", "3"], "--joins 3: engine model makes no joins: leave --joins or --engine out"),
        (["--real-time"], "engine model knows no real time: it models the loopback in virtual time"),
        (
            ["--target", "whip+whep://sfu.example/live"],
            "engine model cannot call whip+whep://sfu.example/live: it models the loopback",
        ),
        (["--openmetrics", "figures.prom"], "leave out --push and --openmetrics, or --engine"),
    ],
)
def test_what_a_model_cannot_do_is_refused_in_one_sentence(rtcprobe, tmp_path, monkeypatch, flags, sentence):
    monkeypatch.chdir(tmp_path)
    code, _, said = rtcprobe("run", "1v1-social", "--engine", "model", *flags)
    assert code == 2
    assert sentence in " ".join(said.split())


def test_check_measures_and_compares_with_the_engine_it_was_asked_for(rtcprobe, probe, tmp_path):
    stored = str(tmp_path / "calls.json")
    asked = ("check", "1v1-social", "--baseline", stored)
    assert rtcprobe(*asked, "--engine", "model", "--update-baseline")[0] == 0
    assert {each.engine for each in probe.calls} == {"model"}
    code, _, said = rtcprobe(*asked)
    assert code == 2
    assert "the baseline is of engine model, this run of stack" in " ".join(said.split())


def test_vendors_are_not_compared_by_a_model(rtcprobe, probe):
    code, _, said = rtcprobe("vendors", "a=loopback", "b=loopback", "--engine", "model")
    assert (code, probe.calls) == (2, [])
    assert "vendors are compared by their joins too" in said
