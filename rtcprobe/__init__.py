"""rtcprobe: real WebRTC calls over emulated links, timed from join to mouth-to-ear, and judged.

**Parties** send **streams**; a call places them over **legs** and leaves a **recording**; hearing turns a recording
into **accounts**, one a **way**; a verdict judges. The map, read downwards; a package imports packages above it:

``lazily``, ``errors`` → ``textfiles`` → ``strictyaml``, ``shelf`` → ``units``, ``secrets``, ``ways``, ``wrapping``
→ ``link``, ``audio``, ``picture``, ``messages``, ``playout``, ``control``, ``quality``, ``timeline``, ``ice``
→ ``recording``, ``conversation`` → ``result`` → ``verdict`` → ``scenario``, ``capture``, ``adaptation``
→ ``fit``, ``hearing``, ``model`` (pure so far)
→ ``runtime`` (two clocks) → ``call`` → ``probe``, ``selftest``, ``selftest_voice``, ``listening``
→ ``placement``, ``sweep`` → ``report`` → ``exporter`` → ``cli``, ``pytest_plugin``.

From Python::

    from rtcprobe import find_scenario, run_probe

    result = run_probe(find_scenario("1v1-social"), seed=1, clock="virtual")
    for way, account in result.mouth_to_ear.items():
        print(result.verdict, way.talker, way.listener, account.summary, account.r)
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:  # 8 ms of a start of 30, in which no signal is heeded yet (``rtcprobe.__main__``)
    from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "BadInputError": "errors",
    "MeasurementError": "errors",
    "RtcprobeError": "errors",
    "LinkSpec": "link",
    "parse_link": "link",
    "NetEq": "playout.neteq",
    "Result": "result",
    "Budget": "verdict",
    "judge": "verdict",
    "Scenario": "scenario",
    "find_scenario": "scenario",
    "run_probe": "probe",
}
"""The public names and where they live; imported when first asked for, so that ``rtcprobe --help`` answers at once."""

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - each of them is a string


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rtcprobe' has no attribute {name!r}")
    return getattr(import_module(f"rtcprobe.{_HOMES[name]}"), name)
