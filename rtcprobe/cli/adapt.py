"""``rtcprobe adapt``: what a sender does when the line shrinks: a model in virtual time, or a real one."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from rtcprobe.cli.common import complain, say
from rtcprobe.cli.outputs import need_places
from rtcprobe.errors import BadInputError, ExitCode, MeasurementError
from rtcprobe.secrets import scrub

if TYPE_CHECKING:
    from rtcprobe.adaptation import Case, Course
    from rtcprobe.probe.adapting import Adapting
    from rtcprobe.result import Clock, Progress

__all__ = ["adapt"]

# Columns of a course, told second by second; in this order, as in files that were written before.
_SERIES: Final = ("offered_bps", "delivered_bps", "target_bps", "drops", "lost", "freezes", "height")
_AT_A_TARGET: Final = ("step",)
"""What is called at a target where nothing is named: each takes as long as it lasts."""

_EXIT_CODES: Final = (
    "Exit codes: 0 the scoreboard was printed, 2 bad scenario or usage, 3 a target's call did not come about, or "
    "INVALID: this machine was too busy to let packets out in time."
)

Row = dict[str, float | None]


@dataclass(slots=True)
class Called:
    """The calls over one line: ``rows`` of figures, ``courses``, and why any of them does not count."""

    case: Case
    sender: str
    rows: list[Row] = field(default_factory=list)
    courses: list[Course] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    flows: list[tuple[str, float, Course]] = field(default_factory=list)
    """Way, start and course of every flow of the first call of a model."""


@click.command(
    epilog=_EXIT_CODES,
    short_help="What a sender does when the line shrinks.",
)
@click.argument("scenarios", metavar="[SCENARIO]...", nargs=-1)
@click.option(
    "--controller", metavar="gcc|remb|fixed:RATE", help="What decides the rate of our sender.  [default: gcc]"
)
@click.option(
    "--target",
    metavar="loopback|page|URL",
    help="A real call in place of the model: between two of ours, with Chromium, or at a server.",
)
@click.option(
    "--way",
    "heading",
    type=click.Choice(["down", "up"]),
    default="down",
    show_default=True,
    help="Where the line lies: on what the target sends us, or on what we send it.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Of the call at a target: video.bitrate=2mbit."
)
@click.option("--link", "line", metavar="LINE", help='A line of your own: "rate 2mbit at 20s rate 500kbit".')
@click.option("--length", metavar="TIME", help="Of a call over --link.  [default: 60s]")
@click.option("--seeds", type=click.IntRange(1, 1000), help="Calls of each scenario.  [default: 10; 1 at a target]")
@click.option("--json", "json_path", metavar="PATH|-", help="Write everything as JSON.")
@click.option("--html", "html_path", metavar="PATH", help="Write a page: rate, capacity, delay, size and freezes.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def adapt(
    *,
    scenarios: tuple[str, ...],
    controller: str | None,
    target: str | None,
    heading: Literal["down", "up"],
    settings: tuple[str, ...],
    line: str | None,
    length: str | None,
    seeds: int | None,
    json_path: str | None,
    html_path: str | None,
    quiet: bool,
) -> int:
    """Call over lines that change and print the scoreboard of RFC 8868: a model of a sender, in virtual time.

    SCENARIO is a name (step, ramp, loss, rfc8867-5.1, ...) or a .yaml file; without any, all that come with rtcprobe.
    Where several flows share a line, the figures are theirs together, with Jain's fairness.
    gcc is libwebrtc's sender, remb stock aiortc's, fixed:RATE none. Nothing is sent over any network.

    With --target real calls are placed, one a scenario (without any, step). loopback: two ends of ours in virtual time,
    the whole stack, and the caller's camera follows what the other's feedback says. On the real clock: page is a camera
    in this machine's Chromium, which we watch; a URL as rtcprobe run takes it is a server between two ends of ours, or
    an echo: its own sender (--way down), or ours towards it (--way up).
    """
    from rtcprobe.adaptation import controller_of

    need_places({"--json": json_path, "--html": html_path})
    controller_of(controller or "gcc")
    _refuse(target, heading, settings)
    cases = _cases(
        scenarios or (() if target is None or line else _AT_A_TARGET), line, length, alone=target is not None
    )
    calls = seeds or (10 if target is None else 1)
    adapting = None if target is None else _adapting(target, settings, heading, controller)
    named, clock = controller or "gcc", None if adapting is None else adapting.clock
    if json_path != "-":
        say(_engine(target, named, calls, clock))
    outputs = _Outputs(target, named, calls, clock, json_path, html_path)

    def call(case: Case, progress: Callable[[Progress], None] | None) -> Called:
        if adapting is None:
            return _called(case, named, calls, progress)
        return _placed(adapting, case, calls, progress)

    done = _all(cases, call, outputs, quiet=quiet)
    return ExitCode.NOT_MEASURED if any(each.invalid for each in done) else ExitCode.MET


def _all(
    cases: Sequence[Case],
    call: Callable[[Case, Callable[[Progress], None] | None], Called],
    outputs: _Outputs,
    *,
    quiet: bool,
) -> Sequence[Called]:
    """Call over every line, show it, and write what there is, however that ended."""
    from rtcprobe.report.progress import narrate

    done: list[Called] = []
    with narrate("adapt", quiet=quiet) as progress:
        try:
            for case in cases:
                done.append(call(case, progress))
                if outputs.json_path != "-":
                    _show(done[-1])
                for each in done[-1].invalid:
                    complain(each)
        finally:
            # However it ended: Ctrl-C in the third scenario keeps the first two (``_all`` writes in its finally).
            if done:
                outputs.write(done)
    return done


def _refuse(target: str | None, heading: str, settings: Sequence[str]) -> None:
    """Refuse options that have no use without a target."""
    if target is None:
        for name, given in (("--way", heading != "down"), ("--set", bool(settings))):
            if given:
                raise BadInputError(f"{name} is about a call at a target", "add --target, or leave it out")


def _adapting(target: str, settings: Sequence[str], heading: Literal["down", "up"], controller: str | None) -> Adapting:
    from rtcprobe.probe.adapting import Adapting

    return Adapting(target, settings, heading, controller)


def _engine(target: str | None, controller: str, calls: int, clock: Clock | None) -> str:
    if target is None:
        return f"engine: model (virtual time, {calls} {'seed' if calls == 1 else 'seeds'}); controller: {controller}"
    return f"engine: real calls ({clock} clock, {calls} a scenario); target: {scrub(target)}"


def _show(called: Called) -> None:
    from rtcprobe.report.adapt import adapt_lines

    say("")
    for each in adapt_lines(called.case, called.sender, called.rows, called.courses):
        say(each)
    for each in dict.fromkeys(called.warnings):
        say(f"  note: {each}")


@dataclass(frozen=True, slots=True)
class _Outputs:
    """What is written when all is done, or as far as it came."""

    target: str | None
    controller: str
    calls: int
    clock: Clock | None
    """Of real calls."""
    json_path: str | None
    html_path: str | None

    def write(self, done: Sequence[Called]) -> None:
        """Write JSON and page, where they were asked for."""
        from rtcprobe.report.html import render_adapt
        from rtcprobe.report.html.adapt import AdaptCase
        from rtcprobe.report.json import write_whole

        if self.json_path is not None:
            text = json.dumps(self._document(done), indent=1, allow_nan=False)
            write_whole(f"{text}\n", self.json_path)
        if self.html_path is None:
            return
        drawn = [
            AdaptCase(
                case=each.case,
                controller=each.sender,
                rows=each.rows,
                courses=each.courses,
                notes=tuple(dict.fromkeys(each.warnings)),
                invalid=each.invalid,
                flows=[course for way, _, course in each.flows if way == "there"],
            )
            for each in done
        ]
        write_whole(render_adapt(drawn, clock=self.clock), self.html_path)

    def _document(self, done: Sequence[Called]) -> Mapping[str, Any]:
        """Return everything as plain data."""
        from rtcprobe.report.adapt import interval_of

        written = []
        for each in done:
            figures = {key: interval_of([row[key] for row in each.rows]) for key in each.rows[0]}
            one: dict[str, Any] = {"scenario": each.case.name, "about": each.case.about, "source": each.case.source}
            one |= {"counted": len(each.rows), "figures": figures}
            one["flows"] = [
                {"way": way, "start_s": start_s} | _series(course, (*_SERIES, "sent_bps", "states"))
                for way, start_s, course in each.flows
            ]
            if self.target is not None:
                one |= {"sender": each.sender, "invalid": each.invalid, "warnings": each.warnings}
                one["calls"] = [_series(course, (*_SERIES, "sent_bps", "states")) for course in each.courses]
            written.append(one)
        engine = {"engine": "model", "controller": self.controller}
        if self.target is not None:
            engine = {"engine": "target", "target": scrub(self.target)}
        return {**engine, "seeds": self.calls, "scenarios": _plain(written)}


def _cases(scenarios: tuple[str, ...], line: str | None, length: str | None, *, alone: bool) -> list[Case]:
    """Return the lines that are meant; ``alone``: those that one call has to itself.

    Raises:
        BadInputError: one that cannot be meant.
    """
    from rtcprobe.adaptation import Flow, case_names, case_of_link, find_case
    from rtcprobe.adaptation.degrading import DEGRADES
    from rtcprobe.units import parse_duration

    if line is not None and scenarios:
        raise BadInputError(f"--link and scenario {scenarios[0]!r} are both given", "leave one out")
    if line is None and length is not None:
        raise BadInputError(f"--length {length} is about a line of your own", "add --link: a scenario has its own")
    try:
        length_s = parse_duration(length or "60s")
    except BadInputError as error:
        raise error.within("--length") from None
    if line is not None:
        return [case_of_link(line, length_s)]
    cases = [find_case(name) for name in scenarios or case_names()]
    for case in cases:
        if alone and case.flows != (Flow(),):
            several = len(case.flows) > 1
            raise BadInputError(
                f"scenario {case.name} has "
                + (f"{len(case.flows)} flows" if several else "a flow that comes later, pauses or is farther away"),
                "a target is called once, from beginning to end: leave it out",
            )
        if alone and case.degrades != DEGRADES:
            raise BadInputError(
                f"scenario {case.name} has degradation {case.degrades}",
                f"that is the model's to follow, real calls have {DEGRADES}: leave it, or --target, out",
            )
    return cases


def _runs(case: Case, controller: str, seed: int) -> list[Course]:
    """Return the course of every flow of one call of the model."""
    from rtcprobe.adaptation import Call, Flow, controller_of, meet

    # One flow alone is called as ever; sharing a line needs all of them on one clock (``meet``).
    if case.flows == (Flow(),):
        return [Call(case.settings(seed), controller_of(controller)).run()]
    return meet(
        case.flows,
        case.link,
        case.back,
        length_s=case.length_s,
        controller=controller,
        seed=seed,
        max_bps=case.max_bps,
        degrades=case.degrades,
    )


def _called(case: Case, controller: str, seeds: int, progress: Callable[[Progress], None] | None) -> Called:
    """Return the figures and courses of a call of the model for each seed."""
    from rtcprobe.adaptation import (
        fairness,
        figures_of,
        least_share,
        settled_of,
        together,
    )
    from rtcprobe.result import Progress

    done = Called(case, controller)
    for seed in range(seeds):
        if progress is not None:
            progress(Progress(step=case.name, done=seed, total=seeds, unit="calls"))
        runs = _runs(case, controller, seed)
        course = together(case.flows, runs) if len(runs) > 1 else runs[0]
        shared = {
            "fairness": fairness(case.flows, runs, case.link),
            "least_share": least_share(case.flows, runs, case.link),
        }
        if len(runs) > 1:
            # How fast who shares a line settles is asked of those in its direction; voice the other way shares another
            # queue.
            there = [(flow, run) for flow, run in zip(case.flows, runs, strict=True) if flow.way == "there"]
            shared |= settled_of([run for _, run in there], case.link, [flow.start_s for flow, _ in there])
        # Flows are drawn of the first seed alone: ten seeds would be ten times as many lines.
        if not seed:
            done.flows = [(flow.way, flow.start_s, run) for flow, run in zip(case.flows, runs, strict=True)]
        done.rows.append(figures_of(course, case.link) | shared)
        done.courses.append(course)
    return done


def _placed(adapting: Adapting, case: Case, calls: int, progress: Callable[[Progress], None] | None) -> Called:
    """Return the figures and courses of real calls: of those that count, or of all where none does.

    Raises:
        MeasurementError: the first did not come about: the next ones would wait as long for nothing.
    """
    from rtcprobe.adaptation import figures_of
    from rtcprobe.result import Progress

    done, late_ones = Called(case, ""), Called(case, "")
    for seed in range(calls):

        def tick(talked_s: float, seed: int = seed) -> None:
            if progress is not None:
                at_s = seed * case.length_s + min(talked_s, case.length_s)
                progress(Progress(step=case.name, done=at_s, total=calls * case.length_s, unit="s"))

        try:
            found = adapting.call(case, seed, tick)
        except MeasurementError as error:
            # Nothing of it can be measured; a later one that fails leaves what there is.
            if seed == 0:
                raise
            done.invalid.append(f"call {seed + 1} did not come about: {scrub(str(error))}")
            continue
        done.sender = found.sender
        # Calls of a late machine are kept aside, and stand in only where no other came about: shown, and said to be
        # invalid.
        into = late_ones if found.invalid else done
        into.rows.append(figures_of(found.course, case.link))
        into.courses.append(found.course)
        done.warnings += found.warnings
        if found.invalid:
            done.invalid.append(f"INVALID: call {seed + 1}: {found.late}: this machine is too busy for it")
        elif found.late:
            done.warnings.append(f"call {seed + 1}: {found.late}")
    if not done.rows:
        done.rows, done.courses = late_ones.rows, late_ones.courses
    return done


def _series(course: Course, keys: Sequence[str]) -> dict[str, Any]:
    """Return what is known of every second (``sent_bps``: of every 200 ms)."""
    from rtcprobe.adaptation import delays_by_second

    longest_s, mean_s = delays_by_second(course)
    return {key: getattr(course, key) for key in keys} | {"delay_max_s": longest_s, "delay_mean_s": mean_s}


def _plain(value: object) -> object:
    """Return ``value`` with ``never`` for infinity and null for what is no number: JSON knows neither."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return "never" if value == float("inf") else value
