"""The media plane of a forwarding server by itself: what is rewritten, and how a stream goes on with another source."""

from types import SimpleNamespace

import pytest

from rtcprobe.audio.red import RedEncoder
from rtcprobe.playout.neteq.red import split_red
from rtcprobe.recording import Agreed
from rtcprobe.runtime.forwarding import Forwarded, Forwarding, retyped

PLAIN = Agreed(opus_payload_type=96, red_payload_type=None, sends_red=False, nack=False)
RED = Agreed(opus_payload_type=96, red_payload_type=63, sends_red=True, nack=False)
OTHER = Agreed(opus_payload_type=111, red_payload_type=64, sends_red=True, nack=False)


class Sent:
    """What left."""

    def __init__(self):
        self.packets, self.reports = [], []

    def send(self, kind, sequence, timestamp, payload, level):
        self.packets.append((kind[0], sequence, timestamp, payload, level))
        return True

    def report(self, ntp_timestamp, rtp_timestamp):
        self.reports.append((ntp_timestamp, rtp_timestamp))


def packet(sequence, timestamp, ssrc=1, payload_type=96, payload=b"frame"):
    return SimpleNamespace(
        sequence_number=sequence, timestamp=timestamp, ssrc=ssrc, payload_type=payload_type, payload=payload, marker=1,
        head=b"",
    )  # fmt: skip


def numbers(sent):
    return [each[1:3] for each in sent.packets]


def test_one_source_keeps_its_numbers_and_late_packets_theirs():
    sent = Sent()
    plane = Forwarding(now_s=lambda: 0.0)
    plane.send_on("ana", Forwarded(out=sent, agreed=PLAIN))
    for number in (65_535, 1, 0):
        plane.came("ana", packet(number, number * 960), PLAIN)
        plane.came("ben", packet(7, 7), PLAIN)  # nobody hears ben
    assert numbers(sent) == [(65_535, 65_535 * 960), (1, 960), (0, 0)]


def test_another_source_goes_on_where_the_last_one_stood():
    sent, now = Sent(), [0.0]
    plane = Forwarding(now_s=lambda: now[0])
    plane.send_on("host", Forwarded(out=sent, agreed=PLAIN))
    plane.came("host", packet(100, 9_600), PLAIN)
    now[0] = 1.5  # the host left, and comes back over a new connection
    plane.came("host", packet(40_000, 123_456, ssrc=2), PLAIN)
    plane.came("host", packet(40_001, 124_416, ssrc=2), PLAIN)
    assert numbers(sent) == [(100, 9_600), (101, 9_600 + 72_000), (102, 9_600 + 72_960)]  # 1.5 s of 48 kHz
    plane.reported("host", 77, 124_416)
    assert sent.reports == [(77, 9_600 + 72_960)]


def test_a_pause_leaves_no_gap_in_the_numbers_and_the_whole_gap_in_time():
    sent = Sent()
    forwarded = Forwarded(out=sent, agreed=PLAIN)
    forwarded.forward(packet(10, 9_600), PLAIN, None, 0.2)
    forwarded.pause()
    forwarded.forward(packet(30, 28_800), PLAIN, None, 0.6)
    forwarded.resume()
    forwarded.forward(packet(60, 57_600), PLAIN, None, 1.2)
    assert numbers(sent) == [(10, 9_600), (11, 57_600)]
    assert forwarded.pauses == [(9_600, 57_600)]


def test_red_is_told_with_the_other_legs_numbers_or_unpacked_where_it_has_none():
    encoder = RedEncoder(2, 96)
    for place, frame in enumerate((b"one", b"two", b"three")):
        red = encoder.encode(frame, place * 960)
    kind, rewritten = retyped(63, red, RED, OTHER)
    assert kind == 64
    before, after = split_red(red), split_red(rewritten)
    assert [each.payload for each in after] == [each.payload for each in before]
    assert {each.payload_type for each in after} == {111}
    assert retyped(63, red, RED, PLAIN) == (96, b"three")
    assert retyped(96, b"frame", RED, OTHER) == (111, b"frame")
    assert retyped(63, b"", RED, OTHER) == (63, b"")  # no RED at all: whoever listens will drop it
    assert retyped(13, b"noise", RED, OTHER) == (13, b"noise")


@pytest.mark.parametrize("payload", [b"\xe0\x00\x00\x05\x60", b"\xff" * 9])
def test_what_cannot_be_read_as_red_goes_on_as_it_is(payload):
    assert retyped(63, payload, RED, OTHER) == (63, payload)
