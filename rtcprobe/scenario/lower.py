"""What is written of people and paths, in either shape, lowered into parties, legs and a script.

Rules:
    1. ``caller`` and ``callee`` are two parties of these names; both send one sound and hear all. A link written out
       carries everything in its direction, signalling too: the signalling server stands at the callee's end of it.
    2. ``parties`` are read in the order written. What is written of all (``codec``, ``mouth``, ``devices``,
       ``playout``) holds for each, but for the keys it has itself; ``protection`` is agreed on between two, and so one
       for all. ``link`` is for every leg between two that ``legs`` does not name.
    3. Parties who call a server outside (``target`` is a URL) have legs to it and from it, ``ana_to_target`` and
       ``target_to_ana``; ``link`` is for each of them that is not named.
    4. Where ``parties`` are written and ``signaling.region`` is not, the signalling server stands at the last party's
       end of its legs, as it does at the callee's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from rtcprobe.audio.opus import OpusSettings
from rtcprobe.audio.protection import Protection
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.link import LinkSpec, parse_link
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.scenario.messages import message_plan
from rtcprobe.scenario.parties import ANYWHERE, OWN_LINES, Devices, MouthPlan, Party, Site, Stream
from rtcprobe.scenario.plans import SignalingPlan
from rtcprobe.scenario.script import Cue, parse_cue
from rtcprobe.scenario.servers import servers_of
from rtcprobe.scenario.video import video_plan
from rtcprobe.units import parse_decibels, parse_duration, parse_ppm, parse_rate, parse_ratio
from rtcprobe.ways import BOTH_LEGS, Leg

__all__ = ["Cast", "cast_of", "within"]

_T = TypeVar("_T")

_PAIR: Final = ("caller", "callee")
_ROOM: Final = ("legs", "script")
"""Keys that need ``parties``."""

_FAR: Final = "target"
_NO_PARTY: Final = ("server", _FAR)
"""What routes call the signalling server and whoever is called outside."""

_OF_ALL: Final = ("codec", "mouth", "devices")
"""Keys with keys of their own that a party may have too."""


class Cast(NamedTuple):
    """Who takes part, over which links written out, when, and where their signalling server stands."""

    parties: tuple[Party, ...]
    legs: Mapping[Leg, LinkSpec]
    script: tuple[Cue, ...]
    signaling: SignalingPlan
    servers: Mapping[str, Site] = {}


def cast_of(written: Mapping[str, Any], folder: Path, *, traces: Path | None = None) -> Cast:
    """Return what the complete settings ``written`` say; files that links and mouths name are looked for in ``folder``.

    ``traces``: where those of the key ``link`` are, if that is another one.

    Raises:
        BadInputError: both shapes, or something in them that cannot be meant.
    """
    if "parties" not in written:
        for key in _ROOM:
            if key in written:
                raise BadInputError(f"{key} is written, and no parties", "write parties in place of caller and callee")
        return _pair(written, folder, traces or folder, servers_of(written))
    for key in _PAIR:
        if key in written:
            raise BadInputError(f"parties and {key} both say who takes part", f"leave {key} out")
    return _room(written, folder, traces or folder, servers_of(written))


def within(place: str, build: Callable[[Any], _T], written: Any) -> _T:
    """Return what ``build`` makes of ``written``; what it refuses is told with its ``place``."""
    try:
        return build(written)
    except BadInputError as error:
        raise error.within(place) from error


def _pair(written: Mapping[str, Any], folder: Path, traces: Path, servers: Mapping[str, Site]) -> Cast:
    # Where a link replaces the path nobody's place need be written (``schema.PLACES``).
    parties = tuple(_party(name, _site(name, written.get(name, {}), folder), {}, written, folder) for name in _PAIR)
    if servers:
        if written["link"] != {}:
            raise BadInputError(
                "link leads from caller to callee, past the server between them", "write parties, and legs to the sfu"
            )
        return Cast(parties, {}, (), _signaling(written, beside=None), servers)
    legs = {Leg(direction): link for direction, link in _links(written["link"], traces).items()}
    return Cast(parties, legs, (), _signaling(written, beside="callee"))


def _room(written: Mapping[str, Any], folder: Path, traces: Path, servers: Mapping[str, Site]) -> Cast:
    named: Mapping[str, Any] = written["parties"]
    if len(named) < len(_PAIR):
        raise BadInputError(f"parties has {len(named)}: nobody to call", "name two or more, such as ana and ben")
    for name in _NO_PARTY:
        if name in named:
            raise BadInputError(f"a party cannot be called {name!r}", "that is what paths call somebody else: ana, ben")
    parties = tuple(
        _party(name, _site(f"parties.{name}", of, folder), of, written, folder) for name, of in named.items()
    )
    script = tuple(parse_cue(line) for line in written.get("script", ()))
    if servers:
        # To every server, as it is not known yet who is connected to which (``servers.homes_of``).
        there = [Leg.between(name, server) for name in named for server in servers]
        legs = _legs(written, [each for leg in there for each in (leg, leg.back)], folder, traces)
        return Cast(parties, legs, script, _signaling(written, beside=None), servers)
    if _calls_outside(written):
        there = [Leg.between(name, _FAR) for name in named]
        legs = _legs(written, [each for leg in there for each in (leg, leg.back)], folder, traces)
        _placed_outside(parties, legs, written)
        return Cast(parties, legs, script, _signaling(written, beside=None))
    legs = _legs(written, [Leg.between(*pair) for pair in permutations(named, 2)], folder, traces)
    beside = None if "region" in written.get("signaling", {}) else parties[-1].name
    _placed(parties, legs, beside)
    return Cast(parties, legs, script, _signaling(written, beside=beside))


def _signaling(written: Mapping[str, Any], *, beside: str | None) -> SignalingPlan:
    return SignalingPlan(**{"connection": "cold", **written.get("signaling", {})}, beside=beside)


def _party(name: str, site: Site, own: Mapping[str, Any], of_all: Mapping[str, Any], folder: Path) -> Party:
    """Return the party ``name``; ``own`` are the keys it has itself."""
    # Key by key (rule 2): who gives a bitrate keeps everybody's packet time.
    says = {key: {**of_all[key], **own.get(key, {})} for key in _OF_ALL}
    # Who has no keys of its own has those of all, and what is refused of them stands under their place.
    place = f"parties.{name}." if own else ""
    sound = Stream(
        codec=within(f"{place}codec", _codec, says["codec"]),
        programme=within(f"{place}mouth", partial(_mouth, folder=folder), says["mouth"]),
        protection=Protection(
            # FEC is the encoder's, each party's own; RED and NACK are agreed on.
            red_copies=of_all["protection"]["red"],
            fec=says["codec"]["fec"],
            nack=of_all["protection"]["nack"],
        ),
    )
    shows = {**of_all.get("video", {}), **own.get("video", {})}
    # ``video: {}`` is a picture as usual; only an absent key shows nothing.
    shown = "video" in of_all or "video" in own
    picture = [Stream(medium="video", video=within(f"{place}video", video_plan, shows))] if shown else []
    return Party(
        name=name,
        role=own.get("role", ""),
        site=site,
        sends=(*(() if own.get("sends") == "nothing" else (sound, *picture)), *_written(own, of_all, place)),
        hears=within(f"parties.{name}.hears", _hears, own.get("hears", "all")),
        devices=within(f"{place}devices", _devices, says["devices"]),
        playout=PlayoutChoice.parse(own.get("playout", of_all["playout"])),
        comes_s=parse_duration(own["comes"]) if "comes" in own else 0.0,
        leaves_s=parse_duration(own["leaves"]) if "leaves" in own else None,
        edge=own.get("edge"),
    )


def _written(own: Mapping[str, Any], of_all: Mapping[str, Any], place: str) -> tuple[Stream, ...]:
    """Return the messages a party sends: those of its own; where it has none, those of all who send sound."""
    if "messages" not in own and (own.get("sends") == "nothing" or "messages" not in of_all):
        return ()
    says = {**of_all.get("messages", {}), **own.get("messages", {})}
    limits = ("max_retransmits", "max_lifetime")
    # A channel has one limit or the other (RFC 8832 §5.1): with both inherited and own it could not be opened.
    if any(key in own.get("messages", {}) for key in limits):  # its own limit, in place of that of all
        says = {key: value for key, value in says.items() if key not in limits or key in own["messages"]}
    return (Stream(medium="messages", messages=within(f"{place}messages", message_plan, says)),)


def _hears(written: str | list[str]) -> Any:
    if isinstance(written, list):
        # Whoever is named twice is heard once: a pair has one way of a medium.
        return tuple(dict.fromkeys(written))
    if written in ("all", "nobody"):
        return "all" if written == "all" else ()
    raise BadInputError(f"{written!r} is not known", "use all, nobody, or a list of names")


def _placed(parties: tuple[Party, ...], legs: Mapping[Leg, LinkSpec], beside: str | None) -> None:
    """Refuse a party whose place is not known and is needed: where some of its paths are not legs written out.

    Raises:
        BadInputError: a place is missing.
    """
    # Both ways, as a leg may be written out in one direction alone.
    for one, other in permutations(parties, 2):
        leg = Leg.between(one.name, other.name)
        # Two who hear nothing of each other have no media between them: nothing needs to be known of their path.
        meets = one.listens_to(other.name) or other.listens_to(one.name)
        if leg in legs or not (meets or beside in (one.name, other.name)):
            continue
        if beside in (one.name, other.name):
            raise BadInputError(
                "signaling.region is missing", f"write it like bangkok; or give the leg {leg}, or link for every leg"
            )
        for party in (one, other):
            _known_place(party, f"give the leg {leg}, or link for every leg")
    if beside is None:
        for party in parties:
            _known_place(party, "leave signaling.region out, and the signalling server stands with the last party")


def _site(place: str, of: Mapping[str, Any], folder: Path) -> Site:
    """Return where a party is; its access is one of the catalogue, or lines of its own."""
    region, access = of.get("region", ANYWHERE), of.get("access", ANYWHERE)
    if isinstance(access, str):
        return Site(region=region, access=access)
    up, down = (_link(f"{place}.access.{way}", access[way], folder) for way in ("up", "down"))
    return Site(region=region, access=OWN_LINES, lines=(up, down))


def _known_place(party: Party, otherwise: str) -> None:
    for key, value in (("region", party.site.region), ("access", party.site.access)):
        if value == _NOWHERE[key]:
            raise BadInputError(
                f"parties.{party.name}.{key} is missing", f"write it like {_EXAMPLES[key]}; or {otherwise}"
            )


_NOWHERE: Final = {"region": Site().region, "access": Site().access}
_EXAMPLES: Final = {"region": "bangkok", "access": "wifi-good"}


def _calls_outside(written: Mapping[str, Any]) -> bool:
    """Return whether the target is a server of somebody else's: a URL, or its keys."""
    target = written.get("target", "loopback")
    # Keys without a URL (whip and whep) are a server's all the same.
    url = target.get("url", "://") if isinstance(target, Mapping) else target
    return isinstance(url, str) and "://" in url


def _placed_outside(parties: tuple[Party, ...], legs: Mapping[Leg, LinkSpec], written: Mapping[str, Any]) -> None:
    """Refuse a leg that leads to no server, and a party whose place is needed.

    Raises:
        BadInputError: such a one.
    """
    named = {party.name for party in parties}
    for leg in legs:
        if leg.source in named and leg.destination in named:
            raise BadInputError(
                f"leg {str(leg)!r} passes the target by", f"give {leg.source}_to_{_FAR} or {_FAR}_to_{leg.destination}"
            )
    target = written["target"]
    # Only then is there a backbone to emulate; else a party's own access is all that must be known.
    placed = isinstance(target, Mapping) and target.get("region") is not None
    for party in parties:
        there = Leg.between(party.name, _FAR)
        if there in legs and there.back in legs:
            continue
        otherwise = f"give the legs {there} and {there.back}, or link for every leg"
        for key, value in (("access", party.site.access), ("region", party.site.region)):
            if value == _NOWHERE[key] and (key == "access" or placed):
                raise BadInputError(
                    f"parties.{party.name}.{key} is missing", f"write it like {_EXAMPLES[key]}; or {otherwise}"
                )


def _legs(written: Mapping[str, Any], between: Sequence[Leg], folder: Path, traces: Path) -> dict[Leg, LinkSpec]:
    """Return the legs there are: those named, and of those ``between`` whom ``link`` leads, that for the rest."""
    own = written.get("legs", {})
    if not isinstance(own, Mapping):
        raise BadInputError(f"legs {own!r} is not a set of legs", "write it like legs: {ana_to_ben: delay 80ms}")
    # A pair's link has directions of a caller and a callee, whom a room need not have.
    if isinstance(written["link"], Mapping) and any(key in BOTH_LEGS for key in written["link"]):
        way = next(key for key in written["link"] if key in BOTH_LEGS)
        raise BadInputError(f"link.{way} is of a caller and a callee", f"name the leg: legs.{between[0]}")
    given = {within("legs", Leg, name): link for name, link in own.items()}
    everywhere = None if written["link"] == {} else _link("link", written["link"], traces)
    found: dict[Leg, LinkSpec] = {}
    for leg in between:
        if leg in given:
            found[leg] = _link(f"legs.{leg}", given.pop(leg), folder)
        elif everywhere is not None:
            found[leg] = everywhere
    # Legs that are between nobody of ``between`` are kept: who reads legs refuses them by name (``check_parties``).
    return found | {leg: _link(f"legs.{leg}", link, folder) for leg, link in given.items()}


def _codec(written: Mapping[str, Any]) -> OpusSettings:
    return OpusSettings(
        # libopus takes whole bits a second (OPUS_SET_BITRATE).
        bitrate_bps=round(parse_rate(written["bitrate"])),
        application=written["application"],
        fec=written["fec"],
        expected_loss=parse_ratio(written["expected_loss"]),
        ptime_s=parse_duration(written["ptime"]),
        dtx=written["dtx"],
        complexity=written["complexity"],
    )


def _devices(written: Mapping[str, Any]) -> Devices:
    return Devices(
        capture_s=parse_duration(written["capture"]),
        playback_s=parse_duration(written["playback"]),
        drift=parse_ppm(written["drift"]),
    )


def _mouth(written: Mapping[str, Any], folder: Path) -> MouthPlan:
    programme = written["programme"]
    return MouthPlan(
        programme=programme if programme in ("silence", "noise") else folder / programme,
        marker_to_speech_db=parse_decibels(written["marker_level"]),
    )


def _links(written: Any, folder: Path) -> dict[Leg, LinkSpec]:
    """Return the links given, by direction: one for both, or one each."""
    if isinstance(written, Mapping) and not written:
        return {}
    # Directions tell a pair of links from the keys of one: no link has a key of these names.
    if isinstance(written, Mapping) and any(key in BOTH_LEGS for key in written):
        for key in written:
            if key not in BOTH_LEGS:
                raise BadInputError(f"link.{key} is not known", did_you_mean(key, BOTH_LEGS))
        return {
            direction: _link(f"link.{direction}", written[direction], folder)
            for direction in BOTH_LEGS
            if direction in written
        }
    return dict.fromkeys(BOTH_LEGS, _link("link", written, folder))


def _link(place: str, written: Any, folder: Path) -> LinkSpec:
    return within(place, partial(parse_link, folder=folder), written)
