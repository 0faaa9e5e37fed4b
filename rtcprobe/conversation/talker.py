"""What a live mouth needs of whoever speaks: to hear, and to say what its next packet holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rtcprobe.audio.pcm import Pcm
from rtcprobe.conversation.plan import Kind

__all__ = ["BLOCK_S", "Spoken", "Talker"]

# NetEQ's own tick: what an ear plays comes by it.
BLOCK_S = 0.010


@dataclass(slots=True, kw_only=True)
class Spoken:
    """Something a talker said, in samples of its mouth: the first, and the one after the last (None: still speaking).

    ``number`` is the line of the script, or the answer; ``sound`` what it would have been, ``meant_samples`` how long.
    """

    number: int
    kind: Kind
    begin: int
    meant_samples: int
    end: int | None = None
    sound: Pcm | None = None


class Talker(Protocol):
    """Who speaks in a call as it goes. Nothing in it waits, and it knows no clock but what it is told.

    ``said`` is what it said so far.
    """

    said: list[Spoken]

    @property
    def over(self) -> bool:
        """Whether it has nothing to say any more, and waits for nothing."""
        ...

    def hear(self, block: Pcm, at_s: float) -> None:
        """Take the next 10 ms of what its ear plays, from ``at_s`` on."""
        ...

    def speak(self, first: int, samples: int, now_s: float) -> Pcm:
        """Return its mouth's samples from the one numbered ``first`` on, which is captured at ``now_s``."""
        ...
