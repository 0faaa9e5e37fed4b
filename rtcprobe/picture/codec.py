"""VP8 and H.264 through FFmpeg: encoders as a call has them, decoders, one thread each.

Facts:
    - libvpx with two threads gives other bytes than with one; x264 with more than one, and a VBV, other bytes each run.
      libvpx at ``cpu-used`` 0 and above adapts to the time that encoding takes. So: one thread, and -6.
    - With ``minrate`` = ``maxrate`` = bit rate libvpx is CBR, as it is in calls. libwebrtc bounds a key frame by half
      of a buffer of 600 ms: 9 times a mean frame at 30 frames a second. Without a bound the first one may take half a
      second of a line of that rate.
    - libwebrtc's coarsest quantizer is 56 of 63, and where that is not coarse enough its encoder skips frames. Here
      it is 63 and none is skipped: every frame is sent, and what the encoder reaches is said (``film``).
    - A fresh encoder begins with a key frame: the answer to a request for one.

Source: ``modules/video_coding/codecs/vp8/libvpx_vp8_encoder.cc`` of libwebrtc (bounds; from memory of its text).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.codeccontext import VideoCodecContext

from rtcprobe.errors import MeasurementError
from rtcprobe.picture.marker import Luma
from rtcprobe.picture.settings import VideoCodec, VideoSettings

__all__ = ["Decoder", "Encoder", "luma_of", "made_by"]

_ENCODERS: Final[Mapping[VideoCodec, str]] = {"vp8": "libvpx", "h264": "libx264"}
_DECODERS: Final[Mapping[VideoCodec, str]] = {"vp8": "vp8", "h264": "h264"}
# Nine hours at 30 a second: calls send key frames when they are asked for, not by the clock.
_NEVER: Final = 1_000_000  # frames from one key frame to the next, unless one is asked for
_KEY_FRAME_BUFFER_MS, _KEY_FRAME_SHARE = 600, 0.5


class Encoder:
    """A fresh encoder: the first picture becomes a key frame, all others none."""

    def __init__(self, settings: VideoSettings) -> None:
        """Open it.

        Raises:
            MeasurementError: this FFmpeg has no such encoder.
        """
        try:
            context = av.CodecContext.create(_ENCODERS[settings.codec], "w")
        except av.FFmpegError as error:
            raise MeasurementError(
                f"FFmpeg here cannot encode {settings.codec} ({error})", "install PyAV from its wheels: pip install av"
            ) from error
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = settings.width, settings.height, "yuv420p"
        context.bit_rate = round(settings.bitrate_bps)
        context.framerate, context.time_base = Fraction(settings.fps), Fraction(1, settings.fps)
        context.gop_size = _NEVER
        context.thread_count = 1
        context.options = _OPTIONS[settings.codec](settings)
        if settings.codec == "vp8":
            # The widest range: with browsers' 56 libvpx would skip frames instead, see above.
            context.qmin, context.qmax = 2, 63
        else:
            context.profile = "Baseline"
        self._context = context
        self._count = 0

    def encode(self, picture: npt.NDArray[np.uint8]) -> bytes:
        """Return the frame made of ``picture`` (planar YUV 4:2:0): VP8, or H.264 with start codes (Annex B).

        Raises:
            MeasurementError: the encoder kept it, or gave more than one.
        """
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = self._count
        self._count += 1
        packets = self._context.encode(frame)
        # The mouth's pace is one frame a picture: an encoder with look-ahead would shift every frame's
        # instant.
        if len(packets) != 1:
            raise MeasurementError(f"the encoder gave {len(packets)} frames for one picture", "use another FFmpeg")
        return bytes(packets[0])


class Decoder:
    """Frames in order, pictures out."""

    def __init__(self, codec: VideoCodec) -> None:
        context = av.CodecContext.create(_DECODERS[codec], "r")
        assert isinstance(context, VideoCodecContext)
        context.thread_count = 1
        # Without this H.264 is held back until its reorder depth is known.
        context.flags |= av.codec.context.Flags.low_delay
        self._context = context

    def decode(self, frame: bytes) -> av.VideoFrame | None:
        """Return the picture; None where nothing can be made of ``frame``."""
        try:
            pictures = self._context.decode(av.Packet(frame))
        except av.FFmpegError:
            return None
        return pictures[-1] if pictures else None


def luma_of(picture: av.VideoFrame) -> Luma:
    """Return the brightness of ``picture``, shape (height, width); it stays FFmpeg's memory."""
    plane = picture.planes[0]
    # FFmpeg's rows are longer than the picture, to be aligned: the rest is cut off, not copied.
    rows: Luma = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return rows[: picture.height, : picture.width]


def made_by() -> str:
    """Return what encodes here: kept frames are of one such."""
    return f"av {av.__version__} {av.library_versions.get('libavcodec')}"


def _vp8_options(settings: VideoSettings) -> dict[str, str]:
    rate = str(round(settings.bitrate_bps))
    largest = max(300, round(_KEY_FRAME_BUFFER_MS * _KEY_FRAME_SHARE * settings.fps / 10))  # % of a mean frame
    return {
        "minrate": rate,
        "maxrate": rate,
        "bufsize": rate,  # one second
        "cpu-used": "-6",
        "deadline": "realtime",
        "lag-in-frames": "0",
        "overshoot-pct": "15",
        "undershoot-pct": "100",
        "max-intra-rate": str(largest),
    }


def _h264_options(settings: VideoSettings) -> dict[str, str]:
    rate = str(round(settings.bitrate_bps))
    # Parameter sets stand before each key frame by themselves (no global header).
    return {
        "preset": "veryfast",
        "tune": "zerolatency",
        "level": "3.1",
        "maxrate": rate,
        "bufsize": rate,
        "x264-params": "scenecut=0:sliced-threads=0",
    }


_OPTIONS: Final[Mapping[VideoCodec, Callable[[VideoSettings], dict[str, str]]]] = {
    "vp8": _vp8_options,
    "h264": _h264_options,
}
