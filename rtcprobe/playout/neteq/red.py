"""RED: one RTP packet that carries a frame and copies of the frames before it, and the tricks it can play.

Facts:
    A header of four bytes a copy (a set F bit, payload type, 14 bits of timestamp offset, 10 bits of length), one
    byte for the primary (F clear), then the blocks in the same order, the primary last.

Rules:
    1. Blocks are returned newest first: the primary, then ever older copies.
    2. Lengths that do not fit the packet condemn all of it; so do more than 32 blocks.
    3. A copy of another payload type than the primary is dropped; so is an empty block.

Source: RFC 2198 §3; ``red_payload_splitter.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RedBlock", "split_red"]

# kMaxRedBlocks of red_payload_splitter.cc.
_MOST_BLOCKS = 32


class RedBlock(NamedTuple):
    """One frame of a RED packet; ``level`` is 0 for the primary, 1 for the youngest copy, and so on."""

    payload_type: int
    timestamp_offset: int
    payload: bytes
    level: int


def split_red(payload: bytes) -> list[RedBlock]:
    """Return the blocks of ``payload``, newest first.

    Raises:
        ValueError: headers or lengths that do not fit the packet, or too many blocks.
    """
    headers: list[tuple[int, int, int]] = []
    at = 0
    while True:
        if at >= len(payload):
            raise ValueError(f"RED headers run past the {len(payload)} bytes of the packet")
        payload_type = payload[at] & 0x7F
        if not payload[at] & 0x80:
            at += 1
            break
        if at + 4 > len(payload):
            raise ValueError(f"a RED header is cut off after {len(payload) - at} bytes")
        offset = payload[at + 1] << 6 | payload[at + 2] >> 2
        headers.append((payload_type, offset, (payload[at + 2] & 3) << 8 | payload[at + 3]))
        at += 4
    if len(headers) + 1 > _MOST_BLOCKS:
        raise ValueError(f"{len(headers) + 1} RED blocks are more than {_MOST_BLOCKS}")
    copies = sum(length for _, _, length in headers)
    if at + copies > len(payload):
        raise ValueError(f"RED blocks of {copies} bytes do not fit the {len(payload) - at} bytes there are")
    headers.append((payload_type, 0, len(payload) - at - copies))
    blocks: list[RedBlock] = []
    for index, (block_type, offset, length) in enumerate(headers):
        if length and block_type == payload_type:
            blocks.append(RedBlock(block_type, offset, payload[at : at + length], len(headers) - 1 - index))
        at += length
    return blocks[::-1]
