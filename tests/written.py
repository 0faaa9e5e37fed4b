"""Messages of a result, written out: two calls over an ordered channel that lost a piece in the first."""

from dataclasses import replace

from rtcprobe.hearing.messages import call_messages, message_account
from rtcprobe.messages import CameMessages, Chunk, Delivered, Posted, SaidMessages, Timeout
from rtcprobe.verdict.intervals import of_calls
from rtcprobe.ways import Way

__all__ = ["account", "call"]

SIZE, COUNT, APART_S, WAY_S = 100, 50, 0.1, 0.040


def call(lost=(), *, again_s=0.35, why="fast retransmit", never=(), opened_s=0.6, opening=()):
    """Return what a call says: a message each 100 ms over 40 ms; those ``lost`` leave again ``again_s`` later."""
    sent = [Posted(n, 1.0 + n * APART_S, SIZE, 1.0 + n * APART_S) for n in range(COUNT)]
    left = [Chunk(each.due_s, each.number, True, True, each.number) for each in sent]
    left += [replace_chunk(left[n], again_s, why) for n in lost]
    came = [
        Chunk(1.0 + n * APART_S + WAY_S + (again_s if n in lost else 0.0), n, True, True, n)
        for n in range(COUNT)
        if n not in never
    ]
    whole_s = {each.tsn: each.at_s for each in came}
    free_s, delivered = 0.0, []
    for n in sorted(whole_s):
        free_s = max(free_s, whole_s[n])  # in order: none before those before it
        delivered.append(Delivered(free_s, n, SIZE))
    said = SaidMessages(party="caller", messages=sent, left=left, begun_s=0.9, opened_s=opened_s, opening=opening)
    return call_messages(said, CameMessages(listener="callee", chunks=came, delivered=delivered))


def replace_chunk(chunk, later_s, why):
    return chunk._replace(at_s=chunk.at_s + later_s, why=why)


def account(way="caller_to_callee.messages", calls=None):
    """Return the judged account of two calls."""
    late = Timeout("T1-init", 0.5, 3.5)
    found = message_account(Way(way), calls or {0: call(lost={10}), 1: call(never={4}, opening=[late])})
    return replace(found, summary=of_calls(found).summary())
