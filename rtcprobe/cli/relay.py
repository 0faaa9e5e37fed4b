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
from typing import TYPE_CHECKING, TypeVar

import click

from rtcprobe.cli.common import complain, console, say
from rtcprobe.errors import BadInputError, ExitCode

if TYPE_CHECKING:
    from rtcprobe.link import LinkSpec
    from rtcprobe.report.relay import RelayReport
    from rtcprobe.runtime.relay import Relay

__all__ = ["relay"]

_T = TypeVar("_T")

_EXIT_CODES = (
    "Exit codes: 0 relayed, 2 bad usage, 3 nothing came, or this machine was too busy to let packets out in time. "
    "Ctrl-C is the usual end."
)

LONGEST_S = 30 * 86_400.0


@click.command(epilog=_EXIT_CODES, short_help="Relay anybody's UDP packets through a link.")
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where clients send to; port 0: any free one.")
@click.option("--to", required=True, metavar="HOST:PORT", help="The server that is meant.")
@click.option("--link", required=True, metavar="LINE", help="Both ways, in tc-netem's words: 'delay 80ms loss 2%'.")
@click.option("--back-link", metavar="LINE", help="The way back from the server, where it differs.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, metavar="N", help="Seed of the links."
)
@click.option("--duration", metavar="TIME", help="End after this long, like 60s; without it, Ctrl-C ends it.")
@click.option("--json", "json_path", metavar="PATH|-", help="Write what was done to the packets.")
def relay(
    *, listen: str, to: str, link: str, back_link: str | None, seed: int, duration: str | None, json_path: str | None
) -> int:
    """Relay UDP through a link, for clients that are not ours; at the end, say what was done to their packets.

    Every client has a link of its own. To put a browser behind it, replace the address in the server's candidates by
    the relay's before the browser gets them, and take the browser's own candidates out of what the server gets: then
    all media passes the relay.
    """
    import asyncio

    from rtcprobe.link import parse_link
    from rtcprobe.report.json import check_writable, write_whole
    from rtcprobe.report.lines import print_lines
    from rtcprobe.report.relay import relay_lines
    from rtcprobe.runtime.real import RealEventLoop
    from rtcprobe.runtime.relay import LATE_S, resolve_udp
    from rtcprobe.units import parse_duration

    up = _read("--link", parse_link, link)
    down = up if back_link is None else _read("--back-link", parse_link, back_link)
    seconds = None if duration is None else _read("--duration", parse_duration, duration)
    if seconds is not None and not 0 < seconds <= LONGEST_S:
        raise BadInputError(f"--duration {duration} is impossible", "give more than 0s, 720h at most")
    if json_path is not None:
        check_writable(json_path)
    front, server = resolve_udp(listen, "--listen"), resolve_udp(to, "--to")
    if server[1] == 0:
        raise BadInputError(f"--to {to!r} has no port", "name the server's")
    if front == server:
        raise BadInputError(f"--listen and --to are both {listen}", "listen at another port")
    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        report = runner.run(_until_ended(front, server, (up, down), seed=seed, seconds=seconds))
    if json_path is not None:
        write_whole(json.dumps(report.to_dict(), indent=1, ensure_ascii=json_path == "-") + "\n", json_path)
    print_lines(relay_lines(report), console(stderr=json_path == "-"))
    late_s = report.late_quantile_s(0.95)
    if late_s is None:
        complain(f"nothing was relayed: let a client send to {report.listen}")
        return ExitCode.NOT_MEASURED
    if late_s > LATE_S:
        complain(f"the relay was {late_s * 1e3:.1f} ms late at p95: this machine is too busy for it")
        return ExitCode.NOT_MEASURED
    return ExitCode.MET


def _read(flag: str, parse: Callable[[str], _T], written: str) -> _T:
    try:
        return parse(written)
    except BadInputError as error:
        raise error.within(flag) from None


async def _until_ended(
    listen: tuple[str, int], to: tuple[str, int], links: tuple[LinkSpec, LinkSpec], *, seed: int, seconds: float | None
) -> RelayReport:
    import asyncio

    from rtcprobe.runtime.relay import Relay, written

    ended = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows has no such signal
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    running = Relay(listen=listen, to=to, up=[links[0]], down=[links[1]], seed=seed)
    shown = written(running.address)
    try:
        say(f"relaying {shown} → {written(to)}, Ctrl-C ends it", err=True)
        async with asyncio.timeout(seconds):
            await ended.wait()
    except (TimeoutError, asyncio.CancelledError):  # the latter is Ctrl-C
        pass
    finally:
        running.close()
    return _report(running, shown, written(to), seed)


def _report(running: Relay, listen: str, to: str, seed: int) -> RelayReport:
    from rtcprobe.report.relay import ClientReport, RelayReport
    from rtcprobe.result import LinkReport
    from rtcprobe.runtime.relay import written

    return RelayReport(
        listen=listen,
        to=to,
        seed=seed,
        duration_s=running.now_s(),
        clients=[
            ClientReport(
                client=written(flow.client),
                begun_s=flow.begun_s,
                to_server=LinkReport.of(flow.to_server.requested(), flow.to_server.achieved()),
                to_client=LinkReport.of(flow.to_client.requested(), flow.to_client.achieved()),
                refused=flow.refused,
                unsendable=flow.unsendable,
            )
            for flow in running.flows
        ],
        turned_away=running.turned_away,
        forgotten=running.forgotten,
        late_s=running.latenesses_s,
    )
