"""Datagram endpoints of emulated hosts, as asyncio's protocols see them: in memory, or on a real UDP socket.

Rule: what an endpoint sends has passed its path before it comes to the other side, be that a call or a socket.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Final

from rtcprobe.errors import MeasurementError

if TYPE_CHECKING:
    from rtcprobe.runtime.network import Host, Network

__all__ = ["MOST_AT_ONCE", "EmulatedTransport", "SocketTransport"]

MOST_AT_ONCE: Final = 64
"""Datagrams read before anything else gets its turn: a flood is read on and on, and timers go off all the same.

64 of them are 2 ms of work."""


class EmulatedTransport(asyncio.DatagramTransport):
    """A datagram endpoint in memory."""

    def __init__(self, network: Network, host: Host, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__()
        self.network = network
        self.host = host
        self.protocol = protocol
        self.closed = False
        self.address = self._bind()

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send ``data`` to ``addr`` (host, port) through the path between the hosts."""
        if not self.closed and addr is not None:
            self.network.carry(self, bytes(data), (addr[0], addr[1]))

    def release(self, data: bytes, destination: EmulatedTransport) -> None:
        """Deliver ``data`` to ``destination`` now: it has passed the path."""
        destination.deliver(data, self.address)

    def deliver(self, data: bytes, address: tuple[str, int]) -> None:
        """Hand an arrived datagram to the protocol."""
        if self.closed:
            return
        if self.host.tap is not None:
            self.host.tap.received(data, self.network.now_s())
        self.protocol.datagram_received(data, address)

    def poll(self) -> None:
        """Hand over what has come and was not handed over yet: in memory, nothing."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the endpoint's address as ``sockname``; nothing else is known."""
        return self.address if name == "sockname" else default

    def is_closing(self) -> bool:
        """Return whether ``close`` was called."""
        return self.closed

    def close(self) -> None:
        """Close: what is still under way to this endpoint is lost."""
        if not self.closed:
            self.closed = True
            self.network.forget(self)
            self._unbind()
            # As asyncio's own endpoints do: never while whoever closes is still at it.
            self.network.loop.call_soon(self.protocol.connection_lost, None)

    abort = close

    def _bind(self) -> tuple[str, int]:
        return self.host.address, self.host.take_port()

    def _unbind(self) -> None:
        pass


class SocketTransport(EmulatedTransport):
    """A datagram endpoint on a real UDP socket of this machine; the path stands before the socket."""

    _socket: socket.socket

    def release(self, data: bytes, destination: EmulatedTransport) -> None:
        """Send ``data`` over the real socket: it has passed the path.

        What has come at the other socket by then is read at once: the loop's next look at all sockets costs the time
        of a hop.
        """
        if self.send(data, destination.address):
            destination.poll()

    def send(self, data: bytes, address: tuple[str, int]) -> bool:
        """Send ``data`` over the real socket, to whosever it is that listens at ``address``; return whether it left."""
        if self.closed:
            return False
        try:
            self._socket.sendto(data, address)
        except BlockingIOError:
            return False  # a full socket buffer loses datagrams, as everywhere
        except OSError as error:
            self.protocol.error_received(error)
            return False
        return True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return ``sockname`` or the ``socket``."""
        return self._socket if name == "socket" else super().get_extra_info(name, default)

    def _bind(self) -> tuple[str, int]:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind((self.host.address, 0))
        except OSError as error:
            self._socket.close()
            raise MeasurementError(
                f"cannot open a UDP socket on {self.host.address}: {error.strerror}",
                "free some ports or file descriptors",
            ) from error
        self.network.loop.add_reader(self._socket, self.poll)
        name = self._socket.getsockname()
        return name[0], name[1]

    def poll(self) -> None:
        """Hand over what has come, ``MOST_AT_ONCE`` at a time: the loop looks again where there is more."""
        for _ in range(MOST_AT_ONCE):
            if self.closed:
                return
            try:
                data, address = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            except OSError as error:
                self.protocol.error_received(error)
                return
            self.deliver(data, (address[0], address[1]))

    def _unbind(self) -> None:
        self.network.loop.remove_reader(self._socket)
        self._socket.close()
