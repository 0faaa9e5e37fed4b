"""Dumps of a browser's statistics: two forms of one call say the same, and nothing but numbers leaves them."""

import gzip
import json

import pytest

from rtcprobe.capture.dump import read_dump
from rtcprobe.errors import BadInputError

# A call of 4 s in reports of a second: 50 packets and 48,000 samples each, 80 ms in the buffer; in the third second
# five packets are lost and 4,800 samples made up; after the fourth the sender is gone and everything is made up.
SECONDS = 5
CAME = [50, 100, 145, 195, 195]
LOST = [0, 0, 5, 5, 5]
EMITTED = [48_000, 96_000, 139_200, 187_200, 187_200]
MADE_UP = [0, 0, 4_800, 4_800, 52_800]
PLAYED = [48_000 * (second + 1) for second in range(SECONDS)]
BEGUN_MS = 1_700_000_000_000.0


def report(second):
    return {
        "type": "inbound-rtp",
        "kind": "audio",
        "ssrc": 1234,
        "timestamp": BEGUN_MS + 1000.0 * second,
        "packetsReceived": CAME[second],
        "packetsLost": LOST[second],
        "jitterBufferDelay": 0.080 * EMITTED[second],
        "jitterBufferEmittedCount": EMITTED[second],
        "concealedSamples": MADE_UP[second],
        "totalSamplesReceived": PLAYED[second],
        "trackIdentifier": "someone's microphone",
    }


def pair(second):
    return {
        "type": "candidate-pair",
        "timestamp": BEGUN_MS + 1000.0 * second,
        "bytesReceived": 1000 * second,
        "currentRoundTripTime": 0.1 + 0.01 * second,
    }


def internals(reports):
    """As chrome://webrtc-internals writes it: a column a property, those that began late aligned at their ends."""
    stats = {}
    for identifier, rows in reports.items():
        for name in rows[-1]:
            if name != "type":
                values = [row[name] for row in rows if name in row]
                stats[f"{identifier}-{name}"] = {"statsType": rows[-1]["type"], "values": json.dumps(values)}
    return json.dumps({"PeerConnections": {"8-1": {"url": "https://secret.example/room", "stats": stats}}})


def rtcstats(reports):
    lines = ["RTCStatsDump", '{"fileFormat":3}', '["create","8-1",{"secret":"10.0.0.7"},"https://secret.example",1]']
    for second in range(SECONDS):
        said = {identifier: rows[second] for identifier, rows in reports.items()}
        lines.append(json.dumps(["getStats", "8-1", said, 1000]))
    return "\n".join(lines)


@pytest.fixture(params=[internals, rtcstats], ids=["internals", "rtcstats"])
def form(request):
    return request.param


@pytest.fixture
def read(tmp_path):
    def read(text, name="call_dump.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        return read_dump(path)

    return read


def whole():
    return {"IT-01": [report(second) for second in range(SECONDS)], "CP": [pair(each) for each in range(SECONDS)]}


def test_a_call_is_counted_until_its_last_packet(read, form):
    (stream,) = read(form(whole())).streams
    assert (stream.connection, stream.medium, stream.ssrc, stream.lasted_s) == (1, "audio", 1234, 3.0)
    assert stream.jitter_buffer_s == pytest.approx(0.080)
    assert stream.concealed == pytest.approx(4_800 / 192_000)  # the 48,000 after the call are nobody's loss
    assert stream.lost == pytest.approx(5 / 200)
    assert stream.rtt_s == pytest.approx(0.12)


def test_a_counter_that_began_anew_goes_on(read, form):
    reports = whole()
    for row in reports["IT-01"][2:]:
        for name in ("packetsReceived", "jitterBufferDelay", "jitterBufferEmittedCount"):
            row[name] -= reports["IT-01"][1][name]
    (stream,) = read(form(reports)).streams
    assert stream.counted["packetsReceived"] == 195
    assert stream.jitter_buffer_s == pytest.approx(0.080)


def test_a_property_that_came_late_is_aligned_at_its_end(read):
    reports = whole()
    for row in reports["IT-01"][:2]:
        del row["packetsLost"]
    (stream,) = read(internals(reports)).streams
    assert stream.lost == pytest.approx(5 / 200)


def test_video_tells_its_freezes(read, form):
    rows = [
        {
            "type": "inbound-rtp", "kind": "video", "ssrc": 9, "timestamp": BEGUN_MS + 1000.0 * second,
            "packetsReceived": 100 * (second + 1), "packetsLost": 0, "jitterBufferDelay": 0.05 * 30 * (second + 1),
            "jitterBufferEmittedCount": 30 * (second + 1), "freezeCount": second // 2,
            "totalFreezesDuration": second * 0.1,
        }
        for second in range(SECONDS)
    ]  # fmt: skip
    (stream,) = read(form({"IT02V9": rows})).streams
    assert stream.frozen == pytest.approx(0.4 / 4.0)
    assert stream.counted["freezeCount"] == 2


def test_nothing_personal_leaves_a_dump(read, form):
    said = repr(read(form(whole())))
    for personal in ("secret", "microphone", "10.0.0.7", "8-1", "https"):
        assert personal not in said


def test_a_last_line_that_was_cut_off_costs_itself_alone(read):
    (stream,) = read(rtcstats(whole())[:-40], "call.txt").streams
    assert stream.counted["packetsReceived"] == 195


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "has no PeerConnections"),
        ("{" * 100_000, "is no dump of a browser's statistics"),
        ('{"PeerConnections": {}}', "counts nothing that came in"),
        ('{"PeerConnections": {"1": {"stats": {"a-b": {"values": "["}}}}}', "counts nothing that came in"),
        ('RTCStatsDump\n{"fileFormat":3}\n["getStats","1",[\n["getStats","1",{}]', "is damaged in line 3"),
        ('RTCStatsDump\n["getstats","1",{"a":{"googJitterBufferMs":"40"}},1]', "counts nothing that came in"),
        (rtcstats({"IT": [{**report(0), "timestamp": 10**400}] * SECONDS}), "counts nothing that came in"),
    ],
)
def test_what_is_no_dump_of_use_is_refused_in_a_sentence(read, text, said):
    with pytest.raises(BadInputError, match=said):
        read(text)


def test_damaged_gzip_is_said_so(tmp_path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(internals(whole()).encode())[:-20])
    with pytest.raises(BadInputError, match="is damaged"):
        read_dump(path)
