"""What was heard of one direction, as the result tells it: nothing of the call is needed any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing
from rtcprobe.quality import burst_ratio, conversation, listening
from rtcprobe.result import MissedMarker, Sample
from rtcprobe.scenario import Devices

__all__ = ["missed", "quality", "samples"]


def samples(hearing: Hearing, devices: Devices) -> tuple[Sample, ...]:
    """Return every marker heard, from the air before the microphone to the air before the loudspeaker."""
    return tuple(
        Sample(
            marker=each.marker.index,
            spoken_s=each.marker.spoken_s - devices.capture_s,
            heard_s=each.heard_s + devices.playback_s,
            delay_s=each.heard_s + devices.playback_s - (each.marker.spoken_s - devices.capture_s),
            correlation=each.correlation,
        )
        for each in hearing.heard
        if each.heard_s is not None
    )


def missed(hearing: Hearing, devices: Devices) -> tuple[MissedMarker, ...]:
    """Return every marker that was spoken and does not count as heard."""
    return tuple(
        MissedMarker(
            marker=each.marker.index,
            spoken_s=each.marker.spoken_s - devices.capture_s,
            fate="rejected" if each.outcome == "rejected" else "lost",
            correlation=each.correlation,
        )
        for each in hearing.outcomes
        if each.outcome != "heard"
    )


def quality(delay_s: float, unplayed: npt.NDArray[np.bool_], echo_path_s: float | None) -> Mapping[str, Any]:
    """Return R and MOS of the delay, the frames that stayed unplayed (a flag each) and their bursts (G.107)."""
    loss_ratio = float(np.mean(unplayed)) if len(unplayed) else 0.0
    burst = burst_ratio(unplayed.tolist())
    talking = conversation(one_way_delay_s=delay_s, loss_ratio=loss_ratio, burst_ratio=burst, echo_path_s=echo_path_s)
    hearing = listening(loss_ratio=loss_ratio, burst_ratio=burst)
    return {
        "r": talking.r,
        "mos": talking.mos,
        "listening_mos": hearing.mos,
        "id": talking.id,
        "ie_eff": talking.ie_eff,
        "loss_ratio": loss_ratio,
        "burst_ratio": burst,
        "assumptions": talking.assumptions,
    }
