"""Laws of a video receiver: what holds of every one of them, and what sets them apart."""

import numpy as np
import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.playout.frames import POLICIES, VideoPacket, make_receiver

FRAME_US = 33_333
ZERO_US = 10_000_000


def stream(frames, *, packets=3, delay_us=lambda *_: 40_000, first=1, timestamp=9_000, size=900, keys=(0,)):
    """Return arrivals (µs, packet) of frames of ``packets`` packets each, 20 µs apart, 30 a second."""
    out = []
    for frame in range(frames):
        for place in range(packets):
            late_us = delay_us(frame, place)
            if late_us is None:
                continue
            packet = VideoPacket(
                sequence=(first + frame * packets + place) % 65536,
                timestamp=(timestamp + frame * 3_000) % 2**32,
                marker=place == packets - 1,
                size_bytes=size * (8 if frame in keys else 1),
                begins=place == 0,
                key=frame in keys,
            )
            out.append((ZERO_US + frame * FRAME_US + place * 20 + late_us, packet))
    return sorted(out, key=lambda each: each[0])


def play(arrivals, policy="libwebrtc", *, start_us=ZERO_US, drain_us=2_500_000, **options):
    receiver = make_receiver(policy, start_us=start_us, **options)
    for at_us, packet in arrivals:
        receiver.insert_packet(packet, at_us)
    receiver.advance(arrivals[-1][0] + drain_us)
    return receiver


def order(receiver):
    return [each.frame.first for each in receiver.shown]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_frame_of_a_clean_link_is_shown_once_and_in_order(policy):
    receiver = play(stream(90), policy)
    # aiortc holds the last frame until a next one begins.
    assert order(receiver) == [1 + 3 * frame for frame in range(89 if policy == "aiortc" else 90)]
    assert receiver.requests == []
    assert receiver.counters.w3c()["framesDropped"] == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_later_link_shows_every_frame_later_by_just_that(policy):
    soon = play(stream(60), policy, phase_us=100)
    late = play(stream(60, delay_us=lambda *_: 140_000), policy, start_us=ZERO_US + 100_000, phase_us=100_100)
    assert [b.at_us - a.at_us for a, b in zip(soon.shown, late.shown, strict=True)] == [100_000] * len(soon.shown)


@pytest.mark.parametrize("policy", POLICIES)
def test_wraps_of_sequence_and_time_change_nothing(policy):
    plain = play(stream(60), policy)
    wrapped = play(stream(60, first=65_500, timestamp=2**32 - 50_000), policy)
    assert [each.at_us for each in plain.shown] == [each.at_us for each in wrapped.shown]


@pytest.mark.parametrize("policy", POLICIES)
def test_packets_that_come_twice_change_nothing(policy):
    arrivals = stream(60)
    twice = [each for at_us, packet in arrivals for each in ((at_us, packet), (at_us + 5, packet))]
    shown, again = play(arrivals, policy).shown, play(twice, policy).shown
    # But that each packet wakes a native thread, which counts its whole ms from there.
    apart_us = [abs(a.at_us - b.at_us) for a, b in zip(shown, again, strict=True)]
    assert max(apart_us) < (1_000 if policy == "libwebrtc" else 1)


def test_nobody_shows_a_frame_sooner_than_as_soon_as_possible():
    rng = np.random.default_rng(3)
    arrivals = stream(120, delay_us=lambda *_: 40_000 + int(rng.uniform(0, 30_000)))
    soonest = {each.frame.first: each.at_us for each in play(arrivals, "asap").shown}
    for policy in set(POLICIES) - {"asap"}:
        shown = play(arrivals, policy).shown
        assert len(shown) >= 115
        assert all(each.at_us >= soonest[each.frame.first] for each in shown), policy


def test_a_clean_link_waits_11_ms_for_jitter_and_shows_some_13_ms_after_the_last_packet():
    # 10 ms for the operating system and 1 ms of least noise; decoding takes 1 whole ms of those: measured 13.3 ms.
    receiver = play(stream(300))
    waited_us = np.array([each.at_us - each.frame.last_us for each in receiver.shown[150:]])
    assert 11_500 < np.median(waited_us) < 14_500
    assert receiver.counters.w3c()["jitterBufferTargetDelay"] / 300 == pytest.approx(0.0112, abs=0.0008)


def test_chromium_shows_frames_on_ticks_of_64_hz():
    receiver = play(stream(120), "chromium", phase_us=1_234)
    assert {(each.released_us - 1_234) % 15_625 for each in receiver.shown[5:]} == {0}


def test_stock_aiortc_shows_a_frame_when_the_next_one_begins():
    shown = play(stream(60), "aiortc").shown
    assert {round((each.at_us - each.frame.last_us) / 1e3, 1) for each in shown} == {34.0}  # a period and decoding


def test_an_application_that_wants_no_delay_gets_frames_when_they_are_decoded():
    shown = play(stream(60), playout_us=(0, 0)).shown
    assert max(each.at_us - each.frame.last_us for each in shown) < 1_500


def test_a_least_delay_is_kept():
    receiver = play(stream(300), playout_us=(200_000, 10_000_000))
    assert np.median([each.at_us - each.frame.last_us for each in receiver.shown[60:]]) > 185_000


def lossy(frames, lost, *, resent_us=None):
    """Return a stream that lost packet 1 of frame ``lost``; it comes again ``resent_us`` after it should have."""
    arrivals = stream(frames, delay_us=lambda frame, place: None if (frame, place) == (lost, 1) else 40_000)
    if resent_us is not None:
        packet = VideoPacket(
            sequence=2 + 3 * lost, timestamp=9_000 + 3_000 * lost, marker=False, size_bytes=900, begins=False, key=False
        )
        arrivals = sorted([*arrivals, (ZERO_US + lost * FRAME_US + resent_us, packet)], key=lambda each: each[0])
    return arrivals


def test_a_lost_packet_is_asked_for_at_once_and_every_100_ms_until_it_comes():
    receiver = play(lossy(90, 30, resent_us=340_000))
    asked_ms = [(each.at_us - ZERO_US - 30 * FRAME_US) / 1e3 for each in receiver.requests]
    assert all(each.sequences == (92,) for each in receiver.requests)
    assert asked_ms[0] == pytest.approx(40.04)
    # Ticks of 20 ms: the first at which 100 ms have passed.
    assert all(100.0 <= step <= 120.0 for step in np.diff(asked_ms))
    assert len(asked_ms) == 3
    assert len(receiver.shown) == 90
    assert sum(each.frame.resent for each in receiver.shown) == 1


def test_one_that_is_lost_again_is_asked_for_at_the_tick_at_which_a_round_trip_of_whole_ms_has_passed():
    receiver = make_receiver(start_us=ZERO_US)
    receiver.round_trip(80_300)  # 80 ms, as it is handed to whoever asks
    for at_us, packet in lossy(90, 30):
        receiver.insert_packet(packet, at_us)
    asked_ms = [(each.at_us - ZERO_US - 30 * FRAME_US) / 1e3 for each in receiver.requests]
    assert asked_ms[0] == pytest.approx(40.04)
    assert 80.0 <= asked_ms[1] - asked_ms[0] < 100.0  # on ticks of 20 ms from here on
    assert np.diff(asked_ms[1:]) == pytest.approx([80.0] * (len(asked_ms) - 2))


def test_a_loss_whose_copy_is_lost_too_freezes_for_two_frames_two_round_trips_and_a_tick_at_most():
    for lost in range(30, 60):
        receiver = make_receiver(start_us=ZERO_US, nack=True)
        receiver.round_trip(80_000)
        coming, again = lossy(90, lost), []
        while coming:
            at_us, packet = coming.pop(0)
            receiver.insert_packet(packet, at_us)
            asked = [each for each in receiver.requests if each.kind == "nack"]
            if len(asked) == 2 and not again:  # what was asked for first was lost on its way
                (repaired,) = (each for each in lossy(90, lost, resent_us=0) if each[1].sequence == 2 + 3 * lost)
                again = [(asked[1].at_us + 80_000, repaired[1])]
                coming = sorted([*coming, *again], key=lambda each: each[0])
        shown_us = [each.at_us for each in receiver.shown]
        longest_us = max(np.diff(shown_us))
        assert FRAME_US + 2 * 80_000 - 15_000 <= longest_us <= 2 * FRAME_US + 2 * 80_000 + 20_000 + 1_500


def test_a_repaired_loss_moves_no_estimate():
    # The frame that came late by a retransmission teaches neither the jitter estimator nor the time base.
    receiver, clean = play(lossy(300, 200, resent_us=140_000)), play(stream(300))
    apart = [a.at_us - b.at_us for a, b in zip(receiver.shown[230:], clean.shown[230:], strict=True)]
    assert max(map(abs, apart)) < 2_000


def test_without_nack_a_lost_packet_is_a_freeze_of_three_seconds_and_a_key_frame_asked_for():
    receiver = play(lossy(200, 30), nack=False, drain_us=0)
    assert len(receiver.shown) == 30
    asked = [(each.kind, (each.at_us - receiver.shown[-1].released_us) / 1e3) for each in receiver.requests]
    assert asked == [("pli", pytest.approx(3_000.0))]


def test_a_key_frame_ends_a_freeze_and_what_waited_is_dropped():
    arrivals = [
        (at_us, packet)
        for at_us, packet in stream(200, keys=(0, 130))
        if packet.sequence != 2 + 3 * 30
    ]  # fmt: skip
    receiver = play(arrivals, nack=False)
    assert order(receiver) == [1 + 3 * frame for frame in (*range(30), *range(130, 200))]
    figures = receiver.counters.w3c()
    assert figures["freezeCount"] == 1
    assert figures["framesDropped"] == 99
    assert figures["framesReceived"] == figures["framesDecoded"] + figures["framesDropped"]
    assert figures["totalFreezesDuration"] == pytest.approx(101 / 30, abs=0.020)


def test_the_first_frame_not_being_a_key_frame_asks_for_one():
    receiver = play(stream(10, keys=(5,)), drain_us=0)
    assert receiver.requests[0].kind == "pli"
    assert order(receiver)[0] == 16


def test_padding_between_frames_stops_nothing():
    arrivals = stream(20, packets=1, first=1)
    moved = []
    for at_us, packet in arrivals:  # behind every frame a packet that holds nothing
        number = packet.sequence * 2
        moved.append((at_us, VideoPacket(**{**_fields(packet), "sequence": number, "begins": None})))
        moved.append(
            (at_us + 3, VideoPacket(sequence=number + 1, timestamp=packet.timestamp, marker=False, size_bytes=0))
        )
    assert len(play(moved).shown) == 20


def _fields(packet):
    return packet._asdict()


def test_where_nobody_sees_a_frame_begin_it_begins_behind_the_marker():
    bare = [(at_us, VideoPacket(**{**_fields(packet), "begins": None})) for at_us, packet in stream(60)]
    assert [each.at_us for each in play(bare).shown] == [each.at_us for each in play(stream(60)).shown]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(2))
def test_no_packet_breaks_a_receiver_and_frames_never_go_back(policy, seed):
    rng = np.random.default_rng(seed)
    receiver = make_receiver(policy)
    now_us = 0
    for _ in range(400):
        now_us += int(rng.integers(0, 30_000))
        near = bool(rng.random() < 0.9)
        receiver.insert_packet(
            VideoPacket(
                sequence=int(rng.integers(0, 40) + now_us // 30_000) & 0xFFFF if near else int(rng.integers(0, 65536)),
                timestamp=int(now_us * 9 // 100 // 3000 * 3000) & 0xFFFFFFFF if near else int(rng.integers(0, 2**32)),
                marker=bool(rng.random() < 0.5),
                size_bytes=int(rng.choice([0, 1, 1_200, 65_000])),
                begins=[True, False, None][int(rng.integers(0, 3))],
                key=bool(rng.random() < 0.05),
            ),
            now_us,
        )
    receiver.advance(now_us + 10_000_000)
    at_us = [each.at_us for each in receiver.shown]
    assert at_us == sorted(at_us)
    figures = receiver.counters.w3c()
    assert figures["framesRendered"] <= figures["framesDecoded"] <= figures["jitterBufferEmittedCount"]


def test_an_unknown_policy_is_refused_by_name():
    with pytest.raises(BadInputError, match="video playout 'neteq' is not known"):
        make_receiver("neteq")
