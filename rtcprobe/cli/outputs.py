"""Where a command writes besides the screen: JSON, JUnit, Markdown, a history, GitHub Actions."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcprobe.cli.common import complain, console
from rtcprobe.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

    from rtcprobe.report.cases import Case, Suite
    from rtcprobe.result import Result

__all__ = ["Outputs", "need_places", "output_options"]

_GITHUB_HELP = "Annotate the step and append to its summary [default: within GitHub Actions]."

_OPTIONS = (
    click.option("--json", "json_path", metavar="PATH|-", help="Write everything as JSON (several: an array)."),
    click.option("--junit", "junit_path", metavar="PATH|-", help="Write JUnit XML: a case a budget."),
    click.option("--markdown", "markdown_path", metavar="PATH|-", help="Write Markdown."),
    click.option("--append", "append_path", metavar="PATH", help="Append every result to this history, one a line."),
    click.option("--github/--no-github", "github", default=None, help=_GITHUB_HELP),
)


def need_places(paths: Mapping[str, str | None]) -> None:
    """Refuse outputs, by their flags, that cannot be written to; None: not asked for.

    Raises:
        BadInputError: one of them, or two outputs in one place.
    """
    from rtcprobe.report.json import check_writable

    places: dict[str, str] = {}
    for flag, path in paths.items():
        if path is None:
            continue
        # First, so that nothing below has to expect a path that is none.
        check_writable(path)
        # "-" as well: two documents in one pipe are none. By their full names, for ``./x`` is ``x``.
        place = path if path == "-" else str(Path(path).resolve())
        if place in places:
            raise BadInputError(f"{places[place]} and {flag} are both {path}", "give each a place of its own")
        places[place] = flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What was asked to be written."""

    json_path: str | None = None
    junit_path: str | None = None
    markdown_path: str | None = None
    html_path: str | None = None
    append_path: str | None = None
    github: bool | None = None

    def refuse(self) -> None:
        """Refuse places that could not be written to, before anything is measured.

        Raises:
            BadInputError: one of them, or two outputs in one place.
        """
        flags = {"--json": self.json_path, "--junit": self.junit_path, "--markdown": self.markdown_path}
        need_places({**flags, "--html": self.html_path, "--append": self.append_path})
        if self.append_path == "-":
            raise BadInputError("--append - is no file", "name one")
        if self.append_path is not None:
            from rtcprobe.report.history import check_appendable

            check_appendable(self.append_path)

    @property
    def pipes(self) -> bool:
        """Whether standard output carries something for a program."""
        return "-" in (self.json_path, self.junit_path, self.markdown_path, self.html_path)

    @property
    def annotates(self) -> bool:
        """Whether a step of GitHub's is told."""
        if self.github is not None:
            return self.github
        from rtcprobe.report.github import is_github

        return is_github()

    @property
    def tells(self) -> bool:
        """Whether anything is made of a command's cases: JUnit, Markdown, annotations."""
        return self.junit_path is not None or self.markdown_path is not None or self.annotates

    def screen(self) -> Console:
        """Return where people read: standard output, or standard error where that is for a program."""
        return console(stderr=self.pipes)

    def append(self, result: Result) -> None:
        """Append ``result`` to the history, if there is one.

        Raises:
            BadInputError: it cannot be.
        """
        if self.append_path is None:
            return
        from rtcprobe.report.history import append_result

        said = append_result(result, self.append_path)
        if said is not None:
            complain(said)

    def write_json(self, text: str) -> None:
        """Write the JSON ``text`` where it was asked for."""
        if self.json_path is not None:
            _write(text, self.json_path)

    def write_markdown(self, text: str) -> None:
        """Write the Markdown ``text`` where it was asked for."""
        if self.markdown_path is not None:
            _write(text, self.markdown_path)

    def write_html(self, text: str) -> None:
        """Write the page ``text`` where it was asked for."""
        if self.html_path is not None:
            _write(text, self.html_path)

    def write_cases(self, cases: Sequence[Case], suites: Sequence[Suite], markdown: Callable[[bool], str]) -> None:
        """Write ``cases`` as JUnit and annotations; ``markdown(brief)`` to its file and the summary of the step."""
        if self.junit_path is not None:
            from rtcprobe.report.junit import junit

            _write(junit(cases, suites), self.junit_path)
        if self.markdown_path is not None:
            _write(markdown(False), self.markdown_path)
        if self.annotates:
            from rtcprobe.report.github import annotation_lines, append_summary

            for line in annotation_lines(cases):
                # The runner reads commands on either stream; standard output may be JSON for the next one.
                click.echo(line, err=self.pipes)
            # Long, then brief: whichever fits first (GitHub's MiB).
            append_summary(f"{markdown(brief)}\n" for brief in (False, True))


def output_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` the flags that say what to write; it gets them as one ``outputs``."""
    names = tuple(Outputs.__dataclass_fields__)

    @functools.wraps(command)
    def collected(**given: Any) -> int:
        outputs = Outputs(**{name: given.pop(name) for name in names if name in given})
        return command(outputs=outputs, **given)

    for option in reversed(_OPTIONS):
        option(collected)
    return collected


def _write(text: str, path: str) -> None:
    from rtcprobe.report.json import write_whole

    if path != "-":
        write_whole(text, path)
        return
    click.echo(text, nl=False)
