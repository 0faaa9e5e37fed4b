"""The fixed delay: every sample where the arithmetic says, whatever the network does to packets."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numbered import CONCEALED, FRAME, Numbered, packet_of, payload_of, stream

from rtcprobe.playout.base import BLOCK_SAMPLES, RtpPacket
from rtcprobe.playout.fixed import FixedDelay
from rtcprobe.playout.replay import replay

DELAY_S = 0.060


def play(arrivals, *, first_tick_s=0.0, delay_s=DELAY_S, each=None):
    policy = FixedDelay(delay_s, Numbered())
    last_s = max(at_s for at_s, _ in arrivals)
    # Until within the last packet's sound: what comes after it would be concealed.
    return replay(policy, arrivals, first_tick_s, last_s + delay_s + 0.005, each=each), policy.figures


def place_of(playback, number):
    """Return the index in the output of the sample of that number."""
    found = np.flatnonzero(playback.pcm == number)
    assert len(found) == 1
    return int(found[0])


@pytest.mark.parametrize("phase_s", [0.0, 0.0001, 0.00333, 0.0099])
@pytest.mark.parametrize("ptime_s", [0.010, 0.020, 0.060])
def test_every_sample_is_played_at_its_arrival_plus_delay_at_any_phase_of_the_ticks(phase_s, ptime_s):
    playback, figures = play(stream(40, ptime_s=ptime_s), first_tick_s=phase_s, delay_s=0.1)
    # Packet 0 arrives at ptime + 40 ms and sample 0 is played 100 ms later, rounded to a sample of this grid.
    expected = round((ptime_s + 0.040 + 0.1 - phase_s) * 48_000)
    number = np.arange(1, 30 * round(ptime_s * 48_000))
    assert np.array_equal(playback.pcm[expected + number], number.astype(np.float32))
    assert figures.late == 0


@pytest.mark.parametrize("phase_s", [0.0, 0.0017, 0.00999])
def test_a_hundred_milliseconds_more_on_the_path_are_exactly_4800_samples_more(phase_s):
    near, _ = play(stream(50, delay_s=0.0371), first_tick_s=phase_s)
    far, _ = play(stream(50, delay_s=0.1371), first_tick_s=phase_s)
    instants = [playback.play_instants(np.arange(0, 40_000, 7)) for playback in (near, far)]
    assert np.all(np.round((instants[1] - instants[0]) * 48_000, 6) == 4800)
    assert place_of(far, 12_345) - place_of(near, 12_345) == 4800


def test_a_lost_packet_is_concealed_and_moves_nothing():
    arrivals = stream(50)
    whole, _ = play(arrivals)
    holed, figures = play(arrivals[:20] + arrivals[21:])
    hole = slice(place_of(whole, 20 * FRAME), place_of(whole, 20 * FRAME) + FRAME)
    assert np.all(holed.pcm[hole] == CONCEALED)
    rest = np.ones(len(whole.pcm), dtype=bool)
    rest[hole] = False
    assert np.array_equal(holed.pcm[rest], whole.pcm[rest])
    assert (figures.lost, figures.late, figures.concealed_samples, figures.concealment_events) == (1, 0, FRAME, 1)


def test_a_lost_first_packet_delays_nothing_but_itself():
    arrivals = stream(50)
    whole, _ = play(arrivals)
    headless, _ = play(arrivals[1:])
    assert place_of(headless, 2 * FRAME) == place_of(whole, 2 * FRAME)


def test_a_late_packet_is_concealed_and_moves_nothing():
    arrivals = stream(50)
    whole, _ = play(arrivals)
    arrivals[20] = (arrivals[20][0] + 0.075, arrivals[20][1])  # 75 ms of jitter against 60 ms of patience
    late, figures = play(arrivals)
    assert place_of(late, 30 * FRAME) == place_of(whole, 30 * FRAME)
    assert (figures.late, figures.lost, figures.concealed_samples, figures.played) == (1, 0, FRAME, 49)


def test_reordering_within_the_delay_is_not_heard():
    arrivals = stream(50)
    whole, _ = play(arrivals)
    arrivals[20] = (arrivals[20][0] + 0.045, arrivals[20][1])
    shuffled, figures = play(arrivals)
    assert np.array_equal(shuffled.pcm, whole.pcm)
    assert (figures.late, figures.duplicate, figures.played) == (0, 0, 50)


def test_packets_that_overtake_the_very_first_one_are_played():
    arrivals = stream(50)
    arrivals[0] = (arrivals[2][0] + 0.001, arrivals[0][1])
    playback, figures = play(arrivals)
    assert place_of(playback, 1) == place_of(playback, 1 + 3 * FRAME) - 3 * FRAME
    assert (figures.late, figures.lost) == (0, 0)


def test_duplicates_are_counted_before_and_after_their_turn():
    arrivals = stream(50)
    copies = [(arrivals[10][0] + 0.001, arrivals[10][1]), (arrivals[10][0] + 0.5, arrivals[10][1])]
    playback, figures = play(arrivals + copies)
    assert (figures.duplicate, figures.late, figures.played, figures.received) == (2, 0, 50, 52)
    assert np.count_nonzero(playback.pcm == 10 * FRAME) == 1


def test_sequence_numbers_and_timestamps_may_wrap():
    base = 2**32 - 10 * FRAME - 123
    wrapping, figures = play(stream(50, base=base, first_sequence=65_520))
    plain, _ = play(stream(50))
    assert np.array_equal(wrapping.pcm, plain.pcm)
    assert (figures.lost, figures.late, figures.restarts) == (0, 0, 0)
    # RTP time goes on past 2³² where it was unwrapped.
    assert wrapping.play_instant(base + 40 * FRAME) == plain.play_instant(40 * FRAME)


def test_other_payload_types_and_malformed_payloads_are_counted_and_dropped():
    arrivals = stream(50)
    arrivals[5] = (arrivals[5][0], RtpPacket(sequence=5, timestamp=5 * FRAME, payload=b"junk"))
    arrivals[9] = (arrivals[9][0], RtpPacket(sequence=9, timestamp=9 * FRAME, payload=payload_of(0), payload_type=13))
    arrivals[12] = (arrivals[12][0], packet_of(12, kind=b"!"))
    _, figures = play(arrivals)
    assert (figures.corrupt, figures.unknown_type, figures.played) == (2, 1, 47)
    assert figures.concealed_samples == 3 * FRAME
    assert figures.lost == 1  # the number of the foreign packet is missing from this stream


def test_a_sender_that_starts_over_is_heard_again_after_the_same_delay():
    first, second = stream(50), stream(50, base=3_000_000_000, first_sequence=40_000)
    later = [(at_s + 1.5, packet) for at_s, packet in second]
    playback, figures = play(first + later)
    assert figures.restarts == 1
    assert (figures.played, figures.late, figures.discarded, figures.lost) == (100, 0, 0, 0)
    starts = np.flatnonzero(playback.pcm == 1)
    # Sample 0 of either stream arrives with its first packet at 20 + 40 ms (+ 1.5 s).
    assert [round(int(at) / 48_000, 5) for at in starts - 1] == [0.12, 1.62]


def test_a_silent_minute_with_the_clock_stopped_is_a_new_start_too():
    first = stream(20)
    second = [(at_s + 60.0, packet_of(20 + index)) for index, (at_s, _) in enumerate(stream(20))]
    _, figures = play(first + second)
    assert (figures.restarts, figures.played) == (1, 40)


def test_a_minute_of_silence_with_the_clock_running_is_none():
    arrivals = [arrival for arrival in stream(3050) if not 0.5 < arrival[0] < 60.5]
    _, figures = play(arrivals)
    assert (figures.restarts, figures.late, figures.played) == (0, 0, len(arrivals))


def test_a_single_stray_timestamp_is_discarded():
    arrivals = stream(50)
    stray = RtpPacket(sequence=30_000, timestamp=2_000_000_000, payload=payload_of(7))
    _, figures = play([*arrivals, (0.5, stray)])
    assert (figures.discarded, figures.restarts, figures.played, figures.lost) == (1, 0, 50, 0)


def test_the_next_packets_redundancy_replaces_a_lost_frame():
    arrivals = [(at_s, packet_of(index, kind=b"f")) for index, (at_s, _) in enumerate(stream(50))]
    playback, figures = play(arrivals[:20] + arrivals[22:])
    # Two frames lost: only the second has its copy, in the packet after it.
    assert np.count_nonzero(playback.pcm == CONCEALED) == FRAME
    assert place_of(playback, 21 * FRAME) == place_of(playback, 22 * FRAME) - FRAME
    assert (figures.recovered, figures.concealed_samples) == (1, FRAME)


def test_frames_of_another_length_take_over_where_the_packet_time_changes():
    short = [(0.020 * (i + 1) + 0.040, packet_of(i)) for i in range(10)]
    long = [
        (
            0.200 + 0.060 * (i + 1) + 0.040,
            RtpPacket(sequence=10 + i, timestamp=9600 + 2880 * i, payload=payload_of(9600 + 2880 * i, 2880)),
        )
        for i in range(10)
    ]
    playback, figures = play(short + long, delay_s=0.1)
    assert place_of(playback, 9600 + 2880 * 5) - place_of(playback, 9600) == 2880 * 5
    assert figures.concealed_samples == 0


def test_comfort_noise_after_dtx_is_not_concealment():
    class Dtx(Numbered):
        def duration_samples(self, payload):
            return FRAME if len(payload) == 1 else super().duration_samples(payload)

        def decode(self, payload):
            return np.zeros(FRAME, dtype=np.float32) if len(payload) == 1 else super().decode(payload)

    arrivals = stream(60)
    arrivals[20] = (arrivals[20][0], RtpPacket(sequence=20, timestamp=20 * FRAME, payload=b"\x08"))
    # The sender says nothing for 19 frames; sequence numbers do not count what was not sent.
    talk = [
        (at_s, RtpPacket(sequence=packet.sequence - 19, timestamp=packet.timestamp, payload=packet.payload))
        for at_s, packet in arrivals[40:]
    ]
    policy = FixedDelay(DELAY_S, Dtx())
    replay(policy, arrivals[:21] + talk, 0.0, arrivals[-1][0] + DELAY_S)
    figures = policy.figures
    assert (figures.concealed_samples, figures.lost) == (0, 0)
    assert figures.quiet_samples == 19 * FRAME


def test_without_patience_the_first_sample_leaves_at_the_next_tick():
    playback, figures = play(stream(50, delay_s=0.0405), delay_s=0.0)
    # It arrives at 60.5 ms; the tick after that is at 70 ms, and so is every later one, 9.5 ms after its arrival.
    assert place_of(playback, 1) == round(0.070 * 48_000) + 1
    assert (figures.late, figures.concealed_samples) == (0, 0)


def test_blocks_before_the_sender_and_blocks_made_up_hold_no_rtp_time():
    arrivals = stream(20)
    blocks = []
    play(arrivals[:10] + arrivals[13:], each=blocks.append)
    silent = [block for block in blocks if block.operation == "silence"]
    # Played from 60 + 60 ms on: twelve ticks of nothing.
    assert len(silent) == 12
    assert all(block.rtp_timestamp is None for block in blocks if block.concealed_samples == BLOCK_SAMPLES)
    assert all(block.rtp_timestamp is not None for block in blocks if block.operation == "normal")
    normal = [block for block in blocks if block.operation == "normal"]
    assert all(block.samples[0] == block.rtp_timestamp for block in normal)


ANY_PACKET = st.builds(
    RtpPacket,
    sequence=st.integers(0, 65_535),
    timestamp=st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 200_000)),
    payload=st.one_of(
        st.binary(max_size=12),
        st.builds(
            payload_of,
            st.integers(-1000, 1000),
            st.sampled_from([120, 480, 960, 2880, 961]),
            st.sampled_from([b".", b"f", b"!"]),
        ),
    ),
    payload_type=st.sampled_from([111, 111, 111, 0]),
)


@given(
    events=st.lists(st.tuples(st.floats(0, 3), ANY_PACKET), max_size=60),
    order=st.permutations(range(40)),
    kept=st.sets(st.integers(0, 39)),
)
@settings(max_examples=15, deadline=None, derandomize=True, phases=[Phase.generate])
def test_whatever_arrives_every_packet_is_accounted_for_and_every_block_is_whole(events, order, kept):
    real = [(0.020 * order[index], packet_of(index, kind=b"f" if index % 3 else b".")) for index in kept]
    policy = FixedDelay(DELAY_S, Numbered())
    blocks = []
    replay(policy, [*real, *events], 0.0037, 3.5, each=blocks.append)
    figures = policy.figures
    assert figures.received == len(real) + len(events)
    accounted = (
        figures.played + figures.late + figures.duplicate + figures.corrupt
        + figures.unknown_type + figures.discarded + figures.waiting
    )  # fmt: skip
    assert accounted == figures.received
    assert figures.lost >= 0
    assert all(block.samples.shape == (BLOCK_SAMPLES,) for block in blocks)
    assert figures.concealed_samples == sum(block.concealed_samples for block in blocks)


@given(lost=st.sets(st.integers(1, 99)), moved=st.dictionaries(st.integers(1, 99), st.floats(0, 0.2), max_size=30))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_no_pattern_of_loss_and_jitter_moves_a_single_sample(lost, moved):
    arrivals = [
        (at_s + moved.get(index, 0.0), packet) for index, (at_s, packet) in enumerate(stream(100)) if index not in lost
    ]
    playback, figures = play(sorted(arrivals, key=lambda arrival: arrival[0]), first_tick_s=0.0021)
    sound = playback.pcm > 0
    # Sample n arrives in a packet 40 ms after its frame's end and is played 60 ms later: n + 120 ms, on this grid.
    start = round((0.120 - 0.0021) * 48_000)
    assert np.array_equal(playback.pcm[sound], np.flatnonzero(sound) - start)
    inside = {index for index in range(max(index for index in range(100) if index not in lost)) if index in lost}
    assert figures.lost == len(inside)


def test_a_slow_first_packet_does_not_lengthen_the_call():
    # Packet 0 comes 15 ms late; packets 1 and 2 arrive before it is played and tie the clocks: as if it had not been.
    arrivals = stream(30)
    (first_s, first), *rest = arrivals
    slow, figures = play([(first_s + 0.015, first), *rest])
    steady, _ = play(arrivals)
    assert place_of(slow, 10 * FRAME) == place_of(steady, 10 * FRAME)
    assert figures.late == 0


def test_packets_that_come_too_late_for_the_fastest_are_late_and_not_played():
    # A stall: packets 0 to 4 arrive together with packet 5. By packet 5, packet 0 was due 100 − 60 = 40 ms ago.
    arrivals = stream(30)
    burst_s = arrivals[5][0]
    stalled, figures = play([(max(at_s, burst_s), packet) for at_s, packet in arrivals])
    steady, _ = play(arrivals)
    assert place_of(stalled, 10 * FRAME) == place_of(steady, 10 * FRAME)
    assert figures.late == 2  # packets 0 and 1; packet 2 was due at that very instant, its first sample in time
