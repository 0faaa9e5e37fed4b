import os
import sys
import types

import pytest

from rtcprobe import cli


@pytest.fixture
def refusal(capfd, monkeypatch):
    """Run the command line; return the sentence of a refusal, made before anything ran."""

    def never(*_args, **_kwargs):
        raise AssertionError("nothing may run")

    monkeypatch.setitem(sys.modules, "rtcprobe.probe", types.SimpleNamespace(run_probe=never))

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main([str(each) for each in arguments])
        out, err = capfd.readouterr()
        assert (left.value.code, out) == (2, "")
        assert err.count("\n") == 1
        return err.removeprefix("rtcprobe: ").rstrip()

    return run


def test_an_unknown_scenario(refusal):
    assert refusal("run", "1v1-socail") == ("scenario '1v1-socail' is not known: did you mean 1v1-social?")


def test_flags_are_judged_as_the_keys_they_set(refusal):
    place = "scenario 1v1-social"
    assert refusal("run", "1v1-social", "--joins", "0") == f"{place}: call.joins 0 is impossible: give 1 to 100000"
    assert refusal("run", "1v1-social", "--duration", "60") == (
        f"{place}: call.duration: duration '60' has no unit: write it like 80ms"
    )
    assert refusal("run", "1v1-social", "--link", "loss 130%") == (
        f"{place}: link: loss 130% is impossible: give 0% to 100%"
    )
    assert refusal("run", "1v1-social", "--playout", "60ms") == (
        f"{place}: playout: playout '60ms' is not known: use neteq, neteq:100ms, fixed:60ms or aiortc"
    )
    assert refusal("run", "1v1-social", "--set", "call.jions=3") == (
        f"{place}: call.jions is not known: did you mean joins?"
    )


def test_a_budget_on_a_metric_that_does_not_exist(refusal):
    assert refusal("run", "1v1-social", "--set", "budgets=[mouth_to_eer p95 < 1s]") == (
        "scenario 1v1-social: budget 'mouth_to_eer p95 < 1s': metric 'mouth_to_eer' does not exist: "
        "the nearest: mouth_to_ear, mouth_to_ear.r, mouth_to_ear.mos"
    )


def test_one_bad_scenario_of_several_runs_none(refusal):
    assert refusal("run", "1v1-social", "nowhere.yaml").startswith("scenario nowhere.yaml cannot be read: ")


def test_places_that_cannot_be_written_are_told_before_anything_runs(refusal, tmp_path):
    there = tmp_path / "there.txt"
    there.write_text("", encoding="utf-8")
    missing = tmp_path / "missing"
    assert refusal("run", "1v1-social", "--json", missing / "x.json") == (
        f"{missing}/x.json cannot be written: the folder {missing} does not exist"
    )
    assert refusal("run", "1v1-social", "--json", tmp_path) == (
        f"{tmp_path} cannot be written: it is a folder; name a file in it"
    )
    assert refusal("run", "1v1-social", "--wav", there) == f"{there} cannot be written: File exists"
    assert refusal("run", "1v1-social", "--wav", there / "x") == f"{there}/x cannot be written: Not a directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write(refusal, tmp_path):
    tmp_path.chmod(0o500)
    assert refusal("run", "1v1-social", "--json", tmp_path / "x.json") == (
        f"{tmp_path}/x.json cannot be written: you have no right to write there"
    )


def test_bad_usage_is_one_sentence_too(refusal):
    assert refusal("run") == "Missing argument 'SCENARIO...'."
    assert refusal("juggle").startswith("command 'juggle' is not known: use one of adapt, check, compare, ")
    assert refusal("run", "1v1-social", "--seed", "-1") == ("Invalid value for '--seed': -1 is not in the range x>=0.")


def test_an_unknown_region(refusal):
    assert refusal("links", "singapur") == "region 'singapur' is not known: did you mean singapore?"


def test_link_and_set_link_together(refusal):
    sentence = "--link and --set link are given together: write the whole link in one of them"
    for setting in ("link.loss=2%", "link=loss 2%", " link .loss=2%"):
        assert refusal("run", "1v1-social", "--link", "delay 80ms", "--set", setting) == sentence


def test_sound_of_one_scenario_over_that_of_another(refusal, tmp_path):
    assert refusal("run", "1v1-social", "1v1-social", "--wav", tmp_path) == (
        f"--wav {tmp_path}: two scenarios are named 1v1-social: run them one by one, each into a folder of its own"
    )
    assert refusal("run", "1v1-social", "--wav", "") == "--wav '' is no folder: name one, or leave --wav out"


def test_pictures_are_not_asked_for_where_nobody_shows_any(refusal, tmp_path):
    there = tmp_path / "pictures"
    assert refusal("run", "1v1-social", "1v1-long-haul", "--video", there) == (
        f"--video {there}: nobody shows a picture here: set video, as --set video.codec=vp8"
    )
    assert not there.exists()


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (("link", "fit", "x.pcap"), ("--trace", "--json")),
        (("hear", "x.pcap"), ("--json", "--html")),
        (("hear", "x.pcap"), ("--html", "--wav")),
        (("place", "x.yaml"), ("--json", "--html")),
        (("relay", "--link", "delay 1ms", "--listen", "127.0.0.1:5", "--to", "127.0.0.1:6"), ("--csv", "--html")),
        (("compare", "a.json", "b.json"), ("--json", "--html")),
        (("adapt", "step"), ("--json", "--html")),
        (("sweep", "run", "x.yaml"), ("--output", "--parquet")),
    ],
)
def test_two_outputs_of_any_command_have_two_places(refusal, tmp_path, monkeypatch, command, flags):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    for path in ("x.out", "./x.out", "again/x.out"):
        sentence = f"{' and '.join(flags)} are both {path}: give each a place of its own"
        assert refusal(*command, flags[0], "x.out", flags[1], path) == sentence


def test_outputs_that_cannot_be_meant(refusal, tmp_path):
    path = tmp_path / "x.json"
    assert refusal("run", "1v1-social", "--json", path, "--junit", path) == (
        f"--json and --junit are both {path}: give each a place of its own"
    )
    assert refusal("run", "1v1-social", "--append", "-") == "--append - is no file: name one"
    path.write_text("{\n}", encoding="utf-8")
    assert refusal("run", "1v1-social", "--append", path) == (
        f"{path} is no history of results, one a line: name another file, or a new one"
    )


def test_budget_files_that_cannot_be_meant(refusal, tmp_path):
    path = tmp_path / "budgets.yaml"
    assert refusal("run", "1v1-social", "--budgets", path) == (
        f"budgets {path} cannot be read: No such file or directory"
    )
    path.write_text("spoken-practice: [join.failed mean <= 0%]", encoding="utf-8")
    assert refusal("run", "1v1-social", "--budgets", path) == (
        f'{path} has no budgets for 1v1-social: name it there, or write "*" for every scenario'
    )
    path.write_bytes(b"\xff")
    assert refusal("run", "1v1-social", "--budgets", path) == f"budgets {path} cannot be read: it is not UTF-8 text"
