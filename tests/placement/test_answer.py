"""From a file of users to edges: what is asked is read as it was meant, and the answer names what it rests on."""

import json

import pytest
from click.testing import CliRunner

from rtcprobe.cli import cli
from rtcprobe.errors import BadInputError
from rtcprobe.placement import answer, read_question
from rtcprobe.result import Account, Result, Sample
from rtcprobe.ways import BOTH_WAYS
from tests.accounts import accounts_of

WRITTEN = """
users:
  - {region: Bangkok, access: 4g-good, share: 60}
  - {region: frankfurt, access: fibre, share: 30}
  - {region: frankfurt, access: fibre, share: 10}
edges: [singapore, frankfurt, virginia]
choose: 2.0
budget: 250ms
rtt: {singapore-frankfurt: 100ms}
"""


@pytest.fixture
def question(tmp_path):
    path = tmp_path / "users.yaml"
    path.write_text(WRITTEN)
    return path


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """Calls that take 100 ms beside the backbone, 20 more for each 4G, and a millisecond for each that were made."""
    made = []

    def call_between(a, b, rtt_s, *, seed):
        made.append((a, b, rtt_s, seed))
        delay_s = 0.100 + rtt_s / 2 + 0.020 * [a, b].count("4g-good")
        sample = Sample(marker=0, spoken_s=1.0, heard_s=1.0 + delay_s, delay_s=delay_s, correlation=1.0)
        fates = {"scheduled": 1, "heard": 1, "rejected": 0, "lost": 0}
        heard = Account(kind="mouth_to_ear", way=BOTH_WAYS[0], samples=(sample,), **fates)
        return Result(
            scenario="placement",
            seed=seed,
            clock="virtual",
            accounts=accounts_of(dict.fromkeys(BOTH_WAYS, heard)),
        )

    monkeypatch.setattr("rtcprobe.placement.delays.call_between", call_between)
    monkeypatch.setattr("rtcprobe.placement.answering.call_between", call_between)
    return made


def test_a_question_is_read_as_it_was_meant(question):
    asked = read_question(question)
    assert [(each.name, round(each.share, 9)) for each in asked.groups] == [
        ("bangkok/4g-good", 0.6),
        ("frankfurt/fibre", 0.4),
    ]
    assert asked.choose == 2
    assert asked.round_trip_s("frankfurt", "singapore") == 0.1
    assert asked.round_trip_s("bangkok", "singapore") == 0.030  # cited
    assert asked.estimated == ()


def test_cells_are_what_calls_take_beside_the_backbone(question, calls):
    found = answer(read_question(question), seed=1)
    assert found.cells.seconds == {
        ("4g-good", "4g-good"): pytest.approx(0.140),
        ("4g-good", "fibre"): pytest.approx(0.120),
        ("fibre", "4g-good"): pytest.approx(0.120),
        ("fibre", "fibre"): pytest.approx(0.100),
    }
    assert found.cells.residual_s == pytest.approx(0.0, abs=1e-12)
    assert len({seed for *_, seed in calls}) > 2


def test_the_answer_serves_whom_its_own_arithmetic_says(question):
    found = answer(read_question(question), seed=1)
    pair, near = found.rules
    assert set(near.edges) == {"singapore", "frankfurt"}
    # Bangkok to itself 15 + 15 + 140, Frankfurt to itself 1.5 + 1.5 + 100, between 15 + 50 + 1.5 + 120: all inside.
    assert near.share_nearest == pytest.approx(1.0)
    assert pair.chosen.proven
    assert found.cost_of_nearest == pytest.approx(0.0)
    assert [(group, edge) for group, edge, _ in found.entries] == [
        ("bangkok/4g-good", "singapore"),
        ("frankfurt/fibre", "frankfurt"),
    ]
    assert all(each.measured_s == pytest.approx(each.model_s) for each in found.checked)


def test_the_command_says_what_the_rule_of_assignment_costs(question, tmp_path):
    json_path, page = tmp_path / "p.json", tmp_path / "p.html"
    done = CliRunner().invoke(cli, ["place", str(question), "--json", str(json_path), "--html", str(page)])
    assert done.exit_code == 0, done.exception
    assert "the rule of assignment" in done.output
    text = page.read_text()
    assert text.count("<svg") == 4  # a map for either rule, for wide and for narrow screens
    assert all(f">{edge}</text>" in text for edge in ("singapore", "frankfurt"))
    plain = json.loads(json_path.read_text())
    assert plain["schema"] == "rtcprobe.placement/1"
    assert {rule["assign"] for rule in plain["rules"]} == {"best pair", "nearest"}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("share: 60", "share: 0", "users"),
        ("60}", "x}", "share"),
        ("Bangkok", "Bangkock", "bangkok"),
        ("4g-good", "6g", "access '6g' is not known"),
        ("choose: 2.0", "choose: 4", "choose 4 of 3 edges"),
        ("choose: 2.0", "chose: 2", "'chose' is not known"),
        ("budget: 250ms", "budget: 250", "250"),
        ("singapore-frankfurt", "singapore-mars", "names no two regions"),
        ("virginia]", "frankfurt]", "frankfurt is given twice"),
        ("choose: 2.0\n", "", "choose is missing"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(question, old, new, sentence):
    text = WRITTEN.replace(old, new, 1)
    if new == "share: 0":
        text = text.replace("share: 30", "share: 0").replace("share: 10", "share: 0")
    question.write_text(text)
    with pytest.raises(BadInputError, match=sentence):
        read_question(question)
