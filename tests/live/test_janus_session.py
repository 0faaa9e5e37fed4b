"""Sessions at a real Janus: both transports, every refusal in a sentence, nothing left behind."""

import asyncio
import contextlib
import signal

import pytest
from janus import PIN_ROOM, ROOM

from rtcprobe.call.http import HttpClient, Limits
from rtcprobe.call.janus import JanusSession
from rtcprobe.errors import MeasurementError
from rtcprobe.runtime.outside import OutsideNetwork
from rtcprobe.runtime.streams import Line
from rtcprobe.secrets import Secret

TRANSPORTS = ("http_url", "ws_url")
VIDEOROOM = "janus.plugin.videoroom"


@contextlib.asynccontextmanager
async def session(url, *, api_secret=None, exchange_s=5.0):
    client = HttpClient(Line(OutsideNetwork(asyncio.get_running_loop())), limits=Limits(exchange_s=exchange_s))
    opened = JanusSession(client, url, api_secret=api_secret, token=None)
    try:
        await opened.connect()
        yield opened
    finally:
        await opened.close()
        await client.aclose()


@pytest.fixture(params=TRANSPORTS)
def url(request, janus):
    return getattr(janus, request.param)


async def test_a_session_asks_a_plugin_and_is_gone_afterwards(janus, url):
    async with session(url) as asked:
        await asked.create()
        handle = await asked.attach(VIDEOROOM)
        listed = await handle.message("list rooms", {"request": "list"})
        assert ROOM in [room["room"] for room in listed.data["list"]]
        joined = await handle.message(
            "join", {"request": "join", "ptype": "publisher", "room": ROOM, "display": "probe"}
        )
        assert joined.data["videoroom"] == "joined"
        assert [each["display"] for each in janus.participants()] == ["probe"]
    assert janus.participants() == []


async def test_what_a_plugin_refuses_is_a_sentence_with_its_words_and_a_cure(url):
    async with session(url) as asked:
        await asked.create()
        handle = await asked.attach(VIDEOROOM)
        with pytest.raises(MeasurementError) as no_room:
            await handle.message("join room 99", {"request": "join", "ptype": "publisher", "room": 99})
        with pytest.raises(MeasurementError) as wrong_pin:
            await handle.message(
                f"join room {PIN_ROOM}",
                {"request": "join", "ptype": "publisher", "room": PIN_ROOM},
                pin=Secret("not-the-pin"),
            )
    assert str(no_room.value) == (
        "Janus, join room 99: the server answered error 426, 'No such room (99)': "
        "create the room on the server, or correct the URL"
    )
    assert str(wrong_pin.value) == (
        "Janus, join room 4321: the server answered error 433, 'Unauthorized (wrong pin)': "
        "check the room's pin (target.pin)"
    )


async def test_a_plugin_that_is_not_loaded_is_a_sentence(url):
    async with session(url) as asked:
        await asked.create()
        with pytest.raises(MeasurementError) as raised:
            await asked.attach("janus.plugin.none")
    assert str(raised.value) == (
        "Janus, attach janus.plugin.none: the server answered error 460, 'No such plugin ’janus.plugin.none’': "
        "load the plugin on the server"
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_api_secret_lets_in_and_its_lack_is_a_sentence(own_janus, transport):
    server = own_janus(api_secret="planted-api-secret")
    async with session(getattr(server, transport), api_secret=Secret("planted-api-secret")) as welcome:
        await welcome.create()
        await welcome.attach(VIDEOROOM)
    async with session(getattr(server, transport)) as stranger:
        with pytest.raises(MeasurementError) as raised:
            await stranger.create()
    assert str(raised.value) == (
        "Janus, create session: the server answered error 403, "
        "'Unauthorized request (wrong or missing secret/token)': "
        "check the server's api secret and token (target.secret, target.token)"
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_killed_in_a_session_ends_what_is_asked_at_once(own_janus, transport):
    server = own_janus()
    async with session(getattr(server, transport)) as asked:
        await asked.create()
        gone = asyncio.get_running_loop().create_future()
        asked.on_gone = gone.set_result
        server.process.kill()
        async with asyncio.timeout(2):
            sentence = await gone
            with pytest.raises(MeasurementError) as raised:
                await asked.attach(VIDEOROOM)
    assert sentence == asked.gone == str(raised.value)
    assert "http" in sentence or "ws:" in sentence  # the exchange that noticed is named


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_stopped_answering_is_given_up_in_time(own_janus, transport):
    server = own_janus()
    try:
        async with session(getattr(server, transport), exchange_s=0.5) as asked:
            await asked.create()
            server.process.signal(signal.SIGSTOP)
            async with asyncio.timeout(2):
                with pytest.raises(MeasurementError, match="no answer within 500ms"):
                    await asked.attach(VIDEOROOM)
    finally:
        server.process.signal(signal.SIGCONT)
