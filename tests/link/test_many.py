"""Fates of many packets at once are those of each in turn."""

from __future__ import annotations

import numpy as np
import pytest

from rtcprobe.link import Link, Path, parse_link

CALM = [
    "delay 40ms",
    "delay 40ms 5ms distribution normal loss 1%",
    "delay 40ms 20ms distribution pareto loss 5% burst 3",
    "delay 30ms 10ms order free loss 2%",
    "loss gemodel 2% 30% 70% 1% delay 10ms 3ms distribution normal",
]


def path(*specs):
    return Path(
        [Link(parse_link(spec), np.random.SeedSequence(7, spawn_key=(place,))) for place, spec in enumerate(specs)]
    )


@pytest.mark.parametrize("specs", [(spec,) for spec in CALM] + [(CALM[1], CALM[2]), (CALM[2], CALM[4], CALM[3])])
def test_many_packets_at_once_fare_as_they_do_one_by_one(specs):
    offer_s = np.cumsum(np.random.default_rng(3).exponential(0.02, 900))
    offer_s[300:] += 0.7  # a silence, in which a burst moves on
    at_once, singly = path(*specs), path(*specs)
    assert at_once.seals_many
    fates = [singly.offer(200, now_s) for now_s in offer_s.tolist()]
    expected = [fate.arrivals_s[0] if fate.arrivals_s else np.nan for fate in fates]
    whole = [at_once.offer_many(part) for part in np.split(offer_s, [1, 250, 300, 640])]
    assert np.array_equal(np.concatenate([arrival_s for arrival_s, _ in whole]), expected, equal_nan=True)
    causes = [fate.dropped for fate in fates if fate.dropped]
    assert sum(sum(drops.values()) for _, drops in whole) == len(causes)
    # And from there on both are in one state.
    later_s = float(offer_s[-1]) + 0.01
    assert at_once.offer(200, later_s) == singly.offer(200, later_s)


@pytest.mark.parametrize(
    "spec",
    [
        "rate 1mbit limit 100ms",
        "delay 10ms duplicate 1%",
        "delay 10ms corrupt 1%",
        "delay 20ms reorder 5%",
    ],
)
def test_where_packets_queue_or_more_becomes_of_them_each_is_asked_for_alone(spec):
    assert not path(spec).seals_many
    assert not path(CALM[0], spec).seals_many


def test_an_order_that_is_not_kept_is_no_order_for_the_next_hop():
    assert path(CALM[0], CALM[3]).seals_many
    assert not path(CALM[3], CALM[0]).seals_many
