"""A large room made readable: the ways from one role to another as one, where there are too many to be told apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from rtcprobe.result import Account, HeardCall, Kind, Playout, Result
from rtcprobe.verdict.room.figures import pooled_delays
from rtcprobe.verdict.room.people import people
from rtcprobe.ways import Way

__all__ = ["MOST", "WHOLE", "by_role", "readable", "together"]

MOST: Final = 20
"""Ways that are told one by one: a room of five where all speak."""

WHOLE: Final = "room"
"""What all ways together are called, where nobody has a role."""

_PICTURES: Final[tuple[Kind, ...]] = ("glass_to_glass", "lip_sync")

_STILL: Final = ("freeze_share", "frame_rate")
"""Of the time watched, not of the frames seen: the longer a picture stands still, the fewer of those there are."""

_APART: Final = 1_000_000
"""More than a call has markers: by it those of one way are numbered apart from the next one's."""


def by_role(result: Result, kind: Kind = "mouth_to_ear") -> Mapping[str, Account]:
    """Return accounts by what they are called: by way, or by roles where there are more than ``MOST``.

    Of pictures as of the same two's sound.
    """
    ears = result.of_kind(kind)
    if len(ears) <= MOST:
        # Without its medium: a picture's label in Prometheus is that of the same two's sound.
        return {str(Way.of(way.talker, way.listener)): ear for way, ear in ears.items()}
    known = people(result)
    found: dict[str, list[Account]] = {}
    for way, ear in ears.items():
        roles = [known[name].role for name in (way.talker, way.listener) if name in known]
        # A way to somebody without a role cannot be named by roles: it is the room's, as all then are.
        found.setdefault("_to_".join(roles) if len(roles) == 2 and all(roles) else WHOLE, []).append(ear)
    return {name: together(each) for name, each in found.items()}


def readable(result: Result) -> Result:
    """Return the result of a large room with one account from each role to each other, and without its legs."""
    found = by_role(result)
    # "room" is no way (A_to_B): such a result stays as it is, however long.
    if len(result.mouth_to_ear) <= MOST or WHOLE in found:
        return result
    sound = tuple(replace(ear, way=Way(name)) for name, ear in found.items())
    shown = tuple(
        replace(sight, way=Way(f"{name}.video")) for kind in _PICTURES for name, sight in by_role(result, kind).items()
    )
    others = tuple(each for each in result.accounts if each.kind not in ("mouth_to_ear", *_PICTURES))
    return replace(result, accounts=(*sound, *shown, *others), link={}, measures=tuple(ear.way for ear in sound))


def together(ears: Sequence[Account]) -> Account:
    """Return several ways as one: counts and markers together, stages weighed by markers heard."""
    heard = max(1, sum(ear.heard for ear in ears))
    names = dict.fromkeys(name for ear in ears for name in ear.stages)
    delays = pooled_delays(ears)
    return Account(
        kind=ears[0].kind,
        way=ears[0].way,
        scheduled=sum(ear.scheduled for ear in ears),
        heard=sum(ear.heard for ear in ears),
        rejected=sum(ear.rejected for ear in ears),
        lost=sum(ear.lost for ear in ears),
        samples=tuple(
            # Two ways have a marker 1 each; in one account they would be taken for the same one, and paired with
            # another's.
            replace(each, marker=place * _APART + each.marker)
            for place, ear in enumerate(ears)
            for each in ear.samples
        ),
        missed=tuple(
            replace(each, marker=place * _APART + each.marker) for place, ear in enumerate(ears) for each in ear.missed
        ),
        stages={name: math.fsum(ear.stages.get(name, 0.0) * ear.heard for ear in ears) / heard for name in names},
        summary=delays.summary() if len(delays) else None,
        calls=tuple(_calls(ears)),
        playout=_watched(ears),
        figures=_likenesses(ears) if ears[0].kind == "glass_to_glass" else {},
    )


def _watched(ears: Sequence[Account]) -> Playout | None:
    """Return what receivers of pictures counted, together; None of sound, which is told way by way."""
    told = [ear.playout for ear in ears if ear.playout is not None]
    if ears[0].kind != "glass_to_glass" or not told:
        return None
    return Playout(
        policy=told[0].policy, w3c={name: math.fsum(each.w3c[name] or 0.0 for each in told) for name in told[0].w3c}
    )


def _likenesses(sights: Sequence[Account] | Sequence[HeardCall]) -> dict[str, float]:
    """Return how still and how like their film pictures were: means, of the rest the worst."""
    names = dict.fromkeys(name for each in sights for name in each.figures if not name.startswith("frames_of_"))
    found: dict[str, float] = {}
    for name in names:
        known = [each for each in sights if name in each.figures]
        # The worst of a group is its worst way's: a mean of worsts is nobody's.
        if name.endswith(("_p5", "_in_worst_second")):
            found[name] = min(each.figures[name] for each in known)
            continue
        weights = [_weight(name, each) for each in known]
        whole = math.fsum(weights) or 1.0
        found[name] = math.fsum(each.figures[name] * by for each, by in zip(known, weights, strict=True)) / whole
    return found


def _weight(name: str, sight: Account | HeardCall) -> float:
    """Return what a way's mean counts by: frames seen; how still it was by the seconds it was watched.

    By W3C's seconds the mean is the share of all ways' sums, totalFreezesDuration / totalInterFrameDelay. A call does
    not keep them: there, by the frames that were sent to it.
    """
    if name not in _STILL:
        return sight.heard
    counted = sight.playout.w3c if isinstance(sight, Account) and sight.playout is not None else {}
    watched_s = counted.get("totalInterFrameDelay")
    return sight.scheduled if watched_s is None else watched_s


def _calls(ears: Sequence[Account]) -> Iterable[HeardCall]:
    """Yield what each call says of all of them: counts, and shares and stages weighed by what they are of."""
    rows: dict[int, list[HeardCall]] = {}
    for ear in ears:
        for each in ear.calls or (HeardCall(call=0, scheduled=ear.scheduled, heard=ear.heard, stages=ear.stages),):
            rows.setdefault(each.call, []).append(each)
    for number, found in sorted(rows.items()):
        heard = max(1, sum(each.heard for each in found))
        names = dict.fromkeys(name for each in found for name in each.stages)
        yield HeardCall(
            call=number,
            scheduled=sum(each.scheduled for each in found),
            heard=sum(each.heard for each in found),
            stages={
                name: math.fsum(each.stages.get(name, 0.0) * each.heard for each in found) / heard for name in names
            },
            figures=_likenesses(found) if ears[0].kind == "glass_to_glass" else {},
        )
