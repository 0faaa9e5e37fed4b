"""coturn: TURN over UDP, TCP and TLS, with long-term or REST credentials.

Source: turnserver(1); draft-uberti-behave-turn-rest-00 for credentials made of a shared secret and an expiry.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from pathlib import Path

from process import ServerProcess, answers_tcp, free_ports

__all__ = ["REST_SECRET", "TURN_PASSWORD", "TURN_USER", "Coturn", "rest_credentials"]

TURN_USER = "probe"
TURN_PASSWORD = "long-term-turn-password"
REST_SECRET = "rest-shared-turn-secret"
RELAY_PORTS = (21000, 21999)


class Coturn:
    """A TURN server; ``rest``: users are ``<expiry>:<name>``, their passwords made from ``REST_SECRET``."""

    def __init__(self, address: str, folder: Path, certificate: tuple[Path, Path], *, rest: bool = False) -> None:
        self.address = address
        self.port, self.tls_port = free_ports(2, address)
        folder.mkdir(parents=True, exist_ok=True)
        credentials = (
            f"use-auth-secret\nstatic-auth-secret={REST_SECRET}" if rest else f"user={TURN_USER}:{TURN_PASSWORD}"
        )
        (folder / "turnserver.conf").write_text(f"""
listening-ip={address}
relay-ip={address}
listening-port={self.port}
tls-listening-port={self.tls_port}
min-port={RELAY_PORTS[0]}
max-port={RELAY_PORTS[1]}
lt-cred-mech
{credentials}
realm=rtcprobe.test
fingerprint
cert={certificate[0]}
pkey={certificate[1]}
no-dtls
no-cli
no-multicast-peers
allow-loopback-peers
pidfile={folder}/turnserver.pid
userdb={folder}/turndb
log-file=stdout
simple-log
verbose
""")
        self.process = ServerProcess("coturn", ["turnserver", "-c", folder / "turnserver.conf"], folder=folder)

    def start(self) -> None:
        self.process.start(lambda: answers_tcp(self.address, self.port) and answers_tcp(self.address, self.tls_port))

    def url(self, transport: str = "udp") -> str:
        """Return its URL for ``transport``: udp, tcp or tls."""
        if transport == "tls":
            return f"turns:{self.address}:{self.tls_port}?transport=tcp"
        return f"turn:{self.address}:{self.port}?transport={transport}"

    def allocations(self) -> int:
        """Return how many relays it has given out so far."""
        return self.process.log.read_text(errors="replace").count("ALLOCATE processed, success")


def rest_credentials(*, expires_in_s: float = 600.0, name: str = "probe") -> tuple[str, str]:
    """Return a user and password as a web service would hand them out."""
    user = f"{int(time.time() + expires_in_s)}:{name}"
    digest = hmac.new(REST_SECRET.encode(), user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(digest).decode()
