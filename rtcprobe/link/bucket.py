"""A token bucket: how much may go at once after a silence, and no more than the rate for long.

Facts:
    Tokens are bytes. They come at the rate, and what would overflow the bucket is lost; a packet takes as many as it
    is long. So in every stretch of t seconds at most bucket + rate · t / 8 bytes go. A *shaper* lets packets wait for
    tokens (tc-tbf(8) without ``peakrate``); a *policer* drops what comes too early (tc ``police``).

Rules:
    1. A bucket is full when it is made, as tc makes it.
    2. Who is offered late, behind a hop that reorders, finds in a shaper what the others left. A policer lets it pass
       if there were tokens for it in its time, and without them still enough for those already let pass.

Source: RFC 2697 §3 for the bucket; ``net/sched/sch_tbf.c``, ``act_police.c`` and libwebrtc's simulated token bucket.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import Final

from rtcprobe.link.spec import Police

__all__ = ["Policer", "TokenBucket"]

_HINDSIGHT: Final = 256
"""How many recent packets a latecomer is placed among; at 50 packets a second, five seconds of them."""

_ROUNDING_BYTES: Final = 1e-6
"""What floating point may be short of."""


class TokenBucket:
    """Tokens of one rate and depth."""

    def __init__(self, bps: float, bucket_bytes: int) -> None:
        self._bytes_per_s = bps / 8
        self._most = float(bucket_bytes)
        # Full when made (rule 1), so the first burst passes whole, as after any silence.
        self._tokens = self._most
        self._at_s = -math.inf

    def ready_s(self, length_bytes: int, now_s: float) -> float:
        """Return when ``length_bytes`` may go: ``now_s``, or later. Changes nothing.

        A packet longer than the bucket goes when the bucket is full, for no more will ever be in it.
        """
        at_s = max(now_s, self._at_s)
        missing = min(length_bytes, self._most) - self._tokens_at(at_s)
        return at_s + missing / self._bytes_per_s if missing > 0 else at_s

    def take(self, length_bytes: int, at_s: float) -> None:
        """Take the tokens of a packet that goes at ``at_s``; one longer than the bucket leaves a debt."""
        self._tokens = self._tokens_at(at_s) - length_bytes
        self._at_s = at_s

    def _tokens_at(self, at_s: float) -> float:
        return min(self._most, self._tokens + (at_s - self._at_s) * self._bytes_per_s)


class Policer:
    """Who passes a policer."""

    def __init__(self, police: Police) -> None:
        self._bytes_per_s = police.bps / 8
        self._most = float(police.bucket_bytes)
        self._passed: deque[tuple[float, int, float]] = deque(maxlen=_HINDSIGHT)  # (at, bytes, tokens left), in time

    def passes(self, size_bytes: int, now_s: float) -> bool:
        """Return whether a packet offered at ``now_s`` finds its tokens; it takes them if so."""
        passed = self._passed
        place = len(passed)
        while place and passed[place - 1][0] > now_s:
            place -= 1
        # It is then judged as one that comes now: later than it came, so it never finds tokens that were not
        # there.
        if not place and len(passed) == _HINDSIGHT:  # what was in the bucket then is forgotten
            now_s, place = passed[-1][0], len(passed)
        at_s, _, tokens = passed[place - 1] if place else (-math.inf, 0, self._most)
        taken = []
        later = [(at, length_bytes) for at, length_bytes, _ in islice(passed, place, None)]
        # A latecomer takes tokens that those after it were let pass with: all of them must still have enough.
        for when_s, length_bytes in ((now_s, size_bytes), *later):
            tokens = min(self._most, tokens + (when_s - at_s) * self._bytes_per_s) - length_bytes
            if tokens < -_ROUNDING_BYTES:
                return False
            at_s = when_s
            taken.append((when_s, length_bytes, tokens))
        while len(passed) > place:
            passed.pop()
        passed.extend(taken)
        return True
