"""What was said in a call of a conversation, as its live ends left it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from rtcprobe.call.live import LiveEar, LiveTrack
from rtcprobe.call.targets.base import Call

if TYPE_CHECKING:  # a call of markers has nothing of them
    from rtcprobe.conversation import Claim, Spoken

__all__ = ["Spoke", "spoke_in"]


class Spoke(NamedTuple):
    """What the user of a conversation said, what our agent answered, and the ear it has.

    Of an agent outside: when packets passed the end of the user's emulated line, by RTP timestamp, and what it told of
    itself.
    """

    lines: Sequence[Spoken] = ()
    answers: Sequence[Spoken] = ()
    agent_ear: LiveEar | None = None
    left_s: Mapping[int, float] = MappingProxyType({})
    claims: Sequence[Claim] = ()
    came_s: Mapping[int, float] = MappingProxyType({})


def spoke_in(call: Call) -> Spoke:
    """Return what the user of a conversation said in ``call``; nothing where it is none."""
    tracks = [section.track for peer in call.peers for section in peer.sections]
    mouths = [track.mouth for track in tracks if isinstance(track, LiveTrack)]
    if not mouths:
        return Spoke()
    edge, said = mouths[0].edge, mouths[0].talker.said
    # An edge is there where an emulated line leads to an agent outside: only the user is ours then.
    if edge is not None:
        claims = next((peer.claims.came for peer in call.peers if peer.claims is not None), [])
        return Spoke(said, left_s=edge.left_s, came_s=edge.came_s, claims=claims)
    # The first live mouth is the user's: parties make theirs in the order written.
    return Spoke(said, mouths[1].talker.said, mouths[1].ear) if len(mouths) > 1 else Spoke(said)
