"""Packets to frames: whole ones only, each tied to the one before it.

Facts:
    - A frame is complete when every packet from its first to the one with the marker bit is there. Frames with holes
      are never decoded.
    - Without a dependency descriptor each delta frame needs the one before it: all later ones wait for a lost one until
      it is repaired or a key frame comes. That is so of VP8 and VP9 without temporal layers, and of H.264.
    - Where the payload is encrypted nobody sees where a frame begins, nor that it is a key frame: then it begins behind
      the marker bit, or the change of RTP time, of the packet before it (as libwebrtc does for H.264 anyway), and
      whoever asks says how key frames are told (``VideoPacket.key``).

Source: ``video/rtp_video_stream_receiver2.cc``, ``modules/video_coding/packet_buffer.cc``,
``rtp_seq_num_only_ref_finder.cc`` of libwebrtc (2026-08).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rtcprobe.wrapping import Unwrapper

__all__ = ["Assembler", "Frame", "VideoPacket"]

# Upstream's largest packet buffer; what was done is remembered for twice as many, to tell copies.
MOST_PACKETS: Final = 2048
_REMEMBERED: Final = 4096


class VideoPacket(NamedTuple):
    """One RTP packet of video, a retransmitted one with its original number.

    ``sequence`` is 16 bits, ``timestamp`` 32 bits of 90 kHz; ``size_bytes`` what it holds of the frame (0: padding).
    ``begins`` whether a frame begins with it and ``key`` whether that is a key frame; None where nobody can see that.
    """

    sequence: int
    timestamp: int
    marker: bool
    size_bytes: int
    begins: bool | None = None
    key: bool | None = None


class Frame(NamedTuple):
    """A whole frame.

    ``first`` and ``last`` are its sequence numbers, unwrapped; ``after`` the last of the frame that it needs (None of a
    key frame); ``first_us`` and ``last_us`` when the first and the last of its packets came.
    ``resent``: some packet of it had been asked for before it came.
    """

    first: int
    last: int
    after: int | None
    timestamp: int
    size_bytes: int
    key: bool
    first_us: int
    last_us: int
    resent: bool
    packets: int


class _Held(NamedTuple):
    packet: VideoPacket
    at_us: int
    resent: bool


class Assembler:
    """Holds packets until their frames are whole."""

    def __init__(self) -> None:
        self._unwrap = Unwrapper(16)
        self._held: dict[int, _Held] = {}
        self._ends: dict[int, bool] = {}
        """Of packets whose frames are done: whether the next one begins a frame."""
        self._before_padding: dict[int, int] = {}
        self._floor: int | None = None
        self.cleared = 0
        self.duplicates = 0

    def insert(self, packet: VideoPacket, now_us: int, *, resent: bool = False) -> list[Frame]:
        """Return the frames that ``packet`` completes; ``resent`` where it had been asked for."""
        sequence = self._unwrap.unwrap(packet.sequence)
        if self._floor is None:
            self._floor = sequence - 1
            self._ends[sequence - 1] = True  # whatever comes first is taken for a beginning
        # What lies so far back is taken for a copy: nobody remembers whether its frame was done.
        if sequence in self._held or sequence in self._ends or sequence < self._floor - _REMEMBERED:
            self.duplicates += 1
            return []
        # Cleared whole, as upstream: nobody knows which of them could still become a frame.
        if len(self._held) >= MOST_PACKETS:
            self._held.clear()
            self.cleared += 1
        self._held[sequence] = _Held(packet, now_us, resent)
        return self._completed(sequence)

    def _completed(self, sequence: int) -> list[Frame]:
        """Return the frames that are whole now, of the one around ``sequence`` and those behind it."""
        found: list[Frame] = []
        first = self._first_of(sequence)
        while first is not None:
            frame, following = self._frame_from(first)
            if frame is not None:
                found.append(frame)
            first = following
        return found

    def _first_of(self, sequence: int) -> int | None:
        """Return where the frame around ``sequence`` begins; None while that is not to be seen."""
        at, get = sequence, self._held.get
        while (held := get(at)) is not None:
            packet = held.packet
            # Padding says nothing of frames, whatever its bytes look like.
            begins = packet.begins if packet.begins is not None and packet.size_bytes else self._begins(at, packet)
            if begins:
                return at
            at -= 1
        return None

    def _begins(self, sequence: int, packet: VideoPacket) -> bool:
        """Return whether a frame begins with a packet that does not say so."""
        if sequence - 1 in self._ends:
            return self._ends[sequence - 1]
        before = self._held.get(sequence - 1)
        return before is not None and (before.packet.marker or before.packet.timestamp != packet.timestamp)

    def _frame_from(self, first: int) -> tuple[Frame | None, int | None]:
        """Return the frame that begins at ``first`` if it is whole, and where the next one may begin."""
        get, at = self._held.get, first
        packet = self._held[first].packet
        # Padding on its own number between two frames; within a frame it is walked over like any packet.
        if not packet.size_bytes and not packet.marker:
            return None, self._passed(first)
        timestamp = packet.timestamp
        while (held := get(at)) is not None and held.packet.timestamp == timestamp:
            if held.packet.marker:
                return self._taken(first, at), at + 1 if at + 1 in self._held else None
            at += 1
        return None, None

    def _passed(self, sequence: int) -> int | None:
        """Let padding between frames by: what begins behind it needs the frame before it."""
        del self._held[sequence]
        self._remember(sequence, ends=True)
        self._before_padding[sequence] = self._before_padding.get(sequence - 1, sequence - 1)
        return sequence + 1 if sequence + 1 in self._held else None

    def _taken(self, first: int, last: int) -> Frame:
        packet, first_us, resent = self._held[first]
        key, size_bytes, last_us = packet.key, 0, first_us
        for sequence in range(first, last + 1):
            (_, _, _, each_bytes, _, _), at_us, again = self._held.pop(sequence)
            size_bytes += each_bytes
            first_us = min(first_us, at_us)
            last_us = max(last_us, at_us)
            resent = resent or again
            # Only behind a frame's last packet does another one begin.
            self._remember(sequence, ends=sequence == last)
        return Frame(
            first=first,
            last=last,
            after=None if key else self._before_padding.get(first - 1, first - 1),
            timestamp=packet.timestamp,
            size_bytes=size_bytes,
            key=bool(key),
            first_us=first_us,
            last_us=last_us,
            resent=resent,
            packets=last - first + 1,
        )

    def _remember(self, sequence: int, *, ends: bool) -> None:
        self._ends[sequence] = ends
        if self._floor is None or sequence > self._floor:
            self._floor = sequence
        while len(self._ends) > _REMEMBERED:
            old = next(iter(self._ends))
            del self._ends[old]
            self._before_padding.pop(old, None)

    def clear_to(self, sequence: int) -> None:
        """Forget what is held up to ``sequence``: a frame that ends there was released."""
        if self._held:
            for old in [each for each in self._held if each <= sequence]:
                del self._held[old]
