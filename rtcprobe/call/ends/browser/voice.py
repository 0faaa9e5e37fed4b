"""What a page's mouth is given to say: the sound itself, for a browser encodes by itself."""

from __future__ import annotations

import base64
from typing import NamedTuple

import numpy as np

from rtcprobe.audio.marker import LEAD_S
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ
from rtcprobe.call.mouth_track import Speech

__all__ = ["PageVoice"]


class PageVoice(NamedTuple):
    """``sound`` is 16 bits, 48 kHz, mono, in base64. After its last sample it goes on from sample ``loop``.

    ``total`` is how many samples are spoken; -1: without end.
    """

    sound: str
    loop: int
    total: int

    @classmethod
    def of(cls, speech: Speech | None) -> PageVoice:
        """Return what is to be said of ``speech``: a turn of what loops, the beginning alone of what has no end.

        A minute of sound is 7.7 MB to hand over; whoever joins is heard by whatever he says first.
        """
        if speech is None:
            return cls("", 0, 0)
        voice = speech.voice
        assert voice is not None
        whole, lead = (round(each_s * SAMPLE_RATE_HZ) for each_s in (speech.duration_s, LEAD_S))
        # A turn of the train after its lead-in is repeated sample for sample, so the page needs one of them.
        once = lead + round(voice.train.loop_s * SAMPLE_RATE_HZ)
        loop, samples, total = 0, whole, whole
        if speech.endless:
            # ``loop`` is 0: the lead-in is said over and over, for a join asks for nothing but a first sample.
            samples, total = min(lead, whole), -1
        elif voice.train.loops and whole > once:
            loop, samples = lead, once
        pcm = voice.mouth.pcm(samples / SAMPLE_RATE_HZ)[:samples]
        return cls(base64.b64encode(np.round(pcm * 32767).astype("<i2").tobytes()).decode("ascii"), loop, total)
