"""Messages of a data channel: what is sent when, how a message is told from others, and what a call leaves of them."""

from rtcprobe.messages.deliveries import Delivery, deliveries
from rtcprobe.messages.plan import (
    LARGEST_BYTES,
    PRIORITIES,
    SMALLEST_BYTES,
    WEIGHTS,
    Due,
    MessagePlan,
    Priority,
    parse_due,
    parse_frequency,
)
from rtcprobe.messages.recorded import CameMessages, Chunk, Delivered, Passed, Posted, SaidMessages, Timeout, Why
from rtcprobe.messages.text import read_message, write_message

__all__ = [
    "LARGEST_BYTES",
    "PRIORITIES",
    "SMALLEST_BYTES",
    "WEIGHTS",
    "CameMessages",
    "Chunk",
    "Delivered",
    "Delivery",
    "Due",
    "MessagePlan",
    "Passed",
    "Posted",
    "Priority",
    "SaidMessages",
    "Timeout",
    "Why",
    "deliveries",
    "parse_due",
    "parse_frequency",
    "read_message",
    "write_message",
]
