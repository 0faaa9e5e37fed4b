"""Cross traffic: who else is in the queue, and what that does to it."""

import itertools
from collections import deque

import numpy as np
import pytest
from scipy.special import ndtr

from rtcprobe.link import Link, parse_link
from rtcprobe.link.cross import REMEMBERED_S


def link(written, number=1, **kwargs):
    return Link(parse_link(written), np.random.SeedSequence(number), **kwargs)


def fates(hop, seconds, every_s=0.02, size_bytes=160):
    return [hop.offer(size_bytes, n * every_s) for n in range(round(seconds / every_s))]


def delays_s(hop, seconds, every_s=0.02):
    return np.array(
        [fate.arrivals_s[0] - n * every_s for n, fate in enumerate(fates(hop, seconds, every_s)) if fate.arrivals_s]
    )


class Seen:
    """A queue that notes when packets come; it sends them at ``bps`` and holds ``most`` of them."""

    def __init__(self, bps=1e9, most=10**9):
        self.offers = []
        self._bps, self._most, self._last_s, self._waiting = bps, most, 0.0, deque()

    def leave(self, size_bytes, now_s):
        self.offers.append((now_s, size_bytes))
        while self._waiting and self._waiting[0] <= now_s:
            self._waiting.popleft()
        if len(self._waiting) >= self._most:
            return None
        self._last_s = max(now_s, self._last_s) + 8 * size_bytes / self._bps
        self._waiting.append(self._last_s)
        return self._last_s


def flow_of(written, number=1):
    return parse_link(written).cross_traffic[0].flow(np.random.default_rng(number), 0.0)


def run(flow, queue, until_s):
    while flow.next_s < until_s:
        flow.step(queue)
    return np.array([at for at, _ in queue.offers]), np.array([size for _, size in queue.offers])


def test_a_download_fills_the_line():
    hop = link("rate 2mbit limit 50 cross tcp 50ms")
    hop.offer(28, 0.0)
    before = hop.crossed()[0].delivered_bytes
    fates(hop, 20)
    # 2 Mbit/s are 5 MB in 20 s; the call takes 160 B every 20 ms, 0.16 MB.
    assert hop.crossed()[0].delivered_bytes - before + 160_000 == pytest.approx(5e6, rel=0.01)


def test_a_deep_queue_is_bloated_by_a_download_and_codel_keeps_it_short():
    # 1,000 packets of 1,200 B at 2 Mbit/s would take 4.8 s; the receiver's window of 1 MB keeps them to 4 s.
    deep, managed = (delays_s(link(f"rate 2mbit{aqm} cross tcp 50ms"), 30) for aqm in ("", " aqm codel"))
    assert 2 < np.median(deep) < 4
    assert np.median(managed) < 0.015
    assert np.quantile(managed, 0.95) < 0.040


def test_calls_meet_a_download_that_is_already_there():
    waits_s = [
        link("rate 2mbit limit 50 cross tcp 50ms", start_s=at).offer(160, at).arrivals_s[0] - at for at in (0, 7)
    ]
    assert min(waits_s) > 0.01  # several packets of 4.8 ms


def test_the_receiver_s_window_bounds_what_is_in_flight():
    # 20 packets a round trip of 100 ms and 0.96 ms of sending: below the rate, so nobody waits and nobody is lost.
    hop = link("rate 10mbit cross tcp 100ms 24kB")
    fates(hop, 10)
    (crossed,) = hop.crossed()
    rounds = (10 + REMEMBERED_S) / 0.10096
    assert (crossed.lost, crossed.sent) == (0, pytest.approx(20 * rounds, rel=0.02))


def test_the_window_of_a_download_grows_by_a_packet_a_round_trip_and_halves_at_most_once_in_one():
    flow, queue = flow_of("rate 5mbit cross tcp 50ms"), Seen(bps=5e6, most=20)
    windows = []
    while flow.next_s < 25:
        flow.step(queue)
        windows.append((flow.next_s, flow.window))
    halvings = [(at, now / before) for (_, before), (at, now) in itertools.pairwise(windows) if now < before]
    assert len(halvings) > 5
    assert all(later - earlier >= 0.050 for (earlier, _), (later, _) in itertools.pairwise(halvings))
    # After slow start each halving is of what was in flight, a packet or so off the window.
    assert all(ratio == pytest.approx(0.5, abs=0.05) for _, ratio in halvings[2:])
    # The pipe holds 5 Mbit/s · 50 ms = 26 packets and the queue 20 more, so the window swings between 23 and 46, and
    # one swing up takes 23 round trips of 50 to 92 ms.
    tops = [before for (_, before), (_, now) in itertools.pairwise(windows) if now < before][2:]
    assert np.mean(tops) == pytest.approx(46, abs=3)
    swings_s = np.diff([at for at, _ in halvings[2:]])
    assert 23 * 0.050 < swings_s.mean() < 23 * 0.096


def test_a_download_that_lost_everything_tries_again_after_a_second():
    flow, queue = flow_of("rate 5mbit cross tcp 50ms"), Seen(most=0)
    times_s, _ = run(flow, queue, 3.5)
    # Ten packets somewhere in the first round trip, a second of nothing; then what the first cut left of half of them,
    # and half of that, but never less than two.
    assert 0 <= times_s[0] < 0.05
    assert np.diff(sorted(set(times_s))) == pytest.approx([1.0, 1.0, 1.0])
    first, second, third, fourth = (int((times_s == at).sum()) for at in sorted(set(times_s)))
    assert (first, third, fourth) == (10, 2, 2)
    assert 2 <= second <= 5


def test_each_join_meets_a_download_at_another_phase_and_an_equal_seed_at_the_same():
    # 2 Mbit/s, 200 ms of queue: between the foot of the sawtooth and its top the queue is some 70 to 200 ms.
    waits_s = [
        Link(parse_link("rate 2mbit limit 200ms cross tcp 60ms"), np.random.SeedSequence(seed)).offer(160, 0.0)
        for seed in [*range(40), 0]
    ]
    waits_s = np.array([fate.arrivals_s[0] if fate.arrivals_s else 0.2 for fate in waits_s])
    assert waits_s[0] == waits_s[-1]
    assert len(set(waits_s)) > 30
    assert waits_s.min() > 0.05
    quarters = np.histogram(waits_s, bins=4, range=(0.06, 0.21))[0]
    assert quarters.min() >= 3


def test_who_fetches_small_files_takes_30_to_50_kb_at_a_time_and_ten_seconds_between():
    times_s, sizes = run(flow_of("rate 100mbit cross web 40ms"), Seen(), 4000)
    begins = np.flatnonzero(np.diff(times_s, prepend=-10.0) > 0.2)  # no round trip is longer: a file begins
    files = np.add.reduceat(sizes, begins)
    assert (files > 52e3).mean() < 0.05  # one of 50 follows so soon that it looks like one file: exp(-0.2 / 10) = 0.98
    files = files[files < 52e3]
    assert 30e3 <= files.min() < 31.2e3 + 1200
    assert 48.8e3 < files.max() <= 50e3 + 1200
    assert files.mean() == pytest.approx(40e3 + 600, rel=0.02)  # the last packet is half full on average
    assert np.diff(times_s[begins]).mean() == pytest.approx(10, rel=0.15)  # 400 of them: 5 % standard error
    # Slow start: ten packets at once, and the rest a round trip later.
    assert np.sum(times_s[begins[0] : begins[1]] == times_s[begins[0]]) == 10


def test_a_fifth_of_those_who_fetch_small_files_begin_with_one():
    begins_s = [run(flow_of("rate 100mbit cross web 40ms 60s", n), Seen(), 60)[0][:1] for n in range(200)]
    at_once = np.mean([each.size and each[0] < 0.05 for each in begins_s])
    assert at_once == pytest.approx(0.2, abs=0.08)


def test_what_a_small_file_loses_is_sent_again():
    at_once = next(n for n in range(99) if np.random.default_rng(n).random() < 0.2)
    flow = flow_of("rate 1mbit cross web 40ms 60s", at_once)
    run(flow, Seen(bps=1e6, most=8), 20)  # of the first ten two find no room, and more of what slow start sends
    assert flow.crossed.lost >= 2
    assert 30e3 <= flow.crossed.delivered_bytes <= 51.2e3


def test_pulses_send_their_peak_in_their_share_of_the_time():
    # 2 Mbit/s for 100 ms of 500: 25,000 B a pulse, 0.4 Mbit/s on average.
    times_s, sizes = run(flow_of("rate 5mbit cross pulses 2mbit 100ms 500ms"), Seen(), 40)
    assert 8 * sizes.sum() / 40 == pytest.approx(0.4e6, rel=0.01)
    gaps_s = np.diff(times_s)
    assert gaps_s[gaps_s > 0.0015] == pytest.approx(np.full((gaps_s > 0.0015).sum(), 0.401), abs=0.0011)
    assert (sizes.min(), sizes.max()) == (250, 250)


def test_pulses_begin_anywhere_in_their_cycle():
    begins_s = [run(flow_of("rate 5mbit cross pulses 2mbit 100ms 500ms", n), Seen(), 0.6)[0][0] for n in range(40)]
    # A fifth begin inside a pulse; the others within the 400 ms after which one comes.
    assert 2 <= sum(at < 0.002 for at in begins_s) <= 16
    assert max(begins_s) > 0.3


def test_fast_pulses_come_in_packets_that_a_line_takes():
    # 100 Mbit/s are 12,500 B a millisecond: eight packets of 1,500 B, and 500 B; or so.
    times_s, sizes = run(flow_of("rate 1gbit cross pulses 100mbit 100ms 500ms"), Seen(), 10)
    assert sizes.max() == 1500
    assert 8 * sizes.sum() / 10 == pytest.approx(20e6, rel=0.01)
    assert np.bincount((times_s * 1e3).round().astype(int)).max() <= 9


def test_a_random_walk_wanders_around_where_its_steps_lead_it():
    # The stationary law of x ← clamp(x + N(-0.1, 0.6)·√0.2), on a grid of 1/100 by power iteration.
    mean, sd = -0.1 * np.sqrt(0.2), 0.6 * np.sqrt(0.2)
    x = np.linspace(0, 1, 101)
    edges = np.concatenate(([-np.inf], (x[1:] + x[:-1]) / 2, [np.inf]))
    moves = np.diff(ndtr((edges[None, :] - x[:, None] - mean) / sd), axis=1)
    law = np.linalg.matrix_power(moves, 256)[0]
    expected = law @ x
    times_s, sizes = run(flow_of("rate 5mbit cross random-walk 500kbit"), Seen(), 300)
    share = 8 * sizes.sum() / 300 / 500e3
    # Steps of 0.27 forget in about (1/0.27)² = 14 of them: 300 s are 107 levels on their own, each 0.38 apart or less.
    assert share == pytest.approx(expected, abs=4 * 0.38 / np.sqrt(107))
    assert np.bincount(times_s.astype(int), weights=8 * sizes).max() <= 500e3 + 8 * 250


def test_flows_of_a_kind_go_ways_of_their_own():
    hop = link("rate 5mbit cross random-walk 1mbit cross random-walk 1mbit")
    fates(hop, 2)
    first, second = hop.crossed()
    assert first != second


def test_call_and_flows_together_never_exceed_the_line():
    hop, left = link("rate 1mbit limit 60 cross tcp 40ms cross pulses 2mbit 50ms 250ms cross random-walk"), []
    leave = hop._bottleneck.leave

    def noting(size_bytes, now_s, ecn="none"):
        at_s = leave(size_bytes, now_s, ecn)
        if at_s is not None:
            left.append((at_s, size_bytes))
        return at_s

    hop._bottleneck.leave = noting
    warm = [(each.sent - each.lost, each.delivered_bytes) for each in hop.crossed()]
    arrived = sum(bool(fate.arrivals_s) for fate in fates(hop, 10))
    times_s, sizes = np.array(left).T
    assert (np.diff(times_s) >= 0).all()
    # Between any two departures lie no more bits than the line carries in that time.
    assert (8 * sizes[1:] / np.diff(times_s) <= 1e6 * (1 + 1e-9)).all()
    passed, carried = np.array([(each.sent - each.lost, each.delivered_bytes) for each in hop.crossed()]).T
    assert len(left) == arrived + sum(passed) - sum(packets for packets, _ in warm)
    assert sizes.sum() == 160 * arrived + sum(carried) - sum(size for _, size in warm)


def test_flows_pass_a_recorded_line_before_its_start_too(tmp_path):
    # 1,500 B every 12 ms: 1 Mbit/s.
    (tmp_path / "trace").write_text("12\n")
    keys = {"capacity_trace": "trace", "limit": 30, "cross_traffic": [{"kind": "tcp", "rtt": "50ms"}]}
    hop = Link(parse_link(keys, folder=tmp_path), np.random.SeedSequence(1))
    hop.offer(160, 0.0)
    # Ten seconds of it have passed; slow start took some of the first.
    assert 8 * hop.crossed()[0].delivered_bytes == pytest.approx(10e6, rel=0.05)


def test_a_flow_that_the_schedule_brings_begins_then():
    hop = link(
        {"rate": "1mbit", "schedule": [{"at": "2s", "cross_traffic": [{"kind": "tcp", "rtt": "20ms"}]},
                                       {"at": "4s", "cross_traffic": None}]}
    )  # fmt: skip
    waits_s = np.array([hop.offer(160, 0.02 * n).arrivals_s[0] - 0.02 * n for n in range(400)])
    assert waits_s[:100] == pytest.approx(np.full(100, 0.00128))
    assert waits_s[110:200].min() > 0.1  # 10 packets, 20, 40, ... of 9.6 ms
    assert waits_s[-1] == pytest.approx(0.00128)  # what had queued is gone


@pytest.mark.parametrize(("silence_s", "ran_s"), [(0.02, 0.02), (100, REMEMBERED_S)])
def test_a_flow_that_stays_goes_on_when_the_schedule_changes_its_neighbours(silence_s, ran_s):
    download, pulses = {"kind": "tcp", "rtt": "30ms"}, {"kind": "pulses", "peak": "100kbit"}
    hop = link(
        {"rate": "1mbit", "limit": 20, "cross_traffic": [download],
         "schedule": [{"at": "6s", "cross_traffic": [download, pulses]}]}
    )  # fmt: skip
    fates(hop, 6)
    before = hop.crossed()[0].sent
    hop.offer(160, 5.98 + silence_s)
    # It fills the line, but for pulses and for what a halved window leaves; a tenth more is lost and sent again.
    lines_worth = ran_s * 1e6 / 8 / 1200
    assert 0.8 * lines_worth - 1 < hop.crossed()[0].sent - before < 1.1 * lines_worth + 1


def test_after_a_long_silence_only_the_last_seconds_are_run():
    hop = link("rate 2mbit cross tcp 50ms 100kB cross random-walk 100kbit")
    hop.offer(160, 0.0)
    before = [each.sent for each in hop.crossed()]
    hop.offer(160, 3600.0)
    sent = [now.sent - then for now, then in zip(hop.crossed(), before, strict=True)]
    assert 10 * 1.9e6 / 8 / 1200 < sent[0] < 10 * 2e6 / 8 / 1200 + 84  # and the window of 83, if the queue was empty
    assert sent[1] <= 10 * 100e3 / 8 / 200


def test_equal_seeds_meet_equal_traffic_and_others_other():
    written = "rate 1mbit limit 100ms cross random-walk 1mbit cross pulses 2mbit"
    assert fates(link(written), 2) == fates(link(written), 2)
    assert fates(link(written, 1), 2) != fates(link(written, 2), 2)


def test_cross_traffic_changes_nobody_s_loss():
    alone, shared = (link(f"loss 20% rate 10mbit{more}") for more in ("", " cross random-walk cross tcp 50ms 20kB"))
    assert [fate.dropped for fate in fates(alone, 10)] == [fate.dropped for fate in fates(shared, 10)]


def test_a_schedule_that_repeats_through_a_long_silence_runs_the_last_seconds_too():
    pulses = [{"kind": "pulses", "peak": "1mbit"}]
    download = [{"kind": "tcp", "rtt": "50ms", "window": "100kB"}]
    hop = link(
        {"rate": "3mbit", "cross_traffic": pulses, "repeat": "20s",
         "schedule": [{"at": "10s", "cross_traffic": download}]}
    )  # fmt: skip
    hop.offer(160, 0.0)
    leave, passed = hop._bottleneck.leave, []
    hop._bottleneck.leave = lambda *packet: passed.append(packet) or leave(*packet)
    hop.offer(160, 3619.0)  # the download of this round began at 3,610 s
    assert hop.crossed()[0].sent == pytest.approx(9 * 3e6 / 8 / 1200 + 83, rel=0.05)  # 83 are under way
    # Of the rounds before nothing is run but the bursts with which 180 downloads begin.
    assert len(passed) < 1.1 * hop.crossed()[0].sent + 180 * 10
