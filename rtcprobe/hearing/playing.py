"""What a listener's loudspeaker makes of the packets that arrived: played again after the call, by any policy.

Playout has no influence on the network, so this can be done as often as there are questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.base import BLOCK_S, Block, Decoder, Run
from rtcprobe.playout.copies import unpacked
from rtcprobe.playout.neteq import NetEq
from rtcprobe.playout.policies import PlayoutChoice, Policy, make_policy
from rtcprobe.playout.replay import Playback, replay
from rtcprobe.playout.steered import Steered, Steering
from rtcprobe.recording import Agreed, Said
from rtcprobe.result import TargetSteps
from rtcprobe.wrapping import unwrapped

__all__ = ["LONGEST_DRAIN_S", "play", "policy_of", "tick_before", "whole_frames"]

LONGEST_DRAIN_S = 12.0  # a playout may hold 10 s (libwebrtc's bound on a target), and a little more
_DRY_S = 0.200  # this long after the last arrival without the sender's sound, there is none left


def whole_frames(said: Said, agreed: Agreed | None, came: Arrivals) -> Arrivals:
    """Return every frame that arrived, in a packet of its own, at the instant its first copy came."""
    if agreed is None or not agreed.sends_red:
        return came
    return unpacked(
        said.departures,
        came,
        payload_type=agreed.opus_payload_type,
        red_payload_type=agreed.red_payload_type,
    )


def play(
    choice: PlayoutChoice,
    agreed: Agreed | None,
    arrivals: Arrivals,
    decoder: Decoder,
    *,
    phase_s: float,
    drift: float,
    listen: Callable[[float], Callable[[Block | Run], object]],
    steering: Steering | None = None,
) -> tuple[Playback, Mapping[str, Any]]:
    """Pull audio on the grid of ``phase_s``, from just before the first arrival until the last frame was played.

    ``listen`` is told when the first block is played, and returns what takes each of them, or many at once: the sound
    is not kept. ``steering`` acts on NetEQ alone.
    """
    policy = policy_of(choice, agreed, decoder)
    playout = policy.playout
    if steering is not None and isinstance(playout, NetEq):
        playout = Steered(playout, steering)
    if not arrivals:
        return replay(playout, (), phase_s, phase_s, drift=drift, each=listen(phase_s)), policy.figures()
    instants_s, stamps = arrivals.at_s, arrivals.timestamps
    first_s, last_s = float(instants_s.min()), float(instants_s.max())
    newest = int(unwrapped(stamps, int(stamps[0]), 32).max())

    def at_the_end(block: Block, now_s: float) -> bool:
        # No more sound of the sender's: asked only after the last arrival, and given the delay that a fixed
        # playout holds. What ends a call is the last frame, not the first dry spell.
        if block.rtp_timestamp is None:
            return now_s > last_s + _DRY_S + (choice.delay_s or 0.0)
        return block.rtp_timestamp >= newest

    first_tick_s = tick_before(first_s, phase_s)
    playback = replay(
        playout,
        arrivals,
        first_tick_s,
        last_s + LONGEST_DRAIN_S,
        drift=drift,
        enough=at_the_end,
        from_s=last_s,
        each=listen(first_tick_s),
    )
    return playback, {**policy.figures(), **_target_steps(policy.targets_s(), playback)}


def policy_of(choice: PlayoutChoice, agreed: Agreed | None, decoder: Decoder) -> Policy:
    """Return a fresh policy for what was agreed on."""
    return make_policy(
        choice,
        decoder,
        payload_type=0 if agreed is None else agreed.opus_payload_type,
        red_payload_type=None if agreed is None else agreed.red_payload_type,
    )


def tick_before(first_s: float, phase_s: float) -> float:
    """Return the last instant of the loudspeaker's grid by ``first_s``."""
    return phase_s + math.floor((first_s - phase_s) / BLOCK_S) * BLOCK_S


def _target_steps(targets_s: npt.NDArray[np.float64], playback: Playback) -> Mapping[str, Any]:
    """Return what the jitter buffer aimed at as steps: since when (the call's clock), and how much delay."""
    if not len(targets_s):
        return {}
    ticks = np.flatnonzero(np.diff(targets_s, prepend=np.nan))
    # Ticks are those of the loudspeaker's clock, which may run fast: a block lasts 10 ms of its own time.
    since_s = playback.start_s + ticks * (BLOCK_S / (1 + playback.drift))
    steps = TargetSteps(since_s=tuple(since_s.tolist()), target_delay_s=tuple(targets_s[ticks].tolist()))
    return {"target_steps": steps}
