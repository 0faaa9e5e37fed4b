"""Pages for a browser: a folder served over HTTP, and the demo pages of Janus as Debian packages them.

Facts:
    Debian's demos refer to its own folder of scripts, and want three names that their settings leave out: ``token``,
    ``apisecret`` and an ``iceServers`` that is a list. Source: /usr/share/doc/janus-demos, README.Debian.
"""

from __future__ import annotations

import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

from janus import Janus
from process import ServerProcess, free_port

__all__ = ["DEMOS", "Pages", "janus_demos"]

DEMOS = Path("/usr/share/janus/demos")
SCRIPTS = Path("/usr/share/javascript")


class Pages:
    """The files of a folder at ``http://ADDRESS:PORT/``."""

    def __init__(self, address: str, folder: Path) -> None:
        self.port = free_port(address)
        self.url = f"http://{address}:{self.port}"
        command = [sys.executable, "-m", "http.server", str(self.port), "--bind", address, "--directory", folder]
        logs = folder.parent
        self.process = ServerProcess(f"pages-{self.port}", command, folder=logs)

    def start(self) -> None:
        self.process.start(self.ready)

    def ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(self.url, timeout=1):
            return True
        return False


def janus_demos(folder: Path, janus: Janus) -> Path:
    """Return a folder with the demos, whose settings name ``janus``."""
    demos = folder / "demos"
    demos.mkdir(parents=True)
    for each in DEMOS.iterdir():
        if each.name != "settings.js":
            (demos / each.name).symlink_to(each)
    with suppress(FileExistsError):
        (demos / "javascript").symlink_to(SCRIPTS)
    (demos / "settings.js").write_text(
        f'var server = "{janus.http_url}";\nvar iceServers = [];\nvar token = "";\nvar apisecret = "";\n'
    )
    return demos
