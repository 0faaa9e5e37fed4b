import pytest
from refusals import refusal_of

from rtcprobe.errors import BadInputError
from rtcprobe.scenario import find_scenario, library, parse_scenario, read_scenario

SMALL = """
name: small
caller: {region: bangkok, access: 4g-good}
callee: {region: singapore, access: wifi-good}
signaling: {region: singapore}
"""


def refusal(text, *settings):
    return refusal_of(parse_scenario, text, settings, called="my.yaml")


SETTINGS = {
    "call.jions=3": "call.jions is not known: did you mean joins?",
    "calls.joins=3": "calls is not known: did you mean call or caller or callee?",
    "call.duration=60": "call.duration: duration '60' has no unit: write it like 80ms",
    "call.duration=60x": "call.duration: duration '60x' has the unknown unit 'x': use one of us, µs, ms, s, min, m, h",
    "call.duration=0s": "call: duration 0ms is impossible: give above 0ms to 4h",
    "call.duration=3000h": "call: duration 3000h is impossible: give above 0ms to 4h",
    "call.duration=1e300s": "call: duration 1e+300s is impossible: give above 0ms to 4h",
    "call.duration=1e400s": "call.duration: duration '1e400s' is impossible: write it like 80ms",
    "call.join_timeout=11min": "call: join_timeout 11min is impossible: give above 0ms to 10min",
    "call.joins=0": "call.joins 0 is impossible: give 1 to 100000",
    "call.joins=many": "call.joins many is not a whole number: write it like 20",
    "caller.region=bankok": "caller.region 'bankok' is not known: did you mean bangkok?",
    "callee.access=wifi": "callee.access 'wifi' is not known: did you mean wifi-congested or wifi-good?",
    "signaling.connection=hot": "signaling.connection 'hot' is not known: use one of cold, warm",
    "link=loss 130%": "link: loss 130% is impossible: give 0% to 100%",
    "link.caller_to_callee=rate -3mbit": (
        "link.caller_to_callee: rate -3mbit is impossible: give 1kbit to 1000gbit; for a dead link use outages"
    ),
    "link=loss 2% burst 0.5": (
        "link: burst 0.5 is shorter than possible at loss 2%: "
        "give more than 1, or leave burst out for independent losses"
    ),
    "link={dealy: 3ms}": "link: link key 'dealy' is not known: did you mean delay?",
    "link={caller_to_callee: loss 3%, loss: 3%}": (
        "link.loss is not known: use one of caller_to_callee, callee_to_caller"
    ),
    "link=5": "link: link 5 is neither a line nor keys: write it like delay: 80ms",
    "rtt=-3ms": "rtt -3ms is impossible: give 0ms to 120s",
    "rtt=1e300ms": "rtt 1e+297s is impossible: give 0ms to 120s",
    "mouth.marker_level=21dB": "mouth: marker_level 21dB is impossible: give -30dB to 20dB",
    "playout=magic": "playout: playout 'magic' is not known: use neteq, neteq:100ms, fixed:60ms or aiortc",
    "playout=fixed:60": "playout: duration '60' has no unit: write it like 80ms",
    "playout=fixed:-60ms": "playout: playout delay -60ms is impossible: give 0ms to 10s",
    "dtls.timer=fast": "dtls.timer: timer 'fast' is not known: use openssl, libwebrtc, or a time like 200ms",
    "codec.bitrate=1e400bit": "codec.bitrate: rate '1e400bit' is impossible: write it like 1mbit",
    "codec.bitrate=1e300bit": "codec: Opus bitrate 1e+300bit is impossible: give 6kbps to 510kbps",
    "codec.bitrate=1kbit": "codec: Opus bitrate 1kbit is impossible: give 6kbps to 510kbps",
    "codec.expected_loss=130%": "codec: expected loss 130% is impossible: give 0% to 100%",
    "codec.fec=maybe": "codec.fec maybe is not true or false: write it like true",
    "codec=5": (
        "codec 5 is not a set of keys: it has the keys bitrate, ptime, application, complexity, fec, expected_loss, dtx"
    ),
    "devices.capture=-3ms": "devices: capture -3ms is impossible: give 0ms to 10s",
    "devices.playback=1e9s": "devices: playback 1e+09s is impossible: give 0ms to 10s",
    "dtls.timer=0ms": "dtls.timer: timer 0ms is impossible: give above 0ms to 60s",
    "dtls.timer=90s": "dtls.timer: timer 90s is impossible: give above 0ms to 60s",
    "name=../../../tmp/evil": (
        "name '../../../tmp/evil' is impossible: use small letters and digits, and . _ - after the first"
    ),
    "budgets=[join.frist_audio p95 < 1s]": (
        "budget 'join.frist_audio p95 < 1s': metric 'join.frist_audio' does not exist: "
        "the nearest: join.first_audio, join.first_packet, join.first_picture"
    ),
    "name=": "name None is not a text: write it like 1v1-social",
    "call.duration": "setting 'call.duration' cannot be read: write it like call.duration=10s",
    "call.duration.x=3": ("setting 'call.duration.x=3' reaches into call.duration, which has no keys: set it whole"),
    "codec.fec={": "setting 'codec.fec={' cannot be read: put the value in quotes",
}


def test_a_setting_that_cannot_be_meant():
    base = SMALL + "call: {duration: 10s}\n"
    told = {setting: refusal(base, setting) for setting in SETTINGS}
    assert told == {setting: f"my.yaml: {reason}" for setting, reason in SETTINGS.items()}


TEXTS = {
    "name: a\nname: b\n": "line 2: name is given twice: leave one out",
    "1: a\n": "line 1: the key 1 is not a word: put it in quotes",
    "[a, b]": "this is not a scenario: write name, and link, or parties, or caller, callee and signaling",
    "": "this is not a scenario: write name, and link, or parties, or caller, callee and signaling",
    "name: [a": "line 1: this is not YAML: expected ',' or ']', but got '<stream end>'",
    "name: !!python/name:os.system x": (
        "line 1: this is not YAML: "
        "could not determine a constructor for the tag 'tag:yaml.org,2002:python/name:os.system'"
    ),
    "name: a\nserves: 2026-13-45": "line 2: '2026-13-45' cannot be read: put it in quotes",
    f"name: {'9' * 5000}": f"line 1: '{'9' * 40}' cannot be read: put it in quotes",
    "name: a\x00b": "this is not YAML: unacceptable character #x0000: special characters are not allowed in "
    '"<unicode string>", position 7',
    SMALL.replace("signaling: {region: singapore}", ""): (
        "signaling is missing: it has the keys region, connection; or give link, which replaces the whole path"
    ),
    SMALL.replace(", access: wifi-good", ""): "callee.access is missing: write it like 4g-edge",
}


def test_a_text_that_is_no_scenario():
    assert {text: refusal(text) for text in TEXTS} == {text: f"my.yaml: {reason}" for text, reason in TEXTS.items()}


def test_a_round_trip_without_effect():
    assert refusal(SMALL, "rtt=30ms", "link=delay 40ms") == (
        "my.yaml: rtt has no effect where link replaces both directions: leave one of them out"
    )


def test_an_unknown_scenario_offers_the_nearest_names():
    with pytest.raises(BadInputError) as caught:
        find_scenario("1v1-socail")
    assert str(caught.value) == "scenario '1v1-socail' is not known: did you mean 1v1-social?"


def test_a_scenario_like_no_other_lists_them_all():
    with pytest.raises(BadInputError) as caught:
        find_scenario("zzz")
    assert str(caught.value) == f"scenario 'zzz' is not known: there are {', '.join(library())}, or give a .yaml file"


def test_a_scenario_file_that_is_not_there():
    with pytest.raises(BadInputError) as caught:
        find_scenario("nowhere/mine.yaml")
    assert str(caught.value) == "scenario nowhere/mine.yaml cannot be read: No such file or directory"


def test_a_scenario_file_that_is_no_text(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError) as caught:
        read_scenario(path)
    assert str(caught.value) == f"scenario {path} cannot be read: it is not UTF-8 text"


def test_a_malformed_trace_is_told_by_file_line_and_value(tmp_path):
    (tmp_path / "path.txt").write_text("40\nforty\n", encoding="utf-8")
    path = tmp_path / "x.yaml"
    path.write_text(SMALL + "link: {delay_trace: path.txt}\n", encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        read_scenario(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: link: ")
    assert "line 2" in message
    assert "'forty'" in message
