"""Every sentence that a bad configuration of serve, web config, push flag or address gets, by its exact text."""

from pathlib import Path

import httpx
import pytest
from refusals import refusal_of

from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.exporter.config import parse_config, read_config
from rtcprobe.exporter.push import Gateway
from rtcprobe.exporter.server import bind
from rtcprobe.exporter.webconfig import read_web_config

ONE = "probes: [{name: a, scenario: 1v1-social%s}]"


CONFIGURATIONS = [
    ("", "c: this is not a set of keys: it has the keys probes, defaults, concurrency, on_demand, reports"),
    ("probes: []", "c: there is nothing to run: name at least one of probes or on_demand"),
    ("probes: {a: b}", "c: probes is not a list: begin each entry with a dash"),
    ("probs: []", "c: probs is not known: did you mean probes?"),
    (
        "probes: [x]",
        (
            "c: probes[1] is not a set of keys: it has the keys name, scenario, target, interval, jitter, "
            "timeout, clock, set, objectives"
        ),
    ),
    ("probes: [{scenario: 1v1-social}]", "c: probes[1].name is missing: write it like bangkok-singapore"),
    (
        "probes: [{name: A B, scenario: x}]",
        ("c: probes[1].name 'A B' is impossible: use small letters and digits, and . _ - after the first, 64 at most"),
    ),
    (
        "probes: [{name: ../x, scenario: x}]",
        ("c: probes[1].name '../x' is impossible: use small letters and digits, and . _ - after the first, 64 at most"),
    ),
    ("probes: [{name: a}]", "c: probe a: scenario is missing: write it like 1v1-social"),
    (
        "probes: [{name: a, scenario: 1v1-socal}]",
        ("c: probe a: scenario '1v1-socal' is not known: did you mean 1v1-social?"),
    ),
    (ONE % ", interval: 10", "c: probe a: interval: duration '10' has no unit: write it like 80ms"),
    (ONE % ", interval: 10ms", "c: probe a: interval '10ms' is impossible: give 1s to 10080min"),
    (ONE % ", interval: 5s, jitter: 6s", "c: probe a: jitter 6s is longer than the interval of 5s: give less"),
    (ONE % ", timeout: 0s", "c: probe a: timeout '0s' is impossible: give 1s to 10080min"),
    (ONE % ", clock: fast", "c: probe a: clock 'fast' is not known: use virtual or real"),
    (ONE % ", inteval: 5s", "c: probes[1].inteval is not known: did you mean interval?"),
    (ONE % ", set: [a]", "c: probe a: set is not a set of keys: write it like {call.joins: 5}"),
    (
        ONE % ", set: {call.joins: 0}",
        "c: probe a: scenario 1v1-social: call.joins 0 is impossible: give 1 to 100000",
    ),
    (
        ONE % ", target: loopback, set: {target: x}",
        "c: probe a: target and set.target are given together: leave one out",
    ),
    (
        ONE % ", target: 'janus+ws://127.0.0.1/echotest', clock: virtual",
        ("c: probe a: time passes at an outside target: write clock: real, or leave it out"),
    ),
    (ONE % ", objectives: {joins: {}}", "c: probe a: objectives.joins is not known: did you mean join?"),
    (
        ONE % ", objectives: {join: {limit: 600}}",
        ("c: probe a: objectives.join.limit: duration '600' has no unit: write it like 80ms"),
    ),
    (
        ONE % ", objectives: {join: {share: 100%}}",
        ("c: probe a: objectives.join.share '100%' is impossible: give above 0% and below 100%"),
    ),
    (
        "probes: [{name: a, scenario: 1v1-social}, {name: a, scenario: 1v1-social}]",
        "c: two probes are named a: names tell their metrics apart: rename one",
    ),
    ("concurrency: 0\n" + ONE % "", "c: concurrency 0 is impossible: give a whole number, 1 to 64"),
    (
        "reports: {folder: r, limit: 0MB}\n" + ONE % "",
        ("c: reports.limit '0MB' is impossible: give above 0MB, or leave reports out"),
    ),
    ("reports: {limit: 5MB}\n" + ONE % "", "c: reports.folder is missing: write it like reports"),
    (
        "on_demand: {scenarios: [x]}",
        (
            "c: on_demand: scenario 'x' is not known: there are 1v1-long-haul, 1v1-social, 1v1-video, "
            "community-stage, cross-border-seller, live-commerce, spoken-practice, spoken-practice-turns, "
            "video-support, voice-assistant, voice-assistant-barge-in, voice-room, voice-room-pair, or give a .yaml "
            "file"
        ),
    ),
    ("a: 1\na: 2", "c: line 2: a is given twice: leave one out"),
    ("probes: [", "c: line 1: this is not YAML: expected the node content, but found '<stream end>'"),
]


def test_a_bad_configuration_is_refused_in_a_sentence():
    assert [
        (text, refusal_of(parse_config, text, called="c", folder=Path())) for text, _ in CONFIGURATIONS
    ] == CONFIGURATIONS


def test_a_target_keeps_its_token_and_region_wherever_they_are_written(monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cr3t-t0ken")
    url = "whip+whep://127.0.0.1:1/x"
    for text in (
        (
            f"probes: [{{name: a, scenario: 1v1-social, target: '{url}', "
            "set: {target.token: env:TOKEN, target.region: tokyo}}]"
        ),
        (
            f"probes: [{{name: a, scenario: 1v1-social, set: {{target.token: env:TOKEN, target.region: tokyo, "
            f"target: '{url}'}}}}]"
        ),
        (
            "defaults: {set: {target.token: env:TOKEN, target.region: tokyo}}\n"
            f"probes: [{{name: a, scenario: 1v1-social, target: '{url}'}}]"
        ),
        (
            f"probes: [{{name: a, scenario: 1v1-social, set: {{target.url: '{url}', target.token: env:TOKEN, "
            "target.region: tokyo}}]"
        ),
    ):
        (plan,) = parse_config(text).probes
        target = plan.scenario.target
        assert (target.url, target.region, target.options) == (url, "tokyo", {"token": "env:TOKEN"}), text
        assert plan.job.clock == "real"


def test_no_sentence_of_a_configuration_quotes_a_secret():
    text = ONE % ", target: 'whip+whep://u:hunter2@h/x?token=hunter3', clock: fast"
    with pytest.raises(BadInputError) as caught:
        parse_config(text, called="c", folder=Path())
    assert "hunter" not in str(caught.value)
    with pytest.raises(BadInputError) as caught:
        parse_config(ONE % ", target: 'wihp+whep://u:hunter2@h/x?token=hunter3'", called="c", folder=Path())
    assert "hunter" not in str(caught.value)


def test_a_configuration_that_is_not_there_is_refused():
    with pytest.raises(
        BadInputError, match=r"^configuration /nowhere/p.yaml cannot be read: No such file or directory$"
    ):
        read_config(Path("/nowhere/p.yaml"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "basic_auth_users: {ci: hunter2}",
            "basic_auth_users.ci is not a bcrypt hash: make one with htpasswd -nBC 12 USER",
        ),
        *(
            (
                f"basic_auth_users: {{ci: '$2b${cost}${'.' * 53}'}}",
                (
                    f"basic_auth_users.ci has a bcrypt hash of cost {int(cost)}: "
                    "give 4 to 14, as htpasswd -nBC 12 USER does"
                ),
            )
            for cost in ("31", "15", "99", "03")
        ),
        (
            f"basic_auth_users: {{ci: '$2b$12${'!' * 53}'}}",
            "basic_auth_users.ci is not a bcrypt hash: make one with htpasswd -nBC 12 USER",
        ),
        ("basic_auth_users: [ci]", "basic_auth_users is not a set of keys: write each user with a bcrypt hash"),
        (
            "tls_server_config: {cert_file: a}",
            "tls_server_config.key_file is missing: give both cert_file and key_file",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b}",
            ("certificate a and its key cannot be used: No such file or directory"),
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}",
            ("tls_server_config.min_version 'TLS10' is not known: use TLS12 or TLS13"),
        ),
        (
            "tls_server_config: {ciphers: a}",
            (
                "ciphers is not known: rtcprobe understands cert_file, key_file, "
                "client_auth_type, client_ca_file, min_version, max_version"
            ),
        ),
        (
            "http_server_config: {}",
            ("http_server_config is not known: rtcprobe understands tls_server_config, basic_auth_users"),
        ),
        ("[]", "it is not a set of keys: it has the keys tls_server_config, basic_auth_users"),
    ],
)
def test_a_bad_web_config_is_refused_and_no_password_quoted(tmp_path, text, sentence):
    path = tmp_path / "web.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        read_web_config(path)
    assert str(caught.value) == f"web config {path}: {sentence}"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("listen", "sentence"),
    [
        ("9817", "--listen '9817' is no address: write it like 127.0.0.1:9817 or [::1]:9817"),
        ("127.0.0.1:99999", "--listen '127.0.0.1:99999' is no address: write it like 127.0.0.1:9817 or [::1]:9817"),
        ("203.0.113.1:9817", "--listen 203.0.113.1:9817 cannot be had: Cannot assign requested address"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused(listen, sentence):
    with pytest.raises(BadInputError) as caught:
        bind(listen)
    assert str(caught.value) == sentence


def test_a_port_in_use_is_refused():
    with bind("127.0.0.1:0") as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadInputError) as caught:
            bind(listen)
    assert str(caught.value) == f"--listen {listen} cannot be had: Address already in use"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"url": "gateway:9091"}, "--push 'gateway:9091' is no URL: write it like http://127.0.0.1:9091"),
        (
            {"url": "http://ci:hunter2@h:9091"},
            (
                "--push 'http://***@h:9091' carries a password: leave it out of the URL and "
                "give --push-auth USER:env:NAME"
            ),
        ),
        ({"url": "http://h/?a=b"}, "--push 'http://h/?a=b' has more than an address: end it with the path"),
        (
            {"url": "http://h", "grouping": ["instance"]},
            ("--push-grouping 'instance' cannot be read: write it like instance=ci-7"),
        ),
        ({"url": "http://h", "grouping": ["job=x"]}, "--push-grouping job is taken: choose another name"),
        (
            {"url": "http://h", "auth": "ci:hunter2"},
            (
                "the password of --push-auth is written out: put it into an "
                "environment variable and write env:NAME, or into a file and write file:PATH"
            ),
        ),
    ],
)
def test_a_push_that_cannot_be_meant_is_refused(given, sentence):
    with pytest.raises(BadInputError) as caught:
        Gateway(**given)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            httpx.Response(400, text="pushed metrics\nare invalid"),
            ("the Pushgateway http://h:1 refused it with 400: pushed metrics are invalid"),
        ),
        (
            httpx.ConnectError("[Errno 111] Connection refused"),
            ("the Pushgateway http://h:1 was not reached: [Errno 111] Connection refused"),
        ),
        (httpx.ReadTimeout("slow"), "the Pushgateway http://h:1 did not answer within 10 s"),
    ],
)
def test_a_gateway_that_fails_is_a_sentence(monkeypatch, answer, sentence):
    def request(*_given, **_more):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(httpx, "request", request)
    with pytest.raises(MeasurementError) as caught:
        Gateway("http://h:1/").delete("1v1-social")
    assert str(caught.value) == sentence


def test_groups_are_named_as_a_pushgateway_reads_them():
    gateway = Gateway("http://h:1/prefix/", ["instance=ci/7", "branch=a b", "empty="])
    assert gateway.place("1v1-social") == (
        "http://h:1/prefix/metrics/job/rtcprobe/probe/1v1-social/instance@base64/Y2kvNw==/branch/a%20b/empty@base64/="
    )
