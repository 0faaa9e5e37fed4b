"""What a listener heard of a recorded call: figures with their ranges, the E-model's rating, budgets, plain JSON.

Rules:
    1. A figure that depends on what a recording cannot say (ticks, sound) carries the range over what it may have been.
    2. A mouth-to-ear delay is given only where the reader said how long the fastest packet took from the mouth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np

from rtcprobe.capture.bounds import Bound, Kept, aggregated, judge
from rtcprobe.capture.dump import Dump
from rtcprobe.capture.hearing import Replayed, replayed
from rtcprobe.capture.network import Network, network_of
from rtcprobe.capture.parity import Beside, beside, dumped_of
from rtcprobe.capture.stream import Capture, Stream
from rtcprobe.capture.video import SeenStream, retransmissions, seen
from rtcprobe.errors import BadInputError, ExitCode
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.quality import Quality, burst_ratio, conversation, listening
from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["SCHEMA", "Heard", "HeardStream", "hear"]

SCHEMA: Final = "rtcprobe.heard/1"

# Each is replayed a dozen times; the others are listed, to be named by ``--ssrc``.
MOST_HEARD: Final = 8
_AS_LONG: Final = 0.5
"""Streams at least half as long as the longest are heard too: the other way of the call."""
# On a sender's own machine packets lie on its grid to a fifth of a millisecond: there no network is in the recording.
_SENDERS_SIDE_S: Final = 0.000_2
# A loudspeaker that was pulled so late played a gap that no packet made.
_LATE_PULL_S: Final = 0.050
# A hundred numbers to a packet that came; and a minute of nothing parts two calls.
_MOST_TIMES: Final = 100
_SILENCE_S: Final = 60.0  # twice what ICE consent allows a path to say nothing (RFC 7675 §5.1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardStream:
    """One stream heard. ``rating`` is of listening; of conversation where ``one_way_s`` (mouth → fastest packet) is.

    ``beside`` is what browsers counted of it.
    """

    stream: Stream
    network: Network
    replayed: Replayed
    rating: Quality
    one_way_s: float | None
    warnings: tuple[str, ...]
    beside: tuple[Beside, ...] = ()

    @property
    def mouth_to_ear_s(self) -> float | None:
        """Mean mouth-to-ear delay on the reader's assumption, devices and codec left out."""
        behind_s = self.replayed.middle.behind_mean_s
        return None if self.one_way_s is None or behind_s is None else self.one_way_s + behind_s

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: W3C's figures in W3C's units, others in the unit that their key names."""
        middle, network = self.replayed.middle, self.network
        behind = _percentiles_ms(middle.behind_s)
        return {
            "medium": "audio",
            "ssrc": self.stream.ssrc,
            "source": self.stream.source,
            "destination": self.stream.destination,
            "clock_hz": self.stream.clock_hz,
            "payload_type": self.stream.payload_type,
            "frame_ms": _rounded(self.replayed.frame_s * 1e3),
            "duration_s": _rounded(self.stream.duration_s),
            "packets": self.stream.count,
            "expected": network.expected,
            "lost": network.lost,
            "duplicates": network.duplicates,
            "reordered": network.reordered,
            "empty_packets": self.replayed.empty,
            "bursts": {"mean": _rounded(network.mean_burst), "longest": network.longest_burst},
            "network": _network_to_dict(network),
            "w3c": {name: _whole(value) for name, value in middle.w3c.items()},
            "heard": {
                "jitter_buffer_ms": _ms(middle.jitter_buffer_s),
                "target_ms": _ms(middle.target_s),
                "concealed": _rounded(middle.concealed),
                "behind_fastest_ms": {"mean": _ms(middle.behind_mean_s), **behind},
                "gaps_by_lateness": middle.late_gaps,
                "gaps_by_loss": middle.lost_gaps,
                "mouth_to_ear_ms": _ms(self.mouth_to_ear_s),
            },
            "ranges": _ranges_to_dict(self.replayed),
            "replays": self.replayed.replays,
            "pulls": self.replayed.pulls,
            "sound": self.replayed.sound,
            "quality": {
                "r": _rounded(self.rating.r, 1),
                "mos": _rounded(self.rating.mos, 2),
                "assumptions": list(self.rating.assumptions),
            },
            "series": self._series(),
            **({"beside": [each.to_dict() for each in self.beside]} if self.beside else {}),
            "warnings": list(self.warnings),
        }

    def _series(self) -> dict[str, list[float | None]]:
        """Return what a page of statistics would have shown, second by second."""
        # Counters begin at nothing: so the first second is a difference like the others.
        seconds = [dict.fromkeys(self.replayed.middle.w3c, 0.0), *self.replayed.middle.seconds]
        rows = [{name: late[name] - early[name] for name in late} for early, late in pairwise(seconds)]
        return {
            "jitter_buffer_ms": [_per(row, "jitterBufferDelay", "jitterBufferEmittedCount", 1e3) for row in rows],
            "target_ms": [_per(row, "jitterBufferTargetDelay", "jitterBufferEmittedCount", 1e3) for row in rows],
            "concealed": [_per(row, "concealedSamples", "totalSamplesReceived", 1.0) for row in rows],
        }


# A replay's figure, the key it has in JSON, and what its unit is multiplied by for that.
_DERIVED: Final = (
    ("jitter_buffer_s", "jitter_buffer_ms", 1e3),
    ("target_s", "target_ms", 1e3),
    ("concealed", "concealed", 1.0),
    ("behind_mean_s", "behind_fastest_mean_ms", 1e3),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """A file heard: the streams of sound and of video, those that were left, and what became of each budget."""

    name: str
    capture: Capture
    streams: tuple[HeardStream, ...]
    others: tuple[Stream, ...]
    videos: tuple[SeenStream, ...] = field(default=())
    kept: tuple[Kept, ...] = field(default=())

    @property
    def exit_code(self) -> ExitCode:
        """Budgets met, or one that was missed."""
        return ExitCode.MISSED if any(each.verdict == "missed" for each in self.kept) else ExitCode.MET

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should know of the file."""
        return self.capture.warnings

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "source": {
                "file": self.name,
                "kind": self.capture.kind,
                "clock_resolution_ms": self.capture.clock_resolution_s * 1e3,
                "heard_as": "the receiver that logged it"
                if self.capture.kind == "rtc event log"
                else "a receiver that is on time",
            },
            "streams": [*(each.to_dict() for each in self.streams), *(each.to_dict() for each in self.videos)],
            "others": [
                {
                    "ssrc": each.ssrc, "source": each.source, "destination": each.destination, "packets": each.count,
                    "duration_s": _rounded(each.duration_s), "clock_hz": each.clock_hz,
                    "payload_type": each.payload_type,
                }
                for each in self.others
            ],
            "budgets": [each.to_dict() for each in self.kept],
            "warnings": list(self.warnings),
        }  # fmt: skip


def _network_to_dict(network: Network) -> dict[str, Any]:
    drift = network.drift
    return {
        **{
            f"variable_{name}_ms": _rounded(getattr(network, f"variable_{name}_s") * 1e3)
            for name in ("p50", "p95", "p99", "max")
        },
        "jitter_ms": _rounded(network.jitter_s * 1e3),
        "longest_silence_ms": _rounded(network.longest_silence_s * 1e3),
        "drift_ppm": _rounded(drift.ppm),
        "drift_ci_ppm": None if drift.ppm is None else [_rounded(drift.low), _rounded(drift.high)],
        "drift_unknown": drift.reason or None,
    }


def _ranges_to_dict(replayed: Replayed) -> dict[str, list[float | None]]:
    ranges = replayed.ranges
    own: dict[str, list[float | None]] = {
        name: [_whole(low), _whole(high)] for name, (low, high) in ranges.items() if name in replayed.middle.w3c
    }
    derived = {
        key: [_rounded(low * factor), _rounded(high * factor)]
        for name, key, factor in _DERIVED
        if name in ranges
        for low, high in (ranges[name],)
    }
    return {**own, **derived}


def hear(
    capture: Capture,
    name: str,
    *,
    ssrc: int | None = None,
    from_s: float = 0.0,
    one_way_s: float | None = None,
    bounds: Sequence[Bound] = (),
    sound_of: int | None = None,
    dumps: Sequence[Dump] = (),
) -> Heard:
    """Return what a listener heard of ``capture``: of one stream, or of the longest and those nearly as long.

    ``dumps`` are what browsers counted of the same call: put beside the streams that they have an SSRC of.

    Raises:
        BadInputError: no stream, none of that SSRC, none of sound or video, a start after the end, or a dump of
            another call.
    """
    if not capture.streams:
        raise BadInputError(f"{name} holds no RTP stream", "capture the media, not the signalling alone")
    # Found among all streams before any is chosen: a stream of repeats alone is nothing to be heard.
    again = retransmissions(capture.streams)
    chosen = _chosen(capture, name, ssrc, again)
    sound = [each for each in chosen if each.clock_hz != VIDEO_HZ]
    heard = tuple(_heard(each, from_s, one_way_s, with_sound=each.ssrc == sound_of) for each in sound)
    if dumps:
        heard = _with_dumps(capture, heard, dumps, from_s)
    pictures = [each for each in chosen if each.clock_hz == VIDEO_HZ]
    videos = tuple(seen(each, again.get(each.ssrc), from_s=from_s) for each in pictures)
    chosen += [again[each.ssrc] for each in pictures if each.ssrc in again]
    kept = tuple(judge(bound, heard, videos) for bound in bounds)
    others = tuple(each for each in capture.streams if all(each is not one for one in chosen))
    return Heard(name=name, capture=capture, streams=heard, videos=videos, others=others, kept=kept)


def _with_dumps(
    capture: Capture, heard: Sequence[HeardStream], dumps: Sequence[Dump], from_s: float
) -> tuple[HeardStream, ...]:
    for dump in dumps:
        if not any(dumped_of(dump, each.stream.ssrc) for each in heard):
            known = ", ".join(str(each.ssrc) for each in dump.streams if each.medium == "audio") or "none of sound"
            raise BadInputError(
                f"{dump.name} counts none of the streams heard", f"it has SSRC {known}: choose by --ssrc"
            )
    return tuple(
        replace(
            each,
            beside=tuple(
                found for dump in dumps if (found := beside(capture, each.stream, dump, from_s=from_s)) is not None
            ),
        )
        for each in heard
    )


def _chosen(capture: Capture, name: str, ssrc: int | None, again: Mapping[int, Stream]) -> list[Stream]:
    if ssrc is not None:
        found = [each for each in capture.streams if each.ssrc == ssrc]
        if not found:
            known = ", ".join(str(each.ssrc) for each in capture.streams[:8])
            raise BadInputError(f"{name} has no stream with SSRC {ssrc}", f"it has {known}")
        repeated = next((of for of, each in again.items() if each.ssrc == ssrc), None)
        if repeated is not None:
            raise BadInputError(
                f"stream {ssrc} holds the retransmissions of {repeated} alone", f"give --ssrc {repeated}"
            )
        return found[:1]
    sound = [each for each in capture.streams if each.clock_hz not in (None, VIDEO_HZ)]
    video = [
        each for each in capture.streams if each.clock_hz == VIDEO_HZ and all(each is not one for one in again.values())
    ]
    if not sound and not video:
        raise BadInputError(
            f"{name} holds no stream of sound or video with a steady clock",
            "capture ten packets and a second or more of it",
        )
    # WebRTC's sound is Opus at 48 kHz (RFC 7587 §4.1); other clocks in the same file are most often another call's.
    opus = [each for each in sound if each.clock_hz == RTP_CLOCK_HZ] or sound
    return [each for kind in (opus, video) for each in _longest(kind)]


def _longest(streams: Sequence[Stream]) -> list[Stream]:
    longest_s = max((each.duration_s for each in streams), default=0.0)
    return [each for each in streams if each.duration_s >= _AS_LONG * longest_s][:MOST_HEARD]


def _one_call(stream: Stream) -> tuple[Stream, int]:
    """Return the longest run of a stream without a silence of ``_SILENCE_S``, and how many packets lie apart from it.

    A damaged instant, or another call on the same ports next day, would make a receiver wait for ever between them.
    """
    packets, copies = stream.packets, stream.duplicates
    order = np.argsort(packets.at_s, kind="stable")
    gaps = np.flatnonzero(np.diff(packets.at_s[order]) > _SILENCE_S) + 1
    if not len(gaps):
        return stream, 0
    longest = packets.only(max(np.split(order, gaps), key=len))
    found = replace(
        stream,
        count=len(longest),
        duration_s=float(np.ptp(longest.at_s)),
        load=lambda: (longest, copies),
    )
    return found, len(packets) - len(longest)


def _heard(stream: Stream, from_s: float, one_way_s: float | None, *, with_sound: bool) -> HeardStream:
    stream, apart = _one_call(stream)
    found = replayed(stream, from_s=from_s, with_sound=with_sound)
    network = network_of(stream)
    # What was made up is what the listener lost: G.107's Ppl is of the
    # packets that the decoder did not get, late ones too.
    concealed = found.middle.concealed or 0.0
    burst = _burst(stream)
    behind_s = found.middle.behind_mean_s
    if one_way_s is None or behind_s is None:
        rating = listening(loss_ratio=concealed, burst_ratio=burst)
    else:
        rating = conversation(one_way_delay_s=one_way_s + behind_s, loss_ratio=concealed, burst_ratio=burst)
    return HeardStream(
        stream=stream,
        network=network,
        replayed=found,
        rating=rating,
        one_way_s=one_way_s,
        warnings=(*_apart(apart), *_warnings(stream, network, found)),
    )


def _apart(packets: int) -> tuple[str, ...]:
    return () if not packets else (f"{packets:,} packets were left out: a minute and more lies between them and it",)


def _burst(stream: Stream) -> float | None:
    came = np.unique(stream.packets.sequence)
    if came[-1] - came[0] > _MOST_TIMES * len(came):  # numbers of several calls, or damaged ones: no losses to speak of
        return None
    lost = np.ones(int(came[-1] - came[0]) + 1, dtype=np.bool_)
    lost[came - came[0]] = False
    return burst_ratio([bool(each) for each in lost])


def _warnings(stream: Stream, network: Network, found: Replayed) -> list[str]:
    said = list(found.warnings)
    if stream.at_the_server:
        said.append("recorded at a server: what the network did between it and its listeners is not in it")
    elif network.variable_p95_s < _SENDERS_SIDE_S and not network.lost and stream.pulls_s is None:
        said.append(
            "no delay varies and nothing is lost: this looks like the sender's own machine, capture at the listener's"
        )
    if found.red:
        said.append("RED under SRTP cannot be opened: heard as if every packet had only the frame of its own time")
    if stream.pulls_s is not None and len(stream.pulls_s) > 1:
        # Less the 10 ms that lie between two pulls in any case.
        late_s = float(np.diff(stream.pulls_s).max()) - 0.010
        if late_s > _LATE_PULL_S:
            said.append(f"the receiver itself asked for sound up to {late_s * 1e3:.0f} ms late")
    if found.empty:
        said.append(f"{found.empty:,} packets without a frame (padding) were left out")
    return said


def _percentiles_ms(values: Any) -> dict[str, float | None]:
    if not len(values):
        return dict.fromkeys(("p50", "p95", "max"))
    return {name: _rounded(aggregated(values, name) * 1e3) for name in ("p50", "p95", "max")}


def _per(row: Mapping[str, float], part: str, whole: str, factor: float) -> float | None:
    return _rounded(row[part] / row[whole] * factor) if row[whole] else None


def _ms(value: float | None) -> float | None:
    return None if value is None else _rounded(value * 1e3)


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else round(float(value), 6)


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), digits) + 0.0
