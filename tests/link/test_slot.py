"""Slots: what is due leaves together, some at a time."""

from collections import Counter

import numpy as np
import pytest

from rtcprobe.link import Link, Path, parse_link


def link(written, number=1, **kwargs):
    return Link(parse_link(written), np.random.SeedSequence(number), **kwargs)


def arrivals_ms(hop, offers_ms, size_bytes=160):
    return [round(1e3 * hop.offer(size_bytes, at / 1e3).arrivals_s[0], 6) for at in offers_ms]


def test_what_is_due_waits_for_the_next_slot_and_what_is_due_as_it_opens_goes_with_it():
    # Slots at 0, 10, 20, 30 ms.
    assert arrivals_ms(link("slot 10ms"), [0, 1, 9, 10, 12, 30]) == [0, 10, 10, 10, 20, 30]


def test_slots_come_after_the_delay():
    # Due at 12 and 16 ms.
    assert arrivals_ms(link("delay 7ms slot 10ms"), [5, 9]) == [20, 20]


def test_slots_count_from_the_start_of_the_link():
    assert arrivals_ms(link("slot 10ms", start_s=0.003), [4, 14]) == [13, 23]


def test_a_slot_closes_after_so_many_packets():
    assert arrivals_ms(link("slot 10ms packets 2"), [1] * 5) == [10, 10, 20, 20, 30]


def test_a_slot_closes_once_it_has_carried_its_bytes():
    # 300 B are carried when the second packet of 200 has gone.
    assert arrivals_ms(link("slot 10ms bytes 300"), [1] * 5, size_bytes=200) == [10, 10, 20, 20, 30]


def test_a_copy_takes_a_place_of_its_own():
    hop = link("slot 10ms packets 1 duplicate 100%")
    assert hop.offer(160, 0.001).arrivals_s == pytest.approx((0.010, 0.020))


def test_who_steps_out_of_the_row_passes_the_slots_by():
    assert arrivals_ms(link("delay 5ms reorder 100% slot 10ms"), [1, 3]) == [1, 3]


def test_a_lone_packet_waits_half_an_interval_and_longer_the_more_they_differ():
    # E[X²]/2E[X]: intervals 5 to 15 ms have E[X] = 10 and E[X²] = 100 + 10²/12 = 108.33 ms², so 5.417 ms.
    offers_s = np.cumsum(np.random.default_rng(1).uniform(0.015, 0.045, 4000))
    for written, mean_ms in (("slot 10ms", 5.0), ("slot 5ms 15ms", 5.417)):
        hop = link(written)
        waits_ms = [1e3 * (hop.offer(160, at).arrivals_s[0] - at) for at in offers_s]
        # Waits spread over 0..15 ms: standard deviation below 3.6 ms.
        assert np.mean(waits_ms) == pytest.approx(mean_ms, abs=4 * 3.6 / np.sqrt(4000))


def test_a_backlog_leaves_at_so_many_packets_an_interval():
    # 4 packets every 8 ms: 500 a second, though 1,000 are offered.
    hop = link("slot distribution normal 8ms 1ms packets 4")
    last_s = [hop.offer(160, 0.001 * n).arrivals_s[0] for n in range(1900)][-1]  # 950 wait at the end
    assert last_s == pytest.approx(1900 / 4 * 0.008, rel=4 * 1 / 8 / np.sqrt(475))


def test_no_more_than_a_thousand_packets_wait_for_slots():
    # 10 a second leave of 50: after 25 s of a backlog that grows by 40 a second the thousandth waits, for 100 s.
    hop = link("slot 100ms packets 1")
    fates = [hop.offer(160, 0.02 * n) for n in range(10_000)]
    assert [fate.dropped for fate in fates].index("slot") == pytest.approx(25 * 50, abs=2)
    waits_s = [fate.arrivals_s[0] - 0.02 * n for n, fate in enumerate(fates) if fate.arrivals_s]
    assert max(waits_s) == pytest.approx(100, abs=0.2)
    # A copy that finds no room is no loss: the first one had some.
    hop = link("slot 100ms packets 1 duplicate 100%")
    hop.offer(160, 0.001)
    hop._slots.release(0.001, 160)
    assert [len(hop.offer(160, 0.001).arrivals_s) for _ in range(500)] == [2] * 498 + [1, 0]


def test_where_an_earlier_hop_reorders_a_slot_still_carries_no_more_than_it_may():
    path = Path([link("delay 5ms reorder 10% reorder_by 70ms", 3), link("delay 5ms slot 40ms packets 2", 4)])
    carried = Counter(round(path.offer(160, 0.02 * n).arrivals_s[0], 6) for n in range(3000))
    assert max(carried.values()) == 2


def test_intervals_of_nothing_are_drawn_out():
    # Normal around 1 ms with 1 ms: a sixth would be negative. None is shorter than 0.1 ms.
    hop = link("slot distribution normal 1ms 1ms packets 1")
    opened_s = np.array([hop.offer(160, 0.0).arrivals_s[0] for _ in range(500)])
    assert np.diff(opened_s).min() == pytest.approx(0.0001)


def test_a_long_silence_is_not_gone_through_slot_by_slot_but_constant_slots_stay_where_they_are():
    hop = link("slot 10ms")
    slots = hop._slots
    step, steps = slots._next, []
    slots._next = lambda: steps.append(1) or step()
    assert arrivals_ms(hop, [1, 3_600_004]) == [10, 3_600_010]
    assert len(steps) <= 1002  # 10 s of them
    randomly = link("slot 5ms 15ms").offer(160, 3600.0).arrivals_s[0]
    assert 3600 <= randomly < 3600.015


def test_order_is_kept_when_a_schedule_takes_the_slots_away():
    hop = link({"slot": {"min": "100ms"}, "schedule": [{"at": "1.01s", "slot": None}]})
    assert hop.offer(160, 1.005).arrivals_s[0] == pytest.approx(1.1)
    assert hop.offer(160, 1.02).arrivals_s[0] == pytest.approx(1.1)  # not 1.02
    assert hop.offer(160, 1.15).arrivals_s[0] == pytest.approx(1.15)


def test_slots_change_nobody_s_loss_or_delay():
    plain, slotted = link("delay 20ms 5ms loss 20%"), link("delay 20ms 5ms loss 20% slot 2ms 4ms")
    for n in range(300):
        first, second = plain.offer(160, 0.02 * n), slotted.offer(160, 0.02 * n)
        assert first.dropped == second.dropped
        if first.arrivals_s:
            assert 0 <= second.arrivals_s[0] - first.arrivals_s[0] <= 0.004
