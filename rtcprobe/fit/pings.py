"""Round trips as people have them: ping of any system, fping, mtr, RIPE Atlas.

Facts:
    - Linux and macOS number their probes, so what is missing was lost; those lost at the end stand in "packets
      transmitted" only. ``no answer yet`` and ``Request timeout`` are not final: an answer may still come.
      Windows numbers nothing: a line among the replies that is none was a loss. Words are translated, ``ms`` and
      ``TTL`` are not.
    - ``(DUP!)`` is a second answer to one probe.
    - Windows writes ``time<1ms``: half of it is taken.
    - mtr reports only sums unless it is asked for ``--raw``; iperf3 gives RFC 3550's smoothed jitter, no distribution.

Rule: a tool that gives sums alone is refused, with what to run instead.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rtcprobe.errors import BadInputError
from rtcprobe.fit.series import Measured, Series, spaced

__all__ = ["read_atlas", "read_fping", "read_mtr_raw", "read_ping"]

_PING_S: Final = 1.0
"""How often ping, and mtr, ask unless told."""

# A reply of any ping: "... time=12.3 ms", "Zeit=12ms TTL=57", "temps<1ms TTL=128".
_TIME: Final = re.compile(r"[=<] ?(\d{1,7}(?:[.,]\d{1,6})?) ?ms\b")
# "icmp_seq=3" of Linux and macOS, "icmp_req=3" of older iputils, "icmp_seq 3" of others.
_SEQUENCE: Final = re.compile(r"\bicmp_[rs]eq[= ](\d{1,9})\b")
# "[1795948460.313190]" of ping -D, "[2024-05-27 11:50:53.6]" of scripts around it.
_STAMP: Final = re.compile(r"^\[(\d{9,11}(?:\.\d{1,9})?)\]")
# "10 packets transmitted, 9 received, 10% packet loss": the first number of a line with two numbers and a share.
_TRANSMITTED: Final = re.compile(r"^\s*(\d{1,9}) [^,%]{1,40}, ?(\d{1,9}) [^%]{1,60}%")
# fping -D -C: "[1795948536.8] host : [3], 64 bytes, 0.048 ms (...)", "host : [4], timed out".
_FPING: Final = re.compile(
    r"^(?:\[(\d{9,11}(?:\.\d{1,9})?)\] )?\S{1,255} +: \[(\d{1,9})\], (?:.{0,40}?(\d{1,7}(?:\.\d{1,6})?) ms|timed out)"
)
# fping -C at its end: "host : 12.3 - 11.9", a time a probe, a dash for one that was lost; two at least, for one is a
# line of anything.
_FPING_SUM: Final = re.compile(r"^\S{1,255} +:((?: (?:\d{1,7}(?:\.\d{1,6})?|-)){2,})\s*$")


def read_ping(text: str, *, interval_s: float | None = None) -> Measured | None:
    """Return what a ping printed; None where this is no ping's output.

    Raises:
        BadInputError: it printed sums alone (``-q``).
    """
    lines = text.splitlines()
    replies = [line for line in lines if _is_reply(line)]
    if not replies:
        if any("min/avg/max" in line for line in lines):
            raise BadInputError("this ping printed sums alone", "run it without -q: every reply is needed")
        return None
    if any(_SEQUENCE.search(line) for line in replies):
        return _numbered(lines, replies, interval_s)
    return _unnumbered(lines, interval_s)


def _is_reply(line: str) -> bool:
    head = line[:300]
    return bool(_TIME.search(head)) and bool(_SEQUENCE.search(head) or "TTL=" in head or "ttl=" in head)


def _numbered(lines: Sequence[str], replies: Sequence[str], interval_s: float | None) -> Measured:
    delays: dict[int, float] = {}
    came_s: dict[int, float] = {}
    last = -1
    cycle = 0
    for line in replies:
        found, time = _SEQUENCE.search(line[:300]), _TIME.search(line[:300])
        if found is None or time is None:
            continue
        number = int(found[1]) + cycle
        if number < last - 30_000:  # sequence numbers of 16 bits
            cycle += 65_536
            number += 65_536
        last = max(last, number)
        if number in delays:  # (DUP!)
            continue
        delays[number] = _ms(line, time) / 1e3
        stamp = _STAMP.match(line)
        if stamp is not None:
            came_s[number] = float(stamp[1])
    # macOS counts from 0, Linux from 1: what is missing before the first reply was lost.
    first = 0 if 0 in delays else min(1, *delays)
    transmitted = next((int(found[1]) for line in lines[::-1] if (found := _TRANSMITTED.match(line[:200]))), 0)
    # The sum at the end tells of losses behind the last reply, unless it is of a much longer run than these lines.
    count = max(last - first + 1, transmitted if transmitted < 10 * len(delays) + 100 else 0)
    sent_s = np.array([came_s.get(first + n, math.nan) - delays.get(first + n, math.nan) for n in range(count)])
    spacing_s = interval_s or spaced(sent_s, _PING_S)
    return _measured(
        "ping", [delays.get(first + n, math.nan) for n in range(count)], _filled(sent_s, spacing_s), spacing_s
    )


def _unnumbered(lines: Sequence[str], interval_s: float | None) -> Measured:
    """Windows: between the first reply and the last every line is a probe."""
    at = [index for index, line in enumerate(lines) if _is_reply(line)]
    delays: list[float] = []
    for line in lines[at[0] :]:
        # An empty line parts the replies from the summary.
        if not line.strip():
            break
        time = _TIME.search(line[:300])
        delays.append(_ms(line, time) / 1e3 if time is not None and _is_reply(line) else math.nan)
    return _measured("ping", delays, np.full(len(delays), np.nan), interval_s or _PING_S)


def _ms(line: str, time: re.Match[str]) -> float:
    value = float(time[1].replace(",", "."))
    return value / 2.0 if line[time.start()] == "<" else value


def read_fping(text: str, *, interval_s: float | None = None) -> Measured | None:
    """Return what ``fping -C`` printed (``-D`` for instants); None where this is no fping's output."""
    delays: dict[int, float] = {}
    came_s: dict[int, float] = {}
    summed: list[float] = []
    for line in text.splitlines():
        found = _FPING.match(line[:300])
        if found is not None:
            number = int(found[2])
            delays[number] = math.nan if found[3] is None else float(found[3]) / 1e3
            if found[1] is not None:
                came_s[number] = float(found[1])
        elif (whole := _FPING_SUM.match(line)) is not None:
            summed = [math.nan if word == "-" else float(word) / 1e3 for word in whole[1].split()]
    if not delays and not summed:
        return None
    count = max(max(delays, default=-1) + 1, len(summed))
    values = [delays.get(n, summed[n] if n < len(summed) else math.nan) for n in range(count)]
    sent_s = np.array([came_s.get(n, math.nan) - values[n] for n in range(count)])
    spacing_s = interval_s or spaced(sent_s, _PING_S)
    return _measured("fping", values, _filled(sent_s, spacing_s), spacing_s)


def read_mtr_raw(text: str, *, interval_s: float | None = None) -> Measured | None:
    """Return the round trips to the last hop of ``mtr --raw``: ``x hop seq`` sent, ``p hop µs seq`` came."""
    hosts: dict[int, str] = {}
    sent: dict[int, list[int]] = {}
    came: dict[int, dict[int, float]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or words[0] not in ("x", "h", "p") or not words[1].isdigit():
            continue
        hop = int(words[1])
        if words[0] == "h":
            hosts[hop] = words[2]
        elif words[0] == "x" and words[2].isdigit():
            sent.setdefault(hop, []).append(int(words[2]))
        elif words[0] == "p" and len(words) >= 4 and words[2].isdigit() and words[3].isdigit():
            came.setdefault(hop, {})[int(words[3])] = int(words[2]) / 1e6
    if not came or not sent:
        return None
    # Probes beyond the destination come back from it too: it is the nearest hop with the last one's address.
    final = hosts.get(max(came), "")
    hop = min(each for each in came if hosts.get(each, "") == final)
    values = [came[hop].get(number, math.nan) for number in sent.get(hop, [])]
    return _measured("mtr", values, np.full(len(values), np.nan), interval_s or _PING_S)


def read_atlas(value: Any) -> Measured | None:
    """Return the round trips of RIPE Atlas ping results; None where this is none.

    Three probes or so a result, minutes apart: enough for delay and loss, never for runs of either.
    """
    results = value if isinstance(value, list) else [value]
    if not results or not all(isinstance(each, dict) and isinstance(each.get("result"), list) for each in results):
        return None
    delays: list[float] = []
    for each in results:
        answered: list[float] = []
        for packet in each["result"]:
            if not isinstance(packet, Mapping) or packet.get("dup"):
                continue
            answered.append(_number_ms(packet.get("rtt")))
        sent = each.get("sent")
        if isinstance(sent, str) and sent.isdigit():
            sent = int(sent)
        if isinstance(sent, int) and len(answered) < sent <= len(answered) + 100:
            answered += [math.nan] * (sent - len(answered))
        delays += answered
    return _measured("RIPE Atlas", delays, np.full(len(delays), np.nan), 60.0, aggregated=True)


def _number_ms(value: object) -> float:
    """Return an Atlas round trip in seconds; old probes wrote numbers as text, and -1 for none."""
    try:
        milliseconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return milliseconds / 1e3 if 0.0 <= milliseconds < 6e5 else math.nan


def refuse_sums(value: object) -> None:
    """Refuse reports that hold sums alone.

    Raises:
        BadInputError: it is one: of mtr, or of iperf3.
    """
    if not isinstance(value, Mapping):
        return
    report = value.get("report")
    if isinstance(report, Mapping) and "hubs" in report:
        raise BadInputError("mtr's report holds sums alone", "run mtr --raw, which prints every probe")
    if "intervals" in value and "start" in value:
        raise BadInputError(
            "iperf3's jitter is a smoothed mean deviation (RFC 3550), no distribution", "measure with irtt or ping"
        )


def parsed(text: str) -> Any:
    """Return the JSON value of ``text`` (or of its lines, a list); None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None


def _filled(sent_s: Any, spacing_s: float) -> Any:
    """Return instants with those of lost probes put between their neighbours; NaN throughout where none is known."""
    known = np.flatnonzero(np.isfinite(sent_s))
    if len(known) < 2:
        return np.full(len(sent_s), np.nan)
    places = np.arange(len(sent_s))
    filled = np.interp(places, known, sent_s[known])
    after = places > known[-1]
    filled[after] = sent_s[known[-1]] + (places[after] - known[-1]) * spacing_s
    return filled - filled[0]


def _measured(
    kind: str, delays: Sequence[float], sent_s: Any, spacing_s: float, *, aggregated: bool = False
) -> Measured:
    return Measured(
        kind=kind,
        ways=(
            Series(
                way="round trip",
                sent_s=np.asarray(sent_s, dtype=np.float64),
                delay_s=np.array(delays, dtype=np.float64),
                spacing_s=spacing_s,
                aggregated=aggregated,
            ),
        ),
    )
