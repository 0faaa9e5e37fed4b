"""What the command line writes for a CI: JUnit, Markdown, histories, GitHub Actions."""

import json
from xml.etree import ElementTree as ET

import pytest

from rtcprobe.errors import MeasurementError
from rtcprobe.result.files import load_results

MISSED = "budgets=[join.first_audio p50 < 10ms, join.failed mean <= 0%]"


@pytest.fixture(autouse=True)
def quick(probe, light):
    probe.changes = light


@pytest.fixture
def github(monkeypatch, tmp_path):
    """Be a step of a GitHub workflow; return the path of its summary."""
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_junit_holds_a_suite_a_scenario(rtcprobe, probe, tmp_path):
    del probe
    path = tmp_path / "junit.xml"
    code, _, _ = rtcprobe("run", "1v1-social", "spoken-practice", "-q", "--junit", path, "--set", MISSED)
    assert code == 1
    suites = ET.parse(path).getroot().findall("testsuite")
    assert [(each.get("name"), each.get("tests"), each.get("failures")) for each in suites] == [
        ("1v1-social", "6", "1"),  # the measurement, two budgets, three goals
        ("spoken-practice", "6", "1"),
    ]
    assert all(float(each.get("time")) >= 0.0 for each in suites)


def test_a_scenario_that_could_not_be_measured_is_an_error_in_every_output(rtcprobe, probe, tmp_path, github):
    probe.error = MeasurementError("nobody answered", "start the server")
    path = tmp_path / "junit.xml"
    code, out, _ = rtcprobe("run", "1v1-social", "-q", "--junit", path)
    assert code == 3
    assert ET.parse(path).getroot().get("errors") == "1"
    assert out == "::error title=rtcprobe 1v1-social::nobody answered: start the server\n"
    assert github.read_text(encoding="utf-8") == (
        "### NOT MEASURED: 1v1-social\n\nnobody answered: start the server\n\n\n"
    )


def test_within_github_a_step_is_annotated_and_summed_up(rtcprobe, probe, github):
    del probe
    code, out, _ = rtcprobe("run", "1v1-social", "-q", "--set", MISSED)
    assert code == 1
    assert "::error title=rtcprobe 1v1-social::join.first_audio p50 < 10ms is 487.0 ms" in out
    assert github.read_text(encoding="utf-8").startswith("### FAIL: 1v1-social\n")
    assert "::" not in rtcprobe("run", "1v1-social", "-q", "--set", MISSED, "--no-github")[1]


def test_json_stays_alone_on_standard_output_within_github(rtcprobe, probe, github):
    del probe, github
    _, out, err = rtcprobe("run", "1v1-social", "--json", "-", "--set", MISSED)
    assert json.loads(out)["verdict"] == "fail"
    assert "::error title=rtcprobe 1v1-social::" in err


def test_markdown_on_standard_output_is_alone_there(rtcprobe, probe):
    del probe
    code, out, err = rtcprobe("run", "1v1-social", "--markdown", "-", "--set", "budgets=[]")
    assert code == 0
    assert out.startswith("### PASS: 1v1-social\n")
    assert "Join: 8 of 8 heard" in err


def test_every_run_is_appended(rtcprobe, probe, tmp_path):
    del probe
    path = tmp_path / "history.jsonl"
    for seed in (1, 2):
        rtcprobe("run", "1v1-social", "spoken-practice", "-q", "--append", path, "--seed", seed)
    found = load_results(path).results
    assert [(each.scenario, each.seed) for each in found] == [
        ("1v1-social", 1),
        ("spoken-practice", 1),
        ("1v1-social", 2),
        ("spoken-practice", 2),
    ]


def test_an_interrupted_run_is_appended_too(rtcprobe, probe, tmp_path):
    probe.changes |= {"interrupted": True}
    path = tmp_path / "history.jsonl"
    assert rtcprobe("run", "1v1-social", "-q", "--append", path)[0] == 130
    assert load_results(path).results[0].interrupted


def test_an_output_that_fails_afterwards_costs_no_other(rtcprobe, probe, tmp_path):
    junit, history = tmp_path / "junit.xml", tmp_path / "history.jsonl"
    probe.before = lambda _scenario: history.mkdir()  # appears while the call is measured
    code, out, err = rtcprobe("run", "1v1-social", "--append", history, "--junit", junit, "--set", "budgets=[]")
    assert code == 2
    assert out.startswith("PASS  1v1-social")
    assert err.splitlines()[-1] == f"rtcprobe: {history} cannot be appended to: Is a directory"
    assert junit.exists()


def test_budgets_of_a_file_replace_those_of_the_scenario(rtcprobe, probe, tmp_path):
    path = tmp_path / "budgets.yaml"
    path.write_text("'*': [join.failed mean <= 0%]\n1v1-social: [join.first_audio p50 < 10ms (advisory)]\n")
    assert rtcprobe("run", "1v1-social", "-q", "--budgets", path)[0] == 0
    scenario = probe.calls[0].scenario
    assert [each.expression for each in scenario.budgets] == ["join.failed mean <= 0%", "join.first_audio p50 < 10ms"]
    assert scenario.settings["budgets"] == ["join.failed mean <= 0%", "join.first_audio p50 < 10ms (advisory)"]


def test_strict_fails_what_is_undecided(rtcprobe, probe):
    # 7 of 8 joins take 487 ms, one 1,487 ms: the median's interval holds both.
    del probe
    undecided = ["run", "1v1-social", "-q", "--set", "budgets=[join.first_audio p50 < 1s]"]
    assert rtcprobe(*undecided)[0] == 0
    assert rtcprobe(*undecided, "--strict")[0] == 1


def test_a_reader_who_leaves_costs_no_output(rtcprobe, probe, tmp_path, monkeypatch):
    def leave(*_args):
        raise SystemExit(1)  # as rich and click do where the pipe is broken

    monkeypatch.setattr("rtcprobe.report.terminal.print_result", leave)
    paths = {flag: tmp_path / flag for flag in ("json", "junit", "markdown", "append")}
    words = [word for flag, path in paths.items() for word in (f"--{flag}", path)]
    code, _, _ = rtcprobe("run", "1v1-social", "spoken-practice", *words)
    assert code == 141  # no verdict was delivered, and the second scenario not begun
    assert len(probe.calls) == 1
    assert all(path.stat().st_size for path in paths.values())
