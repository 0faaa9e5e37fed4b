"""The GitHub Action: in step with the command line, and its scripts run as a runner would."""

import os
import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from rtcprobe.cli import cli

ROOT = Path(__file__).resolve().parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
SCRIPTS = {step["name"]: step for step in STEPS if "run" in step}


def test_only_github_s_own_actions_are_used():
    workflow = yaml.safe_load((ROOT / ".github/workflows/calls.yml").read_text(encoding="utf-8"))
    used = [step["uses"] for step in [*STEPS, *workflow["jobs"]["calls"]["steps"]] if "uses" in step]
    assert {each.split("@")[0] for each in used} <= {
        "actions/setup-python", "actions/upload-artifact", "actions/checkout", "./",
    }  # fmt: skip
    given = next(step["with"] for step in workflow["jobs"]["calls"]["steps"] if step.get("uses") == "./")
    assert given.keys() <= ACTION["inputs"].keys()


def test_no_input_becomes_text_of_a_script():
    assert not [name for name, step in SCRIPTS.items() if "${{" in step["run"]]


def test_every_input_and_output_is_used_and_exists():
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"inputs\.([\w-]+)", text))
    assert named == set(ACTION["inputs"])
    written = {name: set(re.findall(r'echo "(\w+)=', step["run"])) for name, step in SCRIPTS.items()}
    ids = {step["id"]: written[step["name"]] for step in STEPS if "id" in step}
    for step, output in re.findall(r"steps\.(\w+)\.outputs\.(\w+)", text):
        assert output in ids[step]


def test_every_flag_is_one_of_the_command():
    context = click.Context(cli)
    known = {
        name: {
            flag for option in cli.get_command(context, name).params for flag in (*option.opts, *option.secondary_opts)
        }
        for name in cli.list_commands(context)
    }
    measure = SCRIPTS["Place the calls"]["run"]
    flags = set(re.findall(r"(?<=[\s(])--[a-z-]+(?=[ )])", measure))
    assert {"--append", "--baseline", "--tolerance", "--budgets", "--strict", "--junit", "--github"} == flags
    assert flags - {"--baseline", "--tolerance"} <= known["run"]
    assert flags <= known["check"]
    assert "--output" in known["report"]


@pytest.fixture
def runner(tmp_path):
    """Run a script of the action with inputs; a stand-in for rtcprobe notes its words and exits with ``code``."""
    program = tmp_path / "rtcprobe/bin/rtcprobe"
    program.parent.mkdir(parents=True)
    program.write_text(
        '#!/usr/bin/env bash\nprintf "%s\\n" "$@" > words\n'
        'while [ $# -gt 0 ]; do case $1 in --append|--output) echo x > "$2";; esac; shift; done\nexit "$CODE"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)

    def run(name, code=0, **inputs):
        step = SCRIPTS[name]
        output = tmp_path / "output"
        output.write_text("", encoding="utf-8")
        environment = {"RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(output), "CODE": str(code)}
        for key, value in step["env"].items():
            found = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value)
            if found:
                environment[key] = inputs.get(found[1], ACTION["inputs"][found[1]]["default"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],  # as the runner does
            env={"PATH": os.environ["PATH"], **environment}, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        words = tmp_path / "words"
        said = words.read_text(encoding="utf-8").splitlines() if words.exists() else []
        words.unlink(missing_ok=True)
        return done, said, dict(line.split("=", 1) for line in output.read_text(encoding="utf-8").splitlines())

    return run


def test_without_a_baseline_scenarios_are_run(runner):
    done, words, output = runner(
        "Place the calls", scenarios="a b\n./c*.yaml", budgets="my budgets.yaml", strict="true"
    )
    assert done.returncode == 0, done.stderr
    assert words == [
        "run", "--budgets", "my budgets.yaml", "--strict", "--junit", "rtcprobe-junit.xml",
        "--append", "rtcprobe-results.jsonl", "--github", "--", "a", "b", "./c*.yaml",
    ]  # fmt: skip
    assert output == {"verdict": "pass", "code": "0"}


def test_with_a_baseline_they_are_checked_and_flags_keep_their_spaces(runner):
    _, words, _ = runner(
        "Place the calls", baseline="b.jsonl", tolerance="+15ms", junit="",
        arguments="--link=delay 80ms loss 2%\n\n--set=$(touch owned)\n",
    )  # fmt: skip
    assert words[:7] == [
        "check", "--baseline", "b.jsonl", "--tolerance", "+15ms", "--link=delay 80ms loss 2%", "--set=$(touch owned)",
    ]  # fmt: skip


@pytest.mark.parametrize(("code", "verdict"), [(1, "fail"), (2, "error"), (3, "inconclusive"), (130, "error")])
def test_a_verdict_is_kept_for_the_last_step(runner, code, verdict):
    done, _, output = runner("Place the calls", code=code)
    assert (done.returncode, output) == (0, {"verdict": verdict, "code": str(code)})
    assert runner("Give the verdict", code=code)[0].returncode == code


def test_a_report_is_written_of_results_alone(runner):
    assert runner("Write the report")[1:] == ([], {})
    runner("Place the calls")
    _, words, output = runner("Write the report")
    assert words == ["report", "rtcprobe-results.jsonl", "--output", "rtcprobe-report.html"]
    assert output == {"results": "rtcprobe-results.jsonl", "report": "rtcprobe-report.html"}
    assert runner("Write the report", report="")[2] == {"results": "rtcprobe-results.jsonl"}
