"""A simulated agent: hears by energy, thinks for a while, answers, and may let itself be interrupted.

Theory of operation:
    It hears what its jitter buffer plays. ``least_speech_s`` of voice make a turn; ``hangover_s`` of silence end it;
    it then thinks (log-normal, seeded) and answers, from the very sample at which it is done. A voice heard while it
    thinks puts the answer off. While it answers, ``interrupt_after_s`` of voice silence it at the end of the chunk it
    has handed over already; a shorter voice, or any where nothing interrupts it, is let pass, and is no turn.

Facts:
    An agent hands its speech over in chunks: 40 ms in pipecat 1.14 (``audio_out_10ms_chunks`` = 4), and what was
    handed over is still said after an interruption.

Rule: this is no product. Its figures are called those of a *simulated agent* wherever they stand; what it hears and
does is its truth log (``said``, ``endpoints``), which the instrument is compared with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.voice import VoiceGate
from rtcprobe.conversation.hearing import Turns
from rtcprobe.conversation.plan import ROOM_DBFS, AgentPlan
from rtcprobe.conversation.talker import Spoken
from rtcprobe.conversation.utterances import sound_of_words

__all__ = ["Endpoint", "SimulatedAgent"]

CHUNK_SAMPLES = round(0.040 * SAMPLE_RATE_HZ)

# Full scale: samples are floats of −1 to 1.
_FULL = np.float32(1.0)
_FADE_SAMPLES = 240  # 5 ms: an answer cut to its length ends as words do, not with a click
_WORDS = {
    "en": "Of course, I can help you with that. The next train leaves at nine, and arrives a little after noon. "
    "If you like, I can book a seat by the window. Is there anything else you want to know?",
    "zh": "hao3 de5, wo3 lai2 bang1 ni3 kan4 yi2 xia4. ming2 tian1 shang4 wu3 jiu3 dian3 you3 yi2 tang4 che1, "
    "zhong1 wu3 yi3 hou4 dao4. ni3 hai2 xiang3 zhi1 dao4 shen2 me5?",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A turn of the user as the agent heard it, seconds: begun, ended, taken for over; how long it then thought."""

    begun_s: float
    ended_s: float
    decided_s: float
    think_s: float


class SimulatedAgent:
    """One agent of one call."""

    def __init__(self, plan: AgentPlan, seed: np.random.SeedSequence) -> None:
        self.said: list[Spoken] = []
        self.endpoints: list[Endpoint] = []
        self._plan = plan
        # Two children, thinking and the room's noise: how long it thinks does not depend on how often it was heard.
        self._chance, self._room = (np.random.Generator(np.random.PCG64(each)) for each in seed.spawn(2))
        self._room_gain = np.float32(10 ** (ROOM_DBFS / 20))
        self._ear = Turns(VoiceGate(plan.threshold_dbfs), least_s=plan.least_speech_s, gap_s=plan.hangover_s)
        self._answer_s: float | None = None
        """When it will have thought."""
        self._saying: Spoken | None = None
        self._sound: Pcm = np.zeros(0, dtype=np.float32)
        self._stop: int | None = None
        self._ended = 0
        """How many turns of the user were followed up."""

    @property
    def over(self) -> bool:
        """Never: an agent waits for whoever calls it."""
        return False

    def hear(self, block: Pcm, at_s: float) -> None:
        """Take the next 10 ms of what its ear plays."""
        ear, plan = self._ear, self._plan
        ear.hear(block, at_s)
        if self._saying is not None:
            limit_s = plan.interrupt_after_s
            # The hair is for blocks of 10 ms that add up to not quite 200; with a limit of 0 some voice must have been
            # heard.
            if limit_s is not None and ear.loud_s >= limit_s - 1e-9 and ear.loud_s > 0.0:
                self._stop = -1  # at the end of the chunk in hand
            elif self._stop is None:
                self._ended = len(ear.ended)  # what passes while it speaks is no turn
            return
        # The user went on: what was to be said now would fall into it.
        if ear.speaking_since_s is not None:
            self._answer_s = None
        if len(ear.ended) > self._ended:
            self._ended = len(ear.ended)
            begun_s, ended_s, decided_s = ear.ended[-1]
            think_s = plan.think_s * math.exp(plan.spread * float(self._chance.standard_normal()))
            self.endpoints.append(Endpoint(begun_s=begun_s, ended_s=ended_s, decided_s=decided_s, think_s=think_s))
            self._answer_s = decided_s + think_s

    def speak(self, first: int, samples: int, now_s: float) -> Pcm:
        """Return the next packet's samples."""
        sound = self._room.standard_normal(samples, dtype=np.float32) * self._room_gain
        if self._saying is None and self._answer_s is not None:
            # From the very sample at which it has thought, though packets are 20 ms: else answers would lie on a grid
            # of them.
            begin = first + max(0, math.ceil((self._answer_s - now_s) * SAMPLE_RATE_HZ))
            if begin < first + samples:
                self._begin(begin)
        said = self._saying
        if said is None:
            return sound  # a room is far from full scale
        if self._stop == -1:
            # What was handed over by now is said to its end (Facts): whole chunks, rounded up.
            chunks = max(0, -(-(first - said.begin) // CHUNK_SAMPLES))
            self._stop = min(said.begin + chunks * CHUNK_SAMPLES, said.begin + said.meant_samples)
        end = said.begin + said.meant_samples if self._stop is None else self._stop
        begin, stop = max(first, said.begin), min(first + samples, end)
        sound[begin - first : stop - first] += self._sound[begin - said.begin : stop - said.begin]
        if stop == end:
            said.end = end
            self._saying = self._stop = None
        # In place, and not by clip, which makes a copy: this runs for every packet of every call.
        np.maximum(sound, -_FULL, out=sound)
        np.minimum(sound, _FULL, out=sound)
        return sound

    def _begin(self, begin: int) -> None:
        shortest_s, longest_s = self._plan.answer_s
        lasts_s = shortest_s + (longest_s - shortest_s) * float(self._chance.random())
        self._sound = _answer(self._plan, round(lasts_s * SAMPLE_RATE_HZ))
        sound = self._sound
        said = Spoken(number=len(self.said), kind="turn", begin=begin, meant_samples=len(sound), sound=sound)
        self._saying = said
        self.said.append(self._saying)
        self._answer_s = None


@lru_cache(maxsize=8)
def _all_it_says(voice: str, level_dbfs: float) -> Pcm:
    """Return what answers are cut from."""
    return sound_of_words(_WORDS["zh" if voice in ("mei", "lei") else "en"], voice, level_dbfs)


def _answer(plan: AgentPlan, samples: int) -> Pcm:
    """Return an answer of that length: words are its least concern."""
    sound = np.resize(_all_it_says(plan.voice, plan.level_dbfs), samples).astype(np.float32)
    loud = np.flatnonzero(np.abs(sound) > 10 ** ((plan.level_dbfs - 20) / 20))
    sound = sound[: int(loud[-1]) + 1 + _FADE_SAMPLES]
    fade = min(_FADE_SAMPLES, len(sound))
    sound[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return sound
