"""A session description taken apart: the lines of the session, and those of each m-line; what of it is asked about.

Grammar, of which nothing more is held against a stranger (RFC 8866 §9)::

    description = "v=" text *( line ) *( media *( line ) )
    line        = 1CHAR "=" text
    media       = "m=" kind SP port [ "/" count ] SP protocol *( SP format )

What the lines of a section mean is read in ``section``; what is put right, in ``sdp``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rtcprobe.call.faults import quoted
from rtcprobe.call.section import values
from rtcprobe.errors import MeasurementError

__all__ = ["Description", "port_of", "read_description"]

# Characters. A section of a browser's has a few thousand of them, so that some fifty fit.
_LARGEST = 200_000
_QUOTED = 60  # characters: half a line of a terminal
# ssrc:NUMBER ATTRIBUTE, RFC 5576, section 4.1: the number alone.
_SSRC = re.compile(r"a=ssrc:(\d{1,10})(?:\s|$)", re.ASCII)
# candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE, RFC 8839, section 5.1: transport and type.
_CANDIDATE = re.compile(r"a=candidate:\S+ +\d+ +(\S+) +\d+ +\S+ +\d+ +typ +(\S+)", re.IGNORECASE)
# m=MEDIA PORT[/COUNT] PROTOCOL FORMATS, RFC 8866 §5.14.
_MEDIA = re.compile(r"m=(?P<kind>\S+) +(?P<port>\d{1,5})(?:/\d{1,5})? +(?P<protocol>\S+)(?: +\S+)*", re.ASCII)
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

    def bundle(self) -> list[str]:
        """Return the mids of the sections that share one path, the tagged one first (RFC 9143 §5)."""
        # Other groups (LS, FID of sections) stand beside it; several bundles are allowed, and nobody writes two.
        groups = (value.split() for value in values(self.session, "group"))
        return next((words[1:] for words in groups if words and words[0].upper() == "BUNDLE"), [])

    def sources(self) -> set[int]:
        """Return the sources of audio that are announced (``a=ssrc``)."""
        found = (_SSRC.match(line) for section in self.audio() for line in section)
        return {int(match[1]) for match in found if match is not None}

    def candidate_types(self) -> dict[str, int]:
        """Return how many candidates of each type are offered, such as ``{"host udp": 2}``."""
        # A stranger's words become keys of a report: they are cut, as everything of its that is shown.
        found: Counter[str] = Counter()
        for line in (line for section in self.media for line in section):
            match = _CANDIDATE.match(line)
            if match is not None:
                found[f"{match[2][:_QUOTED]} {match[1][:_QUOTED].lower()}"] += 1
        return dict(sorted(found.items()))

    def kinds(self) -> list[str]:
        """Return what its sections are of, in their order; what WebRTC does not know is ``"something else"``."""
        kinds = [section[0][2:].split(" ", 1)[0] for section in self.media]
        return [kind if kind in _KINDS else "something else" for kind in kinds]

    def tagged(self, section: Sequence[str]) -> Sequence[str]:
        """Return the section that speaks for the bundle of ``section``; nothing where it is in none."""
        bundle = self.bundle()
        if next(values(section, "mid"), None) not in bundle:
            return ()
        return next((each for each in self.media if next(values(each, "mid"), None) == bundle[0]), ())


def read_description(text: str, whose: str) -> Description:
    """Return a description taken apart; ``whose`` names it in sentences (``"the answer"``).

    Raises:
        MeasurementError: it is no session description, or larger than any.
    """
    if len(text) > _LARGEST:
        raise MeasurementError(f"{whose} is {len(text):,} characters long", "no session description is")
    text = text.removeprefix("\ufeff")  # a byte order mark, which editors write before text
    # RFC 8866 §5 wants CRLF and lets a reader take LF alone; a lone CR comes of texts that were pasted.
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    if not lines or not lines[0].startswith("v="):
        begins = quoted(" ".join(text[:_LARGEST].split())[:_QUOTED])
        raise MeasurementError(f"{whose} is no session description, it begins {begins}", "is this the endpoint's URL?")
    # type "=" value, one letter before it (RFC 8866 §5): a page of HTML, or JSON, fails here at the latest.
    wrong = next((line for line in lines if len(line) < 2 or line[1] != "="), None)
    if wrong is not None:
        raise MeasurementError(f"{whose} has a line that is none of SDP: {quoted(wrong[:_QUOTED])}")
    session: list[str] = []
    media: list[list[str]] = []
    for line in lines:
        if line.startswith("m="):
            if _MEDIA.fullmatch(line) is None:
                raise MeasurementError(f"{whose} has an m-line that is none of SDP: {quoted(line[:_QUOTED])}")
            media.append([])
        (media[-1] if media else session).append(line)
    return Description(session, media)


def port_of(section: Sequence[str]) -> int:
    """Return the port of a section's m-line: 0 rejects it (RFC 3264 §6), whatever else there is in a bundle."""
    match = _MEDIA.fullmatch(section[0])
    return 0 if match is None else int(match["port"])
