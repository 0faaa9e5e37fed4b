from importlib.metadata import EntryPoint
from pathlib import Path

import echo_target
import pytest

from rtcprobe.call.targets import base, janus, mix, page, rtpengine, sdp_http, sfu, whip
from rtcprobe.call.targets.base import find_target, target_schemes
from rtcprobe.call.targets.kinds import KINDS
from rtcprobe.call.targets.loopback import LoopbackTarget
from rtcprobe.errors import BadInputError
from rtcprobe.scenario import TargetPlan, scenario_schema
from rtcprobe.ways import BOTH_WAYS

ACME = EntryPoint("acme+http", "echo_target:make_target", base.GROUP)


@pytest.fixture
def _acme(monkeypatch):
    monkeypatch.setattr(base, "entry_points", lambda group: [ACME] if group == base.GROUP else [])


def test_nothing_said_is_the_loopback_on_either_clock():
    target = find_target(TargetPlan())
    assert isinstance(target, LoopbackTarget)
    assert (target.directions, target.clocks) == (BOTH_WAYS, ("virtual", "real"))


@pytest.mark.usefixtures("_acme")
def test_another_package_brings_a_target_by_its_scheme():
    target = find_target(TargetPlan(url="acme+http://echo.example:8080/kitchen"))
    assert isinstance(target, echo_target.AcmeTarget)
    assert target.sessions_url == "http://echo.example:8080/rooms/kitchen/sessions"
    assert target_schemes()[-1] == "acme+http"


def test_an_echo_measures_there_and_back_and_a_service_that_sends_nothing_back_joins_alone():
    assert find_target(TargetPlan(url="sdp+https://host/offer")).directions == ("round_trip",)
    assert find_target(TargetPlan(url="sdp+https://host/offer", options={"echo": False})).directions == ()


@pytest.mark.parametrize(
    ("url", "whip", "whep"),
    [
        ("whip+whep://host/live", "https://host/live/whip", "https://host/live/whep"),
        ("whip+whep://host", "https://host/whip", "https://host/whep"),
        (
            "whip+whep+http://host:8889/a/{publish,play}?s=1",
            "http://host:8889/a/publish?s=1",
            "http://host:8889/a/play?s=1",
        ),
        ("whip+whep://host/live/?key=7", "https://host/live/whip?key=7", "https://host/live/whep?key=7"),
    ],
)
def test_one_url_names_where_to_publish_and_where_to_listen(url, whip, whep):
    target = find_target(TargetPlan(url=url))
    assert (target.whip, target.whep) == (whip, whep)


def test_two_urls_do_too_and_the_name_holds_no_secret():
    target = find_target(
        TargetPlan(url="whip+whep", options={"whip": "https://a/in?token=abcdefgh", "whep": "https://b/out"})
    )
    assert (target.whip, target.whep) == ("https://a/in?token=abcdefgh", "https://b/out")
    assert target.name == "whip https://a/in?token=***, whep https://b/out"


def test_tokens_for_each_end_go_before_the_one_for_both(monkeypatch):
    monkeypatch.setenv("BOTH", "both-token")
    monkeypatch.setenv("LISTEN", "listen-token")
    options = {"token": "env:BOTH", "whep_token": "env:LISTEN"}
    target = find_target(TargetPlan(url="whip+whep://host/live", options=options))
    assert (target.whip_token.reveal(), target.whep_token.reveal()) == ("both-token", "listen-token")


@pytest.mark.parametrize("kind", [janus, page, sdp_http, whip], ids=["janus", "page", "sdp+http", "whip+whep"])
def test_editors_are_told_of_every_option_of_our_targets(kind):
    _url, keys = scenario_schema()["properties"]["target"]["anyOf"]
    assert set(kind.OPTIONS) <= {key for key, each in keys["properties"].items() if each["description"]}


def test_the_table_of_targets_holds_every_scheme_and_every_option_of_ours():
    told = {scheme: set() for kind in KINDS for scheme in kind.schemes}
    for kind in KINDS:
        for scheme in kind.schemes:
            told[scheme] |= set(kind.options)
    assert set(told) == set(base._BUILT_IN)
    read = {"whip+whep": whip.OPTIONS, "janus+wss": janus.OPTIONS, "sdp+https": sdp_http.OPTIONS, "loopback": ()}
    read |= {"page+https": page.OPTIONS, "sfu": sfu.OPTIONS, "mix": mix.OPTIONS, "rtpengine+ng": rtpengine.OPTIONS}
    assert {scheme: told[scheme] for scheme in read} == {scheme: set(options) for scheme, options in read.items()}


@pytest.mark.parametrize("kind", [each for each in KINDS if each.plain], ids=lambda each: each.written)
def test_every_kind_is_a_target_as_the_table_writes_it(kind):
    written = kind.written.replace("HOST:PORT", "sfu.example:8989").replace("HOST", "sfu.example")
    hears = {"one way": ("caller_to_callee",), "there and": ("round_trip",), "every way": BOTH_WAYS}
    found = find_target(TargetPlan(url=written))
    assert found.directions == next(ways for words, ways in hears.items() if kind.hears.startswith(words))
    shouted = find_target(TargetPlan(url=written.replace(kind.schemes[0], kind.schemes[0].upper())))
    assert type(shouted) is type(found)


def test_the_readme_has_the_table_of_targets():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for kind in KINDS:
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{kind.written}` |")]
        assert row.split(" | ")[1:3] == [kind.calls, kind.hears]
        assert row.split("|")[-2].strip() == ", ".join(f"`{option}`" for option in kind.options)


def test_a_textroom_is_a_number_or_a_name_of_a_room_beside_another():
    def plan(url, **options):
        return TargetPlan(url=url, options=options)

    for room in (1234, "chat"):
        assert find_target(plan("janus+ws://host/videoroom/1", textroom=room)).textroom == room
    for wrong in (True, "", 1.5):
        with pytest.raises(BadInputError, match=r"^target\.textroom .* is no room: write its number, like 1234$"):
            find_target(plan("janus+ws://host/audiobridge/1", textroom=wrong))
    with pytest.raises(BadInputError, match=r"^target\.textroom means nothing to the EchoTest"):
        find_target(plan("janus+ws://host/echotest", textroom=1))
