"""What is known of the plain mappings of a result: the kinds of the keys that reports and verdicts read.

Rules:
    1. The room that measures lays a mapping down, and may put in whatever is plain; only what is read has a kind here.
    2. A kind is a type as ``plain.py`` reads it; times by their keys in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

__all__ = ["HARNESS", "LINK", "Shape", "shaped"]

Shape = Mapping[str, Any]

_Number = float | None
_Share = Annotated[float, 0.0, 1.0] | None
_Count = Annotated[float, 0.0, 1e15] | None
_Numbers = Mapping[str, _Number]
_Texts = tuple[str, ...]


def _numbers(words: str, kind: Any = _Number) -> dict[str, Any]:
    return dict.fromkeys(words.split(), kind)


LINK: Final[Shape] = {
    **_numbers("loss reordered duplicated corrupted marked", _Share),
    **_numbers("mean_burst longest_burst rate_bps offered delivered offered_bps delivered_bps", _Count),
    **_numbers("delay_min_ms delay_p5_ms delay_p50_ms delay_p95_ms delay_p99_ms delay_max_ms"),
    "drops": Mapping[str, float] | None,
    "notes": _Texts | None,
}
HARNESS: Final[Shape] = {"timers": str | None, "detection_error_ms": _Number}


def shaped(shape: Shape) -> dict[str, Shape]:
    """Return the field metadata that gives a measured mapping its shape."""
    return {"shape": shape}
