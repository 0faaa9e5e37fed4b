"""Bencode, in which rtpengine is spoken to: whole numbers, strings, lists and dictionaries, nothing else.

Grammar (BEP 3)::

    integer    = "i" ["-"] digits "e"          no leading zeros, no -0
    string     = digits ":" so many bytes
    list       = "l" *value "e"
    dictionary = "d" *(string value) "e"       keys sorted as bytes; read in any order here, as rtpengine writes them

Rules:
    1. Text goes out as UTF-8 and comes in as it can be read: bytes that are no UTF-8 are replaced.
    2. What was sent by a stranger is read within bounds: nesting has a limit, lengths lie within what came.

Source: https://www.bittorrent.org/beps/bep_0003.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["Value", "decode", "encode"]

Value = int | str | Sequence["Value"] | Mapping[str, "Value"]

DEEPEST: Final = 16
"""rtpengine's own answers nest five deep."""
# integer = "i" ( "0" / [ "-" ] nonzero *digit ) "e" ; no leading zeros, no minus zero (BEP 3); 19 digits are 64 bits
# string  = length ":" that many bytes
_INTEGER = re.compile(rb"i(0|-?[1-9][0-9]{0,18})e")
# length  = "0" / nonzero *digit, nine digits at most: a datagram of UDP is shorter than 65,536 bytes.
_LENGTH = re.compile(rb"(0|[1-9][0-9]{0,8}):")


def encode(value: Value) -> bytes:
    """Return ``value`` written."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        text = value.encode()
        return b"%d:%b" % (len(text), text)
    if isinstance(value, Mapping):
        keys = sorted(value, key=str.encode)
        return b"d%be" % b"".join(encode(key) + encode(value[key]) for key in keys)
    return b"l%be" % b"".join(map(encode, value))


def decode(written: bytes) -> Value:
    """Return what ``written`` says.

    Raises:
        ValueError: it is no bencode, or goes on after its end.
    """
    value, end = _read(written, 0, 0)
    if end != len(written):
        raise ValueError(f"{len(written) - end} bytes more than it should have")
    return value


def _read(written: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} deep")
    kind = written[at : at + 1]
    if kind == b"i":
        found = _INTEGER.match(written, at)
        if found is None:
            raise ValueError(f"no number at byte {at}")
        return int(found.group(1)), found.end()
    if kind == b"l":
        return _read_list(written, at + 1, depth)
    if kind == b"d":
        # A dictionary is a list of keys and values by turns, as far as reading goes.
        flat, end = _read_list(written, at + 1, depth)
        keys, values = flat[::2], flat[1::2]
        if len(keys) != len(values):
            raise ValueError(f"a key without a value in the dictionary at byte {at}")
        return {_key(key): value for key, value in zip(keys, values, strict=True)}, end
    return _read_string(written, at)


def _read_list(written: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    values: list[Value] = []
    # At the end of what came the slice is empty, which no kind begins with: ``_read_string`` refuses it, so this ends.
    while written[at : at + 1] != b"e":
        value, at = _read(written, at, depth + 1)
        values.append(value)
    return values, at + 1


def _read_string(written: bytes, at: int) -> tuple[str, int]:
    found = _LENGTH.match(written, at)
    if found is None:
        raise ValueError(f"no value at byte {at}")
    end = found.end() + int(found.group(1))
    if end > len(written):
        raise ValueError(f"the string at byte {at} is longer than what came")
    return written[found.end() : end].decode(errors="replace"), end


def _key(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError("a key that is no string")  # noqa: TRY004 - whoever reads strangers' bytes catches one kind
    return value
