"""How a talker's frames are protected against loss: which copies are sent, and whether a listener may ask again.

Facts:
    Redundancy (RED) sends every frame again in the packets after it; in-band FEC lets the codec put a coarse version
    of the frame before into each; with NACK the listener asks for what is missing. The first two cost bits all the
    time, the last a round trip where something was lost.

Rules:
    All three are off unless a scenario says so, as in the offers of browsers but for FEC, which those negotiate and
    encoders then use only where they expect loss.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtcprobe.errors import BadInputError

__all__ = ["MAX_RED_COPIES", "Protection"]

MAX_RED_COPIES = 9
"""The most that libwebrtc takes (field trial ``WebRTC-Audio-Red-For-Opus``). Source: ``audio_encoder_copy_red.cc``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What is negotiated against loss: ``red_copies`` of each frame (0: no RED), in-band ``fec``, ``nack``.

    ``fec`` only says so in the offer and answer; the frames have it when they were encoded with it
    (``OpusSettings.fec`` and ``expected_loss``). libwebrtc, asked for RED, sends 1 copy.
    """

    red_copies: int = 0
    fec: bool = False
    nack: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.red_copies <= MAX_RED_COPIES:
            raise BadInputError(f"{self.red_copies} RED copies are impossible", f"give 0 to {MAX_RED_COPIES}")
