"""Words shared by every report: a join's lost time in one sentence, directions, figures, intervals."""

from __future__ import annotations

from collections.abc import Iterable

from rtcprobe.report.words import said_in, say
from rtcprobe.result import BudgetOutcome, Join, LinkReport, Quantile, Result, Retransmission, Unit
from rtcprobe.units import format_ratio
from rtcprobe.verdict.link_loss import loss_interval
from rtcprobe.ways import BOTH_LEGS, BOTH_WAYS, Leg, Way

__all__ = [
    "arrow",
    "attribution",
    "bare",
    "beyond",
    "bounds",
    "by_chance",
    "counted",
    "figure",
    "interval",
    "link_arrow",
    "milliseconds",
    "plain_share",
    "rough_share",
    "slowest",
    "typical",
]

_LOST = {
    "stun": ("lost STUN check", "lost STUN checks"),
    "dtls": ("lost DTLS flight", "lost DTLS flights"),
    "signaling": ("lost signalling segment", "lost signalling segments"),
}
# Words up to ten, figures beyond, as running text has them.
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def arrow(way: str) -> str:
    """Return a way or a leg as people read it: ``"ana → ben"``, ``"ana → ben, video"``, ``"there and back"``."""
    named = way if isinstance(way, Leg | Way) else Way(way)
    if str(named) in (*BOTH_WAYS, *BOTH_LEGS):
        return " → ".join(map(say, str(named).split("_to_")))
    if isinstance(named, Leg):
        return f"{named.source} → {named.destination}"
    medium = "" if named.medium == "audio" else f", {say(named.medium)}"
    there = say("there and back") if named == Way.of("caller", "caller") else f"{named.talker} → {named.listener}"
    return f"{there}{medium}"


def link_arrow(result: Result, leg: Leg) -> str:
    """Return which way a link's packets went: to the target and back where the caller alone is ours."""
    # A target outside is no party of ours: results call it the callee, its reader the target.
    alone = list(result.parties) == ["caller"]
    return arrow(leg).replace("callee", "target") if alone else arrow(leg)


def milliseconds(seconds: float | None, digits: int = 1) -> str:
    """Return seconds as milliseconds without the unit: ``"1,420.0"``; a dash for None."""
    # Adding 0.0 turns −0.0, which rounding makes of −0.00001, into 0.0.
    return "-" if seconds is None else f"{round(seconds * 1e3, digits) + 0.0:,.{digits}f}"


def counted(count: int, singular: str, plural: str) -> str:
    """Return ``"one lost flight"``, ``"three lost flights"``, ``"12 lost flights"``."""
    number = say(_COUNTS[count]) if count < len(_COUNTS) else f"{count:,}"
    # Languages that count without a plural have one word for both.
    return say("{number} {things}", number=number, things=say(singular if count == 1 or said_in() != "en" else plural))


def interval(found: Quantile, digits: int = 1) -> str:
    """Return a percentile's interval in milliseconds: ``"[157.8-158.2]"``, ``"[488.0-open]"``."""
    if found.low is None and found.high is None:
        return say("[open]")
    low, high = (say("open") if each is None else milliseconds(each, digits) for each in (found.low, found.high))
    return f"[{low}–{high}]"


def figure(value: float | None, unit: Unit, *, sign: bool = False) -> str:
    """Return a figure with its unit: ``"155.4 ms"``, ``"0.5%"``, ``"84.6"``; a dash for None.

    ``sign`` says of a difference which way it goes: ``"+15.0 ms"``.
    """
    if value is None:
        return "-"
    text = bare(abs(value), unit)
    # What reads as zero has no sign.
    way = "" if not text.strip("0.%") else "-" if value < 0 else "+" if sign else ""
    return f"{way}{text}" + (" ms" if unit == "s" else "")


def bare(value: float, unit: Unit) -> str:
    """Return a figure without its unit's name, for a column that names it; a share keeps its sign."""
    if unit == "s":
        return milliseconds(value)
    if unit == "share":
        return format_ratio(value)
    if 0.0 < abs(value) < 0.01:
        return f"{value:.2g}"
    # An R of 84.3: its second decimal is far inside its interval; what is 1 at the most (SSIM, ESTOI) differs there.
    digits = 1 if abs(value) >= 10.0 else 2 if abs(value) > 1.0 else 3
    return f"{value:,.{digits}f}".rstrip("0").rstrip(".")


def bounds(low: float | None, high: float | None, unit: Unit) -> str:
    """Return an interval in the unit of its figure: ``"[157.8–158.2]"``, ``"[2%–open]"``."""
    if low is None and high is None:
        return say("[open]")
    return f"[{'–'.join(say('open') if each is None else bare(each, unit) for each in (low, high))}]"


def plain_share(ratio: float | None) -> str:
    """Return a share, or a dash."""
    return "-" if ratio is None else format_ratio(ratio)


def rough_share(share: float) -> str:
    """Return a share as it is said: whole per cent, finer only near none and all."""
    # Where an interval is twenty points wide a decimal would be a promise; near the ends 0.4 % and 0 % differ.
    return f"{share:.0%}" if 0.1 <= share <= 0.99 else format_ratio(round(share, 3))


def beyond(outcome: BudgetOutcome) -> str:
    """Return the share beyond a goal with its interval: ``"55% [34%–74%]"``; a dash where nothing was measured."""
    if outcome.value is None:
        return "-"
    ends = (say("open") if each is None else rough_share(each) for each in (outcome.low, outcome.high))
    return f"{rough_share(outcome.value)} [{'–'.join(ends)}]"


def by_chance(report: LinkReport | None) -> str:
    """Return whether chance makes of the loss asked for what was met, with its interval; "" where nothing was asked."""
    asked = None if report is None else report.requested.loss
    found = None if report is None else loss_interval(report)
    if asked is None or found is None:
        return ""
    low, high = found
    return f"{say('yes') if low <= asked <= high else say('no')} {bounds(low, high, 'share')}"


def attribution(attempt: Join) -> str | None:
    """Return what a join's timers cost it: ``"1,000 ms of this 1,420 ms join was one lost DTLS flight"``.

    None where no timer cost anything. A join that was never heard is named by the step that gave up.
    """
    # A timer that fired in vain (its answer was on the way) cost nothing, and explains nothing.
    costly = [each for each in attempt.retransmissions if each.cost_s > 0.0]
    if not costly:
        return None
    # In ``_LOST``'s order, not by cost: one join's sentence reads like the next one's.
    groups = [(timer, [each for each in costly if each.timer == timer]) for timer in _LOST]
    groups = [(timer, found) for timer, found in groups if found]
    total = attempt.first_audio_s
    whole = say("this failed join")
    if total is not None:
        whole = say("this {total} ms join", total=milliseconds(total, 0))
    said = [_said(timer, found, alone=len(groups) == 1) for timer, found in groups]
    cost = milliseconds(sum(each.cost_s for each in costly), 0)
    told = "{cost} ms of {whole} was {what}" if len(costly) == 1 else "{cost} ms of {whole} were {what}"
    return say(told, cost=cost, whole=whole, what=say(" and ").join(said))


def typical(attempts: Iterable[Join]) -> Join | None:
    """Return the join in the middle of those that were heard (the quicker of two)."""
    heard = _by_total(attempts)
    # A join that took place: a mean of phases is nobody's, and its sum no total that anybody had.
    return heard[(len(heard) - 1) // 2] if heard else None


def slowest(attempts: Iterable[Join]) -> Join | None:
    """Return the slowest join of those that were heard."""
    heard = _by_total(attempts)
    return heard[-1] if heard else None


def _by_total(attempts: Iterable[Join]) -> list[Join]:
    # The index parts equal ones, as joins do not compare; so the same one is typical in every report.
    heard = [(each.first_audio_s, index, each) for index, each in enumerate(attempts) if each.first_audio_s is not None]
    return [each for _, _, each in sorted(heard, key=lambda entry: entry[:2])]


def _said(timer: str, found: list[Retransmission], *, alone: bool) -> str:
    words = counted(len(found), *_LOST[timer])
    return words if alone else f"{words} ({milliseconds(sum(each.cost_s for each in found), 0)} ms)"
