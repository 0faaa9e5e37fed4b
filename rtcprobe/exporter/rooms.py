"""What a room does to the metrics: labels that stay few however many take part, and the figures of the room itself.

Facts:
    A room of 28 has 216 ways. A histogram of 14 buckets by way would be thousands of series a probe, for figures that
    nobody tells apart on a dashboard; Prometheus' own advice is to stay below ten of a label, or some hundreds in all.

Rule: up to ``MOST`` ways have a ``direction`` each. Of more, those from one role to another have one together
    (``speaker_to_audience``), of a room without roles all of them (``room``); their legs are not told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rtcprobe.exporter.instruments import Draft, Instruments
from rtcprobe.result import Account, Result, Room, Waited
from rtcprobe.scenario import Party, Scenario
from rtcprobe.verdict.room import matrix, people
from rtcprobe.verdict.room.comings import pictures_awaited
from rtcprobe.verdict.room.grouping import MOST, WHOLE, by_role

__all__ = ["MOST", "access_labels", "directions", "party_label", "region_labels", "set_room"]

# Bounded series: 12 x 12 pairs a room at the most, the latest of them, and sums by role beyond.
_MATRIX: Final = 12
# Regions in one label: "bangkok+jakarta+singapore" can be read, twelve could not, and each set of them is a series.
_NAMED: Final = 3


def region_labels(scenario: Scenario) -> dict[str, str]:
    """Return whence and whither calls go: of two their regions, of more the regions of talkers and of listeners."""
    return _ends(scenario, "region")


def access_labels(scenario: Scenario) -> dict[str, str]:
    """Return likewise by what they are connected."""
    return _ends(scenario, "access")


def _ends(scenario: Scenario, what: str) -> dict[str, str]:
    # The labels' names are of a call of two, and dashboards use them: of rooms caller stands for talkers, callee for
    # listeners.
    if len(scenario.parties) == 2:
        sites = (scenario.caller, scenario.callee)
        return {f"{end}_{what}": getattr(site, what) for end, site in zip(("caller", "callee"), sites, strict=True)}
    talkers = [party for party in scenario.parties if party.sends]
    listeners = [party for party in scenario.parties if any(way.listener == party.name for way in scenario.ways)]
    return {f"caller_{what}": _several(talkers, what), f"callee_{what}": _several(listeners, what)}


def _several(parties: Sequence[Party], what: str) -> str:
    """Return the places of several: each of three and fewer by name, more by how many they are."""
    found = list(dict.fromkeys(str(getattr(party.site, what)) for party in parties))
    return "+".join(found) if len(found) <= _NAMED else f"{len(found)} {what}s" if what == "region" else "several"


def party_label(result: Result, party: str) -> str:
    """Return what a party is called in a label: of many its role, "party" where it has none."""
    known = people(result)
    if len(result.ways) <= MOST or party not in known:
        return party
    return known[party].role or "party"


def directions(result: Result) -> Mapping[str, Account]:
    """Return the accounts of sound by ``direction``; of too many ways, those of one pair of roles together."""
    return by_role(result)


def set_room(into: Instruments | Draft, result: Result) -> None:
    """Set the gauges of the last run to what it says of its room; nothing where there is none."""
    room = result.room
    if room is None:
        return
    roles = [each.role or "none" for each in people(result).values()]
    for role in dict.fromkeys(roles):
        into.set("rtcprobe_last_room_parties", roles.count(role), role=role)
    _set_matrix(into, result)
    for gap in room.gaps:
        into.set("rtcprobe_last_room_gap_ratio", gap.share, least=f"{gap.least_s * 1e3:g}ms")
    for joined in room.joins:
        for within, share in (("1s", joined.within_1s), ("5s", joined.within_5s)):
            into.set("rtcprobe_last_room_joined_ratio", share, group=joined.group, within=within)
    for what, waits in _waits(result, room).items():
        _set_waits(into, what, waits)
    windows_s = sorted(each.window_s for each in room.talk_over)
    if windows_s:
        # The lower middle: a pair's own figure, not between two pairs.
        for aggregate, value in (("p50", windows_s[(len(windows_s) - 1) // 2]), ("max", windows_s[-1])):
            into.set("rtcprobe_last_room_talk_over_seconds", value, aggregate=aggregate)


def _set_matrix(into: Instruments | Draft, result: Result) -> None:
    found = matrix(result, most=_MATRIX)
    for (talker, listener), cell in found.cells.items():
        for aggregate, value in (("p50", cell.p50_s), ("p95", cell.p95_s)):
            if value is not None:
                labels = {"talker": talker, "listener": listener, "aggregate": aggregate}
                into.set("rtcprobe_last_room_pair_seconds", value, **labels)
    # A talker in a group has the group's row, of which the latest is told.
    row_of = {name: row.name for row in found.rows for name in row.members}
    spreads: dict[str, float] = {}
    for each in () if result.room is None else result.room.spreads:
        row = row_of.get(each.talker, WHOLE)
        spreads[row] = max(spreads.get(row, 0.0), each.spread_s)
    for talker, spread_s in spreads.items():
        into.set("rtcprobe_last_room_spread_seconds", spread_s, talker=talker)


def _waits(result: Result, room: Room) -> Mapping[str, Sequence[Waited]]:
    return {
        "on_stage": [wait for each in room.entrances for wait in each.waits],
        "silence": [wait for each in room.exits for wait in each.silences],
        "joined": [Waited(listener=each.party, wait_s=each.wait_s) for each in room.newcomers],
        "on_screen": [wait for each in room.entrances for wait in each.pictures],
        "first_picture": pictures_awaited(result),
    }


def _set_waits(into: Instruments | Draft, what: str, waits: Sequence[Waited]) -> None:
    if not waits:
        return
    known_s = sorted(each.wait_s for each in waits if each.wait_s is not None)
    into.set("rtcprobe_last_room_waits_never", len(waits) - len(known_s), what=what)
    if known_s:
        for aggregate, value in (("p50", known_s[(len(known_s) - 1) // 2]), ("max", known_s[-1])):
            into.set("rtcprobe_last_room_wait_seconds", value, what=what, aggregate=aggregate)
