"""The user: says the lines of a script, each when its cue has come, by what is heard of the agent.

Theory of operation:
    A line waits for its cue. ``silent`` counts from the end of whatever was last heard or said: the agent's speech, or
    the user's own; a turn's answer is waited for before the next turn, for ``patience_s`` at the most. An agent that
    took a pause for the end of the turn, and falls silent when it is over, has not answered it yet. ``after onset``
    counts from the first block of the speech that goes on, where that began after the latest turn did; where the agent
    falls silent before, its next speech is waited for, and where none comes within ``patience_s`` the line is given up.
    All of it is decided when a packet's first sample is captured, a packet at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.voice import VoiceGate
from rtcprobe.conversation.hearing import Turns
from rtcprobe.conversation.talker import Spoken
from rtcprobe.conversation.utterances import Utterance

__all__ = ["ScriptedUser"]


class ScriptedUser:
    """One user of one call, who hears the agent by ``gate``; ``seed`` makes the noise of ``background_dbfs``."""

    def __init__(
        self,
        lines: Sequence[Utterance],
        *,
        patience_s: float,
        background_dbfs: float,
        seed: np.random.SeedSequence,
        gate: VoiceGate | None = None,
    ) -> None:
        self.said: list[Spoken] = []
        self.given_up: list[int] = []
        """The lines whose cue never came."""
        self._lines = lines
        self._patience_s = patience_s
        self._room = np.random.Generator(np.random.PCG64(seed))
        self._room_gain = np.float32(10 ** (background_dbfs / 20))
        self._agent = Turns(gate or VoiceGate(), least_s=_LEAST_S, gap_s=_GAP_S)
        self._next = 0
        self._settled = False
        self._saying: Spoken | None = None
        self._silent_since_s: float | None = None
        """When the user last fell silent, or began to listen."""
        self._waiting_since_s: float | None = None
        self._turn_s = math.inf
        """When the latest turn began: the agent's speech that counts has begun since."""

    @property
    def over(self) -> bool:
        """Whether every line was said or given up, and the last turn was answered or its answer not waited for."""
        return self._next >= len(self._lines) and self._saying is None and self._settled

    def hear(self, block: Pcm, at_s: float) -> None:
        """Take the next 10 ms of what its ear plays."""
        self._agent.hear(block, at_s)

    def speak(self, first: int, samples: int, now_s: float) -> Pcm:
        """Return the next packet's samples."""
        # The first packet: nobody has spoken yet, and silence counts from here.
        if self._silent_since_s is None:
            self._silent_since_s = self._waiting_since_s = now_s
        room = self._room.standard_normal(samples, dtype=np.float32) * self._room_gain
        if self._saying is None:
            self._decide(first, now_s)
        said = self._saying
        if said is None:
            return room
        sound = self._lines[said.number].sound
        part = sound[first - said.begin : first - said.begin + samples]
        room[: len(part)] += part
        # Over within this packet: the rest of it is the room.
        if first - said.begin + samples >= len(sound):
            said.end = said.begin + len(sound)
            self._saying = None
            self._silent_since_s = self._waiting_since_s = now_s + len(part) / SAMPLE_RATE_HZ
        np.maximum(room, -_FULL, out=room)
        np.minimum(room, _FULL, out=room)
        return room

    def _decide(self, first: int, now_s: float) -> None:
        """Begin the next line where its cue has come; give it up where it never will."""
        if self._next >= len(self._lines):
            self._settled = self._settled or self._may_follow(now_s, _LAST_SILENCE_S)
            return
        line = self._lines[self._next]
        if line.when.begun == "silence":
            if not self._may_follow(now_s, line.when.wait_s):
                return
        elif not self._may_join_in(now_s, line.when.wait_s):
            return
        sound = line.sound
        said = Spoken(number=self._next, kind=line.kind, begin=first, meant_samples=len(sound), sound=sound)
        self._saying = said
        if line.kind in ("turn", "barge_in"):
            self._turn_s = now_s
        self.said.append(self._saying)
        self._next += 1

    def _may_join_in(self, now_s: float, wait_s: float) -> bool:
        """Return whether the agent has answered for ``wait_s``; give the line up where it no longer will."""
        assert self._waiting_since_s is not None
        begun_s = self._agent.speaking_since_s
        if begun_s is not None and begun_s > self._turn_s:
            return now_s >= begun_s + wait_s
        # An agent that talks on from before the turn has not answered it; it is waited for as long as it may talk.
        longest_s = _LONGEST_SPEECH_S if begun_s is not None else self._patience_s + wait_s
        if now_s - self._waiting_since_s >= longest_s:
            self.given_up.append(self._next)
            self._next += 1
            self._waiting_since_s = now_s
        return False

    def _may_follow(self, now_s: float, wait_s: float) -> bool:
        """Return whether nobody has spoken for ``wait_s``, and the last turn was answered or waited for long enough."""
        assert self._silent_since_s is not None
        quiet_s = self._agent.silent_since_s
        if self._agent.speaking_since_s is not None:
            return now_s - self._silent_since_s >= _LONGEST_SPEECH_S
        last = self.said[-1] if self.said else None
        wants_answer = last is not None and last.kind in ("turn", "barge_in")
        # Not answered: silence does not count yet, patience does.
        if wants_answer and not self._answered(self._silent_since_s):
            return now_s - self._silent_since_s >= self._patience_s
        since_s = self._silent_since_s if quiet_s is None else max(self._silent_since_s, quiet_s)
        return now_s - since_s >= wait_s

    def _answered(self, silent_since_s: float) -> bool:
        """Return whether the turn that ended at ``silent_since_s`` was answered, and the answer is over."""
        if not self._agent.ended:
            return False
        begun_s, ended_s, _ = self._agent.ended[-1]
        return begun_s > self._turn_s and ended_s > silent_since_s + _SPOKE_ON_S


_FULL = np.float32(1.0)
# Less voice than that is a click or an echo, no speech: the shortest word of a voice takes twice as long.
_LEAST_S = 0.06
_GAP_S = 0.45
"""Longer than a pause between sentences, and shorter than any silence that is somebody's turn."""
# After the last line: as long as a turn waits for where nothing is written, so its answer is whole.
_LAST_SILENCE_S = 0.6
_SPOKE_ON_S = 1.0
"""Who speaks for so long after a turn answers it; whom the turn itself interrupted stops sooner (pipecat: 0.9 s)."""
# An agent that speaks on for a minute will not stop for this user: nobody waits longer.
_LONGEST_SPEECH_S = 60.0
