"""``rtcprobe vendors``: several vendors on several links, measured in turns, on one page."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import click

from rtcprobe.cli.common import INTERRUPTED, complain
from rtcprobe.cli.measuring import Measuring, measured, measuring_options
from rtcprobe.cli.outputs import Outputs
from rtcprobe.errors import BadInputError, ExitCode, RtcprobeError, did_you_mean, same_name

if TYPE_CHECKING:
    from rtcprobe.result import Clock, Result
    from rtcprobe.scenario import Scenario
    from rtcprobe.verdict import Panel

__all__ = ["vendors"]

RUNS = 3
"""As many runs as it takes for runs, not calls, to be what is compared (``rtcprobe.verdict.figures``)."""
VAIN_RUNS = 2
"""A vendor that nobody could join so often on a link is asked no more there."""
AS_IS = "as the scenario has it"
"""The only link where none is named."""

_Place = tuple[str, str]

_EXIT_CODES = (
    f"Exit codes: 0 every vendor was measured on every link, 2 bad usage, 3 some could not be, {INTERRUPTED}: what was "
    "measured is kept and written."
)


@click.command(epilog=_EXIT_CODES, short_help="Measure vendors in turns, on one page.")
@click.argument("named", nargs=-1, required=True, metavar="NAME=URL NAME=URL...")
@click.option("--scenario", default="1v1-social", show_default=True, metavar="SCENARIO", help="What is done.")
@click.option(
    "--links",
    "written_links",
    metavar="LINK,LINK,...",
    help="Everybody's access (4g-good,5g: rtcprobe links has them), or NAME=LINE in tc-netem's words.",
)
@click.option("--runs", type=click.IntRange(1, 100), default=RUNS, show_default=True, metavar="N", help="Rounds.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Of the first round."
)
@measuring_options
@click.option("--html", "html_path", metavar="PATH|-", help="Write the page that needs nothing else.")
@click.option("--json", "json_path", metavar="PATH|-", help="Write everything as JSON.")
@click.option("--markdown", "markdown_path", metavar="PATH|-", help="Write Markdown.")
@click.option("--append", "append_path", metavar="PATH", help="Append every result to this history, one a line.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no screen.")
def vendors(
    named: tuple[str, ...],
    *,
    scenario: str,
    written_links: str | None,
    runs: int,
    seed: int,
    measuring: Measuring,
    html_path: str | None,
    json_path: str | None,
    markdown_path: str | None,
    append_path: str | None,
    quiet: bool,
) -> int:
    """Measure vendors in turns, so that a noisy minute hits all alike, and say who is shown to be better, and where.

    A vendor is a name and a target's URL (rtcprobe targets), or loopback. --set NAME:KEY=VALUE is for that vendor
    alone: its token, --set a:target.token=env:A_TOKEN. Servers are called on the real clock.
    """
    outputs = Outputs(json_path=json_path, markdown_path=markdown_path, html_path=html_path, append_path=append_path)
    outputs.refuse()
    if measuring.engine != "stack":
        raise BadInputError(
            "vendors are compared by their joins too, and engine model makes none", "leave out --engine"
        )
    urls = _urls(named)
    links = _links(written_links, measuring, _names(measuring, scenario))
    plans = {
        (vendor, link): _plan(measuring, scenario, (vendor, url), settings, tuple(urls))
        for link, settings in links.items()
        for vendor, url in urls.items()
    }
    tour = _Tour(plans=plans, clock=_clock(plans, measuring.clock), outputs=outputs, quiet=quiet)
    try:
        # A round has one seed for all: emulated links draw alike for each vendor.
        for place, index in _turns(tuple(urls), tuple(links), runs):
            if not tour.stop(place, seed=seed + index, said=f"round {index + 1} of {runs}"):
                break
    except KeyboardInterrupt:
        complain("interrupted")
        tour.interrupted = True
    return tour.finish(tuple(urls), tuple(links))


@dataclass(slots=True, kw_only=True)
class _Tour:
    """The rounds of one command: measures, keeps what was measured, and writes it."""

    plans: Mapping[_Place, Scenario]
    clock: Clock
    outputs: Outputs
    quiet: bool
    runs: dict[_Place, list[Result]] = field(default_factory=dict)
    faults: dict[_Place, list[str]] = field(default_factory=dict)
    interrupted: bool = False
    unwritten: bool = False

    def stop(self, place: _Place, *, seed: int, said: str) -> bool:
        """Measure one vendor on one link, unless nobody could join it there; return whether to go on."""
        vendor, link = place
        # Measured no more there; other links, and other vendors on this one, go on.
        if self._in_vain(place):
            return True
        if not self.quiet:
            click.echo(f"{said}: {vendor}, {link}", err=True)
        try:
            result = measured(self.plans[place], seed=seed, clock=self.clock, quiet=self.quiet)
        except RtcprobeError as error:
            complain(f"{vendor}, {link}: {error}")
            # A fault counts towards ``VAIN_RUNS``, as a run without a join does, and is told beside the vendor.
            self.faults.setdefault(place, []).append(str(error))
            return True
        self.runs.setdefault(place, []).append(result)
        # What was measured until then is kept, and nothing more begun.
        self.interrupted = result.interrupted
        self._write(lambda: self.outputs.append(result))
        return not result.interrupted

    def finish(self, names: tuple[str, ...], links: tuple[str, ...]) -> int:
        """Show and write what was found; return the exit code."""
        from rtcprobe.report.lines import print_lines, width_of
        from rtcprobe.report.vendors import panel_lines, panel_markdown
        from rtcprobe.verdict import Account, panel

        # Also of places without a run: who could not be measured is told first.
        accounts = [
            Account(
                vendor=vendor,
                link=link,
                runs=tuple(self.runs.get((vendor, link), ())),
                faults=tuple(self.faults.get((vendor, link), ())),
            )
            for link in links
            for vendor in names
        ]
        found = panel(names, links, accounts)
        if not self.quiet:
            screen = self.outputs.screen()
            print_lines(panel_lines(found, width=width_of(screen)), screen)
        self._write(lambda: self.outputs.write_json(json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n"))
        self._write(lambda: self.outputs.write_markdown(panel_markdown(found)))
        self._write(lambda: self._page(found))
        if self.interrupted:
            return ExitCode.INTERRUPTED
        # An output that could not be written outweighs a vendor that could not be measured: nobody will find the page.
        if self.unwritten:
            return ExitCode.BAD_INPUT
        return ExitCode.MET if all(each.counted for each in accounts) else ExitCode.NOT_MEASURED

    def _page(self, found: Panel) -> None:
        if self.outputs.html_path is not None:
            from rtcprobe.report.html import render_vendors

            self.outputs.write_html(render_vendors(found))

    def _in_vain(self, place: _Place) -> bool:
        runs, faults = self.runs.get(place, []), self.faults.get(place, [])
        heard = any(attempt.first_audio_s is not None for each in runs for attempt in each.join.attempts)
        return len(runs) + len(faults) >= VAIN_RUNS and not heard

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except RtcprobeError as error:
            complain(str(error))
            self.unwritten = True


def _turns(names: Sequence[str], links: Sequence[str], runs: int) -> Iterator[tuple[_Place, int]]:
    """Yield who is measured when: every round all links and vendors, and each begins with another vendor."""
    for index in range(runs):
        # Each round begins with another: whoever is measured first after a pause pays for cold caches and routes.
        first = index % len(names)
        for link in links:
            for vendor in (*names[first:], *names[:first]):
                yield (vendor, link), index


def _urls(named: Sequence[str]) -> dict[str, str]:
    """Return the vendors' targets by name.

    Raises:
        BadInputError: one without a name or a URL, a name given twice, or fewer than two.
    """
    urls: dict[str, str] = {}
    for each in named:
        name, equals, url = (part.strip() for part in each.partition("="))
        # A colon parts a vendor from a setting in --set NAME:KEY=VALUE.
        if not (equals and name and url) or ":" in name:
            raise BadInputError(f"vendor {each!r} has no name", "write it like a=whip+whep://HOST/live")
        if name in urls:
            raise BadInputError(f"vendor {name} is given twice", "give each its own name")
        urls[name] = url
    if len(urls) < 2:
        raise BadInputError(f"{named[0]} alone cannot be compared", "name two vendors or more")
    return urls


def _names(measuring: Measuring, scenario: str) -> tuple[str, ...]:
    """Return the keys under which the scenario's parties stand; those of a count (``fan-1``) stand under one."""
    as_is = replace(measuring, target=None, settings=())
    names = [party.name for party in as_is.plans([scenario])[0].parties]
    # These two have keys of their own at the top, not below ``parties``.
    if names == ["caller", "callee"]:
        return tuple(names)
    keys: dict[str, None] = {}
    for name in names:
        group = f"parties.{name.rpartition('-')[0]}"
        if group not in keys:
            keys[f"parties.{name}" if _is_key(f"parties.{name}", as_is, scenario) else group] = None
    return tuple(keys)


def _is_key(key: str, measuring: Measuring, scenario: str) -> bool:
    """Return whether a party stands under ``key``: setting what is under no key makes another of a count's name."""
    try:
        # Any access would do that every party may have.
        replace(measuring, settings=(f"{key}.access=fibre",)).plans([scenario])
    except BadInputError:
        return False
    return True


def _links(written: str | None, measuring: Measuring, parties: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the settings that make each link, by its name: of all ``parties``, by their keys.

    Raises:
        BadInputError: no such access, or a name given twice.
    """
    from rtcprobe.link import ACCESS

    if measuring.target is not None:
        raise BadInputError("--target names no vendor", "write vendors as NAME=URL")
    if written is None:
        return {AS_IS if measuring.link is None else measuring.link: ()}
    if measuring.link is not None:
        raise BadInputError("--link and --links are given together", "write --links NAME=LINE,...")
    links: dict[str, tuple[str, ...]] = {}
    for each in written.split(","):
        name, equals, line = (part.strip() for part in each.partition("="))
        access = same_name(name, ACCESS)
        if not equals and access is None:
            raise BadInputError(f"link {name!r} is not known", did_you_mean(name, tuple(ACCESS)))
        name = name if equals or access is None else access
        if not name or name in links:
            raise BadInputError(f"link {each!r} has no name of its own", "name each once, like 5g or bad=delay 80ms")
        # A line takes the place of the whole path both ways; an access is each party's own, and their distance stays.
        links[name] = (f"link={line}",) if equals else tuple(f"{party}.access={name}" for party in parties)
    return links


def _plan(
    measuring: Measuring, scenario: str, vendor: tuple[str, str], link: tuple[str, ...], names: tuple[str, ...]
) -> Scenario:
    """Return the scenario of one vendor on one link; what cannot be meant is refused before anything runs.

    Raises:
        BadInputError: such a thing; a setting of every vendor's target, where its secret would go to all.
    """
    from rtcprobe.call.targets.base import find_target

    name, url = vendor
    own = []
    for setting in measuring.settings:
        key = setting.partition("=")[0]
        # Only a colon before the first "=" is a vendor's: one behind it belongs to a value, such as a URL.
        whose, colon, _ = (part.strip() for part in key.partition(":"))
        if colon and whose not in names:
            raise BadInputError(f"--set {key}: vendor {whose!r} is not known", did_you_mean(whose, names))
        # A token for all would be shown to every vendor's server; where they seem to be is no secret.
        if not colon and key.strip().startswith("target.") and key.strip() != "target.region":
            raise BadInputError(
                f"--set {key.strip()} would go to every vendor",
                f"write --set {names[0]}:{key.strip()}=… for each of them",
            )
        if not colon or whose == name:
            own.append(setting.partition(":")[2].strip() if colon else setting)
    changed = replace(measuring, target=url, settings=(*link, *own))
    try:
        plan = changed.plans([scenario])[0]
        # For its refusals alone: a URL that nobody knows is told now, not in the first round.
        find_target(plan.target)
    except BadInputError as error:
        raise error.within(f"vendor {name}") from error
    return plan


def _clock(plans: Mapping[_Place, Scenario], asked: Clock) -> Clock:
    """Return the clock that all of them can be called on: the real one as soon as one is a server."""
    from rtcprobe.call.targets.base import find_target

    # One clock for all, or the difference between two clocks would be called one of vendors.
    return asked if all("virtual" in find_target(each.target).clocks for each in plans.values()) else "real"
