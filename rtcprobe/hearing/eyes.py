"""What was seen: recorded packets through a video receiver, numbers read, every frame's delay taken apart into stages.

The glass-to-glass delay of a frame is the sum of its stages, each between two instants of that frame:

    pacing          filmed → its last packet left for the first time
    network_min     the fastest way of any packet of the call
    network_variable, repair   what it took beyond that until the frame was whole: repair, where some packet of it had
                    to be sent again (waiting for it, asking, and the way of the copy), else what the network varies
    jitter_buffer   whole → released to be decoded: smoothing, and waiting for frames it needs
    decode, render  by the receiver's model
    capture, encode, display   assumed constants of camera, encoder and screen

Rules:
    1. Every frame that was sent has one fate (``picture.eye``).
    2. Playing has no influence on the network but what the receiver asks for (NACK, PLI), and that was asked during the
       call by a receiver of the same rules (``screen``). So this can be done later, and more than once.
    3. What cannot be read in a payload is counted and left out.
    4. A picture that stands still while its camera was off, or was left out by a server, is no freeze, whatever the
       receiver, who is not told, counts: who watches is told. What it stood beyond that is one where the receiver would
       count it for itself.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from rtcprobe.hearing.screen import Screen
from rtcprobe.hearing.seen import Constants, Decoded, FrameSeen, Seen
from rtcprobe.picture.eye import Eye, Fate, Viewer
from rtcprobe.picture.film import Place, Reel
from rtcprobe.picture.marker import Reading
from rtcprobe.picture.payload import payload_format
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.playout.frames import Frame, FrameReceiver, Shown
from rtcprobe.playout.frames.figures import is_freeze
from rtcprobe.playout.frames.micros import SECOND, to_ms
from rtcprobe.recording import CameVideo, Departure, Said, VideoArrival
from rtcprobe.wrapping import RTP_CYCLE

__all__ = ["Constants", "Decoded", "FrameSeen", "Seen", "Viewing", "see"]

_RECENT: Final = 30
"""Frames by which a picture's usual delay is told: as many as a freeze is judged among."""


def see(
    said: Said,
    came: CameVideo,
    reel: Reel,
    *,
    policy: str = "libwebrtc",
    nack: bool = True,
    read_every: int = 1,
    constants: Constants | None = None,
    screen: Screen | None = None,
) -> Seen:
    """Play what ``came`` of ``reel`` through a receiver, and account for every frame that was sent: see ``Viewing``."""
    viewing = Viewing(
        said, came, reel, policy=policy, nack=nack, read_every=read_every, constants=constants, screen=screen
    )
    return viewing.seen()


class Viewing:
    """What ``came`` of ``reel`` on its way through a receiver of ``policy``, as far as it was asked for.

    ``nack``: whether it asked for packets, where that was agreed on. ``read_every``: the number is read in every n-th
    frame, in none for 0: of the others one that came as it was sent, after all that it needs, is the one that its RTP
    time names. ``stamps`` are the frames meant for this viewer, by number, with the RTP times they had where it is;
    None: all that were sent, with those they left with. ``screen`` is that of whoever watched during the call: it need
    not be played again where it would be the same.
    """

    def __init__(
        self,
        said: Said,
        came: CameVideo,
        reel: Reel,
        *,
        policy: str = "libwebrtc",
        nack: bool = True,
        read_every: int = 1,
        constants: Constants | None = None,
        stamps: Mapping[int, int] | None = None,
        screen: Screen | None = None,
    ) -> None:
        self.came, self.reports = came, came.reports
        self.newest: VideoArrival | None = None
        """The packet that came last so far, none that was sent again."""
        self._sight = _Sight(said, came, reel, constants or Constants(), read_every=read_every, stamps=stamps)
        self._made = policy, reel.film.settings.codec, nack and (came.agreed is None or came.agreed.nack)
        self._next, self._until_s = 0, 0.0
        self._trips = deque(came.round_trips)
        self._played = screen is not None and screen.is_of(came, self._made)
        """Whether the screen has played it all already."""
        self._screen = screen if screen is not None and self._played else self._fresh()

    def until(self, at_s: float) -> int | None:
        """Play all that came by ``at_s``, and let the receiver do what was due by then.

        Return the delay that it aims at, µs; None of a receiver that has none.
        """
        # Of a screen that has gone on only the delays at whole seconds are kept: another instant needs it
        # played again.
        if self._played and not at_s.is_integer():
            self._play_again()
        self._take(at_s)
        self._until_s = at_s
        return self._screen.target_us(at_s)

    def hold(self, least_us: int) -> None:
        """Hold pictures back from the instant on that they were played until: a least delay, of lip sync."""
        if self._played:
            self._play_again()
            self._screen.target_us(self._until_s)
        self._screen.receiver.wish(least_us)

    def seen(self) -> Seen:
        """Play the rest, and account for every frame."""
        self._take(math.inf)
        screen = self._screen
        screen.finish()
        pieces: dict[int, dict[int, bytes]] = {}
        for place, arrival in enumerate(screen.arrivals):
            # A payload's first copy counts: what NACK brought after the original came is the same, and what
            # RTX brought after a loss is the only one.
            if place not in screen.unreadable:
                pieces.setdefault(arrival.timestamp, {}).setdefault(arrival.sequence, arrival.payload)
        return self._sight.seen(screen.receiver, pieces, unreadable=len(screen.unreadable))

    def _fresh(self) -> Screen:
        policy, codec, nack = self._made
        return Screen(policy, codec, nack=nack)

    def _play_again(self) -> None:
        """Play from the beginning on a screen of our own: from now on it will be another."""
        self._played, self._screen = False, self._fresh()
        self._next, self._trips = 0, deque(self.came.round_trips)
        self._take(self._until_s)

    def _take(self, at_s: float) -> None:
        arrivals, screen, trips = self.came.arrivals, self._screen, self._trips
        while self._next < len(arrivals) and arrivals[self._next].at_s <= at_s:
            arrival = arrivals[self._next]
            self._next += 1
            if not arrival.resent:
                self.newest = arrival
            if self._played:
                continue
            # In the order of time, packets and round trips mixed: what a receiver knew of the RTT when it
            # asked again decides when it did.
            while trips and trips[0][0] <= arrival.at_s:
                screen.round_trip(*trips.popleft())
            screen.take(arrival)


# Frames are known by their RTP time, the same in all packets of one and no other frame's for 13 hours at 90
# kHz. Only the first source counts: what is sent again has one of its own (RFC 4588), and says nothing of
# when a frame left.
class _Sight:
    """One way: what left by frame, what came by frame."""

    def __init__(
        self,
        said: Said,
        came: CameVideo,
        reel: Reel,
        constants: Constants,
        *,
        read_every: int,
        stamps: Mapping[int, int] | None,
    ) -> None:
        self._reel, self._came, self._constants, self._read_every = reel, came, constants, read_every
        settings = reel.film.settings
        self._form = payload_format(settings.codec)
        count = reel.filmed if said.started_s is not None else 0
        self._filmed_s = (said.started_s or 0.0) + np.arange(count) * settings.frame_s
        first = _first_copies(said.departures)
        self._stamps = stamps if stamps is not None else self._as_they_left(said, first, count)
        """The frames that this viewer was to see, with their RTP times."""
        self._numbers = {stamp: number for number, stamp in self._stamps.items()}
        self._left_out = [(off, on) for off, on in pairwise(sorted(self._stamps)) if on > off + 1]
        """The last frame before every pause, and the first behind it."""
        self._left_s = np.full(count, np.nan)
        self._packets: list[set[int]] = [set() for _ in range(count)]
        for departure in first:
            frame = self._frame_of(departure.timestamp)
            if frame is not None:
                self._left_s[frame] = departure.at_s
                self._packets[frame].add(departure.sequence)
        self._fastest_s = self._fastest(first)
        self._pieces: Mapping[int, Mapping[int, bytes]] = {}

    def _as_they_left(self, said: Said, first: Sequence[Departure], count: int) -> dict[int, int]:
        """Return every frame that was sent to this viewer, with its RTP time: the first departure is of frame 0."""
        origin, ticks = first[0].timestamp if first else 0, self._reel.frame_s * VIDEO_HZ
        filmed_s, frame_s = self._filmed_s.tolist(), self._reel.frame_s
        return {
            number: (origin + round(number * ticks)) % RTP_CYCLE
            for number in range(count)
            if said.said_at(filmed_s[number], filmed_s[number] + frame_s)
        }

    def seen(self, receiver: FrameReceiver, pieces: Mapping[int, Mapping[int, bytes]], *, unreadable: int) -> Seen:
        """Account for every frame; ``receiver`` has played all that came: ``pieces`` by RTP time and number."""
        self._pieces = pieces
        eye = Eye(self._filmed_s.tolist())
        readings, datas, sizes = self._readings(receiver)
        filmed_s = self._filmed_s.tolist()
        frames = {number: FrameSeen(number, filmed_s[number], "lost") for number in sorted(self._stamps)}
        unshown = set(frames)
        for shown in receiver.shown:
            number = self._frame_of(shown.frame.timestamp)
            if number is not None:
                # Two identities must agree, the number that was read and the time that the packets bear; else
                # it was shown unread.
                taken = eye.take(readings[shown.frame.first], shown.at_us / SECOND, expected=number)
                frames[number] = self._shown(frames[number], shown, read=taken == number)
                unshown.discard(number)
        for number in unshown:
            frames[number] = frames[number]._replace(fate=self._fate_unshown(number))
        w3c, freezes_s = self._without_pauses(receiver)
        first_us = receiver.shown[0].at_us if receiver.shown else None
        keys_us = [shown.frame.last_us for shown in receiver.shown if shown.frame.key]
        arrivals = self._came.arrivals
        return Seen(
            frames=list(frames.values()),
            w3c=w3c,
            freezes_s=freezes_s,
            first_packet_s=arrivals[0].at_s if arrivals else None,
            first_key_frame_s=keys_us[0] / SECOND if keys_us else None,
            first_picture_s=None if first_us is None else first_us / SECOND,
            unreadable=unreadable,
            refused=eye.refused,
            decoded=self._decoded(receiver, datas),
            sizes=sizes,
        )

    def _without_pauses(self, receiver: FrameReceiver) -> tuple[dict[str, float], list[tuple[float, float]]]:
        """Return the receiver's figures and its freezes, but for the time when there was nothing to see (rule 4)."""
        w3c, freezes = dict(receiver.counters.w3c()), receiver.counters.freezes
        freezes_us: list[tuple[int, int]] = []
        for span_us, beside in zip(freezes.spans_us, freezes.beside_ms, strict=True):
            pauses_us = self._pauses_us(receiver, span_us)
            if not pauses_us:
                freezes_us.append(span_us)
                continue
            kept = [each for each in _outside(span_us, pauses_us) if is_freeze(_lasts_ms(each), *beside)]
            freezes_us += kept
            lasted_s, kept_s = _lasts_ms(span_us) / 1e3, [_lasts_ms(each) / 1e3 for each in kept]
            # One freeze was counted over the whole stretch; in its place come the parts outside of pauses
            # that are freezes by the same rule, with the same frames before them, which may be none.
            w3c["freezeCount"] += len(kept) - 1
            for name in ("totalFreezesDuration", "totalInterFrameDelay"):
                w3c[name] = round(w3c[name] - lasted_s + sum(kept_s), 3)
            w3c["totalSquaredInterFrameDelay"] -= lasted_s**2 - sum(each**2 for each in kept_s)
        return w3c, [(begin_us / SECOND, end_us / SECOND) for begin_us, end_us in freezes_us]

    def _pauses_us(self, receiver: FrameReceiver, freeze_us: tuple[int, int]) -> list[tuple[int, int]]:
        """Return from when until when there was nothing to see while a picture stood, as late as pictures were then."""
        if not self._left_out:
            return []
        named = [(each.at_us, self._frame_of(each.frame.timestamp)) for each in receiver.shown]
        shown = [(at_us, number) for at_us, number in named if number is not None]
        before = [each for each in shown if each[0] <= freeze_us[0]]
        behind = [number for at_us, number in shown if at_us >= freeze_us[1]]
        if not before or not behind:
            return []
        late_us = float(np.median([at_us - self._filmed_s[number] * SECOND for at_us, number in before[-_RECENT:]]))
        filmed_us, frame_us = self._filmed_s * SECOND, self._reel.frame_s * SECOND
        return [
            (round(filmed_us[off] + frame_us + late_us), round(filmed_us[on] + late_us))
            for off, on in self._left_out
            # Only pauses between what was shown last and next: all others were over before, or are yet to
            # come.
            if before[-1][1] <= off and on <= behind[0]
        ]

    def _readings(
        self, receiver: FrameReceiver
    ) -> tuple[dict[int, Reading | None], dict[int, bytes], Mapping[str, int]]:
        """Return what is read in each frame decoded, by its first packet; those not as they were sent; their sizes."""
        viewer = Viewer(self._reel.film, read_every=self._read_every)
        found, others = dict[int, Reading | None](), dict[int, bytes]()
        for frame in receiver.decoded:
            data = self._data(frame)
            known = viewer.decoded
            found[frame.first] = viewer.see(data, self._place_of(frame))
            if viewer.decoded > known:
                others[frame.first] = data
        return found, others, viewer.sizes

    def _decoded(self, receiver: FrameReceiver, others: Mapping[int, bytes]) -> list[Decoded]:
        shown_s = {shown.frame.first: shown.at_us / SECOND for shown in receiver.shown}
        return [
            Decoded(
                place=None if frame.first in others else self._place_of(frame),
                data=others.get(frame.first),
                shown_s=shown_s.get(frame.first),
            )
            for frame in receiver.decoded
        ]

    def _place_of(self, frame: Frame) -> Place | None:
        number = self._frame_of(frame.timestamp)
        return None if number is None else self._reel.places[number]

    def _data(self, frame: Frame) -> bytes:
        """Return an encoded frame as it came."""
        held = self._pieces.get(frame.timestamp, {})
        numbers = [number & 0xFFFF for number in range(frame.first, frame.last + 1)]
        try:
            return self._form.frame([held[number] for number in numbers if held.get(number)])
        except ValueError:
            return b""

    def _fate_unshown(self, number: int) -> Fate:
        # Order matters: not sent at all, then all of it there and nobody showed it, then some of it missing.
        if number not in self._reel.places:
            return "left out"
        came = self._pieces.get(self._stamps[number], {})
        return "dropped" if self._packets[number] and self._packets[number] <= came.keys() else "lost"

    def _shown(self, frame: FrameSeen, shown: Shown, *, read: bool) -> FrameSeen:
        constants = self._constants
        left_s = float(self._left_s[frame.number])
        whole_s, released_s = shown.frame.last_us / SECOND, shown.released_us / SECOND
        beyond_s = whole_s - left_s - self._fastest_s
        stages = (
            constants.capture_s,
            constants.encode_s,
            left_s - frame.filmed_s,
            self._fastest_s,
            # Beyond the fastest packet's way a frame took longer for the line, or for having been sent again:
            # one of the two names, never both, so that the stages sum to the delay.
            0.0 if shown.frame.resent else beyond_s,
            beyond_s if shown.frame.resent else 0.0,
            released_s - whole_s,
            (shown.decoded_us - shown.released_us) / SECOND,
            (shown.at_us - shown.decoded_us) / SECOND,
            constants.display_s,
        )
        return frame._replace(fate="seen" if read else "unread", shown_s=shown.at_us / SECOND, stages_s=stages)

    def _fastest(self, first: Sequence[Departure]) -> float:
        """Return the fastest way of any packet that was not sent again."""
        left_s = {(each.sequence, each.timestamp): each.at_s for each in first}
        ways_s = [
            # Rounded as the receiver rounds: else the fastest way could exceed that of a frame by half a
            # microsecond.
            round(arrival.at_s * SECOND) / SECOND - left_s[arrival.sequence, arrival.timestamp]
            for arrival in self._came.arrivals
            if not arrival.resent and (arrival.sequence, arrival.timestamp) in left_s
        ]
        return min(ways_s, default=0.0)

    def _frame_of(self, timestamp: int) -> int | None:
        """Return which frame bears an RTP time; None where none of those sent does."""
        return self._numbers.get(timestamp)


def _first_copies(departures: Sequence[Departure]) -> list[Departure]:
    """Return the packets of the first source in the order they left, without what was sent again."""
    found: dict[tuple[int, int], Departure] = {}
    source = departures[0].ssrc if departures else 0
    for each in departures:
        if each.ssrc == source:
            found.setdefault((each.sequence, each.timestamp), each)
    return list(found.values())


def _lasts_ms(span_us: tuple[int, int]) -> int:
    """Return how long something lasted as the receiver counts it, in whole ms."""
    return to_ms(span_us[1]) - to_ms(span_us[0])


def _outside(span_us: tuple[int, int], pauses_us: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what of a span lies before, between and behind pauses, which are in order."""
    low_us, high_us = span_us
    edges_us = [low_us, *(min(max(each, low_us), high_us) for pause_us in pauses_us for each in pause_us), high_us]
    return [
        (begin_us, end_us) for begin_us, end_us in zip(edges_us[::2], edges_us[1::2], strict=True) if begin_us < end_us
    ]
