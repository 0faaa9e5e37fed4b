"""A room through forwarding servers of ours as a user has it: run on both clocks, judged, told, refused where wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.probe.beforehand import check_target
from rtcprobe.result import Result
from rtcprobe.scenario import parse_scenario, read_scenario

FILE = Path(__file__).parent / "room-by-server.yaml"
WAYS = ["host_to_guest", "host_to_eve", "host_to_tom", "guest_to_host", "guest_to_eve", "guest_to_tom"]

PLAIN = """
name: plain
parties: {ana: {}, ben: {}, cho: {sends: nothing}}
target: sfu
link: delay 40ms
call: {calls: 1, duration: 2s, joins: 1}
playout: fixed:60ms
"""


@pytest.fixture(scope="module")
def room():
    return run_probe(read_scenario(FILE), seed=1, clock="virtual")


def run(*settings, seed=1):
    return run_probe(parse_scenario(PLAIN, settings), seed=seed, clock="virtual")


@pytest.fixture(scope="module")
def plain():
    return run()


def delays_s(result):
    return {account.way: [each.delay_s for each in account.samples] for account in result.accounts}


def test_every_way_through_the_servers_is_heard_and_every_leg_told(room):
    assert [account.way for account in room.accounts] == WAYS == list(room.measures)
    assert list(room.link) == [
        "host_to_singapore", "singapore_to_host", "guest_to_singapore", "singapore_to_guest",
        "eve_to_frankfurt", "frankfurt_to_eve", "tom_to_singapore", "singapore_to_tom", "singapore_to_frankfurt",
    ]  # fmt: skip
    for account in room.accounts:
        assert account.heard + account.rejected + account.lost == account.scheduled >= 6
        assert account.heard > 0.8 * account.scheduled
    assert room.target == "sfu"
    assert {outcome.verdict for outcome in room.budgets} <= {"met", "inconclusive"}


def test_everybody_who_hears_somebody_joins_and_its_phases_sum(room):
    assert [join.party for join in room.join.attempts] == ["host", "guest", "eve", "tom"] * 2
    for join in room.join.attempts:
        assert join.failed is None
        assert sum(join.phases.values()) == pytest.approx(join.first_audio_s)


def test_a_way_is_as_long_as_the_legs_it_uses(plain):
    for account in plain.accounts:
        assert account.stages["network_min"] == pytest.approx(0.080, abs=1e-6)  # 40 ms to the server, 40 ms from it


def test_80_ms_more_on_a_leg_are_heard_on_the_ways_that_use_it_and_on_no_other(plain):
    before, after = delays_s(plain), delays_s(run("legs.ana_to_sfu=delay 120ms"))
    assert list(before) == ["ana_to_ben", "ana_to_cho", "ben_to_ana", "ben_to_cho"]
    for way, delays in before.items():
        added_s = 0.080 if way.startswith("ana_to_") else 0.0
        assert len(after[way]) == len(delays)
        assert after[way] == pytest.approx([each + added_s for each in delays], abs=5e-5)


def test_equal_seeds_give_equal_bytes_in_another_process_too(plain, tmp_path):
    written = tmp_path / "plain.yaml"
    written.write_text(PLAIN, encoding="utf-8")
    again = subprocess.run(
        [sys.executable, "-m", "rtcprobe", "run", written, "--json", "-", "-q"],
        capture_output=True, check=False, env={**os.environ, "PYTHONHASHSEED": "7"},
    )  # fmt: skip
    here, there = json.loads(json.dumps(plain.to_dict())), json.loads(again.stdout)
    del here["environment"], there["environment"]  # it says when
    assert there == here


def test_it_is_written_and_read_again(room):
    assert Result.from_dict(json.loads(json.dumps(room.to_dict()))).to_dict() == room.to_dict()


def test_the_real_clock_hears_what_virtual_time_hears(plain):
    real = run_probe(parse_scenario(PLAIN, ["call.duration=1s"]), seed=1, clock="real")
    for account in real.accounts:
        there = next(each for each in plain.accounts if each.way == account.way)
        assert account.stages["network_min"] == pytest.approx(there.stages["network_min"], abs=0.005)


def test_the_command_tells_the_paths_and_the_ways(rtcprobe):
    code, out, _ = rtcprobe("scenarios", FILE)
    assert code == 0
    assert "by singapore and frankfurt" in out
    assert "at each party's server" in out


def test_an_edge_is_the_nearest_one_or_the_one_named_or_the_one_that_makes_ways_short():
    far = "{ana: {region: tokyo, access: wifi-good}, ben: {region: frankfurt, access: wifi-good}}"
    text = f"name: far\nparties: {far}\ntarget: sfu\nedges: [singapore, frankfurt]\n"
    assert parse_scenario(text).homes == {"ana": "singapore", "ben": "frankfurt"}
    assert parse_scenario(text, ["parties.ana.edge=frankfurt"]).homes == {"ana": "frankfurt", "ben": "frankfurt"}
    # Between the two edges the backbone is as quick as it is through one of them: 1 ms within a region is saved.
    short = parse_scenario(text, ["assign=best-pair", "legs.singapore_to_frankfurt=delay 300ms"]).homes
    assert len(set(short.values())) == 1
    with pytest.raises(BadInputError, match=r"parties\.ana\.edge is missing: write it like singapore"):
        parse_scenario(text, ["assign=named"])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["target.nack=perhaps", "target.url=sfu"], "target.nack 'perhaps' is not known"),
        (["target={kind: sfu, last_m: 3}"], "target.last_m is not known to sfu"),
        (["legs.ana_to_ben=delay 10ms"], "leg 'ana_to_ben' leads past the server that ana and ben are connected to"),
        (["legs.ana_to_sg=delay 10ms"], "leg 'ana_to_sg' names 'sg', who is not there"),
        (["servers={sg: {}, fra: {}}"], "servers.sg.region is missing"),
        (["servers={ana: {}}"], "there are two called 'ana'"),
        (["edges=[singapore, singapore]"], "there are two edges in singapore"),
        (["edges=[singapore]", "target={kind: sfu, region: singapore}"], "edges and target.region all say where"),
        (["target=loopback", "edges=[singapore]"], "edges is written, and target loopback is no server of ours"),
        (["parties.ana.edge=sg"], "parties.ana.edge 'sg' is no server here"),
        (["parties.ana.hears=[ana]"], "ana cannot hear ana, itself"),
        (["link={}"], "parties.ana.region is missing"),
        (["rtt=40ms"], "rtt is not known of which leg to a server"),
        (["budgets=[link.ana_to_ben.loss mean < 1%]"], "there is no ana_to_ben here"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(settings, said):
    with pytest.raises(BadInputError) as refusal:
        check_target(parse_scenario(PLAIN, settings), "virtual")
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)
