"""A camera's sender: the encoder's target, frames into packets, parity, retransmissions and their budget.

Facts:
    The encoder gets the target less the voice and the overhead of packets, less protection's share (what repair took
    of the last second, at most half), less what the congestion window pushes back (up to every second frame).
    Retransmissions go before new media and have no budget of their own: libwebrtc's limit of them is off unless its
    trial "WebRTC-DisableRtxRateLimiter" is disabled. So they leave above the line's rate, and are lost like the rest.
    Parity is made when the packets that it protects leave, and waits its turn behind all video that waits already:
    behind a long queue it repairs nothing.

Source: libwebrtc main f3ae3eb62e2a, ``call/rtp_video_sender.cc`` (``OnBitrateUpdated``),
``modules/rtp_rtcp/source/rtp_sender.cc`` (``ReSendPacket``), ``rtp_packet_history.cc``,
``video/video_stream_encoder.cc`` (``UpdateTargetBitrate``).
"""

from __future__ import annotations

import math
from typing import Any, Final, Protocol

from rtcprobe.adaptation.encoder import FPS, Encoder
from rtcprobe.adaptation.receiver import Packet
from rtcprobe.control import Controller
from rtcprobe.control.allocation import Share, allocated, overhead_bps
from rtcprobe.control.pacer import Kind
from rtcprobe.control.protection import LossWindow, Parity, SentRate, code_rates, encoder_share

__all__ = ["OVERHEAD_BYTES", "VOICE_BPS", "VideoSender"]

PACKET_BYTES: Final = 1110
"""RTP payload of a full packet."""
OVERHEAD_BYTES: Final = 74
"""IP, UDP, RTP with extensions, SRTP tag, RED and the payload's descriptor."""
_LARGEST_BYTES, _KNOWN_OVERHEAD_BYTES = 1238, 66
"""What the allocator takes for a packet, and for its headers: IP, UDP, SRTP's tag, RTP and 16 bytes of extensions."""
_BELOW_BYTES: Final = 38
"""IP, UDP and SRTP's tag: rates of what was sent are of RTP."""
_PARITY_BYTES: Final = 26
"""What a parity packet is larger than the largest that it covers, as recorded."""
VOICE_BPS: Final = 52e3
"""What the allocator sets aside for Opus at 32 kb/s with its headers."""
_VOICE: Final = Share(least_bps=VOICE_BPS, most_bps=VOICE_BPS)
# The least of a stream of video; within an RTT and 5 ms nothing is sent again twice; a queue of 2 s stops the camera;
# repair's share is of the last second.
_LEAST_BPS: Final = 30e3
_KEPT: Final = 9600
"""Packets that may be sent again: ``RtpPacketHistory::kMaxCapacity``."""
_RTX_MARGIN_S: Final = 0.005
_PAUSE_S: Final = 2.0


class Queue(Protocol):
    """Where packets wait, as who sends them sees it: ``control.Pacer``, or what stands before one."""

    @property
    def expected_s(self) -> float:
        """How long what waits will take."""

    @property
    def pacing_bps(self) -> float:
        """How fast it is let out."""

    def flush(self) -> None:
        """Throw away the video that waits."""

    def put(self, kind: Kind, packet: Any, size_bytes: int, now_s: float) -> None:
        """Let a packet wait its turn."""


class VideoSender:
    """One stream of video. ``protects``: RED and ULPFEC are negotiated."""

    def __init__(self, encoder: Encoder, controller: Controller, pacer: Queue, *, protects: bool = True) -> None:
        self.encoder = encoder
        # Assumed until a report tells: kStartUpRttMs of rtp_rtcp_impl2.cc.
        self.rtt_s = 0.1
        self.repeat_rtt_s = 0.0
        """The RTT within which nothing is sent again twice: as known, not as it is."""
        self.loss = 0
        """What RTCP reports lost lately, a share of 256."""
        self.encoded = 0
        self._controller, self._pacer = controller, pacer
        self._protects = protects
        self._packets: dict[int, Packet] = {}  # those that may be sent again
        self._count = 0
        self._parity = Parity()
        self._losses = LossWindow()
        self._history: set[int] = set()
        self._pending: set[int] = set()
        self._sent_again: dict[int, float] = {}
        self._rates = {"video": SentRate(), "again": SentRate(), "parity": SentRate()}
        self._frame = self._keys_waiting = 0

    def frame(self, now_s: float) -> bool:
        """Let the camera give a picture; return whether something waits in the pacer for it."""
        # Two seconds wait: libwebrtc pauses the encoder rather than let pictures grow old. Who paces nothing
        # has no queue.
        if self._pacer.expected_s > _PAUSE_S and self._pacer.pacing_bps < math.inf:
            return False
        target_bps, allowed_bps = self._target_bps(now_s)
        made = self.encoder.frame(target_bps, self._drop_every(), now_s, allowed_bps=allowed_bps)
        if made is None:
            return False
        size_bytes, key = made
        self.encoded += 1
        # A key frame makes what waits worthless; a second one must not throw away the first.
        if key and not self._keys_waiting:
            self._pacer.flush()
        count = max(1, math.ceil(size_bytes / PACKET_BYTES))
        # Packets of a frame are of one size, as libwebrtc's packetisers cut them: none is short.
        each = math.ceil(size_bytes / count) + OVERHEAD_BYTES
        first = self._count
        self._count += count
        self._keys_waiting += count * key
        for number in range(first, first + count):
            packet = Packet(number, self._frame, first, count, key, each)
            self._packets[number] = packet
            self._forget(number - _KEPT)
            self._pacer.put("video", ("video", packet), each, now_s)
        self._frame += 1
        return True

    def left(self, kind: str, packet: Packet, size_bytes: int, now_s: float) -> None:
        """Take in that a packet left."""
        if size_bytes:  # nothing left of a packet that is kept no longer
            self._rates[kind].add(size_bytes - _BELOW_BYTES, now_s)
        if kind != "video":
            self._pending.discard(packet.number)
            if kind == "again":
                self._sent_again[packet.number] = now_s
            return
        self._history.add(packet.number)
        self._keys_waiting -= packet.key
        if not self._protects:
            return
        last = packet.number == packet.first + packet.packets - 1
        count, numbers = self._parity.sent(packet.number, key=packet.key, last=last)
        covered = [self._packets[number] for number in numbers]
        for place in range(count):
            protected = covered[place::count]
            # XOR over packets filled up to the longest of them (RFC 5109, section 8): parity is never shorter
            # than that.
            size = max(each.size_bytes for each in protected) + _PARITY_BYTES
            self._pacer.put("video", ("parity", protected), size, now_s)

    def asked(self, numbers: list[int], now_s: float) -> bool:
        """Take in a NACK; return whether something waits in the pacer for it."""
        some = False
        for number in numbers:
            # What was flushed before it left is in no history.
            if number not in self._history or number in self._pending:
                continue
            # Kept as long as it is in the history: both are forgotten together.
            packet = self._packets[number]
            # Asked for twice within a round trip: the first copy may well be on its way.
            if now_s - self._sent_again.get(number, -math.inf) < self.repeat_rtt_s + _RTX_MARGIN_S:
                continue
            size_bytes = packet.size_bytes
            self._pending.add(number)
            self._pacer.put("retransmission", ("again", packet), size_bytes, now_s)
            some = True
        return some

    def _forget(self, number: int) -> None:
        self._packets.pop(number, None)
        self._history.discard(number)
        self._pending.discard(number)
        self._sent_again.pop(number, None)

    def _target_bps(self, now_s: float) -> tuple[float, float]:
        """Return the encoder's target: the estimate's share, less voice, headers, protection, the window's drops.

        And what the link would carry of it, were there no maximum and no drops.
        """
        controller, encoder = self._controller, self.encoder
        video = Share(least_bps=_LEAST_BPS, most_bps=encoder.max_bps)
        allocated_bps = allocated(controller.target_bps, (_VOICE, video))[1]
        payload_bps = max(0.0, allocated_bps - overhead_bps(allocated_bps, _LARGEST_BYTES, _KNOWN_OVERHEAD_BYTES))
        width, height = encoder.size
        if self._protects:
            rates = code_rates(
                payload_bps=payload_bps,
                fps=FPS,
                loss=self._losses.add(self.loss, now_s),
                rtt_s=self.rtt_s,
                pixels=width * height,
            )
            self._parity.set_rates(rates)
        media_bps, again_bps, parity_bps = (rate.bps(now_s) for rate in self._rates.values())
        allowed_bps = payload_bps * encoder_share(media_bps, again_bps + parity_bps)
        payload_bps = min(allowed_bps, encoder.max_bps)
        every = self._drop_every()
        # The encoder is told less by the share of frames that the window drops; so those that remain do not
        # grow.
        return payload_bps * (1 - 1 / every) if every else payload_bps, allowed_bps

    def _drop_every(self) -> int | None:
        # Below 1 % nothing is dropped; k = 1 / reduction, but never more than every second frame.
        reduction = 1 - self._controller.encoder_share
        return max(2, int(1 / reduction)) if reduction > 0.01 else None
