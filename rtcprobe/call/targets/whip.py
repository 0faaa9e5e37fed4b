"""Targets ``whip+whep://``: publish by WHIP, listen by WHEP, the vendor between; mouth to ear one way.

Written as one URL, ``whip+whep://HOST/live/{whip,whep}?stream=7`` (of the braces the first word is for publishing, the
second for listening; without them ``/whip`` and ``/whep`` are appended); or as keys of ``target``::

    whip: https://host/publish        whep: https://host/play
    token: env:NAME                   for both; whip_token and whep_token for one of them
    headers, ca                       as everywhere
    session_origin                    where else than at the two URLs the token may go, to change and end sessions
    listeners: 3                      how many listen at the same time, 1 to 16
    kind: agent                       a voice agent to talk with: it listens to the one, and is heard at the other
    trickle: true                     offers go without candidates, those follow by PATCH

``whip+whep+http://`` goes without TLS.

A scenario of a caller and a callee has one who publishes and ``listeners``. One of ``parties`` has a stream for each
that speaks (``whip_room``): ``{party}`` in an address is the name of whose stream it is, to publish it and to hear it
(``whip+whep://HOST/live/{whip,whep}/{party}``); or ``whip`` and ``whep`` hold an address for each, by name.

Rules:
    1. The callee's join begins when the caller is connected: it joins what is on the air. It is the join that is timed.
    2. How a server is asked, and what goes there, is in ``whip_steps``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from rtcprobe.call.peer import Peer
from rtcprobe.call.session import session_origin
from rtcprobe.call.targets import plain
from rtcprobe.call.targets.base import ECHO_ROUTES, TWO_ENDS_ROUTES, Call, CallSetup, Route, listeners_named
from rtcprobe.call.targets.outside import OutsideCall
from rtcprobe.call.targets.outside_room import Venue, routes_of
from rtcprobe.call.targets.whip_agent import WhipAgentCall
from rtcprobe.call.targets.whip_room import WhipRoomCall
from rtcprobe.call.targets.whip_steps import ORDER, PARTY, Address, Endpoints, WhipSteps
from rtcprobe.errors import BadInputError
from rtcprobe.result import Clock
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret, read_secret, scrub
from rtcprobe.ways import Way as WayName

__all__ = ["WhipWhepCall", "WhipWhepTarget", "make_target"]

# All of them join at once from this one process, at some 10 ms of CPU each: with more, that would be what is timed.
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
    "kind",
)
_STANDS_IN: Final = "0-party-0"
"""What stands for a party's name while an address is read: braces are none of HTTP's."""
# address = text "{" first "," second "}" text ; one alternative for each of two parties, no braces within
_BRACES: Final = re.compile(r"\{([^{},]*),([^{},]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WhipWhepTarget(Venue):
    """An endpoint to publish to and one to listen at; of ``parties``, who hear on ``ways``, one a talker."""

    name: str
    whip: Address
    whep: Address
    whip_token: Secret | None = None
    whep_token: Secret | None = None
    headers: Mapping[str, str | Secret]
    ca_file: Path | None = None
    listeners: int = 1
    trickle: bool = False
    session_origin: str | None = None
    agent: bool = False

    @property
    def directions(self) -> tuple[WayName, ...]:
        """From the publisher to every listener; nothing comes back from an agent that was said."""
        if self.agent:
            return ()
        return self.ways or tuple(WayName.of("caller", name) for name in listeners_named(self.listeners))

    @property
    def pictures(self) -> bool:
        """Whether pictures pass it too: in a room it is the sound that is measured."""
        return not self.parties

    @property
    def routes(self) -> Sequence[Route]:
        """The ways packets take."""
        if self.agent:
            return ECHO_ROUTES
        return routes_of(self.parties) if self.parties else TWO_ENDS_ROUTES

    @property
    def endpoints(self) -> Endpoints:
        """What its calls are made with."""
        return Endpoints(
            whip=self.whip,
            whep=self.whep,
            whip_token=self.whip_token,
            whep_token=self.whep_token,
            headers=self.headers,
            ca_file=self.ca_file,
            trickle=self.trickle,
            session_origin=self.session_origin,
        )

    def joining(self, parties: Sequence[str], ways: Sequence[WayName]) -> WhipWhepTarget:
        """Return it with these parties.

        Raises:
            BadInputError: it has no address of its own for each stream, or says otherwise who listens.
        """
        if self.listeners > 1:
            raise BadInputError("target.listeners means nothing where parties are written", "leave it out")
        talkers = list(dict.fromkeys(way.talker for way in ways))
        for key, where in (("whip", self.whip), ("whep", self.whep)):
            missing = [name for name in talkers if not isinstance(where, str) and name not in where]
            if missing:
                raise BadInputError(
                    f"target.{key} has no address for {missing[0]}", f"add {missing[0]}: https://host/..."
                )
            if isinstance(where, str) and PARTY not in where and len(talkers) > 1:
                raise BadInputError(
                    f"{self.name} has one stream, and {' and '.join(talkers)} speak",
                    f"write {PARTY} where their names go: /{{whip,whep}}/{PARTY}",
                )
        return replace(self, parties=tuple(parties), ways=tuple(ways))

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> Call:
        """Return a call, not yet begun, on the running loop."""
        del clock
        if self.parties:
            return WhipRoomCall(setup, seed, self.endpoints)
        if not isinstance(self.whip, str) or not isinstance(self.whep, str) or PARTY in self.whip + self.whep:
            raise BadInputError(f"{self.name} is of parties, and a caller calls it", "write parties, or one address")
        return WhipAgentCall(setup, seed, self.endpoints) if self.agent else WhipWhepCall(setup, seed, self)


def make_target(plan: TargetPlan) -> WhipWhepTarget:
    """Return the endpoints that ``plan`` names.

    Raises:
        BadInputError: a URL or option that cannot be meant.
    """
    plan.only(OPTIONS)
    agent = plain.choice(plan, "kind", {"agent": True}, default=False)
    if agent and "listeners" in plan.options:
        raise BadInputError("target.listeners means nothing of an agent", "leave it out")
    both = plain.token(plan)
    whip, whep = _urls(plan)
    shown = [scrub(each) if isinstance(each, str) else "of each party" for each in (whip, whep)]
    return WhipWhepTarget(
        name=plan.shown if "://" in plan.url else f"whip {shown[0]}, whep {shown[1]}",
        whip=whip,
        whep=whep,
        whip_token=_own_token(plan, "whip_token") or both,
        whep_token=_own_token(plan, "whep_token") or both,
        headers=plain.headers(plan),
        ca_file=plain.ca_file(plan),
        listeners=plain.whole_number(plan, "listeners", 1, MOST_LISTENERS, default=1),
        trickle=plain.choice(plan, "trickle", plain.YES_NO, default=False),
        agent=agent,
        session_origin=session_origin(plan, *_each(whip), *_each(whep)),
    )


class WhipWhepCall(WhipSteps, OutsideCall):
    """One publisher, and those who listen to it."""

    milestones = ORDER

    def __init__(self, setup: CallSetup, seed: np.random.SeedSequence, target: WhipWhepTarget) -> None:
        self.sides = (("caller", "sendonly"), *((("callee", "recvonly"),) * target.listeners))
        self.endpoints = target.endpoints
        super().__init__(setup, seed, server=self.endpoints.host)

    async def connect(self) -> None:
        """Publish; when the caller is connected, listen."""
        await self.join_at(self.caller, self.endpoints.publishing("caller"), publishing=True)
        await self.connected(self.caller)
        listening = [asyncio.ensure_future(self._listen(callee)) for callee in self.callees]
        try:
            await asyncio.gather(*listening)
        finally:
            for task in listening:
                task.cancel()

    async def _listen(self, callee: Peer) -> None:
        self.begin(callee)
        await self.join_at(callee, self.endpoints.listening("caller"), publishing=False)


def _each(where: Address) -> tuple[str, ...]:
    return (where,) if isinstance(where, str) else tuple(where.values())


def _written(value: object, place: str) -> Address:
    """Return an address, or one for each party by name.

    Raises:
        BadInputError: it is none.
    """
    if isinstance(value, Mapping):
        return {str(name): plain.web_url(each, f"{place}.{name}") for name, each in value.items()}
    if not isinstance(value, str):
        return plain.web_url(value, place)
    return plain.web_url(value.replace(PARTY, _STANDS_IN), place).replace(_STANDS_IN, PARTY)


def _urls(plan: TargetPlan) -> tuple[Address, Address]:
    """Return where to publish and where to listen."""
    whip, whep = plan.options.get("whip"), plan.options.get("whep")
    _, slashes, rest = plan.url.partition("://")
    if not slashes:
        if whip is None or whep is None:
            missing = "whip" if whip is None else "whep"
            raise BadInputError(f"target.{missing} is missing", f"write it like {missing}: https://host/{missing}/room")
        return _written(whip, "target.whip"), _written(whep, "target.whep")
    if whip is not None or whep is not None:
        raise BadInputError("target has a url beside whip and whep", "leave one of them out")
    scheme = "http" if plan.scheme.endswith("+http") else "https"
    choices = _BRACES.findall(rest)
    if len(choices) > 1 or ("{" in _BRACES.sub("", rest.replace(PARTY, ""))):
        raise BadInputError(
            f"target {plan.shown!r} has more braces than one pair of words", "write it like /{whip,whep}"
        )
    if choices:
        written = [_BRACES.sub(lambda _, word=word: word, rest) for word in choices[0]]  # type: ignore[misc]
    else:
        # A query belongs behind the path: ``?stream=7`` must not end up before the appended word.
        path, question, query = rest.partition("?")
        written = [f"{path.rstrip('/')}/{word}{question}{query}" for word in ("whip", "whep")]
    # The scheme without TLS is the target's own word: of a URL's two addresses none can have another.
    first, second = (_written(f"{scheme}://{each}", "target") for each in written)
    return first, second


def _own_token(plan: TargetPlan, key: str) -> Secret | None:
    written = plan.options.get(key)
    return None if written is None else read_secret(written, f"target.{key}")
