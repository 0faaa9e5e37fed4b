"""Copies, redundancy and retransmission through real calls in virtual time."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from calls import call, setup

from rtcprobe.audio.mouth import encode_stream
from rtcprobe.audio.opus import OpusDecoder, OpusSettings
from rtcprobe.audio.opus_packet import has_fec
from rtcprobe.audio.protection import Protection
from rtcprobe.call.mouth_track import Speech
from rtcprobe.link import Bernoulli, Delay, LinkSpec, LossTrace
from rtcprobe.playout.copies import WithoutFec, unprotected
from rtcprobe.playout.neteq import NetEq
from rtcprobe.playout.neteq.red import split_red
from rtcprobe.playout.recovery import recovery
from rtcprobe.playout.replay import replay
from rtcprobe.runtime.media_seam import round_trip_s

ONE_WAY_S = 0.040
CLEAN = LinkSpec(delay=Delay(base_s=ONE_WAY_S))
LOSS = 0.20
LOSSY = LinkSpec(delay=Delay(base_s=ONE_WAY_S), loss=Bernoulli(LOSS))
FRAMES = 200


def numbered(count):
    """Frames that say which they are, without in-band redundancy (configuration 31 is CELT)."""
    return [bytes([31 << 3]) + index.to_bytes(4, "big") for index in range(count)]


@cache
def voiced(count):
    """Frames of a buzz, which has something to be redundant about."""
    t = np.arange(count * 960) / 48_000
    buzz = sum(np.sin(2 * np.pi * 140 * harmonic * t) / harmonic for harmonic in range(1, 12))
    loudness = 0.06 * (1 + np.sin(2 * np.pi * 3 * t))
    settings = OpusSettings(fec=True, expected_loss=LOSS)
    return list(encode_stream((loudness * buzz).astype(np.float32), settings))


def talk(protection, *, there=LOSSY, back=LOSSY, frames=None, seed=1):
    """Return a call whose packets go ``there`` (caller to callee) and ``back``; signalling loses nothing."""
    speech = Speech(frames=numbered(FRAMES) if frames is None else frames, ptime_s=0.020)
    routes = {("caller", "callee"): [there], ("callee", "caller"): [back]}
    plan = setup(CLEAN, routes=routes, endless=False)
    plan = replace(plan, speech={"caller": speech, "callee": speech}, protection=protection)
    made = call(plan, seed, talk=True)
    assert made.failed is None
    return made


@cache
def with_nack():
    return talk(Protection(nack=True))


def recovered(talker, listener):
    return recovery(
        talker.said().departures,
        listener.arrivals,
        frame_samples=960,
        has_fec=has_fec,
        red_payload_type=listener.negotiated.red_payload_type,
    )


def both(made):
    """Return frames sent, lost before and lost after recovery, of both directions together."""
    ways = [recovered(made.caller, made.callee), recovered(made.callee, made.caller)]
    return tuple(sum(getattr(way, name) for way in ways) for name in ("sent", "lost_before", "lost_after"))


def within(count, of, share):
    """Whether ``count`` is what ``share`` of ``of`` gives, within three standard deviations."""
    return abs(count - of * share) <= 3 * np.sqrt(of * share * (1 - share))


def test_without_protection_nothing_is_negotiated_and_what_is_lost_is_lost():
    made = talk(Protection())
    agreed = made.caller.negotiated
    assert agreed == made.callee.negotiated
    assert (agreed.red_payload_type, agreed.sends_red, agreed.nack) == (None, False, False)
    sent, before, after = both(made)
    assert sent == 2 * FRAMES
    assert within(before, sent, LOSS)
    assert after == before
    assert {packet.payload_type for _, packet in made.callee.arrivals} == {agreed.opus_payload_type}


@pytest.mark.parametrize(("copies", "residual"), [(1, LOSS**2), (2, LOSS**3)])
def test_red_leaves_what_every_copy_of_a_frame_was_lost_of(copies, residual):
    made = talk(Protection(red_copies=copies))
    sent, before, after = both(made)
    assert within(before, sent, LOSS)
    assert within(after, sent, residual)
    agreed = made.callee.negotiated
    assert agreed.sends_red
    assert {packet.payload_type for _, packet in made.callee.arrivals} == {agreed.red_payload_type}
    for _, packet in made.callee.arrivals:
        blocks = split_red(packet.payload)
        assert {block.payload_type for block in blocks} == {agreed.opus_payload_type}
        numbers = [int.from_bytes(block.payload[1:], "big") for block in blocks]
        assert numbers == list(range(numbers[0], max(-1, numbers[0] - copies - 1), -1))
        assert [block.timestamp_offset for block in blocks] == [960 * age for age in range(len(blocks))]


def test_nack_brings_back_all_but_the_last_within_a_packet_time_and_a_round_trip():
    # Without loss on the way back: asked for by the packet behind the hole, there a round trip later.
    made = talk(Protection(nack=True), back=CLEAN)
    assert made.callee.negotiated.nack
    got = recovered(made.caller, made.callee)
    assert within(got.lost_before, got.sent, LOSS)
    # A resend is lost as easily, but asked for again: 1 s holds a handful of tries. Behind the last frame none asks.
    assert got.lost_after <= 1
    assert got.recovered_by_nack.frames == got.lost_before - got.lost_after
    assert got.recovered_by_nack.later_p50_s == pytest.approx(0.020 + 2 * ONE_WAY_S, abs=1e-3)


def test_nack_leaves_less_than_one_copy_would_even_when_its_requests_are_lost():
    sent, before, after = both(with_nack())
    assert within(before, sent, LOSS)
    assert after / sent < LOSS**2 / 4


def test_once_the_round_trip_is_known_a_request_brings_one_packet_and_not_one_for_every_packet_meanwhile():
    lost = [index in {260, 261, 280} for index in range(4_096)]
    there = LinkSpec(delay=Delay(base_s=0.150), loss=LossTrace(lost=tuple(lost)))
    made = talk(Protection(nack=True), there=there, back=CLEAN, frames=numbered(400))
    departures = [departure.timestamp for departure in made.caller.said().departures]
    assert len(departures) - len(set(departures)) == 3
    assert len({packet.sequence for _, packet in made.callee.arrivals}) == 400
    assert len(made.callee.arrivals) == 400


def test_the_receiver_is_told_the_round_trip_that_rtcp_measured():
    made = talk(Protection(nack=True), there=CLEAN, back=CLEAN, frames=numbered(200))
    assert round_trip_s(made.caller._sender) == pytest.approx(2 * ONE_WAY_S, abs=1e-3)


def test_what_is_sent_again_does_not_count_as_late_to_leave():
    made = with_nack()
    assert len(made.caller.said().departures) > FRAMES
    assert made.caller.said().pacing_lateness_s() == pytest.approx([0.0] * FRAMES, abs=1e-8)


def test_in_band_redundancy_brings_back_the_frames_whose_next_packet_has_it():
    frames = voiced(FRAMES)
    share = np.mean([has_fec(frame) for frame in frames])
    assert share > 0.5
    made = talk(Protection(fec=True), frames=frames)
    got = recovered(made.caller, made.callee)
    arrived = {packet.payload for _, packet in made.callee.arrivals}
    lost = [index for index in range(FRAMES - 1) if frames[index] not in arrived]
    there = [index for index in lost if frames[index + 1] in arrived and has_fec(frames[index + 1])]
    assert got.recovered_by_fec.frames == len(there)
    assert within(got.recovered_by_fec.frames, got.lost_before, share * (1 - LOSS))
    assert got.recovered_by_fec.later_p95_s == pytest.approx(0.020, abs=1e-6)


def test_all_of_it_together_and_equal_seeds_give_equal_calls_to_the_bit():
    everything = Protection(red_copies=1, fec=True, nack=True)

    def figures(seed):
        made = talk(everything, seed=seed, frames=voiced(FRAMES)[:100])
        return [(peer.arrivals, peer.said().departures, recovered(peer, other)) for peer, other in pairs(made)]

    first = figures(3)
    assert first == figures(3)
    assert first != figures(4)
    for _, _, got in first:
        assert got.recovered_by_red.frames > got.recovered_by_nack.frames > 0
        assert got.lost_after <= 1


def heard(arrivals, agreed, decoder):
    """Return the share NetEQ had to invent of ``arrivals``, and its mean target after a second."""
    ear = NetEq(decoder, payload_type=agreed.opus_payload_type, red_payload_type=agreed.red_payload_type)
    begin_s, end_s = arrivals[0][0] - 0.005, arrivals[-1][0]
    invented = replay(ear, arrivals, begin_s, end_s).concealed_ratio
    return invented, ear.trace().target_ms[100:].mean()


def test_a_listener_with_neteq_hears_what_recovery_says_and_pays_a_packet_time_of_delay():
    made = talk(Protection(red_copies=1), back=CLEAN, frames=voiced(FRAMES))
    talker, listener, agreed = made.caller, made.callee, made.callee.negotiated
    kinds = {"payload_type": agreed.opus_payload_type, "red_payload_type": agreed.red_payload_type}
    bare = unprotected(talker.said().departures, listener.arrivals, **kinds)
    got = recovered(talker, listener)
    without, target_without_ms = heard(bare, agreed, WithoutFec(OpusDecoder()))
    with_all, target_ms = heard(listener.arrivals, agreed, OpusDecoder())
    # A concealed frame is two blocks of 10 ms and part of the next: at these losses within 3 % of all.
    assert without == pytest.approx(got.loss_ratios()["before"], abs=0.03)
    assert with_all == pytest.approx(got.loss_ratios()["nack"], abs=0.03)
    # Loss alone never moves the target from 20 ms; a copy is a frame 20 ms late.
    assert target_without_ms == pytest.approx(20, abs=1)
    assert 40 <= target_ms < 80


def pairs(made):
    return (made.caller, made.callee), (made.callee, made.caller)


def test_dtx_keeps_copies_in_their_place_in_time():
    frames = numbered(6)
    frames[2:4] = [b"\xf8", None]
    made = talk(Protection(red_copies=1), there=CLEAN, back=CLEAN, frames=frames)
    carried = [
        [(block.timestamp_offset // 960, block.payload) for block in split_red(packet.payload)]
        for _, packet in made.callee.arrivals
    ]
    assert carried == [
        [(0, frames[0])],
        [(0, frames[1]), (1, frames[0])],
        [(0, b"\xf8"), (1, frames[1])],
        [(0, frames[4]), (3, frames[1])],  # what says nothing is not repeated, and 3 was never sent
        [(0, frames[5]), (1, frames[4])],
    ]
