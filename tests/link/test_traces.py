"""Recorded paths: what the files mean."""

import numpy as np
import pytest

from rtcprobe.link import Link, parse_link
from rtcprobe.link.traces import read_capacity_trace, read_delay_samples, read_delay_trace, read_loss_trace


def seed():
    return np.random.SeedSequence(1)


@pytest.fixture
def written(tmp_path):
    def write(text, name="trace.txt"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_a_capacity_trace_is_a_line_of_milliseconds_an_opportunity(written):
    trace = read_capacity_trace(written("# mahimahi\n0\n5\n5\n\n20\n"))
    assert trace.opportunities_s == (0.0, 0.005, 0.005, 0.020)
    assert trace.bps == 4 * 1500 * 8 / 0.020


def test_packets_leave_at_recorded_instants_and_share_them_by_bytes(written):
    hop = Link(parse_link({"capacity_trace": str(written("10\n20\n30\n"))}), seed())
    # 1,000 B at 10 ms; 500 B more fit there; the next 1,600 B take all of 20 ms and 100 B of 30 ms.
    sizes = [1000, 500, 1600, 1400, 1]
    assert [hop.offer(size, 0.0).arrivals_s[0] for size in sizes] == pytest.approx([0.01, 0.01, 0.03, 0.03, 0.04])


def test_an_opportunity_nobody_waits_for_is_wasted_and_the_trace_starts_over(written):
    hop = Link(parse_link({"capacity_trace": str(written("10\n20\n100\n"))}), seed(), start_s=5.0)
    assert hop.offer(1500, 5.05).arrivals_s[0] == pytest.approx(5.1)
    assert hop.offer(1500, 5.105).arrivals_s[0] == pytest.approx(5.11)  # second round
    assert hop.offer(1500, 1005.0501).arrivals_s[0] == pytest.approx(1005.1)  # ten thousand rounds later


def test_a_handover_passes_over_the_instants_inside_it(written):
    hop = Link(
        parse_link({"capacity_trace": str(written("10\n20\n30\n40\n")), "handovers": [{"at": "15ms", "for": "20ms"}]}),
        seed(),
    )
    assert [hop.offer(1500, 0.0).arrivals_s[0] for _ in range(3)] == pytest.approx([0.01, 0.04, 0.05])


def test_a_recorded_line_starts_when_the_one_before_it_has_finished(written):
    # 1,500 B at 120 kbit/s take 100 ms; the trace takes over meanwhile.
    then = [{"at": "50ms", "capacity_trace": str(written("10\n"))}]
    hop = Link(parse_link({"rate": "120kbit", "schedule": then}), seed())
    assert hop.offer(1500, 0.0).arrivals_s[0] == pytest.approx(0.1)
    assert hop.offer(1500, 0.06).arrivals_s[0] == pytest.approx(0.11)


def test_the_copy_of_a_recorded_packet_comes_with_it(written):
    hop = Link(parse_link({"delay_trace": str(written("40\n-1\n")), "duplicate": "100%"}), seed())
    assert [hop.offer(160, 1.0).arrivals_s, hop.offer(160, 2.0).arrivals_s] == [(1.04, 1.04), ()]


def test_a_saturated_capacity_trace_delivers_its_mean_rate(written):
    # 3 opportunities in 30 ms are 1.2 Mbit/s; offered 2.4 Mbit/s, half is dropped.
    hop = Link(parse_link({"capacity_trace": str(written("7\n11\n30\n")), "limit": "20"}), seed())
    arrived = sum(hop.offer(1500, 0.005 * n).dropped is None for n in range(4000))
    assert arrived / 4000 == pytest.approx(0.5, abs=0.01)


def test_a_delay_trace_is_followed_packet_by_packet_and_starts_over(written):
    hop = Link(parse_link({"delay_trace": str(written("40\n-1\n55.5\nlost\n"))}), seed())
    fates = [hop.offer(160, n) for n in range(6)]
    assert [fate.dropped for fate in fates] == [None, "trace", None, "trace", None, "trace"]
    assert [fates[n].arrivals_s[0] - n for n in (0, 2, 4)] == pytest.approx([0.04, 0.0555, 0.04])


def test_a_loss_trace_is_one_digit_a_packet(written):
    hop = Link(parse_link({"loss_trace": "losses.txt"}, folder=written("0 0 1\n110\n", "losses.txt").parent), seed())
    causes = [hop.offer(160, n).dropped for n in range(7)]
    assert causes == [None, None, "trace", "trace", "trace", None, None]


def test_delay_samples_are_a_distribution(written):
    path = written("30\n10\n20\n")
    assert read_delay_samples(path) == (0.03, 0.01, 0.02)
    spec = parse_link({"delay": "100ms", "delay_samples": str(path), "order": "free"})
    # Interpolated between 110, 120 and 130 ms: the quarter lies at 115.
    assert [spec.delay.quantile_s(q) for q in (0, 0.25, 0.5, 1)] == pytest.approx([0.11, 0.115, 0.12, 0.13])
    hop = Link(spec, seed())
    delays_s = [hop.offer(160, 0.02 * n).arrivals_s[0] - 0.02 * n for n in range(20_000)]
    # Piecewise uniform here: mean 120 ms, standard deviation 20/√12 ms.
    assert np.mean(delays_s) == pytest.approx(0.12, abs=4 * 0.00577 / np.sqrt(20_000))
    assert np.std(delays_s) == pytest.approx(0.00577, rel=0.02)


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (read_capacity_trace, "1\nx\n", "{}, line 2: 'x' is not a time in ms: give one number a line"),
        (read_capacity_trace, "5\n4\n", "{}, line 2: '4' is earlier than the line before: sort the times"),
        (read_capacity_trace, "-1\n", "{}, line 1: '-1' is before the trace starts: give zero or more ms"),
        (read_capacity_trace, "0\n0\n", "{}: the trace lasts no time: give at least one time above 0 ms"),
        (
            read_delay_trace,
            "10\n-5\n",
            "{}, line 2: '-5' is an impossible delay: give a delay in ms, -1 for a lost packet",
        ),
        (read_delay_trace, "10\nnan\n", "{}, line 2: 'nan' is not a delay in ms: give one number a line"),
        (read_delay_trace, "-1\nlost\n", "{}: no packet of the trace arrives: give one delay in ms a line"),
        (read_delay_samples, "# none\n", "{}: there are no samples: give one delay in ms a line"),
        (read_delay_samples, "-1\n", "{}, line 1: '-1' is an impossible delay: give a delay in ms, zero or more"),
        (read_loss_trace, "0\n012\n", "{}, line 2: '2' is not a fate: give 0 (arrived) or 1 (lost)"),
        (read_loss_trace, "\n", "{}: the trace is empty: give one digit a packet: 0 arrived, 1 lost"),
    ],
)
def test_a_malformed_trace_is_refused_with_file_line_and_value(written, read, text, sentence):
    path = written(text)
    with pytest.raises(Exception) as refusal:  # noqa: PT011 - the whole sentence is compared
        read(path)
    assert str(refusal.value) == sentence.format(path)


def test_an_unreadable_trace_is_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, sentence in {
        "absent": "trace '{}' is not there: check the name",
        ".": "trace '{}' cannot be read (Is a directory): check the file",
        "binary": "trace '{}' is not text: give a text file, one value a line",
    }.items():
        with pytest.raises(Exception) as refusal:  # noqa: PT011 - the whole sentence is compared
            read_delay_trace(tmp_path / name)
        assert str(refusal.value) == sentence.format(tmp_path / name)
