"""Judging: budgets, statistics, comparisons, baselines, and the verdict of a run."""

from typing import TYPE_CHECKING

from rtcprobe.lazily import exported
from rtcprobe.verdict.budgets import Budget, evaluate, parse_budget
from rtcprobe.verdict.goals import BEYOND, CONNECT_S, EAR_S, Goal, goals
from rtcprobe.verdict.judge import judge, summarise_joins
from rtcprobe.verdict.link_loss import loss_interval
from rtcprobe.verdict.metrics import METRICS
from rtcprobe.verdict.sides import Side
from rtcprobe.verdict.statistics import quantile, samples_needed, summarise

if TYPE_CHECKING:
    from rtcprobe.verdict.baseline import (
        STATISTICAL,
        Gate,
        RegressionCheck,
        Tolerance,
        check,
        parse_tolerance,
        refuse,
    )
    from rtcprobe.verdict.budget_file import BudgetFile, read_budgets
    from rtcprobe.verdict.comparison import Comparison, Place, RankedMetric, Ranking, compare, rank
    from rtcprobe.verdict.culprits import Culprit
    from rtcprobe.verdict.difference import Difference, Estimate
    from rtcprobe.verdict.vendors import Account, Panel, headline, panel

__all__ = [
    "BEYOND",
    "CONNECT_S",
    "EAR_S",
    "METRICS",
    "STATISTICAL",
    "Account",
    "Budget",
    "BudgetFile",
    "Comparison",
    "Culprit",
    "Difference",
    "Estimate",
    "Gate",
    "Goal",
    "Panel",
    "Place",
    "RankedMetric",
    "Ranking",
    "RegressionCheck",
    "Side",
    "Tolerance",
    "check",
    "compare",
    "evaluate",
    "goals",
    "headline",
    "judge",
    "loss_interval",
    "panel",
    "parse_budget",
    "parse_tolerance",
    "quantile",
    "rank",
    "read_budgets",
    "refuse",
    "samples_needed",
    "summarise",
    "summarise_joins",
]

if not TYPE_CHECKING:
    __getattr__ = exported(
        __name__,
        {
            "baseline": ("STATISTICAL", "Gate", "RegressionCheck", "Tolerance", "check", "parse_tolerance", "refuse"),
            "comparison": ("Comparison", "Place", "RankedMetric", "Ranking", "compare", "rank"),
            "culprits": ("Culprit",),
            "difference": ("Difference", "Estimate"),
            "vendors": ("Account", "Panel", "headline", "panel"),
            "budget_file": ("BudgetFile", "read_budgets"),
        },
    )
