"""Figures that the formulas give by hand or that libwebrtc's own sources and tests state: 1 b/s and 1 ms."""

import pytest

from rtcprobe.control.aimd import Aimd, Capacity, near_max_bps_per_s
from rtcprobe.control.alr import Alr
from rtcprobe.control.grouping import Grouping
from rtcprobe.control.history import Sent
from rtcprobe.control.loss import LossBased
from rtcprobe.control.probing import Probe, ProbeResults, Probing
from rtcprobe.control.throughput import Throughput
from rtcprobe.control.trendline import Trendline
from rtcprobe.control.window import Pushback, RttBackOff


def test_groups_are_what_was_sent_together_or_came_in_a_burst():
    grouping = Grouping()
    packets = [
        (0, 50, 1200, None), (1, 52, 1200, None), (6, 60, 1200, None), (7, 61, 600, None),
        (12, 62, 1200, None),  # joins as a burst
        (25, 80, 1200, (11, 10, 600)),
        (24, 81, 1200, None),  # sent before the group's first
        (40, 79, 1200, None),  # arrival gap -1, faster than sent: a burst
        (55, 110, 1200, (28, 17, -600)),
        (70, 125, 1200, (15, 31, -1200)),
    ]  # fmt: skip
    for sent_ms, arrived_ms, size_bytes, meant in packets:
        deltas = grouping.add(sent_ms / 1e3, arrived_ms / 1e3, size_bytes, 0.2)
        if meant is None:
            assert deltas is None, sent_ms
        else:
            assert (1e3 * deltas.send_s, 1e3 * deltas.arrival_s, deltas.size_bytes) == pytest.approx(meant)


def test_the_third_group_in_a_row_that_arrives_before_the_one_before_it_begins_afresh():
    grouping = Grouping()
    for n in range(3):
        grouping.add(0.02 * n, 1 + 0.02 * n, 1200, 0.0)
    for n in range(3, 7):  # each group arrives 10 ms before the one before it
        assert grouping.add(0.02 * n, 1.04 - 0.01 * (n - 2), 1200, 0.0) is None or n == 3
    assert grouping._before is None or grouping._reordered == 0


def run_trendline(deltas_ms):
    """Return the detector and (group, signal, trend, threshold) at each change of signal."""
    line, changes, before = Trendline(), [], "normal"
    arrival_ms = 0.0
    for group, delta_ms in enumerate(deltas_ms, start=1):
        arrival_ms += 10 + delta_ms
        line.add(10 + delta_ms, 10, arrival_ms)
        if line.signal != before:
            changes.append((group, line.signal, line.trend, line.threshold))
            before = line.signal
    return line, changes


@pytest.mark.parametrize(
    ("deltas_ms", "first", "trend", "threshold", "slope", "last_trend", "last_threshold"),
    [
        ([0.5] * 60, 36, 6.413, 6.0532, 0.047373, 11.3695, 9.5274),
        ([1.0] * 60, 24, 6.725, 6.0894, 0.090439, 21.7054, 18.1075),
        ([2.0] * 60, 21, 9.594, 6.625, 0.165805, 39.7932, 33.7257),
        ([0.0] * 100 + [1.0] * 60, 113, 7.302, 6.1493, None, None, 21.1142),
    ],
)
def test_a_growing_delay_is_an_overuse_when_the_trendline_says_so(
    deltas_ms, *, first, trend, threshold, slope, last_trend, last_threshold
):
    line, changes = run_trendline(deltas_ms)
    assert changes[0][:2] == (first, "overuse")
    assert changes[0][2] == pytest.approx(trend, abs=1e-3)
    assert changes[0][3] == pytest.approx(threshold, abs=1e-3)
    assert line.threshold == pytest.approx(last_threshold, abs=1e-3)
    if slope is not None:
        assert line.slope == pytest.approx(slope, abs=1e-6)
        assert line.trend == pytest.approx(last_trend, abs=1e-3)  # 60 deltas, gain 4


def test_a_queue_that_fills_and_drains_is_overuse_then_underuse():
    line, changes = run_trendline([0.0] * 100 + [3.0] * 20 + [-3.0] * 20 + [0.0] * 60)
    assert [(group, signal) for group, signal, _, _ in changes] == [
        (109, "overuse"), (135, "normal"), (138, "underuse"), (163, "normal"),
    ]  # fmt: skip
    assert changes[0][2] == pytest.approx(9.935, abs=1e-3)
    assert changes[2][2] == pytest.approx(-18.832, abs=1e-3)
    assert line.threshold == 6.0


def test_a_lone_group_60_ms_late_is_an_overuse_for_the_threshold_has_fallen():
    # On a line that keeps order nothing arrives before it: the next one comes at the same instant, 10 ms after it left.
    line, changes = run_trendline([0.0] * 100 + [60.0, -10.0] + [0.0] * 38)
    assert [change[:2] for change in changes] == [(104, "overuse"), (133, "normal")]
    assert line.threshold == pytest.approx(6.6424, abs=1e-3)
    _, early = run_trendline([0.0] * 10 + [60.0, -10.0] + [0.0] * 8)  # at 12.5, and of few groups, it was none yet
    assert "overuse" not in [signal for _, signal, _, _ in early]
    # Where those behind it catch up, too.
    _, changes = run_trendline([0.0] * 100 + [60.0] + [-10.0] * 6 + [0.0] * 33)
    assert changes[0][:2] == (104, "overuse")


@pytest.mark.parametrize(
    ("rate_kbps", "rtt_ms", "meant"),
    [(100, 80, 9259.26), (300, 200, 8333.33), (600, 80, 18518.52), (2500, 80, 25720.16)],
)
def test_near_the_capacity_the_rate_grows_by_half_a_packet_a_response_time(rate_kbps, rtt_ms, meant):
    assert near_max_bps_per_s(1e3 * rate_kbps, rtt_ms / 1e3) == pytest.approx(meant, abs=0.01)


def test_the_capacity_is_a_slow_mean_with_a_bounded_spread():
    capacity = Capacity()
    meant = [(1000, 1000, 0.4, 60), (900, 995, 0.83352, 86.395), (950, 992.75, 0.88389, 88.867)]
    for sample, mean, spread, margin in [*meant, (600, 973.1125, 2.5, 147.97)]:
        capacity.add(1e3 * sample)
        assert capacity.estimate_bps == pytest.approx(1e3 * mean, abs=0.01)
        assert capacity.spread == pytest.approx(spread, abs=1e-4)
        assert capacity.margin_bps == pytest.approx(1e3 * margin, abs=10)


def test_the_rate_grows_by_a_share_then_by_steps_and_falls_to_a_share_of_what_arrives():
    aimd = Aimd(300e3)
    aimd.rtt_s = 0.080
    steps = [
        (0, "normal", 300, 301_000), (0.1, "normal", 300, 303_325.46), (0.2, "normal", 300, 305_668.89),
        (1.2, "normal", 400, 330_122.41), (1.3, "overuse", 390, 326_500), (1.4, "underuse", 390, 326_500),
        (1.5, "normal", 330, 326_500), (2.5, "normal", 335, 341_615.74),  # by steps
        (3.5, "normal", 500, 368_945),  # more than the capacity arrives: it is forgotten
    ]  # fmt: skip
    for at_s, signal, acked_kbps, rate_bps in steps:
        assert aimd.update(signal, 1e3 * acked_kbps, at_s) == pytest.approx(rate_bps, abs=1), at_s


def sent(packets):
    return [Sent(n, sent_s, size, arrival_s=arrival_s) for n, (sent_s, arrival_s, size) in enumerate(packets)]


@pytest.mark.parametrize(
    ("spacing_ms", "gap_after", "bps"), [(10, None, 960_000), (10, 50, 960_000), (16, None, 600_000)]
)
def test_the_throughput_is_the_lesser_of_sent_and_received_without_the_largest_gap(spacing_ms, gap_after, bps):
    throughput = Throughput()
    late_s = [0.2 if gap_after is not None and n >= gap_after else 0.0 for n in range(120)]
    throughput.add(sent([(0.01 * n, 0.05 + spacing_ms / 1e3 * n + late_s[n], 1200) for n in range(120)]))
    assert throughput.bps() == pytest.approx(bps, abs=1)


def test_the_throughput_of_fewer_than_ten_packets_is_not_known():
    throughput = Throughput()
    throughput.add(sent([(0.01 * n, 0.05 + 0.01 * n, 1200) for n in range(9)]))
    assert throughput.bps() is None


@pytest.mark.parametrize(("kbps", "at_s"), [(600, 5.22), (500, 1.74), (400, 1.06), (20, 0.42)])
def test_who_sends_less_than_65_percent_becomes_application_limited(kbps, at_s):
    alr, n = Alr(1e6), 0
    while alr.since_s is None:
        alr.sent(round(kbps * 1e3 * 0.02 / 8), round(0.02 * n, 6))
        n += 1
    assert alr.since_s == pytest.approx(at_s, abs=1e-9)
    while alr.since_s is not None and n < 1000:
        alr.sent(2250, round(0.02 * n, 6))
        n += 1
    assert alr.since_s is None
    assert alr.ended_s is not None


def test_the_first_probes_are_three_and_six_times_the_start_and_then_twice_what_came():
    probing = Probing(300e3, None)
    probing.network_up(0.0)
    first = probing.take()
    assert [(p.rate_bps, p.least_bytes, p.send_bytes) for p in first] == [(900e3, 1687.5, 225), (1800e3, 3375, 450)]
    probing.set_estimate(1259e3, "free", 0.1)
    assert probing.take() == []
    probing.set_estimate(1800e3, "free", 0.2)
    further = probing.take()
    assert [(p.rate_bps, p.least_bytes, p.send_bytes) for p in further] == [(3600e3, 6750, 900)]
    probing.set_estimate(2520e3, "free", 0.3)
    assert probing.take() == []
    probing.set_estimate(2521e3, "free", 0.3)
    assert [p.rate_bps for p in probing.take()] == [5000e3]  # the cap without a maximum


@pytest.mark.parametrize(
    ("sent_kbps", "received_kbps", "packets", "meant_kbps"),
    [(900, 900, 5, 900), (1800, 1000, 5, 950), (1800, 1700, 5, 1700), (1800, 1800, 3, None), (1800, 1800, 4, 1800)],
)
def test_a_probe_measures_what_arrived_of_it(sent_kbps, received_kbps, packets, meant_kbps):
    results, result = ProbeResults(), None
    probe = Probe(number=1, rate_bps=1800e3, at_s=0.0)
    for n in range(packets):
        packet = Sent(n, 8 * n / sent_kbps, 1000, 1, arrival_s=0.05 + 8 * n / received_kbps)
        result = results.add(packet, probe)
    assert result == (None if meant_kbps is None else pytest.approx(1e3 * meant_kbps, abs=1))


def observe(start_kbps, delay_kbps, losses):
    """Feed observations of 1 Mb/s with the given shares lost; return (kb/s, state, inherent, average) after each."""
    loss, out = LossBased(1e3 * start_kbps), []
    loss.update([Sent(0, 0.0, 0, arrival_s=0.05)], 1e3 * delay_kbps, None)
    for n, share in enumerate(losses, start=1):
        packets = [Sent(2 * n, 0.25 * n, 31_250 * (1 - share), arrival_s=0.25 * n + 0.05)]
        packets += [Sent(2 * n - 1, 0.25 * n - 0.001, 31_250 * share)] if share else []
        target_bps = loss.update(packets, 1e3 * delay_kbps, 1e6 * (1 - share))
        out.append((target_bps / 1e3, loss.state, loss.inherent, loss.average))
    return out


def test_no_loss_lets_the_delay_based_estimate_decide():
    assert [row[:2] for row in observe(2000, 2000, [0] * 20)] == [(2000, "delay")] * 20


def test_padding_after_loss_ends_after_two_seconds_in_which_the_estimate_did_not_grow():
    # 350 kb/s into a line that carries 298 of them: 15 % are lost, for 2.5 s but 5 %, and the estimate
    # grows; then 15 % again, and the delay says nothing of it.
    loss = LossBased(347e3)
    loss.update([Sent(0, 0.0, 0, arrival_s=0.05)], 445e3, None)
    padded, since_s, states = 0.0, None, set()
    for n in range(1, 160):
        at_s, lost = 0.25 * n, 547 if 20 <= n < 30 else 1641
        packets = [Sent(2 * n, at_s, 10938 - lost, arrival_s=at_s + 0.05), Sent(2 * n - 1, at_s - 0.001, lost)]
        before_bps = loss.target_bps
        loss.update(packets, 445e3, 8 * (10938 - lost) / 0.25)
        states.add(loss.state)
        grows = loss.state != "increasing" or loss.target_bps > before_bps
        since_s = None if grows else at_s if since_s is None else since_s
        padded = max(padded, 0.0 if since_s is None else at_s - since_s)
    assert "increasing" in states
    assert padded <= 2.0


def test_two_percent_at_random_cost_nothing():
    rows = observe(1500, 1500, [0.02] * 20)
    assert {row[:2] for row in rows} == {(1500, "delay")}
    assert [row[2] for row in rows[:4]] == pytest.approx([0.0138, 0.0170, 0.0189, 0.0197], abs=5e-5)
    assert rows[-1][2] == pytest.approx(0.02, abs=1e-4)


def test_ten_percent_lower_the_target_once():
    rows = observe(1000, 1000, [0.1] * 20)
    assert {row[:2] for row in rows} == {(950, "decreasing")}
    assert [row[2] for row in rows[:5]] == pytest.approx([0.0285, 0.0472, 0.0609, 0.0792, 0.0918], abs=5e-5)
    assert rows[-1][2] == pytest.approx(0.1, abs=1e-3)


def test_thirty_percent_leave_what_arrives():
    rows = observe(1000, 1000, [0.3] * 20)
    assert {row[1] for row in rows} == {"decreasing"}
    assert rows[-1][0] == pytest.approx(700, abs=1e-3)
    assert rows[-1][2] == pytest.approx(1e-3, abs=1e-4)


def test_a_loss_that_begins_is_followed_by_the_average_and_its_bound():
    rows = observe(1000, 1000, [0] * 10 + [0.4] * 8)[10:]
    meant = [
        (950, 0.0058, 0), (950, 0.0262, 0.0671), (950, 0.0546, 0.1194), (900.17, 0, 0.1611), (689.9, 0, 0.1949),
        (600, 0, 0.23),
    ]  # fmt: skip
    for (kbps, state, inherent, average), (their_kbps, their_inherent, their_average) in zip(rows, meant, strict=False):
        assert state == "decreasing"
        assert kbps == pytest.approx(their_kbps, abs=0.15)
        assert inherent == pytest.approx(their_inherent, abs=5e-5)
        assert their_average is None or average == pytest.approx(their_average, abs=5e-5)


def test_without_feedback_for_three_seconds_the_rate_falls_by_a_fifth_each_second():
    back_off, rate_bps, rates = RttBackOff(), 1e6, []
    back_off.told(0.1, 0.0)
    assert not back_off.exceeded(2.9)
    assert back_off.exceeded(2.95)
    for step in range(200):
        now_s = 3.0 + 0.025 * step
        lower_bps = back_off.lowered(rate_bps, now_s)
        if lower_bps != rate_bps:
            rates.append(lower_bps)
        rate_bps = lower_bps
    assert rates[:4] == pytest.approx([800e3, 640e3, 512e3, 409.6e3])


def test_the_congestion_window_and_what_it_pushes_back():
    window = Pushback()
    for rtt_s, target_kbps, size_bytes in ((0.08, 1000, 53_750), (0.08, 600, 43_000)):
        window.told(rtt_s, 1e3 * target_kbps)
        assert window.size_bytes == pytest.approx(size_bytes, abs=1)
    later = Pushback()
    later.told(0.3, 600e3)
    later.size_bytes = 50_000.0
    window = Pushback()
    window.size_bytes = 50_000.0
    rates = [window.allowed_bps(1e6, 1000 * kb) for kb in (40, 60, 80, 80, 60, 40, 4)]
    assert rates == pytest.approx([1e6, 950_000, 855_000, 769_500, 731_024, 767_576, 1e6], abs=1)
