"""A data channel towards an agent: opened so that the agent tells what it does; nothing is ever sent over it.

Facts:
    - pipecat's small transport takes a channel of any name, and complains where none is opened within ten seconds.
      Once it has had a ``ping`` it holds a caller that stops pinging to be gone: so nothing is sent.
    - OpenAI's realtime API wants the name ``oai-events``.

Rule: what the agent sends is bounded: ``_MOST`` messages are kept, all are counted.
"""

from __future__ import annotations

from typing import Final

from aiortc import RTCDataChannel, RTCPeerConnection

from rtcprobe.conversation.claims import Claim, read_deed
from rtcprobe.runtime.network import Network

__all__ = ["USUAL_LABEL", "Claims"]

USUAL_LABEL: Final = "oai-events"

# A thousand turns of ten events each: no call of an agent has as many, and a flood of them costs no memory.
_MOST: Final = 10_000


class Claims:
    """What an agent says of itself in one call, over a channel called ``label``."""

    def __init__(self, label: str, network: Network) -> None:
        self.came: list[Claim] = []
        self.messages = 0
        """How many came, whatever they say."""
        self.opened_s: float | None = None
        self._label, self._network = label, network

    def open(self, connection: RTCPeerConnection) -> None:
        """Put the section into ``connection``; once more where it starts over."""
        # The offer needs a section of data channels at all, or an agent that opens one itself has nowhere to do so.
        channel = connection.createDataChannel(self._label)
        channel.on("open", self._opened)
        channel.on("message", self._take)
        connection.on("datachannel", self._listen)

    def _listen(self, channel: RTCDataChannel) -> None:
        """Take what comes over a channel that the agent opens itself."""
        channel.on("message", self._take)

    def _opened(self) -> None:
        self.opened_s = self._network.now_s()

    def _take(self, message: object) -> None:
        self.messages += 1
        deed = read_deed(message)
        # What is no deed (audio events, deltas, pongs) is most of what comes: counted above, not kept.
        if deed is not None and len(self.came) < _MOST:
            self.came.append(Claim(self._network.now_s(), deed))
