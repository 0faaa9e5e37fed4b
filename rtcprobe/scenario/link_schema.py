"""The schema of a link written as keys, for editors; what a run accepts is judged by ``rtcprobe.link.parse_link``.

Rule: it is coarse, and never refuses what the parser takes: null leaves a key out, counts may be written as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from rtcprobe.link import LINK_KEYS
from rtcprobe.link.aqm import Ecn
from rtcprobe.link.delay import DISTRIBUTIONS
from rtcprobe.link.keys import CROSS_KEYS, LOSS_ORDERS, NESTED_KEYS
from rtcprobe.link.parse import AQMS
from rtcprobe.link.spec import Order

__all__ = ["QUANTITY", "link_keys_schema"]

QUANTITY: Final = r"^\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*[A-Za-zµ%/]+\s*$"
"""A number with a unit: coarse on purpose, so that it refuses nothing an exact parser allows."""

_AMOUNT: Final = {"type": ["string", "null"], "pattern": QUANTITY}
_COUNT: Final = {"type": ["number", "string", "null"]}
# A file's name: any text but none.
_FILE: Final = {"type": ["string", "null"], "minLength": 1}
_UNTIMED: Final = ("outages", "handovers", "schedule", "repeat")


def link_keys_schema() -> dict[str, Any]:
    """Return the schema of one link's keys."""
    keys = {key: {**_KINDS.get(key, _AMOUNT), "description": meaning} for key, meaning in LINK_KEYS.items()}
    # A change of a schedule has every key of a link but those that have times of their own.
    change = {"at": _AMOUNT, **{key: kind for key, kind in keys.items() if key not in _UNTIMED}}
    keys["schedule"] = {**keys["schedule"], "items": {**_record(change), "required": ["at"]}}
    return _record(keys)


def _one_of(*words: str) -> dict[str, Any]:
    return {"enum": [*words, None]}


def _record(kinds: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": dict(kinds)}


def _amounts(*keys: str, **others: dict[str, Any]) -> dict[str, Any]:
    return _record({**dict.fromkeys(keys, _AMOUNT), **others})


def _maybe(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "type": ["object", "null"]}


def _list(record: dict[str, Any]) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": record}


_DISTRIBUTION: Final = _one_of(*DISTRIBUTIONS)
_KINDS: Final[Mapping[str, dict[str, Any]]] = {
    "distribution": _DISTRIBUTION,
    "order": _one_of(*get_args(Order)),
    "loss_order": _one_of(*LOSS_ORDERS),
    "aqm": _one_of(*AQMS),
    "ecn": _one_of(*get_args(Ecn)),
    **dict.fromkeys(("delay_samples", "delay_trace", "loss_trace", "capacity_trace"), _FILE),
    **dict.fromkeys(("burst", "gap", "limit"), _COUNT),
    **{key: _maybe(_amounts(*NESTED_KEYS[key])) for key in ("gemodel", "state", "police")},
    "slot": _maybe(_amounts(*NESTED_KEYS["slot"], distribution=_DISTRIBUTION, packets=_COUNT)),
    **{key: _list(_amounts(*NESTED_KEYS[key])) for key in ("outages", "handovers")},
    "cross_traffic": _list(
        _amounts(*sorted({key for keys in CROSS_KEYS.values() for key in keys}), kind={"enum": [*CROSS_KEYS]})
    ),
    "schedule": {"type": ["array", "null"]},
}
"""What is not an amount with a unit."""
