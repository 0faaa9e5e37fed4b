"""A room of three as a user has it: run, judged way by way, written and read again, compared, drawn, exported."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as read_text

from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.probe.beforehand import check_target
from rtcprobe.result import Result
from rtcprobe.scenario import find_scenario, read_scenario

FILE = Path(__file__).parent / "room-of-three.yaml"
WAYS = ["ana_to_ben", "ana_to_cho", "ben_to_ana", "ben_to_cho", "cho_to_ana", "cho_to_ben"]


@pytest.fixture(scope="module")
def room():
    return run_probe(read_scenario(FILE), seed=1, clock="virtual")


@pytest.fixture
def stored(room, tmp_path):
    path = tmp_path / "room.json"
    path.write_text(json.dumps(room.to_dict()), encoding="utf-8")
    return path


def test_six_ways_are_heard_each_as_late_as_its_leg(room):
    assert [account.way for account in room.accounts] == WAYS == list(room.measures)
    assert list(room.link) == WAYS
    for account in room.accounts:
        # Nothing is lost on these legs: every marker is heard.
        assert account.heard == account.scheduled >= 10
        assert account.stages["network_min"] == pytest.approx(0.120 if account.way == "ben_to_cho" else 0.040, abs=1e-6)


def test_everybody_joins_and_each_join_names_its_two(room):
    assert [(join.party, join.round) for join in room.join.attempts] == list(
        zip(["ben", "cho", "ana"] * 2, [0] * 3 + [1] * 3, strict=True)
    )
    for join in room.join.attempts:
        assert join.failed is None
        assert join.last not in (None, join.party)
        assert sum(join.phases.values()) == pytest.approx(join.first_audio_s)
    # ben and cho have 80 ms more between them: theirs is the last connection, and ana's come sooner.
    assert {(join.party, join.last) for join in room.join.attempts if join.party != "ana"} == {
        ("ben", "cho"), ("cho", "ben"),
    }  # fmt: skip


def test_a_step_that_only_the_called_have_is_not_missed_by_those_who_call(room):
    # ana and ben call, cho is called: only its last connection begins with an offer that it gets.
    called = [join for join in room.join.attempts if "offer_received" in join.phases]
    assert 0 < len(called) < len(room.join.attempts)
    summary = room.join.summary["offer_received"]
    assert (summary.n, summary.never) == (len(called), 0)


def test_the_room_says_whose_listeners_are_apart_and_who_falls_into_whose_words(room):
    spreads = {each.talker: each for each in room.room.spreads}
    # ben's leg to cho is 80 ms longer than that to ana; those of the others are equal.
    assert (spreads["ben"].first, spreads["ben"].last) == ("ana", "cho")
    assert spreads["ben"].spread_s == pytest.approx(0.080, abs=5e-5)
    assert max(spreads[name].spread_s for name in ("ana", "cho")) < 5e-5
    windows = {(each.one, each.other): each.window_s for each in room.room.talk_over}
    assert windows["ben", "cho"] - windows["ana", "ben"] == pytest.approx(0.080, abs=1e-4)
    # Nothing is lost here: nothing was made up, and each heard the other for as long as they spoke.
    assert [each.share for each in room.room.gaps] == [0.0] * 4
    assert all(account.figures["listened_s"] == pytest.approx(10.0, abs=0.1) for account in room.accounts)


def test_budgets_are_judged_by_way_and_without_one_by_the_worst(room):
    outcomes = {outcome.expression: outcome for outcome in room.budgets}
    assert outcomes["mouth_to_ear.ana_to_ben p50 < 200ms"].verdict == "met"
    worst = outcomes["mouth_to_ear p50 < 200ms"]
    assert worst.verdict == "missed"
    assert worst.value == pytest.approx(max(account.summary.quantile("p50").value for account in room.accounts))
    assert room.verdict == "fail"


def test_it_is_written_and_read_again(room):
    again = Result.from_dict(json.loads(json.dumps(room.to_dict())))
    assert again.to_dict() == room.to_dict()


def test_the_model_places_the_same_room_and_hears_the_same(room):
    model = run_probe(read_scenario(FILE), seed=1, clock="virtual", engine="model")
    assert [account.way for account in model.accounts] == WAYS
    for ours, modelled in zip(room.accounts, model.accounts, strict=True):
        assert modelled.summary.mean == pytest.approx(ours.summary.mean, abs=1e-4)


def test_the_command_tells_it_on_the_screen_and_leaves_with_the_verdict(rtcprobe, stored, tmp_path):
    code, out, _ = rtcprobe(
        "run", FILE, "--engine", "model", "--markdown", tmp_path / "room.md", "--junit", tmp_path / "r"
    )
    assert code == 1
    told = [line.split()[:3] for line in out.splitlines()]
    for way in WAYS:
        talker, listener = way.split("_to_")
        assert [talker, "→", listener] in told
    assert "ben → cho" in (tmp_path / "room.md").read_text(encoding="utf-8")
    assert "mouth_to_ear.ana_to_ben p50" in (tmp_path / "r").read_text(encoding="utf-8")
    code, _, _ = rtcprobe("report", stored, "-o", tmp_path / "room.html")
    assert code == 0
    page = (tmp_path / "room.html").read_text(encoding="utf-8")
    assert page.count("ben → cho") > 1


def test_a_slower_leg_is_found_by_a_comparison_on_its_way_alone(rtcprobe, tmp_path):
    for name, more in (("before", []), ("after", ["--set", "legs.cho_to_ana=delay 70ms"])):
        for seed in (1, 2):
            code, _, err = rtcprobe(
                "run", FILE, "--engine", "model", "-q", "--calls", "1", "--duration", "3s", "--seed", seed, *more,
                "--append", tmp_path / f"{name}.jsonl",
            )  # fmt: skip
            assert code in (0, 1, 3), err
    _, out, _ = rtcprobe("compare", tmp_path / "before.jsonl", tmp_path / "after.jsonl")
    p50 = {line.split(" p50")[0].strip(): line for line in out.splitlines() if "→" in line and " p50, ms" in line}
    assert len(p50) == len(WAYS)
    assert {way for way, line in p50.items() if "worse" in line} == {"cho → ana"}
    assert "+30.0" in p50["cho → ana"]


def test_a_room_is_exported_way_by_way(room):
    from rtcprobe.exporter.config import OBJECTIVES
    from rtcprobe.exporter.instruments import Instruments, expose
    from rtcprobe.exporter.outcome import Outcome, add_run, probe_labels, set_up, start_series

    scenario = read_scenario(FILE)
    labels = probe_labels("room", scenario, room.target)
    instruments = Instruments(("probe", "run"), labels)
    start_series(instruments, scenario, outside=False)
    set_up(instruments, scenario, "virtual")
    add_run(instruments, Outcome(result=room, seed=1, ended_unix_s=1.7e9, duration_s=2.0), OBJECTIVES)
    counts = {
        sample.labels["direction"]: sample.value
        for family in read_text(expose([instruments], "text").decode())
        for sample in family.samples
        if sample.name == "rtcprobe_mouth_to_ear_seconds_count"
    }
    assert counts == {account.way: account.heard for account in room.accounts}


def test_a_budget_on_a_way_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(BadInputError, match=r"loopback does not measure that way: did you mean ana_to_ben"):
        run_probe(read_scenario(FILE, ["budgets=[mouth_to_ear.ana_to_bem p95 < 1s]"]), seed=1, clock="virtual")


def test_the_model_performs_no_cues():
    with pytest.raises(BadInputError, match=r"engine model performs no cues: .* use engine stack"):
        run_probe(read_scenario(FILE, ["script=[ana stops at 2s]"]), seed=1, clock="virtual", engine="model")


def test_budgets_of_rooms_are_judged_and_roles_stand_for_their_parties():
    budgets = ["room.spread max < 100ms", "room.guest.spread max < 1ms", "mouth_to_ear.host_to_guest p50 < 300ms"]
    settings = [f"budgets={budgets}", "parties.ana.role=guest", "parties.ben.role=host", "parties.cho.role=guest"]
    result = run_probe(read_scenario(FILE, settings), seed=1, clock="virtual", engine="model")
    assert {each.expression: each.verdict for each in result.budgets} == dict.fromkeys(budgets, "met")
    assert result.budgets[0].value == pytest.approx(0.080, abs=1e-4)


def test_what_cues_had_parties_do_is_told_with_the_instant_and_the_waits_for_it():
    settings = ["call.calls=1", "call.joins=1", "call.duration=5s", "script=[cho publishes at 1s, ana stops at 3s]"]
    result = run_probe(read_scenario(FILE, [*settings, "parties.ana.role=host"]), seed=1, clock="virtual")
    came, went = result.happenings
    assert (came.party, came.does, went.party, went.does) == ("cho", "publish", "ana", "stop")
    assert went.at_s - came.at_s == pytest.approx(2.0)
    (entrance,) = result.room.entrances
    # Its first packet leaves up to 20 ms after the cue (its frame ends then), is 40 ms under way and held for 60 ms.
    assert {each.listener for each in entrance.waits} == {"ana", "ben"}
    assert all(0.100 <= each.wait_s <= 0.151 for each in entrance.waits)
    (gone,) = result.room.exits
    assert [each.wait_s for each in gone.silences] == [None, None]
    assert all(0.08 <= each.wait_s <= 0.151 for each in gone.fading)


def test_an_agent_outside_knows_a_caller_and_a_callee_alone():
    scenario = read_scenario(FILE, ["target=sdp+https://media.example/offer", "legs={}"])
    with pytest.raises(BadInputError, match=r"cannot be called by ana, ben, cho: write a caller and a callee"):
        run_probe(scenario, seed=1, clock="real")


ROOM = ["target=janus+ws://media.example/videoroom/1"]


def test_a_room_outside_has_legs_to_the_target_and_back():
    scenario = read_scenario(FILE, [*ROOM, "legs={ben_to_target: delay 120ms}"])
    assert list(scenario.legs) == [
        "ana_to_target", "target_to_ana", "ben_to_target", "target_to_ben", "cho_to_target", "target_to_cho",
    ]  # fmt: skip
    assert [spec.delay.quantile_s(0.5) for spec in scenario.legs.values()] == [0.04, 0.04, 0.12, 0.04, 0.04, 0.04]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([], "leg 'ben_to_cho' passes the target by: give ben_to_target or target_to_cho"),
        (
            ["legs={}", "link={}"],
            "parties.ana.access is missing: write it like wifi-good; or give the legs ana_to",
        ),
        (["legs={}", "link={caller_to_callee: delay 1ms}"], "name the leg: legs.ana_to_target"),
        (["legs={dan_to_target: delay 1ms}"], "leg 'dan_to_target' names 'dan', who is not there"),
    ],
)
def test_a_leg_that_leads_to_no_target_is_refused(settings, said):
    with pytest.raises(BadInputError, match=re.escape(said)):
        read_scenario(FILE, [*ROOM, *settings])


@pytest.mark.parametrize(
    ("target", "settings", "said"),
    [
        ("whip+whep://media.example/live", [], "has one stream, and ana and ben and cho speak: write {party} where"),
        (
            "{whip: {ana: 'https://a/in'}, whep: 'https://a/{party}'}",
            [],
            "target.whip has no address for ben: add",
        ),
        ("janus+ws://media.example/echotest", [], "cannot be called by ana, ben, cho: an echo has one caller"),
        (
            "janus+ws://media.example/videoroom/1",
            ["target.listeners=3"],
            "target.listeners means nothing where",
        ),
    ],
)
def test_a_room_that_a_target_cannot_be_is_refused_before_anything_runs(target, settings, said):
    scenario = read_scenario(FILE, [f"target={target}", "legs={}", *settings])
    with pytest.raises(BadInputError, match=re.escape(said)):
        run_probe(scenario, seed=1, clock="real")


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("mouth_to_ear.ana_to_bean p50 < 1s", "loopback does not measure that way: did you mean ana_to_ben"),
        ("link.ana_to_bean.loss mean < 1%", "there is no ana_to_bean here: did you mean ana_to_ben"),
        ("join.anna.first_audio p50 < 1s", "there is no anna here: did you mean ana"),
        ("room.anna.spread p50 < 1s", "there is no anna here: did you mean ana"),
    ],
)
def test_a_budget_about_somebody_who_is_not_there_is_refused_before_anything_runs(budget, said):
    scenario = find_scenario(str(FILE), [f"budgets=[{budget}]"])
    with pytest.raises(BadInputError) as refusal:
        check_target(scenario, "virtual")
    assert str(refusal.value).startswith(f"budget {budget!r}: {said}")
