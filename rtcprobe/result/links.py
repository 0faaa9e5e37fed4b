"""What emulated lines were asked for, and what the packets of the run really met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from rtcprobe.secrets import WORDS

__all__ = ["Asked", "LinkReport", "LinkSide", "Met"]

# As in ``figures``; counts are floats here, as of several calls they are means.
_Share = Annotated[float, 0.0, 1.0]
_Count = Annotated[float, 0.0, 1e15]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSide:
    """What both sides have: shares of the packets, a mean burst in packets, one-way delays; None where not known."""

    loss: _Share | None = None
    mean_burst: _Count | None = None
    delay_min_s: float | None = None
    delay_p5_s: float | None = None
    delay_p50_s: float | None = None
    delay_p95_s: float | None = None
    delay_p99_s: float | None = None
    delay_max_s: float | None = None
    reordered: _Share | None = None
    duplicated: _Share | None = None
    corrupted: _Share | None = None
    marked: _Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(LinkSide):
    """What was asked for: ``rate_bps`` that of the slowest hop; ``notes`` say why a figure cannot be known."""

    rate_bps: _Count | None = None
    notes: tuple[str, ...] = field(default=(), metadata=WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Met(LinkSide):
    """What the packets met: how many, their bit rates of IP bytes, and drops by cause."""

    offered: _Count = 0
    delivered: _Count = 0
    longest_burst: _Count | None = None
    offered_bps: _Count | None = None
    delivered_bps: _Count | None = None
    drops: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReport:
    """One leg of the media path: what was asked for and what the packets of the run really met."""

    requested: Asked
    achieved: Met

    @classmethod
    def of(cls, requested: Any, achieved: Any) -> LinkReport:
        """Return the report of two dataclass records, as ``link`` makes them."""
        return cls(
            # A field that ``link`` gains and these records lack is a TypeError here, not a figure that vanishes.
            requested=Asked(**{each.name: getattr(requested, each.name) for each in fields(requested)}),
            achieved=Met(**{each.name: getattr(achieved, each.name) for each in fields(achieved)}),
        )
