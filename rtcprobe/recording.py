"""What a call leaves behind: what was said, what came, and what both sides had agreed on.

Facts:
    Playout has no influence on the network, so hearing needs nothing of a call but this: it can be done later, more
    than once, in another process, or of a call that something else made.

Rule: plain data, no clock, nothing that waits. Whoever places a call (our own peers, a browser, a server's recording)
    leaves a ``Said`` for each who spoke and a ``Came`` for each way that was listened to.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.copies import Left
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.ways import Medium

__all__ = [
    "Agreed",
    "AgreedVideo",
    "Came",
    "CameVideo",
    "Departure",
    "Departures",
    "Filmed",
    "Glimpse",
    "Looked",
    "Said",
    "SenderReport",
    "Sounded",
    "VideoArrival",
]


class Departure(NamedTuple):
    """An RTP packet leaving the host: when (seconds), its sequence number and timestamp, its size on the wire.

    ``ssrc`` is its source (RFC 3550 §3), 0 where nobody told: one that talks and shows itself sends two, and a third
    for what it sends again of its picture (RFC 4588).
    """

    at_s: float
    sequence: int
    timestamp: int
    size_bytes: int
    ssrc: int = 0


class Departures(Sequence[Departure]):
    """RTP packets in the order they left, as columns of numbers: an hour of them is 180,000."""

    __slots__ = ("_at_s", "_sequence", "_size", "_ssrc", "_timestamp")

    def __init__(self) -> None:
        # Types as wide as what RTP carries: 16 bits of sequence, 32 of timestamp and SSRC, and a UDP
        # datagram's 16 of length.
        self._at_s = array("d")
        self._sequence = array("H")
        self._timestamp = array("I")
        self._size = array("H")
        self._ssrc = array("I")

    def add(self, at_s: float, sequence: int, timestamp: int, size_bytes: int, ssrc: int = 0) -> None:
        """Note a packet that left at ``at_s``."""
        self._at_s.append(at_s)
        self._sequence.append(sequence)
        self._timestamp.append(timestamp)
        self._size.append(size_bytes)
        self._ssrc.append(ssrc)

    def add_many(
        self,
        at_s: npt.NDArray[np.float64],
        sequences: npt.NDArray[np.int64],
        timestamps: npt.NDArray[np.int64],
        sizes: npt.NDArray[np.int64],
    ) -> None:
        """Note packets of no known source in the order they left: columns of shape (packets,)."""
        self._at_s.frombytes(at_s.tobytes())
        self._sequence.frombytes(sequences.astype(np.uint16).tobytes())
        self._timestamp.frombytes(timestamps.astype(np.uint32).tobytes())
        self._size.frombytes(sizes.astype(np.uint16).tobytes())
        # Zeros: nobody told the source.
        self._ssrc.frombytes(bytes(self._ssrc.itemsize * len(at_s)))

    def columns(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
        """Return when they left, their timestamps and their sequence numbers, each of shape (packets,)."""
        return (
            np.array(self._at_s),
            np.array(self._timestamp, dtype=np.int64),
            np.array(self._sequence, dtype=np.uint16),
        )

    def __len__(self) -> int:
        return len(self._at_s)

    @overload
    def __getitem__(self, place: int) -> Departure: ...
    @overload
    def __getitem__(self, place: slice) -> list[Departure]: ...
    def __getitem__(self, place: int | slice) -> Departure | list[Departure]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        return Departure(
            self._at_s[place], self._sequence[place], self._timestamp[place], self._size[place], self._ssrc[place]
        )

    def __iter__(self) -> Iterator[Departure]:
        return map(Departure, self._at_s, self._sequence, self._timestamp, self._size, self._ssrc)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it grows


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What both sides agreed on: payload types (``red_payload_type`` None where there is no RED), and NACK.

    ``sends_red`` says that RED stands first: every packet is then sent as RED.
    """

    opus_payload_type: int
    red_payload_type: int | None
    sends_red: bool
    nack: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedVideo:
    """What both sides agreed on for a picture: codec (``"VP8"``) and payload types; ``rtx_payload_type`` None: no RTX.

    ``nack`` and ``pli``: whether a receiver may ask for packets (RFC 4585 §6.2.1) and for key frames (§6.3.1).
    ``tells``: how the sender is told what the line takes, ``"transport-cc"`` or ``"goog-remb"``; None: in no way.
    """

    codec: str
    payload_type: int
    rtx_payload_type: int | None
    nack: bool
    pli: bool
    tells: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """What one party sent in one medium: its encoded frames, ``ptime_s`` apart (None: DTX sends nothing).

    ``started_s`` is when frame 0 begins, seconds since the call's epoch (None: it never spoke); ``finished`` whether
    all of it was said; ``departures`` are its packets, what was sent again among them, and of no other source.
    ``clock_hz`` is that of their timestamps. ``gaps_s`` is from when until when nothing of it was said to this
    listener: before it was there (``first`` is the frame in progress then), and while the mouth was closed. A camera
    leaves no frames: they are its film's.

    An end that encodes by itself (a browser) has no frames of ours: ``frames`` is empty, ``ptime_s`` how much it was
    given at a time, and ``late_s`` how late each of these pieces was spoken, the first at ``late_from_s``; of ours
    None, for departures tell it. ``lasts_s`` is how long it spoke all in all, where it began before it was asked for.
    """

    party: str
    frames: Sequence[bytes | None]
    ptime_s: float
    started_s: float | None
    finished: bool
    departures: Sequence[Departure]
    medium: Medium = "audio"
    clock_hz: int = RTP_CLOCK_HZ
    gaps_s: Sequence[tuple[float, float]] = ()
    first: int = 0
    late_s: Sequence[float] | None = None
    late_from_s: float = 0.0
    lasts_s: float | None = None

    @property
    def first_sent(self) -> int:
        """The first frame that was sent to this listener, and says something; 0 of an end that encodes by itself."""
        if not self.frames:
            return 0
        count = len(self.frames)
        return next(place for place in range(self.first, self.first + count) if self.frames[place % count] is not None)

    def said_at(self, from_s: float, until_s: float) -> bool:
        """Return whether what was due from ``from_s`` to ``until_s`` was said to this listener, and no gap is in it."""
        return not any(gap_s < until_s and from_s < end_s for gap_s, end_s in self.gaps_s)

    def late_pieces(self) -> Iterator[tuple[float, float]]:
        """Yield when each piece was due and how late it was, of an end that encodes by itself."""
        return ((self.late_from_s + place * self.ptime_s, each_s) for place, each_s in enumerate(self.late_s or ()))

    @property
    def packets_from_s(self) -> float:
        """When the first packet began to be spoken, of an end that encodes by itself: on the grid of its pieces.

        It waits for the last of its pieces, and most packets leave at once: 19 in 20 left later than this says.
        """
        left = Left(self.departures)
        assert self.started_s is not None
        away_s = left.at_s - ((left.timestamp - left.timestamp[0]) % 2**32) / self.clock_hz
        # How long a packet is, by the usual step from one to the next: DTX and losses before the wire make
        # others longer.
        whole_s = float(np.median(np.diff(left.timestamp) % 2**32)) / self.clock_hz if len(left) > 1 else 0.02
        grid_s = self.late_from_s if self.late_s else self.started_s
        since_s = float(np.percentile(away_s, 5)) - grid_s
        return grid_s + math.floor(since_s / self.ptime_s) * self.ptime_s - whole_s

    def lasted_s(self, whole_s: float) -> float:
        """Return how much of a speech of ``whole_s`` left: all of it, or as much as an interruption let pass."""
        if self.started_s is None or not self.departures:
            return 0.0
        whole_s = self.lasts_s or whole_s
        return whole_s if self.finished else min(whole_s, max(0.0, self.departures[-1].at_s - self.started_s))

    def pacing_lateness_s(self) -> list[float]:
        """Return how late each frame left, in seconds after it was due (0 in virtual time)."""
        left = Left(self.departures)  # what is sent again was asked for, not due
        if self.started_s is None or not len(left):
            return []
        # A browser's packets are on a grid of its own, which is not told: it is read off the packets
        # themselves.
        if not self.frames and len(left) > 1:
            steps_s = ((left.timestamp - left.timestamp[0]) % 2**32) / self.clock_hz
            whole_s = float(np.median(np.diff(left.timestamp) % 2**32)) / self.clock_hz
            own_s: list[float] = (left.at_s - self.packets_from_s - whole_s - steps_s).tolist()
            return own_s
        first_s = float(left.at_s[0])
        # The first frame sent is the one in progress when sending may begin: due on the grid of the microphone.
        # The trifle is for a frame that left on the very grid, which a rounding may put a hair before it.
        origin_s = self.started_s + math.floor((first_s - self.started_s) / self.ptime_s + 1e-6) * self.ptime_s
        late_s: list[float] = (
            left.at_s - origin_s - ((left.timestamp - left.timestamp[0]) % 2**32) / self.clock_hz
        ).tolist()
        return late_s


class SenderReport(NamedTuple):
    """An RTCP sender report (RFC 3550 §6.4.1) that came at ``at_s``.

    ``ntp_s`` is the wall clock that its source ``ssrc`` says the RTP time ``timestamp`` was captured at, seconds.
    """

    at_s: float
    ntp_s: float
    timestamp: int
    ssrc: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sounded:
    """What an end played by itself: ``pcm`` of shape (samples,), 48 kHz, in blocks.

    ``at_s`` is when each block was pulled, seconds since the call's epoch, ``sizes`` how many samples it has; both of
    shape (blocks,). ``figures`` are what the end says of its own playout, by the names it has for them.
    """

    at_s: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.int64]
    pcm: npt.NDArray[np.float32]
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Came:
    """What reached a listener on one way: packets by arrival, seconds since the call's epoch.

    ``listener`` began at ``begun_s``; ``agreed`` is None where nothing was agreed on. ``forwarded``: a server that is
    not ours stands between; ``mixed`` are the stages known of what lies between where it mixes, seconds, but for the
    mixer's own. ``there_and_back``: the listener is the talker itself. ``reports`` are those of the source listened to.
    ``sound`` is there where the listener played what came by itself: then nothing is played again here, and
    ``arrivals`` are without payloads. ``beside`` is what it played at the same time: others of a room, each by itself.
    """

    listener: str
    arrivals: Arrivals
    agreed: Agreed | None
    begun_s: float = 0.0
    forwarded: bool = False
    there_and_back: bool = False
    sound: Sounded | None = None
    beside: Sequence[Sounded] = ()
    away_s: Sequence[float] | npt.NDArray[np.float64] = ()
    reports: Sequence[SenderReport] = ()
    mixed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filmed:
    """What a camera showed whose end encodes by itself: frame ``numbers``, ascending, and when each was filmed.

    ``departures`` are its packets. What was filmed before ``since_s`` and after ``until_s`` is not asked for. Where the
    end ``encodes``, that took its time in the call; ours was done beforehand, and takes as long as a scenario says.
    """

    numbers: npt.NDArray[np.int64]
    at_s: npt.NDArray[np.float64]
    departures: Sequence[Departure]
    fps: float
    size: str
    since_s: float
    until_s: float
    encodes: bool = True


class Glimpse(NamedTuple):
    """A picture that an end showed which decodes by itself: out of the decoder at ``at_s``, its RTP ``timestamp``.

    ``cells`` is how bright those of the number in it are, of shape (32,); None where it could not be looked at.
    ``shown_s`` is when it was on the screen; None where the end did not tell.
    """

    at_s: float
    timestamp: int
    size: str
    cells: npt.NDArray[np.float64] | None
    shown_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looked:
    """What an end saw that decodes by itself, in that order; ``arrivals`` are its packets as they came."""

    glimpses: Sequence[Glimpse]
    arrivals: Sequence[Departure]


class VideoArrival(NamedTuple):
    """An RTP packet of a picture that came at ``at_s``; ``resent``: in RTX, and told as it was sent first.

    ``marker`` is set on the last packet of a frame (RFC 7741 §4.1, RFC 6184 §5.1). ``abs_send_time`` (24 bits, 6.18
    fixed point seconds) and ``transport_sequence`` (16 bits) are what the header extensions say; None without them.
    """

    at_s: float
    ssrc: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    payload_type: int
    resent: bool = False
    abs_send_time: int | None = None
    transport_sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameVideo:
    """What reached a viewer on one way, as ``Came`` is of a listener: packets of one source, by arrival.

    ``round_trips`` are what RTCP measured while it came, with the instants at which that became known.
    """

    listener: str
    arrivals: Sequence[VideoArrival]
    agreed: AgreedVideo | None
    begun_s: float = 0.0
    forwarded: bool = False
    there_and_back: bool = False
    round_trips: Sequence[tuple[float, float]] = ()
    reports: Sequence[SenderReport] = ()
