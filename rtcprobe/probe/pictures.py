"""Pictures in a run: the films that are shown, what was seen of them in a call, and when a join had its first.

Rule: films are encoded before any call, and kept on disk; all who show the same show one film.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from rtcprobe.adaptation.encoder import SIZES
from rtcprobe.call.camera import Camera
from rtcprobe.errors import BadInputError
from rtcprobe.hearing.eyes import Constants, Seen, Viewing
from rtcprobe.hearing.glimpses import see_glimpses
from rtcprobe.hearing.lips import LipSync
from rtcprobe.hearing.relate_pictures import related_pictures
from rtcprobe.hearing.sights import CallSight, sight_account, skew_account, together, worst_frame
from rtcprobe.picture.film import Film, Place, Reel
from rtcprobe.picture.ladder import Ladder, Shot
from rtcprobe.picture.settings import VideoSettings
from rtcprobe.picture.show import write_beside
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.probe.seeing import Looking, Watched
from rtcprobe.recording import Came
from rtcprobe.result import Account, Still
from rtcprobe.scenario import Scenario
from rtcprobe.scenario.video import VideoPlan
from rtcprobe.shelf import Shelf
from rtcprobe.timeline import VIDEO_ORDER
from rtcprobe.units import format_rate
from rtcprobe.ways import Way

__all__ = ["FirstPictures", "Pictures", "first_pictures"]


_SYNCHRONIZED = frozenset({"libwebrtc", "chromium"})
"""Receivers of pictures that are held back for their sound; the sound's is NetEQ."""
_TOO_MUCH = 1.1
"""Of the bit rate asked for: libvpx and x264 end within a tenth of what they can do."""


class Pictures:
    """The pictures of one run: films encoded before any call, and what was seen in each call, by its number.

    ``video_dir`` gets what was filmed beside what was shown, a file a way; of several calls each has a folder in it.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        video_dir: Path | None,
        without: str | None = None,
        filmed_there: Collection[str] = (),
    ) -> None:
        """Encode what is shown, but for whom it is ``filmed_there`` (in browsers); nothing, ``without`` saying why.

        Raises:
            MeasurementError: FFmpeg cannot encode one of the films.
        """
        self._scenario, self._video_dir = scenario, video_dir
        # Where nobody shows anything nothing is missing, and there is nothing to warn of.
        self._without = without if _plans(scenario) else None
        self._plans = {} if without else _plans(scenario)
        self._films: dict[VideoSettings, Film] = {}
        self._ladders: dict[VideoSettings, Ladder] = {}
        self._sights: dict[Way, dict[int, CallSight]] = {}
        self._places: dict[tuple[Way, int], tuple[Film, Mapping[int, Place]]] = {}
        """Of each way of each call, the frames that came as they were sent."""
        self._lips: Mapping[Way, tuple[LipSync, Viewing]] = {}
        """Of the call that is heard now, by the way of the sound."""
        self._encoded: dict[VideoSettings, Film] = {}
        for name, plan in self._plans.items():
            # A camera that follows the line has a ladder of sizes, made as they are needed; no single film can be made
            # before.
            if plan.control != "fixed":
                _ = self._ladders.setdefault(plan.settings, Ladder(plan.settings, SIZES)).content
                continue
            film = self._films.setdefault(plan.settings, Film(plan.settings, shelf=Shelf("film")))
            if name not in filmed_there:
                film.prepare(_frames(scenario.call.duration_s, plan))
                self._encoded[plan.settings] = film

    def cameras(self, *, endless: bool) -> dict[str, Camera]:
        """Return the camera of each who has one; ``endless``: it shows more than any join can take."""
        # One camera that follows it needs every end to send it: it is negotiated for the whole call.
        remb = any(plan.control == "remb" for plan in self._plans.values())
        # Twice, as ``deadline`` allows a join: preparing may take as long as joining.
        lasts_s = 2 * self._scenario.call.join_timeout_s if endless else self._scenario.call.duration_s
        return {
            name: Camera(
                film=self._films[plan.settings] if plan.control == "fixed" else self._ladders[plan.settings],
                count=_frames(lasts_s, plan),
                policy=plan.playout,
                nack=plan.nack,
                remb=remb,
                control=plan.control,
            )
            for name, plan in self._plans.items()
        }

    def beside(self, ways: Sequence[Watched | Looking], sound: Mapping[Way, Came]) -> Mapping[Way, LipSync]:
        """Return, by the way of each sound, what makes it agree with the picture beside it while it is played."""
        self._lips = {}
        for one in _by_way([each for each in ways if isinstance(each, Watched)]):
            if len(one) > 1:
                continue  # who came back has a receiver for each connection, and one ear for all: left alone
            each = one[0]
            heard = Way.of(each.way.talker, each.way.listener)
            listener = self._scenario.party(each.came.listener)
            viewer = _viewer(self._plans, each.way)
            if heard in sound and _synchronized(listener.playout, viewer):
                viewing = _viewing(each, self._scenario)
                lips = LipSync(sound[heard], viewing, playback_s=listener.devices.playback_s)
                self._lips = {**self._lips, heard: (lips, viewing)}
        return {way: lips for way, (lips, _) in self._lips.items()}

    def see(self, number: int, ways: Sequence[Watched | Looking]) -> None:
        """See what came in call ``number``; of a picture that was played beside its sound, the rest.

        Raises:
            BadInputError: a film that is to be written, and cannot be.
        """
        for looking in (each for each in ways if isinstance(each, Looking)):
            seen = _glimpsed(looking, self._scenario)
            sight = CallSight(policy=looking.policy, seen=seen, likeness={}, forwarded=looking.forwarded)
            self._sights.setdefault(looking.way, {})[number] = sight
        for one in _by_way([each for each in ways if isinstance(each, Watched)]):
            sights = [self._sight(each, number) for each in one]
            self._sights.setdefault(one[0].way, {})[number] = sights[0] if len(sights) == 1 else together(sights)
            if self._video_dir is not None:
                for place, (each, sight) in enumerate(zip(one, sights, strict=True), 1):
                    _write_film(self._folder(number), each, sight.seen, place)

    def accounts(self, sound: Sequence[Account]) -> tuple[Account, ...]:
        """Return what was seen, an account a way, and how it agrees with the sound of the same talker and listener."""
        heard = {each.way: each for each in sound}
        seen = [sight_account(way, calls, self._worst(way)) for way, calls in self._sights.items()]
        agreed = [
            skew_account(way, heard[beside], calls)
            for way, calls in self._sights.items()
            if (beside := Way.of(way.talker, way.listener)) in heard
        ]
        return (*seen, *(each for each in agreed if each is not None))

    def warnings(self) -> Iterator[str]:
        """Yield what a reader should know: an encoder that could not do what it was asked for."""
        if self._without is not None:
            yield self._without
        for settings, film in self._encoded.items():
            reached_bps = film.bitrate_bps()
            if reached_bps > _TOO_MUCH * settings.bitrate_bps:
                took, asked = format_rate(round(reached_bps, -3)), format_rate(settings.bitrate_bps)
                what = f"{settings.codec} of {settings.size} at {settings.fps}/s"
                yield f"{what} took {took}, not {asked}: its coarsest is not coarse enough"

    def _worst(self, way: Way) -> Still | None:
        """Return the worst frame of a way, and its picture."""
        found = worst_frame(self._sights[way])
        if found is None:
            return None
        film, places = self._places[way, found.call]
        return replace(found, jpeg=b64encode(film.still(places[found.marker])).decode())

    def _sight(self, each: Watched, call: int) -> CallSight:
        lips, viewing = self._lips.get(Way.of(each.way.talker, each.way.listener), (None, None))
        film, viewer = each.reel.film, _viewer(self._plans, each.way)
        seen = (viewing or _viewing(each, self._scenario)).seen()
        places = {place.number: place for place, _, _ in seen.decoded if place is not None}
        # Over several connections a call's frames come in several parts; all are of one film.
        _, before = self._places.get((each.way, call), (film, {}))
        self._places[each.way, call] = film, {**before, **places}
        numbers = [frame.number for frame in seen.frames if frame.fate == "seen" and viewer.reads(frame.number)]
        likeness = {number: film.likeness(places[number]) for number in numbers if number in places}
        corrections = () if lips is None else tuple(lips.corrections)
        return CallSight(
            policy=viewer.watched,
            seen=seen,
            likeness=likeness,
            corrections=corrections,
            forwarded=each.came.forwarded,
            adapted=_adapted(each.reel, seen, places),
        )

    def _folder(self, number: int) -> Path:
        assert self._video_dir is not None
        if self._scenario.call.calls == 1:
            return self._video_dir
        folder = self._video_dir / f"call-{number + 1}"
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise BadInputError(f"{folder} cannot be written", error.strerror or str(error)) from error
        return folder


class FirstPictures(NamedTuple):
    """The milestones of a viewer's first picture, seconds since the call's epoch, and what it took (``asked``)."""

    marks_s: Mapping[str, float]
    asked: Mapping[str, int]


def first_pictures(ways: Sequence[Watched | Looking], scenario: Scenario) -> FirstPictures:
    """Return the milestones of the first picture that was seen on ``ways``, all of one listener, and what it took."""
    marks: dict[str, float] = {}
    asked = Counter[str]()
    for each in ways:
        seen = _glimpsed(each, scenario) if isinstance(each, Looking) else _viewing(each, scenario).seen()
        reached_s = (seen.first_packet_s, seen.first_key_frame_s, seen.first_picture_s)
        for name, at_s in zip(VIDEO_ORDER, reached_s, strict=True):
            if at_s is not None:
                # Of several pictures, whoever is seen last: a viewer of two cameras has joined when both are there.
                marks[name] = max(at_s, marks.get(name, at_s))
        if isinstance(each, Watched):
            shown_s = math.inf if seen.first_picture_s is None else seen.first_picture_s
            asked["packets"] += round(seen.w3c["nackCount"])
            asked["key_frames"] += round(seen.w3c["pliCount"])
            # Only what came again before the first picture: later repairs are no part of joining.
            asked["resent"] += sum(one.resent and one.at_s <= shown_s for one in each.came.arrivals)
    return FirstPictures(marks, {name: count for name, count in asked.items() if count})


def _glimpsed(each: Looking, scenario: Scenario) -> Seen:
    plans = _plans(scenario)
    viewer, camera = _viewer(plans, each.way), plans[each.way.talker]
    # A browser's own encoder took its time where it was measured: nothing is assumed beside it.
    encode_s = 0.0 if each.filmed.encodes else camera.encode_s
    constants = Constants(capture_s=camera.capture_s, encode_s=encode_s, display_s=viewer.display_s)
    return see_glimpses(each.filmed, each.looked, constants)


def _by_way(ways: Sequence[Watched]) -> list[list[Watched]]:
    """Return what was watched way by way, each by the connections it took."""
    return [list(one) for _, one in groupby(ways, key=attrgetter("way"))]


def _write_film(folder: Path, each: Watched, seen: Seen, place: int) -> None:
    """Write what was shown over the ``place``-th connection of a viewer, beside the original."""
    film = each.reel.film
    decoded = (
        (film.frame(one.place) if one.place is not None else one.data or b"", one.shown_s) for one in seen.decoded
    )
    again = "" if place == 1 else f".{place}"
    name = f"{each.way.talker}_to_{each.way.listener}{again}.mp4"
    write_beside(folder / name, film.settings, decoded, [frame.filmed_s for frame in seen.frames])


def _viewing(each: Watched, scenario: Scenario) -> Viewing:
    plans = _plans(scenario)
    viewer, camera = _viewer(plans, each.way), plans[each.way.talker]
    return Viewing(
        each.said,
        # A server gives packets numbers and times of its own: frames are known again by their bytes.
        related_pictures(each.said, each.came, each.reel) if each.came.forwarded else each.came,
        each.reel,
        policy=viewer.playout,
        nack=viewer.nack,
        read_every=viewer.read_every,
        stamps=each.stamps,
        constants=Constants(capture_s=camera.capture_s, encode_s=camera.encode_s, display_s=viewer.display_s),
        screen=each.screen,
    )


def _synchronized(playout: PlayoutChoice, viewer: VideoPlan) -> bool:
    """Return whether a listener's sound and picture are made to agree."""
    return viewer.sync and playout.policy == "neteq" and viewer.playout in _SYNCHRONIZED


def _viewer(plans: Mapping[str, VideoPlan], way: Way) -> VideoPlan:
    """Return how the viewer of ``way`` watches: as its own plan says, and where it shows nothing, as the talker's."""
    return plans.get(way.listener, plans[way.talker])


def _adapted(reel: Reel, seen: Seen, places: Mapping[int, Place]) -> Mapping[str, float]:
    """Return the figures of a camera that follows the line; none of another."""
    if not isinstance(reel.film, Shot):
        return {}
    from rtcprobe.call.adaptive import adapted  # noqa: PLC0415 - few calls have one

    return adapted(reel, seen, places)


def _plans(scenario: Scenario) -> dict[str, VideoPlan]:
    return {name: stream.video for name, stream in scenario.sending("video").items() if stream.video is not None}


def _frames(lasts_s: float, plan: VideoPlan) -> int:
    return max(1, math.ceil(lasts_s * plan.settings.fps))
