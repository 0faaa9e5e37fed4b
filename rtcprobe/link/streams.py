"""Seeded randomness, one child per component, handed out one number at a time.

Facts:
    numpy draws a block far faster than single numbers, and a block of n followed by one of m holds the same numbers
    as a block of n + m. So block sizes are a matter of speed only.

Rules:
    1. Every component of a hop has a child of its own, at a fixed place: switching one component on or changing it
       never changes what another draws. Adding jitter does not change who gets lost.
    2. Every offered packet takes exactly one draw from each component in use, whatever became of the packet. What is
       not the packet's own draws otherwise: a slot one an interval, an AQM one a packet that it judges, cross traffic
       one a step, each flow from a generator of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

__all__ = ["COMPONENTS", "Children", "Seed", "block_sizes", "uniforms"]

COMPONENTS: Final = (
    "loss",
    "delay",
    "reorder",
    "duplicate",
    "corrupt",
    "copy delay",
    "copy corrupt",
    "slot",
    "aqm",
    "cross",
)
"""Children in spawn order; append only, for a new place in the middle would change every seeded result."""

_FIRST_BLOCK: Final = 64
"""A join is some forty packets a direction; drawing thousands for it would cost more than the join."""

# At 50 packets a second these are 82 s of numbers: a bound on what is drawn and never used.
_LARGEST_BLOCK: Final = 4096


class Seed(NamedTuple):
    """What a ``SeedSequence`` is named by: all that its children are made of, without its own pool being mixed.

    That takes numpy ten microseconds, and a join has a dozen of whom nobody draws anything but by a child.
    """

    entropy: Any
    spawn_key: tuple[int, ...]

    @classmethod
    def of(cls, seed: np.random.SeedSequence) -> Seed:
        """Return what names ``seed``."""
        return cls(seed.entropy, seed.spawn_key)

    def spawn(self, count: int) -> list[Seed]:
        """Return the ``count`` that ``SeedSequence.spawn`` returns when it is first asked for any."""
        return [self._replace(spawn_key=(*self.spawn_key, place)) for place in range(count)]

    def mixed(self) -> np.random.SeedSequence:
        """Return it, to draw from."""
        return np.random.SeedSequence(self.entropy, spawn_key=self.spawn_key)


class Children:
    """The generators of one hop by component name, each made when first asked for."""

    def __init__(self, seed: np.random.SeedSequence | Seed) -> None:
        self._seed = seed
        self._made: dict[str, np.random.Generator] = {}

    def __getitem__(self, component: str) -> np.random.Generator:
        """Return the generator of ``component``: that of ``seed.spawn(n)[place]``, without marking ``seed`` as spent.

        ``SeedSequence.spawn`` counts its calls, so a second hop built from the same object would differ; this does not.
        """
        if component not in self._made:
            self._made[component] = self._new(COMPONENTS.index(component))
        return self._made[component]

    def nth(self, component: str, place: int) -> np.random.Generator:
        """Return the generator of the one at ``place`` of a component that is several, afresh each time."""
        return self._new(COMPONENTS.index(component), place)

    def _new(self, *key: int) -> np.random.Generator:
        # What ``spawn`` does, by numpy's documented key: the n-th child appends n. PCG64 by name, for
        # ``default_rng`` may become another generator with another numpy.
        child = Seed(self._seed.entropy, (*self._seed.spawn_key, *key))
        return np.random.Generator(np.random.PCG64(child.mixed()))


def block_sizes() -> Iterator[int]:
    """Yield how many numbers to draw at a time: few at first, thousands once the run is long."""
    size = _FIRST_BLOCK
    while True:
        yield size
        size = min(2 * size, _LARGEST_BLOCK)


def uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Yield numbers uniform on [0, 1)."""
    for size in block_sizes():
        yield from rng.random(size).tolist()
