"""What a camera sends, encoded before the call, and a key frame whenever one is asked for.

Facts:
    - Each delta frame needs the one before it, so a film is a row from its first frame on. A fresh encoder at frame i
      gives a key frame, and what follows it is another row: a *take* from i on.
    - What a decoder makes of a take is a function of the take: number read and likeness are worked out once a frame,
      however many calls and viewers there are. Frames that differ from it are decoded for real.

Rule: nothing here knows of loss. A take is what was sent; the viewer (``eye``) says which frames of it were shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtcprobe.picture.codec import Decoder, Encoder, luma_of, made_by
from rtcprobe.picture.glass import VERSION, glass
from rtcprobe.picture.likeness import Comparison, Likeness
from rtcprobe.picture.marker import Reading, read
from rtcprobe.picture.payload import payload_format
from rtcprobe.picture.settings import SDP_NAMES, VideoSettings
from rtcprobe.picture.still import still
from rtcprobe.shelf import Shelf

__all__ = ["Film", "Place", "Reel"]


class Place(NamedTuple):
    """A frame of a film: its ``number``, in the take whose key frame is ``since``."""

    since: int
    number: int

    @property
    def key(self) -> bool:
        """Whether it is a key frame."""
        return self.since == self.number


class Film:
    """The film of one camera; ``seed`` chooses the scene. ``shelf`` keeps its first take."""

    def __init__(self, settings: VideoSettings, *, seed: int = 0, shelf: Shelf | None = None) -> None:
        self.settings = settings
        self._seed, self._shelf = seed, shelf
        self._takes: dict[int, _Take] = {}

    def prepare(self, count: int) -> None:
        """Have the first ``count`` frames ready.

        Raises:
            MeasurementError: FFmpeg cannot encode them.
        """
        # Only the first take is kept on disk: where later ones begin hangs on what was lost in a call.
        take = self._take(0)
        if len(take.frames) >= count:
            return
        kept = None if self._shelf is None else self._shelf.take(self.name, count)
        if kept is not None:
            take.begin_with(kept)
            return
        # Encoding goes from front to back, so asking for the last makes all of them.
        take.frame(count - 1)
        if self._shelf is not None:
            self._shelf.put(self.name, take.frames)

    def frame(self, place: Place) -> bytes:
        """Return an encoded frame; what is not ready is encoded.

        Raises:
            MeasurementError: FFmpeg cannot encode it.
        """
        return self._take(place.since).frame(place.number)

    def before(self, place: Place) -> Place | None:
        """Return the frame that one of the same take needs; None of a key frame."""
        return None if place.key else Place(place.since, place.number - 1)

    def size(self, place: Place) -> str:
        """Return how large a frame is: ``"640x480"``."""
        del place
        return self.settings.size

    def reading(self, place: Place) -> Reading | None:
        """Return the number that a viewer reads in a frame, all before it in its take having been decoded."""
        return self._take(place.since).reading(place.number)

    def likeness(self, place: Place) -> Likeness | None:
        """Return how like its original a frame is, all before it in its take having been decoded."""
        return self._take(place.since).likeness(place.number)

    def decoder_after(self, place: Place) -> Decoder:
        """Return a decoder that was given every frame of a take up to ``place``."""
        decoder = Decoder(self.settings.codec)
        for number in range(place.since, place.number + 1):
            decoder.decode(self.frame(Place(place.since, number)))
        return decoder

    def still(self, place: Place) -> bytes:
        """Return a small JPEG of a frame as a viewer sees it, beside what was filmed; b"" where nothing is decoded."""
        decoder, take = Decoder(self.settings.codec), self._take(place.since)
        shown = None
        for number in range(place.since, place.number + 1):
            shown = decoder.decode(self.frame(Place(place.since, number)))
        return b"" if shown is None else still(take.filmed(place.number), shown)

    def takes(self) -> Sequence[int]:
        """Return where the takes begin."""
        return sorted(self._takes)

    def bitrate_bps(self) -> float:
        """Return what the encoder reached of the first take that is ready, its key frame aside."""
        frames = self._take(0).frames[1:]
        return 8 * sum(map(len, frames)) * self.settings.fps / max(1, len(frames))

    @property
    def name(self) -> str:
        """All that the first take depends on."""
        each = self.settings
        return (
            f"{each.size} {each.fps}/s {round(each.bitrate_bps)} b/s {each.codec} "
            f"scene {VERSION}.{self._seed} in one form by {made_by()}"
        )

    def _take(self, since: int) -> _Take:
        # Takes are few (one a key frame asked for) and each is a row from its beginning: kept for all calls
        # of the film.
        take = self._takes.get(since)
        if take is None:
            take = self._takes[since] = _Take(self.settings, self._seed, since)
        return take


class Reel:
    """A film shown once: ``count`` frames in RTP payloads, each from the take that the latest key frame began.

    ``places`` is what was sent so far, by frame: all of them from the first on, or fewer where the camera was off.
    """

    def __init__(self, film: Film, count: int) -> None:
        self.film = film
        self.places: dict[int, Place] = {}
        self._since: int | None = None
        self._count = count
        self._format = payload_format(film.settings.codec)

    @property
    def codec(self) -> str:
        """The codec's name in session descriptions."""
        return SDP_NAMES[self.film.settings.codec]

    @property
    def frame_s(self) -> float:
        """From one frame to the next, seconds."""
        return self.film.settings.frame_s

    @property
    def filmed(self) -> int:
        """How many frames there were so far, from the first on, whether all of them were sent or not."""
        return max(self.places, default=-1) + 1

    def __len__(self) -> int:
        """Return how many frames there are."""
        return self._count

    def payloads(self, index: int, *, key: bool) -> Sequence[bytes]:
        """Return frame ``index`` as RTP payloads, asked for in order; ``key``: a key frame was asked for.

        Raises:
            MeasurementError: FFmpeg cannot encode it.
        """
        # A request for a key frame begins another take; several while one is under way begin it once, with
        # this frame.
        since = self._since = index if key or self._since is None else self._since
        place = self.places[index] = Place(since, index)
        return self._format.packets(self.film.frame(place), index)


class _Take:
    """Frames from ``since`` on, as far as they were asked for."""

    def __init__(self, settings: VideoSettings, seed: int, since: int) -> None:
        self._settings, self._since = settings, since
        self._glass = glass(settings.width, settings.height, seed)
        self._format = payload_format(settings.codec)
        self._encoder: Encoder | None = None
        self._decoder: Decoder | None = None
        self.frames: list[bytes] = []
        self._readings: list[Reading | None] = []
        self._critic: tuple[Decoder, Comparison] | None = None
        self._likenesses: list[Likeness | None] = []

    def begin_with(self, frames: list[bytes]) -> None:
        """Have ``frames``, which were kept."""
        self.frames = frames
        # Where more frames are asked for than were kept, ``_caught_up`` encodes those again, for the state
        # behind them.
        self._encoder = None

    def frame(self, number: int) -> bytes:
        place = number - self._since
        while len(self.frames) <= place:
            if self._encoder is None:
                self._encoder = self._caught_up()
            encoded = self._encoder.encode(self._glass.picture(self._since + len(self.frames)))
            # As a receiver will put it together: without what is not sent, and with start codes of one length.
            self.frames.append(self._format.frame(self._format.packets(encoded, 0)))
        return self.frames[place]

    def filmed(self, number: int) -> npt.NDArray[np.uint8]:
        return self._glass.picture(number)

    def reading(self, number: int) -> Reading | None:
        place = number - self._since
        if self._decoder is None:
            self._decoder = Decoder(self._settings.codec)
        while len(self._readings) <= place:
            picture = self._decoder.decode(self.frame(self._since + len(self._readings)))
            self._readings.append(None if picture is None else read(luma_of(picture)))
        return self._readings[place]

    def likeness(self, number: int) -> Likeness | None:
        place, settings = number - self._since, self._settings
        if self._critic is None:
            self._critic = Decoder(settings.codec), Comparison(settings.width, settings.height)
        decoder, comparison = self._critic
        while len(self._likenesses) <= place:
            at = self._since + len(self._likenesses)
            picture = decoder.decode(self.frame(at))
            self._likenesses.append(None if picture is None else comparison.of(picture, self._glass.picture(at)))
        return self._likenesses[place]

    def _caught_up(self) -> Encoder:
        """Return an encoder that has done what is there already."""
        encoder = Encoder(self._settings)
        for place in range(len(self.frames)):
            encoder.encode(self._glass.picture(self._since + place))
        return encoder
