"""Results of schema ``/1``: recorded with the code that wrote it, read as this version's.

``golden/results_v1``: ``one_call`` from when a run was one call; ``calls``, ``failing`` (45 % loss) and ``protected``
(RED and NACK) from when it was several.
"""

import json
from pathlib import Path

import pytest

from rtcprobe.probe import run_probe
from rtcprobe.report.html import render_report
from rtcprobe.report.markdown import results_markdown
from rtcprobe.result import SCHEMA, Result
from rtcprobe.result.files import load_results
from rtcprobe.scenario import find_scenario
from rtcprobe.verdict import check, compare

FOLDER = Path(__file__).parents[1] / "golden" / "results_v1"
UNKNOWN_THEN = ("summary", "figures", "spans")
"""What is made of figures, and what no account said yet: when it was listened to, and its gaps."""

NAMES = ("one_call", "calls", "failing", "protected")
SETTINGS = {
    "calls": ("call.joins=2", "call.calls=2"),
    "failing": ("call.joins=5", "call.calls=1", "call.join_timeout=4s"),
    "protected": ("call.joins=2", "call.calls=1", "protection.red=1", "protection.nack=true"),
}


def older(name):
    (result,) = load_results(FOLDER / f"{name}.json").results
    return result


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_in_schema_1_is_written_in_this_and_read_back_whole(name):
    written = older(name).to_dict()
    assert written["schema"] == SCHEMA
    assert Result.from_dict(json.loads(json.dumps(written))) == older(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_schema_1_is_still_there(name):
    def numbers(value):
        if isinstance(value, dict):
            return [found for each in value.values() for found in numbers(each)]
        if isinstance(value, list):
            return [found for each in value for found in numbers(each)]
        return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []

    before = json.loads((FOLDER / f"{name}.json").read_text())
    kept = numbers(older(name).to_dict())
    assert [each for each in numbers(before) if each not in kept] == []


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_of_today_measures_what_was_recorded_in_schema_1(name):
    link = {"failing": ("link=delay 40ms loss 45%",), "protected": ("link=delay 40ms loss 12%",)}.get(name, ())
    recorded = older(name)
    scenario = find_scenario("1v1-social", [*SETTINGS[name], "call.duration=1s", *link])
    today = run_probe(scenario, seed=recorded.seed, clock="virtual").to_dict()
    then = recorded.to_dict()
    # Versions may be others. What is made of the figures (intervals, budgets, reasons) is no measurement.
    judged = ("environment", "budgets", "verdict", "reasons")
    assert measured({key: value for key, value in today.items() if key not in judged}) == measured(
        {key: value for key, value in then.items() if key not in judged}
    )


def measured(value):
    if isinstance(value, dict):
        return {key: measured(each) for key, each in value.items() if key not in UNKNOWN_THEN}
    return [measured(each) for each in value] if isinstance(value, list) else value


def test_results_of_schema_1_report_compare_and_serve_as_baselines():
    first, again = older("calls"), older("calls")
    page = render_report([older(name) for name in NAMES])
    assert "caller → callee" in page
    assert "1v1-social" in results_markdown([older(name) for name in NAMES])
    found = compare([first], [again])
    assert {each.verdict for each in found.differences} <= {"no difference shown", "not judged", "not measured"}
    assert check([again], [first]).verdict != "fail"
