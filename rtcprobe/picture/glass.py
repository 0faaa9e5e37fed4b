"""What the camera sees: a moving picture whose bit rate is like a call's, with the number of each frame in it.

Facts:
    - A still picture would cost next to nothing and a noisy one anything: bit rates would be unreal. This one is a room
      whose detail falls with its size as that of photographs through a cheap lens does (amplitude f^-1.4; in sharp ones
      about 1/f, D. J. Field 1987), seen by a camera in a hand; before it a head that sways and talks; over all the
      noise of a sensor (σ 2 of 255).
    - 640x480 at 30 pictures a second: from 300 kb/s to 1.5 Mb/s libvpx and x264 keep to what they are asked for within
      10 %; libvpx cannot go below 150 kb/s, x264 keeps to 100 (``benchmarks/eye.py``).

Rule: a picture is a function of size, seed and number, so that an encoder may begin at any of them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from rtcprobe.picture.marker import Luma, paint

__all__ = ["VERSION", "Glass", "glass"]

VERSION: Final = 2
"""Of what is filmed: pictures kept on disk are of one version."""

_ROOM: Final = 64  # how far the camera may sway, and the noise be moved, pixels
_NOISE_SIGMA: Final = 2.0


class Glass:
    """A scene of ``width`` x ``height``, both even."""

    def __init__(self, width: int, height: int, seed: int = 0) -> None:
        self.width, self.height = width, height
        random = np.random.default_rng([VERSION, seed])
        self._room = _texture(random, height + _ROOM, width + _ROOM, mean=110, sigma=30)
        # Added modulo 256, as two's complement: what is painted stays far enough from both ends.
        noise = np.rint(random.normal(0.0, _NOISE_SIGMA, (height + _ROOM, width + _ROOM)))
        # At four sigma, so that no sum leaves 0 to 255 and wraps: room and skin are held to 40..215.
        self._noise = noise.clip(-8, 8).astype(np.int8).view(np.uint8)
        # In an upright picture (a phone's) the width bounds the head, which sways by 6 % of it.
        radius = self._radius = min(height * 7 // 25, int(0.44 * width) - 1)
        down, across = np.mgrid[-radius:radius, -radius:radius] + 0.5
        self._head = down**2 + across**2 < radius**2
        self._skin = _texture(random, 2 * radius, 2 * radius, mean=150, sigma=18)
        self._chroma = [_texture(random, height // 2, width // 2, mean=128, sigma=8) for _ in "uv"]

    def picture(self, number: int) -> npt.NDArray[np.uint8]:
        """Return picture ``number`` as planar YUV 4:2:0, shape (height · 3/2, width)."""
        planes = np.empty((self.height * 3 // 2, self.width), dtype=np.uint8)
        luma = planes[: self.height]
        # The periods have no common multiple within an hour: no two pictures are alike.
        top, left = (int(_ROOM / 2 * (1 + math.sin(number * pace))) % _ROOM for pace in (0.0157, 0.0113))
        luma[:] = self._room[top : top + self.height, left : left + self.width]
        self._paint_head(luma, number)
        # Odd steps walk through all 64 offsets of each axis before one comes again.
        top, left = number * 37 % _ROOM, number * 53 % _ROOM
        luma += self._noise[top : top + self.height, left : left + self.width]
        paint(luma, number)
        half = self.height * self.width // 4
        flat = planes[self.height :].reshape(-1)
        flat[:half], flat[half:] = self._chroma[0].reshape(-1), self._chroma[1].reshape(-1)
        return planes

    def _paint_head(self, luma: Luma, number: int) -> None:
        radius = self._radius
        down = int(self.height * (0.62 + 0.03 * math.sin(number * 0.21)))
        across = int(self.width * (0.5 + 0.06 * math.sin(number * 0.13)))
        area = luma[down - radius : down + radius, across - radius : across + radius]
        np.copyto(area, self._skin, where=self._head)
        opened = 2 + int(radius * 0.18 * abs(math.sin(number * 0.4)))
        mouth = luma[
            down + radius // 2 - opened : down + radius // 2 + opened, across - radius // 3 : across + radius // 3
        ]
        mouth[:] = 56


@lru_cache(maxsize=4)
def glass(width: int, height: int, seed: int = 0) -> Glass:
    """Return a scene; the last few are kept."""
    return Glass(width, height, seed)


def _texture(random: np.random.Generator, height: int, width: int, *, mean: float, sigma: float) -> Luma:
    """Return a texture with the amplitudes of photographs."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None, :] * width)
    frequency[0, 0] = 1.0
    spectrum = (random.normal(size=frequency.shape) + 1j * random.normal(size=frequency.shape)) / frequency**1.4
    spectrum[0, 0] = 0.0
    values = np.fft.irfft2(spectrum, (height, width))
    scaled: npt.NDArray[np.float64] = mean + sigma * values / values.std()
    return scaled.clip(40, 215).astype(np.uint8)
