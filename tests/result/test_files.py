"""Results read back from files: objects, arrays, histories."""

import json
import os
import threading

import pytest

from rtcprobe.report.history import line_of
from rtcprobe.report.json import dumps
from rtcprobe.result import Joins
from rtcprobe.result.files import MOST_RESULTS, load_results


@pytest.fixture
def small(make_result):
    """Return a factory of results of a few hundred bytes."""
    return lambda seed=1, **more: make_result(seed=seed, join=Joins(), mouth_to_ear={}, link={}, **more)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.json"


def seeds(loaded):
    return [each.seed for each in loaded.results]


def test_an_object_an_array_and_a_history_hold_the_same_results(make_result, path):
    results = [make_result(seed=seed) for seed in (1, 2)]
    written = [each.to_dict() for each in results]
    path.write_text(dumps(results[:1]), encoding="utf-8")
    assert load_results(path).results[0].to_dict() == written[0]
    path.write_text(dumps(results), encoding="utf-8")
    assert [each.to_dict() for each in load_results(path).results] == written
    path.write_bytes(b"".join(line_of(each) for each in results))
    assert [each.to_dict() for each in load_results(path).results] == written


@pytest.mark.parametrize("history", [True, False])
def test_the_last_of_one_scenario_are_chosen(small, path, history):
    runs = [small(seed, scenario=name) for seed in range(4) for name in ("a", "b")]
    if history:
        path.write_bytes(b"".join(line_of(each) for each in runs))
    else:
        path.write_text(dumps(runs), encoding="utf-8")
    assert seeds(load_results(path, last=3)) == [2, 3, 3]
    chosen = load_results(path, scenario="a", last=2)
    assert (seeds(chosen), {each.scenario for each in chosen.results}) == ([2, 3], {"a"})


def test_lines_longer_than_a_block_and_lines_across_blocks_are_read(small, path, monkeypatch):
    monkeypatch.setattr("rtcprobe.result.files._BLOCK_BYTES", 700)  # a line is some 500 bytes, one of them 5,000
    runs = [small(seed, warnings=("x" * 5000,) if seed == 7 else ()) for seed in range(12)]
    path.write_bytes(b"\n".join(line_of(each).strip() for each in runs))  # and the last has no end, but is whole
    assert seeds(load_results(path)) == list(range(12))
    assert load_results(path).warnings == ()


def test_a_torn_last_line_is_left_out_and_named(small, path):
    path.write_bytes(line_of(small(1)) + line_of(small(2)) + line_of(small(3))[:-9])
    loaded = load_results(path)
    assert seeds(loaded) == [1, 2]
    assert loaded.warnings == (f"{path}, line 3 has no end, its writer crashed: it is left out",)


def test_the_end_of_ten_thousand_results_is_read_without_the_rest(small, path):
    line = line_of(small(5))
    path.write_bytes(b'{"not": "read"}\n' + line * 9_999 + line_of(small(6)))
    assert seeds(load_results(path, last=2)) == [5, 6]


def test_lines_of_other_scenarios_are_not_parsed(small, path):
    broken = line_of(small(1, scenario="other")).replace(b'"seed"', b"seed")  # would be refused if it were read
    path.write_bytes(line_of(small(1)) + broken * MOST_RESULTS + line_of(small(2)))
    assert seeds(load_results(path, scenario="1v1-social")) == [1, 2]


def test_a_pipe_is_read_too(small, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(line_of(small(1)) + line_of(small(2))))
    writer.start()
    assert seeds(load_results(pipe, last=1)) == [2]
    writer.join()


def test_blank_lines_hold_nothing(small, path):
    path.write_bytes(b"\n" + line_of(small(1)) + b"\n\n" + line_of(small(2)) + b" \n")
    assert seeds(load_results(path)) == [1, 2]


def test_json_laid_out_on_one_line_is_read(small, path):
    path.write_text(json.dumps([small(1).to_dict(), small(2).to_dict()]), encoding="utf-8")
    assert seeds(load_results(path)) == [1, 2]
