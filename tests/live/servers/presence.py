"""What is installed for the live tests; what is not skips them, or fails them where they are required (CI)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

INSTALLED = Path(__file__).resolve().parents[3] / ".live"
INSTALL = ".ci/install-live installs it"


def missing(what: str) -> None:
    """Skip, or fail where live tests are required."""
    if os.environ.get("RTCPROBE_LIVE") == "required":
        pytest.fail(f"{what} is missing, and RTCPROBE_LIVE=required: {INSTALL}")
    pytest.skip(f"{what} is missing: {INSTALL}")


def need(*commands: str) -> None:
    """Skip or fail unless one of ``commands`` is there (a name on the path, or a file)."""
    if not any(shutil.which(command) or Path(command).exists() for command in commands):
        missing(commands[0].rsplit("/", 1)[-1])
