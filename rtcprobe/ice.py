"""STUN and TURN servers: how they are written, what they ask for, and where else they may come from.

Rules:
    1. No server is ever asked that nobody named: there is no default, least of all a public one.
    2. A password is a secret (``env:NAME``, ``file:PATH``); so is the shared secret of time-limited credentials, from
       which user name and password are made when a call begins.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

from rtcprobe.errors import BadInputError
from rtcprobe.secrets import Secret, read_secret, scrub

__all__ = ["Credentials", "IcePolicy", "IceServer", "IceSettings", "read_ice", "read_links", "servers_of_links"]

IcePolicy = Literal["all", "relay"]
POLICIES: Final[tuple[IcePolicy, ...]] = ("all", "relay")

REST_LIFETIME_S = 86_400
"""How long time-limited credentials hold. Source: draft-uberti-behave-turn-rest-00 §2.2 (recommended ttl)."""

_PORTS = {"stun": 3478, "turn": 3478, "turns": 5349}  # RFC 7064 §3.2, RFC 7065 §3.2
# RFC 7064 and RFC 7065, section 3.1 each, without escapes in a host, which no resolver would take:
#   uri       = scheme ":" host [ ":" port ] [ "?transport=" transport ]
#   scheme    = "stun" / "stuns" / "turn" / "turns"
#   host      = "[" IPv6address "]" / 1*( any character but blank : / ? # @ [ ] )
#   port      = 1*5DIGIT
#   transport = 1*ALPHA
_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?P<host>\[[0-9a-f:.%]+\]|[^\s:/?#@\[\]]+)(:(?P<port>\d{1,5}))?"
    r"(\?transport=(?P<transport>[a-z]+))?",
    re.IGNORECASE,
)
# A Link header of thirty servers with their credentials; a longer one is cut, and read as far as it goes.
_LONGEST_LINK = 8192
_MOST_SERVERS = 32
_CURE = "write it like turn:host:3478?transport=tcp, turns:host or stun:host"


class Credentials(NamedTuple):
    """User name and password for one call; None where the server is asked without."""

    username: str | None
    password: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """One address of a STUN or TURN server; ``transport`` is how we talk to it.

    ``password`` is a long-term one; ``shared_secret`` makes time-limited ones for ``username`` instead.
    """

    kind: Literal["stun", "turn"]
    host: str
    port: int
    transport: Literal["udp", "tcp", "tls"]
    username: str = ""
    password: Secret | None = None
    shared_secret: Secret | None = None

    @property
    def url(self) -> str:
        """The server as it is written, defaults included."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.kind == "stun":
            return f"stun:{host}:{self.port}"
        scheme = "turns" if self.transport == "tls" else "turn"
        return f"{scheme}:{host}:{self.port}?transport={'udp' if self.transport == 'udp' else 'tcp'}"

    def credentials(self, unix_s: float) -> Credentials:
        """Return what to say to the server from ``unix_s`` (seconds since 1970) on.

        Source: draft-uberti-behave-turn-rest-00 §2.2: expiry and name, base64 of HMAC-SHA1 over them.
        """
        if self.shared_secret is None:
            return Credentials(self.username or None, None if self.password is None else self.password.reveal())
        username = f"{int(unix_s) + REST_LIFETIME_S}:{self.username or 'rtcprobe'}"
        digest = hmac.new(self.shared_secret.reveal().encode(), username.encode(), hashlib.sha1).digest()
        return Credentials(username, Secret(base64.b64encode(digest).decode(), passing=True).reveal())


@dataclass(frozen=True, slots=True, kw_only=True)
class IceSettings:
    """Which servers candidates are gathered from, and which candidates are used: all, or relayed ones alone."""

    servers: tuple[IceServer, ...] = ()
    policy: IcePolicy = "all"
    ca_file: Path | None = None
    """Whom ``turns:`` servers are trusted for beside the system's authorities (PEM)."""

    def and_servers(self, more: Iterable[IceServer]) -> IceSettings:
        """Return the same with the servers that a target named, those already known left out."""
        known = {each.url for each in self.servers}
        return replace(self, servers=(*self.servers, *(each for each in more if each.url not in known)))


def read_ice(written: object, folder: Path = Path()) -> IceSettings:
    """Return the settings a scenario writes: ``{servers: [{urls, username, credential | secret}], policy, ca}``.

    ``ca`` is the path of a file, seen from ``folder``.

    ``credential`` and ``secret`` (of time-limited credentials) are ``env:NAME`` or ``file:PATH``.

    Raises:
        BadInputError: anything else.
    """
    if not isinstance(written, Mapping):
        raise BadInputError(
            f"ice {written!r} has no keys", "write it like {servers: [{urls: turn:host}], policy: relay}"
        )
    _only("ice", written, ("servers", "policy", "ca"))
    policy = written.get("policy", "all")
    if policy not in POLICIES:
        raise BadInputError(f"ice.policy {policy!r} is not known", "write all or relay")
    entries = written.get("servers", [])
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise BadInputError(f"ice.servers {entries!r} is not a list", "write it like [{urls: turn:host}]")
    servers = tuple(server for index, entry in enumerate(entries) for server in _read_entry(index, entry))
    ca = written.get("ca")
    if ca is not None and not isinstance(ca, str):
        raise BadInputError(f"ice.ca {ca!r} is not a file", "write its path")
    return IceSettings(servers=servers, policy=policy, ca_file=None if ca is None else folder / ca)


def servers_of_links(headers: Iterable[str]) -> tuple[IceServer, ...]:
    """Return the servers that ``Link`` headers of a WHIP or WHEP answer name; what is none of ours to use is left out.

    Source: RFC 9725 §4.6: ``<turn:…>; rel="ice-server"; username=…; credential=…``.
    """
    return read_links(headers)[0]


def read_links(headers: Iterable[str]) -> tuple[tuple[IceServer, ...], tuple[str, ...]]:
    """Return the servers that ``Link`` headers name, and a sentence for each that cannot be asked.

    Forms seen in the field are taken for what they mean: an address without angle brackets, ``rel='ice-server'``, a
    STUN server with ``?transport=udp``.
    """
    found: list[IceServer] = []
    complaints: list[str] = []
    for target, parameters in (link for header in headers for link in _links(header[:_LONGEST_LINK])):
        # ``rel`` holds several relations, blanks between them (RFC 8288, section 3.3).
        if "ice-server" not in parameters.get("rel", "").lower().split():
            continue
        credential = parameters.get("credential")
        url = target.partition("?transport=udp")[0] if target.lower().startswith("stun:") else target
        try:
            parsed = _parsed(url)
        except BadInputError as error:
            complaints.append(f"an ICE server that the target names was not asked, {error.message}")
            continue
        password = Secret(credential, "the server", passing=True) if credential else None
        found.append(replace(parsed, username=parameters.get("username", ""), password=password))
    if len(found) > _MOST_SERVERS:
        complaints.append(f"of {len(found)} ICE servers that the target names {_MOST_SERVERS} were asked")
    return tuple(found[:_MOST_SERVERS]), tuple(dict.fromkeys(complaints))


def _links(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the target and the parameters of every link of a header. Source: RFC 8288 §3."""
    for link in _pieces(header, ","):
        target, *written = _pieces(link, ";")
        parameters: dict[str, str] = {}
        for each in written:
            name, _, value = each.partition("=")
            # Of a parameter given twice the first counts (RFC 8288, section 3.3, says so of ``rel``).
            parameters.setdefault(name.strip().lower(), _unquoted(value.strip()))
        yield target.strip().removeprefix("<").removesuffix(">").strip(), parameters


def _pieces(text: str, separator: str) -> Iterator[str]:
    """Yield ``text`` cut at ``separator``, but not inside quotes or angle brackets: one pass, however it is written."""
    # ``ends`` is the character that closes what is open, empty outside. A single quote opens only right after
    # "=", for it may stand in a value; an angle bracket only at a link's beginning, for it may stand in a
    # URL's query.
    begin, ends, escaped = 0, "", False
    for at, each in enumerate(text):
        if escaped:
            escaped = False
        elif ends:
            escaped = each == "\\" and ends == '"'
            ends = "" if each == ends else ends
        elif each == '"' or (each == "'" and text[begin:at].rstrip().endswith("=")):
            ends = each
        elif each == "<" and not text[begin:at].strip():
            ends = ">"
        elif each == separator:
            yield text[begin:at]
            begin = at + 1
    yield text[begin:]


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def _read_entry(index: int, entry: object) -> list[IceServer]:
    place = f"ice.servers[{index}]"
    if isinstance(entry, str):
        entry = {"urls": entry}
    if not isinstance(entry, Mapping):
        raise BadInputError(f"{place} {entry!r} has no keys", "write it like {urls: turn:host, username: me}")
    _only(place, entry, ("urls", "username", "credential", "secret"))
    urls = entry.get("urls", ())
    urls = [urls] if isinstance(urls, str) else urls
    if not isinstance(urls, Sequence) or not urls or not all(isinstance(url, str) for url in urls):
        raise BadInputError(f"{place} has no urls", _CURE)
    username = entry.get("username", "")
    if not isinstance(username, str):
        raise BadInputError(f"{place}.username {username!r} is not text", "put it in quotes")
    if "credential" in entry and "secret" in entry:
        raise BadInputError(f"{place} has both credential and secret", "a password or the shared secret, not both")
    password = read_secret(entry["credential"], f"{place}.credential") if "credential" in entry else None
    shared = read_secret(entry["secret"], f"{place}.secret") if "secret" in entry else None
    if password is not None and not username:
        raise BadInputError(f"{place} has a credential and no username", "name both")
    parsed = [_within(place, url) for url in urls]
    if any(each.kind == "turn" for each in parsed) and password is None and shared is None and username:
        raise BadInputError(
            f"{place} has a username and no credential", "write credential: env:NAME or secret: env:NAME"
        )
    return [replace(each, username=username, password=password, shared_secret=shared) for each in parsed]


def _within(place: str, url: str) -> IceServer:
    try:
        return _parsed(url)
    except BadInputError as error:
        raise error.within(place) from None


def _parsed(url: str) -> IceServer:
    """Return the server a URL names. Source: RFC 7064 (stun), RFC 7065 (turn)."""
    match = _URL.fullmatch(url.strip())
    shown = scrub(url)
    if match is None:
        raise BadInputError(f"{shown!r} is not the URL of a STUN or TURN server", _CURE)
    scheme, transport = match["scheme"].lower(), (match["transport"] or "").lower()
    if scheme == "stuns":
        raise BadInputError(f"{shown!r} asks STUN over TLS, which tells nothing about UDP", "write stun: instead")
    if scheme == "stun" and transport:
        raise BadInputError(f"{shown!r} gives STUN a transport", "leave ?transport out")
    usual = "tcp" if scheme == "turns" else "udp"
    if (transport or usual) not in ({"tcp"} if scheme == "turns" else {"udp", "tcp"}):
        raise BadInputError(f"{shown!r} asks for a transport that is not offered", "turn: takes udp or tcp, turns: tcp")
    port = int(match["port"]) if match["port"] else _PORTS[scheme]
    if not 0 < port < 1 << 16:
        raise BadInputError(f"port {port} of {shown!r} does not exist", "give 1 to 65535")
    host = match["host"].strip("[]").lower()
    if ":" in host:
        try:
            ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            raise BadInputError(f"{shown!r} is not the URL of a STUN or TURN server", _CURE) from None
    return IceServer(
        kind="stun" if scheme == "stun" else "turn",
        host=host,
        port=port,
        transport="tls" if scheme == "turns" else "tcp" if transport == "tcp" else "udp",
    )


def _only(place: str, written: Mapping[object, object], known: Sequence[str]) -> None:
    for key in written:
        if key not in known:
            raise BadInputError(f"{place}.{key} is not known", f"there are {', '.join(known)}")
