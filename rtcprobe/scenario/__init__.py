"""Situations to measure: YAML with written units, judged by one schema, turned into frozen records."""

from rtcprobe.scenario.library import find_scenario, library, library_folder
from rtcprobe.scenario.model import (
    CallPlan,
    Devices,
    DtlsTimer,
    MouthPlan,
    Scenario,
    SignalingPlan,
    Site,
    TargetPlan,
)
from rtcprobe.scenario.read import parse_scenario, read_scenario
from rtcprobe.scenario.schema import scenario_schema

__all__ = [
    "CallPlan",
    "Devices",
    "DtlsTimer",
    "MouthPlan",
    "Scenario",
    "SignalingPlan",
    "Site",
    "TargetPlan",
    "find_scenario",
    "library",
    "library_folder",
    "parse_scenario",
    "read_scenario",
    "scenario_schema",
]
