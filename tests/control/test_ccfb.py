"""RFC 8888 on the wire and when it is sent: the specification's vector, laws, and what is cut short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcprobe.control.ccfb import CcFeedback, CcRecorder, Metric, parse_ccfb, write_ccfb
from rtcprobe.errors import BadInputError

VECTOR = bytes.fromhex("8bcd000611223344aabbccdd03e80003801a0000a005000012345678")
TOLD = CcFeedback(
    sender_ssrc=0x11223344,
    blocks={0xAABBCCDD: (1000, (Metric(26), None, Metric(5, ecn=1)))},
    timestamp=0x12345678,
)


def test_the_vector_of_libwebrtcs_trial_is_written_and_read():
    assert write_ccfb(TOLD) == VECTOR
    assert parse_ccfb(VECTOR) == TOLD


METRICS = st.lists(st.none() | st.builds(Metric, st.integers(0, 0x1FFF), st.integers(0, 3)), max_size=9).map(tuple)
BLOCKS = st.dictionaries(st.integers(0, 0xFFFFFFFF), st.tuples(st.integers(0, 0xFFFF), METRICS), max_size=3)


@given(BLOCKS)
def test_what_is_written_is_read(blocks):
    told = CcFeedback(sender_ssrc=1, blocks=blocks, timestamp=7)
    assert parse_ccfb(write_ccfb(told)) == told


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (VECTOR[:8], "is no congestion control feedback"),
        (b"\x8f" + VECTOR[1:], "is no congestion control feedback"),
        (VECTOR[:-4], "says 28"),
        (VECTOR[:15] + b"\x09" + VECTOR[16:], "no room for 9 numbers"),
        (bytes.fromhex("8bcd0004112233440000000000000000 12345678".replace(" ", "")), None),
        (bytes.fromhex("8bcd00031122334400000000 12345678".replace(" ", "")), "ends within a block"),
    ],
)
def test_what_is_cut_short_is_refused(packet, said):
    if said is None:
        assert parse_ccfb(packet).blocks == {0: (0, ())}
        return
    with pytest.raises(BadInputError) as refused:
        parse_ccfb(packet)
    assert said in str(refused.value)


def test_a_report_reaches_from_the_last_one_or_a_late_older_number_to_the_newest():
    recorder = CcRecorder(sender_ssrc=9)
    recorder.arrived(5, 65535, 1.000)
    recorder.arrived(5, 1, 1.010, ecn=3)
    recorder.arrived(5, 1, 1.020)  # a copy
    assert recorder.report(1.020, 1).blocks == {5: (65535, (Metric(20), None, Metric(10, ecn=3)))}
    assert recorder.report(1.030, 2) is None
    recorder.arrived(5, 0, 1.035)  # late
    recorder.arrived(6, 40, 1.036)
    assert recorder.report(1.040, 3).blocks == {
        5: (0, (Metric(5), Metric(30, ecn=3))),
        6: (40, (Metric(4),)),
    }


def test_arrivals_long_ago_and_not_yet_have_their_own_words():
    recorder = CcRecorder()
    recorder.arrived(1, 0, 0.0)
    recorder.arrived(1, 1, 9.5)
    assert recorder.report(9.0, 1).blocks[1][1] == (Metric(0x1FFE), Metric(0x1FFF))


def test_reports_follow_frames_25_to_250_ms_apart_and_take_500_kbit_at_most():
    recorder = CcRecorder()
    assert recorder.due_s is None
    recorder.arrived(1, 0, 1.0)
    assert recorder.due_s == pytest.approx(1.025)
    recorder.arrived(1, 1, 1.01, last_of_frame=True)
    assert recorder.due_s == pytest.approx(1.0)
    recorder.report(1.01, 1)
    recorder.arrived(1, 2, 1.015, last_of_frame=True)
    assert recorder.due_s == pytest.approx(1.035)  # 25 ms after the last
    for number in range(3, 3003):
        recorder.arrived(1, number, 1.016)
    recorder.report(1.035, 2)  # about 6 kB: paid for in 97 ms
    recorder.arrived(1, 4000, 1.04, last_of_frame=True)
    assert recorder.due_s == pytest.approx(1.035 + 8 * (20 + 2 * 3002 + 28 - 0) / 500e3, abs=0.001)


def test_after_a_pause_a_frame_has_its_25_ms_as_ever():
    recorder = CcRecorder()
    recorder.arrived(1, 0, 1.0, last_of_frame=True)
    recorder.report(1.0, 1)
    recorder.arrived(1, 1, 3.0)
    assert recorder.due_s == pytest.approx(3.025)


def test_what_left_before_it_was_paid_for_is_owed():
    recorder = CcRecorder()
    for number in range(16_384):
        recorder.arrived(1, number, 1.0)
    recorder.report(1.0, 1)  # 33 kB, 0.525 s of 500 kb/s
    recorder.arrived(1, 16_384, 1.1, last_of_frame=True)
    assert recorder.due_s == pytest.approx(1.25)
    recorder.report(1.25, 2)
    recorder.arrived(1, 16_385, 1.26, last_of_frame=True)
    assert recorder.due_s == pytest.approx(1.5)  # 0.275 s of it are left
    recorder.report(1.5, 3)
    recorder.arrived(1, 16_386, 1.51, last_of_frame=True)
    assert recorder.due_s == pytest.approx(1.0 + 8 * (20 + 2 * 16_384 + 28 + 2 * (20 + 4 + 28)) / 500e3)


def test_of_copies_the_first_arrival_is_told_and_the_mark_of_any():
    recorder = CcRecorder()
    recorder.arrived(1, 7, 1.000, ecn=1)
    recorder.arrived(1, 7, 1.002, ecn=3)
    assert recorder.report(1.025, 1).blocks == {1: (7, (Metric(25, ecn=3),))}
    recorder.arrived(1, 8, 1.030, ecn=1)
    assert recorder.report(1.055, 2).blocks == {1: (8, (Metric(25, ecn=1),))}
    recorder.arrived(1, 8, 1.060, ecn=1)
    assert recorder.report(1.085, 3) is None
    recorder.arrived(1, 8, 1.090, ecn=3)  # told already, without the mark
    assert recorder.report(1.115, 4).blocks == {1: (8, (Metric(87, ecn=3),))}
    recorder.arrived(1, 8, 1.120, ecn=3)
    assert recorder.report(1.145, 5) is None
