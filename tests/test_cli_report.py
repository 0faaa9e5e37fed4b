"""``rtcprobe report``: files in, one page out."""

import json

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


def test_a_browsers_own_count_stands_beside_the_runs_and_nothing_of_its_address_does(rtcprobe, make_result, tmp_path):
    report = {
        "type": "inbound-rtp", "kind": "audio", "ssrc": 7, "timestamp": 1e12, "packetsReceived": 50, "packetsLost": 0,
        "jitterBufferDelay": 0.123 * 48_000, "jitterBufferEmittedCount": 48_000,
    }  # fmt: skip
    said = json.dumps(["getStats", "10-1", {"a": report}, 1000])
    dump = tmp_path / "call_dump"
    dump.write_text(f'RTCStatsDump\n{{"fileFormat":3}}\n["create","10-1",{{}},"https://me.example/room",1]\n{said}\n')
    page = tmp_path / "page.html"
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_bytes(line_of(make_result(seed=1)))
    other.write_bytes(line_of(make_result(seed=2)))
    code, _, err = rtcprobe("report", one, "--dump", dump, "-o", page)
    assert (code, err) == (0, "")
    text = page.read_text(encoding="utf-8")
    assert "call_dump" in text
    assert "123.0" in text
    assert "me.example" not in text
    code, out, _ = rtcprobe("compare", one, other, "--dump", dump)
    assert code == 0
    assert "call_dump: jitter buffer 123.0 ms" in " ".join(out.split())
    code, _, err = rtcprobe("hear", dump)
    assert code == 2
    assert "without a packet to hear" in err


def test_a_stored_run_is_told_in_the_words_of_a_service_or_in_a_sentence_that_it_cannot(
    rtcprobe, history, rendered, tmp_path
):
    assert rtcprobe("report", history, "--figures", "trtc", "-o", tmp_path / "page.html")[0] == 0
    assert {each.name for each in rendered[0][0].named} == {"audioBlockRate", "point2PointDelay", "秒开率"}
    code, _, err = rtcprobe("report", history, "--figures", "zego", "-o", tmp_path / "page.html")
    assert (code, err.count("\n")) == (2, 2)  # the history's own warning, and this
    assert "figures 'zego' is no service whose words are known: use one of agora, trtc, volcengine" in err
