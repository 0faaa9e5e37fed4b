"""What a budget can be about: every metric of a result by name, and how its observations are read.

Names follow the JSON: ``join.first_audio``, ``mouth_to_ear.ana_to_ben.stages.jitter_buffer``. A name that could stand
for several ways and names none (``mouth_to_ear``, ``link.loss``) means *the worst of them*: a conversation is as good
as its worst way. Which ways there are is known by the result alone, so a name is one here whoever takes part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from rtcprobe.errors import BadInputError, nearest
from rtcprobe.quality import mos
from rtcprobe.result import (
    MESSAGE_STAGES,
    STAGES,
    TURN_STAGES,
    VIDEO_STAGES,
    Account,
    HeardCall,
    Join,
    Kind,
    Quality,
    Result,
    Unit,
)
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER, PHASE_OF, VIDEO_ORDER
from rtcprobe.verdict.intervals import Calls, Rated, frames_worth, of_calls, rating_bounds, rating_ends
from rtcprobe.verdict.metric import Metric, Observations, Over, known_ways
from rtcprobe.verdict.plain_metrics import harness_metrics, link_metrics
from rtcprobe.verdict.room.metrics import delays_between, joins_of, room_metrics
from rtcprobe.verdict.statistics import Ends
from rtcprobe.ways import MEDIA, Leg, Medium, Way, party_named

__all__ = ["METRICS", "POPULAR", "Metric", "Observations", "Over", "known_ways", "metric_named", "phase_metric"]


def metric_named(name: str) -> Metric:
    """Return the metric that a budget calls ``name``: of one way, where it names one.

    Raises:
        BadInputError: there is none of that name.
    """
    root, _, rest = name.partition(".")
    if root in _CALLED:
        root = _CALLED[root]
        name = f"{root}.{rest}" if rest else root
    if name in METRICS:
        return METRICS[name]
    kinds: Mapping[str, Callable[[str], str]] = {"link": Leg, "join": party_named, "room": party_named}
    way, suffix = _way_in(rest, kinds.get(root, Way))
    found = None if way is None else METRICS.get(root + suffix)
    if found is not None and way is not None and found.over != "run":
        return found.at(way)
    if root == "join" and found is None:
        way = None  # no party, but a milestone or a phase that there is not
    family = [each for each in METRICS if each.split(".", maxsplit=1)[0] == root] or list(METRICS)
    near = nearest(name if way is None else root + suffix, family)
    if way is not None:
        near = [f"{root}.{way}{each.removeprefix(root)}" for each in near if METRICS[each].over != "run"]
    hint = f"the nearest: {', '.join(near)}" if near else f"there are {', '.join(POPULAR)} and more (rtcprobe schema)"
    raise BadInputError(f"metric {name!r} does not exist", hint)


def _way_in(rest: str, named: Callable[[str], str]) -> tuple[str | None, str]:
    """Return the way (or leg, or party) that a name goes on with, its medium included, and what is left of it."""
    first, _, more = rest.partition(".")
    medium, _, after = more.partition(".")
    text, left = (f"{first}.{medium}", after) if medium in MEDIA else (first, more)
    try:
        return named(text), f".{left}" if left else ""
    except BadInputError:
        return None, ""


def _join(name: str, pick: Callable[[Join], float | None], unit: Unit = "s") -> Metric:
    """A figure of each join: of one that was not heard to the end it never came.

    A join that was heard without it has no such step: who was called gets an offer, who called gets an answer.
    """

    def read(result: Result, party: str) -> Observations:
        picked = [(pick(each), each.failed is not None) for each in joins_of(result, party)]
        values = tuple(value for value, _ in picked if value is not None)
        never = sum(value is None and failed for value, failed in picked) if values else 0
        return Observations(values=values, never=never)

    return Metric(root="join", suffix=f".{name}", unit=unit, pick=read, over="join")


def _phase(phase: str) -> Callable[[Join], float | None]:
    """A phase that a join skipped took no time; one that a failed join never reached never came."""
    return lambda each: each.phases.get(phase, 0.0 if each.phases and each.failed is None else None)


def phase_metric(phase: str) -> Metric:
    """Return the metric of any phase, those that only some target has included."""
    return _join(phase, _phase(phase))


def _milestone(name: str) -> Callable[[Join], float | None]:
    return lambda each: each.marks.get(name)


def _joins() -> Iterable[Metric]:
    for milestone in dict.fromkeys((*CALLER_ORDER, *CALLEE_ORDER, *VIDEO_ORDER)):
        yield _join(milestone, _milestone(milestone))
    for phase in PHASE_OF.values():
        yield phase_metric(phase)
    yield _join("rtts", lambda each: each.rtts, unit="number")
    yield _join("retransmissions", lambda each: float(len(each.retransmissions)), unit="number")
    yield _join("retransmission_cost", lambda each: sum(r.cost_s for r in each.retransmissions))
    yield Metric(
        root="join",
        suffix=".failed",
        unit="share",
        pick=lambda result, party: Observations(
            values=tuple(float(a.failed is not None) for a in joins_of(result, party))
        ),
        aggregates=("mean",),
        over="join",
    )


def _of(kind: Kind, pick: Callable[[Account], Observations]) -> Callable[[Result, str], Observations]:
    def read(result: Result, way: str) -> Observations:
        accounts = result.of_kind(kind)
        # A kind of one medium need not be told which: ``glass_to_glass.ana_to_ben`` is of ``ana_to_ben.video``.
        named = Way(way)
        found = accounts.get(named)
        if found is None and kind in _MEDIA and named.medium == "audio":
            found = accounts.get(Way.of(named.talker, named.listener, _MEDIA[kind]))
        return Observations() if found is None else pick(found)

    return read


def _share(fate: Literal["heard", "rejected", "lost"]) -> Callable[[Account], Observations]:
    def read(ear: Account) -> Observations:
        if not ear.scheduled:
            return Observations()
        share = getattr(ear, fate) / ear.scheduled
        return Observations(rated=Rated.of(share, ear, _fates(ear, fate), events=_events(ear, fate)))

    return read


def _events(account: Account, fate: str) -> float:
    """Return how many independent events a share of fates was seen among.

    Markers are half a second apart, longer than a burst of losses lasts: each counts in full. Frames of one fate come
    in rows, as those behind a lost one wait for it; they count as ``intervals.frames_worth`` counts frames in bursts.
    """
    if account.kind != "glass_to_glass":
        return account.scheduled
    places = sorted((each.call, each.marker) for each in account.missed if fate in ("heard", each.fate))
    rows = sum((call, marker - 1) != before for before, (call, marker) in zip([None, *places], places, strict=False))
    return account.scheduled / (2.0 * len(places) / rows - 1.0) if rows else account.scheduled


def _fates(ear: Account, fate: str) -> Callable[[HeardCall], float]:
    """Return what reads of a call the share of its markers with that fate."""
    counts = Counter(each.call for each in ear.missed if each.fate == fate)

    def read(call: HeardCall) -> float:
        return (call.heard if fate == "heard" else counts[call.call]) / call.scheduled

    return read


def _of_frames(
    value: Callable[[Account], float | None], read: Callable[[HeardCall], float | None]
) -> Callable[[Account], Observations]:
    """Read a share of the frames sent."""

    def observe(ear: Account) -> Observations:
        share = value(ear)
        return Observations() if share is None else Observations(rated=Rated.of(share, ear, read, frames_worth(ear)))

    return observe


def _rating(said: Callable[[Quality], float], rate: Callable[[float], float]) -> Callable[[Account], Observations]:
    """Read R, or what ``rate`` makes of it."""

    def read(account: Account) -> Observations:
        quality = account.quality
        if quality is None:
            return Observations()
        value = said(quality)
        off = value - rate(quality.r)  # a mean of MOS is not quite the MOS of the mean R

        def ends(confidence: float) -> Ends:
            low, high = (None if each is None else rate(each) + off for each in rating_ends(account, confidence))
            return low, high

        worst, best = (rate(each) for each in rating_bounds(account))
        found = Rated.of(value, account, lambda call: None if call.r is None else rate(call.r), bounds=(worst, best))
        return Observations(rated=replace(found, made=ends))

    return read


def _every_kind(kind: Kind) -> Iterable[Metric]:
    """What every kind of account has."""
    yield Metric(root=kind, suffix="", unit="s", pick=_delay(kind), over=kind)
    yield _account(kind, ".heard", "share", _share("heard"))
    yield _account(kind, ".rejected", "share", _share("rejected"))
    yield _account(kind, ".lost", "share", _share("lost"))


def _delay(kind: Kind) -> Callable[[Result, str], Observations]:
    """Read the delay of a way, or from one role to another."""
    of_way = _of(kind, lambda m: Observations(calls=of_calls(m)))

    def read(result: Result, way: str) -> Observations:
        found = of_way(result, way)
        if found.empty and kind in ("mouth_to_ear", "glass_to_glass"):
            return Observations(calls=delays_between(result, way, kind))
        return found

    return read


def _of_sound() -> Iterable[Metric]:
    unplayed = _of_frames(lambda m: m.unplayed, lambda call: call.unplayed)
    concealed = _of_frames(lambda m: m.concealed, lambda call: call.concealed)
    target = _plain(lambda m: None if m.playout is None else m.playout.mean_target_delay_s)
    yield _account("mouth_to_ear", ".unplayed", "share", unplayed)
    yield _account("mouth_to_ear", ".concealed", "share", concealed)
    yield _account("mouth_to_ear", ".target_delay", "s", target)
    yield _account("mouth_to_ear", ".r", "number", _rating(lambda q: q.r, lambda r: r))
    yield _account("mouth_to_ear", ".mos", "number", _rating(lambda q: q.mos, mos))
    yield _account(
        "mouth_to_ear",
        ".listening_mos",
        "number",
        _plain(lambda m: None if m.quality is None else m.quality.listening_mos),
    )


def _of_turns(kind: Kind) -> Iterable[Metric]:
    """What turns have: their delay until it had arrived, before playout, and what of it is not the agent's."""
    yield _account(kind, ".arrived", "s", _without("playout", "device"), aggregates=None)
    yield _account(kind, ".added", "s", _without("agent", "network_and_agent"), aggregates=None)
    if kind == "barge_in":
        yield _account(kind, ".stop", "s", lambda m: Observations(calls=of_calls(m)), aggregates=None)


def _without(*left_out: str) -> Callable[[Account], Observations]:
    """Read the delays without some of their stages; those of which one is not known are not taken."""

    def read(account: Account) -> Observations:
        parts: dict[int, list[float]] = {}
        for each in account.samples:
            if each.stages is not None and not set(left_out).isdisjoint(each.stages):
                rest_s = each.delay_s - math.fsum(each.stages.get(name, 0.0) for name in left_out)
                parts.setdefault(each.call, []).append(rest_s)
        if not parts:
            return Observations()
        return Observations(calls=Calls(parts=tuple(np.array(each) for each in parts.values()), least=0.0))

    return read


def _account(
    kind: Kind,
    suffix: str,
    unit: Unit,
    pick: Callable[[Account], Observations],
    *,
    aggregates: tuple[str, ...] | None = ("mean",),
) -> Metric:
    return Metric(root=kind, suffix=suffix, unit=unit, pick=_of(kind, pick), aggregates=aggregates, over=kind)


def _plain(value: Callable[[Account], float | None]) -> Callable[[Account], Observations]:
    """Read one figure of the account that has no interval."""

    def read(account: Account) -> Observations:
        figure = value(account)
        return Observations(figures={} if figure is None else {"mean": figure})

    return read


def _figure(name: str) -> Callable[[Account], Observations]:
    """Read a figure of one kind alone, and that of each call."""

    def read(account: Account) -> Observations:
        if name not in account.figures:
            return Observations()
        return Observations(rated=Rated.of(account.figures[name], account, lambda call: call.figures.get(name)))

    return read


def _likeness(name: str) -> Callable[[Account], Observations]:
    """Read how like their originals frames were, or utterances: a mean, the least twentieth, the worst (second).

    The mean has an interval, as each call has one; the others are what these pictures, or utterances, were.
    """
    names = {"p5": f"{name}_p5", "worst_second": f"{name}_in_worst_second", "worst": f"{name}_worst"}

    def read(account: Account) -> Observations:
        found = {each: account.figures[key] for each, key in names.items() if key in account.figures}
        rated = _figure(name)(account).rated
        # The original itself has 1, of SSIM and of ESTOI alike; PSNR, in dB, has no end.
        bounded = rated if rated is None or name == "psnr_db" else replace(rated, bounds=(-1.0, 1.0))
        return Observations(figures=found, rated=bounded)

    return read


def _stage(name: str) -> Callable[[Account], Observations]:
    def read(account: Account) -> Observations:
        if name not in account.stages:
            return Observations()
        return Observations(rated=Rated.of(account.stages[name], account, lambda call: call.stages.get(name)))

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What budgets can ask of a kind of account beside its delay and its fates: stages, and figures of its own."""

    stages: tuple[str, ...] = ()
    figures: Mapping[str, Unit] = field(default_factory=dict)


_JUDGED: Mapping[Kind, _Judged] = {
    "mouth_to_ear": _Judged(stages=STAGES),
    "glass_to_glass": _Judged(
        stages=(*VIDEO_STAGES, "network_and_target", "network_and_page"),
        figures={"freeze_share": "share", "frame_rate": "number", "full_size_share": "share", "smaller_s": "s"},
    ),
    "lip_sync": _Judged(figures={"corrections": "number", "audio_held_s": "s", "video_held_s": "s"}),
    "response": _Judged(
        stages=TURN_STAGES, figures={"inside": "share", "concealed_onsets": "share", "talk_over_s": "s"}
    ),
    "barge_in": _Judged(stages=TURN_STAGES, figures={"false_stops": "share"}),
    "messages": _Judged(
        stages=MESSAGE_STAGES,
        figures={
            "head_of_line_share": "share",
            "head_of_line_wait_s": "s",
            "head_of_line_longest_s": "s",
            "t3_retransmissions": "number",
            "fast_retransmissions": "number",
            "channel_open_s": "s",
        },
    ),
}
"""Every kind of account that something measures."""

_MEDIA: Mapping[Kind, Medium] = {"glass_to_glass": "video", "lip_sync": "video", "messages": "messages"}
"""The medium of kinds that are not of sound."""

_CALLED = {"video": "glass_to_glass", "picture": "glass_to_glass", "av_skew": "lip_sync", "message_delay": "messages"}
"""What budgets may call a kind, too: ``video.freeze_share``, ``picture.ssim``, ``av_skew``, ``message_delay``."""


def _metrics() -> Iterable[Metric]:
    yield from _joins()
    for kind, judged in _JUDGED.items():
        yield from _every_kind(kind)
        if kind == "mouth_to_ear":
            yield from _of_sound()
        if kind == "glass_to_glass":
            for name, figure in (("ssim", "ssim"), ("psnr", "psnr_db")):
                yield _account(kind, f".{name}", "number", _likeness(figure), aggregates=("mean", "p5", "worst_second"))
        if kind in ("response", "barge_in"):
            yield from _of_turns(kind)
        if kind == "response":
            for name in ("stoi", "estoi", "said_stoi", "said_estoi"):
                yield _account(kind, f".{name}", "number", _likeness(name), aggregates=("mean", "worst"))
        for stage in judged.stages:
            yield _account(kind, f".stages.{stage}", "s", _stage(stage))
        for name, unit in judged.figures.items():
            yield _account(kind, f".{name.removesuffix('_s')}", unit, _figure(name))
    yield from room_metrics()
    yield from link_metrics()
    yield from harness_metrics()


POPULAR = ("join.first_audio", "join.failed", "mouth_to_ear", "mouth_to_ear.lost", "link.loss")
"""Metrics to begin with."""

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _metrics()}
"""Every name a budget may use; what is of ways (``over``) takes the name of one after its first word."""
