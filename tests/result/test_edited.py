"""Results that somebody edited: judged by the kinds of their fields, each refusal saying where."""

import copy
import io
import json
from random import Random

import pytest
from rich.console import Console

from rtcprobe.errors import BadInputError
from rtcprobe.report.cases import result_cases
from rtcprobe.report.json import dumps
from rtcprobe.report.markdown import results_markdown
from rtcprobe.report.terminal import print_result
from rtcprobe.result import Result
from rtcprobe.verdict import judge, parse_budget

EDITS = {
    ("seed",): (1.5, "seed 1.5 is no whole number"),
    ("verdict",): ("great", "verdict 'great' is none of pass, fail, inconclusive, invalid"),
    ("clock",): (None, "clock None is none of virtual, real"),
    ("interrupted",): ("no", "interrupted 'no' is neither true nor false"),
    ("reasons",): ("because", "reasons 'because' is no list"),
    ("warnings",): ([1], "warnings.0 1 is no text"),
    ("harness",): (["x"], "harness ['x'] is no set of keys"),
    ("settings", "deep"): ({"x": [1, float("inf")]}, "settings.deep.x.1 inf is no number that was measured"),
    ("join", "attempts", 3, "rtts"): ({}, "join.attempts.3.rtts {} is no number that was measured"),
    ("join", "attempts", 3, "marks", "offer_sent"): (
        "soon", "join.attempts.3.marks.offer_sent 'soon' is no number that was measured",
    ),
    ("mouth_to_ear", "caller_to_callee", "samples", 2, "delay_ms"): (
        1e300, "mouth_to_ear.caller_to_callee.samples.2.delay_ms 1e+300 is no number that was measured",
    ),
    ("mouth_to_ear", "caller_to_callee", "playout", "policy"): (
        7, "mouth_to_ear.caller_to_callee.playout.policy 7 is no text",
    ),
    ("link", "caller_to_callee", "achieved", "loss"): (
        True, "link.caller_to_callee.achieved.loss True is no number that was measured",
    ),
    ("link", "caller_to_callee", "achieved", "offered"): (
        -5, "link.caller_to_callee.achieved.offered -5 is below zero",
    ),
    ("mouth_to_ear", "caller_to_callee", "protection", "unplayed"): (
        7, "mouth_to_ear.caller_to_callee.protection.unplayed 7 is impossible: it lies in 0 to 1",
    ),
    ("mouth_to_ear", "caller_to_callee", "playout", "target_steps"): (
        {"since_ms": [1.0, 2.0], "target_delay_ms": [40.0]},
        "mouth_to_ear.caller_to_callee.playout.target_steps [1, 2] is no one length of lists",
    ),
    ("budgets", 0, "verdict"): ("MET", "budgets.0.verdict 'MET' is none of met, missed, undecided, inconclusive"),
    ("budgets", 0, "value_ci"): ([[1], 2], "budgets.0.value_ci.0 [1] is no number that was measured"),
}  # fmt: skip


@pytest.fixture
def plain(make_result):
    return judge(make_result(), [parse_budget("join.first_audio p50 < 9s")]).to_dict()


def put(plain, path, value):
    changed = inside = copy.deepcopy(plain)
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return changed


@pytest.mark.parametrize(("path", "edit"), EDITS.items(), ids=lambda each: str(each)[:40])
def test_a_value_of_another_kind_is_refused_where_it_stands(plain, path, edit):
    value, said = edit
    with pytest.raises(BadInputError) as refusal:
        Result.from_dict(put(plain, path, value))
    assert str(refusal.value) == f"result holds a value of the wrong kind: {said}: measure again"


def test_a_whole_number_may_be_written_as_a_float(plain):
    edited = put(put(plain, ("seed",), 7.0), ("mouth_to_ear", "caller_to_callee", "lost"), 1.0)
    result = Result.from_dict(edited)
    assert (result.seed, type(result.seed)) == (7, int)
    assert result.to_dict() == {**plain, "seed": 7}


RUBBISH = (None, True, -1, 0, 10**30, 1e300, float("nan"), "", "x\x1b[2J", [], [1], {}, {"x": 1})


def test_whatever_is_changed_a_result_is_shown_or_refused(plain):
    chance, screen = Random(5), Console(file=io.StringIO(), width=100)
    small = put(plain, ("join", "attempts"), plain["join"]["attempts"][:3])
    shown = 0
    for _ in range(80):
        changed = inside = copy.deepcopy(small)
        while True:
            key = chance.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
            if not inside[key] or not isinstance(inside[key], (dict, list)) or chance.random() < 0.15:
                break
            inside = inside[key]
        inside[key] = chance.choice(RUBBISH)
        try:
            result = Result.from_dict(json.loads(json.dumps(changed)))
        except BadInputError:
            continue
        shown += 1
        print_result(result, screen)
        results_markdown([result])
        result_cases(result)
        dumps([result])
    assert 10 < shown < 70
    assert "\x1b[2J" not in screen.file.getvalue()
