"""A browser's own count beside ours: one that is a replay of ours lies within our range; another call is no match."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from rtcprobe.capture import hear, read_capture, read_dump
from rtcprobe.capture.hearing import plan_of, play, ways_of
from rtcprobe.cli import cli
from rtcprobe.errors import BadInputError
from tests.capture.files import call, on_the_wire, pcap

LATE = {index: 0.03 + 0.01 * (index % 5) for index in range(20, 280, 7)}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("parity") / "call.pcap"
    path.write_bytes(pcap(on_the_wire(call(6.0, lost=range(100, 104), late=LATE))))
    return path


def polls_of(path, way):
    """As a browser that plays the packets ``way`` counts them, once a second from the first packet on."""
    capture = read_capture(path)
    (stream,) = capture.streams
    plan = plan_of(stream.packets, 48_000, encrypted=True)
    chosen = ways_of(plan, stream)[way]
    at_s = plan.at_s[0] + np.arange(1.0, 6.0)
    played = play(plan, chosen.pulls(plan, stream), chosen.decoder(plan), marks_s=at_s)
    return [
        {
            "type": "inbound-rtp", "kind": "audio", "ssrc": stream.ssrc, "timestamp": 1e3 * (capture.begun_unix_s + at),
            "packetsReceived": 50 * number, "packetsLost": 0, **counted,
        }
        for number, (at, counted) in enumerate(zip(at_s.tolist(), played.seconds, strict=False), start=1)
    ]  # fmt: skip


def dump_of(folder, polls, name="dump.txt"):
    path = folder / name
    lines = ["RTCStatsDump", "{}", *(json.dumps(["getStats", "1-1", {"IT1": poll}, 1000]) for poll in polls)]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("way", [0, 7])
def test_a_browser_that_is_one_of_our_replays_lies_within_our_range(recorded, tmp_path, way):
    polls = polls_of(recorded, way)
    dump = read_dump(dump_of(tmp_path, polls))
    ((beside,),) = (each.beside for each in hear(read_capture(recorded), "call.pcap", dumps=[dump], from_s=1.5).streams)
    assert beside.since_s == pytest.approx(2.0, abs=0.01)
    assert beside.until_s == pytest.approx(5.0, abs=0.01)
    for name, each in beside.figures.items():
        assert each.low <= each.theirs <= each.high, name
        assert each.low <= each.ours <= each.high, name
    assert beside.figures["concealed"].theirs > 0  # the lost packets lie between the two polls


def test_the_command_puts_both_counts_on_the_screen_the_page_and_into_json(recorded, tmp_path):
    dump, page, plain = dump_of(tmp_path, polls_of(recorded, 0)), tmp_path / "h.html", tmp_path / "h.json"
    asked = ["hear", str(recorded), "--dump", str(dump), "--html", str(page), "--json", str(plain)]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    assert "dump.txt: its own count beside ours" in done.output
    assert "its own count beside ours" in page.read_text()
    ((beside,),) = (stream["beside"] for stream in json.loads(plain.read_text())["streams"])
    low, high = beside["figures"]["jitter_buffer_ms"]["range"]
    assert low <= beside["figures"]["jitter_buffer_ms"]["browser"] <= high


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ssrc": 99}, "counts none of the streams heard"),
        ({"timestamp": 1e12}, "at other times than it was recorded"),
    ],
)
def test_the_dump_of_another_call_is_one_sentence(recorded, tmp_path, change, sentence):
    polls = [{**poll, **change} for poll in polls_of(recorded, 0)]
    dump = read_dump(dump_of(tmp_path, polls))
    with pytest.raises(BadInputError, match=sentence):
        hear(read_capture(recorded), "call.pcap", dumps=[dump])
