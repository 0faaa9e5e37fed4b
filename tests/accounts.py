"""Accounts by way, as tests write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rtcprobe.result import Account
from rtcprobe.ways import Way

__all__ = ["accounts_of"]


def accounts_of(ears: Mapping[str, Account]) -> tuple[Account, ...]:
    """Return accounts as those of the ways they are given under."""
    return tuple(replace(each, way=Way(way)) for way, each in ears.items())
