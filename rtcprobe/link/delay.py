"""One-way delay of a hop: where it lies, how it spreads, and how alike neighbouring packets are.

Facts:
    The spread is in the words of tc-netem(8): ``delay 80ms 10ms distribution normal`` is 80 ms plus 10 ms times a
    shape. The shapes are those of the tables tc ships, as formulas of the quantile u (iproute2 ``netem/*.c``):

    ==============  =========================================  ==============================================
    uniform         2u - 1                                     so the figure is a half-width, sd = figure / √3
    normal          Φ⁻¹(u), held to ±4                         sd 1
    pareto          min(4, ((1-u)^(-1/3) - 3/2) · 4/3)         mean -0.03, sd 0.82, minimum -2/3
    paretonormal    normal/4 + 3·pareto/4 at the same u        mean -0.03, sd 0.83
    ==============  =========================================  ==============================================

    netem's own delay correlation does nothing: it is taken modulo the spread, which discards the bits that carry it.

Rules:
    1. Correlation is a Gaussian copula: z[n] = ρ z[n-1] + √(1-ρ²) ε[n], delay = F⁻¹(Φ(z)). The distribution stays
       exactly as asked; the delays' own correlation is ρ for normal and a little under it for the skewed shapes.
    2. A negative delay is no delay.

Source: Linux ``net/sched/sch_netem.c`` and iproute2 for the shapes; the copula is standard (Sklar 1959).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from rtcprobe.errors import BadInputError
from rtcprobe.link.loss import LossTrace
from rtcprobe.link.streams import block_sizes
from rtcprobe.units import format_duration, format_ratio

__all__ = ["DISTRIBUTIONS", "LONGEST_S", "LOST", "Delay", "DelayTrace"]

Floats = npt.NDArray[np.float64]

LOST: Final = math.inf
"""What a delay trace draws for a packet it says was lost."""

LONGEST_S: Final = 60.0
"""The longest one-way delay a hop may be given: beyond every timer that a call has."""

_TABLE_END: Final = 4.0
"""tc's tables are 16-bit with 8192 a unit, so no shape reaches past ±4 (iproute2 ``netem/README.distribution``)."""

_CURE = f"give 0ms to {LONGEST_S:g}s"


def _pareto(z: Floats) -> Floats:
    with np.errstate(divide="ignore"):  # u = 1 is infinite, and is then held to the table's end
        heavy = (ndtr(-z) ** (-1 / 3) - 1.5) * 4 / 3
    return np.minimum(_TABLE_END, heavy)


def _normal(z: Floats) -> Floats:
    return np.clip(z, -_TABLE_END, _TABLE_END)


DISTRIBUTIONS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "uniform": lambda z: 2 * ndtr(z) - 1,
    "normal": _normal,
    "pareto": _pareto,
    "paretonormal": lambda z: _normal(z) / 4 + 3 * _pareto(z) / 4,
}
"""Shapes by name: from standard normal z to multiples of the jitter figure. All rise with z, as a copula needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """Delay drawn from a distribution: ``base_s`` + ``jitter_s`` · shape, or ``base_s`` + one of ``samples_s``.

    ``samples_s`` (seconds, any order) is an empirical distribution; its quantiles are interpolated.
    ``correlation`` is ρ between neighbouring packets, 0 ≤ ρ < 1.

    Raises:
        BadInputError: a negative or endless figure, an unknown shape, ρ outside [0, 1).
    """

    base_s: float = 0.0
    jitter_s: float = 0.0
    distribution: str = "uniform"
    correlation: float = 0.0
    samples_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("delay", self.base_s), ("jitter", self.jitter_s)):
            if not 0 <= value <= LONGEST_S:
                raise BadInputError(f"{name} {format_duration(value)} is impossible", _CURE)
        if self.distribution not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            raise BadInputError(f"distribution {self.distribution!r} is not known", f"use one of {known}")
        if not 0 <= self.correlation < 1:
            raise BadInputError(f"correlation {format_ratio(self.correlation)} is impossible", "give 0% to under 100%")
        if self.samples_s and self.jitter_s:
            # A jitter on top of recorded samples would widen what was recorded; who wants that adds
            # ``delay``.
            raise BadInputError("delay samples and jitter are both given", "the samples are the jitter: leave one out")
        if any(not 0 <= sample <= LONGEST_S for sample in self.samples_s):
            worst = next(sample for sample in self.samples_s if not 0 <= sample <= LONGEST_S)
            raise BadInputError(f"delay sample {format_duration(worst)} is impossible", _CURE)
        object.__setattr__(self, "samples_s", tuple(sorted(self.samples_s)))

    @property
    def varies(self) -> bool:
        """Whether two packets can have different delays."""
        return self.jitter_s > 0 or len(set(self.samples_s)) > 1

    def quantile_s(self, q: float) -> float:
        """Return the delay (seconds) that a share ``q`` of packets does not exceed, before queueing and order."""
        return float(self.quantiles_s(np.array([q]))[0])

    def quantiles_s(self, q: Floats) -> Floats:
        """Return the delays (seconds) at the quantiles ``q``, same shape."""
        return self._of_normal(ndtri(q))

    def draws(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield one delay in seconds per packet, for ever."""
        if not self.varies:
            # No draw: a constant delay must not cost a generator its numbers.
            constant = self.quantile_s(0.5)
            while True:
                yield constant
        # So that z stays standard normal whatever the correlation is: rule 1.
        rho, fresh = self.correlation, math.sqrt(1 - self.correlation**2)
        z: float | None = None
        # The chain's last value is carried from block to block, so the sizes of blocks show in nothing.
        for size in block_sizes():
            normal = rng.standard_normal(size)
            if rho:
                chain = []
                for innovation in normal.tolist():
                    z = innovation if z is None else rho * z + fresh * innovation  # the first draw is stationary
                    chain.append(z)
                normal = np.array(chain)
            yield from self._of_normal(normal).tolist()

    def _of_normal(self, z: Floats) -> Floats:
        if self.samples_s:
            # Sorted samples at evenly spaced ranks: the first is the quantile 0, the last the quantile 1,
            # linear in between.
            return self.base_s + np.interp(ndtr(z), np.linspace(0, 1, len(self.samples_s)), self.samples_s)
        if self.jitter_s == 0:
            return np.full(z.shape, self.base_s)
        return np.maximum(0.0, self.base_s + self.jitter_s * DISTRIBUTIONS[self.distribution](z))


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayTrace:
    """Delay of each packet in turn, as recorded; ``LOST`` where the packet never came. Starts over at its end.

    Raises:
        BadInputError: an empty trace, one without a single arrival, a negative delay.
    """

    delays_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not any(delay < LOST for delay in self.delays_s):
            raise BadInputError("the delay trace delivers no packet", "give one delay in ms a line, -1 for a lost one")
        for delay_s in (min(self.delays_s), max(delay_s for delay_s in self.delays_s if delay_s < LOST)):
            if not 0 <= delay_s <= LONGEST_S:
                raise BadInputError(f"delay {format_duration(delay_s)} is impossible", _CURE)

    @property
    def varies(self) -> bool:
        """Whether two packets can have different delays."""
        return len(set(self.delays_s) - {LOST}) > 1

    def quantile_s(self, q: float) -> float:
        """Return the delay (seconds) that a share ``q`` of the arrivals does not exceed."""
        return float(self.quantiles_s(np.array([q]))[0])

    def quantiles_s(self, q: Floats) -> Floats:
        """Return the arrivals' delays (seconds) at the quantiles ``q``, same shape."""
        return np.asarray(np.quantile([delay for delay in self.delays_s if delay < LOST], q))

    def as_loss(self) -> LossTrace:
        """Return the losses the trace holds, as a loss model."""
        return LossTrace(lost=tuple(delay == LOST for delay in self.delays_s))

    def draws(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield one delay in seconds per packet, for ever; nothing is random here."""
        del rng
        while True:
            yield from self.delays_s
