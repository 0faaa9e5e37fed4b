"""Which source of media a peer listens to, when more than one sends.

Facts:
    A description may announce sources (``a=ssrc``, RFC 5576); servers that forward often do, and some announce one and
    send another.

Rules:
    1. An announced source is listened to; where none was announced, the first that sends.
    2. Others are ignored and counted. One that was not announced is listened to after all when it has sent
       ``PATIENCE_PACKETS`` and nothing announced has come: then what it sent until now counts too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

__all__ = ["PATIENCE_PACKETS", "Sources"]

PATIENCE_PACKETS = 25
"""Half a second of ordinary packets."""


Arrived = TypeVar("Arrived")


class Sources(Generic[Arrived]):
    """The sources of one m-section; ``Arrived`` is what is noted of a packet."""

    def __init__(self) -> None:
        self.announced: Collection[int] = ()
        self.listened: int | None = None
        """The source listened to; None before it has sent."""
        self.strangers = 0
        """Packets of others."""
        self._held: dict[int, list[Arrived]] = {}

    def take(self, ssrc: int, arrival: Arrived) -> Sequence[Arrived]:
        """Return what is to be listened to now that ``arrival`` came from ``ssrc``: nothing, it, or what waited too."""
        if ssrc == self.listened:
            return (arrival,)
        if self.listened is None and (not self.announced or ssrc in self.announced):
            self.listened = ssrc
            return (arrival,)
        self.strangers += 1
        if self.listened is not None:
            return ()
        held = self._held.setdefault(ssrc, [])
        held.append(arrival)
        if len(held) < PATIENCE_PACKETS:
            return ()
        self.listened = ssrc
        # They are a stranger's no longer: what came of them is played as if it had been listened to from the start.
        self.strangers -= len(held)
        return held
