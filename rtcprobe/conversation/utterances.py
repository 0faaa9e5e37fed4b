"""The lines of a conversation as sound: words in a voice, files, noise; each at its level.

Rules:
    1. A voice is one of ours (``synthesis.VOICES``) or ``espeak:NAME``, where ``espeak-ng`` is installed. Ours sound
       the same everywhere; espeak's sound as its version has it.
    2. ``[pause 900ms]`` within words is silence of just that length between what is said before and after.
    3. Levels are active speech levels (ITU-T P.56) of the utterance without its pauses; an utterance begins and ends
       with its first and last audible sample, so that its ends are known.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.voice import active_speech_level
from rtcprobe.audio.wav import read_wav
from rtcprobe.conversation.plan import Conversation, Kind, Line, When
from rtcprobe.conversation.synthesis import VOICES, synthesised
from rtcprobe.errors import BadInputError, did_you_mean
from rtcprobe.units import parse_duration

__all__ = ["Utterance", "check_voice", "sound_of_words", "spoken_lines"]

# Of one line: a call's script of some lines, not a reading.
_LONGEST_S = 60.0
_MOST_LETTERS = 1200
"""Twenty a second for a minute: faster than anybody speaks. What is longer is not made first and measured then."""
# Seconds for a minute's line; a program of that name that waits for something is not waited for.
_ESPEAK_TIMEOUT_S = 20.0
_ESPEAK = "espeak:"
# A voice's name as espeak-ng lists them ("en-us", "cmn", "en+f3"): it becomes an argument, so nothing that begins with
# a dash or leads to a file.
_ESPEAK_NAME = re.compile(r"[a-z][A-Za-z0-9+-]{0,40}")

# pause = "[pause " time "]"
_PAUSE = re.compile(r"\[pause ([^\[\]]{0,20})\]")

_AUDIBLE_DB = 40.0  # below the loudest sample: what is cut off both ends is not heard, and what is left begins there


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """A line as sound, shape (samples,), 48 kHz, at its level, and the cue it waits for."""

    kind: Kind
    when: When
    sound: Pcm
    called: str


def spoken_lines(conversation: Conversation) -> tuple[Utterance, ...]:
    """Return every line as sound.

    Raises:
        BadInputError: a voice there is not, words without sound, a file that cannot be used, one that is too long.
    """
    return tuple(
        Utterance(
            kind=line.kind,
            when=line.when,
            sound=_sound(number, line, conversation.voice, conversation.level_dbfs),
            called=line.called,
        )
        for number, line in enumerate(conversation.lines)
    )


def check_voice(voice: str) -> None:
    """Refuse a voice there is not.

    Raises:
        BadInputError: it is none of ours, and none of ``espeak-ng``, or that is not installed.
    """
    if voice in VOICES:
        return
    name = voice.removeprefix(_ESPEAK)
    if name == voice:
        raise BadInputError(f"voice {voice!r} is not known", f"{did_you_mean(voice, sorted(VOICES))}, or espeak:en-gb")
    if _ESPEAK_NAME.fullmatch(name) is None:
        raise BadInputError(f"voice {voice!r} is none of espeak-ng's", "write it like espeak:en-gb")
    if shutil.which("espeak-ng") is None:
        ours = ", ".join(sorted(VOICES))
        raise BadInputError(f"voice {voice!r} needs espeak-ng, which is not installed", f"install it, or use {ours}")


def sound_of_words(words: str, voice: str, level_dbfs: float) -> Pcm:
    """Return ``words`` in ``voice`` at ``level_dbfs``, pauses in it (rule 2).

    Raises:
        BadInputError: no such voice, or nothing that could be said.
    """
    check_voice(voice)
    if len(words) > _MOST_LETTERS:
        raise BadInputError(
            f"{words[:40]!r}… has {len(words):,} characters",
            f"{_MOST_LETTERS:,} at the most: {_LONGEST_S:g}s of speech",
        )
    # split gives words and pauses in turn, as the pattern has one group: words at even places.
    pieces = _PAUSE.split(words)
    said = [_trimmed(_say(piece, voice)) if piece.strip() else None for piece in pieces[::2]]
    sounding = [each for each in said if each is not None and len(each)]
    # A pause at either end would not be silence within the words, but a later beginning that nobody sees.
    if not sounding or said[0] is None or said[-1] is None:
        raise BadInputError(f"{words!r} holds nothing that could be said", "write words, with pauses between them")
    # Rule 3: over what sounds, so that a pause does not make the words louder.
    gain = _gain(np.concatenate(sounding), level_dbfs, repr(words))
    parts: list[Pcm] = []
    for place, each in enumerate(said):
        if place:
            pause_s = parse_duration(pieces[2 * place - 1])
            if not 0.0 <= pause_s <= _LONGEST_S:
                raise BadInputError(f"pause {pieces[2 * place - 1]!r} is impossible", f"give 0ms to {_LONGEST_S:g}s")
            parts.append(np.zeros(round(pause_s * SAMPLE_RATE_HZ), dtype=np.float32))
        if each is not None:
            parts.append(each * gain)
    whole: Pcm = np.clip(np.concatenate(parts), -1.0, 1.0)
    return whole


def _sound(number: int, line: Line, voice: str, level_dbfs: float) -> Pcm:
    if line.kind == "noise":
        assert line.lasts_s is not None
        assert line.level_dbfs is not None
        # By its place among the lines: two noises differ, and a run of the same script has the same ones.
        rng = np.random.default_rng(number)
        noise = rng.standard_normal(round(line.lasts_s * SAMPLE_RATE_HZ), dtype=np.float32)
        burst: Pcm = np.clip(noise * np.float32(10 ** (line.level_dbfs / 20)), -1.0, 1.0)
        return burst
    if line.wav is None:
        sound = sound_of_words(line.words, voice, level_dbfs)
    else:
        sound = _trimmed(_read(line.wav))
        sound = np.clip(sound * _gain(sound, level_dbfs, str(line.wav)), -1.0, 1.0)
    if len(sound) > _LONGEST_S * SAMPLE_RATE_HZ:
        raise BadInputError(f"{line.called!r} lasts {len(sound) / SAMPLE_RATE_HZ:.1f}s", f"{_LONGEST_S:g}s at the most")
    return sound


@lru_cache(maxsize=16)
def _read(path: Path) -> Pcm:
    return read_wav(path)


@lru_cache(maxsize=64)
def _say(words: str, voice: str) -> Pcm:
    ours = VOICES.get(voice)
    return _espeak(words, voice.removeprefix(_ESPEAK)) if ours is None else synthesised(words, ours)


def _espeak(words: str, name: str) -> Pcm:
    """Return what ``espeak-ng`` makes of ``words``; ``name`` was checked, and words go in by its standard input."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        command = ["espeak-ng", "-v", name, "-w", str(path), "--stdin"]
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and no word of it is anybody else's
                command, input=words.encode(), capture_output=True, timeout=_ESPEAK_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BadInputError(f"espeak-ng did not say {words!r}", str(error)) from error
        if done.returncode or not path.exists():
            why = done.stderr.decode(errors="replace").strip().splitlines()
            raise BadInputError(f"espeak-ng has no voice {name!r}", why[0] if why else "espeak-ng --voices names them")
        return read_wav(path)


def _trimmed(sound: Pcm) -> Pcm:
    """Return ``sound`` from its first audible sample to its last; nothing where it has none."""
    peak = float(np.abs(sound).max()) if len(sound) else 0.0
    if peak <= 0.0:
        return sound[:0]
    audible = np.flatnonzero(np.abs(sound) >= peak * 10 ** (-_AUDIBLE_DB / 20))
    return sound[audible[0] : audible[-1] + 1]


def _gain(sound: Pcm, level_dbfs: float, called: str) -> np.float32:
    level, _ = active_speech_level(sound)
    if level < -90.0:
        raise BadInputError(f"{called} is silent", "give words, or a WAV file with sound in it")
    return np.float32(10 ** ((level_dbfs - level) / 20))
