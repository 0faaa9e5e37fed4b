"""One hop: the order of its stages, what holds when, copies and damage."""

from itertools import pairwise

import numpy as np
import pytest

from rtcprobe.link import Fate, Link, Path, Tally, parse_link


def link(written, number=1, **kwargs):
    return Link(parse_link(written), np.random.SeedSequence(number), **kwargs)


def fates(hop, count, every_s=0.02, size_bytes=160):
    return [hop.offer(size_bytes, n * every_s) for n in range(count)]


def test_a_bare_link_delivers_everything_at_once():
    assert fates(link({}), 3) == [Fate((0.0,)), Fate((0.02,)), Fate((0.04,))]


def test_two_hops_from_one_seed_object_are_alike():
    seed = np.random.SeedSequence(5)
    first, second = (Link(parse_link("loss 30%"), seed) for _ in range(2))
    assert fates(first, 200) == fates(second, 200)


def test_different_seeds_lose_different_packets():
    assert fates(link("loss 30%", 1), 200) != fates(link("loss 30%", 2), 200)


def test_lost_packets_use_capacity_and_in_netem_order_they_do_not():
    # 1000 B at 80 kbit/s take 100 ms. Offered every 50 ms, half lost: after the line half of all are dropped by the
    # full queue; in netem's order only the survivors, at capacity, meet the line.
    after = Tally()
    before = Tally()
    for written, tally in (("loss 50% rate 80kbit limit 5", after), ("loss 50% rate 80kbit limit 50", before)):
        hop = link(written + (" loss_order before-rate" if tally is before else ""))
        for n in range(4000):
            tally.add(0.05 * n, 1000, hop.offer(1000, 0.05 * n))
    assert after.achieved().drops["queue"] == pytest.approx(2000, rel=0.02)
    assert before.achieved().drops.get("queue", 0) < 200
    assert after.achieved().loss == pytest.approx(0.75, abs=0.03)


def test_who_waits_across_a_change_of_rate_is_sent_at_the_rate_to_come():
    # A 12,500 B packet takes 1 s at 100 kbit/s; from 0.5 s on, at 50 kbit/s, its second half takes 1 s more.
    hop = link({"rate": "100kbit", "schedule": [{"at": "500ms", "rate": "50kbit"}]})
    assert hop.offer(12_500, 0.0).arrivals_s == (1.5,)
    assert hop.offer(12_500, 0.6).arrivals_s == (3.5,)  # waits until 1.5, then 2 s


def test_a_full_queue_leaves_at_the_new_rate_from_the_step_on():
    # As a capacity trace has it: 600 kbit in the first second after the step, not what was sealed at 2.5 Mbit/s.
    hop = link("rate 2.5mbit limit 200ms at 20s rate 600kbit at 30s rate 2.5mbit")
    arrivals_s = [at for n in range(7500) for at in hop.offer(1250, 0.004 * n).arrivals_s]  # 2.5 Mbit/s
    arrivals_s += [at for n in range(10) for at in hop.offer(1250, 30 + 0.001 * n).arrivals_s]
    for second, kbit in ((19, 2500), (20, 600), (21, 600), (29, 600)):
        assert sum(second <= at < second + 1 for at in arrivals_s) * 10 == pytest.approx(kbit, abs=10), second


def test_room_in_a_queue_is_judged_at_the_rate_in_force():
    # 0.15 s wait at 1 Mbit/s; nobody knows yet that they will be 0.6 s, and nothing is dropped before the step.
    hop = link("rate 1mbit limit 200ms at 100ms rate 250kbit")
    fates = [hop.offer(1250, 0.09) for _ in range(20)]
    assert [bool(fate.arrivals_s) for fate in fates] == [True] * 20
    assert fates[-1].arrivals_s[0] == pytest.approx(0.1 + 19 * 0.04)
    assert hop.offer(1250, 0.101).dropped == "queue"  # 0.759 s at 250 kbit/s


def test_a_rate_that_changes_every_millisecond_and_repeats_is_a_mean_rate():
    hop = link({"rate": "1mbit", "schedule": [{"at": "1ms", "rate": "3mbit"}], "repeat": "2ms", "limit": "1000"})
    last_s = [hop.offer(1250, 0.0).arrivals_s[0] for _ in range(200)][-1]
    assert last_s == pytest.approx(200 * 10_000 / 2e6, abs=0.002)
    assert hop.offer(1250, 7200.0).arrivals_s[0] == pytest.approx(7200.005, abs=0.001)


@pytest.mark.parametrize("repeat", ["40ms", "7s"])
def test_a_long_silence_costs_a_schedule_no_more_than_its_last_rounds(repeat):
    # Delay 10 ms in the first half of a round, 50 in the second; so it does two million rounds later.
    half_s = {"40ms": 0.020, "7s": 3.5}[repeat]
    schedule = [{"at": f"{half_s}s", "delay": "50ms"}]
    hop = link({"delay": "10ms", "order": "free", "schedule": schedule, "repeat": repeat})
    adopt, adopted = hop._adopt, []
    hop._adopt = lambda *spec: adopted.append(1) or adopt(*spec)
    late_s = 2 * half_s * 2_000_000
    for after_s, delay_s in ((0.3 * half_s, 0.010), (1.4 * half_s, 0.050), (2.2 * half_s, 0.010)):
        arrival_s = hop.offer(160, late_s + after_s).arrivals_s[0]
        assert arrival_s - late_s - after_s == pytest.approx(delay_s, abs=1e-6)
    assert len(adopted) < 2 * (10 / (2 * half_s) + 4)  # ten seconds, and what is not whole


def test_a_schedule_counts_from_the_start_of_the_link_and_repeats():
    hop = link({"delay": "10ms", "schedule": [{"at": "1s", "delay": "50ms"}], "repeat": "2s"}, start_s=100.0)
    delays_ms = [
        round(1e3 * (hop.offer(160, 100 + at).arrivals_s[0] - 100 - at)) for at in (0, 0.9, 1.0, 1.9, 2.0, 3.5)
    ]
    assert delays_ms == [10, 10, 50, 50, 10, 50]


def test_a_change_of_delay_does_not_disturb_a_loss_burst():
    steady = {"delay": "10ms", "loss": "20%", "burst": 5}
    hops = link(steady), link(steady | {"schedule": [{"at": "1s", "delay": "90ms"}, {"at": "2s", "delay": "5ms"}]})
    first, second = ([fate.dropped for fate in fates(hop, 500)] for hop in hops)
    assert first == second


def test_a_queue_in_bytes_holds_whole_packets_up_to_its_size():
    # 1,000 B at 80 kbit/s take 100 ms. 2,500 B hold two of them; two small ones still fit beside, a third does not.
    hop = link("rate 80kbit limit 2500B")
    assert [hop.offer(size, 0.0).dropped for size in (1000, 1000, 1000, 300, 200, 1)] == [
        None, None, "queue", None, None, "queue",
    ]  # fmt: skip
    assert hop.offer(1000, 0.1).dropped is None  # the first has just left


def test_a_queue_in_time_takes_nobody_who_would_wait_longer():
    # 100 ms a packet: the third waits 200 ms before it is sent, the fourth would wait 300.
    hop = link("rate 80kbit limit 200ms")
    assert [hop.offer(1000, 0.0).dropped for _ in range(4)] == [None, None, None, "queue"]


def test_a_queue_in_packets_frees_a_place_the_instant_one_has_left():
    hop = link("rate 80kbit limit 2")
    assert [hop.offer(1000, at).dropped for at in (0.0, 0.0, 0.05, 0.1)] == [None, None, "queue", None]


def test_a_shorter_delay_never_lets_packets_overtake():
    hop = link({"delay": "100ms", "schedule": [{"at": "1s", "delay": "10ms"}]})
    assert hop.offer(160, 0.99).arrivals_s[0] == pytest.approx(1.09)
    assert hop.offer(160, 1.01).arrivals_s[0] == pytest.approx(1.09)  # not 1.02
    assert hop.offer(160, 1.20).arrivals_s[0] == pytest.approx(1.21)


def test_order_is_kept_against_the_last_survivor_not_a_lost_packet():
    jittery = "delay 100ms 100ms distribution uniform"
    kept, free = link(f"{jittery} loss 50%"), link(f"{jittery} order free")
    latest_s = 0.0
    for n in range(500):
        fate, wanted_s = kept.offer(160, 0.02 * n), free.offer(160, 0.02 * n).arrivals_s[0]
        if fate.arrivals_s:
            latest_s = max(latest_s, wanted_s)
            assert fate.arrivals_s == (latest_s,)


def test_an_outage_drops_what_enters_during_it_and_nothing_else():
    hop = link("delay 50ms outage 1s 200ms 1s")
    dropped = [n for n, fate in enumerate(fates(hop, 125)) if fate.dropped == "outage"]
    # At 1.00..1.18 s and 2.00..2.18 s; those in flight when it begins still arrive.
    assert dropped == [*range(50, 60), *range(100, 110)]


def test_a_handover_holds_packets_and_lets_them_go_together():
    hop = link("delay 10ms handover 1s 100ms")
    arrivals_s = [fate.arrivals_s[0] for fate in fates(hop, 60)]
    assert arrivals_s[49] == pytest.approx(0.99)
    assert arrivals_s[50:55] == pytest.approx([1.11] * 5)
    assert arrivals_s[55] == pytest.approx(1.11)  # 1.10 is its end
    assert arrivals_s[56] == pytest.approx(1.13)


def test_a_handover_stops_the_line_and_the_queue_fills():
    # 100 packets/s into a line that stands for 100 ms; five may wait.
    hop = link("rate 1mbit limit 5 handover 1s 100ms")
    causes = [hop.offer(125, 0.01 * n).dropped for n in range(120)]
    # At 1.100 s the line moves again, but the first of the five is still being sent.
    assert causes[100:112] == [None] * 5 + ["queue"] * 6 + [None]
    assert causes.count("queue") == 6


def test_duplicates_arrive_twice_and_lost_packets_have_no_copy():
    tally = Tally()
    hop = link("delay 10ms 5ms loss 10% duplicate 20%")
    for n in range(20_000):
        fate = hop.offer(160, 0.02 * n)
        assert len(fate.arrivals_s) in {0, 1, 2}
        tally.add(0.02 * n, 160, fate)
    achieved = tally.achieved()
    assert achieved.loss == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 20_000))
    assert achieved.duplicated == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 18_000))


def test_copies_keep_order_too():
    hop = link("delay 50ms 50ms duplicate 50%")
    arrivals_s = [arrival_s for fate in fates(hop, 2000) for arrival_s in fate.arrivals_s]
    assert arrivals_s == sorted(arrivals_s)


def test_damage_flips_one_bit_of_the_payload_anywhere_in_it():
    hop = link("corrupt 25%")
    flipped = [fate.corrupt[0] for fate in fates(hop, 8_000) if fate.corrupt]
    assert len(flipped) / 8_000 == pytest.approx(0.25, abs=4 * np.sqrt(0.1875 / 8_000))
    # 160 B less 28 of IP and UDP headers: 1,056 bits, each as likely.
    assert 0 <= min(flipped) < 5
    assert 1050 < max(flipped) < 1056
    assert np.mean(flipped) == pytest.approx(527.5, abs=4 * 1056 / np.sqrt(12 * len(flipped)))


def test_a_packet_without_payload_cannot_be_damaged():
    assert link("corrupt 100%").offer(28, 0.0) == Fate((0.0,))


def test_a_packet_held_back_is_overtaken_and_holds_nobody_up():
    hop = link("delay 50ms reorder 10% reorder_by 30ms")
    late = [fate.arrivals_s[0] - 0.02 * n for n, fate in enumerate(fates(hop, 3000))]
    assert set(np.round(late, 6)) == {0.05, 0.08}
    tally = Tally()
    hop = link("delay 50ms reorder 10% reorder_by 30ms")
    for n in range(3000):
        tally.add(0.02 * n, 160, hop.offer(160, 0.02 * n))
    # Each held-back packet followed by a punctual one is overtaken (RFC 4737), and only those.
    expected = sum(first > 0.06 and second < 0.06 for first, second in pairwise(late))
    assert tally.achieved().reordered == pytest.approx(expected / 3000)


def test_a_path_adds_its_hops_and_names_the_cause_of_a_drop():
    path = Path([link("delay 10ms"), link("delay 80ms loss 50%", 2), link("rate 1mbit", 3)])
    out = [path.offer(125, 0.02 * n) for n in range(100)]
    assert {fate.dropped for fate in out} == {None, "loss"}
    arrived = [(n, fate.arrivals_s[0]) for n, fate in enumerate(out) if fate.arrivals_s]
    assert [at - 0.02 * n for n, at in arrived] == pytest.approx([0.091] * len(arrived))  # 125 B at 1 Mbit/s: 1 ms


def test_each_copy_goes_on_alone_and_damage_travels_with_it():
    path = Path([link("duplicate 100% corrupt 100%"), link("loss 50% delay 5ms", 2)])
    counts = [0, 0, 0]
    for n in range(2000):
        fate = path.offer(160, 0.02 * n)
        counts[len(fate.arrivals_s)] += 1
        assert len(fate.corrupt) == len(fate.arrivals_s)
        assert all(bit is not None for bit in fate.corrupt)
        assert (fate.dropped == "loss") == (not fate.arrivals_s)
    assert np.array(counts) / 2000 == pytest.approx([0.25, 0.5, 0.25], abs=0.04)


def test_reordering_in_one_hop_survives_the_line_of_the_next():
    # Every fifth packet skips the 100 ms delay; the next hop takes 1 ms a packet and has room between the sealed ones.
    path = Path([link("delay 100ms reorder 100% gap 5"), link("delay 30ms 1ms rate 1mbit", 2)])
    tally = Tally()
    for n in range(1000):
        tally.add(0.02 * n, 125, path.offer(125, 0.02 * n))
    assert tally.achieved().delay_min_s < 0.035
    alone = Tally()
    hop = link("delay 100ms reorder 100% gap 5")
    for n in range(1000):
        alone.add(0.02 * n, 125, hop.offer(125, 0.02 * n))
    assert tally.achieved().reordered == alone.achieved().reordered > 0.3


def test_capacity_is_never_used_twice_even_by_latecomers():
    # Jitter of ±40 ms in free order, then a line of 4 ms a packet: departures stay 4 ms apart.
    path = Path([link("delay 100ms 40ms order free"), link("rate 1mbit", 2)])
    arrivals_s = sorted(path.offer(500, 0.02 * n).arrivals_s[0] for n in range(3000))
    assert np.diff(arrivals_s).min() >= 0.004 - 1e-9


def test_an_outage_changes_nothing_for_the_packets_outside_it():
    without, with_outage = (
        link("delay 50ms 10ms loss 10% order free"),
        link("delay 50ms 10ms loss 10% order free outage 1s 1s"),
    )
    for n in range(500):
        first, second = without.offer(160, 0.02 * n), with_outage.offer(160, 0.02 * n)
        assert second == (Fate((), "outage") if 50 <= n < 100 else first)


def test_a_burst_is_over_after_a_second_of_silence_but_not_after_a_packet_time():
    # Mean burst 20 at 20 ms spacing: a packet right after a loss is lost 19 times in 20; a second later the chain has
    # made 50 steps and lost 1 − 0.95⁵⁰ ≈ 92 % of its memory: about as likely lost as any packet, 10 %.
    spec = parse_link("loss 10% burst 20")

    def lost_after_a_loss(gap_s):
        again = []
        for seed in range(100):
            link = Link(spec, np.random.SeedSequence(seed))
            now_s = 0.0
            while not link.offer(100, now_s).dropped:
                now_s += 0.02
            again.append(bool(link.offer(100, now_s + gap_s).dropped))
        return sum(again) / len(again)

    assert lost_after_a_loss(0.02) > 0.9
    assert lost_after_a_loss(1.0) < 0.3
