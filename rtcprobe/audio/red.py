"""RED: every packet carries a frame and copies of the frames sent before it.

Facts:
    A copy costs four bytes of header (a set F bit, payload type, 14 bits of timestamp offset, 10 bits of length), the
    frame itself one (F clear); the blocks follow in the order of their headers, oldest first. So a copy is at most
    1,023 bytes and 16,383 samples (341 ms) old.

Rules:
    1. Copies are taken newest first until one does not fit: too old, or the packet would exceed 1,200 bytes.
    2. Only speech is copied: a payload of two bytes or less ("nothing to hear") is sent but not kept.
    3. What was never sent is not copied: keep the encoder where frames leave, not where they are made.
    4. A frame too long to be a copy still gets the one-byte header. (libwebrtc sends it without RED, as a packet of
       the codec's own payload type.)

Source: RFC 2198 §3; ``audio_encoder_copy_red.cc`` (``modules/audio_coding/codecs/red`` of libwebrtc,
branch-heads/7871).
"""

from __future__ import annotations

from collections import deque

from rtcprobe.audio.opus_packet import is_dtx

__all__ = ["RedEncoder"]

_MAX_PACKET_BYTES = 1200  # ``kAudioMaxRtpPacketLen``
# Ten bits of length.
_MAX_COPY_BYTES = 1023
# RFC 2198, section 3: 14 bits of timestamp offset (341 ms at 48 kHz), 10 of length; four bytes of header a copy.
_MAX_OFFSET_SAMPLES = (1 << 14) - 1
_COPY_HEADER_BYTES = 4
_MORE_BLOCKS = 0x80


class RedEncoder:
    """One stream of RED payloads, each with up to ``copies`` of the frames before; ``payload_type`` is the codec's."""

    def __init__(self, copies: int, payload_type: int) -> None:
        self._payload_type = payload_type
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=copies)  # newest first: timestamp, payload

    def encode(self, payload: bytes, timestamp: int) -> bytes:
        """Return the RED payload of the next frame; ``timestamp`` is its RTP time in samples, wrapped or not."""
        headers, copies = b"", b""
        room = _MAX_PACKET_BYTES - 1 - len(payload)
        for kept_timestamp, kept in self._kept:
            offset = (timestamp - kept_timestamp) & 0xFFFFFFFF
            room -= _COPY_HEADER_BYTES + len(kept)
            # What is older is farther still, and what is behind a copy that does not fit would leave a hole: the rest
            # goes, too.
            if offset > _MAX_OFFSET_SAMPLES or room < 0:
                break
            header = (_MORE_BLOCKS | self._payload_type) << 24 | offset << 10 | len(kept)
            headers = header.to_bytes(_COPY_HEADER_BYTES, "big") + headers
            copies = kept + copies
        # A frame of silence is worth no copy; one that no length field can tell has none.
        if not is_dtx(payload) and len(payload) <= _MAX_COPY_BYTES:
            self._kept.appendleft((timestamp, payload))
        return b"".join((headers, bytes((self._payload_type,)), copies, payload))
