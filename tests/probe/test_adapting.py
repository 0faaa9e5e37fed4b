"""A real call on a line that changes, told second by second: what is counted where, and what is refused before."""

import json
import math
from types import SimpleNamespace

import pytest

from rtcprobe.adaptation import Course, case_of_link, figures_of
from rtcprobe.errors import MeasurementError
from rtcprobe.link import Fate
from rtcprobe.picture.payload import vp8_size
from rtcprobe.probe.adapting import Adapted, Adapting, _course, _decided
from rtcprobe.probe.harness import LIMIT_S
from rtcprobe.report.adapt import held_by
from rtcprobe.runtime.seconds import Lateness

KEY = bytes.fromhex("9080 8001 10 0000 9d012a 8002 e001")  # descriptor, tag of a key frame, start code, 640, 480
SMALL = bytes.fromhex("9080 8002 10 0000 9d012a e001 6841")  # 480, 360 with a scale in the upper two bits
DELTA = bytes.fromhex("9080 8003 11 0000 9d012a 8002 e001")


def test_the_size_of_a_picture_stands_in_its_key_frames_alone():
    assert [vp8_size(each) for each in (KEY, SMALL, DELTA, KEY[:9], b"")] == [(640, 480), (480, 360), None, None, None]


def watched(payloads, codec="VP8"):
    """Return a picture of which these payloads came, (second, payload), and who listened to it: to nothing."""
    arrivals = [SimpleNamespace(at_s=at_s, payload=payload) for at_s, payload in payloads]
    picture = SimpleNamespace(arrivals=arrivals, agreed=SimpleNamespace(codec=codec), watcher=None)
    return picture, SimpleNamespace(sound=SimpleNamespace(arrivals=(), agreed=None))


def test_packets_count_where_they_enter_and_where_they_come_out():
    case = case_of_link("delay 100ms rate 1mbit at 2s rate 500kbit", 5.0)
    packets = [
        (0.10, 1000, Fate((0.30,))),
        (0.95, 1000, Fate((1.15,))),  # enters in one second, comes out in the next
        (2.50, 1000, Fate((), "queue")),
        (2.60, 1000, Fate((), "loss")),
        (4.95, 1000, Fate((5.15,))),  # comes out after the end
        (6.00, 1000, Fate((6.10,))),  # after the end
    ]
    course = _course(case, packets, *watched([(0.5, KEY), (2.2, SMALL), (3.0, DELTA)]))
    assert course.offered_bps == [16_000, 0, 16_000, 0, 8_000]
    assert course.delivered_bps == [8_000, 8_000, 0, 0, 0]
    assert [sum(course.sent_bps[5 * at : 5 * at + 5]) / 5 for at in range(5)] == course.offered_bps
    assert (course.drops, course.lost) == ([0, 0, 1, 0, 0], [0, 0, 1, 0, 0])
    assert [delay_s for _, delay_s in course.delays] == pytest.approx([0.2, 0.2, 0.2])
    assert course.height == [480, 480, 360, 360, 360]
    assert all(math.isnan(each) for each in course.target_bps)
    figures = figures_of(course, case.link)
    assert figures["dropped"] == 1
    assert figures["voice_unplayed"] is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--way", "up", "step"], "--way is about a call at a target"),
        (["--set", "video.bitrate=1mbit", "step"], "--set is about a call at a target"),
        (["--target", "page", "--way", "up"], "the page sends, and we watch"),
        (["--target", "page", "--controller", "remb"], "a target's sender decides itself"),
        (["--target", "sfu"], "target sfu is ours: it answers no feedback"),
        (["--target", "page", "rfc8867-5.2"], "scenario rfc8867-5.2 has 2 flows: a target is called once"),
        (["--target", "page", "rfc8867-5.6"], "scenario rfc8867-5.6 has a flow that comes later, pauses or is farther"),
        (["--target", "sdp+http://127.0.0.1:1/offer"], "pictures are not measured with sdp+http"),
        (["--target", "page+https://h/x"], "a sender's rate is not measured with page+https://h/x"),
        (["--target", "janus+ws://h:1/videoroom/1", "--set", "video.bitrate=3"], "rate '3' has no unit"),
        (["--target", "loopback", "--set", "video.control=fixed"], "give --controller: gcc, remb or fixed:RATE"),
        (["--target", "loopback", "--set", "call.duration=9s"], "a call lasts as long as its scenario"),
        (["--target", "loopback", "--set", "target=page"], "give --target alone"),
        (
            ["--target", "loopback", "--controller", "fixed:1mbit", "--set", "video.bitrate=2mbit"],
            "--set video.bitrate=2mbit has no place here: write it as --controller fixed:RATE",
        ),
        (["--length", "9s", "step"], "--length 9s is about a line of your own"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_nothing_is_called(arguments, sentence, rtcprobe):
    code, out, err = rtcprobe("adapt", "-q", *arguments)
    assert code in {2, 3}
    assert sentence in " ".join(err.split())
    assert not out


def adapted(case, late_s=0.0, codec="VP8", full_s=2):
    """Return a call that a target sent 1 Mb/s in from beginning to end, whatever the line; late in its second 3.

    From ``full_s`` on the queue drops everything.
    """
    packets = [
        (at_s, 1250, Fate((at_s + 0.1,) if at_s < full_s else (), None if at_s < full_s else "queue"))
        for at_s in INSTANTS
    ]
    course = _course(case, packets, *watched([(0.5, KEY)], codec))
    lateness = Lateness(limit_s=LIMIT_S)
    for at_s in INSTANTS:
        lateness.add(late_s if int(at_s) == 3 else 0.0, at_s)
    return Adapted(course=course, lateness=lateness, sender="a server", warnings=["it was cold"])


INSTANTS = [number / 100 for number in range(500)]
ASKED = ("--target", "whip+whep://h/x", "--set", "video.bitrate=1mbit")
LINE = ("--link", "delay 100ms rate 2mbit at 2s rate 500kbit", "--length", "5s")


@pytest.fixture
def placed(monkeypatch):
    """Let calls at targets come about as ``adapted`` says, a dict of its arguments each; None: not at all."""

    def calls(*each):
        class Placing:
            clock = "real"

            def __init__(self, url, settings, heading, controller):
                asked = (url, settings, heading, controller)
                assert asked == ("whip+whep://h/x", ("video.bitrate=1mbit",), "down", None)

            def call(self, case, seed, tick):
                tick(1.0)
                how = each[seed]
                if how is None:
                    raise MeasurementError("nobody answered", "is it up?")
                return adapted(case, **how)

        monkeypatch.setattr("rtcprobe.probe.adapting.Adapting", Placing)

    return calls


def test_what_our_sender_decided_stands_in_its_second_and_nothing_in_those_before_it_began():
    course = Course(3.0, target_bps=[math.nan] * 3)
    told = [
        SimpleNamespace(at_s=1.01, target_bps=3e5, state="starting"),
        SimpleNamespace(at_s=3.0, target_bps=1, state=""),
    ]
    _decided(course, SimpleNamespace(pictures=[SimpleNamespace(adapts=SimpleNamespace(seconds=told))]))
    assert course.states == ["", "starting", ""]
    assert course.target_bps[1] == 3e5
    assert math.isnan(course.target_bps[2])
    assert held_by([course]) == "the start 100%"


@pytest.mark.parametrize(("late_s", "code"), [(0.0, 0), (0.004, 0), (0.006, 3)])
def test_calls_at_a_target_have_a_scoreboard_and_do_not_count_where_we_were_late(
    late_s, code, placed, rtcprobe, tmp_path
):
    placed({"late_s": late_s})
    files = ("--json", tmp_path / "a.json", "--html", tmp_path / "a.html")
    left, out, err = rtcprobe("adapt", "-q", *ASKED, *LINE, *files)
    assert left == code
    assert (
        "When the line falls to 500kbit, a server never sends below it, with 0 freezes and 300 packets dropped" in out
    )
    assert "note: it was cold" in out
    said = "INVALID: call 1: packets left our emulator over 5 ms late in 3 s"
    assert (said in " ".join(err.split())) == (code == 3)
    (found,) = json.loads((tmp_path / "a.json").read_text())["scenarios"]
    assert found["sender"] == "a server"
    assert found["figures"]["below_capacity_s"] == ["never"] * 3
    (call,) = found["calls"]
    assert call["offered_bps"] == [1e6] * 5
    assert call["target_bps"] == [None] * 5
    assert bool(found["invalid"]) == (code == 3)
    page = (tmp_path / "a.html").read_text()
    assert "estimate" not in page  # what a server thinks of a line it keeps to itself
    assert "it was cold" in page
    assert ("INVALID" in page) == (code == 3)


@pytest.mark.parametrize(("failed", "cut"), [("nobody answered", None), (None, "the server closed the connection")])
def test_a_call_that_did_not_last_is_told_and_has_no_scoreboard(failed, cut, monkeypatch):
    class Placing:
        def __init__(self, *_):
            pass

        def talk(self, *_):
            return SimpleNamespace(call=SimpleNamespace(failed=failed, cut=cut))

    monkeypatch.setattr("rtcprobe.probe.adapting.Placing", Placing)
    calls = Adapting("whip+whep+http://h/x", ("video.size=160x90", "video.fps=5"), "down")
    with pytest.raises(MeasurementError, match=failed or f"the call was cut: {cut}"):
        calls.call(case_of_link("delay 40ms", 5.0), 1, lambda _: None)


def test_a_call_that_failed_is_told_and_figures_are_of_those_that_count(placed, rtcprobe, tmp_path):
    placed({"full_s": 3}, None, {"late_s": 0.006, "full_s": 1}, {"full_s": 3})
    path = tmp_path / "a.json"
    code, out, err = rtcprobe("adapt", "-q", "--seeds", "4", *ASKED, *LINE, "--json", path)
    assert code == 3
    told = " ".join(err.split())
    assert "call 2 did not come about: nobody answered: is it up?" in told
    assert "INVALID: call 3: packets left our emulator" in told
    assert "200 packets dropped" in out  # of the two that count, not the 400 of call 3
    (found,) = json.loads(path.read_text())["scenarios"]
    assert found["counted"] == len(found["calls"]) == 2
    assert found["figures"]["dropped"] == [200] * 3


def test_where_json_is_printed_the_reason_stands_on_standard_error(placed, rtcprobe):
    placed({"late_s": 0.006})
    code, out, err = rtcprobe("adapt", "-q", *ASKED, *LINE, "--json", "-")
    assert code == 3
    assert "INVALID: call 1: packets left our emulator" in err
    assert json.loads(out)["scenarios"][0]["invalid"]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_nothing_is_said_of_a_size_that_nobody_knows(codec, placed, rtcprobe, tmp_path):
    placed({"codec": codec})
    line = ("--link", "rate 2mbit at 2s rate 500kbit at 3s rate 2mbit", "--length", "5s")
    files = ("--json", tmp_path / "a.json", "--html", tmp_path / "a.html")
    code, out, _ = rtcprobe("adapt", "-q", *ASKED, *line, *files)
    assert code == 0
    known = codec == "VP8"
    assert ("the picture keeps its size" in out) == known
    page = (tmp_path / "a.html").read_text()
    assert ("the picture keeps its size" in page) == known
    assert ("height of the picture" in page) == known
    (call,) = json.loads((tmp_path / "a.json").read_text())["scenarios"][0]["calls"]
    assert call["height"] == [480 if known else None] * 5


def test_a_rule_of_degradation_that_real_calls_do_not_follow_is_refused_and_not_ignored(rtcprobe, tmp_path):
    path = tmp_path / "balanced.yaml"
    path.write_text(
        "about: a line\nsource: ours\nlength: 5s\nlink: rate 1mbit\nback: delay 10ms\ndegradation: balanced\n",
        encoding="utf-8",
    )
    code, out, err = rtcprobe("adapt", "-q", str(path), "--target", "loopback")
    assert code == 2
    assert "scenario balanced has degradation balanced" in err
    assert not out
