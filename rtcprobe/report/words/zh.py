"""The words of reports in Chinese (simplified), as people who run live rooms say them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["CHINESE"]

CHINESE: Final[Mapping[str, str]] = {}
