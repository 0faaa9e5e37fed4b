"""What was heard: recorded arrivals through a playout policy, markers found, every delay taken apart into stages.

The mouth-to-ear delay of a sound in frame ``i`` is
``capture + packet time + look-ahead + pacing + network + wait in the jitter buffer + wait for the block + device``,
each measured on its own clockwork; what the markers say beyond their sum is the residual. Where NetEQ stretched or
concealed within a marker, that is where it shows. Through a server that is not ours, network and server are one stage:
what passed between departure and arrival; where it encodes anew, whatever our own sides do not account for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing
from rtcprobe.audio.long_ear import LongEar
from rtcprobe.audio.marker import MARKER_S
from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.audio.opus_packet import has_fec, phase_advance_s
from rtcprobe.audio.pcm import Pcm
from rtcprobe.hearing import figures
from rtcprobe.hearing.frames import SentFrames
from rtcprobe.hearing.playing import play, whole_frames
from rtcprobe.hearing.pooled import CallAccount
from rtcprobe.hearing.relate import related
from rtcprobe.hearing.speech import Spoken
from rtcprobe.hearing.spells import Heard, heard_spells, heard_throughout, spoken_spells
from rtcprobe.hearing.stages import Stages, packets_from_s
from rtcprobe.playout.aiortc import StockTrace, stock_aiortc
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.base import Block, Decoder, Run
from rtcprobe.playout.copies import WithoutFec, unprotected
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.playout.recovery import Traced, traced
from rtcprobe.playout.replay import Playback
from rtcprobe.recording import Agreed, Came, Said
from rtcprobe.result import Account, Unprotected
from rtcprobe.scenario import Devices
from rtcprobe.ways import Way

if TYPE_CHECKING:  # few sounds have a picture beside them
    from rtcprobe.hearing.lips import LipSync

__all__ = ["Ear"]

_LOOKED_AT = 500
"""Packets of a strange encoder that tell its mode: 10 s of 20 ms."""


# Only a forwarder leaves the frames alone. Behind a mixer nothing that came is ours, and all that follows by packets
# (unplayed, protection, the E-model) has no meaning: the markers alone tell.
# Lip sync steers the first playing alone, with the picture played beside it; later ones repeat what it
# decided.
# A marker is due where its last sample is in a packet that left: the codec holds its look-ahead back, so as
# much more must have been said.
# What a protection bought is told by playing once more without any copy, for as much CPU again; so that is
# done only where something was negotiated. Stock aiortc, which reads neither RED nor FEC, is given the same
# arrivals.
# NetEQ asks a codec to conceal for comfort noise and in-band redundancy alone, the fixed playout at every
# loss: that is what lets a rehearsed decoder be taken for the real one.
class Ear:
    """One listening side: plays what arrived, hears the markers, and accounts for every millisecond.

    ``phase_s`` is where the loudspeaker's 10 ms grid lies. ``lips`` makes it agree with the picture beside it.
    """

    def __init__(
        self,
        said: Said,
        came: Came,
        spoken: Spoken,
        *,
        playout: PlayoutChoice,
        devices: Devices,
        phase_s: float,
        lips: LipSync | None = None,
    ) -> None:
        self._said = said
        self._way = came
        found = related(said, came) if came.forwarded else came.arrivals
        self._related = found is not None
        """Whether packets that arrived can be told from those that left."""
        self._came = came.arrivals if found is None else found
        self._spoken = spoken
        self._choice = playout
        self._devices = devices
        self._phase_s = phase_s
        self._lips = lips
        self._steering: LipSync | None = lips
        self._whole = whole_frames(said, came.agreed, self._came) if self._related else self._came
        self._arrivals = self._came if playout.knows_red else self._whole
        self._advance_s = spoken.advance_s
        if not said.frames:  # the talker's end encoded by itself
            self._advance_s = phase_advance_s(packet.payload for _, packet in islice(self._whole, _LOOKED_AT))
        self.playback, self._figures, self._hearing = self._play(self._arrivals, self._decoder())

    @property
    def start_s(self) -> float:
        """When the loudspeaker's first block began."""
        return self.playback.start_s

    @property
    def delay_s(self) -> float | None:
        """The mean mouth-to-ear delay; None where no marker was heard."""
        return self._mean_delay_s(self._hearing)

    def account(self, way: Way, echo_path_s: float | None) -> CallAccount:
        """Return the account of ``way``: every scheduled marker heard, rejected or lost.

        ``echo_path_s`` is the mean of both directions' delays: how far away an echo would come from.
        """
        started_s, hearing = self._said.started_s, self._hearing
        if started_s is None or hearing is None:
            unspoken = figures.playout(str(self._choice), None, {})
            silent = Account(kind="mouth_to_ear", way=way, scheduled=0, heard=0, rejected=0, lost=0, playout=unspoken)
            return CallAccount(account=silent)
        frames = SentFrames(
            self._said,
            self._spoken,
            whole=self._whole,
            arrivals=self._arrivals,
            playback=self.playback,
        )
        found = _traced(self._said, self._came, self._spoken, self._way.agreed) if self._related else None
        stock = stock_aiortc(self._unprotected)
        return CallAccount(
            account=self._report(way, hearing, frames, found=found, stock=stock, echo_path_s=echo_path_s),
            blocks=len(self.playback.sounding),
            unplayed=frames.unplayed if self._related else None,
            traced=found,
            stock=stock,
            echo_path_s=echo_path_s,
        )

    def _report(
        self,
        way: Way,
        hearing: Hearing,
        frames: SentFrames,
        *,
        found: Traced | None,
        stock: StockTrace,
        echo_path_s: float | None,
    ) -> Account:
        heard, delay_s, unplayed = self._heard(frames), self.delay_s, frames.unplayed
        stages = Stages(
            said=self._said,
            came=self._way,
            spoken=self._spoken,
            choice=self._choice,
            devices=self._devices,
            arrivals=self._arrivals,
            playback=self.playback,
            hearing=hearing,
            delay_s=delay_s,
        )
        told = stages.through(frames) if self._related else stages.around()
        judged = self._related and not self._way.there_and_back  # the E-model is about one way, and about our frames
        return Account(
            kind="mouth_to_ear",
            way=way,
            scheduled=hearing.scheduled,
            heard=len(hearing.heard),
            rejected=len(hearing.rejected),
            lost=len(hearing.lost),
            samples=figures.samples(hearing, self._devices),
            missed=figures.missed(hearing, self._devices),
            stages=told,
            playout=figures.playout(str(self._choice), self.playback.concealed_ratio, self._figures),
            protection=(
                None if found is None else figures.protection(found.recovery(), _ratio(unplayed), *self._cost())
            ),
            quality=figures.quality(delay_s, unplayed, echo_path_s) if judged and delay_s is not None else None,
            beside=figures.beside(stock),
            figures={"listened_s": heard.listened_s},
            spans=(*heard.spans, *stages.plateaus(told)),
        )

    def _heard(self, frames: SentFrames) -> Heard:
        """Return when the talker was heard, and the gaps in it."""
        origin, device_s = frames.origin if self._related else None, self._devices.playback_s
        if origin is None:
            return heard_throughout(self.playback, device_s=device_s)
        stamp, place = origin
        return heard_spells(
            spoken_spells(self._said, self._spoken.duration_s),
            self.playback,
            origin=stamp,
            origin_s=packets_from_s(self._said) + place * self._spoken.codec.ptime_s,
            device_s=device_s,
        )

    @property
    def _device_s(self) -> float:
        return self._devices.capture_s + self._devices.playback_s

    def _mean_delay_s(self, hearing: Hearing | None) -> float | None:
        return float(np.mean(hearing.delays_s)) + self._device_s if hearing is not None and hearing.heard else None

    def sound(self, take: Callable[[Pcm], object]) -> None:
        """Play once more for ``take``, block by block: sound is not kept."""
        self._listen_to(self._arrivals, self._decoder(), lambda _start_s: lambda block: take(block.samples))

    def _play(self, arrivals: Arrivals, decoder: Decoder) -> tuple[Playback, Mapping[str, Any], Hearing | None]:
        """Play ``arrivals`` and find the markers in the sound."""
        spoken, started_s = self._spoken, self._said.started_s
        if started_s is None:
            return *self._listen_to(arrivals, decoder, lambda _start_s: lambda _block: None), None
        due, lasts_s = spoken.train.markers(self.said_s(), start_s=started_s), MARKER_S + spoken.look_ahead_s
        markers = [each for each in due if self._said.said_at(each.spoken_s, each.spoken_s + lasts_s)]
        drift, ears = self._devices.drift, list[LongEar]()

        def listen(start_s: float) -> Callable[[Block | Run], None]:
            ear = LongEar(spoken.train, markers, start_s, advance_s=self._advance_s, drift=drift)
            ears.append(ear)
            return lambda block: ear.hear(block.samples)

        played, said = self._listen_to(arrivals, decoder, listen)
        return played, said, ears[0].hearing()

    def _listen_to(
        self, arrivals: Arrivals, decoder: Decoder, listen: Callable[[float], Callable[[Block | Run], object]]
    ) -> tuple[Playback, Mapping[str, Any]]:
        # The first time the picture is played beside it; then it is held back as it was.
        steering = self._steering or (None if self._lips is None else self._lips.replayed())
        self._steering = None
        return play(
            self._choice,
            self._way.agreed,
            arrivals,
            decoder,
            phase_s=self._phase_s,
            drift=self._devices.drift,
            listen=listen,
            steering=steering,
        )

    def _decoder(self) -> Decoder:
        if not self._said.frames:
            return OpusDecoder()
        codec = self._spoken.codec
        return self._spoken.rehearsal.decoder(conceals=self._choice.policy == "fixed" or codec.dtx or codec.fec)

    def said_s(self) -> float:
        """Return how much of the speech left the talker: all of it, or as much as an interruption let pass."""
        return self._said.lasted_s(self._spoken.duration_s)

    def _cost(self) -> tuple[Unprotected | None, float | None]:
        """Return what the same call would have been without any copy, and the delay that the copies cost."""
        agreed = self._way.agreed
        if agreed is None or not (agreed.sends_red or agreed.nack or self._spoken.codec.fec):
            return None, None
        bare, _, hearing = self._play(self._unprotected, WithoutFec(self._decoder()))
        without_s = self._mean_delay_s(hearing)
        without = Unprotected(delay_s=without_s, concealed_ratio=bare.concealed_ratio)
        return without, None if without_s is None or self.delay_s is None else self.delay_s - without_s

    @cached_property
    def _unprotected(self) -> Arrivals:
        return _unprotected(self._said, self._came, self._way.agreed) if self._related else self._came


def _traced(said: Said, came: Arrivals, spoken: Spoken, agreed: Agreed | None) -> Traced:
    return traced(
        said.departures,
        came,
        frame_samples=spoken.codec.frame_samples,
        # Without in-band FEC asked for the encoder puts none into what it makes, and nothing else is looked at.
        has_fec=has_fec if spoken.codec.fec or not came.known else None,
        red_payload_type=None if agreed is None else agreed.red_payload_type,
    )


def _unprotected(said: Said, came: Arrivals, agreed: Agreed | None) -> Arrivals:
    """Return what would have come without any copy."""
    if agreed is None or not (agreed.sends_red or agreed.nack):
        return came
    return unprotected(
        said.departures, came, payload_type=agreed.opus_payload_type, red_payload_type=agreed.red_payload_type
    )


def _ratio(which: npt.NDArray[np.bool_]) -> float:
    return float(np.mean(which)) if len(which) else 0.0
