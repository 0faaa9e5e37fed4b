"""The command line: ``rtcprobe run | check | compare | report | …``, a file each or a few together.

Rules:
    1. Everything that can be refused is refused before anything runs: scenarios, flags, places to write to.
    2. An error is one sentence on standard error and an exit code, never a traceback.
    3. With ``--json -`` standard output carries JSON and nothing else.
    4. Heavy imports wait until a command needs them: ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

import click

from rtcprobe import __version__
from rtcprobe.cli.common import EXIT_CODES, complain
from rtcprobe.cli.signals import ended_as_by_hand, heed
from rtcprobe.errors import BadInputError, ExitCode, RtcprobeError, did_you_mean
from rtcprobe.secrets import scrub

__all__ = ["cli", "main"]

# Who was ended by a signal exits with 128 and its number: the shell's convention (POSIX, 2.8.2: more than 128).
_SIGNALLED = 128
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # where standard output is a file
_BROKEN_PIPE = 141  # 128 + SIGPIPE, the shell's convention: no verdict was delivered


_HOMES = {
    **{name: name for name in ("run", "serve", "check", "compare", "vendors", "sweep", "relay")},
    **{name: name for name in ("adapt", "hear", "link", "place", "report")},
    **dict.fromkeys(("score", "scenarios", "links", "targets", "schema", "selftest"), "look"),
}
"""Every command, and the module that has it: one of them is loaded for itself alone, all of them for ``--help``."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return sorted(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in _HOMES:
            return None
        command: click.Command = getattr(import_module(f"rtcprobe.cli.{_HOMES[cmd_name]}"), cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        # Here, for click guesses among the commands that are loaded, which are none.
        if args[0] not in _HOMES and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise BadInputError(f"command {args[0]!r} is not known", did_you_mean(args[0], sorted(_HOMES)))
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rtcprobe", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Make real WebRTC calls over emulated links, time them from join to mouth-to-ear, and judge them."""
    heed("SIGINT", "SIGTERM")
    if context.invoked_subcommand != "serve":  # which reloads then, and says itself when it can
        heed("SIGHUP")


def _say(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    else:
        complain(error.format_message())


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit the process with its code."""
    with ended_as_by_hand() as told:
        code = _code(arguments)
    # Only where the signal is what ended it: one that came while results were written changes no verdict.
    if told and code == ExitCode.INTERRUPTED:
        code = _SIGNALLED + told[0]
    sys.exit(int(code or 0))


def _code(arguments: list[str] | None) -> int:
    """Run the command line, and return its code."""
    try:
        # Not standalone: click would print its own sentences, and exit with 1, which is a verdict here.
        code: Any = cli.main(args=arguments, prog_name="rtcprobe", standalone_mode=False)
        # Within the try: a reader that went away is found out here, not by Python at its exit.
        if sys.stdout is not None:  # which it is where it was closed, as by `>&-`
            sys.stdout.flush()
    except click.ClickException as error:
        _say(error)
        code = ExitCode.BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        code = ExitCode.INTERRUPTED
    except RtcprobeError as error:
        complain(str(error))
        code = error.exit_code
    except SystemExit as left:
        # click leaves so, with 0, when it has completed a word for the shell, and with 1, as rich does, when the reader
        # of our output went away, as `head` does.
        code = _BROKEN_PIPE if left.code else ExitCode.MET
    except BrokenPipeError:
        _silenced()
        code = _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - rule 2 holds for our own faults too, and exit code 1 is a verdict
        code = _unforeseen(error)
    return int(code or 0)


def _silenced() -> None:
    """Turn standard output away: else Python flushes once more at its exit, and complains on standard error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unforeseen(error: Exception) -> ExitCode:
    """Say what nothing below has told in a sentence of its own."""
    if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
        _silenced()
        complain(f"the output could not be written: {os.strerror(error.errno)}")
        return ExitCode.NOT_MEASURED
    # For whoever is asked to report one.
    if os.environ.get("RTCPROBE_TRACEBACK") == "1":
        click.echo(scrub(traceback.format_exc()), err=True, nl=False)
    fault = " ".join(f"{type(error).__name__}: {error}".split())
    complain(f"this is a fault of rtcprobe itself: {fault}; please report it")
    return ExitCode.NOT_MEASURED
