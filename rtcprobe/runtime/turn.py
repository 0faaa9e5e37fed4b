"""A TURN server's side of the conversation, message by message: no sockets, no clock.

Facts:
    - A client allocates an address of the server, and from then on sends to any peer and hears of any through it: as
      Send and Data indications, or as ChannelData once a number is bound to a peer. Source: RFC 8656.
    - Who asks is known by long-term credentials: the first request is refused with a realm and a nonce (401), the
      second carries a MESSAGE-INTEGRITY keyed with MD5 of user, realm and password. Source: RFC 8489 §9.2.
    - A client that is told of a refusal while ICE checks are under way loses half a second: the first check to a peer
      that has no permission yet is thrown away, and the next comes after 500 ms (measured with aioice and Chromium).

Rules:
    1. Control messages are answered at once; what is relayed is given back with its peer, for a link to carry.
    2. Permissions are granted and not enforced: a network is emulated here, not a firewall. Nobody relays without the
       credentials, and no more than ``MOST_ALLOCATIONS`` at a time.
    3. A request that comes again is answered as it was (RFC 8489 §6.3.1), for every client is one address.
    4. What is no message of TURN's is dropped: anybody may send anything.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aioice import stun

__all__ = ["Allocation", "Credentials", "Relayed", "TurnServer"]

Address = tuple[str, int]

REALM: Final = "rtcprobe"
DEFAULT_LIFETIME_S: Final = 600
MOST_LIFETIME_S: Final = 3600
"""Source: RFC 8656 §3.2 and §7.2."""
MOST_ALLOCATIONS: Final = 256
# IANA's protocol number, in the first byte of REQUESTED-TRANSPORT.
_UDP: Final = 17
_CHANNELS: Final = range(0x4000, 0x5000)
"""Source: RFC 8656 §12."""
_MOST_PEERS: Final = 256
"""Channels one client may bind: a room's worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who may allocate."""

    user: str
    password: str

    @property
    def key(self) -> bytes:
        """The key of long-term credentials. Source: RFC 8489 §9.2.2."""
        return hashlib.md5(f"{self.user}:{REALM}:{self.password}".encode(), usedforsecurity=False).digest()


class Relayed(NamedTuple):
    """A datagram that a client wants a peer to have."""

    data: bytes
    peer: Address


@dataclass(slots=True, eq=False, kw_only=True)
class Allocation:
    """What one client holds: the address that peers see, until when, and its channels."""

    client: Address
    relayed: Address
    until_s: float
    transaction: bytes
    """Of the request that made it: the same one again is no second."""
    channels: dict[int, Address] = field(default_factory=dict)
    numbers: dict[Address, int] = field(default_factory=dict)

    def wrapped(self, data: bytes, peer: Address) -> bytes:
        """Return what the client is to be sent when ``peer`` has sent ``data``."""
        number = self.numbers.get(peer)
        if number is not None:
            return struct.pack("!HH", number, len(data)) + data
        message = stun.Message(
            message_method=stun.Method.DATA,
            message_class=stun.Class.INDICATION,
            attributes={"XOR-PEER-ADDRESS": peer, "DATA": data},
        )
        return bytes(message)

    def bind(self, number: int, peer: Address) -> bool:
        """Bind a channel; return whether that may be: neither is bound to another. Source: RFC 8656 §12.2."""
        if self.channels.get(number, peer) != peer or self.numbers.get(peer, number) != number:
            return False
        if number not in self.channels and len(self.channels) >= _MOST_PEERS:
            return False
        self.channels[number], self.numbers[peer] = peer, number
        return True


@dataclass(slots=True, eq=False, kw_only=True)
class TurnServer:
    """Answers clients. ``open`` gives a client an address for peers to send to (None: there is none left).

    ``close`` is called with an allocation that came to its end.
    """

    credentials: Credentials
    open: Callable[[Address], Address | None]
    close: Callable[[Allocation], None]
    allocations: dict[Address, Allocation] = field(default_factory=dict)
    refused: int = 0
    """Requests without the right credentials, the first of each client left out."""
    _nonce: bytes = field(default_factory=lambda: secrets.token_hex(8).encode())

    def receive(self, data: bytes, client: Address, now_s: float) -> bytes | Relayed | None:
        """Return the answer to one datagram of a client, or what it wants relayed, or None."""
        if len(data) >= 4 and data[0] >> 6 == 1:  # RFC 8656 §12: a channel's number, where a message has two zeros
            return self._channel_data(data, client)
        try:
            message = stun.parse_message(data)
        except (ValueError, struct.error, IndexError):
            return None
        if message.message_class == stun.Class.INDICATION:
            return self._indicated(message, client)
        # An answer that we never asked for.
        if message.message_class != stun.Class.REQUEST:
            return None
        return self._answered(message, client, now_s)

    def expire(self, now_s: float) -> None:
        """End what was not refreshed in time."""
        for allocation in [each for each in self.allocations.values() if each.until_s <= now_s]:
            self._end(allocation)

    def _channel_data(self, data: bytes, client: Address) -> Relayed | None:
        number, length = struct.unpack_from("!HH", data)
        allocation = self.allocations.get(client)
        peer = None if allocation is None else allocation.channels.get(number)
        # What is behind the length is padding, which a client may add (RFC 8656, section 12).
        if peer is None or len(data) < 4 + length:
            return None
        return Relayed(data[4 : 4 + length], peer)

    def _indicated(self, message: stun.Message, client: Address) -> Relayed | None:
        peer, data = message.attributes.get("XOR-PEER-ADDRESS"), message.attributes.get("DATA")
        if message.message_method != stun.Method.SEND or client not in self.allocations or peer is None or data is None:
            return None
        return Relayed(data, peer)

    def _answered(self, message: stun.Message, client: Address, now_s: float) -> bytes | None:
        # STUN proper, and without credentials, as everywhere.
        if message.message_method == stun.Method.BINDING:
            return bytes(_success(message, {"XOR-MAPPED-ADDRESS": client}))
        answers = {
            stun.Method.ALLOCATE: self._allocate,
            stun.Method.REFRESH: self._refresh,
            stun.Method.CREATE_PERMISSION: self._permit,
            stun.Method.CHANNEL_BIND: self._bind,
        }
        if message.message_method not in answers:
            return None
        refusal = self._unknown(message)
        if refusal is not None:
            return bytes(refusal)
        answer = answers[message.message_method](message, client, now_s)
        # Refusals above go unsigned: who has not shown that it knows the key may not have it.
        answer.add_message_integrity(self.credentials.key)
        return bytes(answer)

    def _unknown(self, message: stun.Message) -> stun.Message | None:
        """Return the refusal of a client that does not show who it is. Source: RFC 8489 §9.2.4."""
        said = message.attributes
        # The first request of every client, by protocol: no attempt to count.
        if "MESSAGE-INTEGRITY" not in said:
            return _failure(message, 401, "Unauthorized", self._challenge)
        if not {"USERNAME", "REALM", "NONCE"} <= said.keys():
            return _failure(message, 400, "Bad Request")
        # Of a server that stood here before, on the same port: a client asks again with this one's.
        if said["NONCE"] != self._nonce:
            return _failure(message, 438, "Stale Nonce", self._challenge)
        if said["USERNAME"] != self.credentials.user or not message.check_message_integrity(self.credentials.key):
            self.refused += 1
            return _failure(message, 401, "Unauthorized", self._challenge)
        return None

    @property
    def _challenge(self) -> dict[str, object]:
        return {"REALM": REALM, "NONCE": self._nonce}

    def _allocate(self, message: stun.Message, client: Address, now_s: float) -> stun.Message:
        held = self.allocations.get(client)
        # RFC 8656, section 7.2, in its order: one five-tuple has one allocation, and what it carries must be named.
        if held is not None and held.transaction != message.transaction_id:
            return _failure(message, 437, "Allocation Mismatch")
        if held is None:
            transport = message.attributes.get("REQUESTED-TRANSPORT")
            if transport is None:  # a request that lacks what it must have is bad; one for TCP is merely not met
                return _failure(message, 400, "Bad Request")
            if transport >> 24 != _UDP:
                return _failure(message, 442, "Unsupported Transport Protocol")
            relayed = None if len(self.allocations) >= MOST_ALLOCATIONS else self.open(client)
            if relayed is None:
                return _failure(message, 486, "Allocation Quota Reached")
            held = Allocation(client=client, relayed=relayed, until_s=now_s, transaction=message.transaction_id)
            self.allocations[client] = held
        lifetime_s = _lifetime_s(message)
        held.until_s = now_s + lifetime_s
        return _success(
            message,
            {"XOR-RELAYED-ADDRESS": held.relayed, "XOR-MAPPED-ADDRESS": client, "LIFETIME": lifetime_s},
        )

    def _refresh(self, message: stun.Message, client: Address, now_s: float) -> stun.Message:
        held = self.allocations.get(client)
        asked_s = message.attributes.get("LIFETIME")
        if held is None:  # gone already is what a goodbye wants
            return _success(message, {"LIFETIME": 0}) if asked_s == 0 else _failure(message, 437, "Allocation Mismatch")
        if asked_s == 0:
            self._end(held)
            return _success(message, {"LIFETIME": 0})
        lifetime_s = _lifetime_s(message)
        held.until_s = now_s + lifetime_s
        return _success(message, {"LIFETIME": lifetime_s})

    def _permit(self, message: stun.Message, client: Address, _now_s: float) -> stun.Message:
        if client not in self.allocations:
            return _failure(message, 437, "Allocation Mismatch")
        if "XOR-PEER-ADDRESS" not in message.attributes:
            return _failure(message, 400, "Bad Request")
        return _success(message, {})

    def _bind(self, message: stun.Message, client: Address, _now_s: float) -> stun.Message:
        held = self.allocations.get(client)
        if held is None:
            return _failure(message, 437, "Allocation Mismatch")
        number, peer = message.attributes.get("CHANNEL-NUMBER"), message.attributes.get("XOR-PEER-ADDRESS")
        if number is None or number not in _CHANNELS or peer is None or not held.bind(number, peer):
            return _failure(message, 400, "Bad Request")
        return _success(message, {})

    def _end(self, allocation: Allocation) -> None:
        del self.allocations[allocation.client]
        self.close(allocation)


def _lifetime_s(message: stun.Message) -> int:
    asked = message.attributes.get("LIFETIME", DEFAULT_LIFETIME_S)
    # Never shorter than the ten minutes, whatever was asked: a client that asked for less refreshes sooner,
    # and its allocation is still there.
    return min(max(int(asked), DEFAULT_LIFETIME_S), MOST_LIFETIME_S)


def _success(message: stun.Message, attributes: dict[str, object]) -> stun.Message:
    return stun.Message(
        message_method=message.message_method,
        message_class=stun.Class.RESPONSE,
        transaction_id=message.transaction_id,
        attributes=attributes,
    )


def _failure(
    message: stun.Message, code: int, reason: str, attributes: dict[str, object] | None = None
) -> stun.Message:
    return stun.Message(
        message_method=message.message_method,
        message_class=stun.Class.ERROR,
        transaction_id=message.transaction_id,
        attributes={"ERROR-CODE": (code, reason), **(attributes or {})},
    )
