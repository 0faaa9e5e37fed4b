"""What each protection against loss bought: frames lost on the way, brought back by a copy, and gone for good.

Facts:
    Copies of a frame travel in later RED packets, in packets sent again, and coarsely as in-band FEC of the frame after
    it, which may itself have come as a copy.

Rules:
    1. A frame is lost when the packet that was to bring it did not arrive; ``copies`` tells it from one sent again.
    2. What brought a lost frame back is the copy that arrived first; of one instant RED before FEC, as NetEQ prefers
       them. Whatever a packet sent again carries is NACK's: without it, it would not have come.
    3. A copy is later by what passed between the instant its frame's own packet was due, its departure and the median
       one-way delay of those that arrived, and the copy's arrival.
    4. Whether a copy came in time to be played is the listener's matter and not asked here.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from rtcprobe.playout.arrivals import Arrival, Arrivals
from rtcprobe.playout.copies import SAME_INSTANT_S, Left, Sent, carried

__all__ = ["Recovered", "Recovery", "Traced", "recovery", "traced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Lost frames that one kind of copy brought back, and how much later than due (None where there are none)."""

    frames: int = 0
    later_p50_s: float | None = None
    later_p95_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Frames of one direction: ``lost_before`` = what RED, FEC and NACK brought back + ``lost_after``."""

    sent: int
    lost_before: int
    recovered_by_red: Recovered
    recovered_by_fec: Recovered
    recovered_by_nack: Recovered
    lost_after: int

    def loss_ratios(self) -> dict[str, float]:
        """Return the share of frames missing ``"before"`` recovery and after ``"red"``, ``"fec"`` and ``"nack"``."""
        missing = self.lost_before
        ratios = {"before": missing / self.sent if self.sent else 0.0}
        for name, copies in (
            ("red", self.recovered_by_red),
            ("fec", self.recovered_by_fec),
            ("nack", self.recovered_by_nack),
        ):
            missing -= copies.frames
            ratios[name] = missing / self.sent if self.sent else 0.0
        return ratios


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What became of the frames of one call or of several: counts, and how much later each kind of copy came."""

    sent: int
    lost: int
    later_s: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
    """By RED, by FEC, by NACK: one value a frame brought back."""

    @classmethod
    def together(cls, calls: Sequence[Traced]) -> Traced:
        """Return what became of the frames of all ``calls``."""
        red, fec, nack = (tuple(chain.from_iterable(each.later_s[kind] for each in calls)) for kind in range(3))
        return cls(
            sent=sum(each.sent for each in calls), lost=sum(each.lost for each in calls), later_s=(red, fec, nack)
        )

    def recovery(self) -> Recovery:
        """Return the figures."""
        by_red, by_fec, by_nack = (_recovered(each) for each in self.later_s)
        return Recovery(
            sent=self.sent,
            lost_before=self.lost,
            recovered_by_red=by_red,
            recovered_by_fec=by_fec,
            recovered_by_nack=by_nack,
            lost_after=self.lost - sum(len(each) for each in self.later_s),
        )


def recovery(
    sent: Iterable[Sent],
    arrivals: Sequence[Arrival],
    *,
    frame_samples: int,
    has_fec: Callable[[bytes], bool],
    red_payload_type: int | None = None,
) -> Recovery:
    """Return the figures of what became of every frame of ``sent``; see ``traced``."""
    found = traced(sent, arrivals, frame_samples=frame_samples, has_fec=has_fec, red_payload_type=red_payload_type)
    return found.recovery()


def traced(
    sent: Iterable[Sent],
    arrivals: Sequence[Arrival],
    *,
    frame_samples: int,
    has_fec: Callable[[bytes], bool] | None,
    red_payload_type: int | None = None,
) -> Traced:
    """Return what became of every frame of ``sent``.

    Args:
        sent: packets in the order they left, those sent again too.
        arrivals: (instant, packet) on the same clock; strangers to ``sent`` are left out.
        frame_samples: RTP time from one frame to the next.
        has_fec: whether a payload of the codec carries the frame before it (``Decoder.has_fec``); None where none does.
        red_payload_type: of RED packets, None where RED was not negotiated.
    """
    left = Left(sent)
    # Nothing but the packets themselves could have brought a frame: a look at timestamps tells, as fast as numpy can.
    if has_fec is None and not left.repeats and isinstance(arrivals, Arrivals) and not arrivals.holds(red_payload_type):
        came = arrivals.timestamps
        return Traced(sent=len(left), lost=int(np.sum(~np.isin(left.timestamp, came))), later_s=((), (), ()))
    # When each kind of copy came first, a column each, NaN where none did: who brought a frame back is then a
    # minimum.
    own, red, fec, nack = (array("d", [math.nan]) * len(left) for _ in range(4))
    for frame in carried(left, arrivals, red_payload_type):
        # Rule 2: whatever a packet sent again carries would not have come without NACK.
        itself, before = (nack, nack) if frame.again else (red if frame.level else own, fec)
        _came(itself, frame.place, frame.at_s)
        if has_fec is not None and has_fec(frame.payload):
            _came(before, left.place((frame.timestamp - frame_samples) & 0xFFFFFFFF), frame.at_s)
    ways_s = np.array(own) - left.at_s
    arrived = ~np.isnan(ways_s)
    # Rule 3: when a lost packet would have come nobody knows; the median way is what half of its neighbours
    # took.
    way_s = float(np.median(ways_s[arrived])) if arrived.any() else 0.0
    later: tuple[list[float], ...] = ([], [], [])
    lost = np.flatnonzero(~arrived).tolist()
    for place in lost:
        found = [(copy[place], kind) for kind, copy in enumerate((red, fec, nack)) if not math.isnan(copy[place])]
        if found:
            # RED stands before FEC in ``found``: of one instant it wins, as in NetEQ.
            soonest_s = min(found)[0]
            at_s, kind = next(each for each in found if each[0] <= soonest_s + SAME_INSTANT_S)
            later[kind].append(at_s - float(left.at_s[place]) - way_s)
    red_s, fec_s, nack_s = (tuple(each) for each in later)
    return Traced(sent=len(left), lost=len(lost), later_s=(red_s, fec_s, nack_s))


def _came(copy_s: array[float], place: int, at_s: float) -> None:
    """Note when a frame came first; one that never left is none."""
    if place >= 0 and math.isnan(copy_s[place]):
        copy_s[place] = at_s


def _recovered(later_s: Sequence[float]) -> Recovered:
    if not later_s:
        return Recovered()
    p50_s, p95_s = np.percentile(later_s, (50, 95))
    return Recovered(frames=len(later_s), later_p50_s=float(p50_s), later_p95_s=float(p95_s))
