"""Sound and picture of one talker made to agree at a listener's: second by second, while both are played.

Theory of operation: the sound's playout asks at every block whether a second is over. If so the picture is played up to
that instant, the gap between the two is judged (``playout.frames.sync``), and the one that is ahead is held back: NetEQ
by its least delay, the picture's receiver by its least playout delay. So both are played once, side by side, though
neither knows of the other.

Facts:
    - Neither device's delay of the talker is in his sender reports: he dates what he captured when he had it. The
      listener's loudspeaker is in the gap, as far as its driver tells; of the screen nothing is known.
    - The streams of one connection of ours share a MediaStream, so that browsers make them agree, too.

Source: ``video/rtp_streams_synchronizer2.cc``, ``audio/audio_receive_stream.cc`` (``GetInfo``) of libwebrtc (2026-08).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from rtcprobe.playout.frames import CaptureClock, Synchronization, relative_delay_ms
from rtcprobe.playout.frames.micros import SECOND
from rtcprobe.playout.frames.sync import PERIOD_S
from rtcprobe.playout.neteq import NetEq
from rtcprobe.recording import Came, SenderReport

__all__ = ["Correction", "LipSync", "Replayed", "Viewed"]


class Correction(NamedTuple):
    """A change at ``at_s``, seconds of the call: the least delays from then on, ms."""

    at_s: float
    audio_ms: int
    video_ms: int


class Newest(Protocol):
    """A packet of a picture, as it came."""

    @property
    def at_s(self) -> float:
        """When."""
        ...

    @property
    def sequence(self) -> int:
        """Its number, 16 bits."""
        ...

    @property
    def timestamp(self) -> int:
        """Its RTP time, 32 bits."""
        ...


class Viewed(Protocol):
    """A picture that is played as far as is asked for (``hearing.eyes.Viewing``)."""

    @property
    def newest(self) -> Newest | None:
        """The packet that came last so far, none that was sent again."""
        ...

    @property
    def reports(self) -> Sequence[SenderReport]:
        """Those of its source."""
        ...

    def until(self, at_s: float) -> int | None:
        """Play all that came by ``at_s``; return the delay that its receiver aims at, µs, None where it has none."""
        ...

    def hold(self, least_us: int) -> None:
        """Hold it back from the instant on that it was played until: a least delay."""
        ...


class LipSync:
    """Steers one sound and one picture of the same talker at the same listener's (``playout.steered.Steering``).

    ``playback_s`` is what the loudspeaker's driver says it takes.
    """

    def __init__(self, sound: Came, viewing: Viewed, *, playback_s: float) -> None:
        self.due_s = PERIOD_S
        self.corrections: list[Correction] = []
        self.viewing = viewing
        self._playback_ms = round(playback_s * 1e3)
        at_s = np.asarray(sound.arrivals.at_s)
        # By instant, as the call had them: a recording may hold packets in another order.
        order = np.argsort(at_s, kind="stable")
        self._sound_s, self._stamps = at_s[order], np.asarray(sound.arrivals.timestamps)[order]
        self._clocks = (_Clock(sound.reports), _Clock(viewing.reports))
        self._synchronization = Synchronization()
        # Nothing judged yet: the first second needs no news beyond there being something of both.
        self._judged: tuple[int, int] | None = None

    def act(self, playout: NetEq) -> None:
        """Judge the gap at the second that is over, and hold one of the two back."""
        # On the grid of whole seconds, however late the block was that asked: so that both are played to the
        # same instant in every run.
        at_s, self.due_s = self.due_s, self.due_s + PERIOD_S
        target_us = self.viewing.until(at_s)
        relative_ms = self._relative_ms(at_s)
        # Each source needs two sender reports before its clock is known, which take some two seconds to come.
        if relative_ms is None or target_us is None:
            return
        found = self._synchronization.step(
            relative_ms=relative_ms,
            audio_ms=playout.current_delay_ms + self._playback_ms,
            video_ms=round(target_us / 1e3),
        )
        if found is not None:
            playout.hold(found.audio_ms / 1e3)
            self.viewing.hold(round(found.video_ms / 1e3 * SECOND))
            self.corrections.append(Correction(at_s, found.audio_ms, found.video_ms))

    def replayed(self) -> Replayed:
        """Return what holds the sound back as it was held back so far."""
        return Replayed(self.corrections)

    def _relative_ms(self, at_s: float) -> int | None:
        """Return by how much longer the picture is under way; None where that is not known, or nothing new came."""
        sound, picture = self._clocks
        sound.until(at_s)
        picture.until(at_s)
        newest, heard = self.viewing.newest, int(np.searchsorted(self._sound_s, at_s, side="right"))
        if newest is None or not heard:
            return None
        # How many packets of sound have come, and which of the picture is the newest.
        came = heard, newest.sequence
        # As libwebrtc: unless both have something new, the gap of a second ago would be corrected twice.
        if self._judged is not None and (came[0] == self._judged[0] or came[1] == self._judged[1]):
            return None
        self._judged = came
        sound_captured_s = sound.clock.captured_s(int(self._stamps[heard - 1]))
        picture_captured_s = picture.clock.captured_s(newest.timestamp)
        if sound_captured_s is None or picture_captured_s is None:
            return None
        return relative_delay_ms(
            video_arrived_ms=round(newest.at_s * 1e3),
            audio_arrived_ms=round(float(self._sound_s[heard - 1]) * 1e3),
            video_captured_ms=round(picture_captured_s * 1e3),
            audio_captured_ms=round(sound_captured_s * 1e3),
        )


class Replayed:
    """Holds the sound back again as it was: it can be played more than once, the picture is not."""

    def __init__(self, corrections: Sequence[Correction]) -> None:
        self._left = deque(corrections)

    @property
    def due_s(self) -> float:
        """When the next correction was made; infinity after the last."""
        return self._left[0].at_s if self._left else math.inf

    def act(self, playout: NetEq) -> None:
        """Make it again."""
        playout.hold(self._left.popleft().audio_ms / 1e3)


class _Clock:
    """The clock of one source, by its reports as they came."""

    def __init__(self, reports: Sequence[SenderReport]) -> None:
        self.clock = CaptureClock()
        self._coming = deque(sorted(reports))

    def until(self, at_s: float) -> None:
        """Take all reports that came by ``at_s``."""
        while self._coming and self._coming[0].at_s <= at_s:
            report = self._coming.popleft()
            self.clock.report(report.ntp_s, report.timestamp)
