"""A link that is known is found again: its shape, its figures, its losses; and the line does what was measured."""

import math

import numpy as np
import pytest
from click.testing import CliRunner

from rtcprobe.cli import cli
from rtcprobe.errors import BadInputError
from rtcprobe.fit import Measured, Series, fit
from rtcprobe.link import Link, parse_link

SPACING_S = 0.020


def measured(line, *, probes=1500, seed=1, spacing_s=SPACING_S, way="one way"):
    link = Link(parse_link(line if "slot" in line else f"{line} order free"), np.random.SeedSequence(seed))
    sent_s = np.arange(probes) * spacing_s
    fates = [link.offer(200, now_s) for now_s in sent_s.tolist()]
    delay_s = np.array(
        [each.arrivals_s[0] - at_s if each.arrivals_s else np.nan for each, at_s in zip(fates, sent_s, strict=True)]
    )
    return of(sent_s, delay_s, spacing_s=spacing_s, way=way)


def of(sent_s, delay_s, *, spacing_s=SPACING_S, way="one way", **more):
    series = Series(way=way, sent_s=np.asarray(sent_s), delay_s=np.asarray(delay_s), spacing_s=spacing_s, **more)
    return Measured(kind="simulation", ways=(series,))


@pytest.mark.parametrize("shape", ["normal", "uniform", "pareto", "paretonormal"])
def test_the_shape_that_was_asked_for_is_named_and_its_figures_are_found(shape):
    found = fit(measured(f"delay 60ms 12ms distribution {shape}"))
    assert found.shape.distribution == shape
    # Twelve milliseconds over √1500 is 0.3: both are within four times that.
    assert found.shape.base_s == pytest.approx(0.060, abs=0.0013)
    assert found.shape.jitter_s == pytest.approx(0.012, abs=0.0013)
    assert parse_link(found.line).delay.distribution == shape


def test_likeness_of_neighbours_is_found_where_it_is_and_not_where_it_is_not():
    alike = fit(measured("delay 60ms 12ms 60% distribution normal"))
    assert alike.shape.correlation == pytest.approx(0.6, abs=0.1)
    assert fit(measured("delay 60ms 12ms distribution normal")).shape.correlation == 0.0
    assert fit(measured("delay 60ms 12ms 60% distribution normal", spacing_s=1.0)).shape.correlation is None


def test_losses_in_runs_are_told_from_single_ones():
    runs = fit(measured("delay 60ms loss 4% burst 4")).losses
    assert runs.in_runs
    assert runs.burst_ci[0] <= 4.0 <= runs.burst_ci[1]
    assert runs.ratio_ci[0] <= 0.04 <= runs.ratio_ci[1]
    single = fit(measured("delay 60ms loss 4%")).losses
    assert not single.in_runs
    assert single.burst is None
    # Runs say less than single losses: the same share is less sure.
    assert runs.ratio_ci[1] - runs.ratio_ci[0] > 1.3 * (single.ratio_ci[1] - single.ratio_ci[0])


def test_none_lost_is_below_three_in_all():
    found = fit(measured("delay 60ms", probes=300))
    assert found.losses.ratio_ci == (0.0, pytest.approx(0.01))
    assert any("below 1%" in note for note in found.notes)
    assert "loss" not in found.line


def test_an_outage_is_no_share_of_losses():
    found = fit(measured("delay 60ms outage 5s 1.2s"))
    (outage,) = found.losses.outages
    assert (outage.at_s, outage.for_s) == (pytest.approx(5.0, abs=0.03), pytest.approx(1.2, abs=0.03))
    assert found.losses.lost == 0
    assert parse_link(found.line).outages


def test_packets_that_leave_in_slots_are_not_jitter():
    found = fit(measured("delay 30ms slot 40ms"))
    assert found.shape is None
    assert found.slots.length_s == pytest.approx(0.040, abs=0.001)
    assert "slot" in found.line


def test_a_route_that_changed_is_fitted_where_it_stayed():
    sent_s = np.arange(6000) * SPACING_S
    noise = np.random.default_rng(1).normal(0, 0.002, 6000)
    found = fit(of(sent_s, 0.040 + noise + np.where(sent_s >= 75.0, 0.030, 0.0)))
    assert found.shape.base_s == pytest.approx(0.040, abs=0.001)
    assert any("the route changed about 75 s" in note for note in found.notes)


def test_a_route_that_changed_is_seen_by_probes_a_second_apart():
    sent_s = np.arange(600) * 1.0
    noise = np.random.default_rng(1).normal(0, 0.002, 600)
    found = fit(of(sent_s, 0.040 + noise + np.where(sent_s >= 400.0, 0.030, 0.0), spacing_s=1.0))
    assert found.shape.base_s == pytest.approx(0.040, abs=0.002)
    assert "the route changed about 400 s: fitted from 0 to 400 s" in found.notes


def test_delays_of_no_shape_become_a_trace_with_the_reason(tmp_path):
    sawtooth = np.tile(np.arange(0.020, 0.060, 0.004), 100)
    two_paths = np.where(np.arange(1000) % 2 == 0, 0.020, 0.080) + sawtooth * 0.01
    found = fit(of(np.arange(1000) * 0.2, two_paths, spacing_s=0.2))
    assert found.line == ""
    assert "no shape is nearer" in found.reason
    path = tmp_path / "trace.txt"
    assert fit(of(np.arange(1000) * 0.2, two_paths, spacing_s=0.2), trace=str(path)).line == f"delay_trace {path}"


def test_a_heavy_tail_is_no_shape_but_a_pause_of_the_machine_is_said():
    rng = np.random.default_rng(1)
    sent_s = np.arange(3000) * SPACING_S
    normal = 0.060 + rng.normal(0, 0.004, 3000)
    tail = normal + np.where(rng.random(3000) < 0.02, 0.080, 0.0)
    assert fit(of(sent_s, tail)).reason
    pause = normal.copy()
    pause[1000:1040] += np.linspace(0.4, 0.0, 40)
    found = fit(of(sent_s, pause))
    assert not found.reason
    assert any("far too late" in note for note in found.notes)


def test_round_trips_are_halved_as_independent_ways_add():
    found = fit(measured("delay 80ms 8ms distribution normal loss 4%", way="round trip"))
    delay, loss = parse_link(found.line).delay, parse_link(found.line).loss
    assert delay.base_s == pytest.approx(found.shape.base_s / 2, rel=0.01)
    assert delay.jitter_s == pytest.approx(found.shape.jitter_s / math.sqrt(2), rel=0.01)
    assert 1 - (1 - loss.ratio) ** 2 == pytest.approx(found.losses.ratio, rel=0.03)


def test_the_line_does_what_was_measured():
    found = fit(measured("delay 60ms 12ms distribution normal loss 4%"))
    for row in found.rows:
        # A 99th percentile of 1,500 has a standard error of about a twelfth of the jitter's tail: 1.2 ms.
        assert row.achieved == pytest.approx(row.measured, abs=0.004 if row.unit == "s" else 0.015), row.name


def test_too_few_probes_and_a_way_that_is_not_known_are_one_sentence():
    with pytest.raises(BadInputError, match="19 of 19 probes came"):
        fit(measured("delay 60ms", probes=19))
    with pytest.raises(BadInputError, match="not the way up alone"):
        fit(measured("delay 60ms", probes=50), way="up")


def test_the_command_prints_the_line_and_nothing_else(tmp_path):
    path, trace = tmp_path / "ping.txt", tmp_path / "trace.txt"
    replies = [f"64 bytes from h: icmp_seq={n} ttl=5 time={20 + (n * 7 % 10) / 10} ms" for n in range(1, 60) if n % 20]
    path.write_text("\n".join(replies))
    done = CliRunner().invoke(cli, ["link", "fit", str(path), "--trace", str(trace)])
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    assert parse_link(line).delay.base_s == pytest.approx(0.010, abs=0.001)
    assert "1 − √(1 − loss)" in done.stderr
    written = [each for each in trace.read_text().splitlines() if not each.startswith("#")]
    assert len(written) == 59
    assert written.count("-1") == 2
    refused = CliRunner().invoke(cli, ["link", "fit", str(path), "--asymmetric"])
    assert isinstance(refused.exception, BadInputError)
