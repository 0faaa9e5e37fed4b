import asyncio
import re
import socket
import struct

import pytest
from websockets.asyncio.server import serve

from rtcprobe.call.http import HttpClient, Limits
from rtcprobe.call.websocket import WebSocket
from rtcprobe.errors import MeasurementError
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.streams import Line
from rtcprobe.secrets import Secret

TOKEN = Secret("ws-planted-token", "env:TOKEN")


async def behave(websocket):
    """Do as each message says."""
    async for message in websocket:
        if message == "close":
            await websocket.close(1001, "going down, token ws-planted-token")
        elif message == "break":
            websocket.transport.abort()
        elif message == "reset":
            linger = struct.pack("ii", 1, 0)  # closed so, it sends a reset and not an end
            websocket.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            websocket.transport.abort()
        elif message == "huge":
            await websocket.send("x" * 20_000)
        elif message == "pieces":
            await websocket.send(["one, ", "two"])
        else:
            await websocket.send(f"you said {message}")


def refuse(connection, request):
    if request.headers.get("Authorization") != f"Bearer {TOKEN.reveal()}":
        return connection.respond(401, "no token, no room\n")
    return None


def told(error):
    said = re.sub(r":\d{2,5}\b", ":PORT", str(error.value))
    assert "planted" not in said
    return said


@pytest.fixture
async def server():
    async with serve(behave, "127.0.0.1", 0, process_request=refuse, subprotocols=["janus-protocol"]) as running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/"


@pytest.fixture
async def client():
    line = Line(Network(asyncio.get_running_loop(), sockets=True))
    made = HttpClient(line, limits=Limits(exchange_s=30.0, body_bytes=10_000))
    yield made
    await made.aclose()


async def opened(client, url):
    return await WebSocket.open(client, "Janus session", url, subprotocol="janus-protocol", token=TOKEN)


WHERE = "Janus session (GET ws://127.0.0.1:PORT/): "


async def test_messages_come_and_go_in_pieces_or_whole(client, server):
    websocket = await opened(client, server)
    assert list(websocket.exchange.marks) == ["tcp", "request_sent", "response_headers"]
    await websocket.send("hello")
    assert await websocket.receive() == "you said hello"
    await websocket.send("pieces")
    assert await websocket.receive() == "one, two"
    await websocket.aclose()
    with pytest.raises(MeasurementError):
        await websocket.send("more")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("close", "the server closed the WebSocket (1001, 'going down, token ***')"),
        ("break", "the WebSocket broke: look into the server's log"),
        ("reset", "the WebSocket broke: look into the server's log"),
        ("huge", "a message was larger than 10000 bytes and was not read on"),
    ],
)
async def test_a_connection_that_ends_says_how(client, server, message, said):
    websocket = await opened(client, server)
    await websocket.send(message)
    with pytest.raises(MeasurementError) as caught:
        await websocket.receive()
    assert told(caught) == WHERE + said
    await websocket.aclose()


async def test_a_server_that_refuses_is_quoted(client, server):
    with pytest.raises(MeasurementError) as caught:
        await WebSocket.open(client, "Janus session", server)
    assert told(caught) == WHERE + (
        "the server answered 401 Unauthorized, 'no token, no room': no token was sent: give it one"
    )


async def test_a_server_that_speaks_no_websocket_or_never_answers_is_given_up(client):
    async def page(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if path == "page":
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        else:
            await reader.read()
        writer.close()

    plain = await asyncio.start_server(page, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{plain.sockets[0].getsockname()[1]}/"
    path = "page"
    with pytest.raises(MeasurementError) as caught:
        await opened(client, url)
    assert told(caught).startswith(WHERE + "no WebSocket opened, ")
    path = "never"
    client.limits = Limits(exchange_s=0.3)
    with pytest.raises(MeasurementError) as caught:
        await opened(client, url)
    assert told(caught) == WHERE + "not within 300ms, waiting for the answer to begin"
    plain.close()
