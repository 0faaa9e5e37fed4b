"""How a stream begins at a listener: when the first sample of the talker leaves the loudspeaker.

Facts:
    - A join is over with that sample, and of a call's many packets it takes two or three.
    - NetEQ reads no clock: its time is the tick, ten milliseconds of the loudspeaker. So what the same payloads come to
      that were taken in before the same ticks is the same, whenever that was and whatever they were numbered from. The
      joins of a run begin with the same frames, and there are few ways for the next to fall between two ticks: most
      joins begin as one before them did.

Rules:
    1. A beginning that was played before is looked up, in full: payloads, types, steps of sequence number and time,
       and the ticks. What is looked up is what playing would come to, to the bit.
    2. What is kept is of NetEQ alone, and bounded: the other policies look at instants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.hearing.played import first_sound_s
from rtcprobe.hearing.playing import LONGEST_DRAIN_S, policy_of, tick_before, whole_frames
from rtcprobe.hearing.relate import related
from rtcprobe.playout.arrivals import Arrival, Arrivals, in_time
from rtcprobe.playout.base import BLOCK_S, Block, Run
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.playout.replay import NO_SOUND, Playback, replay
from rtcprobe.recording import Agreed, Came, Said
from rtcprobe.scenario import Devices
from rtcprobe.wrapping import unwrapped

__all__ = ["first_audio_s"]

_FIRST_PACKETS: Final = 16
"""The first sound comes of one of these, or nothing came in order for a third of a second."""

_MOST_TICKS: Final = 8
"""Longer beginnings are not kept: something was lost or late in them, and hardly ever the same again."""
_MOST_KEPT: Final = 256
"""Beginnings kept, of some 300 bytes each; when there are more, it begins anew."""
_HALF_CYCLE: Final = 1 << 31  # of RTP's clock: a difference beyond it is one across the end of its 32 bits

_Step = tuple[int, int, int, bytes, int]
"""A packet of a beginning: the tick that takes it in, its steps from the first in sequence and time, payload, type."""
_Kind = tuple[PlayoutChoice, int | None, int | None]
"""What a policy is made of beside a decoder: itself, and the payload types of Opus and RED."""
_Played = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]
"""Stamps of the blocks, counted from the first packet's, and what was invented in each."""


class _Openings:
    """Beginnings that were played before, by their kind, their length in ticks, and what came before each tick."""

    def __init__(self) -> None:
        self._count = 0
        self._known: dict[_Kind, dict[int, dict[tuple[_Step, ...], _Played]]] = {}

    def find(self, kind: _Kind, steps: Sequence[_Step]) -> _Played | None:
        """Return what ``steps`` come to; None where they were not played before."""
        for ticks, known in self._known.get(kind, {}).items():
            # Whatever comes later cannot matter: it had ended by then.
            found = known.get(_before(ticks, steps))
            if found is not None:
                return found
        return None

    def keep(self, kind: _Kind, steps: Sequence[_Step], played: _Played) -> None:
        """Keep what ``steps`` came to."""
        ticks = len(played[0])
        if ticks > _MOST_TICKS:
            return
        if self._count >= _MOST_KEPT:
            self._known, self._count = {}, 0
        self._known.setdefault(kind, {}).setdefault(ticks, {})[_before(ticks, steps)] = played
        self._count += 1


_OPENINGS: Final = _Openings()


def first_audio_s(said: Said, came: Came, *, playout: PlayoutChoice, devices: Devices, phase_s: float) -> float | None:
    """Return when the first sample of the talker was heard, seconds since the call started; None if never."""
    if came.sound is not None:
        heard_s = first_sound_s(came)
        return None if heard_s is None else heard_s + devices.playback_s
    # Where nothing can be related the first sound is of whatever came: a mixer's first packet is the first of the
    # talker.
    found = related(said, came) if came.forwarded else came.arrivals
    known = came.arrivals if found is None else found
    whole = known if found is None else whole_frames(said, came.agreed, known)
    first = list(islice(in_time(whole), _FIRST_PACKETS))
    if not first:
        return None
    # Without RED what NetEQ is given is what came, so it is not made twice.
    same = not playout.knows_red or (whole is known and known.ordered)
    taken = first if same else known[:_FIRST_PACKETS]
    playback = _opened(playout, came.agreed, taken, phase_s=phase_s, drift=devices.drift)
    reference = taken[0][1].timestamp
    stamps = np.array([unwrapped(packet.timestamp, reference, 32) for _, packet in first], dtype=np.int64)
    instants = playback.play_instants(stamps)
    played = instants[~np.isnan(instants)]
    if len(played):
        return float(played.min()) + devices.playback_s
    whole_s = _whole_s(playback)
    return None if whole_s is None else whole_s + devices.playback_s


def _whole_s(playback: Playback) -> float | None:
    """Return when the first block leaves the loudspeaker that is all the talker's sound; None: there is none.

    No packet of a frame that never came stands for it, and yet it is heard, where the next one's in-band FEC tells it.
    """
    sounding = np.flatnonzero((playback.stamps != NO_SOUND) & (playback.concealed == 0))
    return playback.play_instant(int(playback.stamps[sounding[0]])) if len(sounding) else None


def _opened(
    playout: PlayoutChoice, agreed: Agreed | None, taken: Sequence[Arrival], *, phase_s: float, drift: float
) -> Playback:
    """Return what ``taken`` come to until the first block that is all the talker's sound."""
    in_order = sorted(taken, key=lambda arrival: arrival[0])
    tick_s = tick_before(in_order[0][0], phase_s)
    steps = _steps(in_order, tick_s, BLOCK_S / (1 + drift)) if playout.policy == "neteq" else ()
    origin = in_order[0][1].timestamp
    kind = (playout, None, None) if agreed is None else (playout, agreed.opus_payload_type, agreed.red_payload_type)
    kept = _OPENINGS.find(kind, steps) if steps else None
    if kept is not None:
        stamps = np.where(kept[0] == NO_SOUND, NO_SOUND, kept[0] + origin)
        return Playback(start_s=tick_s, stamps=stamps, concealed=kept[1], drift=drift)
    playback = replay(
        policy_of(playout, agreed, OpusDecoder()).playout,
        Arrivals(taken),
        tick_s,
        in_order[-1][0] + LONGEST_DRAIN_S,
        drift=drift,
        # Until a block is the sender's from end to end: before it come silence and fades of concealment.
        enough=_is_whole,
        each=_nobody,
    )
    if steps:
        stamps = np.where(playback.stamps == NO_SOUND, NO_SOUND, playback.stamps - origin)
        _OPENINGS.keep(kind, steps, (stamps, playback.concealed))
    return playback


def _steps(taken: Sequence[Arrival], tick_s: float, period_s: float) -> tuple[_Step, ...]:
    """Return what NetEQ can know of packets that stand in time; nothing where their clock wraps.

    Then it matters which of them is the first that can be read, for from that one on it counts.
    """
    sequence, timestamp = taken[0][1].sequence, taken[0][1].timestamp
    steps = []
    for at_s, packet in taken:
        ahead = packet.timestamp - timestamp
        if not -_HALF_CYCLE < ahead < _HALF_CYCLE:
            return ()
        # The first tick that is not before it, by the very instants that a replay has: division may be off by a hair.
        tick = max(0, math.ceil((at_s - tick_s) / period_s))
        while tick and at_s <= tick_s + (tick - 1) * period_s:
            tick -= 1
        while at_s > tick_s + tick * period_s:
            tick += 1
        steps.append((tick, packet.sequence - sequence & 0xFFFF, ahead, packet.payload, packet.payload_type))
    return tuple(steps)


def _before(ticks: int, steps: Sequence[_Step]) -> tuple[_Step, ...]:
    """Return those that are taken in before ``ticks`` have passed."""
    return tuple(step for step in steps if step[0] < ticks)


def _is_whole(block: Block, _now_s: float) -> bool:
    """Return whether all of a block is the sender's sound."""
    return block.rtp_timestamp is not None and not block.concealed_samples


def _nobody(_played: Block | Run) -> None:
    """Listen to nothing."""
