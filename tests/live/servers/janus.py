"""Janus: EchoTest, VideoRoom, AudioBridge and Streaming, over HTTP and WebSocket, on ports of its own.

Facts:
    1. The plugins' folder is the one the ``janus`` package installs; only the plugins named here are loaded, because
       each costs start-up time and some open ports.
    2. Rooms are in the configuration, so that a client needs no admin key.

Source: the package's own commented /etc/janus/*.jcfg; https://janus.conf.meetecho.com/docs/ (1.1.2).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from process import ServerError, ServerProcess, free_ports

__all__ = ["BRIDGE", "MOUNTPOINT", "PIN", "PIN_ROOM", "ROOM", "ROOM_SECRET", "SMALL_ROOM", "TEXTROOM", "Janus"]

ROOM = 1234
PIN_ROOM = 4321
PIN = "opensesame-room-pin"
SMALL_ROOM = 77
"""Takes one publisher only."""
ROOM_SECRET = "room-admin"
BRIDGE = 55
"""A room of the AudioBridge."""
TEXTROOM = 66
MOUNTPOINT = 10
RTP_PORTS = "20000-20999"
"""Server-side media ports; the tests' network is their own."""


class Janus:
    """A Janus of ours at ``address``, with TLS too if it gets a ``certificate`` (its file and its key's).

    ``api_secret``: its API wants this secret in every request; ``full_trickle``: candidates come after descriptions.
    """

    def __init__(
        self,
        address: str,
        folder: Path,
        certificate: tuple[Path, Path] | None = None,
        *,
        api_secret: str | None = None,
        full_trickle: bool = False,
    ) -> None:
        self.address = address
        self.api_secret = api_secret
        self._certificate = certificate
        self._full_trickle = full_trickle
        self.http_port, self.https_port, self.ws_port, self.wss_port, self.mountpoint_port = free_ports(5, address)
        folder.mkdir(parents=True, exist_ok=True)
        self._write_configuration(folder)
        self.process = ServerProcess("janus", ["janus", "-F", folder, "-C", folder / "janus.jcfg"], folder=folder)

    @property
    def http_url(self) -> str:
        return f"http://{self.address}:{self.http_port}/janus"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.address}:{self.ws_port}"

    def start(self) -> None:
        self.process.start(self.ready)

    def ready(self) -> bool:
        with suppress(OSError, urllib.error.URLError), urllib.request.urlopen(f"{self.http_url}/info", timeout=1) as r:
            return b"server_info" in r.read()
        return False

    def ask(self, body: dict[str, object], path: str = "") -> dict[str, object]:
        """Return Janus's answer to one request of its HTTP API."""
        if self.api_secret is not None:
            body = {**body, "apisecret": self.api_secret}
        request = urllib.request.Request(
            f"{self.http_url}{path}",
            data=json.dumps({"transaction": "test", **body}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())

    def participants(self, room: int = ROOM) -> list[dict[str, object]]:
        """Return who is in ``room``, as Janus tells."""
        session = self.ask({"janus": "create"})["data"]["id"]
        handle = self.ask({"janus": "attach", "plugin": "janus.plugin.videoroom"}, f"/{session}")["data"]["id"]
        body = {"request": "listparticipants", "room": room}
        answer = self.ask({"janus": "message", "body": body}, f"/{session}/{handle}")
        self.ask({"janus": "destroy"}, f"/{session}")
        data = answer["plugindata"]["data"]
        if "participants" not in data:
            raise ServerError(f"room {room}: {data}")
        return data["participants"]

    def _write_configuration(self, folder: Path) -> None:
        library = next(Path("/usr/lib").glob("*/janus"), Path("/usr/lib/janus"))
        plugins = _others(library / "plugins", "echotest", "videoroom", "streaming", "audiobridge", "textroom")
        transports = _others(library / "transports", "http", "websockets")
        secret = "" if self.api_secret is None else f'api_secret = "{self.api_secret}"'
        (folder / "janus.jcfg").write_text(f"""
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{library}/plugins"
  transports_folder = "{library}/transports"
  events_folder = "{library}/events"
  loggers_folder = "{library}/loggers"
  debug_level = 4
  {secret}
}}
media: {{ rtp_port_range = "{RTP_PORTS}" }}
nat: {{ ice_enforce_list = "{self.address}", full_trickle = {str(self._full_trickle).lower()} }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
""")
        tls, files = "false", ""
        if self._certificate is not None:
            tls, files = "true", 'cert_pem = "{}", cert_key = "{}"'.format(*self._certificate)
        (folder / "janus.transport.http.jcfg").write_text(f"""
general: {{
  json = "compact", base_path = "/janus"
  http = true, port = {self.http_port}, ip = "{self.address}"
  https = {tls}, secure_port = {self.https_port}, secure_ip = "{self.address}"
}}
admin: {{ admin_http = false, admin_https = false }}
certificates: {{ {files} }}
""")
        (folder / "janus.transport.websockets.jcfg").write_text(f"""
general: {{
  json = "compact", ws = true, ws_port = {self.ws_port}, ws_ip = "{self.address}"
  wss = {tls}, wss_port = {self.wss_port}, wss_ip = "{self.address}"
}}
admin: {{ admin_ws = false, admin_wss = false }}
certificates: {{ {files} }}
""")
        (folder / "janus.plugin.echotest.jcfg").write_text("general: { }\n")
        (folder / "janus.plugin.videoroom.jcfg").write_text(f"""
general: {{ }}
room-{ROOM}: {{ description = "opus", publishers = 100, audiocodec = "opus", secret = "{ROOM_SECRET}" }}
room-{PIN_ROOM}: {{ description = "pin", publishers = 10, audiocodec = "opus", pin = "{PIN}" }}
room-{SMALL_ROOM}: {{ description = "one publisher", publishers = 1, audiocodec = "opus" }}
""")
        (folder / "janus.plugin.audiobridge.jcfg").write_text(f"""
general: {{ }}
room-{BRIDGE}: {{ description = "mix", sampling_rate = 48000, secret = "{ROOM_SECRET}" }}
""")
        (folder / "janus.plugin.textroom.jcfg").write_text(f"""
general: {{ }}
room-{TEXTROOM}: {{ description = "text" }}
""")
        (folder / "janus.plugin.streaming.jcfg").write_text(f"""
general: {{ }}
rtp-opus: {{
  type = "rtp", id = {MOUNTPOINT}, description = "opus over RTP"
  media = ( {{ type = "audio", mid = "a", label = "audio", port = {self.mountpoint_port}, pt = 111, codec = "opus" }} )
}}
""")


def _others(folder: Path, *wanted: str) -> str:
    """Return the modules in ``folder`` that are not ``wanted``, as Janus's ``disable`` lists them."""
    names = [path.name for path in folder.glob("libjanus_*.so")]
    return ",".join(name for name in names if name not in {f"libjanus_{each}.so" for each in wanted})
