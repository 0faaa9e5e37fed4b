"""What was heard: recorded arrivals through a playout policy, markers found, every delay taken apart into stages.

The mouth-to-ear delay of a sound in frame ``i`` is
``capture + packet time + look-ahead + pacing + network + wait in the jitter buffer + device``,
each measured on its own clockwork; what the markers say beyond their sum is the residual.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing, MarkerOutcome, listen
from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.call.peer import Arrival, Peer
from rtcprobe.playout.aiortc import stock_aiortc
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.playout.fixed import FixedDelay
from rtcprobe.playout.replay import Playback, replay
from rtcprobe.probe.speech import Spoken
from rtcprobe.result import MissedMarker, MouthToEar, Sample
from rtcprobe.scenario import Devices, PlayoutChoice
from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["Ear", "first_audio_s"]

_DRAIN_S = 0.1
_FIRST_PACKETS = 16
_CYCLE = 1 << 32


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame's way, seconds since the call started: due to leave, left, arrived, began to play."""

    due_s: float
    left_s: float
    arrived_s: float
    played_s: float


class Ear:
    """One listening side: plays what arrived, hears the markers, and accounts for every millisecond.

    ``phase_s`` is where the loudspeaker's 10 ms grid lies.
    """

    def __init__(
        self, talker: Peer, listener: Peer, spoken: Spoken, *, playout: PlayoutChoice, devices: Devices, phase_s: float
    ) -> None:
        self._talker = talker
        self._spoken = spoken
        self._choice = playout
        self._devices = devices
        self._arrivals = listener.arrivals
        self._policy = FixedDelay(playout.delay_s, OpusDecoder(), payload_type=_payload_type(listener.arrivals))
        self.playback = _play(self._policy, listener.arrivals, phase_s)

    def report(self) -> MouthToEar:
        """Return the direction's account: every scheduled marker heard, rejected or lost."""
        started_s = self._talker.track.started_s
        if started_s is None:
            return MouthToEar(scheduled=0, heard=0, rejected=0, lost=0, playout=self._figures())
        markers = self._spoken.train.markers(self._said_s(started_s), start_s=started_s)
        hearing = listen(
            self.playback.pcm, self.playback.start_s, self._spoken.train, markers, advance_s=self._spoken.advance_s
        )
        return MouthToEar(
            scheduled=hearing.scheduled,
            heard=len(hearing.heard),
            rejected=len(hearing.rejected),
            lost=len(hearing.lost),
            samples=tuple(self._sample(each) for each in hearing.heard),
            missed=tuple(
                MissedMarker(
                    marker=each.marker.index,
                    spoken_s=each.marker.spoken_s - self._devices.capture_s,
                    fate="rejected" if each.outcome == "rejected" else "lost",
                    correlation=each.correlation,
                )
                for each in hearing.outcomes
                if each.outcome != "heard"
            ),
            stages=self._stages(hearing, started_s),
            playout=self._figures(),
            side_figures={"stock aiortc": asdict(stock_aiortc(self._arrivals))},
        )

    def _said_s(self, started_s: float) -> float:
        """Return how much of the speech left the talker: all of it, or as much as an interruption let pass."""
        departures = self._talker.tap.departures
        if self._talker.track.finished.is_set() or not departures:
            return self._spoken.duration_s if departures else 0.0
        return min(self._spoken.duration_s, max(0.0, departures[-1].at_s - started_s))

    def _sample(self, outcome: MarkerOutcome) -> Sample:
        assert outcome.heard_s is not None
        spoken_s = outcome.marker.spoken_s - self._devices.capture_s
        heard_s = outcome.heard_s + self._devices.playback_s
        return Sample(
            marker=outcome.marker.index,
            spoken_s=spoken_s,
            heard_s=heard_s,
            delay_s=heard_s - spoken_s,
            correlation=outcome.correlation,
        )

    def _figures(self) -> Mapping[str, object]:
        return {
            "policy": str(self._choice),
            "concealed_ratio": self.playback.concealed_ratio,
            **asdict(self._policy.figures),
        }

    def _stages(self, hearing: Hearing, started_s: float) -> Mapping[str, float]:
        """Return the mean of every stage over the markers heard; they sum to the mean delay."""
        frames = self._frames(started_s)
        if not frames or not hearing.heard:
            return {}
        fastest_s = min(frame.arrived_s - frame.left_s for frame in frames.values())
        rows = [
            [
                (
                    frame.left_s - frame.due_s,
                    frame.arrived_s - frame.left_s - fastest_s,
                    frame.played_s - frame.arrived_s,
                )
                for frame in self._frames_of(outcome, started_s, frames)
            ]
            for outcome in hearing.heard
        ]
        means = np.mean([np.mean(row, axis=0) for row in rows if row], axis=0)
        codec = self._spoken.codec
        stages = {
            "capture": self._devices.capture_s,
            "packetisation": codec.ptime_s,
            "look_ahead": self._spoken.look_ahead_s,
            "sender_pacing": float(means[0]),
            "network_min": fastest_s,
            "network_variable": float(means[1]),
            "jitter_buffer": float(means[2]),
            "device": self._devices.playback_s,
        }
        total_s = float(np.mean(hearing.delays_s)) + self._devices.capture_s + self._devices.playback_s
        stages["residual"] = total_s - math.fsum(stages.values())
        return stages

    def _frames_of(self, outcome: MarkerOutcome, started_s: float, frames: Mapping[int, _Frame]) -> list[_Frame]:
        """Return the frames that carried a marker, those that arrived and were played."""
        ptime_s = self._spoken.codec.ptime_s
        begin_s = outcome.marker.spoken_s - started_s + self._spoken.look_ahead_s
        first, last = (math.floor(at_s / ptime_s) for at_s in (begin_s, begin_s + 0.079))
        return [frames[index] for index in range(first, last + 1) if index in frames]

    def _frames(self, started_s: float) -> dict[int, _Frame]:
        """Return every frame that was sent, arrived, and had its first sample played, by its index."""
        departures = self._talker.tap.departures
        if not departures or not self._arrivals:
            return {}
        size = self._spoken.codec.frame_samples
        first_sent = next(index for index, payload in enumerate(self._spoken.frames) if payload is not None)
        origin = departures[0].timestamp - first_sent * size
        left_s: dict[int, float] = {}
        for departure in departures:
            left_s.setdefault((departure.timestamp - origin) % _CYCLE // size, departure.at_s)
        arrived_s: dict[int, float] = {}
        for at_s, packet in self._arrivals:
            arrived_s.setdefault((packet.timestamp - origin) % _CYCLE // size, at_s)
        indices = [index for index in left_s if index in arrived_s]
        reference = self._arrivals[0][1].timestamp
        stamps = np.array([_unwrapped(origin + index * size, reference) for index in indices], dtype=np.int64)
        played_s = self.playback.play_instants(stamps)
        return {
            index: _Frame(started_s + (index + 1) * size / RTP_CLOCK_HZ, left_s[index], arrived_s[index], float(at_s))
            for index, at_s in zip(indices, played_s, strict=True)
            if not math.isnan(at_s)
        }


def first_audio_s(
    arrivals: Sequence[Arrival], *, playout: PlayoutChoice, devices: Devices, phase_s: float
) -> float | None:
    """Return when the first sample of the other side was heard, seconds since the call started; None if never."""
    if not arrivals:
        return None
    policy = FixedDelay(playout.delay_s, OpusDecoder(), payload_type=_payload_type(arrivals))
    first = sorted(arrivals, key=lambda arrival: arrival[0])[:_FIRST_PACKETS]
    playback = _play(policy, first, phase_s, drain_s=playout.delay_s + 2 * BLOCK_S)
    reference = first[0][1].timestamp
    stamps = np.array([_unwrapped(packet.timestamp, reference) for _, packet in first], dtype=np.int64)
    instants: npt.NDArray[np.float64] = playback.play_instants(stamps)
    played = instants[~np.isnan(instants)]
    return float(played.min()) + devices.playback_s if len(played) else None


def _play(policy: FixedDelay, arrivals: Sequence[Arrival], phase_s: float, drain_s: float | None = None) -> Playback:
    """Pull audio on the grid of ``phase_s``, from just before the first arrival until the last was surely played."""
    if not arrivals:
        return replay(policy, (), phase_s, phase_s)
    first_s = min(at_s for at_s, _ in arrivals)
    last_s = max(at_s for at_s, _ in arrivals)
    first_tick_s = phase_s + math.floor((first_s - phase_s) / BLOCK_S) * BLOCK_S
    return replay(policy, arrivals, first_tick_s, last_s + (policy.delay_s + _DRAIN_S if drain_s is None else drain_s))


def _payload_type(arrivals: Sequence[Arrival]) -> int:
    """Return the payload type of the stream: that of its first packet (one codec is negotiated)."""
    return arrivals[0][1].payload_type if arrivals else 0


def _unwrapped(timestamp: int, reference: int) -> int:
    """Return ``timestamp`` without wraps, nearest to ``reference`` (an RTP timestamp as it stood in a packet)."""
    half = _CYCLE // 2
    return reference + (timestamp - reference + half) % _CYCLE - half
