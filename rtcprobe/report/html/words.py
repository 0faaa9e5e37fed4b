"""Words and figures as every part of a page writes them."""

from __future__ import annotations

from typing import Any

from rtcprobe.report.sentences import arrow, milliseconds
from rtcprobe.report.words import say
from rtcprobe.result import Quantile, Summary

__all__ = ["NOTHING", "arrow", "ms", "percentile", "spaced", "upper"]

NOTHING = "–"
"""What stands where nothing was measured."""


def percentile(summary: Summary | None, name: str) -> Quantile | None:
    """Return the percentile called ``name``, or None where nothing was summed up or it was not asked for."""
    return None if summary is None or not summary.n else summary.quantile(name)


def ms(value: Any) -> str:
    """Return seconds as milliseconds; a dash where there is no number."""
    return milliseconds(value) if isinstance(value, (int, float)) else NOTHING


def spaced(name: str) -> str:
    """Return a name of the code as people write it: ``"jitter buffer"``."""
    return say(name.replace("_", " "))


def upper(text: str) -> str:
    """Return ``text`` with a capital to begin with, unless it begins with the name of a metric."""
    return text if {"_", "."} & set(text.partition(" ")[0].rstrip(".")) else text[:1].upper() + text[1:]
