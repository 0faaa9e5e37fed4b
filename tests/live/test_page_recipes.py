"""The recipes of ``scenarios/pages``, each run as it stands against what it is for; only addresses are changed."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

import pytest
from pages import DEMOS, Pages, janus_demos
from presence import INSTALLED, missing, need
from runs import kept_run
from services import AiortcSfu, LiveKitRoom

from rtcprobe.scenario import library_folder

RECIPES = library_folder() / "pages"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SHORT = (
    "target.hosts=[]",
    "devices={capture: 0ms, playback: 0ms}",
    "call={calls: 1, duration: 4s, joins: 1, join_timeout: 40s}",
)
WAYS = ("caller_to_callee", "callee_to_caller")


@pytest.fixture(autouse=True)
def _browser(network):
    assert network.address
    need(*BROWSERS)
    if find_spec("playwright") is None:
        missing("playwright")


def run(recipe, url, *settings):
    """Return a run of ``recipe``, whose page is at ``url``: whatever the machine made of its figures."""
    result = kept_run(str(RECIPES / f"{recipe}.yaml"), f"target.url=page+{url}", *SHORT, *settings)
    (join,) = result.join.attempts
    assert join.failed is None
    # Contiguous: each phase begins where the one before it ended.
    assert sum(join.phases.values()) == pytest.approx(join.marks["first_audio"])
    for page in result.parties.values():
        assert page["media"].startswith("all of it passed our link")
    return result


def heard(result, *ways, network_s=0.04):
    """Hold the delays of ``ways`` against what they cannot be below: 26.5 ms of encoder, and the link."""
    for way in ways:
        assert min(each.delay_s for each in result.mouth_to_ear[way].samples) > 0.0264 + network_s


@pytest.fixture
def served(network, tmp_path):
    """Start a server of the pages beside the recipes; return its URL."""
    folder = shutil.copytree(RECIPES, tmp_path / "pages")
    pages = Pages(network.address, folder)
    pages.start()
    yield pages.url
    pages.process.stop()


@pytest.fixture(params=["one connection", "an old server"])
def livekit(request, network, tmp_path, monkeypatch):
    """A stand-in for LiveKit, of today or of before its version 1.9; the page is served with it, tokens are set."""
    script = INSTALLED / "npm" / "node_modules" / "livekit-client" / "dist" / "livekit-client.umd.js"
    need(str(script))
    need(str(INSTALLED / "agents" / "bin" / "python"))
    folder = tmp_path / "pages"
    shutil.copytree(RECIPES, folder)
    shutil.copy(script, folder)
    server = LiveKitRoom(network.address, tmp_path / "livekit", INSTALLED, folder)
    server.start()
    monkeypatch.setenv("LIVEKIT_URL", server.url)
    room = "old-room" if request.param == "an old server" else "room"
    for party in ("caller", "callee"):
        monkeypatch.setenv(f"LIVEKIT_TOKEN_{party}", server.token(party, room))
    yield server
    server.process.stop()


def test_two_pages_with_livekit_client_hear_each_other_through_its_signalling(livekit):
    result = run("livekit", f"{livekit.origin}/livekit.html", "link=delay 40ms")
    phases = [*result.join.attempts[0].phases, "microphone_given"]
    # Its connection is there before it asks for a microphone: phases stand in the order in which they came about. A
    # microphone that came after the other was heard is no part of the join.
    assert phases.index("connection_made") < phases.index("dtls") < phases.index("microphone_given")
    heard(result, *WAYS)


def test_the_room_demo_of_janus_is_met_in_by_two_pages(janus, tmp_path):
    need(str(DEMOS / "videoroomtest.html"))
    pages = Pages(janus.address, janus_demos(tmp_path / "demos", janus))
    pages.start()
    try:
        result = run("janus-videoroom", f"{pages.url}/videoroomtest.html?room=1234", "link=delay 40ms")
    finally:
        pages.process.stop()
    heard(result, *WAYS)


def test_a_page_that_speaks_by_whip_hears_itself_by_whep(network, served, tmp_path, monkeypatch):
    server = AiortcSfu(network.address, tmp_path / "sfu")
    server.start()
    monkeypatch.setenv("WHIP_URL", f"{server.origin}/whip")
    monkeypatch.setenv("WHEP_URL", f"{server.origin}/whep")
    try:
        result = run("whip", f"{served}/whip.html", "link=delay 40ms")
    finally:
        server.process.stop()
    heard(result, "round_trip", network_s=0.08)
