"""Every tool's output gives the probes that it sent, in order, lost ones among them."""

import json
import math

import numpy as np
import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.fit import read_measured

LINUX = """PING host (192.0.2.1) 56(84) bytes of data.
[1795948460.313190] 64 bytes from host (192.0.2.1): icmp_seq=1 ttl=57 time=20.5 ms
[1795948460.520000] 64 bytes from host (192.0.2.1): icmp_seq=2 ttl=57 time=21.0 ms
no answer yet for icmp_seq=3
[1795948460.920000] 64 bytes from host (192.0.2.1): icmp_seq=4 ttl=57 time=22.0 ms
[1795948460.921000] 64 bytes from host (192.0.2.1): icmp_seq=4 ttl=57 time=22.9 ms (DUP!)

--- host ping statistics ---
6 packets transmitted, 3 received, +1 duplicates, 50% packet loss, time 1002ms
rtt min/avg/max/mdev = 20.5/21.2/22.0/0.6 ms
"""
MACOS = """PING host (192.0.2.1): 56 data bytes
64 bytes from 192.0.2.1: icmp_seq=0 ttl=57 time=20.5 ms
Request timeout for icmp_seq 1
64 bytes from 192.0.2.1: icmp_seq=2 ttl=57 time=22.0 ms

--- host ping statistics ---
3 packets transmitted, 2 packets received, 33.3% packet loss
round-trip min/avg/max/stddev = 20.5/21.2/22.0/0.6 ms
"""
WINDOWS = """
Ping wird ausgeführt für host [192.0.2.1] mit 32 Bytes Daten:
Antwort von 192.0.2.1: Bytes=32 Zeit=20ms TTL=57
Zeitüberschreitung der Anforderung.
Antwort von 192.0.2.1: Bytes=32 Zeit<1ms TTL=57

Ping-Statistik für 192.0.2.1:
    Pakete: Gesendet = 3, Empfangen = 2, Verloren = 1
"""
FPING = """[1795948536.84] host : [0], 64 bytes, 20.5 ms (20.5 avg, 0% loss)
[1795948536.94] host : [1], timed out (20.5 avg, 50% loss)
[1795948537.04] host : [2], 64 bytes, 22.0 ms (21.2 avg, 33% loss)

host : 20.5 - 22.0 -
"""
MTR = """x 0 33000
h 0 198.51.100.1
p 0 41 33000
x 1 33001
h 1 192.0.2.1
p 1 20500 33001
x 2 33002
h 2 192.0.2.1
p 2 22000 33002
x 0 33003
x 1 33004
x 1 33005
p 1 21000 33005
"""
OWAMP = """seq_no=0   delay=2.05e+01 ms   (sync, err=0.2 ms)
seq_no=1   *LOST*
seq_no=2   delay=2.2e+01 ms   (sync, err=0.2 ms)
"""
LENS = "timestamp,rtt,uplink,downlink\n0,50,20,30\n10,-1,-1,0\n20,-1,0,-1\n30,54,22,32\n"
ATLAS = [
    {"sent": "3", "result": [{"rtt": 20.5}, {"x": "*"}, {"rtt": "21.5"}]},
    {"sent": 3, "result": [{"rtt": 22.0}, {"rtt": 22.0, "dup": 1}, {"rtt": -1}]},
]


def irtt(rows):
    """Rows of (lost, up ms, down ms), 20 ms apart."""
    trips = []
    for number, (lost, up, down) in enumerate(rows):
        sent = {"wall": 10**18 + number * 20_000_000, "monotonic": number * 20_000_000}
        trips.append(
            {
                "seqno": number,
                "lost": lost,
                "timestamps": {"client": {"send": sent, "receive": {}}, "server": {}},
                "delay": {}
                if up is None
                else {"send": up * 10**6, "receive": down * 10**6, "rtt": (up + down) * 10**6},
            }
        )
    return {"config": {}, "stats": {}, "round_trips": trips}


def ms(series):
    return [None if math.isnan(each) else round(each * 1e3, 3) for each in series.delay_s]


@pytest.mark.parametrize(
    ("text", "kind", "delays"),
    [
        (LINUX, "ping", [20.5, 21.0, None, 22.0, None, None]),
        (MACOS, "ping", [20.5, None, 22.0]),
        (WINDOWS, "ping", [20.0, None, 0.5]),
        (FPING, "fping", [20.5, None, 22.0, None]),
        (MTR, "mtr", [20.5, None, 21.0]),
        (OWAMP, "owamp", [20.5, None, 22.0]),
        (json.dumps(ATLAS), "RIPE Atlas", [20.5, None, 21.5, 22.0, None, None]),
    ],
)
def test_a_tool_s_output_gives_its_probes(tmp_path, text, kind, delays):
    path = tmp_path / "measured"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes(text.encode(encoding))
        found = read_measured(path)
        assert found.kind == kind
        assert ms(found.ways[0]) == delays


def test_instants_tell_how_far_apart_probes_were(tmp_path):
    path = tmp_path / "ping"
    path.write_text(LINUX)
    assert read_measured(path).ways[0].spacing_s == pytest.approx(0.2, abs=0.01)
    path.write_text(MACOS)
    assert read_measured(path).ways[0].spacing_s == 1.0
    assert read_measured(path, interval_s=0.1).ways[0].spacing_s == 0.1


def test_irtt_tells_the_ways_apart_and_where_a_probe_was_lost(tmp_path):
    path = tmp_path / "irtt.json"
    rows = [("false", 20, 30), ("true_up", None, None), ("true_down", None, None), ("false", 22, 32)]
    path.write_text(json.dumps(irtt(rows)))
    up, down = read_measured(path).ways
    assert ms(up) == [20.0, None, 21.0, 22.0]  # what came up and was lost on its way down, counts as come
    assert ms(down) == [30.0, None, 32.0]
    path.write_text(json.dumps(irtt([(False, 20, 30), (True, None, None)])))  # booleans of older versions
    assert ms(read_measured(path).ways[0]) == [20.0, None]


def test_clocks_that_are_apart_keep_their_spread_and_share_the_round_trip(tmp_path):
    path = tmp_path / "irtt.json"
    path.write_text(json.dumps(irtt([("false", 10_490, -10_440), ("false", 10_495, -10_430)])))
    up, down = read_measured(path).ways
    assert ms(up) == [25.0, 30.0]
    assert ms(down) == [25.0, 35.0]
    assert "clocks are apart" in up.notes[0]


def test_a_zero_beside_a_loss_is_no_delay(tmp_path):
    path = tmp_path / "lens.csv"
    path.write_text(LENS)
    up, down = read_measured(path).ways
    assert ms(up) == [20.0, None, 21.0, 22.0]
    assert ms(down) == [30.0, None, 32.0]


def test_media_that_was_captured_gives_what_is_above_its_fastest_packet(tmp_path):
    from tests.capture import files

    path = tmp_path / "call.pcap"
    late = {10: 0.030, 20: 0.005}
    path.write_bytes(files.pcap(files.on_the_wire(files.call(2.0, lost={30}, late=late))))
    (way,) = read_measured(path).ways
    assert way.relative
    assert (ms(way)[10], ms(way)[20], ms(way)[30], ms(way)[40]) == (
        pytest.approx(30),
        pytest.approx(5),
        None,
        pytest.approx(0),
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("hello", "no measurement"),
        ("{}", "no measurement"),
        ("[" * 100_000, "no measurement"),
        (json.dumps({"report": {"hubs": []}}), "mtr --raw"),
        (json.dumps({"start": {}, "intervals": []}), "iperf3"),
        (json.dumps({"config": {}, "stats": {}}), "lists no round trips"),
        ("rtt min/avg/max/mdev = 20.5/21.2/22.0/0.6 ms", "without -q"),
        ("timestamp,rtt,uplink,downlink\n1,2,3,x\n", "a word where a number belongs"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "measured"
    path.write_text(text)
    with pytest.raises(BadInputError, match=sentence):
        read_measured(path)


def test_no_damage_to_a_measurement_is_a_fault_of_ours(tmp_path):
    rng = np.random.default_rng(1)
    rows = [("false", 20, 30), ("true_up", None, None)] * 3
    originals = [
        each.encode()
        for each in (LINUX, MACOS, WINDOWS, FPING, MTR, OWAMP, LENS, json.dumps(ATLAS), json.dumps(irtt(rows)))
    ]
    path = tmp_path / "measured"
    read = 0
    for turn in range(270):
        data = bytearray(originals[turn % len(originals)])
        for _ in range(rng.integers(1, 5)):
            data[rng.integers(len(data))] = rng.integers(32, 127)
        path.write_bytes(data)
        try:
            found = read_measured(path)
        except BadInputError:
            continue
        read += 1
        assert all(len(each.delay_s) == len(each.sent_s) for each in found.ways)
    assert read > 100
