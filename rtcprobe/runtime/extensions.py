"""RTP header extensions in their one-byte form, read where they stand: what a packet says of time and of loudness.

Source: RFC 8285 §4.2. Of the two-byte form nothing is read: no peer of ours agrees to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Timed", "level_in", "place_of", "times_in"]

_ONE_BYTE: Final = b"\xbe\xde"
_HEAD: Final = 4  # the form, and how many words follow


class Timed(NamedTuple):
    """What a packet says of time: when it was sent (24 bits, 6.18 fixed point seconds), its number on the transport."""

    abs_send_time: int | None = None
    transport_sequence_number: int | None = None


_NEVER: Final = Timed()


def times_in(head: bytes, sent: int | None, number: int | None) -> tuple[Timed, bytes]:
    """Return what extensions say of time, by the names that were agreed on, and the rest of them: that blotted out."""
    if not sent and not number:
        return _NEVER, head
    lengths = {name: length for name, length in ((sent, 3), (number, 2)) if name}
    found = {name: at for name, at in _elements(head) if lengths.get(name) == at[1] - at[0]}
    if not found:
        return _NEVER, head
    form = bytearray(head)
    for begin, until in found.values():
        form[begin:until] = bytes(until - begin)
    said = {name: int.from_bytes(head[begin:until], "big") for name, (begin, until) in found.items()}
    return Timed(said.get(sent or 0), said.get(number or 0)), bytes(form)


def level_in(head: bytes, name: int) -> tuple[bool, int] | None:
    """Return the audio level that the extension ``name`` says, voice or not and -dBov; None where it says none.

    Source: RFC 6464 §3.
    """
    for each, (begin, until) in _elements(head):
        if each == name and until - begin == 1:
            return bool(head[begin] >> 7), head[begin] & 0x7F
    return None


def place_of(head: bytes, name: int | None) -> int | None:
    """Return where the data of the extension ``name`` stands; None where it is not there."""
    return next((begin for each, (begin, _) in _elements(head) if each == name), None)


def _elements(head: bytes) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield of each extension its name, and from where to where its data stands."""
    if head[:2] != _ONE_BYTE:
        return
    place, end = _HEAD, len(head)
    while place < end:
        name, length = head[place] >> 4, (head[place] & 0x0F) + 1
        if name and place + length < end:
            yield name, (place + 1, place + 1 + length)
        place += 1 + length if name else 1
