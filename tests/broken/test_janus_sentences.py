"""Janus targets that cannot be meant, and the sentence each gets before anything runs."""

from pathlib import Path

import pytest

from rtcprobe.call.targets.janus import make_target
from rtcprobe.errors import BadInputError
from rtcprobe.scenario import TargetPlan


def refusal(url, **options):
    with pytest.raises(BadInputError) as raised:
        make_target(TargetPlan(url=url, options=options, folder=Path("/nowhere")))
    return str(raised.value)


ROOM = "janus+ws://host:8188/videoroom/1234"
NO_PLUGIN = "names no plugin we can call: end it with /echotest, /videoroom/ROOM or /audiobridge/ROOM"
MORE = "holds more than an address: secrets are given as target.secret, .token or .pin"
LITERAL = "put it into an environment variable and write env:NAME, or into a file and write file:PATH"


@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("janus+ws://host:8188/videocall", f" {NO_PLUGIN}"),
        ("janus+ws://host:8188/videoroom/", f" {NO_PLUGIN}"),
        ("janus://host", f" {NO_PLUGIN}"),
        ("janus+http://host/echotest?room=3", f" {MORE}"),
        ("janus+http:///echotest", ": 'http:///echotest' names no host: write it like https://host/path"),
        ("janus+ws://host:0/echotest", ": port 0 of 'ws://host:0/echotest' does not exist: give 1 to 65535"),
    ],
)
def test_a_url_that_cannot_be_called_is_quoted_with_its_cure(url, rest):
    assert refusal(url) == f"target {url!r}{rest}"


def test_a_secret_in_the_url_is_refused_and_not_repeated():
    said = refusal("janus+ws://host/videoroom/1?pin=planted-pin")
    assert "planted-pin" not in said
    assert said.endswith("secrets are given as target.secret, .token or .pin")


@pytest.mark.parametrize(
    ("url", "options", "sentence"),
    [
        (ROOM, {"pim": "env:PIN"}, "target.pim is not known to janus+ws: did you mean pin?"),
        (ROOM, {"listeners": 0}, "target.listeners 0 is impossible: give 1 to 8"),
        (ROOM, {"listeners": True}, "target.listeners True is impossible: give 1 to 8"),
        (ROOM, {"listeners": "two"}, "target.listeners 'two' is impossible: give 1 to 8"),
        (
            "janus+ws://host/echotest",
            {"pin": "env:PIN"},
            "target.pin means nothing to the EchoTest: leave it out, or call a videoroom",
        ),
        (ROOM, {"secret": "planted-secret"}, f"target.secret is written out: {LITERAL}"),
        (ROOM, {"token": "env:UNSET"}, "target.token 'env:UNSET' is not set: export UNSET first"),
        (ROOM, {"ca": "no-ca.pem"}, "the CA file '/nowhere/no-ca.pem' cannot be read: No such file or directory"),
    ],
)
def test_an_option_that_cannot_be_meant_is_named_with_its_cure(url, options, sentence):
    assert refusal(url, **options) == sentence
