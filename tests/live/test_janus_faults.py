"""What goes wrong with a real Janus: each ends in time, in one sentence, and what was heard until then is kept."""

import contextlib
import threading
import time

import pytest
from janus import PIN_ROOM, ROOM
from runs import called

TRANSPORTS = ("janus+ws", "janus+http")
MARKERS = 9
"""Two a second, of which a whole call of 5 s has so many at the least."""

NO_ROOM = (
    "Janus, join room 99: the server answered error 426, 'No such room (99)': "
    "create the room on the server, or correct the URL"
)
NO_PIN = (
    "Janus, join room 4321: the server answered error 429, 'Missing mandatory element (pin)': "
    "give what is missing, such as the room's pin (target.pin)"
)
WRONG_PIN = (
    "Janus, join room 4321: the server answered error 433, 'Unauthorized (wrong pin)': "
    "check the room's pin (target.pin)"
)


def url(janus, scheme="janus+ws", path=f"videoroom/{ROOM}"):
    port = janus.ws_port if scheme == "janus+ws" else janus.http_port
    return f"{scheme}://{janus.address}:{port}/{path}"


@contextlib.contextmanager
def killed_when(server, happened, after_s):
    """Kill ``server`` (SIGKILL) ``after_s`` seconds after its log says that ``happened``."""

    def kill():
        end_s = time.monotonic() + 20
        while happened not in server.process.log.read_text(errors="replace") and time.monotonic() < end_s:
            time.sleep(0.005)
        time.sleep(after_s)
        server.process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        killer.join()


@pytest.mark.parametrize("scheme", TRANSPORTS)
def test_a_server_killed_in_the_call_keeps_what_was_heard(own_janus, scheme):
    server = own_janus()
    # The first DTLS that Janus logs is that of the only join; the call's follows a few hundred milliseconds later.
    with killed_when(server, "WebRTC media is now available", 3.5):
        begun_s = time.monotonic()
        result = called(url(server, scheme, "echotest"), "call.duration=5s")
    assert time.monotonic() - begun_s < 20
    assert result.exit_code == 3
    assert result.cut is not None
    assert "s into the call" in result.cut
    ear = result.mouth_to_ear["round_trip"]
    assert 1 <= ear.heard <= ear.scheduled < MARKERS
    assert [attempt.failed for attempt in result.join.attempts] == [None]


@pytest.mark.parametrize("scheme", TRANSPORTS)
def test_a_server_killed_in_a_join_is_said_with_the_step_it_had_come_to(own_janus, scheme):
    server = own_janus()
    with killed_when(server, "Creating new handle", 0.0):
        begun_s = time.monotonic()
        # A far-away server, so that it is dead before our next question reaches it.
        result = called(url(server, scheme), "link.caller_to_callee=delay 100ms", "link.callee_to_caller=delay 100ms")
    assert time.monotonic() - begun_s < 15
    assert result.exit_code == 3
    (attempt,) = result.join.attempts
    assert attempt.failed is not None
    assert "Janus" in attempt.failed
    (talker,) = result.join.of("caller")  # whom nobody had heard of yet
    assert "session_created" in talker.marks
    assert "answer_received" not in talker.marks


def test_a_server_that_comes_back_is_called_as_if_nothing_had_been(own_janus):
    server = own_janus()
    server.process.kill()
    refused = called(url(server))
    assert refused.exit_code == 3
    (attempt,) = refused.join.attempts
    assert "refuses the TCP connection: start the server, or correct host and port" in attempt.failed
    server.start()
    again = called(url(server), "call.duration=2s")
    assert [each.failed for each in again.join.attempts] == [None]


@pytest.mark.parametrize(
    ("path", "settings", "sentence"),
    [
        ("videoroom/99", [], NO_ROOM),
        (f"videoroom/{PIN_ROOM}", [], NO_PIN),
        (f"videoroom/{PIN_ROOM}", ["target.pin=env:LIVE_PIN"], WRONG_PIN),
    ],
)
def test_what_janus_refuses_is_the_reason_of_the_failed_join(janus, path, settings, sentence, monkeypatch):
    monkeypatch.setenv("LIVE_PIN", "planted-wrong-pin")
    result = called(url(janus, path=path), *settings)
    assert result.exit_code == 3
    assert [attempt.failed for attempt in result.join.attempts] == [sentence]
    assert "planted-wrong-pin" not in repr(result)


def test_an_http_server_that_is_no_janus_is_told_from_one(aiortc_echo):
    address = aiortc_echo.origin.removeprefix("http://")
    result = called(f"janus+http://{address}/echotest")
    (attempt,) = result.join.attempts
    assert attempt.failed.startswith("Janus, create session (POST http://")
    assert "405 Method Not Allowed" in attempt.failed or "404" in attempt.failed or "answer" in attempt.failed
