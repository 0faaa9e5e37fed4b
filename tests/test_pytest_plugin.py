"""The pytest plugin: as a user's tests have it, and what they see when a call breaks a budget."""

import subprocess
import sys
import types

import pytest

from rtcprobe.errors import MeasurementError
from rtcprobe.result.files import load_results
from rtcprobe.verdict import judge

pytest_plugins = ("pytester",)

SHORT = {"call.calls": 1, "call.joins": 1, "call.duration": "2s"}


# The example of the README: these two place real calls, in virtual time.


def test_two_friends_are_connected_quickly(rtcprobe_run):
    result = rtcprobe_run("1v1-social", settings=SHORT, budgets=["join.first_audio max < 2s", "join.failed mean <= 0%"])
    assert result.mouth_to_ear["caller_to_callee"].heard > 0


async def test_a_slower_link_is_heard_later(rtcprobe_run_async):
    result = await rtcprobe_run_async(
        "1v1-social", settings=SHORT, link="delay 200ms", budgets=["mouth_to_ear mean > 200ms"], check=False
    )
    assert result.budgets[0].value > 0.2


@pytest.fixture
def suite(pytester, monkeypatch, make_result, light):
    """Run a suite whose calls answer at once with the factory's result, changed by ``suite.changes``."""
    state = types.SimpleNamespace(changes={}, error=None, seeds=[], plans=[])

    def run_probe(scenario, *, seed, clock, engine):
        assert engine == "stack"
        state.seeds.append((seed, clock))
        state.plans.append(scenario)
        if state.error is not None:
            raise state.error
        return judge(
            make_result(scenario=scenario.name, seed=seed, clock=clock, **(light | state.changes)), scenario.budgets
        )

    def run(body, *options):
        monkeypatch.setitem(sys.modules, "rtcprobe.probe", types.SimpleNamespace(run_probe=run_probe))
        pytester.makepyfile(body)
        plugins = ("--disable-plugin-autoload", "-p", "rtcprobe.pytest_plugin", "-p", "no:cacheprovider")
        return pytester.runpytest_inprocess(*plugins, *options)

    state.run = run
    return state


CALL = """
    def test_call(rtcprobe_run):
        rtcprobe_run("1v1-social", budgets=["join.first_audio p50 < 10ms", "join.failed mean <= 0%"])
"""


def test_a_missed_budget_fails_the_test_by_name_with_the_screen_below(suite):
    done = suite.run(CALL)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "FAIL 1v1-social (seed 1)",
            "  join.first_audio p50 < 10ms is 487.0 ms *",  # conftest: phases of 487 ms in all
            "*Captured stdout call*",
            "FAIL  1v1-social *",
        ]
    )
    done.stdout.no_fnmatch_line("*Traceback*")


def test_silence_fails_the_test(suite):
    suite.changes = {"mouth_to_ear": {}}
    done = suite.run("def test_call(rtcprobe_run):\n    rtcprobe_run('1v1-social', budgets=[])\n")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["INCONCLUSIVE 1v1-social (seed 1)", "  caller to callee: none of 0 markers was heard*"])


def test_check_false_leaves_the_verdict_to_the_test(suite):
    done = suite.run(
        """
        def test_call(rtcprobe_run):
            result = rtcprobe_run("1v1-social", budgets=["join.first_audio p50 < 10ms"], seed=4, check=False)
            assert result.verdict == "fail"
        """,
        "--rtcprobe-seed=9",
    )
    done.assert_outcomes(passed=1)
    assert suite.seeds == [(4, "virtual")]


def test_what_cannot_be_meant_is_one_sentence(suite):
    done = suite.run(
        """
        def test_name(rtcprobe_run):
            rtcprobe_run("1v1-socail")

        def test_budget(rtcprobe_run):
            rtcprobe_run("1v1-social", budgets=["join p50 < 1"])
        """
    )
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(
        [
            "rtcprobe: scenario '1v1-socail' is not known: *",
            "rtcprobe: budget 'join p50 < 1': metric 'join' does not exist: *",
        ]
    )


def test_settings_are_a_mapping_or_lines_and_a_link_stands_beside_them(suite):
    done = suite.run(
        """
        def test_mapping(rtcprobe_run):
            rtcprobe_run("1v1-social", settings={"call.joins": 7}, link="delay 40ms loss 5%", budgets=[])

        def test_lines(rtcprobe_run):
            rtcprobe_run("1v1-social", settings=["call.joins=7"], link="delay 40ms loss 5%", budgets=[])
        """
    )
    done.assert_outcomes(passed=2)
    first, second = suite.plans
    assert first.digest == second.digest
    assert (first.call.joins, first.settings["link"]) == (7, "delay 40ms loss 5%")


def test_parameters_that_cannot_be_meant_are_told_so(suite):
    done = suite.run(
        """
        def test_text(rtcprobe_run):
            rtcprobe_run("1v1-social", settings="call.joins=7")

        def test_twice(rtcprobe_run):
            rtcprobe_run("1v1-social", settings=["link=delay 3ms"], link="delay 40ms")

        def test_unknown(rtcprobe_run):
            rtcprobe_run("1v1-social", budget=["join.failed mean <= 0%"])
        """
    )
    done.assert_outcomes(failed=3)
    done.stdout.fnmatch_lines(
        [
            "rtcprobe: settings 'call.joins=7' is one text: write a list of them, or a mapping",
            "rtcprobe: link is given and among the settings too: write the whole link in one of them",
            "*rtcprobe_run has no parameter 'budget': use settings, link, budgets, *",
        ]
    )


def test_what_could_not_be_measured_is_one_sentence(suite):
    suite.error = MeasurementError("nobody answered", "start the server")
    done = suite.run(CALL)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["rtcprobe: nobody answered: start the server"])


async def test_the_blocking_fixture_refuses_an_async_test(rtcprobe_run):
    with pytest.raises(pytest.fail.Exception, match="in an async test await rtcprobe_run_async"):
        rtcprobe_run("1v1-social")


def test_options_give_the_seed_and_keep_a_history(suite, pytester):
    body = "def test_call(rtcprobe_run):\n    for _ in range(2):\n        rtcprobe_run('1v1-social', budgets=[])\n"
    suite.run(body, "--rtcprobe-seed=9", "--rtcprobe-append=history.jsonl").assert_outcomes(passed=1)
    assert [each.seed for each in load_results(pytester.path / "history.jsonl").results] == [9, 9]


def test_a_seed_below_zero_is_told_before_any_test(suite):
    suite.run(CALL, "--rtcprobe-seed=-1").stderr.fnmatch_lines(
        ["ERROR: --rtcprobe-seed -1 is impossible: give zero or more"]
    )


def test_a_history_that_cannot_be_written_is_told_before_any_test(suite):
    done = suite.run(CALL, "--rtcprobe-append=missing/history.jsonl")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(
        ["ERROR: --rtcprobe-append: missing/history.jsonl cannot be written: the folder missing does not exist"]
    )


def test_a_suite_without_calls_imports_nothing_for_the_plugin():
    script = (
        "import sys, rtcprobe.pytest_plugin\n"
        "print(sorted({'numpy', 'aiortc', 'av', 'rich', 'yaml', 'click', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
