"""A recorded video stream seen again: through the house's video receiver, as a viewer that is on time saw it.

Facts:
    - Under SRTP nobody sees where a frame begins, what it needs, or that it is a key frame; RTP time, marker bit, order
      and size are in clear. Frames without holes are played the same whatever they hold; what follows a hole that was
      never filled depends on where the next key frame is.
    - A log's configuration names the stream of retransmissions. A retransmission with an SSRC of its own (RTX, RFC
      4588) bears the RTP time of the packet it repeats. Times begin at random, so a stream whose times are all found
      in another's is its RTX. Which number it repeats is encrypted, but only what is missing at that time can be meant.
    - Sender reports, which tell how far sound and picture lie apart, are encrypted in a capture.

Rules:
    1. Behind a hole that stays, the picture comes back with the first frame so much larger than usual that it must be a
       key frame; or, at best, with the first whole frame. Figures are of the former, their ranges reach to the latter.
    2. What the receiver here would have asked for is no figure: a recording holds what was really sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rtcprobe.capture.network import Network, network_of
from rtcprobe.capture.stream import Packets, Stream
from rtcprobe.errors import BadInputError
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.playout.frames import FrameReceiver, VideoPacket, make_receiver
from rtcprobe.wrapping import unwrapped

__all__ = ["SeenStream", "Viewed", "retransmissions", "seen"]

SKEW_UNKNOWN: Final = (
    "sender reports, which relate its clock to the sound's, are encrypted in a capture, and not read from an event log"
)
_POLICY: Final = "libwebrtc"
_KEY_TIMES: Final = 4.0
"""A frame this much larger than the median is taken for a key frame: 640x480 at 500 kb/s has 7 to 15 times."""
_TAGS_BYTES: Final = 20  # SRTP's tag (16, 10 or 4) and, where sent, a payload descriptor: less than any picture
# RTX bears the times of what it repeats, but for the padding that is sent on it to probe the line.
_ALIKE: Final = 0.9
# A second more than the last packet: what waits is released or given up by then, and nothing is frozen for it.
_DRAIN_US: Final = 1_000_000
_OURS: Final = frozenset({"nackCount", "pliCount", "keyFramesDecoded", "totalDecodeTime", "bytesReceived"})
"""Counters of our receiver that say nothing of the recording."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Viewed:
    """One replay: W3C's counters since ``from_s``, and second by second."""

    w3c: Mapping[str, float]
    series: Mapping[str, Sequence[float | None]]

    @property
    def freeze_share(self) -> float | None:
        """Share of the time between the first frame and the last that the picture stood."""
        return _ratio(self.w3c["totalFreezesDuration"], self.w3c["totalInterFrameDelay"])

    @property
    def frame_rate(self) -> float | None:
        """Frames shown a second, on the mean."""
        return _ratio(self.w3c["framesRendered"] - 1, self.w3c["totalInterFrameDelay"])

    @property
    def jitter_buffer_s(self) -> float | None:
        """Mean wait from a frame's first packet until it was released to be decoded."""
        return _ratio(self.w3c["jitterBufferDelay"], self.w3c["jitterBufferEmittedCount"])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenStream:
    """One video stream: ``middle`` as key frames are told by size, ``best`` as if none were needed (rule 1)."""

    stream: Stream
    network: Network
    middle: Viewed
    best: Viewed
    resent_by: int | None
    repaired: int
    warnings: tuple[str, ...]

    def range_of(self, name: str) -> tuple[float, float] | None:
        """Return the range of a figure over both replays."""
        values = [
            float(value)
            for each in (self.middle, self.best)
            if (value := getattr(each, name, None) if name not in each.w3c else each.w3c[name]) is not None
        ]
        return (min(values), max(values)) if values else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: W3C's figures in W3C's units, others in the unit that their key names."""
        network, middle = self.network, self.middle
        return {
            "medium": "video",
            "ssrc": self.stream.ssrc,
            "source": self.stream.source,
            "destination": self.stream.destination,
            "clock_hz": self.stream.clock_hz,
            "payload_type": self.stream.payload_type,
            "duration_s": round(self.stream.duration_s, 6),
            "packets": self.stream.count,
            "expected": network.expected,
            "lost": network.lost,
            "repaired": self.repaired,
            "rtx_ssrc": self.resent_by,
            "duplicates": network.duplicates,
            "reordered": network.reordered,
            "bursts": {"mean": network.mean_burst, "longest": network.longest_burst},
            "w3c": {name: _plain(value) for name, value in middle.w3c.items()},
            "heard": {
                "freeze_share": _plain(middle.freeze_share),
                "frames_per_second": _plain(middle.frame_rate),
                "jitter_buffer_ms": None if middle.jitter_buffer_s is None else _plain(middle.jitter_buffer_s * 1e3),
                "av_skew_ms": None,
                "av_skew_unknown": SKEW_UNKNOWN,
            },
            "ranges": {
                name: [_plain(low), _plain(high)]
                for name in (*middle.w3c, "freeze_share")
                if (found := self.range_of(name)) is not None
                for low, high in (found,)
            },
            "replays": 2,
            "played_by": _POLICY,
            "series": {name: list(values) for name, values in middle.series.items()},
            "warnings": list(self.warnings),
        }


def retransmissions(streams: Sequence[Stream]) -> dict[int, Stream]:
    """Return the RTX streams among those of video, by the SSRC of the stream that they repeat."""
    video = [each for each in streams if each.clock_hz == VIDEO_HZ or each.clock_hz is None]
    found: dict[int, Stream] = {}
    for stream in sorted(video, key=lambda each: -each.count):
        # Longest first: a stream that was found to repeat another is not asked what repeats it.
        if any(stream is each for each in found.values()) or stream.clock_hz != VIDEO_HZ:
            continue
        if stream.rtx_ssrc is not None:
            found.update((stream.ssrc, each) for each in video if each.ssrc == stream.rtx_ssrc)
            continue
        known = np.unique(stream.packets.timestamp % 2**32)
        for other in video:
            if other is stream or other.count >= stream.count or stream.ssrc in found:
                continue
            # RTX goes the way of its stream (one transport, RFC 9143): times that agree elsewhere are chance.
            if (other.source, other.destination) != (stream.source, stream.destination):
                continue
            asked = np.unique(other.packets.timestamp % 2**32)
            if np.isin(asked, known).mean() >= _ALIKE:
                found[stream.ssrc] = other
    return found


def seen(stream: Stream, rtx: Stream | None = None, *, from_s: float = 0.0) -> SeenStream:
    """Return ``stream`` as it was seen, holes filled from ``rtx``; its first ``from_s`` seconds do not count.

    Raises:
        BadInputError: nothing left from ``from_s`` on, or no whole frame in it.
    """
    if not 0.0 <= from_s < stream.duration_s:
        raise BadInputError(
            f"the stream lasts {stream.duration_s:.1f} s, so nothing is left from {from_s:g} s on", "give less"
        )
    packets, repaired = _with_resent(stream.packets, rtx)
    large, behind_holes = _key_frames(packets)
    # Twice the same packets: as if the picture came back with the next large frame, and with the next whole one.
    middle, best = (_viewed(packets, keys, from_s) for keys in (large, large | behind_holes))
    if not middle.w3c["framesReceived"]:
        raise BadInputError(f"stream {stream.ssrc} has no whole frame in it", "name another with --ssrc")
    network = network_of(stream)
    return SeenStream(
        stream=stream,
        network=network,
        middle=middle,
        best=best,
        resent_by=None if rtx is None else rtx.ssrc,
        repaired=repaired,
        warnings=tuple(_warnings(network, rtx, repaired, len(large), bool(behind_holes))),
    )


def _warnings(network: Network, rtx: Stream | None, repaired: int, keys: int, holes: bool) -> list[str]:
    said = ["its payload is not looked into: key frames are told by their size alone"]
    if holes:
        said.append(
            f"{network.lost - repaired:,} packets never came: how soon the picture was back behind them is known only "
            f"between the next whole frame and the next of {keys} large ones"
        )
    if rtx is not None:
        said.append(f"SSRC {rtx.ssrc} is its retransmissions: {repaired:,} of {network.lost:,} lost packets came so")
    said.append(f"how far sound and picture lie apart cannot be known: {SKEW_UNKNOWN}")
    return said


def _with_resent(packets: Packets, rtx: Stream | None) -> tuple[Packets, int]:
    """Return the packets with those of ``rtx`` in the places they repeat, and how many those were."""
    if rtx is None or not len(rtx.packets):
        return packets, 0
    order = np.argsort(packets.sequence, kind="stable")
    sequence, timestamp = packets.sequence[order], packets.timestamp[order]
    gaps = np.flatnonzero(np.diff(sequence) > 1)
    missing = np.concatenate([np.arange(sequence[at] + 1, sequence[at + 1]) for at in gaps] or [np.zeros(0, np.int64)])
    gap_of = np.repeat(gaps, sequence[gaps + 1] - sequence[gaps] - 1) if len(gaps) else np.zeros(0, np.int64)
    low, high = timestamp[gap_of], timestamp[gap_of + 1] if len(gap_of) else timestamp[:0]
    free = np.ones(len(missing), dtype=np.bool_)
    again = rtx.packets
    taken: list[tuple[int, int]] = []
    anchor = int(packets.timestamp[0])
    for place in np.flatnonzero(again.size > _TAGS_BYTES).tolist():
        # The time of the repeat nearest to the stream's own, for either may count on beyond 32 bits.
        at = unwrapped(int(again.timestamp[place]), anchor, 32)
        fits = np.flatnonzero(free & (low <= at) & (at <= high))
        if len(fits):
            # The last of a frame has its marker; of the others the first that is missing was asked for first.
            chosen = int(fits[-1] if again.marker[place] and high[fits[-1]] > at else fits[0])
            free[chosen] = False
            taken.append((place, int(missing[chosen])))
    if not taken:
        return packets, 0
    places = np.array([place for place, _ in taken])
    joined = Packets(
        at_s=np.concatenate([packets.at_s, again.at_s[places]]),
        sequence=np.concatenate([packets.sequence, np.array([number for _, number in taken])]),
        timestamp=np.concatenate([packets.timestamp % 2**32, again.timestamp[places] % 2**32]),
        # Less two: the original number stands before the payload (RFC 4588 §4).
        size=np.concatenate([packets.size, again.size[places] - 2]),
        payload_type=np.concatenate([packets.payload_type, again.payload_type[places]]),
        marker=np.concatenate([packets.marker, again.marker[places]]),
    )
    return joined.only(np.argsort(joined.at_s, kind="stable")), len(taken)


def _key_frames(packets: Packets) -> tuple[frozenset[int], frozenset[int]]:
    """Return the RTP times (32 bits) of frames that must be key frames, and of the first whole ones behind holes."""
    order = np.argsort(packets.sequence, kind="stable")
    sequence, timestamp = packets.sequence[order], packets.timestamp[order] % 2**32
    times, inverse = np.unique(timestamp, return_inverse=True)
    sizes = np.bincount(inverse, weights=packets.size[order].astype(np.float64))
    # By size alone, summed over the packets of one RTP time.
    large = {int(times[place]) for place in np.flatnonzero(sizes >= _KEY_TIMES * np.median(sizes))}
    # The first frame seen is taken for one that can be shown: what it needs lies before the recording.
    large.add(int(timestamp[0]))
    marker = packets.marker[order]
    behind: set[int] = set()
    for at in np.flatnonzero(np.diff(sequence) > 1).tolist():
        # Frames begin behind a marker: the first of which that is to be seen after the hole.
        ends = np.flatnonzero(marker[at + 1 : at + 2000])
        if len(ends) and at + 2 + int(ends[0]) < len(timestamp):
            behind.add(int(timestamp[at + 2 + int(ends[0])]))
    return frozenset(large), frozenset(behind)


def _viewed(packets: Packets, keys: frozenset[int], from_s: float) -> Viewed:
    begin_us = round(float(packets.at_s[0]) * 1e6)
    receiver = make_receiver(_POLICY, start_us=begin_us)
    at_us = np.rint(packets.at_s * 1e6).astype(np.int64).tolist()
    before: Mapping[str, float] | None = None
    rows = zip(
        at_us, packets.sequence.tolist(), packets.timestamp.tolist(), packets.marker.tolist(), packets.size.tolist(),
        strict=True,
    )  # fmt: skip
    for now_us, sequence, timestamp, marker, size in rows:
        # The state at ``from_s``, before the packet that is the first beyond it.
        if before is None and now_us - begin_us >= from_s * 1e6:
            receiver.advance(now_us)
            before = receiver.counters.w3c()
        receiver.insert_packet(
            VideoPacket(
                sequence=sequence & 0xFFFF,
                timestamp=timestamp & 0xFFFFFFFF,
                marker=marker,
                # Padding has no picture in it; a packet with a marker ends a frame, however small.
                size_bytes=size if size > _TAGS_BYTES or marker else 0,
                key=timestamp & 0xFFFFFFFF in keys,
            ),
            now_us,
        )
    receiver.advance(at_us[-1] + _DRAIN_US)
    final = receiver.counters.w3c()
    since = {name: value - (before or {}).get(name, 0.0) for name, value in final.items() if name not in _OURS}
    return Viewed(w3c=since, series=_series(receiver, begin_us, at_us[-1]))


def _series(receiver: FrameReceiver, begin_us: int, end_us: int) -> dict[str, list[float | None]]:
    """Return frames shown, the wait in the buffer and the time frozen of each second."""
    count = max(1, -(-(end_us - begin_us) // 1_000_000))
    shown = np.zeros(count)
    waited = np.zeros(count)
    frozen = np.zeros(count)
    for each in receiver.shown:
        place = min(count - 1, (each.at_us - begin_us) // 1_000_000)
        shown[place] += 1
        waited[place] += (each.released_us - each.frame.first_us) / 1e3
    edges_us = begin_us + np.arange(count + 1) * 1_000_000
    for low_us, high_us in receiver.counters.freezes.spans_us:
        frozen += np.clip(np.minimum(edges_us[1:], high_us) - np.maximum(edges_us[:-1], low_us), 0, None) / 1e6
    return {
        "frames_per_second": [float(each) for each in shown],
        "jitter_buffer_ms": [
            None if not many else round(float(all_ / many), 3) for all_, many in zip(waited, shown, strict=True)
        ],
        "frozen": [round(float(each), 6) for each in frozen],
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _plain(value: float | None) -> float | int | None:
    if value is None:
        return None
    return int(value) if float(value).is_integer() else round(float(value), 6)
