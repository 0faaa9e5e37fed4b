"""Peers that are joined by posting an SDP offer: aiortc, pion and a browser, each a process of its own."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from process import ServerProcess, answers_tcp, free_port

__all__ = ["ECHO_TOKEN", "AiortcEcho", "ChromiumPeer", "PionEcho", "PionSfu"]

ECHO_TOKEN = "aiortc-echo-bearer-token"
HERE = Path(__file__).parent


class _Service:
    """A process that takes offers at paths below ``origin``."""

    def __init__(
        self, name: str, address: str, folder: Path, command: Sequence[str | Path], environment: Mapping[str, str]
    ) -> None:
        """``command`` may name ``{port}``."""
        self.port = free_port(address)
        self._address = address
        self.origin = f"http://{address}:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        filled = [str(part).format(port=self.port) for part in command]
        self.process = ServerProcess(name, filled, folder=folder, environment=environment)

    def start(self) -> None:
        self.process.start(lambda: answers_tcp(self._address, self.port))

    def get(self, path: str) -> Any:
        """Return the JSON found at ``path``."""
        with urllib.request.urlopen(f"{self.origin}{path}", timeout=5) as answer:
            return json.loads(answer.read())

    def open_calls(self) -> int:
        return int(self.get("/calls"))


class AiortcEcho(_Service):
    """An echo with many paths, told in ``aiortc_echo.py``."""

    def __init__(self, address: str, folder: Path) -> None:
        command = [sys.executable, HERE / "aiortc_echo.py", address, "{port}"]
        super().__init__("aiortc", address, folder, command, {"ECHO_TOKEN": ECHO_TOKEN})


class PionEcho(_Service):
    """An echo at ``/offer``, plain SDP or JSON; ``installed`` is the folder that ``.ci/install-live`` fills."""

    def __init__(self, address: str, folder: Path, installed: Path) -> None:
        super().__init__("pion", address, folder, [installed / "pion-echo", "-listen", address + ":{port}"], {})


class PionSfu(_Service):
    """A forwarding server at ``/whip/NAME`` and ``/whep/NAME``; ``installed`` as for ``PionEcho``."""

    def __init__(self, address: str, folder: Path, installed: Path) -> None:
        super().__init__("pion-sfu", address, folder, [installed / "pion-sfu", "-listen", address + ":{port}"], {})

    def open_sessions(self) -> int:
        return int(self.get("/sessions"))


class ChromiumPeer(_Service):
    """A browser at ``/echo`` and ``/publish``, told in ``chromium_peer.py``."""

    def __init__(self, address: str, folder: Path) -> None:
        command = [sys.executable, HERE / "chromium_peer.py", address, "{port}"]
        super().__init__("chromium", address, folder, command, {})
