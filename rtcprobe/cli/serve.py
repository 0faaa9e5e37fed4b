"""``rtcprobe serve``: probes on schedules, for Prometheus and for people."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from rtcprobe.cli.common import say
from rtcprobe.cli.signals import heed
from rtcprobe.errors import printable

__all__ = ["serve"]


@click.command()
@click.option(
    "--config",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="What to probe and when (YAML); read again on SIGHUP and POST /-/reload.",
)
@click.option(
    "--listen", default="127.0.0.1:9817", show_default=True, metavar="HOST:PORT", help="Where to answer; port 0: any."
)
@click.option(
    "--web-config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="TLS and basic auth, in the web config format of Prometheus' own servers.",
)
@click.option("--check", is_flag=True, help="Read the configuration, say what it comes to, and end.")
def serve(config: Path, *, listen: str, web_config: Path | None, check: bool) -> int:
    """Run probes on their schedules and answer /metrics, /probe and a page at /.

    Every run has a fresh seed, shown with it. SIGTERM ends it with exit code 0. To be safe from a SIGHUP that comes
    before the program does (in the first milliseconds), start it with nohup.
    """
    with _hang_ups() as told_before:
        return _serve(config, listen, web_config, told_before, check=check)


@contextlib.contextmanager
def _hang_ups() -> Iterator[Callable[[], bool]]:
    """Take note of a SIGHUP that comes while all is still being loaded: unheeded, it would end the process."""
    told: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _frame: told.append(number))
    heed("SIGHUP")
    try:
        yield lambda: bool(told)
    finally:
        signal.signal(signal.SIGHUP, before)


def _serve(config: Path, listen: str, web_config: Path | None, told_before: Callable[[], bool], *, check: bool) -> int:
    import asyncio

    from rtcprobe.exporter.config import described, read_config
    from rtcprobe.exporter.server import bind
    from rtcprobe.exporter.server import serve as serve_until_told
    from rtcprobe.exporter.webconfig import read_web_config

    if check:
        understood = read_config(config)
        if web_config is not None:
            read_web_config(web_config)
        for plan in understood.probes:
            say(described(plan))
        return 0
    _log_to_stderr()
    # Before anything is loaded or logged: an address that cannot be had is the first thing to know.
    with bind(listen) as listener:
        asyncio.run(serve_until_told(config, listener, web_config, told_before=told_before))
    return 0


class Scrubbed(logging.Formatter):
    """Log lines without secrets and control characters, whoever wrote them."""

    def format(self, record: logging.LogRecord) -> str:
        from rtcprobe.secrets import scrub

        # Line by line, as ``printable`` would take a traceback's ends of lines for control characters.
        return "\n".join(map(printable, scrub(super().format(record)).split("\n")))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(Scrubbed("%(asctime)s %(levelname)s %(message)s"))
    # Others' libraries only where something is wrong; ours tell what they do.
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("rtcprobe").setLevel(logging.INFO)
