"""What took long to encode is kept: whole or not at all, within its bounds, and never in anybody's way."""

import os
from pathlib import Path

import pytest

from rtcprobe.shelf import Shelf, default_folder

FRAMES = [b"one", b"", b"three" * 100]


def test_frames_come_back_as_they_were_all_of_them_or_the_first(tmp_path):
    Shelf("speech", tmp_path).put("a name", FRAMES)
    shelf = Shelf("speech", tmp_path)
    assert shelf.take("a name", 3) == FRAMES
    assert shelf.take("a name", 1) == FRAMES[:1]
    assert shelf.take("a name", 4) is None
    assert shelf.take("another name", 1) is None
    assert Shelf("film", tmp_path).take("a name", 1) is None


@pytest.mark.parametrize("at", [0, 4, 8, 12, 20, -1])
def test_what_is_damaged_is_as_if_it_were_not_there_and_is_replaced(tmp_path, at):
    shelf = Shelf("speech", tmp_path)
    shelf.put("a name", FRAMES)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[at] ^= 1
    for damage in (bytes(flipped), whole[: len(whole) + at if at < 0 else at], whole + b"x"):
        path.write_bytes(damage)
        assert shelf.take("a name", 1) is None
    shelf.put("a name", FRAMES)
    assert shelf.take("a name", 3) == FRAMES


def test_where_nothing_can_be_written_or_there_is_no_home_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    for nowhere in (Shelf("film", tmp_path / "file" / "below"), Shelf("film", Path(os.devnull))):
        nowhere.put("a name", FRAMES)
        assert nowhere.take("a name", 1) is None
    monkeypatch.delenv("RTCPROBE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert default_folder() is None
    Shelf("film").put("a name", FRAMES)
    assert Shelf("film").take("a name", 1) is None


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    shelf = Shelf("film", tmp_path)
    shelf.put("a name", FRAMES)
    monkeypatch.setattr(Path, "replace", full)
    shelf.put("a name", [b"longer"] * 9)
    assert len(list(tmp_path.iterdir())) == 1
    assert shelf.take("a name", 3) == FRAMES


def test_of_films_and_speech_together_what_was_not_used_for_longest_goes_and_others_files_stay(tmp_path):
    others = [tmp_path / name for name in ("home.film", "notes.part", "a.speech")]
    for path in others:
        path.write_bytes(bytes(30_000))
        os.utime(path, (0, 0))
    films, speech = (Shelf(kind, tmp_path, most_bytes=25_000) for kind in ("film", "speech"))
    for age, (shelf, name) in enumerate(((films, "first"), (speech, "second"))):
        shelf.put(name, [bytes(9_000)])
        for path in set(tmp_path.iterdir()).difference(others):
            if path.stat().st_mtime > 1e6:
                os.utime(path, (age, age))
    assert films.take("first", 1) == [bytes(9_000)]  # used just now
    speech.put("third", [bytes(9_000)])
    assert speech.take("second", 1) is None
    assert films.take("first", 1) == speech.take("third", 1) == [bytes(9_000)]
    assert all(path.exists() for path in others)


def test_a_cache_folder_of_the_environment_counts_where_it_is_absolute(tmp_path, monkeypatch):
    monkeypatch.delenv("RTCPROBE_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for base, folder in (
        (str(tmp_path / "x"), tmp_path / "x"),
        ("here", tmp_path / ".cache"),
        ("", tmp_path / ".cache"),
    ):
        monkeypatch.setenv("XDG_CACHE_HOME", base)
        assert default_folder() == folder / "rtcprobe"
