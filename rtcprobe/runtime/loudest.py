"""Who is loudest in a room, by the levels that packets say: what a server goes by that forwards the last N alone.

Rules:
    1. Each packet's level is smoothed by half: a score, the higher the louder. Who was not heard for 150 ms has none.
    2. Who speaks is ranked at each of its packets, before that is forwarded: an onset is not clipped. Of equal scores
       who was there before stays ahead.

Source: ``DominantSpeakerIdentification.updateLoudestList`` of jitsi-utils (``energyAlphaPct`` 50,
``energyExpireTimeMs`` 150), by which Jitsi Videobridge routes the loudest alone (``videobridge.loudest``).
"""

from __future__ import annotations

from typing import Final

__all__ = ["Loudest"]

_SMOOTHED: Final = 0.5
_EXPIRES_S: Final = 0.150
_SCALE: Final = 127
"""A level is so many decibels below overload at most; a score counts from there upwards."""


class Loudest:
    """The ``count`` loudest of a room."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._scores: dict[str, float] = {}
        self._ranked: list[str] = []
        self._heard_s: dict[str, float] = {}

    def heard(self, talker: str, level: int, now_s: float) -> frozenset[str]:
        """Return who is among them now that a packet of ``talker`` says ``level`` (-dBov)."""
        score = _SMOOTHED * (_SCALE - level) + (1 - _SMOOTHED) * self._scores.get(talker, 0.0)
        self._scores[talker], self._heard_s[talker] = score, now_s
        kept = [each for each in self._ranked if each != talker and self._heard_s[each] >= now_s - _EXPIRES_S]
        rank = next((place for place, each in enumerate(kept) if self._scores[each] < score), len(kept))
        kept.insert(rank, talker)
        self._ranked = kept[: self.count]
        return frozenset(self._ranked)
