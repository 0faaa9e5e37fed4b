"""Targets ``sdp+https://`` and ``sdp+http://``: POST a session description, get one back.

So are joined: OpenAI's realtime endpoint (the description as it is, or in a form), Pipecat's small transport and
aiortc's own examples (JSON ``{sdp, type}``), and many others. Options of ``target``::

    url:      sdp+https://host/path
    body:     sdp (default) | json | form      how the offer travels
    fields:   {key: value}                     further JSON members or form fields; secrets as env:NAME or file:PATH
    token, headers, ca                         as everywhere
    kind:     agent                            a voice agent: it does not echo, and takes JSON unless told otherwise
    echo:     true (default) | false           whether the far end sends back what it hears
    trickle:  true | false (default)           whether the offer goes without candidates, which follow by PATCH
    events:   a name | false                   the data channel that an agent tells of itself over (kind: agent)
    delete:   true | false (default)           whether the Location of the answer is deleted at the end
    session_origin                             where else than at ``url`` the token may go for that

Rules:
    1. The answer is JSON where it says so or looks so, a bare description otherwise.
    2. Where the far end does not echo, joins are all that can be measured.
    3. Candidates that follow are JSON to the same URL: ``pc_id`` from the answer, and ``candidates``, each with
       ``candidate``, ``sdp_mid`` and ``sdp_mline_index``, an empty one their end. Source: pipecat 1.14,
       ``transports/smallwebrtc``.
    4. Fields are shown with the settings of a result: what is called a token or a password there is named, not written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from rtcprobe.call.claims import USUAL_LABEL, Claims
from rtcprobe.call.faults import printable, quoted
from rtcprobe.call.http import HttpClient, Reply
from rtcprobe.call.peer import Peer
from rtcprobe.call.session import Rights, Session, session_origin
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets import plain
from rtcprobe.call.targets.base import ECHO_ROUTES, CallSetup
from rtcprobe.call.targets.outside import OutsideCall
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.result import Clock
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret, read_secret
from rtcprobe.timeline import OUTSIDE_ORDER
from rtcprobe.ways import Way as WayName

__all__ = ["SdpHttpCall", "SdpHttpTarget", "make_target"]

Body = Literal["sdp", "json", "form"]

OPTIONS: Final = (
    *plain.CONNECTION_OPTIONS,
    "body",
    "fields",
    "kind",
    "echo",
    "trickle",
    "events",
    "delete",
    "session_origin",
)
_BODIES: Final[Mapping[str, Body]] = {"sdp": "sdp", "json": "json", "form": "form"}
_SDP = "application/sdp"
# Of the ``Server`` header, which a report shows on a line.
_MOST_OF_A_NAME = 80
# Bytes, far below what DCEP could carry (its length has 16 bits, RFC 8832 §5.1): names of services are words.
_MOST_OF_A_LABEL = 255
_ICE = OUTSIDE_ORDER.index("ice_connected")
_TRICKLING: Final = (*OUTSIDE_ORDER[:_ICE], "candidates_sent", *OUTSIDE_ORDER[_ICE:])
_SECRET = re.compile(
    "(access_?|auth_?|client_?|api_?)?(token|secret|key)|authorization|password|credential", re.IGNORECASE
)
"""Fields that hold a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SdpHttpTarget:
    """A service behind one URL."""

    name: str
    url: str
    body: Body = "sdp"
    fields: Mapping[str, Any]
    token: Secret | None = None
    headers: Mapping[str, str | Secret]
    ca_file: Path | None = None
    echo: bool = True
    agent: bool = False
    trickle: bool = False
    events: str | None = None
    delete: bool = False
    session_origin: str | None = None

    routes = ECHO_ROUTES
    clocks: tuple[Clock, ...] = ("real",)

    @property
    def directions(self) -> tuple[WayName, ...]:
        """There and back, or nothing."""
        return (WayName("round_trip"),) if self.echo else ()

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> SdpHttpCall:
        """Return a call, not yet begun, on the running loop."""
        del clock
        return SdpHttpCall(setup, seed, self)


def make_target(plan: TargetPlan) -> SdpHttpTarget:
    """Return the service that ``plan`` names.

    Raises:
        BadInputError: a URL or option that cannot be meant.
    """
    plan.only(OPTIONS)
    fields = plan.options.get("fields", {})
    if not isinstance(fields, Mapping) or not all(isinstance(key, str) for key in fields):
        raise BadInputError(f"target.fields {fields!r} is not a set of fields", "write them like {model: gpt-realtime}")
    agent = plain.choice(plan, "kind", {"agent": True}, default=False)
    usual: Body = "json" if agent else "sdp"
    body = plain.choice(plan, "body", _BODIES, usual)
    if fields and body == "sdp":
        raise BadInputError("target.fields has no effect with body sdp", "add body: json or body: form")
    trickle = plain.choice(plan, "trickle", plain.YES_NO, default=False)
    if trickle and body != "json":
        raise BadInputError(f"target.trickle has no effect with body {body}", "add body: json")
    url = plain.web_url(plan.url.partition("+")[2], "target")
    return SdpHttpTarget(
        name=plan.shown,
        url=url,
        session_origin=session_origin(plan, url),
        body=body,
        fields={name: _field(f"target.fields.{name}", name, value) for name, value in fields.items()},
        token=plain.token(plan),
        headers=plain.headers(plan),
        ca_file=plain.ca_file(plan),
        echo=plain.choice(plan, "echo", plain.YES_NO, default=not agent),
        agent=agent,
        trickle=trickle,
        events=_events(plan, agent=agent),
        delete=plain.choice(plan, "delete", plain.YES_NO, default=False),
    )


class SdpHttpCall(OutsideCall):
    """One call to the service."""

    optional = ("candidates_sent",)

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, target: SdpHttpTarget) -> None:
        self._target = target
        if target.trickle:
            self.milestones = _TRICKLING
        super().__init__(setup, seed, server=plain.host_of(target.url))
        self._session: Session | None = None

    def add_peer(self, *args: Any, **more: Any) -> Peer:
        """Return a connection; one to an agent has a channel that it may tell of itself over."""
        label = self._target.events
        claims = None if label is None else Claims(label, self.network)
        return super().add_peer(*args, claims=claims, **more)

    async def connect(self) -> None:
        """Connect, POST the offer, take the answer."""
        target, caller = self._target, self.caller
        client = self.new_client(caller, ca_file=target.ca_file)
        if not target.trickle:
            await self._described(client, await self.offered(caller, client, target.url))
            return
        offer, gathered = await self.offered_at_once(caller, client, target.url)
        try:
            # The session's name is in the answer, so candidates cannot be sent before it has come.
            name = _name_of(await self._described(client, offer))
            await self._send_candidates(client, name, offer, await gathered)
        finally:
            gathered.cancel()

    async def _described(self, client: HttpClient, offer: Sdp) -> Reply:
        """POST the offer and take the answer; return it."""
        target, caller = self._target, self.caller
        self.mark(caller, "offer_sent")
        reply = await client.exchange(
            "offer",
            "POST",
            target.url,
            **_written(offer, target),
            headers=target.headers,
            token=target.token,
            statuses=(200, 201),
        )
        self.mark(caller, "answer_received")
        if target.delete:
            rights = Rights(url=target.url, token=target.token, headers=target.headers, trusted=target.session_origin)
            self._session = Session.of(reply, client, rights)
            self.warnings += [self._session.warning] if self._session.warning else []
        if "server" in reply.headers:
            self.said(caller, server=printable(reply.headers["server"], _MOST_OF_A_NAME))
        await self.accept(caller, _answer_of(reply), offer)
        return reply

    async def _send_candidates(self, client: HttpClient, name: str, offer: Sdp, candidates: Sequence[str]) -> None:
        """Send the candidates of ``offer`` to the session ``name``, and that there are no more (rule 3)."""
        target = self._target
        mid = next((line[6:].strip() for line in offer.text.splitlines() if line.startswith("a=mid:")), "0")
        told = [{"candidate": each, "sdp_mid": mid, "sdp_mline_index": 0} for each in (*candidates, "")]
        await client.exchange(
            "candidates",
            "PATCH",
            target.url,
            body=json.dumps({"pc_id": name, "candidates": told}),
            content_type="application/json",
            headers=target.headers,
            token=target.token,
            statuses=(200, 202, 204),
        )
        self.mark(self.caller, "candidates_sent")

    async def leave(self) -> None:
        """Delete the session, where that was asked for."""
        if self._session is not None and self._session.url is not None:
            await self._session.exchange("end of the session", "DELETE", statuses=(200, 202, 204))


def _events(plan: TargetPlan, *, agent: bool) -> str | None:
    """Return what the channel is called that an agent tells of itself over; None: there is none.

    Raises:
        BadInputError: no name, or for whoever is no agent.
    """
    written = plan.options.get("events", USUAL_LABEL if agent else False)
    if written is False:
        return None
    if not agent:
        raise BadInputError("target.events has no effect without kind: agent", "add kind: agent")
    if not isinstance(written, str) or not 0 < len(written.encode()) <= _MOST_OF_A_LABEL:
        raise BadInputError(f"target.events {written!r} is no name of a channel", "write it like oai-events, or false")
    return written


def _name_of(reply: Reply) -> str:
    """Return what an answer calls its session.

    Raises:
        MeasurementError: nothing.
    """
    found = reply.json() if reply.text().lstrip().startswith("{") else None
    name = found.get("pc_id") if isinstance(found, Mapping) else None
    if not isinstance(name, str) or not name:
        raise MeasurementError(
            f"{reply.exchange}: the answer names no pc_id, so no candidates can follow", "leave out target.trickle"
        )
    return name


def _field(place: str, name: str, value: Any) -> Any:
    """Return what a field holds, with the secrets that it names (rule 4).

    Raises:
        BadInputError: a secret that is written out, or cannot be read.
    """
    if isinstance(value, Mapping):
        return {inner: _field(f"{place}.{inner}", str(inner), each) for inner, each in value.items()}
    if isinstance(value, str) and (value.startswith(("env:", "file:")) or _SECRET.fullmatch(name)):
        return read_secret(value, place)
    return value


def _revealed(value: Any) -> Any:
    """Return what is sent of a field: its secrets in clear."""
    if isinstance(value, Mapping):
        return {name: _revealed(each) for name, each in value.items()}
    return value.reveal() if isinstance(value, Secret) else value


def _written(offer: Sdp, target: SdpHttpTarget) -> dict[str, Any]:
    """Return the offer as the body of a request."""
    if target.body == "sdp":
        return {"body": offer.text, "content_type": _SDP}
    # Only here, where the request is made: a result shows the fields as they were written.
    fields = _revealed(target.fields)
    if target.body == "json":
        written = json.dumps({"sdp": offer.text, "type": offer.kind, **fields})
        return {"body": written, "content_type": "application/json"}
    # OpenAI's form has the description beside a ``session`` of JSON: text
    # stays text, anything else is JSON of its own type.
    others = {
        name: ("text/plain", value) if isinstance(value, str) else ("application/json", json.dumps(value))
        for name, value in fields.items()
    }
    return {"form": {"sdp": (_SDP, offer.text), **others}}


def _answer_of(reply: Reply) -> str:
    """Return the description in an answer (rule 1).

    Raises:
        MeasurementError: JSON without one.
    """
    text = reply.text()
    # Services label JSON as text, and a description as JSON: the first character decides where the label does not.
    if not (reply.media_type.endswith("json") or text.lstrip().startswith("{")):
        return text
    found = reply.json()
    if isinstance(found, Mapping) and isinstance(found.get("sdp"), str):
        if found.get("type", "answer") != "answer":
            kind = quoted(str(found["type"]))
            raise MeasurementError(f"{reply.exchange}: the answer is of type {kind}, not answer")
        return str(found["sdp"])
    keys = (
        ", ".join(printable(each, 40) for each in sorted(map(str, found))[:8])
        if isinstance(found, Mapping)
        else type(found).__name__
    )
    raise MeasurementError(f"{reply.exchange}: the answer holds no sdp, only {keys or 'nothing'}")
