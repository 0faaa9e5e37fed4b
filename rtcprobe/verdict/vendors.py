"""Several vendors on several links, measured turn by turn: who is better where, all said together.

Rules:
    1. Vendors are compared link by link, from runs made in turns. That any difference called real anywhere is chance
       happens with at most ``1 − confidence``: each link gets an equal part of it (Bonferroni).
    2. A vendor that nobody could join on a link is not ranked there: it is named, with what its joins gave up at.
    3. A vendor is *the one to take* where it is shown to be better than every other in some headline figure on some
       link, and worse than none in any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtcprobe.result import Result
from rtcprobe.verdict.comparison import RankedMetric, Ranking, rank
from rtcprobe.verdict.goals import Goal, goals, pooled
from rtcprobe.verdict.statistics import CONFIDENCE

__all__ = ["Account", "Panel", "Win", "headline", "panel"]

# By their beginning: each has ways or phases behind it ("mouth_to_ear.caller_to_callee"), a room its figures.
_HEADLINES = (
    "join.first_audio",
    "join.first_picture",
    "mouth_to_ear",
    "glass_to_glass",
    "response",
    "barge_in",
    "room",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One vendor on one link: its runs, and the sentences of those that could not be made."""

    vendor: str
    link: str
    runs: tuple[Result, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[Result, ...]:
        """The runs that say something: valid, not interrupted, joined at least once."""
        return tuple(
            each
            for each in self.runs
            if each.verdict != "invalid"
            and not each.interrupted
            and any(attempt.first_audio_s is not None for attempt in each.join.attempts)
        )

    @property
    def why_not(self) -> str:
        """Why runs do not count, the first reason of each, once; "" where all count."""
        counted = self.counted
        told = [*self.faults, *(each.reasons[0] for each in self.runs if each not in counted and each.reasons)]
        return "; ".join(dict.fromkeys(told))

    @property
    def goals(self) -> tuple[Goal, ...]:
        """What the goals people feel came to over all runs that count."""
        counted = self.counted
        return goals(pooled(counted)) if counted else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Win:
    """A figure on a link in which one vendor is shown to be better than every other there."""

    vendor: str
    link: str
    metric: RankedMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """All of it: ``rankings`` by link, None where fewer than two vendors could be compared."""

    vendors: tuple[str, ...]
    links: tuple[str, ...]
    accounts: tuple[Account, ...]
    rankings: Mapping[str, Ranking | None] = field(default_factory=dict)
    confidence: float = CONFIDENCE

    def account(self, vendor: str, link: str) -> Account:
        """Return what was measured of ``vendor`` on ``link``."""
        return next(
            (each for each in self.accounts if (each.vendor, each.link) == (vendor, link)),
            Account(vendor=vendor, link=link),
        )

    @property
    def wins(self) -> tuple[Win, ...]:
        """Return every headline figure in which a vendor is shown to be better than all others on a link."""
        return tuple(
            Win(vendor=side.label, link=link, metric=metric)
            for link, ranking in self.rankings.items()
            if ranking is not None
            for metric in headline(ranking)
            for side in ranking.sides
            if all((side.label, other.label) in _shown(ranking, metric) for other in ranking.sides if other != side)
        )

    @property
    def choice(self) -> str | None:
        """The one to take (rule 3); None where there is none."""
        # Rule 3; two that each win somewhere and lose nowhere are no choice: that is for whoever knows which link
        # matters.
        held = [each for each in dict.fromkeys(win.vendor for win in self.wins) if not self._beaten(each)]
        return held[0] if len(held) == 1 and all(self.account(held[0], link).counted for link in self.links) else None

    def _beaten(self, vendor: str) -> bool:
        """Whether any other is shown to be better in a headline figure anywhere."""
        return any(
            worse == vendor
            for ranking in self.rankings.values()
            if ranking is not None
            for metric in headline(ranking)
            for _, worse in _shown(ranking, metric)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, milliseconds."""
        return {
            "confidence": self.confidence,
            "vendors": list(self.vendors),
            "links": list(self.links),
            "choice": self.choice,
            "wins": [{"vendor": each.vendor, "link": each.link, "figure": _name(each.metric)} for each in self.wins],
            "accounts": [
                {
                    "vendor": each.vendor,
                    "link": each.link,
                    "runs": len(each.runs) + len(each.faults),
                    "counted": len(each.counted),
                    "why_not": each.why_not,
                    "beyond_goals": [goal.outcome.to_dict() for goal in each.goals],
                }
                for each in self.accounts
            ],
            "rankings": {link: None if each is None else each.to_dict() for link, each in self.rankings.items()},
        }


def panel(
    vendors: Sequence[str], links: Sequence[str], accounts: Sequence[Account], *, confidence: float = CONFIDENCE
) -> Panel:
    """Return the vendors compared on every link where two or more have runs that count."""
    # Rule 1: Bonferroni, for links are few and nobody asks which of them failed first.
    each_link = 1.0 - (1.0 - confidence) / len(links)
    rankings: dict[str, Ranking | None] = {}
    for link in links:
        counted = [(each.vendor, each.counted) for each in accounts if each.link == link and each.counted]
        rankings[link] = rank(counted, confidence=each_link) if len(counted) > 1 else None
    return Panel(
        vendors=tuple(vendors),
        links=tuple(links),
        accounts=tuple(accounts),
        rankings=rankings,
        confidence=confidence,
    )


def headline(ranking: Ranking) -> list[RankedMetric]:
    """Return the percentiles people look for: of joining, and of each way's delay, of sound and of pictures."""
    return [each for each in ranking.metrics if each.aggregate in ("p50", "p95") and each.metric.startswith(_HEADLINES)]


def _shown(ranking: Ranking, metric: RankedMetric) -> set[tuple[str, str]]:
    """Return who is shown to be better than whom in ``metric``: (the better, the worse)."""
    found = set()
    for pair in ranking.pairs:
        for each in pair.differences:
            if (each.metric, each.aggregate) == (metric.metric, metric.aggregate):
                found |= {(pair.b.label, pair.a.label)} if each.verdict == "better" else set()
                found |= {(pair.a.label, pair.b.label)} if each.verdict == "worse" else set()
    return found


def _name(metric: RankedMetric) -> str:
    return f"{metric.metric} {metric.aggregate}"
