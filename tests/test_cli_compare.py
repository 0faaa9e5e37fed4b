"""``rtcprobe compare``: files in, sides out."""

import json

import pytest

from rtcprobe.report.history import line_of


@pytest.fixture
def write(tmp_path, make_result, light):
    """Write a history of runs of these scenarios with seeds 1 to 3; return its path."""

    def history(name, *scenarios):
        path = tmp_path / name
        names = scenarios or ("1v1-social",)
        runs = [make_result(seed=seed, scenario=each, **light) for each in names for seed in (1, 2, 3)]
        path.write_bytes(b"".join(line_of(each) for each in runs))
        return path

    return history


def test_files_are_sides_and_their_results_runs(rtcprobe, write, tmp_path):
    markdown, plain = tmp_path / "x.md", tmp_path / "x.json"
    code, out, err = rtcprobe(
        "compare", write("a.jsonl"), write("b.jsonl"), "--markdown", markdown, "--json", plain, "--last", 2
    )
    assert (code, err) == (0, "")
    assert " A  a: two runs (seeds 2, 3), 16 joins\n" in out
    assert "No difference is shown between a and b." in out
    assert [line.split(":")[0].strip() for line in out.splitlines() if "of joins later than 600 ms" in line] == [
        "a",
        "b",
    ]
    assert markdown.read_text(encoding="utf-8").startswith("### 1v1-social: b against a\n")
    assert [each["label"] for each in json.loads(plain.read_text(encoding="utf-8"))["sides"]] == ["a", "b"]


def test_a_page_is_made_of_the_comparisons_and_their_runs(rtcprobe, write, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "rtcprobe.report.html.render_comparison",
        lambda rankings, runs, **_dumps: asked.append((rankings, runs)) or "page",
    )
    page = tmp_path / "x.html"
    assert rtcprobe("compare", write("a.jsonl"), write("b.jsonl"), "-q", "--html", page) == (0, "", "")
    assert page.read_text(encoding="utf-8") == "page"
    ((ranking,), runs) = asked[0]
    assert [side.label for side in ranking.sides] == ["a", "b"] == [label for label, _ in runs]


def test_every_scenario_that_all_files_hold_is_compared(rtcprobe, write):
    a, b = write("a.jsonl", "x", "y", "only-a"), write("b.jsonl", "y", "x")
    code, out, err = rtcprobe("compare", a, b, "--json", "-")
    assert code == 0
    assert [each["sides"][0]["scenario"] for each in json.loads(out)] == ["x", "y"]
    assert "rtcprobe: warning: not in every file, so not compared: only-a\n" in err
    assert "No difference is shown" in err  # the screen gives way to the program that reads
    assert json.loads(rtcprobe("compare", a, b, "--scenario", "y", "--json", "-", "-q")[1])["sides"]


def test_files_of_one_name_are_told_apart_by_their_paths(rtcprobe, write, tmp_path):
    (tmp_path / "b").mkdir()
    a, b = write("a.jsonl"), write("b/a.jsonl")
    out = "".join(rtcprobe("compare", a, b)[1].split())  # where lines break depends on how long the paths are
    assert f"A{a}:" in out
    assert f"B{b}:" in out


def test_what_cannot_be_compared_is_a_sentence(rtcprobe, write, tmp_path):
    a, b = write("a.jsonl", "x"), write("b.jsonl", "y")
    missing = tmp_path / "missing.json"
    for arguments, sentence in (
        ((a,), f"{a} alone cannot be compared: name two files or more"),
        ((a, a), f"{a} is named twice: compare it with another file"),
        (
            (a, b),
            "no scenario is in every file (a holds x; b holds y): measure the same scenario on every side",
        ),
        ((a, missing), f"{missing} cannot be read: No such file or directory"),
        (
            (a, b, "--json", "x.out", "--markdown", "x.out"),
            "--json and --markdown are both x.out: give each a place of its own",
        ),
    ):
        assert rtcprobe("compare", *arguments) == (2, "", f"rtcprobe: {sentence}\n")
