"""A real sender ramps up against our reports as against another Chromium's."""

import re
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import pytest
from presence import missing

from rtcprobe.call.ends.browser.launching import find_chromium
from rtcprobe.errors import MeasurementError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import ramp

pytestmark = pytest.mark.filterwarnings("always:not compared")
"""A run that does not count is told in the summary, with its seconds, and fails nothing."""

ROUNDS = (2, 2, 2)
"""Calls each, in turns; where they do not agree, as on a busy machine, as many again, and the medians are of all."""


def test_chromium_reaches_two_megabits_against_us_as_fast_as_against_another():
    if find_spec("playwright") is None:
        missing("playwright")
    try:
        executable = find_chromium(None)
    except MeasurementError:
        missing("chromium")
    found, said = {"us": [], "Chromium": []}, []
    for calls in ROUNDS:
        for who, rows in ramp.compared(executable, calls, said.append).items():
            found[who] += rows
        if not all(found.values()):
            continue
        ours, theirs = (median(sent_s for _, sent_s in found[who]) for who in ("us", "Chromium"))
        if abs(ours / theirs - 1) <= ramp.WITHIN:
            return
    if min(map(len, found.values())) > ROUNDS[0]:
        raise AssertionError(found)
    # Too few count: that is said, with the reason of each call, and is no silence.
    left_out = sum(ROUNDS) * 2 - sum(map(len, found.values()))
    assert left_out == len(said)
    assert all(re.search(r"starved|stood still", each) for each in said)
    warnings.warn(f"not compared, INVALID: {'; '.join(said)}", stacklevel=1)
