"""Token buckets: a shaper lets packets wait for tokens, a policer drops them."""

import numpy as np
import pytest

from rtcprobe.link import Link, Path, parse_link


def link(written, number=1):
    return Link(parse_link(written), np.random.SeedSequence(number))


def departures_s(hop, offers):
    return [hop.offer(size, at).arrivals_s[0] for size, at in offers]


def most_over(bytes_per_s, times_s, sizes):
    """Return by how many bytes the fullest window, of all, exceeds what the rate alone brings in its time."""
    before = np.concatenate(([0.0], np.cumsum(sizes)))
    # Bytes of packets i..j minus rate · (t_j - t_i), for every i ≤ j.
    over = (before[1:] - bytes_per_s * times_s)[None, :] - (before[:-1] - bytes_per_s * times_s)[:, None]
    return np.triu(over).max()


def test_a_full_bucket_goes_at_once_and_the_rest_at_the_rate():
    # 8 kbit/s bring 1,000 B a second; the bucket holds two packets.
    hop = link("rate 8kbit bucket 2000B")
    assert departures_s(hop, [(1000, 0.0)] * 4) == pytest.approx([0, 0, 1, 2])
    # At 2 s it was empty. By 3.5 s there are 1,500 B: one goes, the next waits for 500 more.
    assert departures_s(hop, [(1000, 3.5)] * 2) == pytest.approx([3.5, 4.0])
    # After a long silence it is full, not fuller.
    assert departures_s(hop, [(1000, 60.0)] * 3) == pytest.approx([60, 60, 61])


def test_a_small_packet_does_not_pass_one_that_waits():
    hop = link("rate 8kbit bucket 2000B")
    assert departures_s(hop, [(1500, 0.0), (1500, 0.1), (100, 0.2)]) == pytest.approx([0.0, 1.0, 1.1])


def test_the_limit_counts_those_that_wait_for_tokens():
    hop = link("rate 8kbit bucket 2000B limit 2")
    assert [hop.offer(1000, 0.0).dropped for _ in range(5)] == [None, None, None, None, "queue"]
    hop = link("rate 8kbit bucket 2000B limit 1.5s")
    assert [hop.offer(1000, 0.0).dropped for _ in range(4)] == [None, None, None, "queue"]  # the last would wait 2 s


def test_overhead_costs_tokens():
    # 1,000 B + 250 B; two fill the bucket, the third waits for 1,250 B.
    hop = link("rate 8kbit 250 bucket 2500B")
    assert departures_s(hop, [(1000, 0.0)] * 3) == pytest.approx([0, 0, 1.25])


def test_a_packet_longer_than_the_bucket_goes_when_it_is_full_and_pays_later():
    # 3,000 B of 1,000 B a second: one every 3 s, though no more than 1,500 B are ever in hand. A policer drops it.
    assert departures_s(link("rate 8kbit bucket 1500B"), [(3000, 0.0)] * 4) == pytest.approx([0, 3, 6, 9])
    police = link("police 8kbit 1500B")
    assert [police.offer(size, 9.0).dropped for size in (1501, 1500)] == ["policer", None]


def test_in_every_window_a_shaper_lets_through_its_bucket_and_its_rate_at_most():
    rng = np.random.default_rng(3)
    sizes, offers_s = rng.integers(40, 1500, 400), np.cumsum(rng.exponential(0.005, 400))
    left_s = np.array(departures_s(link("rate 1mbit bucket 8kB"), zip(sizes.tolist(), offers_s.tolist(), strict=True)))
    assert (left_s >= offers_s).all()
    assert (np.diff(left_s) >= 0).all()
    over = most_over(125_000, left_s, sizes)
    assert 7000 < over <= 8000 + 1e-6  # and the bucket is used


def test_in_every_window_a_policer_lets_through_its_bucket_and_its_rate_at_most():
    rng = np.random.default_rng(4)
    sizes, offers_s = rng.integers(40, 1500, 400), np.cumsum(rng.exponential(0.005, 400))
    hop = link("police 1mbit 8kB")
    fates = [hop.offer(int(size), at) for size, at in zip(sizes, offers_s, strict=True)]
    assert {fate.dropped for fate in fates} == {None, "policer"}
    passed = np.array([fate.dropped is None for fate in fates])
    assert [fate.arrivals_s[0] for fate in fates if fate.arrivals_s] == offers_s[passed].tolist()  # nobody waits
    assert 6500 < most_over(125_000, offers_s[passed], sizes[passed]) <= 8000 + 1e-6


def test_a_policer_passes_in_the_long_run_what_its_rate_allows():
    # 500 kbit/s of 1,000 B packets into 400: after the bucket's two packets, 4 of 5 pass.
    hop = link("police 400kbit 2kB")
    dropped = [hop.offer(1000, 0.016 * n).dropped for n in range(2000)]
    assert dropped.count("policer") == pytest.approx(
        0.2 * 2000, abs=11
    )  # the bucket is 10 packets' worth of the excess


def test_a_policer_behind_a_hop_that_reorders_drops_no_more_than_comes_too_fast():
    # 320 kbit/s into 400, sealed in the order sent. In the order of time those held back only come between the others:
    # in any stretch ten of 400 B more than the stretch's share would have to, to empty the bucket.
    path = Path([link("delay 20ms reorder 5% reorder_by 155ms", 5), link("police 400kbit 4kB")])
    assert {path.offer(400, 0.01 * n).dropped for n in range(3000)} == {None}


def test_a_policer_sees_latecomers_in_the_order_of_time_and_takes_nobody_s_tokens():
    # 1,000 B a second, 2,000 in hand, all of which the first takes at 10 s.
    hop = link("police 8kbit 2000B")
    assert hop.offer(2000, 10.0).dropped is None
    # What 1,500 B take at 5 s is back by 6.5 s. What 28 B take at 9.99 s is not, by 10 s; 500 of 8 s are.
    assert [hop.offer(size, at).dropped for size, at in ((1500, 5.0), (28, 9.99), (500, 8.0))] == [
        None,
        "policer",
        None,
    ]
    # At 6 s there are 500 B left of 5 s and 1,000 more; taken, there are 2,000 again by 8 s.
    assert [hop.offer(size, 6.0).dropped for size in (1501, 1500)] == ["policer", None]
    # None are left at 10 s; a second later 1,000.
    assert [hop.offer(size, 11.0).dropped for size in (1001, 1000)] == ["policer", None]


def test_what_the_policer_drops_uses_no_line():
    # 100 ms a packet; the second finds no tokens, so the third finds the line free but for the first.
    hop = link("police 16kbit 1500B rate 80kbit")
    assert hop.offer(1000, 0.0).arrivals_s == (0.1,)
    assert hop.offer(1000, 0.0).dropped == "policer"
    assert hop.offer(500, 0.0).arrivals_s == pytest.approx((0.15,))


def test_a_latecomer_goes_to_the_end_for_the_past_tokens_are_spoken_for():
    hop = link("rate 8kbit bucket 2000B")
    assert departures_s(hop, [(1000, 0.0)] * 2 + [(1000, 10.0), (1000, 5.0), (1000, 5.0)]) == pytest.approx(
        [0, 0, 10, 10, 11]
    )


def test_a_change_of_limit_does_not_fill_the_bucket_and_a_new_rate_does():
    hop = link(
        {
            "rate": "8kbit", "bucket": "2kB", "limit": 10,
            "schedule": [{"at": "1s", "limit": 20}, {"at": "10s", "rate": "16kbit"}],
        }
    )  # fmt: skip
    assert departures_s(hop, [(1000, 0.9)] * 2) == pytest.approx([0.9, 0.9])
    assert departures_s(hop, [(1000, 1.4)]) == pytest.approx([1.9])
    assert departures_s(hop, [(1000, 9.99)] * 2 + [(1000, 10.0)] * 3) == pytest.approx([9.99, 9.99, 10, 10, 10.5])
