"""A party's place at a mixing server: what it says goes into the mix, what comes back is everybody else's.

Theory of operation:
    The server's ticks lie on a grid of its own, whatever it gets. At each tick every open booth is sent one packet,
    whether or not anybody speaks, as Janus' AudioBridge does; so a party has joined a mixer before anybody spoke.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from aiortc import RTCRtpTransceiver

from rtcprobe.audio.mixer import Mixer
from rtcprobe.call.transceiver import Media, Transceiver
from rtcprobe.playout.neteq.red import split_red
from rtcprobe.recording import Agreed
from rtcprobe.runtime import media_seam, negotiation
from rtcprobe.runtime.forwarding_seam import Outgoing
from rtcprobe.runtime.network import Network
from rtcprobe.units import RTP_CLOCK_HZ
from rtcprobe.wrapping import unwrapped

__all__ = ["Booth", "MixingRoom"]


class MixingRoom:
    """One mixer at work: a tick every ``tick_s``, on a grid that lies ``phase_s`` after the call's epoch."""

    def __init__(self, mixer: Mixer, network: Network, *, tick_s: float) -> None:
        self.mixer, self.phase_s = mixer, 0.0
        self._network, self._tick_s = network, tick_s
        self._booths: list[Booth] = []
        self._count = 0
        self._next: asyncio.TimerHandle | None = None

    @property
    def timestamp(self) -> int:
        """The RTP time of this tick."""
        return self._count * round(self._tick_s * RTP_CLOCK_HZ) & 0xFFFFFFFF

    def admit(self, booth: Booth) -> None:
        """Let a party take part; the first starts the ticks."""
        self._booths.append(booth)
        if self._next is None:
            self._plan()

    def stop(self) -> None:
        """Mix no more."""
        if self._next is not None:
            self._next.cancel()

    def _plan(self) -> None:
        # The next place on the grid, not a tick after now: what a tick took does not move the ones after it.
        place = math.floor((self._network.now_s() - self.phase_s) / self._tick_s + 1e-9) + 1
        at_s = self._network.epoch_s + self.phase_s + place * self._tick_s
        self._next = asyncio.get_running_loop().call_at(at_s, self._tick)

    def _tick(self) -> None:
        # RTP time goes on with every tick, also while nobody listens: a gap would
        # look like a pause of the sender (RFC 3550 §5.1).
        self._count += 1
        listening = [booth for booth in self._booths if booth.listens]
        # Who hears the same set of others gets the same packet: one encoding for each distinct set, as mixers do that
        # leave a talker's own voice out.
        mixes = self.mixer.tick(booth.hears for booth in listening)
        for booth in listening:
            booth.send(mixes[booth.hears])
        self._plan()


class Booth(Transceiver):
    """A party's section at the server: it ``hears`` a mix of these."""

    kind = "audio"

    def __init__(self, party: str, room: MixingRoom, media: Media, hears: frozenset[str], network: Network) -> None:
        super().__init__(media, None, network, _nothing)
        self.party, self.hears = party, hears
        self.agreed: Agreed | None = None
        self._room = room
        self._latest = -1
        self._sent = 0

    @property
    def listens(self) -> bool:
        """Whether it can be sent a mix by now."""
        return bool(self.hears) and self._outgoing.open

    def agree(self) -> None:
        """Do as was agreed on."""
        self.agreed = negotiation.agree(self.section)
        self._room.admit(self)

    def send(self, payload: bytes) -> None:
        """Send the mix of this tick."""
        assert self.agreed is not None
        # Plain Opus, also where RED was agreed on: a party may send copies to this mixer, and gets none back.
        kind = (self.agreed.opus_payload_type, 0)
        if self._outgoing.send(kind, self._sent & 0xFFFF, self._room.timestamp, payload, None):
            self._sent += 1

    def _listen(self, section: RTCRtpTransceiver) -> None:
        self._outgoing = Outgoing(section.sender)
        media_seam.take_rtp(section.receiver, self._take)

    def _take(self, packet: Any) -> Sequence[int]:
        """Hand a packet to the mixer; nothing is asked for again."""
        payload = self._frame(packet)
        if payload:
            self._room.mixer.insert(self.party, self._counted(packet.sequence_number), payload)
        return ()

    def _counted(self, sequence: int) -> int:
        """Return a number that does not wrap."""
        if self._latest < 0:
            self._room.mixer.begin(self.party)  # numbers of a new connection say nothing of those of one before
            self._latest = sequence + (1 << 16)  # what was sent before the first that came is no less than nought
            return self._latest
        number = unwrapped(sequence, self._latest, 16)
        self._latest = max(self._latest, number)
        return number

    def _frame(self, packet: Any) -> bytes:
        """Return the Opus frame of a packet, out of RED where it is in it; copies are not used."""
        assert self.agreed is not None
        payload: bytes = packet.payload
        if packet.payload_type != self.agreed.red_payload_type:
            return payload
        try:
            return next((block.payload for block in split_red(payload) if block.level == 0), b"")
        # A RED header that breaks off (RFC 2198 §3): nothing in it can be told apart, so it is as if it had not come.
        except ValueError:
            return b""


def _nothing(_at_s: float) -> None:
    """Note nothing."""
