"""Session descriptions from strangers: read, put right where every browser would, refused in a sentence where not.

Facts:
    - aiortc takes what RFC 9429 lets through and no more: an answer's m-lines are those of the offer, by kind and mid;
      its DTLS role ``active`` or ``passive``; a candidate line that it cannot read is an exception.
    - Servers are looser. Streaming servers answer ``a=setup:actpass``, which RFC 5763 §5 forbids; it means that we may
      choose, and the offerer then acts as the server of the handshake (``active`` on their side). Some leave out the
      mid, give TCP candidates, or candidates with names.
    - Where an answer holds candidates and no end of them, an ICE agent waits for more for ever.

Rules:
    1. What is put right changes no meaning: the role, a missing mid, candidates no UDP socket could use, their end.
    2. What cannot be used is refused here, before the stack sees it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rtcprobe.call.signaling import Sdp
from rtcprobe.errors import MeasurementError
from rtcprobe.secrets import scrub

__all__ = ["Description", "candidates_fragment", "read_description", "usable_answer", "usable_offer"]

_LARGEST = 200_000
_QUOTED = 60
_CANDIDATE = re.compile(
    r"a=candidate:\S+ \d+ (?P<transport>\S+) \d+ (?P<host>\S+) \d+ typ (?P<type>\S+)", re.IGNORECASE
)
_SSRC = re.compile(r"a=ssrc:(\d{1,10})(?:\s|$)")
_SETUP = re.compile(r"a=setup:(\S+)")
_KINDS = ("audio", "video", "application")


@dataclass(frozen=True, slots=True)
class Description:
    """A description by its lines: those of the session, and those of each m-line, the ``m=`` first."""

    session: list[str]
    media: list[list[str]]

    def __str__(self) -> str:
        lines = [*self.session, *(line for section in self.media for line in section)]
        return "\r\n".join(lines) + "\r\n"

    def audio(self) -> list[list[str]]:
        """Return the sections of audio."""
        return [section for section in self.media if section[0].startswith("m=audio ")]

    def sources(self) -> set[int]:
        """Return the sources of audio that are announced (``a=ssrc``)."""
        found = (_SSRC.match(line) for section in self.audio() for line in section)
        return {int(match[1]) for match in found if match is not None}

    def candidate_types(self) -> dict[str, int]:
        """Return how many candidates of each type are offered, such as ``{"host udp": 2}``."""
        found: Counter[str] = Counter()
        for line in (line for section in self.media for line in section):
            match = _CANDIDATE.match(line)
            if match is not None:
                found[f"{match['type']} {match['transport'].lower()}"] += 1
        return dict(sorted(found.items()))


def read_description(text: str, whose: str) -> Description:
    """Return a description taken apart; ``whose`` names it in sentences (``"the answer"``).

    Raises:
        MeasurementError: it is no session description, or larger than any.
    """
    if len(text) > _LARGEST:
        raise MeasurementError(f"{whose} is {len(text):,} characters long", "no session description is")
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    if not lines or not lines[0].startswith("v="):
        begins = scrub(" ".join(text.split())[:_QUOTED])
        raise MeasurementError(
            f"{whose} is no session description, it begins {begins!r}", "is this the endpoint's URL?"
        )
    if any(len(line) < 2 or line[1] != "=" for line in lines):
        wrong = next(line for line in lines if len(line) < 2 or line[1] != "=")
        raise MeasurementError(f"{whose} has a line that is none of SDP: {scrub(wrong[:_QUOTED])!r}")
    session: list[str] = []
    media: list[list[str]] = []
    for line in lines:
        if line.startswith("m="):
            media.append([])
        (media[-1] if media else session).append(line)
    return Description(session, media)


def usable_answer(text: str, offer: Sdp, *, more_candidates: bool = False) -> Sdp:
    """Return a server's answer to ``offer`` as the stack can take it (rule 1).

    ``more_candidates``: some will come by other ways, so their end is not said.

    Raises:
        MeasurementError: it is no description, has other m-lines than the offer, or rejects our audio.
    """
    answer = read_description(text, "the answer")
    ours = read_description(offer.text, "our offer")
    kinds, asked = _kinds(answer), _kinds(ours)
    if kinds != asked:
        raise MeasurementError(
            f"the answer has {_listed(kinds)} where {_listed(asked)} was offered", "a server answers every m-line"
        )
    for section, own in zip(answer.media, ours.media, strict=True):
        if section[0].split()[1] == "0":
            raise MeasurementError("the answer rejects our audio", "does the server take Opus, and this kind of call?")
        if not any(line.startswith("a=mid:") for line in section):
            section.append(next(line for line in own if line.startswith("a=mid:")))
    _put_right(answer, "the answer", "answer", more_candidates=more_candidates)
    return Sdp(kind="answer", text=str(answer))


def usable_offer(text: str, *, more_candidates: bool = False) -> Sdp:
    """Return a server's own offer as the stack can take it.

    Raises:
        MeasurementError: it is no description, or offers no audio.
    """
    offer = read_description(text, "the server's offer")
    if not offer.audio():
        raise MeasurementError(f"the server's offer has {_listed(_kinds(offer))} and no audio", "is anybody speaking?")
    _put_right(offer, "the server's offer", "offer", more_candidates=more_candidates)
    return Sdp(kind="offer", text=str(offer))


def candidates_fragment(offer: Sdp, candidates: Sequence[str]) -> str:
    """Return ``candidates`` (``"candidate:..."``) of ``offer``, all there are, as a fragment to be sent after it.

    Source: RFC 8840 §9, RFC 9725 §4.3.2.
    """
    found = read_description(offer.text, "our offer")
    section = found.audio()[0]
    kept = [line for line in section if line.startswith(("a=mid:", "a=ice-ufrag:", "a=ice-pwd:"))]
    group = [line for line in found.session if line.startswith("a=group:BUNDLE")]
    lines = [*group, section[0], *kept, *(f"a={each}" for each in candidates), "a=end-of-candidates"]
    return "\r\n".join(lines) + "\r\n"


def _put_right(found: Description, whose: str, kind: Literal["offer", "answer"], *, more_candidates: bool) -> None:
    everything = [found.session, *found.media]
    for section in everything:
        section[:] = [line for line in section if _usable(line)]
        for at, line in enumerate(section):
            role = _SETUP.match(line)
            if role is None:
                continue
            if role[1] not in ("active", "passive", "actpass"):
                raise MeasurementError(
                    f"{whose} has the DTLS role {scrub(role[1][:_QUOTED])!r}", "there is no such role"
                )
            if kind == "answer" and role[1] == "actpass":
                section[at] = "a=setup:active"
    for section in found.media:
        where = f"{whose}, its {section[0].split()[0][2:]}"
        for prefix, what in (("a=ice-ufrag:", "ICE name"), ("a=ice-pwd:", "ICE password"), ("a=fingerprint:", "key")):
            if not any(line.startswith(prefix) for line in [*found.session, *section]):
                raise MeasurementError(f"{where}, has no {what} ({prefix[2:-1]})", "is the server one for WebRTC?")
        if section[0].startswith(("m=audio", "m=video")) and "a=rtcp-mux" not in section:
            raise MeasurementError(f"{where}, puts RTCP on another port", "WebRTC wants rtcp-mux (RFC 8834 §4.5)")
        ended = "a=end-of-candidates" in section
        if any(line.startswith("a=candidate:") for line in section) and not ended and not more_candidates:
            section.append("a=end-of-candidates")


def _usable(line: str) -> bool:
    """Return whether a line is one that a UDP socket of ours can follow."""
    if not line.startswith("a=candidate:"):
        return True
    match = _CANDIDATE.match(line)
    return match is not None and match["transport"].lower() == "udp" and match["type"] in ("host", "srflx", "relay")


def _kinds(found: Description) -> list[str]:
    kinds = [section[0][2:].split(" ", 1)[0] for section in found.media]
    return [kind if kind in _KINDS else "something else" for kind in kinds]


def _listed(kinds: Sequence[str]) -> str:
    return " and ".join(kinds) if kinds else "no m-lines"
