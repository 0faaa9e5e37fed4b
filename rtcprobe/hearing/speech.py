"""What the mouths say: a marker train over a programme, encoded once before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np

from rtcprobe.audio.ear import MAX_DELAY_S, listen
from rtcprobe.audio.kept import kept_or_encoded, know_markers
from rtcprobe.audio.marker import LEAD_S, TWO_PARTIES, MarkerTrain, trains
from rtcprobe.audio.mouth import SILENCE_DBFS, Mouth, Noise, Programme, Speech
from rtcprobe.audio.opus import SAMPLE_RATE_HZ, OpusEncoder, OpusSettings
from rtcprobe.audio.opus_packet import is_dtx, phase_advance_s
from rtcprobe.audio.payloads import Frames, Looped, Payloads
from rtcprobe.audio.pcm import Pcm
from rtcprobe.audio.rehearsal import MOST_FRAMES, Rehearsal
from rtcprobe.errors import BadInputError
from rtcprobe.scenario import MouthPlan, Stream
from rtcprobe.shelf import Shelf
from rtcprobe.units import format_duration, format_rate

__all__ = ["Spoken", "Voices", "checked_alone", "speak"]

# Every code of a talker once, at two markers a second; lengths of packets are fractions of a second in
# floating point, and a turn is whole when it differs by less than rounding.
_SELF_CHECK_S = 12.0
_WHOLE_S = 1e-9
# pylibsrtp seals into 1,500 bytes, of which libsrtp may take 144 (``SRTP_MAX_TRAILER_LEN``): 1,356 are left for the RTP
# header (12), its extensions (at most some 40), the byte of RED and the frame.
_MOST_FRAME_BYTES = 1_300


@dataclass(frozen=True)
class Spoken:
    """A speech: its packets (None where DTX sends nothing), its markers, the codec it went through.

    ``opening`` is the first of what was encoded, whether sent or not; ``advance_s`` how much earlier than its
    look-ahead says the codec delivers the marker band (``phase_advance_s``).
    """

    mouth: Mouth
    frames: Frames
    opening: tuple[bytes, ...]
    advance_s: float
    codec: OpusSettings
    duration_s: float

    @property
    def train(self) -> MarkerTrain:
        """When which marker is spoken."""
        return self.mouth.train

    @cached_property
    def rehearsal(self) -> Rehearsal:
        """What is sent, decoded without loss; every ear of every call begins from it."""
        # What is sent, not what is encoded: a decoder never sees a packet that DTX left out.
        said = list(islice((frame for frame in self.frames if frame is not None), MOST_FRAMES))
        if isinstance(self.frames, Payloads):
            return Rehearsal(said)
        once = self.frames.once
        sent = [frame is not None for frame in once]
        return Rehearsal(said, once=sum(sent), turn=sum(sent[round(LEAD_S / self.codec.ptime_s) :]))

    def sound(self) -> Iterator[Pcm]:
        """Yield what is said, some seconds at a time: mono, 48 kHz."""
        if isinstance(self.frames, Payloads):
            yield from self.mouth.pieces(self.duration_s)
            return
        once = self.mouth.pcm(LEAD_S + self.train.loop_s)
        left = round(self.duration_s * SAMPLE_RATE_HZ)
        for piece in chain((once,), repeat(once[round(LEAD_S * SAMPLE_RATE_HZ) :])):
            if left <= 0:
                return
            yield piece[:left]
            left -= len(piece)

    @cached_property
    def look_ahead_s(self) -> float:
        """The codec's algorithmic delay, as libopus states it."""
        return OpusEncoder(self.codec).lookahead_samples / SAMPLE_RATE_HZ

    @cached_property
    def self_check(self) -> tuple[float | None, int, int]:
        """Hear the first 12 s of this very speech through the codec alone, no network.

        The worst error of an instant in seconds (None when nothing was heard), the markers heard, and those
        spoken: what is not heard here cannot be heard in the call.
        """
        decoder = self.rehearsal.decoder(conceals=False)
        pcm, _ = decoder.decode_many(list(self.opening))
        markers = self.train.markers(min(len(pcm) / SAMPLE_RATE_HZ, self.duration_s))
        heard = listen(pcm, 0.0, self.train, markers, advance_s=self.advance_s)
        errors = np.abs(heard.delays_s - self.look_ahead_s)
        return float(errors.max()) if len(errors) else None, len(heard.heard), heard.scheduled


Voices = Mapping[str, Spoken]
"""What each party says, by its name."""


def checked_alone(voices: Voices) -> tuple[float | None, int, int]:
    """Return the ``self_check`` of all voices: the worst error, the markers heard and those spoken."""
    errors_s, heard, spoken = zip(*(voice.self_check for voice in voices.values()), strict=True)
    return max((error_s for error_s in errors_s if error_s is not None), default=None), sum(heard), sum(spoken)


def speak(
    talkers: Mapping[str, Stream], duration_s: float, *, mixed: bool = False, shelf: Shelf | None = None
) -> Voices:
    """Return ``duration_s`` of what each of ``talkers`` sends, each under its own markers: no code is two talkers'.

    Where they are ``mixed`` on their way, even two take turns.

    What needs no file is the same each time: seeds and servers that run one situation often pay for it once; what lies
    on the ``shelf`` was paid for by another process.

    Raises:
        BadInputError: a WAV file that cannot be used; more talkers than there are marker codes; packets too large.
    """
    # Two who hear only each other need no turns; in a mix their markers would fall on one another.
    apart = len(talkers) <= len(TWO_PARTIES) and not mixed
    of_each = TWO_PARTIES if apart else trains(max(1, len(talkers)))
    if shelf is not None:
        know_markers(shelf)
    voices: dict[str, Spoken] = {}
    for (name, stream), train in zip(talkers.items(), of_each, strict=False):
        if isinstance(stream.programme.programme, Path):
            voices[name] = _speak(stream.programme, stream.codec, duration_s, train, shelf)
        else:
            # Silence and noise have no beginning that a listener could know again: a train over them may loop.
            looped = replace(train, loops=True)
            voices[name] = _endless(stream.programme, stream.codec, duration_s, looped, shelf)
    return voices


def _endless(
    plan: MouthPlan, codec: OpusSettings, duration_s: float, train: MarkerTrain, shelf: Shelf | None
) -> Spoken:
    """Return what needs no file: a train that loops over a programme that nobody can tell from the one before.

    Encoding it and decoding it without loss then costs no more than a turn of it, however long the call.
    """
    once_s = LEAD_S + train.loop_s
    turn = round(train.loop_s / codec.ptime_s)
    whole = abs(turn * codec.ptime_s - train.loop_s) < _WHOLE_S
    # A turn that is no whole number of packets would shift the markers within the frames from round to round.
    if duration_s <= once_s or not whole:
        return _remembered(plan, codec, duration_s, train if whole else replace(train, loops=False), shelf)
    once = _remembered(plan, codec, once_s, train, shelf)
    assert isinstance(once.frames, Payloads)
    return _again(once, turn, duration_s)


@lru_cache(maxsize=8)
def _again(once: Spoken, turn: int, duration_s: float) -> Spoken:
    assert isinstance(once.frames, Payloads)
    frames = Looped(once.frames, turn, math.ceil(round(duration_s / once.codec.ptime_s, 6)))
    return replace(once, frames=frames, duration_s=duration_s)


def _speak(plan: MouthPlan, codec: OpusSettings, duration_s: float, train: MarkerTrain, shelf: Shelf | None) -> Spoken:
    """Encode it, packet by packet. DTX: the first packet that says "nothing to hear" goes, those after it do not.

    Source: libwebrtc ``modules/audio_coding/codecs/opus/opus_interface.cc``.
    """
    mouth = Mouth(train=train, programme=_programme(plan))
    frames, opening, heads = Payloads(), list[bytes](), bytearray()
    most = round(_SELF_CHECK_S / codec.ptime_s)
    quiet = False
    for payload in kept_or_encoded(mouth, codec, duration_s, shelf):
        nothing = is_dtx(payload)
        # The first packet of silence is sent, so that the receiver knows; the rest of them are not.
        frames.append(None if nothing and quiet else payload)
        quiet = nothing
        heads += payload[:1]
        if len(opening) < most:
            opening.append(payload)
    longest = max((len(payload) for payload in frames if payload is not None), default=0)
    if longest > _MOST_FRAME_BYTES:
        # Others send such packets in fragments of IP, which many networks drop; here none could be sealed.
        raise BadInputError(
            f"codec.bitrate {format_rate(codec.bitrate_bps)} makes packets of {longest} bytes of codec.ptime"
            f" {format_duration(codec.ptime_s)}: at most {_MOST_FRAME_BYTES} fit in a datagram",
            "give less of either",
        )
    advance_s = phase_advance_s(bytes([head]) for head in heads)
    return Spoken(mouth, frames, tuple(opening), advance_s, codec, duration_s)


def _carries_markers(pcm: Pcm) -> bool:
    """Return whether the first of ``pcm`` are markers of either talker of a call, wherever it begins in their train.

    Two of them at the least, and half of those there is room for: over speech chance alone stays below the gate.
    """
    sounding = np.flatnonzero(pcm)  # a recording is led by the silence of the join
    begun = pcm[int(sounding[0]) if len(sounding) else 0 :][: round(_SELF_CHECK_S * SAMPLE_RATE_HZ)]
    for train in TWO_PARTIES:
        every = train.markers(train.period_s + 2 * train.spacing_s)[: len(train.codes)]
        hearing = listen(begun, MAX_DELAY_S - 1.0, train, every)  # so late that any of them may be the first
        if len(hearing.heard) >= max(2, len(begun) / SAMPLE_RATE_HZ / train.spacing_s / 2):
            return True
    return False


_remembered = lru_cache(maxsize=8)(_speak)  # a quarter of a megabyte a minute


def _programme(plan: MouthPlan) -> Programme:
    if isinstance(plan.programme, Path):
        speech = Speech.from_wav(plan.programme, plan.marker_to_speech_db)
        if _carries_markers(speech.samples):
            raise BadInputError(
                f"{plan.programme} carries markers already, as --wav writes them", "give the speech without them"
            )
        return speech
    return Noise() if plan.programme == "noise" else Noise(level_dbfs=SILENCE_DBFS)
