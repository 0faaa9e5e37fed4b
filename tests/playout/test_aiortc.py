"""The model of stock aiortc, beside the real class it models."""

import numpy as np
import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket as RealPacket

from rtcprobe.playout.aiortc import StockQueue, stock_aiortc
from rtcprobe.playout.base import RtpPacket

FRAME = 960


def arrivals_of(count, *, lost=(), delay_s=0.040):
    return [
        (
            0.020 * (index + 1) + delay_s,
            RtpPacket(
                sequence=(65_500 + index) % 65536, timestamp=(2**32 - 9_600 + FRAME * index) % 2**32, payload=b"x"
            ),
        )
        for index in range(count)
        if index not in lost
    ]


def real_deliveries(packets):
    buffer = JitterBuffer(capacity=16, prefetch=4)
    out = []
    for sequence, timestamp in packets:
        packet = RealPacket(payload_type=111, sequence_number=sequence, timestamp=timestamp)
        packet._data = b""
        _, frame = buffer.add(packet)
        out.append(None if frame is None else frame.timestamp)
    return out


@pytest.mark.parametrize("seed", range(12))
def test_the_model_releases_the_same_frames_at_the_same_packets_as_the_real_buffer(seed):
    rng = np.random.default_rng(seed)
    index = np.arange(1500)
    keep = rng.random(1500) >= (0.0, 0.01, 0.05, 0.3)[seed % 4]
    # Reordering by up to 8 places, an outage longer than the buffer, a sender that starts over, duplicates.
    order = np.argsort(index + rng.uniform(0, (0, 3, 8)[seed % 3], 1500), kind="stable")
    packets = [((65_000 + int(i)) % 65536, (FRAME * int(i) + 2**32 - 500_000) % 2**32) for i in order if keep[i]]
    del packets[300 : 300 + int(rng.integers(5, 60))]
    packets = packets[:900] + [((s - 30_000) % 65536, (t + 123_456) % 2**32) for s, t in packets[900:]]
    packets = [packet for packet in packets for _ in range(1 + (rng.random() < 0.02))]
    queue = StockQueue()
    ours = [queue.add(sequence, timestamp, 0.0) for sequence, timestamp in packets]
    assert [None if frame is None else frame.timestamp for frame in ours] == real_deliveries(packets)
    assert sum(frame is not None for frame in ours) > 100


@pytest.mark.parametrize("seed", range(4))
def test_the_model_agrees_where_frames_span_several_packets(seed):
    rng = np.random.default_rng(seed)
    packets = [(index % 65536, FRAME * (index // 2)) for index in range(800) if rng.random() >= 0.03]
    queue = StockQueue()
    ours = [queue.add(sequence, timestamp, 0.0) for sequence, timestamp in packets]
    assert [None if frame is None else frame.timestamp for frame in ours] == real_deliveries(packets)


def test_a_clean_path_is_held_for_four_packets():
    figures = stock_aiortc(arrivals_of(500)).figures()
    # A frame leaves with the packet four later: 4 × 20 ms. The last four never leave.
    assert figures.delivered == 496
    assert figures.missing_ratio == 0.0
    assert figures.holding_p50_s == pytest.approx(0.080)
    assert figures.holding_p95_s == pytest.approx(0.080)


def test_one_lost_packet_leaves_280_ms_in_the_buffer_for_the_rest_of_the_call():
    figures = stock_aiortc(arrivals_of(1000, lost={50})).figures()
    # Frames 46 to 49 wait for a row of five that the hole at 50 breaks. Packets 62, 63, 64 each push one of them out
    # of the sixteen places, 65 pushes the last and the hole with it: five frames missing. Now 51 to 65 stand in a
    # row, so 51 leaves at the arrival of 65, 14 × 20 ms after its own, and every frame after it does likewise.
    assert figures.holding_p50_s == pytest.approx(0.280)
    assert figures.missing_ratio == pytest.approx(5 / (figures.delivered + 5), abs=1e-9)


def test_silence_from_the_network_is_everything_missing():
    assert stock_aiortc([]).figures().missing_ratio == 0.0
    nothing = stock_aiortc(arrivals_of(3)).figures()
    assert (nothing.delivered, nothing.missing_ratio, nothing.holding_p50_s) == (0, 1.0, None)


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_packets_at_once_are_what_they_are_one_by_one(seed):
    rng = np.random.default_rng(seed)
    index = np.flatnonzero(rng.random(1200) >= (0.0, 0.005, 0.03)[seed % 3])
    at_s = np.sort(0.02 * index + rng.uniform(0, 0.03, len(index))) + 0.001 * rng.integers(0, 2, len(index)) * (
        seed > 2
    )
    stamps = FRAME * (index // (1 + (index > 1000)))  # in the end two packets a frame
    arrivals = [
        (float(when), RtpPacket(sequence=(65_300 + int(i)) % 65536, timestamp=int(stamp), payload=b"."))
        for when, i, stamp in zip(at_s, index, stamps, strict=True)
    ]
    queue = StockQueue()
    ones = [
        queue.add(packet.sequence, packet.timestamp, now_s) for now_s, packet in sorted(arrivals, key=lambda a: a[0])
    ]
    left = [one for one in ones if one is not None]
    trace = stock_aiortc(arrivals)
    assert trace.held_s.tolist() == [one.left_s - one.arrived_s for one in left]
    numbers = np.array([one.sequence for one in left])
    assert trace.missing == int(np.sum((np.diff(numbers) - 1) % 65536))
