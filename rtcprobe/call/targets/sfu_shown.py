"""What passed a room of pictures through servers of ours, way by way, whatever seats it took (``sfu_room``).

Rules:
    1. A talker's frames are counted over all its seats: its camera goes on from one to the next. What came is told as
       each of a viewer's seats had it, with the numbers and timestamps it had there: a receiver begins with a seat.
    2. A viewer is asked for what its server had for it: from the key frame on with which that began to send it
       anything, but for what was left out then (last N), until it hung up, or the script was over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from rtcprobe.call.ends.showing import PictureOutlet
from rtcprobe.call.peer import UNDER_WAY_S
from rtcprobe.call.targets.sfu_room import Room, Seat
from rtcprobe.call.transceiver import Picture
from rtcprobe.call.watching import Watching
from rtcprobe.hearing.screen import Screen
from rtcprobe.picture.film import Reel
from rtcprobe.picture.settings import VIDEO_HZ
from rtcprobe.recording import CameVideo, Departure, Departures, Said
from rtcprobe.runtime.picture_forwarding import ForwardedPicture

__all__ = ["Shown", "shown"]


class Shown(NamedTuple):
    """What a viewer was shown over one seat: what left, what came, and of what film.

    ``stamps`` are the frames that it was to see, by number, with the timestamps they had there; ``screen`` is what it
    watched them on.
    """

    said: Said
    came: CameVideo
    reel: Reel
    stamps: dict[int, int]
    screen: Screen | None = None


def shown(room: Room, talker: str, listener: str) -> Iterator[Shown]:
    """Yield what ``talker`` showed ``listener``, seat by seat of that; nothing where one of them never had any."""
    cameras = [(seat, seat.camera) for seat in room.seats[talker]]
    shot = [(seat, camera) for seat, camera in cameras if camera is not None]
    left = list(_left(shot))
    if not left:
        return
    told = (seat.peer.said(camera) for seat, camera in shot)
    whole = next(each for each in told if each.started_s is not None)  # a seat may be left before anything is sent
    for seat in room.seats[listener]:
        picture = seat.picture(talker) if talker in seat.listens_to else None
        if picture is None:
            continue
        chain, until_s = _chain(room, talker, seat), min(seat.left_s - UNDER_WAY_S, room.over_s)
        departures, stamps = Departures(), dict[int, int]()
        for number, each in left:
            named = _through(chain, each)
            if named is not None and each.at_s < until_s:
                stamps[number] = named[1]
                departures.add(each.at_s, *named, each.size_bytes)
        reel = whole_reel(shot[0][1])
        if reel is not None:
            yield Shown(replace(whole, departures=departures), _came(seat, picture), reel, stamps, _screen(picture))


def whole_reel(camera: Picture) -> Reel | None:
    """Return the film that a camera shows, over all its seats; None of another kind."""
    film = None if camera.track is None else camera.track.film
    return film if isinstance(film, Reel) else None


def _left(shot: Sequence[tuple[Seat, Picture]]) -> Iterator[tuple[int, Departure]]:
    """Yield every packet that left a talker for the first time, and which frame it is of."""
    for seat, camera in shot:
        track, (source, _) = camera.track, camera.ssrcs
        assert track is not None
        ticks, origin = track.frame_s * VIDEO_HZ, 0
        known: set[tuple[int, int]] = set()
        for each in seat.peer.said(camera).departures:
            # What was sent again (RTX has a source of its own; the same number twice
            # is a copy of the network's) left once before.
            if each.ssrc != source or (each.sequence, each.timestamp) in known:
                continue
            # The first packet gives the origin: it is of frame ``track.first``,
            # where the camera went on from another seat.
            if not known:
                origin = each.timestamp - round(track.first * ticks)
            known.add((each.sequence, each.timestamp))
            yield round((each.timestamp - origin) % (1 << 32) / ticks), each


def _through(chain: Sequence[ForwardedPicture], left: Departure) -> tuple[int, int] | None:
    """Return number and timestamp of a packet behind ``chain``; None where one of it did not mean to forward it."""
    source, named = left.ssrc, (left.sequence, left.timestamp)
    for each in chain:
        found = each.shown_as(source, *named)
        if found is None:
            return None
        named, source = found, each.out.ssrc
    return named


def _chain(room: Room, talker: str, seat: Seat) -> list[ForwardedPicture]:
    """Return where the picture of ``talker`` is numbered anew on its way to a seat."""
    home, there = room.plan.homes[talker], seat.leg.side
    last = seat.picture_outlet(talker).forwarded
    if home == there:
        return [last]
    between = (
        each.forwarded
        for pair in room.relays
        for leg, other in (pair, pair[::-1])
        if leg.side == home and other.side == there
        for each in leg.sections
        if isinstance(each, PictureOutlet) and each.talker == talker
    )
    return [next(between), last]


def _came(seat: Seat, picture: Picture) -> CameVideo:
    came, screen = seat.peer.came_video(picture, forwarded=False, there_and_back=False), _screen(picture)
    kept = came.arrivals if math.isinf(seat.left_s) else [each for each in came.arrivals if each.at_s <= seat.left_s]
    return replace(came, arrivals=kept, round_trips=() if screen is None else screen.round_trips)


def _screen(picture: Picture) -> Screen | None:
    return picture.watcher.screen if isinstance(picture.watcher, Watching) else None
