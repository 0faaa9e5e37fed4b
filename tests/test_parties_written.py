"""Parties in YAML: what they are lowered into, and the sentence for what cannot be meant."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from rtcprobe.errors import BadInputError
from rtcprobe.link import parse_link
from rtcprobe.scenario import Cue, parse_scenario, scenario_schema

ROOM = """
name: room
parties:
  ana: {region: singapore, access: wifi-good}
  ben: {region: jakarta, access: 5g, playout: "fixed:80ms", codec: {bitrate: 24kbit}}
  cho: {region: frankfurt, access: fibre, hears: [ana], comes: 2s}
signaling: {region: singapore}
codec: {bitrate: 48kbit, dtx: true}
legs: {ana_to_ben: delay 80ms}
script: [ben stops at 3s, ana leaves after cho was heard]
"""

BARE = "name: bare\nparties: {ana: {}, ben: {}, cho: {sends: nothing}}\n"


def refusal(*settings, text=ROOM):
    with pytest.raises(BadInputError) as caught:
        parse_scenario(text, settings)
    return str(caught.value).removeprefix("scenario: ")


def test_parties_are_read_in_the_order_written_with_what_is_meant_for_all_and_their_own():
    room = parse_scenario(ROOM)
    assert [party.name for party in room.parties] == ["ana", "ben", "cho"]
    assert [party.site.region for party in room.parties] == ["singapore", "jakarta", "frankfurt"]
    codecs = [party.sends[0].codec for party in room.parties]
    assert [codec.bitrate_bps for codec in codecs] == [48_000, 24_000, 48_000]
    assert all(codec.dtx for codec in codecs)
    assert [str(party.playout) for party in room.parties] == ["neteq", "fixed:80ms", "neteq"]
    assert [party.comes_s for party in room.parties] == [0.0, 0.0, 2.0]
    assert room.ways == ("ana_to_ben", "ana_to_cho", "ben_to_ana", "cho_to_ana", "cho_to_ben")
    assert room.legs == {"ana_to_ben": parse_link("delay 80ms")}
    stops = Cue(party="ben", does="stop", at_s=3.0)
    assert room.script == (stops, Cue(party="ana", does="leave", after=("cho", "heard")))


def test_a_role_is_a_word_of_the_scenario_and_nobody_has_one_unasked():
    roles = parse_scenario(ROOM, ["parties.ana.role=host", "parties.cho.role=audience"])
    assert [party.role for party in roles.parties] == ["host", "", "audience"]
    assert "role" not in roles.settings["parties"]["ben"]
    assert refusal("parties.ana.role=the host").startswith("a role cannot be called 'the host': give one")


def test_a_room_is_run_again_from_its_settings():
    room = parse_scenario(ROOM)
    again = parse_scenario(yaml.safe_dump(dict(room.settings), sort_keys=False))
    assert again == room
    assert again.digest == room.digest


def test_the_digest_of_a_room_knows_the_order_of_parties_and_not_its_name():
    ana, ben = "ana: {region: tokyo, access: fibre}", "ben: {region: seoul, access: fibre}"
    there, back = (
        parse_scenario(f"name: {name}\nparties:\n  {one}\n  {other}\nsignaling: {{region: tokyo}}\n").digest
        for name, one, other in (("one", ana, ben), ("two", ben, ana))
    )
    assert there != back
    assert parse_scenario(ROOM, ["name=renamed"]).digest == parse_scenario(ROOM).digest
    assert parse_scenario(ROOM, ["parties.ana.sends=audio"]).digest == parse_scenario(ROOM).digest


def test_one_link_is_every_leg_that_is_not_named():
    room = parse_scenario(BARE, ["link=delay 40ms", "legs.ben_to_cho=delay 90ms"])
    assert len(room.legs) == 6
    slow = {leg for leg, link in room.legs.items() if link == parse_link("delay 90ms")}
    assert slow == {"ben_to_cho"}
    assert room.signaling.beside == "cho"  # nobody says where the server is: at the last party's end
    assert parse_scenario(ROOM).signaling.beside is None


def test_the_exported_schema_alone_accepts_a_room():
    jsonschema.Draft202012Validator(scenario_schema()).validate(yaml.safe_load(ROOM))
    jsonschema.Draft202012Validator(scenario_schema()).validate(yaml.safe_load(BARE))


def test_both_shapes_at_once_are_refused():
    caller = "caller={region: tokyo, access: fibre}"
    assert refusal(caller) == "parties and caller both say who takes part: leave caller out"
    two = "name: two\nlink: delay 40ms\n"
    cure = "write parties in place of caller and callee"
    assert refusal("script=[callee stops at 1s]", text=two) == f"script is written, and no parties: {cure}"
    assert refusal("legs.caller_to_callee=delay 3ms", text=two) == f"legs is written, and no parties: {cure}"
    sentence = "link.caller_to_callee is of a caller and a callee: name the leg: legs.ana_to_ben"
    assert refusal("link.caller_to_callee=delay 3ms") == sentence


def test_what_a_party_cannot_be_is_told_with_its_place():
    name = "a party cannot be called 'Ana'"
    assert refusal("parties.Ana={}").startswith(f"{name}: lower-case letters")
    assert refusal("parties.server={}") == (
        "a party cannot be called 'server': that is what paths call somebody else: ana, ben"
    )
    assert refusal("parties={ana: {}}") == "parties has 1: nobody to call: name two or more, such as ana and ben"
    assert refusal("parties.ana.regin=x") == "parties.ana.regin is not known: did you mean region?"
    assert refusal("parties.ben.codec.bitrate=24") == (
        "parties.ben.codec.bitrate: rate '24' has no unit: write it like 1mbit"
    )
    assert refusal("parties.ana.hears=x") == "parties.ana.hears: 'x' is not known: use all, nobody, or a list of names"
    assert refusal("parties.ana.hears=[ana]") == "ana cannot hear ana, itself: take ana out of its hears"
    assert refusal("parties.ana.sends=video") == "parties.ana.sends 'video' is not known: use one of audio, nothing"


def test_legs_that_name_nobody_are_refused():
    assert refusal("legs.ana_to_dora=delay 3ms") == (
        "leg 'ana_to_dora' names 'dora', who is not there: use one of ana, ben, cho"
    )
    assert refusal("legs.ana_to_ben=dely 3ms") == "legs.ana_to_ben: link key 'dely' is not known: did you mean delay?"
    assert refusal("rtt=30ms") == "rtt 30ms is not known of which two of 3 parties: give legs, such as ana_to_ben"


def test_cues_that_are_none_are_refused_with_their_words():
    for cue, sentence in (
        (
            "ben jumps at 3s",
            "'jumps' is nothing a party does: use one of speaks, stops, publishes, joins, leaves, sends, dies",
        ),
        ("ben stops after cho sings", "'sings' does not happen: use one of joined, was heard, fell silent"),
        ("ben stops at 3", "duration '3' has no unit: write it like 80ms"),
    ):
        assert refusal(f"script=[{cue}]") == f"cue {cue!r}: {sentence}"
    assert refusal("script=[ben stops]") == (
        "cue 'ben stops' cannot be read: write it like ben joins after ana was heard, or at 5s"
    )


def test_who_never_joins_is_refused_and_a_cue_that_is_never_given_is_a_warning():
    cure = "let it come earlier, or give call.duration above 12s"
    assert refusal("parties.cho.comes=12s") == f"cho comes at 12s and each call lasts 10s: it never joins: {cure}"
    assert refusal("script=[ben joins at 12s]") == f"ben comes at 12s and each call lasts 10s: it never joins: {cure}"
    assert parse_scenario(ROOM, ["script=[ben stops at 12s]"]).warnings == (
        "cue 'ben stops at 12s' is never given, for each call is over before (10s): give call.duration above 12s",
    )


def test_a_call_too_short_for_a_marker_of_each_speaker_is_refused():
    # Of three the last speaks from 0.75 s on, for 80 ms.
    sentence = "duration 700ms is too short for a marker of each of 3 who speak in turn: give 1.1s or more"
    assert refusal("call.duration=700ms", text=ROOM.replace(", comes: 2s", "")) == sentence
    assert parse_scenario(ROOM.replace(", comes: 2s", ""), ["call.duration=1.1s"]).call.duration_s == 1.1


def test_a_place_that_is_needed_and_missing_is_told():
    bare = "parties.ana.region is missing: write it like bangkok; or give the leg ana_to_ben, or link for every leg"
    assert refusal(text=BARE) == bare
    assert refusal("signaling.region=tokyo", text=BARE) == bare
    assert refusal(text=ROOM.replace("signaling: {region: singapore}", "")) == (
        "signaling.region is missing: write it like bangkok; or give the leg ana_to_cho, or link for every leg"
    )
    assert refusal("signaling.region=tokyo", "link=delay 40ms", text=BARE) == (
        "parties.ana.region is missing: write it like bangkok; or leave signaling.region out, and the signalling "
        "server stands with the last party"
    )


def test_the_room_that_the_readme_writes_can_be_meant():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    text = readme[readme.index("name: room-of-three") :].partition("```")[0]
    room = parse_scenario(text)
    assert room.ways == ("ana_to_ben", "ana_to_cho", "ben_to_ana")
    assert room.warnings == ()
