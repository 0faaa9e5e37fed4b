"""Targets ``whip+whep://``: publish by WHIP, listen by WHEP, the vendor between; mouth to ear one way.

Written as one URL, ``whip+whep://HOST/live/{whip,whep}?stream=7`` (of the braces the first
word is for publishing, the second for listening; without them ``/whip`` and ``/whep`` are appended); or as keys of
``target``::

    whip: https://host/publish        whep: https://host/play
    token: env:NAME                   for both; whip_token and whep_token for one of them
    headers, ca                       as everywhere
    listeners: 3                      how many listen at the same time, 1 to 16

``whip+whep+http://`` goes without TLS.

Facts:
    - WHIP: POST of an offer, 201 with the answer, its Location, and the ETag of the ICE session; DELETE ends it.
      Source: RFC 9725 §4. ICE servers come in Link headers (§4.6).
    - WHEP is a draft (draft-ietf-wish-whep). A server may answer 406 with an offer of its own, whose answer is sent by
      PATCH to the Location; or 409, with Retry-After, while nobody publishes.

Rules:
    1. The callee's join begins when the caller is connected: it joins what is on the air. It is the join that is timed.
    2. A server is asked once: one POST, and one more for each 409 that says when, until the join's timeout.
    3. Every session the server named is deleted at the end, also after half a join.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from rtcprobe.call import faults
from rtcprobe.call.http import HttpClient, Reply
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets import plain
from rtcprobe.call.targets.base import TWO_ENDS_ROUTES, CallSetup
from rtcprobe.call.targets.outside import OutsideCall
from rtcprobe.errors import BadInputError
from rtcprobe.result import Clock, Direction
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret, read_secret, scrub
from rtcprobe.timeline import OUTSIDE_ORDER

__all__ = ["WhipWhepCall", "WhipWhepTarget", "make_target"]

MOST_LISTENERS = 16
_OPTIONS: Final = (*plain.CONNECTION_OPTIONS, "whip", "whep", "whip_token", "whep_token", "listeners")
_BRACES = re.compile(r"\{([^{},]*),([^{},]*)\}")
_SDP = "application/sdp"
_RETRY_S = (0.2, 5.0)
"""How soon and how late a 409 is asked again, whatever it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhipWhepTarget:
    """An endpoint to publish to and one to listen at."""

    name: str
    whip: str
    whep: str
    whip_token: Secret | None = None
    whep_token: Secret | None = None
    headers: Mapping[str, str | Secret]
    ca_file: Path | None = None
    listeners: int = 1

    directions: tuple[Direction, ...] = ("caller_to_callee",)
    routes = TWO_ENDS_ROUTES
    clocks: tuple[Clock, ...] = ("real",)

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> WhipWhepCall:
        """Return a call, not yet begun, on the running loop."""
        del clock
        return WhipWhepCall(setup, seed, self)


def make_target(plan: TargetPlan) -> WhipWhepTarget:
    """Return the endpoints that ``plan`` names.

    Raises:
        BadInputError: a URL or option that cannot be meant.
    """
    plan.only(_OPTIONS)
    both = plain.token(plan)
    whip, whep = _urls(plan)
    return WhipWhepTarget(
        name=plan.shown if "://" in plan.url else f"whip {scrub(whip)}, whep {scrub(whep)}",
        whip=whip,
        whep=whep,
        whip_token=_own_token(plan, "whip_token") or both,
        whep_token=_own_token(plan, "whep_token") or both,
        headers=plain.headers(plan),
        ca_file=plain.ca_file(plan),
        listeners=plain.whole_number(plan, "listeners", 1, MOST_LISTENERS, default=1),
    )


class WhipWhepCall(OutsideCall):
    """One publisher, and those who listen to it."""

    milestones = tuple(
        each
        for milestone in OUTSIDE_ORDER
        for each in (("counter_offer", milestone) if milestone == "answer_received" else (milestone,))
    )

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, target: WhipWhepTarget) -> None:
        self.sides = (("caller", "sendonly"), *((("callee", "recvonly"),) * target.listeners))
        super().__init__(setup, seed, server=plain.host_of(target.whip))
        self._target = target
        self._sessions: list[tuple[HttpClient, str, Secret | None]] = []

    async def connect(self) -> None:
        """Publish; when the caller is connected, listen."""
        await self._publish()
        await self.connected(self.caller)
        listening = [asyncio.ensure_future(self._listen(callee)) for callee in self.callees]
        try:
            await asyncio.gather(*listening)
        finally:
            for task in listening:
                task.cancel()

    async def leave(self) -> None:
        """Delete every session."""
        await asyncio.gather(*(self._delete(*session) for session in self._sessions))

    async def _publish(self) -> None:
        target, caller = self._target, self.caller
        client = self.new_client(caller, ca_file=target.ca_file)
        offer = await self.offered(caller, client, target.whip)
        self.mark(caller, "offer_sent")
        reply = await client.exchange(
            "WHIP offer",
            "POST",
            target.whip,
            body=offer.text,
            content_type=_SDP,
            headers=target.headers,
            token=target.whip_token,
            statuses=(201,),
            media_types=(_SDP,),
        )
        self.mark(caller, "answer_received")
        self._keep(caller, client, reply, target.whip_token)
        await self.accept(caller, reply.text(), offer)

    async def _listen(self, callee: Peer) -> None:
        target = self._target
        self.begin(callee)
        client = self.new_client(callee, ca_file=target.ca_file)
        offer = await self.offered(callee, client, target.whep)
        self.mark(callee, "offer_sent")
        reply = await self._ask_to_listen(callee, client, offer.text)
        if reply.status != 406:
            self.mark(callee, "answer_received")
            self._keep(callee, client, reply, target.whep_token)
            await self.accept(callee, reply.text(), offer)
            return
        self.mark(callee, "counter_offer")
        session = self._keep(callee, client, reply, target.whep_token)
        await callee.start_over()
        answer = await self.answer(callee, reply.text())
        etag = reply.headers.get("etag")
        await client.exchange(
            "WHEP answer",
            "PATCH",
            session,
            body=answer.text,
            content_type=_SDP,
            headers={**target.headers, **({} if etag is None else {"If-Match": etag})},
            token=target.whep_token,
            statuses=(200, 204),
        )
        self.mark(callee, "answer_received")

    async def _ask_to_listen(self, callee: Peer, client: HttpClient, offer: str) -> Reply:
        """Return the server's answer, or its own offer (406); asks again when a 409 says so (rule 2)."""
        target, conflicts = self._target, 0
        while True:
            reply = await client.exchange(
                "WHEP offer",
                "POST",
                target.whep,
                body=offer,
                content_type=_SDP,
                headers=target.headers,
                token=target.whep_token,
                statuses=(201, 406, 409),
            )
            if reply.status != 409:
                break
            conflicts += 1
            self.said(callee, conflicts=conflicts)
            await asyncio.sleep(_retry_s(reply.headers.get("retry-after")))
        if reply.status == 406 and reply.media_type != _SDP:  # no offer of its own: a refusal
            token = None if target.whep_token is None else target.whep_token.source
            raise faults.refusal(reply.exchange, reply.body, token=token)
        return reply

    def _keep(self, peer: Peer, client: HttpClient, reply: Reply, token: Secret | None) -> str:
        """Keep what is to be deleted at the end, and what the server says of itself; return the session's URL."""
        session = reply.location()
        self._sessions.append((client, session, token))
        if "server" in reply.headers:
            self.said(peer, server=reply.headers["server"][:80])
        return session

    async def _delete(self, client: HttpClient, session: str, token: Secret | None) -> None:
        await client.exchange(
            "end of the session",
            "DELETE",
            session,
            headers=self._target.headers,
            token=token,
            statuses=(200, 202, 204, 404),
        )


def _urls(plan: TargetPlan) -> tuple[str, str]:
    """Return where to publish and where to listen."""
    whip, whep = plan.options.get("whip"), plan.options.get("whep")
    _, slashes, rest = plan.url.partition("://")
    if not slashes:
        if whip is None or whep is None:
            missing = "whip" if whip is None else "whep"
            raise BadInputError(f"target.{missing} is missing", f"write it like {missing}: https://host/{missing}/room")
        return plain.web_url(whip, "target.whip"), plain.web_url(whep, "target.whep")
    if whip is not None or whep is not None:
        raise BadInputError("target has a url beside whip and whep", "leave one of them out")
    scheme = "http" if plan.scheme.endswith("+http") else "https"
    choices = _BRACES.findall(rest)
    if len(choices) > 1 or ("{" in _BRACES.sub("", rest)):
        raise BadInputError(
            f"target {plan.shown!r} has more braces than one pair of words", "write it like /{whip,whep}"
        )
    if choices:
        written = [_BRACES.sub(lambda _, word=word: word, rest) for word in choices[0]]  # type: ignore[misc]
    else:
        path, question, query = rest.partition("?")
        written = [f"{path.rstrip('/')}/{word}{question}{query}" for word in ("whip", "whep")]
    first, second = (plain.web_url(f"{scheme}://{each}", "target") for each in written)
    return first, second


def _own_token(plan: TargetPlan, key: str) -> Secret | None:
    written = plan.options.get(key)
    return None if written is None else read_secret(written, f"target.{key}")


def _retry_s(said: str | None) -> float:
    """Return how long to wait as Retry-After says, within bounds; a second where it says nothing, or a date."""
    wanted = float(said) if said is not None and said.strip().isdigit() else 1.0
    return min(max(wanted, _RETRY_S[0]), _RETRY_S[1])
