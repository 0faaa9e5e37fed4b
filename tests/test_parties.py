"""Parties and scripts: what can be meant, and the sentence for what cannot."""

import re

import pytest

from rtcprobe.audio.marker import CODES
from rtcprobe.errors import BadInputError
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.scenario import Cue, Devices, Party, Stream, find_scenario
from rtcprobe.scenario.parties import ways_between
from rtcprobe.scenario.script import check_parties
from rtcprobe.ways import Leg


def party(name, **more):
    more = {"sends": (Stream(),), **more}
    return Party(
        name=name, devices=Devices(capture_s=0.01, playback_s=0.02), playout=PlayoutChoice(policy="neteq"), **more
    )


def refused(fact, cure, *parties, legs=(), script=(), servers=()):
    with pytest.raises(BadInputError) as caught:
        check_parties(parties, servers, [Leg(each) for each in legs], script)
    assert (caught.value.message, caught.value.hint) == (fact, cure)


ROOM = (party("ana"), party("ben"), party("cho"))


def test_a_call_of_two_is_two_parties_that_say_and_hear_alike():
    scenario = find_scenario("1v1-social", ["link.caller_to_callee=delay 80ms"])
    assert [each.name for each in scenario.parties] == ["caller", "callee"]
    assert scenario.parties[0].site.region == "bangkok"
    assert scenario.parties[0].sends == scenario.parties[1].sends
    assert scenario.ways == ("caller_to_callee", "callee_to_caller")
    assert list(scenario.legs) == ["caller_to_callee"]
    assert (scenario.servers, scenario.script, scenario.signaling.beside) == ({}, (), "callee")


def test_ways_are_told_by_talker_and_then_by_listener_in_the_order_written():
    assert ways_between(ROOM) == (
        "ana_to_ben", "ana_to_cho", "ben_to_ana", "ben_to_cho", "cho_to_ana", "cho_to_ben",
    )  # fmt: skip


def test_who_sends_nothing_is_not_heard_and_who_hears_one_hears_no_other():
    audience = party("dan", sends=(), hears=("ana",))
    assert ways_between((party("ana", hears=()), party("ben", hears=()), audience)) == ("ana_to_dan",)


def test_a_room_with_a_server_and_a_script_can_be_meant():
    script = (
        Cue(party="ben", does="join", after=("ana", "joined")),
        Cue(party="ben", does="stop", at_s=8.0),
        Cue(party="cho", does="leave", at_s=9.0),
        Cue(party="cho", does="join", at_s=9.5),
    )
    check_parties(ROOM, ("sfu",), [Leg("ana_to_sfu"), Leg("sfu_to_ben")], script)


def test_what_a_party_cannot_be_is_refused():
    for more, sentence in (
        ({"hears": ("ana",)}, "ana cannot hear ana, itself: take ana out of its hears"),
        ({"comes_s": -1.0}, "ana comes at -1s: give 0ms or more"),
        ({"comes_s": 5.0, "leaves_s": 4.0}, "ana leaves at 4s and comes at 5s: let it leave after 5s"),
        ({"sends": (Stream(), Stream())}, "ana sends audio 2 times: one stream of each medium"),
    ):
        with pytest.raises(BadInputError, match=re.escape(sentence)):
            party("ana", **more)


def test_a_cue_has_one_time():
    for times, sentence in (
        ({}, "cue 'ana leave' has no time"),
        ({"at_s": 1.0, "after": ("ben", "joined")}, "cue 'ana leave' has two times"),
        ({"at_s": -1.0}, "cue 'ana leaves at -1s' is before the call: give 0ms or more"),
    ):
        with pytest.raises(BadInputError, match=re.escape(sentence)):
            Cue(party="ana", does="leave", **times)


def test_two_of_one_name_are_refused_a_server_among_them():
    cure = "give every party and server a name of its own"
    refused("there are two called 'ana'", cure, party("ana"), party("ana"))
    refused("there are two called 'ana'", cure, *ROOM, servers=("ana",))


def test_names_that_are_nobody_s_are_refused_with_the_nearest():
    refused("ana hears 'bne', who is not there", "did you mean ben?", party("ana", hears=("bne",)), party("ben"))
    refused("leg 'ana_to_choo' names 'choo', who is not there", "did you mean cho?", *ROOM, legs=("ana_to_choo",))
    refused("leg 'ana_to_ana' leads from ana to itself", "name two", *ROOM, legs=("ana_to_ana",))
    stranger = Cue(party="dan", does="leave", at_s=1.0)
    refused("cue 'dan leaves at 1s' is for 'dan', who is not there", "did you mean ana?", *ROOM, script=(stranger,))
    waits = Cue(party="ana", does="leave", after=("bem", "joined"))
    refused(
        "cue 'ana leaves after bem joined' waits for 'bem', who is not there",
        "did you mean ben?",
        *ROOM,
        script=(waits,),
    )


def test_more_speakers_than_there_are_marker_codes_are_refused_and_listeners_are_not():
    room = [party(f"p{number}") for number in range(CODES + 1)]
    refused(
        f"{CODES + 1} talkers cannot be told apart in one call by {CODES} marker codes", f"give 1 to {CODES}", *room
    )
    check_parties([*room[:-1], party("quiet", sends=())], (), (), ())


def test_a_cue_for_somebody_who_is_not_there_by_then_is_refused():
    cure = "let it join before, or drop the cue"
    left = (Cue(party="ana", does="leave", at_s=2.0), Cue(party="ana", does="speak", at_s=3.0))
    refused("cue 'ana speaks at 3s': by then ana has left (2s)", cure, *ROOM, script=left)
    speaks = (Cue(party="dan", does="speak", at_s=3.0),)
    refused(
        "cue 'dan speaks at 3s': by then dan has left (2.5s)",
        cure,
        party("dan", leaves_s=2.5),
        party("eve"),
        script=speaks,
    )
    refused(
        "cue 'dan speaks at 3s': dan comes at 4s",
        "give a later time",
        party("dan", comes_s=4.0),
        party("eve"),
        script=speaks,
    )
    joins = (*speaks, Cue(party="dan", does="join", at_s=4.0))
    refused("cue 'dan speaks at 3s': by then dan has not joined", cure, party("dan"), party("eve"), script=joins)
    again = (*left, Cue(party="ana", does="join", at_s=2.5))
    check_parties(ROOM, (), (), again)


def test_two_who_wait_for_each_other_never_join():
    script = (
        Cue(party="ana", does="join", after=("ben", "joined")),
        Cue(party="ben", does="join", after=("ana", "heard")),
    )
    refused(
        "cue 'ana joins after ben joined': ana never joins",
        "it waits for ben in a circle: give a time",
        *ROOM,
        script=script,
    )


def test_cues_about_the_sound_of_who_has_none_are_refused():
    quiet = party("dan", sends=())
    speaks = Cue(party="dan", does="speak", at_s=1.0)
    refused("cue 'dan speaks at 1s': dan sends nothing", "give dan something to send", *ROOM, quiet, script=(speaks,))
    waits = Cue(party="ana", does="stop", after=("dan", "heard"))
    refused(
        "cue 'ana stops after dan was heard': dan sends nothing, and is never heard",
        "wait for somebody who speaks",
        *ROOM,
        quiet,
        script=(waits,),
    )
