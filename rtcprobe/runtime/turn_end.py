"""A TURN server that stands at the end of a browser's line: what it relays passes the line, as a host's own would.

Facts:
    A browser told to relay (``iceTransportPolicy: "relay"``) has one UDP socket, to here. From the other side its
    address is the relayed one, at which we listen for its peers.

Rules:
    1. Between browser and server lies nothing; what is relayed passes the host's ``up`` path towards its peers, and
       its ``down`` path back, at the size it has without TURN's wrapping (``turn``).
    2. The host's tap sees every relayed datagram as it leaves the browser, and as it reaches it.
    3. One browser, one server: its packets are counted by what relays them.
    4. A datagram is offered to the line, and shown to the tap, as of the instant at which it reached our socket, where
       the system tells (``stamps``): how late our loop read it is then no part of any delay.
"""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

from rtcprobe.runtime.direction import wire_size
from rtcprobe.runtime.endpoints import MOST_AT_ONCE
from rtcprobe.runtime.outside import OutsideHost, OutsideNetwork
from rtcprobe.runtime.stamps import age_s, tell_stamps
from rtcprobe.runtime.turn import Allocation, Credentials, Relayed, TurnServer

__all__ = ["TurnEnd"]

Address = tuple[str, int]

# As much as a host's own sockets have (``outside``), so that a relayed browser loses no more in the kernel.
_BUFFER_BYTES = 1 << 20
_LARGEST_DATAGRAM = 65_535
# A timestamp of two longs behind its header takes 32 bytes where a long has 64 bits (cmsg(3)).
_ANCILLARY_BYTES = 64


class TurnEnd:
    """The server of ``host``'s browser, at ``address`` (one of this machine's).

    Raises:
        OSError: the machine refuses the socket.
    """

    def __init__(self, host: OutsideHost, address: str) -> None:
        self.credentials = Credentials(user="rtcprobe", password=secrets.token_hex(12))
        self.up_packets = self.down_packets = 0
        """Datagrams of RTP and RTCP that the browser sent, and that were handed to it."""
        self.given: set[Address] = set()
        """Every address that peers saw, also of allocations that have ended."""
        self.sent_to: set[Address] = set()
        """Whom RTP and RTCP were sent to."""
        assert isinstance(host.network, OutsideNetwork)
        self._network, self._host, self._ip = host.network, host, address
        self._loop = host.network.loop
        self._backs: dict[Address, socket.socket] = {}
        self._newest_s = {"up": 0.0, "down": 0.0}
        self._closed = False
        self._front = self._open_socket()
        self._loop.add_reader(self._front, self._from_browser)
        self._server = TurnServer(credentials=self.credentials, open=self._open, close=self._ended)

    @property
    def url(self) -> str:
        """How a browser is told of it. Source: RFC 7065."""
        host, port = self._front.getsockname()[:2]
        return f"turn:{f'[{host}]' if ':' in host else host}:{port}?transport=udp"

    @property
    def relayed(self) -> list[Address]:
        """The addresses that peers see."""
        return [each.relayed for each in self._server.allocations.values()]

    def close(self) -> None:
        """Stop; what is under way to the browser is lost."""
        if self._closed:
            return
        self._closed = True
        for back in (*self._backs.values(), self._front):
            self._loop.remove_reader(back)
            back.close()

    def _open_socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._ip else socket.AF_INET
        out = socket.socket(family, socket.SOCK_DGRAM)
        try:
            out.setblocking(False)
            out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            tell_stamps(out)
            out.bind((self._ip, 0))
        except OSError:
            out.close()
            raise
        return out

    def _open(self, client: Address) -> Address | None:
        try:
            back = self._open_socket()
        except OSError:
            return None
        self._backs[client] = back
        self._loop.add_reader(back, self._from_peers, client, back)
        host, port = back.getsockname()[:2]
        self.given.add((host, port))
        return host, port

    def _ended(self, allocation: Allocation) -> None:
        back = self._backs.pop(allocation.client, None)
        if back is not None:
            self._loop.remove_reader(back)
            back.close()

    def _from_browser(self) -> None:
        for _ in range(MOST_AT_ONCE):
            if self._closed:
                return
            try:
                data, ancillary, _, whence = self._front.recvmsg(_LARGEST_DATAGRAM, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue
            client = (whence[0], whence[1])
            said = self._server.receive(data, client, self._network.now_s())
            if isinstance(said, Relayed):
                self._up(client, said, self._came_s("up", age_s(ancillary)))
            elif said is not None:
                _send(self._front, said, client)

    def _came_s(self, way: str, aged_s: float) -> float:
        """Return when a datagram of that age was there: of each way in order, as a line wants them."""
        came_s = self._newest_s[way] = max(self._newest_s[way], self._network.now_s() - aged_s)
        return came_s

    def _up(self, client: Address, said: Relayed, came_s: float) -> None:
        back = self._backs.get(client)
        if back is None:
            return
        if _is_media(said.data):
            self.up_packets += 1
            self.sent_to.add(said.peer)
        if self._host.tap is not None:
            self._host.tap.sent(said.data, came_s)
        self._network.deliver(self._host.up, wire_size(said.data), _send, back, said.data, said.peer, came_s=came_s)

    def _from_peers(self, client: Address, back: socket.socket) -> None:
        for _ in range(MOST_AT_ONCE):
            if self._closed or back.fileno() < 0:
                return
            try:
                data, ancillary, _, peer = back.recvmsg(_LARGEST_DATAGRAM, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError:
                return
            if data:
                whence, came_s = (peer[0], peer[1]), self._came_s("down", age_s(ancillary))
                down = self._host.down
                self._network.deliver(down, wire_size(data), self._down, client, data, whence, came_s=came_s)

    def _down(self, client: Address, data: bytes, peer: Address) -> None:
        allocation = self._server.allocations.get(client)
        if self._closed or allocation is None:
            return
        self.down_packets += _is_media(data)
        if self._host.tap is not None:
            self._host.tap.received(data, self._network.now_s())
        _send(self._front, allocation.wrapped(data, peer), client)


def _is_media(data: bytes) -> bool:
    """Return whether a datagram is RTP or RTCP. Source: RFC 7983 §7."""
    return bool(data) and 127 < data[0] < 192


def _send(out: socket.socket, data: bytes, to: Address) -> None:
    with suppress(OSError):  # a full buffer loses datagrams, as everywhere; behind a closed socket is nobody
        out.sendto(data, to)
