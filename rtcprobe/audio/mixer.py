"""A mixer: packets of several talkers in, at each tick one packet for each different mix out, encoded anew.

Facts:
    A conference mixer (RFC 7667 §3.6.1, media mixing) decodes everybody, adds up whom a listener hears, and encodes
    once for each. Janus' AudioBridge, as it was until 1.2, is the one modelled here: of each talker's packets it keeps
    a few before it mixes the first, to ride out jitter, and never gives back what a hiccup added to that: what came
    late waits behind what was late before it, until the talker runs dry, or twice as many wait as it meant to keep.

Rules:
    1. A talker is mixed once *more than* ``prebuffer`` of its packets are there, from then on one packet a tick. So
       the first waits for ``prebuffer`` others, and then for the next tick. Who has none left at a tick is silent in
       it, and mixed again from the next packet on: nothing is kept anew.
    2. Where twice ``prebuffer`` wait, the oldest are dropped until ``prebuffer`` do. With a prebuffer of one that is
       every packet that finds another waiting: what is mixed then is what came last, at most a tick old.
    3. What never came leaves no gap: the packet after it is mixed in its place, one tick sooner. What comes after a
       later one is dropped. (Copies by FEC, which a bridge uses where an offer asks for them, are not used.)
    4. Those who hear the same talkers get the same packet: equal sound through equal encoders is equal bytes.

So a bridge keeps ``prebuffer`` x 20 ms, up to 20 ms until its tick by where the talker's grid lies, and 6.5 ms of its
encoder's look-ahead: 126.5 to 146.5 ms of six packets, and of one, by rule 2, 6.5 to 26.5.

Source of rules 1 to 3: janus-gateway, ``plugins/janus_audiobridge.c``, the same in 0.11.8 and 1.0.0 to 1.1.4
(DEFAULT_PREBUFFERING 6; ``janus_audiobridge_incoming_rtp``: ``g_list_length(inbuf) > prebuffer_count`` ends
prebuffering, ``>= prebuffer_count*2`` drops; only a join sets it again; the mixer's thread). From 1.2.0 on a jitter
buffer of speex is in its place.
"""

from __future__ import annotations

from collections import deque
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
    """What waits of one talker, decoded as it came, and its decoder."""

    decoder: OpusDecoder = field(default_factory=OpusDecoder)
    waiting: deque[Pcm] = field(default_factory=deque)
    newest: int = -1
    """The highest number that came."""
    filling: bool = True

    def insert(self, number: int, payload: bytes, prebuffer: int, samples: int) -> None:
        # Rule 3: after a later one, or a copy.
        if number <= self.newest:
            return
        self.newest = number
        try:
            sound = self.decoder.decode(payload)
        # A packet that is no Opus is as if it had not come: the bridge goes on with the next.
        except ValueError:
            return
        # Another packet time than the room's has no place in its ticks.
        if len(sound) != samples:
            return
        self.waiting.append(sound)
        if self.filling:
            self.filling = len(self.waiting) <= prebuffer
        elif len(self.waiting) >= 2 * prebuffer:
            while len(self.waiting) > prebuffer:
                self.waiting.popleft()

    def take(self) -> Pcm | None:
        """Return the sound of the next packet; None where there is none yet."""
        return None if self.filling or not self.waiting else self.waiting.popleft()


class Mixer:
    """One room. ``prebuffer`` is in packets, at least one (rule 2); a tick is as long as every talker's packet."""

    def __init__(self, *, prebuffer: int, encoding: OpusSettings = MIXED) -> None:
        self._prebuffer, self._encoding = prebuffer, encoding
        self._talkers: dict[str, _Talker] = {}
        self._encoders: dict[frozenset[str], OpusEncoder] = {}

    def begin(self, talker: str) -> None:
        """Know nothing of a talker any more: what comes next is the first of it."""
        self._talkers[talker] = _Talker()

    def insert(self, talker: str, number: int, payload: bytes) -> None:
        """Take a packet of a talker: its number, counted on where it wraps, and its Opus payload."""
        self._talkers.setdefault(talker, _Talker()).insert(
            number, payload, self._prebuffer, self._encoding.frame_samples
        )

    def waiting(self, talker: str) -> int:
        """Return how many packets of a talker wait."""
        found = self._talkers.get(talker)
        return 0 if found is None else len(found.waiting)

    def tick(self, wanted: Iterable[frozenset[str]]) -> Mapping[frozenset[str], bytes]:
        """Return a packet for each set of talkers ``wanted``; what is not asked for is not encoded."""
        spoken = {name: sound for name, each in self._talkers.items() if (sound := each.take()) is not None}
        return {heard: self._encoded(heard, spoken) for heard in dict.fromkeys(wanted)}

    def _encoded(self, heard: frozenset[str], spoken: Mapping[str, Pcm]) -> bytes:
        encoder = self._encoders.get(heard)
        if encoder is None:
            encoder = self._encoders[heard] = OpusEncoder(self._encoding)
        mix = np.zeros(self._encoding.frame_samples, dtype=np.float32)
        for name, sound in spoken.items():  # in the order in which they first spoke, not in that of a set
            if name in heard:
                mix += sound
        return encoder.encode(np.clip(mix, -1.0, 1.0, out=mix))
