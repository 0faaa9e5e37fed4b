"""What a viewer saw, as plain data: every frame that was sent and what became of it, the receiver's own figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rtcprobe.picture.eye import Fate
from rtcprobe.picture.film import Place
from rtcprobe.result import VIDEO_STAGES

__all__ = ["Constants", "Decoded", "FrameSeen", "Seen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What camera, encoder and screen take, assumed: seconds."""

    capture_s: float = 0.0
    encode_s: float = 0.0
    display_s: float = 0.0


class Decoded(NamedTuple):
    """A frame that the receiver decoded: ``place`` in the film where it is the film's own, else its ``data``.

    ``shown_s`` is None where it was decoded and not shown.
    """

    place: Place | None
    data: bytes | None
    shown_s: float | None


class FrameSeen(NamedTuple):
    """One frame that was sent, seconds since the call's epoch; ``stages_s`` as ``VIDEO_STAGES``, of one shown."""

    number: int
    filmed_s: float
    fate: Fate
    shown_s: float | None = None
    stages_s: tuple[float, ...] = ()

    @property
    def delay_s(self) -> float | None:
        """From glass to glass; None where it was not seen."""
        return sum(self.stages_s) if self.fate == "seen" else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What a viewer saw on one way.

    ``w3c`` are the receiver's figures under W3C's names. ``freezes_s`` lasted from .. until. ``first_packet_s``,
    ``first_key_frame_s`` (whole) and ``first_picture_s`` are None where there was none. ``unreadable`` payloads were
    left out, ``refused`` numbers were not those of what was sent. ``decoded`` is what was decoded, in that order;
    ``sizes`` counts the pictures of another size than was filmed. ``timed``: packets that came were known for those
    that left; else nothing between a frame's last packet and its decoding can be told apart.
    """

    frames: Sequence[FrameSeen]
    w3c: Mapping[str, float]
    freezes_s: Sequence[tuple[float, float]] = ()
    first_packet_s: float | None = None
    first_key_frame_s: float | None = None
    first_picture_s: float | None = None
    unreadable: int = 0
    refused: int = 0
    decoded: Sequence[Decoded] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    timed: bool = True

    def count(self, fate: Fate) -> int:
        """Return how many frames had this fate."""
        return sum(frame.fate == fate for frame in self.frames)

    @property
    def freeze_share(self) -> float | None:
        """Share of the time from the first picture to the last that it stood still; None before two were shown."""
        between_s = self.w3c["totalInterFrameDelay"]
        return self.w3c["totalFreezesDuration"] / between_s if between_s > 0 else None

    @classmethod
    def together(cls, parts: Sequence[Seen]) -> Seen:
        """Return what was seen over one connection after another, in their order."""
        # The first connection that had one: a reconnect shows a first picture of its own, which was not the
        # viewer's first.
        firsts = {
            name: next((at_s for each in parts if (at_s := getattr(each, name)) is not None), None)
            for name in ("first_packet_s", "first_key_frame_s", "first_picture_s")
        }
        sizes = Counter[str]()
        for each in parts:
            sizes.update(each.sizes)
        return cls(
            frames=[frame for each in parts for frame in each.frames],
            # Counts and totals, all of them: W3C's averages are made of these by who reads them.
            w3c={name: sum(each.w3c[name] for each in parts) for name in parts[0].w3c},
            freezes_s=[freeze for each in parts for freeze in each.freezes_s],
            unreadable=sum(each.unreadable for each in parts),
            refused=sum(each.refused for each in parts),
            decoded=[one for each in parts for one in each.decoded],
            sizes=sizes,
            # A connection of which nothing was seen says nothing of how the others were told.
            timed=all(each.timed for each in parts if each.count("seen")),
            **firsts,
        )

    def stages(self) -> dict[str, float]:
        """Return the mean of every stage over the frames seen; they sum to the mean delay."""
        rows = [frame.stages_s for frame in self.frames if frame.fate == "seen"]
        return dict(zip(VIDEO_STAGES, np.mean(rows, axis=0).tolist(), strict=True)) if rows else {}
