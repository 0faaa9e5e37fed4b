"""A message as text: its number, a check of all of it, and filler to its size.

Facts:
    Text travels everywhere: data channels carry it (PPID 51, RFC 8831 §8), and servers that wrap messages in JSON
    (Janus' TextRoom) take nothing else. All of it is ASCII, so a character is a byte.

Rule: whatever comes is read without an exception: it is one of ours, or it is not, and then it says why.
"""

from __future__ import annotations

import re
import zlib
from typing import Final, NamedTuple

__all__ = ["HEADER_BYTES", "MOST_MESSAGES", "OF_ONE", "Read", "number_in", "read_message", "write_message"]

# The letter, 7 digits of the number, 8 of the check.
HEADER_BYTES: Final = 16
MOST_MESSAGES: Final = 16**7
"""Seven hexadecimal digits tell so many apart."""
OF_ONE: Final = 16**5
"""So many are one writer's, where those of several come over one channel."""

# message = "m" number check filler ; number = 7 HEXDIG ; check = 8 HEXDIG, CRC-32 of number and filler
_HEADER: Final = re.compile(r"m([0-9a-f]{7})([0-9a-f]{8})")
_WITHIN: Final = re.compile(rb'(?:^|")m([0-9a-f]{7})[0-9a-f]{8}')
"""A header at the beginning of a piece, or of a text within JSON."""
_FILLER: Final = "the quick brown fox jumps over the lazy dog. "


class Read(NamedTuple):
    """What came: the number it bears (None: it bears none of ours), its size, and what is wrong with it ("" nothing).

    ``wrong``: ``"malformed"``, no message of ours; ``"damaged"``, its check fails.
    """

    number: int | None
    size_bytes: int
    wrong: str = ""


def write_message(number: int, size_bytes: int) -> str:
    """Return message ``number``, ``size_bytes`` long: 16 or more."""
    filler = (_FILLER * (size_bytes // len(_FILLER) + 1))[: size_bytes - HEADER_BYTES]
    return f"m{number:07x}{_check(number, filler):08x}{filler}"


def read_message(data: object) -> Read:
    """Return what ``data``, as a channel delivers it, says."""
    if isinstance(data, bytes):
        size_bytes, data = len(data), data.decode("utf-8", errors="replace")
    elif isinstance(data, str):
        size_bytes = len(data.encode("utf-8", errors="replace"))
    else:
        return Read(None, 0, "malformed")
    # Wherever it was cut, a message of ours begins with its header: without it there is no number to blame.
    header = _HEADER.match(data)
    if header is None:
        return Read(None, size_bytes, "malformed")
    number = int(header[1], 16)
    sound = int(header[2], 16) == _check(number, data[HEADER_BYTES:])
    return Read(number, size_bytes, "" if sound else "damaged")


def number_in(piece: bytes) -> int | None:
    """Return the number of the message whose header is in a piece, alone or wrapped in JSON; None where none is."""
    found = _WITHIN.search(piece)
    return None if found is None else int(found[1], 16)


def _check(number: int, filler: str) -> int:
    # Of the number as well: a digit that was damaged must not make a message another one.
    return zlib.crc32(f"{number:07x}{filler}".encode("utf-8", errors="replace"))
