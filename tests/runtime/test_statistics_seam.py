"""Packets counted many at a time come to what aiortc comes to one by one."""

import time

import numpy as np
import pytest
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket

from rtcprobe.runtime.aiortc_seam import SeamError
from rtcprobe.runtime.statistics_seam import counting


def came(seed):
    """Return packets that get lost, overtake each other and come twice; numbers and timestamps wrap."""
    rng = np.random.default_rng(seed)
    places = sorted(range(400), key=lambda place: place + rng.normal(0, 2))
    at_s = 1.6e9 + np.cumsum(rng.exponential(0.02, 500))
    kept = [place for place in places for _ in range(rng.choice([0, 1, 2], p=[0.1, 0.8, 0.1]))]
    return [
        (float(when), (65_300 + place) & 0xFFFF, (2**32 - 90_000 + 960 * place) & 0xFFFFFFFF)
        for when, place in zip(at_s, kept, strict=False)
    ]


def one_by_one(monkeypatch, stream, packets):
    for wall_s, number, timestamp in packets:
        monkeypatch.setattr(time, "time", lambda wall_s=wall_s: wall_s)
        stream.add(RtpPacket(sequence_number=number, timestamp=timestamp))


@pytest.mark.parametrize("seed", range(4))
def test_packets_counted_many_at_a_time_are_counted_as_one_by_one(monkeypatch, seed):
    packets = came(seed)
    alone, together = StreamStatistics(48_000), StreamStatistics(48_000)
    one_by_one(monkeypatch, alone, packets)
    one_by_one(monkeypatch, together, packets[:1])
    count = counting(together)
    for begin in range(1, len(packets), 7):
        count(packets[begin : begin + 7])
    assert vars(together) == vars(alone)
    assert alone.cycles == 1 << 16  # the numbers did wrap
    assert alone.jitter > 100


def test_a_name_that_moved_is_said():
    with pytest.raises(SeamError, match="_clockrate is gone"):
        counting(object())
