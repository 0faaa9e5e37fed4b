"""A scenario on a terminal, before anything is measured: who takes part, over which paths, what happens, what is asked.

Rule: paths are told as they will be asked of the links; what calls then met is the result's to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from rich.console import Console
from rich.table import Table

from rtcprobe.link import Requested
from rtcprobe.probe.routes import routes
from rtcprobe.report.sentences import milliseconds
from rtcprobe.scenario import Party, Scenario
from rtcprobe.scenario.parties import ANYWHERE, written_time
from rtcprobe.units import format_duration, format_rate, format_ratio
from rtcprobe.ways import Leg, Way

__all__ = ["print_situation"]


def print_situation(scenario: Scenario, console: Console) -> None:
    """Print what ``scenario`` is: its parties, its ways with the paths under them, its cues, plan and budgets."""
    console.print(f"[bold]{scenario.name}[/bold]  digest {scenario.digest}  target {scenario.target.shown}")
    if scenario.serves:
        console.print(scenario.serves, soft_wrap=True)
    console.print()
    console.print(_parties(scenario))
    console.print()
    console.print(_ways(scenario))
    for told in _told(scenario):
        console.print(told, soft_wrap=True)


def _parties(scenario: Scenario) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("party", "region", "access", "sends", "hears", "playout", "there"):
        table.add_column(column, style="bold" if column == "party" else None)
    for party in scenario.parties:
        # Anywhere is no place: legs written out are all of its path.
        place = ("" if each == ANYWHERE else each for each in (party.site.region, party.site.access))
        heard = "all" if party.hears == "all" else ", ".join(party.hears) or "nobody"
        table.add_row(party.name, *place, _sends(party), heard, str(party.playout), _there(party))
    return table


def _sends(party: Party) -> str:
    sound, picture = party.sent("audio"), party.sent("video")
    if sound is None:
        return "nothing"
    codec, protection = sound.codec, sound.protection
    against = [f"RED {protection.red_copies}"] * bool(protection.red_copies)
    against += [word for word, has in (("FEC", protection.fec), ("NACK", protection.nack)) if has]
    shown = [] if picture is None or picture.video is None else [f"+ {picture.video}"]
    return " ".join([format_rate(codec.bitrate_bps), format_duration(codec.ptime_s), *against, *shown])


def _there(party: Party) -> str:
    comes = f"from {written_time(party.comes_s)}" if party.comes_s else ""
    leaves = f"until {written_time(party.leaves_s)}" if party.leaves_s is not None else ""
    return " ".join(each for each in (comes, leaves) if each) or "all the time"


def _ways(scenario: Scenario) -> Table:
    """Return each way with its path; through a server outside, the two emulated parts of it."""
    table = Table(box=None, pad_edge=False)
    table.add_column("way", style="bold")
    table.add_column("path")
    for column in ("p50, ms", "p95, ms", "loss"):
        table.add_column(column, justify="right")
    for way in scenario.ways:
        if way.medium != "audio":
            continue  # it takes the path of the sound
        wanted = list(pairwise(_stations(scenario, way)))
        # What a run would ask its links for, made from the same routes: the command shows no path that no call takes.
        hops = [hop for part in routes(scenario, wanted).values() for hop in part]
        asked = Requested.of(hops)
        delays = (_ms(asked.delay_p50_s), _ms(asked.delay_p95_s))
        # A schedule has no one loss: what it is at an instant is in the link itself.
        loss = "changes" if asked.loss is None else format_ratio(asked.loss)
        table.add_row(f"{way.talker} to {way.listener}", _path(scenario, way), *delays, loss)
    return table


def _stations(scenario: Scenario, way: Way) -> list[str]:
    """Return whom a way passes, from the talker to the listener, as routes call them."""
    if scenario.servers:
        homes = scenario.homes
        # Two at one server pass it once.
        return [way.talker, *dict.fromkeys((homes[way.talker], homes[way.listener])), way.listener]
    # Through somebody else's server both emulated parts are told; what lies there is the real network's.
    between = [] if scenario.target.between else ["target"]
    return [way.talker, *between, way.listener]


def _path(scenario: Scenario, way: Way) -> str:
    if scenario.servers:
        return f"by {' and '.join(_stations(scenario, way)[1:-1])}"
    if Leg.between(way.talker, way.listener) in scenario.legs:
        return "link"
    talker, listener = scenario.party(way.talker).site, scenario.party(way.listener).site
    if scenario.target.between:
        between = f"{talker.region} to {listener.region}"
    else:
        between = "the real network" if scenario.target.region is None else f"by {scenario.target.region}"
    return f"{talker.access}, {between}, {listener.access}"


def _ms(seconds: float | None) -> str:
    return "changes" if seconds is None else milliseconds(seconds)


def _told(scenario: Scenario) -> Iterator[str]:
    yield ""
    for cue in scenario.script:
        # A cue quotes itself for sentences; in a list of them quotes are noise.
        yield f"cue        {str(cue).strip(chr(39))}"
    signaling, call = scenario.signaling, scenario.call
    carried = any(signaling.beside in (leg.source, leg.destination) for leg in scenario.legs)
    where = f"at {signaling.beside}'s end of the link" if carried else f"in {signaling.region}"
    if scenario.servers and signaling.region == ANYWHERE:
        where = "at each party's server"
    yield f"signaling  {where}, {signaling.connection}"
    joins = f"{call.joins} joins, each given up after {written_time(call.join_timeout_s)}"
    yield f"plan       {joins}; then {call.calls} calls of {written_time(call.duration_s)}"
    for budget in scenario.budgets:
        yield f"budget     {budget.expression}{' (advisory)' if budget.advisory else ''}"
    for warning in scenario.warnings:
        yield f"warning    {warning}"
