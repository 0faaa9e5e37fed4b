"""A mixer: packets of several talkers in, at each tick one packet for each different mix out, encoded anew.

Facts:
    A conference mixer (RFC 7667 §3.6.1, media mixing) decodes everybody, adds up whom a listener hears, and encodes
    once for each. Janus' AudioBridge is the one modelled here: of each talker's packets it keeps a few before it mixes
    the first, to ride out jitter, and never gives back what a hiccup added to that: what came late waits behind what
    was late before it, until the talker runs dry, or twice as many wait as it meant to keep.

Rules:
    1. A talker is mixed once ``prebuffer`` of its packets are there, one packet a tick. Who has none left at a tick is
       silent in it, and waits for ``prebuffer`` anew.
    2. Where twice ``prebuffer`` wait, the oldest are dropped until ``prebuffer`` do.
    3. What never came leaves no gap: the packet after it is mixed in its place, one tick sooner. What comes after
       those behind it were mixed is dropped.
    4. Those who hear the same talkers get the same packet: equal sound through equal encoders is equal bytes.

Source of rules 1 to 3: janus-gateway, ``plugins/janus_audiobridge.c`` (DEFAULT_PREBUFFERING 6, the queue of a
participant, the mixer's thread). Some of its versions begin with a packet more than they say: 20 ms not found here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.audio.pcm import Pcm

__all__ = ["MIXED", "Mixer"]

MIXED = OpusSettings(bitrate_bps=51_000, application="voip", complexity=4)
"""How mixes are encoded: libopus' own rate for a mono voice of 48 kHz, 60 x frames a second + sampling rate
(``opus_encoder.c``, ``user_bitrate_to_bitrate``), and AudioBridge's complexity (DEFAULT_COMPLEXITY). The bandwidth is
what carries markers (``OpusSettings``)."""


@dataclass(slots=True, eq=False)
class _Talker:
    """What waits of one talker, by number, and its decoder."""

    decoder: OpusDecoder = field(default_factory=OpusDecoder)
    waiting: dict[int, bytes] = field(default_factory=dict)
    last: int = -1
    """The number of the last packet that was mixed."""
    filling: bool = True

    def insert(self, number: int, payload: bytes, prebuffer: int) -> None:
        if number <= self.last or number in self.waiting:
            return
        self.waiting[number] = payload
        if self.filling:
            self.filling = len(self.waiting) < prebuffer
        elif len(self.waiting) >= 2 * prebuffer > 2:
            for oldest in sorted(self.waiting)[:-prebuffer]:
                del self.waiting[oldest]

    def take(self, samples: int) -> Pcm | None:
        """Return the sound of the next packet; None where there is none yet, or none that can be decoded."""
        if self.filling or not self.waiting:
            self.filling = True
            return None
        self.last = min(self.waiting)
        try:
            sound = self.decoder.decode(self.waiting.pop(self.last))
        except ValueError:
            return None
        return sound if len(sound) == samples else None


class Mixer:
    """One room. ``prebuffer`` is in packets, at least one; a tick is as long as every talker's packet."""

    def __init__(self, *, prebuffer: int, encoding: OpusSettings = MIXED) -> None:
        self._prebuffer, self._encoding = prebuffer, encoding
        self._talkers: dict[str, _Talker] = {}
        self._encoders: dict[frozenset[str], OpusEncoder] = {}

    def begin(self, talker: str) -> None:
        """Know nothing of a talker any more: what comes next is the first of it."""
        self._talkers[talker] = _Talker()

    def insert(self, talker: str, number: int, payload: bytes) -> None:
        """Take a packet of a talker: its number, counted on where it wraps, and its Opus payload."""
        self._talkers.setdefault(talker, _Talker()).insert(number, payload, self._prebuffer)

    def waiting(self, talker: str) -> int:
        """Return how many packets of a talker wait."""
        found = self._talkers.get(talker)
        return 0 if found is None else len(found.waiting)

    def tick(self, wanted: Iterable[frozenset[str]]) -> Mapping[frozenset[str], bytes]:
        """Return a packet for each set of talkers ``wanted``; what is not asked for is not encoded."""
        samples = self._encoding.frame_samples
        spoken = {name: sound for name, each in self._talkers.items() if (sound := each.take(samples)) is not None}
        return {heard: self._encoded(heard, spoken, samples) for heard in dict.fromkeys(wanted)}

    def _encoded(self, heard: frozenset[str], spoken: Mapping[str, Pcm], samples: int) -> bytes:
        encoder = self._encoders.get(heard)
        if encoder is None:
            encoder = self._encoders[heard] = OpusEncoder(self._encoding)
        mix = np.zeros(samples, dtype=np.float32)
        for name, sound in spoken.items():  # in the order in which they first spoke, not in that of a set
            if name in heard:
                mix += sound
        return encoder.encode(np.clip(mix, -1.0, 1.0, out=mix))
