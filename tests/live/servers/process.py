"""A server process: started with a log, awaited until it answers, stopped or killed, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["ServerError", "ServerProcess", "answers_tcp", "free_port", "free_ports"]

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.02


class ServerError(Exception):
    """A server that did not start, with the end of its log."""


class ServerProcess:
    """One process and its children, in a process group of their own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        stdin: Path | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._command = [str(part) for part in command]
        self._environment = {**os.environ, **(environment or {})}
        self._stdin = stdin
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Start it and wait until ``ready``.

        Raises:
            ServerError: it ended, or was not ready in time.
        """
        with self.log.open("ab") as log, _opened(self._stdin) as stdin:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self._environment,
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < end_s:
            if self._process.poll() is not None:
                raise ServerError(f"{self.name} ended with {self._process.returncode}:\n{self._tail()}")
            if ready():
                return
            time.sleep(POLL_S)
        self.kill()
        raise ServerError(f"{self.name} was not ready within {READY_TIMEOUT_S:g} s:\n{self._tail()}")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send ``number`` to all of its processes."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """End it: asked first, killed if it does not listen."""
        if self._process is None:
            return
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        self.kill()

    def kill(self) -> None:
        """End it as a crash does (SIGKILL)."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def free_port(address: str = "") -> int:
    """Return a port that is free for TCP and UDP just now."""
    return free_ports(1, address)[0]


def free_ports(count: int, address: str = "") -> list[int]:
    """Return ``count`` different ports, free for TCP and UDP just now."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held += [tcp, udp]
            tcp.bind((address, 0))
            port = tcp.getsockname()[1]
            with suppress(OSError):
                udp.bind((address, port))
                ports.append(port)
    finally:
        for each in held:
            each.close()
    return ports


def answers_tcp(address: str, port: int) -> bool:
    """Say whether somebody accepts connections there."""
    with suppress(OSError), socket.create_connection((address, port), timeout=1.0):
        return True
    return False


class _opened:  # noqa: N801 - a context manager used like a function
    """The file to read from; nothing where there is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def __enter__(self) -> BinaryIO | int:
        self._file = None if self._path is None else self._path.open("rb")
        return subprocess.DEVNULL if self._file is None else self._file

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
