"""What the parts of an account say: the receiver, the protection against loss, the quality, another receiver.

Rule: what every policy has, or a report reads, is a field; what only one policy counts is in ``counts`` under the name
    that policy gives it, and W3C's figures stand under W3C's names and units (webrtc-stats).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from rtcprobe.result.plain import SPARSE, UnfitError
from rtcprobe.secrets import NAME, WORDS

__all__ = ["Beside", "Playout", "Protection", "Quality", "Recovered", "TargetSteps", "Unprotected"]

# ``plain`` reads Annotated as least and most: what a damaged or edited file claims beyond is refused, with its place.
_Share = Annotated[float, 0.0, 1.0]
# Up to 10¹⁵ a float, which JSON's readers make of numbers, is exact (2⁵³ is 9 · 10¹⁵).
_Count = Annotated[int, 0, 10**15]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSteps:
    """What a jitter buffer aimed at, as steps: since when (seconds since its call started), and how much delay.

    ``call`` has the call of each step where there were several.

    Raises:
        UnfitError: lists of different lengths.
    """

    since_s: tuple[float, ...]
    target_delay_s: tuple[float, ...]
    call: tuple[int, ...] = field(default=(), metadata=SPARSE)

    def __post_init__(self) -> None:
        # Calls are left out where there was one.
        lengths = {len(self.since_s), len(self.target_delay_s), len(self.call) or len(self.since_s)}
        if len(lengths) > 1:
            raise UnfitError(f" {sorted(lengths)} is no one length of lists")


@dataclass(frozen=True, slots=True, kw_only=True)
class Playout:
    """What the receiver did with what came: ``concealed_ratio`` of the sound played was made up.

    ``concealed`` is the same by its own count. The delays are means over what was played. ``ticks`` are how often it
    did what; ``counts`` what only this policy counts.
    """

    policy: str = field(metadata=NAME)
    concealed_ratio: _Share | None = None
    concealed: float | None = field(default=None, metadata=SPARSE)
    target_delay_s: float | None = field(default=None, metadata=SPARSE)
    mean_target_delay_s: float | None = field(default=None, metadata=SPARSE)
    mean_jitter_buffer_delay_s: float | None = field(default=None, metadata=SPARSE)
    delay_raised_by_lateness_s: float | None = field(default=None, metadata=SPARSE)
    counts: Mapping[str, float | None] = field(default_factory=dict, metadata=SPARSE)
    ticks: Mapping[str, float | None] = field(default_factory=dict, metadata=SPARSE)
    w3c: Mapping[str, float | None] = field(default_factory=dict, metadata=SPARSE)
    target_steps: TargetSteps | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Lost frames that one kind of copy brought back, and how much later than due (None where there are none)."""

    frames: _Count = 0
    later_p50_s: float | None = None
    later_p95_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unprotected:
    """What the same call would have been without any copy."""

    delay_s: float | None
    concealed_ratio: _Share | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Frames of one way: ``lost_before`` = what RED, FEC and NACK brought back + ``lost_after``.

    ``loss`` is the share missing ``"before"`` any copy, and after ``"red"``, ``"fec"`` and ``"nack"``; ``unplayed``
    the share of what was sent that was never heard. ``cost_s`` is the delay that copies cost, against ``without``.
    """

    sent: _Count
    lost_before: _Count
    recovered_by_red: Recovered = field(default_factory=Recovered)
    recovered_by_fec: Recovered = field(default_factory=Recovered)
    recovered_by_nack: Recovered = field(default_factory=Recovered)
    lost_after: _Count
    loss: Mapping[str, _Share] = field(default_factory=dict)
    unplayed: _Share | None = None
    without: Unprotected | None = field(default=None, metadata=SPARSE)
    cost_s: float | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """R, MOS and their parts (ITU-T G.107), of a conversation and of listening alone, and what was assumed.

    ``burst_ratio`` None: too little was lost to tell.
    """

    r: float
    mos: float
    listening_mos: float
    id: float | None = None
    ie_eff: float | None = None
    loss_ratio: _Share
    burst_ratio: float | None = None
    assumptions: tuple[str, ...] = field(default=(), metadata=WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What another receiver would have made of the same packets: frames delivered and missing, and how long held."""

    packets: _Count | None = None
    delivered: _Count | None = None
    missing_ratio: _Share | None = None
    holding_p50_s: float | None = None
    holding_p95_s: float | None = None
