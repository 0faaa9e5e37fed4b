"""Session descriptions from strangers: read, put right where every browser would, refused in a sentence where not.

Facts:
    - aiortc takes what RFC 9429 lets through and no more: an answer's m-lines are those of the offer, by kind and mid;
      its DTLS role ``active`` or ``passive``.
    - Servers are looser. Streaming servers answer ``a=setup:actpass``, which RFC 5763 §5 forbids; it means that we may
      choose, and the offerer then acts as the server of the handshake (``active`` on their side). Some leave out the
      mid, the direction or the role, give TCP candidates, or candidates with names.
    - Where an answer holds candidates and no end of them, an ICE agent waits for more for ever.

Rules:
    1. What is put right changes no meaning. Of a section the stack sees what our audio needs, and nothing else
       (``section``); of a server's offer its audio alone, and what else it offers is answered with port 0
       (RFC 9429 §5.3.1).
    2. What cannot be used is refused here, before the stack sees it: also an answer that takes or sends no audio where
       the offer wanted that.
    3. A picture beside the sound may be turned down: then the sound goes on, and ``without_picture`` says so. It goes
       over the sound's transport (BUNDLE) or not at all. So may data channels, also by an answer without their m-line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from rtcprobe.call.channel_section import channel_section
from rtcprobe.call.description import Description, port_of, read_description
from rtcprobe.call.faults import quoted
from rtcprobe.call.picture_section import picture_section
from rtcprobe.call.section import Candidates, Codecs, Kind, Transport, audio_section, direction_of, speaks_rtp, values
from rtcprobe.call.signaling import Sdp
from rtcprobe.errors import MeasurementError
from rtcprobe.picture.settings import SDP_NAMES
from rtcprobe.runtime.negotiation import NO_OPUS

__all__ = ["Usable", "read_candidate", "usable_answer", "usable_offer"]

# What an answer's session needs beside its bundle: nothing of it is the other side's (RFC 9429 §5.2.1).
_SESSION = ("v=0", "o=- 1 2 IN IP4 0.0.0.0", "s=-", "t=0 0")
_NO_CHANNELS = "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
"""How an answer turns channels down. Source: RFC 3264 §6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable(Sdp):
    """A description that the stack can take, and what it cannot do by itself.

    ``names`` are candidates whose address is a name; ``left_out`` says which were none of ours to use, and
    ``unreachable`` that no other are left; ``announced`` are the sources of audio named; ``refused`` are the sections
    of an offer that our answer turns down, by place, and ``bundled`` whether it has a bundle to be in.
    ``without_picture``: one was wanted, and there is none.
    """

    names: tuple[str, ...]
    left_out: tuple[str, ...]
    unreachable: bool
    announced: frozenset[int]
    refused: tuple[tuple[int, tuple[str, ...]], ...] = ()
    bundled: bool = True
    without_picture: bool = False

    def answered(self, answer: Sdp) -> Sdp:
        """Return our ``answer`` to the audio of an offer as the answer to all of it (rule 1)."""
        ours = read_description(answer.text, "our answer")
        session = ours.session
        if not self.bundled:
            session = [line for line in session if not line.startswith("a=group:")]
            ours.media[0][:] = [line for line in ours.media[0] if not line.startswith("a=mid:")]
        media = list(ours.media)
        for place, section in self.refused:
            media.insert(place, list(section))
        return Sdp(kind=answer.kind, text=str(Description(session, media)))


def usable_answer(text: str, offer: Sdp, *, more_candidates: bool = False) -> Usable:
    """Return a server's answer to ``offer`` as the stack can take it (rule 1).

    ``more_candidates``: some will come by other ways, so their end is not said.

    Raises:
        MeasurementError: it is no description, has other m-lines than the offer, or does not take or send our audio.
    """
    whose = "the answer"
    answer = read_description(text, whose)
    ours = read_description(offer.text, "our offer")
    if [*answer.kinds(), "application"] == ours.kinds():  # whoever knows of no channels leaves them out
        answer.media.append([_NO_CHANNELS])
    kinds, asked = answer.kinds(), ours.kinds()
    if kinds != asked:
        raise MeasurementError(
            f"the answer has {_listed(kinds)} where {_listed(asked)} was offered", "a server answers every m-line"
        )
    # Sound stands first in every offer of ours, and an answer keeps the offer's order (RFC 3264 §6).
    section, own = answer.media[0], ours.media[0]
    if port_of(section) == 0:
        raise MeasurementError("the answer rejects our audio", "does the server take Opus, and this kind of call?")
    direction = _agreed(direction_of(section, answer.session), direction_of(own, ours.session))
    # The offer's own name, whatever the answer calls it: some servers leave mids out, and the stack matches by them.
    mid = next(values(own, "mid"), "0")
    found = _usable(
        answer, section, whose=whose, kind="answer", direction=direction, mid=mid, more_candidates=more_candidates
    )
    beside = [(own, each) for own, each in zip(ours.media, answer.media, strict=True) if own[0].startswith("m=video ")]
    pictures = [_answered_picture(answer, each, ours, own) for own, each in beside]
    # Never told as refused: a channel that is turned down does not open, and its messages say that themselves.
    channels = [
        (channel_section(each, own, (answer.tagged(each), answer.media[0], answer.session)), False)
        for own, each in zip(ours.media, answer.media, strict=True)
        if own[0].startswith("m=application ")
    ]
    return _with_sections(_with_sections(found, pictures), channels)


def usable_offer(text: str, *, more_candidates: bool = False, codec: str | None = None) -> Usable:
    """Return a server's own offer as the stack can take it: its audio, and its first picture of ``codec``.

    Raises:
        MeasurementError: it is no description, or offers no audio that we could listen to.
    """
    whose = "the server's offer"
    offer = read_description(text, whose)
    if not offer.audio():
        raise MeasurementError(f"{whose} has {_listed(offer.kinds())} and no audio", "is anybody speaking?")
    bundle = offer.bundle()
    chosen = next((each for each in offer.audio() if _offered(each, bundle) and _sends(each, offer)), None)
    if chosen is None:
        _why_none(offer, bundle)
    written = next(values(chosen, "mid"), "")
    # A token (RFC 8866 §9) of a length that anybody writes: it stands in our
    # answer, and in the header extension of packets.
    mid = written if re.fullmatch(r"[!-~]{1,32}", written) else "0"
    direction = direction_of(chosen, offer.session)
    found = _usable(
        offer, chosen, whose=whose, kind="offer", direction=direction, mid=mid, more_candidates=more_candidates
    )
    picture, lines = _offered_picture(offer, chosen, codec)
    turned_down = tuple(
        (place, _turned_down(section))
        for place, section in enumerate(offer.media)
        if section is not chosen and section is not picture
    )
    found = replace(found, refused=turned_down, bundled=bool(written) and written in bundle)
    if codec is None:
        return found
    # The stack's sections stand in the order of the offer, sound first or not: m-lines of an answer follow the offer's.
    first = picture is not None and _place_of(offer, picture) < _place_of(offer, chosen)
    return _with_sections(found, [(lines, lines is None)], first=first)


def read_candidate(attribute: str) -> Candidates:
    """Return what a candidate that came by itself is, an attribute's value such as ``"candidate:..."``."""
    return Candidates.read([f"a={attribute.strip().removeprefix('a=')}"])


def _usable(
    found: Description,
    section: Sequence[str],
    *,
    whose: str,
    kind: Kind,
    direction: str,
    mid: str,
    more_candidates: bool,
) -> Usable:
    where = f"{whose}, its audio"
    if not speaks_rtp(section):
        protocol = quoted(section[0].split()[2])
        raise MeasurementError(f"{where}, speaks {protocol}", "WebRTC speaks UDP/TLS/RTP/SAVPF (RFC 9429 §5.1.2)")
    tagged = found.tagged(section)
    transport = Transport.read((section, tagged, found.session), kind, where, whose)
    # ``rtcp-mux-only`` (RFC 8858) says the same and more. In a bundle the tagged section may speak for the others.
    if not any(
        True for place in (section, tagged) for name in ("rtcp-mux", "rtcp-mux-only") for _ in values(place, name)
    ):
        raise MeasurementError(f"{where}, puts RTCP on another port", "WebRTC wants rtcp-mux (RFC 8834 §4.5)")
    codecs = Codecs.read(section)
    if codecs is None:
        raise MeasurementError(*NO_OPUS)
    # In a bundle candidates may stand with the tagged section alone (RFC 9143 §7): those of its own come first.
    candidates = Candidates.read(section if any(True for _ in values(section, "candidate")) else tagged)
    # A description with candidates and no end of them is taken to be whole,
    # unless names are looked up or more will come.
    ended = (candidates.ended or bool(candidates.lines)) and not candidates.names and not more_candidates
    session = [*_SESSION, *(["a=ice-lite"] if transport.lite else []), f"a=group:BUNDLE {mid}"]
    written = audio_section(
        section,
        direction=direction,
        mid=mid,
        codecs=codecs,
        transport=transport,
        candidates=replace(candidates, ended=ended),
    )
    return Usable(
        kind=kind,
        text=str(Description(session, [written])),
        names=candidates.names,
        left_out=candidates.left_out,
        unreachable=bool(candidates.left_out) and not (candidates.lines or candidates.names or more_candidates),
        announced=frozenset(Description([], [written]).sources()),
    )


def _with_sections(found: Usable, beside: Sequence[tuple[list[str] | None, bool]], *, first: bool = False) -> Usable:
    """Return ``found`` with sections beside what it has, each with whether it is a picture that is turned down."""
    sections = [lines for lines, _ in beside if lines is not None]
    if not beside:
        return found
    ours = read_description(found.text, "it")
    # The bundle is written anew: all sections that the stack sees share one path, those turned down are none of it.
    mids = [next(values(each, "mid"), "") for each in (*ours.media, *sections)]
    session = [line for line in ours.session if not line.startswith("a=group:")]
    media = [*sections, *ours.media] if first else [*ours.media, *sections]
    text = str(Description([*session, f"a=group:BUNDLE {' '.join(mids)}"], media))
    return replace(
        found, text=text, without_picture=found.without_picture or any(turned_down for _, turned_down in beside)
    )


def _answered_picture(
    answer: Description, section: Sequence[str], ours: Description, own: Sequence[str]
) -> tuple[list[str], bool]:
    """Return the answer's section of a picture as the stack can take it, and whether it turns the picture down.

    One that does is written as inactive, of what we offered: the stack takes no port 0 in its sections.
    """
    mid = next(values(own, "mid"), "1")
    codec = next(name for name in SDP_NAMES.values() if any(f"{name}/90000" in line for line in own))
    wanted, theirs = direction_of(own, ours.session), direction_of(section, answer.session)
    # Seen from the answer: it takes what we show, and shows what we want to see, as far as either was offered.
    takes = wanted == "recvonly" or theirs in ("sendrecv", "recvonly")
    sends = wanted == "sendonly" or theirs in ("sendrecv", "sendonly")
    # Port 0 or not, the transport is the sound's: a rejected picture may have no
    # ICE name of its own, and the stack wants one.
    places = (section, answer.tagged(section) or answer.media[0], answer.media[0], answer.session)
    transport = Transport.read(places, "answer", "the answer, its video", "the answer")
    if port_of(section) != 0 and takes and (sends or wanted == "sendrecv") and speaks_rtp(section):
        back = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(wanted, theirs)
        lines = picture_section(section, direction=back, mid=mid, codec=codec, transport=transport)
        if lines is not None:
            return lines, False
    refused = picture_section(own, direction="inactive", mid=mid, codec=codec, transport=transport)
    assert refused is not None
    return refused, True


def _offered_picture(
    offer: Description, chosen: Sequence[str], codec: str | None
) -> tuple[Sequence[str] | None, list[str] | None]:
    """Return the section of an offer that shows a picture of ``codec`` beside ``chosen``, and its lines anew."""
    bundle = offer.bundle()
    mid = next(values(chosen, "mid"), None)
    # Without a bundle a picture would need a path of its own, and candidates, which are not read of it (rule 3).
    if codec is None or mid not in bundle:
        return None, None
    for section in offer.media:
        own = next(values(section, "mid"), "")
        shows = direction_of(section, offer.session) in ("sendrecv", "sendonly") and _offered(section, bundle)
        if not section[0].startswith("m=video ") or own not in bundle or not shows or not speaks_rtp(section):
            continue
        places = (section, offer.tagged(section), offer.session)
        transport = Transport.read(places, "offer", "the server's offer, its video", "the server's offer")
        direction = direction_of(section, offer.session)
        lines = picture_section(section, direction=direction, mid=own, codec=codec, transport=transport)
        if lines is not None:
            return section, lines
    return None, None


def _place_of(found: Description, section: Sequence[str]) -> int:
    return next(place for place, each in enumerate(found.media) if each is section)


def _agreed(theirs: str, ours: str) -> str:
    """Return the direction of an answer to an offer of ours; a server that says sendrecv to one way means that way."""
    if ours != "recvonly" and theirs in ("inactive", "sendonly"):
        raise MeasurementError(
            f"the answer does not take our audio ({theirs})", "does the server take Opus, and this kind of call?"
        )
    if ours == "recvonly" and theirs in ("inactive", "recvonly"):
        raise MeasurementError(f"the answer sends no audio ({theirs})", "is anybody speaking there?")
    if theirs == "recvonly":
        return theirs  # it takes ours and sends nothing: the join will wait for what it was offered
    return {"sendonly": "recvonly", "recvonly": "sendonly"}.get(ours, "sendrecv")


def _offered(section: Sequence[str], bundle: Sequence[str]) -> bool:
    """Return whether an offer means this section: port 0 rejects it, unless it is bundle-only (RFC 9143 §6)."""
    bundled = next(values(section, "mid"), None) in bundle
    return port_of(section) != 0 or (bundled and any(True for _ in values(section, "bundle-only")))


def _sends(section: Sequence[str], offer: Description) -> bool:
    return direction_of(section, offer.session) in ("sendrecv", "sendonly") and Codecs.read(section) is not None


def _why_none(offer: Description, bundle: Sequence[str]) -> NoReturn:
    """Say why none of the audio that is offered can be listened to."""
    meant = [each for each in offer.audio() if _offered(each, bundle)]
    if not meant:
        raise MeasurementError("the server's offer rejects its own audio (port 0)", "is anybody speaking?")
    sending = [each for each in meant if direction_of(each, offer.session) in ("sendrecv", "sendonly")]
    if not sending:
        direction = direction_of(meant[0], offer.session)
        raise MeasurementError(f"the server's offer sends no audio ({direction})", "is anybody speaking?")
    raise MeasurementError(*NO_OPUS)


def _turned_down(section: Sequence[str]) -> tuple[str, ...]:
    """Return the answer to a section that we take no part in. Source: RFC 3264 §6, RFC 9429 §5.3.1."""
    kind, _, protocol, *formats = section[0][2:].split()
    mids = [f"a=mid:{mid}" for mid in values(section, "mid") if mid][:1]
    return (f"m={kind} 0 {protocol} {' '.join(formats or ['0'])}", "c=IN IP4 0.0.0.0", "a=inactive", *mids)


def _listed(kinds: Sequence[str]) -> str:
    if len(kinds) > 4:
        kinds = [*kinds[:3], f"{len(kinds) - 3} more"]
    return " and ".join(kinds) if kinds else "no m-lines"
