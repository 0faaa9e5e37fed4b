"""What sound is in this package: mono, 48 kHz, 32-bit floats of full scale ±1.0, shape (samples,)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtcprobe.units import RTP_CLOCK_HZ

__all__ = ["SAMPLE_RATE_HZ", "Pcm"]

SAMPLE_RATE_HZ = RTP_CLOCK_HZ
"""Opus' own rate, so that a sample is a tick of the RTP clock (RFC 7587 §4.1)."""

Pcm = npt.NDArray[np.float32]
