"""No key of a link does nothing: each changes what becomes of packets."""

import numpy as np
import pytest

from rtcprobe.link import LINK_KEYS, Link, Path, parse_link

BUSY = {"rate": "600kbit", "limit": 40}
"""A line that the packets below are a little too many for."""

TRIED = {
    "delay": ({}, "80ms"),
    "jitter": ({"delay": "80ms"}, "10ms"),
    "distribution": ({"delay": "80ms", "jitter": "10ms"}, "pareto"),
    "correlation": ({"delay": "80ms", "jitter": "10ms"}, "50%"),
    "order": ({"delay": "80ms", "jitter": "40ms"}, "free"),
    "delay_samples": ({"delay": "80ms"}, "delays.txt"),
    "delay_trace": ({}, "delays.txt"),
    "loss": ({}, "5%"),
    "burst": ({"loss": "5%"}, 3),
    "gemodel": ({}, {"p": "5%"}),
    "state": ({}, {"p13": "5%"}),
    "loss_trace": ({}, "losses.txt"),
    "loss_order": ({**BUSY, "loss": "20%"}, "before-rate"),
    "rate": ({}, "1mbit"),
    "overhead": (BUSY, "28B"),
    "cell": (BUSY, "48B"),
    "celloverhead": ({**BUSY, "cell": "48B"}, "5B"),
    "bucket": ({"rate": "600kbit"}, "16kB"),
    "capacity_trace": ({}, "opportunities.txt"),
    "limit": ({"rate": "600kbit"}, 5),
    "police": ({}, {"rate": "500kbit", "bucket": "16kB"}),
    "aqm": (BUSY, "codel"),
    "aqm_target": ({**BUSY, "aqm": "codel"}, "40ms"),
    "aqm_interval": ({**BUSY, "aqm": "codel"}, "30ms"),
    "aqm_max": ({**BUSY, "aqm": "ecn-ramp", "ecn": "ect1"}, "200ms"),
    "ecn": ({**BUSY, "aqm": "codel"}, "ect0"),
    "cross_traffic": (BUSY, [{"kind": "pulses", "peak": "2mbit", "for": "100ms", "every": "500ms"}]),
    "slot": ({}, {"min": "5ms", "max": "10ms"}),
    "reorder": ({"delay": "80ms"}, "5%"),
    "gap": ({"delay": "80ms", "reorder": "5%"}, 5),
    "reorder_by": ({"delay": "80ms", "reorder": "5%"}, "40ms"),
    "duplicate": ({}, "5%"),
    "corrupt": ({}, "5%"),
    "outages": ({}, [{"at": "1s", "for": "200ms"}]),
    "handovers": ({}, [{"at": "1s", "for": "140ms"}]),
    "schedule": ({}, [{"at": "1s", "delay": "30ms"}]),
    "repeat": ({"schedule": [{"at": "500ms", "delay": "30ms"}]}, "1s"),
}
"""A link that a key can be added to, and what it is then."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    traces = tmp_path_factory.mktemp("traces")
    for name, lines in {"delays": "30 40 50 60", "losses": "0 0 1 0 1", "opportunities": "10 20 35 50"}.items():
        (traces / f"{name}.txt").write_text("\n".join(lines.split()), encoding="utf-8")
    return traces


def fates(written, folder):
    link = Link(parse_link(written, folder=folder), np.random.SeedSequence(3))
    return [link.offer(100 + 400 * (place % 3 == 0), place * 0.003) for place in range(700)]


@pytest.mark.parametrize("key", TRIED)
def test_a_key_changes_what_becomes_of_packets(key, folder):
    others, value = TRIED[key]
    assert fates({**others, key: value}, folder) != fates(others, folder)


def test_a_key_is_not_forgotten_where_a_whole_call_is_sealed_at_once(folder):
    sealed = set()
    for key, (others, value) in TRIED.items():
        spec = parse_link({**others, key: value}, folder=folder)
        path = Path([Link(spec, np.random.SeedSequence(3))])
        if path.seals_many:
            sealed.add(key)
            at_s, _ = path.offer_many(np.arange(700) * 0.003)
            singly = [
                fate.arrivals_s[0] if fate.arrivals_s else np.nan for fate in fates({**others, key: value}, folder)
            ]
            np.testing.assert_array_equal(at_s, singly, err_msg=key)
    assert {"delay", "jitter", "loss", "order", "delay_trace", "loss_trace"} <= sealed


def test_every_key_is_tried():
    assert set(TRIED) == set(LINK_KEYS)
