"""The dashboard about rooms: who hears whom how late, how far apart, who waits, what breaks off."""

from __future__ import annotations

from panels import BAD, FAIR, GOOD, Dashboard, bars, lines, number, shaded
from queries import ONE, ROUTE_NAME, UNHEARD, increase, now, q, quantile

PAIR_LIMITS = ((0.15, "yellow"), (0.2, FAIR), (0.3, "dark-orange"), (0.4, BAD))
"""ITU-T G.114: 150 ms disturb nobody, 400 ms are the limit of planning; between them as reports shade it."""
WAIT_LIMITS = ((1.0, FAIR), (5.0, BAD))
"""What services count joins by (``rtcprobe/verdict/dialects.py``): heard within 1 s, within 5 s."""
GAP_LIMITS = ((0.01, FAIR), (0.03, BAD))
"""The first is what ``scenarios/community-stage`` asks of gaps of 200 ms; the second is ours, an assumption."""


def last(metric: str, more: str = "", by: str = "probe") -> str:
    """A figure of the last run, the worst where several servers have it."""
    inside = ", ".join(each for each in (ONE, more) if each)
    return f"max by ({by}) (rtcprobe_last_room_{metric}{{{inside}}})"


def undelivered() -> str:
    """The share of the messages sent within the window that never arrived, by what became of them."""
    missed = increase("rtcprobe_messages_total", UNHEARD, ONE)
    return f"sum by (fate) ({missed}) / ignoring (fate) group_left sum({increase('rtcprobe_messages_total', '', ONE)})"


_HOW_IT_IS = (
    number(
        "Latest pair, p50",
        "Mouth to ear of the pair that hears each other latest, in the last run.",
        "s",
        now(f'max(rtcprobe_last_room_pair_seconds{{{ONE}, aggregate="p50"}})', "latest"),
        limits=PAIR_LIMITS,
        base=GOOD,
        width=6,
    ),
    number(
        "Joins within 5 s",
        "Share of the last run's joins that heard somebody within 5 s.",
        "percentunit",
        now(f'min(rtcprobe_last_room_joined_ratio{{{ONE}, group="everybody", within="5s"}})', "in time"),
        width=6,
        decimals=1,
    ),
    number(
        "Gaps of 200 ms and longer",
        "Share of the time listened to that playout made up in such gaps, over all pairs.",
        "percentunit",
        now(last("gap_ratio", 'least="200ms"'), "gaps"),
        limits=GAP_LIMITS,
        base=GOOD,
        width=6,
        decimals=2,
    ),
    number(
        "Who is there",
        "Parties of the last run, by the role their scenario gives them.",
        "none",
        now(last("parties", by="role"), "{{role}}"),
        width=6,
    ),
    shaded(
        "Who hears whom, p50",
        "A row speaks, a column hears; those of a region or a role stand together where they are many, and are as "
        "late as their latest pair. Shades change at 150, 200, 300 and 400 ms.",
        "s",
        now(last("pair_seconds", 'aggregate="p50"', "talker, listener")),
        row="talker",
        column="listener",
        limits=PAIR_LIMITS,
    ),
    shaded(
        "Who hears whom, p95",
        "The same of nineteen markers in twenty, of all markers of a cell; empty where there were too few of them.",
        "s",
        now(last("pair_seconds", 'aggregate="p95"', "talker, listener")),
        row="talker",
        column="listener",
        limits=PAIR_LIMITS,
    ),
)

_WHO_WAITS = (
    bars(
        "How far apart do listeners hear the same talker?",
        "The last listener less the first, by their mean delays, a bar a talker; of the last run.",
        "s",
        now(last("spread_seconds", by="talker"), "{{talker}}"),
    ),
    lines(
        "How long do listeners wait?",
        "Median and longest of the last run: for who went on stage, for a host after one had gone, as newcomers for "
        "their first sound. Dashed: 1 and 5 s.",
        "s",
        q(last("wait_seconds", by="what, aggregate"), "{{what}} {{aggregate}}"),
        limits=WAIT_LIMITS,
    ),
    lines(
        "How many joins are in time?",
        "Share heard within 1 s and 5 s, by role; of each run.",
        "percentunit",
        q(f"min by (group, within) (rtcprobe_last_room_joined_ratio{{{ONE}}})", "{{group}} {{within}}"),
        top=1.0,
    ),
    lines(
        "Which waits never end?",
        "Listeners who never heard who went on stage, nor a host again, and newcomers who heard nothing at all.",
        "none",
        q(last("waits_never", by="what"), "{{what}}"),
    ),
)

_SINCE_WHEN = (
    lines(
        "How much sound breaks off?",
        "Share of the time listened to that was made up in gaps of a length and longer. Dashed: 1 and 3 %.",
        "percentunit",
        q(last("gap_ratio", by="least"), "≥ {{least}}"),
        limits=GAP_LIMITS,
    ),
    lines(
        "How long may two begin to speak at once?",
        "Both delays of a pair together: the window in which each begins not knowing of the other; median and longest.",
        "s",
        q(last("talk_over_seconds", by="aggregate"), "{{aggregate}}"),
    ),
    lines(
        "How late is the latest pair?",
        "Median mouth-to-ear delay of the pair that hears each other latest, of each run. Dashed: 150 to 400 ms.",
        "s",
        q(f'max by (probe) (rtcprobe_last_room_pair_seconds{{{ONE}, aggregate="p50"}})', ROUTE_NAME),
        limits=PAIR_LIMITS,
        width=24,
    ),
)

_MESSAGES = (
    lines(
        "How late are messages?",
        "Due at one side until delivered at the other, of those delivered within the window; to within a bucket.",
        "s",
        q(quantile(0.5, "rtcprobe_message_delay_seconds", "probe", matchers=ONE), "p50"),
        q(quantile(0.95, "rtcprobe_message_delay_seconds", "probe", matchers=ONE), "p95"),
    ),
    lines(
        "Which messages never arrive?",
        "Share of the messages sent within the window that never arrived: lost, or given up by their limits.",
        "percentunit",
        q(undelivered(), "{{fate}}"),
    ),
)

WHO_HEARS_WHOM = Dashboard(
    uid="rtcprobe-room",
    title="rtcprobe: who hears whom?",
    description="A room: who hears whom how late, how far apart, how long until a newcomer to the stage is heard?",
    single_probe=True,
    rows=(
        ("The room as it is", _HOW_IT_IS),
        ("Who waits?", _WHO_WAITS),
        ("Since when?", _SINCE_WHEN),
        ("What is sent beside the sound?", _MESSAGES),
    ),
)
