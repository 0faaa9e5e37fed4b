"""What a camera's encoder makes of a rate: frame sizes, dropped frames, key frames, and the size of the picture.

Facts:
    When the quantiser is high the picture falls, and rises again when it is low: by size or by frame rate, as
    ``degrading.py`` has it. Browsers let VP8 quantise up to index 106;
    a frame that is too large even so is paid for by frames that are dropped.
    The codec does not follow a fall at once: as long as its buffer is full, the quantiser may not exceed the mean of
    all frames so far. So a third of a second of frames of the old size comes after the rate fell, and waits.
    What a frame takes grows with the time since the frame before it: a picture that moves is predicted worse. So a low
    frame rate makes frames large, which keeps the frame rate low: after a deep fall an encoder stays at a few frames a
    second although 30 small ones would have fitted.
    Bits a pixel by the quantiser, and how much more a small picture takes, are those of VP8 on a moving, textured clip
    of 640 x 480 at 30 a second, read off seconds of recorded calls in which nothing was lost. What a key frame takes is
    read off the first frame of such calls. How frames that follow a gap grow is an estimate.

Source: libwebrtc ``modules/video_coding/utility/quality_scaler.cc``, ``call/adaptation/video_stream_adapter.cc``,
``video/video_stream_encoder.cc``, ``modules/video_coding/codecs/vp8/libvpx_vp8_encoder.cc`` (quantiser, buffer);
libvpx ``vp8/encoder/ratectrl.c``, ``onyx_if.c`` (one pass at a constant rate: buffer, decimation);
``video/config/encoder_stream_factory.cc`` for the default maxima.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from typing import Final

from rtcprobe.adaptation.adjuster import BitrateAdjuster
from rtcprobe.adaptation.degrading import DEGRADES, SIZES, Degradation, Degrading

__all__ = ["FPS", "SIZES", "Encoder", "RateControl", "default_max_bps"]

# The camera's, as in the recorded calls that the laws below are read from.
FPS: Final = 30.0


# Pixels, and the most their encoder may take; beyond 960 x 540 all are the same (encoder_stream_factory.cc).
_DEFAULT_MAX_BPS: Final = ((320 * 240, 600e3), (640 * 480, 1700e3), (960 * 540, 2000e3))
_LARGEST_MAX_BPS: Final = 2500e3
# VP8's index (0 to 127) of quantisers: the finest that the law below was read at, and the coarsest that browsers
# allow (56 of 63); then the scaler's thresholds on the same index (kLowVp8QpThreshold, kHighVp8QpThreshold).
_QP_LEAST, _QP_MOST = 4.0, 106.0
_QP_LOW, _QP_HIGH = 29, 95
_HIGH_KEEPS, _LOW_KEEPS = 0.9995, 0.9999
"""What the averages keep of themselves each millisecond; ``rtc_base/experiments/quality_scaling_experiment.cc``."""
_LAW: Final = (
    (4.0, 1.25), (10.0, 0.52), (16.0, 0.345), (20.0, 0.285), (25.0, 0.230), (31.0, 0.188), (37.0, 0.147),
    (42.0, 0.129), (48.0, 0.115), (55.0, 0.097), (61.0, 0.081), (70.0, 0.0595), (80.0, 0.0475), (88.0, 0.0378),
    (95.0, 0.0338), (100.0, 0.0305), (106.0, 0.0280),
)  # fmt: skip
"""(quantiser index, bits a pixel) of a frame 1/30 s after the one before it."""
_LAW_LOG: Final = tuple((math.log(qp), math.log(bpp)) for qp, bpp in _LAW)
_LAW_QPS: Final = tuple(qp for qp, _ in _LAW_LOG)
_LAW_BPPS: Final = tuple(-bpp for _, bpp in _LAW_LOG)
_SMALL_PIXELS, _SMALL = 320 * 240, 1.4
"""Pictures of so few pixels take so many times the bits a pixel."""
_KEY_AT_MOST, _KEY_POWER = 9.4, 1.2
"""A key frame at the coarsest quantiser by another frame; the ratio falls with the quantiser."""
# The ratio by which a key frame's quantiser is chosen before its own is known; what it takes follows from
# that one.
_KEY_USUAL: Final = 6.0
# A key frame after the first is aimed at (16 + 44) / 16 shares at 30 frames a second (vp8
# calc_iframe_target_size); what libvpx adds by the quantiser and takes off soon after another key frame is
# left out.
_KEY_BOOST: Final = 3.75
# An estimate, as the module says: 0 would make a frame after a gap as small as any, and a collapsed camera
# recover at once; 1 would make a tenth of the frames take what all took.
_GAP_POWER: Final = 0.8
# kMeasureMs until a first "too high", then 2.5 times that (kSamplePeriodScaleFactor); 60 frames are needed
# for a word (kMinFramesNeededToScale), and what was dropped is a share of the last 5 s of them.
_FIRST_CHECK_S, _CHECK_S = 2.0, 5.0
_LEAST_FRAMES, _MOST_FRAMES = 60, 150
_DROPS: Final = 60
"""Percent."""
# kDefaultMinVideoBitrateBps: an enabled stream gets so much whatever the estimate is.
_LEAST_BPS: Final = 30e3
# No picture for so long, and the rate of pictures is counted anew: until a second of them is known, 30 are
# assumed.
_GAP_S: Final = 1.0
# rc_buf_sz, rc_buf_optimal_sz, rc_buf_initial_sz; rc_dropframe_thresh, in percent of the optimal level;
# rc_undershoot_pct and rc_overshoot_pct of libvpx_vp8_encoder.cc.
_BUFFER_S, _OPTIMAL_S, _INITIAL_S = 1.0, 0.6, 0.5
_WATER_MARK: Final = 0.30
_UNDER, _OVER = 1.00, 0.15
# How fast the control learns what frames take by the law; libvpx damps its rate correction factor likewise.
_LEARNS: Final = 0.25
# Until 150 inter frames are known libvpx does not let their mean bound the quantiser (ni_frames).
_KNOWN_FRAMES: Final = 150
# By how much a full buffer lowers the largest quantiser: a quarter of it.
_FINER: Final = 0.25
_BEST, _BEST_SQUARED = 0.5775, 0.001675
"""The least quantiser by the largest allowed, as a closed form of ``inter_minq``: 0.75 away from it at most."""


def default_max_bps(width: int, height: int) -> float:
    """Return what Chromium lets a camera's picture of that size take when nobody says otherwise."""
    return next((bps for pixels, bps in _DEFAULT_MAX_BPS if width * height <= pixels), _LARGEST_MAX_BPS)


def _bpp(qp: float) -> float:
    """Return bits a pixel at a quantiser."""
    x = math.log(qp)
    place = min(max(bisect_right(_LAW_QPS, x), 1), len(_LAW_LOG) - 1)
    (x0, y0), (x1, y1) = _LAW_LOG[place - 1], _LAW_LOG[place]
    return math.exp(y0 + (y1 - y0) * (x - x0) / (x1 - x0))


def _qp(bpp: float) -> float:
    """Return the quantiser that takes so many bits a pixel, within what the codec allows."""
    y = -math.log(bpp)
    place = min(max(bisect_right(_LAW_BPPS, y), 1), len(_LAW_LOG) - 1)
    (x0, y0), (x1, y1) = _LAW_LOG[place - 1], _LAW_LOG[place]
    return min(max(math.exp(x0 + (x1 - x0) * (-y - y0) / (y1 - y0)), _QP_LEAST), _QP_MOST)


class QualityScaler:
    """Whether the quantiser is high or low, smoothed over about 2 and 10 s, once 60 frames were seen or left out."""

    def __init__(self) -> None:
        self.wait_s = _FIRST_CHECK_S
        self._ramping = True
        self._clear()

    def _clear(self) -> None:
        self._high: float | None = None
        self._low = 0.0
        self._at_s = 0.0
        self._skipped: deque[bool] = deque(maxlen=_MOST_FRAMES)

    def encoded(self, qp: float, now_s: float) -> None:
        """Take in a frame."""
        if self._high is None:
            self._high = self._low = qp
        else:
            passed_ms = 1e3 * (now_s - self._at_s)
            self._high += (1 - _HIGH_KEEPS**passed_ms) * (qp - self._high)
            self._low += (1 - _LOW_KEEPS**passed_ms) * (qp - self._low)
        self._at_s = now_s
        self._skipped.append(False)

    def left_out(self) -> None:
        """Take in that the encoder left a frame out."""
        self._skipped.append(True)

    def check(self) -> int:
        """Return 1 for a smaller picture, -1 for a larger one, else 0; ``wait_s`` says when to check again."""
        # Too few frames for a word: the next look comes after half the period once the quick looks of a start
        # are over (GetCheckingQpDelayMs).
        if len(self._skipped) < _LEAST_FRAMES:
            self.wait_s = _FIRST_CHECK_S if self._ramping else _FIRST_CHECK_S / 2
            return 0
        drops = 100 * sum(self._skipped) // len(self._skipped)
        step = 0
        # libwebrtc compares whole numbers, rounded down: 95.9 is not above 95, 29.9 is not above 29.
        if drops >= _DROPS or (self._high is not None and int(self._high) > _QP_HIGH):
            self._ramping, step = False, 1
        elif self._high is not None and int(self._low) <= _QP_LOW:
            step = -1
        # Frames of the old size say nothing of the new one.
        if step:
            self._clear()
        self.wait_s = _FIRST_CHECK_S if self._ramping else _CHECK_S
        return step


class RateControl:
    """libvpx's buffer: a second of the rate, kept at 0.6; below a third of that frames are left out, below none all.

    While the buffer is full enough the quantiser may not exceed its own mean of all frames so far: when the rate falls,
    frames stay as large as they were until they have emptied what the buffer of the new rate holds.
    """

    def __init__(self) -> None:
        self.level = 0.0  # bits
        self._rate_bps = 0.0
        self._decimation = self._skipped = 0
        self._frames = 0  # inter frames, and what follows is of them
        self._qps = 0.0
        self._usual_qp = _QP_MOST

    @property
    def qps(self) -> tuple[float, float]:
        """The least and the largest quantiser that the next inter frame may have."""
        optimal = _OPTIMAL_S * self._rate_bps
        known = self._frames > _KNOWN_FRAMES
        most = _QP_MOST
        if known:
            above = (self.level - optimal / 4) / (0.75 * optimal)
            most -= (most - self._usual_qp) * min(max(above, 0.0), 1.0)
        # What a full buffer cannot hold may as well be spent.
        full = max(0.0, (self.level - optimal) / (_BUFFER_S * self._rate_bps - optimal))
        most -= _FINER * most * full
        least = _BEST * most + _BEST_SQUARED * most * most if known else _QP_LEAST
        return max(least - full * (least - _QP_LEAST), _QP_LEAST), most

    def slot(self, rate_bps: float, fps: float, *, key: bool) -> float | None:
        """Let the time of one frame pass; return the bits that its frame should take, None when it is left out."""
        share = rate_bps / fps
        first = not self._rate_bps
        if first:
            self.level = _INITIAL_S * rate_bps
        self._rate_bps = rate_bps
        self.level = min(self.level + share, _BUFFER_S * rate_bps)
        # The first one is half the initial buffer, for nothing is known; a key frame is never left out.
        if key:
            return _INITIAL_S * rate_bps / 2 if first else _KEY_BOOST * share
        if self.level < 0 or self._decimated():
            return None
        optimal = _OPTIMAL_S * rate_bps
        wanted = share * {0: 1.0, 1: 1.5}.get(self._decimation, 1.25)
        if self.level < optimal:
            return wanted * (1 - min((optimal - self.level) / optimal, _UNDER) / 2)
        return wanted * (1 + min((self.level - optimal) / optimal, _OVER) / 2)

    def spent(self, bits: float, qp: float, *, key: bool) -> None:
        """Take in what the frame took, and its quantiser."""
        self.level -= bits
        if key:
            return
        self._frames += 1
        self._qps += qp
        mean = self._qps / self._frames
        # Damped towards the coarsest, as libvpx does early in a stream.
        if self._frames <= _KNOWN_FRAMES:
            mean = (mean + _QP_MOST) / 2
        # Where the last frame was coarser than the mean, it comes down by steps: by 1 less than it.
        self._usual_qp = max(mean, qp - 1)

    def _decimated(self) -> bool:
        """Whether this frame is left out to make the rest of them larger: every second, up to three of four."""
        # Thresholds of vp8_check_drop_buffer: the mark, two thirds, a quarter and an eighth of it. Between
        # them the state stays, so that dropping does not flicker.
        mark = _WATER_MARK * _OPTIMAL_S * self._rate_bps
        level, factor = self.level, self._decimation
        if level > mark and factor:
            factor -= 1
        if level > mark * 2 / 3 and factor:
            factor = 1
        elif level < mark / 8 and factor >= 2:
            factor = 3
        elif level < mark / 4 and factor in (1, 2):
            factor = 2
        elif level < mark * 2 / 3 and factor < 2:
            factor = 1
        self._decimation = factor
        if factor and self._skipped < factor:
            self._skipped += 1
            return True
        self._skipped = 0
        return False


class Encoder:
    """One stream; ``frame`` is asked with every picture of the camera. ``max_bps`` None: the default of each size.

    ``noise`` yields factors around 1 by which frames differ; ``scales``: whether the picture may change, and
    ``degrades`` how.
    """

    def __init__(
        self,
        noise: Iterator[float],
        max_bps: float | None,
        *,
        scales: bool = True,
        degrades: Degradation = DEGRADES,
    ) -> None:
        self.degrading = Degrading(degrades, FPS)
        self.dropped = 0
        self.qp = 0.0
        self._noise = noise
        self._scales = scales
        self._max_bps = max_bps
        self._control = RateControl()
        self._adjuster = BitrateAdjuster() if scales else None  # stock aiortc has none
        self._correction = 1.0  # what frames took lately by what the law says
        self._key_due = True
        self._encoded_s: float | None = None
        self._given_s: deque[float] = deque()
        self._scaler = QualityScaler()
        self._check_s: float | None = None
        self._begun_s = 0.0  # when the camera began to give pictures without a gap
        self._counter = 0

    @property
    def place(self) -> int:
        """Which of the sizes the picture has, the largest first."""
        return self.degrading.place

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return SIZES[self.place]

    @property
    def max_bps(self) -> float:
        """What the stream may take at most."""
        return self._max_bps or default_max_bps(*self.size)

    def ask_key(self) -> None:
        """Let the next frame be a key frame."""
        self._key_due = True

    def frame(
        self, target_bps: float, drop_every: int | None, now_s: float, *, allowed_bps: float = 0.0
    ) -> tuple[int, bool] | None:
        """Return bytes of the next frame and whether it is a key frame; None when it is dropped.

        ``allowed_bps`` is what the link would carry of this stream, where that is more than the target.
        """
        # Order matters: size, then frame rate, then the window's drops, then the codec's own. Only what came
        # past all of the first three does the codec see, and only its own drops count against the size.
        target_bps = min(max(target_bps, _LEAST_BPS), self.max_bps)
        self._scale(now_s)
        if not self.degrading.gives():
            return None
        if not self._given_s or now_s - self._given_s[-1] > _GAP_S:
            self._begun_s = now_s
        # The codec is told the camera's rate, whatever the window drops of it.
        given = self._given_s
        given.append(now_s)
        while given[0] <= now_s - 1.0:
            given.popleft()
        fps = len(given) if now_s >= self._begun_s + 1.0 else FPS
        self._counter += 1
        if drop_every is not None and self._counter % drop_every == 0:
            # The window's drops are no fault of the encoder's: the scaler does not see them.
            self.dropped += 1
            return None
        key, self._key_due = self._key_due, False
        wanted = self._control.slot(self._adjusted_bps(target_bps, allowed_bps, fps, now_s), fps, key=key)
        if wanted is None:
            self.dropped += 1
            self._scaler.left_out()
            return None
        bits = self._encode(wanted, now_s, key=key)
        self._control.spent(bits, self.qp, key=key)
        if self._adjuster is not None:
            self._adjuster.encoded(bits, now_s)
        self._scaler.encoded(self.qp, now_s)
        return max(100, round(bits / 8)), key

    def _adjusted_bps(self, target_bps: float, allowed_bps: float, fps: float, now_s: float) -> float:
        if self._adjuster is None:
            return target_bps
        return self._adjuster.adjusted_bps(target_bps, max(allowed_bps, target_bps), fps, now_s)

    def _encode(self, wanted: float, now_s: float, *, key: bool) -> float:
        """Return the bits of a frame that should take ``wanted``."""
        width, height = self.size
        pixels = width * height * (_SMALL if width * height <= _SMALL_PIXELS else 1.0)
        qp = _qp(max(wanted / (pixels * (_KEY_USUAL if key else self._correction)), 1e-3))
        if not key:
            least, most = self._control.qps
            qp = min(max(qp, least), most)
        self.qp = qp
        # A frame that follows a long gap is predicted from nothing any more, but takes no more than a key
        # frame would.
        ratio = max(1.0, _KEY_AT_MOST * math.pow(qp / _QP_MOST, _KEY_POWER))
        gap = 1.0 if self._encoded_s is None else max(1.0, (now_s - self._encoded_s) * FPS)
        self._encoded_s = now_s
        grown = ratio if key else min(ratio, math.pow(gap, _GAP_POWER))
        noise = next(self._noise)
        if not key:
            self._correction += _LEARNS * (grown * noise - self._correction)
        return _bpp(qp) * pixels * grown * noise

    def _scale(self, now_s: float) -> None:
        """Change the size of the picture where the quantiser says so."""
        if self._check_s is None:
            self._check_s = now_s + _FIRST_CHECK_S
        if not self._scales or now_s < self._check_s:
            return
        if self.degrading.step(self._scaler.check()):
            # Another size is another instance of the codec.
            self._control, self._correction, self._key_due = RateControl(), 1.0, True
            self._adjuster = BitrateAdjuster()
        self._check_s = now_s + self._scaler.wait_s
