"""A link that cannot be meant is refused in one sentence: the fact, the value, the cure."""

import numpy as np
import pytest
from refusals import refusal_of

from rtcprobe.errors import BadInputError
from rtcprobe.link import Link, backbone, parse_link

REFUSALS = {
    "delya 80ms": "link key 'delya' is not known: did you mean delay?",
    "delay 80": "delay: duration '80' has no unit: write it like 80ms",
    "delay -5ms": "delay -5ms is impossible: give 0ms to 60s",
    "delay 61s": "delay 61s is impossible: give 0ms to 60s",
    "delay 1e300ms": "delay 1e+297s is impossible: give 0ms to 60s",
    "delay": "delay has no value: write its value after it: one-way delay: 80ms",
    "delay 1ms delay 2ms": "delay is given twice: leave one out",
    "delay 80ms 10ms 25% 3ms": ("'3ms' after delay 80ms 10ms 25% belongs to no key: take it out"),
    "delay 80ms 10ms 100%": "correlation 100% is impossible: give 0% to under 100%",
    "delay 80ms 10ms distribution gauss": (
        "distribution 'gauss' is not known: use one of uniform, normal, pareto, paretonormal"
    ),
    "jitter 10ms": "jitter is given without delay: give it too, or leave both out",
    "delay 10ms order random": "order 'random' is not known: use keep or free",
    "loss 130%": "loss 130% is impossible: give 0% to 100%",
    "loss 2": "loss: share '2' has no unit: write it like 2%",
    "loss 2% 25%": (
        "'25%' after loss 2% belongs to no key: "
        "write loss 2% burst 1.36, the mean run that is meant: netem's correlation loses almost nothing"
    ),
    "delay 10ms reorder 25% 50%": (
        "'50%' after reorder 25% belongs to no key: write reorder 25%: netem's correlation is not offered"
    ),
    "rate 40kB/s": (
        "rate: rate '40kB/s' is in bytes, for B is a byte: write 320kbit: rates are in bits per second here, kbps too"
    ),
    "rate 40MB/s": (
        "rate: rate '40MB/s' is in bytes, for B is a byte: write 320mbit: rates are in bits per second here, kbps too"
    ),
    "tc qdisc add dev eth0 root netem rate 40kbps": (
        "tc reads the rate '40kbps' as bytes: write 320kbit, as kbps is kilobits here"
    ),
    "tc qdisc add dev eth0 root tbf rate 1mbit": (
        "this command of tc has no netem: write what its queue shall do, like rate 1mbit limit 50"
    ),
    "delay 10ms seed 5": "link key 'seed' is not offered: leave it out: the seed of a run is --seed",
    "burst 3": "burst is given without loss: give it too, or leave both out",
    "loss 2% burst 1": (
        "burst 1 is shorter than possible at loss 2%: give more than 1, or leave burst out for independent losses"
    ),
    "loss 80% burst 4": (
        "burst 4 is shorter than possible at loss 80%: give more than 4, or leave burst out for independent losses"
    ),
    "loss 100% burst 4": "loss 100% has no bursts: leave burst out",
    "loss 2% burst many": "burst 'many' is not a number of packets: write it like 3",
    "loss 2% burst inf": "burst 'inf' is not a number of packets: write it like 3",
    "delay 1ms reorder 1% gap nan": "gap 'nan' is not a number of packets: write it like 3",
    "delay 1ms reorder 1% gap 1.5": "gap 1.5 is impossible: give whole packets",
    "loss gemodel 1% 0%": "gemodel r 0% never leaves the bad state: give r above 0%",
    "loss state 60% 40% 70%": "state p31 + p32 is 110%: keep the sum within 100%",
    "rate -1mbit": "rate -1mbit is impossible: give 1kbit to 1000gbit; for a dead link use outages",
    "rate 1bit": "rate 1bit is impossible: give 1kbit to 1000gbit; for a dead link use outages",
    "rate 1mbit limit 0": "limit 0 is impossible: give more than zero",
    f"rate 1mbit limit {'9' * 5000}": (
        f"limit '{'9' * 5000}' is not a limit: write it like 50 (packets), 64kB or 200ms"
    ),
    "rate 1mbit limit lots": "limit 'lots' is not a limit: write it like 50 (packets), 64kB or 200ms",
    "delay 80ms limit 50": "limit without rate limits nothing: give rate or capacity_trace, or leave limit out",
    "reorder 5%": "reorder without delay moves nothing: give a delay to skip, or reorder_by",
    "delay 10ms reorder 5% gap 0": "gap 0 is impossible: give 1 or more packets",
    "duplicate 101%": "duplicate 101% is impossible: give 0% to 100%",
    "outage 10s": "outages entry {'at': '10s'} lacks at or for: write it like {at: 10s, for: 2s}",
    "outage 10s 2s 1s": "every 1s is no longer than for 2s: leave time between two of them",
    "slot 5ms 10ms 15ms": ("'15ms' after slot 5ms 10ms belongs to no key: take it out"),
    "slot": (
        "slot has no value: write its value after it: "
        "MIN [MAX], or distribution SHAPE DELAY JITTER; then packets N, bytes B: like 5ms 10ms packets 4"
    ),
    "slot 5ms packets": "slot packets has no value: write its value after it: how many packets a slot carries, like 4",
    "slot 10ms 5ms": "slot max 5ms is below min 10ms: give min, then max",
    "slot -5ms": "slot min -5ms is impossible: give 0ms to 60s",
    "slot 1s 2min": "slot max 2min is impossible: give 0ms to 60s",
    "slot 5ms packets 4 packets 5": "slot packets is given twice: leave one out",
    "slot 50us": "slot 50us is impossible: give 0.1ms or more",
    "slot 5ms packets 0": "slot packets 0 carries nothing: give 1 or more, or leave it out",
    "slot 5ms packets 1.5": "slot packets 1.5 is impossible: give whole packets",
    "slot 5ms bytes 0": "slot bytes 0 carries nothing: give 1 or more, or leave it out",
    "slot distribution gauss 8ms 2ms": (
        "distribution 'gauss' is not known: use one of uniform, normal, pareto, paretonormal"
    ),
    "delay 10ms 5ms order free slot 5ms": ("order free beside slot changes nothing: slots keep order: leave order out"),
    "bucket 16kB": "bucket is given without rate: give it too, or leave both out",
    "rate 1mbit bucket 0B": "bucket 0B is impossible: give more than zero",
    "rate 1mbit bucket 1kB": "bucket 1000B holds less than a packet: give 1500B or more, a full packet",
    "rate 1mbit 100 bucket 1500B": "bucket 1500B holds less than a packet: give 1600B or more, a full packet",
    "police 500kbit": "police has no bucket: write it like {rate: 500kbit, bucket: 16kB}",
    "police 500kbit 1kB": "bucket 1000B holds less than a packet: give 1500B or more, a full packet",
    "police 1bit 16kB": "police rate 1bit is impossible: give 1kbit to 1000gbit",
    "rate 1mbit aqm red": "aqm 'red' is not known: use one of codel, pi2, ecn-ramp",
    "aqm codel": "aqm without rate has no queue: give rate or capacity_trace",
    "rate 1mbit aqm_target 5ms": "aqm_target is given without aqm: give it too, or leave both out",
    "rate 1mbit aqm codel aqm_target 0ms": "aqm_target 0ms is impossible: give more than 0ms, up to 60s",
    "rate 1mbit aqm codel aqm_target 200ms": (
        "aqm_interval 100ms is impossible: give more than aqm_target 200ms, up to 60s"
    ),
    "rate 1mbit aqm pi2 aqm_interval 100ms": "aqm_interval means nothing to aqm pi2: leave it out",
    "rate 1mbit ecn ect1 aqm ecn-ramp aqm_max 4ms": (
        "aqm_max 4ms is impossible: give more than aqm_target 4ms, up to 60s"
    ),
    "rate 1mbit aqm ecn-ramp": "aqm ecn-ramp marks L4S packets alone: give ecn ect1",
    "rate 1mbit aqm codel ecn yes": "ecn 'yes' is not known: use none, ect0 or ect1",
    "rate 1mbit ecn ect0": "ecn ect0 without aqm is never marked: give aqm, or leave ecn out",
    "cross tcp 100ms": "cross_traffic without rate has no queue: give rate or capacity_trace",
    "rate 1mbit cross": (
        "cross has no value: write its value after it: "
        "tcp RTT, web RTT IDLE, pulses PEAK FOR EVERY or random-walk PEAK, like tcp 100ms"
    ),
    "rate 1mbit cross udp 1mbit": "cross 'udp' is not known: use one of tcp, web, pulses, random-walk",
    "rate 1mbit cross tcp": "cross_traffic tcp has no rtt: write it like {kind: tcp, rtt: 100ms}",
    "rate 1mbit cross web": "cross_traffic web has no rtt: write it like {kind: web, rtt: 100ms}",
    "rate 1mbit cross web 100ms 1ms": "idle 1ms is impossible: give 100ms to 60s",
    "rate 1mbit cross tcp 0ms": "rtt 0ms is impossible: give 1ms to 60s",
    "rate 1mbit cross tcp 100ms 1kB": "window 1000B is impossible: give 2400B or more",
    "rate 1mbit cross pulses 2mbit 0ms": "for 0ms is impossible: give 1ms to 60s",
    "rate 1mbit cross pulses 2mbit 100ms 100ms": (
        "every 100ms is no longer than for 100ms: leave time between two of them, up to 2min in all"
    ),
    "rate 1mbit cross random-walk 1bit": "peak 1bit is impossible: give 1kbit or more",
    "rate 1gbit cross tcp 5ms": (
        "cross_traffic could send 104,167 packets a second, more than 10,000: "
        "give a slower line, lower peaks, or tcp a smaller window"
    ),
    # Overhead that shortens its packets to a byte, and a bucket as deep as an hour, are no line of 1 Mbit/s.
    "rate 1mbit -1199B cross tcp 5ms 100kB": (
        "cross_traffic could send 16,667 packets a second, more than 10,000: "
        "give a slower line, lower peaks, or tcp a smaller window"
    ),
    "rate 1mbit bucket 450MB cross tcp 5ms": (
        "cross_traffic could send 37,604 packets a second, more than 10,000: "
        "give a slower line, lower peaks, or tcp a smaller window"
    ),
    "rate 1mbit " + 21 * "cross random-walk 1kbit ": (
        "cross_traffic has 21 flows, more than 20: give fewer, with higher peaks"
    ),
    "rate 1gbit cross pulses 100mbit cross pulses 100mbit": (
        "cross_traffic could send 18,000 packets a second, more than 10,000: "
        "give a slower line, lower peaks, or tcp a smaller window"
    ),
    "handover 0s 6s 10s handover 5s 6s 10s": "handovers leave no time between them: make them shorter or rarer",
}


def test_a_line_that_cannot_be_meant_is_refused_in_one_sentence():
    assert {line: refusal_of(parse_link, line) for line in REFUSALS} == REFUSALS


KEYS = [
    ({"delay": 80}, "delay: duration '80' has no unit: write it like 80ms"),
    ({"loss": "2%", "gemodel": {"p": "1%"}}, "loss and gemodel are both given: leave one out"),
    ({"gemodel": {"q": "1%"}}, "gemodel key 'q' is not known: use one of p, r, 1-h, 1-k"),
    ({"gemodel": {"r": "1%"}}, "gemodel has no p: write it like {p: 1%, r: 20%, 1-h: 70%, 1-k: 0.1%}"),
    ({"loss": "1%", "burst": True}, "burst True is not a number of packets: write it like 3"),
    ({"schedule": [{"loss": "1%"}]}, "schedule entry {'loss': '1%'} has no at: write it like {at: 10s, loss: 5%}"),
    ({"schedule": [{"at": "2s"}]}, "at 2s changes nothing: write after it what changes then: rate 600kbit"),
    (
        {"schedule": [{"at": "2s", "loss": "1%"}, {"at": "1s", "loss": "2%"}]},
        "the schedule goes back in time: sort its entries by at",
    ),
    ({"repeat": "4s"}, "repeat is given without schedule: give the schedule too"),
    (
        {"schedule": [{"at": "1us", "loss": "1%"}], "repeat": "2us"},
        "repeat 2us is impossible: give 1ms or more",
    ),
    (
        {"schedule": [{"at": "5s", "loss": "1%"}], "repeat": "4s"},
        "repeat 4s cuts off the entry at 5s: give a longer one",
    ),
    (
        {"police": "500kbit"},
        "police '500kbit' has no keys: write it like {rate: 500kbit, bucket: 16kB}",
    ),
    ({"slot": {"max": "5ms"}}, "slot max is given without min: give it too, or leave both out"),
    ({"slot": {"packets": 4}}, "slot has not one of min and delay: write it like {min: 5ms, max: 10ms}"),
    (
        {"slot": {"min": "5ms", "delay": "5ms"}},
        "slot has not one of min and delay: write it like {min: 5ms, max: 10ms}",
    ),
    ({"slot": {"mim": "5ms"}}, "slot key 'mim' is not known: did you mean min?"),
    (
        {"rate": "1mbit", "cross_traffic": [{"rtt": "5ms"}]},
        "cross_traffic entry {'rtt': '5ms'} has no kind: write it like {kind: tcp, rtt: 100ms}",
    ),
    (
        {"rate": "1mbit", "cross_traffic": [{"kind": "tcp", "peak": "1mbit"}]},
        "cross_traffic tcp key 'peak' is not known: use one of kind, rtt, window",
    ),
    (
        {"rate": "1mbit", "cross_traffic": {"kind": "tcp"}},
        (
            "cross_traffic {'kind': 'tcp'} is not a list: write it like [{kind: tcp, rtt: 100ms}, "
            "{kind: pulses, peak: 2mbit, for: 100ms, every: 2s}, {kind: random-walk, peak: 500kbit}]"
        ),
    ),
    ({"outages": "10s"}, "outages '10s' is not a list: write it like [{at: 10s, for: 2s, every: 60s}]"),
    ({"delay_trace": 5}, "delay_trace 5 is not a file name: write it like traces/lte.txt"),
    ({"loss_trace": "no/such"}, "trace 'no/such' is not there: check the name"),
    (7, "link 7 is neither a line nor keys: write it like delay: 80ms"),
]


def test_keys_that_cannot_be_meant_are_refused_in_one_sentence():
    assert [(keys, refusal_of(parse_link, keys)) for keys, _ in KEYS] == KEYS


def test_an_unknown_region_names_its_neighbours():
    with pytest.raises(BadInputError) as refusal:
        backbone("bankok", "london")
    assert str(refusal.value) == "region 'bankok' is not known: did you mean bangkok?"


def test_handovers_that_cover_a_whole_capacity_trace_are_refused_not_waited_for(tmp_path):
    (tmp_path / "trace").write_text("10\n20\n")
    keys = {"capacity_trace": "trace", "handovers": [{"at": "5ms", "for": "19ms", "every": "20ms"}]}
    link = Link(parse_link(keys, folder=tmp_path), np.random.SeedSequence(1))
    with pytest.raises(BadInputError) as refusal:
        link.offer(160, 0.0)
    sentence = "handovers cover every instant of the capacity trace: make them shorter or rarer"
    assert str(refusal.value) == sentence
