"""What video receivers are called: a scenario's schema has their names, and no receiver (``policies``)."""

from __future__ import annotations

from typing import Final

__all__ = ["POLICIES"]

POLICIES: Final = ("libwebrtc", "chromium", "aiortc", "asap")
