"""What a programme sounds like decoded without loss, kept, so that no call needs to decode it again.

Facts:
    A decoder is a function of what it was given: the same payloads in the same order make the same samples, to the bit.
    After a gap its state forgets: with speech at 32 kb/s it is the undisturbed decoder's again, to the last byte, some
    25 to 70 frames after a packet that never came, and the sound already after two.

Rules:
    1. Nothing is guessed. Kept sound is given out while the payloads are those of the programme from its start on, or
       from where the state of a real decoder was found equal, byte by byte, to the state kept for that place.
       A programme that comes again from some place on sounds the same again from where the states of both rounds are
       equal.
    2. Whatever else is asked for (another payload, concealment, in-band redundancy) is decoded for real, from the state
       the decoder would have by then.
    3. Where nobody ever asks it to conceal (NetEQ without DTX and in-band redundancy does not), a real decoder is taken
       for the one of the programme as soon as it sounds alike and differs in what is for concealment alone, and so is
       one round of the programme for the next. What is decoded from there on is the same to the bit; what would be
       concealed, which nobody asks, is not.
    4. Only the first ``MOST_FRAMES`` are kept, for they cost memory; what follows is decoded as ever.

That libopus' decoder may be copied as memory: ``opus_decoder_get_size`` in ``opus.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.audio.opus_packet import duration_samples, has_fec
from rtcprobe.audio.pcm import Pcm

__all__ = ["MOST_FRAMES", "Rehearsal", "RehearsedDecoder"]

MOST_FRAMES: Final = 3000
"""A minute of the usual 20 ms: 12 MB of sound, and as much of states (where all sounds differ and none comes again)."""

_EVERY: Final = 2
"""From one state kept to the next, and at most so many frames less one to decode again where a packet is missing."""

_PIECE_BYTES: Final = 10_240
"""States are kept in such pieces, equal ones once: of the 18 kB half is of the layer of Opus that is not in use (CELT
with wideband speech), and never changes."""

_SPAN_BYTES: Final = 128
"""What a decoder keeps for concealment alone lies so close together (``silk_PLC_struct`` and ``silk_CNG_struct`` in
libopus' ``silk/structs.h``): slow averages, which forget a gap some 25 frames later than the sound does."""

_LONGEST_GAP: Final = 250
"""How many frames ahead the programme is searched for a payload that is not the next: 5 s of 20 ms."""

_State = tuple[bytes, ...]


class Rehearsal:
    """The sound of ``payloads`` without any loss, decoded as far as it was asked for.

    ``turn`` of them, each the payload that many places before, come again and again; 0: they are what they are.
    """

    def __init__(self, payloads: Sequence[bytes], *, once: int = 0, turn: int = 0) -> None:
        self.payloads = payloads[:MOST_FRAMES]
        # States are kept at every second place: with an odd turn no two of them would be a turn apart.
        self._once, self._turn = once, turn if turn % _EVERY == 0 else 0
        self._again: int | None = None  # from this place on all is as it was a turn before
        self._conceals = False  # whether anybody may ask it to: then only equal states will do
        self._decoder = OpusDecoder()
        self._sound: list[Pcm] = []
        self._whole: Pcm = np.zeros(0, dtype=np.float32)  # what those are parts of, where all are of one length
        self._states = [_in_pieces(self._decoder.state(), ())]

    def decoder(self, *, conceals: bool = True) -> RehearsedDecoder:
        """Return a decoder at the beginning of its stream; ``conceals``: it may be asked to (rule 3)."""
        if conceals and not self._conceals:
            self._conceals, self._again = True, None  # the round ends later: decoding goes on where it stopped
        return RehearsedDecoder(self, conceals=conceals)

    def sound(self, place: int) -> Pcm:
        """Return the samples of the payload at ``place``, read-only, shape (samples,)."""
        sound = self._sound
        # Once the states of two rounds are equal, all that is to come is known, and nothing is decoded any
        # more.
        while len(sound) <= place and self._again is None:
            sound.append(self._kept(self._decoder.decode(self.payloads[len(sound)])))
            if len(sound) % _EVERY == 0:
                self._states.append(_in_pieces(self._decoder.state(), self._states[-1]))
                self._look_back(len(sound))
        return sound[self._at(place)]

    def stretch(self, place: int, count: int) -> tuple[Pcm, int]:
        """Return the samples of payloads from ``place`` on, ``count`` of them or fewer, and of how many; read-only."""
        self.sound(place + count - 1)
        begin = self._at(place)
        end = min(begin + count, len(self._sound))
        if len(self._whole):
            size = len(self._sound[0])
            stretch = self._whole[begin * size : end * size]
            stretch.flags.writeable = False  # as each of its parts is
            return stretch, end - begin
        return np.concatenate(self._sound[begin:end]), end - begin

    def alike(self, place: int, payloads: Sequence[bytes]) -> int:
        """Return how many of ``payloads`` are those of the programme from ``place`` on."""
        known = self.payloads[place : place + len(payloads)]
        if known == payloads:
            return len(known)
        return next((at for at, two in enumerate(zip(known, payloads, strict=False)) if two[0] != two[1]), len(known))

    def _at(self, place: int) -> int:
        """Return where the sound of the payload at ``place`` is kept."""
        place = self.folded(place)
        return place if place < len(self._sound) else place - self._turn

    def _kept(self, pcm: Pcm) -> Pcm:
        """Return what is kept of the next payload's sound: a part of the whole while all are of one length."""
        sound, size = self._sound, len(pcm)
        if not sound:
            self._whole = np.empty(len(self.payloads) * size, dtype=np.float32)
        elif size != len(sound[0]):
            # Packets of several lengths: there is no one array to cut from, and never will be.
            self._whole = self._whole[:0]
        if len(self._whole):
            begin = len(sound) * size
            self._whole[begin : begin + size] = pcm
            pcm = self._whole[begin : begin + size]
        # It is handed out to every call; one that wrote to it would change the others.
        pcm.flags.writeable = False
        return pcm

    def folded(self, place: int) -> int:
        """Return the earliest place from which on all is as from ``place`` on."""
        if self._again is None or place < self._again + self._turn:
            return place
        return place - (place - self._again) // self._turn * self._turn

    def _look_back(self, place: int) -> None:
        """Note whether the state before ``place`` is what it was a turn before."""
        if not self._turn or self._again is not None or place < self._once:
            return
        # ``find`` looks that far ahead: folded onto the first round, it must not run off the end of what is
        # kept.
        if len(self.payloads) < place + self._turn + _LONGEST_GAP:
            return
        latest, earlier = self._states[-1], b"".join(self._states[-1 - self._turn // _EVERY])
        same = np.array_equal(self._sound[-1], self._sound[-1 - self._turn])
        if same and _alike(latest, earlier, conceals=self._conceals):
            self._again = place

    def decoder_before(self, place: int) -> OpusDecoder:
        """Return a real decoder that was given every payload before ``place``."""
        if place:
            self.sound(place - 1)
        place = self.folded(place)
        if self._again is not None and place > self._again:
            place -= self._turn
        decoder = OpusDecoder()
        decoder.resume(b"".join(self._states[place // _EVERY]))
        for payload in self.payloads[place // _EVERY * _EVERY : place]:
            decoder.decode(payload)
        return decoder

    def is_state_before(self, place: int, decoder: OpusDecoder, sound: Pcm, *, conceals: bool) -> bool:
        """Return whether ``decoder`` is as if it had been given every payload before ``place``; False if not known.

        ``sound`` is what it made of the last of them.
        """
        if place % _EVERY or place >= len(self.payloads):
            return False
        if not np.array_equal(self.sound(place - 1), sound):
            return False  # nor are their states the same, for each holds the sound made last
        place = self.folded(place)
        if self._again is not None and place > self._again:
            place -= self._turn
        return _alike(self._states[place // _EVERY], decoder.state(), conceals=conceals)

    def find(self, payload: bytes, place: int) -> int | None:
        """Return where ``payload`` comes next from ``place`` on; None where that would be far away."""
        try:
            return self.payloads.index(payload, place, place + _LONGEST_GAP)
        except ValueError:
            return None


def _in_pieces(state: bytes, like: _State) -> _State:
    """Return ``state`` in pieces, those that are equal to the ones of ``like`` being the very same."""
    pieces = [state[begin : begin + _PIECE_BYTES] for begin in range(0, len(state), _PIECE_BYTES)]
    return tuple(old if old == new else new for new, old in zip(pieces, like, strict=True)) if like else tuple(pieces)


def _alike(kept: _State, state: bytes, *, conceals: bool) -> bool:
    """Return whether two states are equal, or will decode alike where nobody ``conceals`` (rule 3).

    That both made the same of the last payload, whoever asks has to know.
    """
    apart = np.frombuffer(b"".join(kept), dtype=np.uint8) != np.frombuffer(state, dtype=np.uint8)
    first = int(apart.argmax())
    # Should more differ than lies close together, the real decoder goes on: that is slower, never wrong.
    return not (apart[first] and (conceals or apart[first + _SPAN_BYTES :].any()))


class RehearsedDecoder:
    """A decoder of one stream that remembers a rehearsal of it; satisfies the playout room's ``Decoder``."""

    def __init__(self, rehearsal: Rehearsal, *, conceals: bool = True) -> None:
        self._rehearsal = rehearsal
        self._conceals = conceals
        self._place = 0  # of the payload expected next
        self._real: OpusDecoder | None = None  # in use while what was decoded is not the programme's beginning

    def decode(self, payload: bytes) -> Pcm:
        """Return the samples of one packet, shape (samples,), which must not be written to.

        Raises:
            ValueError: the payload is empty or damaged.
        """
        rehearsal, place = self._rehearsal, self._place
        payloads = rehearsal.payloads
        known = place < len(payloads) and payloads[place] == payload
        if self._real is None:
            if known:
                self._place = rehearsal.folded(place + 1)
                return rehearsal.sound(place)
            # Something else came than the programme: from here on a real decoder, with the state that it
            # would have by now.
            self._real = rehearsal.decoder_before(place)
        sound = self._real.decode(payload)
        # A packet was lost, and this is a later one. Whether sound and state are the programme's again by
        # then is looked at where a state is kept; until they are, every packet is decoded.
        found = place if known else rehearsal.find(payload, place)
        if found is not None:
            if rehearsal.is_state_before(found + 1, self._real, sound, conceals=self._conceals):
                self._real = None
            self._place = rehearsal.folded(found + 1)
        return sound

    def decode_many(self, payloads: Sequence[bytes]) -> tuple[Pcm, int]:
        """Return the samples of packets in a row, up to the first that is empty or damaged, and of how many."""
        rehearsal, at = self._rehearsal, 0
        parts: list[Pcm] = []
        try:
            while at < len(payloads):
                if self._real is None and (count := rehearsal.alike(self._place, payloads[at:])):
                    sound, count = rehearsal.stretch(self._place, count)
                    self._place = rehearsal.folded(self._place + count)
                else:
                    sound, count = self.decode(payloads[at]), 1
                parts.append(sound)
                at += count
        except ValueError:
            pass  # those before it are good
        if len(parts) == 1:  # as nearly always: a minute of sound is not copied once more
            return parts[0], at
        return np.concatenate([np.zeros(0, dtype=np.float32), *parts]), at

    def decode_fec(self, payload: bytes, samples: int) -> Pcm:
        """Return the ``samples`` before ``payload`` from its in-band redundancy; without any, concealment.

        Raises:
            ValueError: the payload is empty or damaged, or ``samples`` is no multiple of 2.5 ms up to 120 ms.
        """
        return self._for_real().decode_fec(payload, samples)

    def conceal(self, samples: int) -> Pcm:
        """Return ``samples`` of the codec's own concealment.

        Raises:
            ValueError: ``samples`` is no multiple of 2.5 ms up to 120 ms.
        """
        return self._for_real().conceal(samples)

    duration_samples = staticmethod(duration_samples)
    has_fec = staticmethod(has_fec)

    def _for_real(self) -> OpusDecoder:
        if self._real is None:
            self._real = self._rehearsal.decoder_before(self._place)
        return self._real
