"""What a page's getStats says, beside what was measured: its playout, and whether its media passed our link.

Facts:
    jitterBufferDelay counts ticks of 10 ms: it said 30.00 in 12 of 15 calls in which markers said 26.4 to 33.9. It
    stands beside our figures and never in their place.

Source of all names: W3C, Identifiers for WebRTC's Statistics API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Passed", "figures_of", "passed_of"]

_COUNTS: Final = (
    "concealedSamples",
    "silentConcealedSamples",
    "insertedSamplesForDeceleration",
    "removedSamplesForAcceleration",
    "totalSamplesReceived",
    "jitterBufferDelay",
    "jitterBufferTargetDelay",
    "jitterBufferEmittedCount",
    "packetsReceived",
    "packetsLost",
)
_SLACK = 0.02
"""Of the packets: those under way when both were asked, and the checks of RTCP beside them."""
# A floor for short calls: 1.2 s of sound, of which two per cent would be one packet.
_SLACK_PACKETS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Whether all media passed our link: ``wrong`` says why not, in a sentence; None where all did."""

    words: str
    wrong: str | None
    round_trip_s: float | None = None
    """The shortest round trip that the page's checks saw on the pair in use, by its own word the mean of all."""


def figures_of(told: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
    """Return the playout figures of the connection that received most sound; {} where none did."""
    inbound = [
        each
        for connection in told
        for each in _entries(connection)
        if each.get("type") == "inbound-rtp" and each.get("kind") == "audio"
    ]
    # A page may receive several sounds, some of them silent slots: playout figures are asked of the one that was heard.
    best = max(inbound, key=lambda each: _number(each, "packetsReceived"), default=None)
    if best is None:
        return {}
    out = {name: _number(best, name) for name in _COUNTS if name in best}
    # Of the output device, where the browser has such an entry: seconds × samples, so the quotient is seconds a sample.
    playout = next(
        (each for connection in told for each in _entries(connection) if each.get("type") == "media-playout"), None
    )
    if playout is not None and _number(playout, "totalSamplesCount"):
        out["meanPlayoutDelay"] = _number(playout, "totalPlayoutDelay") / _number(playout, "totalSamplesCount")
    return out


def passed_of(told: Sequence[Mapping[str, Any]], *, relayed: Sequence[tuple[str, int]], up: int, down: int) -> Passed:
    """Return whether the media of every connected connection passed our server.

    ``relayed`` are the addresses it gave out, ``up`` and ``down`` the packets of media it carried.
    """
    ours = set(relayed)
    pairs = [pair for connection in told for pair in _pairs(connection)]
    if not pairs:
        return Passed(words="no connection was there to be asked", wrong=None)
    for local, _ in pairs:
        where = (local.get("address") or local.get("ip"), int(local.get("port") or 0))
        # ``ip`` is what W3C's statistics called ``address`` before.
        if local.get("candidateType") != "relay" or (ours and where not in ours):
            wrong = f"the page's media did not pass our link: it left from a {local.get('candidateType')} candidate"
            return Passed(words=wrong, wrong=wrong)
    sent, received = (
        sum(_number(each, name) for connection in told for each in _entries(connection) if each.get("type") == kind)
        for kind, name in (("outbound-rtp", "packetsSent"), ("inbound-rtp", "packetsReceived"))
    )
    for what, theirs, here in (("sent", sent, up), ("received", received, down)):
        # One side only: our link carries more than the page counts, for what it
        # drops at SRTP or has not read yet is in ours.
        if theirs > here * (1 + _SLACK) + _SLACK_PACKETS:
            wrong = f"the page says it {what} {theirs:.0f} packets of media, and {here} passed our link"
            return Passed(words=wrong, wrong=wrong)
    # A mean over all checks of a pair: none is shorter than the link's two
    # ways, so if the mean is, they went another way.
    trips_s = [
        _number(pair, "totalRoundTripTime") / _number(pair, "responsesReceived")
        for _, pair in pairs
        if _number(pair, "responsesReceived")
    ]
    words = f"all of it passed our link: {up} packets up, {down} down; the page says {sent:.0f} and {received:.0f}"
    return Passed(words=words, wrong=None, round_trip_s=min(trips_s, default=None))


def _entries(connection: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    found = connection.get("stats", ())
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _pairs(connection: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the local candidate and the pair of each transport that has one in use."""
    known = {each.get("id"): each for each in _entries(connection)}
    chosen = [each.get("selectedCandidatePairId") for each in known.values() if each.get("type") == "transport"]
    pairs = [known[each] for each in chosen if each in known]
    return [(known.get(pair.get("localCandidateId"), {}), pair) for pair in pairs]


def _number(entry: Mapping[str, Any], name: str) -> float:
    value = entry.get(name, 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0
