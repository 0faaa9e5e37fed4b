"""Which side of a call held it up, what that side was waiting for, and the sentence that says so.

Rules:
    1. The side that has come the least far is to blame: one without a media path before one without sound.
    2. What a join may do without (DNS, TLS, an offer of the server's own) is never what it was waiting for, unless an
       exchange stands open at just that step.
    3. Who hears the other side and does not see it waits for its picture, not for its sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from rtcprobe.call.faults import Exchange, timed_out
from rtcprobe.call.peer import Peer
from rtcprobe.call.watching import Watching
from rtcprobe.errors import MeasurementError
from rtcprobe.timeline import Side, Stop, Wait

if TYPE_CHECKING:
    from rtcprobe.call.http import HttpClient  # a fifth of a second that calls without HTTP should not pay

__all__ = ["CONNECTION", "by_timers", "came", "gave_up", "latecomer", "named", "stop_of", "too_late", "unanswered"]

CONNECTION = {"dns": "dns_resolved", "tcp": "tcp_connected", "tls": "tls_connected"}
"""The steps of a new connection, and the milestones they are."""

_ROLES = ("caller", "callee")


def latecomer(peers: Sequence[Peer], joiners: Sequence[Peer], waited_for: Collection[object]) -> Peer:
    """Return the side to blame (rule 1); ``waited_for`` are the events of its peers that the call waited for."""
    waiting = [
        peer
        for peer in peers
        if any(
            event in waited_for and not event.is_set() for event in (peer.connected, peer.heard_packet, *_seeing(peer))
        )
    ]
    unconnected = [peer for peer in peers if not peer.connected.is_set()]
    # The first of each, in the order in which they call: who is called cannot connect before who calls it.
    return (unconnected or waiting or joiners)[0]


def stop_of(peer: Peer, clients: Iterable[HttpClient], optional: Iterable[str]) -> Stop:
    """Return where ``peer`` stopped (rule 2)."""
    reached = peer.timeline.reached()
    # Only until then is a step of a new connection what a join stands at:
    # later ones (a second session) are asked beside it.
    if "signaling_connected" not in peer.timeline.marks:
        asked = [each for each in _last_exchanges(peer, clients) if each.phase in CONNECTION]
        if asked and CONNECTION[asked[-1].phase] in peer.timeline.order:
            return Stop(reached, CONNECTION[asked[-1].phase])
    return Stop(reached, _unseen(peer) or peer.timeline.awaited((*CONNECTION.values(), *optional)))


def too_late(peer: Peer, clients: Iterable[HttpClient], stop: Stop, limit_s: float, owed: str) -> str:
    """Return what ``peer`` was waiting for after ``limit_s``: an exchange, or a milestone and what is ``owed`` it."""
    open_now = next((each for each in _last_exchanges(peer, clients) if not _is_over(each)), None)
    if open_now is not None:
        return f"{timed_out(open_now, limit_s).message}; {came(peer)}"
    return f"{peer.side} {stop.awaited} not within {limit_s:g} s{owed}; {came(peer)}"


def unanswered(clients: Iterable[HttpClient], begun_s: float, now_s: float) -> list[MeasurementError]:
    """Return what was asked from ``begun_s`` on and is still open, and what that waits for."""
    last = [each.exchanges[-1] for each in clients if each.exchanges]
    return [
        timed_out(each, round(now_s - each.begun_s, 1))
        for each in last
        if each.begun_s >= begun_s and not _is_over(each)
    ]


def gave_up(peer: Peer, stop: Stop) -> str:
    """Return that the media path of ``peer`` gave up, or was ended by the other side."""
    how = "gave up" if "dtls_connected" not in peer.timeline.marks else "was ended by the target"
    return f"{peer.side} {stop.awaited} {how}; {came(peer)}"


def came(peer: Peer) -> str:
    """Return how far ``peer`` had come."""
    reached = peer.timeline.reached()
    return f"{named(peer.side)} had come to {reached}" if reached else f"{named(peer.side)} had reached nothing"


def named(side: Side) -> str:
    """Return what sentences call a side: of a call of two that nobody named, by its role."""
    return f"the {side}" if side in _ROLES else side


def by_timers(peer: Peer, how: str, waits: Iterable[Wait]) -> str:
    """Return what ``peer`` was waiting for, ``how`` it ended, and which timer had tried last of all ``waits``."""
    missing = f"{peer.side} {_unseen(peer) or peer.timeline.awaited()}"
    fired = sorted(waits, key=lambda wait: wait.at_s)
    if not fired:
        return f"{missing} {how}; no timer had fired"
    last = fired[-1]
    times = sum(wait.timer == last.timer and wait.side == last.side for wait in fired)
    return (
        f"{missing} {how}; "
        f"{named(last.side)}'s {last.timer} timer had resent {times} time{'s' * (times != 1)}, last its {last.what}"
    )


def _seeing(peer: Peer) -> list[asyncio.Event]:
    return [each.first_picture for each in _watching(peer)]


def _unseen(peer: Peer) -> str | None:
    """Return the milestone of a picture that ``peer`` waits for (rule 3); None where it waits for another."""
    if not peer.heard_packet.is_set():
        return None
    return next((each.awaits for each in _watching(peer) if each.awaits is not None), None)


def _watching(peer: Peer) -> list[Watching]:
    return [each.watcher for each in peer.pictures if isinstance(each.watcher, Watching)]


def _last_exchanges(peer: Peer, clients: Iterable[HttpClient]) -> list[Exchange]:
    return [each.exchanges[-1] for each in clients if each.exchanges and each.line.side == peer.side]


def _is_over(exchange: Exchange) -> bool:
    if exchange.phase == "message":
        return True  # a WebSocket that is open: what was said over it is no exchange of its own
    # ``CONNECT`` is ours for opening ahead (``HttpClient.open``): it is over with its handshake, and has no answer.
    last = ("tls" if exchange.url.startswith(("https", "wss")) else "tcp") if exchange.method == "CONNECT" else None
    return (last or "response_body") in exchange.marks
