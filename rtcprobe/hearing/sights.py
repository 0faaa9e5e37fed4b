"""What was seen in several calls, as accounts of one way: glass to glass, and how sound and picture agree.

Rules:
    1. Counts and durations add up; shares are of what adds up; quantiles are of every frame.
    2. A frame that was shown unread, or was whole and never shown, is *rejected*; ``why`` says which.
    3. Skew is measured where a marker was heard: how late the frame filmed at that moment, or just before, came, less
       how late the marker came. Above zero sound comes first. The frame is on the screen for as long as the next takes,
       so the mean picture that a viewer has is half a frame later still: the onset is what counts here.

Source of the limits of skew: ITU-R BT.1359-1 (sound early by 45 ms or late by 125 ms is noticed).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.hearing.eyes import FrameSeen, Seen
from rtcprobe.hearing.lips import Correction
from rtcprobe.picture.likeness import Likeness
from rtcprobe.result import VIDEO_STAGES, Account, HeardCall, Missed, Playout, Sample, Span, Still
from rtcprobe.ways import Way

__all__ = ["CallSight", "sight_account", "skew_account", "together", "worst_frame"]

# Stages that become one, for nobody can tell them apart: behind a server the line and it; where packets are
# not known either, all up to the decoded picture.
_FORWARDED: Final = ("network_min", "network_variable")
_UNTIMED: Final = (*_FORWARDED, "repair", "jitter_buffer", "decode")
_LONGEST_HOLD_S: Final = 1.0
"""A marker whose frame, and those before it for so long, were not seen has no picture to agree with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CallSight:
    """What one call says of one way: how it was watched, what was seen, and how like the film it was, by frame.

    ``adapted`` are figures of a camera that follows the line. ``corrections`` are those that made it agree with its
    sound. ``forwarded``: through a server that is not ours, whose
    part nobody can tell from the network's.
    """

    policy: str
    seen: Seen
    likeness: Mapping[int, Likeness | None]
    corrections: Sequence[Correction] = ()
    forwarded: bool = False
    adapted: Mapping[str, float] = field(default_factory=dict)


def together(sights: Sequence[CallSight]) -> CallSight:
    """Return what was seen on one way of a call over one connection after another."""
    return replace(
        sights[0],
        seen=Seen.together([each.seen for each in sights]),
        likeness={number: like for each in sights for number, like in each.likeness.items()},
    )


def sight_account(way: Way, calls: Mapping[int, CallSight], worst: Still | None = None) -> Account:
    """Return the account of glass to glass of several calls, by their numbers; at least one.

    ``worst`` is what ``worst_frame`` says of them, with its picture.
    """
    frames = [(number, frame) for number, call in calls.items() for frame in call.seen.frames]
    samples = [_sample(number, frame) for number, frame in frames if frame.fate == "seen"]
    missed = [_missed(number, frame) for number, frame in frames if frame.fate != "seen"]
    lost = sum(each.fate == "lost" for each in missed)
    seen = [call.seen for call in calls.values()]
    return Account(
        kind="glass_to_glass",
        way=way,
        scheduled=len(frames),
        heard=len(samples),
        rejected=len(missed) - lost,
        lost=lost,
        samples=tuple(samples),
        missed=tuple(missed),
        stages=_stages(list(calls.values())),
        # One policy for all calls of a scenario: any call's will do.
        playout=Playout(policy=next(iter(calls.values())).policy, w3c=_sums([each.w3c for each in seen])),
        figures=_figures(list(calls.values())),
        spans=tuple(
            Span(what="freeze", from_s=from_s, until_s=until_s, call=number)
            for number, call in calls.items()
            for from_s, until_s in call.seen.freezes_s
        ),
        calls=tuple(_row(number, call) for number, call in calls.items() if call.seen.frames),
        worst=worst,
    )


def skew_account(way: Way, sound: Account, calls: Mapping[int, CallSight]) -> Account | None:
    """Return how sound and picture of one talker agree, a moment for each marker that was heard; None without any."""
    samples: list[Sample] = []
    missed: list[Missed] = []
    rows: list[HeardCall] = []
    for number, call in calls.items():
        shown = [frame for frame in call.seen.frames if frame.fate == "seen"]
        filmed_s = np.array([frame.filmed_s for frame in shown])
        heard = [each for each in sound.samples if each.call == number]
        agreed = 0
        for marker in heard:
            # Among the frames that were seen: where the one filmed at that moment was lost, the one before it
            # stands on the screen.
            at = int(np.searchsorted(filmed_s, marker.spoken_s, side="right")) - 1
            if at < 0 or marker.spoken_s - filmed_s[at] > _LONGEST_HOLD_S:
                missed.append(Missed(marker=marker.marker, spoken_s=marker.heard_s, fate="lost", call=number))
                continue
            # Both delays include their devices: the skew is that of light and sound before the viewer (rule
            # 3).
            skew_s = (shown[at].delay_s or 0.0) - marker.delay_s
            agreed += 1
            samples.append(
                Sample(
                    marker=marker.marker,
                    spoken_s=marker.heard_s,
                    heard_s=marker.heard_s + skew_s,
                    delay_s=skew_s,
                    call=number,
                )
            )
        if heard:
            rows.append(HeardCall(call=number, scheduled=len(heard), heard=agreed, figures=_held([call.corrections])))
    if not samples:
        return None
    return Account(
        kind="lip_sync",
        way=way,
        scheduled=len(samples) + len(missed),
        heard=len(samples),
        # A marker that was rejected is no account of the picture's: only those heard are asked for their
        # frame.
        rejected=0,
        lost=len(missed),
        samples=tuple(samples),
        missed=tuple(missed),
        calls=tuple(rows),
        figures=_held([call.corrections for call in calls.values()]),
    )


def _held(calls: Sequence[Sequence[Correction]]) -> dict[str, float]:
    """Return how often sound or picture was held back, and by how much each was in the end, the mean of calls."""
    last = [each[-1] for each in calls if each]
    return {
        "corrections": sum(map(len, calls)),
        "audio_held_s": sum(each.audio_ms for each in last) / 1e3 / max(1, len(calls)),
        "video_held_s": sum(each.video_ms for each in last) / 1e3 / max(1, len(calls)),
    }


def _sample(number: int, frame: FrameSeen) -> Sample:
    assert frame.delay_s is not None
    return Sample(
        marker=frame.number,
        spoken_s=frame.filmed_s,
        heard_s=frame.filmed_s + frame.delay_s,
        delay_s=frame.delay_s,
        call=number,
    )


def _missed(number: int, frame: FrameSeen) -> Missed:
    lost = frame.fate == "lost"
    return Missed(
        marker=frame.number,
        spoken_s=frame.filmed_s,
        fate="lost" if lost else "rejected",
        call=number,
        why="" if lost else frame.fate,
    )


def _stages(calls: Sequence[CallSight]) -> dict[str, float]:
    """Return the mean of every stage over the frames seen. The fastest way is that of all calls."""
    told = [call for call in calls if call.seen.count("seen")]
    rows = np.array([frame.stages_s for call in told for frame in call.seen.frames if frame.fate == "seen"])
    if not len(rows):
        return {}
    stages = dict(zip(VIDEO_STAGES, rows.mean(axis=0).tolist(), strict=True))
    fastest_s = float(rows[:, VIDEO_STAGES.index("network_min")].min())
    stages["network_variable"] += stages["network_min"] - fastest_s
    stages["network_min"] = fastest_s
    if not all(call.seen.timed for call in told):
        return _as_one(stages, _UNTIMED, "network_and_page")
    return _as_one(stages, _FORWARDED, "network_and_target") if any(call.forwarded for call in told) else stages


def _as_one(stages: Mapping[str, float], parts: Sequence[str], name: str) -> dict[str, float]:
    """Return ``stages`` with what nobody can tell apart as one, in the place of its first part."""
    whole_s = math.fsum(stages[part] for part in parts)
    named = {name if each == parts[0] else each: each_s for each, each_s in stages.items() if each not in parts[1:]}
    return {**named, name: whole_s}


def _row(number: int, call: CallSight) -> HeardCall:
    return HeardCall(
        call=number,
        scheduled=len(call.seen.frames),
        heard=call.seen.count("seen"),
        stages=_stages([call]),
        figures=_figures([call]),
    )


def _figures(calls: Sequence[CallSight]) -> dict[str, float]:
    """Return what is a share, a rate or a likeness; counts and durations are W3C's."""
    w3c = _sums([call.seen.w3c for call in calls])
    found: dict[str, float] = {}
    if w3c.get("totalInterFrameDelay"):
        found["freeze_share"] = w3c["totalFreezesDuration"] / w3c["totalInterFrameDelay"]
        # N frames have N - 1 intervals, in each call.
        found["frame_rate"] = (w3c["framesRendered"] - len(calls)) / w3c["totalInterFrameDelay"]
    adapted = [call.adapted for call in calls if call.adapted]
    for name in adapted[0] if adapted else ():
        found[name] = sum(each[name] for each in adapted) / len(adapted)
    for size in dict.fromkeys(size for call in calls for size in call.seen.sizes):
        found[f"frames_of_{size}"] = sum(call.seen.sizes.get(size, 0) for call in calls)
    return found | _likenesses(calls)


def _likenesses(calls: Sequence[CallSight]) -> dict[str, float]:
    """Return mean, p5 and the worst second of PSNR and SSIM over the frames seen."""
    table = _compared(calls)
    if not len(table):
        return {}
    places = _seconds(table)
    found: dict[str, float] = {}
    for name, values in (("psnr_db", table[:, _PSNR]), ("ssim", table[:, _SSIM])):
        found[name] = float(values.mean())
        found[f"{name}_p5"] = float(np.quantile(values, 0.05))
        found[f"{name}_in_worst_second"] = float(_means(places, values).min())
    return found


def worst_frame(calls: Mapping[int, CallSight]) -> Still | None:
    """Return the frame least like its original in the second least like it, without its picture; None without any."""
    table = _compared(list(calls.values()))
    if not len(table):
        return None
    places = _seconds(table)
    means = _means(places, table[:, _SSIM])
    # First the worst second, then the worst frame in it: one bad frame in a good second is nobody's worst
    # impression.
    second = int(np.argmin(means))
    among = np.flatnonzero(places == second)
    row = table[among[np.argmin(table[among, _SSIM])]]
    return Still(
        call=list(calls)[int(row[_CALL])],
        marker=int(row[_FRAME]),
        spoken_s=float(row[_FILMED]),
        ssim=float(row[_SSIM]),
        psnr_db=float(row[_PSNR]),
        second_ssim=float(means[second]),
    )


_CALL, _FRAME, _FILMED, _SECOND, _PSNR, _SSIM = range(6)


def _compared(calls: Sequence[CallSight]) -> npt.NDArray[np.float64]:
    """Return a row of each frame seen that was compared with its original: shape (frames, 6)."""
    rows = [
        (index, frame.number, frame.filmed_s, int(frame.filmed_s - call.seen.frames[0].filmed_s), *likeness)
        for index, call in enumerate(calls)
        for frame in call.seen.frames
        if frame.fate == "seen" and (likeness := call.likeness.get(frame.number)) is not None
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def _seconds(table: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return which second of which call each row is of, counted over all that there are."""
    # Counted anew from nought, because calls and seconds have gaps where nothing was seen.
    _, places = np.unique(table[:, [_CALL, _SECOND]], axis=0, return_inverse=True)
    return places.reshape(-1)


def _means(places: npt.NDArray[np.intp], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    means: npt.NDArray[np.float64] = np.bincount(places, weights=values) / np.bincount(places)
    return means


def _sums(counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(each[name] for each in counts) for name in counts[0]} if counts else {}
