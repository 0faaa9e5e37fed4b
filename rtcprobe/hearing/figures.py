"""What was heard of one direction, as the result tells it: nothing of the call is needed any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing
from rtcprobe.playout.aiortc import StockTrace
from rtcprobe.playout.recovery import Recovery
from rtcprobe.quality import burst_ratio, conversation, listening
from rtcprobe.result import Beside, Missed, Playout, Protection, Quality, Recovered, Sample, Unprotected
from rtcprobe.scenario import Devices

__all__ = ["beside", "missed", "playout", "protection", "quality", "samples"]

# A policy says its figures by name; those that a result has fields for go there, and whatever else it counts
# is kept under the policy's own words.
_NAMED = frozenset(each.name for each in fields(Playout))


def samples(hearing: Hearing, devices: Devices) -> tuple[Sample, ...]:
    """Return every marker heard, from the air before the microphone to the air before the loudspeaker."""
    return tuple(
        Sample(
            marker=each.marker.index,
            spoken_s=each.marker.spoken_s - devices.capture_s,
            # Instants of the air: our clock knows the sound card's edge, and both devices' delays are
            # assumed.
            heard_s=each.heard_s + devices.playback_s,
            delay_s=each.heard_s + devices.playback_s - (each.marker.spoken_s - devices.capture_s),
            correlation=each.correlation,
        )
        for each in hearing.heard
        if each.heard_s is not None
    )


def missed(hearing: Hearing, devices: Devices) -> tuple[Missed, ...]:
    """Return every marker that was spoken and does not count as heard."""
    return tuple(
        Missed(
            marker=each.marker.index,
            spoken_s=each.marker.spoken_s - devices.capture_s,
            fate="rejected" if each.outcome == "rejected" else "lost",
            correlation=each.correlation,
        )
        for each in hearing.outcomes
        if each.outcome != "heard"
    )


def playout(policy: str, concealed_ratio: float | None, said: Mapping[str, Any]) -> Playout:
    """Return what the receiver did; what ``said`` has that only this policy counts goes among its counts."""
    named = {key: value for key, value in said.items() if key in _NAMED}
    counts = {key: value for key, value in said.items() if key not in _NAMED}
    return Playout(policy=policy, concealed_ratio=concealed_ratio, counts=counts, **named)


def protection(
    found: Recovery, unplayed: float, without: Unprotected | None = None, cost_s: float | None = None
) -> Protection:
    """Return what was lost on the way, what each kind of copy brought back and cost, and what was never heard."""
    return Protection(
        sent=found.sent,
        lost_before=found.lost_before,
        recovered_by_red=Recovered(**asdict(found.recovered_by_red)),
        recovered_by_fec=Recovered(**asdict(found.recovered_by_fec)),
        recovered_by_nack=Recovered(**asdict(found.recovered_by_nack)),
        lost_after=found.lost_after,
        loss=found.loss_ratios(),
        unplayed=unplayed,
        without=without,
        cost_s=cost_s,
    )


def beside(trace: StockTrace) -> Mapping[str, Beside]:
    """Return what stock aiortc would have given."""
    return {"stock aiortc": Beside(**asdict(trace.figures()))}


def quality(delay_s: float, unplayed: npt.NDArray[np.bool_], echo_path_s: float | None) -> Quality:
    """Return R and MOS of the delay, the frames that stayed unplayed (a flag each) and their bursts (G.107)."""
    # Of frames that said something, in sequence: Ppl and BurstR are of what the ear missed, not of what the
    # network lost.
    loss_ratio = float(np.mean(unplayed)) if len(unplayed) else 0.0
    burst = burst_ratio(unplayed.tolist())
    talking = conversation(one_way_delay_s=delay_s, loss_ratio=loss_ratio, burst_ratio=burst, echo_path_s=echo_path_s)
    hearing = listening(loss_ratio=loss_ratio, burst_ratio=burst)
    return Quality(
        r=talking.r,
        mos=talking.mos,
        listening_mos=hearing.mos,
        id=talking.id,
        ie_eff=talking.ie_eff,
        loss_ratio=loss_ratio,
        burst_ratio=burst,
        assumptions=talking.assumptions,
    )
