import json

import httpx
import pytest

from rtcprobe.call.faults import Exchange
from rtcprobe.call.http import Reply
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets.base import find_target
from rtcprobe.call.targets.sdp_http import _answer_of, _written
from rtcprobe.errors import MeasurementError
from rtcprobe.scenario import TargetPlan

OFFER = Sdp(kind="offer", text="v=0\r\n")


def request(**options):
    return _written(OFFER, find_target(TargetPlan(url="sdp+https://host/calls", options=options)))


def answer(body, media_type="application/sdp"):
    exchange = Exchange(what="offer", method="POST", url="https://host/calls", host="host", begun_s=0.0)
    headers = httpx.Headers({"content-type": media_type})
    return Reply(status=201, headers=headers, body=body.encode(), url="https://host/calls", exchange=exchange)


def test_an_offer_travels_as_it_is():
    assert request() == {"body": "v=0\r\n", "content_type": "application/sdp"}


def test_an_offer_travels_in_json_with_further_members():
    written = request(body="json", fields={"pc_id": "7"})
    assert written["content_type"] == "application/json"
    assert json.loads(written["body"]) == {"sdp": "v=0\r\n", "type": "offer", "pc_id": "7"}


def test_an_offer_travels_in_a_form_whose_structured_fields_are_json():
    assert request(body="form", fields={"session": {"type": "realtime"}, "region": "eu"}) == {
        "form": {
            "sdp": ("application/sdp", "v=0\r\n"),
            "session": ("application/json", '{"type": "realtime"}'),
            "region": ("text/plain", "eu"),
        }
    }


@pytest.mark.parametrize("body", ["json", "form"])
def test_a_secret_field_is_named_and_sent_in_clear(body, monkeypatch):
    monkeypatch.setenv("API_KEY", "planted")
    written = request(body=body, fields={"session": {"api_key": "env:API_KEY"}, "max_tokens": "many"})
    sent = json.loads(written["body"]) if body == "json" else written["form"]
    assert sent["session"] in ({"api_key": "planted"}, ("application/json", '{"api_key": "planted"}'))
    assert sent["max_tokens"] in ("many", ("text/plain", "many"))


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("v=0\r\n", "application/sdp"),
        ('{"sdp": "v=0\\r\\n", "type": "answer"}', "application/json"),
        ('{"sdp": "v=0\\r\\n"}', "text/plain"),
    ],
)
def test_an_answer_is_read_as_it_comes(body, media_type):
    assert _answer_of(answer(body, media_type)) == "v=0\r\n"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"error": "no room"}', "the answer holds no sdp, only error"),
        ("{}", "the answer holds no sdp, only nothing"),
        ('{"sdp": "v=0", "type": "offer"}', "the answer is of type 'offer', not answer"),
    ],
)
def test_json_without_an_answer_is_refused(body, sentence):
    with pytest.raises(MeasurementError) as caught:
        _answer_of(answer(body, "application/json"))
    assert str(caught.value) == f"offer (POST https://host/calls): {sentence}"
