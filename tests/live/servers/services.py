"""Peers that are joined by posting an SDP offer: aiortc, pion and a browser, each a process of its own."""

from __future__ import annotations

import base64
import hmac
import json
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from process import ServerProcess, answers_tcp, free_port

__all__ = ["ECHO_TOKEN", "AiortcEcho", "AiortcSfu", "ChromiumPeer", "LiveKitRoom", "PionEcho", "PionSfu"]

ECHO_TOKEN = "aiortc-echo-bearer-token"
LIVEKIT_SECRET = b"a-secret-of-the-stand-in-32-bytes"
"""As in ``livekit_room.py``, which another Python runs."""
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


class AiortcSfu(_Service):
    """A forwarder with WHIP and WHEP, told in ``aiortc_sfu.py``."""

    def __init__(self, address: str, folder: Path) -> None:
        command = [sys.executable, HERE / "aiortc_sfu.py", address, "{port}"]
        super().__init__("aiortc-sfu", address, folder, command, {})


class LiveKitRoom(_Service):
    """A stand-in for LiveKit that serves ``pages`` too, told in ``livekit_room.py``; ``installed`` as above."""

    def __init__(self, address: str, folder: Path, installed: Path, pages: Path) -> None:
        python = installed / "agents" / "bin" / "python"  # LiveKit's own messages come with its agents
        command = [python, HERE / "livekit_room.py", address, "{port}", pages]
        super().__init__("livekit", address, folder, command, {})

    @property
    def url(self) -> str:
        return self.origin.replace("http://", "ws://")

    @staticmethod
    def token(identity: str, room: str) -> str:
        """Return a token for ``identity``, as an application's own server makes one (RFC 7519, HS256)."""
        claims = {"sub": identity, "video": {"room": room, "roomJoin": True}}
        head = ".".join(_base64url(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims))
        return f"{head}.{_base64url(hmac.digest(LIVEKIT_SECRET, head.encode(), 'sha256'))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class ChromiumPeer(_Service):
    """A browser at ``/echo`` and ``/publish``, told in ``chromium_peer.py``."""

    def __init__(self, address: str, folder: Path) -> None:
        command = [sys.executable, HERE / "chromium_peer.py", address, "{port}"]
        super().__init__("chromium", address, folder, command, {})
