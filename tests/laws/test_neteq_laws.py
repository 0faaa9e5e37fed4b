"""Whatever arrives, NetEQ plays on; and what its tools must keep whatever they are given."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.playout.base import BLOCK_SAMPLES, RtpPacket
from rtcprobe.playout.neteq import WORDS, NetEq
from rtcprobe.playout.neteq.buffer import PacketBuffer, WaitingPacket
from rtcprobe.playout.neteq.dsp import all_pole, linear_prediction
from rtcprobe.playout.neteq.red import split_red
from rtcprobe.playout.neteq.stretch import accelerate, preemptive_expand


def _real_payloads():
    rng = np.random.default_rng(3)
    encoder = OpusEncoder(OpusSettings(fec=True, expected_loss=0.2, dtx=True))
    time_s = np.arange(960 * 12) / 48_000
    voice = 0.2 * np.sin(2 * np.pi * 150 * time_s) + 0.01 * rng.standard_normal(len(time_s))
    return [encoder.encode(frame) for frame in voice.astype(np.float32).reshape(-1, 960)]


REAL = _real_payloads()

payloads = st.one_of(
    st.sampled_from(REAL),
    st.builds(lambda data, end: data[:end], st.sampled_from(REAL), st.integers(0, 60)),  # cut off
    st.builds(  # one byte wrong
        lambda data, at, value: data[: at % len(data)] + bytes([value]) + data[at % len(data) + 1 :],
        st.sampled_from(REAL), st.integers(0, 200), st.integers(0, 255),
    ),
    st.binary(max_size=40),
    st.sampled_from([b"\x48", b"\x48\x00", b"\xff\xff", b"\x03"]),  # DTX, and frame counts that lie
    st.builds(  # RED whose lengths may lie
        lambda head, main: head + bytes([111]) + main,
        st.builds(lambda offset, length: bytes([0x80 | 111, offset, length >> 8 & 3, length & 255]),
                  st.integers(0, 255), st.integers(0, 1023)),
        st.sampled_from(REAL),
    ),
)  # fmt: skip
steps = st.one_of(
    st.integers(-2, 6).map(lambda frames: 960 * frames),
    st.integers(-300_000, 300_000),
    st.sampled_from([0x7FFFFFFF, 0x80000000, -240_000, 240_000, 1]),
)
events = st.lists(
    st.one_of(
        st.integers(1, 30),  # ticks
        st.tuples(payloads, steps, st.sampled_from([111, 111, 111, 63, 0, 96, 127]), st.integers(0, 0xFFFF)),
    ),
    max_size=40,
)


@settings(max_examples=20, deadline=None)
@given(events=events, start=st.integers(0, 0xFFFFFFFF))
def test_nothing_a_network_sends_stops_the_sound(events, start):
    playout = NetEq(OpusDecoder(), max_packets=20)
    timestamp, inserted, ticks = start, 0, 0
    for event in events:
        if isinstance(event, int):
            for _ in range(event):
                block = playout.get_audio(ticks * 0.01)
                ticks += 1
                assert block.samples.shape == (BLOCK_SAMPLES,)
                assert block.samples.dtype == np.float32
                assert np.isfinite(block.samples).all()
                assert 0 <= block.concealed_samples <= BLOCK_SAMPLES
                assert block.operation in WORDS
        else:
            payload, step, payload_type, sequence = event
            timestamp = (timestamp + step) & 0xFFFFFFFF
            packet = RtpPacket(sequence=sequence, timestamp=timestamp, payload=payload, payload_type=payload_type)
            playout.insert_packet(packet, ticks * 0.01)
            inserted += 1
    stats, trace = playout.stats(), playout.trace()
    assert stats.packets_received == inserted
    assert stats.unknown_payload_types + stats.empty_packets + stats.malformed_red_packets <= inserted
    assert 0 <= stats.silent_concealed_samples <= stats.concealed_samples
    assert stats.total_samples_received <= BLOCK_SAMPLES * ticks
    assert len(trace.target_ms) == len(trace.delay_ms) == len(trace.operations) == ticks
    assert not ticks or trace.target_ms.min() >= 20


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=80))
def test_red_is_taken_apart_without_losing_or_inventing_a_byte(payload):
    try:
        blocks = split_red(payload)
    except ValueError:
        return
    assert sum(len(block.payload) for block in blocks) <= len(payload)
    assert all(block.payload and block.payload in payload for block in blocks)
    assert [block.level for block in blocks] == sorted({block.level for block in blocks})


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40), st.integers(0, 2), st.booleans()), max_size=80))
def test_the_packet_buffer_stays_sorted_and_accounts_for_every_packet(packets):
    buffer = PacketBuffer(25)
    for number, (timestamp, sequence, level, dtx) in enumerate(packets):
        buffer.insert(WaitingPacket(timestamp, sequence, b"x", 960, dtx, 0, level, number))
        times = [packet.timestamp for packet in buffer.packets]
        assert times == sorted(set(times))
        assert len(times) + buffer.discarded == number + 1
        assert len(times) <= 25
        assert buffer.has_dtx == any(packet.is_dtx for packet in buffer.packets)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), level=st.floats(1e-5, 1.0), played=st.integers(0, 700))
def test_stretching_moves_noise_by_2_5_to_15_ms_and_touches_nothing_else(seed, level, played):
    signal = (level * np.random.default_rng(seed).standard_normal(1440)).astype(np.float32)
    loud = 1e12  # a room louder than anything: all is silence beside it
    shorter = accelerate(signal, loud)
    longer = preemptive_expand(signal, played, loud)
    assert 120 <= shorter.moved_samples <= 719
    assert 120 <= longer.moved_samples <= 719
    assert len(shorter.samples) == 1440 - shorter.moved_samples
    assert len(longer.samples) == 1440 + longer.moved_samples
    rest = 720 + shorter.moved_samples
    assert np.array_equal(shorter.samples[: 720 - shorter.moved_samples], signal[: 720 - shorter.moved_samples])
    assert np.array_equal(shorter.samples[720:], signal[rest:])
    middle = max(played, 720)
    assert np.array_equal(longer.samples[:middle], signal[:middle])
    assert np.array_equal(longer.samples[middle + longer.moved_samples :], signal[middle:])


@settings(max_examples=15, deadline=None)
@given(radius=st.floats(0.1, 0.97), angle=st.floats(0.1, 3.0), seed=st.integers(0, 100), length=st.integers(1, 720))
def test_the_all_pole_filter_is_its_own_recursion(radius, angle, seed, length):
    rng = np.random.default_rng(seed)
    coefficients = np.array([1.0, -2 * radius * np.cos(angle), radius**2])
    excitation, state = rng.standard_normal(length), rng.standard_normal(2)
    got = all_pole(excitation, coefficients, state)
    a1, a2 = coefficients[1] * 0.995, coefficients[2] * 0.995**2  # poles are pulled in by half a percent
    before = list(state)
    for value in excitation:
        before.append(value - a1 * before[-1] - a2 * before[-2])
    assert np.allclose(got, before[2:], rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(before).max())))


def test_linear_prediction_finds_the_poles_of_what_it_is_given():
    rng = np.random.default_rng(5)
    true = np.array([1.0, -1.2, 0.7])
    signal = np.zeros(20_000)
    for n in range(2, len(signal)):
        signal[n] = rng.standard_normal() - true[1] * signal[n - 1] - true[2] * signal[n - 2]
    found = linear_prediction(signal.astype(np.float32), 2)
    assert np.allclose(found, true, atol=0.03)  # sqrt(1/20,000) per coefficient is 0.007
    assert linear_prediction(np.zeros(100, dtype=np.float32), 2) is None
