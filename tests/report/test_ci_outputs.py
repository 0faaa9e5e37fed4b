"""JUnit, GitHub annotations, Markdown: what a CI reads of a result."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import junitparser
import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report.cases import Case, Suite, fault, result_cases
from rtcprobe.report.github import annotation_lines, append_summary
from rtcprobe.report.junit import junit
from rtcprobe.report.markdown import plain, results_markdown, table
from rtcprobe.result import BudgetOutcome
from rtcprobe.verdict import judge

# Children and attributes of each element, of which the first are required. Source: xunit-plugin, junit-10.xsd.
XSD = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, set()),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name"},
        {"time", "classname", "group"},
    ),
    "failure": (set(), set(), {"type", "message"}),
    "error": (set(), set(), {"type", "message"}),
    "skipped": (set(), set(), {"type", "message"}),
    "system-out": (set(), set(), set()),
}


def outcome(verdict, **more):
    fields = {
        "expression": f"join.first_audio p95 < {600 + len(verdict)}ms", "metric": "join.first_audio",
        "aggregate": "p95", "unit": "s", "limit": 0.6, "value": 0.6302, "low": 0.6184, "verdict": verdict,
    }  # fmt: skip
    return BudgetOutcome(**(fields | more))


@pytest.fixture
def result(make_result):
    return make_result(
        verdict="fail",
        reasons=("join.first_audio p95 < 606ms",),
        budgets=(
            outcome("met"),
            outcome("missed", reason="2 of 20 never came"),
            outcome("missed", advisory=True, reason="odd\x1b[31m \ud800 & <b>"),
            outcome("undecided", reason="the limit lies inside the 95 % interval"),
            outcome("inconclusive", value=None, low=None, reason="p95 needs 20 samples, 2 were taken"),
        ),
    )


def outcomes(result):
    return [each.outcome for each in result_cases(result) if not each.goal]


def suites(text):
    return list(junitparser.JUnitXml.fromstring(text.encode()))


def test_junit_has_a_case_a_budget_each_with_its_outcome_and_sentence(result):
    (suite,) = suites(junit(result_cases(result)))
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == (
        "1v1-social", 9, 1, 1, 3,  # three goals, of which the ears' are missed
    )  # fmt: skip
    by_name = {case.name: case for case in suite}
    assert next(iter(by_name)) == "measurement"
    missed = by_name["join.first_audio p95 < 606ms"].result[0]
    assert isinstance(missed, junitparser.Failure)
    assert missed.message == "join.first_audio p95 < 606ms is 630.2 ms [618.4–open]: 2 of 20 never came"
    undecided = by_name["join.first_audio p95 < 609ms"]
    assert not undecided.result
    assert undecided.system_out.startswith("undecided: join.first_audio p95 < 609ms is 630.2 ms [618.4–open]: the")
    assert isinstance(by_name["join.first_audio p95 < 612ms"].result[0], junitparser.Error)
    assert isinstance(by_name["join.first_audio p95 < 606ms (advisory)"].result[0], junitparser.Skipped)


def test_a_suite_says_when_where_and_how_long_and_its_main_figures(make_result):
    made = {"date": "2026-11-29T11:44:06+00:00", "host": "ci-7", "commit": "abc-dirty", "rtcprobe": "0.1"}
    result = judge(make_result(environment=made), [])
    root = ET.fromstring(junit(result_cases(result), [Suite.of(result.scenario, [result], 12.3456)]))
    suite = root.find("testsuite")
    assert (suite.get("time"), suite.get("timestamp"), suite.get("hostname")) == (
        "12.346", "2026-11-29T11:44:06", "ci-7",
    )  # fmt: skip
    assert [case.get("time") for case in suite.iter("testcase")] == ["12.346", "0.000", "0.000", "0.000"]
    assert root.get("time") == "12.346"
    told = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert {key: told[key] for key in ("seed", "clock", "target", "commit")} == {
        "seed": "1", "clock": "virtual", "target": "loopback", "commit": "abc-dirty",
    }  # fmt: skip
    assert told["join.first_audio p95"] == "1,487.0 ms [487.0–open]"
    several = Suite.of("a", [result, replace(result, seed=2)], 1.0).properties
    assert several["seed"] == "1, 2"
    assert "join.first_audio p95" not in several


def test_goals_are_cases_that_never_fail_and_are_not_annotated(result):
    cases = [each for each in result_cases(result) if each.goal]
    assert [each.name for each in cases] == [
        "goal: 600 ms to connect",
        "goal: 100 ms to the ear, caller → callee",
        "goal: 100 ms to the ear, callee → caller",
    ]
    assert {each.outcome for each in cases} == {"noted"}
    assert cases[1].message.startswith("100% [")
    assert not annotation_lines(cases)


def test_an_undecided_budget_is_a_failure_under_strict(result):
    (suite,) = suites(junit(result_cases(result, strict=True)))
    assert suite.failures == 2


def test_junit_keeps_to_the_schema_of_jenkins(result):
    told = [Suite.of(result.scenario, [result], 1.5), Suite.of("other", [], 0.5)]
    for element in ET.fromstring(junit([*result_cases(result), fault("other", "nobody answered")], told)).iter():
        children, required, optional = XSD[element.tag]
        assert required <= set(element.keys()) <= required | optional
        assert {child.tag for child in element} <= children


def test_characters_that_xml_cannot_hold_are_spelt(result):
    text = junit(result_cases(result))
    assert r"odd\x1b[31m \ud800 &amp; &lt;b&gt;" in text
    assert text.encode()  # a lone surrogate could not be


def test_a_run_that_heard_nothing_is_red_without_any_budget(make_result):
    silent = make_result(verdict="inconclusive", reasons=("none of 20 joins was heard",))
    assert outcomes(silent) == ["error"]
    assert outcomes(make_result(verdict="invalid", reasons=("loop lag",))) == ["error"]
    assert outcomes(make_result(verdict="pass")) == ["passed"]


def test_annotations_come_gravest_first_and_escaped(result):
    lines = annotation_lines([*result_cases(result), fault("x: a, b", "100%\r\nlost")])
    assert [line.split(" ", 1)[0] for line in lines] == ["::error"] * 3 + ["::warning"] * 2
    assert lines[0].startswith("::error title=rtcprobe 1v1-social::join.first_audio p95 < 606ms is 630.2 ms")
    assert "::error title=rtcprobe x%3A a%2C b::100%25%0D%0Alost" in lines
    assert not any("\n" in line for line in lines)


def test_what_passed_is_not_annotated(make_result):
    assert annotation_lines(result_cases(make_result(verdict="pass", budgets=(outcome("met"),)))) == []


def test_a_summary_is_appended_and_keeps_within_its_mebibyte(tmp_path):
    path = tmp_path / "summary.md"
    environment = {"GITHUB_STEP_SUMMARY": str(path)}
    append_summary(["first\n"], environment)
    append_summary(["x" * 2**20, "short\n"], environment)
    assert path.read_text(encoding="utf-8") == "first\nshort\n"
    append_summary(["nowhere"], {})


def test_a_summary_that_cannot_be_written_is_a_sentence(tmp_path):
    with pytest.raises(BadInputError) as caught:
        append_summary(["x"], {"GITHUB_STEP_SUMMARY": str(tmp_path)})
    assert str(caught.value) == f"GITHUB_STEP_SUMMARY {tmp_path} cannot be written: Is a directory"


def test_markdown_tells_the_verdict_first_and_folds_what_was_met(result):
    text = results_markdown([result])
    assert text.startswith("### FAIL: 1v1-social\n\nseed 1, virtual clock, loopback\n")
    shown, folded = text.split("<details><summary>1 budget met</summary>")
    assert shown.index("**missed**") < shown.index("**inconclusive**") < shown.index("**undecided**")
    assert "| met | `join.first_audio p95 < 603ms` | 630.2 ms | [618.4–open] |" in folded
    assert "| dtls | 121.0 | 1,121.0 |" in folded  # conftest: 121 ms, and a second for the flight lost
    assert "Slowest: 1,000 ms of this 1,487 ms join was one lost DTLS flight." in folded


def test_several_results_are_led_by_a_table_and_brief_is_the_table_alone(result):
    other = replace(result, scenario="other", verdict="pass", reasons=())
    text = results_markdown([result, other])
    assert text.startswith("## rtcprobe\n\n| verdict | scenario |")
    assert "### PASS: other" in text
    assert "###" not in results_markdown([result, other], brief=True)


def test_text_from_outside_stays_text_in_markdown(make_result):
    nasty = "<img src=x onerror=y> | `a` [l](http://h) @someone *b*\n# c"
    text = results_markdown([make_result(verdict="invalid", reasons=(nasty,), warnings=(nasty,))])
    for raw in ("<img", "`a`", "[l]", "http://", "@someone", "*b*", "\n# c"):
        assert raw not in text
    assert plain("a|b") == "a&#124;b"


def test_columns_of_numbers_are_flush_right():
    assert table(["a", "b"], [["x", "1"]], numbers=1) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"


def test_cases_without_a_message_say_their_name():
    assert annotation_lines([Case(suite="s", name="n", outcome="failed")]) == ["::error title=rtcprobe s::n"]


def test_markdown_opens_with_what_was_found_and_holds_it_against_the_goals(make_result):
    text = results_markdown([judge(make_result(), [])])
    assert "**Joining took 487 ms, for one call in twenty more than 1,487, 887 over the goal of 600;" in text
    assert (
        "- Goal: 600 ms to connect: 10% &#91;2.8%–30%&#93; of 20 joins took longer, one in twenty may: undecided"
        in text
    )
    assert "- Goal: 100 ms to the ear, caller → callee: 100% " in text
