"""GitHub Actions: annotations on the output of a step, and its summary.

Facts:
    A step shows ten annotations of each kind, so the gravest come first; its summary may be 1 MiB
    (docs.github.com, "Workflow commands for GitHub Actions").
    In a command's data ``%``, CR and LF are escaped, in a property ``:`` and ``,`` too (actions/toolkit, command.ts).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rtcprobe.errors import BadInputError

if TYPE_CHECKING:
    from rtcprobe.report.cases import Case

__all__ = ["annotation_lines", "append_summary", "is_github"]

# GitHub's limit of a step's summary, 1 MiB; a step that writes more loses all of it.
SUMMARY_BYTES = 2**20

_KINDS = {"failed": "error", "error": "error", "noted": "warning"}


def is_github(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a step of a GitHub workflow."""
    return environment.get("GITHUB_ACTIONS") == "true"


def annotation_lines(cases: Iterable[Case]) -> list[str]:
    """Return the workflow commands that annotate what did not pass, gravest first."""
    from rtcprobe.report.cases import gravest  # noqa: PLC0415 - where no step runs nobody needs what cases are made of

    return [
        f"::{_KINDS[each.outcome]} title={_property(f'rtcprobe {each.suite}')}::{_data(each.message or each.name)}"
        for each in gravest(cases)
    ]


def append_summary(texts: Iterable[str], environment: Mapping[str, str] = os.environ) -> None:
    """Append the first of ``texts`` (long to short) that fits to the summary of the step; nothing where there is none.

    Raises:
        BadInputError: the summary cannot be written.
    """
    path = environment.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with Path(path).open("ab") as file:
            # Other commands of the step may have written before: GitHub counts all of it.
            room = SUMMARY_BYTES - file.tell()
            for text in texts:
                # A lone surrogate (a path of another encoding) must not cost the summary.
                data = text.encode("utf-8", errors="replace")
                if len(data) <= room:
                    file.write(data)
                    break
    except OSError as error:
        fact = f"GITHUB_STEP_SUMMARY {path} cannot be written"
        raise BadInputError(fact, error.strerror or str(error)) from error


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
