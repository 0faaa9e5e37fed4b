"""A token bucket: how much may go at once after a silence, and no more than the rate for long.

Facts:
    Tokens are bytes. They come at the rate, and what would overflow the bucket is lost; a packet takes as many as it
    is long. So in every stretch of t seconds at most bucket + rate · t / 8 bytes go. A *shaper* lets packets wait for
    tokens (tc-tbf(8) without ``peakrate``); a *policer* drops what comes too early (tc ``police``).

Rules:
    1. A bucket is full when it is made, as tc makes it.
    2. Time does not run backwards: who is offered late, behind a hop that reorders, finds what the others left.

Source: RFC 2697 §3 for the bucket; ``net/sched/sch_tbf.c``, ``act_police.c`` and libwebrtc's simulated token bucket.
"""

from __future__ import annotations

import math

from rtcprobe.link.spec import Police

__all__ = ["Policer", "TokenBucket"]


class TokenBucket:
    """Tokens of one rate and depth."""

    def __init__(self, bps: float, bucket_bytes: int) -> None:
        self._bytes_per_s = bps / 8
        self._most = float(bucket_bytes)
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
        self._bucket = TokenBucket(police.bps, police.bucket_bytes)
        self._longest_bytes = police.bucket_bytes

    def passes(self, size_bytes: int, now_s: float) -> bool:
        """Return whether a packet offered at ``now_s`` finds its tokens; it takes them if so."""
        ready_s = self._bucket.ready_s(size_bytes, now_s)
        earliest_s = self._bucket.ready_s(0, now_s)
        if ready_s > earliest_s or size_bytes > self._longest_bytes:
            return False
        self._bucket.take(size_bytes, ready_s)
        return True
