"""The room's hour: who was heard when, where it broke off, who came and went; of one call, on one axis of time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rtcprobe.result import Result
from rtcprobe.verdict.room.people import people

__all__ = ["Hour", "Row", "hour"]

Period = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One party, or several who did alike: when anybody heard it, when somebody had a gap of it, when who came or went.

    ``marks`` are instants and the words of their cues (``scenario.script.Does``). Seconds since the hour began.
    """

    name: str
    role: str
    heard: tuple[Period, ...]
    gaps: tuple[Period, ...]
    marks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One call of ``lasted_s``: rows of those who were heard, and of those who only came and went."""

    call: int
    lasted_s: float
    rows: tuple[Row, ...]


def hour(result: Result) -> Hour | None:
    """Return the first call of ``result``; None where nobody was heard in any."""
    calls = [span.call for ear in result.mouth_to_ear.values() for span in ear.spans if span.what == "heard"]
    if not calls:
        return None
    # One call: several laid over each other would show nobody's hour.
    call = min(calls)
    spans = {way: [each for each in ear.spans if each.call == call] for way, ear in result.mouth_to_ear.items()}
    begun_s = min(each.from_s for found in spans.values() for each in found if each.what == "heard")
    ended_s = max(each.until_s for found in spans.values() for each in found)
    rows = []
    for name, person in people(result).items():
        own = [each for way, found in spans.items() if way.talker == name for each in found]
        marks = [
            (max(0.0, each.at_s - begun_s), each.does)
            for each in result.happenings
            if (each.call, each.party) == (call, name)
        ]
        periods = {
            what: _joined((each.from_s - begun_s, each.until_s - begun_s) for each in own if each.what == what)
            for what in ("heard", "gap")
        }
        if own or marks:
            rows.append(
                Row(name=name, role=person.role, heard=periods["heard"], gaps=periods["gap"], marks=tuple(marks))
            )
    return Hour(call=call, lasted_s=ended_s - begun_s, rows=_together(rows))


def _joined(periods: Iterable[Period]) -> tuple[Period, ...]:
    """Return periods that overlap as one."""
    out: list[Period] = []
    for begin_s, end_s in sorted(periods):
        if out and begin_s <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], end_s)
        else:
            out.append((begin_s, end_s))
    return tuple(out)


def _together(rows: list[Row]) -> tuple[Row, ...]:
    """Return those who were heard, a row each, then those of one role who only came and went in one."""
    out = [each for each in rows if each.heard or each.gaps]
    rest: dict[str, list[Row]] = {}
    for each in rows:
        if not (each.heard or each.gaps):
            rest.setdefault(each.role, []).append(each)
    for role, found in rest.items():
        name = found[0].name if len(found) == 1 else f"{role or '…'} ({len(found)})"
        # At one instant a hundred listeners join: one mark, not a hundred of them on each other.
        marks = tuple(sorted(dict.fromkeys(mark for each in found for mark in each.marks)))
        out.append(Row(name=name, role=role, heard=(), gaps=(), marks=marks))
    return tuple(out)
