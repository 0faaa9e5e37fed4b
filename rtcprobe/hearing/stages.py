"""Where the delay of the markers heard on one way went: stage by stage, and what a mixer between kept back.

Rules:
    1. Stages sum to the mean delay of the markers heard: where packets that came are told from those that left, what
       their own clockworks do not account for is the residual (stretched and concealed sound); else it is what lies
       between.
    2. A marker went the way of the frames that carry it. Each stage is its frames' mean, then the markers'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing, MarkerOutcome
from rtcprobe.hearing.frames import Seconds, SentFrames
from rtcprobe.hearing.plateaus import plateaus
from rtcprobe.hearing.speech import Spoken
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.playout.replay import NO_SOUND, Playback
from rtcprobe.recording import Came, Said
from rtcprobe.result import Span
from rtcprobe.scenario import Devices
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import unwrapped

__all__ = ["Stages", "packets_from_s"]


def packets_from_s(said: Said) -> float:
    """Return when the first packet of one that spoke began to be spoken, seconds since the call's epoch."""
    assert said.started_s is not None
    return said.started_s if said.frames or not said.departures else said.packets_from_s


@dataclass(frozen=True, kw_only=True, eq=False)
class Stages:
    """The stages of one way: ``playback`` of ``arrivals``, and the markers heard in it, ``delay_s`` in the mean."""

    said: Said
    came: Came
    spoken: Spoken
    choice: PlayoutChoice
    devices: Devices
    arrivals: Arrivals
    playback: Playback
    hearing: Hearing
    delay_s: float | None

    def through(self, frames: SentFrames) -> Mapping[str, float]:
        """Return the mean of every stage over the markers heard; they sum to the mean delay.

        ``frames`` tells those that were played from those that left.
        """
        started_s = packets_from_s(self.said)
        # Only frames that were played went a whole way; of a marker whose frames were concealed no row is
        # known, and its delay is in the residual.
        ways = frames.ways(started_s, self._taken_s)
        rows = [ways.mean_waits(*self._places_of(outcome, started_s)) for outcome in self.hearing.heard]
        known = [row for row in rows if row is not None]
        if not known:
            return {}
        fastest_s = float(ways.network_s.min())
        pacing_s, network_s, buffer_s, block_s = (float(mean) for mean in np.mean(known, axis=0))
        stages = {
            "capture": self.devices.capture_s,
            "packetisation": self.spoken.codec.ptime_s,
            "look_ahead": self.spoken.look_ahead_s,
            "sender_pacing": pacing_s,
            **(
                {"network_and_target": network_s}
                if self.came.forwarded
                else {"network_min": fastest_s, "network_variable": network_s - fastest_s}
            ),
            "jitter_buffer": buffer_s,
            "decode_block": block_s,
            "device": self.devices.playback_s,
        }
        assert self.delay_s is not None
        # The residual takes what the clockworks do not explain: sound that was stretched within a marker, or
        # an instant that concealment moved. 1v1-social over ``delay 40ms`` leaves 0.14 and 0.17 ms.
        total_s = self.delay_s
        stages["residual"] = total_s - math.fsum(stages.values())
        return stages

    def around(self) -> Mapping[str, float]:
        """Return the stages on our own sides, and what is between: the network, and a server that encodes anew."""
        rows = [row for outcome in self.hearing.heard for row in self._waits(outcome)]
        pacing_s = self.said.pacing_lateness_s()
        if not rows or not pacing_s or self.delay_s is None:
            return {}
        buffer_s, block_s = (float(mean) for mean in np.mean(rows, axis=0))
        stages = {
            "capture": self.devices.capture_s,
            "packetisation": self.spoken.codec.ptime_s,
            "look_ahead": self.spoken.look_ahead_s,
            "sender_pacing": float(np.mean(pacing_s)),
            "network_and_target": 0.0,
            **(self.came.mixed and {**self.came.mixed, "mixer": 0.0}),
            "jitter_buffer": buffer_s,
            "decode_block": block_s,
            "device": self.devices.playback_s,
        }
        # Where a mixer's own way is measured otherwise (``mixed``), what remains is what it kept back.
        between = "mixer" if self.came.mixed else "network_and_target"
        stages[between] = self.delay_s - math.fsum(stages.values())
        return {name: each for name, each in stages.items() if name != "network_and_target" or name == between}

    def plateaus(self, stages: Mapping[str, float]) -> Iterator[Span]:
        """Yield the plateaus of how long a mixer kept the markers that were heard."""
        if "mixer" not in stages:
            return
        not_ours = ("mixer", "jitter_buffer", "decode_block")
        # The mean of everything else is taken off every marker, its own wait in the buffer too: what is left
        # is the mixer's, marker by marker.
        ours_s = math.fsum(each for name, each in stages.items() if name not in not_ours)
        device_s, kept = self.devices.capture_s + self.devices.playback_s, []
        for outcome in self.hearing.heard:
            waits = self._waits(outcome)
            if waits and outcome.delay_s is not None:
                held_s = float(np.mean([sum(each) for each in waits]))
                kept.append((outcome.marker.spoken_s, outcome.delay_s + device_s - ours_s - held_s))
        for each in plateaus(kept):
            yield Span(what="plateau", from_s=each.from_s, until_s=each.until_s, delay_s=each.kept_s)

    def _waits(self, outcome: MarkerOutcome) -> list[tuple[float, float]]:
        """Return how long the packets that a marker was heard from waited, in the buffer and for their block."""
        assert outcome.heard_s is not None
        playback = self.playback
        stamps, came_s = self._came_s
        first = (outcome.heard_s - playback.start_s) * (1 + playback.drift) / BLOCK_S
        waits = []
        # A millisecond short of the marker's 80: its last sample, should it end on a block's edge, is in the
        # block before.
        for place in range(math.floor(first), math.floor(first + 0.079 / BLOCK_S) + 1):
            block = int(playback.stamps[place]) if 0 <= place < len(playback.stamps) else NO_SOUND
            if block == NO_SOUND:
                continue
            packet = max(0, int(np.searchsorted(stamps, block, side="right")) - 1)
            played_s = playback.start_s + place * BLOCK_S / (1 + playback.drift)
            # Back to the beginning of the packet that the block is a part of: waiting is counted from a
            # packet's first sample.
            played_s -= (block - int(stamps[packet])) / RTP_CLOCK_HZ
            arrived_s = float(came_s[packet])
            taken_s = float(self._taken_s(came_s[packet : packet + 1])[0])
            waits.append((played_s - taken_s, taken_s - arrived_s))
        return waits

    @cached_property
    def _came_s(self) -> tuple[npt.NDArray[np.int64], Seconds]:
        """The RTP times (unwrapped, ascending) that arrived, and when each came first; shapes (packets,)."""
        stamps = self.arrivals.timestamps
        known, first = np.unique(unwrapped(stamps, int(stamps[0]), 32), return_index=True)
        return known, self.arrivals.at_s[first]

    def _places_of(self, outcome: MarkerOutcome, started_s: float) -> tuple[int, int]:
        """Return the places in the speech of the first and the last frame that carry a marker."""
        ptime_s = self.spoken.codec.ptime_s
        begin_s = outcome.marker.spoken_s - started_s + self.spoken.look_ahead_s
        return math.floor(begin_s / ptime_s), math.floor((begin_s + 0.079) / ptime_s)

    def _taken_s(self, arrived_s: Seconds) -> Seconds:
        """Return when packets were first seen: at the next block for NetEQ, which knows ticks; else at once."""
        if self.choice.policy != "neteq":
            return arrived_s
        period_s = BLOCK_S / (1 + self.playback.drift)
        # NetEQ stamps arrivals by ticks (``tick_timer.h``): what comes between two of them is there from the
        # next on. A trifle is allowed for, or a packet on the very tick would wait a whole one.
        ticks = np.ceil((arrived_s - self.playback.start_s) / period_s - 1e-9)
        return self.playback.start_s + ticks * period_s
