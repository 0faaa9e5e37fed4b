"""Who watched whom in a call; what was seen, and when a join had its first picture, is for ``pictures`` to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import Call
from rtcprobe.call.targets.base import Way as CallWay
from rtcprobe.call.watching import came_video, watched_on
from rtcprobe.recording import Came, CameVideo, Filmed, Looked, Said
from rtcprobe.result import Account
from rtcprobe.ways import Way

if TYPE_CHECKING:  # all of it of pictures, which a call of sound has none of
    from rtcprobe.call.camera import Camera
    from rtcprobe.call.targets.sfu_shown import Shown
    from rtcprobe.hearing.lips import LipSync
    from rtcprobe.hearing.screen import Screen
    from rtcprobe.picture.film import Reel

__all__ = ["Looking", "NoPictures", "Watched", "watched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One way of a call as it was left, over one connection of the viewer's: what was shown, and what came of it.

    ``stamps`` are the frames meant for this viewer with the RTP times they had there; None: all, as they left.
    ``screen`` is what it was watched on meanwhile.
    """

    way: Way
    said: Said
    came: CameVideo
    reel: Reel
    stamps: Mapping[int, int] | None = None
    screen: Screen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """One way of a call of which one end, or both, film, decode and show by themselves.

    ``forwarded``: a server stood between, whose part nobody can tell from the network's.
    """

    way: Way
    filmed: Filmed
    looked: Looked
    forwarded: bool
    policy: str
    """By what it was played: "the browser's own", or one of ours."""


class NoPictures:
    """``pictures.Pictures`` of a run in which nobody shows any."""

    def cameras(self, *, endless: bool) -> dict[str, Camera]:  # noqa: ARG002 - as Pictures is asked
        """Return nobody's."""
        return {}

    def beside(
        self,
        ways: Sequence[Watched | Looking],  # noqa: ARG002 - as above
        sound: Mapping[Way, Came],  # noqa: ARG002 - as above
    ) -> Mapping[Way, LipSync]:
        """Return nothing that a sound is to agree with."""
        return {}

    def see(self, number: int, ways: Sequence[Watched | Looking]) -> None:
        """See nothing."""

    def accounts(self, sound: Sequence[Account]) -> tuple[Account, ...]:  # noqa: ARG002 - as above
        """Return no account."""
        return ()

    def warnings(self) -> Iterator[str]:
        """Yield nothing."""
        yield from ()


def watched(call: Call, listener: Peer | None = None, *, outside: bool) -> list[Watched | Looking]:
    """Return every way of ``call`` on which somebody watched, or ``listener`` alone.

    ``outside``: through a server that is not ours.
    """
    found: list[Watched | Looking] = []
    # A forwarding server of ours knows which frames it sent to whom; of other calls each end is asked.
    shown_on: Callable[[CallWay], Sequence[Shown]] | None = getattr(call, "shown_on", None)
    for way in call.ways:
        if listener not in (None, way.listener):
            continue
        if shown_on is not None:
            name = Way.of(way.direction.talker, way.direction.listener, "video")
            found += [Watched(way=name, **each._asdict()) for each in shown_on(way)]
            continue
        looking = _looking(way)
        if looking is not None:
            found.append(looking)
            continue
        came = came_video(way.listener, forwarded=outside)
        for picture in way.talker.pictures:
            track = picture.track
            reel = None if came is None or came.agreed is None or track is None else _reel(track.film)
            if came is None or reel is None:
                continue
            name = Way.of(way.direction.talker, way.direction.listener, "video")
            said, screen = way.talker.said(picture), watched_on(way.listener)
            found.append(Watched(way=name, said=said, came=came, reel=reel, screen=screen))
    return found


def _looking(way: CallWay) -> Looking | None:
    """Return a way from a browser or to one; None where its talker shows nothing. Other ends know of neither."""
    shows, sees = (getattr(peer, "sights", None) for peer in (way.talker, way.listener))
    if shows is None or sees is None or (filmed := shows.filmed()) is None:
        return None
    name = Way.of(way.direction.talker, way.direction.listener, "video")
    forwarded = not shows.meets(sees)
    return Looking(way=name, filmed=filmed, looked=sees.looked(), forwarded=forwarded, policy=sees.policy)


def _reel(shown: object) -> Reel | None:
    """Return what a camera of ours shows; None of one that films by itself."""
    from rtcprobe.picture.film import Reel  # noqa: PLC0415 - a call of sound has none

    return shown if isinstance(shown, Reel) else None
