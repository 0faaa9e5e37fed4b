"""What the instrument itself added to a run, measured in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from rtcprobe.result.plain import SECONDS, SPARSE
from rtcprobe.secrets import NAME

__all__ = ["LATENESSES", "Instrument", "Lateness"]

LATENESSES = ("loop_lag", "emulator_late", "pacing_late")
"""The clockworks whose lateness is measured on the real clock: the loop's, the emulator's, the mouths'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """How late a clockwork ran, seconds; None where it had nothing to do."""

    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """How wrong the ear is on this speech without any network, and what the machine made late.

    ``markers_through_codec`` is there where the codec alone lost some; ``timers`` in virtual time, the rest on the real
    clock: ``priority`` is what the process had, ``join_cpu_s`` what a join cost it, of that ``own_s`` in single steps
    (``"certificate"`` comes before), and ``first_run_s`` what the first join did, which nobody measured.
    """

    timers: str | None = field(default=None, metadata={**SPARSE, **NAME})
    detection_error_s: float | None = field(default=None, metadata=SPARSE)
    markers_through_codec: str | None = field(default=None, metadata={**SPARSE, **NAME})
    loop_lag: Lateness | None = field(default=None, metadata=SPARSE)
    emulator_late: Lateness | None = field(default=None, metadata=SPARSE)
    pacing_late: Lateness | None = field(default=None, metadata=SPARSE)
    priority: str | None = field(default=None, metadata={**SPARSE, **NAME})
    join_cpu_s: float | None = field(default=None, metadata=SPARSE)
    own_s: Mapping[str, float] = field(default_factory=dict, metadata={**SECONDS, **SPARSE})
    first_run_s: float | None = field(default=None, metadata=SPARSE)

    @property
    def latenesses(self) -> Mapping[str, Lateness]:
        """What is known of each clockwork, by ``LATENESSES``."""
        found = {name: getattr(self, name) for name in LATENESSES}
        return {name: each for name, each in found.items() if each is not None}

    def figures(self) -> Mapping[str, Any]:
        """Return everything that is known, flat, by name; those that end in ``_s`` are seconds."""
        out: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Lateness):
                out |= {f"{each.name}_{one.name}": getattr(value, one.name) for one in fields(value)}
            elif each.name == "own_s":
                out |= {f"{step}_s": took_s for step, took_s in value.items()}
            # What this clock does not have is left out: virtual time has no lateness, the real one no word on timers.
            elif value is not None:
                out[each.name] = value
        return out
