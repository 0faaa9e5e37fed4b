"""rtpengine: media on one address, asked by its NG protocol, without its kernel module.

Source: rtpengine(8) of Debian's rtpengine-daemon, 10.5.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from process import ServerProcess, free_port

__all__ = ["Rtpengine"]


class Rtpengine:
    """An rtpengine of ours at ``address``."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.port = address, free_port(address)
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            "rtpengine",
            "--foreground",
            f"--interface={address}",
            f"--listen-ng={address}:{self.port}",
            "--table=-1",
            "--log-stderr",
            "--port-min=21000",
            "--port-max=21999",
            "--config-file=none",
            f"--pidfile={folder / 'pid'}",
        ]
        self.process = ServerProcess("rtpengine", command, folder=folder)

    @property
    def url(self) -> str:
        return f"rtpengine+ng://{self.address}:{self.port}"

    def start(self) -> None:
        self.process.start(self.ready)

    def ready(self) -> bool:
        return b"pong" in self.ask(b"d7:command4:pinge")

    def calls(self) -> int:
        """Return how many calls of ours there are, as rtpengine tells."""
        return self.ask(b"d7:command4:liste").count(b"rtcprobe-")

    def ask(self, question: bytes) -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, suppress(OSError):
            asking.settimeout(0.2)
            asking.sendto(b"test " + question, (self.address, self.port))
            return asking.recv(65535)
        return b""
