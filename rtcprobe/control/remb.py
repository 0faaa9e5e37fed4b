"""What stock aiortc does: its receiver estimates by the one-way delay gradient and says so in REMB, its sender obeys.

Facts:
    aiortc's receiver is libwebrtc's of about 2018: the same groups and threshold, a Kalman filter in place of the
    trendline, a reduction at every overuse, growth near the capacity twice as fast, an RTT that is always 200 ms,
    no probes. Its VP8 encoder takes 250 to 1500 kb/s: below 250 kb/s it cannot adapt at all, and nothing is paced.

Source: aiortc 1.16 ``rate.py``, ``rtcrtpreceiver.py``, ``rtcrtpsender.py``, ``codecs/vpx.py``; libwebrtc
``modules/remote_bitrate_estimator/overuse_estimator.cc``.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from rtcprobe.control.aimd import Aimd
from rtcprobe.control.base import FeedbackKind
from rtcprobe.control.feedback import Feedback
from rtcprobe.control.grouping import Grouping
from rtcprobe.control.probing import Probe
from rtcprobe.control.trendline import Signal
from rtcprobe.errors import BadInputError

__all__ = ["Kalman", "Remb", "RembEstimator", "parse_remb", "write_remb"]

# What its VP8 encoder takes (codecs/vpx.py); the filter's start, as in overuse_estimator.cc.
_LEAST_BPS, _MOST_BPS, _START_BPS = 250e3, 1500e3, 500e3
_SLOPE, _VARIANCES, _PROCESS = 8 / 512, (100.0, 0.1), (1e-13, 1e-3)
_NOISE_VARIANCE: Final = 50.0
# No word in the first 3 s but of an overuse; then one each half a second. Rate counted over one second.
_FIRST_ESTIMATE_S: Final = 3.0
_EVERY_S: Final = 0.500
_WINDOW_S: Final = 1.0
_MOST_DELTAS: Final = 60


class Kalman:
    """Slope (ms a byte) and offset (ms) of the delay between groups; ``offset_ms`` is what the queue grows by."""

    def __init__(self) -> None:
        self.offset_ms = 0.0
        self.deltas = 0
        self._slope = _SLOPE
        self._e = [[_VARIANCES[0], 0.0], [0.0, _VARIANCES[1]]]
        self._mean, self._variance = 0.0, _NOISE_VARIANCE
        self._before_ms = 0.0
        self._periods_ms: deque[float] = deque(maxlen=60)

    def add(self, arrival_ms: float, send_ms: float, size_bytes: int, signal: Signal) -> None:
        """Take in what two groups differ by."""
        self.deltas = min(self.deltas + 1, 1000)
        self._periods_ms.append(send_ms)
        period_ms = min(self._periods_ms)
        e = self._e
        e[0][0] += _PROCESS[0]
        e[1][1] += _PROCESS[1]
        # The detector and the filter disagree: let the offset move ten times as fast.
        if (signal == "overuse" and self.offset_ms < self._before_ms) or (
            signal == "underuse" and self.offset_ms > self._before_ms
        ):
            e[1][1] += 10 * _PROCESS[1]
        h = (float(size_bytes), 1.0)
        # With E the covariance of (slope, offset) and h = (bytes, 1): gain k = E·h / (noise + hᵀ·E·h), E = (1
        # - k·hᵀ)·E.
        eh = (e[0][0] * h[0] + e[0][1], e[1][0] * h[0] + e[1][1])
        residual = arrival_ms - send_ms - self._slope * h[0] - self.offset_ms
        if signal == "normal":
            # Only while nothing is wrong: a growing queue is no noise. Three deviations at most: nor is a spike.
            self._noise(min(max(residual, -3 * math.sqrt(self._variance)), 3 * math.sqrt(self._variance)), period_ms)
        scale = self._variance + h[0] * eh[0] + eh[1]
        k = (eh[0] / scale, eh[1] / scale)
        rest = ((1 - k[0] * h[0], -k[0]), (-k[1] * h[0], 1 - k[1]))
        self._e = [[rest[row][0] * e[0][column] + rest[row][1] * e[1][column] for column in (0, 1)] for row in (0, 1)]
        self._before_ms = self.offset_ms
        self._slope += k[0] * residual
        self.offset_ms += k[1] * residual

    def _noise(self, residual: float, period_ms: float) -> None:
        alpha = 0.01 if self.deltas <= 300 else 0.002
        # The filter's constants are for 30 groups a second: slower ones count for as many of those as they
        # take.
        beta = (1 - alpha) ** (period_ms * 30 / 1000)
        self._mean = beta * self._mean + (1 - beta) * residual
        self._variance = max(1.0, beta * self._variance + (1 - beta) * (self._mean - residual) ** 2)


class _Detector:
    """The adaptive threshold over the Kalman offset."""

    def __init__(self) -> None:
        self.signal: Signal = "normal"
        self._threshold = 12.5
        self._moved_ms: float | None = None
        self._over_ms: float | None = None
        self._count = 0
        self._before = 0.0

    def add(self, offset_ms: float, deltas: int, send_ms: float, now_ms: float) -> Signal:
        if deltas < 2:
            return "normal"
        # Threshold and numbers below are those of ``trendline.py``: the same detector, fed by an offset in
        # place of a slope.
        trend = min(deltas, _MOST_DELTAS) * offset_ms
        if trend > self._threshold:
            self._over_ms = send_ms / 2 if self._over_ms is None else self._over_ms + send_ms
            self._count += 1
            if self._over_ms > 10.0 and self._count > 1 and offset_ms >= self._before:
                self._over_ms, self._count, self.signal = 0.0, 0, "overuse"
        else:
            self._over_ms, self._count = None, 0
            self.signal = "underuse" if trend < -self._threshold else "normal"
        self._before = offset_ms
        moved_ms = now_ms if self._moved_ms is None else self._moved_ms
        self._moved_ms = now_ms
        size = abs(trend)
        if size <= self._threshold + 15:
            gain = 0.039 if size < self._threshold else 0.0087
            moved = self._threshold + gain * (size - self._threshold) * min(now_ms - moved_ms, 100.0)
            self._threshold = min(max(moved, 6.0), 600.0)
        return self.signal


class RembEstimator:
    """aiortc's receiver: ``add`` returns the rate to send in REMB when one is due, else None."""

    def __init__(self) -> None:
        self._grouping = Grouping()
        self._kalman = Kalman()
        self._detector = _Detector()
        self._aimd: Aimd | None = None
        self._first_s: float | None = None
        self._updated_s: float | None = None
        self._bytes = 0
        self._window: deque[tuple[float, int]] = deque()

    def add(self, sent_s: float, arrival_s: float, size_bytes: int) -> float | None:
        """Take in a packet: its abs-send-time, when it came, its RTP payload's size."""
        self._window.append((arrival_s, size_bytes))
        self._bytes += size_bytes
        # The packet itself is in the window, so it is never empty here.
        while self._window[0][0] <= arrival_s - _WINDOW_S:
            self._bytes -= self._window.popleft()[1]
        self._first_s = arrival_s if self._first_s is None else self._first_s
        overused = False
        deltas = self._grouping.add(sent_s, arrival_s, size_bytes, arrival_s)
        if deltas is not None:
            arrival_ms, send_ms = 1e3 * deltas.arrival_s, 1e3 * deltas.send_s
            self._kalman.add(arrival_ms, send_ms, deltas.size_bytes, self._detector.signal)
            signal = self._detector.add(self._kalman.offset_ms, self._kalman.deltas, send_ms, 1e3 * arrival_s)
            overused = signal == "overuse"
        due = self._updated_s is None or arrival_s - self._updated_s > _EVERY_S
        if not (overused or due) or (arrival_s - self._first_s < _FIRST_ESTIMATE_S and not overused):
            return None
        self._updated_s = arrival_s
        # In the first second the window is not yet a second long.
        arrived_bps = 8 * self._bytes / min(_WINDOW_S, max(arrival_s - self._first_s, 0.001))
        if self._aimd is None:
            # aiortc has no factor two on the response time, which is why it grows twice as fast near the capacity.
            self._aimd = Aimd(arrived_bps, response_factor=1.0)
        return self._aimd.update(self._detector.signal, arrived_bps, arrival_s)


class Remb:
    """aiortc's sender: it encodes at what REMB says, between 250 and 1500 kb/s, and paces nothing."""

    feedback_kind: FeedbackKind = "remb"
    encoder_share = 1.0
    padding_bps = 0.0
    pacing_bps = math.inf

    def __init__(self) -> None:
        self.target_bps = _START_BPS
        self.state = "starting"

    def sent(self, sequence: int, size_bytes: int, now_s: float, cluster: int | None = None) -> None:
        """Nothing depends on it."""

    def told(self, feedback: Feedback, now_s: float) -> None:
        """Nothing depends on it: aiortc negotiates no transport-wide feedback."""

    def told_remb(self, rate_bps: float, now_s: float) -> None:
        """Adopt what the receiver says; the encoder is rebuilt when it changes by more than a tenth."""
        del now_s
        wanted_bps = min(max(rate_bps, _LEAST_BPS), _MOST_BPS)
        # aiortc's encoder clips what it is told; at either end the receiver's estimate is not what limits.
        self.state = "receiver" if _LEAST_BPS < rate_bps < _MOST_BPS else "encoder's limits"
        if abs(wanted_bps - self.target_bps) > 0.1 * self.target_bps:
            self.target_bps = wanted_bps

    def told_loss(self, lost: int, expected: int, now_s: float) -> None:
        """Nothing depends on it: aiortc does not react to loss."""

    def set_rtt(self, rtt_s: float) -> None:
        """Nothing depends on it."""

    def process(self, now_s: float) -> None:
        """Nothing depends on it."""

    def probes(self) -> list[Probe]:
        """Return none."""
        return []


def write_remb(sender_ssrc: int, rate_bps: float, ssrcs: tuple[int, ...]) -> bytes:
    """Return the RTCP packet. Source: draft-alvestrand-rmcat-remb-03 §2.2."""
    mantissa, exponent = int(rate_bps), 0
    # 18 bits of mantissa, rounded down: a receiver never asks for more than it said.
    while mantissa >= 1 << 18:
        mantissa, exponent = mantissa >> 1, exponent + 1
    head = bytes([0x8F, 206]) + (4 + len(ssrcs)).to_bytes(2, "big") + sender_ssrc.to_bytes(4, "big") + bytes(4)
    rate = (len(ssrcs) << 24 | exponent << 18 | mantissa).to_bytes(4, "big")
    return head + b"REMB" + rate + b"".join(ssrc.to_bytes(4, "big") for ssrc in ssrcs)


def parse_remb(packet: bytes) -> tuple[float, tuple[int, ...]]:
    """Return rate and SSRCs of one RTCP packet.

    Raises:
        BadInputError: another packet, or one cut short.
    """
    if len(packet) < 20 or packet[:2] != b"\x8f\xce" or packet[12:16] != b"REMB" or len(packet) < 20 + 4 * packet[16]:
        raise BadInputError("RTCP packet is no whole REMB", "give PT 206 FMT 15 with its SSRCs")
    word = int.from_bytes(packet[17:20], "big")
    ssrcs = tuple(int.from_bytes(packet[20 + 4 * n : 24 + 4 * n], "big") for n in range(packet[16]))
    return float((word & 0x3FFFF) << (word >> 18)), ssrcs
