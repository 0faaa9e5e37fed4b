"""What was filmed and, beside it, what was shown at that time: an MP4 to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from rtcprobe.errors import BadInputError
from rtcprobe.picture.codec import Decoder
from rtcprobe.picture.glass import glass
from rtcprobe.picture.settings import VideoSettings

__all__ = ["write_beside"]

_FORMAT: Final = "yuv420p"
Planes = npt.NDArray[np.uint8]


def write_beside(
    path: Path,
    settings: VideoSettings,
    decoded: Iterable[tuple[bytes, float | None]],
    filmed_s: Iterable[float],
    *,
    seed: int = 0,
) -> None:
    """Write an MP4 whose left half is the film, frame by frame, its right half the screen at the same instants.

    ``decoded`` are the encoded frames in the order in which the receiver decoded them, each with the instant at which
    it was shown (None: never); ``filmed_s`` the instants at which the frames were filmed.

    Raises:
        BadInputError: the file cannot be written.
    """
    scene = glass(settings.width, settings.height, seed)
    screen = _Screen(settings, decoded)
    try:
        with av.open(str(path), "w", format="mp4") as file:
            stream = file.add_stream(
                "libx264", rate=Fraction(settings.fps), options={"crf": "20", "preset": "veryfast"}
            )
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = 2 * settings.width, settings.height, _FORMAT
            # Threads would change x264's bytes from run to run (``codec``).
            stream.codec_context.thread_count = 1
            for number, at_s in enumerate(filmed_s):
                both = _beside(scene.picture(number), screen.at(at_s), settings.height)
                frame = av.VideoFrame.from_ndarray(both, format=_FORMAT)
                frame.pts, frame.time_base = number, Fraction(1, settings.fps)
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
    except OSError as error:
        raise BadInputError(f"{path} cannot be written", error.strerror or str(error)) from error


class _Screen:
    """The picture that stands at an instant; asked in ascending order. Before the first one it is black."""

    def __init__(self, settings: VideoSettings, decoded: Iterable[tuple[bytes, float | None]]) -> None:
        self._shown = self._pictures(settings, decoded)
        # Black in video's range: luma 16, chroma in the middle.
        self._now = np.full((settings.height * 3 // 2, settings.width), 128, dtype=np.uint8)
        self._now[: settings.height] = 16
        self._next = next(self._shown, None)

    def at(self, at_s: float) -> Planes:
        while self._next is not None and self._next[1] <= at_s:
            self._now = self._next[0]
            self._next = next(self._shown, None)
        return self._now

    @staticmethod
    def _pictures(
        settings: VideoSettings, decoded: Iterable[tuple[bytes, float | None]]
    ) -> Iterator[tuple[Planes, float]]:
        decoder = Decoder(settings.codec)
        for data, shown_s in decoded:
            # Decoded though it was never shown: what follows needs it.
            picture = decoder.decode(data)
            if picture is not None and shown_s is not None:
                if (picture.width, picture.height) != (settings.width, settings.height):
                    picture = picture.reformat(width=settings.width, height=settings.height)
                yield picture.to_ndarray(format=_FORMAT).astype(np.uint8, copy=False), shown_s


def _beside(left: Planes, right: Planes, height: int) -> Planes:
    """Return two pictures as one, planes each beside the other's."""
    width = left.shape[1]
    luma = np.concatenate([left[:height], right[:height]], axis=1)
    chroma = []
    for plane in range(2):
        # Planar 4:2:0 in rows of full width: each chroma plane, a quarter of the luma's size, takes a quarter
        # of its rows.
        begin = height + plane * height // 4
        halves = [each[begin : begin + height // 4].reshape(height // 2, width // 2) for each in (left, right)]
        chroma.append(np.concatenate(halves, axis=1).reshape(height // 4, 2 * width))
    return np.concatenate([luma, *chroma])
