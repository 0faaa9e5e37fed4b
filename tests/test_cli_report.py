"""``rtcprobe report``: files in, one page out."""

import pytest

from rtcprobe.report.history import line_of
from rtcprobe.result import Joins
from rtcprobe.verdict import judge


@pytest.fixture
def history(tmp_path, make_result):
    """Return a history of three small results, seeds 1 to 3, the last line torn."""
    path = tmp_path / "history.jsonl"
    runs = [judge(make_result(seed=seed, join=Joins(), mouth_to_ear={}, link={}), []) for seed in (1, 2, 3)]
    path.write_bytes(b"".join(line_of(each) for each in runs) + b'{"schema"')
    return path


@pytest.fixture
def rendered(monkeypatch):
    """Keep what the page is made of, and render nothing."""
    asked = []
    monkeypatch.setattr("rtcprobe.report.html.render_report", lambda results, **_title: asked.append(results) or "page")
    return asked


def test_a_page_is_made_of_every_file(rtcprobe, history, rendered, tmp_path):
    output = tmp_path / "report.html"
    code, out, err = rtcprobe("report", history, history, "--last", 2, "-o", output)
    assert (code, out) == (0, f"{output}: 4 inconclusive or invalid (0 kB)\n")
    assert [each.seed for each in rendered[0]] == [2, 3, 2, 3]
    assert output.read_text(encoding="utf-8") == "page"
    assert f"rtcprobe: warning: {history}, line 4 has no end, its writer crashed: it is left out" in err


def test_a_page_may_go_to_standard_output(rtcprobe, history, rendered):
    del rendered
    assert rtcprobe("report", history, "-o", "-")[:2] == (0, "page")


def test_bad_files_and_places_are_sentences(rtcprobe, history, tmp_path):
    missing = tmp_path / "missing"
    assert rtcprobe("report", history, "-o", missing / "x.html") == (
        2, "", f"rtcprobe: {missing}/x.html cannot be written: the folder {missing} does not exist\n"
    )  # fmt: skip
    assert rtcprobe("report", missing, "-o", tmp_path / "x.html") == (
        2, "", f"rtcprobe: {missing} cannot be read: No such file or directory\n"
    )  # fmt: skip
    code, _, err = rtcprobe("report", history, "-o", tmp_path / "x.html", "--scenario", "other")
    assert code == 2
    assert err.splitlines()[-1] == f"rtcprobe: {history} holds no result of scenario 'other': it has 1v1-social"
    assert not (tmp_path / "x.html").exists()
