"""Feedback over the wire, who writes it and who reads it; and everything that may be wrong with it."""

import numpy as np
import pytest

from rtcprobe.control import Feedback, Recorder, interval_s, parse_extension, parse_feedback, write_extension
from rtcprobe.control.feedback import TICK_S
from rtcprobe.control.history import History
from rtcprobe.errors import BadInputError


def feedback(**changes):
    usual = {"sender_ssrc": 1, "media_ssrc": 2, "base": 100, "reference": 16, "count": 7, "deltas": (4, 21, None, 256)}
    return Feedback(**usual | changes)


def test_two_published_messages_to_the_byte():
    first = "afcd0006 00000001 00000002 0064 0004 000010 07 d480 04 15 0100 0002"
    assert feedback().to_bytes().hex() == first.replace(" ", "")
    second = "afcd000a 00000001 00000002 fffe 0014 0abcde ff 2014 00" + "01" * 19 + "0002"
    message = feedback(base=65534, reference=0xABCDE, count=255, deltas=(0,) + (1,) * 19)
    assert message.to_bytes().hex() == second.replace(" ", "")
    assert parse_feedback(message.to_bytes()) == message


def test_the_extension_of_a_published_packet():
    assert write_extension(3, 0x1234).hex() == "311234"
    assert parse_extension(bytes.fromhex("311234")) == (3, 0x1234)
    for wrong in ("3012", "321234", "31123456"):
        with pytest.raises(BadInputError, match="no transport-wide number"):
            parse_extension(bytes.fromhex(wrong))


def test_any_message_comes_back_as_it_was():
    rng = np.random.default_rng(1)
    for length in (1, 6, 7, 8, 13, 14, 15, 100, 9000):
        draws = rng.choice(5, length, p=[0.2, 0.5, 0.1, 0.1, 0.1])
        values = {0: None, 1: 3, 2: 300, 3: -5, 4: 255}
        deltas = tuple(values[int(draw)] for draw in draws)
        message = feedback(deltas=deltas)
        wire = message.to_bytes()
        assert len(wire) % 4 == 0
        assert parse_feedback(wire) == message


@pytest.mark.parametrize("cut", range(1, 28))
def test_a_message_cut_anywhere_is_refused_in_a_sentence(cut):
    with pytest.raises(BadInputError):
        parse_feedback(feedback().to_bytes()[:-cut])


def test_rubbish_is_refused_and_never_a_crash():
    rng = np.random.default_rng(1)
    whole = bytearray(feedback(deltas=(1, None, 300, 4) * 30).to_bytes())
    for _ in range(2000):
        harmed = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            harmed[place] = int(rng.integers(256))
        try:
            parse_feedback(bytes(harmed))
        except BadInputError:
            continue


@pytest.mark.parametrize(("kbps", "ms"), [(None, 100), (20, 250), (60, 181.33), (100, 108.8), (217.6, 50), (3000, 50)])
def test_reports_take_five_percent_of_the_reporters_own_uplink(kbps, ms):
    assert interval_s(None if kbps is None else 1e3 * kbps) == pytest.approx(ms / 1e3, abs=1e-5)


def test_a_report_reaches_from_the_first_new_number_to_the_newest_and_copies_do_not_count():
    recorder = Recorder()
    assert recorder.reports(0.0) == []
    for sequence, at_s in ((65534, 1.0), (65535, 1.00013), (1, 1.010), (1, 1.030)):
        recorder.arrived(sequence, at_s)
    (message,) = recorder.reports(1.05)
    assert (message.base, message.count) == (65534, 0)
    ticks = message.arrivals()
    assert ticks == (4000, 4001, None, 4040)  # rounded, each from the rounded one before it
    assert recorder.reports(1.1) == []
    recorder.arrived(0, 1.11)  # late: told again from there
    (late,) = recorder.reports(1.15)
    assert (late.base, late.count, [t is None for t in late.arrivals()]) == (0, 1, [False, False])


def test_a_delta_that_does_not_fit_begins_another_message():
    recorder = Recorder()
    for sequence, at_s in ((0, 1.0), (1, 20.0), (2, 20.001)):
        recorder.arrived(sequence, at_s)
    messages = recorder.reports(21.0)
    assert [(m.base, m.arrivals()) for m in messages] == [(0, (4000,)), (1, (80_000, 80_004))]


def told(history, deltas, base=0, at_s=1.0, reference=0):
    return history.read(feedback(base=base, reference=reference, deltas=deltas), at_s)


def test_the_sender_reads_arrivals_to_the_millisecond_and_what_is_in_flight():
    history = History()
    for n in range(5):
        history.sent(n, 1000, 0.01 * n)
    report = told(history, (7, 5, None, 40))
    assert [p.sequence for p in report.packets] == [0, 1, 2, 3]
    assert [p.arrival_s for p in report.received] == pytest.approx([0.001, 0.003, 0.013])
    assert report.in_flight_bytes == 1000
    late = told(history, (4,), base=2, at_s=1.1, reference=1)  # the lost one came after all
    assert [(p.sequence, p.arrival_s) for p in late.received] == [(2, 0.065)]


def test_feedback_twice_or_of_packets_never_sent_says_nothing():
    history = History()
    assert told(history, (1, 1)) is None
    history.sent(10, 1000, 0.0)
    assert told(history, (1,), base=10) is not None
    assert told(history, (1,), base=10) is None
    assert told(history, (1,) * 50, base=2000) is None
    assert history.in_flight_bytes == 0


def test_numbers_and_reference_times_wrap():
    history = History()
    for n in range(70_000):
        history.sent(n & 0xFFFF, 100, 0.0005 * n)
    report = told(history, (1, 1), base=69_998 & 0xFFFF, reference=0x7FFFFF)
    assert [p.sequence for p in report.received] == [69_998, 69_999]
    before_s = report.received[-1].arrival_s
    history.sent(70_000 & 0xFFFF, 100, 35.0)
    wrapped = parse_feedback(feedback(base=70_000 & 0xFFFF, reference=-0x800000, deltas=(0,)).to_bytes())
    assert history.read(wrapped, 36.0).received[0].arrival_s - before_s == pytest.approx(0.064 - 0.0005, abs=0.001)


def test_bytes_without_the_extension_are_acknowledged_with_the_next_that_has_it():
    history = History()
    history.sent_untold(300)
    history.sent(0, 1000, 0.0)
    assert told(history, (1,)).received[0].unacked_bytes == 300


def test_the_tick_is_a_quarter_of_a_millisecond():
    assert TICK_S == 0.00025
