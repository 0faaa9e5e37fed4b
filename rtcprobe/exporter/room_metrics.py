"""The rows of the table about rooms: who hears whom, how far apart, who waits, how much breaks off.

Rules:
    1. However many take part, series stay few: a matrix has twelve rows and columns at most (parties, else those of a
       region or a role together), and everything else is told of the room or of a role.
    2. All of it is of the last run: what was not measured is absent.
"""

from __future__ import annotations

from rtcprobe.exporter.metric import gauge

__all__ = ["RUN_ROWS"]

_PAIR = "talker: a party, or a group of them (jakarta (6)); listener: likewise"
_GROUP = "group: everybody, or a role of the scenario"

RUN_ROWS = (
    gauge(
        "run", "last_room_parties", "Its parties, by role (none where the scenario gives none).", "role", "role: its"
    ),
    gauge(
        "run",
        "last_room_pair_seconds",
        "Mouth to ear from a row of the room to a column; p50 of groups is their latest pair's.",
        "talker listener aggregate",
        f"{_PAIR}; aggregate: p50, p95 (of too few markers absent)",
    ),
    gauge(
        "run",
        "last_room_spread_seconds",
        "How much later than the first of a talker's listeners the last one hears it, by their means.",
        "talker",
        "talker: a party, or a group of them (jakarta (6))",
    ),
    gauge(
        "run",
        "last_room_gap_ratio",
        "Share of the time listened to that was made up in gaps of a length and longer.",
        "least",
        "least: 80ms, 100ms, 200ms, 500ms",
    ),
    gauge(
        "run",
        "last_room_joined_ratio",
        "Share of its joins heard within a time.",
        "group within",
        f"{_GROUP}; within: 1s, 5s",
    ),
    gauge(
        "run",
        "last_room_wait_seconds",
        "How long listeners waited: for who went on stage, for a host after one had gone, as newcomers for any sound.",
        "what aggregate",
        "what: on_stage, silence, joined, on_screen, first_picture; aggregate: p50, max (of those that ended)",
    ),
    gauge(
        "run",
        "last_room_waits_never",
        "Those waits that never ended.",
        "what",
        "what: on_stage, silence, joined, on_screen, first_picture",
    ),
    gauge(
        "run",
        "last_room_talk_over_seconds",
        "The window of two in which each may begin to speak not knowing that the other has: both delays together.",
        "aggregate",
        "aggregate: p50, max (over pairs)",
    ),
)
