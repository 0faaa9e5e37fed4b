"""What is seen of a recorded video stream follows from its packets."""

import json
import math
import struct

import pytest
from click.testing import CliRunner

from rtcprobe.capture import hear, parse_bound, read_capture
from rtcprobe.capture.video import retransmissions
from rtcprobe.cli import cli
from rtcprobe.errors import BadInputError
from tests.capture import files

PACKETS = 3
KEY_SIZE, SIZE = 1_100, 200
START, WRAP = 65_400, 2**32 - 90_000


def pictures(seconds=6.0, *, lost=(), keys=(0,), late=None, ssrc=9):
    """Return (instant, RTP) of 30 pictures a second of three packets; ``lost``: (frame, packet)."""
    out = []
    for frame in range(round(seconds * 30)):
        for place in range(PACKETS):
            if (frame, place) in lost:
                continue
            number = START + frame * PACKETS + place
            payload = bytes(KEY_SIZE if frame in keys else SIZE)
            at_s = frame / 30 + place * 2e-5 + (late or {}).get(frame, 0.0)
            marker = place == PACKETS - 1
            out.append((at_s, files.rtp(number, WRAP + frame * 3_000, ssrc, payload, kind=96, marker=marker)))
    return sorted(out)


def resent(count, frame, place, after_s, ssrc=10):
    """Return the RTX of a packet: a stream of its own, the original number before the payload."""
    number = struct.pack(">H", (START + frame * PACKETS + place) & 0xFFFF)
    return (
        frame / 30 + after_s,
        files.rtp(count, WRAP + frame * 3_000, ssrc, number + bytes(SIZE), kind=97, marker=place == PACKETS - 1),
    )


def written(folder, name, packets):
    path = folder / name
    path.write_bytes(files.pcap(files.on_the_wire(packets), nanoseconds=True))
    return path


def seen(path, **asked):
    (video,) = hear(read_capture(path), path.name, **asked).videos
    return video


def test_a_clean_line_shows_every_picture_and_never_freezes(tmp_path):
    found = seen(written(tmp_path, "clean.pcap", pictures()))
    w3c = found.middle.w3c
    assert [w3c[name] for name in ("framesReceived", "framesDecoded", "framesRendered")] == [180, 180, 180]
    assert (w3c["framesDropped"], w3c["freezeCount"], found.network.lost) == (0, 0, 0)
    assert found.middle.frame_rate == pytest.approx(30.0, abs=0.15)
    # A clean link: 11 ms for jitter, 10 of them for the operating system; the last packet comes 40 µs after the first.
    assert found.middle.jitter_buffer_s == pytest.approx(0.011, abs=0.002)
    assert sum(found.middle.series["frames_per_second"]) == 180
    assert found.range_of("freeze_share") == (0.0, 0.0)


def test_a_stall_is_a_freeze_of_its_length(tmp_path):
    late = {frame: (100 - frame) / 30 + 0.4 for frame in range(90, 112)}  # nothing for 0.73 s, then all at once
    found = seen(written(tmp_path, "stall.pcap", pictures(late=late)))
    assert found.middle.w3c["freezeCount"] == 1
    assert found.middle.w3c["totalFreezesDuration"] == pytest.approx(11 / 30 + 0.4, abs=0.03)
    assert found.middle.freeze_share == pytest.approx((11 / 30 + 0.4) / 6, abs=0.01)
    assert sum(found.middle.series["frozen"]) == pytest.approx(found.middle.w3c["totalFreezesDuration"], abs=0.002)


def test_behind_a_hole_the_picture_stands_until_a_large_frame_at_worst_and_a_whole_one_at_best(tmp_path):
    found = seen(written(tmp_path, "hole.pcap", pictures(lost={(60, 1)}, keys=(0, 120))))
    low, high = found.range_of("totalFreezesDuration")
    assert high == pytest.approx(61 / 30, abs=0.04)  # frame 59 to 120
    assert low == 0.0  # frame 59 to 61 is no freeze
    assert found.middle.w3c["totalFreezesDuration"] == high
    assert any("never came" in each for each in found.warnings)


def test_retransmissions_of_their_own_ssrc_are_told_and_fill_the_holes(tmp_path):
    holes = [(30, 1), (60, 0), (90, 2), *((120 + step, 1) for step in range(9))]
    again = [resent(count, *hole, 0.1) for count, hole in enumerate(holes)]
    path = written(tmp_path, "rtx.pcap", [*pictures(lost=set(holes)), *again])
    capture = read_capture(path)
    assert {of: each.ssrc for of, each in retransmissions(capture.streams).items()} == {9: 10}
    found = seen(path)
    assert (found.resent_by, found.repaired, found.network.lost) == (10, 12, 12)
    assert found.middle.w3c["framesDecoded"] == 180
    assert found.middle.w3c["freezeCount"] == 0
    with pytest.raises(BadInputError, match="holds the retransmissions of 9 alone"):
        hear(capture, "rtx.pcap", ssrc=10)


def test_sound_and_video_of_one_file_are_told_side_by_side(tmp_path):
    path = written(tmp_path, "both.pcap", [*files.call(6.0), *pictures()])
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    lines = ["freeze_share mean < 1%", "freezes max < 1", "frame_rate mean > 29", "concealed mean < 2%"]
    asked = [each for line in lines for each in ("--budget", line)]
    result = CliRunner().invoke(cli, ["hear", str(path), "--json", str(out), "--html", str(page), *asked])
    assert result.exit_code == 0, result.output
    assert "It showed 29.9 pictures a second; every packet came, it never froze." in " ".join(result.output.split())
    plain = json.loads(out.read_text())
    assert plain["schema"] == "rtcprobe.heard/1"
    assert [each["medium"] for each in plain["streams"]] == ["audio", "video"]
    assert plain["streams"][1]["w3c"]["framesDecoded"] == 180
    assert plain["streams"][1]["heard"]["av_skew_ms"] is None
    assert {each["verdict"] for each in plain["budgets"]} == {"met"}
    assert "Figures, with what they may have been" in page.read_text()
    assert page.read_text().count("<svg") >= 4


def test_a_missed_budget_of_video_ends_with_1(tmp_path):
    late = {frame: (110 - frame) / 30 + 0.5 for frame in range(90, 110)}
    path = written(tmp_path, "stall.pcap", pictures(late=late))
    result = CliRunner().invoke(cli, ["hear", str(path), "--budget", "freeze_share mean < 1%"], standalone_mode=False)
    assert result.return_value == 1, result.output


def test_a_budget_of_what_is_not_there_says_so(tmp_path):
    path = written(tmp_path, "clean.pcap", pictures(2.0))
    with pytest.raises(BadInputError, match="no stream of sound was heard"):
        hear(read_capture(path), "x", bounds=[parse_bound("concealed mean < 1%")])
    sound = written(tmp_path, "sound.pcap", files.call(2.0))
    with pytest.raises(BadInputError, match="no stream of video was heard"):
        hear(read_capture(sound), "x", bounds=[parse_bound("freezes max < 1")])


def test_the_beginning_can_be_left_out(tmp_path):
    path = written(tmp_path, "clean.pcap", pictures())
    assert seen(path, from_s=3.0).middle.w3c["framesDecoded"] == pytest.approx(90, abs=2)
    with pytest.raises(BadInputError, match="nothing is left"):
        seen(path, from_s=20.0)


def test_every_figure_is_a_number_json_knows(tmp_path):
    plain = seen(written(tmp_path, "hole.pcap", pictures(lost={(60, 1)}))).to_dict()
    assert all(math.isfinite(value) for value in plain["w3c"].values())
    json.dumps(plain, allow_nan=False)
