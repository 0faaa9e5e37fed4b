"""What was heard of sound that its listener played by itself: a browser's, whose jitter buffer is not ours to replay.

Facts:
    The listener's blocks of 10 ms are pulled by its output device, each with the instant at which it was. What an
    element plays goes on to the device from there: that is ``devices.playback``, as of every other listener.
    A device that stops for a moment makes the jitter buffer fall behind, and it catches up in seconds: a stall of
    140 ms of the machine was in the delays of the next 4 s. That is the instrument's doing, not the network's.
    NetEQ plays what has come at the next pull, and packets come every 20 ms: how long they wait for it is the same
    through a call, and anything up to 10 ms from call to call (``tick_wait_s``). Of seven calls over no link five were
    heard after 49.7 to 58.0 ms, and after 47.9 to 48.1 of that wait taken off; NetEQ itself held two 2 ms longer.

Rules:
    1. Sound lies on a timeline without gaps where blocks follow each other within ``_GAP_S``; a longer gap is silence,
       and from it on the timeline is set anew. A marker's instant is that of the block it begins in.
    2. Markers within ``SETTLING_S`` after such a gap, or after a piece of the mouth's that was ``_GAP_S`` late, are set
       aside: they are not scheduled, and are counted.
    3. Where the talker is ours and nothing stands between, its packets are known by their timestamps: then network and
       page are told apart. So are they where packets that came back of a server could be told. Else they are one stage.
    4. Of several tracks that were played at the same time the talker's is the one in which most of its markers are
       heard: markers of one train are not in another's sound, however loud it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing
from rtcprobe.audio.long_ear import LongEar
from rtcprobe.audio.marker import MARKER_S, Marker
from rtcprobe.audio.opus_packet import BROWSER_ADVANCE_S
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.hearing import figures
from rtcprobe.hearing.passage import LOOK_AHEAD_SAMPLES
from rtcprobe.hearing.pooled import CallAccount
from rtcprobe.hearing.speech import Spoken
from rtcprobe.playout.copies import Left
from rtcprobe.recording import Came, Said, Sounded
from rtcprobe.result import Account, Span
from rtcprobe.scenario import Devices
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.ways import Way

__all__ = [
    "MOST_UNSETTLED",
    "SETTLING_S",
    "Disturbance",
    "PlayedEar",
    "disturbances",
    "first_sound_s",
    "played_ear",
    "tick_wait_s",
    "unsettled_s",
]

# Twice what was seen: a stall was in the delays of the next 4 s (Facts), and NetEQ takes a longer one back at
# a hundred milliseconds a second at most.
SETTLING_S: Final = 10.0
MOST_UNSETTLED: Final = 0.05
"""Of a call, or of its markers: more of it after such stalls, and its figures are the machine's."""
_GAP_S: Final = 0.015
"""Between the pulls of a muted output of Chromium's lay 10.0 ms, p99 10.3; a gap of 15.4 ms raised a call's delay by
10 ms for seconds, none below 15 did."""
_SOUND: Final = 1.5 / 32768
"""Of full scale. Before the first packet a browser plays true zeros; of the quietest programme (-80 dBFS) come out two
steps of 16 bits and more."""
_PTIME_S: Final = 0.020
"""What browsers put into a packet where nobody asks for something else. Source: RFC 7587 §6.1."""


def played_ear(said: Said, came: Came, spoken: Spoken, *, devices: Devices) -> PlayedEar:
    """Return the ear of the track in which the talker is heard (rule 4); of several alike, of the first."""
    assert came.sound is not None
    tracks = (came.sound, *came.beside)
    ears = [PlayedEar(said, replace(came, sound=each, beside=()), spoken, devices=devices) for each in tracks]
    return max(ears, key=lambda ear: ear.heard)


class PlayedEar:
    """One listening side that played by itself (``ears.Ear`` plays what arrived)."""

    def __init__(self, said: Said, came: Came, spoken: Spoken, *, devices: Devices) -> None:
        assert came.sound is not None
        self._said, self._came, self._spoken, self._devices = said, came, spoken, devices
        self._line = _Timeline(came.sound)
        self._set_aside = 0
        self._hearing = self._heard()

    @property
    def heard(self) -> int:
        """How many markers were heard."""
        return 0 if self._hearing is None else len(self._hearing.heard)

    @property
    def start_s(self) -> float:
        """When the first sample was pulled."""
        return self._line.start_s

    @property
    def delay_s(self) -> float | None:
        """The mean mouth-to-ear delay; None where no marker was heard."""
        hearing = self._hearing
        return float(np.mean(hearing.delays_s)) + self._device_s if hearing is not None and hearing.heard else None

    def said_s(self) -> float:
        """Return how much of the speech left the talker."""
        return self._said.lasted_s(self._spoken.duration_s)

    def sound(self, take: Callable[[Pcm], object]) -> None:
        """Give what was played to ``take``."""
        take(self._line.pcm)

    def account(self, way: Way, echo_path_s: float | None) -> CallAccount:
        """Return the account of ``way``: every scheduled marker heard, rejected or lost."""
        hearing, sound = self._hearing, self._came.sound
        assert sound is not None
        counts: dict[str, float] = {"markers_set_aside": self._set_aside, "pulls_late": len(self._line.gaps_s)}
        counts |= {f"page_{name}": value for name, value in sound.figures.items()}
        received = sound.figures.get("totalSamplesReceived")
        wait_s = tick_wait_s(self._came)
        counts |= {} if wait_s is None else {"tick_wait_ms": 1e3 * wait_s}
        # Silence made up while nobody spoke is no concealment that anybody hears.
        # W3C counts both from the beginning of the track, silence before the first packet included.
        made_up = sound.figures.get("concealedSamples", 0.0) - sound.figures.get("silentConcealedSamples", 0.0)
        ratio = made_up / received if received else None
        playout = figures.playout("the browser's own", ratio, counts)
        if hearing is None:
            empty = Account(kind="mouth_to_ear", way=way, scheduled=0, heard=0, rejected=0, lost=0, playout=playout)
            return CallAccount(account=empty)
        return CallAccount(
            account=Account(
                kind="mouth_to_ear",
                way=way,
                scheduled=hearing.scheduled,
                heard=len(hearing.heard),
                rejected=len(hearing.rejected),
                lost=len(hearing.lost),
                samples=figures.samples(hearing, self._devices),
                missed=figures.missed(hearing, self._devices),
                stages=self._stages(),
                playout=playout,
                figures={"listened_s": sum(each.until_s - each.from_s for each in self._spells())},
                spans=self._spells(),
            ),
            blocks=len(sound.sizes),
            echo_path_s=echo_path_s,
        )

    def _spells(self) -> tuple[Span, ...]:
        """Return when the talker was heard: from the first marker to the last, for more is not known."""
        heard = (
            [] if self._hearing is None else [each.heard_s for each in self._hearing.heard if each.heard_s is not None]
        )
        if not heard:
            return ()
        device_s = self._devices.playback_s
        return (Span(what="heard", from_s=min(heard) + device_s, until_s=max(heard) + MARKER_S + device_s),)

    @property
    def _device_s(self) -> float:
        return self._devices.capture_s + self._devices.playback_s

    def _heard(self) -> Hearing | None:
        started_s = self._said.started_s
        if started_s is None:
            return None
        lasts_s = MARKER_S + self._spoken.look_ahead_s
        scheduled = self._spoken.train.markers(self.said_s(), start_s=started_s)
        due = [each for each in scheduled if self._said.said_at(each.spoken_s, each.spoken_s + lasts_s)]
        settled = [each for each in due if not self._unsettled(each)]
        self._set_aside = len(due) - len(settled)
        # Of what a browser encodes no packet is looked at here: what it sends unasked is known.
        advance_s = self._spoken.advance_s if self._said.frames else BROWSER_ADVANCE_S
        ear = LongEar(self._spoken.train, settled, self._line.start_s, advance_s=advance_s)
        ear.hear(self._line.pcm)
        return ear.hearing().with_clock(self._line.instant_s)

    def _unsettled(self, marker: Marker) -> bool:
        """Return whether a marker is set aside (rule 2)."""
        return any(0.0 <= marker.spoken_s + MARKER_S - each.at_s < SETTLING_S for each in self._disturbances)

    @cached_property
    def _disturbances(self) -> list[Disturbance]:
        assert self._came.sound is not None
        # Before the first packet there was no jitter buffer to fall behind.
        first_s = self._came.arrivals[0][0] if len(self._came.arrivals) else -math.inf
        return [each for each in disturbances(self._said, self._came.sound) if each.at_s >= first_s]

    def _stages(self) -> Mapping[str, float]:
        """Return the mean of every stage; they sum to the mean delay."""
        total_s = self.delay_s
        if total_s is None:
            return {}
        ours = bool(self._said.frames)
        look_ahead_s = self._spoken.look_ahead_s if ours else LOOK_AHEAD_SAMPLES / SAMPLE_RATE_HZ
        pacing_s = self._said.pacing_lateness_s()
        stages = {
            "capture": self._devices.capture_s,
            "packetisation": self._spoken.codec.ptime_s if ours else _PTIME_S,
            "look_ahead": look_ahead_s,
            "sender_pacing": float(np.mean(pacing_s)) if len(pacing_s) else 0.0,
        }
        # A browser's own packets bear timestamps that nothing of ours knows; behind a server they are
        # renamed.
        network_s = None if self._came.forwarded or not ours else self._network_s()
        rest = "network_and_page"
        if network_s is not None:
            stages |= {"network_min": network_s[0], "network_variable": network_s[1] - network_s[0], "page": 0.0}
            rest = "page"
        elif len(self._came.away_s):
            stages |= {"network_and_target": float(np.mean(self._came.away_s)), "page": 0.0}
            rest = "page"
        else:
            stages[rest] = 0.0
        stages["device"] = self._devices.playback_s
        stages[rest] = total_s - math.fsum(stages.values())
        return stages

    def _network_s(self) -> tuple[float, float] | None:
        """Return the fastest and the mean way of the packets that came; None where none can be told."""
        left = Left(self._said.departures)
        arrivals = self._came.arrivals
        if not len(left) or not len(arrivals):
            return None
        stamps, first = np.unique(arrivals.timestamps, return_index=True)
        at = np.searchsorted(stamps, left.timestamp)
        came = (at < len(stamps)) & (stamps[np.minimum(at, len(stamps) - 1)] == left.timestamp)
        if not came.any():
            return None
        ways_s = arrivals.at_s[first[at[came]]] - left.at_s[came]
        return float(ways_s.min()), float(ways_s.mean())


class Disturbance(NamedTuple):
    """What was late (``"the output"``, ``"the mouth"``), when, and by how much: seconds."""

    what: str
    at_s: float
    lasted_s: float


def tick_wait_s(came: Came) -> float | None:
    """Return how long after a packet the next block was pulled, the median; None where nothing came, or was pulled."""
    assert came.sound is not None
    arrived_s, pulled_s = came.arrivals.at_s, came.sound.at_s
    if not len(arrived_s) or not len(pulled_s):
        return None
    place = np.searchsorted(pulled_s, arrived_s)
    within = (place > 0) & (place < len(pulled_s))
    return float(np.median(pulled_s[place[within]] - arrived_s[within])) if within.any() else None


def disturbances(said: Said, sound: Sounded) -> list[Disturbance]:
    """Return where a browser that played ``sound``, or one that said ``said``, was late (rule 2), by instant."""
    found = [Disturbance("the output", at_s, lasted_s) for at_s, lasted_s in _late_pulls(sound)]
    found += [Disturbance("the mouth", at_s, late_s) for at_s, late_s in said.late_pieces() if late_s > _GAP_S]
    return sorted(found, key=lambda each: each.at_s)


def unsettled_s(stalls: Sequence[Disturbance], since_s: float, until_s: float) -> float:
    """Return how much of a call is not to be trusted after ``stalls``, given by instant."""
    spoilt_s, at_s = 0.0, since_s
    for each in stalls:
        begin_s, end_s = max(at_s, each.at_s), min(until_s, each.at_s + SETTLING_S)
        if end_s > begin_s:
            spoilt_s += end_s - begin_s
            at_s = end_s
    return spoilt_s


def _late_pulls(sound: Sounded) -> list[tuple[float, float]]:
    """Return when a block was pulled that was late after the one before it, and by how much."""
    if not len(sound.sizes):
        return []
    # By how much later a block was pulled than the one before it lasted: nought on a device that keeps time.
    steps_s = np.diff(sound.at_s) - sound.sizes[:-1] / SAMPLE_RATE_HZ
    # The bound is between two pulls; of it a block's own 10 ms are no lateness.
    late = np.flatnonzero(steps_s > _GAP_S - _BLOCK_S)
    return list(zip(sound.at_s[late + 1].tolist(), steps_s[late].tolist(), strict=True))


class _Timeline:
    """A recording on a timeline of 48,000 samples a second (rule 1)."""

    def __init__(self, sound: Sounded) -> None:
        sizes = sound.sizes
        ends = np.cumsum(sizes)
        begins = ends - sizes
        self.start_s = float(sound.at_s[0]) if len(sizes) else 0.0
        steps_s = np.diff(sound.at_s) - sizes[:-1] / SAMPLE_RATE_HZ if len(sizes) else np.zeros(0)
        late = np.flatnonzero(steps_s > _GAP_S - _BLOCK_S)
        self.gaps_s: list[float] = sound.at_s[late + 1].tolist() if len(sizes) else []
        silence = np.zeros(len(sizes), dtype=np.int64)
        silence[late + 1] = np.round(steps_s[late] * SAMPLE_RATE_HZ).astype(np.int64)
        shifts = np.cumsum(silence)
        # Where each block lies: behind all sound and all silence before it. Small lateness is not laid in:
        # device clocks jitter by fractions of a millisecond, and each would cut a marker.
        self._places: npt.NDArray[np.int64] = begins + shifts
        self._at_s = sound.at_s
        self.pcm: Pcm = np.zeros(int(ends[-1] + shifts[-1]) if len(sizes) else 0, dtype=np.float32)
        bounds = [0, *(late + 1).tolist(), len(sizes)]
        for first, behind in pairwise(bounds):
            if behind > first:
                piece = sound.pcm[begins[first] : ends[behind - 1]]
                place = int(self._places[first])
                self.pcm[place : place + len(piece)] = piece

    def instant_s(self, heard_s: float) -> float:
        """Return when what lies at ``heard_s`` of the timeline was pulled."""
        sample = (heard_s - self.start_s) * SAMPLE_RATE_HZ
        # Of the block it begins in (rule 1): its own pull is its instant, whatever the timeline has gathered
        # since.
        block = max(0, int(np.searchsorted(self._places, sample, side="right")) - 1)
        return float(self._at_s[block]) + (sample - float(self._places[block])) / SAMPLE_RATE_HZ


# What the output asks for at a time; of a gap between two pulls so much is no lateness.
_BLOCK_S = 480 / RTP_CLOCK_HZ


def first_sound_s(came: Came) -> float | None:
    """Return when something was heard first of what a listener played by itself; None: nothing was."""
    sound = came.sound
    assert sound is not None
    loud = np.flatnonzero(np.abs(sound.pcm) > _SOUND)
    if not len(loud):
        return None
    first = int(loud[0])
    block = int(np.searchsorted(np.cumsum(sound.sizes), first, side="right"))
    return float(sound.at_s[block]) + (first - int(np.sum(sound.sizes[:block]))) / SAMPLE_RATE_HZ
