"""What is in a file is what was put into it, whatever wrote it; what cannot be read is one sentence."""

import gzip
import io
import struct

import numpy as np
import pytest

from rtcprobe.capture import read_capture
from rtcprobe.capture.rtp import read_packet_capture
from rtcprobe.capture.stream import CLOCKS_HZ, clock_of
from rtcprobe.errors import BadInputError
from tests.capture import files

TAG = struct.pack(">HH", 0x8100, 5)
CALL = files.call(1.0)


def read(data):
    return read_packet_capture(io.BytesIO(data), "call.pcap")


def framed(wrap):
    return [(at_s, wrap(data)) for at_s, data in CALL]


def plain(data):
    return files.ipv4(files.udp(data))


def test_every_kind_of_capture_gives_the_same_packets():
    frames = framed(lambda data: files.ethernet(plain(data)))
    written = {
        "pcap": files.pcap(frames),
        "big endian": files.pcap(frames, order=">"),
        "nanoseconds": files.pcap(frames, nanoseconds=True),
        "pcapng": files.pcapng(frames),
        "pcapng big endian": files.pcapng(frames, order=">"),
        "ticks of a nanosecond": files.pcapng(frames, resolution=9),
        "ticks of a picosecond": files.pcapng(frames, resolution=10),
        "binary ticks": files.pcapng(frames, resolution=0x80 | 20),
        "an offset": files.pcapng(frames, offset_s=1_600_000_000),
        "gzip": gzip.compress(files.pcap(frames), mtime=0),
        "two sections": files.pcapng(frames[:25]) + files.pcapng(frames[25:], order=">"),
    }
    for kind, data in written.items():
        (stream,) = read(data).streams
        assert (stream.ssrc, stream.count, stream.clock_hz) == (7, 50, 48_000) or stream.duration_s < 1.0, kind
        assert stream.packets.at_s == pytest.approx(np.arange(50) * 0.020, abs=2e-6), kind
        assert list(np.diff(stream.packets.sequence)) == [1] * 49, kind
        assert list(np.diff(stream.packets.timestamp)) == [960] * 49, kind
        assert set(stream.packets.size.tolist()) == set(range(58, 65)), kind


def test_every_way_to_wrap_a_datagram_gives_the_same_packets():
    channel = struct.Struct(">HH")
    hop_by_hop = bytes([17, 0]) + bytes(6)
    atomic = bytes([17, 0, 0, 0]) + bytes(4)
    link_types = {
        "padded ethernet": (1, lambda d: files.ethernet(plain(d)) + bytes(9)),
        "vlan": (1, lambda d: files.ethernet(plain(d), tags=TAG)),
        "two tags": (1, lambda d: files.ethernet(plain(d), tags=TAG + TAG)),
        "pppoe": (1, lambda d: files.ethernet(b"\x11\0\0\1\0\0\0\x21" + plain(d), kind=0x8864)),
        "options": (1, lambda d: files.ethernet(files.ipv4(files.udp(d), options=bytes(8)))),
        "ipv6": (1, lambda d: files.ethernet(files.ipv6(files.udp(d)), kind=0x86DD)),
        "ipv6 extension": (
            1,
            lambda d: files.ethernet(files.ipv6(files.udp(d), extensions=hop_by_hop, kind=0), kind=0x86DD),
        ),
        "ipv6 atomic fragment": (
            1,
            lambda d: files.ethernet(files.ipv6(files.udp(d), extensions=atomic, kind=44), kind=0x86DD),
        ),
        "null": (0, lambda d: b"\2\0\0\0" + plain(d)),
        "null ipv6": (0, lambda d: b"\x1e\0\0\0" + files.ipv6(files.udp(d))),
        "loop": (108, lambda d: b"\0\0\0\2" + plain(d)),
        "raw": (101, plain),
        "raw ipv6": (229, lambda d: files.ipv6(files.udp(d))),
        "cooked": (113, lambda d: bytes(14) + b"\x08\0" + plain(d)),
        "cooked 2": (276, lambda d: b"\x08\0" + bytes(18) + plain(d)),
        "channel data": (101, lambda d: plain(channel.pack(0x4001, len(d)) + d)),
        "data indication": (101, lambda d: plain(indication(d))),
    }
    for kind, (link_type, wrap) in link_types.items():
        (stream,) = read(files.pcap(framed(wrap), link_type=link_type)).streams
        assert (stream.ssrc, stream.count) == (7, 50), kind
        assert set(stream.packets.size.tolist()) == set(range(58, 65)), kind


def indication(data):
    value = (
        struct.pack(">HH", 0x0012, 8) + bytes(8) + struct.pack(">HH", 0x0013, len(data)) + data + bytes(-len(data) % 4)
    )
    return struct.pack(">HHI12s", 0x0017, len(value), 0x2112A442, bytes(12)) + value


def test_what_is_no_media_is_left_out():
    stun = plain(struct.pack(">HHI12s", 1, 0, 0x2112A442, bytes(12)))
    rtcp = plain(struct.pack(">BBHI", 0x81, 201, 1, 7) + bytes(24))
    fragments = files.ipv4(files.udp(CALL[0][1]), flags=0x2000)
    tcp = files.ipv4(bytes(40), protocol=6)
    noise = [(index * 0.01, files.ethernet(each)) for index in range(30) for each in (stun, rtcp, fragments, tcp, b"")]
    frames = sorted(noise + framed(lambda data: files.ethernet(plain(data))))
    capture = read(files.pcap(frames))
    assert [each.count for each in capture.streams] == [50]
    assert any("30 fragments" in each for each in capture.warnings)


def test_streams_are_never_added_up_and_copies_of_a_capture_count_once():
    other = [(at_s + 0.001, data) for at_s, data in files.call(0.5, ssrc=9)]
    twice = [(at_s + 20e-6, data) for at_s, data in CALL]
    frames = sorted((at_s, files.ethernet(plain(data))) for at_s, data in [*CALL, *twice, *other])
    first, second = read(files.pcap(frames)).streams
    assert (first.ssrc, len(first.packets), first.duplicates) == (7, 50, 50)
    assert (second.ssrc, len(second.packets), second.duplicates) == (9, 25, 0)


def test_a_file_cut_anywhere_gives_what_came_before_and_says_so():
    for whole in (files.pcap(files.on_the_wire(CALL)), files.pcapng(files.on_the_wire(CALL))):
        capture = read(whole[:-30])
        assert capture.streams[0].count == 49
        assert any("cut off" in each for each in capture.warnings)
        capture = read(whole[: len(whole) // 2] + b"\xff" * 400)
        assert 20 <= capture.streams[0].count < 50
        assert any("damaged at byte" in each for each in capture.warnings)


def test_an_event_log_gives_packets_pulls_and_wishes(tmp_path):
    path = tmp_path / "call.log"
    wish = files.blob(34, files.number(1, 5_250) + files.fixed(2, 7) + files.number(3, 150))
    unknown = files.blob(77, b"whatever") + files.number(99, 5)
    path.write_bytes(files.event_log(2.0, lost=(10, 11)) + wish + unknown)
    capture = read_capture(path)
    (stream,) = capture.streams
    assert (capture.kind, capture.clock_resolution_s, capture.begun_unix_s) == ("rtc event log", 1e-3, files.AT_S)
    assert (stream.ssrc, stream.count, stream.clock_hz) == (7, 98, 48_000)
    assert stream.packets.at_s[0] == pytest.approx(0.1)
    assert int(np.diff(stream.packets.sequence).max()) == 3
    assert int(np.diff(stream.packets.timestamp).max()) == 3 * 960
    assert stream.packets.size[:4].tolist() == [60, 61, 62, 60]
    assert np.diff(stream.pulls_s) == pytest.approx(0.010)
    assert [(each.since_s, each.delay_s) for each in stream.wishes] == [(0.25, 0.15)]


def test_an_event_log_without_its_end_counts_up_to_there(tmp_path):
    path = tmp_path / "call.log"
    path.write_bytes(files.event_log(2.0) + files.event_log(1.0)[:200])
    capture = read_capture(path)
    assert capture.streams[0].count == 100
    assert any("cut off" in each for each in capture.warnings)


def test_a_recording_of_janus_is_read_in_clear(tmp_path):
    path = tmp_path / "room.mjr"
    path.write_bytes(files.mjr(CALL) + b"MEET\0")
    capture = read_capture(path)
    (stream,) = capture.streams
    assert (stream.count, stream.clock_hz, stream.encrypted, stream.at_the_server) == (50, 48_000, False, True)
    assert stream.packets.payloads[0] == CALL[0][1][12:]
    assert any("cut off" in each for each in capture.warnings)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"hello, this is text" * 9, "no recording of a call"),
        (files.pcap([]), "holds no packet"),
        (files.pcapng([]), "holds no packet"),
        (b"MEETECHO" + bytes(40), "older form, which has no arrival times"),
        (b"MJR00002\0\5hello", "damaged Janus recording"),
        (files.begin() + bytes(8), "logs no RTP packets"),
        (gzip.compress(files.pcap(files.on_the_wire(CALL)), mtime=0)[:40] + b"\xff" * 40, "damaged"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, data, sentence):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=sentence):
        read_capture(path)


def test_a_folder_a_missing_file_and_a_pipe_are_one_sentence(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "none", tmp_path / "pipe"):
        with pytest.raises(BadInputError, match=r"is no file|cannot be read"):
            read_capture(path)


def test_no_damage_to_a_file_is_a_fault_of_ours(tmp_path):
    rng = np.random.default_rng(1)
    originals = [
        files.pcap(files.on_the_wire(CALL)),
        files.pcapng(files.on_the_wire(CALL)),
        files.event_log(1.0),
        files.mjr(CALL),
    ]
    path = tmp_path / "file"
    outcomes = set()
    for turn in range(240):
        data = bytearray(originals[turn % 4])
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)])
        try:
            capture = read_capture(path)
        except BadInputError:
            outcomes.add("sentence")
        else:
            outcomes.add("streams" if capture.streams else "none")
            assert all(len(each.packets) for each in capture.streams)
    assert {"sentence", "streams"} <= outcomes


@pytest.mark.parametrize("clock_hz", CLOCKS_HZ)
def test_a_stream_s_clock_is_told_however_long_it_ran(clock_hz):
    chance = np.random.default_rng(1)
    for hours in (0.01, 1, 14, 20, 30, 100):  # 2^32 ticks are 13.3 hours at 90 kHz, 24.9 at 48
        left_s = np.linspace(0.0, hours * 3600.0, 1000)
        ticks = np.round(left_s * clock_hz * (1 + 50e-6)).astype(np.int64) + 4_000_000_000
        came_s = left_s + chance.exponential(0.020, size=len(left_s))
        assert clock_of(came_s, (ticks % 2**32).astype(np.uint32)) == clock_hz, hours
