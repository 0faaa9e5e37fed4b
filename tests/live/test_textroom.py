"""Messages through a TextRoom of Janus beside the sound of a room: delivered, moved by the link; refusals told."""

import pytest
from janus import ROOM, TEXTROOM
from runs import valid_room

PLAN = "messages={rate: 10/s, size: 120B}"


def target(janus, textroom=TEXTROOM):
    return f"target={{url: 'janus+ws://{janus.address}:{janus.ws_port}/videoroom/{ROOM}', textroom: {textroom}}}"


def texts(janus, *settings, textroom=TEXTROOM):
    result = valid_room(
        f"janus+ws://{janus.address}:{janus.ws_port}/videoroom/{ROOM}",
        target(janus, textroom),
        PLAN,
        *settings,
        duration="3s",
    )
    return result, result.of_kind("messages")


def test_every_pair_reads_each_others_messages_and_the_link_moves_those_that_use_it(janus):
    result, sent = texts(janus, "legs={ben_to_target: delay 80ms}")
    assert len(sent) == 6
    for way, account in sent.items():
        assert account.heard == account.scheduled > 15, result.warnings
        middle_s = sorted(each.delay_s for each in account.samples)[account.heard // 2]
        assert middle_s == pytest.approx(0.080 if way.talker == "ben" else 0.0, abs=0.006)
        assert account.stages["network_and_server"] > 0.5 * account.total_s
    assert all(each.heard for each in result.mouth_to_ear.values())


def test_what_the_way_up_lost_is_sent_again_by_a_name(janus):
    # Some 100 messages: that none of them is among the lost happens once in 40,000 (0.9^100); of 30, once in 24.
    _, sent = texts(janus, "legs={ben_to_target: delay 20ms loss 10%}", "messages={rate: 40/s, size: 120B}")
    for way, account in sent.items():
        again = account.figures["fast_retransmissions"] + account.figures["t3_retransmissions"]
        assert (again > 0) == (way.talker == "ben")
        assert account.heard == account.scheduled


def test_a_textroom_that_is_not_there_is_told_and_the_sound_goes_on(janus):
    result, sent = texts(janus, textroom=4711)
    assert all(each.heard == 0 for each in sent.values())
    assert any("TextRoom 4711 of Janus refused" in each for each in result.warnings)
    assert all(each.heard for each in result.mouth_to_ear.values())
