"""The receiver's one interface: packets go in as they arrive, ten milliseconds of sound come out at every tick.

Facts:
    A receiver is pulled by its sound card, 10 ms at a time, whatever the network did; that is how libwebrtc and
    every phone work, so it is the interface here (``modules/audio_coding/neteq``, ``kOutputSizeMs`` = 10).

Rules:
    1. Time is an argument. ``get_audio`` is called at ``first_tick + n · 10 ms`` exactly; ``insert_packet`` with
       arrival instants, merged in time order (an arrival at the very instant of a tick goes in before it).
    2. A policy never raises on what a network can do to a packet: it counts it and goes on.
    3. Nothing here imports the codec: a decoder is handed in (``Decoder``).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["BLOCK_S", "BLOCK_SAMPLES", "SAMPLE_RATE_HZ", "Block", "Decoder", "Playout", "RtpPacket", "Run"]

SAMPLE_RATE_HZ = RTP_CLOCK_HZ
# kOutputSizeMs of ``neteq_impl.h``: what a loudspeaker asks for at a time.
BLOCK_S = 0.010
BLOCK_SAMPLES = 480

Pcm = npt.NDArray[np.float32]
"""Mono sound, shape (samples,), full scale ±1.0, 48 kHz."""


class RtpPacket(NamedTuple):
    """One RTP packet as it reached the receiver, after SRTP.

    ``sequence`` is 16 bits, ``timestamp`` 32 bits of the 48 kHz RTP clock (RFC 7587); both wrap.
    """

    sequence: int
    timestamp: int
    payload: bytes
    payload_type: int = 111


class Block(NamedTuple):
    """Ten milliseconds as the loudspeaker gets them.

    ``rtp_timestamp`` is the unwrapped RTP time of the first sample (None before the first packet, or where the
    block holds no sound of the sender at all); ``concealed_samples`` counts samples invented for the listener.
    ``operation`` is the playout's word for what it did (``"normal"``, ``"expand"``, ...).
    """

    samples: Pcm
    rtp_timestamp: int | None
    concealed_samples: int
    operation: str


class Run(NamedTuple):
    """Blocks in a row that are all the sender's sound, one after the other: ``samples`` has 480 of each of ``blocks``.

    ``rtp_timestamp`` is the unwrapped RTP time of the first sample; ``operation`` what each of them was.
    """

    samples: Pcm
    rtp_timestamp: int
    blocks: int
    operation: str


class Decoder(Protocol):
    """What playout asks of a codec; one instance decodes one stream in order."""

    def decode(self, payload: bytes) -> Pcm:
        """Return the samples of one packet; an undecodable payload raises ``ValueError``."""
        ...

    def decode_fec(self, payload: bytes, samples: int) -> Pcm:
        """Return the frame *before* ``payload`` from its in-band redundancy (``ValueError`` when damaged)."""
        ...

    def conceal(self, samples: int) -> Pcm:
        """Return ``samples`` of the codec's own concealment."""
        ...

    def duration_samples(self, payload: bytes) -> int:
        """Return how many samples ``payload`` decodes to, without decoding; ``ValueError`` when malformed."""
        ...

    def has_fec(self, payload: bytes) -> bool:
        """Return whether ``payload`` carries in-band redundancy for the frame before it."""
        ...


class Playout(Protocol):
    """A playout policy: insert packets, pull audio."""

    def insert_packet(self, packet: RtpPacket, now_s: float) -> None:
        """Take a packet that arrived at ``now_s``."""
        ...

    def get_audio(self, now_s: float) -> Block:
        """Return the 10 ms (480 samples) that leave the loudspeaker from ``now_s`` on."""
        ...
