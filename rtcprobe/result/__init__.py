"""What a run found: frozen records, and their JSON (schema ``rtcprobe.result/1``).

A JSON number is in milliseconds unless its key says another unit; shares lie in 0..1; what is absent is ``null``.
"""

from rtcprobe.result.outcomes import BudgetOutcome, BudgetVerdict, Unit
from rtcprobe.result.records import (
    DIRECTIONS,
    SCHEMA,
    STAGES,
    WAYS,
    Clock,
    Direction,
    Engine,
    HeardCall,
    JoinAttempt,
    Joins,
    LinkReport,
    MissedMarker,
    MouthToEar,
    PlacedCall,
    Progress,
    Result,
    Retransmission,
    Sample,
    Verdict,
)
from rtcprobe.result.summary import Quantile, Summary

__all__ = [
    "DIRECTIONS",
    "SCHEMA",
    "STAGES",
    "WAYS",
    "BudgetOutcome",
    "BudgetVerdict",
    "Clock",
    "Direction",
    "Engine",
    "HeardCall",
    "JoinAttempt",
    "Joins",
    "LinkReport",
    "MissedMarker",
    "MouthToEar",
    "PlacedCall",
    "Progress",
    "Quantile",
    "Result",
    "Retransmission",
    "Sample",
    "Summary",
    "Unit",
    "Verdict",
]
