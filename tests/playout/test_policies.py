"""Policies by name: each is its own, and whoever may name one is told of it."""

import re
from typing import get_args

import pytest

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.cli.run import run
from rtcprobe.errors import BadInputError
from rtcprobe.playout.policies import PlayoutChoice, PolicyName, make_policy
from rtcprobe.scenario import scenario_schema

WRITTEN = {"neteq": "neteq:100ms", "fixed": "fixed:60ms", "aiortc": "aiortc"}


def test_every_policy_is_made_by_its_name_and_is_no_other():
    assert set(WRITTEN) == set(get_args(PolicyName))
    choices = [PlayoutChoice.parse(text) for text in WRITTEN.values()]
    assert [str(each) for each in choices] == list(WRITTEN.values())
    made = [type(make_policy(each, OpusDecoder(), payload_type=96).playout) for each in choices]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("name", WRITTEN)
def test_who_may_name_a_policy_is_told_of_it(name):
    with pytest.raises(BadInputError) as refused:
        PlayoutChoice.parse("louder")
    (option,) = [each for each in run.params if each.name == "playout"]
    told = scenario_schema()["properties"]["playout"]
    for where in (refused.value.hint, option.help, told["description"]):
        assert name in where
    assert re.search(told["pattern"], WRITTEN[name])
