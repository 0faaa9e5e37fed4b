"""Targets ``whip+whep://``: publish by WHIP, listen by WHEP, the vendor between; mouth to ear one way.

Written as one URL, ``whip+whep://HOST/live/{whip,whep}?stream=7`` (of the braces the first
word is for publishing, the second for listening; without them ``/whip`` and ``/whep`` are appended); or as keys of
``target``::

    whip: https://host/publish        whep: https://host/play
    token: env:NAME                   for both; whip_token and whep_token for one of them
    headers, ca                       as everywhere
    session_origin                    where else than at the two URLs the token may go, to change and end sessions
    listeners: 3                      how many listen at the same time, 1 to 16
    trickle: true                     offers go without candidates, those follow by PATCH

``whip+whep+http://`` goes without TLS.

Facts:
    - WHIP: POST of an offer, 201 with the answer, its Location, and the ETag of the ICE session; DELETE ends it.
      Source: RFC 9725 §4. ICE servers come in Link headers (§4.6):
      their candidates follow by PATCH, and so do all others where an offer was sent before they were gathered.
    - WHEP is a draft (draft-ietf-wish-whep). A server may answer 406 with an offer of its own, whose answer is sent by
      PATCH to the Location; or 409, with Retry-After, while nobody publishes.

Rules:
    1. The callee's join begins when the caller is connected: it joins what is on the air. It is the join that is timed.
    2. A server is asked once: one POST, and one more for each 409 that says when, until the join's timeout. A listener
       comes the instant its publisher is up: a server that does not know the stream yet (404, 500, 503) is asked again
       for as long as an exchange may take, and the time it needed is a phase of its own, ``feed_ready``.
    3. ICE starts on the answer. What else there is to gather and to send (candidates of servers that the answer names)
       is done beside it.
    4. Every session the server named is deleted at the end, also after half a join.
    5. No ICE restarts: aiortc has none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from rtcprobe.call import faults
from rtcprobe.call.http import HttpClient, Reply
from rtcprobe.call.peer import Peer
from rtcprobe.call.sdp import candidates_fragment
from rtcprobe.call.session import Rights, Session, session_origin
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets import plain
from rtcprobe.call.targets.base import TWO_ENDS_ROUTES, CallSetup, listeners_named
from rtcprobe.call.targets.outside import OutsideCall
from rtcprobe.errors import BadInputError
from rtcprobe.ice import IceServer, read_links
from rtcprobe.result import Clock
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret, read_secret, scrub
from rtcprobe.timeline import OUTSIDE_ORDER
from rtcprobe.ways import Way as WayName

__all__ = ["WhipWhepCall", "WhipWhepTarget", "make_target"]

MOST_LISTENERS = 16
OPTIONS: Final = (
    *plain.CONNECTION_OPTIONS,
    "whip",
    "whep",
    "whip_token",
    "whep_token",
    "listeners",
    "trickle",
    "session_origin",
)
_BRACES = re.compile(r"\{([^{},]*),([^{},]*)\}")
_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
_NO_TRICKLE: Final = (405, 415, 422, 501)
"""What a server says that takes no candidates after the offer. Source: RFC 9725 §4.3."""

_BEFORE: Final[Mapping[str, tuple[str, ...]]] = {
    "answer_received": ("feed_ready", "counter_offer"),
    "ice_connected": ("candidates_sent",),
}
"""Milestones of these servers alone, and what they come before."""

_MADE: Final = (200, 201)
"""RFC 9725 §4.2 wants 201; servers that answer 200 mean it."""

_RETRY_S = (0.2, 5.0)
"""How soon and how late a 409 is asked again, whatever it says."""

_NOT_YET_S: Final[Mapping[int, float]] = {404: 2.0, 500: 10.0, 503: 10.0}
"""What a server says that does not know a stream yet, and how long it is asked again: a wrong path is 404 for ever."""
_AGAIN_S = (0.05, 0.5)
"""How soon such a server is asked again, at first and at last."""
_MOST_OF_A_NAME = 80


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
    trickle: bool = False
    session_origin: str | None = None

    routes = TWO_ENDS_ROUTES
    pictures = True
    clocks: tuple[Clock, ...] = ("real",)

    @property
    def directions(self) -> tuple[WayName, ...]:
        """From the publisher to every listener."""
        return tuple(WayName.of("caller", name) for name in listeners_named(self.listeners))

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> WhipWhepCall:
        """Return a call, not yet begun, on the running loop."""
        del clock
        return WhipWhepCall(setup, seed, self)


def make_target(plan: TargetPlan) -> WhipWhepTarget:
    """Return the endpoints that ``plan`` names.

    Raises:
        BadInputError: a URL or option that cannot be meant.
    """
    plan.only(OPTIONS)
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
        trickle=plain.choice(plan, "trickle", plain.YES_NO, default=False),
        session_origin=session_origin(plan, whip, whep),
    )


class WhipWhepCall(OutsideCall):
    """One publisher, and those who listen to it."""

    optional = ("feed_ready", "counter_offer", "candidates_sent")
    milestones = tuple(each for milestone in OUTSIDE_ORDER for each in (*_BEFORE.get(milestone, ()), milestone))

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, target: WhipWhepTarget) -> None:
        self.sides = (("caller", "sendonly"), *((("callee", "recvonly"),) * target.listeners))
        super().__init__(setup, seed, server=plain.host_of(target.whip))
        self._target = target
        self._sessions: list[Session] = []

    async def connect(self) -> None:
        """Publish; when the caller is connected, listen."""
        await self._join(self.caller)
        await self.connected(self.caller)
        listening = [asyncio.ensure_future(self._listen(callee)) for callee in self.callees]
        try:
            await asyncio.gather(*listening)
        finally:
            for task in listening:
                task.cancel()

    async def leave(self) -> None:
        """Delete every session."""
        ended = await asyncio.gather(*(_delete(each) for each in self._sessions if each.url), return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _listen(self, callee: Peer) -> None:
        self.begin(callee)
        await self._join(callee)

    def _rights(self, peer: Peer) -> Rights:
        """Return where ``peer`` publishes or listens, and what may be sent there."""
        target = self._target
        url, token = (target.whip, target.whip_token) if peer is self.caller else (target.whep, target.whep_token)
        return Rights(url=url, token=token, headers=target.headers, trusted=target.session_origin)

    async def _join(self, peer: Peer) -> None:
        """Send an offer and take the answer, or answer the server's own offer."""
        rights = self._rights(peer)
        client = self.new_client(peer, ca_file=self._target.ca_file)
        gathered = None
        if self._target.trickle:
            offer, gathered = await self.offered_at_once(peer, client, rights.url)
        else:
            offer = await self.offered(peer, client, rights.url)
        try:
            self.mark(peer, "offer_sent")
            reply = await self._post(peer, client, rights, offer.text)
            session = self._keep(peer, client, reply, rights)
            if reply.status == 406:
                await self._answer(peer, session, reply.text())
                return
            self.mark(peer, "answer_received")
            servers, unusable = read_links(reply.headers.get_list("link"))
            self.warnings += unusable
            if servers and self.setup.ice.policy == "relay":
                await self._more(peer, session, offer, servers)  # without them there is nothing to call with
                servers = ()
            await self.accept(peer, reply.text(), offer)
            if gathered is not None:
                await self._send_candidates(peer, session, offer, await gathered, last=not servers)
        finally:
            if gathered is not None:
                gathered.cancel()
        if servers:
            self.meanwhile(self._more(peer, session, offer, servers))

    async def _post(self, peer: Peer, client: HttpClient, rights: Rights, offer: str) -> Reply:
        """Return the server's answer, or its own offer (406); asks again where that may help (rule 2)."""
        publishing = peer is self.caller
        begun_s, wait_s = self.network.now_s(), _AGAIN_S[0]
        asked = 0
        while True:
            asked_s = self.network.now_s()
            asked += 1
            reply = await client.exchange(
                "WHIP offer" if publishing else "WHEP offer",
                "POST",
                rights.url,
                body=offer,
                content_type=_SDP,
                headers=rights.headers,
                token=rights.token,
                statuses=_MADE if publishing else (*_MADE, 406, 409, *_NOT_YET_S),
                media_types=(_SDP,) if publishing else (),
            )
            refusal = faults.refusal(
                reply.exchange, reply.body, token=None if rights.token is None else rights.token.source
            )
            if reply.status == 409:
                self.said(peer, conflicts=asked)
                self.refused(peer, refusal)
                await asyncio.sleep(_retry_s(reply.headers.get("retry-after")))
            elif reply.status in _NOT_YET_S and asked_s + wait_s - begun_s < _NOT_YET_S[reply.status]:
                self.refused(peer, refusal)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _AGAIN_S[1])
            elif reply.status in _MADE or (reply.status == 406 and reply.media_type == _SDP):
                break
            else:  # of 406 too, where there is no offer of its own
                raise refusal
        if asked > 1:
            peer.timeline.mark("feed_ready", asked_s)
        return reply

    async def _answer(self, peer: Peer, session: Session, offer: str) -> None:
        """Answer the server's own offer."""
        self.mark(peer, "counter_offer")
        await peer.start_over()
        answer = await self.answer(peer, offer)
        await self._patch("WHEP answer", session, answer.text, _SDP)
        self.mark(peer, "answer_received")

    async def _more(self, peer: Peer, session: Session, offer: Sdp, servers: Sequence[IceServer]) -> None:
        """Ask the ICE servers that the target named, and send on what they gave."""
        found = await peer.gather_from(servers)
        if found:
            await self._send_candidates(peer, session, offer, found, last=True)

    async def _send_candidates(
        self, peer: Peer, session: Session, offer: Sdp, candidates: Sequence[str], *, last: bool
    ) -> None:
        """Send candidates that were not in the offer; ``last`` says that no more will come."""
        if session.url is None:
            return  # that it has no address was said
        fragment = candidates_fragment(offer, candidates, last=last)
        sent = await self._patch("candidates", session, fragment, _FRAGMENT, *_NO_TRICKLE)
        if sent.status in _NO_TRICKLE:
            self.warnings.append(f"the {peer.side}'s candidates were not taken: the server answered {sent.status}")
        self.mark(peer, "candidates_sent")

    async def _patch(self, what: str, session: Session, body: str, content_type: str, *more_statuses: int) -> Reply:
        headers = {} if session.etag is None else {"If-Match": session.etag}
        statuses = (200, 204, *more_statuses)
        return await session.exchange(
            what, "PATCH", body=body, content_type=content_type, headers=headers, statuses=statuses
        )

    def _keep(self, peer: Peer, client: HttpClient, reply: Reply, rights: Rights) -> Session:
        """Keep what is to be deleted at the end, and what the server says of itself."""
        session = Session.of(reply, client, rights)
        self._sessions.append(session)
        if session.warning is not None:
            self.warnings.append(session.warning)
        if "server" in reply.headers:
            self.said(peer, server=faults.printable(reply.headers["server"], _MOST_OF_A_NAME))
        return session


async def _delete(session: Session) -> None:
    await session.exchange("end of the session", "DELETE", statuses=(200, 202, 204, 404))


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
    said = "" if said is None else said.strip()
    wanted = float(said[:9]) if said.isascii() and said.isdigit() else 1.0
    return min(max(wanted, _RETRY_S[0]), _RETRY_S[1])
