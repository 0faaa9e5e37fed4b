import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report.json import check_writable, dumps, locked_folder, write_json, write_whole
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


def test_a_link_stays_a_link_and_what_it_points_at_is_written(tmp_path):
    real, link = tmp_path / "shared" / "base.json", tmp_path / "base.json"
    real.parent.mkdir()
    link.symlink_to(real)
    for text in ("first", "second"):  # the first one makes what the link points at
        write_whole(text, str(link))
        assert (link.is_symlink(), real.read_text(encoding="utf-8")) == (True, text)
    assert [each.name for each in real.parent.iterdir()] == ["base.json"]


def test_a_link_that_leads_nowhere_is_refused(tmp_path):
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    gone = tmp_path / "gone"
    gone.symlink_to(tmp_path / "no folder" / "x")
    for path, said in ((circle, "leads nowhere"), (gone, "no folder does not exist")):
        with pytest.raises(BadInputError, match=said):
            check_writable(str(path))


def test_a_pipe_is_written_to_its_reader_and_refused_where_there_is_none(tmp_path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setattr("rtcprobe.report.json.READER_TIMEOUT_S", 0.02)
    with pytest.raises(BadInputError, match="nobody read this pipe for 0 s"):
        write_whole("x", str(pipe))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole("é", str(pipe))
    assert os.read(reader, 10).decode() == "é"
    os.close(reader)


def test_whoever_changes_a_file_waits_for_whoever_does_so_already(tmp_path, monkeypatch):
    path = tmp_path / "base.json"
    path.write_text("0", encoding="utf-8")

    def add(_):
        with locked_folder(str(path)):
            number = int(path.read_text(encoding="utf-8"))
            write_whole(str(number + 1), str(path))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(40)))
    assert path.read_text(encoding="utf-8") == "40"
    monkeypatch.setattr("rtcprobe.report.json.LOCK_TIMEOUT_S", 0.02)
    with locked_folder(str(path)), pytest.raises(BadInputError, match="is locked by another process"):
        add(None)
    assert [each.name for each in tmp_path.iterdir()] == ["base.json"]
