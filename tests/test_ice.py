import base64

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.ice import IceServer, IceSettings, read_ice, servers_of_links
from rtcprobe.secrets import Secret


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    monkeypatch.setenv("TURN_PASSWORD", "a long-term password")
    monkeypatch.setenv("TURN_SECRET", "a shared secret")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("stun:stun.example", "stun:stun.example:3478"),
        ("turn:turn.example", "turn:turn.example:3478?transport=udp"),
        ("turn:192.0.2.7:80?transport=tcp", "turn:192.0.2.7:80?transport=tcp"),
        ("turns:Turn.Example", "turns:turn.example:5349?transport=tcp"),
        ("turns:turn.example:443?transport=tcp", "turns:turn.example:443?transport=tcp"),
        ("TURN:[2001:db8::7]:5000", "turn:[2001:db8::7]:5000?transport=udp"),
    ],
)
def test_urls_mean_what_rfc_7064_and_7065_say(written, meant):
    (server,) = read_ice({"servers": [written]}).servers
    assert server.url == meant


def test_one_entry_may_name_several_urls_and_all_get_its_credentials():
    entry = {"urls": ["turn:a", "turns:a"], "username": "me", "credential": "env:TURN_PASSWORD"}
    settings = read_ice({"servers": [entry], "policy": "relay"})
    assert [each.transport for each in settings.servers] == ["udp", "tls"]
    assert {each.credentials(0.0) for each in settings.servers} == {("me", "a long-term password")}
    assert settings.policy == "relay"
    assert "password" not in repr(settings).replace("password=", "").replace("TURN_PASSWORD", "")


def test_nobody_is_asked_who_was_not_named():
    assert read_ice({}) == IceSettings() == IceSettings(servers=(), policy="all")


def test_time_limited_credentials_hold_for_a_day_and_are_secrets_themselves():
    # draft-uberti-behave-turn-rest-00 §2.2; coturn itself is asked in tests/live/test_turn.py.
    server = read_ice({"servers": [{"urls": "turn:a", "username": "me", "secret": "env:TURN_SECRET"}]}).servers[0]
    username, password = server.credentials(1_700_000_000.9)
    assert username == "1700086400:me"
    assert len(base64.b64decode(password)) == 20
    assert server.credentials(1_700_000_001.0).password != password
    assert server.credentials(1_700_000_000.0).password == password


def test_servers_come_in_link_headers_several_to_one_and_others_are_left_out():
    # The example of RFC 9725 §4.6, and what else may stand in such a header.
    headers = [
        '<stun:stun.example.net>; rel="ice-server"',
        (
            '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="myPassword"; '
            'credential-type="password", <turns:turn.example.net>; rel=ice-server; username="a;b,c"; credential="q\\"x"'
        ),
        '<https://example.net/doc>; rel="help", <turn:bad url>; rel="ice-server", <stuns:x>; rel="ice-server"',
        "nonsense",
    ]
    servers = servers_of_links(headers)
    assert [each.url for each in servers] == [
        "stun:stun.example.net:3478",
        "turn:turn.example.net:3478?transport=udp",
        "turns:turn.example.net:5349?transport=tcp",
    ]
    assert servers[1].credentials(0.0) == ("user", "myPassword")
    assert servers[2].credentials(0.0) == ("a;b,c", 'q"x')
    assert "myPassword" not in repr(servers)


def test_servers_of_the_target_join_those_of_the_scenario_once():
    settings = read_ice({"servers": ["stun:a", "stun:b"]})
    more = (IceServer(kind="stun", host="b", port=3478, transport="udp"), *read_ice({"servers": ["turn:c"]}).servers)
    assert [each.url for each in settings.and_servers(more).servers] == [
        "stun:a:3478",
        "stun:b:3478",
        "turn:c:3478?transport=udp",
    ]


CURE = "write it like turn:host:3478?transport=tcp, turns:host or stun:host"


REFUSALS = [
    ("turn:host", "ice 'turn:host' has no keys: write it like {servers: [{urls: turn:host}], policy: relay}"),
    ({"server": []}, "ice.server is not known: there are servers, policy, ca"),
    ({"policy": "none"}, "ice.policy 'none' is not known: write all or relay"),
    ({"servers": "turn:a"}, "ice.servers 'turn:a' is not a list: write it like [{urls: turn:host}]"),
    ({"servers": [7]}, "ice.servers[0] 7 has no keys: write it like {urls: turn:host, username: me}"),
    ({"servers": [{"urls": []}]}, f"ice.servers[0] has no urls: {CURE}"),
    (
        {"servers": ["stun:a", "http://a"]},
        f"ice.servers[1]: 'http://a' is not the URL of a STUN or TURN server: {CURE}",
    ),
    ({"servers": ["turn:a:0"]}, "ice.servers[0]: port 0 of 'turn:a:0' does not exist: give 1 to 65535"),
    (
        {"servers": ["stuns:a"]},
        "ice.servers[0]: 'stuns:a' asks STUN over TLS, which tells nothing about UDP: write stun: instead",
    ),
    (
        {"servers": ["stun:a?transport=tcp"]},
        "ice.servers[0]: 'stun:a?transport=tcp' gives STUN a transport: leave ?transport out",
    ),
    (
        {"servers": ["turns:a?transport=udp"]},
        (
            "ice.servers[0]: 'turns:a?transport=udp' asks for a transport that is not offered: turn: takes udp or "
            "tcp, turns: tcp"
        ),
    ),
    ({"servers": ["turn:[zz]"]}, f"ice.servers[0]: 'turn:[zz]' is not the URL of a STUN or TURN server: {CURE}"),
    (
        {"servers": [{"urls": "turn:a", "credential": "env:TURN_PASSWORD"}]},
        "ice.servers[0] has a credential and no username: name both",
    ),
    (
        {"servers": [{"urls": "turn:a", "username": "me"}]},
        "ice.servers[0] has a username and no credential: write credential: env:NAME or secret: env:NAME",
    ),
    (
        {"servers": [{"urls": "turn:a", "credential": "env:TURN_PASSWORD", "secret": "env:TURN_SECRET"}]},
        "ice.servers[0] has both credential and secret: a password or the shared secret, not both",
    ),
    (
        {"servers": [{"urls": "turn:a", "username": "me", "credential": "hunter22"}]},
        (
            "ice.servers[0].credential is written out: put it into an environment variable and write env:NAME, or "
            "into a file and write file:PATH"
        ),
    ),
    (
        {"servers": [{"urls": "turn:a", "password": 1}]},
        "ice.servers[0].password is not known: there are urls, username, credential, secret",
    ),
    ({"ca": 7}, "ice.ca 7 is not a file: write its path"),
]


def refusal_of(written):
    try:
        read_ice(written)
    except BadInputError as error:
        return str(error)
    return "not refused"


def test_what_cannot_be_meant_is_refused():
    assert [(written, refusal_of(written)) for written, _ in REFUSALS] == REFUSALS


def test_a_secret_in_a_url_is_not_repeated():
    with pytest.raises(BadInputError) as caught:
        read_ice({"servers": [f"turn://me:{Secret('pl@nted').reveal()}@host"]})
    assert "pl@nted" not in str(caught.value)
