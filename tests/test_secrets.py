import json
import pickle
from dataclasses import dataclass, replace
from urllib.parse import quote

import pytest

from rtcprobe import secrets
from rtcprobe.errors import BadInputError
from rtcprobe.result import Result
from rtcprobe.secrets import Secret, hiding, read_secret, scrub, scrubbed
from rtcprobe.verdict import judge, parse_budget


@pytest.fixture(autouse=True)
def _forgotten():
    """Let no test know the secrets of another; those of other modules are known to them when this one is done."""
    before = dict(secrets._known), dict(secrets._stray)
    secrets._known.clear()
    secrets._stray.clear()
    yield
    for known, held in zip((secrets._known, secrets._stray), before, strict=True):
        known.clear()
        known.update(held)


VALUE = "pl@nted/s3cret+value&more"


def test_a_secret_prints_as_stars_whatever_prints_it():
    secret = Secret(VALUE, "env:TOKEN")
    for shown in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{[secret]}",
        "{}".format(secret),  # noqa: UP032 - this way too
        str({1: secret}),
    ):
        assert VALUE not in shown
    assert f"{secret:>5}" == "  ***"
    assert secret.reveal() == VALUE


def test_a_secret_survives_the_way_to_a_worker_process_and_is_equal_to_itself():
    secret = Secret(VALUE, "env:TOKEN")
    assert pickle.loads(pickle.dumps(secret)) == secret
    assert secret != Secret("another value", "env:TOKEN")
    assert len({secret, Secret(VALUE)}) == 1


def test_it_is_read_from_the_environment_or_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("RTCPROBE_TEST_TOKEN", VALUE)
    (tmp_path / "token").write_text(f"{VALUE}\n")
    for written in ("env:RTCPROBE_TEST_TOKEN", f"file:{tmp_path / 'token'}"):
        secret = read_secret(written)
        assert (secret.reveal(), secret.source) == (VALUE, written)


@pytest.mark.parametrize(
    "form", [VALUE, quote(VALUE), quote(VALUE, safe=""), json.dumps(VALUE), VALUE.replace("&", "&amp;"), repr(VALUE)]
)
def test_a_known_secret_is_scrubbed_in_every_form_it_takes(form):
    Secret(VALUE)
    assert (
        scrub(f"the server said {form!s} and left").replace('"', "").replace("'", "") == "the server said *** and left"
    )


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("POST https://me:pass@host/x", "POST https://***@host/x"),
        ("https://host/x?access_token=abc&room=7", "https://host/x?access_token=***&room=7"),
        ("wss://host/?room=7&TOKEN=abc", "wss://host/?room=7&TOKEN=***"),
        ("'Authorization': 'Bearer abc.def'", "'Authorization': 'Bearer ***'"),
        ("authorization: basic YWJj", "authorization: basic ***"),
        ("turn:host:3478?transport=tcp", "turn:host:3478?transport=tcp"),
        ("mail me@host, see https://host/@user", "mail me@host, see https://host/@user"),
        ("a bearer of news; the token ran out", "a bearer of news; the token ran out"),
    ],
)
def test_what_looks_like_a_secret_is_scrubbed_and_other_text_is_left(text, clean):
    assert scrub(text) == clean


@pytest.mark.parametrize("hidden", ["(POST http://host/x?token=***): gone", "(Authorization: Bearer ***): gone"])
def test_scrubbed_twice_a_sentence_loses_nothing_more(hidden):
    assert scrub(hidden) == hidden
    assert scrub(hidden.replace("***", "***x")) != hidden.replace("***", "***x")  # a value that begins like this


def test_a_short_secret_hides_where_it_stands_alone_and_leaves_figures_be():
    Secret("1357")
    assert scrub("pin 1357 at 0.13579 s, 21357 packets, 13.57 ms, pin=1357") == (
        "pin *** at 0.13579 s, 21357 packets, 13.57 ms, pin=***"
    )


@dataclass(frozen=True)
class Record:
    reasons: tuple[str, ...]
    figures: dict
    inner: object = None


def test_records_and_plain_structures_are_scrubbed_whole_but_for_their_keys():
    Secret(VALUE)
    record = Record((f"said {VALUE}",), {VALUE: [1.5, VALUE, None]}, Record((VALUE,), {}))
    assert scrubbed(record) == Record(("said ***",), {VALUE: [1.5, "***", None]}, Record(("***",), {}))
    clean = Record(("fine",), {"a": 1})
    assert scrubbed(clean) is clean


@pytest.mark.parametrize(
    "word", ["rtcprobe", "caller", "seed", "delay", "pass", "virtual", "neteq", "first_audio", "32kbit"]
)
def test_a_secret_that_is_a_word_of_a_result_changes_no_figure_of_it(make_result, word):
    settings = {"codec": {"application": "voip", "bitrate": "32kbit"}, "playout": "neteq"}
    result = judge(make_result(settings=settings, clock="virtual"), [parse_budget("join.first_audio p50 < 9s")])
    with hiding():
        Secret(word)
        told = replace(result, warnings=(f"the server said {word}.", f"https://host/{word}"))
        clean = scrubbed(told)
        assert clean.warnings == ("the server said ***.", "https://host/***")
        assert replace(clean, warnings=()).to_dict() == replace(result, warnings=()).to_dict()
        assert Result.from_dict(clean.to_dict()) == Result.from_dict(clean.to_dict())


def test_what_a_server_gave_is_hidden_in_its_own_run_alone_and_not_where_it_is_short():
    with hiding():
        Secret("given-by-a-server", passing=True)
        Secret("caller", passing=True)
        assert scrub("caller: given-by-a-server") == "caller: ***"
        with hiding():
            assert scrub("given-by-a-server") == "given-by-a-server"
    assert scrub("given-by-a-server") == "given-by-a-server"


def test_an_error_that_leaves_a_run_is_rid_of_what_a_server_gave():
    def fail():
        with hiding():
            Secret("given-by-a-server", passing=True)
            raise BadInputError("bad given-by-a-server", "ask given-by-a-server")

    with pytest.raises(BadInputError, match=r"^bad \*\*\*: ask \*\*\*$"):
        fail()


def test_what_is_known_does_not_grow_for_ever():
    for number in range(2000):
        Secret(f"rotated-{number:05d}")
        Secret(f"passing-{number:05d}", passing=True)
        Secret(VALUE)  # one that is used again and again
    assert scrub(f"rotated-01999 {VALUE} rotated-00000") == "*** *** rotated-00000"
    assert len(secrets._sought((*secrets._known, *secrets._stray))) < 1000


def refusal(written, **more):
    with pytest.raises(BadInputError) as caught:
        read_secret(written, **more)
    return str(caught.value)


CURE = "put it into an environment variable and write env:NAME, or into a file and write file:PATH"


def test_a_literal_is_refused_and_not_quoted():
    for literal in ("sk-planted", "env:sk-planted", "bearer:planted", 1234, None, ""):
        assert refusal(literal) == f"the token is written out: {CURE}"
    assert refusal("env:", what="the TURN password") == f"the TURN password 'env:' names nothing: {CURE}"


def test_what_a_secret_cannot_be_read_from(monkeypatch, tmp_path):
    monkeypatch.delenv("RTCPROBE_TEST_TOKEN", raising=False)
    name, path = "env:RTCPROBE_TEST_TOKEN", tmp_path / "token"
    assert refusal(name) == f"the token '{name}' is not set: export RTCPROBE_TEST_TOKEN first"
    monkeypatch.setenv("RTCPROBE_TEST_TOKEN", "")
    assert refusal(name) == f"the token '{name}' is empty: put the value into RTCPROBE_TEST_TOKEN"
    monkeypatch.setenv("RTCPROBE_TEST_TOKEN", "a\r\nX-Evil: b")
    assert refusal(name) == f"the token '{name}' holds several lines or control characters: one line, please"
    assert refusal(f"file:{path}") == f"the token 'file:{path}' cannot be read: No such file or directory"
    cure = "name a file that holds the value alone"
    for content, fact in (
        (b" \n", "is empty: put the value into it"),
        (b"a\nb\n", "holds several lines or control characters: one line, please"),
        (b"\xff\xfa", f"is not text: {cure}, in UTF-8"),
        (b"x" * 20_000, f"is larger than 16384 bytes: {cure}"),
    ):
        path.write_bytes(content)
        assert refusal(f"file:{path}") == f"the token 'file:{path}' {fact}"
