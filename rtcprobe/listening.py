"""How well the other side was heard, judged from the sound alone: ViSQOL's MOS-LQO of ear against mouth.

Facts:
    ViSQOL compares the spectrograms of what was spoken and what was heard, patch by patch, and maps their likeness
    to a mean opinion score of 1 to 5 learned from listening tests of speech: it hears what concealment and
    stretching do to the very sound, where the E-model (``quality``) only counts losses. It knows nothing of delay.
    It wants speech of 8 to 10 s with few pauses, a clean original, and several scores rather than one
    (github.com/google/visqol, README, guidelines for input and output).

    Over silence or noise its figures say nothing about speech: 20 % loss over markers in silence still scores 4.1,
    a clean link over markers in noise 3.4. Only stretches of speech are scored, everything else is refused.

    Markers lie under the speech in mouth and ear alike. They cost about what any sound between the words would; the
    score of a perfect copy, which is not 5 for every voice, is told beside it.

Rules:
    1. A segment is 8 s of the mouth's grid, counted from when it began to speak; a rest shorter than that is left
       out, and so is what the ear no longer recorded.
    2. A segment's sound in the ear is where its own markers were heard: the median delay of those within it, or of
       the one nearest in time where all of them were damaged. What NetEQ stretched inside a segment is left for
       ViSQOL's patches to find, as they find it in any call.
    3. ViSQOL runs as its authors ship it: speech mode, 16 kHz, the lattice model, alignment on. Its older
       polynomial mapping hardly moves with loss and is never fallen back to.
    4. A segment of which the ear played nothing scores 1, the worst there is: ViSQOL has no answer to digital zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np

from rtcprobe.audio.ear import Hearing, listen
from rtcprobe.audio.marker import TWO_PARTIES, MarkerTrain
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.resample import resampled
from rtcprobe.audio.wav import read_wav
from rtcprobe.errors import BadInputError
from rtcprobe.ways import BOTH_WAYS, Way

__all__ = [
    "SCORING_RATE_HZ",
    "SEGMENT_S",
    "Compare",
    "Listening",
    "Segment",
    "cut",
    "score",
    "score_folder",
    "visqol",
]

Compare = Callable[[Pcm, Pcm], float]
"""MOS-LQO of the second sound against the first, both at ``SCORING_RATE_HZ``, shape (samples,)."""

# The lower end of what ViSQOL wants (8 to 10 s), so that a call of a minute has seven scores.
SEGMENT_S = 8.0
SCORING_RATE_HZ = 16_000
"""What ViSQOL's speech mode is made for. Source: github.com/google/visqol, README."""

_WORST = 1.0  # "bad" on the listening-quality scale. Source: ITU-T P.800
_BLOCK_SAMPLES = 320  # 20 ms at the scoring rate
_SPEECH_DBFS = -50.0  # between speech (-26 dBFS, markers 10 dB below) and the mouth's own noise (-55 dBFS)
_LEAST_ACTIVE = 0.4  # of a segment's blocks; markers alone fill 0.2 of them
_SEARCH_S = 0.5  # a mouth is never all zeros for longer: its first marker comes 0.25 s after it began
_MISSING_S = 0.5  # how much of a segment's end the ear may not have recorded: its last frames may have been lost


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """A stretch of speech as spoken (from ``start_s`` of the recording) and as heard ``delay_s`` later, at 16 kHz."""

    start_s: float
    delay_s: float
    mouth: Pcm
    ear: Pcm


@dataclass(frozen=True)
class Listening:
    """The MOS-LQO of each segment of one direction in the order spoken, never none, and of a copy of the first one."""

    scores: tuple[float, ...]
    copy_score: float

    @property
    def median(self) -> float:
        """The median of the segments."""
        return median(self.scores)


def score_folder(folder: Path, make_compare: Callable[[], Compare]) -> Iterator[tuple[Way, Listening]]:
    """Yield what each way scores, from the two WAV files of each that ``rtcprobe run --wav`` writes.

    Of a run of several calls (``call-1`` and so on) their segments are told together; the copy is the first call's.

    ``make_compare`` (usually ``visqol``) is asked for once the files are known to be there.

    Raises:
        BadInputError: a file is missing, or ``score`` refuses what it holds.
    """
    calls = sorted(folder.glob("call-[0-9]*"), key=lambda each: (len(each.name), each.name)) or [folder]
    by_call = [_pairs(each) for each in calls]
    compare = make_compare()
    for direction in by_call[0]:
        scored = [_scored(direction, *pairs[direction], compare) for pairs in by_call if direction in pairs]
        yield direction, Listening(tuple(chain.from_iterable(each.scores for each in scored)), scored[0].copy_score)


def _scored(direction: Way, mouth: Path, ear: Path, compare: Compare) -> Listening:
    try:
        return score(read_wav(mouth), read_wav(ear), compare)
    except BadInputError as error:
        folder = str(mouth.parent)
        raise error if folder in error.message else error.within(str(mouth.parent / direction)) from None


def score(mouth: Pcm, ear: Pcm, compare: Compare) -> Listening:
    """Return what ``ear`` scores against ``mouth``: shape (samples,), 48 kHz, one clock from their first samples on.

    Raises:
        BadInputError: see ``cut``.
    """
    segments = cut(mouth, ear)
    scores = tuple(compare(each.mouth, each.ear) if each.ear.any() else _WORST for each in segments)
    return Listening(scores, compare(segments[0].mouth, segments[0].mouth))


def cut(mouth: Pcm, ear: Pcm) -> tuple[Segment, ...]:
    """Return the segments of speech of ``mouth``, each with its sound in ``ear`` (rules 1 and 2); never none.

    Raises:
        BadInputError: nothing or too little is spoken or heard, no markers are in the mouth or heard by the ear,
            what is spoken is no speech, or samples are no numbers.
    """
    for name, pcm in (("mouth", mouth), ("ear", ear)):
        if not np.all(np.isfinite(pcm)):
            raise BadInputError(f"the {name} holds samples that are not numbers", "give what rtcprobe run --wav wrote")
    train, began_s = _began(mouth)
    ends_s = len(mouth) / SAMPLE_RATE_HZ
    if ends_s - began_s < SEGMENT_S:
        raise BadInputError(
            f"the mouth speaks for {ends_s - began_s:.1f}s, too short to be scored",
            f"run a call of {SEGMENT_S:g}s or longer, better of 60s",
        )
    spoken, heard = resampled(mouth, SAMPLE_RATE_HZ, SCORING_RATE_HZ), resampled(ear, SAMPLE_RATE_HZ, SCORING_RATE_HZ)
    # A trifle is added so that a call of 16 s has two segments, however its length was rounded.
    grid_s = [began_s + SEGMENT_S * index for index in range(int((ends_s - began_s) / SEGMENT_S + 1e-6))]
    starts_s = [start_s for start_s in grid_s if _is_speech(_stretch(spoken, start_s))]
    if not starts_s:
        raise BadInputError(
            "the mouth speaks no speech, only markers over silence or noise", "run with --mouth and a WAV of speech"
        )
    hearing = _heard(train, mouth, ear, began_s)
    recorded_s = len(ear) / SAMPLE_RATE_HZ + _MISSING_S
    placed = [(start_s, _delay_s(hearing, start_s)) for start_s in starts_s]
    segments = tuple(
        Segment(
            start_s=start_s,
            delay_s=delay_s,
            mouth=_stretch(spoken, start_s),
            ear=_stretch(heard, start_s + delay_s),
        )
        for start_s, delay_s in placed
        if start_s + delay_s + SEGMENT_S <= recorded_s
    )
    if not segments:
        raise BadInputError(
            f"the ear recorded {len(ear) / SAMPLE_RATE_HZ:.1f}s, no whole segment of {SEGMENT_S:g}s of the speech",
            "run a longer call",
        )
    return segments


def visqol() -> Compare:
    """Return ViSQOL as it is shipped (rule 3).

    Raises:
        BadInputError: the extra is not installed.
    """
    try:
        from visqol import VisqolApi  # noqa: PLC0415 - an extra, and seconds of imports

        api = VisqolApi()
        api.create(mode="speech", use_lattice_model=True)
    except ImportError:
        raise BadInputError(
            "ViSQOL, which judges the sound, is not installed", "pip install 'visqol-python[lattice,accel]'"
        ) from None

    def compare(mouth: Pcm, ear: Pcm) -> float:
        found = api.measure_from_arrays(mouth.astype(np.float64), ear.astype(np.float64), sample_rate=SCORING_RATE_HZ)
        return float(found.moslqo)

    return compare


def _pairs(folder: Path) -> dict[Way, tuple[Path, Path]]:
    """Return mouth and ear of each direction that was recorded, which depends on the target; both files are there."""
    if not folder.is_dir():
        raise BadInputError(f"{folder} is no folder", "give the one that rtcprobe run --wav wrote")
    ends = (".mouth.wav", ".ear.wav")
    found = sorted(each.name.removesuffix(end) for end in ends for each in folder.glob(f"*{end}"))
    names = dict.fromkeys([*(way for way in BOTH_WAYS if way in found), *found])
    pairs = {way: (folder / f"{way}{ends[0]}", folder / f"{way}{ends[1]}") for way in map(_way, names) if way}
    every = pairs or {way: (folder / f"{way}{ends[0]}", folder / f"{way}{ends[1]}") for way in BOTH_WAYS}
    missing = [path.name for pair in every.values() for path in pair if not path.is_file()]
    if missing:
        inside = sorted(path.parent.name for path in folder.glob(f"*/{missing[0]}"))
        hint = f"give one of the folders in it, like {folder / inside[0]}" if inside else ""
        raise BadInputError(f"{folder} holds no {missing[0]}", hint or "give the folder that rtcprobe run --wav wrote")
    return pairs


def _way(name: str) -> Way | None:
    try:
        return Way(name)
    except BadInputError:
        return None  # somebody else's


def _began(mouth: Pcm) -> tuple[MarkerTrain, float]:
    """Return which side's mouth it is and when it began: its recording is led by the zeros of the join."""
    sounding = np.flatnonzero(mouth)
    if not len(sounding):
        raise BadInputError("the mouth is silent", "run a call that joins, with --mouth and a WAV of speech")
    # A mouth that begins has a floor of noise, not zeros, so its first sample tells the beginning to within
    # the search.
    lead_s = max(0.0, int(sounding[0]) / SAMPLE_RATE_HZ - _SEARCH_S)
    lead = round(lead_s * SAMPLE_RATE_HZ)
    hearings = [
        listen(mouth[lead:], 0.0, train, train.markers(len(mouth) / SAMPLE_RATE_HZ - lead_s), max_delay_s=2 * _SEARCH_S)
        for train in TWO_PARTIES
    ]
    # Whose it is the codes say: one train is heard in its own mouth, the other hardly at all.
    train, hearing = max(zip(TWO_PARTIES, hearings, strict=True), key=lambda each: len(each[1].heard))
    if not hearing.heard:
        raise BadInputError("the mouth holds no markers", "give the WAV files that rtcprobe run --wav wrote")
    return train, lead / SAMPLE_RATE_HZ + float(np.median(hearing.delays_s))


def _heard(train: MarkerTrain, mouth: Pcm, ear: Pcm, began_s: float) -> Hearing:
    markers = train.markers(len(mouth) / SAMPLE_RATE_HZ - began_s, start_s=began_s)
    hearing = listen(ear, 0.0, train, markers)
    if not hearing.heard:
        raise BadInputError(
            "no marker of the mouth was heard by the ear, so they cannot be aligned",
            "give the two WAV files of one call, over a link that lets sound through",
        )
    return hearing


def _delay_s(hearing: Hearing, start_s: float) -> float:
    """Return the delay of the segment from ``start_s`` on (rule 2)."""
    at_s = np.array([each.marker.spoken_s for each in hearing.heard])
    inside = (at_s >= start_s) & (at_s < start_s + SEGMENT_S)
    nearest = np.abs(at_s - (start_s + SEGMENT_S / 2)).argmin()
    return float(np.median(hearing.delays_s[inside]) if inside.any() else hearing.delays_s[nearest])


def _is_speech(pcm: Pcm) -> bool:
    blocks = pcm[: len(pcm) // _BLOCK_SAMPLES * _BLOCK_SAMPLES].reshape(-1, _BLOCK_SAMPLES)
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    return bool(np.mean(power > 10 ** (_SPEECH_DBFS / 10)) >= _LEAST_ACTIVE)


def _stretch(pcm: Pcm, start_s: float) -> Pcm:
    """Return the 8 s from ``start_s`` on, silence where the recording has ended."""
    start, size = round(start_s * SCORING_RATE_HZ), round(SEGMENT_S * SCORING_RATE_HZ)
    out = np.zeros(size, dtype=np.float32)
    found = pcm[start : start + size]
    out[: len(found)] = found
    return out
