"""What was heard: recorded arrivals through a playout policy, markers found, every delay taken apart into stages.

The mouth-to-ear delay of a sound in frame ``i`` is
``capture + packet time + look-ahead + pacing + network + wait in the jitter buffer + wait for the block + device``,
each measured on its own clockwork; what the markers say beyond their sum is the residual. Where NetEQ stretched or
concealed within a marker, that is where it shows. Through a server that is not ours, network and server are one stage:
what passed between departure and arrival; where it encodes anew, whatever our own sides do not account for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing, MarkerOutcome
from rtcprobe.audio.long_ear import LongEar
from rtcprobe.audio.marker import MARKER_S
from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.audio.opus_packet import has_fec, phase_advance_s
from rtcprobe.audio.pcm import Pcm
from rtcprobe.hearing import figures
from rtcprobe.hearing.frames import Seconds, SentFrames
from rtcprobe.hearing.lips import LipSync, Replayed
from rtcprobe.hearing.plateaus import plateaus
from rtcprobe.hearing.playing import play, whole_frames
from rtcprobe.hearing.pooled import CallAccount
from rtcprobe.hearing.relate import related
from rtcprobe.hearing.speech import Spoken
from rtcprobe.hearing.spells import Heard, heard_spells, heard_throughout, spoken_spells
from rtcprobe.playout.aiortc import StockTrace, stock_aiortc
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.base import BLOCK_S, Block, Decoder, Run
from rtcprobe.playout.copies import WithoutFec, unprotected
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.playout.recovery import Traced, traced
from rtcprobe.playout.replay import NO_SOUND, Playback
from rtcprobe.recording import Came, Said
from rtcprobe.result import Account, Protection, Quality, Span, Unprotected
from rtcprobe.scenario import Devices
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.ways import Way
from rtcprobe.wrapping import unwrapped

__all__ = ["Ear"]

_LOOKED_AT = 500
"""Packets of a strange encoder that tell its mode: 10 s of 20 ms."""


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
        found = self._traced() if self._related else None
        stock = stock_aiortc(self._unprotected)
        return CallAccount(
            account=self._report(
                way,
                hearing,
                stages=self._stages(hearing, self._packets_from_s, frames),
                protection=None if found is None else self._protection(found, frames.unplayed),
                quality=(
                    figures.quality(self.delay_s, frames.unplayed, echo_path_s) if self._judged(self.delay_s) else None
                ),
                stock=stock,
                heard=self._heard(frames, self._packets_from_s),
            ),
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
        *,
        stages: Mapping[str, float],
        protection: Protection | None,
        quality: Quality | None,
        stock: StockTrace,
        heard: Heard,
    ) -> Account:
        return Account(
            kind="mouth_to_ear",
            way=way,
            scheduled=hearing.scheduled,
            heard=len(hearing.heard),
            rejected=len(hearing.rejected),
            lost=len(hearing.lost),
            samples=figures.samples(hearing, self._devices),
            missed=figures.missed(hearing, self._devices),
            stages=stages,
            playout=figures.playout(str(self._choice), self.playback.concealed_ratio, self._figures),
            protection=protection,
            quality=quality,
            beside=figures.beside(stock),
            figures={"listened_s": heard.listened_s},
            spans=(*heard.spans, *self._plateaus(hearing, stages)),
        )

    def _heard(self, frames: SentFrames, packets_from_s: float) -> Heard:
        """Return when the talker was heard, and the gaps in it; its first packet began at ``packets_from_s``."""
        origin, device_s = frames.origin if self._related else None, self._devices.playback_s
        if origin is None:
            return heard_throughout(self.playback, device_s=device_s)
        stamp, place = origin
        return heard_spells(
            spoken_spells(self._said, self._spoken.duration_s),
            self.playback,
            origin=stamp,
            origin_s=packets_from_s + place * self._spoken.codec.ptime_s,
            device_s=device_s,
        )

    def _judged(self, delay_s: float | None) -> TypeGuard[float]:
        """Return whether the E-model can say anything: it is about one way, and about what became of our frames."""
        return delay_s is not None and self._related and not self._way.there_and_back

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
        steering = self._steering or (None if self._lips is None else Replayed(self._lips.corrections))
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

    def _protection(self, gone: Traced, unplayed: npt.NDArray[np.bool_]) -> Protection:
        return figures.protection(gone.recovery(), _ratio(unplayed), *self._cost())

    def _traced(self) -> Traced:
        return traced(
            self._said.departures,
            self._came,
            frame_samples=self._spoken.codec.frame_samples,
            # Without in-band FEC asked for the encoder puts none into what it makes, and nothing else is looked at.
            has_fec=has_fec if self._spoken.codec.fec or not self._came.known else None,
            red_payload_type=self._red_payload_type,
        )

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
        agreed = self._way.agreed
        if agreed is None or not (agreed.sends_red or agreed.nack) or not self._related:
            return self._came
        return unprotected(
            self._said.departures,
            self._came,
            payload_type=agreed.opus_payload_type,
            red_payload_type=agreed.red_payload_type,
        )

    def _stages(self, hearing: Hearing, started_s: float, frames: SentFrames) -> Mapping[str, float]:
        """Return the mean of every stage over the markers heard; they sum to the mean delay."""
        if not self._related:
            return self._stages_around(hearing)
        ways = frames.ways(started_s, self._taken_s)
        rows = [ways.mean_waits(*self._places_of(outcome, started_s)) for outcome in hearing.heard]
        known = [row for row in rows if row is not None]
        if not known:
            return {}
        fastest_s = float(ways.network_s.min())
        pacing_s, network_s, buffer_s, block_s = (float(mean) for mean in np.mean(known, axis=0))
        stages = {
            "capture": self._devices.capture_s,
            "packetisation": self._spoken.codec.ptime_s,
            "look_ahead": self._spoken.look_ahead_s,
            "sender_pacing": pacing_s,
            **(
                {"network_and_target": network_s}
                if self._way.forwarded
                else {"network_min": fastest_s, "network_variable": network_s - fastest_s}
            ),
            "jitter_buffer": buffer_s,
            "decode_block": block_s,
            "device": self._devices.playback_s,
        }
        assert self.delay_s is not None
        total_s = self.delay_s
        stages["residual"] = total_s - math.fsum(stages.values())
        return stages

    def _stages_around(self, hearing: Hearing) -> Mapping[str, float]:
        """Return the stages on our own sides, and what is between: the network, and a server that encodes anew."""
        rows = [row for outcome in hearing.heard for row in self._waits(outcome)]
        pacing_s = self._said.pacing_lateness_s()
        if not rows or not pacing_s or self.delay_s is None:
            return {}
        buffer_s, block_s = (float(mean) for mean in np.mean(rows, axis=0))
        stages = {
            "capture": self._devices.capture_s,
            "packetisation": self._spoken.codec.ptime_s,
            "look_ahead": self._spoken.look_ahead_s,
            "sender_pacing": float(np.mean(pacing_s)),
            "network_and_target": 0.0,
            **(self._way.mixed and {**self._way.mixed, "mixer": 0.0}),
            "jitter_buffer": buffer_s,
            "decode_block": block_s,
            "device": self._devices.playback_s,
        }
        between = "mixer" if self._way.mixed else "network_and_target"
        stages[between] = self.delay_s - math.fsum(stages.values())
        return {name: each for name, each in stages.items() if name != "network_and_target" or name == between}

    def _plateaus(self, hearing: Hearing, stages: Mapping[str, float]) -> Iterator[Span]:
        """Yield the plateaus of how long a mixer kept the markers that were heard."""
        if "mixer" not in stages:
            return
        not_ours = ("mixer", "jitter_buffer", "decode_block")
        ours_s = math.fsum(each for name, each in stages.items() if name not in not_ours)
        kept = []
        for outcome in hearing.heard:
            waits = self._waits(outcome)
            if waits and outcome.delay_s is not None:
                held_s = float(np.mean([sum(each) for each in waits]))
                kept.append((outcome.marker.spoken_s, outcome.delay_s + self._device_s - ours_s - held_s))
        for each in plateaus(kept):
            yield Span(what="plateau", from_s=each.from_s, until_s=each.until_s, delay_s=each.kept_s)

    def _waits(self, outcome: MarkerOutcome) -> list[tuple[float, float]]:
        """Return how long the packets that a marker was heard from waited, in the buffer and for their block."""
        assert outcome.heard_s is not None
        playback = self.playback
        stamps, came_s = self._came_s
        first = (outcome.heard_s - playback.start_s) * (1 + playback.drift) / BLOCK_S
        waits = []
        for place in range(math.floor(first), math.floor(first + 0.079 / BLOCK_S) + 1):
            block = int(playback.stamps[place]) if 0 <= place < len(playback.stamps) else NO_SOUND
            if block == NO_SOUND:
                continue
            packet = max(0, int(np.searchsorted(stamps, block, side="right")) - 1)
            played_s = playback.start_s + place * BLOCK_S / (1 + playback.drift)
            played_s -= (block - int(stamps[packet])) / RTP_CLOCK_HZ
            arrived_s = float(came_s[packet])
            taken_s = float(self._taken_s(came_s[packet : packet + 1])[0])
            waits.append((played_s - taken_s, taken_s - arrived_s))
        return waits

    @cached_property
    def _came_s(self) -> tuple[npt.NDArray[np.int64], Seconds]:
        """The RTP times (unwrapped, ascending) that arrived, and when each came first; shapes (packets,)."""
        stamps = self._arrivals.timestamps
        known, first = np.unique(unwrapped(stamps, int(stamps[0]), 32), return_index=True)
        return known, self._arrivals.at_s[first]

    def _places_of(self, outcome: MarkerOutcome, started_s: float) -> tuple[int, int]:
        """Return the places in the speech of the first and the last frame that carry a marker."""
        ptime_s = self._spoken.codec.ptime_s
        begin_s = outcome.marker.spoken_s - started_s + self._spoken.look_ahead_s
        return math.floor(begin_s / ptime_s), math.floor((begin_s + 0.079) / ptime_s)

    def _taken_s(self, arrived_s: Seconds) -> Seconds:
        """Return when packets were first seen: at the next block for NetEQ, which knows ticks; else at once."""
        if self._choice.policy != "neteq":
            return arrived_s
        period_s = BLOCK_S / (1 + self.playback.drift)
        ticks = np.ceil((arrived_s - self.playback.start_s) / period_s - 1e-9)
        return self.playback.start_s + ticks * period_s

    @property
    def _packets_from_s(self) -> float:
        """When the first packet began to be spoken."""
        assert self._said.started_s is not None
        begun = self._said.frames or not self._said.departures
        return self._said.started_s if begun else self._said.packets_from_s

    @property
    def _red_payload_type(self) -> int | None:
        agreed = self._way.agreed
        return None if agreed is None else agreed.red_payload_type


def _ratio(which: npt.NDArray[np.bool_]) -> float:
    return float(np.mean(which)) if len(which) else 0.0
