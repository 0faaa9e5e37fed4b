"""What is heard of a recording follows from its packets: laws that hold whatever the ticks and the sound."""

import json
import math
from functools import cache

import numpy as np
import pytest
from click.testing import CliRunner

from rtcprobe.capture import between, hear, parse_bound, read_capture
from rtcprobe.capture.network import clock_drift
from rtcprobe.cli import cli
from rtcprobe.errors import BadInputError
from tests.capture import files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("captures")


def written(folder, name, packets):
    path = folder / name
    path.write_bytes(files.pcap(files.on_the_wire(packets), nanoseconds=True))
    return path


@pytest.fixture(scope="module")
def steady(folder):
    return written(folder, "steady.pcap", files.call(4.0))


@pytest.fixture(scope="module")
def bad(folder):
    lost = {index for begin in range(40, 180, 20) for index in (begin, begin + 1)}
    late = dict.fromkeys(range(30, 200, 9), 0.055)
    return written(folder, "bad.pcap", files.call(4.0, lost=lost, late=late))


@cache
def heard(path, **asked):
    (stream,) = hear(read_capture(path), path.name, **asked).streams
    return stream


def test_a_line_without_variation_loses_and_invents_nothing(steady):
    found = heard(steady)
    middle = found.replayed.middle
    assert found.network.lost == found.network.reordered == 0
    assert found.network.variable_max_s == pytest.approx(0.0, abs=1e-6)
    assert middle.w3c["concealedSamples"] == 0
    assert middle.w3c["packetsReceived"] == 200
    # Each sample that was emitted waited in the packet buffer: never longer than NetEQ's own start target of 80 ms.
    assert 0.0 <= middle.jitter_buffer_s <= 0.080
    assert any("sender's own machine" in each for each in found.warnings)


def test_what_was_lost_is_counted_and_made_up(bad):
    found = heard(bad)
    assert (found.network.lost, found.network.mean_burst, found.network.longest_burst) == (14, 2.0, 2)
    # 14 frames of 20 ms are missing from 4 s; what lateness adds is little beside them.
    assert found.replayed.middle.concealed == pytest.approx(14 * 0.020 / 4.0, abs=0.03)
    assert found.replayed.middle.lost_gaps >= 5
    low, high = found.replayed.ranges["concealed"]
    assert low <= found.replayed.middle.concealed <= high
    assert found.network.variable_max_s == pytest.approx(0.055, abs=1e-4)


def test_when_a_call_was_made_changes_nothing(folder):
    packets = [(at_s + 1234.5, data) for at_s, data in files.call(4.0, lost={50}, late={60: 0.03})]
    early = [(at_s, data) for at_s, data in files.call(4.0, lost={50}, late={60: 0.03})]
    first, second = heard(written(folder, "a", early)), heard(written(folder, "b", packets))
    assert first.replayed.middle.w3c == second.replayed.middle.w3c


def test_the_beginning_can_be_left_out(bad):
    whole, rest = heard(bad), heard(bad, from_s=2.0)
    assert rest.replayed.middle.w3c["totalSamplesReceived"] < whole.replayed.middle.w3c["totalSamplesReceived"] * 0.6
    with pytest.raises(BadInputError, match="nothing is left"):
        heard(bad, from_s=9.0)


def test_a_mouth_to_ear_delay_needs_its_assumption(bad):
    assert heard(bad).mouth_to_ear_s is None
    found = heard(bad, one_way_s=0.040)
    assert found.mouth_to_ear_s == pytest.approx(0.040 + found.replayed.middle.behind_mean_s)
    assert found.rating.r < heard(bad).rating.r
    with pytest.raises(BadInputError, match="--one-way"):
        hear(read_capture(bad), "bad", bounds=[parse_bound("mouth_to_ear p95 < 200ms")])


def test_a_log_is_heard_at_its_own_pulls(folder):
    path = folder / "call.log"
    path.write_bytes(files.event_log(3.0, lost=(60, 61, 62)))
    found = heard(path)
    assert found.replayed.pulls == "log"
    assert found.network.lost == 3
    assert found.replayed.middle.w3c["concealmentEvents"] == 1


def test_sound_in_clear_is_decoded(folder):
    from rtcprobe.audio.mouth import Mouth, Noise, encode_stream
    from rtcprobe.audio.opus import OpusSettings
    from rtcprobe.audio.wav import read_wav

    frames = encode_stream(Mouth(programme=Noise()).pcm(2.0), OpusSettings())
    path = folder / "room.mjr"
    path.write_bytes(
        files.mjr((index * 0.02, files.rtp(index, index * 960, payload=each)) for index, each in enumerate(frames))
    )
    wav = folder / "heard.wav"
    done = CliRunner().invoke(cli, ["hear", str(path), "--wav", str(wav)])
    assert done.exit_code == 0, done.output
    # What the markers of a mouth are loud as, −20 dBFS, is what is heard of them.
    loudest = np.abs(read_wav(wav)).max()
    assert 0.05 < loudest < 0.5


def test_budgets_are_judged_by_the_whole_range(bad):
    lines = {
        "loss mean < 8%": "met",
        "loss mean < 1%": "missed",
        "r mean >= 20": "met",
        "interruptions max <= 90": "met",
    }
    found = hear(read_capture(bad), "bad", bounds=[parse_bound(each) for each in lines])
    assert {each.expression: each.verdict for each in found.kept} == lines
    low, high = found.streams[0].replayed.ranges["jitter_buffer_s"]
    inside = parse_bound(f"jitter_buffer mean < {(low + high) / 2 * 1e3:.4f}ms")
    assert hear(read_capture(bad), "bad", bounds=[inside]).kept[0].verdict == "undecided"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("concealed", "cannot be read"),
        ("conceal mean < 2%", "does not exist"),
        ("concealed p95 < 2%", "use mean"),
        ("concealed mean < 2", "2"),
        ("r mean > inf", "not a number"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(line, sentence):
    with pytest.raises(BadInputError, match=sentence):
        parse_bound(line)


def test_the_command_writes_json_and_a_page_and_fails_on_a_missed_budget(bad, tmp_path):
    asked = [
        "hear",
        str(bad),
        "--json",
        str(tmp_path / "h.json"),
        "--html",
        str(tmp_path / "h.html"),
        "--budget",
        "loss mean < 1%",
    ]
    done = CliRunner().invoke(cli, asked, standalone_mode=False)
    assert done.return_value == 1
    plain = json.loads((tmp_path / "h.json").read_text())
    assert (plain["schema"], plain["source"]["kind"]) == ("rtcprobe.heard/1", "pcap")
    (stream,) = plain["streams"]
    assert (stream["ssrc"], stream["packets"], stream["lost"]) == (7, 186, 14)
    w3c = stream["w3c"]
    # Sums of seconds over samples, as getStats gives them: their ratio is the mean that the screen shows.
    mean_ms = w3c["jitterBufferDelay"] / w3c["jitterBufferEmittedCount"] * 1e3
    assert mean_ms == pytest.approx(stream["heard"]["jitter_buffer_ms"], abs=1e-3)
    assert all(low <= w3c[name] <= high for name, (low, high) in stream["ranges"].items() if name in w3c)
    page = (tmp_path / "h.html").read_text()
    assert "<script" not in page
    assert "loss mean &lt; 1%" in page


def test_a_stream_that_is_not_there_and_no_stream_are_one_sentence(bad, folder):
    for asked, sentence in (
        (["--ssrc", "8"], "no stream with SSRC 8"),
        (["--from", "5"], "--from"),
        (["--pair"], "no stream in common"),
        (["--wav", str(folder / "x.wav")], "encrypted"),
    ):
        done = CliRunner().invoke(cli, ["hear", str(bad), *asked])
        assert isinstance(done.exception, BadInputError), asked
        assert sentence in str(done.exception)


def test_between_two_places_packets_are_told_by_constant_offsets(folder):
    here = files.call(3.0)
    there = [
        (at_s + 0.030 + 0.002 * (index % 5), files.rtp(900 + index, 77_000 + index * 960, ssrc=99, payload=data[12:]))
        for index, (at_s, data) in enumerate(here)
        if index % 25
    ]
    first, second = (read_capture(written(folder, name, each)) for name, each in (("here", here), ("there", there)))
    (pair,) = between(first, second)
    assert (pair.first.ssrc, pair.second.ssrc, pair.sent, pair.matched) == (7, 99, 150, 144)
    assert pair.lost == pytest.approx(6 / 150)
    assert (pair.delay_min_s, pair.delay_max_s) == (pytest.approx(0.030, abs=0.003), pytest.approx(0.038, abs=0.003))


def test_a_drift_is_said_where_delay_has_a_floor_and_never_of_a_step_or_a_short_call():
    rng = np.random.default_rng(1)
    at_s = np.arange(0.0, 120.0, 0.020)
    delay_s = 0.010 * rng.exponential(size=len(at_s))
    found = clock_drift(at_s, delay_s + 40e-6 * at_s)
    assert found.ppm == pytest.approx(40.0, abs=5.0)
    assert clock_drift(at_s, delay_s).ppm is None
    assert clock_drift(at_s[:2000], (delay_s + 40e-6 * at_s)[:2000]).reason == "less than 60 s were captured"
    stepped = clock_drift(at_s, delay_s + np.where(at_s > 60.0, 0.030, 0.0))
    assert stepped.ppm is None
    assert "route" in stepped.reason
    assert math.isclose(found.low or 0, 40.0, abs_tol=15.0)


def test_a_packet_of_another_year_keeps_nobody_waiting(folder):
    call = files.call(3.0)
    later = [(at_s + 4e8, data) for at_s, data in files.call(0.4, start=10)]
    found = heard(written(folder, "years.pcap", [*call, *later]))
    assert found.replayed.middle.w3c["packetsReceived"] == 150
    assert any("20 packets were left out" in each for each in found.warnings)
