"""How much a sender protects its video: the share of parity packets, and what protection leaves of the rate.

Facts:
    With RED and ULPFEC negotiated, as browsers do by default, and a round trip of 20 ms or more, parity is sent as soon
    as receivers report any loss: never less than a fifth of all packets, up to half, more with the loss and the size
    of frames. The loss is the most that was reported in 10 s, so one burst costs the picture for as long.
    Whatever repair took of the last second (retransmissions and parity) is taken from the encoder, up to half. Where it
    began less than a second ago its rate is that since it began: with the first burst of retransmissions the encoder
    loses a third at once.
    Above the floor of a fifth the share follows a closed form that was fitted to libwebrtc's table: on average 0.7 %
    of all packets away from it, 3.8 % at most in 19 of 20 places, 9.8 % at the worst.

Source: libwebrtc main f3ae3eb62e2a, ``modules/video_coding/media_opt_util.cc`` (``VCMNackFecMethod``),
``fec_controller_default.cc``, ``fec_rate_table.h``; ``modules/rtp_rtcp/source/ulpfec_generator.cc``,
``forward_error_correction.cc`` (``NumFecPackets``); ``rtc_base/rate_statistics.cc`` (rates of what was sent).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

__all__ = ["LossWindow", "Parity", "ParityRates", "SentRate", "code_rates", "encoder_share", "parity_packets"]

# Shares are eight bits wide, as libwebrtc counts them. Its table ends at a loss of 128 of 255 (kPacketLossMax
# 129), and no share of all packets goes beyond 127 (a key frame's 128): one parity packet for each media
# packet.
_SCALE: Final = 255
_MOST_LOSS: Final = 128
_MOST_SHARE: Final = 127
# firstPartitionProt: a fifth, meant for VP8's first partition, as soon as a frame is two packets or more.
_LEAST_SHARE: Final = int(255 * 0.20)
# What counts as one packet of a frame; not what is sent in one (``PACKET_BYTES`` of the sender is smaller).
_PAYLOAD_BYTES: Final = 1460
# The table's rate is kbit a frame of 4CIF: a smaller picture counts as a faster one, softened by the power. A
# row each 5 kbit, 50 rows: 200 to 8000 kb/s at 30 frames a second.
_REFERENCE_PIXELS: Final = 704 * 576
_SIZE_POWER: Final = 0.3
_RATE_STEP, _MOST_RATE = 5, 49
# A key frame is looked up at twice the rate at least, and gets twice what other frames get (_scaleProtKey).
_KEY_BOOST: Final = 2
# Below 20 ms retransmissions are quick enough alone (kLowRttNackMs); from 200 ms on parity stays on however
# small frames are (kMaxRttTurnOffFec), for a retransmission would come too late.
_LOW_RTT_S: Final = 0.020
_OFF_RTT_S: Final = 0.200
_OFF_BYTES: Final = ((352 * 288, 400), (640 * 480, 700), (math.inf, 1000))
"""Bytes a frame below which parity is off, by pixels."""
# kLossPrShortFilterWinMs and kLossPrHistorySize: the most of each second, ten of them.
_WINDOW_S, _WINDOWS = 1.0, 10
# One code spans the frames of two RTTs, six at most (kUpperLimitFramesFec).
_MOST_FRAMES: Final = 6
# A code is closed early where rounding up to whole packets costs less than 50/256 more than asked for; above
# a protection of 80 (some 30 %) it waits for four packets besides, so that it is not one parity packet for
# each (kMaxExcessOverhead, kHighProtectionThreshold, kMinMediaPackets of ulpfec_generator.cc).
_EXCESS: Final = 50
_HIGH: Final = 80
_FEW_PACKETS: Final = 4
# Repair leaves the encoder half at least (kProtectionOverheadRateThreshold), and is counted over a second in
# buckets of a millisecond.
_OVERHEAD_MOST: Final = 0.5
_RATE_S, _STEP_S = 1.0, 0.001
# The closed form's: the loss (of 255) at which 63 % of the most is reached, and how much more it takes in the
# first rows; then how steeply. All were fitted together; none means anything by itself.
_HALF, _EARLY, _EARLY_STEPS = 10.4, 58.0, 5.5
_POWER, _EARLY_POWER = 1.42, 0.21
_SATURATES: Final = 1.6
"""The closed form's: how much loss it takes, how steeply, and how small frames leave less to protect with."""
_HEAVY_LOSS, _SMALL_STEP, _HEAVY = 120, 4, 0.87
"""From 47 % of loss on the table gives small frames less again, as if most of it were in vain."""


@dataclass(frozen=True, slots=True)
class ParityRates:
    """Parity packets for each 256 media packets, of frames in between (``delta``) and of key frames."""

    delta: int = 0
    key: int = 0
    frames: int = 1
    """How many frames one parity code may span at most."""


class LossWindow:
    """The largest loss reported in the last 10 s, in steps of a second; losses are shares of 255."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []  # newest first: (begin of the second, most)
        self._current = 0

    def add(self, loss: int, now_s: float) -> int:
        """Take in a report; return the largest that counts."""
        if self._seen and now_s - self._seen[0][0] < _WINDOW_S:
            self._current = max(self._current, loss)
        else:
            # The second that ends is kept under the instant of the report that ended it; that report's own
            # loss counts only where the second had none, as in the source.
            self._seen.insert(0, (now_s, self._current or loss))
            del self._seen[_WINDOWS:]
            self._current = 0
        recent = [most for at_s, most in self._seen if now_s - at_s <= _WINDOWS * _WINDOW_S]
        return max([self._current, *recent])


def code_rates(
    *, payload_bps: float, fps: float, loss: int, rtt_s: float, pixels: int, key_packets: float = 2.0
) -> ParityRates:
    """Return how much parity is sent; ``loss`` is a share of 255, ``key_packets`` those of a key frame by another's."""
    bits = payload_bps / max(fps, 1.0)
    frames = min(max(int(2 * fps * rtt_s + 0.5), 1), _MOST_FRAMES)
    off_bytes = next(least for most, least in _OFF_BYTES if pixels <= most)
    if loss <= 0 or (bits / 8 < off_bytes and rtt_s < _OFF_RTT_S):
        return ParityRates(frames=frames)
    rate = bits / 1e3 / (pixels / _REFERENCE_PIXELS) ** _SIZE_POWER
    delta = _table(rate, loss)
    if 1.5 + bits / 8 / _PAYLOAD_BYTES >= 2:
        delta = max(delta, _LEAST_SHARE)
    # The key frame's row is one further on (1 + ... in the source): hence the step that is added to its rate.
    boost = max(_KEY_BOOST, int(key_packets))
    key = max(loss, 2 * delta, _table(boost * rate + _RATE_STEP, loss))
    # Key frames stay protected even there: a lost one holds up everything that follows.
    if rtt_s < _LOW_RTT_S:
        delta = 0
    # Both leave as shares of media packets; a key frame's may reach half of all packets, which is one for
    # each.
    return ParityRates(_of_media(delta), _of_media(min(key, _MOST_SHARE + 1)), frames)


def _table(kbit_a_frame: float, loss: int) -> int:
    step = min(max(int((kbit_a_frame - _RATE_STEP) / _RATE_STEP), 0), _MOST_RATE)
    half = _HALF + _EARLY * math.exp(-step / _EARLY_STEPS)
    power = _POWER + _EARLY_POWER / (1 + step)
    most = _MOST_SHARE * (1 - math.exp(-(step + 1) / _SATURATES))
    if loss >= _HEAVY_LOSS and step <= _SMALL_STEP:
        most *= _HEAVY
    return round(most * (1 - math.exp(-((min(loss, _MOST_LOSS) / half) ** power))))


def _of_media(share: int) -> int:
    """Return a share of all packets as a share of media packets."""
    return int(min(255.0, 0.5 + 255.0 * share / (_SCALE - share)))


def parity_packets(media: int, rate: int) -> int:
    """Return how many parity packets protect so many media packets."""
    count = (media * rate + 128) >> 8
    return max(count, 1) if rate else 0


class Parity:
    """When parity is made, and how much: one code over the packets of one frame, or of several small ones."""

    def __init__(self) -> None:
        self.rates = ParityRates()
        self._pending: ParityRates | None = None
        self._least = 1
        self._key = False
        self._frames = 0
        self._packets: list[int] = []

    def set_rates(self, rates: ParityRates) -> None:
        """Adopt the rates, from the next packet on."""
        self._pending = rates

    def sent(self, number: int, *, key: bool, last: bool) -> tuple[int, list[int]]:
        """Take in a media packet that left; return how many parity packets follow, and of which packets."""
        if self._pending is not None:
            self.rates, self._pending = self._pending, None
            self._least = _FEW_PACKETS if self._rate() > _HIGH else 1
        self._key = self._key or key
        self._packets.append(number)
        if not last:
            return 0, []
        self._frames += 1
        media, rate = len(self._packets), self._rate()
        # kMinMediaPacketsAdaptationThreshold: frames of two packets and more need one packet more for a code.
        few = self._least + (media / self._frames >= 2)
        excess = (parity_packets(media, rate) << 8) // media - rate
        if self._frames < self.rates.frames and not (excess < _EXCESS and media >= few):
            return 0, []
        covered, self._packets = self._packets, []
        self._frames, self._key = 0, False
        return parity_packets(media, rate), covered

    def _rate(self) -> int:
        return self.rates.key if self._key else self.rates.delta


class SentRate:
    """What was sent in the last second, in b/s: of one kind of packets."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self._begun_s = -math.inf

    def add(self, size_bytes: int, now_s: float) -> None:
        """Take in a packet."""
        self._forget(now_s)
        if not self._sent:
            self._begun_s = now_s
        self._sent.append((now_s, size_bytes))
        self._bytes += size_bytes

    def bps(self, now_s: float) -> float:
        """Return the rate; over the time since it began where that is shorter, nothing of a first packet alone."""
        self._forget(now_s)
        passed_s = now_s - self._begun_s + _STEP_S
        # One packet is a rate only after a whole second: alone it has no interval, and would be anything.
        if len(self._sent) <= (passed_s < _RATE_S) or passed_s <= _STEP_S:
            return 0.0
        return 8 * self._bytes / min(passed_s, _RATE_S)

    def _forget(self, now_s: float) -> None:
        sent = self._sent
        while sent and sent[0][0] < now_s - _RATE_S + _STEP_S:
            self._bytes -= sent.popleft()[1]


def encoder_share(media_bps: float, repair_bps: float) -> float:
    """Return what share of the payload's rate the encoder gets, by what left in the last second."""
    total = media_bps + repair_bps
    return 1 - min(repair_bps / total, _OVERHEAD_MOST) if total else 1.0
