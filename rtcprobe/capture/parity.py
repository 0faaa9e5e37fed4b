"""What a browser counted of a stream, beside what the house's NetEQ makes of the same packets in the same seconds.

Facts:
    - A browser counts from the beginning of a call; a recording may begin later. So both are compared between two polls
      of the browser's that lie within the recording: what either did in between is a difference of counters.
    - An event log or a capture made where the browser ran has its wall clock to a millisecond or so; polls come once a
      second, and a packet or two may fall on either side of one.

Rule: what a browser counted is told as its own count. Where it was late itself, a capture cannot know (``hearing``).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rtcprobe.capture.dump import Dump, DumpedStream
from rtcprobe.capture.hearing import plan_of, play, ways_of
from rtcprobe.capture.stream import Capture, Stream
from rtcprobe.errors import BadInputError

__all__ = ["FIGURES", "Beside", "Counted", "beside", "dumped_of"]

Counters = Mapping[str, float]

FIGURES: Final[Mapping[str, tuple[str, str | None]]] = {
    "jitter_buffer_s": ("jitterBufferDelay", "jitterBufferEmittedCount"),
    "target_s": ("jitterBufferTargetDelay", "jitterBufferEmittedCount"),
    "concealed": ("concealedSamples", "totalSamplesReceived"),
    "concealment_events": ("concealmentEvents", None),
    "inserted_samples": ("insertedSamplesForDeceleration", None),
    "removed_samples": ("removedSamplesForAcceleration", None),
}
"""By our name of a figure: W3C's counter, and the one it is divided by. Source: W3C webrtc-stats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One figure: as the browser counted it (None: it did not), ours over every replay: the median, least and most."""

    theirs: float | None
    ours: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Both counts of one stream, between ``since_s`` and ``until_s`` after the recording's first instant."""

    dump: str
    since_s: float
    until_s: float
    figures: Mapping[str, Counted]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; delays in ms."""

        def plain(name: str, value: float | None) -> float | None:
            return None if value is None else round(value * (1e3 if name.endswith("_s") else 1.0), 6)

        return {
            "dump": self.dump,
            "since_s": round(self.since_s, 6),
            "until_s": round(self.until_s, 6),
            "figures": {
                name.removesuffix("_s") + ("_ms" if name.endswith("_s") else ""): {
                    "browser": plain(name, each.theirs),
                    "ours": plain(name, each.ours),
                    "range": [plain(name, each.low), plain(name, each.high)],
                }
                for name, each in self.figures.items()
            },
        }


def dumped_of(dump: Dump, ssrc: int) -> DumpedStream | None:
    """Return what ``dump`` counted of a stream of sound; None where it knows of none with that SSRC."""
    return next((each for each in dump.streams if each.medium == "audio" and each.ssrc == ssrc), None)


def beside(capture: Capture, stream: Stream, dump: Dump, *, from_s: float) -> Beside | None:
    """Return both counts of ``stream``, from ``from_s`` after its first packet on; None where ``dump`` has none of it.

    Raises:
        BadInputError: the recording has no wall clock, or fewer than two of the browser's polls lie within it.
    """
    found = dumped_of(dump, stream.ssrc)
    if found is None or stream.clock_hz is None:
        return None
    if capture.begun_unix_s is None:
        raise BadInputError(
            f"a {capture.kind} does not say when it was recorded", "leave the dump out, or compare it by report --dump"
        )
    packets = stream.packets
    first_s, last_s = float(packets.at_s[0]) + from_s, float(packets.at_s[-1])
    # Both clocks are UTC here: of the browser's own reports, and of the recording's beginning.
    polls = [
        (at_s - capture.begun_unix_s, row)
        for at_s, row in found.polls
        if first_s <= at_s - capture.begun_unix_s <= last_s
    ]
    if len(polls) < 2:
        raise BadInputError(
            f"{dump.name} counts stream {stream.ssrc} at other times than it was recorded",
            "give the dump of the same call, made on the machine that recorded it",
        )
    # From the first packet on, whatever ``from_s`` says: a jitter buffer has a memory, and only counting begins later.
    plan = plan_of(packets, stream.clock_hz, encrypted=stream.encrypted)
    ends_s = np.array([polls[0][0], polls[-1][0]])
    runs = []
    for way in ways_of(plan, stream):
        played = play(plan, way.pulls(plan, stream), way.decoder(plan), stream.wishes, marks_s=ends_s)
        # A replay that ran dry before the last poll has no counters at it.
        if len(played.seconds) == len(ends_s):
            runs.append(_between(played.seconds[0], played.seconds[-1]))
    theirs = _between(polls[0][1], polls[-1][1])
    return Beside(
        dump=dump.name,
        since_s=polls[0][0],
        until_s=polls[-1][0],
        figures={name: _counted(theirs[name], [run[name] for run in runs]) for name in FIGURES},
    )


def _between(early: Counters, late: Counters) -> dict[str, float | None]:
    def grown(counter: str) -> float | None:
        return late[counter] - early[counter] if counter in early and counter in late else None

    found: dict[str, float | None] = {}
    for name, (counter, whole) in FIGURES.items():
        part, of = grown(counter), None if whole is None else grown(whole)
        found[name] = part if whole is None else part / of if part is not None and of else None
    return found


def _counted(theirs: float | None, ours: Sequence[float | None]) -> Counted:
    known = [each for each in ours if each is not None]
    return Counted(
        theirs=theirs,
        # A figure that a replay had, not one between two: counts of events are whole.
        ours=statistics.median_low(known) if known else None,
        low=min(known, default=None),
        high=max(known, default=None),
    )
