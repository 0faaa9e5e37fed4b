"""What an Opus payload says of itself, read without decoding it: how long it is, what it carries, which mode coded it.

Rule: a payload is hostile input; what cannot be read is a ``ValueError``, or nothing.

Source: RFC 6716 (Opus).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["BROWSER_ADVANCE_S", "MAX_PACKET_SAMPLES", "duration_samples", "has_fec", "is_dtx", "phase_advance_s"]

MAX_PACKET_SAMPLES = 5760
"""120 ms, the longest packet. Source: RFC 6716 §3.2, requirement R5."""

_REMEMBERED = 8192
"""Payloads whose answers are kept: both talkers' minute, asked about by every ear of every call, several times each."""

_CELT_CONFIG = 16  # from here on configurations have no SILK layer (RFC 6716 table 2)
_ADVANCE_S = ((4, -67e-6), (8, 57e-6), (_CELT_CONFIG, 48e-6), (32, 0.0))
"""Configurations below (RFC 6716 table 2: narrowband, mediumband, wideband and hybrid, CELT) and their advance."""

BROWSER_ADVANCE_S = 48e-6
"""The advance of what browsers send unasked: 32 kbit/s for speech, wideband and hybrid packets."""


@lru_cache(maxsize=_REMEMBERED)
def duration_samples(payload: bytes) -> int:
    """Return how many 48 kHz samples ``payload`` decodes to, from its first two bytes.

    Raises:
        ValueError: empty, without its frame count, or longer than 120 ms.

    Source: RFC 6716 §3.1 (table of contents byte), §3.2 (frame count codes).
    """
    if not payload:
        raise ValueError("an empty payload holds no Opus packet")
    # Code 0 is one frame, 1 and 2 are two (of one size, of two), 3 as many as the next byte says.
    code = payload[0] & 3
    if code < 3:
        count = (1, 2, 2)[code]
    elif len(payload) < 2:
        raise ValueError("an Opus packet of code 3 ends before its frame count")
    else:
        count = payload[1] & 63
    samples = count * _frame_samples(payload[0])
    if not 0 < samples <= MAX_PACKET_SAMPLES:
        raise ValueError(f"an Opus packet of {count} frames, {samples} samples, is not 2.5 to 120 ms long")
    return samples


@lru_cache(maxsize=_REMEMBERED)
def has_fec(payload: bytes) -> bool:
    """Return whether ``payload`` carries the frame before it at low bitrate (LBRR); False for a malformed one.

    Only a SILK layer has it. The layer opens with one voice-activity bit per 20 ms (one for 10 ms) and then the
    LBRR bit of the channel, all coded at probability one half, hence readable from the top of its first byte.

    Source: RFC 6716 §4.2.3 and §4.2.4.
    """
    if not payload or payload[0] >> 3 >= _CELT_CONFIG:
        return False
    first = _first_frame(payload)
    if not first:
        return False
    silk_frames = max(1, _frame_samples(payload[0]) // 960)
    channels = 2 if payload[0] & 4 else 1
    # For each channel the activity bits of its frames and then its LBRR flag, from the top: with n frames it
    # is bit n of mono, bits n and 2n + 1 of stereo. Three frames of stereo fill the byte: 8 bits, none
    # beyond.
    return any(first[0] & (0x80 >> ((channel + 1) * (silk_frames + 1) - 1)) for channel in range(channels))


def is_dtx(payload: bytes) -> bool:
    """Return whether ``payload`` says "nothing to hear": at most two bytes.

    Source: ``modules/audio_coding/codecs/opus`` of libwebrtc; ``OPUS_SET_DTX`` in ``opus_defines.h``.
    """
    return len(payload) <= 2


def phase_advance_s(payloads: Iterable[bytes]) -> float:
    """Return how much earlier than its nominal look-ahead the codec delivers 300–3400 Hz, in the stream's main mode.

    The look-ahead libopus states (6.5 ms, or 2.5) is exact for its CELT layer. The SILK layer's resamplers, and in
    ``voip`` its high-pass filter, turn the phase: measured with this library's markers at 12 to 64 kb/s, wideband
    and hybrid packets come 50 µs early in ``voip`` and 46 in ``audio``, mediumband 57 early, narrowband 67 late.
    An ear that adds this constant measures the nominal look-ahead in every mode.
    """
    modes = Counter(payload[0] >> 3 for payload in payloads if payload)
    config = modes.most_common(1)[0][0] if modes else _CELT_CONFIG
    return next(advance_s for below, advance_s in _ADVANCE_S if config < below)


def _frame_samples(toc: int) -> int:
    """Return samples of each frame behind a table-of-contents byte. Source: RFC 6716 table 2."""
    config = toc >> 3
    if config < 12:  # SILK: 10, 20, 40, 60 ms
        return (480, 960, 1920, 2880)[config & 3]
    if config < 16:  # hybrid: 10, 20 ms
        return (480, 960)[config & 1]
    return (120, 240, 480, 960)[config & 3]  # CELT: 2.5, 5, 10, 20 ms


def _first_frame(payload: bytes) -> bytes:
    """Return the first frame of a packet, or nothing where it is malformed. Source: RFC 6716 §3.2.1 to §3.2.5."""
    code = payload[0] & 3
    if code == 0:
        return payload[1:]
    if code == 1:
        return payload[1 : 1 + (len(payload) - 1) // 2]
    if code == 2:
        size, start = _length(payload, 1)
        return payload[start : start + size]
    if len(payload) < 2 or not payload[1] & 63:
        return b""
    start = 2
    if payload[1] & 0x40:  # padding: 255 says "254 and another byte"
        while start < len(payload) and payload[start] == 255:
            start += 1
        start += 1
    if payload[1] & 0x80:  # variable bitrate: one length per frame but the last
        count = payload[1] & 63
        size, start = _length(payload, start) if count > 1 else (len(payload) - start, start)
        for _ in range(count - 2):
            _, start = _length(payload, start)
        return payload[start : start + size]
    return payload[start:]


def _length(payload: bytes, at: int) -> tuple[int, int]:
    """Return a frame length and where the bytes after it begin. Source: RFC 6716 §3.2.1."""
    if at >= len(payload):
        return 0, at
    if payload[at] < 252:
        return payload[at], at + 1
    if at + 1 >= len(payload):
        return 0, at + 1
    return payload[at] + 4 * payload[at + 1], at + 2
