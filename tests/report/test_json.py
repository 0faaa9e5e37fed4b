import json
import os

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report.json import dumps, write_json
from rtcprobe.result import Result


def test_one_result_is_an_object_and_several_an_array(make_result):
    assert json.loads(dumps([make_result()]))["scenario"] == "1v1-social"
    assert [each["seed"] for each in json.loads(dumps([make_result(), make_result(seed=2)]))] == [1, 2]


def test_a_file_is_read_back_as_it_was_written(make_result, tmp_path):
    path = tmp_path / "result.json"
    write_json([make_result()], str(path))
    read = Result.from_dict(json.loads(path.read_text(encoding="utf-8")))
    assert read.to_dict() == make_result().to_dict()
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]  # nothing left beside it


def test_a_failed_write_leaves_the_old_file_whole(make_result, tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    path.write_text("old", encoding="utf-8")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInputError, match=r"result\.json cannot be written: No space left on device$"):
        write_json([make_result()], str(path))
    assert path.read_text(encoding="utf-8") == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]
