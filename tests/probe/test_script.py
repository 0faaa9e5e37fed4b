"""Cues: who comes later, leaves, speaks, falls silent; and that hearing asks for nothing that was never said."""

import numpy as np
import pytest
from placed_rooms import ROOM, heard, placed

PTIME_S = 0.020


def scripted(*cues, duration="6s", **parties):
    """Return the text of a room with these cues; ``parties`` are settings of theirs."""
    text = ROOM.replace("duration: 4s", f"duration: {duration}").replace("ana: {playout", "ana: {playout")
    for name, settings in parties.items():
        text = text.replace(f"{name}: {{}}", f"{name}: {{{settings}}}")
    return text + f"script: [{', '.join(cues)}]\n"


def said(text):
    """Return what was said each way, and when everybody there from the start could speak."""
    attempt, _, _ = placed(text=text)
    call = attempt.call
    assert call.failed is None
    assert call.cut is None
    assert call.warnings == []
    began_s = min(way.talker.said().started_s for way in call.ways if way.talker.said().started_s is not None)
    return {way.direction: way.talker.said() for way in call.ways}, began_s


def all_heard(text):
    """Return the account of each way, once nothing of what was said was found missing."""
    accounts = {way: each.account for way, each in heard(text=text).items()}
    for way, account in accounts.items():
        assert account.heard == account.scheduled, way
    return accounts


def test_who_comes_later_hears_the_rest_of_what_others_say_and_is_heard_from_then_on():
    text = scripted(cho="comes: 2s")
    by_way, began_s = said(text)
    assert by_way["ana_to_ben"].first == 0
    late = by_way["ana_to_cho"]
    # Its signalling is cold: it has a path some round trips after 2 s.
    assert 2.0 < late.departures[0].at_s - began_s < 3.5
    assert late.started_s == by_way["ana_to_ben"].started_s
    assert late.departures[0].at_s == pytest.approx(late.started_s + (late.first + 1) * PTIME_S)
    accounts = all_heard(text)
    assert 0 < accounts["ana_to_cho"].scheduled < accounts["ana_to_ben"].scheduled
    # The delay of each stage is as if it had been there from the start.
    whole = heard()["ana_to_cho"].account.stages
    assert accounts["ana_to_cho"].stages["network_min"] == pytest.approx(whole["network_min"], abs=1e-6)
    assert abs(accounts["ana_to_cho"].stages["residual"]) < 0.005


def test_who_leaves_says_and_hears_nothing_any_more_and_the_others_go_on():
    text = scripted("cho leaves at 3s")
    by_way, began_s = said(text)
    assert by_way["cho_to_ana"].departures[-1].at_s - began_s == pytest.approx(3.0, abs=0.1)
    assert by_way["ana_to_ben"].finished
    accounts = all_heard(text)
    assert accounts["cho_to_ana"].scheduled < accounts["ben_to_ana"].scheduled
    assert accounts["ana_to_cho"].scheduled < accounts["ana_to_ben"].scheduled


def test_who_is_told_to_stop_sends_silence_until_told_to_speak():
    text = scripted("ben stops at 2s", "ben speaks at 4s")
    by_way, began_s = said(text)
    ben = by_way["ben_to_ana"]
    ((from_s, until_s),) = ben.gaps_s
    assert (from_s - began_s, until_s - began_s) == pytest.approx((2.0, 4.0), abs=0.05)
    steps = np.diff([each.at_s for each in ben.departures])
    assert steps == pytest.approx(np.full(len(steps), PTIME_S))  # the microphone stays open
    sizes = [each.size_bytes for each in ben.departures if from_s + PTIME_S < each.at_s < until_s - PTIME_S]
    assert len(set(sizes)) == 1
    accounts = all_heard(text)
    assert accounts["ben_to_ana"].scheduled < accounts["cho_to_ana"].scheduled
    assert not any(from_s - began_s - 0.08 < each.spoken_s - began_s < until_s - began_s
                   for each in accounts["ben_to_ana"].samples)  # fmt: skip


def test_who_waits_for_a_cue_begins_with_its_first_word_then():
    text = scripted("ben speaks after ana fell silent", "ana stops at 2s")
    by_way, began_s = said(text)
    ben = by_way["ben_to_cho"]
    assert ben.started_s - began_s == pytest.approx(2.0, abs=PTIME_S)
    assert ben.first == 0
    all_heard(text)


def test_who_joins_by_a_cue_does_so_once_somebody_was_heard():
    text = scripted("cho joins after ben was heard")
    by_way, began_s = said(text)
    assert 0.0 < by_way["cho_to_ana"].started_s - began_s < 2.0
    assert all_heard(text)["ana_to_cho"].scheduled > 0


def test_in_a_join_all_join_at_once_whatever_the_script_says():
    attempt, _, _ = placed(text=scripted(cho="comes: 2s"), join=True)
    call = attempt.call
    assert call.failed is None
    assert [joiner.side for joiner in call.joiners] == ["ben", "cho", "ana"]
    assert {peer.side for peer in call.peers if peer.heard_packet.is_set()} == {"ana", "ben", "cho"}


def test_a_call_that_all_have_left_lasts_as_long_as_it_was_meant_to():
    by_way, _ = said(scripted("ana leaves at 1s", "ben leaves at 1s", "cho leaves at 1s", duration="3s"))
    assert max(each.departures[-1].at_s for each in by_way.values()) < 2.5
