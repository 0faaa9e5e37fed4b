"""Who gets what of the target: the allocator between the streams of one transport.

Facts:
    Each stream gets its minimum first, then what it has priority for, in order; the rest is shared by weight up to each
    one's maximum. What is left beyond all maxima is shared evenly, up to twice each maximum, for protection to use.
    Below the sum of the minima those get theirs who must, even beyond the target; then those who were sending; then
    those who were paused, if their minimum and 10 % of it, 20 kb/s at least, are there, so that they do not flap.
    Voice has the same minimum and maximum, and is so served first in effect.

    An encoder gets its stream's share less what the headers of so many full packets take.

Source: libwebrtc main f3ae3eb62e2a, ``call/bitrate_allocator.cc``, ``call/rtp_video_sender.cc``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Share", "allocated", "overhead_bps"]

# kTransmissionMaxBitrateMultiplier; kToggleFactor and kMinToggleBitrateBps.
_BEYOND: Final = 2.0
_MARGIN, _LEAST_MARGIN_BPS = 0.10, 20e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one stream asks for, b/s; ``must_send``: it gets its minimum whatever the target is."""

    least_bps: float
    most_bps: float
    weight: float = 1.0
    first_bps: float = 0.0
    must_send: bool = True
    sending: bool = True

    @property
    def needed_bps(self) -> float:
        """What it takes to send at all: more than the minimum for one that was paused."""
        return self.least_bps + (0.0 if self.sending else max(_MARGIN * self.least_bps, _LEAST_MARGIN_BPS))


def allocated(target_bps: float, shares: Sequence[Share]) -> list[float]:
    """Return what each gets of the target; nothing of nothing."""
    if not shares or target_bps <= 0:
        return [0.0] * len(shares)
    least_bps = sum(share.least_bps for share in shares)
    # The spare rate is divided before it is compared: it has to be enough for each stream that was paused,
    # not for one.
    spare_bps = (target_bps - least_bps) / len(shares)
    if spare_bps < 0 or any(share.least_bps + spare_bps < share.needed_bps for share in shares):
        return _scarce(target_bps, shares)
    most_bps = sum(share.most_bps for share in shares)
    if target_bps > most_bps:
        got = [share.most_bps for share in shares]
        _evenly(target_bps - most_bps, shares, got, _BEYOND)
        return got
    got = [share.least_bps for share in shares]
    left_bps = target_bps - least_bps
    for place, share in enumerate(shares):
        more_bps = min(max(share.first_bps - got[place], 0.0), left_bps)
        got[place] += more_bps
        left_bps -= more_bps
    _by_weight(left_bps, shares, got)
    return got


def overhead_bps(rate_bps: float, packet_bytes: int, overhead_bytes: int) -> float:
    """Return what headers take of a rate, packets being full: whole packets a second, rounded up."""
    return 8 * overhead_bytes * math.ceil(rate_bps / 8 / packet_bytes)


def _scarce(target_bps: float, shares: Sequence[Share]) -> list[float]:
    """Return what each gets where it is not enough for all."""
    got = [share.least_bps if share.must_send else 0.0 for share in shares]
    left_bps = target_bps - sum(got)
    # Who is sending already goes first, so that a new stream never pauses an old one.
    for sending in (True, False):
        for place, share in enumerate(shares):
            # ``left_bps`` may be negative, where those who must send take more than there is: nobody else
            # gets anything then.
            if share.sending == sending and not got[place] and 0 < share.needed_bps <= left_bps:
                got[place] = share.needed_bps
                left_bps -= share.needed_bps
    if left_bps > 0:
        _evenly(left_bps, shares, got, 1.0, served_only=True)
    return got


def _evenly(
    left_bps: float, shares: Sequence[Share], got: list[float], factor: float, *, served_only: bool = False
) -> None:
    """Share evenly up to ``factor`` times each maximum, the smallest first; what does not fit goes to the others."""
    places = sorted(
        (place for place in range(len(shares)) if got[place] or not served_only), key=lambda p: shares[p].most_bps
    )
    # From the smallest maximum up: what one cannot use is divided among those after it.
    for rank, place in enumerate(places):
        room_bps = max(0.0, factor * shares[place].most_bps - got[place])
        more_bps = min(left_bps / (len(places) - rank), room_bps)
        got[place] += more_bps
        left_bps -= more_bps


def _by_weight(left_bps: float, shares: Sequence[Share], got: list[float]) -> None:
    """Share by weight up to each maximum, whoever is full first going first."""
    # Filling up in the order in which streams become full takes one pass: nobody after the first who does not
    # fill does.
    places = sorted(range(len(shares)), key=lambda p: (shares[p].most_bps - got[p]) / shares[p].weight)
    weights = sum(share.weight for share in shares)
    for place in places:
        share = shares[place]
        more_bps = min(left_bps * share.weight / weights, share.most_bps - got[place])
        got[place] += more_bps
        left_bps -= more_bps
        weights -= share.weight
