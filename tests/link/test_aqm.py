"""Active queue management: CoDel's law, PI²'s steady state, the ramp of marks."""

from itertools import pairwise

import numpy as np
import pytest

from rtcprobe.link import EcnRamp, Link, Path, Tally, parse_link
from rtcprobe.link.aqm import Turn


def link(written, number=1):
    return Link(parse_link(written), np.random.SeedSequence(number))


def offered(hop, packets, every_s, size_bytes, *, after=0):
    """Return the tally of a steady stream, without its first ``after`` packets."""
    tally = Tally()
    for n in range(packets):
        fate = hop.offer(size_bytes, every_s * n)
        if n >= after:
            tally.add(every_s * n, size_bytes, fate)
    return tally


# 1,250 B at 10 Mbit/s take 1 ms; every 0.8 ms is a quarter too much.
OVERLOAD = {"packets": 2000, "every_s": 0.0008, "size_bytes": 1250}


def taken_and_dropped(hop, packets, every_s, size_bytes):
    """Return when each packet of an overload was taken out of the queue to be sent, and whether it was dropped."""
    free_s, turns = 0.0, []
    for n in range(packets):
        fate = hop.offer(size_bytes, every_s * n)
        turns.append((max(free_s, every_s * n), fate.dropped))
        if fate.arrivals_s:
            free_s = fate.arrivals_s[0]
    return turns


def test_codel_drops_when_its_law_says():
    turns = taken_and_dropped(link("rate 10mbit aqm codel"), **OVERLOAD)
    drops_s = [at for at, dropped in turns if dropped == "aqm"]
    # The wait grows by 0.2 ms a packet and first reaches 5 ms with packet 25, taken at 25 ms. From then on it is
    # watched for 100 ms: the first drop is at 125 ms, the next one is due 100/√1 ms later, then 100/√2, 100/√3, ...
    due_s = 0.125 + np.concatenate(([0], np.cumsum(0.100 / np.sqrt(np.arange(1, len(drops_s))))))
    assert len(drops_s) > 50
    assert turns[25][0] == pytest.approx(0.025)
    for dropped_s, law_s in zip(drops_s, due_s, strict=True):
        assert -1e-9 <= dropped_s - law_s < 0.001 + 1e-9  # the first turn to be sent from then on


def test_codel_keeps_the_wait_of_a_lasting_overload_near_its_target():
    # 2 % too much: 1 - 1/1.02 of 1,020 packets a second are 20 a second. Drops come at √count/0.1 s, so at count 4,
    # after 100 · (1 + 1/√2 + 1/√3) ms of dropping; then it comes and goes around a wait of 5 ms. (Against 25 % too
    # much, which nobody answers, CoDel is known to be slow: it needs 625 drops, and the wait reaches 0.5 s first.)
    packets, after = 7_000, 2_000
    tally = offered(link("rate 10mbit aqm codel"), packets, 0.001 / 1.02, 1250, after=after)
    waits_s = tally.delays_s() - 0.001
    assert tally.achieved().drops == {"aqm": pytest.approx((packets - after) * 0.02 / 1.02, abs=4)}
    assert np.quantile(waits_s, [0.05, 0.95]) == pytest.approx([0.005, 0.007], abs=0.0005)


def test_codel_lets_a_burst_pass_that_is_gone_within_its_interval():
    # 90 packets at once wait up to 89 ms, less than an interval above the target.
    hop = link("rate 10mbit aqm codel")
    assert {hop.offer(1250, at).dropped for at in (0.0, 0.2, 0.4) for _ in range(90)} == {None}


def test_what_codel_drops_takes_no_line():
    # Every packet is taken the moment the line is done with the last one sent: a drop leaves no hole.
    turns = taken_and_dropped(link("rate 10mbit aqm codel"), **OVERLOAD)
    sent_s = [at for at, dropped in turns if dropped is None]
    assert len(sent_s) < OVERLOAD["packets"] - 50
    assert all(later - earlier == pytest.approx(0.001) for earlier, later in pairwise(sent_s))


def test_what_codel_drops_stands_in_the_queue_until_its_turn():
    every_s = 0.00079  # never just when one has left
    turns = taken_and_dropped(link("rate 10mbit limit 60 aqm codel"), 900, every_s, 1250)
    refused = [n for n, (_, dropped) in enumerate(turns) if dropped == "queue"]
    assert len(refused) > 10
    for n in refused:
        gone_s = [at + (dropped is None) * 0.001 for at, dropped in turns[:n] if dropped != "queue"]
        assert sum(at > every_s * n for at in gone_s) == 60


@pytest.mark.parametrize(("wait_ms", "drops"), [(20, False), (30, True)])
def test_codel_spares_a_line_on_which_one_packet_takes_longer_than_the_target(wait_ms, drops):
    # 1,250 B at 400 kbit/s take 25 ms, and come every 25 ms: all wait as long as the second did, longer than 5 ms.
    hop = link("rate 400kbit aqm codel")
    hop.offer(1250, 0.0)
    if wait_ms > 25:
        hop.offer(1250, 0.0)
    first_s = 0.025 * (1 + (wait_ms > 25)) - wait_ms / 1e3
    causes = {hop.offer(1250, first_s + 0.025 * n).dropped for n in range(100)}
    assert causes == ({None, "aqm"} if drops else {None})


def test_codel_marks_packets_that_understand_it_and_drops_none():
    dropping, marking = link("rate 10mbit aqm codel"), link("rate 10mbit aqm codel ecn ect0")
    drops = [n for n in range(600) if dropping.offer(1250, 0.0008 * n).dropped]
    fates = [marking.offer(1250, 0.0008 * n) for n in range(600)]
    assert {fate.dropped for fate in fates} == {None}
    marks = [n for n, fate in enumerate(fates) if fate.marked]
    # The first is the same packet, and the law goes on alike; turns differ, for what is marked is sent.
    assert marks[0] == drops[0]
    assert len(marks) == pytest.approx(len(drops), abs=2)


def test_pi2_drops_what_is_too_much_and_waits_as_long_as_its_target():
    # Unresponsive: 1.25 times the rate needs p² = 1 - 1/1.25 = 0.2 for ever.
    packets, after = 14_000, 6_000
    tally = offered(link("rate 10mbit aqm pi2"), packets, 0.0008, 1250, after=after)
    achieved = tally.achieved()
    assert achieved.drops == {"aqm": packets - after - achieved.delivered}
    # In the steady state what enters is what leaves, but for how full the queue is at both ends.
    assert achieved.loss == pytest.approx(0.2, abs=0.005)
    assert np.mean(tally.delays_s()) - 0.001 == pytest.approx(0.015, abs=0.002)


@pytest.mark.parametrize("rate", ["400kbit", "1mbit"])
def test_pi2_waits_no_longer_for_tokens_than_for_a_line(rate):
    # A bucket of a packet is a line: 1,250 B take 25 ms or 10 ms either way, a bucket's packet leaving as it begins.
    bps = parse_link(f"rate {rate}").rate.bps
    waits_s = []
    for written, sending_s in ((f"rate {rate} aqm pi2", 8 * 1250 / bps), (f"rate {rate} bucket 1500B aqm pi2", 0)):
        every_s = 8 * 1250 / bps / 1.25
        waits_s.append(np.mean(offered(link(written), 9_000, every_s, 1250, after=4_000).delays_s()) - sending_s)
    assert waits_s[1] == pytest.approx(waits_s[0], abs=0.001)


def test_pi2_marks_l4s_packets_at_twice_the_root_of_the_drops():
    # Classic packets of another sender overload the line to p² = 1 - 1/1.25; each tenth packet is ours, 28 B of L4S.
    # k·p = 2·√0.04 = 0.4 for an overload of 1/0.96.
    hop = link("rate 10mbit aqm pi2 ecn ect1")
    rng, marked, ours, classic_dropped, classic = np.random.default_rng(5), 0, 0, 0, 0
    every_s = 0.001 * 0.96
    for n in range(16_000):
        at_s = every_s * n
        dropped = hop._bottleneck.leave(1250, at_s) is None
        fate = hop.offer(28, at_s + every_s * rng.uniform(0.2, 0.8)) if n % 5 == 0 else None
        if n < 6_000:
            continue
        classic, classic_dropped = classic + 1, classic_dropped + dropped
        if fate is not None:
            ours, marked = ours + 1, marked + fate.marked
    # Ours add 28/5/1250 = 0.45 % to the load.
    needed = 1 - (0.96 - 28 / 5 / 1250)
    assert classic_dropped / classic == pytest.approx(needed, abs=0.004)
    # p wanders a little, and the mean of its root is below the root of its mean.
    assert marked / ours == pytest.approx(2 * np.sqrt(needed), abs=0.03)


def test_pi2_forgets_in_silence():
    hop = link("rate 10mbit aqm pi2")
    offered(hop, 3_000, 0.0008, 1250)
    # Idle, p falls by α · target = 0.0024 each 16 ms: from 1 to nothing in 417 steps, 6.7 s.
    assert {hop.offer(1250, 2.4 + 6.7 + 0.1 * n).dropped for n in range(100)} == {None}


def test_the_ramp_marks_by_how_long_a_packet_waited():
    # 7,500 B at 10 Mbit/s take 6 ms: the second of a pair waits them, and half are marked: (6 - 4)/(8 - 4).
    hop = link("rate 10mbit aqm ecn-ramp ecn ect1")
    pairs = [[hop.offer(7500, 0.1 * n).marked for _ in range(3)] for n in range(1500)]
    first, second, third = np.mean(pairs, axis=0)
    assert (first, third) == (0.0, 1.0)  # waits of 0 and 12 ms
    assert second == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 1500))


def test_the_ramp_marks_packets_of_l4s_alone():
    ramp = EcnRamp().controller(np.random.default_rng(1))
    assert [ramp.judge(Turn(0.0, 1.0, 1.0, 0.0, ecn)) for ecn in ("none", "ect0", "ect1")] == ["pass", "pass", "mark"]


def test_a_latecomer_that_fits_an_idle_stretch_is_not_marked():
    hop = link("rate 10mbit aqm ecn-ramp ecn ect1")
    assert [hop.offer(7500, 1.0).marked for _ in range(3)][2]
    late = hop.offer(28, 0.5)
    assert (late.arrivals_s, late.marked) == ((pytest.approx(0.5 + 8 * 28 / 10e6),), False)


def test_a_mark_of_any_hop_is_a_mark_and_is_counted_among_the_delivered():
    path, tally = Path([link("rate 10mbit aqm ecn-ramp ecn ect1", 1), link("loss 50% delay 1ms", 2)]), Tally()
    for n in range(400):
        for _ in range(3):
            tally.add(0.1 * n, 7500, path.offer(7500, 0.1 * n))
    # A half, and all, of the second and third of three, lost or not alike: (0 + 0.5 + 1)/3.
    assert tally.achieved().marked == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 600))


def test_an_aqm_changes_nobody_s_loss_or_delay():
    plain, managed = link("delay 20ms 5ms loss 20% rate 1mbit"), link("delay 20ms 5ms loss 20% rate 1mbit aqm pi2")
    assert [plain.offer(160, 0.02 * n) for n in range(500)] == [managed.offer(160, 0.02 * n) for n in range(500)]


def test_a_schedule_switches_the_aqm_on():
    hop = link({"rate": "10mbit", "schedule": [{"at": "1s", "aqm": "codel"}]})
    causes = [hop.offer(1250, 0.0008 * n).dropped for n in range(2500)]
    # Offered before 1 s nobody is judged. After an interval of waiting too long anyway, the first turn then drops.
    first = causes.index("aqm")
    watched_from_s = 0.001 * 1250  # the turn of the packet offered at 1 s
    assert 0.001 * first == pytest.approx(watched_from_s + 0.100, abs=0.0011)
