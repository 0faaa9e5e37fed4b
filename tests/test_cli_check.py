"""``rtcprobe check``: what passes, what fails and is named, what is refused, what is never overwritten."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from rtcprobe.cli.check import _seeds
from rtcprobe.report.history import append_result
from rtcprobe.result import Joins
from rtcprobe.result.files import load_results
from rtcprobe.verdict.breaking import parse_break

_STORED: list[bytes] = []  # measured once: every test but the first copies it


@pytest.fixture
def baseline(rtcprobe, probe, light, tmp_path):
    """Return a baseline of 1v1-social, seeds 1 to 3."""
    path = tmp_path / "baseline.jsonl"
    probe.changes = light
    if not _STORED:
        code, out, _ = rtcprobe("check", "1v1-social", "--baseline", path, "--update-baseline", "-q")
        said = f"NEW   1v1-social: three runs to compare with\n{path}: baseline of 1v1-social written\n"
        assert (code, out) == (0, said)
        _STORED.append(path.read_bytes())
        probe.calls.clear()
    path.write_bytes(_STORED[0])
    return path


def test_unchanged_code_passes_with_the_seeds_of_the_baseline(rtcprobe, probe, baseline):
    before = baseline.read_bytes()
    code, out, _ = rtcprobe("check", "1v1-social", "--baseline", baseline)
    assert code == 0
    assert out.startswith("PASS  1v1-social      three runs, paired · virtual clock · tolerance statistical\n")
    assert [each.seed for each in probe.calls] == [1, 2, 3]
    assert baseline.read_bytes() == before


def test_a_check_says_what_the_goals_came_to_and_that_time_passed_is_no_other_software(
    rtcprobe, probe, baseline, tmp_path
):
    probe.changes |= {
        "environment": {
            "rtcprobe": "0.1.0",
            "python": "3.11.9",
            "date": "2026-11-29T12:00:00+00:00",
            "host": "other",
            "commit": "abc",
        }
    }
    markdown = tmp_path / "x.md"
    code, out, _ = rtcprobe("check", "1v1-social", "--baseline", baseline, "--markdown", markdown)
    assert code == 0
    said = " ".join(out.split())
    assert "] of joins later than 600 ms, 100% [" in said
    assert "of markers later than 100 ms" in said
    assert "other software" not in said
    assert "of joins later than 600 ms" in markdown.read_text(encoding="utf-8")


def test_a_run_that_the_baseline_lost_is_told_even_when_quiet(rtcprobe, probe, baseline):
    baseline.write_bytes(baseline.read_bytes()[:-400])
    code, out, err = rtcprobe("check", "1v1-social", "--baseline", baseline, "-q")
    assert (code, out) == (0, "PASS 1v1-social\n")
    assert [each.seed for each in probe.calls] == [1, 2]
    assert f"rtcprobe: warning: {baseline}, line 3 has no end, its writer crashed: it is left out" in err


def test_fifteen_milliseconds_in_one_stage_fail_and_the_stage_is_named(rtcprobe, probe, slower, baseline):
    probe.alter = lambda result: slower(result, stage_s=0.015)
    code, out, _ = rtcprobe("check", "1v1-social", "--baseline", baseline)
    assert code == 1
    assert out.startswith("FAIL  1v1-social")
    assert out.count("\n") <= 39  # the verdict stays on a screen of 40 rows
    moved = out.split("─ What moved ─")[1].split("─ Join")[0]
    assert "stage device, caller to callee: +15" in moved
    assert "stage device, callee to caller: +15" in moved
    assert "phase" not in moved


def test_one_more_round_trip_in_a_join_fails_and_the_phase_is_named(rtcprobe, probe, slower, baseline, tmp_path):
    probe.alter = lambda result: slower(result, phase_s=0.066)  # conftest: a round trip is 66 ms
    junit = tmp_path / "junit.xml"
    code, out, _ = rtcprobe("check", "1v1-social", "--baseline", baseline, "--junit", junit)
    assert code == 1
    moved = out.split("─ What moved ─")[1].split("─ Join")[0]
    assert "phase dtls: +66" in moved
    assert "stage" not in moved
    cases = ET.parse(junit).getroot().findall("testsuite/testcase")
    failed = {
        each.get("name"): each.find("failure").get("message") for each in cases if each.find("failure") is not None
    }
    assert set(failed) == {f"join.first_audio {p} against its baseline" for p in ("p50", "p95")}
    assert all("what moved: phase dtls: +66" in each for each in failed.values())


def test_what_is_within_the_tolerance_passes(rtcprobe, probe, slower, baseline):
    probe.alter = lambda result: slower(result, stage_s=0.015)
    assert rtcprobe("check", "1v1-social", "--baseline", baseline, "--tolerance", "+20ms", "-q")[:2] == (
        0,
        "PASS 1v1-social\n",
    )
    assert rtcprobe("check", "1v1-social", "--baseline", baseline, "--tolerance", "+5ms", "-q")[0] == 1


def test_a_baseline_is_replaced_only_when_asked_and_others_stay_in_it(rtcprobe, probe, slower, baseline):
    rtcprobe("check", "spoken-practice", "--baseline", baseline, "--update-baseline", "--runs", 1, "-q")
    probe.alter = lambda result: slower(result, stage_s=0.015)
    assert rtcprobe("check", "1v1-social", "--baseline", baseline, "-q")[0] == 1
    update = ("check", "1v1-social", "--baseline", baseline, "--update-baseline", "-q")
    assert rtcprobe(*update)[:2] == (1, f"FAIL 1v1-social\n{baseline}: baseline of 1v1-social written\n")
    assert rtcprobe("check", "1v1-social", "--baseline", baseline, "-q")[0] == 0
    held = [(each.scenario, each.seed) for each in load_results(baseline).results]
    assert held == [("spoken-practice", 1), *(("1v1-social", seed) for seed in (1, 2, 3))]


def test_another_situation_may_replace_the_baseline_without_being_compared(rtcprobe, probe, baseline):
    del probe
    code, out, err = rtcprobe(
        "check", "1v1-social", "--baseline", baseline, "--update-baseline", "--runs", 2, "--link", "delay 80ms", "-q"
    )
    assert code == 0
    assert out.startswith("NEW   1v1-social: two runs to compare with\n")
    assert "rtcprobe: warning: not compared with the old baseline: " in err


def test_runs_that_cannot_be_trusted_are_no_baseline(rtcprobe, probe, baseline):
    before = baseline.read_bytes()
    probe.changes |= {"verdict": "invalid", "reasons": ("the loop was late by 9 ms at p95",)}
    code, _, err = rtcprobe("check", "1v1-social", "--baseline", baseline, "--update-baseline", "-q")
    assert code == 3
    assert err.endswith(f"rtcprobe: {baseline} is left as it was\n")
    assert baseline.read_bytes() == before


def test_an_interrupted_check_leaves_the_baseline(rtcprobe, probe, baseline):
    before = baseline.read_bytes()
    probe.changes |= {"interrupted": True}
    code, _, err = rtcprobe("check", "1v1-social", "--baseline", baseline, "--update-baseline", "-q")
    assert (code, err) == (130, f"rtcprobe: {baseline} is left as it was\n")
    assert len(probe.calls) == 1
    assert baseline.read_bytes() == before


def test_budgets_decide_too_where_they_are_named(rtcprobe, probe, baseline, tmp_path):
    del probe
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text("[join.first_audio p50 < 10ms]", encoding="utf-8")
    code, out, _ = rtcprobe("check", "1v1-social", "--baseline", baseline, "--budgets", budgets, "-q")
    assert code == 1
    assert out.splitlines()[0].startswith("1v1-social, seed 1: join.first_audio p50 < 10ms is 487.0 ms")
    assert out.splitlines()[-1] == "PASS 1v1-social"


def test_seeds_are_the_baseline_s_unless_told(make_result):
    held = [make_result(seed=seed, join=Joins(), mouth_to_ear={}, link={}) for seed in (4, 5)]
    assert _seeds(held, None, None, fresh=False) == (4, 5)
    assert _seeds(held, 3, None, fresh=False) == (4, 5, 6)
    assert _seeds(held, None, 9, fresh=False) == (9, 10)
    assert _seeds(held, None, None, fresh=True) == (6, 7)  # as many, which the baseline does not have
    assert _seeds([], None, None, fresh=False) == (1, 2, 3)


def test_a_check_is_written_as_json_and_markdown_and_its_runs_appended(rtcprobe, probe, slower, baseline, tmp_path):
    probe.alter = lambda result: slower(result, stage_s=0.015)
    markdown, history = tmp_path / "x.md", tmp_path / "history.jsonl"
    _, out, err = rtcprobe(
        "check", "1v1-social", "--baseline", baseline, "--json", "-", "--markdown", markdown, "--append", history
    )
    assert json.loads(out)["verdict"] == "fail"
    assert "FAIL  1v1-social" in err
    assert "- **stage device, caller to callee: +15" in markdown.read_text(encoding="utf-8")
    assert len(load_results(history).results) == 3


def test_what_does_not_compare_is_refused_before_anything_is_measured(rtcprobe, probe, baseline, tmp_path):
    missing = tmp_path / "missing.jsonl"
    check = ("check", "1v1-social", "--baseline", baseline)
    for arguments, sentence in (
        (
            ("check", "1v1-social", "--baseline", missing),
            f"baseline {missing} does not exist: store a first one with --update-baseline",
        ),
        (
            ("check", "spoken-practice", "--baseline", baseline),
            f"baseline {baseline} holds nothing of spoken-practice (it has 1v1-social): add it with --update-baseline",
        ),
        (
            ("check", "1v1-social", "1v1-social", "--baseline", baseline),
            "two scenarios are named 1v1-social: check them one by one, each with its own baseline",
        ),
        ((*check, "--append", baseline), f"--baseline {baseline} is an output too: give each a place of its own"),
    ):
        assert rtcprobe(*arguments) == (2, "", f"rtcprobe: {sentence}\n")
    for arguments, start in (
        (("--link", "delay 80ms"), f"{baseline}: the baseline measured another 1v1-social: link"),
        (("--real-time",), f"{baseline}: the baseline is of clock virtual, this run of real: "),
        (("--runs", "5"), f"{baseline}: the baseline has seeds 1 to 3, this run seeds 1 to 5: give this run the"),
        (("--tolerance", "15"), "tolerance '15'"),
    ):
        code, out, err = rtcprobe(*check, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith(f"rtcprobe: {start}"), err
    assert probe.calls == []


def test_what_another_check_stored_in_the_meantime_stays_in_the_baseline(rtcprobe, probe, baseline, make_result):
    def other_check(_scenario):
        if "elsewhere" not in baseline.read_text(encoding="utf-8"):
            append_result(make_result(scenario="elsewhere"), str(baseline))

    probe.before = other_check
    assert rtcprobe("check", "1v1-social", "--baseline", baseline, "--update-baseline", "-q")[0] == 0
    assert {each.scenario for each in load_results(baseline).results} == {"1v1-social", "elsewhere"}


def test_a_baseline_of_endless_numbers_is_refused(rtcprobe, probe, baseline):
    text = baseline.read_text(encoding="utf-8")
    baseline.write_text(re.sub('"delay_ms":[0-9.]+', '"delay_ms":1e999', text, count=1), encoding="utf-8")
    code, _, err = rtcprobe("check", "1v1-social", "--baseline", baseline, "-q")
    assert (code, probe.calls) == (2, [])
    assert "caller_to_callee.samples.0.delay_ms inf is no number that was measured: measure again" in err


@pytest.mark.parametrize(
    ("change", "culprit"),
    [("device +30ms", "stage device, caller to callee: +30ms"), ("dtls +66ms", "phase dtls: +66ms")],
)
@pytest.mark.usefixtures("probe")
def test_a_gate_can_be_seen_red_and_the_baseline_stays(rtcprobe, baseline, change, culprit):
    before = baseline.read_bytes()
    code, out, _ = rtcprobe("check", "1v1-social", "--baseline", baseline, "--break", change)
    assert code == 1
    assert culprit in out
    assert f"note: broken on purpose: {change}; the baseline is as it was" in " ".join(out.split())
    assert baseline.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--break", "devise +30ms"),
            "--break 'devise +30ms': these runs have no stage or phase 'devise': did you mean device?",
        ),
        (("--break", "device 30ms"), "--break 'device 30ms' cannot be read: write it like 'device +30ms'"),
        (("--break", "device +0ms"), "--break 'device +0ms' breaks nothing: give a delay above 0ms"),
        (
            ("--break", "device +30ms", "--update-baseline"),
            "--update-baseline would keep runs that --break broke on purpose: leave out --update-baseline or --break",
        ),
        (
            ("--break", "device +30ms", "--append", "history.jsonl"),
            "--append would keep runs that --break broke on purpose: leave out --append or --break",
        ),
    ],
)
def test_a_break_that_cannot_be_meant_is_a_sentence_before_anything_is_measured(
    rtcprobe, probe, baseline, arguments, sentence
):
    code, _, err = rtcprobe("check", "1v1-social", "--baseline", baseline, *arguments)
    assert (code, probe.calls) == (2, [])
    assert sentence in " ".join(err.split())


@pytest.mark.parametrize("written", ["jitter buffer +30ms", "jitter-buffer + 30ms", " jitter_buffer  +30ms "])
def test_a_stage_to_break_may_be_written_as_the_screen_shows_it(written):
    assert parse_break(written) == parse_break("jitter_buffer +30ms")
