"""What was seen where a viewer decodes by itself, a browser: each frame known twice, its delay taken apart.

Facts:
    - A frame has two identities. One is the number painted in it (``picture.marker``). The other is its RTP time: the
      talker's packets carry it, and it says when the frame was filmed, on a clock of the encoder's; the viewer tells it
      of every picture it decodes. They have nothing in common but the frame.
    - That clock follows the instants at which frames were filmed, which are not on a grid to the 90,000th of a second:
      no two seconds of its steps are alike. So packets that a server renamed are known by the steps of their times.
    - Of pictures that come out of the decoder a browser tells of 3 to 12 in 100 not when they were on the screen:
      its callback came too late and told of the next one.

Rules:
    1. A frame is *seen* where both identities agree, *unread* where they do not, or the number cannot be read,
       *dropped* where all its packets came and it was decoded by nobody, else *lost*. Behind a server whose times
       cannot be told from their steps the number alone counts, no frame is said to be identified twice, and network,
       buffer and decoding are one (``Seen.timed``).
    2. A frame that both know, and of which nobody tells when it was shown, is set aside: not scheduled, and counted.
    3. Frames that the talker's encoder left out are none that was sent: counted, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.hearing.eyes import Constants, FrameSeen, Seen
from rtcprobe.picture.eye import Eye, Fate
from rtcprobe.picture.marker import read_cells
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.playout.frames.figures import Freezes
from rtcprobe.playout.frames.micros import SECOND
from rtcprobe.recording import Departure, Filmed, Glimpse, Looked
from rtcprobe.wrapping import RTP_CYCLE, unwrapped

__all__ = ["see_glimpses"]

_NEAR: Final = 0.4
"""Of a frame: how far its RTP time may lie from when it was filmed, the constant between the clocks taken off."""
_DIRECT: Final = 0.99
"""Of the times seen, how many are among those sent where nobody renamed them: all, but for a first one of before."""
# Half of the frames compared must agree, and no rival may be nearly as good: chance and a loop in the film look alike
# else. Three hundred are enough to tell.
_LEAST_ALIKE: Final = 0.5
_RIVAL: Final = 0.8
_COMPARED: Final = 300


@dataclass(frozen=True, slots=True)
class _Sent:
    """One frame's packets: the first left at ``first_s``, the last at ``last_s``."""

    timestamp: int
    first_s: float
    last_s: float
    sequences: frozenset[int]


def see_glimpses(filmed: Filmed, looked: Looked, constants: Constants) -> Seen:
    """Account for every frame of ``filmed`` that was sent, by what the viewer told of it."""
    sent = _by_frame(filmed.departures)
    numbers = _numbers_by_time(filmed, sent)
    came = _by_frame(looked.arrivals)
    offset = _offset(list(sent), [each.timestamp for each in looked.glimpses])
    sight = _Sight(filmed, sent, came, offset, constants)
    eye = Eye(_filmed_s(filmed))
    fates: dict[int, FrameSeen] = {}
    unshown, agreed, both = 0, 0, 0
    sizes: dict[str, int] = {}
    for glimpse in looked.glimpses:
        if glimpse.size != filmed.size:
            sizes[glimpse.size] = sizes.get(glimpse.size, 0) + 1
        stamp = None if offset is None else (glimpse.timestamp - offset) % RTP_CYCLE
        by_time = None if stamp is None else numbers.get(stamp)
        reading = None if glimpse.cells is None else read_cells(glimpse.cells)
        by_marker = eye.take(reading, glimpse.at_s)
        # Counted before anything is judged: the share that agrees says whether identities can be trusted in
        # this call.
        if by_time is not None and by_marker is not None:
            both, agreed = both + 1, agreed + (by_time == by_marker)
        number = by_marker if by_time is None else by_time
        if number is None or number not in sight.scheduled:
            continue
        if by_marker is None or (offset is not None and by_time != by_marker):
            fates[number] = sight.frame(number, "unread")
        elif glimpse.shown_s is None:
            unshown += 1
            # It may have been shown before, under this number: the browser tells of the last showing, and
            # that is not known.
            fates.pop(number, None)
            sight.scheduled.discard(number)
        else:
            fates[number] = sight.shown(number, glimpse)
    frames = [fates.get(each) or sight.unshown(each) for each in sorted(sight.scheduled)]
    counts = {
        "framesIdentifiedTwice": both,
        "framesIdentifiedAlike": agreed,
        "framesSetAside": unshown,
        "framesNotSent": sight.left_out,
    }
    return replace(_seen(frames, looked, counts, refused=eye.refused, sizes=sizes), timed=offset is not None)


class _Sight:
    """The frames that were sent while they were asked for."""

    def __init__(
        self,
        filmed: Filmed,
        sent: Mapping[int, _Sent],
        came: Mapping[int, _Sent],
        offset: int | None,
        constants: Constants,
    ) -> None:
        self._sent = {number: sent[stamp] for stamp, number in _numbers_by_time(filmed, sent).items()}
        self._came: Mapping[int, _Sent] = {} if offset is None else came
        self._offset, self._constants = offset or 0, constants
        at_s = dict(zip(filmed.numbers.tolist(), filmed.at_s.tolist(), strict=True))
        asked = {number for number, filmed_s in at_s.items() if filmed.since_s <= filmed_s < filmed.until_s}
        self._filmed_s = at_s
        self.scheduled = asked & self._sent.keys()
        self.left_out = len(asked) - len(self.scheduled)
        self._fastest_s = min(
            (arrived.first_s - left.first_s for left in sent.values() if (arrived := self._arrived(left)) is not None),
            default=0.0,
        )

    def frame(self, number: int, fate: Fate) -> FrameSeen:
        return FrameSeen(number, self._filmed_s[number], fate)

    def shown(self, number: int, glimpse: Glimpse) -> FrameSeen:
        """Return a frame that was seen, its stages as ``VIDEO_STAGES``: decoding is part of the buffer's here."""
        assert glimpse.shown_s is not None
        frame, constants = self.frame(number, "seen"), self._constants
        left = self._sent[number]
        # Where its packets are not known, the fastest way of the call stands for this frame's.
        arrived = self._arrived(left)
        whole_s = left.last_s + self._fastest_s if arrived is None else arrived.last_s
        stages = (
            constants.capture_s,
            constants.encode_s,
            left.last_s - frame.filmed_s,
            self._fastest_s,
            whole_s - left.last_s - self._fastest_s,
            0.0,
            glimpse.at_s - whole_s,
            0.0,
            glimpse.shown_s - glimpse.at_s,
            constants.display_s,
        )
        return frame._replace(shown_s=glimpse.shown_s, stages_s=stages)

    def unshown(self, number: int) -> FrameSeen:
        left = self._sent[number]
        arrived = self._arrived(left)
        whole = arrived is not None and len(arrived.sequences) >= len(left.sequences)
        return self.frame(number, "dropped" if whole else "lost")

    def _arrived(self, left: _Sent) -> _Sent | None:
        return self._came.get((left.timestamp + self._offset) % RTP_CYCLE)


def _filmed_s(filmed: Filmed) -> list[float]:
    """Return when each frame was filmed, by number from 0 on; one that was left out at the instant before it."""
    count = int(filmed.numbers[-1]) + 1 if len(filmed.numbers) else 0
    at = np.searchsorted(filmed.numbers, np.arange(count), side="right") - 1
    out: list[float] = filmed.at_s[np.maximum(at, 0)].tolist() if count else []
    return out


def _by_frame(packets: Sequence[Departure]) -> dict[int, _Sent]:
    """Return what left of each frame, by RTP time, in the order of their first packets."""
    found: dict[int, list[Departure]] = {}
    for each in packets:
        found.setdefault(each.timestamp, []).append(each)
    return {
        stamp: _Sent(stamp, each[0].at_s, max(one.at_s for one in each), frozenset(one.sequence for one in each))
        for stamp, each in found.items()
    }


def _numbers_by_time(filmed: Filmed, sent: Mapping[int, _Sent]) -> dict[int, int]:
    """Return which frame each RTP time is, by when it was filmed and when its packets left: no picture is looked at.

    A frame's packets leave after it was filmed, and nearly always before the next one is. So the constant between both
    clocks is the median of what the last frame filmed before says; then each is the one nearest to its time.
    """
    if not sent or not len(filmed.at_s):
        return {}
    frames = list(sent.values())
    first = frames[0].timestamp
    ticks = [unwrapped(each.timestamp - first, 0, 32) / VIDEO_HZ for each in frames]
    stamps_s: npt.NDArray[np.float64] = np.array(ticks)
    before = np.searchsorted(filmed.at_s, [each.first_s for each in frames], side="right") - 1
    # Packets that left before anything was filmed are of what the encoder had held back: no frame of ours.
    known = before >= 0
    if not known.any():
        return {}
    wanted_s = stamps_s - float(np.median(stamps_s[known] - filmed.at_s[before[known]]))
    last = len(filmed.at_s) - 1
    after = np.minimum(np.searchsorted(filmed.at_s, wanted_s), last)
    ahead = np.maximum(after - 1, 0)
    nearer = np.abs(filmed.at_s[ahead] - wanted_s) <= np.abs(filmed.at_s[after] - wanted_s)
    places = np.where(nearer, ahead, after)
    near = np.abs(filmed.at_s[places] - wanted_s) < _NEAR / filmed.fps
    return {
        each.timestamp: int(filmed.numbers[place])
        for each, place, close in zip(frames, places.tolist(), near.tolist(), strict=True)
        if close
    }


def _offset(sent: Sequence[int], seen: Sequence[int]) -> int | None:
    """Return what a server added to every RTP time, 0 where nobody did; None where that cannot be told."""
    left = np.unique(np.array(sent, dtype=np.int64))
    came = np.array(list(dict.fromkeys(seen))[:_COMPARED], dtype=np.int64)
    if not len(left) or not len(came):
        return None
    shares = {0: float(np.isin(came, left).mean())}
    if shares[0] < _DIRECT:
        # The first time seen must be one of those sent, shifted: every candidate is one shift, and the right
        # one makes nearly all the others agree. A few thousand frames, each a look-up of 300: no search is
        # needed.
        for stamp in left.tolist():
            offset = (int(came[0]) - stamp) % RTP_CYCLE
            shares[offset] = float(np.isin((came - offset) % RTP_CYCLE, left).mean())
    best, *others = sorted(shares, key=lambda each: shares[each], reverse=True)
    if shares[best] < _LEAST_ALIKE or (others and shares[others[0]] > _RIVAL * shares[best]):
        return None
    return best


def _seen(
    frames: Sequence[FrameSeen], looked: Looked, counts: Mapping[str, float], *, refused: int, sizes: Mapping[str, int]
) -> Seen:
    # In the order of the screen: callbacks may come late, and out of order.
    shown_us = sorted(round(each.shown_s * SECOND) for each in looked.glimpses if each.shown_s is not None)
    freezes = Freezes()
    for at_us in shown_us:
        freezes.shown(at_us)
    w3c = {
        "packetsReceived": len(looked.arrivals),
        "framesDecoded": len(looked.glimpses),
        "framesRendered": len(shown_us),
        "totalInterFrameDelay": freezes.between_ms / 1e3,
        "totalSquaredInterFrameDelay": freezes.squared_s2,
        "freezeCount": freezes.count,
        "totalFreezesDuration": freezes.total_ms / 1e3,
        **counts,
    }
    return Seen(
        frames=frames,
        w3c=w3c,
        freezes_s=[(begin / SECOND, end / SECOND) for begin, end in freezes.spans_us],
        first_packet_s=looked.arrivals[0].at_s if looked.arrivals else None,
        first_picture_s=shown_us[0] / SECOND if shown_us else None,
        refused=refused,
        sizes=sizes,
    )
