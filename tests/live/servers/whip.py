"""WHIP and WHEP servers over a Janus: Debian's simple-whip-server, npm's janus-whep-server.

Facts:
    1. The WHIP server reads ``config.js`` beside its sources, so each run gets a folder with links to them.
    2. Its packages are looked up in ``NODE_PATH``; the WHEP server is an ES module, which knows no such thing and looks
       from the working folder.
    3. A WHIP endpoint is busy (403) until its publisher is gone, so each test makes one of its own.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from janus import ROOM, Janus
from process import ServerProcess, answers_tcp, free_port

__all__ = ["Whep", "Whip"]

HERE = Path(__file__).parent


class Whip:
    """A WHIP server before ``janus``; ``installed`` is the folder that ``.ci/install-live`` fills."""

    def __init__(self, janus: Janus, folder: Path, installed: Path) -> None:
        self.port = free_port(janus.address)
        self.base_url = f"http://{janus.address}:{self.port}/whip"
        self._address = janus.address
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("server.js", "whip-janus.js"):
            (folder / name).write_bytes((installed / "whip" / name).read_bytes())
        config = {
            "janus": {"address": janus.ws_url},
            "port": self.port,
            "rest": "/whip",
            "allowTrickle": True,
            "strictETags": False,
            "iceServers": [],
        }
        (folder / "config.js").write_text(f"module.exports = {json.dumps(config)};\n")
        self.process = ServerProcess(
            "whip",
            ["node", folder / "server.js"],
            folder=folder,
            environment={"NODE_PATH": str(installed / "npm" / "node_modules"), "DEBUG": "whip:*", "DEBUG_COLORS": "no"},
        )

    def start(self) -> None:
        self.process.start(lambda: answers_tcp(self._address, self.port))

    def create(
        self, name: str, *, room: int = ROOM, token: str | None = None, ice_servers: Sequence[dict[str, str]] = ()
    ) -> str:
        """Make an endpoint and return its URL; ``ice_servers``: uri, username and credential of its Link headers."""
        _post(
            f"{self.base_url}/create",
            {"id": name, "room": room, "label": name, "token": token, "iceServers": list(ice_servers) or None},
        )
        return f"{self.base_url}/endpoint/{name}"

    def busy(self, name: str) -> bool:
        """Say whether somebody publishes at endpoint ``name``."""
        with urllib.request.urlopen(f"{self.base_url}/endpoints", timeout=5) as answer:
            return next(each["enabled"] for each in json.loads(answer.read()) if each["id"] == name)


class Whep:
    """A WHEP server before ``janus``; ``installed`` is the folder that ``.ci/install-live`` fills."""

    def __init__(self, janus: Janus, folder: Path, installed: Path) -> None:
        self.port = free_port(janus.address)
        self._address = janus.address
        self._origin = f"http://{janus.address}:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        self.process = ServerProcess(
            "whep",
            ["env", "-C", installed / "npm", "node", "--input-type=module", "-"],
            folder=folder,
            environment={"JANUS_WS": janus.ws_url, "WHEP_PORT": str(self.port), "WHEP_ADDRESS": janus.address},
            stdin=HERE / "whep.mjs",
        )

    def start(self) -> None:
        self.process.start(lambda: answers_tcp(self._address, self.port))

    def create(
        self,
        name: str,
        *,
        room: int | None = None,
        publisher: str | None = None,
        mountpoint: int | None = None,
        token: str | None = None,
    ) -> str:
        """Make an endpoint of a VideoRoom (answers with its own offer) or a mountpoint; return its URL.

        ``publisher`` is whom of the room it follows, by the name of a WHIP endpoint; else whoever came last.
        """
        of = {"room": room, "publisher": publisher, "mountpoint": mountpoint}
        _post(f"{self._origin}/create", {"id": name, **of, "token": token})
        return f"{self._origin}/whep/endpoint/{name}"


def _post(url: str, body: object) -> None:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=5):
        pass
