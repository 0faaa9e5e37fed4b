"""A TURN server in process whose relayed datagrams pass a link: for browsers and apps, their pages left as they are.

Facts:
    A client that is told ``iceTransportPolicy: "relay"`` sends every packet of its media through its TURN server. What
    lies between the client and us is this machine or its own network; what the link does stands for the way from
    there to whoever is at the other end.

Rules:
    1. Control messages are answered at once and do not pass the link: TURN is the seam, not the network (measured: one
       round trip of 40 ms more in the control messages would be 40 ms of a join that no user's TURN-less call has).
    2. A datagram weighs what it weighs without TURN's wrapping.
    3. Everything else is as ``relay`` has it, but that a client leaves when its allocation ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtcprobe.link import LinkSpec
from rtcprobe.runtime.relay import SWEEP_S, Flow, Relay
from rtcprobe.runtime.seconds import LATE_SECOND_S
from rtcprobe.runtime.tos import Datagram, sender
from rtcprobe.runtime.turn import Allocation, Credentials, Relayed, TurnServer

__all__ = ["TurnRelay"]

Address = tuple[str, int]


class TurnRelay(Relay):
    """Relays for whoever has its credentials until closed."""

    def __init__(
        self,
        *,
        listen: Address,
        credentials: Credentials,
        up: Sequence[LinkSpec],
        down: Sequence[LinkSpec],
        seed: int,
        shared: bool = False,
        late_s: float = LATE_SECOND_S,
    ) -> None:
        """Listen at ``listen``, an address that clients and their peers reach; ``up`` leads from a client to its peers.

        Raises:
            BadInputError: the address is not this machine's, or taken.
        """
        super().__init__(listen=listen, to=None, up=up, down=down, seed=seed, shared=shared, late_s=late_s)
        self.turn = TurnServer(credentials=credentials, open=self._open, close=self._ended)

    def _heard(self, client: Address, datagram: Datagram) -> None:
        data, tos = datagram
        said = self.turn.receive(data, client, self.now_s())
        if isinstance(said, Relayed):
            flow, back = self._sockets[client]
            self._send_on(flow, (said.data, tos), sender(back, said.peer))
        elif said is not None:
            self._answer(said, client)

    def _answer(self, data: bytes, client: Address) -> None:
        try:
            self._front.sendto(data, client)
        except OSError:
            self._unserved += 1  # a full buffer, or nobody is there any more: the client asks again

    def _open(self, client: Address) -> Address | None:
        _, back = self._welcome(client)
        if back is None:
            return None
        name = back.getsockname()
        return name[0], name[1]

    def _ended(self, allocation: Allocation) -> None:
        if allocation.client in self._sockets:
            self._forget(allocation.client)

    def _send_back(self, flow: Flow, datagram: Datagram, peer: Address | None) -> None:
        allocation = self.turn.allocations.get(flow.client)
        if allocation is None or peer is None:
            return
        data, tos = datagram
        flow.last_s = self.now_s()
        whence = (peer[0], peer[1])
        self._carry(
            flow,
            flow.to_client,
            (data, tos),
            lambda out: sender(self._front, flow.client)((allocation.wrapped(out[0], whence), out[1])),
        )

    def _sweep(self) -> None:
        self.turn.expire(self.now_s())
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
