"""What is known of the plain mappings of a result: the kinds of the keys that reports and verdicts read.

Rules:
    1. The room that measures lays a mapping down, and may put in whatever is plain; only what is read has a kind here.
    2. A kind is a type as ``plain.py`` reads it; times by their keys in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

__all__ = ["HARNESS", "LINK", "PLAYOUT", "PROTECTION", "QUALITY", "SIDE_FIGURES", "Shape", "shaped"]

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
PLAYOUT: Final[Shape] = {
    "concealed_ratio": _Share,
    **_numbers("concealed mean_target_delay_ms target_delay_ms mean_jitter_buffer_delay_ms"),
    "policy": str,
    "target_steps": Mapping[str, tuple[float, ...]] | None,
    "ticks": _Numbers,
    "w3c": _Numbers,
}
PROTECTION: Final[Shape] = {
    **_numbers("sent lost_before lost_after", _Count),
    "unplayed": _Share,
    "cost_ms": _Number,
    **{f"recovered_by_{kind}": _Numbers for kind in ("red", "fec", "nack")},
    "loss": Mapping[str, _Share] | None,
}
QUALITY: Final[Shape] = {
    **_numbers("r mos listening_mos id ie_eff loss_ratio burst_ratio"),
    "assumptions": _Texts | None,
}
SIDE_FIGURES: Final[Shape] = {"stock aiortc": _Numbers}
HARNESS: Final[Shape] = {"timers": str | None, "detection_error_ms": _Number}


def shaped(shape: Shape) -> dict[str, Shape]:
    """Return the field metadata that gives a measured mapping its shape."""
    return {"shape": shape}
