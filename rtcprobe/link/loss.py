"""Who gets lost: five models, each with its closed-form loss ratio and mean burst.

Facts:
    A *burst* here is a run of consecutive lost packets (RFC 3611 §4.7 without its gap threshold); the mean burst of
    a model is its expected run length. netem's "correlated" random loss is left out on purpose: its uniform numbers
    lose their shape, so ``loss 0.3% 25%`` of its own manual loses nothing at all.

Rules:
    1. Chains start in their stationary distribution, so the first packet is lost as often as any other.
    2. One step per offered packet, however the packet fares elsewhere in the hop.

Sources: libwebrtc ``test/network/simulated_network.cc`` (mean loss + mean burst); tc-netem(8), ``sch_netem.c`` and
S. Salsano et al., "Definition of a general and intuitive loss model for packet networks" (gemodel, state).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.link.streams import block_sizes, uniforms
from rtcprobe.units import format_ratio

__all__ = ["Bernoulli", "BurstLoss", "FourState", "GilbertElliott", "Loss", "LossTrace"]


class Loss(Protocol):
    """A loss model."""

    @property
    def cause(self) -> str:
        """The word its drops are counted under."""
        ...

    @property
    def ratio(self) -> float:
        """Expected share of packets lost."""
        ...

    @property
    def mean_burst(self) -> float | None:
        """Expected run of consecutive losses, packets; None when it never loses or never stops losing."""
        ...

    def outcomes(self, rng: np.random.Generator) -> Iterator[bool]:
        """Yield for each packet in turn whether it is lost, for ever."""
        ...


def _need_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise BadInputError(f"{name} {format_ratio(value)} is impossible", "give 0% to 100%")


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Every packet is lost with the same probability, independently. Mean burst 1/(1-p)."""

    ratio: float
    cause: ClassVar[str] = "loss"

    def __post_init__(self) -> None:
        _need_share("loss", self.ratio)

    @property
    def mean_burst(self) -> float | None:
        """Expected run of losses, packets."""
        return 1 / (1 - self.ratio) if 0 < self.ratio < 1 else None

    def outcomes(self, rng: np.random.Generator) -> Iterator[bool]:
        """Yield for each packet in turn whether it is lost."""
        for size in block_sizes():
            yield from (rng.random(size) < self.ratio).tolist()


@dataclass(frozen=True, slots=True)
class BurstLoss:
    """Mean loss and mean burst as two plain figures; a two-state chain whose state is the last outcome.

    After a loss the next packet is lost with probability 1 - 1/L, after an arrival with p/((1-p)·L). So the loss
    ratio is p exactly, the mean burst L, bursts are geometric, and the mean gap is L(1-p)/p.

    Raises:
        BadInputError: no such chain: L must exceed ⌈p/(1-p)⌉, for arrivals between bursts last at least one packet.
    """

    ratio: float
    mean_burst: float
    cause: ClassVar[str] = "loss"

    def __post_init__(self) -> None:
        _need_share("loss", self.ratio)
        if self.ratio == 1:
            raise BadInputError("loss 100% has no bursts", "leave burst out")
        # Rounded first: 0.5 / (1 - 0.5) must be 1, not a trifle above it.
        least = max(1, math.ceil(round(self.ratio / (1 - self.ratio), 9)))
        if not least < self.mean_burst < math.inf:
            raise BadInputError(
                f"burst {self.mean_burst:g} is shorter than possible at loss {format_ratio(self.ratio)}",
                f"give more than {least}, or leave burst out for independent losses",
            )

    def outcomes(self, rng: np.random.Generator) -> Iterator[bool]:
        """Yield for each packet in turn whether it is lost."""
        # Geometric runs of mean L end with 1/L at each packet; the other transition follows from the share p.
        stay = 1 - 1 / self.mean_burst
        start = self.ratio / ((1 - self.ratio) * self.mean_burst)
        # The first number puts the chain into its stationary distribution (rule 1) and is no packet's.
        numbers = uniforms(rng)
        lost = next(numbers) < self.ratio
        for u in numbers:
            lost = u < (stay if lost else start)
            yield lost


@dataclass(frozen=True, slots=True, kw_only=True)
class GilbertElliott:
    """``gemodel``: good and bad states, losing ``k_loss`` (tc's 1-k) and ``h_loss`` (tc's 1-h) of their packets.

    ``p`` leads from good to bad, ``r`` back; a packet fares by the state it meets, then the state moves. With
    π = p/(p+r): ratio ℓ = π·h_loss + (1-π)·k_loss, mean burst ℓ/(ℓ - P11), P11 the chance that two neighbours are lost.
    """

    p: float
    r: float
    h_loss: float = 1.0
    k_loss: float = 0.0
    cause: ClassVar[str] = "loss"

    def __post_init__(self) -> None:
        for name, value in (("p", self.p), ("r", self.r), ("1-h", self.h_loss), ("1-k", self.k_loss)):
            _need_share(f"gemodel {name}", value)
        if self.p > 0 and self.r == 0:
            raise BadInputError("gemodel r 0% never leaves the bad state", "give r above 0%")

    @property
    def _bad(self) -> float:
        return self.p / (self.p + self.r) if self.p else 0.0

    @property
    def ratio(self) -> float:
        """Expected share of packets lost."""
        return self._bad * self.h_loss + (1 - self._bad) * self.k_loss

    @property
    def mean_burst(self) -> float | None:
        """Expected run of losses, packets."""
        bad, h, k = self._bad, self.h_loss, self.k_loss
        # P11: the chance that two packets in a row are lost, over both states and both moves between them.
        both = bad * h * ((1 - self.r) * h + self.r * k) + (1 - bad) * k * ((1 - self.p) * k + self.p * h)
        return self.ratio / (self.ratio - both) if self.ratio > 0 and both < self.ratio else None

    def outcomes(self, rng: np.random.Generator) -> Iterator[bool]:
        """Yield for each packet in turn whether it is lost."""
        numbers = uniforms(rng)
        bad = next(numbers) < self._bad
        for u in numbers:
            # Two draws a packet, whatever the state: the fate by the state it meets, then the move (rule 2).
            yield u < (self.h_loss if bad else self.k_loss)
            move = next(numbers)
            bad = move >= self.r if bad else move < self.p


@dataclass(frozen=True, slots=True, kw_only=True)
class FourState:
    """``state``: (1) received in a gap, (2) received in a burst, (3) lost in a burst, (4) lost alone.

    With a = p13/p31 and Z = 1 + a(1 + p32/p23) + p14: ratio (a + p14)/Z. Mean burst is the share of lost packets over
    the rate at which runs begin: (π3 + π4)/(π1·p13 + π2·p23 + π1·p14). Defaults as tc: p31 = 1 - p13, p32 = 0,
    p23 = 100 %, p14 = 0.
    """

    p13: float
    p31: float | None = None
    p32: float = 0.0
    p23: float = 1.0
    p14: float = 0.0
    cause: ClassVar[str] = "loss"

    def __post_init__(self) -> None:
        if self.p31 is None:
            object.__setattr__(self, "p31", 1 - self.p13)
        for name in ("p13", "p31", "p32", "p23", "p14"):
            _need_share(f"state {name}", getattr(self, name))
        for first, second in (("p13", "p14"), ("p31", "p32")):
            total = getattr(self, first) + getattr(self, second)
            if total > 1 + 1e-12:
                raise BadInputError(f"state {first} + {second} is {format_ratio(total)}", "keep the sum within 100%")
        if self.p13 > 0 and self.p31 == 0:
            raise BadInputError("state p31 0% never leaves the burst", "give p31 above 0%")
        if self.p32 > 0 and self.p23 == 0:
            raise BadInputError("state p23 0% never leaves state 2", "give p23 above 0%")

    @property
    def _stationary(self) -> tuple[float, float, float, float]:
        in_burst = self.p13 / self.p31 if self.p31 else 0.0
        held = in_burst * self.p32 / self.p23 if self.p32 else 0.0
        # Balance of flows, all states in units of state 1: p13 into the burst against p31 out of it, p32 against p23.
        # State 4 is entered by p14 a packet of state 1 and left at once, so it holds p14 times as much as
        # state 1.
        total = 1 + in_burst + held + self.p14
        return 1 / total, held / total, in_burst / total, self.p14 / total

    @property
    def ratio(self) -> float:
        """Expected share of packets lost."""
        _, _, three, four = self._stationary
        return three + four

    @property
    def mean_burst(self) -> float | None:
        """Expected run of losses, packets."""
        one, two, three, four = self._stationary
        begins = one * (self.p13 + self.p14) + two * self.p23
        return (three + four) / begins if begins else None

    def outcomes(self, rng: np.random.Generator) -> Iterator[bool]:
        """Yield for each packet in turn whether it is lost."""
        numbers = uniforms(rng)
        p13, p31, p32, p23, p14 = self.p13, self.p31 or 0.0, self.p32, self.p23, self.p14
        one, two, three, _ = self._stationary
        u = next(numbers)
        # One number for where to begin, one a packet for where to go: two moves share it, side by side in
        # 0..1.
        state = 1 if u < one else 2 if u < one + two else 3 if u < one + two + three else 4
        for u in numbers:
            yield state > 2
            match state:
                case 1:
                    state = 3 if u < p13 else 4 if u < p13 + p14 else 1
                case 2:
                    state = 3 if u < p23 else 2
                case 3:
                    state = 1 if u < p31 else 2 if u < p31 + p32 else 3
                case _:
                    state = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTrace:
    """The fate of each packet in turn, as recorded (True is lost). Starts over at its end.

    Raises:
        BadInputError: an empty trace.
    """

    lost: tuple[bool, ...]
    cause: ClassVar[str] = "trace"

    def __post_init__(self) -> None:
        if not self.lost:
            raise BadInputError("the loss trace is empty", "give one digit a packet: 0 arrived, 1 lost")

    @property
    def ratio(self) -> float:
        """Share of packets the trace loses."""
        return sum(self.lost) / len(self.lost)

    @property
    def mean_burst(self) -> float | None:
        """Mean run of losses, the trace read as a ring."""
        # As a ring, because the trace starts over: a run over the seam is one run.
        begins = sum(now and not before for before, now in zip(self.lost[-1:] + self.lost, self.lost, strict=False))
        return sum(self.lost) / begins if begins else None

    def outcomes(self, rng: np.random.Generator) -> Iterator[bool]:
        """Yield for each packet in turn whether it is lost; nothing is random here."""
        del rng
        while True:
            yield from self.lost
