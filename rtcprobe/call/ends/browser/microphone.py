"""A microphone that stays the browser's own: it plays a file of ours, and a tap on its track tells when it did.

Facts:
    - ``--use-file-for-fake-audio-capture`` plays a WAV file from its beginning wherever a page opens a microphone, with
      whatever processing that page asks for. ``%noloop``: once. Looped, it would come again 10 ms late each time.
    - Its track gives blocks of 10 ms, stamped when they were due: when the last sample of each was spoken. How late one
      was given out its stamp does not say (of 1,000 none lay 0.01 ms beside the grid), but when it was read.

Rules:
    1. The file holds what is said from the moment a page opens its microphone on, for as long as a join may take and
       the call; what lies before the talk begins is not asked for (``Said.gaps_s``).
    2. When its first sample was spoken is told by its own markers on the tap, on the grid of the blocks: what the
       browser does to sound before the track (its resampling, the processing) has no part in the delay.
    3. Where a page opens several microphones the latest that gave sound is the one that speaks.
"""

from __future__ import annotations

import math
import os
import tempfile
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from rtcprobe.audio.long_ear import LongEar
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ
from rtcprobe.audio.wav import wav_file
from rtcprobe.call.ends.browser.events import PageMouth
from rtcprobe.call.ends.browser.launching import PREFIX, short_root
from rtcprobe.call.ends.browser.sounding import Returned
from rtcprobe.call.mouth_track import Speech
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.hearing.speech import Spoken
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.recording import Sounded

__all__ = ["FileMicrophone"]

LONGEST_S: Final = 3700.0
"""An hour, and a join: Chromium holds the whole file in memory, 355 MB."""
_EARLY_PERCENT: Final = 5
"""Of the blocks, how many were read sooner than what is called in time: the page's clock has steps of 0.1 ms."""
_MISSED_S: Final = 0.2
"""How much of the file a tap may have missed, at most: of two blocks it missed one."""
_HEARD_S: Final = 10.0
"""Of the tap: what is listened to for the first sample. No drift was found in 12 s (slope 0.03 ppm)."""
_LISTENED: Final = round(_HEARD_S / BLOCK_S)
"""So many blocks tell the grid and what is in time: of an hour's no more, for the loop that asks carries the link."""
_PIECES: Final = 12
"""Of a second each: what is kept of the sound. Instants are kept of all of it."""


@dataclass(slots=True)
class _Clock:
    """What is known of one track's instants, from its first ``blocks``: ``_LISTENED`` at most.

    ``grid_ms`` is when the first began, by the page's wall clock; ``early_ms`` how long after its instant one in time
    was read; ``first_ms`` when the file's first sample was spoken, None while no marker of it was heard.
    """

    blocks: int = 0
    grid_ms: float = 0.0
    early_ms: float = 0.0
    first_ms: float | None = None
    late_s: array[float] = field(default_factory=lambda: array("d"))


class FileMicrophone:
    """What one page's microphone plays of ``speech``, which begins ``patience_s`` after it was opened at the latest."""

    def __init__(self, speech: Speech, patience_s: float, now_s: Callable[[], float]) -> None:
        assert speech.voice is not None
        self._voice: Spoken = speech.voice
        self._duration_s = math.inf if speech.endless else speech.duration_s
        # Without end means: until its join is over. What is said then is a
        # join's, so the patience for joins is how long.
        self._lasts_s = patience_s + (0.0 if speech.endless else speech.duration_s)
        self._now_s = now_s
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tapped = Returned()
        self._asked_s: float | None = None
        self._clocks: dict[tuple[int, int], _Clock] = {}

    def write(self) -> str:
        """Write the file; return the flag that names it.

        Raises:
            MeasurementError: it would be too long, or cannot be written.
        """
        if self._lasts_s > LONGEST_S:
            raise MeasurementError(
                f"target.mouth 'file' would speak for {self._lasts_s:.0f} s, join and all",
                f"give call.duration less: with the join a file lasts {LONGEST_S:.0f} s at most",
            )
        try:
            path = self._file()
        except (OSError, BadInputError) as error:
            self.close()
            cause = error.__context__ if isinstance(error, BadInputError) else error  # as wav_file words it
            why = cause.strerror if isinstance(cause, OSError) else error
            size_mb = self._lasts_s * SAMPLE_RATE_HZ * 2 / 1e6
            raise MeasurementError(
                f"target.mouth 'file' has no file: {size_mb:.0f} MB cannot be written in {short_root()}: {why}",
                "make room there, or give TMPDIR another folder",
            ) from error
        return f"--use-file-for-fake-audio-capture={path}%noloop"

    def _file(self) -> Path:
        self._folder = tempfile.TemporaryDirectory(
            prefix=f"{PREFIX}{os.getpid()}-", dir=short_root(), ignore_cleanup_errors=True
        )
        path = Path(self._folder.name) / "microphone.wav"
        with wav_file(path) as file:
            file.begin(0.0)
            # Piece by piece: an hour of samples at once would be 355 MB in this process too.
            for piece in self._voice.mouth.pieces(self._lasts_s):
                file.write(piece)
        return path

    def close(self) -> None:
        """Take the file away."""
        if self._folder is not None:
            self._folder.cleanup()

    def take(self, text: str) -> None:
        """Take a second of what its track gave."""
        self._tapped.take(text)
        for ear in self._tapped.ears.values():
            # The first seconds tell when the file began (``_HEARD_S``); more of the sound nobody asks for.
            del ear.pieces[_PIECES:]

    def speak(self) -> None:
        """Note that the talk begins: what was said before is nobody's."""
        if self._asked_s is None:
            self._asked_s = self._now_s()

    def mouth(self, shift_s: float) -> PageMouth:
        """Return what was said so far; ``shift_s`` turns the page's wall clock into seconds since the epoch."""
        if self._asked_s is None or not self._tapped.ears:
            return PageMouth()
        # The order of dictionaries is that of the first block of each track:
        # the last is the latest to give sound (rule 3).
        key = next(reversed(self._tapped.ears))
        clock = self._clock(key)
        if clock.first_ms is None:
            return PageMouth()
        began_s = clock.first_ms / 1e3 + shift_s
        since_s = max(self._asked_s, began_s)
        until_s = since_s + self._duration_s
        return PageMouth(
            began_s=began_s,
            ended_s=until_s if self._now_s() >= until_s else None,
            late_from_s=clock.grid_ms / 1e3 + shift_s,
            late_s=array("d", clock.late_s),
            since_s=since_s,
            lasts_s=None if math.isinf(until_s) else until_s - began_s,
        )

    def _clock(self, key: tuple[int, int]) -> _Clock:
        """Return what is known of a track by now; only what came since it was asked for last is looked at."""
        ear, clock = self._tapped.ears[key], self._clocks.setdefault(key, _Clock())
        blocks = min(len(ear.at_ms), _LISTENED)
        # Listening holds the loop up for some ms: as often as it may teach something, five times a call.
        if blocks > clock.blocks and (clock.first_ms is None or blocks >= min(2 * clock.blocks, _LISTENED)):
            # Block k is stamped when its last sample was due: less its length and those before it, all say when the
            # first began. The median, since stamps have the page clock's steps of 0.1 ms.
            due_ms = np.array(ear.at_ms[:blocks]) - np.arange(1, blocks + 1) * BLOCK_S * 1e3
            clock.blocks, clock.grid_ms = blocks, float(np.median(due_ms))
            # Stamp and reading lie apart by a constant of the browser's (its queue); what exceeds that is lateness. Not
            # the smallest, which one early step of the clock would make too small.
            clock.early_ms = float(np.percentile(ear.behind_ms[:blocks], _EARLY_PERCENT))
            clock.first_ms = self._first_sample_ms(key, clock.grid_ms)
            del clock.late_s[:]
        clock.late_s.extend(max(0.0, each - clock.early_ms) / 1e3 for each in ear.behind_ms[len(clock.late_s) :])
        return clock

    def _first_sample_ms(self, key: tuple[int, int], grid_ms: float) -> float | None:
        """Return when the file's first sample was spoken (rule 2); None while no marker of it was heard."""
        sound: Sounded = self._tapped.sound(key)
        pcm = sound.pcm[: round(_HEARD_S * SAMPLE_RATE_HZ)]
        markers = self._voice.train.markers(len(pcm) / SAMPLE_RATE_HZ)
        # The tap may have been there only after the first blocks: then markers come sooner than the grid says.
        ear = LongEar(self._voice.train, markers, _MISSED_S, advance_s=0.0)
        ear.hear(pcm)
        delays_s = ear.hearing().delays_s
        if not len(delays_s):
            return None
        # The recording was said to begin ``_MISSED_S`` late, so that no delay is negative where the tap missed the
        # first blocks. The median, for a marker that processing has bent must not move it.
        return grid_ms + 1e3 * (float(np.median(delays_s)) - _MISSED_S)
