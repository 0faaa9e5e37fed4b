"""Tools that tell the two ways apart: irtt, owamp, LENS' tables, and media that was captured.

Facts:
    - irtt's JSON has whole nanoseconds; ``lost`` is a word (``false``, ``true``, ``true_up``, ``true_down``) in newer
      versions and a boolean in older ones. A probe lost on its way down has no server stamps, so whether it came up is
      known from the word alone. One-way delays are differences of two clocks: negative, or longer than the round trip,
      where the clocks are apart.
    - LENS' tables (``timestamp,rtt,uplink,downlink``) write −1 in the column a probe was lost in and **0 in the
      others**: 0 is no delay.

Rule: one-way delays are taken as they are where both clocks may be one (no delay is negative); else their spread is
    kept, and their base is half of the fastest round trip, which a note says.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from rtcprobe.capture import read_capture
from rtcprobe.errors import BadInputError
from rtcprobe.fit.series import Measured, Series, Way, spaced
from rtcprobe.picture.settings import VIDEO_HZ

__all__ = ["read_captured", "read_irtt", "read_lens", "read_owamp"]

_LENS: Final = ("timestamp", "rtt", "uplink", "downlink")
# owping -v: "seq_no=0   delay=1.231445e+01 ms   (sync, err=0.2 ms)", "seq_no=5   *LOST*".
_OWAMP: Final = re.compile(
    r"^seq_no=(\d{1,9})\s{1,8}(?:delay=(-?\d{1,9}(?:\.\d{1,9})?(?:e[+-]?\d{1,3})?) (ms|us|s)|\*LOST\*)", re.IGNORECASE
)
_OWAMP_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def read_irtt(value: Any) -> Measured | None:
    """Return both ways of an irtt run; None where this is none.

    Raises:
        BadInputError: it was told not to stamp, or not to list its round trips.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("round_trips"), list):
        if isinstance(value, Mapping) and "stats" in value and "config" in value:
            raise BadInputError("this irtt run lists no round trips", "write it with irtt client -o FILE")
        return None
    rows = [each for each in value["round_trips"] if isinstance(each, Mapping)]
    sent_s = np.array([_stamp(each, "client", "send") for each in rows]) / 1e9
    up_s, down_s, rtt_s = (np.array([_delay(each, name) for each in rows]) / 1e9 for name in ("send", "receive", "rtt"))
    lost_up = np.array([str(each.get("lost", "false")).lower() in ("true", "true_up") for each in rows], dtype=bool)
    if not np.isfinite(up_s).any() or not np.isfinite(down_s).any():
        raise BadInputError("this irtt run has no one-way delays", "run irtt client with --stats=both --tstamp=both")
    # What was lost on its way down did come up: when, nobody knows, but it counts as delivered there.
    up_s = np.where(np.isnan(up_s) & ~lost_up, np.nanmedian(up_s), up_s)
    return _both_ways("irtt", sent_s - np.nanmin(sent_s), up_s, down_s, rtt_s, came_up=~lost_up)


def _stamp(row: Mapping[str, Any], side: str, what: str) -> float:
    """Return a stamp in ns; an absent part is NaN."""
    value: Any = row.get("timestamps")
    for name in (side, what):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        # The monotonic stamp where there is one: a wall clock that was set meanwhile would make a step of delay.
        value = value.get("monotonic", value.get("wall"))
    return float(value) if isinstance(value, int | float) else math.nan


def _delay(row: Mapping[str, Any], name: str) -> float:
    delays = row.get("delay")
    value = delays.get(name) if isinstance(delays, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def read_lens(text: str) -> Measured | None:
    """Return both ways of a LENS table; None where this is none."""
    rows = csv.reader(text.splitlines())
    head = next(rows, [])
    if [each.strip().lower() for each in head] != list(_LENS):
        return None
    table = [row for row in rows if len(row) == len(_LENS)]
    try:
        values = np.array([[float(each) for each in row] for row in table], dtype=np.float64)
    except ValueError as error:
        raise BadInputError("this table of LENS holds a word where a number belongs", str(error)) from error
    if not len(values):
        raise BadInputError("this table of LENS holds no probe", "give one with rows")
    sent = values[:, 0] - values[0, 0]
    rtt, up, down = (values[:, column] for column in (1, 2, 3))
    lost_up = up < 0
    # A zero beside a loss elsewhere says nothing: the probe came up, but when is not known.
    known = (rtt > 0) & (up != 0)
    up_s = np.where(
        lost_up, np.nan, np.where(known, up / 1e3, np.nanmedian(up[known]) / 1e3 if known.any() else np.nan)
    )
    down_s = np.where((rtt > 0) & (down != 0), down / 1e3, np.nan)
    rtt_s = np.where(rtt > 0, rtt / 1e3, np.nan)
    # LENS probes each 10 or 20 ms: stamps more than 5 apart are milliseconds, others seconds.
    scale = 1e3 if len(sent) > 1 and np.median(np.diff(sent)) > 5.0 else 1.0
    return _both_ways("LENS", sent / scale, up_s, down_s, rtt_s, came_up=~lost_up)


def _both_ways(kind: str, sent_s: Any, up_s: Any, down_s: Any, rtt_s: Any, *, came_up: Any) -> Measured:
    notes: tuple[str, ...] = ()
    fastest_s = float(np.nanmin(rtt_s)) if np.isfinite(rtt_s).any() else math.nan
    one_clock = float(np.nanmin(up_s)) >= 0.0 and float(np.nanmin(down_s)) >= 0.0
    if not one_clock:
        notes = ("the clocks are apart: each way's base is half of the fastest round trip",)
        up_s = up_s - np.nanmin(up_s) + fastest_s / 2.0
        down_s = down_s - np.nanmin(down_s) + fastest_s / 2.0
    spacing_s = spaced(sent_s, 1.0)
    down_s = down_s[came_up]  # what never came up was never sent back
    returned_s = (sent_s + up_s)[came_up]
    made: list[tuple[Way, Any, Any]] = [("up", sent_s, up_s), ("down", returned_s, down_s)]
    return Measured(
        kind=kind,
        ways=tuple(
            Series(
                way=way, sent_s=sent, delay_s=delay, spacing_s=spacing_s, notes=notes, reordered=_overtakes(sent, delay)
            )
            for way, sent, delay in made
        ),
    )


def _overtakes(sent_s: Any, delay_s: Any) -> bool:
    """Return whether a packet came before one sent earlier."""
    came_s = (sent_s + delay_s)[np.isfinite(delay_s)]
    # A tenth of a millisecond is a clock's grain, and a few in a thousand a
    # socket's: more than that and the path reorders.
    return bool(np.count_nonzero(np.diff(came_s) < -1e-4) > max(2, 0.001 * len(came_s)))


def read_owamp(text: str) -> Measured | None:
    """Return the one way that owping printed probe by probe; None where this is none."""
    delays: dict[int, float] = {}
    for line in text.splitlines():
        found = _OWAMP.match(line.strip()[:200])
        if found is not None:
            delays.setdefault(
                int(found[1]), math.nan if found[2] is None else float(found[2]) * _OWAMP_UNITS[found[3].lower()]
            )
    if all(math.isnan(each) for each in delays.values()):
        return None
    count = max(delays) + 1
    values = np.array([delays.get(number, math.nan) for number in range(count)])
    notes: tuple[str, ...] = ()
    relative = bool(np.nanmin(values) < 0.0)
    if relative:
        values = values - np.nanmin(values)
        notes = ("the clocks are apart: delays are above the fastest, give --base",)
    unknown = np.full(count, np.nan)
    return Measured(
        kind="owamp",
        ways=(Series(way="one way", sent_s=unknown, delay_s=values, spacing_s=0.1, relative=relative, notes=notes),),
    )


def read_captured(path: Path | str) -> Measured:
    """Return the way that captured media came, by its own RTP clock: delays above the fastest packet's.

    Raises:
        BadInputError: nothing in it that can be read, or no stream of sound with a clock.
    """
    capture = read_capture(path)
    sound = [each for each in capture.streams if each.clock_hz not in (None, VIDEO_HZ)]
    if not sound:
        raise BadInputError(
            f"{path} holds no stream of sound with a steady clock", "capture a second or more of a call"
        )
    stream = max(sound, key=lambda each: each.count)
    packets, clock_hz = stream.packets, float(stream.clock_hz or 1)
    first = int(packets.sequence.min())
    count = int(packets.sequence.max()) - first + 1
    sent_s, came_s = np.full(count, np.nan), np.full(count, np.nan)
    order = np.argsort(packets.at_s, kind="stable")[::-1]  # of a packet that came twice, the first copy
    places = packets.sequence[order] - first
    sent_s[places] = (packets.timestamp[order] - packets.timestamp.min()) / clock_hz
    came_s[places] = packets.at_s[order]
    known = np.flatnonzero(np.isfinite(sent_s))
    sent_s = np.interp(np.arange(count), known, sent_s[known])
    delay_s = came_s - sent_s
    delay_s -= np.nanmin(delay_s)
    return Measured(
        kind=capture.kind,
        ways=(
            Series(
                way="one way",
                sent_s=sent_s,
                delay_s=delay_s,
                spacing_s=spaced(sent_s, 0.020),
                relative=True,
                reordered=_overtakes(sent_s, delay_s),
                notes=("delays are above the fastest packet's: give --base for what it took",),
            ),
        ),
    )
