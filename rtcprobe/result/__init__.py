"""What a run found: frozen records, and their JSON (schema ``rtcprobe.result/2``).

A JSON number is in milliseconds unless its key says another unit; shares lie in 0..1; what is absent is ``null``.
Accounts stand by kind, then by way: ``mouth_to_ear.caller_to_callee``. Schema ``/1`` is read too (``older``).
"""

from rtcprobe.result.accounts import (
    KINDS,
    MESSAGE_STAGES,
    STAGES,
    TURN_STAGES,
    VIDEO_STAGES,
    Account,
    Clip,
    HeardCall,
    Kind,
    Missed,
    Sample,
    Span,
    Still,
    WayMap,
)
from rtcprobe.result.figures import Beside, Playout, Protection, Quality, Recovered, TargetSteps, Unprotected
from rtcprobe.result.instrument import LATENESSES, Instrument, Lateness
from rtcprobe.result.joins import Join, Joins, Retransmission
from rtcprobe.result.links import Asked, LinkReport, LinkSide, Met
from rtcprobe.result.named import NamedFigure
from rtcprobe.result.outcomes import BudgetOutcome, BudgetVerdict, Unit
from rtcprobe.result.records import (
    SCHEMA,
    Clock,
    Engine,
    PlacedCall,
    Progress,
    Result,
    Verdict,
)
from rtcprobe.result.rooms import (
    Entrance,
    Exit,
    GapShare,
    GroupDelay,
    GroupJoins,
    Happening,
    Newcomer,
    Room,
    Spread,
    TalkOver,
    Waited,
)
from rtcprobe.result.summary import Quantile, Summary

__all__ = [
    "KINDS",
    "LATENESSES",
    "MESSAGE_STAGES",
    "SCHEMA",
    "STAGES",
    "TURN_STAGES",
    "VIDEO_STAGES",
    "Account",
    "Asked",
    "Beside",
    "BudgetOutcome",
    "BudgetVerdict",
    "Clip",
    "Clock",
    "Engine",
    "Entrance",
    "Exit",
    "GapShare",
    "GroupDelay",
    "GroupJoins",
    "Happening",
    "HeardCall",
    "Instrument",
    "Join",
    "Joins",
    "Kind",
    "Lateness",
    "LinkReport",
    "LinkSide",
    "Met",
    "Missed",
    "NamedFigure",
    "Newcomer",
    "PlacedCall",
    "Playout",
    "Progress",
    "Protection",
    "Quality",
    "Quantile",
    "Recovered",
    "Result",
    "Retransmission",
    "Room",
    "Sample",
    "Span",
    "Spread",
    "Still",
    "Summary",
    "TalkOver",
    "TargetSteps",
    "Unit",
    "Unprotected",
    "Verdict",
    "Waited",
    "WayMap",
]
