"""Who spoke when, as it was heard at the user's place: how long answers took, and whether interruptions silenced.

Every delay here begins and ends at one place, the user's, so that nothing has to be known of another's clock::

    response    last sample of the user's turn → first sample of the answer heard
    barge_in    first sample spoken into the agent's speech → last sample of that speech heard

and is the sum of its stages, each between two instants of one packet: that with the user's last (first) sample, and
that with the agent's first (last) audible one::

    capture     spoken → in the microphone's frame              (assumed constant)
    packing     → that packet left: the rest of its frame, and the codec's look-ahead
    way_up      → it came to the agent (lost: the next that did)
    agent       → the agent's packet left: its jitter buffer, its endpointing, its thinking, its own packing
                  (one with the real network, ``network_and_agent``, where the agent is not ours: then the ways are the
                  emulated lines)
    way_down    → it came
    playout     → it was played
    device      → it was heard                                  (assumed constant)

Rules:
    1. *Heard* is told by the energy of what the playout played (``audio.voice``); *arrived*, by that of what came, on
       the agent's own clock. An onset whose packet was lost is heard late, and so reported (``onset concealed``).
    2. Speech of the agent's that begins inside the user's turn is no answer to it; it is counted (``inside``). So is
       speech that is heard after the turn, but left the agent before the end of the turn had come to it: an agent that
       took a pause for the end speaks into what follows, and the network delivers it behind that.
    3. An interruption was missed where the agent speaks on for ``STOP_WITHIN_S`` after it began. What is no turn (a
       backchannel, a noise) and silences the agent within that time is a false stop.
    4. Every line has a fate: those whose cue never came are rejected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.audio.voice import Span, voiced_spans
from rtcprobe.conversation import Kind, Spoken
from rtcprobe.hearing.passage import Leaving, Passage
from rtcprobe.hearing.playing import play, whole_frames
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.base import BLOCK_SAMPLES, Block, Run
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.playout.replay import NO_SOUND, Playback
from rtcprobe.recording import Came, Said
from rtcprobe.scenario import Devices

__all__ = ["STOP_WITHIN_S", "TURNS", "AgentSpeech", "LineHeard", "Script", "Talk", "Turns", "hear_turns"]

STOP_WITHIN_S = 2.0
"""Assumption: who speaks on for longer was not interrupted. Agents that stop do within 0.2 to 0.9 s."""

# A playout moves an edge by the stretches of a breath at most; beyond that it is another word's.
_NEAR_S = 0.3
TURNS: tuple[Kind, ...] = ("turn", "barge_in")
"""Kinds of lines that want an answer."""


class Script(NamedTuple):
    """A line as it was asked for: its kind, and what a reader knows it by."""

    kind: Kind
    called: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A conversation as it was left: what the user meant to say and said, what came to both, and what the agent sent.

    ``agent`` and ``to_agent`` are None where the agent is not ours; ``really_left_s`` and ``really_came_s`` have then,
    by RTP timestamp, when the user's packets left the emulated line, and when the agent's came to it.
    """

    script: Sequence[Script]
    lines: Sequence[Spoken]
    user: Said
    to_user: Came
    agent: Said | None = None
    to_agent: Came | None = None
    really_left_s: Mapping[int, float] = field(default_factory=dict)
    really_came_s: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpeech:
    """A stretch of the agent's voice: heard from ``begin_s`` to ``end_s`` by the user, seconds since the call's epoch.

    ``first`` and ``last`` are positions (``Passage``) of its first and last audible sample on the agent's clock.
    """

    begin_s: float
    end_s: float
    first: int
    last: int
    concealed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LineHeard:
    """What became of a line: spoken from ``begin_s`` to ``end_s`` (None: its cue never came), seconds since the epoch.

    ``response_s`` is how long its answer took to be heard, ``stop_s`` until the speech it went into had stopped, each
    with its ``stages``. ``answer`` is what answered it, ``inside`` how often the agent began to speak inside it.
    """

    number: int
    kind: Kind
    called: str
    begin_s: float | None = None
    end_s: float | None = None
    response_s: float | None = None
    response_stages: Mapping[str, float] | None = None
    stop_s: float | None = None
    stop_stages: Mapping[str, float] | None = None
    into_speech: bool = False
    concealed: bool = False
    answer: AgentSpeech | None = None
    inside: int = 0
    spoken_over: bool = False
    """It was never said, and the agent spoke to the end of the call: its cue may have been that it falls silent."""
    cut: bool = False
    """The call ended while its answer was awaited: whether there would have been one is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """A call's turns: every line, and every stretch of the agent's voice; ``base`` is the RTP time of position 0."""

    lines: tuple[LineHeard, ...]
    agent: tuple[AgentSpeech, ...]
    base: int = 0

    @property
    def talk_over(self) -> list[tuple[float, float]]:
        """When both spoke: the agent, and the user in a turn."""
        said = [(line.begin_s, line.end_s) for line in self.lines if line.kind in TURNS]
        # Overlaps of intervals: the later beginning to the sooner end, where that is no nonsense.
        both = [
            (max(begin_s, each.begin_s), min(end_s, each.end_s))
            for begin_s, end_s in said
            if begin_s is not None and end_s is not None
            for each in self.agent
        ]
        return [(begin_s, end_s) for begin_s, end_s in both if end_s > begin_s]

    @property
    def false_stops(self) -> list[LineHeard]:
        """What silenced the agent and was no turn."""
        return [line for line in self.lines if line.kind not in TURNS and _stopped(line)]


def _stopped(line: LineHeard) -> bool:
    return line.stop_s is not None and line.stop_s <= STOP_WITHIN_S


def _foreseen(stages: Mapping[str, float] | None) -> bool:
    """Return whether an answer left before the end of the turn had come to whoever answers (rule 2)."""
    # Negative: what is heard as the answer left before the last sample it would answer had come.
    return stages is not None and stages.get("agent", stages.get("network_and_agent", 0.0)) < 0.0


class Heard(NamedTuple):
    """What the user's ear played: sound (samples,), and which instant and RTP time each sample has."""

    sound: Pcm
    playback: Playback

    def at_s(self, sample: int) -> float:
        """Return when a sample left the loudspeaker."""
        return self.playback.start_s + sample / (SAMPLE_RATE_HZ * (1 + self.playback.drift))

    def stamp(self, sample: int) -> int | None:
        """Return the (unwrapped) RTP time of a sample, or of the first after it that has one within half a second."""
        stamps = self.playback.stamps
        block = sample // BLOCK_SAMPLES
        # 50 blocks are the half second: concealment leaves blocks without a stamp, and seldom for longer.
        for place in range(block, min(block + 50, len(stamps))):
            if stamps[place] != NO_SOUND:
                return int(stamps[place]) + (sample % BLOCK_SAMPLES if place == block else 0)
        return None


Spans = Callable[[Pcm], Sequence[Span]]
"""What tells where somebody speaks in a sound."""


def hear_turns(
    talk: Talk, *, playout: PlayoutChoice, devices: Devices, phase_s: float, spans: Spans = voiced_spans
) -> tuple[Turns, Heard]:
    """Return the turns of a conversation, heard through ``playout`` and ``devices`` of the user, and the sound itself.

    ``phase_s`` is where the grid of the user's loudspeaker lies; ``spans`` tells the agent's voice.
    """
    down = Passage(_whole(talk.agent, talk.to_user))
    heard = _played(talk.to_user, playout, devices, phase_s)
    speeches = _speeches(heard, down, devices.playback_s, spans)
    judge = _Judge(talk, down, speeches, devices)
    return Turns(lines=judge.lines(), agent=tuple(speeches), base=down.base), heard


def _whole(said: Said | None, came: Came) -> Arrivals:
    return came.arrivals if said is None else whole_frames(said, came.agreed, came.arrivals)


def _played(came: Came, playout: PlayoutChoice, devices: Devices, phase_s: float) -> Heard:
    """Play what came, and keep the sound."""
    sound: list[Pcm] = []

    def listen(_start_s: float) -> Callable[[Block | Run], object]:
        return lambda played: sound.append(played.samples)

    playback, _ = play(
        playout, came.agreed, came.arrivals, OpusDecoder(), phase_s=phase_s, drift=devices.drift, listen=listen
    )
    return Heard(np.concatenate([np.zeros(0, dtype=np.float32), *sound]), playback)


def _speeches(heard: Heard, down: Passage, device_s: float, spans: Spans) -> list[AgentSpeech]:
    """Return the agent's speech as it was heard, with where each begins and ends in what came."""
    came = spans(down.sound)
    return [
        AgentSpeech(
            begin_s=heard.at_s(span.begin) + device_s,
            end_s=heard.at_s(span.end) + device_s,
            first=(first := _nearest(down, heard.stamp(span.begin), [each.begin for each in came])),
            # Beginnings are matched with beginnings, ends with ends: an edge heard is that edge in what came,
            # moved by playout.
            last=_nearest(down, heard.stamp(span.end - 1), [each.end - 1 for each in came]),
            concealed=down.lost_before(first),
        )
        for span in spans(heard.sound)
    ]


def _nearest(down: Passage, stamp: int | None, edges: Sequence[int]) -> int:
    """Return the edge of what came that is meant by an RTP time heard; that time itself where none is near."""
    position = 0 if stamp is None else down.position(stamp)
    near = min(edges, key=lambda edge: abs(edge - position), default=position)
    return near if abs(near - position) <= _NEAR_S * SAMPLE_RATE_HZ else position


class _Judge:
    """Says what became of each line."""

    def __init__(self, talk: Talk, down: Passage, speeches: Sequence[AgentSpeech], devices: Devices) -> None:
        self._talk, self._down, self._speeches, self._devices = talk, down, speeches, devices
        self._up = None if talk.to_agent is None else Passage(_whole(talk.user, talk.to_agent))
        self._leaving = Leaving(talk.user)
        self._answering = None if talk.agent is None else Leaving(talk.agent)
        self._began_s = talk.user.started_s or 0.0

    def lines(self) -> tuple[LineHeard, ...]:
        """Return every line of the script."""
        said = {line.number: line for line in self._talk.lines}
        turns = [line for line in self._talk.lines if line.kind in TURNS]
        # An answer that comes after the user has gone on to the next turn answers that one, or nothing.
        next_s = {line.number: self._spoken_s(after.begin) for line, after in pairwise(turns)}
        return tuple(
            LineHeard(number=number, kind=each.kind, called=each.called, spoken_over=self._spoken_over)
            if number not in said
            else self._line(said[number], each.called, next_s.get(number, math.inf))
            for number, each in enumerate(self._talk.script)
        )

    @cached_property
    def _spoken_over(self) -> bool:
        """Whether the agent spoke when the user left."""
        user, agent = self._talk.user, self._speeches
        left_s = user.departures[-1].at_s if user.departures else math.inf
        return bool(agent) and agent[-1].end_s >= left_s - _NEAR_S

    def _line(self, line: Spoken, called: str, until_s: float) -> LineHeard:
        """Return what became of a line that was said; the next turn began at ``until_s``."""
        last = line.begin + line.meant_samples - 1 if line.end is None else line.end - 1
        begin_s, end_s = self._spoken_s(line.begin), self._spoken_s(last)
        # Strictly inside: who begins in the very moment the agent does interrupts nobody.
        into = next((each for each in self._speeches if each.begin_s < begin_s < each.end_s), None)
        is_turn = line.kind in TURNS
        # Up to the next turn. Backchannels in between take no answer away: they want none.
        after = [each for each in self._speeches if end_s <= each.begin_s < until_s] if is_turn else []
        stages = [self._stages(last, end_s, each.first, each.begin_s) for each in after]
        # Rule 2: what left before the turn's end had come is no answer, though it is heard after it.
        early = next((place for place, each in enumerate(stages) if not _foreseen(each)), len(after))
        answer = after[early] if early < len(after) else None
        return LineHeard(
            number=line.number,
            kind=line.kind,
            called=called,
            begin_s=begin_s,
            end_s=end_s,
            response_s=None if answer is None else answer.begin_s - end_s,
            response_stages=None if answer is None else stages[early],
            stop_s=None if into is None else into.end_s - begin_s,
            stop_stages=None if into is None else self._stages(line.begin, begin_s, into.last, into.end_s),
            # An interrupted line, or the last one of a call that was cut short: nobody knows what would have come.
            cut=answer is None and (line.end is None or (until_s == math.inf and not self._talk.user.finished)),
            into_speech=into is not None,
            concealed=answer is not None and answer.concealed,
            answer=answer,
            inside=early + sum(begin_s < each.begin_s < end_s for each in self._speeches) if is_turn else 0,
        )

    def _spoken_s(self, sample: int) -> float:
        """Return when a sample of the user's mouth was spoken."""
        return self._began_s + sample / SAMPLE_RATE_HZ - self._devices.capture_s

    def _stages(self, sample: int, spoken_s: float, position: int, heard_s: float) -> Mapping[str, float] | None:
        """Return what lies between a sample spoken and one heard; None where nothing of it is known."""
        stamp = self._leaving.timestamp(sample)
        left_s, came_s = self._leaving.left_s(stamp), self._down.came_s(position)
        if left_s is None or came_s is None:
            return None
        # Instants in the order of the way; each stage is the step to the next, so they sum to the delay
        # exactly, and one may be negative where something overtook (rule 2).
        instants: list[tuple[str, float]] = [("capture", spoken_s + self._devices.capture_s), ("packing", left_s)]
        reached_s = None if self._up is None else self._up.came_s(self._up.position(stamp))
        answered = self._down.stamp(position)
        answered_s = None if self._answering is None or answered is None else self._answering.left_s(answered)
        if reached_s is not None and answered_s is not None:
            instants += [("way_up", reached_s), ("agent", answered_s), ("way_down", came_s)]
        else:
            out_s, in_s = self._talk.really_left_s.get(stamp), self._talk.really_came_s.get(answered or -1)
            if out_s is None or in_s is None:  # lost on the emulated line: all of it is between
                out_s, in_s = left_s, came_s
            instants += [("way_up", out_s), ("network_and_agent", in_s), ("way_down", came_s)]
        instants += [("playout", heard_s - self._devices.playback_s), ("device", heard_s)]
        stages, before_s = dict[str, float](), spoken_s
        for name, at_s in instants:
            stages[name] = at_s - before_s
            before_s = at_s
        return stages
