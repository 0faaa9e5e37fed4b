"""What messages a party sends over a data channel: the key ``messages`` of a scenario and of a party.

Rule: where ``messages`` is not written nobody sends any; written for all, whoever sends sound sends messages too. Who
    only listens sends those of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtcprobe.messages import WEIGHTS, MessagePlan, parse_frequency
from rtcprobe.messages.plan import listed_of
from rtcprobe.scenario.keys import choice, quantity, record, written
from rtcprobe.units import parse_bytes, parse_duration

__all__ = ["message_plan", "messages_schema"]


def message_plan(says: Mapping[str, Any]) -> MessagePlan:
    """Return what the key ``messages`` says; what it leaves out is as usual.

    Raises:
        BadInputError: what no channel could carry.
    """
    usual = MessagePlan()
    return MessagePlan(
        # Nothing is filled in by the schema: a scenario without messages keeps its digest when a new key comes.
        rate_hz=parse_frequency(says["rate"]) if "rate" in says else usual.rate_hz,
        size_bytes=parse_bytes(says["size"]) if "size" in says else usual.size_bytes,
        spread=says.get("spread", usual.spread),
        listed=listed_of(says.get("list", ())),
        ordered=says.get("ordered", usual.ordered),
        max_retransmits=says.get("max_retransmits"),
        priority=says.get("priority"),
        max_lifetime_s=parse_duration(says["max_lifetime"]) if "max_lifetime" in says else None,
    )


def messages_schema() -> dict[str, Any]:
    """Return the schema of ``messages``; none of its keys is filled in, so situations without them stay equal."""
    usual = MessagePlan()
    return record(
        {
            "rate": written(
                "frequency",
                # frequency = number "/" ( "s" / "min" / "h" )       coarse; ``messages.parse_frequency`` judges
                r"^[0-9.]+ ?/ ?(s|min|h)$",
                "How many a second, counted from the opening of the channel; without it those of the list and of cues "
                "(ben sends at 5s) alone.",
                "5/s",
            ),
            "size": quantity("bytes", f"How large each is; {usual.size_bytes}B where nothing is said.", "200B"),
            "spread": choice(
                "even: one an interval; random: a Poisson process of that rate, as many people's are.",
                ["even", "random"],
            ),
            "list": {
                "type": "array",
                "items": written("message", r"^[0-9.]+ ?[A-Za-z]+ at [0-9.]+ ?[a-z]+$", "SIZE at TIME.", "2kB at 1.5s"),
                "description": "Messages at instants of their own, counted from when everybody has joined.",
                "examples": [["200B at 1s", "16kB at 2.5s"]],
            },
            "ordered": {
                "type": "boolean",
                "description": "Whether they are delivered in the order sent: then one that is lost holds up those "
                "after it. So it is where nothing is said.",
                "examples": [False],
            },
            "max_retransmits": {
                "type": "integer",
                "minimum": 0,
                # An unsigned short, as W3C's RTCDataChannelInit has it.
                "maximum": 65_535,
                "description": "How often one is sent again before it is given up; without a limit they are reliable.",
                "examples": [0],
            },
            "max_lifetime": quantity("duration", "How long one is tried before it is given up.", "200ms"),
            "priority": choice(
                "Where more waits than a line takes, twice the share of the level below (RFC 8835): beside sound and "
                "picture, whose level is low, and beside the messages of others over one connection. "
                "Without it what is sent leaves in the order it was sent in, as browsers have it.",
                list(WEIGHTS),
            ),
        },
        description="Messages over a data channel beside sound and picture (SCTP over DTLS, the same transport): "
        "questions to a host, comments, gifts, moves of a game. Without this key there are none.",
        examples=[{"rate": "5/s", "size": "200B"}, {"list": ["200B at 1s"], "ordered": False, "max_retransmits": 0}],
    )
