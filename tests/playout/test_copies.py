from typing import NamedTuple

from numbered import FRAME, Numbered, payload_of

from rtcprobe.audio.red import RedEncoder
from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.copies import WithoutFec, unpacked, unprotected
from rtcprobe.playout.fixed import FixedDelay
from rtcprobe.playout.replay import replay

OPUS, RED = 111, 63
WAY_S, PTIME_S = 0.040, 0.020


class Left(NamedTuple):
    at_s: float
    sequence: int
    timestamp: int


def redundant(count, *, lost, copies=1):
    """What left, and what arrived of it, with copies."""
    encoder = RedEncoder(copies, OPUS)
    left, arrivals = [], []
    for index in range(count):
        at_s, sequence = index * PTIME_S, (65_530 + index) % 65_536
        payload = encoder.encode(payload_of(index * FRAME), index * FRAME)
        left.append(Left(at_s, sequence, index * FRAME))
        if index not in lost:
            packet = RtpPacket(sequence=sequence, timestamp=index * FRAME, payload=payload, payload_type=RED)
            arrivals.append((at_s + WAY_S, packet))
    return left, arrivals


def described(arrivals):
    return [
        (round(at_s * 1e3), packet.timestamp // FRAME, packet.sequence, packet.payload == payload_of(packet.timestamp))
        for at_s, packet in arrivals
    ]


def test_every_frame_is_unpacked_once_with_its_own_number_when_its_first_copy_comes():
    left, arrivals = redundant(6, lost={2, 4})
    got = unpacked(left, arrivals, payload_type=OPUS, red_payload_type=RED)
    assert described(got) == [
        (40, 0, 65_530, True),
        (60, 1, 65_531, True),
        (100, 3, 65_533, True),
        (100, 2, 65_532, True),
        (140, 5, 65_535, True),
        (140, 4, 65_534, True),
    ]
    assert {packet.payload_type for _, packet in got} == {OPUS}


def test_unprotected_is_what_came_in_packets_of_its_own_the_first_time():
    left, arrivals = redundant(6, lost={2, 4})
    left.append(Left(0.15, 65_532, 2 * FRAME))
    again = RtpPacket(sequence=65_532, timestamp=2 * FRAME, payload=b"\x6f" + payload_of(2 * FRAME), payload_type=RED)
    got = unprotected(left, [*arrivals, (0.19, again)], payload_type=OPUS, red_payload_type=RED)
    assert [timestamp for _, timestamp, _, _ in described(got)] == [0, 1, 3, 5]
    assert all(whole for *_, whole in described(got))


def test_without_red_only_what_was_sent_again_is_taken_away():
    left = [Left(index * PTIME_S, index, index * FRAME) for index in range(4)]
    left.insert(3, Left(0.050, 1, FRAME))
    came = [
        (at_s, RtpPacket(sequence=index, timestamp=index * FRAME, payload=payload_of(index * FRAME)))
        for index, at_s in ((0, 0.04), (2, 0.08), (1, 0.09), (3, 0.10))
    ]
    kept = unprotected(left, came, payload_type=OPUS, red_payload_type=None)
    assert [packet.sequence for _, packet in kept] == [0, 2, 3]
    assert unpacked(left, came, payload_type=OPUS, red_payload_type=None) == came


def test_a_listener_that_knows_no_red_hears_every_copy_that_comes_in_time():
    left, arrivals = redundant(50, lost={10, 20, 21, 30})
    got = unpacked(left, arrivals, payload_type=OPUS, red_payload_type=RED)
    fixed = FixedDelay(0.060, Numbered(), payload_type=OPUS)
    replay(fixed, got, 0.0, 2.0)
    # Of 20 and 21 only the second comes again; 2 s of ticks end in silence that is not this test's matter.
    assert (fixed.figures.lost, fixed.figures.played) == (1, 49)
    bare = FixedDelay(0.060, Numbered(), payload_type=OPUS)
    replay(bare, unprotected(left, arrivals, payload_type=OPUS, red_payload_type=RED), 0.0, 2.0)
    assert (bare.figures.lost, bare.figures.played) == (4, 46)


def test_a_decoder_without_fec_decodes_and_conceals_but_recovers_nothing():
    decoder = WithoutFec(Numbered())
    payload = payload_of(FRAME, kind=b"f")
    assert Numbered().has_fec(payload)
    assert not decoder.has_fec(payload)
    assert decoder.duration_samples(payload) == FRAME
    assert decoder.decode(payload)[0] == FRAME
    assert list(decoder.decode_fec(payload, 120)) == list(decoder.conceal(120)) == [-1.0] * 120
