"""Situations to measure: YAML with written units, judged by one schema, turned into frozen records.

What the library holds is told without reading a situation: numpy and the schema's judge wait until one is.
"""

from typing import TYPE_CHECKING

from rtcprobe.lazily import exported
from rtcprobe.scenario.library import find_scenario, library, library_folder, serves

if TYPE_CHECKING:
    from rtcprobe.scenario.model import (
        CallPlan,
        Cue,
        Devices,
        DtlsTimer,
        MouthPlan,
        Party,
        Scenario,
        SignalingPlan,
        Site,
        Stream,
        TargetPlan,
    )
    from rtcprobe.scenario.read import parse_scenario, read_scenario
    from rtcprobe.scenario.schema import scenario_schema

__all__ = [
    "CallPlan",
    "Cue",
    "Devices",
    "DtlsTimer",
    "MouthPlan",
    "Party",
    "Scenario",
    "SignalingPlan",
    "Site",
    "Stream",
    "TargetPlan",
    "find_scenario",
    "library",
    "library_folder",
    "parse_scenario",
    "read_scenario",
    "scenario_schema",
    "serves",
]

if not TYPE_CHECKING:
    __getattr__ = exported(
        __name__,
        {
            "model": (
                *("CallPlan", "Cue", "Devices", "DtlsTimer", "MouthPlan", "Party", "Scenario", "SignalingPlan"),
                *("Site", "Stream", "TargetPlan"),
            ),
            "read": ("parse_scenario", "read_scenario"),
            "schema": ("scenario_schema",),
        },
    )
