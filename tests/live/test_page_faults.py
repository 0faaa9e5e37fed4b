"""Pages that are awkward, or fail: what is joined all the same, what is told in one sentence, what is kept."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from presence import missing, need
from runs import kept_run

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SHORT = ("call={calls: 1, duration: 4s, joins: 1, join_timeout: 40s}", "link=delay 10ms", "budgets=[]")


@pytest.fixture(autouse=True)
def _browser(network):
    assert network.address
    need(*BROWSERS)
    if find_spec("playwright") is None:
        missing("playwright")


def page_of(echo, path, *steps):
    clicked = ", ".join(f"{{click: '{step}'}}" for step in steps)
    return f"target={{url: 'page+{echo.origin}/{path}', steps: [{clicked}]}}"


def test_a_page_with_dialogs_a_lobby_a_frame_and_ten_connections_is_joined(aiortc_echo):
    result = kept_run("1v1-social", *SHORT, page_of(aiortc_echo, "page?how=all", "#call", "iframe", "#call"))
    (join,) = result.join.attempts
    assert join.failed is None
    assert sum(join.phases.values()) == pytest.approx(join.marks["first_audio"])
    assert result.mouth_to_ear["round_trip"].heard > 0
    assert result.parties["caller"]["media"].startswith("all of it passed our link")
    for dialog in ("alert: we use cookies", "confirm: may we use your microphone?"):
        assert any(f"the caller's page opened a dialog ({dialog}): accepted" in each for each in result.warnings)


def test_a_page_that_leaves_in_the_midst_of_a_call_cuts_it_and_what_was_heard_is_kept(aiortc_echo):
    settings = [*SHORT, "call.duration=20s", page_of(aiortc_echo, "page?how=asks", "#call")]
    result = kept_run("1v1-social", *settings)
    assert result.join.attempts[0].failed is None
    assert f"the page left for {aiortc_echo.origin}/page" in result.cut
    assert result.mouth_to_ear["round_trip"].heard > 0
    assert any("opened a dialog (beforeunload" in each for each in result.warnings)


def test_a_microphone_that_a_policy_refuses_is_told_with_the_step_reached(aiortc_echo):
    result = kept_run("1v1-social", *SHORT, page_of(aiortc_echo, "mute-page?how=plain", "#call"))
    assert result.verdict == "inconclusive"
    (join,) = result.join.attempts
    assert "the page cannot speak: the microphone was refused (NotAllowedError" in join.failed
    assert join.reached is not None


def test_a_page_that_is_refused_says_so_beside_the_step_that_never_came(aiortc_echo):
    result = kept_run(
        "1v1-social", *SHORT, "call.join_timeout=5s", page_of(aiortc_echo, "closed-page", "#call")
    )  # fmt: skip
    assert "page step 1 of 1, click #call: nothing on the page" in result.join.attempts[0].failed
    assert "the page answered 403 Forbidden" in result.join.attempts[0].failed


def test_a_browser_that_is_too_old_is_named_with_its_version():
    old = Path(__file__).parent / "servers" / "old_chromium.py"
    scenario = find_scenario("1v1-social", ["target=page", f"target.browser={old}", *SHORT])
    result = run_probe(scenario, seed=1, clock="real")
    assert result.verdict == "inconclusive"
    assert f"{old} is Chromium 80.0.3987.132: 94 and later can be measured" in result.join.attempts[0].failed
