"""What was heard: recorded arrivals through a playout policy, markers found, every delay taken apart into stages.

The mouth-to-ear delay of a sound in frame ``i`` is
``capture + packet time + look-ahead + pacing + network + wait in the jitter buffer + wait for the block + device``,
each measured on its own clockwork; what the markers say beyond their sum is the residual. Where NetEQ stretched or
concealed within a marker, that is where it shows. Through a server that is not ours, network and server are one stage:
what passed between departure and arrival; where it encodes anew, whatever our own sides do not account for.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing, MarkerOutcome, listen
from rtcprobe.audio.opus_packet import has_fec, is_dtx
from rtcprobe.call.peer import Arrival, Peer
from rtcprobe.playout.aiortc import StockTrace, stock_aiortc
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.playout.copies import WithoutFec, unprotected
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.playout.recovery import Traced, traced
from rtcprobe.playout.replay import Playback
from rtcprobe.probe import figures
from rtcprobe.probe.playing import play, unwrapped, whole_frames
from rtcprobe.probe.pooled import Account
from rtcprobe.probe.relate import related
from rtcprobe.probe.speech import Spoken
from rtcprobe.result import MouthToEar
from rtcprobe.scenario import Devices
from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["Ear"]

_STEP_SAMPLES = 240
_CYCLE = 1 << 32


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame's way, seconds since the call started: due to leave, left, arrived, taken up, began to play."""

    due_s: float
    left_s: float
    arrived_s: float
    taken_s: float
    played_s: float


class Ear:
    """One listening side: plays what arrived, hears the markers, and accounts for every millisecond.

    ``phase_s`` is where the loudspeaker's 10 ms grid lies; ``outside`` says that a server stands between the two.
    """

    def __init__(
        self,
        talker: Peer,
        listener: Peer,
        spoken: Spoken,
        *,
        playout: PlayoutChoice,
        devices: Devices,
        phase_s: float,
        outside: bool = False,
    ) -> None:
        self._talker = talker
        self._listener = listener
        self._outside = outside
        found = related(talker, listener) if outside else listener.arrivals
        self._related = found is not None
        """Whether packets that arrived can be told from those that left."""
        self._came = listener.arrivals if found is None else found
        self._spoken = spoken
        self._choice = playout
        self._devices = devices
        self._phase_s = phase_s
        self._whole = whole_frames(talker, listener, self._came) if self._related else self._came
        self._arrivals = self._came if playout.knows_red else self._whole
        self.playback, self._figures = play(
            playout, listener, self._arrivals, self._spoken.rehearsal.decoder(), phase_s=phase_s, drift=devices.drift
        )

    @property
    def delay_s(self) -> float | None:
        """The mean mouth-to-ear delay; None where no marker was heard."""
        return self._mean_delay_s(self._hearing)

    def account(self, echo_path_s: float | None) -> Account:
        """Return the direction's account: every scheduled marker heard, rejected or lost.

        ``echo_path_s`` is the mean of both directions' delays: how far away an echo would come from.
        """
        started_s, hearing = self._talker.track.started_s, self._hearing
        if started_s is None or hearing is None:
            silent = MouthToEar(scheduled=0, heard=0, rejected=0, lost=0, playout={"policy": str(self._choice)})
            return Account(ear=silent)
        stock = stock_aiortc(self._unprotected)
        return Account(
            ear=self._report(hearing, started_s, echo_path_s, stock),
            blocks=len(self.playback.sounding),
            unplayed=self._unplayed if self._related else None,
            traced=self._traced if self._related else None,
            stock=stock,
            echo_path_s=echo_path_s,
        )

    def _report(self, hearing: Hearing, started_s: float, echo_path_s: float | None, stock: StockTrace) -> MouthToEar:
        return MouthToEar(
            scheduled=hearing.scheduled,
            heard=len(hearing.heard),
            rejected=len(hearing.rejected),
            lost=len(hearing.lost),
            samples=figures.samples(hearing, self._devices),
            missed=figures.missed(hearing, self._devices),
            stages=self._stages(hearing, started_s),
            playout={
                "policy": str(self._choice),
                "concealed_ratio": self.playback.concealed_ratio,
                **self._figures,
            },
            protection=self._protection() if self._related else {},
            quality=figures.quality(self.delay_s, self._unplayed, echo_path_s) if self._judged(self.delay_s) else {},
            side_figures={"stock aiortc": asdict(stock.figures())},
        )

    def _judged(self, delay_s: float | None) -> TypeGuard[float]:
        """Return whether the E-model can say anything: it is about one way, and about what became of our frames."""
        return delay_s is not None and self._related and self._talker is not self._listener

    @property
    def _device_s(self) -> float:
        return self._devices.capture_s + self._devices.playback_s

    def _mean_delay_s(self, hearing: Hearing | None) -> float | None:
        return float(np.mean(hearing.delays_s)) + self._device_s if hearing is not None and hearing.heard else None

    @cached_property
    def _hearing(self) -> Hearing | None:
        return self._hear(self.playback)

    def _hear(self, playback: Playback) -> Hearing | None:
        """Find the markers; a loudspeaker that drifts is heard on its own clock, then told in true time."""
        spoken = self._spoken
        started_s = self._talker.track.started_s
        if started_s is None:
            return None
        markers = spoken.train.markers(self.said_s(), start_s=started_s)
        hearing = listen(playback.pcm, playback.start_s, spoken.train, markers, advance_s=spoken.advance_s)
        if not playback.drift:
            return hearing
        return hearing.with_clock(
            lambda heard_s: playback.start_s + (heard_s - playback.start_s) / (1 + playback.drift)
        )

    def said_s(self) -> float:
        """Return how much of the speech left the talker: all of it, or as much as an interruption let pass."""
        departures, started_s = self._talker.tap.departures, self._talker.track.started_s
        if started_s is None:
            return 0.0
        if self._talker.track.finished.is_set() or not departures:
            return self._spoken.duration_s if departures else 0.0
        return min(self._spoken.duration_s, max(0.0, departures[-1].at_s - started_s))

    def _protection(self) -> Mapping[str, Any]:
        """Return what was lost on the way, what each kind of copy brought back and cost, and what was never heard."""
        found = self._traced.recovery()
        return {**asdict(found), "loss": found.loss_ratios(), "unplayed": self._unplayed_ratio, **self._cost()}

    @cached_property
    def _traced(self) -> Traced:
        return traced(
            self._talker.tap.departures,
            self._came,
            frame_samples=self._spoken.codec.frame_samples,
            has_fec=has_fec,
            red_payload_type=self._red_payload_type,
        )

    def _cost(self) -> Mapping[str, Any]:
        """Return what the same call would have been without any copy, and the delay that the copies cost."""
        agreed = self._listener.negotiated
        if agreed is None or not (agreed.sends_red or agreed.nack or self._spoken.codec.fec):
            return {}
        bare, _ = play(
            self._choice,
            self._listener,
            self._unprotected,
            WithoutFec(self._spoken.rehearsal.decoder()),
            phase_s=self._phase_s,
            drift=self._devices.drift,
        )
        without_s = self._mean_delay_s(self._hear(bare))
        return {
            "without": {"delay_s": without_s, "concealed_ratio": bare.concealed_ratio},
            "cost_s": None if without_s is None or self.delay_s is None else self.delay_s - without_s,
        }

    @cached_property
    def _unprotected(self) -> list[Arrival]:
        agreed = self._listener.negotiated
        if agreed is None or not (agreed.sends_red or agreed.nack) or not self._related:
            return self._came
        return unprotected(
            self._talker.tap.departures,
            self._came,
            payload_type=agreed.opus_payload_type,
            red_payload_type=agreed.red_payload_type,
        )

    def _stages(self, hearing: Hearing, started_s: float) -> Mapping[str, float]:
        """Return the mean of every stage over the markers heard; they sum to the mean delay."""
        if not self._related:
            return self._stages_around(hearing)
        frames = self._frames(started_s)
        rows = [self._row(outcome, started_s, frames) for outcome in hearing.heard]
        known = [row for row in rows if row is not None]
        if not known:
            return {}
        fastest_s = min(frame.arrived_s - frame.left_s for frame in frames.values())
        pacing_s, network_s, buffer_s, block_s = (float(mean) for mean in np.mean(known, axis=0))
        stages = {
            "capture": self._devices.capture_s,
            "packetisation": self._spoken.codec.ptime_s,
            "look_ahead": self._spoken.look_ahead_s,
            "sender_pacing": pacing_s,
            **(
                {"network_and_target": network_s}
                if self._outside
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
        pacing_s = self._talker.pacing_lateness_s()
        if not rows or not pacing_s or self.delay_s is None:
            return {}
        buffer_s, block_s = (float(mean) for mean in np.mean(rows, axis=0))
        stages = {
            "capture": self._devices.capture_s,
            "packetisation": self._spoken.codec.ptime_s,
            "look_ahead": self._spoken.look_ahead_s,
            "sender_pacing": float(np.mean(pacing_s)),
            "network_and_target": 0.0,
            "jitter_buffer": buffer_s,
            "decode_block": block_s,
            "device": self._devices.playback_s,
        }
        stages["network_and_target"] = self.delay_s - math.fsum(stages.values())
        return stages

    def _waits(self, outcome: MarkerOutcome) -> list[tuple[float, float]]:
        """Return how long the packets that a marker was heard from waited, in the buffer and for their block."""
        assert outcome.heard_s is not None
        reference = self._arrivals[0][1].timestamp
        came_s = {unwrapped(packet.timestamp, reference): at_s for at_s, packet in reversed(self._arrivals)}
        stamps = sorted(came_s)
        first = (outcome.heard_s - self.playback.start_s) * (1 + self.playback.drift) / BLOCK_S
        waits = []
        for place in range(math.floor(first), math.floor(first + 0.079 / BLOCK_S) + 1):
            block = self.playback.blocks[place] if 0 <= place < len(self.playback.blocks) else None
            if block is None or block.rtp_timestamp is None:
                continue
            stamp = stamps[max(0, bisect_right(stamps, block.rtp_timestamp) - 1)]
            played_s = self.playback.start_s + place * BLOCK_S / (1 + self.playback.drift)
            played_s -= (block.rtp_timestamp - stamp) / RTP_CLOCK_HZ
            taken_s = self._taken_s(came_s[stamp])
            waits.append((played_s - taken_s, taken_s - came_s[stamp]))
        return waits

    def _row(
        self, outcome: MarkerOutcome, started_s: float, frames: Mapping[int, _Frame]
    ) -> tuple[float, float, float, float] | None:
        """Return a marker's mean pacing, network, buffer and block times; None where none of its frames was played."""
        ptime_s = self._spoken.codec.ptime_s
        begin_s = outcome.marker.spoken_s - started_s + self._spoken.look_ahead_s
        first, last = (math.floor(at_s / ptime_s) for at_s in (begin_s, begin_s + 0.079))
        carried = [frames[index] for index in range(first, last + 1) if index in frames]
        if not carried:
            return None
        count = len(carried)
        return (
            sum(frame.left_s - frame.due_s for frame in carried) / count,
            sum(frame.arrived_s - frame.left_s for frame in carried) / count,
            sum(frame.played_s - frame.taken_s for frame in carried) / count,
            sum(frame.taken_s - frame.arrived_s for frame in carried) / count,
        )

    def _frames(self, started_s: float) -> dict[int, _Frame]:
        """Return every frame that was sent, arrived, and had its first sample played, by its index."""
        size = self._spoken.codec.frame_samples
        arrived_s = {packet.timestamp: at_s for at_s, packet in self._whole}
        out: dict[int, _Frame] = {}
        for index, (timestamp, left_s) in zip(self._sent_indices, self._left_s.items(), strict=True):
            played_s = float(self._played_s[timestamp])
            if timestamp in arrived_s and not math.isnan(played_s):
                at_s = arrived_s[timestamp]
                due_s = started_s + (index + 1) * size / RTP_CLOCK_HZ
                out[index] = _Frame(due_s, left_s, at_s, self._taken_s(at_s), played_s)
        return out

    def _taken_s(self, arrived_s: float) -> float:
        """Return when a packet was first seen: at the next block for NetEQ, which knows ticks; else at once."""
        if self._choice.policy != "neteq":
            return arrived_s
        period_s = BLOCK_S / (1 + self.playback.drift)
        ticks = math.ceil((arrived_s - self.playback.start_s) / period_s - 1e-9)
        return self.playback.start_s + ticks * period_s

    @cached_property
    def _left_s(self) -> dict[int, float]:
        """When each frame first left, by RTP timestamp, in the order sent."""
        left_s: dict[int, float] = {}
        for departure in self._talker.tap.departures:
            left_s.setdefault(departure.timestamp, departure.at_s)
        return left_s

    @cached_property
    def _sent_indices(self) -> list[int]:
        """The place in the speech of each frame of ``_left_s``."""
        size = self._spoken.codec.frame_samples
        timestamps = list(self._left_s)
        if not timestamps:
            return []
        first_sent = next(index for index, payload in enumerate(self._spoken.frames) if payload is not None)
        return [first_sent + (timestamp - timestamps[0]) % _CYCLE // size for timestamp in timestamps]

    @cached_property
    def _played_s(self) -> dict[int, float]:
        """When each frame sent began to play, by RTP timestamp; NaN where nothing of it was played."""
        if not self._arrivals:
            return dict.fromkeys(self._left_s, math.nan)
        # Accelerating cuts up to 15 ms out of a frame that is played all the same, so it is asked for all along.
        reference = self._arrivals[0][1].timestamp
        stamps = np.array([unwrapped(timestamp, reference) for timestamp in self._left_s], dtype=np.int64)
        instants = np.full(len(stamps), np.nan)
        for inside in range(0, self._spoken.codec.frame_samples, _STEP_SAMPLES):
            missing = np.isnan(instants)
            instants[missing] = self.playback.play_instants(stamps[missing] + inside) - inside / RTP_CLOCK_HZ
        return dict(zip(self._left_s, instants.tolist(), strict=True))

    @cached_property
    def _unplayed(self) -> npt.NDArray[np.bool_]:
        """Of each frame sent, whether its sound never came out: it never came, or too late."""
        size = self._spoken.codec.frame_samples
        came = {packet.timestamp for _, packet in self._whole}
        if self._spoken.codec.fec:
            came |= {(packet.timestamp - size) % _CYCLE for _, packet in self._whole if has_fec(packet.payload)}
        frames = self._spoken.frames
        return np.array(
            [
                timestamp not in came or math.isnan(at_s)
                for index, (timestamp, at_s) in zip(self._sent_indices, self._played_s.items(), strict=True)
                if not is_dtx(frames[index % len(frames)] or b"")  # of those nothing is played: they say so
            ]
        )

    @property
    def _red_payload_type(self) -> int | None:
        agreed = self._listener.negotiated
        return None if agreed is None else agreed.red_payload_type

    @property
    def _unplayed_ratio(self) -> float:
        return float(np.mean(self._unplayed)) if len(self._unplayed) else 0.0
