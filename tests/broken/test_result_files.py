"""Files that are no results, and the sentence each gets."""

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report.history import line_of
from rtcprobe.report.json import dumps
from rtcprobe.result import Joins, files
from rtcprobe.result.files import load_results


@pytest.fixture
def small(make_result):
    return lambda seed=1, **more: make_result(seed=seed, join=Joins(), mouth_to_ear={}, link={}, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.json"


@pytest.fixture
def refusal(path):
    """Return the sentence that reading these bytes gets, the path left out."""

    def read(data=None, **wanted):
        if data is not None:
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        with pytest.raises(BadInputError) as caught:
            load_results(path, **wanted)
        return str(caught.value).replace(str(path), "x.json")

    return read


def test_no_file_a_folder_and_an_empty_file(refusal, path):
    assert refusal() == "x.json cannot be read: No such file or directory"
    assert refusal(b"") == "x.json is empty: write a result with rtcprobe run --json or --append"
    assert refusal(b"\n \n") == refusal(b"")
    path.unlink()
    path.mkdir()
    assert refusal() == "x.json cannot be read: it is a folder; name a file in it"


def test_a_document_cut_off(refusal, small):
    text = dumps([small(1), small(2)])
    sentence = "x.json is cut off: its JSON has no end: copy it again or measure again"
    for length in (1, 40, len(text) // 2, len(text) - 2):
        assert refusal(text[:length]) == sentence, length


def test_a_history_of_one_torn_line(refusal, small):
    assert refusal(line_of(small())[:100]) == (
        "x.json, line 1 is cut off: its JSON has no end: copy it again or measure again"
    )


def test_a_damaged_line_inside_a_history(refusal, small):
    line = line_of(small())
    assert refusal(line + line[:-40] + b"\n" + line) == (
        "x.json, line 2 is cut off: its JSON has no end: copy it again or measure again"
    )
    assert refusal(line + b"garbage\n" + line) == (
        "x.json, line 2 is not JSON (line 1, column 1): name a file that rtcprobe run --json or --append wrote"
    )


def test_other_text_and_other_bytes(refusal):
    cure = "name a file that rtcprobe run --json or --append wrote"
    assert refusal("name: 1v1-social\n") == f"x.json is not JSON (line 1, column 1): {cure}"
    assert refusal(b'{\n"a": "\xff"}') == f"x.json is not UTF-8 text: {cure}"
    assert refusal(b'{\n"a": NaN}') == f"x.json is not JSON (NaN is no number): {cure}"
    assert refusal(b"[" * 200_000) == f"x.json is not JSON (it is nested too deeply): {cure}"


def test_json_that_is_no_result(refusal):
    sentence = "x.json: this is not an rtcprobe result: it has no schema; rtcprobe.result/2 is expected"
    for text in ("{}", "7", '{\n"scenario": "a"\n}', "[[]]"):
        assert refusal(text).replace(", line 1", "") == sentence
    assert refusal("[]") == "x.json holds no result: write one with rtcprobe run --json or --append"


def test_a_result_of_another_schema_version(refusal, small):
    other = line_of(small()).replace(b"rtcprobe.result/2", b"rtcprobe.result/3")
    assert refusal(line_of(small()) + other) == (
        "x.json, line 2: result schema 'rtcprobe.result/3' cannot be read: this version reads rtcprobe.result/2 "
        "and rtcprobe.result/1; measure again"
    )


def test_no_result_of_the_scenario(refusal, small):
    assert refusal(line_of(small()), scenario="spoken-practice") == (
        "x.json holds no result of scenario 'spoken-practice': it has 1v1-social"
    )


def test_more_results_than_are_read(refusal, small, monkeypatch):
    monkeypatch.setattr(files, "MOST_RESULTS", 3)
    lines = line_of(small()) * 4
    assert refusal(lines) == (
        "x.json holds more than 3 results: choose the last ones with --last N, or one scenario with --scenario NAME"
    )
    assert refusal(lines, scenario="1v1-social") == (
        "x.json holds more than 3 results: choose the last ones with --last N"
    )


def test_a_document_too_long_to_read(refusal, small, monkeypatch):
    monkeypatch.setattr(files, "MOST_BYTES", 300)
    cure = "keep many results as a history, one a line, with --append"
    assert refusal(dumps([small()])) == f"x.json is a JSON document of more than 0 MB: {cure}"
    assert refusal(line_of(small())) == f"x.json is a JSON document of more than 0 MB: {cure}"
