"""``.ci/live``: the live suite in two groups, and no way out on which one of them is forgotten."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYTEST = """#!/bin/bash
# Stands for python -m pytest: says what it was asked, and ends as the test wants of its group.
group=timed; [[ "$*" != *"-m beside"* ]] || group=beside
echo "$group: $*" >>"$ASKED"
echo "===== $group closes ====="
ended="ended_$group"
ended=${!ended}
[ "$ended" -gt 128 ] && kill -$((ended - 128)) $$
exit "$ended"
"""


@pytest.fixture
def live(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(PYTEST, encoding="utf-8")
    python.chmod(0o755)
    (tmp_path / "bin" / "setpriv").write_text('#!/bin/bash\nexec "${@:3}"\n', encoding="utf-8")  # wants rights
    (tmp_path / "bin" / "setpriv").chmod(0o755)

    def run(timed, beside, *arguments, again=False):
        asked = tmp_path / "asked"
        asked.unlink(missing_ok=True)
        env = {
            **os.environ, "VENV": str(tmp_path), "LIVE_CACHE": str(tmp_path / "cache"), "ASKED": str(asked),
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "ended_timed": str(timed), "ended_beside": str(beside),
            "AGAIN": "1" if again else "",
        }  # fmt: skip
        done = subprocess.run(
            [str(ROOT / ".ci/live"), *arguments], env=env, capture_output=True, text=True, timeout=30, check=False
        )
        calls = asked.read_text(encoding="utf-8") if asked.exists() else ""
        groups = {
            group: "failed" if "--last-failed" in rest else "all" for group, rest in re.findall(r"(\w+): (.*)", calls)
        }
        return done.returncode, groups, done.stdout

    return run


@pytest.mark.parametrize("ended", [(1, 0), (0, 1), (1, 1), (0, 3), (4, 0), (139, 0), (0, 137), (5, 0), (0, 5)])
def test_whatever_befalls_either_group_fails_all(live, ended):
    code, groups, _ = live(*ended)
    assert code == next(each for each in ended if each)
    assert groups == {"timed": "all", "beside": "all"}


def test_a_group_that_is_broken_off_ends_the_other_and_both_are_asked_again(live):
    assert live(2, 0)[0] == 2
    assert live(0, 0, again=True)[1]["timed"] == "all"


def test_both_groups_closing_lines_stand_in_the_output(live):
    code, _, output = live(0, 1)
    assert code == 1
    assert re.findall(r"===== (\w+) closes", output) == ["timed", "beside"]


def test_a_group_without_any_of_the_tests_asked_for_by_name_is_no_failure(live):
    assert live(0, 5, "-k", "janus")[0] == 0
    assert live(5, 5, "-k", "jnaus")[0] == 5


def test_again_asks_those_that_failed_and_the_whole_of_a_group_that_crashed(live):
    live(1, 0)
    assert live(0, 0, again=True)[:2] == (0, {"timed": "failed"})
    live(139, 1)
    code, groups, output = live(0, 0, again=True)
    assert (code, groups) == (0, {"timed": "all", "beside": "failed"})
    assert re.findall(r"===== (\w+) closes", output) == ["timed", "beside"]


def test_who_fails_again_fails(live):
    live(0, 1)
    assert live(0, 1, again=True)[0] == 1
    live(137, 1)
    assert live(137, 0, again=True)[0] == 137
