"""A room of three: everybody has a connection to everybody, legs of their own, and hears both others."""

import numpy as np
import pytest
from placed_rooms import LEGS_MS, ROOM, heard, placed

from rtcprobe.probe.placed import of_stack


def delays_ms(accounts):
    return {
        way: 1e3 * np.array([sample.delay_s for sample in account.account.samples]) for way, account in accounts.items()
    }


def test_everybody_hears_everybody():
    accounts = heard()
    assert list(accounts) == list(LEGS_MS)
    for account in accounts.values():
        # Nothing was lost on any leg, so every marker spoken is heard.
        assert account.account.scheduled == account.account.heard >= 4


def test_each_way_is_as_late_as_its_own_leg_makes_it():
    stages = {way: account.account.stages for way, account in heard().items()}
    assert {way: each["network_min"] for way, each in stages.items()} == pytest.approx(
        {leg: ms / 1e3 for leg, ms in LEGS_MS.items()}, abs=1e-6
    )


@pytest.mark.parametrize("leg", ["ana_to_ben", "cho_to_ana"])
def test_80_ms_more_on_one_leg_move_the_way_over_it_by_as_much_and_no_other(leg):
    before, after = delays_ms(heard()), delays_ms(heard(leg))
    for way in before:
        assert after[way] - before[way] == pytest.approx(80.0 if way == leg else 0.0, abs=0.05), way


def test_a_mouth_says_the_same_to_everybody_at_the_same_time():
    call = placed()[0].call
    for party in call.parties:
        said = [way.talker.said() for way in call.ways if way.talker.side == party]
        assert len(said) == 2
        assert said[0].started_s == said[1].started_s
        assert [each.at_s for each in said[0].departures] == [each.at_s for each in said[1].departures]
        assert {each.ssrc for each in said[0].departures}.isdisjoint(each.ssrc for each in said[1].departures)


def test_everybody_has_one_loudspeaker():
    attempt, _, _ = placed()
    assert list(attempt.phases_s) == ["ana", "ben", "cho"]
    assert len({*attempt.phases_s.values()}) == 3


def test_each_has_joined_when_the_last_of_the_others_is_heard():
    attempt, _, _ = placed(join=True)
    call = attempt.call
    assert call.failed is None
    assert [joiner.side for joiner in call.joiners] == ["ben", "cho", "ana"]
    for joiner in call.joiners:
        first_s = [peer.timeline.marks["first_packet"] for peer in call.peers if peer.side == joiner.side]
        assert joiner.timeline.marks["first_packet"] == max(first_s)
        assert len(first_s) == 2


def test_who_is_not_heard_is_not_connected_to_and_who_only_listens_says_nothing():
    text = ROOM.replace("ben: {}, cho: {}", "ben: {hears: [ana]}, cho: {hears: [ana], sends: nothing}")
    attempt, scenario, _ = placed(text=text)
    call = attempt.call
    assert [way.direction for way in call.ways] == list(scenario.ways) == ["ana_to_ben", "ana_to_cho", "ben_to_ana"]
    assert [(peer.side, peer.sound.media) for peer in call.peers] == [
        ("ana", "sendrecv"), ("ben", "sendrecv"), ("ana", "sendonly"), ("cho", "recvonly"),
    ]  # fmt: skip
    assert all(account.account.heard == account.account.scheduled > 0 for account in heard(text=text).values())


def test_equal_seeds_give_equal_rooms_to_the_bit():
    one = [list(way.came.arrivals) for way in of_stack(placed()[0], outside=False).ways]
    placed.cache_clear()
    assert one == [list(way.came.arrivals) for way in of_stack(placed()[0], outside=False).ways]


def test_two_who_only_listen_have_nothing_to_do_with_each_other():
    text = ROOM.replace("ben: {}, cho: {}", "ben: {sends: nothing}, cho: {sends: nothing}")
    call = placed(text=text)[0].call
    assert call.failed is None
    assert [(peer.side, peer.sound.media) for peer in call.peers] == [
        ("ana", "sendonly"), ("ben", "recvonly"), ("ana", "sendonly"), ("cho", "recvonly"),
    ]  # fmt: skip
