"""Where a message's delay went, and what became of each: arithmetic on recordings written by hand, in milliseconds."""

import pytest

from rtcprobe.messages import CameMessages, Chunk, Delivered, Posted, SaidMessages, deliveries

FIRST = 2**32 - 2  # numbers wrap within the first messages
SIZE = 100


def left(*rows):
    """Pieces that left: (ms, piece, message or None, why), each a message's first and last unless told."""
    return [Chunk(ms / 1e3, (FIRST + piece) % 2**32, True, True, number, why) for ms, piece, number, why in rows]


def came(*rows):
    return [Chunk(ms / 1e3, (FIRST + piece) % 2**32, True, True, number) for ms, piece, number in rows]


def posted(*dues_ms):
    return [Posted(number, ms / 1e3, SIZE, ms / 1e3) for number, ms in enumerate(dues_ms)]


def said(messages, pieces, **more):
    given = {"party": "ana", "begun_s": 0.0, "opened_s": 0.0, **more}
    return SaidMessages(messages=messages, left=pieces, **given)


def heard(pieces, *delivered, forwarded=False):
    read = [each if isinstance(each, Delivered) else Delivered(each[0] / 1e3, each[1], SIZE) for each in delivered]
    return CameMessages(listener="ben", chunks=pieces, delivered=read, forwarded=forwarded)


def test_a_lost_piece_is_charged_with_its_retransmission_and_those_behind_it_with_the_line():
    # 0 is lost and leaves again at 150; 1 comes at 60 and waits for it until 190.
    sent = said(posted(0, 20), left((0, 0, 0, ""), (20, 1, 1, ""), (150, 0, 0, "fast retransmit")))
    first, second = deliveries(sent, heard(came((60, 1, 1), (190, 0, 0)), (190, 0), (190, 1)))
    assert first.delay_s == pytest.approx(0.190)
    assert (first.retransmission_s, first.network_s, first.head_of_line_s) == pytest.approx((0.150, 0.040, 0.0))
    assert [(each.why, each.from_s, each.at_s) for each in first.resent] == [("fast retransmit", 0.0, 0.150)]
    assert (second.retransmission_s, second.network_s, second.head_of_line_s) == pytest.approx((0.0, 0.040, 0.130))
    assert second.delay_s == pytest.approx(0.170)


def test_a_copy_that_left_too_late_to_be_the_one_that_came_is_not_taken_for_it():
    # Needless: the first copy came at 100, the second left at 90, and the way takes 40 at least.
    sent = said(posted(0, 1), left((0, 0, 0, ""), (1, 1, 1, ""), (90, 0, 0, "T3-rtx")))
    first, _ = deliveries(sent, heard(came((41, 1, 1), (100, 0, 0)), (100, 0), (100, 1)))
    assert (first.retransmission_s, first.network_s) == pytest.approx((0.0, 0.100))


def test_a_message_in_pieces_is_as_late_as_the_last_of_them_to_come():
    pieces = [
        Chunk(0.0, 7, True, False, 0),
        Chunk(0.0, 8, False, False, None),
        Chunk(0.080, 9, False, True, None),  # the congestion window was full until then
    ]
    arrived = [piece._replace(at_s=piece.at_s + 0.040) for piece in pieces]
    (only,) = deliveries(said(posted(0), pieces), heard(arrived, (120, 0)))
    assert (only.queue_s, only.network_s, only.delay_s) == pytest.approx((0.080, 0.040, 0.120))


def test_waiting_for_the_channel_is_a_stage_of_its_own():
    sent = said([Posted(0, 0.0, SIZE, 0.200)], left((200, 0, 0, "")), opened_s=0.2)
    (only,) = deliveries(sent, heard(came((240, 0, 0)), (240, 0)))
    assert (only.opening_s, only.network_s, only.delay_s) == pytest.approx((0.200, 0.040, 0.240))


def test_every_message_has_one_fate_and_says_why():
    messages = [*posted(0, 1, 2, 3, 4), Posted(5, 0.005, SIZE, None, "the other side takes no 100 bytes")]
    pieces = left(*((number, number, number, "") for number in range(5)))
    sent = said(messages, pieces, abandoned=frozenset({(FIRST + 4) % 2**32}))
    arrived = heard(
        came((40, 0, 0)),
        (40, 0),
        Delivered(0.041, 1, SIZE - 1, "damaged"),
        Delivered(0.042, 2, SIZE, "damaged"),
        Delivered(0.043, None, 9, "malformed"),
        (50, 0),  # once more: the first counts
    )
    found = deliveries(sent, arrived)
    assert [(each.fate, each.why) for each in found] == [
        ("heard", ""),
        ("rejected", "cut short"),
        ("rejected", "damaged"),
        ("lost", "not delivered before the end"),
        ("lost", "given up"),
        ("lost", "the other side takes no 100 bytes"),
    ]
    assert found[0].delay_s == pytest.approx(0.040)


def test_a_channel_that_never_opened_loses_all_and_says_so():
    never = [Posted(number, number / 10, SIZE, None) for number in range(3)]
    found = deliveries(said(never, [], opened_s=None), heard([]))
    assert {(each.fate, each.why) for each in found} == {("lost", "the channel never opened")}


def test_through_somebody_who_forwards_pieces_have_other_numbers_and_his_time_is_the_ways():
    sent = said(posted(0, 20), left((0, 0, 0, ""), (20, 1, 1, "")))
    arrived = [Chunk(0.110, 501, True, True, 1), Chunk(0.130, 500, True, True, 0)]
    first, second = deliveries(sent, heard(arrived, (130, 0), (130, 1), forwarded=True))
    assert (first.network_s, first.head_of_line_s) == pytest.approx((0.130, 0.0))
    assert (second.network_s, second.head_of_line_s) == pytest.approx((0.090, 0.020))
