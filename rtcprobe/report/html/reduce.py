"""An hour in a few hundred points, honestly: what is drawn of many samples holds every extreme of them.

Rules:
    1. A bin keeps the least, the middle and the greatest of what fell into it; an empty bin is a gap (NaN).
    2. A distribution keeps its first and its last value, and every step in between to within half a pixel's height.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Bins", "Floats", "binned", "binned_steps", "ecdf"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """``edges`` of shape (bins + 1,), and of each bin the ``lowest``, ``median`` and ``highest``, shape (bins,)."""

    edges: Floats
    lowest: Floats
    median: Floats
    highest: Floats


def binned(at: Floats, values: Floats, edges: Floats) -> Bins:
    """Return what the bins between ``edges`` (ascending) hold of ``values`` at ``at``, both of shape (n,)."""
    count = len(edges) - 1
    # The last edge belongs to the last bin.
    place = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, count - 1)
    # By bin, then by value: least, middle and greatest of each are then at known places.
    ordered = values[np.lexsort((values, place))]
    ends = np.cumsum(np.bincount(place, minlength=count))
    begins = np.concatenate([[0], ends[:-1]])
    full = ends > begins
    first, last = begins[full], ends[full] - 1
    lowest, median, highest = (np.full(count, np.nan) for _ in range(3))
    lowest[full], highest[full] = ordered[first], ordered[last]
    median[full] = (ordered[(first + last) // 2] + ordered[(first + last + 1) // 2]) / 2
    return Bins(edges=edges, lowest=lowest, median=median, highest=highest)


def binned_steps(since: Floats, values: Floats, edges: Floats) -> Bins:
    """Return the same of a quantity that holds each of ``values`` from ``since`` (ascending) on until the next.

    A bin also holds what it began with; ``median`` is over the values it saw, however long each.
    """
    # The step that a bin begins in began before it, perhaps long before: else its value would be missing there.
    begun = np.searchsorted(since, edges[:-1], side="right") - 1
    known = begun >= 0
    at = np.concatenate([since, edges[:-1][known]])
    inside = (at >= edges[0]) & (at < edges[-1])
    return binned(at[inside], np.concatenate([values, values[begun[known]]])[inside], edges)


def ecdf(values: Floats, *, of: int, most: int = 600) -> tuple[Floats, Floats]:
    """Return the corners of the share of ``of`` observations that are at most x: (x, share), shape (k,), k ≤ ``most``.

    ``values`` (n,) came, n ≤ ``of``; the rest never did, so the last share is n / of.
    """
    ordered = np.sort(values)
    count = len(ordered)
    if not count:
        return np.zeros(0), np.zeros(0)
    # Ranks evenly apart, first and last among them: 600 corners over the 208 pixels of a distribution (rule 2).
    kept = np.arange(count) if count <= most else np.unique(np.linspace(0, count - 1, most).round().astype(int))
    return ordered[kept], (kept + 1) / of
