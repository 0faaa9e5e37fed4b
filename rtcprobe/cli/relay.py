"""``rtcprobe relay``: anybody's UDP packets through a link, such as a browser's.

Rules:
    1. Ctrl-C, SIGTERM and ``--duration`` are the ways to end it, and none is a failure: what was done is printed.
    2. No datagram at all is no success: exit 3. So is a relay that was late itself.
"""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, TypeVar

import click

from rtcprobe.cli.common import complain, console, say
from rtcprobe.cli.outputs import need_places
from rtcprobe.errors import BadInputError, ExitCode, nearest

if TYPE_CHECKING:
    from rtcprobe.link import LinkSpec
    from rtcprobe.report.relay import RelayReport
    from rtcprobe.runtime.relay import Relay
    from rtcprobe.runtime.turn import Credentials
    from rtcprobe.scenario import Scenario

__all__ = ["relay"]

_T = TypeVar("_T")

_EXIT_CODES = (
    "Exit codes: 0 relayed, 2 bad usage, 3 nothing came, or INVALID: this machine was too busy to let packets out in "
    "time. Ctrl-C is the usual end."
)

# Often enough that somebody who watches a browser meanwhile knows, and seldom enough to be read.
_WARN_EVERY_S = 10.0

# A month: longer is a slip of the unit, and seconds are kept in memory.
LONGEST_S = 30 * 86_400.0


@click.command(epilog=_EXIT_CODES, short_help="Relay anybody's UDP packets through a link.")
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where clients send to; port 0: any free one.")
@click.option("--to", metavar="HOST:PORT", help="The server that is meant.")
@click.option("--turn", "user", metavar="USER", help="Be a TURN server instead: this user's clients say to whom.")
@click.option("--credential", metavar="env:NAME|file:PATH", help="Password of --turn, by name.")
@click.option(
    "--link",
    required=True,
    metavar="LINE|FILE.yaml|SCENARIO",
    help="Both ways: tc-netem's words ('delay 80ms loss 2%'), a file, or a scenario's own link.",
)
@click.option("--back-link", metavar="LINE|FILE.yaml", help="The way back from the server, where it differs.")
@click.option("--shared", is_flag=True, help="One link for all clients, as for calls behind one line.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the links."
)
@click.option("--duration", metavar="TIME", help="End after this long, like 60s; without it, Ctrl-C ends it.")
@click.option(
    "--late", default="1ms", show_default=True, metavar="TIME", help="How late a second may be at p95 to be valid."
)
@click.option("--json", "json_path", metavar="PATH|-", help="Write what was done to the packets, second by second.")
@click.option("--csv", "csv_path", metavar="PATH|-", help="Write the seconds of every client and way.")
@click.option("--html", "html_path", metavar="PATH", help="Write a page with rates, delay and drops over time.")
def relay(
    *,
    listen: str,
    to: str | None,
    user: str | None,
    credential: str | None,
    link: str,
    back_link: str | None,
    shared: bool,
    seed: int,
    duration: str | None,
    late: str,
    json_path: str | None,
    csv_path: str | None,
    html_path: str | None,
) -> int:
    """Relay UDP through a link, for clients that are not ours; at the end, say what was done to their packets.

    Every client has a link of its own, unless they share one. To put a browser behind it, replace the address in the
    server's candidates by the relay's before the browser gets them, take TCP candidates out, and take the browser's
    own candidates out of what the server gets: then all media passes the relay.

    Between two browsers the second is the server: let it answer first, start the relay with the port of its one UDP
    candidate in --to, rewrite that candidate to the relay's address, and only then give the answer to the first. In a
    network namespace with lo alone a browser is one client; with k addresses it is k, and the busiest is told first.
    """
    import asyncio

    from rtcprobe.runtime.priority import prioritised
    from rtcprobe.runtime.real import RealEventLoop
    from rtcprobe.runtime.relay import resolve_udp
    from rtcprobe.units import parse_duration

    up, down = _links(link, back_link)
    seconds = None if duration is None else _read("--duration", parse_duration, duration)
    if seconds is not None and not 0 < seconds <= LONGEST_S:
        raise BadInputError(f"--duration {duration} is impossible", "give more than 0s, 720h at most")
    late_s = _read("--late", parse_duration, late)
    if not 0 < late_s <= 1.0:
        raise BadInputError(f"--late {late} is impossible", "give more than 0s, 1s at most")
    need_places({"--json": json_path, "--csv": csv_path, "--html": html_path})
    front = resolve_udp(listen, "--listen")
    meant = _meant(listen, to) if user is None and credential is None else _allowed(front, to, user, credential)
    course = _Course(front, meant, up, down, seed=seed, seconds=seconds, shared=shared, late_s=late_s)
    with asyncio.Runner(loop_factory=RealEventLoop) as runner, prioritised() as priority:
        report = runner.run(course.until_ended(priority))
    return _told(report, json_path, csv_path, html_path)


def _meant(listen: str, to: str | None) -> tuple[str, int]:
    """Return the server that is meant."""
    from rtcprobe.runtime.relay import resolve_udp

    if to is None:
        raise BadInputError(
            "--to is missing", "name the server, or let clients name it: --turn USER --credential env:NAME"
        )
    server = resolve_udp(to, "--to")
    if server[1] == 0:
        raise BadInputError(f"--to {to!r} has no port", "name the server's")
    # Datagrams would go round in a circle, each a copy of the last.
    if resolve_udp(listen, "--listen") == server:
        raise BadInputError(f"--listen and --to are both {listen}", "listen at another port")
    return server


def _allowed(listen: tuple[str, int], to: str | None, user: str | None, credential: str | None) -> Credentials:
    """Return who may be relayed to whom they like."""
    from rtcprobe.runtime.turn import Credentials
    from rtcprobe.secrets import read_secret

    if to is not None:
        raise BadInputError(f"--to {to} stands beside --turn", "TURN clients say to whom themselves: leave one out")
    if not user or not credential:
        raise BadInputError("--turn and --credential go together", "like --turn probe --credential env:TURN_PASSWORD")
    # 0.0.0.0 stands for every address, and none that a relayed candidate could name.
    if ip_address(listen[0]).is_unspecified:
        raise BadInputError(
            f"--listen {listen[0]} is every address", "with --turn give the one that clients and their peers reach"
        )
    return Credentials(user=user, password=read_secret(credential, "--credential").reveal())


def _told(report: RelayReport, json_path: str | None, csv_path: str | None, html_path: str | None) -> int:
    """Write and print what a relay did; return the exit code."""
    from rtcprobe.report.json import write_whole
    from rtcprobe.report.lines import print_lines
    from rtcprobe.report.relay import relay_csv, relay_lines

    # Files first: a terminal that went away must not cost them.
    if json_path is not None:
        write_whole(json.dumps(report.to_dict(), indent=1, ensure_ascii=json_path == "-") + "\n", json_path)
    if csv_path is not None:
        write_whole(relay_csv(report), csv_path)
    if html_path is not None:
        from rtcprobe.report.html import render_relay

        write_whole(render_relay(report), html_path)
    print_lines(relay_lines(report), console(stderr="-" in (json_path, csv_path)))
    # Rule 2: no datagram, no success.
    if not report.late_s:
        complain(f"nothing was relayed: let a client send to {report.listen}")
        return ExitCode.NOT_MEASURED
    if report.lateness.is_invalid():
        late, limit_ms = len(report.lateness.invalid()), report.lateness.limit_s * 1e3
        late_in = f"in {late} of the {len(report.lateness.seconds)} seconds in which it relayed"
        complain(f"INVALID: the relay was over {limit_ms:g} ms late {late_in}: this machine is too busy for it")
        return ExitCode.NOT_MEASURED
    return ExitCode.MET


def _links(link: str, back_link: str | None) -> tuple[list[LinkSpec], list[LinkSpec]]:
    """Return the hops there and back that ``--link`` and ``--back-link`` mean."""
    from rtcprobe.adaptation import case_names, find_case
    from rtcprobe.scenario import find_scenario, library

    back: list[LinkSpec] | None = None
    if link in case_names():
        case = find_case(link)
        up, back = [case.link], [case.back]
    elif link in library():
        up, back = _of_scenario(_read("--link", find_scenario, link))
    else:
        up, back = _read("--link", _written, link)
    if back_link is not None:
        back = _read("--back-link", _written, back_link)[0]
    # What was written once holds both ways, each with a queue of its own.
    return up, up if back is None else back


def _written(link: str) -> tuple[list[LinkSpec], list[LinkSpec] | None]:
    """Return the link of a line, or that of a YAML file: a mapping of its keys, an adaptation case, or a scenario."""
    from pathlib import Path

    from rtcprobe.adaptation import case_names, find_case
    from rtcprobe.link import parse_link
    from rtcprobe.scenario import find_scenario, library
    from rtcprobe.strictyaml import read_yaml

    path = Path(link)
    if path.suffix not in (".yaml", ".yml"):
        names = (*case_names(), *library())
        if link in names:
            raise BadInputError(f"{link!r} names both ways of a link", "give it to --link, and leave --back-link out")
        # A single word is a name that was mistyped rather than a line.
        near = [] if " " in link.strip() else nearest(link, names)
        if near:
            raise BadInputError(f"{link!r} is no link, and no scenario's name", f"did you mean {' or '.join(near)}?")
        return [parse_link(link)], None
    written = read_yaml(path, lambda written: written, called=repr(link))
    # A case of adapt, a scenario, or a link's keys: told by what only each of them has.
    if isinstance(written, dict) and {"link", "back", "length"} <= set(written):
        case = find_case(link)
        return [case.link], [case.back]
    if isinstance(written, dict) and "serves" in written:
        return _of_scenario(find_scenario(link))
    try:
        return [parse_link(written, folder=path.parent)], None
    except BadInputError as error:
        raise error.within(link) from None


def _of_scenario(scenario: Scenario) -> tuple[list[LinkSpec], list[LinkSpec]]:
    """Return the hops from the first party of a scenario to the second, and back."""
    from rtcprobe.probe.routes import routes

    one, other = (party.name for party in scenario.parties[:2])
    if len(scenario.parties) > 2:
        complain(f"of {scenario.name} the link is that from {one} to {other}, its first two parties")
    hops = routes(scenario, [(one, other), (other, one)])
    return list(hops[one, other]), list(hops[other, one])


def _read(flag: str, parse: Callable[[str], _T], written: str) -> _T:
    try:
        return parse(written)
    except BadInputError as error:
        raise error.within(flag) from None


class _Course:
    """One relay from its first datagram to its report."""

    def __init__(
        self,
        listen: tuple[str, int],
        to: tuple[str, int] | Credentials,
        up: list[LinkSpec],
        down: list[LinkSpec],
        *,
        seed: int,
        seconds: float | None,
        shared: bool,
        late_s: float,
    ) -> None:
        self._listen, self._to = listen, to
        self._up, self._down = up, down
        self._seed, self._seconds, self._shared, self._late_s = seed, seconds, shared, late_s

    async def until_ended(self, priority: str) -> RelayReport:
        """Relay until told to end; return what was done."""
        import asyncio

        from rtcprobe.runtime.relay import written

        ended = asyncio.Event()
        # As systemd and docker end what they stop: then, too, there is a report.
        with contextlib.suppress(NotImplementedError):  # Windows has no such signal
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        running = self._running()
        shown = written(running.address)
        whom = written(self._to) if isinstance(self._to, tuple) else "whom its TURN clients name"
        warning = asyncio.create_task(_warn(running))
        try:
            say(f"relaying {shown} → {whom}, Ctrl-C ends it", err=True)
            # None, without --duration: no limit.
            async with asyncio.timeout(self._seconds):
                await ended.wait()
        except (TimeoutError, asyncio.CancelledError):  # the latter is Ctrl-C
            pass
        finally:
            warning.cancel()
            running.close()
        return self._report(running, shown, whom, priority)

    def _running(self) -> Relay:
        from rtcprobe.runtime.relay import Relay
        from rtcprobe.runtime.turn_relay import TurnRelay

        kind = partial(Relay, to=self._to) if isinstance(self._to, tuple) else partial(TurnRelay, credentials=self._to)
        return kind(
            listen=self._listen,
            up=self._up,
            down=self._down,
            seed=self._seed,
            shared=self._shared,
            late_s=self._late_s,
        )

    def _report(self, running: Relay, listen: str, to: str, priority: str) -> RelayReport:
        from rtcprobe.report.relay import ClientReport, RelayReport, columns_of
        from rtcprobe.result import LinkReport
        from rtcprobe.runtime.relay import written

        end_s = running.now_s()
        return RelayReport(
            listen=listen,
            to=to,
            seed=self._seed,
            duration_s=end_s,
            clients=[
                ClientReport(
                    client=written(flow.client),
                    begun_s=flow.begun_s,
                    to_server=LinkReport.of(flow.to_server.requested(), flow.to_server.achieved()),
                    to_client=LinkReport.of(flow.to_client.requested(), flow.to_client.achieved()),
                    refused=flow.refused,
                    unsendable=flow.unsendable,
                    seconds={
                        "to_server": columns_of(flow.to_server.seconds, _rate_of(self._up), end_s),
                        "to_client": columns_of(flow.to_client.seconds, _rate_of(self._down), end_s),
                    },
                )
                for flow in running.flows
            ],
            turned_away=running.turned_away,
            forgotten=running.forgotten,
            late_s=running.latenesses_s,
            shared=self._shared,
            priority=priority,
            lateness=running.lateness,
        )


def _rate_of(hops: list[LinkSpec]) -> Callable[[float], float | None]:
    """Return what tells the least rate of some hops at an instant."""

    def rate_bps(at_s: float) -> float | None:
        # Of several hops the narrowest is what a packet meets.
        return min((rate for rate in (hop.rate_bps_at(at_s) for hop in hops) if rate is not None), default=None)

    return rate_bps


async def _warn(running: Relay) -> None:
    """Say while it runs that seconds are late, now and then."""
    import asyncio

    from rtcprobe.runtime.seconds import spans

    told = 0
    while True:
        await asyncio.sleep(_WARN_EVERY_S)
        # Whole seconds that are over, and were not told of yet.
        late = [second for second in running.lateness.invalid() if second >= told and second < int(running.now_s())]
        if late:
            told = late[-1] + 1
            complain(f"late in {spans(late)}: what a client that adapts did there is not the link's doing")
