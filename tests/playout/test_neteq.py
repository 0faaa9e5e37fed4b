"""What NetEQ does to a stream, seen from outside: packets in, blocks out."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.playout.base import BLOCK_SAMPLES, RtpPacket
from rtcprobe.playout.neteq import NetEq

FRAME = 960  # 20 ms at 48 kHz
DTX = b"\x00\x01"


class PlainDecoder:
    """A codec whose payload says how many milliseconds of its own noise it holds, and whether of the one before."""

    def __init__(self):
        self.concealed = 0

    def decode(self, payload):
        if payload[:1] == b"!":
            raise ValueError("damaged")
        samples = self.duration_samples(payload)
        if payload == DTX:
            return np.full(samples, 1e-3, dtype=np.float32)
        return sound(int.from_bytes(payload[1:5], "big"), samples)

    def decode_fec(self, payload, samples):
        return sound(int.from_bytes(payload[1:5], "big") - 1, samples)

    def conceal(self, samples):
        self.concealed += samples
        return np.full(samples, 2e-3, dtype=np.float32)

    def duration_samples(self, payload):
        if payload[:1] == b"!":
            raise ValueError("damaged")
        return FRAME if payload == DTX else payload[0] * 48

    def has_fec(self, payload):
        return len(payload) > 5


@cache
def sound(number, samples=FRAME):
    noise = (0.002 * np.random.default_rng(number).standard_normal(samples)).astype(np.float32)
    noise.setflags(write=False)  # what a decoder hands over is its own
    return noise


def payload(number, ptime_ms=20, *, fec=False):
    return bytes([ptime_ms]) + number.to_bytes(4, "big") + b"f" * fec


def play(arrivals_ms, *, until_ms, phase_ms=5.0, first_ms=0.0, playout=None, packet=None, tick_ms=10.0):
    """Return (playout, blocks): packet i of 20 ms arrives at ``arrivals_ms[i]`` (None: never), pulled from first_ms."""
    playout = playout or NetEq(PlainDecoder())
    make = packet or (lambda i: RtpPacket(sequence=i & 0xFFFF, timestamp=FRAME * i & 0xFFFFFFFF, payload=payload(i)))
    events = sorted((at, i) for i, at in enumerate(arrivals_ms) if at is not None)
    blocks, upcoming = [], 0
    for tick in range(int((until_ms - first_ms) / tick_ms)):
        now_ms = first_ms + phase_ms + tick * tick_ms
        while upcoming < len(events) and events[upcoming][0] <= now_ms:
            playout.insert_packet(make(events[upcoming][1]), events[upcoming][0] / 1e3)
            upcoming += 1
        blocks.append(playout.get_audio(now_ms / 1e3))
    return playout, blocks


def waits_ms(blocks, *, phase_ms=5.0, first_ms=0.0):
    """Return how long after its sample was due each block began; NaN where it holds no sound of the sender."""
    return np.array([
        np.nan if b.rtp_timestamp is None else first_ms + phase_ms + 10 * n - b.rtp_timestamp / 48
        for n, b in enumerate(blocks)
    ])  # fmt: skip


def punctual(packets, base_ms=40.0):
    return [base_ms + 20 * i for i in range(packets)]


def test_there_is_no_prefetch_the_first_packet_plays_at_the_next_tick():
    _, blocks = play([0.0], until_ms=30, phase_ms=5.0)
    # Thirty samples are always kept back, so sound starts 0.625 ms into its tick.
    assert blocks[0].rtp_timestamp == -30
    start = blocks[0].samples[30:]
    correlation = np.corrcoef(start, sound(0)[: len(start)])[0, 1]
    assert correlation > 0.9  # it is faded in, not replaced


def test_before_the_first_packet_there_is_silence_and_nothing_is_counted():
    playout, blocks = play([], until_ms=1000)
    assert all(not block.samples.any() and block.rtp_timestamp is None for block in blocks)
    assert playout.stats().total_samples_received == playout.stats().concealed_samples == 0


def test_a_clean_path_ends_between_20_and_40_ms_after_a_start_that_waits_longer():
    playout, blocks = play(punctual(150), until_ms=3000)
    waits = waits_ms(blocks)
    # The target is 80 ms until the first half second is over: the delay is stretched up towards it, seven or eight
    # times by 2.5 to 15 ms, then shortened to below T + MaxDelay + 20 = 40.
    peak_ms = np.nanmax(waits) - 40
    assert 30 < peak_ms < 95
    settled = waits[150:] - 40
    assert 10 < settled.min() <= settled.max() < 40
    assert np.ptp(settled) < 0.01
    stats = playout.stats()
    assert stats.concealed_samples == 0
    assert stats.inserted_samples_for_deceleration > 0 < stats.removed_samples_for_acceleration
    assert stats.target_delay_s == pytest.approx(0.020)


def test_a_hundred_milliseconds_more_of_path_are_heard_as_exactly_that():
    _, near = play(punctual(200, 40.0), until_ms=4000, first_ms=-1000)
    _, far = play(punctual(200, 140.0), until_ms=4100, first_ms=-1000)
    for here, there in zip(near[100:], far[110:], strict=True):  # from the first packet on
        assert np.array_equal(here.samples, there.samples)
        assert here.rtp_timestamp == there.rtp_timestamp


def test_the_phase_of_the_ticks_moves_the_delay_by_itself_and_no_more():
    settled = []
    for phase_ms in (1.0, 4.0, 9.5):
        _, blocks = play(punctual(150), until_ms=3000, phase_ms=phase_ms)
        settled.append(waits_ms(blocks, phase_ms=phase_ms)[200:].mean())
    assert settled[1] - settled[0] == pytest.approx(3.0, abs=0.01)
    assert settled[2] - settled[0] == pytest.approx(8.5, abs=0.01)


def test_a_lost_packet_is_concealed_for_its_length_and_leaves_the_delay_within_a_period():
    arrivals = punctual(250)
    arrivals[200] = None
    playout, blocks = play(arrivals, until_ms=5000)
    waits = waits_ms(blocks)
    assert abs(waits[-40:].mean() - waits[380:400].mean()) < 15.0  # one pitch period
    stats = playout.stats()
    assert stats.concealment_events == 1
    assert abs(stats.concealed_samples - FRAME) <= 720  # a merge adds or saves up to 15 ms
    words = [block.operation for block in blocks[380:]]
    assert words.count("merge") == 1
    assert 1 <= words.count("expand") <= 3


def test_a_late_packet_is_played_and_the_delay_grows_by_what_was_concealed():
    arrivals = punctual(250)
    arrivals[200] += 60.0
    for packet in range(201, 250):  # nothing overtakes
        arrivals[packet] = max(arrivals[packet], arrivals[200])
    playout, blocks = play(arrivals, until_ms=5000)
    waits = waits_ms(blocks)
    # Packet 200 was due at 4040 and came at 4100: tick 410 plays it, and nothing is stretched so soon after.
    grown = waits[411:414].mean() - waits[380:400].mean()
    concealed_ms = playout.stats().concealed_samples / 48
    assert concealed_ms > 20
    assert grown == pytest.approx(concealed_ms, abs=0.5)
    assert "merge" not in [block.operation for block in blocks]


def test_one_percent_loss_leaves_one_percent_concealed():
    lost = np.random.default_rng(4).random(500) < 0.01
    arrivals = [None if gone else at for at, gone in zip(punctual(500), lost, strict=True)]
    playout, _ = play(arrivals, until_ms=10_000)
    # Each merge adds or saves up to a period of the 20 ms it covers.
    assert playout.stats().concealed_ratio == pytest.approx(lost.mean(), rel=0.25)


def test_the_delay_rests_between_the_target_and_the_top_of_its_window():
    rng = np.random.default_rng(2)
    arrivals = [at + rng.uniform(0, 20) for at in punctual(700)]
    playout, _ = play(arrivals, until_ms=14_000)
    trace = playout.trace()
    delay, target = trace.delay_ms[500:], trace.target_ms[500:]
    assert set(target) <= {20, 40}
    # U(0,20) is at most 20 ms and a tick late: T <= D < T + MaxDelay + 20 and the 15 ms of a stretch on either side.
    assert np.mean((delay >= target - 15) & (delay < target + 30 + 20 + 15)) > 0.999


@pytest.mark.parametrize(
    ("arguments", "lowest_ms", "highest_ms"),
    [
        ({"jitter_buffer_target_s": 0.2}, 200, 240),
        ({"min_delay_s": 0.15}, 150, 190),
        ({"jitter_buffer_target_s": 0.2, "max_delay_s": 0.1}, 100, 140),
    ],
)
def test_a_wanted_delay_is_stretched_up_to(arguments, lowest_ms, highest_ms):
    playout, _ = play(punctual(400), until_ms=8000, playout=NetEq(PlainDecoder(), **arguments))
    settled = playout.trace().delay_ms[-200:]
    assert lowest_ms <= settled.min() <= settled.max() < highest_ms
    assert playout.stats().concealed_samples == 0


@cache
def undisturbed():
    return play(punctual(375), until_ms=7_500)


@pytest.mark.parametrize("ppm", [-8000, 8000])
def test_a_playout_clock_that_drifts_is_followed_by_stretching(ppm):
    # 7.5 s at 8000 ppm are 60 ms, 2880 samples: a slow receiver (long ticks) drops them, a fast one makes them up.
    playout, _ = play(punctual(375), until_ms=7_500, tick_ms=10 * (1 + ppm * 1e-6))
    steady, _ = undisturbed()
    inserted, removed = (
        [getattr(p.stats(), name) for p in (playout, steady)]
        for name in ("inserted_samples_for_deceleration", "removed_samples_for_acceleration")
    )
    stretched = (inserted[0] - removed[0]) - (inserted[1] - removed[1])
    made_up = playout.stats().concealed_samples
    assert playout.stats().concealed_ratio < 0.004  # at most one gap, where D rests on the very edge of the target
    # All but what drifts within the window of 40 ms (1920 samples).
    assert -np.sign(ppm) * (stretched + made_up) == pytest.approx(2880, abs=1920)
    assert playout.trace().delay_ms[200:].max() < 60


def test_a_fast_accelerate_clears_a_long_queue_sooner():
    # A stall of one second: D is 1 s. For two seconds the stall itself raises the upper limit, then that is
    # T + 20 = 40 ms, and D is above four times that.
    arrivals = punctual(100) + [40 + 20 * 150.0] * 50 + [40 + 20.0 * i for i in range(150, 450)]
    ticks = {}
    for fast in (False, True):
        arguments = {"max_delay_s": 0.02, "fast_accelerate": fast}
        playout, _ = play(arrivals, until_ms=9000, playout=NetEq(PlainDecoder(), **arguments))
        delay = playout.trace().delay_ms
        ticks[fast] = int(np.count_nonzero((delay[320:] > 200) & (delay[320:] < 800)))
        assert delay.max() > 900
        assert delay[-1] < 300
    # Either way at every chance, but calmly a period of 2.5 to 15 ms at a time, in a hurry all that fits 15 ms.
    assert ticks[False] > 1.2 * ticks[True] > 0


def red(number, copies, ptime_samples=FRAME):
    head, body = b"", b""
    for back in range(min(copies, number), 0, -1):
        block, offset = payload(number - back), ptime_samples * back
        head += bytes([0x80 | 111, offset >> 6, (offset & 63) << 2 | len(block) >> 8, len(block) & 255])
        body += block
    main = payload(number)
    return RtpPacket(
        sequence=number, timestamp=ptime_samples * number, payload=head + bytes([111]) + body + main, payload_type=63
    )


def test_red_recovers_a_lost_packet_and_costs_twenty_milliseconds():
    arrivals = [None if i % 10 == 9 else at for i, at in enumerate(punctual(300))]
    plain, _ = play(arrivals, until_ms=5900)
    saved, _ = play(arrivals, until_ms=5900, packet=lambda i: red(i, 1))
    assert plain.stats().concealed_ratio > 0.08
    stats = saved.stats()
    assert stats.red_frames_decoded == arrivals[:290].count(None)
    assert stats.concealed_ratio < 0.01
    # A copy arrives 20 ms after its packet would have: bucket 1, hence 40 ms.
    assert (plain.stats().target_delay_s, stats.target_delay_s) == (0.020, 0.040)


def test_in_band_fec_recovers_a_lost_packet():
    arrivals = [None if i % 10 == 9 else at for i, at in enumerate(punctual(300))]
    playout, _ = play(
        arrivals,
        until_ms=5900,
        packet=lambda i: RtpPacket(sequence=i, timestamp=FRAME * i, payload=payload(i, fec=True)),
    )
    stats = playout.stats()
    assert stats.fec_frames_decoded >= 0.95 * arrivals[:290].count(None)
    assert stats.fec_packets_received == stats.packets_received
    assert stats.concealed_ratio < 0.01


def test_a_silent_sender_is_comfort_noise_for_a_second_and_then_a_gap():
    arrivals = [*punctual(50), 40.0 + 20 * 50]
    decoder = PlainDecoder()
    playout, blocks = play(
        arrivals,
        until_ms=3000,
        playout=NetEq(decoder),
        packet=lambda i: RtpPacket(sequence=i, timestamp=FRAME * i, payload=DTX if i == 50 else payload(i)),
    )
    words = [block.operation for block in blocks]
    first = words.index("comfort noise")
    assert "expand" not in words[104:first]
    gap = words.index("expand", first)
    assert 95 <= gap - first <= 105  # a second of noise
    assert decoder.concealed == playout.stats().generated_noise_samples
    assert words[-1] == "muted"


def test_speech_that_comes_back_after_dtx_is_played_whole():
    spoken = [i for i in range(200) if i <= 50 or i >= 80]  # 600 ms of silence after one DTX frame
    number = dict(enumerate(spoken))
    playout, blocks = play(
        [40.0 + 20 * i for i in spoken],
        until_ms=4000,
        packet=lambda n: RtpPacket(
            sequence=n, timestamp=FRAME * number[n], payload=DTX if number[n] == 50 else payload(number[n])
        ),
    )
    assert playout.stats().concealed_samples == 0
    heard = np.concatenate([block.samples for block in blocks])
    for frame in (81, 120, 190):
        match = np.correlate(heard, sound(frame)[:480], "valid")
        assert match.max() > 0.9 * float(sound(frame)[:480] @ sound(frame)[:480])


def test_a_silence_that_dtx_keeps_back_leaves_the_delay_as_it_was_to_the_sample():
    # As libwebrtc sends it: the first silent frame goes, and after 20 frames a fresh picture of the noise and a first
    # silent frame again. The receiver plays noise as long as the timestamps say, no more and no less.
    silent = {100, 121, 142}
    spoken = [i for i in range(300) if i <= 100 or i in (120, 121, 141, 142) or i >= 160]
    playout, blocks = play(
        [40.0 + 20 * i for i in spoken],
        until_ms=6000,
        packet=lambda n: RtpPacket(
            sequence=n, timestamp=FRAME * spoken[n], payload=DTX if spoken[n] in silent else payload(spoken[n])
        ),
    )
    waits = waits_ms(blocks)
    assert set(np.round(waits[170:200], 6)) == set(np.round(waits[400:500], 6))
    assert len(set(np.round(waits[400:500], 6))) == 1
    assert playout.stats().concealed_samples == 0
    assert {block.operation for block in blocks[320:360]} == {"comfort noise", "normal"}


def test_a_full_buffer_is_thrown_away_and_the_stream_starts_anew():
    playout = NetEq(PlainDecoder(), max_packets=50)
    for i in range(60):
        playout.insert_packet(RtpPacket(sequence=i, timestamp=FRAME * i, payload=payload(i)), 0.0)
    assert playout.stats().buffer_flushes == 1
    block = playout.get_audio(0.0)
    assert block.rtp_timestamp == 50 * FRAME - 30  # the packet that did not fit is the new first


def test_a_damaged_payload_is_concealed_in_its_place():
    playout, blocks = play(
        punctual(250),
        until_ms=5000,
        packet=lambda i: RtpPacket(sequence=i, timestamp=FRAME * i, payload=b"!x" if i == 200 else payload(i)),
    )
    stats = playout.stats()
    assert (stats.decode_errors, stats.concealment_events) == (1, 1)
    assert abs(stats.concealed_samples - FRAME) <= 720
    waits = waits_ms(blocks)
    assert abs(waits[-40:].mean() - waits[380:400].mean()) < 15.0


def test_a_gap_of_150_ms_and_more_is_an_interruption():
    arrivals = punctual(400)
    for lost in (*range(100, 105), *range(200, 212)):  # 100 ms and 240 ms
        arrivals[lost] = None
    playout, _ = play(arrivals, until_ms=8000)
    stats = playout.stats()
    assert stats.interruption_count == 1
    assert stats.total_interruption_duration_s == pytest.approx(0.240, abs=0.030)
    assert stats.concealment_events == 2


def test_noise_ends_in_exact_zeros_after_some_120_ms_of_concealment():
    rng = np.random.default_rng(1)
    for _ in range(3):
        frames = (10 ** (-55 / 20) * rng.standard_normal((60, FRAME))).astype(np.float32)
        encoder = OpusEncoder(OpusSettings(bandwidth="fullband"))
        packets = [encoder.encode(frame) for frame in frames]
        _, blocks = play(
            punctual(60),
            until_ms=1800,
            playout=NetEq(OpusDecoder()),
            packet=lambda i, packets=packets: RtpPacket(sequence=i, timestamp=FRAME * i, payload=packets[i]),
        )
        words = [block.operation for block in blocks]
        gap = words.index("expand", 100)
        sounding = np.flatnonzero(np.concatenate([block.samples for block in blocks[gap:]]))[-1] / 48
        assert 90 < sounding < 135  # a real one: silent blocks begin after 110 to 130 ms


@pytest.mark.parametrize("restart", [123_456_789, 0xFFFFFFFF - 2000])
def test_a_sender_that_restarts_is_heard_again(restart):
    def packet(i):
        timestamp = FRAME * i if i < 150 else restart + FRAME * i
        return RtpPacket(sequence=i, timestamp=timestamp & 0xFFFFFFFF, payload=payload(i))

    playout, blocks = play(punctual(400), until_ms=8000, packet=packet)
    assert all(block.operation == "normal" for block in blocks[-100:])
    heard = np.concatenate([block.samples for block in blocks])
    match = np.correlate(heard, sound(390)[:480], "valid")
    assert match.max() > 0.9 * float(sound(390)[:480] @ sound(390)[:480])
    assert playout.stats().concealed_samples < 48_000


def test_timestamps_and_sequence_numbers_wrap_without_a_trace():
    rng = np.random.default_rng(7)
    arrivals = [None if rng.random() < 0.03 and i else at + rng.uniform(0, 15) for i, at in enumerate(punctual(300))]
    first = 960 * 48 * 1000  # far from the wrap, and as far from a whole millisecond as 2**32 - 100 frames is not
    wrap = 0x100000000 - 100 * FRAME - (0x100000000 - 100 * FRAME) % 48

    def sent(timestamp, sequence):
        return lambda i: RtpPacket(
            sequence=(sequence + i) & 0xFFFF, timestamp=(timestamp + FRAME * i) & 0xFFFFFFFF, payload=payload(i)
        )

    _, plain = play(arrivals, until_ms=6000, packet=sent(first, 0))
    _, wrapped = play(arrivals, until_ms=6000, packet=sent(wrap, 0xFFFF - 80))
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(plain, wrapped, strict=True))


@pytest.mark.parametrize("ptime_ms", [5, 10, 40, 60, 100])
def test_every_packet_time_plays_without_concealment(ptime_ms):
    count = 3000 // ptime_ms
    arrivals = [40.0 + ptime_ms * i for i in range(count)]
    playout, blocks = play(
        arrivals,
        until_ms=3000,
        packet=lambda i: RtpPacket(sequence=i, timestamp=48 * ptime_ms * i, payload=payload(i, ptime_ms)),
    )
    assert playout.stats().decode_errors == 0
    assert playout.stats().concealed_samples <= 48 * ptime_ms  # at most one gap while the delay is still small
    assert all(block.operation == "normal" for block in blocks[-50:])


def test_what_the_blocks_say_was_made_up_is_what_the_counters_say():
    arrivals = [None if i % 7 == 3 else at for i, at in enumerate(punctual(300))]
    playout, blocks = play(arrivals, until_ms=5900)
    booked = playout.stats().concealed_samples
    told = sum(block.concealed_samples for block in blocks[4:])  # ticks 0 to 3 come before the first packet
    assert told == pytest.approx(booked, rel=0.12)  # fades are booked on the sender's side
    assert all(0 <= block.concealed_samples <= BLOCK_SAMPLES for block in blocks)
    assert all(block.rtp_timestamp is None for block in blocks if block.concealed_samples == BLOCK_SAMPLES)


def test_the_wait_in_the_buffer_is_summed_under_its_w3c_name():
    playout, _ = play(punctual(400), until_ms=8000, playout=NetEq(PlainDecoder(), jitter_buffer_target_s=0.2))
    stats = playout.stats()
    assert stats.jitter_buffer_emitted_count == pytest.approx(stats.total_samples_received, rel=0.05)
    assert stats.jitter_buffer_target_delay_s / stats.jitter_buffer_emitted_count == pytest.approx(0.2)
    # D is 200 to 240 ms; 10 to 30 ms of it lie decoded in the sync buffer.
    assert 0.12 < stats.mean_jitter_buffer_delay_s < 0.24
    assert stats.packets_received == 398  # those that arrived before 8 s


def test_unknown_and_empty_packets_are_counted_and_change_nothing():
    def clutter(playout):
        playout.insert_packet(RtpPacket(sequence=9, timestamp=5, payload=b"?", payload_type=96), 0.0)
        playout.insert_packet(RtpPacket(sequence=9, timestamp=5, payload=b""), 0.0)
        playout.insert_packet(RtpPacket(sequence=9, timestamp=5, payload=b"\x80\xff", payload_type=63), 0.0)

    quiet, loud = NetEq(PlainDecoder()), NetEq(PlainDecoder())
    clutter(loud)
    for i in range(50):
        for playout in (quiet, loud):
            playout.insert_packet(RtpPacket(sequence=i, timestamp=FRAME * i, payload=payload(i)), 0.0)
        clutter(loud)
        for _ in range(2):
            assert np.array_equal(quiet.get_audio(0.0).samples, loud.get_audio(0.0).samples)
    stats = loud.stats()
    assert (stats.unknown_payload_types, stats.empty_packets, stats.malformed_red_packets) == (51, 51, 51)
