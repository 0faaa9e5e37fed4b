"""Target ``janus``: Meetecho's Janus, its EchoTest (*echo*), VideoRoom (*one way*, or a room) and AudioBridge (a mix).

``janus://HOST/echotest``, ``janus://HOST/videoroom/ROOM`` and ``janus://HOST/audiobridge/ROOM`` speak HTTPS,
``janus+http`` plain HTTP, ``janus+wss`` and ``janus+ws`` WebSocket. What stands before the plugin's name is where the
API is: ``/janus`` over HTTP unless given.

Options: ``secret`` (the API's), ``token``, ``pin`` (the room's), each env:NAME or file:PATH; ``ca``; ``listeners``;
``prebuffer`` (of the AudioBridge: packets, 0 to 50).

A scenario of a caller and a callee has one speaker and ``listeners`` who hear it (``janus_calls``); one of ``parties``
has all of them in the room, each heard by whom the scenario says (``janus_room``). An AudioBridge has all parties, a
caller and a callee too, in one mix (``janus_mix``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

import httpx
import numpy as np

from rtcprobe.call.http import parse_url
from rtcprobe.call.targets.base import ECHO_ROUTES, TWO_ENDS_ROUTES, Call, CallSetup, Route, listeners_named
from rtcprobe.call.targets.janus_calls import EchoTestCall, ListenersCall
from rtcprobe.call.targets.janus_mix import AudioBridgeCall
from rtcprobe.call.targets.janus_room import VideoRoomCall
from rtcprobe.call.targets.janus_steps import JanusApi
from rtcprobe.call.targets.outside_room import Venue, routes_of
from rtcprobe.call.targets.plain import ca_file, whole_number
from rtcprobe.errors import BadInputError
from rtcprobe.result import Clock
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import read_secret
from rtcprobe.ways import BOTH_WAYS, Way

__all__ = ["JanusTarget", "make_target"]

SCHEMES: Final[Mapping[str, str]] = {
    "janus": "https",
    "janus+https": "https",
    "janus+http": "http",
    "janus+wss": "wss",
    "janus+ws": "ws",
}
OPTIONS: Final = ("secret", "token", "pin", "ca", "listeners", "prebuffer", "textroom")
# Each has a session, a handle and a media path of its own, joined one after the other: more are parties of a room.
MOST_LISTENERS: Final = 8
MOST_PREBUFFER: Final = 50
"""MAX_PREBUFFERING of ``plugins/janus_audiobridge.c``."""
# ``base_path`` of Janus' HTTP transport (``janus.transport.http.jcfg``); its WebSocket transport is asked at the root.
HTTP_BASE: Final = "/janus"
_OF_ROOMS: Final = ("videoroom", "audiobridge")


@dataclass(frozen=True, slots=True, kw_only=True)
class JanusTarget(Venue):
    """A plugin of a Janus: ``room`` is None for the EchoTest; ``parties`` are those of a room, who hear on ``ways``.

    ``mixes``: the room is an AudioBridge; ``prebuffer`` what it is asked to keep of each talker, packets.
    ``textroom`` is where messages go.
    """

    name: str
    api: JanusApi
    room: int | str | None
    listeners: int
    mixes: bool = False
    prebuffer: int | None = None
    textroom: int | str | None = None

    @property
    def directions(self) -> Sequence[Way]:
        """There and back in the EchoTest, speaker to every listener in a room."""
        if self.room is None:
            return (Way("round_trip"),)
        return self.ways or tuple(Way.of("caller", name) for name in listeners_named(self.listeners))

    @property
    def pictures(self) -> bool:
        """Whether a picture is shown and watched beside the sound: where one calls another, or itself."""
        return not self.parties and not self.mixes

    @property
    def routes(self) -> Sequence[Route]:
        """The ways packets take."""
        if self.parties:
            return routes_of(self.parties)
        return ECHO_ROUTES if self.room is None else TWO_ENDS_ROUTES

    def joining(self, parties: Sequence[str], ways: Sequence[Way]) -> JanusTarget:
        """Return the room with these parties in it.

        Raises:
            BadInputError: it is no room, or says otherwise who listens.
        """
        if self.room is None:
            raise BadInputError(
                f"{self.name} cannot be called by {', '.join(parties)}", "an echo has one caller: name a videoroom"
            )
        if self.listeners > 1:
            raise BadInputError("target.listeners means nothing where parties are written", "leave it out")
        return replace(self, parties=tuple(parties), ways=tuple(ways))

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> Call:
        """Return a call, not yet begun, on the running loop."""
        del clock
        if self.room is None:
            return EchoTestCall(self.api, setup, seed)
        if self.mixes:
            return AudioBridgeCall(self.api, self.room, self.prebuffer, setup, seed, textroom=self.textroom)
        if self.parties:
            return VideoRoomCall(self.api, self.room, setup, seed, textroom=self.textroom)
        return ListenersCall(self.api, self.room, self.listeners, setup, seed)


def make_target(plan: TargetPlan) -> JanusTarget:
    """Return the target that ``plan`` names.

    Raises:
        BadInputError: a URL or an option that cannot be meant.
    """
    plan.only(OPTIONS)
    url, plugin, room = _address(plan)
    options = plan.options
    if plugin != "audiobridge" and "prebuffer" in options:
        raise BadInputError(f"target.prebuffer means nothing to {plugin}", "leave it out, or call an audiobridge")
    if plugin == "audiobridge" and "listeners" in options:
        raise BadInputError("target.listeners means nothing to an audiobridge", "leave it out, or write parties")
    if room is None:
        for key in ("pin", "listeners", "textroom"):
            if key in options:
                raise BadInputError(f"target.{key} means nothing to the EchoTest", "leave it out, or call a videoroom")
    secrets = {
        key: read_secret(options[key], what) if key in options else None
        for key, what in (("secret", "target.secret"), ("token", "target.token"), ("pin", "target.pin"))
    }
    api = JanusApi(host=httpx.URL(url).host, url=url, ca_file=ca_file(plan), **secrets)
    target = JanusTarget(name=plan.shown, api=api, room=room, listeners=_listeners(options.get("listeners", 1)))
    target = replace(target, textroom=_textroom(options.get("textroom")))
    if plugin != "audiobridge":
        return target
    prebuffer = whole_number(plan, "prebuffer", 0, MOST_PREBUFFER, default=0) if "prebuffer" in options else None
    return replace(target, mixes=True, prebuffer=prebuffer, parties=("caller", "callee"), ways=BOTH_WAYS)


def _address(plan: TargetPlan) -> tuple[str, str, int | str | None]:
    """Return the URL of the API, the plugin, and the room (None: the EchoTest)."""
    shown = plan.shown
    place = f"target {shown!r}"
    try:
        url = parse_url(SCHEMES[plan.scheme] + plan.url[len(plan.scheme) :])
    except BadInputError as error:
        raise error.within(place) from None
    if url.query or url.fragment:
        raise BadInputError(f"{place} holds more than an address", "secrets are given as target.secret, .token or .pin")
    *base, last = [""] if url.path in {"", "/"} else url.path.strip("/").split("/")
    room: int | str | None = None
    plugin = "echotest"
    if last != plugin:
        plugin = base.pop() if base else ""
        if plugin not in _OF_ROOMS or not last:
            cure = "end it with /echotest, /videoroom/ROOM or /audiobridge/ROOM"
            raise BadInputError(f"{place} names no plugin we can call", cure)
        # Janus numbers rooms unless it is run with ``string_ids``: then they are names, which a URL may have to escape.
        room = int(last) if last.isascii() and last.isdigit() else unquote(last)
    # What stands before the plugin is where the API is behind a proxy; else Janus' own place.
    path = "/".join(["", *base]) or (HTTP_BASE if url.scheme.startswith("http") else "/")
    return str(url.copy_with(path=path)), plugin, room


def _listeners(written: object) -> int:
    if isinstance(written, bool) or not isinstance(written, int) or not 1 <= written <= MOST_LISTENERS:
        raise BadInputError(f"target.listeners {written!r} is impossible", f"give 1 to {MOST_LISTENERS}")
    return written


def _textroom(written: object) -> int | str | None:
    """Return which TextRoom messages go through.

    Raises:
        BadInputError: no number, and no name.
    """
    if written is None or (isinstance(written, (int, str)) and not isinstance(written, bool) and written != ""):
        return written
    raise BadInputError(f"target.textroom {written!r} is no room", "write its number, like 1234")
