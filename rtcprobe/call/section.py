"""One audio section of a stranger's description, read by the grammar of its RFCs, and written anew for our stack.

Facts:
    - aiortc reads a section line by line, and a line that it does not expect is an exception in Python's words:
      ``a=fmtp:96`` alone, ``a=extmap`` with attributes, a format without ``a=rtpmap``.
    - What a call of ours needs of a section is little: which way sound goes, Opus (and RED) and their numbers, NACK,
      who the far side is (ICE, DTLS), and where it is (candidates).

Rules:
    1. What is needed is read, in every form that its RFC allows; everything else is left out before the stack sees it.
    2. No direction means sendrecv (RFC 8866 §6.7); one of the session holds where the section has none.
    3. ICE names, keys and the DTLS role stand in the section, or in the tagged section of its bundle (RFC 9143 §7), or
       in the session (RFC 8839 §5.4, RFC 8122 §5, RFC 4145 §4). No role in an answer is taken for ``active``, in an
       offer for ``actpass``: what everybody means (RFC 8842 §5).
    4. Candidates are those of component 1 over UDP; a name in place of an address is told apart, to be looked up
       (RFC 8839 §5.1).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rtcprobe.call.faults import quoted
from rtcprobe.control.feedback import EXTENSION_URI
from rtcprobe.errors import MeasurementError

__all__ = ["Candidates", "Codecs", "Transport", "audio_section", "direction_of", "values"]

Kind = Literal["offer", "answer"]

DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
MOST_CANDIDATES: Final = 100
"""Source: RFC 8445 §6.1.2.5, the pairs that an agent need check at most."""
_LONGEST_CANDIDATE: Final = 512
"""A name of 253 characters (RFC 1035 §3.1), and as much again for the rest."""
# One talker is one source; servers announce more, one a slot. What is kept of a stranger's lines is bounded.
_MOST_SOURCES: Final = 32
_PROTOCOLS: Final = ("RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP")
"""How the protocol of a section may end; RFC 9429 §5.1.2 takes them all for what WebRTC speaks."""
_HASHES: Final = ("sha-256", "sha-384", "sha-512")
"""What the stack can verify a certificate by."""
_EXTENSIONS: Final = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    EXTENSION_URI,
)
_FEEDBACK: Final = ("nack", "transport-cc")
_OPUS_NUMBERS: Final = ("minptime", "useinbandfec", "stereo", "maxplaybackrate")

# candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE ..., RFC 8839 §5.1.
_CANDIDATE = re.compile(
    r"candidate:(?P<foundation>\S+) +(?P<component>\d{1,5}) +(?P<transport>\S+) +(?P<priority>\d{1,10}) +"
    r"(?P<host>\S+) +(?P<port>\d{1,5}) +typ +(?P<type>\S+)",
    re.IGNORECASE | re.ASCII,
)
# rtpmap:NUMBER NAME/CLOCK[/CHANNELS], RFC 8866 §6.6.
_RTPMAP = re.compile(r"(\d{1,3}) +([^/\s]+)/(\d{1,6})(?:/(\d{1,2}))?", re.ASCII)
# extmap:NUMBER[/DIRECTION] URI [ATTRIBUTES], RFC 8285 §8.
_EXTMAP = re.compile(r"(\d{1,5})(?:/([a-z]+))? +(\S+)( .*)?", re.ASCII)
# fingerprint:HASH XX:XX:..., RFC 8122, section 5.
_FINGERPRINT = re.compile(r"(\S+) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*)")
# ssrc:NUMBER [cname:NAME / any attribute], RFC 5576, section 4.1.
_SSRC = re.compile(r"(\d{1,10})(?: +(?:cname:(\S+))?.*)?", re.ASCII)
# A DNS name (RFC 1123, section 2.1): labels of 63 at most, 253 in all; underscores, too, for hosts have them.
_NAME = re.compile(r"(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?", re.IGNORECASE)
# Visible ASCII without blanks; longer than 256 is nobody's identifier.
_TOKEN = re.compile(r"[!-~]{1,256}")


def values(lines: Iterable[str], name: str) -> Iterator[str]:
    """Yield the value of every attribute ``name``, "" where it has none."""
    for line in lines:
        if line.startswith(f"a={name}"):
            rest = line[2 + len(name) :]
            # ``a=mid`` must not be found in ``a=mid-something``; a flag (``a=rtcp-mux``) has no value at all.
            if not rest or rest[0] == ":":
                yield rest[1:].strip()


def direction_of(section: Sequence[str], session: Sequence[str] = ()) -> str:
    """Return which way sound goes, seen from who wrote it (rule 2)."""
    for lines in (section, session):
        for line in lines:
            word = line[2:].strip().lower()
            if line.startswith("a=") and word in DIRECTIONS:
                return word
    return "sendrecv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """Who the far side is: the lines that say so, and whether it is an ICE lite agent."""

    lines: tuple[str, ...]
    lite: bool

    @classmethod
    def read(cls, places: Sequence[Sequence[str]], kind: Kind, where: str, whose: str) -> Transport:
        """Return what the first of ``places`` that says it says (rule 3).

        Raises:
            MeasurementError: it is not said, or not in words that WebRTC has.
        """
        needed = {"ice-ufrag": "ICE name", "ice-pwd": "ICE password", "fingerprint": "key"}
        found = {name: _first_of(places, name) for name in needed}
        for name, what in needed.items():
            if not found[name]:
                raise MeasurementError(f"{where}, has no {what} ({name})", "is the server one for WebRTC?")
            if name != "fingerprint" and _TOKEN.fullmatch(found[name][0]) is None:
                raise MeasurementError(f"{where}, has the {what} {quoted(found[name][0])}", "RFC 8839 allows no such")
        prints = [_FINGERPRINT.fullmatch(each) for each in found["fingerprint"]]
        keys = [f"a=fingerprint:{each[1].lower()} {each[2].upper()}" for each in prints if each is not None]
        # Several keys are allowed (RFC 8122 §5), and one that cannot be verified beside one that can does no harm.
        known = [key for key in keys if key.split(":")[1].split()[0] in _HASHES]
        if not known:
            raise MeasurementError(
                f"{where}, has the key {quoted(found['fingerprint'][0])}, which cannot be read",
                "WebRTC takes sha-256 (RFC 8122 §5)",
            )
        role = next(iter(_first_of(places, "setup")), "active" if kind == "answer" else "actpass").lower()
        if role not in ("active", "passive", "actpass"):
            raise MeasurementError(f"{whose} has the DTLS role {quoted(role)}", "there is no such role")
        if kind == "answer" and role == "actpass":
            role = "active"
        names = (f"a=ice-ufrag:{found['ice-ufrag'][0]}", f"a=ice-pwd:{found['ice-pwd'][0]}")
        lite = any(True for place in places for _ in values(place, "ice-lite"))
        return cls(lines=(*names, *known, f"a=setup:{role}"), lite=lite)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codecs:
    """What of a section's formats is ours: the numbers in its order, and the lines about them."""

    numbers: tuple[int, ...]
    lines: tuple[str, ...]

    @classmethod
    def read(cls, section: Sequence[str]) -> Codecs | None:
        """Return Opus, and RED where there is any; None without Opus."""
        named = {int(match[1]): match for match in map(_RTPMAP.match, values(section, "rtpmap")) if match is not None}
        formats = [int(each) for each in section[0].split()[3:] if each.isascii() and each.isdigit() and len(each) < 4]
        numbers, lines = [], []
        # Each once, in the order written: a payload type that stands twice would be two codecs to the stack.
        for number in dict.fromkeys(formats):
            match = named.get(number)
            name = "" if match is None else match[2].lower()
            if match is None or match[3] != "48000" or name not in ("opus", "red") or number > 127 or 64 <= number < 96:
                continue  # RFC 5761 §4: 64 to 95 are RTCP's
            numbers.append(number)
            lines += [f"a=rtpmap:{number} {name}/48000/2", *_about(section, number, name)]
        return cls(numbers=tuple(numbers), lines=tuple(lines)) if any("opus/" in each for each in lines) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Where the far side is: lines that a UDP socket can follow, those with a name, what was left out and why."""

    lines: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    ended: bool = False

    @classmethod
    def read(cls, section: Sequence[str]) -> Candidates:
        """Return the candidates of a section, the most wanted first (rule 4)."""
        kept: dict[tuple[str, str], tuple[int, str]] = {}
        names: list[str] = []
        left_out: list[str] = []
        for value in values(section, "candidate"):
            match = _CANDIDATE.match(f"candidate:{value}") if len(value) <= _LONGEST_CANDIDATE else None
            if match is None:
                left_out.append(f"{quoted(value)} cannot be read")
                continue
            transport, host, port = match["transport"].lower(), match["host"], int(match["port"])
            if int(match["component"]) != 1:
                continue  # RTCP's own: it shares the path of RTP
            if transport != "udp":
                left_out.append(f"{transport[:8]}, where media goes over UDP")
                continue
            written = (
                f"candidate:{match['foundation'][:32]} 1 udp {match['priority']} {host} {port} "
                f"typ {match['type'].lower()}"
            )
            # Peer-reflexive candidates are learned by checks, never told, though RFC 8839 §5.1 has a word for them.
            if _addressable(host) and 0 < port < 1 << 16 and match["type"].lower() in ("host", "srflx", "relay"):
                # The same address twice (host and server-reflexive, where there is no NAT) is one place to check.
                kept.setdefault((host, match["port"]), (-int(match["priority"]), written))
            # A name of digits and dots alone is an address that is none, like 1.2.3.
            elif _NAME.fullmatch(host) and not host.replace(".", "").isdigit() and 0 < port < 1 << 16:
                names.append(written)
            else:
                left_out.append(f"{quoted(host)}, port {port}, is nowhere")
        best = [line for _, line in sorted(kept.values(), key=lambda each: each[0])]
        if len(best) > MOST_CANDIDATES:
            left_out.append(f"{len(best) - MOST_CANDIDATES} beyond the {MOST_CANDIDATES} most wanted")
        return cls(
            lines=tuple(best[:MOST_CANDIDATES]),
            names=tuple(dict.fromkeys(names))[:MOST_CANDIDATES],
            left_out=tuple(dict.fromkeys(left_out)),
            ended=any(True for _ in values(section, "end-of-candidates")),
        )


def audio_section(
    section: Sequence[str], *, direction: str, mid: str, codecs: Codecs, transport: Transport, candidates: Candidates
) -> list[str]:
    """Return the section anew: what is needed, and nothing else (rule 1)."""
    extensions: dict[str, str] = {}
    for match in map(_EXTMAP.fullmatch, values(section, "extmap")):
        # One that goes one way alone, or is encrypted (RFC 6904 §4), is none that both sides use.
        if match is not None and match[3] in _EXTENSIONS and match[2] in (None, "sendrecv") and 0 < int(match[1]) < 15:
            extensions.setdefault(match[1], f"a=extmap:{match[1]} {match[3]}")
    sources: dict[str, str] = {}
    for match in map(_SSRC.fullmatch, values(section, "ssrc")):
        if match is not None and int(match[1]) < 1 << 32 and (match[2] or match[1] not in sources):
            sources[match[1]] = f"a=ssrc:{match[1]} cname:{match[2] or 'unknown'}"
    return [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, codecs.numbers))}",
        "c=IN IP4 0.0.0.0",
        f"a={direction}",
        f"a=mid:{mid}",
        "a=rtcp-mux",
        *codecs.lines,
        *list(extensions.values()),
        *list(sources.values())[:_MOST_SOURCES],
        *transport.lines,
        *(f"a={each}" for each in candidates.lines),
        *(["a=end-of-candidates"] if candidates.ended else []),
    ]


def speaks_rtp(section: Sequence[str]) -> bool:
    """Return whether the protocol of a section is one of RTP over UDP."""
    protocol = section[0].split()[2].upper()
    return protocol.endswith(_PROTOCOLS) and not protocol.startswith("TCP")


def _about(section: Sequence[str], number: int, name: str) -> Iterator[str]:
    """Yield what is said of a format that matters to us: parameters, NACK (RFC 4585 §4.2), transport-wide feedback."""
    for value in values(section, "fmtp"):
        of, _, parameters = value.partition(" ")
        if of != str(number):
            continue
        # ``111/111``: payload types of the primary and of each copy, RFC 2198 §5.
        if name == "red" and re.fullmatch(r"\d{1,3}(/\d{1,3}){1,8}", parameters.strip()):
            yield f"a=fmtp:{number} {parameters.strip()}"
        if name == "opus":
            pairs = (each.strip().partition("=") for each in parameters.split(";"))
            said = {key.strip(): text.strip() for key, _, text in pairs}
            numbers = [f"{key}={said[key]}" for key in _OPUS_NUMBERS if re.fullmatch("[0-9]{1,6}", said.get(key, ""))]
            if numbers:
                yield f"a=fmtp:{number} {';'.join(numbers)}"
                break
    asked = [value.split() for value in values(section, "rtcp-fb")]
    for kind in _FEEDBACK:
        if any(words in ([str(number), kind], ["*", kind]) for words in asked):
            yield f"a=rtcp-fb:{number} {kind}"


def _first_of(places: Sequence[Sequence[str]], name: str) -> list[str]:
    """Return the values of an attribute in the first place that has it."""
    return next((found for place in places if (found := [each for each in values(place, name) if each])), [])


def _addressable(host: str) -> bool:
    """Return whether ``host`` is an address that something can be sent to."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # 0.0.0.0 and :: are no place; scoped addresses ("%") name an interface of the machine that wrote them.
    return not (address.is_unspecified or address.is_multicast or "%" in host)
