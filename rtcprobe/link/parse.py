"""Written links to ``LinkSpec``: a mapping with written units, or one line as tc(8) takes it.

Facts:
    The keys are tc-netem's words. The one line ``delay 80ms 10ms distribution normal loss 2% burst 3 rate 1mbit
    limit 50`` becomes the mapping ``{delay: 80ms, jitter: 10ms, distribution: normal, loss: 2%, burst: 3, rate:
    1mbit, limit: 50}``, and only the mapping is read.

Rules:
    1. Durations, rates, sizes and shares carry their unit; only counts of packets are bare numbers.
    2. An unknown key is refused with the nearest known ones; so is a value that cannot be meant.
    3. A schedule entry changes the keys it names and keeps the rest from the entry before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from rtcprobe.errors import BadInputError
from rtcprobe.link.aqm import Aqm, CoDel, EcnRamp, Pi2
from rtcprobe.link.cross import CrossTraffic, Pulses, RandomWalk, Tcp, Web
from rtcprobe.link.delay import LONGEST_S, Delay, DelayTrace
from rtcprobe.link.keys import CROSS_KEYS, LINK_KEYS, LOSS_ORDERS, NESTED_KEYS, need_known
from rtcprobe.link.line import lower_line
from rtcprobe.link.loss import Bernoulli, BurstLoss, FourState, GilbertElliott, Loss
from rtcprobe.link.slot import Slot
from rtcprobe.link.spec import CapacityTrace, Change, Interval, Limit, LinkSpec, Police, Rate, Reorder
from rtcprobe.link.traces import read_capacity_trace, read_delay_samples, read_delay_trace, read_loss_trace
from rtcprobe.units import format_duration, parse_bytes, parse_duration, parse_rate, parse_ratio

__all__ = ["AQMS", "parse_link"]

_T = TypeVar("_T")

_RIVALS: Final = (
    ({"loss"}, {"gemodel"}, {"state"}, {"loss_trace"}),
    ({"delay", "jitter", "distribution", "correlation", "delay_samples"}, {"delay_trace"}),
    ({"rate", "overhead", "cell", "celloverhead", "bucket"}, {"capacity_trace"}),
)
"""Keys that say the same thing in different ways; at most one set of each row may be used."""

_NEEDS: Final = {
    "burst": ("loss",),
    "jitter": ("delay",),
    "distribution": ("jitter",),
    "correlation": ("jitter", "delay_samples"),
    "overhead": ("rate",),
    "cell": ("rate",),
    "celloverhead": ("cell",),
    "bucket": ("rate",),
    "aqm_target": ("aqm",),
    "aqm_interval": ("aqm",),
    "aqm_max": ("aqm",),
    "gap": ("reorder",),
    "reorder_by": ("reorder",),
}
"""Keys that mean nothing without one of these."""

_MOST_DIGITS: Final = 15
"""Of a count; Python refuses to read a number of some thousands."""

# What says when, not what: it stands beside the schedule, never in an entry of it.
_TIMED: Final = frozenset({"outages", "handovers", "schedule", "repeat"})


def parse_link(link: str | Mapping[str, Any], *, folder: Path | None = None) -> LinkSpec:
    """Return the hop that ``link`` writes; trace files named relatively are looked for in ``folder``.

    Raises:
        BadInputError: an unknown key, a missing unit, an impossible or pointless setting, an unreadable trace.
    """
    if isinstance(link, str):
        link = lower_line(link)
    if not isinstance(link, Mapping):
        raise BadInputError(f"link {link!r} is neither a line nor keys", "write it like delay: 80ms")
    need_known("link key", link, tuple(LINK_KEYS))
    written = {key: value for key, value in link.items() if value is not None}
    steady = {key: value for key, value in written.items() if key not in _TIMED}
    base = _Steady(steady, folder).fields()
    changes = []
    for entry in _entries("schedule", written.get("schedule", [])):
        if not isinstance(entry, Mapping) or "at" not in entry:
            raise BadInputError(f"schedule entry {entry!r} has no at", "write it like {at: 10s, loss: 5%}")
        need_known("schedule key", entry, ("at", *(key for key in LINK_KEYS if key not in _TIMED)))
        # An ``at`` alone is a line cut off, or a slip of indentation: what was meant to change then stands
        # elsewhere.
        if len(entry) == 1:
            raise BadInputError(f"at {entry['at']} changes nothing", "write after it what changes then: rate 600kbit")
        # Rule 3: from the entry before, not from the link as it began.
        steady = _changed(steady, {key: value for key, value in entry.items() if key != "at"})
        fields = _Steady(steady, folder).fields()
        if not fields["rate"]:
            # The queue they speak of is that of the other phases.
            fields |= {"limit": None, "aqm": None, "cross_traffic": ()}
        if not fields["aqm"]:
            fields["ecn"] = "none"
        changes.append(Change(at_s=_read(parse_duration, entry, "at"), spec=LinkSpec(**fields)))
    return LinkSpec(
        **base,
        outages=tuple(_interval("outages", entry) for entry in _entries("outages", written.get("outages", []))),
        handovers=tuple(_interval("handovers", entry) for entry in _entries("handovers", written.get("handovers", []))),
        schedule=tuple(changes),
        repeat_s=_read(parse_duration, written, "repeat") if "repeat" in written else None,
    )


class _Steady:
    """The keys of one phase, read."""

    def __init__(self, written: Mapping[str, Any], folder: Path | None) -> None:
        self._written = written
        self._folder = folder or Path()
        for row in _RIVALS:
            # Of each way the key that stands first in the list of keys: sets have no order, and a refusal
            # must not change.
            used = [min(ways & written.keys(), key=tuple(LINK_KEYS).index) for ways in row if ways & written.keys()]
            if len(used) > 1:
                raise BadInputError(f"{used[0]} and {used[1]} are both given", "leave one out")
        for key, needed in _NEEDS.items():
            if key in written and not any(other in written for other in needed):
                raise BadInputError(f"{key} is given without {' or '.join(needed)}", "give it too, or leave both out")

    def fields(self) -> dict[str, Any]:
        """Return the fields of ``LinkSpec`` that these keys set."""
        written = self._written
        return {
            "delay": self._delay(),
            "order": written.get("order", "keep"),
            "loss": self._loss(),
            "loss_before_rate": self._loss_before_rate(),
            "rate": self._rate(),
            "limit": _limit(written["limit"]) if "limit" in written else None,
            "police": _police(written["police"]) if "police" in written else None,
            "aqm": self._aqm(),
            "ecn": written.get("ecn", "none"),
            "cross_traffic": tuple(_flow(entry) for entry in _entries("cross_traffic", written["cross_traffic"]))
            if "cross_traffic" in written
            else (),
            "slot": _slot(written["slot"]) if "slot" in written else None,
            "reorder": self._reorder(),
            "duplicate": _read(parse_ratio, written, "duplicate", "0%"),
            "corrupt": _read(parse_ratio, written, "corrupt", "0%"),
        }

    def _delay(self) -> Delay | DelayTrace:
        written = self._written
        if "delay_trace" in written:
            return read_delay_trace(self._file("delay_trace"))
        return Delay(
            base_s=_read(parse_duration, written, "delay", "0s"),
            jitter_s=_read(parse_duration, written, "jitter", "0s"),
            distribution=str(written.get("distribution", "uniform")),
            correlation=_read(parse_ratio, written, "correlation", "0%"),
            samples_s=read_delay_samples(self._file("delay_samples")) if "delay_samples" in written else (),
        )

    def _loss(self) -> Loss | None:
        written = self._written
        if "loss_trace" in written:
            return read_loss_trace(self._file("loss_trace"))
        if "gemodel" in written:
            shares = _shares("gemodel", written["gemodel"], ("p",))
            return GilbertElliott(
                p=shares["p"],
                # tc's defaults (``q_netem.c``): r = 1 - p, so that with p alone losses are independent; all
                # of the bad state is lost, nothing of the good one.
                r=shares.get("r", 1 - shares["p"]),
                h_loss=shares.get("1-h", 1),
                k_loss=shares.get("1-k", 0),
            )
        if "state" in written:
            return FourState(**_shares("state", written["state"], ("p13",)))
        if "loss" not in written:
            return None
        ratio = _read(parse_ratio, written, "loss")
        if "burst" in written:
            return BurstLoss(ratio, _count("burst", written["burst"]))
        # ``loss 0%`` is what a schedule writes for "no more": no model, and no draw.
        return Bernoulli(ratio) if ratio else None

    def _loss_before_rate(self) -> bool:
        order = self._written.get("loss_order", "after-rate")
        need_known("loss_order", [order], LOSS_ORDERS)
        return bool(order == "before-rate")

    def _rate(self) -> Rate | CapacityTrace | None:
        written = self._written
        if "capacity_trace" in written:
            return read_capacity_trace(self._file("capacity_trace"))
        if "rate" not in written:
            return None
        return Rate(
            bps=_read(parse_rate, written, "rate"),
            overhead_bytes=_read(parse_bytes, written, "overhead", "0B"),
            cell_bytes=_read(parse_bytes, written, "cell", "0B"),
            cell_overhead_bytes=_read(parse_bytes, written, "celloverhead", "0B"),
            bucket_bytes=_bucket(written) if "bucket" in written else 0,
        )

    def _aqm(self) -> Aqm | None:
        written = self._written
        if "aqm" not in written:
            return None
        kind = written["aqm"]
        need_known("aqm", [kind], tuple(AQMS))
        made, takes = AQMS[kind]
        for key in ("aqm_interval", "aqm_max"):
            if key in written and key not in takes:
                raise BadInputError(f"{key} means nothing to aqm {kind}", "leave it out")
        return made(**{takes[key]: _read(parse_duration, written, key) for key in takes if key in written})

    def _reorder(self) -> Reorder | None:
        written = self._written
        if "reorder" not in written:
            return None
        gap = _count("gap", written.get("gap", 1))
        # Read as a float so that "5.0" of a calculation passes, and "2.5" is refused by its own sentence.
        if gap != int(gap):
            raise BadInputError(f"gap {gap:g} is impossible", "give whole packets")
        by_s = _read(parse_duration, written, "reorder_by", "0s")
        return Reorder(ratio=_read(parse_ratio, written, "reorder"), gap=int(gap), by_s=by_s)

    def _file(self, key: str) -> Path:
        name = self._written[key]
        if not isinstance(name, str) or not name:
            raise BadInputError(f"{key} {name!r} is not a file name", "write it like traces/lte.txt")
        return self._folder / name


AQMS: Final[Mapping[str, tuple[Callable[..., Aqm], Mapping[str, str]]]] = {
    "codel": (CoDel, {"aqm_target": "target_s", "aqm_interval": "interval_s"}),
    "pi2": (Pi2, {"aqm_target": "target_s"}),
    "ecn-ramp": (EcnRamp, {"aqm_target": "target_s", "aqm_max": "max_s"}),
}
"""What makes each AQM, and of which keys."""

_FLOWS: Final[Mapping[str, tuple[Callable[..., CrossTraffic], Mapping[str, tuple[str, Callable[[object], float]]]]]] = {
    "tcp": (Tcp, {"rtt": ("rtt_s", parse_duration), "window": ("window_bytes", parse_bytes)}),
    "web": (Web, {"rtt": ("rtt_s", parse_duration), "idle": ("idle_s", parse_duration)}),
    "pulses": (
        Pulses,
        {"peak": ("peak_bps", parse_rate), "for": ("for_s", parse_duration), "every": ("every_s", parse_duration)},
    ),
    "random-walk": (RandomWalk, {"peak": ("peak_bps", parse_rate)}),
}
"""What makes each kind of cross traffic, and of which keys."""


def _flow(entry: object) -> CrossTraffic:
    if not isinstance(entry, Mapping) or "kind" not in entry:
        raise BadInputError(f"cross_traffic entry {entry!r} has no kind", "write it like {kind: tcp, rtt: 100ms}")
    kind = entry["kind"]
    need_known("cross_traffic kind", [kind], tuple(CROSS_KEYS))
    need_known(f"cross_traffic {kind} key", entry, ("kind", *CROSS_KEYS[kind]))
    if kind in ("tcp", "web") and "rtt" not in entry:
        raise BadInputError(f"cross_traffic {kind} has no rtt", f"write it like {{kind: {kind}, rtt: 100ms}}")
    made, takes = _FLOWS[kind]
    return made(**{takes[key][0]: _read(takes[key][1], entry, key) for key in takes if key in entry})


def _bucket(written: Mapping[str, Any]) -> int:
    size_bytes = _read(parse_bytes, written, "bucket")
    if size_bytes <= 0:
        raise BadInputError(f"bucket {size_bytes}B is impossible", "give more than zero")
    return size_bytes


def _police(written: object) -> Police:
    keys = _keys("police", written, NESTED_KEYS["police"])
    return Police(bps=_read(parse_rate, keys, "rate"), bucket_bytes=_bucket(keys))


def _slot(written: object) -> Slot:
    keys = _keys("slot", written)
    for key, other in (("max", "min"), ("jitter", "delay"), ("distribution", "jitter")):
        if key in keys and other not in keys:
            raise BadInputError(f"slot {key} is given without {other}", "give it too, or leave both out")
    if ("min" in keys) == ("delay" in keys):
        raise BadInputError("slot has not one of min and delay", "write it like {min: 5ms, max: 10ms}")
    if "delay" in keys:
        interval = Delay(
            base_s=_read(parse_duration, keys, "delay"),
            jitter_s=_read(parse_duration, keys, "jitter", "0s"),
            distribution=str(keys.get("distribution", "uniform")),
        )
    else:
        least_s = _read(parse_duration, keys, "min")
        most_s = _read(parse_duration, keys, "max") if "max" in keys else least_s
        for key, value_s in (("min", least_s), ("max", most_s)):
            if not 0 <= value_s <= LONGEST_S:
                raise BadInputError(
                    f"slot {key} {format_duration(value_s)} is impossible", f"give 0ms to {LONGEST_S:g}s"
                )
        if least_s > most_s:
            raise BadInputError(
                f"slot max {format_duration(most_s)} is below min {format_duration(least_s)}", "give min, then max"
            )
        # Uniform between the two, as netem draws it: a half-width around their mean.
        interval = Delay(base_s=(least_s + most_s) / 2, jitter_s=(most_s - least_s) / 2)
    packets = _count("slot packets", keys["packets"]) if "packets" in keys else None
    if packets is not None and packets != int(packets):
        raise BadInputError(f"slot packets {packets:g} is impossible", "give whole packets")
    return Slot(
        interval=interval,
        packets=None if packets is None else int(packets),
        size_bytes=_read(parse_bytes, keys, "bytes") if "bytes" in keys else None,
    )


def _changed(steady: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``steady`` with the keys of ``entry``; one way to say a thing replaces another; null removes."""
    dropped = {key for key, value in entry.items() if value is None}
    for row in _RIVALS:
        named = [ways for ways in row if ways & entry.keys() - dropped]
        if named:
            dropped |= {key for ways in row if ways not in named for key in ways}
    # A burst speaks of ``loss``: with it gone it would be refused as a leftover that nobody wrote.
    if dropped & {"loss"}:
        dropped |= {"burst"}
    # Another AQM does not inherit the figures of the one before it, whose meaning differs.
    if "aqm" in entry:
        dropped |= {"aqm_target", "aqm_interval", "aqm_max"} - entry.keys()
    return {key: value for key, value in {**steady, **entry}.items() if key not in dropped}


def _read(parse: Callable[[object], _T], written: Mapping[str, Any], key: str, default: str = "") -> _T:
    """Return the value of ``key``; a refusal says which key it was."""
    try:
        return parse(written.get(key, default))
    except BadInputError as error:
        raise error.within(key) from None


def _limit(written: object) -> Limit:
    # YAML and a calculation both make 50.0 of 50.
    if isinstance(written, float) and written.is_integer():
        written = int(written)
    text = str(written).strip().lower().removesuffix("packets").strip()
    # ``limit = 1*15DIGIT [ "packets" ] / size / duration``: a bare number is packets, as tc has it.
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return Limit(packets=int(text))
    if text[:1].isdigit() and text.endswith("b"):
        return Limit(size_bytes=parse_bytes(written))
    if text[:1].isdigit() and text.endswith("s"):
        return Limit(wait_s=parse_duration(written))
    raise BadInputError(f"limit {str(written)!r} is not a limit", "write it like 50 (packets), 64kB or 200ms")


def _count(name: str, written: object) -> float:
    try:
        count = float(str(written))
    except ValueError:
        count = math.nan
    if not math.isfinite(count):
        raise BadInputError(f"{name} {written!r} is not a number of packets", "write it like 3")
    return count


def _keys(name: str, written: object, needed: Sequence[str] = ()) -> Mapping[str, Any]:
    if not isinstance(written, Mapping):
        raise BadInputError(f"{name} {written!r} has no keys", f"write it like {LINK_KEYS[name].split(': ', 1)[1]}")
    need_known(f"{name} key", written, NESTED_KEYS[name])
    for key in needed:
        if key not in written:
            raise BadInputError(f"{name} has no {key}", f"write it like {LINK_KEYS[name].split(': ', 1)[1]}")
    return written


def _shares(name: str, written: object, needed: Sequence[str]) -> dict[str, float]:
    keys = _keys(name, written, needed)
    return {key: _read(parse_ratio, keys, key) for key in keys}


def _entries(name: str, written: object) -> list[Any]:
    if not isinstance(written, Sequence) or isinstance(written, str):
        raise BadInputError(f"{name} {written!r} is not a list", f"write it like {LINK_KEYS[name].split(': ', 1)[1]}")
    return list(written)


def _interval(name: str, entry: object) -> Interval:
    if not isinstance(entry, Mapping) or not {"at", "for"} <= entry.keys():
        raise BadInputError(f"{name} entry {entry!r} lacks at or for", "write it like {at: 10s, for: 2s}")
    need_known(f"{name} key", entry, NESTED_KEYS[name])
    return Interval(
        at_s=_read(parse_duration, entry, "at"),
        for_s=_read(parse_duration, entry, "for"),
        every_s=_read(parse_duration, entry, "every") if "every" in entry else None,
    )
