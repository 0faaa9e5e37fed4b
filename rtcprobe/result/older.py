"""Results of schema ``rtcprobe.result/1``, read as this version's: the one place that knows how they were written.

Facts:
    There are two shapes of it: of a run that was one call (no ``calls``), and of several calls. Both had one call of
    two people, whose ways were the keys of ``mouth_to_ear`` and ``link``; what playout, protection and quality said
    were plain mappings, empty where there was nothing to say.

Rule: what is damaged stays damaged: it is passed on as it stands, and refused by the reader of this version's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rtcprobe.result.figures import Playout

__all__ = ["OLDER", "modernised"]

OLDER = "rtcprobe.result/1"

_PLAYOUT = {f"{each.name.removesuffix('_s')}_ms" if each.name.endswith("_s") else each.name for each in fields(Playout)}


def modernised(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result of schema ``/1`` as ``/2`` has it; times stay in milliseconds."""
    ears = data["mouth_to_ear"]
    return {**data, "mouth_to_ear": {way: _account(each) for way, each in ears.items()} if _keyed(ears) else ears}


def _account(written: Any) -> Any:
    if not _keyed(written):
        return written
    out = dict(written)
    out["playout"] = _playout(out.get("playout")) or None
    out["beside"] = out.pop("side_figures", {})
    for part in ("protection", "quality"):
        out[part] = out.get(part) or None
    return out


def _playout(written: Any) -> Any:
    """Return what a policy said, its own counters among ``counts``."""
    if not _keyed(written):
        return written
    named = {key: value for key, value in written.items() if key in _PLAYOUT}
    counts = {key: value for key, value in written.items() if key not in _PLAYOUT}
    return {**named, **({"counts": counts} if counts else {})}


def _keyed(value: Any) -> bool:
    return isinstance(value, Mapping)
