"""A whole target, as another package would bring it: ``acme+http://HOST:PORT/ROOM``, an echo behind an API of its own.

Acme's imagined API: ``POST /rooms/ROOM/sessions`` with ``{"offer": SDP, "codec": "opus"}`` answers ``{"id": ...,
"answer": SDP}``; ``DELETE /rooms/ROOM/sessions/ID`` ends the session. A package offers it to rtcprobe by::

    [project.entry-points."rtcprobe.targets"]
    "acme+http" = "acme_rtcprobe:make_target"

and then ``rtcprobe run SCENARIO --real-time --target acme+http://echo.acme.example/kitchen`` (with a token: ``--set
target.token=env:ACME``) measures joins, and mouth to ear there and back, through any emulated link.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from rtcprobe.call.http import HttpClient
from rtcprobe.call.targets import plain
from rtcprobe.call.targets.base import ECHO_ROUTES, CallSetup
from rtcprobe.call.targets.outside import OutsideCall
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.result import Clock
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret
from rtcprobe.ways import Way


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeTarget:
    """What a plan comes to; made before anything runs, so it refuses what cannot be meant."""

    name: str
    sessions_url: str
    token: Secret | None

    directions: tuple[Way, ...] = (Way("round_trip"),)
    routes = ECHO_ROUTES
    clocks: tuple[Clock, ...] = ("real",)

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> AcmeCall:
        """Return a call, not yet begun: every join has one of its own."""
        del clock
        return AcmeCall(setup, seed, self)


def make_target(plan: TargetPlan) -> AcmeTarget:
    """Return the room that ``plan`` names."""
    plan.only(("token",))
    host, _, room = plan.url.partition("://")[2].partition("/")
    if not room.isalnum():
        raise BadInputError(f"target {plan.shown!r} names no room", "write it like acme+http://HOST/kitchen")
    return AcmeTarget(
        name=plan.shown,
        sessions_url=plain.web_url(f"http://{host}/rooms/{room}/sessions", "target"),
        token=plain.token(plan),
    )


class AcmeCall(OutsideCall):
    """One peer of ours that speaks and listens: the caller; the probe hears it come back."""

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, target: AcmeTarget) -> None:
        super().__init__(setup, seed, server=plain.host_of(target.sessions_url))
        self.target = target
        self.client: HttpClient | None = None
        self.session_url: str | None = None

    async def connect(self) -> None:
        """Connect while candidates are gathered, then exchange descriptions. Failures are raised as they come."""
        client = self.client = self.new_client(self.caller)
        offer = await self.offered(self.caller, client, self.target.sessions_url)
        self.mark(self.caller, "offer_sent")
        reply = await client.exchange(
            "Acme offer",
            "POST",
            self.target.sessions_url,
            body=json.dumps({"offer": offer.text, "codec": "opus"}),
            content_type="application/json",
            token=self.target.token,
            statuses=(201,),
        )
        self.mark(self.caller, "answer_received")
        said = reply.json()
        if not isinstance(said, dict) or not {"id", "answer"} <= said.keys():
            raise MeasurementError(f"{reply.exchange}: the answer holds no id and answer")
        self.session_url = f"{self.target.sessions_url}/{said['id']}"
        await self.accept(self.caller, str(said["answer"]), offer)

    async def leave(self) -> None:
        """End the session; asked in any case, also when ``connect`` came to nothing."""
        if self.client is not None and self.session_url is not None:
            await self.client.exchange("Acme goodbye", "DELETE", self.session_url, token=self.target.token)
