"""What no hop may break, whatever stands in it: slots, buckets, policers, AQMs and other people's traffic."""

from collections import deque
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcprobe.link import Link, Tally, parse_link

RAMP = "aqm ecn-ramp ecn ect1"
PARTS = (
    st.sampled_from(["", "police 300kbit 3kB"]),
    st.sampled_from(["rate 400kbit limit 20", "rate 400kbit limit 200ms bucket 4kB", "rate 2mbit limit 9kB"]),
    st.sampled_from(["", "aqm codel aqm_interval 20ms", "aqm pi2 ecn ect1", "aqm codel ecn ect0", RAMP]),
    st.sampled_from(["", "cross tcp 30ms 60kB", "cross pulses 3mbit 40ms 300ms cross random-walk 300kbit"]),
    st.sampled_from(["", "loss 5%"]),
    st.sampled_from(["delay 5ms", "delay 20ms 10ms", "delay 20ms 5ms 50% distribution normal duplicate 5%"]),
    st.sampled_from(["", "slot 10ms 30ms packets 3", "slot distribution normal 8ms 2ms bytes 2kB"]),
    st.sampled_from(["", "handover 500ms 100ms", "outage 500ms 100ms"]),
)  # fmt: skip
LINES = st.tuples(*PARTS).map(lambda parts: " ".join(part for part in parts if part))
OFFERS = st.lists(st.tuples(st.floats(0, 0.08), st.integers(28, 1400)), min_size=20, max_size=40)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(line=LINES, gaps=OFFERS, number=st.integers(0, 3))
def test_no_hop_makes_loses_or_hurries_a_packet_and_equal_seeds_are_equal(line, gaps, number):
    offers = list(zip(np.cumsum([gap for gap, _ in gaps]).tolist(), [size for _, size in gaps], strict=True))
    hops = [Link(parse_link(line), np.random.SeedSequence(number)) for _ in range(2)]
    fates, again = ([hop.offer(size, at) for at, size in offers] for hop in hops)
    assert fates == again
    assert hops[0].crossed() == hops[1].crossed()
    tally, least_s = Tally(), hops[0].requested().delay_min_s
    for (at, size), fate in zip(offers, fates, strict=True):
        tally.add(at, size, fate)
        # Delivered or dropped, never both and never neither; and nobody arrives before the least delay is over.
        assert bool(fate.arrivals_s) == (fate.dropped is None)
        assert all(arrival_s >= at + least_s - 1e-9 for arrival_s in fate.arrivals_s)
        assert not (fate.marked and "ecn" not in line)
    achieved = tally.achieved()
    assert achieved.offered == achieved.delivered + sum(achieved.drops.values())
    # Order is kept.
    first_s = [fate.arrivals_s[0] for fate in fates if fate.arrivals_s]
    assert all(later >= earlier for earlier, later in pairwise(first_s))
    for each in hops[0].crossed():
        assert 0 <= each.lost <= each.sent


def codel_in_order(offers, seconds_of, target_s, interval_s):
    """Return who is dropped by CoDel as RFC 8289 §5 tells it: a real queue, looked into whenever the line is free."""
    coming, queue, dropped = deque(enumerate(offers)), deque(), set()
    above_s = due_s = now_s = 0.0
    count, last_count, dropping = 0, 0, False

    def look():
        nonlocal above_s
        if not queue:
            above_s = 0.0
            return None, False
        _, (offered_s, _) = head = queue.popleft()
        if now_s - offered_s < target_s:
            above_s = 0.0
        elif above_s == 0.0:
            above_s = now_s + interval_s
        else:
            return head, now_s >= above_s
        return head, False

    while coming or queue:
        if not queue:
            now_s = max(now_s, coming[0][1][0])
        while coming and coming[0][1][0] <= now_s:
            queue.append(coming.popleft())
        head, ok = look()
        if dropping:
            dropping = ok
            while dropping and now_s >= due_s:
                dropped.add(head[0])
                count += 1
                head, dropping = look()
                if dropping:
                    due_s += interval_s / np.sqrt(count)
        elif ok:
            dropped.add(head[0])
            head, _ = look()
            dropping, since = True, count - last_count
            count = since if since > 1 and now_s - due_s < 16 * interval_s else 1
            due_s, last_count = now_s + interval_s / np.sqrt(count), count
        if head is not None:
            now_s += seconds_of(head[1][1])
    return dropped


@settings(max_examples=6, deadline=None, derandomize=True)
@given(number=st.integers(0, 10**6), load=st.floats(0.9, 1.6), bursts=st.integers(1, 20))
def test_codel_sealed_at_the_door_is_codel(number, load, bursts):
    # 100 B at 8 Mbit/s take 0.1 ms, far below the target: what CoDel spares of a queue of one packet plays no part.
    rng = np.random.default_rng(number)
    gaps_s = rng.exponential(1e-4 * bursts / load, 1200) * (rng.random(1200) < 1 / bursts)
    offers = [(at, int(size)) for at, size in zip(np.cumsum(gaps_s), rng.integers(60, 141, 1200), strict=True)]
    hop = Link(
        parse_link("rate 8mbit limit 10000 aqm codel aqm_target 1ms aqm_interval 8ms"), np.random.SeedSequence(1)
    )
    dropped = {n for n, (at, size) in enumerate(offers) if hop.offer(size, at).dropped}
    assert dropped == codel_in_order(offers, lambda size: size / 1e6, 0.001, 0.008)
