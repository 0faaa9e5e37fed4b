"""Janus: what an address means, and a session held against a server that says what it should not."""

import asyncio
import json
from types import SimpleNamespace

import httpx
import pytest

from rtcprobe.call.faults import Exchange
from rtcprobe.call.http import Limits, Reply
from rtcprobe.call.janus import JanusSession
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.janus import make_target
from rtcprobe.errors import MeasurementError
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret

SESSION, HANDLE = 11, 22
API = "https://host/janus"


@pytest.mark.parametrize(
    ("url", "api", "room"),
    [
        ("janus://host/echotest", "https://host/janus", None),
        ("janus+http://host:8088/videoroom/1234", "http://host:8088/janus", 1234),
        ("janus+https://host/media/api/videoroom/lobby", "https://host/media/api", "lobby"),
        ("janus+ws://host:8188/videoroom/a%20b", "ws://host:8188/", "a b"),
        ("janus+wss://host/gate/echotest", "wss://host/gate", None),
        ("janus+ws://host:8188/audiobridge/55", "ws://host:8188/", 55),
    ],
)
def test_an_address_names_the_api_and_the_room(url, api, room):
    target = make_target(TargetPlan(url=url))
    assert (target.api.url, target.room) == (api, room)
    both = ("caller_to_callee", "callee_to_caller") if "audiobridge" in url else ("caller_to_callee",)
    assert target.directions == (("round_trip",) if room is None else both)


class ScriptedServer:
    """Takes the place of the HTTP client: ``answers`` maps a kind of request to what the POST and the poll bring."""

    def __init__(self, answers, patience_s=5.0):
        self.limits = Limits(exchange_s=patience_s)
        self.line = SimpleNamespace(network=SimpleNamespace(now_s=lambda: 1.5))
        self.asked = []
        self._answers = {
            "create": ({"janus": "success", "data": {"id": SESSION}}, []),
            "attach": ({"janus": "success", "data": {"id": HANDLE}}, []),
            "destroy": ({"janus": "success"}, []),
            **answers,
        }
        self._events = asyncio.Queue()

    async def exchange(self, what, method, url, *, body=None, **_):
        if method == "GET":
            return self._reply(what, method, url, [await self._events.get()])
        request = json.loads(body)
        self.asked.append(request)
        said, events = self._answers[request["janus"]]
        for event in events:
            self._events.put_nowait(_addressed(event, request))
        return self._reply(what, method, url, _addressed(said, request))

    def _reply(self, what, method, url, said):
        exchange = Exchange(what=what, method=method, url=url, host="host", begun_s=0.0)
        exchange.marks["request_sent"] = 1.25
        headers = httpx.Headers({"content-type": "application/json"})
        return Reply(status=200, headers=headers, body=json.dumps(said).encode(), url=url, exchange=exchange)


def _addressed(said, request):
    """Return ``said`` as the answer to ``request`` unless it says whose it is itself."""
    place = {} if request["janus"] == "create" else {"session_id": SESSION, "sender": HANDLE}
    return {"transaction": request["transaction"], **place, **said}


async def attached(answers, **options):
    server = ScriptedServer(answers, **options)
    session = JanusSession(server, API, api_secret=Secret("scripted-api-secret"), token=None)
    await session.create()
    return server, session, await session.attach("janus.plugin.echotest")


def plugin_event(**data):
    return {"janus": "event", "plugindata": {"plugin": "p", "data": data}}


ACK = {"janus": "ack"}


async def test_a_message_is_answered_by_the_event_of_its_own_transaction():
    answer = {"type": "answer", "sdp": "v=0\r\n"}
    events = [
        {**plugin_event(talking="others"), "transaction": "somebody-elses"},
        {**plugin_event(talking="another session"), "session_id": 99},
        {"janus": "media", "transaction": None},
        {**plugin_event(result="ok"), "jsep": answer},
    ]
    server, session, handle = await attached({"message": (ACK, events)})
    sent_s = []
    got = await handle.message("EchoTest", {"audio": True}, Sdp(kind="offer", text="v=0"), sent=sent_s.append)
    await session.close()
    assert dict(got.data) == {"result": "ok"}
    assert got.sdp == Sdp(kind="answer", text="v=0\r\n")
    assert sent_s == [1.25]
    assert [each["janus"] for each in server.asked] == ["create", "attach", "message", "destroy"]
    assert {each["apisecret"] for each in server.asked} == {"scripted-api-secret"}


@pytest.mark.parametrize(
    ("post", "events", "sentence"),
    [
        (
            {"janus": "error", "error": {"code": 458, "reason": "No such session 11"}},
            [],
            "Janus, EchoTest: the server answered error 458, 'No such session 11'",
        ),
        (ACK, [plugin_event(error_code=413, error="no")], "Janus, EchoTest: the server answered error 413, 'no'"),
        (ACK, [{"janus": "event"}], "Janus, EchoTest: the answer holds no data of the plugin"),
        (
            ACK,
            [{**plugin_event(result="ok"), "jsep": {"type": "rollback"}}],
            "Janus, EchoTest: the session description of the answer cannot be read",
        ),
        (ACK, [{"janus": "hangup", "transaction": None, "reason": "DTLS alert"}], "Janus hung up, 'DTLS alert'"),
        (ACK, [{"janus": "detached", "transaction": None}], "Janus took the plugin's handle away"),
        (
            ACK,
            [{"janus": "timeout", "transaction": None}],
            "Janus ended the session: it heard nothing from us for too long",
        ),
        (ACK, [], "Janus, EchoTest: no answer within 50ms"),
        (
            ACK,
            [{"janus": "hangup", "transaction": None, "sender": 99, "reason": "another handle's"}],
            "Janus, EchoTest: no answer within 50ms",
        ),
    ],
)
async def test_whatever_else_comes_is_a_sentence_and_the_session_is_destroyed(post, events, sentence):
    patience_s = 0.05 if "no answer" in sentence else 5.0
    server, session, handle = await attached({"message": (post, events)}, patience_s=patience_s)
    with pytest.raises(MeasurementError) as raised:
        await handle.message("EchoTest", {})
    await session.close()
    assert str(raised.value) == sentence
    assert server.asked[-1]["janus"] == "destroy"


async def test_an_api_that_is_not_janus_is_told_by_its_first_answer():
    server = ScriptedServer({"create": ({"janus": "success", "data": "no id"}, [])})
    session = JanusSession(server, API, api_secret=None, token=None)
    with pytest.raises(MeasurementError) as raised:
        await session.create()
    await session.close()
    assert str(raised.value) == (
        "Janus, create session: the answer is not one of Janus: is this the address of its API?"
    )


async def test_candidates_that_come_before_and_after_they_are_wanted_are_all_delivered():
    early = {
        "janus": "trickle",
        "transaction": None,
        "candidate": {"candidate": "candidate:1 1 udp 1 10.0.0.1 9 typ host"},
    }
    end = {"janus": "trickle", "transaction": None, "candidate": {"completed": True}}
    _, session, handle = await attached({"message": (ACK, [early, end, plugin_event(result="ok")])})
    await handle.message("EchoTest", {})
    taken, done = [], asyncio.Event()

    async def take(candidate):
        taken.append(candidate)
        if not candidate:
            done.set()

    handle.deliver_candidates(take)
    await asyncio.wait_for(done.wait(), 1)
    await session.close()
    assert taken == ["candidate:1 1 udp 1 10.0.0.1 9 typ host", ""]
