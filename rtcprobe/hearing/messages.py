"""What became of messages in several calls, as accounts of one way.

Rules:
    1. Counts add up; stages are means over the messages delivered, and sum to their mean delay. The fastest way is that
       of all calls: what others took more is variable.
    2. What SCTP sent again, and what waited for an earlier one, are spans with their names: ``T3-rtx``,
       ``fast retransmit``, ``head of line``; while a channel opened, ``T1-init`` and ``T1-cookie`` too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rtcprobe.messages import CameMessages, Delivery, SaidMessages, deliveries
from rtcprobe.messages.text import OF_ONE
from rtcprobe.result import MESSAGE_STAGES, Account, HeardCall, Missed, Sample, Span
from rtcprobe.ways import Way

__all__ = ["CallMessages", "call_messages", "message_account", "together"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CallMessages:
    """What one call says of the messages of one way. ``strangers`` came and bear no number of ours."""

    sent: Sequence[Delivery]
    opened_s: float | None
    state: str
    opening: Sequence[Span]
    strangers: int
    copies: int
    forwarded: bool


def call_messages(said: SaidMessages, came: CameMessages) -> CallMessages:
    """Return what a call says of one way."""
    numbers = [each.number for each in came.delivered if each.number is not None]
    ours = {each.number for each in said.messages}
    # A number that no message of ours has came from somebody else in the room: a stranger, not a copy.
    known = [number for number in numbers if number in ours]
    return CallMessages(
        sent=deliveries(said, came),
        opened_s=said.opened_s,
        state=said.state,
        opening=tuple(Span(what=each.what, from_s=each.from_s, until_s=each.at_s) for each in said.opening),
        strangers=len(came.delivered) - len(known),
        copies=len(known) - len(set(known)),
        forwarded=came.forwarded,
    )


def together(one: CallMessages, other: CallMessages) -> CallMessages:
    """Return what a call says of one way whose ends had several connections, one after the other."""
    return CallMessages(
        sent=sorted([*one.sent, *other.sent], key=lambda each: each.number),
        opened_s=one.opened_s if one.opened_s is not None else other.opened_s,
        state=one.state,
        # The first connection's opening may have been told to both: a wait is one wait.
        opening=(*one.opening, *(each for each in other.opening if each not in one.opening)),
        strangers=one.strangers + other.strangers,
        copies=one.copies + other.copies,
        forwarded=one.forwarded,
    )


def message_account(way: Way, calls: Mapping[int, CallMessages]) -> Account:
    """Return the account of the messages of several calls, by their numbers; at least one."""
    sent = [(number, each) for number, call in calls.items() for each in call.sent]
    least_s = _least([each for _, each in sent])
    heard = [(number, each) for number, each in sent if each.fate == "heard"]
    missed = [(number, each) for number, each in sent if each.fate != "heard"]
    lost = sum(each.fate == "lost" for _, each in missed)
    return Account(
        kind="messages",
        way=way,
        scheduled=len(sent),
        heard=len(heard),
        rejected=len(missed) - lost,
        lost=lost,
        samples=tuple(_sample(number, each, least_s, calls[number]) for number, each in heard),
        missed=tuple(_missed(number, each) for number, each in missed),
        stages=_means([_stages(each, least_s, calls[number]) for number, each in heard]),
        figures=_figures(list(calls.values())),
        spans=tuple(_spans(calls)),
        calls=tuple(_row(number, call, least_s) for number, call in calls.items() if call.sent),
    )


def _least(sent: Sequence[Delivery]) -> float:
    # Of all calls together: one that was slow from beginning to end has no fastest way of its own.
    return min((each.network_s for each in sent if each.fate == "heard"), default=0.0)


def _stages(each: Delivery, least_s: float, call: CallMessages) -> dict[str, float]:
    """Return where one message's delay went, in the order of ``MESSAGE_STAGES``."""
    # Behind a server of a stranger's the line and the server cannot be told apart: one stage for both.
    whole = {"network_min": least_s, "network_variable": each.network_s - least_s}
    network = {"network_and_server": each.network_s} if call.forwarded else whole
    parts = {
        "opening": each.opening_s,
        "queue": each.queue_s,
        "retransmission": each.retransmission_s,
        **network,
        "head_of_line": each.head_of_line_s,
    }
    return {name: parts[name] for name in MESSAGE_STAGES if name in parts}


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: math.fsum(row[name] for row in rows) / len(rows) for name in rows[0]} if rows else {}


def _sample(number: int, each: Delivery, least_s: float, call: CallMessages) -> Sample:
    assert each.delivered_s is not None
    # What was sent again needlessly, for want of an acknowledgement, held nobody up.
    rules = list(dict.fromkeys(again.why for again in each.resent)) if each.retransmission_s else []
    waited = ["head of line"] if each.head_of_line_s else []
    return Sample(
        # Numbers are blocks of ``OF_ONE`` a party; within its own a reader counts from nought.
        marker=each.number % OF_ONE,
        spoken_s=each.due_s,
        heard_s=each.delivered_s,
        delay_s=each.delay_s,
        call=number,
        stages=_stages(each, least_s, call),
        note=", ".join((*rules, *waited)),
    )


def _missed(number: int, each: Delivery) -> Missed:
    return Missed(
        marker=each.number % OF_ONE,
        spoken_s=each.due_s,
        fate="lost" if each.fate == "lost" else "rejected",
        call=number,
        why=each.why,
    )


def _spans(calls: Mapping[int, CallMessages]) -> Iterator[Span]:
    for number, call in calls.items():
        for each in call.opening:
            yield Span(what=each.what, from_s=each.from_s, until_s=each.until_s, call=number)
        for message in call.sent:
            for again in message.resent:
                yield Span(what=again.why, from_s=again.from_s, until_s=again.at_s, call=number)
            if message.head_of_line_s and message.delivered_s is not None:
                whole_s = message.delivered_s - message.head_of_line_s
                yield Span(what="head of line", from_s=whole_s, until_s=message.delivered_s, call=number)


def _row(number: int, call: CallMessages, least_s: float) -> HeardCall:
    heard = [each for each in call.sent if each.fate == "heard"]
    return HeardCall(
        call=number,
        scheduled=len(call.sent),
        heard=len(heard),
        stages=_means([_stages(each, least_s, call) for each in heard]),
        figures=_figures([call]),
    )


def _figures(calls: Sequence[CallMessages]) -> dict[str, float]:
    """Return what messages alone have: counts, shares of what was sent, and means in seconds."""
    sent = [each for call in calls for each in call.sent]
    waits_s = [each.head_of_line_s for each in sent if each.head_of_line_s]
    again = [every for each in sent for every in each.resent]
    found: dict[str, float] = {
        "head_of_line_waits": len(waits_s),
        "t3_retransmissions": sum(each.why == "T3-rtx" for each in again),
        "fast_retransmissions": sum(each.why == "fast retransmit" for each in again),
        "given_up": sum(each.why == "given up" for each in sent),
    }
    if sent:
        found["head_of_line_share"] = len(waits_s) / len(sent)
    if waits_s:
        found |= {"head_of_line_wait_s": math.fsum(waits_s) / len(waits_s), "head_of_line_longest_s": max(waits_s)}
    opened_s = [call.opened_s for call in calls if call.opened_s is not None]
    if opened_s:
        found["channel_open_s"] = math.fsum(opened_s) / len(opened_s)
    # Told only where there are any: a nought beside every healthy call would say nothing.
    others = {"strangers": sum(call.strangers for call in calls), "copies": sum(call.copies for call in calls)}
    return found | {name: count for name, count in others.items() if count}
