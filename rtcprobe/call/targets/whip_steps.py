"""What publishing by WHIP and listening by WHEP are made of, whoever takes part.

Facts:
    - WHIP: POST of an offer, 201 with the answer, its Location, and the ETag of the ICE session; DELETE ends it.
      Source: RFC 9725 §4. ICE servers come in Link headers (§4.6): their candidates follow by PATCH, and so do all
      others where an offer was sent before they were gathered.
    - WHEP is a draft (draft-ietf-wish-whep). A server may answer 406 with an offer of its own, whose answer is sent by
      PATCH to the Location; or 409, with Retry-After, while nobody publishes.

Rules:
    1. A server is asked once: one POST, and one more for each 409 that says when, until the join's timeout. A listener
       comes the instant its publisher is up: a server that does not know the stream yet (404, 500, 503) is asked again
       for as long as an exchange may take, and the time it needed is a phase of its own, ``feed_ready``.
    2. ICE starts on the answer. What else there is to gather and to send (candidates of servers that the answer names)
       is done beside it.
    3. Every session the server named is deleted at the end, also after half a join.
    4. No ICE restarts: aiortc has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rtcprobe.call import faults
from rtcprobe.call.description import read_description
from rtcprobe.call.http import HttpClient, Reply
from rtcprobe.call.peer import Peer
from rtcprobe.call.session import Rights, Session
from rtcprobe.call.signaling import Sdp
from rtcprobe.call.targets import plain
from rtcprobe.call.targets.endings import all_told
from rtcprobe.call.targets.outside_ends import OutsideEnds
from rtcprobe.errors import MeasurementError
from rtcprobe.ice import IceServer, read_links
from rtcprobe.secrets import Secret
from rtcprobe.timeline import OUTSIDE_ORDER

__all__ = ["ORDER", "PARTY", "Address", "Endpoints", "WhipSteps", "candidates_fragment"]

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
# Characters of what a server calls itself: of a stranger's header no more is kept.
_MOST_OF_A_NAME = 80

ORDER: Final = tuple(each for milestone in OUTSIDE_ORDER for each in (*_BEFORE.get(milestone, ()), milestone))


Address = str | Mapping[str, str]
"""Where streams are, by whose they are: an address with ``{party}`` in it (without: there is one), or one each."""

PARTY: Final = "{party}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where to publish and to listen, and what may be sent there."""

    whip: Address
    whep: Address
    whip_token: Secret | None = None
    whep_token: Secret | None = None
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    ca_file: Path | None = None
    trickle: bool = False
    session_origin: str | None = None

    @property
    def host(self) -> str:
        """The host that streams are published to, the first one's."""
        first = self.whip if isinstance(self.whip, str) else next(iter(self.whip.values()))
        return plain.host_of(first.replace(PARTY, ""))

    def publishing(self, party: str) -> Rights:
        """Return where ``party`` publishes, and what may be sent there."""
        return self._rights(self.whip, party, self.whip_token)

    def listening(self, talker: str) -> Rights:
        """Return where ``talker`` is listened to, and what may be sent there."""
        return self._rights(self.whep, talker, self.whep_token)

    def _rights(self, where: Address, party: str, token: Secret | None) -> Rights:
        url = where.replace(PARTY, party) if isinstance(where, str) else where[party]
        return Rights(url=url, token=token, headers=self.headers, trusted=self.session_origin)


class WhipSteps(OutsideEnds):
    """The steps."""

    optional = ("feed_ready", "counter_offer", "candidates_sent")
    endpoints: Endpoints

    def __init__(self, *args: Any, **options: Any) -> None:
        self._sessions: list[Session] = []
        self._session_of: dict[Peer, Session] = {}
        super().__init__(*args, **options)

    async def leave(self) -> None:
        """Delete every session."""
        refused: list[str] = []

        async def end(session: Session) -> None:
            try:
                await _delete(session)
            except MeasurementError as error:
                refused.append(str(error))

        try:
            await asyncio.gather(*(end(each) for each in self._sessions if each.url))
        finally:  # also where another is waited for in vain
            told = all_told("leaving", refused)
            self.warnings += [] if told is None else [told]

    async def end_session(self, peer: Peer) -> None:
        """Delete the session of a connection, where it has one."""
        session = self._session_of.pop(peer, None)
        if session is not None and session.url:
            await _delete(session)
            self._sessions.remove(session)  # not before: what did not end now is ended with the call

    async def join_at(self, peer: Peer, rights: Rights, *, publishing: bool) -> None:
        """Send an offer and take the answer, or answer the server's own offer."""
        client = self.new_client(peer, ca_file=self.endpoints.ca_file)
        gathered = None
        if self.endpoints.trickle:
            offer, gathered = await self.offered_at_once(peer, client, rights.url)
        else:
            offer = await self.offered(peer, client, rights.url)
        try:
            self.mark(peer, "offer_sent")
            reply = await self._post(peer, client, rights, offer.text, publishing=publishing)
            session = self._keep(peer, client, reply, rights)
            # A WHEP server may want to make the offer itself
            # (draft-ietf-wish-whep): it does so in the body of this refusal.
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

    async def _post(self, peer: Peer, client: HttpClient, rights: Rights, offer: str, *, publishing: bool) -> Reply:
        """Return the server's answer, or its own offer (406); asks again where that may help (rule 1)."""
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
            # Asked again while the wait would still be within the patience for that status, each time twice as late.
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
        # Our own offer was not taken, and an offer of theirs cannot be set over
        # it: aiortc has no rollback (RFC 9429 §4.1.10.2).
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
        # RFC 9725 §4.3: a PATCH names the ICE session it is of, and a server refuses one of another (412).
        headers = {} if session.etag is None else {"If-Match": session.etag}
        statuses = (200, 204, *more_statuses)
        return await session.exchange(
            what, "PATCH", body=body, content_type=content_type, headers=headers, statuses=statuses
        )

    def _keep(self, peer: Peer, client: HttpClient, reply: Reply, rights: Rights) -> Session:
        """Keep what is to be deleted at the end, and what the server says of itself."""
        session = Session.of(reply, client, rights)
        self._sessions.append(session)
        self._session_of[peer] = session
        if session.warning is not None:
            self.warnings.append(session.warning)
        if "server" in reply.headers:
            self.said(peer, server=faults.printable(reply.headers["server"], _MOST_OF_A_NAME))
        return session


def candidates_fragment(offer: Sdp, candidates: Sequence[str], *, last: bool = True) -> str:
    """Return ``candidates`` (``"candidate:..."``) of ``offer`` as a fragment to be sent later; ``last``: all are told.

    Source: RFC 8840 §9, RFC 9725 §4.3.2.
    """
    found = read_description(offer.text, "our offer")
    section = found.audio()[0]
    # A fragment names its section and its ICE session, and nothing else of it (RFC 8840 §9).
    kept = [line for line in section if line.startswith(("a=mid:", "a=ice-ufrag:", "a=ice-pwd:"))]
    group = [line for line in found.session if line.startswith("a=group:BUNDLE")]
    lines = [*group, section[0], *kept, *(f"a={each}" for each in candidates)]
    lines += ["a=end-of-candidates"] if last else []
    return "\r\n".join(lines) + "\r\n"


async def _delete(session: Session) -> None:
    await session.exchange("end of the session", "DELETE", statuses=(200, 202, 204, 404))


def _retry_s(said: str | None) -> float:
    """Return how long to wait as Retry-After says, within bounds; a second where it says nothing, or a date."""
    said = "" if said is None else said.strip()
    wanted = float(said[:9]) if said.isascii() and said.isdigit() else 1.0
    return min(max(wanted, _RETRY_S[0]), _RETRY_S[1])
