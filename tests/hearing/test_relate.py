from dataclasses import replace

from rtcprobe.hearing.relate import related
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.base import RtpPacket
from rtcprobe.recording import Agreed, Came, Departure, Said

SIZE = 960
PAYLOADS = [bytes([index]) * 20 for index in range(50)]
FIRST = 2**32 - 10 * SIZE  # timestamps wrap on the way


def talker(frames=PAYLOADS):
    departures = [
        Departure(0.02 * index, index, (FIRST + index * SIZE) % 2**32, 40)
        for index, payload in enumerate(frames)
        if payload is not None
    ]
    return Said(party="caller", frames=frames, ptime_s=0.020, started_s=0.0, finished=True, departures=departures)


def listener(packets, red=None):
    arrivals = [(0.1 + 0.02 * index, packet) for index, packet in enumerate(packets)]
    agreed = Agreed(opus_payload_type=111, red_payload_type=red, sends_red=red is not None, nack=False)
    return Came(listener="callee", arrivals=Arrivals(arrivals), agreed=agreed, forwarded=True)


def packet(index, payload, offset, payload_type=111):
    timestamp = (FIRST + index * SIZE + offset) % 2**32
    return RtpPacket(sequence=index + 7000, timestamp=timestamp, payload=payload, payload_type=payload_type)


def test_a_forwarder_s_own_timestamps_are_told_in_the_talker_s():
    came = related(talker(), listener([packet(index, PAYLOADS[index], 123_456_789) for index in range(5, 45)]))
    assert [each.timestamp for _, each in came] == [(FIRST + index * SIZE) % 2**32 for index in range(5, 45)]
    assert [at_s for at_s, _ in came] == [0.1 + 0.02 * index for index in range(40)]
    assert came[0][1].sequence == 7005  # numbers stay the listener's: playout orders by them


def test_who_began_in_the_middle_of_its_speech_is_told_by_the_frames_it_said():
    whole, late = talker(), 20
    departures = [each._replace(at_s=each.at_s - late * 0.02) for each in whole.departures[late:]]
    said = replace(whole, departures=departures, first=late)
    came = related(said, listener([packet(index, PAYLOADS[index], 777) for index in range(25, 45)]))
    assert [each.timestamp for _, each in came] == [(FIRST + index * SIZE) % 2**32 for index in range(25, 45)]


def test_frames_that_sound_alike_do_not_tell():
    alike = [b"\x00" * 20] * 40 + PAYLOADS[40:]
    came = related(talker(alike), listener([packet(index, alike[index], 960) for index in range(50)]))
    assert came[0][1].timestamp == FIRST


def test_a_frame_inside_red_tells_too():
    red = bytes([111 & 0x7F])  # one last block: the frame itself, RFC 2198 §3
    came = related(
        talker(), listener([packet(index, red + PAYLOADS[index], 480, payload_type=63) for index in range(20)], red=63)
    )
    assert came[0][1].timestamp == FIRST


def test_what_was_encoded_anew_has_no_relation():
    assert related(talker(), listener([packet(index, bytes(30), 0) for index in range(20)])) is None


def test_chance_is_not_taken_for_a_relation():
    # Every packet tells another difference.
    scattered = [packet(index, PAYLOADS[index], 1000 * index) for index in range(20)]
    assert related(talker(), listener(scattered)) is None


def test_nothing_sent_or_nothing_come_is_no_relation():
    assert related(talker([None]), listener([packet(0, PAYLOADS[0], 0)])) is None
    assert related(talker(), listener([])) is None


def test_what_is_said_again_after_some_time_is_what_left_last():
    turn = [index.to_bytes(20, "big") for index in range(600)]
    came = related(talker([*turn, *turn]), listener([packet(index, turn[index % 600], 777) for index in range(1200)]))
    assert [each.timestamp for _, each in came] == [(FIRST + index * SIZE) % 2**32 for index in range(1200)]
