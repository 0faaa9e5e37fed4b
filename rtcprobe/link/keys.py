"""The keys of a link: tc-netem's words, each with its meaning and an example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rtcprobe.errors import BadInputError, did_you_mean

__all__ = ["CROSS_KEYS", "LINK_KEYS", "LOSS_ORDERS", "NESTED_KEYS", "need_known"]

# What a reader is shown, three times over: the editor's schema has the whole value as a key's description, a
# refusal what stands behind the first ": " as the example to write it like, and "there are ..." the keys in
# this order.
LINK_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "delay": "one-way delay: 80ms",
        "jitter": "spread of the delay: 10ms (standard deviation of normal, half-width of uniform)",
        "distribution": "shape of the jitter: uniform (default), normal, pareto, paretonormal",
        "correlation": "how alike neighbouring delays are: 50%",
        "order": "keep (default) or free: whether jitter may reorder",
        "delay_samples": "file of delays in ms, one a line, to draw from; delay is added",
        "delay_trace": "file of each packet's delay in ms in turn, -1 for a lost one; in place of delay",
        "loss": "share of packets lost: 2%",
        "burst": "mean run of consecutive losses, packets: 3",
        "gemodel": "Gilbert-Elliott chain: {p: 1%, r: 20%, 1-h: 70%, 1-k: 0.1%}",
        "state": "four-state chain: {p13: 2%, p31: 30%, p32: 20%, p23: 40%, p14: 0.5%}",
        "loss_trace": "file of each packet's fate in turn: 0 arrived, 1 lost",
        "loss_order": "after-rate (default: lost packets used capacity) or before-rate (netem)",
        "rate": "speed of the line in bits per second (kbps too, which tc reads as bytes): 1mbit",
        "overhead": "bytes the layer below adds to each packet: 28B",
        "cell": "packets travel in whole cells of: 48B",
        "celloverhead": "added to each cell: 5B",
        "bucket": "what may go at once after a silence, the rate being that of a token bucket then: 16kB",
        "capacity_trace": "mahimahi file: ms instants at which 1500 bytes may leave; in place of rate",
        "limit": "what may wait for the line: 50 (packets, default 1000), 64kB, or 200ms",
        "police": "drop what comes faster than, with that much in hand: {rate: 500kbit, bucket: 16kB}",
        "aqm": "how the queue is kept short: codel, pi2 or ecn-ramp",
        "aqm_target": "wait the AQM allows: 5ms (codel's default; pi2's is 15ms, ecn-ramp's 4ms)",
        "aqm_interval": "how long codel lets packets wait longer: 100ms (default)",
        "aqm_max": "wait from which ecn-ramp marks everything: 8ms (default)",
        "ecn": "what the call's packets say of ECN: none (default), ect0, or ect1 (L4S); marked instead of dropped",
        "cross_traffic": "others in the same queue: [{kind: tcp, rtt: 100ms}, {kind: pulses, peak: 2mbit, for: 100ms, "
        "every: 2s}, {kind: random-walk, peak: 500kbit}]",
        "slot": "packets leave only in slots, so far apart: {min: 5ms, max: 10ms, packets: 4}",
        "reorder": "share of packets that step out of the row: 1%",
        "gap": "packets in order after one that stepped out, plus one: 5",
        "reorder_by": "hold a packet that steps out back this much longer, instead of letting it skip the delay: 40ms",
        "duplicate": "share of delivered packets that arrive twice: 1%",
        "corrupt": "share of delivered packets with one flipped bit: 0.1%",
        "outages": "when packets are dropped: [{at: 10s, for: 2s, every: 60s}]",
        "handovers": "when packets are held back: [{at: 15s, for: 140ms, every: 15s}]",
        "schedule": "changes in time: [{at: 10s, loss: 5%}]; on one line: at 10s loss 5%",
        "repeat": "the schedule starts over after: 60s",
    }
)
"""Every key of a link, with what it means and an example."""


NESTED_KEYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "gemodel": ("p", "r", "1-h", "1-k"),
        "state": ("p13", "p31", "p32", "p23", "p14"),
        "police": ("rate", "bucket"),
        "slot": ("min", "max", "delay", "jitter", "distribution", "packets", "bytes"),
        "outages": ("at", "for", "every"),
        "handovers": ("at", "for", "every"),
    }
)
"""The keys inside a key, or of each of its entries; in the order of a line where it takes them all."""

# The default first: libwebrtc's order, then netem's.
LOSS_ORDERS: Final = ("after-rate", "before-rate")

CROSS_KEYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"tcp": ("rtt", "window"), "web": ("rtt", "idle"), "pulses": ("peak", "for", "every"), "random-walk": ("peak",)}
)
"""What each kind of cross traffic takes, in the order of a line."""


def need_known(what: str, keys: Iterable[object], known: Sequence[str]) -> None:
    """Refuse the first of ``keys`` that is not ``known``, naming the nearest that are.

    Raises:
        BadInputError: there is one.
    """
    for key in keys:
        if key not in known:
            raise BadInputError(f"{what} {str(key)!r} is not known", did_you_mean(key, known))
