"""What no hop may break, whatever stands in it: slots, buckets, policers, AQMs and other people's traffic."""

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
OFFERS = st.lists(st.tuples(st.floats(0, 0.08), st.integers(28, 1400)), min_size=20, max_size=60)


@settings(max_examples=25, deadline=None, derandomize=True)
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
