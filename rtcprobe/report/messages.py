"""The screen's part about messages: delays a column each way, where they went, what SCTP sent again, who waited.

Rule: where nobody sent messages there is no such part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.text import Text

from rtcprobe.report.pages import Page, waterfall
from rtcprobe.report.sentences import arrow, counted, interval, milliseconds, plain_share
from rtcprobe.report.words import say
from rtcprobe.result import Account, Result, Sample
from rtcprobe.ways import Way

__all__ = ["AGAIN", "fates_told", "message_lines", "message_rows", "message_way", "slowest_message", "spans_of"]

# As of ears: two columns of figures with intervals fit 80.
_COLUMNS = 2
_NOTHING: Final = "–"
AGAIN: Final = ("T3-rtx", "fast retransmit", "T1-init", "T1-cookie")
"""What SCTP sends again by, in the words of RFC 9260 (§6.3.3, §7.2.4, §5.1)."""


def message_way(way: Way) -> str:
    """Return a way of messages as the screen titles it: as that of the same two's sound."""
    return arrow(Way.of(way.talker, way.listener))


def message_lines(result: Result, page: Page) -> Iterator[Text]:
    """Yield what became of the messages of every way: a column each, or a row each where there are more."""
    found = result.of_kind("messages")
    if not found:
        return
    calls = max(len(each.calls) for each in found.values())
    title = say("Messages: {calls} calls, ms", calls=calls) if calls > 1 else say("Messages, ms")
    accounts = list(found.values())
    if len(found) > _COLUMNS:
        rows = [
            (message_way(way), [_quantile(each, "p50"), _quantile(each, "p95"), _lost(each), _waits(each)])
            for way, each in found.items()
        ]
        yield from page.table(title, ("p50 [95 %]", "p95 [95 %]", "lost", "waited in line"), rows)
    else:
        yield page.rule(title, [message_way(way) for way in found])
        for name in ("p50", "p95", "p99"):
            yield page.cells(" " + say(f"{name} [95 %]"), (_quantile(each, name) for each in accounts))
        yield page.cells(" " + say("delivered, wrong, lost"), (fates_told(each) for each in accounts))
        if any(each.stages for each in accounts):
            yield from waterfall([each.stages for each in accounts], page)
            yield page.row(" " + say("sum"), (each.total_s for each in accounts))
        for name in AGAIN:
            # A timer that never fired has no row.
            if any(spans_of(each, name) for each in accounts):
                yield page.cells(
                    " " + say("{name}: times, after", name=name), (_again(each, name) for each in accounts)
                )
        yield page.cells(" " + say("waited in line, longest"), (_waits(each) for each in accounts))
    late = slowest_message(accounts)
    if late is not None:
        yield from page.wrapped(late, indent=1, style="bold")


def message_rows(result: Result) -> list[tuple[str, ...]]:
    """Return every figure of every way of messages: a title, and a cell a way."""
    accounts = list(result.of_kind("messages").values())
    if not accounts:
        return []
    rows = [(f"{name}, ms", *(_quantile(each, name) for each in accounts)) for name in ("p50", "p95", "p99")]
    rows.append((say("delivered, wrong, lost"), *(fates_told(each) for each in accounts)))
    rows += [
        (say("{name}: times, waited before", name=name), *(_again(each, name) for each in accounts))
        for name in AGAIN
        if any(spans_of(each, name) for each in accounts)
    ]
    rows.append((say("waited for an earlier one: share, longest"), *(_waits(each) for each in accounts)))
    mean = (
        say("wait in line, mean, ms"),
        *(milliseconds(each.figures.get("head_of_line_wait_s")) for each in accounts),
    )
    opened = (say("channel open after, ms"), *(milliseconds(each.figures.get("channel_open_s")) for each in accounts))
    return [*rows, mean, opened]


def slowest_message(accounts: Sequence[Account]) -> str | None:
    """Return what held the slowest message up; None where none waited for more than the network."""
    # A note names what SCTP did: messages that only travelled have none.
    held = [(each.way, sample) for each in accounts for sample in each.samples if sample.note]
    if not held:
        return None
    way, sample = max(held, key=lambda each: each[1].delay_s)
    whose = "" if len(accounts) == 1 else f" ({message_way(way)})"
    return say(
        "slowest: message {number}{whose} took {ms} ms, {what}",
        number=sample.marker,
        whose=whose,
        ms=milliseconds(sample.delay_s, 0),
        what=_of(sample),
    )


def spans_of(account: Account, what: str) -> list[float]:
    """Return how long each span of that name lasted, seconds."""
    return sorted(each.until_s - each.from_s for each in account.spans if each.what == what)


def fates_told(account: Account) -> str:
    """Return how many messages met each fate."""
    part = f"{account.heard}, {account.rejected}, {account.lost}"
    return say("{part} of {whole}", part=part, whole=account.scheduled)


def _of(sample: Sample) -> str:
    """Return the stages that a message lost most in."""
    # The two largest: what is left is the way that every message takes.
    stages = sorted((sample.stages or {}).items(), key=lambda each: -each[1])
    told = [
        f"{milliseconds(seconds, 0)} {say(name.replace('_', ' '))}" for name, seconds in stages[:2] if seconds > 0.0
    ]
    return say("of it {stages} ({rules})", stages=say(" and ").join(told), rules=sample.note)


def _quantile(account: Account, name: str) -> str:
    found = None if account.summary is None else account.summary.quantile(name)
    if found is None:
        return _NOTHING
    if found.needs is not None:
        return say("needs {things}", things=counted(found.needs, "message", "messages"))
    return f"{milliseconds(found.value)} {interval(found)}"


def _lost(account: Account) -> str:
    wrong = f"+{account.rejected}" if account.rejected else ""
    return say("{part} of {whole}", part=f"{account.lost}{wrong}", whole=account.scheduled)


def _again(account: Account, name: str) -> str:
    waits_s = spans_of(account, name)
    if not waits_s:
        return "0"
    return f"{len(waits_s)}, {milliseconds(waits_s[len(waits_s) // 2], 0)} ms"


def _waits(account: Account) -> str:
    waits_s = spans_of(account, "head of line")
    share = plain_share(account.figures.get("head_of_line_share", 0.0))
    return f"{share}, {milliseconds(waits_s[-1], 0)} ms" if waits_s else share
