"""A link or an access may stand in a file: what the file holds is what was written, wherever a link may be."""

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.link import ACCESS, parse_link
from rtcprobe.probe.routes import routes
from rtcprobe.scenario import parse_scenario, read_scenario

TWO = """
name: two
caller: {{region: bangkok, access: {access}}}
callee: {{region: singapore, access: fibre}}
signaling: {{region: singapore}}
"""
FITTED = "delay 30.5ms 8ms distribution normal loss 3.1% burst 2.8"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "up.link").write_text(FITTED + "\n")
    (tmp_path / "home.yaml").write_text('up: "file:up.link"\ndown: {delay: 12ms, loss: 1%}\n')
    (tmp_path / "circle.yaml").write_text('"file:circle.yaml"')
    (tmp_path / "list.yaml").write_text("[1, 2]")
    return tmp_path


def scenario(folder, access, *settings):
    return parse_scenario(TWO.format(access=access), settings, folder=folder)


def test_lines_of_ones_own_stand_where_those_of_the_catalogue_would(folder):
    own = scenario(folder, "{up: delay 5ms, down: delay 7ms}")
    hops = routes(own, [("caller", "callee"), ("callee", "caller")])
    assert hops["caller", "callee"][0] == parse_link("delay 5ms")
    assert hops["callee", "caller"][-1] == parse_link("delay 7ms")
    assert hops["caller", "callee"][-1] == ACCESS["fibre"].down


def test_an_access_in_a_file_is_the_access_written_out(folder):
    named = scenario(folder, '"file:home.yaml"')
    written = scenario(folder, f"{{up: {FITTED}, down: {{delay: 12ms, loss: 1%}}}}")
    assert named.caller == written.caller
    assert named.settings == written.settings  # so it can be run again where the file is not
    assert named.digest == written.digest


def test_one_line_is_an_access_both_ways(folder):
    site = scenario(folder, '"file:up.link"').caller
    assert site.up == site.down == parse_link(FITTED)


def test_a_link_and_a_leg_in_a_file_are_what_the_file_holds(folder):
    linked = parse_scenario('{name: lab, link: "file:up.link"}', folder=folder)
    assert linked.settings["link"] == FITTED
    (folder / "room.yaml").write_text(
        '{name: room, parties: {ana: {}, ben: {}}, link: delay 1ms, legs: {ana_to_ben: "file:up.link"}}'
    )
    room = read_scenario(folder / "room.yaml")
    assert {str(leg): link for leg, link in room.legs.items()}["ana_to_ben"] == parse_link(FITTED)


def test_a_file_named_by_a_setting_is_looked_for_where_the_command_was_given(folder, monkeypatch):
    monkeypatch.chdir(folder)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    for setting in ("caller.access=file:up.link", "caller.access.up=file:up.link"):
        found = parse_scenario(TWO.format(access="{up: delay 1ms, down: delay 1ms}"), [setting], folder=elsewhere)
        assert found.caller.up == parse_link(FITTED)


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        ("wifi-god", "caller.access 'wifi-god' is not known: did you mean wifi-good"),
        ("{up: delay 5ms}", "caller.access.down is missing: write it like delay"),
        ("{up: delay 5ms, down: {dely: 5ms}}", "caller.access.down.dely is not known: did you mean delay"),
        ("{up: delay 5, down: delay 5ms}", "caller.access.up: delay: duration '5' has no unit"),
        ("{up: delay 5ms, down: delay 5ms, left: delay 5ms}", "caller.access.left is not known"),
        ("[4g-good]", r"caller.access \['4g-good'\] is not known"),
        ('"file:none.link"', "caller.access: .*none.link cannot be read"),
        ('"file:list.yaml"', "caller.access: .*list.yaml holds no link"),
        ('"file:circle.yaml"', "is named by a file that a file names"),
    ],
)
def test_what_is_no_access_is_one_sentence(folder, access, sentence):
    with pytest.raises(BadInputError, match=sentence):
        scenario(folder, access)
