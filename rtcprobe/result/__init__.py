"""What a run found: frozen records, and their JSON (schema ``rtcprobe.result/2``).

A JSON number is in milliseconds unless its key says another unit; shares lie in 0..1; what is absent is ``null``.
Accounts stand by kind, then by way: ``mouth_to_ear.caller_to_callee``. Schema ``/1`` is read too (``older``).
"""

from rtcprobe.result.accounts import (
    KINDS,
    STAGES,
    TURN_STAGES,
    Account,
    HeardCall,
    Kind,
    Missed,
    Sample,
    Span,
    WayMap,
)
from rtcprobe.result.figures import Beside, Playout, Protection, Quality, Recovered, TargetSteps, Unprotected
from rtcprobe.result.joins import Join, Joins, Retransmission
from rtcprobe.result.outcomes import BudgetOutcome, BudgetVerdict, Unit
from rtcprobe.result.records import (
    SCHEMA,
    Clock,
    Engine,
    LinkReport,
    PlacedCall,
    Progress,
    Result,
    Verdict,
)
from rtcprobe.result.summary import Quantile, Summary

__all__ = [
    "KINDS",
    "SCHEMA",
    "STAGES",
    "TURN_STAGES",
    "Account",
    "Beside",
    "BudgetOutcome",
    "BudgetVerdict",
    "Clock",
    "Engine",
    "HeardCall",
    "Join",
    "Joins",
    "Kind",
    "LinkReport",
    "Missed",
    "PlacedCall",
    "Playout",
    "Progress",
    "Protection",
    "Quality",
    "Quantile",
    "Recovered",
    "Result",
    "Retransmission",
    "Sample",
    "Span",
    "Summary",
    "TargetSteps",
    "Unit",
    "Unprotected",
    "Verdict",
    "WayMap",
]
