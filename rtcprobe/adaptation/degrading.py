"""What of a picture falls when its quantiser is high: its size, or its frame rate.

Facts:
    *maintain-framerate* is the default of cameras: 3/5 of the pixels a step. *maintain-resolution* is that of screens:
    two thirds of the frames a step, two a second at least. *balanced* first lowers the frame rate to what is enough for
    the size (15 a second of VGA, 10 of 480 x 360, 7 of 320 x 240), then the size; up again it goes the other way.
    A camera that is limited gives fewer pictures: neither the encoder nor the scaler sees the rest.

Source: libwebrtc main f3ae3eb62e2a, ``call/adaptation/video_stream_adapter.cc``,
``rtc_base/experiments/balanced_degradation_settings.cc``; W3C mst-content-hint and ``RTCDegradationPreference``.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["DEGRADATIONS", "DEGRADES", "SIZES", "Degradation", "Degrading"]

Degradation = Literal["maintain-framerate", "maintain-resolution", "balanced"]
DEGRADES: Final[Degradation] = "maintain-framerate"
"""What cameras do where nothing is said."""
DEGRADATIONS: Final[tuple[Degradation, ...]] = ("maintain-framerate", "maintain-resolution", "balanced")

SIZES: Final = ((640, 480), (480, 360), (320, 240), (240, 180))
"""The chain of VGA by 3/5 of the pixels, as Chromium shows it."""
# "Balanced", in pixels and frames a second: until the frame rate has come down to the one of the size, the
# size stays (balanced_degradation_settings.cc); below two frames a second nothing falls (kMinFrameRateFps).
_ENOUGH: Final = ((320 * 240, 7.0), (480 * 360, 10.0), (640 * 480, 15.0))
_LEAST_FPS: Final = 2.0


class Degrading:
    """``place`` is the size's in ``SIZES``, ``fps`` what the camera may give a second."""

    def __init__(self, rule: Degradation, fps: float) -> None:
        self.place = 0
        self.fps = fps
        self._rule = rule
        self._most_fps = fps
        self._steps = 0  # of the frame rate
        self._share = 0.0  # of a picture that may be given

    def gives(self) -> bool:
        """Whether the camera's next picture is given on."""
        # An even thinning: of 20 out of 30 every third picture is left out. The guard is for shares that add
        # up to 1 in real numbers only.
        self._share += self.fps / self._most_fps
        if self._share < 1 - 1e-9:
            return False
        self._share -= 1
        return True

    def step(self, verdict: int) -> bool:
        """Adopt 1 for less, -1 for more, 0 for what there is; return whether the size changed."""
        # The frame rate goes first both ways, and only where it has nothing to give does the size.
        if not verdict or (self._lower_fps() if verdict > 0 else self._raise_fps()):
            return False
        if self._rule == "maintain-resolution":
            return False
        before, self.place = self.place, min(max(self.place + verdict, 0), len(SIZES) - 1)
        return self.place != before

    def _lower_fps(self) -> bool:
        if self._rule == "maintain-framerate":
            return False
        # Whole frames, rounded down as GetLowerFrameRateThan and GetHigherFrameRateThan do: 30, 20, 13, 8
        # down; up from there 12, 18, and the last step restores what the camera gives.
        fps = max(float(int(self.fps * 2 / 3)), _LEAST_FPS) if self._rule == "maintain-resolution" else self._enough(0)
        if fps >= self.fps:
            return False
        self.fps = fps
        self._steps += 1
        return True

    def _raise_fps(self) -> bool:
        if not self._steps:
            return False
        fps = float(int(self.fps * 3 / 2)) if self._rule == "maintain-resolution" else self._enough(1)
        if fps <= self.fps:
            return False
        self._steps -= 1
        self.fps = min(fps, self._most_fps) if self._steps else self._most_fps
        return True

    def _enough(self, above: int) -> float:
        """Return how many frames are enough for the size, or for one ``above`` it."""
        width, height = SIZES[self.place]
        places = [place for place, (pixels, _) in enumerate(_ENOUGH) if width * height <= pixels]
        place = places[0] + above if places else len(_ENOUGH)
        return _ENOUGH[place][1] if place < len(_ENOUGH) else self._most_fps
