"""Written quantities to numbers and back: ``"80ms"`` → 0.080 s, ``"1.5Mbps"`` → 1.5e6 bit/s, ``"2%"`` → 0.02.

A number without its unit is refused: a reader must never guess. Spellings are those of tc(8) and of everyday
writing; both ``mbit`` and ``Mbps`` mean 10⁶ bit/s here (tc's ``bps`` is *bytes* per second, a trap left out). A capital
B is a byte everywhere: in a rate (``40kB/s``) it is refused with the same rate in bits, never read as bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from rtcprobe.errors import BadInputError

__all__ = [
    "RTP_CLOCK_HZ",
    "format_duration",
    "format_rate",
    "format_ratio",
    "is_unit",
    "parse_bytes",
    "parse_decibels",
    "parse_duration",
    "parse_ppm",
    "parse_rate",
    "parse_ratio",
]

RTP_CLOCK_HZ = 48_000
"""Opus RTP clock, whatever the coded bandwidth. Source: RFC 7587 §4.1."""

_DURATION = {
    "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0,
    "usec": 1e-6, "usecs": 1e-6, "msec": 1e-3, "msecs": 1e-3, "sec": 1.0, "secs": 1.0,
}  # fmt: skip
_RATE = {
    "bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9,
    "kibit": 2.0**10, "mibit": 2.0**20, "gibit": 2.0**30,
    "bps": 1.0, "kbps": 1e3, "mbps": 1e6, "gbps": 1e9,
    "bit/s": 1.0, "kbit/s": 1e3, "mbit/s": 1e6, "gbit/s": 1e9,
    "b/s": 1.0, "kb/s": 1e3, "mb/s": 1e6, "gb/s": 1e9,
}  # fmt: skip
_BYTES = {"b": 1.0, "kb": 1e3, "mb": 1e6, "kib": 1024.0, "mib": 1024.0**2}
_ENDLESS = 1e9
"""Seconds, or Gbit/s, from which powers of ten keep a sentence readable."""
# quantity = number *blank [ unit ]
# number   = [sign] ( 1*DIGIT [ "." *DIGIT ] / "." 1*DIGIT ) [ "e" [sign] 1*DIGIT ]
# unit     = 1*( any character but digits and blanks )
_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*([^\d\s]*)", re.IGNORECASE)


def parse_duration(text: object) -> float:
    """Return seconds from ``"80ms"``, ``"1.5s"``, ``"250us"``, ``"2min"``, ``"1h"``; may be negative.

    Raises:
        BadInputError: not a number with a unit.
    """
    return _parse(text, _DURATION, "duration", "80ms")


def parse_rate(text: object) -> float:
    """Return bits per second from ``"1.5Mbps"``, ``"64kbit"``, ``"500 kb/s"``.

    Raises:
        BadInputError: not a number with a unit, or bytes (``40kB/s``).
    """
    number, unit = _split(text)
    # Units are read without regard to case, but for this one letter: b and B differ by eight.
    bits = _RATE.get(unit.lower())
    if bits is not None and "B" in unit and unit[unit.index("B") :].lower() in ("b/s", "bps"):
        raise BadInputError(
            f"rate {str(text)!r} is in bytes, for B is a byte",
            f"write {format_rate(8 * bits * float(number))}: rates are in bits per second here, kbps too",
        )
    return _parse(text, _RATE, "rate", "1mbit")


def parse_bytes(text: object) -> int:
    """Return whole bytes from ``"64kB"`` (10³) or ``"64KiB"`` (2¹⁰); may be negative.

    Raises:
        BadInputError: not a number with a unit, or not whole.
    """
    value = _parse(text, _BYTES, "size", "64kB")
    # Compared after the unit was applied: 1.5kB is whole, 1.5B is not.
    if value != round(value):
        raise BadInputError(f"size {text!r} is not a whole number of bytes", "round it")
    return round(value)


def parse_ratio(text: object) -> float:
    """Return a ratio from ``"2%"`` (0.02); any sign and size: the caller knows the range.

    Raises:
        BadInputError: not a number with a per-cent sign.
    """
    return _parse(text, {"%": 1e-2}, "share", "2%")


def parse_ppm(text: object) -> float:
    """Return a ratio from ``"50ppm"`` (5e-5).

    Raises:
        BadInputError: not a number with its unit.
    """
    return _parse(text, {"ppm": 1e-6}, "drift", "50ppm")


def parse_decibels(text: object) -> float:
    """Return decibels from ``"-10dB"``.

    Raises:
        BadInputError: not a number with its unit.
    """
    return _parse(text, {"db": 1.0}, "level", "-10dB")


def format_duration(seconds: float, digits: int = 3) -> str:
    """Return seconds as people write them: ``"80ms"``, ``"1.5s"``, ``"250us"``, ``"2min"``."""
    size = abs(seconds)
    if size == 0:
        return "0ms"
    if size >= _ENDLESS:
        return f"{seconds:g}s"
    # Only whole minutes: 90 s reads better than 1.5min.
    if size >= 60 and seconds % 60 == 0:
        return f"{_trim(seconds / 60, digits)}min"
    if size >= 1:
        return f"{_trim(seconds, digits)}s"
    if size >= 1e-3:
        return f"{_trim(seconds * 1e3, digits)}ms"
    return f"{_trim(seconds * 1e6, digits)}us"


def format_rate(bits_per_second: float) -> str:
    """Return a rate in the tc spelling: ``"1.5mbit"``."""
    if abs(bits_per_second) >= _ENDLESS * 1e9:
        return f"{bits_per_second:g}bit"
    for unit, factor in (("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3)):
        if abs(bits_per_second) >= factor:
            return f"{_trim(bits_per_second / factor, 3)}{unit}"
    return f"{_trim(bits_per_second, 3)}bit"


def format_ratio(ratio: float, digits: int = 2) -> str:
    """Return a ratio as per cent: ``"2%"``."""
    return f"{_trim(ratio * 100, digits)}%"


def _parse(text: object, units: Mapping[str, float], what: str, example: str) -> float:
    number, unit = _split(text)
    if not number:
        raise BadInputError(f"{text!r} is not a {what}", f"write it like {example}")
    if not unit:
        raise BadInputError(f"{what} {str(text)!r} has no unit", f"write it like {example}")
    factor = units.get(unit.lower())
    if factor is None:
        # tc's long spellings are read but not taught: one way to write a thing is enough in a cure.
        known = ", ".join(each for each in units if not each.endswith(("sec", "secs")))
        raise BadInputError(f"{what} {text!r} has the unknown unit {unit!r}", f"use one of {known}")
    value = float(number) * factor
    if not math.isfinite(value):
        raise BadInputError(f"{what} {text!r} is impossible", f"write it like {example}")
    return value


def _split(text: object) -> tuple[str, str]:
    """Return the number and the unit that are written; both empty where it is nothing of the kind."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        return "", ""
    match = _QUANTITY.fullmatch(str(text).strip())
    # Some keyboards write the Greek letter for the micro sign.
    return ("", "") if match is None else (match[1], match[2].replace("\u03bc", "\u00b5"))


def is_unit(word: str) -> bool:
    """Whether ``word`` is a unit, written apart from its number."""
    word = word.replace("\u03bc", "\u00b5")
    return word == "%" or word.lower() in _DURATION or word.lower() in _RATE or word.lower() in _BYTES


def _trim(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
