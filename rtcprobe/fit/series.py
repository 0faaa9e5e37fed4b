"""A measured path: probes that were sent, when each came, and which never did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError

__all__ = ["LEAST_PROBES", "Measured", "Series", "Way"]

Floats = npt.NDArray[np.float64]
Way = Literal["up", "down", "round trip", "one way"]

# Of fewer the quantiles that shapes are fitted to are single probes, and a share has no interval to speak of.
LEAST_PROBES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Probes of one way in the order they were sent; both arrays of shape (n,).

    ``sent_s`` counts from any zero (NaN throughout: not known, probes are taken as evenly spaced by ``spacing_s``);
    ``delay_s`` is NaN for a probe that never came. ``relative``: delays are above an unknown constant.
    ``aggregated``: successive probes are no neighbours in time, so nothing can be said of runs of them.
    """

    way: Way
    sent_s: Floats
    delay_s: Floats
    spacing_s: float
    relative: bool = False
    aggregated: bool = False
    reordered: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert len(self.sent_s) == len(self.delay_s)

    @property
    def lost(self) -> npt.NDArray[np.bool_]:
        """Which never came."""
        return np.isnan(self.delay_s)

    @property
    def times_s(self) -> Floats:
        """When each was sent, evenly spaced where that is not known."""
        if np.isnan(self.sent_s).all():
            return np.asarray(np.arange(len(self.sent_s)) * self.spacing_s, dtype=np.float64)
        return self.sent_s

    def only(self, chosen: npt.NDArray[np.bool_]) -> Series:
        """Return the probes of a mask."""
        return replace(self, sent_s=self.sent_s[chosen], delay_s=self.delay_s[chosen])


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a file holds: a series for each way it tells apart. ``kind`` names the tool that wrote it."""

    kind: str
    ways: tuple[Series, ...]

    def way(self, wanted: str | None) -> Series:
        """Return the way that is wanted: the first where nobody says.

        Raises:
            BadInputError: the file does not tell that way from the other.
        """
        for each in self.ways:
            if wanted in (None, each.way):
                return each
        known = " and ".join(each.way for each in self.ways)
        raise BadInputError(
            f"{self.kind} measures {known}, not the way {wanted} alone", "measure with irtt, or leave --way out"
        )


def spaced(sent_s: Sequence[float] | Floats, default_s: float) -> float:
    """Return how far apart probes were sent, most often: ``default_s`` where no instant is known (NaN)."""
    every = np.asarray(sent_s, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(every))
    # Over lost probes, too: the step between two that are known, by how many places they lie apart.
    steps = np.diff(every[known]) / np.diff(known)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else default_s
