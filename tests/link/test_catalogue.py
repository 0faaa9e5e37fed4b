"""Regions, backbones and access presets."""

from itertools import combinations

import numpy as np
import pytest

from rtcprobe.link import ACCESS, REGIONS, Link, Tally, backbone, distance_km, light_bound_s
from rtcprobe.link.roundtrips import CLOUDS, PINGS

PAIRS = list(combinations(REGIONS, 2))


def test_the_world_is_covered():
    needed = {
        "bangkok", "singapore", "sao-paulo", "frankfurt", "london", "virginia", "oregon", "tokyo", "mumbai", "sydney",
        "cape-town", "dublin", "jakarta", "hong-kong", "seoul", "dubai", "shanghai", "shenzhen", "beijing", "hangzhou",
        "riyadh", "istanbul", "cairo", "mexico-city", "ho-chi-minh-city", "karachi",
    }  # fmt: skip
    assert needed <= REGIONS.keys()


def test_distances_are_great_circles():
    # Published great-circle distances: London-Tokyo 9,560 km, Sao Paulo-Frankfurt 9,800 km; within half a per cent.
    assert distance_km("london", "tokyo") == pytest.approx(9560, rel=0.005)
    assert distance_km("sao-paulo", "frankfurt") == pytest.approx(9800, rel=0.005)
    assert distance_km("london", "london") == 0
    assert light_bound_s("london", "tokyo") == pytest.approx(0.0956, rel=0.005)  # 1 ms per 100 km


def test_no_packet_of_the_catalogue_outruns_light():
    for a, b in PAIRS:
        hop = backbone(a, b)
        assert hop.rtt_s > light_bound_s(a, b), (a, b)
        assert 2 * hop.spec.delay.quantile_s(0) > light_bound_s(a, b), (a, b)
        assert backbone(b, a) == hop
        assert hop.provenance.partition(": ")[0] in ("cited", "pinged", "estimated")


def test_a_pair_has_one_source_and_its_regions_exist():
    assert not CLOUDS.keys() & PINGS.keys()
    for pair in [*CLOUDS, *PINGS]:
        assert len(pair) == 2
        assert pair <= REGIONS.keys()


@pytest.mark.parametrize(
    ("a", "b", "published_ms"),
    [
        ("virginia", "dublin", 70), ("virginia", "frankfurt", 93), ("virginia", "oregon", 64), ("oregon", "tokyo", 98),
        ("frankfurt", "singapore", 160), ("london", "sydney", 266), ("mumbai", "frankfurt", 129),
        ("mumbai", "virginia", 190), ("sao-paulo", "virginia", 115), ("sao-paulo", "singapore", 328),
        ("cape-town", "dublin", 158), ("singapore", "sydney", 95), ("tokyo", "singapore", 71),
        ("frankfurt", "london", 18), ("mexico-city", "virginia", 58), ("mexico-city", "montreal", 70),
        ("kuala-lumpur", "singapore", 10), ("taipei", "hong-kong", 18), ("paris", "london", 12),
    ],
)  # fmt: skip
def test_cited_round_trips_are_the_published_ones_to_five_milliseconds(a, b, published_ms):
    hop = backbone(a, b)
    assert abs(1e3 * hop.rtt_s - published_ms) <= 3.5  # half a step, and the two directions' difference
    assert hop.provenance.startswith("cited: ")
    assert backbone(b, a) == hop


@pytest.mark.parametrize(
    ("a", "b", "published_ms"),
    [
        ("shanghai", "frankfurt", 295.47), ("shanghai", "california", 149.47), ("shenzhen", "london", 244.94),
        ("hangzhou", "shanghai", 7.28), ("beijing", "tokyo", 99.67), ("riyadh", "dubai", 110.61),
        ("cairo", "mexico-city", 191.43), ("istanbul", "mexico-city", 179.78), ("ho-chi-minh-city", "hong-kong", 34.17),
    ],
)  # fmt: skip
def test_pinged_round_trips_are_the_smallest_published_ones_to_five_milliseconds(a, b, published_ms):
    hop = backbone(a, b)
    assert abs(1e3 * hop.rtt_s - published_ms) <= 2.5
    assert hop.provenance.startswith("pinged: ")


def test_a_place_nobody_published_is_estimated():
    # Karachi to Dubai, 1,182 km: 11.8 ms of light, 2.40 times in the class up to 2,000 km, to 5 ms: 30.
    assert backbone("karachi", "dubai").rtt_s == pytest.approx(0.030)
    for other in REGIONS.keys() - {"karachi"}:
        assert backbone("karachi", other).provenance.startswith("estimated: ")


def test_a_pair_outside_the_table_is_estimated_and_says_how():
    hop = backbone("lagos", "london")
    assert hop.provenance.startswith("estimated: ")
    # 5,013 km: 50.1 ms of light, 1.94 times in the class up to 6,000 km, to 5 ms: 95.
    assert distance_km("lagos", "london") == pytest.approx(5013, abs=1)
    assert hop.rtt_s == pytest.approx(0.095)


def test_half_the_round_trip_each_way_with_the_published_spread():
    delay = backbone("frankfurt", "singapore").spec.delay
    assert delay.quantile_s(0.5) == pytest.approx(0.080, abs=1e-5)
    assert 2 * (delay.quantile_s(0.9) - delay.quantile_s(0.5)) == pytest.approx(0.0052, abs=1e-5)


def test_within_a_region_is_short_but_not_nothing():
    hop = backbone("tokyo", "tokyo")
    assert hop.rtt_s == 0.003
    assert hop.spec.delay.quantile_s(0) > 0.001


def test_a_given_round_trip_is_used_and_warned_of_when_light_is_slower():
    assert backbone("london", "tokyo", 0.25).warning is None
    hop = backbone("london", "tokyo", 0.05)
    assert hop.spec.delay.quantile_s(0.5) == pytest.approx(0.025, abs=1e-5)
    assert hop.warning == "rtt 50ms between london and tokyo is faster than light in fibre, which takes 95.6ms"


def test_every_access_says_what_is_sourced_and_what_is_assumed():
    kinds = {"fibre", "cable", "wifi-good", "wifi-congested", "4g-good", "4g-edge", "5g", "satellite"}
    assert kinds == ACCESS.keys()
    for name, access in ACCESS.items():
        assert access.name == name
        assert access.sourced
        assert access.assumed


def achieved(spec, packets=10_000):
    hop, tally = Link(spec, np.random.SeedSequence(1)), Tally()
    for n in range(packets):
        tally.add(0.02 * n, 160, hop.offer(160, 0.02 * n))
    return tally.achieved()


def test_congested_wifi_does_what_its_source_measured():
    # Hop p50 20 ms and p90 100 ms there and back: half each way. Keeping order adds a little to the tail.
    down = ACCESS["wifi-congested"].down.delay
    assert 2 * down.quantile_s(0.5) == pytest.approx(0.020, abs=1e-3)
    assert 2 * down.quantile_s(0.9) == pytest.approx(0.100, abs=1e-3)
    assert achieved(ACCESS["wifi-congested"].down).delay_p50_s == pytest.approx(0.010, abs=0.002)


def test_4g_is_wake_up_block_errors_and_core_jitter():
    delay = ACCESS["4g-good"].up.delay
    # Core 15 ms + mean wait 10 ms + 8·0.1/0.9 = 0.89 ms of retries (0.88 with the tail beyond two cut off).
    assert np.mean(delay.samples_s) == pytest.approx(0.02588, abs=1e-4)
    assert 0.012 <= delay.quantile_s(0) < 0.014  # 15 - 3
    assert 0.048 < delay.quantile_s(1) <= 0.054  # 15 + 20 + 16 + 3


def test_the_satellite_spikes_at_both_ends_of_its_fifteen_seconds():
    hop = Link(ACCESS["satellite"].down, np.random.SeedSequence(1))
    spiky = [[], []]
    for n in range(30_000):
        now_s = 0.01 * n + 0.005
        fate = hop.offer(160, now_s)
        into_s = now_s % 15
        if fate.arrivals_s:
            spiky[into_s < 0.14 or into_s > 14.925].append(fate.arrivals_s[0] - now_s)
    calm, spikes = (np.median(delays) for delays in spiky)
    assert spikes - calm == pytest.approx(0.035, abs=0.002)  # 60 - 25 ms
    assert len(spiky[1]) / 0.8 / 30_000 == pytest.approx(0.215 / 15, rel=0.1)  # 20 % of them lost
