"""What each protection against loss bought: frames lost on the way, brought back by a copy, and gone for good.

Facts:
    A frame has one RTP timestamp wherever it travels: in a packet of its own, as a copy in a later RED packet, coarsely
    as in-band FEC of the frame after it (which may itself have come as a copy), or in a packet sent again.
    A packet sent again is the same to the bit, and SRTP drops whichever comes second, so arrivals do not say which of
    the two came.

Rules:
    1. A frame is lost when the packet that was to bring it did not arrive. A packet that was sent again, and arrived
       no sooner than that could have, is taken for the one sent again.
    2. What brought a lost frame back is the copy that arrived first; of one instant RED before FEC, as NetEQ prefers
       them. Whatever a packet sent again carries is NACK's: without it, it would not have come.
    3. A copy is later by what passed between the instant its frame's own packet was due, its departure and the median
       one-way delay of those that arrived, and the copy's arrival.
    4. Whether a copy came in time to be played is the listener's matter and not asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.neteq.red import RedBlock, split_red

__all__ = ["Recovered", "Recovery", "Sent", "recovery"]

_INSTANT_S = 1e-6  # arrivals this near to each other are the same instant: floats of virtual time


class Sent(Protocol):
    """An RTP packet leaving the talker; one with a timestamp seen before is one sent again."""

    @property
    def at_s(self) -> float:
        """When it left, seconds."""
        ...

    @property
    def timestamp(self) -> int:
        """Its RTP timestamp, 32 bits."""
        ...


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


def recovery(
    sent: Iterable[Sent],
    arrivals: Iterable[tuple[float, RtpPacket]],
    *,
    frame_samples: int,
    has_fec: Callable[[bytes], bool],
    red_payload_type: int | None = None,
) -> Recovery:
    """Return what became of every frame of ``sent``.

    Args:
        sent: packets in the order they left, those sent again too.
        arrivals: (instant, packet) on the same clock.
        frame_samples: RTP time from one frame to the next.
        has_fec: whether a payload of the codec carries the frame before it (``Decoder.has_fec``).
        red_payload_type: of RED packets, None where RED was not negotiated; a malformed one brings nothing.
    """
    left_s, again_s = _departures(sent)
    came = sorted(
        ((at_s, packet) for at_s, packet in arrivals if packet.timestamp in left_s), key=lambda arrival: arrival[0]
    )
    fastest_s = min((at_s - left_s[packet.timestamp] for at_s, packet in came), default=0.0)
    own: dict[int, float] = {}
    red: dict[int, float] = {}
    fec: dict[int, float] = {}
    nack: dict[int, float] = {}
    for at_s, packet in came:
        resent_s = again_s.get(packet.timestamp)
        again = resent_s is not None and at_s > resent_s + fastest_s - _INSTANT_S
        to_own, to_red, to_fec = (nack, nack, nack) if again else (own, red, fec)
        for block in _blocks(packet, red_payload_type):
            timestamp = (packet.timestamp - block.timestamp_offset) & 0xFFFFFFFF
            (to_red if block.level else to_own).setdefault(timestamp, at_s)
            if has_fec(block.payload):
                to_fec.setdefault((timestamp - frame_samples) & 0xFFFFFFFF, at_s)
    way_s = float(np.median([own[each] - left_s[each] for each in own])) if own else fastest_s
    later: tuple[list[float], ...] = ([], [], [])
    lost = [timestamp for timestamp in left_s if timestamp not in own]
    for timestamp in lost:
        found = [(copy[timestamp], kind) for kind, copy in enumerate((red, fec, nack)) if timestamp in copy]
        if found:
            soonest_s = min(found)[0]
            at_s, kind = next(each for each in found if each[0] <= soonest_s + _INSTANT_S)
            later[kind].append(at_s - left_s[timestamp] - way_s)
    by_red, by_fec, by_nack = (_recovered(each) for each in later)
    return Recovery(
        sent=len(left_s),
        lost_before=len(lost),
        recovered_by_red=by_red,
        recovered_by_fec=by_fec,
        recovered_by_nack=by_nack,
        lost_after=len(lost) - sum(len(each) for each in later),
    )


def _departures(sent: Iterable[Sent]) -> tuple[dict[int, float], dict[int, float]]:
    """Return when each frame first left, and when it was first sent again, by timestamp."""
    left_s: dict[int, float] = {}
    again_s: dict[int, float] = {}
    for packet in sent:
        (again_s if packet.timestamp in left_s else left_s).setdefault(packet.timestamp, packet.at_s)
    return left_s, again_s


def _blocks(packet: RtpPacket, red_payload_type: int | None) -> list[RedBlock]:
    """Return the frames in a packet, its own first."""
    if packet.payload_type != red_payload_type:
        return [RedBlock(packet.payload_type, 0, packet.payload, 0)]
    try:
        return split_red(packet.payload)
    except ValueError:
        return []


def _recovered(later_s: Sequence[float]) -> Recovered:
    if not later_s:
        return Recovered()
    p50_s, p95_s = np.percentile(later_s, (50, 95))
    return Recovered(frames=len(later_s), later_p50_s=float(p50_s), later_p95_s=float(p95_s))
