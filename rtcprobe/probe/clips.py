"""What a turn sounded like: the user on the left, what the user heard on the right, cut out of a call to be kept.

Rules:
    1. Both are on the time of the user's place: what lies between the end of the one and the beginning of the other is
       the response that was measured.
    2. A clip is a turn's end and its answer's beginning: ``_BEFORE_S`` and ``_AFTER_S`` around, ``_LONGEST_S`` at most.
       All clips of a run take ``MOST_BYTES`` in base64 at most: later turns are left out.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Final

import numpy as np

from rtcprobe.audio.clip import webm_of
from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.hearing.passage import LOOK_AHEAD_SAMPLES
from rtcprobe.hearing.turns import Heard, LineHeard, Turns
from rtcprobe.recording import Said
from rtcprobe.result import Clip
from rtcprobe.scenario import Devices

__all__ = ["MOST_BYTES", "clips_of", "mouth_sound"]

# Of base64, which is four thirds of the sound: beside it a page stays below its megabyte.
MOST_BYTES: Final = 240_000
# Enough to hear that it was silent before.
_BEFORE_S: Final = 0.2
# The answer's first words.
_AFTER_S: Final = 2.0
# From the end of a clip back: of a long turn its end is what the response is measured from.
_LONGEST_S: Final = 8.0


def mouth_sound(said: Said, devices: Devices) -> tuple[float, Pcm]:
    """Return what a mouth said, decoded, and when its first sample was spoken, seconds since the call's epoch."""
    decoder = OpusDecoder()
    silence = np.zeros(round(said.ptime_s * SAMPLE_RATE_HZ), dtype=np.float32)
    sound = [silence if frame is None else decoder.decode(frame) for frame in said.frames]
    # The encoder's look-ahead comes out first, and the microphone heard it before: both lie between sound and packet.
    begun_s = (said.started_s or 0.0) - devices.capture_s - LOOK_AHEAD_SAMPLES / SAMPLE_RATE_HZ
    return begun_s, np.concatenate([np.zeros(0, dtype=np.float32), *sound])


def clips_of(call: int, turns: Turns, said: Said, heard: Heard, devices: Devices) -> tuple[Clip, ...]:
    """Return the clips of a call, in the order of its lines (rule 2)."""
    mouth, ear = mouth_sound(said, devices), (heard.playback.start_s + devices.playback_s, heard.sound)
    found, bytes_left = list[Clip](), MOST_BYTES
    for line, from_s, until_s in _worth(turns):
        webm = b64encode(webm_of(_cut(*mouth, from_s, until_s), _cut(*ear, from_s, until_s))).decode()
        bytes_left -= len(webm)
        if bytes_left < 0:
            break
        found.append(Clip(call=call, marker=line.number, from_s=from_s, until_s=until_s, note=line.called, webm=webm))
    return tuple(found)


def _worth(turns: Turns) -> Iterator[tuple[LineHeard, float, float]]:
    """Yield every line that was said, and from when until when it is kept."""
    for line in turns.lines:
        if line.begin_s is None or line.end_s is None:
            continue
        # A turn that interrupted is heard until the agent was silent, its answer or not.
        silent_s = line.begin_s + line.stop_s if line.stop_s is not None else line.end_s
        last_s = max(line.end_s, silent_s if line.answer is None else line.answer.begin_s)
        until_s = last_s + _AFTER_S
        yield line, max(line.begin_s - _BEFORE_S, until_s - _LONGEST_S), until_s


def _cut(begun_s: float, sound: Pcm, from_s: float, until_s: float) -> Pcm:
    """Return the part of ``sound``, which began at ``begun_s``; silence where it has none."""
    out = np.zeros(round((until_s - from_s) * SAMPLE_RATE_HZ), dtype=np.float32)
    first = round((from_s - begun_s) * SAMPLE_RATE_HZ)
    # Where the cut begins before the sound does, silence stands for what was not there.
    skipped = max(0, -first)
    part = sound[max(0, first) : max(0, first) + max(0, len(out) - skipped)]
    out[skipped : skipped + len(part)] = part
    return out
