"""Histories: whole lines or none, from any number of writers, through crashes."""

import errno
import fcntl
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report import history
from rtcprobe.report.history import append_result, check_appendable, line_of
from rtcprobe.report.json import dumps
from rtcprobe.result import Joins
from rtcprobe.result.files import load_results


@pytest.fixture
def small(make_result):
    return lambda seed=1, **more: make_result(seed=seed, join=Joins(), mouth_to_ear={}, link={}, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.jsonl"


WRITER = """
import json, sys
from rtcprobe.report.history import append_result
from rtcprobe.result import Result
data, path, first = json.load(open(sys.argv[1])), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.read(1)
for seed in range(first, first + 25):
    append_result(Result.from_dict(data | {"seed": seed}), path)
"""


def test_three_processes_lose_no_line_and_tear_none(small, path, tmp_path):
    data = tmp_path / "data.json"
    long = small(warnings=("x" * 20_000,))  # longer than a page
    data.write_text(dumps([long]), encoding="utf-8")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, data, path, str(first)], **pipes) for first in (25, 50)]
    assert [each.stdout.readline() for each in writers] == ["ready\n"] * 2
    for each in writers:
        each.stdin.write(".")
        each.stdin.flush()
    for seed in range(25):  # the third is this one
        append_result(replace(long, seed=seed), str(path))
    for each in writers:
        each.communicate()
    assert [each.returncode for each in writers] == [0] * 2
    assert sorted(each.seed for each in load_results(path).results) == list(range(75))


def test_a_torn_line_is_removed_and_said(small, path):
    whole, torn = line_of(small(1)), line_of(small(2))[:-40]
    path.write_bytes(whole + torn)
    said = append_result(small(3), str(path))
    assert said == f"{path}: the last line, {len(torn):,} bytes without an end, was torn by a crash and is removed"
    assert [each.seed for each in load_results(path).results] == [1, 3]


def test_a_whole_last_line_without_its_end_gets_it(small, path):
    path.write_bytes(line_of(small(1)).rstrip())
    assert append_result(small(2), str(path)) is None
    assert [each.seed for each in load_results(path).results] == [1, 2]


def test_a_write_that_fails_half_way_leaves_the_file_as_it_was(small, path, monkeypatch):
    append_result(small(1), str(path))
    before = path.stat().st_size
    write = os.write

    def half(file, data):
        if os.fstat(file).st_ino != path.stat().st_ino:
            return write(file, data)
        if len(data) < 300:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data[: len(data) // 2])

    monkeypatch.setattr(history.os, "write", half)
    with pytest.raises(BadInputError) as caught:
        append_result(small(2), str(path))
    assert str(caught.value) == f"{path} cannot be appended to: No space left on device"
    assert path.stat().st_size == before


def test_a_lock_that_is_never_let_go_ends_in_a_sentence(small, path, monkeypatch):
    monkeypatch.setattr(history, "LOCK_TIMEOUT_S", 0.01)
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BadInputError) as caught:
            append_result(small(), str(path))
    assert str(caught.value) == f"{path} is locked by another process: end it, or name another file"
    assert path.stat().st_size == 0


@pytest.mark.parametrize("text", ["my notes\n", "[]\n"])
def test_a_file_that_is_something_else_is_never_appended_to(path, text):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        check_appendable(str(path))
    assert str(caught.value) == f"{path} is no history of results, one a line: name another file, or a new one"


def test_a_result_written_by_json_is_no_history(small, path):
    path.write_text(dumps([small()]), encoding="utf-8")
    with pytest.raises(BadInputError, match="is no history of results, one a line"):
        check_appendable(str(path))


def test_new_and_empty_files_and_histories_may_be_appended_to(small, path):
    check_appendable(str(path))
    append_result(small(), str(path))
    check_appendable(str(path))
    path.write_bytes(b"")
    check_appendable(str(path))
