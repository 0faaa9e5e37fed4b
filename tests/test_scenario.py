import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from rtcprobe.errors import BadInputError
from rtcprobe.link import parse_link
from rtcprobe.scenario import (
    DtlsTimer,
    find_scenario,
    library,
    library_folder,
    parse_scenario,
    read_scenario,
    scenario_schema,
)

SMALL = """
name: small
caller: {region: bangkok, access: 4g-good}
callee: {region: singapore, access: wifi-good}
signaling: {region: singapore}
"""


def sound(party):
    (stream,) = party.sends
    return stream


def test_a_small_scenario_is_completed_with_the_defaults():
    scenario = parse_scenario(SMALL)
    assert (scenario.call.calls, scenario.call.duration_s, scenario.call.joins) == (5, 10.0, 20)
    assert scenario.call.join_timeout_s == 30.0
    assert scenario.signaling.connection == "cold"
    for party in scenario.parties:
        codec = sound(party).codec
        assert (codec.bitrate_bps, codec.ptime_s, codec.application) == (32_000, 0.02, "voip")
        assert (party.devices.capture_s, party.devices.playback_s) == (0.01, 0.02)
        assert str(party.playout) == "neteq"
    assert scenario.dtls.timeout_s(None) == 1.0
    assert (scenario.legs, scenario.budgets, scenario.warnings, scenario.rtt_s) == ({}, (), (), None)


def test_settings_are_complete_enough_to_run_the_scenario_again():
    scenario = parse_scenario(SMALL, ["call.joins=7", "link=delay 40ms loss 1%"])
    again = parse_scenario(yaml.safe_dump(dict(scenario.settings)))
    assert again == scenario
    assert again.digest == scenario.digest


def test_an_override_is_as_good_as_the_written_key():
    scenario = parse_scenario(SMALL, ["codec.bitrate=64kbit", "codec.fec=true", "budgets=[join.ice p50 < 1s]"])
    assert {sound(party).codec.bitrate_bps for party in scenario.parties} == {64_000}
    assert {sound(party).codec.fec for party in scenario.parties} == {True}
    assert scenario.budgets[0].metric == "join.ice"


def test_the_digest_changes_with_the_situation_and_not_with_prose_or_budgets():
    digest = parse_scenario(SMALL).digest
    assert parse_scenario(SMALL, ["name=renamed"]).digest == digest
    assert parse_scenario(SMALL, ["serves=somebody else", "budgets=[join.ice p50 < 1s]"]).digest == digest
    assert parse_scenario(SMALL, ["call.joins=21"]).digest != digest
    assert parse_scenario(SMALL, ["link=delay 40ms"]).digest != digest


def test_a_link_is_for_both_directions_or_for_the_one_it_names():
    both = parse_scenario(SMALL, ["link=delay 40ms"])
    assert both.legs == dict.fromkeys(("caller_to_callee", "callee_to_caller"), parse_link("delay 40ms"))
    one = parse_scenario(SMALL, ["link.callee_to_caller={delay: 70ms}"])
    assert one.legs == {"callee_to_caller": parse_link("delay 70ms")}


def test_a_path_faster_than_light_is_a_warning_and_not_an_error():
    # Bangkok-Singapore is 1,426 km: 2 · 1,426 km / 200 km/ms = 14.3 ms.
    assert parse_scenario(SMALL, ["rtt=3ms"]).warnings == (
        "rtt 3ms between bangkok and singapore is faster than light in fibre, which takes 14.3ms",
    )
    assert parse_scenario(SMALL, ["link=delay 2ms"]).warnings == (
        "link: a round trip of 4ms between bangkok and singapore is faster than light in fibre, which takes 14.3ms",
    )
    assert parse_scenario(SMALL, ["link=delay 8ms"]).warnings == ()
    # One way given; the other is the catalogue's, never faster than its half of the round trip: 10 ms and more.
    assert parse_scenario(SMALL, ["link.caller_to_callee=delay 5ms"]).warnings == ()


def test_the_libwebrtc_timer_is_twice_the_round_trip_within_its_bounds():
    timer = DtlsTimer.parse("libwebrtc")
    assert [timer.timeout_s(rtt) for rtt in (0.01, 0.2, 2.0, None)] == [0.05, 0.4, 3.0, 0.4]
    assert DtlsTimer.parse("200ms").timeout_s(1.0) == 0.2


def test_files_a_link_names_are_found_beside_the_scenario(tmp_path):
    (tmp_path / "path.txt").write_text("40\n41\n-1\n", encoding="utf-8")
    scenario = tmp_path / "mine.yaml"
    scenario.write_text(SMALL + "link: {delay_trace: path.txt}\n", encoding="utf-8")
    assert read_scenario(scenario).legs["caller_to_callee"].delay.delays_s[0] == 0.04


def test_files_named_on_the_command_line_are_found_where_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "path.txt").write_text("40\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    scenario = find_scenario("1v1-social", ["link=delay_trace path.txt"])
    assert scenario.legs["caller_to_callee"].delay.delays_s == (0.04,)


def test_what_a_scenario_names_stays_beside_it_when_its_link_is_given_on_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "path.txt").write_text("40\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    beside = tmp_path / "scenarios"
    for who in ("", "parties: {ana: {}, ben: {}}\nlink: delay 1ms\n"):
        text = (SMALL if not who else f"name: room\n{who}") + "mouth: {programme: voice.wav}\n"
        scenario = parse_scenario(text, ["link=delay_trace path.txt"], folder=beside)
        assert {party.sent("audio").programme.programme for party in scenario.parties} == {beside / "voice.wav"}
        assert {link.delay.delays_s for link in scenario.legs.values()} == {(0.04,)}


@pytest.mark.parametrize("name", library())
def test_every_scenario_of_the_library_can_be_meant(name):
    scenario = find_scenario(name)
    assert scenario.name == name
    assert scenario.serves
    assert scenario.sources
    assert scenario.warnings == ()
    assert any(not budget.advisory for budget in scenario.budgets)
    assert any(budget.advisory for budget in scenario.budgets)


@pytest.mark.parametrize("name", library())
def test_every_scenario_opens_with_whom_it_serves_and_where_its_numbers_come_from(name):
    text = (library_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    comment = text[: text.index("name:")]
    assert all(line.startswith("#") for line in comment.strip().splitlines())
    assert "Whom it serves:" in comment
    assert "Where the numbers come from:" in comment
    assert re.search(r"assumption", comment)


def test_the_first_situations_are_in_the_library():
    assert {
        "1v1-long-haul", "1v1-social", "1v1-video", "community-stage", "cross-border-seller", "live-commerce",
        "spoken-practice", "spoken-practice-turns", "video-support", "voice-assistant", "voice-assistant-barge-in",
        "voice-room", "voice-room-pair",
    } == set(library())  # fmt: skip


def test_the_schema_is_a_schema_and_tells_an_editor_about_every_key():
    schema = scenario_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, below in schema["properties"].items():
        assert below["description"], name
        leaves = below.get("properties", {name: below})
        for key, leaf in leaves.items():
            assert leaf["description"], key
            assert name == "link" or leaf["examples"], key


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "video.size=641x480",
            "video: video of 641x480 cannot be coded: both sides even: colour has half the resolution",
        ),
        ("video.size=vga", "video.size: 'vga' is no picture size: width x height in pixels: 640x480"),
        ("video.codec=av1", "video.codec 'av1' is not known: use one of vp8, h264"),
        ("video.fps=99", "video.fps 99 is impossible: give 1 to 60"),
        ("video.bitrate=1bit", "video: video of 0.001 kbit/s is not sent: 10kbit to 20mbit"),
        ("video.display=20s", "video: display 20s is impossible: give 0ms to 10s"),
        ("video.colour=true", "video.colour is not known: use one of size, fps, bitrate, codec"),
        ("video=3", "video 3 is not a set of keys: write it like"),
        ("video.playout=neteq", "video.playout 'neteq' is not known"),
    ],
)
def test_a_camera_that_cannot_be_meant_is_refused_in_a_sentence(setting, sentence):
    with pytest.raises(BadInputError) as caught:
        find_scenario("1v1-social", [setting])
    assert sentence in str(caught.value)


def test_who_sends_sound_shows_a_picture_too_where_video_is_written_for_all():
    plan = parse_scenario(
        "name: three\nlink: delay 40ms\nvideo: {fps: 15}\n"
        "parties: {ana: {}, ben: {video: {size: 320x240, codec: h264}}, cleo: {sends: nothing}}\n"
    )
    shown = {name: str(stream.video) for name, stream in plan.sending("video").items()}
    assert shown == {"ana": "640x480 15/s vp8 500kbit", "ben": "320x240 15/s h264 500kbit"}
    assert "ana_to_cleo.video" in plan.ways
    assert not parse_scenario("name: two\nlink: delay 40ms\n").sending("video")


@pytest.mark.parametrize("name", library())
def test_the_exported_schema_alone_accepts_the_library(name):
    text = (library_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(scenario_schema()).validate(yaml.safe_load(text))


LINKS = """
- {delay: 80ms, jitter: 10ms, distribution: normal, correlation: 50%, order: free, loss: 2%, burst: 3}
- {delay: 80ms, burst: "2.5", loss: .5%, loss_order: before-rate, reorder: 1%, gap: 5, reorder_by: 40ms}
- {gemodel: {p: 1%, r: 20%, 1-h: 70%, 1-k: 0.1%}, duplicate: 1%, corrupt: 0.1%}
- {state: {p13: 2%, p31: 30%}, outages: [{at: 10s, for: 2s, every: 60s}], handovers: null}
- {rate: 1mbit, overhead: -4B, cell: 48B, celloverhead: 5B, limit: 64kB, police: {rate: 500kbit, bucket: 16kB}}
- {rate: 1mbit, limit: 50, bucket: 16kB, aqm: codel, aqm_target: 5ms, aqm_interval: 100ms, ecn: ect0}
- {rate: 10mbit, cross_traffic: [{kind: tcp, rtt: 100ms}, {kind: pulses, peak: 2mbit, for: 100ms, every: 2s}]}
- {slot: {min: 5ms, max: 10ms, packets: 4, bytes: 3kB}}
- {slot: {delay: 8ms, jitter: 2ms, distribution: normal}}
- {delay: 20ms, schedule: [{at: 10s, loss: 5%}, {at: 20s, loss: null, slot: {min: 5ms}}], repeat: 60s}
"""
NO_LINKS = """
- {delay: 80}
- {delay: 80ms, jitter: 10ms, distribution: gauss}
- {order: any}
- {loss: [1%]}
- {gemodel: {q: 1%}}
- {police: 500kbit}
- {slot: 5}
- {slot: {delay: 8ms, jitter: 2ms, correlation: 50%}}
- {aqm: red}
- {ecn: true}
- {cross_traffic: 5}
- {cross_traffic: [{kind: udp}]}
- {outages: 10s}
- {schedule: [{loss: 5%}]}
- {schedule: [{at: 1s, repeat: 2s}]}
- {delya: 80ms}
"""


def test_an_editor_is_told_of_a_link_that_cannot_be_meant_and_of_no_other():
    editor = jsonschema.Draft202012Validator(scenario_schema()["properties"]["link"])
    for link in yaml.safe_load(LINKS):
        parse_link(link)
        assert list(editor.iter_errors(link)) == [], link
    for link in yaml.safe_load(NO_LINKS):
        with pytest.raises(BadInputError):
            parse_link(link)
        assert not editor.is_valid(link), link


@pytest.mark.parametrize(
    "setting",
    [
        "call.duration=1.5min", "call.duration=2 s", "codec.bitrate=1e5bps", "codec.bitrate=.5Mbps",
        "codec.bitrate=500 kb/s", "codec.expected_loss=2.5%", "devices.capture=250µs", "dtls.timer=0.2s",
        "playout=fixed:0.06s", "codec.ptime=20MS",
    ],
)  # fmt: skip
def test_what_the_exact_parsers_accept_the_coarse_patterns_of_editors_accept_too(setting):
    scenario = parse_scenario(SMALL, [setting])
    jsonschema.Draft202012Validator(scenario_schema()).validate(dict(scenario.settings))


def test_the_library_is_found_beside_the_package():
    assert library_folder() == Path(__file__).parents[1] / "scenarios"


def test_a_target_is_a_url_or_keys_and_no_part_of_the_situation():
    plain = find_scenario("1v1-social")
    called = find_scenario("1v1-social", ["target=sdp+https://host/x", "target.token=env:TOKEN"])
    assert plain.target.scheme == "loopback"
    assert (called.target.url, called.target.options) == ("sdp+https://host/x", {"token": "env:TOKEN"})
    assert called.settings["target"] == {"url": "sdp+https://host/x", "token": "env:TOKEN"}
    assert called.digest == plain.digest  # two vendors are compared in one situation


def test_what_is_not_emulated_on_the_way_to_a_target_is_said():
    warning = "only the access lines are emulated: target.region adds a distance"
    assert find_scenario("1v1-social", ["target=sdp+https://host/x"]).warnings == (warning,)
    assert find_scenario("1v1-social", ["target={url: sdp+https://host/x, region: tokyo}"]).warnings == ()
    assert find_scenario("1v1-social", ["target=sdp+https://host/x", "link=delay 1ms"]).warnings == ()
    assert find_scenario("1v1-social", ["target=page"]).warnings == ()  # our own page: all between the two is


def test_names_are_without_regard_to_case_and_the_digest_is_the_same():
    small = parse_scenario(SMALL)
    shouted = parse_scenario(SMALL.replace("bangkok", "Bangkok").replace("4g-good", "4G-Good"))
    assert (shouted.caller, shouted.digest) == (small.caller, small.digest)
    assert find_scenario("1V1-Social").name == "1v1-social"
    assert parse_scenario(SMALL + "target: {url: janus+ws://host/echotest, region: Singapore}").target.region == (
        "singapore"
    )


def test_what_a_link_replaces_both_ways_need_not_be_written():
    bare = parse_scenario("name: bare\nlink: delay 40ms loss 1%\n")
    assert bare.legs.keys() == {"caller_to_callee", "callee_to_caller"}
    assert (bare.caller.region, bare.signaling.region, bare.signaling.connection) == ("anywhere", "anywhere", "cold")
    assert bare.warnings == ()
    warm = parse_scenario("name: bare\nlink: delay 40ms\nsignaling: {connection: warm}\n")
    assert warm.signaling.connection == "warm"
    again = parse_scenario(yaml.safe_dump(dict(bare.settings)))
    assert again.digest == bare.digest
    jsonschema.validate({"name": "bare", "link": "delay 40ms"}, scenario_schema())


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("name: a\nlink: {caller_to_callee: delay 40ms}\n", "caller"),
        ("name: a\n", "caller"),
        (SMALL.replace("{region: singapore}", "{connection: warm}"), "signaling.region"),
    ],
)
def test_a_link_one_way_replaces_no_place(text, missing):
    with pytest.raises(BadInputError, match=f"{missing} is missing: .*; or give link, which replaces the whole path"):
        parse_scenario(text)


def test_whole_numbers_may_be_written_as_floats():
    text = (library_folder() / "1v1-social.yaml").read_text(encoding="utf-8")
    whole = parse_scenario(text, ["call.joins=20", "protection.red=1", "codec.complexity=5"])
    floats = parse_scenario(text, ["call.joins=20.0", "protection.red=1.0", "codec.complexity=5.0"])
    assert (floats.call.joins, type(floats.call.joins), floats.digest) == (20, int, whole.digest)
