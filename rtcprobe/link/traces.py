"""Recorded paths: text files of capacity, of delay per packet, of loss per packet.

Facts:
    ===================  ====================================================================================
    capacity             one line an opportunity: whole ms since the start at which 1,500 bytes may leave
                         (mahimahi's ``mm-link``)
    delay                one line a packet: delay in ms, or -1 (-1.0, ``lost``) when it never came
                         (the shape of ITU-T G.192 and 3GPP TS 26.132 delay profiles)
    delay samples        one line a sample, ms
    loss                 one digit a packet, 0 arrived, 1 lost; spaces and line breaks do not matter
                         (the shape of the PLC Challenge's loss files)
    ===================  ====================================================================================

    Blank lines, and what follows a ``#``, are skipped.

Rules:
    1. A file that cannot be read or meant is refused in one sentence naming the file, the line and the value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from rtcprobe.errors import BadInputError
from rtcprobe.link.delay import LOST, DelayTrace
from rtcprobe.link.loss import LossTrace
from rtcprobe.link.spec import CapacityTrace
from rtcprobe.textfiles import read_text

__all__ = ["read_capacity_trace", "read_delay_samples", "read_delay_trace", "read_loss_trace"]


def read_capacity_trace(path: Path) -> CapacityTrace:
    """Return the capacity recorded in ``path``.

    Raises:
        BadInputError: unreadable, malformed, falling or lasting no time.
    """
    instants_ms: list[float] = []
    for place, word in _lines(path):
        instant_ms = _number(place, word, "a time in ms")
        if instant_ms < 0:
            raise BadInputError(f"{place}: {word!r} is before the trace starts", "give zero or more ms")
        # mm-link refuses such a file as well: instants must not fall.
        if instants_ms and instant_ms < instants_ms[-1]:
            raise BadInputError(f"{place}: {word!r} is earlier than the line before", "sort the times")
        instants_ms.append(instant_ms)
    if not instants_ms or instants_ms[-1] == 0:
        raise BadInputError(f"{path}: the trace lasts no time", "give at least one time above 0 ms")
    return CapacityTrace(opportunities_s=tuple(ms / 1e3 for ms in instants_ms))


def read_delay_trace(path: Path) -> DelayTrace:
    """Return the delay of each packet recorded in ``path``.

    Raises:
        BadInputError: unreadable, malformed, or without a single arrival.
    """
    delays_s = tuple(
        LOST if _is_lost(word) else _delay_s(place, word, "-1 for a lost packet") for place, word in _lines(path)
    )
    if all(delay == LOST for delay in delays_s):
        raise BadInputError(f"{path}: no packet of the trace arrives", "give one delay in ms a line")
    return DelayTrace(delays_s=delays_s)


def read_delay_samples(path: Path) -> tuple[float, ...]:
    """Return the delays (seconds) in ``path``.

    Raises:
        BadInputError: unreadable, malformed or empty.
    """
    samples_s = tuple(_delay_s(place, word, "zero or more") for place, word in _lines(path))
    if not samples_s:
        raise BadInputError(f"{path}: there are no samples", "give one delay in ms a line")
    return samples_s


def read_loss_trace(path: Path) -> LossTrace:
    """Return the losses recorded in ``path``.

    Raises:
        BadInputError: unreadable, malformed or empty.
    """
    lost: list[bool] = []
    for place, text in _lines(path):
        # One digit a packet, however lines are broken.
        for digit in text.replace(" ", "").replace("\t", ""):
            if digit not in "01":
                raise BadInputError(f"{place}: {digit!r} is not a fate", "give 0 (arrived) or 1 (lost)")
            lost.append(digit == "1")
    if not lost:
        raise BadInputError(f"{path}: the trace is empty", "give one digit a packet: 0 arrived, 1 lost")
    return LossTrace(lost=tuple(lost))


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ("file, line 3", what stands there)."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise BadInputError(f"trace {str(path)!r} is not there", "check the name") from None
    except OSError as error:
        raise BadInputError(f"trace {str(path)!r} cannot be read ({error.strerror})", "check the file") from None
    except UnicodeError:
        raise BadInputError(f"trace {str(path)!r} is not text", "give a text file, one value a line") from None
    # Grammar of all four: ``file = *([value] ["#" text] newline)``, blanks around a value at will.
    for number, line in enumerate(text.splitlines(), start=1):
        # Counted before it is skipped, so that a refusal names the line as an editor does.
        written = line.partition("#")[0].strip()
        if written:
            yield f"{path}, line {number}", written


def _number(place: str, word: str, what: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInputError(f"{place}: {word!r} is not {what}", "give one number a line")
    return value


def _is_lost(word: str) -> bool:
    """Whether ``word`` is −1, as any program writes it (numpy and pandas: ``-1.0``, ``-1.000000e+00``), or says so."""
    try:
        return word == "lost" or float(word) == -1.0
    except ValueError:
        return False


def _delay_s(place: str, word: str, hint: str) -> float:
    delay_ms = _number(place, word, "a delay in ms")
    if delay_ms < 0:
        raise BadInputError(f"{place}: {word!r} is an impossible delay", f"give a delay in ms, {hint}")
    return delay_ms / 1e3
