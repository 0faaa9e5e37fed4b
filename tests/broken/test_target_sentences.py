import pytest

from rtcprobe.call.targets import base
from rtcprobe.call.targets.base import find_target
from rtcprobe.errors import BadInputError
from rtcprobe.probe.run import check_target
from rtcprobe.scenario import TargetPlan, find_scenario


def refusal(url, **options):
    with pytest.raises(BadInputError) as caught:
        find_target(TargetPlan(url=url, options=options))
    return str(caught.value)


def scenario_refusal(*settings, clock="real"):
    with pytest.raises(BadInputError) as caught:
        check_target(find_scenario("1v1-social", settings), clock)
    return str(caught.value)


def test_a_scheme_nobody_knows():
    assert (
        refusal("wipp+whep://host/x")
        == "target 'wipp+whep://host/x' is of no known kind: did you mean whip+whep or whip+whep+http?"
    )
    assert refusal("ftp://host").startswith(
        "target 'ftp://host' is of no known kind: use one of loopback, sfu, mix, whip+whep, whip+whep+http, "
    )


def test_a_target_that_cannot_be_loaded(monkeypatch):
    class Broken:
        name, value = "acme", "acme_rtcprobe:make_target"

        def load(self):
            raise ImportError("No module named 'acme_rtcprobe'")

    monkeypatch.setattr(base, "entry_points", lambda group: [Broken()])  # noqa: ARG005 - asked by its name
    assert refusal("acme://host") == (
        "target 'acme://host' cannot be loaded from acme_rtcprobe:make_target: "
        "ImportError: No module named 'acme_rtcprobe'"
    )


def test_loopback_stands_alone():
    assert refusal("loopback://x") == (
        "target 'loopback://x' is impossible: loopback stands alone: both ends are emulated"
    )
    assert refusal("loopback", token="env:X") == "target.token is not known to loopback: it takes no options"


def test_options_nobody_reads():
    assert refusal("sdp+http://host/x", tokn="env:X") == ("target.tokn is not known to sdp+http: did you mean token?")
    assert refusal("whip+whep://host/x", nonsense=1) == (
        "target.nonsense is not known to whip+whep: use one of token, headers, ca, whip, whep, whip_token, whep_token, "
        "listeners, trickle, session_origin, kind, region"
    )


def test_addresses_that_cannot_be_called():
    assert refusal("sdp+http:///x") == "target: 'http:///x' names no host: write it like https://host/path"
    assert refusal("whip+whep", whip="https://a/in") == (
        "target.whep is missing: write it like whep: https://host/whep/room"
    )
    assert refusal("whip+whep", whip="wss://a/in", whep="https://a/out") == (
        "target.whip 'wss://a/in' is not an HTTP address: write it like https://host/path"
    )
    assert refusal("whip+whep://h/{a,b}/{c,d}") == (
        "target 'whip+whep://h/{a,b}/{c,d}' has more braces than one pair of words: write it like /{whip,whep}"
    )
    assert refusal("whip+whep://h/x", whip="https://a/in") == (
        "target has a url beside whip and whep: leave one of them out"
    )


def test_options_of_the_wrong_kind():
    assert refusal("sdp+http://h/x", body="xml") == "target.body 'xml' is not known: use sdp, json, form"
    assert refusal("sdp+http://h/x", echo="no") == "target.echo 'no' is not known: use true, false"
    assert refusal("sdp+http://h/x", fields={"a": 1}) == (
        "target.fields has no effect with body sdp: add body: json or body: form"
    )
    assert refusal("sdp+http://h/x", body="json", fields={"session": {"token": "abc"}}) == (
        "target.fields.session.token is written out: put it into an environment variable and write env:NAME, or into "
        "a file and write file:PATH"
    )
    assert refusal("sdp+http://h/x", body="json", fields=["a"]) == (
        "target.fields ['a'] is not a set of fields: write them like {model: gpt-realtime}"
    )
    assert refusal("whip+whep://h/x", listeners=99) == "target.listeners 99 is impossible: give 1 to 16"
    assert refusal("whip+whep://h/x", listeners="two") == "target.listeners 'two' is not a whole number: give 1 to 16"
    assert refusal("sdp+http://h/x", headers="X: 1") == (
        "target.headers 'X: 1' is not a set of headers: write them like {X-Region: eu}"
    )


def test_secrets_are_never_written_out_nor_quoted():
    cure = "put it into an environment variable and write env:NAME, or into a file and write file:PATH"
    assert refusal("sdp+http://h/x", token="s3cr3t") == f"target.token is written out: {cure}"
    assert refusal("sdp+http://h/x", headers={"X-Api-Key": "s3cr3t"}) == (
        f"target.headers.X-Api-Key is written out: {cure}"
    )


def test_an_outside_target_in_virtual_time():
    assert scenario_refusal("target=sdp+http://h/x", clock="virtual") == (
        "target sdp+http://h/x cannot be called in virtual time: time passes at a real server: add --real-time"
    )


def test_a_budget_for_a_direction_that_is_not_measured():
    budgets = 'budgets=["mouth_to_ear.callee_to_caller p50 < 100ms"]'
    assert scenario_refusal("target=whip+whep://h/x", budgets) == (
        "budget 'mouth_to_ear.callee_to_caller p50 < 100ms': whip+whep://h/x does not measure that way: "
        "it measures caller_to_callee"
    )
    budgets = 'budgets=["mouth_to_ear p50 < 100ms"]'
    assert scenario_refusal("target={url: sdp+http://h/x, echo: false}", budgets) == (
        "budget 'mouth_to_ear p50 < 100ms': sdp+http://h/x does not measure that way: it measures joins alone"
    )


def test_targets_in_a_scenario():
    def refused(setting):
        with pytest.raises(BadInputError) as caught:
            find_scenario("1v1-social", [setting])
        return str(caught.value)

    where = "scenario 1v1-social: "
    assert refused("target=7") == f"{where}target 7 is not a target: write a URL, or keys: url, region, token"
    assert refused("target={token: env:X}") == (
        f"{where}target.url is missing: write it like url: janus+ws://host:8188/echotest"
    )
    assert refused("target={url: sdp+http://h/x, region: bangkock}") == (
        f"{where}target.region 'bangkock' is not known: did you mean bangkok?"
    )


def test_a_distance_said_twice():
    with pytest.raises(BadInputError) as caught:
        find_scenario("1v1-social", ["target={url: sdp+http://h/x, region: tokyo}", "rtt=30ms"])
    assert str(caught.value) == (
        "scenario 1v1-social: rtt and target.region both say how far it is: leave one of them out"
    )
