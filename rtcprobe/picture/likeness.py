"""How like what was shown is to what was filmed: PSNR and SSIM of each frame against its original, by FFmpeg's filters.

Facts:
    - Frames are compared by their number: a picture that comes late is as like its original as one in time, and how
      late it comes is glass-to-glass delay. A picture that stands still is judged once.
    - PSNR is of the mean squared error over luma and chroma (``psnr_avg``); SSIM the mean of the planes weighted by
      their size (``All``), 1 for equal pictures. The noise of the sensor, which no encoder of this rate keeps, costs
      some hundredths of SSIM.

Source: FFmpeg ``vf_psnr.c``, ``vf_ssim.c``; Z. Wang et al., "Image quality assessment", IEEE TIP 13(4), 2004.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, NamedTuple

import av
import numpy as np
import numpy.typing as npt

__all__ = ["MOST_PSNR_DB", "Comparison", "Likeness"]

MOST_PSNR_DB: Final = 100.0
"""What equal pictures have: FFmpeg says infinite, which has no mean."""
_FORMAT, _TICK = "yuv420p", Fraction(1, 1000)


class Likeness(NamedTuple):
    """Of one frame."""

    psnr_db: float
    ssim: float


class Comparison:
    """Compares pictures of one size."""

    def __init__(self, width: int, height: int) -> None:
        self._size = (width, height)
        graph, form = av.filter.Graph(), av.VideoFormat(_FORMAT, width, height)
        self._graph = graph
        self._shown, self._filmed = (
            graph.add_buffer(width=width, height=height, format=form, time_base=_TICK) for _ in range(2)
        )
        psnr, ssim, split = graph.add("psnr"), graph.add("ssim"), graph.add("split")
        self._sink = graph.add("buffersink")
        # psnr takes both pictures and hands the first one on, with its figure noted on it; ssim takes that
        # one and the other copy of the original, so one frame leaves with both figures.
        self._shown.link_to(psnr, 0, 0)
        self._filmed.link_to(split, 0, 0)
        split.link_to(psnr, 0, 1)
        psnr.link_to(ssim, 0, 0)
        split.link_to(ssim, 1, 1)
        ssim.link_to(self._sink)
        graph.configure()
        self._count = 0

    def of(self, shown: av.VideoFrame, filmed: npt.NDArray[np.uint8]) -> Likeness | None:
        """Compare a decoded picture with its original (planar YUV 4:2:0); None where its size is another."""
        if (shown.width, shown.height) != self._size:
            return None
        original = av.VideoFrame.from_ndarray(filmed, format=_FORMAT)
        for frame, source in ((shown, self._shown), (original, self._filmed)):
            frame.pts, frame.time_base = self._count, _TICK
            source.push(frame)
        self._count += 1
        found = self._sink.pull()
        assert isinstance(found, av.VideoFrame)
        told = found.metadata
        # FFmpeg notes no figure where the error is nought.
        psnr_db = float(told["lavfi.psnr.psnr_avg"]) if "lavfi.psnr.psnr_avg" in told else MOST_PSNR_DB
        return Likeness(min(psnr_db, MOST_PSNR_DB), float(told["lavfi.ssim.All"]))
