"""The closed forms a link is held to, on enough packets for them to bite.

Sources: libwebrtc ``simulated_network.cc`` (mean loss + mean burst), ``sch_netem.c`` and tc-netem(8) (the rest).
The same laws on 10⁶ packets a model are printed by ``benchmarks/link_laws.py``.
"""

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import chdtrc, kolmogorov, ndtr

from rtcprobe.link import Bernoulli, BurstLoss, Delay, FourState, GilbertElliott, Link, Tally, parse_link

N = 100_000


def seed(number=1):
    return np.random.SeedSequence(number)


def losses(model, packets):
    return np.fromiter(islice(model.outcomes(np.random.default_rng(1)), packets), bool, packets)


def chance_of_differing_as_much(drawn, cdf):
    """Return the p-value of Kolmogorov's test: how often draws from ``cdf`` lie this far from it or farther."""
    below = cdf(np.sort(drawn))
    steps = np.arange(len(drawn) + 1) / len(drawn)
    return kolmogorov(np.sqrt(len(drawn)) * max((steps[1:] - below).max(), (below - steps[:-1]).max()))


def run_lengths(lost):
    edges = np.flatnonzero(np.diff(np.concatenate(([0], lost.astype(int), [0]))))
    return edges[1::2] - edges[::2]


def chain(model):
    """Return (transition matrix, chance of loss in each state) written down again from the models' definitions."""
    if isinstance(model, BurstLoss):
        stay, start = 1 - 1 / model.mean_burst, model.ratio / ((1 - model.ratio) * model.mean_burst)
        return np.array([[1 - start, start], [1 - stay, stay]]), np.array([0.0, 1.0])
    if isinstance(model, GilbertElliott):
        return np.array([[1 - model.p, model.p], [model.r, 1 - model.r]]), np.array([model.k_loss, model.h_loss])
    if isinstance(model, FourState):
        a, b, c, d, e = model.p13, model.p31, model.p32, model.p23, model.p14
        rows = [[1 - a - e, 0, a, e], [0, 1 - d, d, 0], [b, c, 1 - b - c, 0], [1, 0, 0, 0]]
        return np.array(rows), np.array([0.0, 0.0, 1.0, 1.0])
    return np.array([[1.0]]), np.array([model.ratio])


def standard_error(model, packets):
    """Return the standard deviation of the measured loss ratio; above the binomial one, for neighbours are alike."""
    moves, loss = chain(model)
    stationary = np.linalg.matrix_power(moves, 4096)[0]
    ratio = stationary @ loss
    variance, ahead = ratio * (1 - ratio), loss
    for _ in range(500):
        ahead = moves @ ahead
        variance += 2 * (stationary @ (loss * ahead) - ratio**2)
    return np.sqrt(variance / packets)


MODELS = [
    Bernoulli(0.05),
    BurstLoss(0.05, 3.0),
    GilbertElliott(p=0.02, r=0.4),
    GilbertElliott(p=0.01, r=0.2, h_loss=0.7, k_loss=0.001),
    FourState(p13=0.02, p31=0.3, p32=0.2, p23=0.4, p14=0.005),
    FourState(p13=0.02, p31=0.1, p32=0.5, p23=0.1, p14=0.005),
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_every_loss_model_keeps_its_ratio_and_its_mean_burst(model):
    packets = N // 2
    lost = losses(model, packets)
    assert abs(lost.mean() - model.ratio) < 4 * standard_error(model, packets)
    runs = run_lengths(lost)
    assert abs(runs.mean() - model.mean_burst) < 4 * runs.std() / np.sqrt(len(runs))


@pytest.mark.parametrize(
    "model", [BurstLoss(0.3, 8.0), GilbertElliott(p=0.1, r=0.3), FourState(p13=0.2, p31=0.5, p14=0.1)]
)
def test_the_first_packet_is_lost_as_often_as_any_other(model):
    firsts = [next(model.outcomes(np.random.default_rng(n))) for n in range(1000)]
    assert np.mean(firsts) == pytest.approx(model.ratio, abs=4 * np.sqrt(model.ratio * (1 - model.ratio) / 1000))


def test_the_first_delay_spreads_as_any_other():
    delay = Delay(base_s=10, jitter_s=1, distribution="normal", correlation=0.95)
    firsts = [next(delay.draws(np.random.default_rng(n))) for n in range(1000)]
    assert np.std(firsts) == pytest.approx(1, abs=4 / np.sqrt(2 * 1000))


def test_the_closed_forms_agree_with_the_worked_examples():
    # p=1 %, r=20 %, 1-h=70 %, 1-k=0.1 %: π = 1/21; ℓ = 0.7/21 + 0.001·20/21 = 0.034286.
    ge = GilbertElliott(p=0.01, r=0.2, h_loss=0.7, k_loss=0.001)
    assert ge.ratio == pytest.approx(0.7 / 21 + 0.001 * 20 / 21)
    assert ge.mean_burst == pytest.approx(2.197, abs=5e-4)
    # a = 0.02/0.3, Z = 1 + a·(1 + 0.2/0.4) + 0.005 = 1.105; ℓ = (a + 0.005)/Z = 0.06486.
    four = FourState(p13=0.02, p31=0.3, p32=0.2, p23=0.4, p14=0.005)
    assert four.ratio == pytest.approx((0.02 / 0.3 + 0.005) / 1.105)
    assert four.mean_burst == pytest.approx(1.870, abs=5e-4)
    # Simple Gilbert: ℓ = p/(p+r), run 1/r.
    assert GilbertElliott(p=0.02, r=0.4).ratio == pytest.approx(0.02 / 0.42)
    assert GilbertElliott(p=0.02, r=0.4).mean_burst == pytest.approx(2.5)


def test_gilbert_bursts_are_geometric():
    runs = run_lengths(losses(GilbertElliott(p=0.05, r=0.4), N))
    counts = np.bincount(np.minimum(runs, 12), minlength=13)[1:]
    shares = 0.4 * 0.6 ** np.arange(11)
    expected = len(runs) * np.append(shares, 0.6**11)  # the last bin is "12 or more"
    assert chdtrc(len(counts) - 1, ((counts - expected) ** 2 / expected).sum()) > 0.001


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("burst", [2, 5, 10])
def test_mean_loss_and_mean_burst_are_what_was_asked(ratio, burst):
    model = BurstLoss(ratio, burst)
    packets = 50_000
    lost = losses(model, packets)
    assert abs(lost.mean() - ratio) < 4 * standard_error(model, packets)
    runs = run_lengths(lost)
    # Geometric runs of mean L vary by √(L(L-1)).
    assert abs(runs.mean() - burst) < 4 * np.sqrt(burst * (burst - 1) / len(runs))
    # Neighbours' losses correlate by p_stay - p_start.
    alike = np.corrcoef(lost[1:], lost[:-1])[0, 1]
    assert alike == pytest.approx(1 - 1 / burst - ratio / ((1 - ratio) * burst), abs=0.06)


@pytest.mark.parametrize(
    ("shape", "moments", "quantiles"),
    [
        ("uniform", (0, 0.577), (-1, 0.9, 0.98, 1)),
        ("normal", (0, 1), (-4, 1.645, 2.326, 4)),
        ("pareto", (-0.03, 0.82), (-0.667, 1.61, 4.0, 4.0)),
        ("paretonormal", (-0.03, 0.83), (-1.5, 1.62, 3.6, 4.0)),
    ],
)
def test_jitter_has_the_moments_of_the_tables_tc_ships(shape, moments, quantiles):
    delay = Delay(base_s=10, jitter_s=1, distribution=shape)  # far from zero, where it would be cut
    drawn = np.fromiter(islice(delay.draws(np.random.default_rng(3)), N), float, N) - 10
    assert (drawn.mean(), drawn.std()) == pytest.approx(moments, abs=0.012)
    low, p95, p99, high = quantiles
    assert np.quantile(drawn, [0.95, 0.99]) == pytest.approx([p95, p99], abs=0.03)
    assert drawn.min() >= low - 1e-3
    assert drawn.max() <= high + 1e-9
    assert [delay.quantile_s(q) - 10 for q in (0, 1)] == pytest.approx([low, high], abs=1e-3)


@pytest.mark.parametrize(
    ("shape", "cdf"),
    [
        ("uniform", lambda x: (x + 1) / 2),
        ("normal", ndtr),
        # x = ((1-u)^(-1/3) - 3/2)·4/3  →  u = 1 - (3x/4 + 3/2)^(-3), below the table's end at 4.
        ("pareto", lambda x: np.where(x >= 4, 1, 1 - (0.75 * x + 1.5) ** -3)),
    ],
)
def test_jitter_follows_its_formula_throughout(shape, cdf):
    delay = Delay(base_s=10, jitter_s=1, distribution=shape)
    drawn = np.fromiter(islice(delay.draws(np.random.default_rng(4)), 50_000), float, 50_000) - 10
    whole = 1 if shape != "pareto" else cdf(4 - 1e-12)
    assert chance_of_differing_as_much(drawn[drawn < 4], lambda x: cdf(x) / whole) > 0.001


@pytest.mark.parametrize("rho", [0.5, 0.95])
def test_correlation_is_true_and_leaves_the_distribution_alone(rho):
    delay = Delay(base_s=10, jitter_s=1, distribution="normal", correlation=rho)
    drawn = np.fromiter(islice(delay.draws(np.random.default_rng(5)), N), float, N) - 10
    for lag in (1, 2, 3):
        assert np.corrcoef(drawn[lag:], drawn[:-lag])[0, 1] == pytest.approx(rho**lag, abs=0.015)
    # One packet in 200 is as good as independent (0.95^200 = 3.5e-5), so an ordinary KS test applies.
    assert chance_of_differing_as_much(drawn[::200], ndtr) > 0.001


@pytest.mark.parametrize(("mean_ms", "sd_ms", "expected_ms"), [(20, 10, 20.085), (20, 20, 21.666), (0, 10, 3.989)])
def test_cutting_delays_at_zero_raises_their_mean_by_the_known_amount(mean_ms, sd_ms, expected_ms):
    # E[max(0, x)] = μΦ(μ/σ) + σφ(μ/σ).
    delay = Delay(base_s=mean_ms / 1e3, jitter_s=sd_ms / 1e3, distribution="normal")
    drawn = np.fromiter(islice(delay.draws(np.random.default_rng(6)), N), float, N)
    assert 1e3 * drawn.mean() == pytest.approx(expected_ms, abs=4 * sd_ms / np.sqrt(N))


@pytest.mark.parametrize(
    ("shape", "jitter_ms", "swapped"),
    [("uniform", 20, 0.125), ("uniform", 40, 0.281), ("normal", 20, 0.240), ("normal", 40, 0.362)],
)
def test_free_order_swaps_neighbours_as_often_as_the_formula_says(shape, jitter_ms, swapped):
    # Gap g = 20 ms: uniform ½(1 - g/2σ)², normal 1 - Φ(g/(σ√2)).
    link = Link(parse_link(f"delay 200ms {jitter_ms}ms distribution {shape} order free"), seed())
    arrivals = [link.offer(160, 0.02 * n).arrivals_s[0] for n in range(15_000)]
    share = np.mean([later < earlier for earlier, later in pairwise(arrivals)])
    # Neighbouring swaps share a packet, so their mean varies by up to √3 of the binomial.
    assert share == pytest.approx(swapped, abs=4 * np.sqrt(3 * swapped * (1 - swapped) / 15_000))


@pytest.mark.parametrize(("ratio", "gap", "share"), [("25%", 1, 0.25), ("100%", 5, 0.2), ("25%", 5, 0.125)])
def test_explicit_reordering_takes_the_share_netem_takes(ratio, gap, share):
    # 1/((N-1) + 1/p)
    link = Link(parse_link(f"delay 50ms reorder {ratio} gap {gap}"), seed())
    at_once = sum(link.offer(160, 0.02 * n).arrivals_s[0] < 0.02 * n + 0.01 for n in range(15_000))
    assert at_once / 15_000 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 15_000))


def test_below_capacity_delay_is_sending_time_plus_path():
    # 200 B at 100 kbit/s: 16 ms, every 20 ms; never a queue.
    link = Link(parse_link("delay 30ms rate 100kbit"), seed())
    for n in range(1000):
        assert link.offer(200, 0.02 * n).arrivals_s[0] == pytest.approx(0.02 * n + 0.016 + 0.030)


def test_above_capacity_the_excess_is_dropped_and_the_queue_stays_full():
    # 200 B every 20 ms is 80 kbit/s into 64 kbit/s (25 ms a packet): 1 - 64/80 = 20 % dropped, Q·S/C = 10 · 25 ms.
    link, tally = Link(parse_link("rate 64kbit limit 10"), seed()), Tally()
    for n in range(8_000):
        tally.add(0.02 * n, 200, link.offer(200, 0.02 * n))
    achieved = tally.achieved()
    assert achieved.loss == pytest.approx(0.2, abs=0.002)
    assert dict(achieved.drops) == {"queue": achieved.offered - achieved.delivered}
    assert 0.225 <= achieved.delay_p50_s <= 0.250
    assert achieved.delivered_bps == pytest.approx(64_000, rel=1e-3)


LINKS = st.fixed_dictionaries(
    {"delay": st.sampled_from(["0ms", "5ms", "80ms"])},
    optional={
        "jitter": st.sampled_from(["1ms", "30ms"]),
        "distribution": st.sampled_from(["uniform", "normal", "pareto", "paretonormal"]),
        "loss": st.sampled_from(["0%", "5%", "30%"]),
        "rate": st.sampled_from(["64kbit", "10mbit"]),
        "duplicate": st.sampled_from(["0%", "20%"]),
        "corrupt": st.sampled_from(["0%", "20%"]),
        "outages": st.just([{"at": "200ms", "for": "100ms", "every": "1s"}]),
        "handovers": st.just([{"at": "0s", "for": "60ms", "every": "500ms"}]),
        "schedule": st.just([{"at": "300ms", "delay": "20ms", "loss": "10%"}, {"at": "700ms", "rate": "1mbit"}]),
        "repeat": st.just("1s"),
    },
).filter(lambda link: ("distribution" not in link or "jitter" in link) and ("repeat" not in link or "schedule" in link))

OFFERS = st.lists(st.tuples(st.floats(0, 0.05), st.integers(28, 1500)), min_size=1, max_size=80)


@settings(max_examples=25, deadline=None)
@given(link=LINKS, offers=OFFERS, number=st.integers(0, 2**32))
def test_a_link_that_keeps_order_keeps_it_whatever_else_it_does(link, offers, number):
    hop, again = (Link(parse_link(link), seed(number)) for _ in range(2))
    now_s, last_s = 0.0, 0.0
    for step_s, size_bytes in offers:
        now_s += step_s
        fate = hop.offer(size_bytes, now_s)
        assert fate == again.offer(size_bytes, now_s)  # equal seeds, equal fates
        assert (fate.dropped is None) == bool(fate.arrivals_s)  # every packet arrives or has a cause
        assert list(fate.arrivals_s) == sorted(fate.arrivals_s)
        assert len(fate.corrupt) in {0, len(fate.arrivals_s)}
        if fate.arrivals_s:
            assert fate.arrivals_s[0] >= max(now_s, last_s)
            last_s = fate.arrivals_s[-1]


@settings(max_examples=15, deadline=None)
@given(
    extra=st.dictionaries(
        st.sampled_from(["jitter", "rate", "duplicate", "corrupt", "reorder"]), st.none(), min_size=1, max_size=5
    ),
    burst=st.sampled_from([None, 4]),
)
def test_who_gets_lost_depends_on_nothing_but_the_loss_model_and_the_seed(extra, burst):
    values = {"jitter": "30ms", "rate": "10mbit", "duplicate": "10%", "corrupt": "10%", "reorder": "5%"}
    bare = {"delay": "50ms", "loss": "10%", "burst": burst}
    fates = []
    for written in (bare, bare | {key: values[key] for key in extra}):
        hop = Link(parse_link(written), seed(9))
        fates.append([hop.offer(160, 0.02 * n).dropped for n in range(300)])
    assert fates[0] == fates[1]


@settings(max_examples=25, deadline=None)
@given(
    link=st.sampled_from(
        ["delay 10ms", "delay 10ms 10ms", "delay 10ms 10ms rate 1mbit", "rate 64kbit limit 5", "loss 20%"]
    ),
    offers=st.lists(st.floats(0, 2), min_size=1, max_size=60, unique=True),
)
def test_packets_that_come_out_of_order_leave_in_the_order_they_came_in(link, offers):
    # A hop behind one that reorders is offered packets whose times fall; each was sealed without knowing the next.
    hop = Link(parse_link(link), seed())
    through = sorted((now_s, arrival_s) for now_s in offers for arrival_s in hop.offer(500, now_s).arrivals_s)
    for entered_s, arrival_s in through:
        assert arrival_s >= entered_s
    if "rate" not in link:
        assert all(first[1] <= second[1] for first, second in pairwise(through))
