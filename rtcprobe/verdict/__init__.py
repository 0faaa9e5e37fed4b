"""Judging: budgets, statistics, and the verdict of a run."""

from rtcprobe.verdict.budgets import Budget, evaluate, parse_budget
from rtcprobe.verdict.judge import judge, summarise_joins
from rtcprobe.verdict.metrics import METRICS
from rtcprobe.verdict.statistics import quantile, samples_needed, summarise

__all__ = [
    "METRICS",
    "Budget",
    "evaluate",
    "judge",
    "parse_budget",
    "quantile",
    "samples_needed",
    "summarise",
    "summarise_joins",
]
