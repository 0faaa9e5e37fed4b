import numpy as np
import pytest

from rtcprobe.call.targets import access
from rtcprobe.link import Link, Path, parse_link
from rtcprobe.runtime.direction import Direction


def line(text, packets=2000, seed=1):
    """Return a direction that has carried ``packets`` of 200 bytes, one every 20 ms."""
    links = [Link(parse_link(text), np.random.SeedSequence(seed))] if text else []
    way = Direction(Path(links))
    for index in range(packets):
        way.offer(200, 0.02 * index)
    return way


def reported(*lines):
    """Return the report of one call over ``lines`` in a row."""
    return access.report([[access.Leg.of(each) for each in lines]])


def test_one_line_beside_a_bare_one_is_told_exactly():
    speaker = line("delay 30ms loss 10%")
    found = reported(speaker, line(None))
    assert found.achieved.loss == speaker.tally.achieved().loss
    assert found.achieved.mean_burst is not None
    assert found.requested.loss == pytest.approx(0.10)


def test_of_two_lines_chances_multiply_and_delays_add():
    speaker, listener = line("delay 30ms loss 10%"), line("delay 20ms 5ms loss 20%", seed=2)
    first, second = speaker.tally.achieved(), listener.tally.achieved()
    found = reported(speaker, listener)
    assert found.requested.loss == pytest.approx(1 - 0.9 * 0.8)
    assert found.achieved.loss == pytest.approx(1 - (1 - first.loss) * (1 - second.loss))
    assert found.achieved.delay_p50_s == pytest.approx(0.030 + second.delay_p50_s, abs=2e-4)
    assert found.achieved.delay_p95_s == pytest.approx(0.030 + second.delay_p95_s, abs=2e-4)
    assert found.achieved.drops == {"loss": first.drops["loss"] + second.drops["loss"]}
    assert found.achieved.mean_burst is None


def test_of_two_lines_a_mark_of_either_is_a_mark():
    # 200 B every 20 ms are 80 kbit/s: into 64, every packet soon waits longer than the ramp. The other marks none.
    speaker, listener = line("rate 64kbit limit 10 aqm ecn-ramp ecn ect1"), line("delay 20ms")
    found = reported(speaker, listener)
    assert found.achieved.marked == speaker.tally.achieved().marked > 0.95
    assert found.requested.marked is None


def test_a_line_that_carried_nothing_says_nothing():
    found = reported(line("delay 30ms", packets=0), line("delay 20ms", packets=0))
    assert found.achieved.loss is None
    assert found.achieved.delay_p50_s is None


def test_several_calls_are_told_together_and_nothing_spans_two_of_them():
    first, second = line("delay 30ms loss 10%", packets=400), line("delay 50ms loss 30%", packets=400, seed=2)
    found = access.report([[access.Leg.of(first)], [access.Leg.of(second)]]).achieved
    one, two = first.tally.achieved(), second.tally.achieved()
    assert found.offered == 800
    assert found.drops["loss"] == one.drops["loss"] + two.drops["loss"]
    # Bursts are a mean over all bursts, of which there are lost packets over their mean length.
    bursts = one.drops["loss"] / one.mean_burst + two.drops["loss"] / two.mean_burst
    assert found.mean_burst == pytest.approx(found.drops["loss"] / bursts)
    assert (found.delay_min_s, found.delay_max_s) == pytest.approx((0.030, 0.050))
    # The second call sends at the first one's instants; in one stream half of its packets would be overtaken.
    assert found.reordered == 0.0
    # 200 B and 28 of headers are offered whole: 8 x 200 B every 20 ms, whatever passed between the calls.
    assert found.offered_bps == pytest.approx(8 * 200 / 0.02)
