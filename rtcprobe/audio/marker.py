"""The markers that mouths speak: forty-eight short sweeps that an ear can tell apart, shared out among talkers.

Facts:
    A marker is a sweep of constant amplitude through 300–3400 Hz whose path bends once or twice. Sweeps that jump
    between bands would correlate less with one another, but a speech codec cannot follow the jumps: at 16 kb/s
    they come out of Opus with a correlation of 0.5 to 0.8 and timing errors of 30 µs, bent sweeps with 0.7 to 0.99
    and 10 µs. The table below was chosen by measurement, 24 from 892 bent sweeps and 24 more from 2,802: each keeps
    a correlation of 0.7 or more through Opus at 16 kb/s in the worst mode (restricted low delay, 10 ms packets); no
    two of them correlate by more than 0.36 at any shift (of the first 24: 0.28), and none with itself by more than
    0.24 beyond 1 ms (0.2).

Rules:
    1. A talker speaks its own codes in turn: with 24 codes and two markers a second a code comes again after 12 s,
       so that within any delay shorter than that a code names one marker.
    2. Talkers of one call share no code, so that in a mix no marker is taken for another's; and they speak in turn,
       a slot of 250 ms each, so that in a mix few markers fall on one another. More talkers mean fewer codes and
       fewer markers each, and the period stays what it is (``trains``).
    3. Marker instants are dithered by up to ``dither_s`` around the even grid, so that they meet every phase of
       the codec's frames and of the playout's ticks, and no period of the network hides behind theirs
       (RFC 2330 §11.1.1: periodic probing sees periodic behaviour as constant).
    4. Instants are whole samples: what is spoken is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ
from rtcprobe.errors import BadInputError
from rtcprobe.units import format_duration

__all__ = [
    "CODES",
    "LEAD_S",
    "MARKER_BAND_HZ",
    "MARKER_S",
    "MARKER_SAMPLES",
    "TWO_PARTIES",
    "Marker",
    "MarkerTrain",
    "trains",
    "waveform",
]

# A band of 3.1 kHz for 80 ms is a time-bandwidth product of 248: what lifts a marker out of the speech over
# it, and short enough that two a second leave the programme mostly as it is.
MARKER_S = 0.080
MARKER_SAMPLES = 3840
MARKER_BAND_HZ = (300.0, 3400.0)
"""The telephone band, which every codec mode down to narrowband carries."""

LEAD_S = 2.4
"""What a train that loops speaks but once: by then every codec has settled. A whole number of all packet times, and in
no marker of a train whose slots are ``SLOT_S``."""

_FADE = 0.2  # the share of a marker that is fades: 8 ms in, 8 ms out, raised cosine

# Where a sweep starts, bends and ends (Hz), and where in the marker it bends (share of its length).
_THIRDS = (1 / 3, 2 / 3)
_PATHS: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    ((3400, 300, 1850), (0.6,)),
    ((300, 3400, 2900, 2400), _THIRDS),
    ((800, 1300, 1850, 3400), _THIRDS),
    ((2900, 1850, 800, 3400), _THIRDS),
    ((300, 1850, 2900), (0.3,)),
    ((2400, 3400, 800), (0.4,)),
    ((1300, 300, 3400), (0.7,)),
    ((2900, 300, 1850), (0.3,)),
    ((1850, 2900, 300), (0.3,)),
    ((300, 1300, 3400, 2400), _THIRDS),
    ((3400, 800), ()),
    ((300, 2400, 1850, 2900), _THIRDS),
    ((2900, 800, 1850, 300), _THIRDS),
    ((2400, 3400, 300), (0.6,)),
    ((1300, 2900, 300), (0.7,)),
    ((300, 2900, 1300), (0.3,)),
    ((1850, 300, 2900), (0.7,)),
    ((2400, 3400, 300, 1300), _THIRDS),
    ((300, 2900), ()),
    ((2900, 300, 800, 1300), _THIRDS),
    ((800, 3400, 1300, 800), _THIRDS),
    ((2900, 800, 3400), (0.3,)),
    ((3400, 2400, 300, 2400), _THIRDS),
    ((2900, 1300, 300, 1850), _THIRDS),
    # From here on chosen later, against all before.
    ((300, 3400, 800), (0.7,)),
    ((2900, 800, 2900), (0.6,)),
    ((300, 3400, 1850, 1300), _THIRDS),
    ((2400, 800, 2900), (0.4,)),
    ((1300, 2900, 300, 2900), _THIRDS),
    ((1850, 300, 2400), (0.6,)),
    ((1300, 300, 3400, 800), _THIRDS),
    ((300, 2900, 1300, 2400), _THIRDS),
    ((2400, 300, 1300, 300), _THIRDS),
    ((1300, 2400, 800), (0.6,)),
    ((2400, 1850, 300, 2400), _THIRDS),
    ((800, 1850, 1300, 300), _THIRDS),
    ((1850, 800, 2400), (0.7,)),
    ((800, 2900, 300), (0.7,)),
    ((3400, 300, 2400, 2900), _THIRDS),
    ((2400, 800, 3400, 300), _THIRDS),
    ((2900, 300, 1850, 3400), _THIRDS),
    ((1300, 300, 2900, 3400), _THIRDS),
    ((3400, 2900, 800, 3400), _THIRDS),
    ((2400, 1300, 2400, 300), _THIRDS),
    ((2400, 3400, 1300), (0.7,)),
    ((300, 800, 2900, 800), _THIRDS),
    ((300, 2900, 1850, 3400), _THIRDS),
    ((3400, 2400, 800, 2900), _THIRDS),
)
CODES = len(_PATHS)
SLOT_S = 0.25
"""From one talker's marker to the next one's: it, its dither, and 150 ms by which two ways may differ in delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One marker: its place in the train, its waveform's code, and the instant its first sample is spoken."""

    index: int
    code: int
    spoken_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerTrain:
    """When which markers are spoken: about every ``spacing_s`` from ``first_s`` on, dithered by ``seed``.

    ``codes`` are this talker's, each 0 to 47, spoken in turn. ``loops``: once each has been spoken after ``LEAD_S``,
    everything from there on comes again as it was, dither and all, every ``loop_s``.
    """

    codes: tuple[int, ...] = tuple(range(CODES // 2))
    spacing_s: float = 0.5
    first_s: float = 0.25
    dither_s: float = 0.020
    seed: int = 0
    loops: bool = False

    def __post_init__(self) -> None:
        if self.dither_s < 0:
            raise BadInputError(f"marker dither {format_duration(self.dither_s)} is negative", "give 0ms or more")
        if self.spacing_s < 2 * MARKER_S + self.dither_s:
            least = format_duration(2 * MARKER_S + self.dither_s)
            raise BadInputError(
                f"marker spacing {format_duration(self.spacing_s)} leaves no quiet between markers",
                f"give {least} or more",
            )
        if self.first_s < 0:
            raise BadInputError(
                f"first marker at {format_duration(self.first_s)} is before the start", "give 0ms or more"
            )
        if self.seed < 0:
            raise BadInputError(f"marker seed {self.seed} is negative", "give 0 or more")
        if not self.codes or len(set(self.codes)) < len(self.codes) or not set(self.codes) <= set(range(CODES)):
            raise BadInputError(
                f"marker codes {', '.join(map(str, self.codes)) or 'of no number'} are impossible",
                f"give one or more of 0 to {CODES - 1}, each once",
            )

    @property
    def period_s(self) -> float:
        """After how long a code comes again: no delay longer than this (less the dither) can be told apart."""
        return len(self.codes) * self.spacing_s - self.dither_s

    @property
    def loop_s(self) -> float:
        """How long it takes to speak every code once."""
        return len(self.codes) * self.spacing_s

    def markers(self, duration_s: float, start_s: float = 0.0) -> tuple[Marker, ...]:
        """Return the markers that end within ``duration_s``; ``spoken_s`` counts from ``start_s``.

        The train is one sequence: a longer duration only adds markers at its end.
        """
        count = max(0, int((duration_s - self.first_s) / self.spacing_s) + 1)
        place = np.arange(count)
        lead = max(0, math.ceil((LEAD_S - self.first_s) / self.spacing_s))
        # Markers after the first round take place, code and dither from it; one that does not loop draws for
        # each.
        rounds = np.maximum(0, (place - lead) // len(self.codes)) if self.loops else np.zeros_like(place)
        place -= rounds * len(self.codes)
        # All numbers up to the last place are drawn, so that a longer train begins as a shorter one.
        dither = np.random.default_rng(np.random.SeedSequence(self.seed)).random(int(place.max(initial=0)) + 1)[place]
        grid = self.first_s + self.spacing_s * place + self.dither_s * dither
        samples = np.round(grid * SAMPLE_RATE_HZ).astype(np.int64)
        samples += rounds * round(self.loop_s * SAMPLE_RATE_HZ)
        last = round(duration_s * SAMPLE_RATE_HZ) - MARKER_SAMPLES
        return tuple(
            Marker(
                index=index, code=self.codes[index % len(self.codes)], spoken_s=start_s + int(sample) / SAMPLE_RATE_HZ
            )
            for index, sample in enumerate(samples)
            if sample <= last
        )


def trains(talkers: int) -> tuple[MarkerTrain, ...]:
    """Return a train for each of ``talkers`` who can be heard in one call, the first one's as if alone or of two.

    Raises:
        BadInputError: nobody, or more talkers than there are codes.
    """
    if not 0 < talkers <= CODES:
        raise BadInputError(
            f"{talkers} talkers cannot be told apart in one call by {CODES} marker codes", f"give 1 to {CODES}"
        )
    # One alone gets half of the codes, as one of two does: what a party speaks then does not hang on who else
    # comes.
    sharing = max(2, talkers)
    each, usual = CODES // sharing, MarkerTrain()
    return tuple(
        MarkerTrain(
            codes=tuple(range(talker * each, (talker + 1) * each)),
            spacing_s=SLOT_S * sharing,
            first_s=usual.first_s + SLOT_S * talker,
            seed=talker,
        )
        for talker in range(talkers)
    )


TWO_PARTIES: tuple[MarkerTrain, ...] = tuple(MarkerTrain(codes=train.codes) for train in trains(2))
"""What caller and callee of a call of two speak: each hears the other alone, so their markers need not take turns."""


@cache
def _shape() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return how far into a marker each sample lies, 0 to 1, and how much it is faded, both of shape (3840,)."""
    at = (np.arange(MARKER_SAMPLES) + 0.5) / MARKER_SAMPLES
    edge = np.minimum(at, 1 - at) / (_FADE / 2)
    return at, np.where(edge < 1, 0.5 - 0.5 * np.cos(np.pi * edge), 1.0)


@lru_cache(maxsize=CODES)
def waveform(code: int) -> npt.NDArray[np.float32]:
    """Return the marker of ``code`` (0 to 47): shape (3840,), 48 kHz, peak 1.0, RMS 0.66, read-only."""
    knots, bends = _PATHS[code]
    at, fade = _shape()
    frequency_hz = np.interp(at, (0.0, *bends, 1.0), knots)
    # The phase is the sum of the frequencies so far, so bends are bends of the pitch, without a step in the
    # wave.
    sweep = np.sin(2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ)
    wave: npt.NDArray[np.float32] = (sweep * fade).astype(np.float32)
    wave.setflags(write=False)
    return wave
