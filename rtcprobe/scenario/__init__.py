"""Situations to measure: YAML with written units, judged by one schema, turned into frozen records.

What the library holds is told without reading a situation: numpy and the schema's judge wait until one is.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOMES = {"parse_scenario": "read", "read_scenario": "read", "scenario_schema": "schema"}
"""Where the names live that are no record of ``model``."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'model')}"), name)
        return value
