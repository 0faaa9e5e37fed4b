"""A recorded stream heard again: through the house's NetEQ, as a receiver that is on time would have heard it.

Facts:
    - Replaying what arrived gives what a real receiver reported: on event logs of real calls the mean jitter buffer
      delay is within 4 % of Chromium's own and the concealed share within 2 % (``benchmarks/hear_truth.py``).
    - A packet capture has no instants of playout and, under SRTP, no sound. Both matter: the phase of the loudspeaker's
      ticks by some ms, the sound by more. So it is played at several phases over two programmes, and each figure
      carries the range over them. A capture cannot see a receiver that was itself late; an event log can.
    - The network between two points is not in a capture of one: how long before the fastest packet a word was spoken
      is unknown, so nothing here is a mouth-to-ear delay unless ``one_way_s`` is given.

Rules:
    1. The counters shown are of one replay, the one nearest the median of all figures: they agree with each other.
    2. A long stream is played whole once; its ranges are those of its first five minutes, moved to its figures.
    3. The replay ends when the newest frame was played: more would only add silence to what is concealed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.capture.network import floor_of
from rtcprobe.capture.programme import PROGRAMME_S, PROGRAMMES, ProgrammeDecoder, frame_payload
from rtcprobe.capture.stream import Packets, Stream, Wish
from rtcprobe.errors import BadInputError
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.playout.arrivals import Arrival, Coming
from rtcprobe.playout.base import BLOCK_S, SAMPLE_RATE_HZ, Decoder, Pcm, RtpPacket
from rtcprobe.playout.neteq import NetEq
from rtcprobe.playout.policies import gaps, w3c_figures

__all__ = ["Plan", "Played", "ReplayWay", "Replayed", "plan_of", "play", "replayed", "ways_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# The phase of the loudspeaker's ticks moves the mean delay by some ms, in steps that six phases of 10 ms show.
PHASES: Final = 6
# Of a log, whose ticks are known: three places in the programme tell how much the sound matters.
PLACES: Final = 3
_WHOLE_S: Final = 300.0
"""A stream up to this long is played at every phase over every programme."""
# Silence behind the last packet is over after ten frames of nothing; an application may ask for a jitter buffer of ten
# seconds (W3C jitterBufferTarget), and two more are left for it to run dry.
_DRY_S, _LONGEST_DRAIN_S = 0.200, 12.0
# Chromium's numbers. Inside the replay every packet has the first; the second tells RED under SRTP.
_PAYLOAD_TYPE, _RED = 111, 63
_TAG_BYTES: Final = (16, 10, 4)  # AES-GCM, HMAC-SHA1-80, HMAC-SHA1-32 (RFC 7714, RFC 3711)
# Opus' own: a frame without sound is its table of contents alone, or that and one byte (``audio.opus_packet.is_dtx``).
_DTX_BYTES: Final = 2
_GAP_S: Final = 0.060  # three frames: what DTX leaves out at least


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """One replay.

    ``w3c`` are counters since ``from_s``, in W3C's units; ``seconds`` the counters at each full second; ``behind_s``
    how much later each block was played than it could have been, had its packet been the fastest: shape (blocks,).
    """

    w3c: Mapping[str, float]
    seconds: Sequence[Mapping[str, float]]
    behind_s: Floats
    late_gaps: int
    lost_gaps: int
    pcm: Pcm | None = None

    @property
    def jitter_buffer_s(self) -> float | None:
        """Mean wait in the packet buffer."""
        return _ratio(self.w3c["jitterBufferDelay"], self.w3c["jitterBufferEmittedCount"])

    @property
    def target_s(self) -> float | None:
        """Mean target delay."""
        return _ratio(self.w3c["jitterBufferTargetDelay"], self.w3c["jitterBufferEmittedCount"])

    @property
    def concealed(self) -> float | None:
        """Share of the sound that was made up."""
        return _ratio(self.w3c["concealedSamples"], self.w3c["totalSamplesReceived"])

    @property
    def behind_mean_s(self) -> float | None:
        """Mean delay behind the fastest packet: network variation, jitter buffer, and the block it was played in."""
        return float(np.mean(self.behind_s)) if len(self.behind_s) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """All replays of a stream: the ``middle`` one, and the range of each figure over them.

    ``frame_s`` is a packet's sound; ``floor_s`` how long after its RTP time the fastest packet came (any zero);
    ``dtx_bytes`` the largest payload taken for a sender's silence (None: it never was silent).
    """

    middle: Played
    ranges: Mapping[str, tuple[float, float]]
    replays: int
    pulls: str
    sound: str
    frame_s: float
    dtx_bytes: int | None
    empty: int
    red: bool
    warnings: tuple[str, ...] = field(default=())


def replayed(stream: Stream, *, from_s: float = 0.0, with_sound: bool = False) -> Replayed:
    """Return ``stream`` as it was heard; its first ``from_s`` seconds are played but not counted.

    ``with_sound`` keeps what left the loudspeaker, where the payloads are in clear.

    Raises:
        BadInputError: no audio clock, too short for ``from_s``, or nothing in it that can be played.
    """
    packets, clock_hz = stream.packets, stream.clock_hz
    if clock_hz is None or clock_hz == VIDEO_HZ:
        what = "the 90 kHz clock of video" if clock_hz else "no steady clock of audio"
        raise BadInputError(f"stream {stream.ssrc} has {what}", "name a stream of sound with --ssrc")
    lasts_s = float(np.ptp(packets.at_s)) if len(packets) else 0.0
    if not 0.0 <= from_s < lasts_s:
        raise BadInputError(f"the stream lasts {lasts_s:.1f} s, so nothing is left from {from_s:g} s on", "give less")
    plan = plan_of(packets, clock_hz, encrypted=stream.encrypted)
    if not len(plan.at_s):
        raise BadInputError(f"stream {stream.ssrc} has no frame of sound in it", "name another with --ssrc")
    long = lasts_s > _WHOLE_S
    head = plan.only(plan.at_s - plan.at_s[0] <= _WHOLE_S) if long else plan
    # Of a long stream the ranges are those of its head: half of that has to be left to count.
    begin_s = min(from_s, _WHOLE_S / 2) if long else from_s
    ways = ways_of(plan, stream)
    runs = [play(head, way.pulls(head, stream), way.decoder(head), stream.wishes, from_s=begin_s) for way in ways]
    chosen = _middle(runs)
    middle = runs[chosen]
    ranges = _ranges(runs)
    if long or with_sound:
        way, short = ways[chosen], middle
        middle = play(
            plan, way.pulls(plan, stream), way.decoder(plan), stream.wishes, from_s=from_s, with_sound=with_sound
        )
        ranges = _moved(ranges, short, middle)
    return Replayed(
        middle=middle,
        ranges=ranges,
        replays=len(runs),
        pulls=f"grid of {PHASES} phases" if ways[0].grid else "log",
        sound=" and ".join(dict.fromkeys(way.sound for way in ways)),
        frame_s=plan.frame / SAMPLE_RATE_HZ,
        dtx_bytes=plan.dtx_bytes,
        empty=plan.empty,
        red=plan.red,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Packets as NetEQ gets them, in the order they came; all of shape (n,). Times are of the 48 kHz clock."""

    at_s: Floats
    sequence: Ints
    timestamp: Ints
    silent: npt.NDArray[np.bool_]
    payloads: tuple[bytes, ...] | None
    frame: int
    dtx_bytes: int | None
    empty: int
    red: bool

    def arrivals(self) -> list[Arrival]:
        """Return every packet with its instant."""
        payloads = self.payloads or [
            b"\0" if silent else frame_payload(timestamp, self.frame)
            for silent, timestamp in zip(self.silent.tolist(), self.timestamp.tolist(), strict=True)
        ]
        packets = zip(self.sequence.tolist(), self.timestamp.tolist(), payloads, strict=True)
        return [
            (at_s, RtpPacket(sequence & 0xFFFF, timestamp & 0xFFFFFFFF, payload, _PAYLOAD_TYPE))
            for at_s, (sequence, timestamp, payload) in zip(self.at_s.tolist(), packets, strict=True)
        ]

    def only(self, chosen: npt.NDArray[np.bool_]) -> Plan:
        """Return the packets of a mask."""
        places = np.flatnonzero(chosen)
        return Plan(
            at_s=self.at_s[places], sequence=self.sequence[places], timestamp=self.timestamp[places],
            silent=self.silent[places],
            payloads=None if self.payloads is None else tuple(self.payloads[place] for place in places.tolist()),
            frame=self.frame, dtx_bytes=self.dtx_bytes, empty=self.empty, red=self.red,
        )  # fmt: skip

    @property
    def transit_s(self) -> Floats:
        """When each came, less its RTP time."""
        return self.at_s - self.timestamp / SAMPLE_RATE_HZ


def plan_of(packets: Packets, clock_hz: int, *, encrypted: bool) -> Plan:
    """Return packets as NetEQ gets them; payloads only where they are Opus in clear."""
    tag = _tag_bytes(packets) if encrypted else 0
    # What says nothing at all is padding, sent to probe a line: no frame (its time is not a frame's).
    carrying = packets.size > tag if encrypted and tag else packets.size > 0
    sounding = packets.only(carrying)
    timestamp = (sounding.timestamp - (sounding.timestamp.min() if len(sounding) else 0)) * SAMPLE_RATE_HZ // clock_hz
    frame = _frame(sounding.sequence, timestamp)
    clear = None if encrypted else sounding.payloads
    dtx = _dtx_bytes(sounding, timestamp, frame) if clear is None else _DTX_BYTES
    return Plan(
        at_s=sounding.at_s,
        sequence=sounding.sequence,
        timestamp=timestamp,
        silent=sounding.size <= (dtx or 0),
        payloads=clear,
        frame=frame,
        dtx_bytes=dtx if dtx is not None and bool(np.any(sounding.size <= dtx)) else None,
        empty=len(packets) - len(sounding),
        red=bool(encrypted and np.count_nonzero(sounding.payload_type == _RED) * 2 > len(sounding)),
    )


def _tag_bytes(packets: Packets) -> int:
    """Return the size of SRTP's tag, as far as payloads without any content (padding alone) show it; else 0."""
    smallest = int(packets.size.min()) if len(packets) else 0
    return smallest if smallest in _TAG_BYTES else 0


def _frame(sequence: Ints, timestamp: Ints) -> int:
    """Return the samples of a packet at 48 kHz: the step of RTP time between neighbours, most often."""
    order = np.argsort(sequence, kind="stable")
    steps = np.diff(timestamp[order])[np.diff(sequence[order]) == 1]
    # Up to 120 ms, the longest packet of Opus (RFC 6716 §3.2.5): more is a pause.
    steps = steps[(steps > 0) & (steps <= SAMPLE_RATE_HZ * 12 // 100)]
    if not len(steps):
        # 20 ms, the default of RFC 7587 §6.1, where no two neighbours came.
        return 960
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


def _dtx_bytes(packets: Packets, timestamp: Ints, frame: int) -> int | None:
    """Return up to which size a packet says "silence from here": the sizes before gaps that no loss explains."""
    order = np.argsort(packets.sequence, kind="stable")
    steps = np.diff(timestamp[order])
    gap = (np.diff(packets.sequence[order]) == 1) & (steps > frame) & (steps >= _GAP_S * SAMPLE_RATE_HZ)
    before = packets.size[order][:-1][gap]
    # Two gaps of one size are chance; and what is no smaller than usual says no silence.
    if len(before) < 3:
        return None
    usual = int(np.median(before))
    return usual if usual < np.median(packets.size) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayWay:
    """One way to play a stream: over which sound, and which of several ticks, or places in the sound."""

    sound: str
    phase: float
    grid: bool

    def decoder(self, plan: Plan) -> Decoder:
        """Return what makes sound of the packets: Opus where it is known, else a programme."""
        if plan.payloads is not None:
            return OpusDecoder()
        return ProgrammeDecoder(self.sound, 0.0 if self.grid else self.phase * PROGRAMME_S)

    def pulls(self, plan: Plan, stream: Stream) -> Floats:
        """Return the instants of the loudspeaker, logged or a grid of 10 ms, from just before the first packet."""
        first_s, last_s = float(plan.at_s[0]), float(plan.at_s[-1])
        if not self.grid and stream.pulls_s is not None:
            # One pull before the first packet, so that the first block is asked for as the receiver did.
            return stream.pulls_s[max(0, int(np.searchsorted(stream.pulls_s, first_s)) - 1) :]
        count = math.ceil((last_s - first_s + _LONGEST_DRAIN_S) / BLOCK_S)
        grid_s = first_s + (self.phase - 1.0 + np.arange(count)) * BLOCK_S
        return np.asarray(grid_s, dtype=np.float64)


def ways_of(plan: Plan, stream: Stream) -> list[ReplayWay]:
    """Return every way to play a stream: what its figures range over is what a recording cannot say."""
    grid = stream.pulls_s is None or len(stream.pulls_s) < 2
    sounds = ("real Opus",) if plan.payloads is not None else PROGRAMMES
    # A log says when sound was asked for, but not which: other places of a programme say how much that matters.
    steps = [step / PHASES for step in range(PHASES if grid else PLACES)]
    return [ReplayWay(sound=sound, phase=step, grid=grid) for sound in sounds for step in steps]


def play(
    plan: Plan,
    pulls: Floats,
    decoder: Decoder,
    wishes: Sequence[Wish] = (),
    *,
    from_s: float = 0.0,
    marks_s: Floats | None = None,
    with_sound: bool = False,
) -> Played:
    """Return ``plan`` played through a fresh NetEQ that is asked for sound at ``pulls``.

    ``seconds`` of what is returned are the counters at ``marks_s``: each full second since the first packet if None.
    """
    neteq = NetEq(decoder, payload_type=_PAYLOAD_TYPE, red_payload_type=None)
    newest, began_s, last_s = int(plan.timestamp.max()), float(plan.at_s[0]), float(plan.at_s[-1])
    marks = (began_s + np.arange(1.0, math.ceil(last_s - began_s) + 1.0) if marks_s is None else marks_s).tolist()
    packets, coming = Coming(plan.arrivals()), list(wishes)
    before: Mapping[str, float] = {}
    seconds: list[Mapping[str, float]] = []
    played: list[tuple[float, int]] = []
    blocks: list[Pcm] = []
    for now_s in pulls.tolist():
        since_s = now_s - began_s
        if not before and since_s >= from_s:
            before = w3c_figures(neteq.stats())
        while coming and coming[0].since_s <= now_s:
            neteq.wish(coming.pop(0).delay_s)
        while packets.at_s <= now_s:
            neteq.insert_packet(packets.take(), now_s)
        block = neteq.get_audio(now_s)
        while len(seconds) < len(marks) and now_s >= marks[len(seconds)]:
            seconds.append(w3c_figures(neteq.stats()))
        if with_sound:
            blocks.append(block.samples)
        if block.rtp_timestamp is not None and since_s >= from_s:
            played.append((now_s, block.rtp_timestamp))
        over = now_s > last_s + _DRY_S if block.rtp_timestamp is None else block.rtp_timestamp >= newest
        if over and now_s > last_s:
            break
    final = w3c_figures(neteq.stats())
    late, lost = gaps(neteq.trace())
    return Played(
        w3c=_since(final, before or final),
        seconds=seconds,
        behind_s=_behind(plan, np.array([at for at, _ in played]), np.array([of for _, of in played], dtype=np.int64)),
        late_gaps=len(late),
        lost_gaps=len(lost),
        pcm=np.concatenate(blocks) if blocks else None,
    )


def _behind(plan: Plan, played_s: Floats, played_at: Ints) -> Floats:
    """Return how much later each block was played than it could have been, had its packet been the fastest."""
    if not len(played_s):
        return np.zeros(0)
    floors = floor_of(plan.at_s, plan.transit_s)
    # The floor of the packet that had come last when the block was played: the sender's clock drifts (``network``).
    place = np.clip(np.searchsorted(plan.at_s, played_s, side="right") - 1, 0, len(floors) - 1)
    return np.asarray(played_s - played_at / SAMPLE_RATE_HZ - floors[place])


def _since(final: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before[name] for name, value in final.items()}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


_FIGURES: Final = ("jitter_buffer_s", "target_s", "concealed", "behind_mean_s")


def _middle(runs: Sequence[Played]) -> int:
    """Return which replay is nearest the median of every figure, the farthest one counting, each by its range."""
    table = np.array([[getattr(run, name) or 0.0 for name in _FIGURES] for run in runs])
    spread = np.ptp(table, axis=0)
    # Each figure by its own range, for delays and shares have no common unit.
    apart = np.abs(table - np.median(table, axis=0)) / np.where(spread > 0.0, spread, 1.0)
    return int(apart.max(axis=1).argmin())


def _ranges(runs: Sequence[Played]) -> dict[str, tuple[float, float]]:
    out: dict[str, tuple[float, float]] = {}
    for name in _FIGURES:
        values = [value for run in runs if (value := getattr(run, name)) is not None]
        if values:
            out[name] = (min(values), max(values))
    for name in runs[0].w3c:
        counted = [run.w3c[name] for run in runs]
        out[name] = (min(counted), max(counted))
    return out


def _moved(ranges: Mapping[str, tuple[float, float]], short: Played, whole: Played) -> dict[str, tuple[float, float]]:
    """Return the ranges about the figures of a replay of the whole, which the ranges saw but the beginning of."""
    out: dict[str, tuple[float, float]] = {}
    for name, (low, high) in ranges.items():
        was, now = ((getattr(each, name) if name in _FIGURES else each.w3c[name]) for each in (short, whole))
        shift = 0.0 if was is None or now is None else now - was
        out[name] = (max(0.0, low + shift), high + shift)
    return out
