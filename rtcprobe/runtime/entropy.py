"""Randomness for the stack under test: whatever aiortc and aioice draw, they draw from here during a seeded run.

The values are not secret, on purpose: a seeded call talks to itself. Keys of DTLS and SRTP stay OpenSSL's own.
"""

from __future__ import annotations

import random
import uuid
from typing import TypeVar

import numpy as np

__all__ = ["Entropy"]

T = TypeVar("T")


class Entropy:
    """A seeded stand-in for the ``os.urandom``, ``random``, ``secrets`` and ``uuid`` calls of the stack."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._random = random.Random(int.from_bytes(seed.generate_state(8).tobytes(), "little"))

    def urandom(self, size: int) -> bytes:
        """Return ``size`` bytes."""
        return self._random.randbytes(size)

    def random(self) -> float:
        """Return a float in [0, 1)."""
        return self._random.random()

    def choice(self, sequence: str) -> str:
        """Return one character of ``sequence``."""
        return self._random.choice(sequence)

    def randbits(self, count: int) -> int:
        """Return an integer of ``count`` random bits."""
        return self._random.getrandbits(count)

    def uuid4(self) -> uuid.UUID:
        """Return a version 4 UUID (RFC 9562 §5.4)."""
        return uuid.UUID(bytes=self.urandom(16), version=4)
