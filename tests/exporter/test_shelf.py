"""Reports on disk: bounded by number and bytes, others' files left alone, and a full disk a state."""

import errno
import os
from pathlib import Path

import pytest

from rtcprobe.exporter.config import Reports
from rtcprobe.exporter.shelf import Shelf


@pytest.fixture
def shelf(tmp_path):
    return Shelf(Reports(folder=tmp_path / "reports", limit_bytes=500_000, keep=3))


def write(shelf, probe, number, size=1000):
    path = shelf.place(probe, number, 1.7e9 + number)
    path.write_bytes(b"x" * size)
    shelf.note(path, "")
    return path.name


def test_the_newest_of_each_probe_are_kept(shelf):
    names = [write(shelf, "a", number) for number in range(5)]
    other = write(shelf, "b", 0)
    assert [bool(shelf.find(name)) for name in names] == [False, False, True, True, True]
    assert shelf.find(other) is not None
    assert shelf.count == 4
    assert sorted(path.name for path in shelf.reports.folder.iterdir()) == sorted([*names[2:], other])


def test_bytes_are_bounded_and_the_oldest_of_all_go_first(shelf):
    first = write(shelf, "a", 0, 200_000)
    second = write(shelf, "b", 1, 200_000)
    third = write(shelf, "c", 2, 200_000)
    assert shelf.find(first) is None
    assert shelf.find(second) is not None
    assert shelf.find(third) is not None
    assert shelf.total_bytes == 400_000


def test_what_lies_there_from_before_is_counted_and_the_rest_is_left_alone(shelf):
    kept = write(shelf, "a", 1)
    notes = shelf.reports.folder / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    again = Shelf(shelf.reports)
    assert again.find(kept) is not None
    for number in range(2, 9):
        write(again, "a", number)
    assert again.count == 3
    assert notes.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["notes.txt", "../notes.txt", "a--20260101T000000Z--1.html/../x", "", ".", "a.html"])
def test_only_reports_are_found(shelf, name):
    (shelf.reports.folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert shelf.find(name) is None


def test_a_full_disk_is_a_state_and_passes_with_the_next_report(shelf):
    path = shelf.place("a", 1, 1.7e9)
    shelf.note(path, "No space left on device")
    assert (shelf.writable, shelf.count) == (False, 0)
    write(shelf, "a", 2)
    assert (shelf.writable, shelf.count) == (True, 1)


def test_a_folder_that_cannot_be_costs_reports_and_no_run(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    shelf = Shelf(Reports(folder=tmp_path / "file" / "reports"))
    assert shelf.fault == f"{tmp_path / 'file' / 'reports'} cannot be made: Not a directory"
    assert shelf.place("a", 1, 1.7e9) is None
    assert not shelf.writable


def test_a_folder_that_was_removed_is_made_again(shelf):
    name = write(shelf, "a", 1)
    (shelf.reports.folder / name).unlink()
    shelf.reports.folder.rmdir()
    write(shelf, "a", 2)
    assert shelf.writable


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO, errno.EBUSY, errno.EISDIR])
def test_a_report_that_cannot_be_removed_costs_the_next_report_and_is_told(shelf, monkeypatch, number):
    names = [write(shelf, "a", each) for each in range(3)]

    def no(_path, **_more):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "unlink", no)
    assert shelf.place("a", 9, 1.7e9 + 9) is None
    assert shelf.fault == f"{names[0]} cannot be removed: {os.strerror(number)}"
    monkeypatch.undo()
    write(shelf, "a", 9)
    assert (shelf.writable, shelf.count) == (True, 3)


def test_a_file_system_that_went_read_only_is_told_before_a_report_is_made(shelf, monkeypatch):
    write(shelf, "a", 1)
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)  # as root, only a read-only file system says so
    assert shelf.place("a", 2, 1.7e9) is None
    assert shelf.fault == f"{shelf.reports.folder} cannot be written to"


def test_a_folder_named_like_a_report_is_none(shelf):
    name = "a--20260101T000000Z--1.html"
    (shelf.reports.folder / name).mkdir()
    again = Shelf(shelf.reports)
    assert (again.count, again.find(name)) == (0, None)
    for number in range(9):
        write(again, "a", number)
    assert (again.writable, again.count) == (True, 3)


def test_a_report_said_to_be_written_and_not_there_is_told(shelf):
    path = shelf.place("a", 1, 1.7e9)
    shelf.note(path, "")
    assert shelf.fault == f"{path.name} is not there: No such file or directory"


def test_a_report_somebody_else_removed_is_no_trouble(shelf):
    name = write(shelf, "a", 1)
    (shelf.reports.folder / name).unlink()
    for number in range(2, 7):
        write(shelf, "a", number)
    assert shelf.count == 3


def test_without_a_folder_nothing_is_kept():
    shelf = Shelf(Reports())
    assert shelf.place("a", 1, 1.7e9) is None
    assert (shelf.count, shelf.writable) == (0, True)
