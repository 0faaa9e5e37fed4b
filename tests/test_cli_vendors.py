"""``rtcprobe vendors``: who is measured when, with whose settings, and what is refused before anything runs."""

import json

import pytest

from rtcprobe.errors import MeasurementError
from rtcprobe.result.files import load_results


def asked(probe):
    return [(each.scenario.settings["playout"], each.scenario.caller.access, each.seed) for each in probe.calls]


def test_vendors_take_turns_and_each_round_begins_with_another(rtcprobe, probe, tmp_path):
    page, plain, history = tmp_path / "x.html", tmp_path / "x.json", tmp_path / "h.jsonl"
    code, out, err = rtcprobe(
        "vendors", "a=loopback", "b=loopback", "--set", "b:playout=fixed:90ms", "--links", "5G,cable", "--runs", 2,
        "--html", page, "--json", plain, "--append", history,
    )  # fmt: skip
    assert code == 0
    a, b = "neteq", "fixed:90ms"
    assert asked(probe) == [
        (a, "5g", 1), (b, "5g", 1), (a, "cable", 1), (b, "cable", 1),
        (b, "5g", 2), (a, "5g", 2), (b, "cable", 2), (a, "cable", 2),
    ]  # fmt: skip
    assert "round 2 of 2: b, cable" in err
    assert "No vendor is shown to be best" in out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads(plain.read_text(encoding="utf-8"))["links"] == ["5g", "cable"]
    assert len(load_results(str(history)).results) == 8


def test_a_link_of_ones_own_replaces_the_path(rtcprobe, probe):
    rtcprobe("vendors", "a=loopback", "b=loopback", "--links", "bad=delay 80ms loss 2%,5g", "--runs", 1, "-q")
    assert [each.scenario.settings["link"] for each in probe.calls] == ["delay 80ms loss 2%"] * 2 + [{}] * 2


def test_a_link_is_every_partys_access_in_a_room_those_of_a_count_too(rtcprobe, probe, tmp_path):
    room = tmp_path / "room.yaml"
    site = "region: singapore, access: fibre"
    room.write_text(
        f"name: room\nparties: {{ana: {{{site}}}, fan: {{{site}, sends: nothing, count: 2}}}}\n"
        "target: {kind: sfu, region: singapore}\nsignaling: {connection: warm}\n",
        encoding="utf-8",
    )
    near = ("--set", "a:target.region=singapore", "--set", "b:target.region=jakarta")
    code, _, err = rtcprobe("vendors", "a=sfu", "b=sfu", "--scenario", room, "--links", "5g,cable", "--runs", 1, *near)
    assert code == 0, err
    sites = [[party.site.access for party in each.scenario.parties] for each in probe.calls]
    assert sites == [["5g"] * 3] * 2 + [["cable"] * 3] * 2


def test_servers_are_called_on_the_real_clock_each_with_its_own_token(rtcprobe, probe, monkeypatch):
    monkeypatch.setenv("A", "hunter2-and-more")
    monkeypatch.setenv("B", "hunter3-and-more")
    rtcprobe(
        "vendors", "a=whip+whep://a.example/live", "b=whip+whep://b.example/live", "--runs", 1, "-q",
        "--set", "a:target.token=env:A", "--set", "b:target.token=env:B", "--set", "target.region=singapore",
    )  # fmt: skip
    assert [(each.clock, each.scenario.target.options, each.scenario.target.region) for each in probe.calls] == [
        ("real", {"token": "env:A"}, "singapore"),
        ("real", {"token": "env:B"}, "singapore"),
    ]


def test_a_vendor_that_is_away_is_asked_twice_and_named_and_the_others_are_compared(rtcprobe, probe):
    def before(scenario):
        probe.error = MeasurementError("nobody answered") if scenario.settings["playout"] == "aiortc" else None

    probe.before = before
    code, out, err = rtcprobe("vendors", "a=loopback", "b=loopback", "c=loopback", "--set", "c:playout=aiortc")
    assert code == 3
    assert [each.scenario.settings["playout"] for each in probe.calls].count("aiortc") == 2
    assert "c could not be measured." in " ".join(out.split())
    assert "rtcprobe: c, as the scenario has it: nobody answered" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("a=loopback",), "a=loopback alone cannot be compared: name two vendors or more"),
        (("loopback", "b=loopback"), "vendor 'loopback' has no name: write it like a=whip+whep://HOST/live"),
        (("a=loopback", "a=loopback"), "vendor a is given twice: give each its own name"),
        (
            ("a=loopback", "b=lopback"),
            "vendor b: target 'lopback' is of no known kind: did you mean loopback?",
        ),
        (
            ("a=loopback", "b=loopback", "--links", "4g"),
            "link '4g' is not known: did you mean 4g-good or 4g-edge?",
        ),
        (("a=loopback", "b=loopback", "--links", "5g,5g"), "link '5g' has no name of its own: name each once, "),
        (
            ("a=loopback", "b=loopback", "--links", "5g", "--link", "delay 3ms"),
            "--link and --links are given together: write --links NAME=LINE,...",
        ),
        (("a=loopback", "b=loopback", "--target", "loopback"), "--target names no vendor: write vendors as NAME=URL"),
        (
            ("a=loopback", "b=loopback", "--set", "target.token=env:X"),
            "--set target.token would go to every vendor: write --set a:target.token=… for each of them",
        ),
        (
            ("alpha=loopback", "b=loopback", "--set", "alpah:playout=aiortc"),
            "--set alpah:playout: vendor 'alpah' is not known: did you mean alpha?",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(rtcprobe, probe, arguments, sentence):
    code, _, err = rtcprobe("vendors", *arguments)
    assert (code, probe.calls) == (2, [])
    assert err.startswith(f"rtcprobe: {sentence}")
