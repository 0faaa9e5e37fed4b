import struct

from rtcprobe.runtime.wiretap import WireTap, is_rtp

PRIORITY = struct.pack("!HHI", 0x0024, 4, 1)  # an attribute of connectivity checks (RFC 8445 §16.1)


def stun(kind, transaction, attributes=PRIORITY):
    return struct.pack("!HHI", kind, len(attributes), 0x2112A442) + transaction.ljust(12, b"\0") + attributes


REQUEST, SUCCESS = 0x0001, 0x0101
ALLOCATE = 0x0003


def test_what_is_asked_of_stun_and_turn_servers_is_no_connectivity_check():
    tap = WireTap("caller")
    for question in (stun(REQUEST, b"a", b""), stun(ALLOCATE, b"b")):
        for at_s in (1.0, 1.5):
            tap.sent(question, at_s)
    tap.received(stun(SUCCESS, b"a"), 1.6)
    assert tap.waits() == []
    assert tap.round_trip_s is None


def test_a_request_sent_again_is_a_wait_and_its_answer_ends_it():
    tap = WireTap("caller")
    tap.sent(stun(REQUEST, b"a"), 1.0)
    tap.sent(stun(REQUEST, b"a"), 1.5)
    tap.received(stun(SUCCESS, b"a"), 1.58)
    (wait,) = tap.waits()
    assert (wait.timer, wait.side, wait.from_s, wait.at_s, wait.needed) == ("stun", "caller", 1.0, 1.5, True)


def test_a_request_sent_again_while_its_answer_was_under_way_was_not_needed():
    tap = WireTap("caller")
    tap.sent(stun(REQUEST, b"a"), 0.0)
    tap.received(stun(SUCCESS, b"a"), 0.4)
    tap.sent(stun(REQUEST, b"b"), 1.0)
    tap.sent(stun(REQUEST, b"b"), 1.5)
    tap.received(stun(SUCCESS, b"b"), 1.52)  # 20 ms after the second copy, on a path of 400 ms
    (wait,) = tap.waits()
    assert not wait.needed


def test_the_round_trip_is_the_fastest_answered_at_first_sending():
    tap = WireTap("caller")
    for name, sent_s, answered_s in ((b"a", 0.0, 0.09), (b"b", 1.0, 1.08), (b"c", 2.0, 2.2)):
        tap.sent(stun(REQUEST, name), sent_s)
        tap.received(stun(SUCCESS, name), answered_s)
    # Karn: which copy was answered is not known, so a transaction sent twice says nothing.
    tap.sent(stun(REQUEST, b"d"), 3.0)
    tap.sent(stun(REQUEST, b"d"), 3.5)
    tap.received(stun(SUCCESS, b"d"), 3.51)
    assert tap.round_trip_s is not None
    assert abs(tap.round_trip_s - 0.08) < 1e-9


def test_answers_nobody_asked_for_and_requests_of_the_other_side_change_nothing():
    tap = WireTap("callee")
    tap.received(stun(SUCCESS, b"x"), 1.0)
    tap.received(stun(REQUEST, b"y"), 1.0)
    tap.sent(stun(SUCCESS, b"y"), 1.0)
    assert tap.waits() == []
    assert tap.round_trip_s is None


def test_rtp_departures_are_noted_and_rtcp_is_not():
    tap = WireTap("caller")
    rtp = struct.pack("!BBHII", 0x80, 111, 7, 960, 1) + b"opus"
    rtcp = struct.pack("!BBHI", 0x80, 200, 1, 1) + bytes(8)  # sender report, RFC 3550 §6.4.1
    tap.sent(rtp, 0.5)
    tap.sent(rtcp, 0.6)
    assert tap.departures(1) == [(0.5, 7, 960, len(rtp), 1)]
    assert is_rtp(rtp)
    assert not is_rtp(rtcp)
    assert not is_rtp(b"\x80")
