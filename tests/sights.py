"""What was seen in made-up calls: frames all as late, on both ways, beside the sound of a result."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from rtcprobe.hearing.eyes import FrameSeen, Seen
from rtcprobe.hearing.sights import CallSight, sight_account, skew_account
from rtcprobe.picture.likeness import Likeness
from rtcprobe.result import Account, Result
from rtcprobe.verdict.intervals import of_calls
from rtcprobe.ways import Way

__all__ = ["BACK", "WAY", "shown", "sight", "with_summary"]

WAY, BACK = Way("caller_to_callee.video"), Way("callee_to_caller.video")
STEPS = {"first_video_packet": 0.02, "first_key_frame": 0.03, "first_picture": 0.04}
"""Of a join's first picture, after its first audio: seconds."""


def sight(
    delay_s: float = 0.060, frames: int = 60, lost: Collection[int] = (), dropped: Collection[int] = (), frozen_s=0.5
) -> CallSight:
    """Return a call of frames all as late; 10 ms of it are the jitter buffer's, 1 ms decoding, the rest network."""
    stages = (0.0, 0.0, 0.0, delay_s - 0.011, 0.0, 0.0, 0.010, 0.001, 0.0, 0.0)
    seen = [
        FrameSeen(n, n / 30, "lost")
        if n in lost
        else FrameSeen(n, n / 30, "dropped")
        if n in dropped
        else FrameSeen(n, n / 30, "seen", n / 30 + delay_s, stages)
        for n in range(frames)
    ]
    w3c = {"framesRendered": frames, "totalInterFrameDelay": 2.0, "totalFreezesDuration": frozen_s, "freezeCount": 1}
    likeness = {n: Likeness(30.0 if n < 30 else 40.0, 0.8 if n < 30 else 0.9) for n in range(frames)}
    return CallSight(
        policy="libwebrtc", seen=Seen(frames=seen, w3c=w3c, freezes_s=[(0.5, 0.5 + frozen_s)]), likeness=likeness
    )


def with_summary(account: Account) -> Account:
    """Return an account with the summary that judging gives it."""
    return replace(account, summary=of_calls(account).summary())


def shown(result: Result, *, later_s: float = 0.0, frozen_s: float = 0.5) -> Result:
    """Return ``result`` with pictures on both ways in five calls: each frame ``later_s`` later than 60 ms and a bit.

    Every join that was heard has its first picture 40 ms (and ``later_s``) after that.
    """
    calls = {n: sight(0.060 + 0.001 * n + later_s, frames=90, frozen_s=frozen_s + 0.01 * n) for n in range(5)}
    accounts = [sight_account(way, calls) for way in (WAY, BACK)]
    for way, sound in result.mouth_to_ear.items():
        skew = skew_account(Way.of(way.talker, way.listener, "video"), sound, {0: sight(0.060 + later_s, frames=3000)})
        accounts += [] if skew is None else [skew]
    attempts = tuple(
        replace(each, marks={**each.marks, **{n: each.first_audio_s + s + later_s for n, s in STEPS.items()}})
        if each.first_audio_s is not None
        else each
        for each in result.join.attempts
    )
    join = replace(result.join, attempts=attempts)
    return replace(result, join=join, accounts=(*result.accounts, *map(with_summary, accounts)))
