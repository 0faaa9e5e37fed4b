"""What a call takes beside the backbone, access by access: fitted from simulated calls, with its residual.

Facts:
    Mouth-to-ear delay is nearly linear in the backbone's one-way delay (slope 0.99 over 48 calls), and what is left
    depends on the pair of accesses, for each's jitter decides what the jitter buffer aims at, in steps of 20 ms. With a
    cell for each ordered pair of accesses the residual had an sd of 4.7 ms.

Rule: a cell is the mean of what calls measured at two distances; how far they lie from the cell is the residual, and
    stands beside every share that rests on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.probe import run_probe
from rtcprobe.result import Result
from rtcprobe.scenario import parse_scenario
from rtcprobe.ways import BOTH_WAYS

__all__ = ["Cells", "call_between", "measure_cells"]

Floats = npt.NDArray[np.float64]

ROUND_TRIPS_S: Final = (0.010, 0.160)
"""Near and far: what a call takes beside the backbone is asked at both."""
# Warm signalling and one join, for only what is heard counts; three calls, as the phase of a playout to its packets is
# chance.
_CALL: Final = """
name: placement
caller: {region: frankfurt, access: ACCESS_A}
callee: {region: frankfurt, access: ACCESS_B}
signaling: {region: frankfurt, connection: warm}
rtt: ROUND_TRIP
call: {calls: 3, duration: 6s, joins: 1}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Seconds that a call takes beside the backbone, by (talker's access, listener's access).

    ``residual_s`` is the standard deviation of calls about their cells, ``calls`` how many were made.
    """

    seconds: Mapping[tuple[str, str], float]
    residual_s: float
    calls: int

    def of(self, accesses: Sequence[str]) -> Floats:
        """Return the table for groups with these accesses, shape (groups, groups)."""
        return np.array([[self.seconds[a, b] for b in accesses] for a in accesses], dtype=np.float64)


def measure_cells(accesses: Sequence[str], *, seed: int, done: Callable[[int, int], None] | None = None) -> Cells:
    """Return the cells of every pair of ``accesses``, from calls in virtual time: both ways of a call fill two.

    ``done`` is told how many of how many pairs were measured.
    """
    found: dict[tuple[str, str], list[float]] = {}
    pairs = list(combinations_with_replacement(sorted(set(accesses)), 2))
    calls = 0
    for number, (a, b) in enumerate(pairs):
        if done is not None:
            done(number, len(pairs))
        for distance, rtt_s in enumerate(ROUND_TRIPS_S):
            # Another seed at each distance: with the same, both would share the draws
            # of jitter, and the residual come out too small.
            result = call_between(a, b, rtt_s, seed=seed + distance)
            calls += 1
            for way, cell in zip(BOTH_WAYS, ((a, b), (b, a)), strict=True):
                delay_s = median_delay_s(result, way)
                if delay_s is not None:
                    found.setdefault(cell, []).append(delay_s - rtt_s / 2.0)
    means = {cell: float(np.mean(values)) for cell, values in found.items()}
    apart = [value - means[cell] for cell, values in found.items() for value in values]
    # Each cell's mean was made of the same figures: that many degrees of freedom less.
    freedom = max(1, len(apart) - len(means))
    return Cells(seconds=means, residual_s=float(np.sqrt(np.sum(np.square(apart)) / freedom)), calls=calls)


def call_between(a: str, b: str, rtt_s: float, *, seed: int) -> Result:
    """Return what calls between accesses ``a`` and ``b`` measure over a backbone of ``rtt_s``, in virtual time."""
    written = _CALL.replace("ACCESS_A", a).replace("ACCESS_B", b).replace("ROUND_TRIP", f"{rtt_s * 1e3:.3f}ms")
    return run_probe(parse_scenario(written), seed=seed, clock="virtual")


def median_delay_s(result: Result, way: str) -> float | None:
    """Return the median mouth-to-ear delay of one way; None where nothing was heard."""
    heard = next((each for name, each in result.mouth_to_ear.items() if name == way), None)
    return float(np.median([each.delay_s for each in heard.samples])) if heard is not None and heard.samples else None
