"""One video section of a stranger's description, written anew for our stack: one codec, its RTX, what may be asked for.

Facts:
    - A section of video lists many formats; ours sends and takes one codec, and RTX (RFC 4588) where it is there.
    - H.264 is one format only with its parameters: packetization mode 1 and a profile that ours decodes, the baseline
      (``profile-level-id`` 42…, RFC 6184 §8.1). Level and constraints may differ each way.

Rule: as in ``section``: what is needed is read, everything else is left out before the stack sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from rtcprobe.call.section import Transport, values
from rtcprobe.control.feedback import EXTENSION_URI

__all__ = ["picture_section"]

_EXTENSIONS: Final = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    EXTENSION_URI,
)
_FEEDBACK: Final = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
# A section of three layers, each with RTX and FEC, has nine; more than this is nobody's camera.
_MOST_SOURCES: Final = 32
# rtpmap:NUMBER NAME/CLOCK, RFC 8866 §6.6.
_RTPMAP = re.compile(r"(\d{1,3}) +([^/\s]+)/90000", re.ASCII)
# extmap:NUMBER[/DIRECTION] URI [ATTRIBUTES], RFC 8285 §8.
_EXTMAP = re.compile(r"(\d{1,5})(?:/sendrecv)? +(\S+)(?: .*)?", re.ASCII)
# ssrc:NUMBER ATTRIBUTE, RFC 5576 §4.1.
_SSRC = re.compile(r"(\d{1,10})(?: +cname:(\S+))?(?: .*)?", re.ASCII)
# ssrc-group:FID NUMBER NUMBER, RFC 5576 §4.2: a source, then the one of its RTX (RFC 4588 §8.8).
_FID = re.compile(r"FID +(\d{1,10}) +(\d{1,10})", re.ASCII)


def picture_section(
    section: Sequence[str], *, direction: str, mid: str, codec: str, transport: Transport
) -> list[str] | None:
    """Return the section anew, of ``codec`` (``"VP8"``, ``"H264"``) alone; None where it has no such."""
    formats = [int(each) for each in section[0].split()[3:] if each.isascii() and each.isdigit() and len(each) < 4]
    named = {int(match[1]): match[2].upper() for match in map(_RTPMAP.match, values(section, "rtpmap")) if match}
    said = _parameters(section)
    # The first that both can, in the order of the section: it is the writer's preference (RFC 3264 §5.1).
    number = next((each for each in formats if named.get(each) == codec and _ours(codec, said.get(each, ""))), None)
    if number is None:
        return None
    again = next((each for each in formats if named.get(each) == "RTX" and said.get(each) == f"apt={number}"), None)
    numbers = [number] if again is None else [number, again]
    lines = [f"a=rtpmap:{number} {codec}/90000"]
    lines += [f"a=fmtp:{number} {said[number]}"] if codec == "H264" and number in said else []
    lines += [] if again is None else [f"a=rtpmap:{again} rtx/90000", f"a=fmtp:{again} apt={number}"]
    return [
        f"m=video 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, numbers))}",
        "c=IN IP4 0.0.0.0",
        f"a={direction}",
        f"a=mid:{mid}",
        "a=rtcp-mux",
        *lines,
        *_feedback(section, number),
        *_extensions(section),
        *_sources(section),
        *transport.lines,
    ]


def _parameters(section: Sequence[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for value in values(section, "fmtp"):
        number, _, parameters = value.partition(" ")
        if number.isascii() and number.isdigit() and len(number) < 4 and len(parameters) < 200:
            found[int(number)] = parameters.strip()
    return found


def _ours(codec: str, parameters: str) -> bool:
    if codec != "H264":
        return True
    pairs = (each.strip().partition("=") for each in parameters.split(";"))
    said = {key.strip().lower(): text.strip().lower() for key, _, text in pairs}
    # Without a mode it is 0, single NAL units, without a profile the baseline (RFC 6184 §8.1).
    return said.get("packetization-mode") == "1" and said.get("profile-level-id", "42").startswith("42")


def _feedback(section: Sequence[str], number: int) -> Iterator[str]:
    said = [value.split() for value in values(section, "rtcp-fb")]
    held = {" ".join(words[1:]) for words in said if words and words[0] in (str(number), "*")}
    return (f"a=rtcp-fb:{number} {each}" for each in _FEEDBACK if each in held)


def _extensions(section: Sequence[str]) -> list[str]:
    found: dict[str, str] = {}
    for match in map(_EXTMAP.fullmatch, values(section, "extmap")):
        # 1 to 14: one-byte headers have no other numbers (RFC 8285 §4.2), and ours writes no others.
        if match is not None and match[2] in _EXTENSIONS and 0 < int(match[1]) < 15:
            found.setdefault(match[1], f"a=extmap:{match[1]} {match[2]}")
    return list(found.values())


def _sources(section: Sequence[str]) -> list[str]:
    sources: dict[str, str] = {}
    for match in map(_SSRC.fullmatch, values(section, "ssrc")):
        if match is not None and int(match[1]) < 1 << 32 and (match[2] or match[1] not in sources):
            sources[match[1]] = f"a=ssrc:{match[1]} cname:{match[2] or 'unknown'}"
    # Media first, then what repairs it (RFC 4588 §8.8): by the group alone is it known which of two sources is RTX.
    groups = [f"a=ssrc-group:{match[0]}" for match in map(_FID.fullmatch, values(section, "ssrc-group")) if match]
    return [*groups[:1], *list(sources.values())[:_MOST_SOURCES]]
