"""What no call lives to see, and a round that each call comes upon elsewhere."""

import numpy as np
import pytest

from rtcprobe.link import ACCESS, Link, parse_link, unreached


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ({"delay": "20ms", "schedule": [{"at": "4s", "loss": "5%"}, {"at": "20s", "loss": "9%"}]}, "entry at 20s"),
        ({"delay": "20ms", "outages": [{"at": "8s", "for": "1s"}]}, "outage at 8s"),
        ({"delay": "20ms", "handovers": [{"at": "8s", "for": "1s", "every": "20s"}]}, "handover at 8s"),
    ],
)
def test_what_comes_later_than_a_call_lasts_is_never_reached(written, what):
    late = unreached(parse_link(written), 6.5, 0.020)
    assert late is not None
    assert what in late.what
    assert unreached(parse_link(written), late.at_s + 0.1, 0.020) is None


@pytest.mark.parametrize(("key", "line"), [("delay_trace", "20"), ("loss_trace", "0"), ("capacity_trace", "{}")])
def test_a_recording_longer_than_a_call_is_never_heard_to_its_end(tmp_path, key, line):
    (tmp_path / "it.txt").write_text("\n".join(line.format(20 * n) for n in range(1, 501)))
    link = parse_link({key: "it.txt"}, folder=tmp_path)
    late = unreached(link, 6.0, 0.020)
    assert late is not None
    assert late.at_s == pytest.approx(10.0, abs=0.021), "500 packets, one every 20 ms"
    assert unreached(link, 10.1, 0.020) is None
    assert unreached(link, 6.0, 0.010) is None or key == "capacity_trace", "twice as many packets in the same time"


def test_a_call_comes_upon_the_satellites_round_anywhere():
    spec = ACCESS["satellite"].up
    assert unreached(spec, 6.0, 0.020) is None, "some calls meet it"

    def spikes(share):
        """Return when the delay of packets, one every 10 ms for 15 s, begins and ceases to be a spike's."""
        link, slow = Link(spec.met(share), np.random.SeedSequence(1)), []
        for n in range(1500):
            fate = link.offer(160, 0.01 * n)
            slow += [0.01 * n] if fate.arrivals_s and fate.arrivals_s[0] - 0.01 * n > 0.050 else []
        return min(slow), max(slow)

    # The round is 15 s; its spike lasts from 14.925 s to 0.14 s of the next: a third in, it comes 10 s later.
    begins_s, ends_s = spikes(1 / 3)
    assert (begins_s, ends_s) == pytest.approx((9.925, 10.140), abs=0.1)
