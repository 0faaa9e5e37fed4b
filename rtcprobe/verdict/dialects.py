"""The same run under the names that services have for it: Agora, Tencent's TRTC, Volcengine.

Facts:
    Services judge a call by shares of stalls and of joins in time, each by thresholds of its own: the same gaps are a
    freeze rate of Agora's from 200 ms on, and a stall rate of Volcengine's from 80 ms on. Who moves from one to another
    compares numbers of two definitions; here both come from one run.

Rules:
    1. A figure stands here only where a page of the service's defines it; what the page leaves open is said in
       ``differs``. The one name that no page defines, 秒开率, says so itself.
    2. Pauses are those of ``hearing.spells`` (sound) and the freezes of the receiver (pictures, W3C's, of which the
       shorter are left out); a join is in time when its first sound was heard, which is later than when a server's
       "joined" came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

import numpy as np

from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.result import NamedFigure, Result
from rtcprobe.verdict.intervals import Calls, Rated, of_calls
from rtcprobe.verdict.room.figures import gap_share, joined_within
from rtcprobe.verdict.statistics import Ends, share_interval

__all__ = ["DIALECTS", "dialect_named", "in_words_of", "told_by"]


class _Found(NamedTuple):
    """A figure as it was found: its interval, and of how many ``what`` it was made."""

    value: float | None = None
    ends: Ends = (None, None)
    counted: int | None = None
    what: str = ""


_NOTHING: Final = _Found()

_AGORA: Final = "docs.agora.io/en/agora-analytics/reference/call-search-terms"
_VOLCENGINE: Final = "volcengine.com/docs/6348/1167931"
_TRTC: Final = "tencentcloud.com/document/product/647/50772"
_HEARD: Final = "ours ends with the first sound heard, later than a server's word that it is joined"
_FIRST_SOUND: Final = "industry usage; no service's page that defines it was found"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Definition:
    """A service's figure: how it is read of a result, and what is said of it."""

    name: str
    told: str
    by: str
    read: Callable[[Result], _Found]
    source: str
    unit: Literal["share", "ms"] = "share"
    differs: str = ""
    pictures: bool = False


def dialect_named(text: str) -> str:
    """Return ``text`` where it is a service whose words are known.

    Raises:
        BadInputError: it is not.
    """
    if text not in DIALECTS:
        raise BadInputError(f"figures {text!r} is no service whose words are known", did_you_mean(text, list(DIALECTS)))
    return text


def in_words_of(service: str, result: Result) -> tuple[NamedFigure, ...]:
    """Return the figures of ``result`` as ``service`` names them; of a medium that was not sent there are none.

    Raises:
        BadInputError: a service that is not known.
    """
    pictures = bool(result.of_kind("glass_to_glass"))
    asked = DIALECTS[dialect_named(service)]
    return tuple(_figure(each, result) for each in asked if pictures or not each.pictures)


def told_by(result: Result, service: str) -> Result:
    """Return a result that holds its figures in the words of ``service``, whosever it held.

    Raises:
        BadInputError: a service that is not known.
    """
    named = in_words_of(service, result)
    return replace(result, named=named, settings={**result.settings, "figures": service})


def _figure(definition: _Definition, result: Result) -> NamedFigure:
    found = definition.read(result)
    return NamedFigure(
        name=definition.name,
        told=definition.told,
        unit=definition.unit,
        value=found.value,
        low=found.ends[0],
        high=found.ends[1],
        counted=found.counted,
        what=found.what,
        by=definition.by,
        differs=definition.differs,
        source=definition.source,
    )


def _gaps(least_s: float) -> Callable[[Result], _Found]:
    def read(result: Result) -> _Found:
        found = gap_share(result.mouth_to_ear.values(), least_s)
        return _NOTHING if found is None else _Found(found.value, found.ends(), len(found.figures), "calls")

    return read


def _frozen(least_s: float) -> Callable[[Result], _Found]:
    """Read the time pictures stood still for ``least_s`` or longer, through the time they were shown."""

    def read(result: Result) -> _Found:
        seen = result.of_kind("glass_to_glass").values()
        shown_s: dict[int, float] = {}
        for account in seen:
            times_s: dict[int, list[float]] = {}
            for each in account.samples:
                times_s.setdefault(each.call, []).append(each.heard_s)
            for call, of_call_s in times_s.items():
                # Watched from a call's first picture to its last: before the first one, the join is what is waited for.
                shown_s[call] = shown_s.get(call, 0.0) + max(of_call_s) - min(of_call_s)
        shown_s = {call: lasted_s for call, lasted_s in shown_s.items() if lasted_s > 0.0}
        if not shown_s:
            return _NOTHING
        frozen_s = dict.fromkeys(shown_s, 0.0)
        for span in (span for account in seen for span in account.spans if span.what == "freeze"):
            if span.call in frozen_s and span.until_s - span.from_s >= least_s:
                frozen_s[span.call] += span.until_s - span.from_s
        whole_s = math.fsum(shown_s.values())
        rated = Rated(
            value=min(1.0, math.fsum(frozen_s.values()) / whole_s),
            figures=tuple(min(1.0, frozen_s[call] / shown_s[call]) for call in shown_s),
            weights=tuple(shown_s.values()),
            # As many chances of a freeze as such freezes would have filled the time (as ``room.figures`` counts gaps of
            # sound).
            events=whole_s / least_s,
        )
        return _Found(rated.value, rated.ends(), len(shown_s), "calls")

    return read


def _joins(limit_s: float) -> Callable[[Result], _Found]:
    def read(result: Result) -> _Found:
        kept = joined_within(result.join.attempts, limit_s)
        if not kept:
            return _NOTHING
        share = math.fsum(kept) / len(kept)
        return _Found(share, share_interval(share, len(kept)), len(kept), "joins")

    return read


def _delays(result: Result) -> Calls | None:
    by_call: dict[int, list[float]] = {}
    for way, ear in result.mouth_to_ear.items():
        if not way.there_and_back:
            for part, call in zip(of_calls(ear).parts, dict.fromkeys(each.call for each in ear.samples), strict=True):
                by_call.setdefault(call, []).extend(part.tolist())
    return Calls(parts=tuple(np.array(by_call[call]) for call in sorted(by_call)), least=0.0) if by_call else None


def _mean_delay(result: Result) -> _Found:
    delays = _delays(result)
    if delays is None:
        return _NOTHING
    low_s, high_s = delays.mean()
    ends = (low_s and low_s * 1e3, high_s and high_s * 1e3)
    return _Found(float(np.mean(delays.values)) * 1e3, ends, len(delays), "markers")


def _delays_within(limit_s: float) -> Callable[[Result], _Found]:
    def read(result: Result) -> _Found:
        delays = _delays(result)
        if delays is None:
            return _NOTHING
        share, low, high = delays.share_above(limit_s)
        # The ends change places with their share.
        return _Found(1.0 - share, (1.0 - high, 1.0 - low), len(delays), "markers")

    return read


_IN_A_SECOND: Final = _Definition(
    name="秒开率",
    told="first sound within a second",
    by="joins whose first sound was heard within 1 s ÷ joins",
    read=_joins(1.0),
    source=_FIRST_SOUND,
)

DIALECTS: Final[Mapping[str, tuple[_Definition, ...]]] = {
    "agora": (
        _Definition(
            name="Audio Freeze Rate",
            told="audio freeze rate",
            by="pauses of rendering of 200 ms and longer ÷ duration of all subscribed audio streams",
            read=_gaps(0.200),
            source=_AGORA,
        ),
        _Definition(
            name="Video Freeze Rate",
            told="video freeze rate",
            by="pauses of rendering of 600 ms and longer (native) ÷ duration of all subscribed video streams",
            read=_frozen(0.600),
            pictures=True,
            source=_AGORA,
        ),
        _Definition(
            name="Join Success Rate within 5s",
            told="joins within 5 s",
            by="joins done within 5 s ÷ joins",
            read=_joins(5.0),
            differs=_HEARD,
            source="rtcdeveloper.agora.io/t/topic/22701",
        ),
        _Definition(
            name="e2eDelay",
            told="capture to playback, mean",
            by="mean delay from the speaker's capture to the listener's playback",
            read=_mean_delay,
            unit="ms",
            differs="ours begins in the air before the microphone and ends in the air before the loudspeaker",
            source="agoraio-extensions.github.io/react-native-agora/classes/RemoteAudioStats.html",
        ),
        _IN_A_SECOND,
    ),
    "trtc": (
        _Definition(
            name="audioBlockRate",
            told="audio stall rate",
            by="audioTotalBlockTime ÷ total playback time; pauses of 200 ms and longer",
            read=_gaps(0.200),
            differs="the page names no length from which a pause counts: 200 ms is taken",
            source=_TRTC,
        ),
        _Definition(
            name="videoBlockRate",
            told="video stall rate",
            by="videoTotalBlockTime ÷ total playback time; freezes of 500 ms and longer",
            read=_frozen(0.500),
            pictures=True,
            differs="the page names no length from which a freeze counts: 500 ms is taken",
            source=_TRTC,
        ),
        _Definition(
            name="point2PointDelay",
            told="capture to playback, mean",
            by="mean delay of the whole chain: capture, encoding, network, buffering, decoding, playback",
            read=_mean_delay,
            unit="ms",
            source="web.sdk.qcloud.com/trtc/electron/doc/zh-cn/trtc_electron_sdk/TRTCRemoteStatistics.html",
        ),
        _IN_A_SECOND,
    ),
    "volcengine": (
        _Definition(
            name="5s_join_room_success_rate",
            told="joins within 5 s",
            by="joins done within 5 s ÷ joins",
            read=_joins(5.0),
            differs=_HEARD,
            source="volcengine.com/docs/6348/70063",
        ),
        _Definition(
            name="80ms_audio_stall_rate",
            told="audio stall rate",
            by="time in stalls of 80 ms and longer ÷ time of the call",
            read=_gaps(0.080),
            differs="the page's own sentence says stalls within 80 ms; its name is read as from 80 ms on",
            source=_VOLCENGINE,
        ),
        _Definition(
            name="500ms_video_stall_rate",
            told="video stall rate",
            by="time in stalls of 500 ms and longer ÷ time of the call",
            read=_frozen(0.500),
            pictures=True,
            source=_VOLCENGINE,
        ),
        _Definition(
            name="400ms_audio_network_trans_delay",
            told="sound within 400 ms",
            by="share of the time in which the delay between two is within 400 ms",
            read=_delays_within(0.400),
            differs="ours is mouth to ear, which holds more than the network: it is the stricter",
            source=_VOLCENGINE,
        ),
        _IN_A_SECOND,
    ),
}
"""What each service measures a call by."""
