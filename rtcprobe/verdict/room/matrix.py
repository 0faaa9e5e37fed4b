"""Who hears whom how late, as a table: a row each talker, a column each listener, or groups where they are many.

Rule: a cell of groups is of its latest pair, and names it: a room is as good as its worst pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rtcprobe.result import Account, Kind, Result
from rtcprobe.verdict.room.people import Person, people
from rtcprobe.verdict.statistics import samples_needed
from rtcprobe.ways import Way

__all__ = ["LEVELS_S", "Cell", "Group", "Matrix", "level", "matrix", "worst_pairs"]

LEVELS_S: Final = (0.100, 0.150, 0.200, 0.300, 0.400)
"""What parts one shade from the next: 100 ms (ITU-T G.107, Idd), 150 and 400 ms (G.114); 200 and 300 lie between."""


# Of all markers of a cell's pairs together, as the question is how late anybody in the group heard anything.
_TAIL: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Parties that stand together: one, called by its name, or several of a role or a region."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The latest pair of a talkers' and a listeners' group with its median, seconds, and the p95 of all their markers.

    None: too few markers. ``ways`` were heard, ``silent`` were not heard at all.
    """

    worst: Way
    p50_s: float | None
    p95_s: float | None
    ways: int = 1
    silent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """``cells`` by the names of a row and a column; a pair without one has no way."""

    rows: tuple[Group, ...]
    columns: tuple[Group, ...]
    cells: Mapping[tuple[str, str], Cell]

    @property
    def grouped(self) -> bool:
        """Whether several parties share a row or a column."""
        return any(len(each.members) > 1 for each in (*self.rows, *self.columns))


def matrix(result: Result, *, most: int, kind: Kind = "mouth_to_ear") -> Matrix:
    """Return who hears whom, in at most ``most`` rows and columns where groups can be made for it; or who sees whom."""
    ears, known = result.of_kind(kind), people(result)
    rows = _grouped([name for name in known if any(way.talker == name for way in ears)], known, most)
    columns = _grouped([name for name in known if any(way.listener == name for way in ears)], known, most)
    cells = {}
    for row in rows:
        for column in columns:
            found = [ear for way, ear in ears.items() if way.talker in row.members and way.listener in column.members]
            if found:
                cells[row.name, column.name] = _cell(found)
    return Matrix(rows=rows, columns=columns, cells=cells)


def worst_pairs(result: Result, most: int, kind: Kind = "mouth_to_ear") -> tuple[Cell, ...]:
    """Return the pairs that hear each other latest, the worst first; those never heard before all."""
    cells = [_cell([ear]) for ear in result.of_kind(kind).values()]
    # Nothing heard is worse than anything late.
    return tuple(sorted(cells, key=lambda each: (-each.silent, -_late_s(each)))[:most])


def level(seconds: float | None) -> int:
    """Return how late a delay is, 0 to 5, by ``LEVELS_S``."""
    return 0 if seconds is None else sum(seconds > each for each in LEVELS_S)


def _grouped(names: Sequence[str], known: Mapping[str, Person], most: int) -> tuple[Group, ...]:
    """Return each alone; of too many those of one role and region together, or of one region, or of one role."""
    alone = tuple(Group(name=name, members=(name,)) for name in names)
    if len(alone) <= most:
        return alone
    # From the finest grouping on, until it is few enough; one that makes no fewer of them is no grouping.
    by = (
        lambda each: ", ".join(filter(None, (each.role, each.region))),
        lambda each: each.region or each.role,
        lambda each: each.role or each.region,
    )
    for key in by:
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(key(known[name]), []).append(name)
        if len(found) <= most and len(found) < len(names):
            return tuple(
                Group(
                    name=members[0] if len(members) == 1 else f"{title or '…'} ({len(members)})", members=tuple(members)
                )
                for title, members in found.items()
            )
    return alone


def _cell(ears: Sequence[Account]) -> Cell:
    heard = [ear for ear in ears if ear.heard]
    latest = max(heard or ears, key=lambda ear: _median_s(ear) or 0.0)
    return Cell(
        worst=latest.way,
        p50_s=_median_s(latest),
        p95_s=_tail_s(heard),
        ways=len(heard),
        silent=sum(not ear.heard and bool(ear.scheduled) for ear in ears),
    )


def _tail_s(ears: Sequence[Account]) -> float | None:
    """Return the p95 of all markers of these ways; None where too few came."""
    delays_s = [each.delay_s for ear in ears for each in ear.samples]
    return float(np.quantile(delays_s, _TAIL)) if len(delays_s) >= samples_needed(_TAIL) else None


def _late_s(cell: Cell) -> float:
    return cell.p50_s or 0.0


def _median_s(ear: Account) -> float | None:
    """Return the median; where a summary refuses one, the middle of what there is."""
    found = _quantile_s(ear, "p50")
    delays_s = sorted(each.delay_s for each in ear.samples)
    return found if found is not None or not delays_s else delays_s[(len(delays_s) - 1) // 2]


def _quantile_s(ear: Account, name: str) -> float | None:
    found = None if ear.summary is None else ear.summary.quantile(name)
    return None if found is None else found.value
