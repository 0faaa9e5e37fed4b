"""A live mouth: what it says is decided as the call goes, a packet ahead, by what its ear plays.

Theory of operation:
    When packet ``i`` − 1 has left, packet ``i`` begins to be captured: that is when its samples are decided. Until then
    the ear has played every whole block that was due, with the very playout that hears the call afterwards; whoever
    speaks (``conversation.Talker``) is told of each, then asked for the samples. So a reaction takes a packet time at
    the least, as it does where a microphone is read packet by packet.

Rules:
    1. Whatever goes wrong in whoever speaks ends the conversation with a sentence (``failed``): a track that raises is
       asked again at once by its sender, for ever.
    2. Nothing lasts longer than ``longest_s``: ``cut`` says so.
    3. A mouth that ``follows`` another ends with it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.audio.opus_packet import is_dtx
from rtcprobe.audio.pcm import Pcm
from rtcprobe.call.mouth_track import Mouth, MouthTrack, Speech
from rtcprobe.call.track import EncodedTrack
from rtcprobe.call.transceiver import Sound
from rtcprobe.errors import RtcprobeError, unforeseen
from rtcprobe.playout.arrivals import Growing
from rtcprobe.playout.base import BLOCK_S, BLOCK_SAMPLES, Playout
from rtcprobe.playout.policies import PlayoutChoice, make_policy
from rtcprobe.playout.replay import NO_SOUND, Gliding
from rtcprobe.runtime.edge import Edge
from rtcprobe.runtime.media_seam import EncodedFrame
from rtcprobe.scenario import Devices
from rtcprobe.units import format_duration

if TYPE_CHECKING:  # a call of markers talks with nobody
    from rtcprobe.conversation import Talker

__all__ = ["LiveEar", "LiveMouth", "LiveSpeech", "LiveTrack", "how_it_ended", "introduce"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSpeech(Speech):
    """What is said by whoever ``talker`` makes of a seed, in ``codec``, for ``longest_s`` at the most.

    ``playout`` and ``devices`` are those it hears through; ``follows`` names the party whose end is its own.
    ``keeps``: what it heard is kept, block by block.
    """

    codec: OpusSettings
    longest_s: float
    talker: Callable[[np.random.SeedSequence], Talker]
    playout: PlayoutChoice
    devices: Devices
    follows: str | None = None
    keeps: bool = False
    frames: Sequence[bytes | None] = ()

    @property
    def duration_s(self) -> float:
        """How long it can take."""
        return self.longest_s


class LiveEar:
    """Plays what a section of sound receives, as time goes: ``phase_s`` is where the loudspeaker's grid lies.

    ``kept`` has every block played and the RTP time of its first sample (unwrapped; ``NO_SOUND``), where it ``keeps``.
    """

    def __init__(self, sound: Sound, playout: PlayoutChoice, devices: Devices, *, keeps: bool = False) -> None:
        self.phase_s = 0.0
        self.kept: list[tuple[int, Pcm]] = []
        self._keeps = keeps
        self._sound, self._choice, self._devices = sound, playout, devices
        self._playout: Playout | None = None
        self._coming: Growing = Growing(sound.arrivals)
        self._start_s = 0.0
        # A loudspeaker whose clock runs fast plays a block in less than 10 ms of true time.
        self._period_s = BLOCK_S / (1 + devices.drift)
        self._tick = 0

    def until(self, now_s: float) -> Iterator[tuple[Pcm, float]]:
        """Yield every block that was heard whole by ``now_s`` and was not yielded yet, and from when on it was heard.

        Instants are those of the microphone: a sample that is captured as it is heard has the same.
        """
        playout = self._playout or self._begin()
        if playout is None:
            return
        coming, start_s, period_s = self._coming, self._start_s, self._period_s
        # A block pulled at ``tick_s`` sounds after the loudspeaker's delay, and a microphone beside it would deliver it
        # after its own: that is the clock the talker lives on.
        later_s = self._devices.playback_s + self._devices.capture_s
        until_s, due = now_s + 1e-9, self._tick
        # Counted up rather than divided: products of whole ticks are the instants that the replay of the call has too.
        while start_s + due * period_s + later_s + BLOCK_S <= until_s:
            due += 1
        coming.look()
        while self._tick < due:
            tick, run = self._tick, None
            tick_s = start_s + tick * period_s
            if isinstance(playout, Gliding):
                run = playout.glide(coming, (start_s, period_s, tick), due - tick)
            # Where nothing has to be decided many ticks go at once; else one at a time, with what came before it.
            if run is None:
                while coming.at_s <= tick_s:
                    at_s = coming.at_s
                    playout.insert_packet(coming.take(), at_s)
                self._tick += 1
                played = playout.get_audio(tick_s)
                self._keep(played.samples, played.rtp_timestamp)
                yield played.samples, tick_s + later_s
                continue
            self._tick += run.blocks
            for place in range(run.blocks):
                begin = place * BLOCK_SAMPLES
                block = run.samples[begin : begin + BLOCK_SAMPLES]
                self._keep(block, run.rtp_timestamp + begin)
                yield block, start_s + (tick + place) * period_s + later_s

    def _keep(self, block: Pcm, stamp: int | None) -> None:
        if self._keeps:
            self.kept.append((NO_SOUND if stamp is None else stamp, block))

    def _begin(self) -> Playout | None:
        """Begin to play with the first packet, on the grid on which the call is heard afterwards."""
        arrivals, agreed = self._sound.arrivals, self._sound.agreed
        if not len(arrivals) or agreed is None:
            return None
        self._start_s = self.phase_s + math.floor((arrivals[0][0] - self.phase_s) / BLOCK_S) * BLOCK_S
        self._playout = make_policy(
            self._choice,
            OpusDecoder(),
            payload_type=agreed.opus_payload_type,
            red_payload_type=agreed.red_payload_type,
        ).playout
        return self._playout


@dataclass(slots=True, kw_only=True, eq=False)
class LiveMouth(Mouth):
    """One party's mouth in one call; ``ear`` is there once its connection is."""

    speech: LiveSpeech
    seed: np.random.SeedSequence
    leader: LiveMouth | None = None
    ear: LiveEar | None = None
    edge: Edge | None = None
    """Where the emulated line of its party ends, in a call to somebody who is not ours."""
    over: bool = False
    failed: str | None = None
    cut: str | None = None
    frames: list[bytes | None] = field(default_factory=list)
    talker: Talker = field(init=False)
    _encoder: OpusEncoder = field(init=False)
    _quiet: bool = False

    def __post_init__(self) -> None:
        self.talker = self.speech.talker(self.seed)
        self._encoder = OpusEncoder(self.speech.codec)

    def track(self) -> LiveTrack:
        """Return what says it over one connection."""
        return LiveTrack(self)

    def listen(self, sound: Sound) -> None:
        """Hear what ``sound`` receives."""
        self.ear = LiveEar(sound, self.speech.playout, self.speech.devices, keeps=self.speech.keeps)

    def says(self, index: int) -> bytes | None:
        """Return packet ``index``, which was decided."""
        return self.frames[index]

    def decide(self, index: int) -> bool:
        """Decide what packet ``index`` holds, if it is not decided; return whether there is one."""
        while len(self.frames) <= index and not self.over:
            try:
                self._decide_next()
            except Exception as error:  # noqa: BLE001 - rule 1
                self.failed = str(error) if isinstance(error, RtcprobeError) else unforeseen(error)
                self.over = True
        return index < len(self.frames)

    def _decide_next(self) -> None:
        assert self.began_s is not None
        codec, talker = self.speech.codec, self.talker
        number = len(self.frames)
        now_s = self.began_s + number * codec.ptime_s
        if self.ear is not None:
            for block, heard_s in self.ear.until(now_s):
                talker.hear(block, heard_s)
        if talker.over or (self.leader is not None and self.leader.over):
            self.over = True
            return
        if number * codec.ptime_s >= self.speech.longest_s:
            self.over = True
            self.cut = f"the conversation was not over after {format_duration(self.speech.longest_s)}"
            return
        payload = self._encoder.encode(talker.speak(number * codec.frame_samples, codec.frame_samples, now_s))
        # The first packet that says "nothing to hear" is sent, the ones after it are not, as in ``hearing.speech``: the
        # far side has to learn that a silence begins, and a live mouth must not differ from one encoded beforehand.
        nothing = codec.dtx and is_dtx(payload)
        self.frames.append(None if nothing and self._quiet else payload)
        self._quiet = nothing


class LiveTrack(MouthTrack):
    """A track of a live mouth."""

    mouth: LiveMouth

    def __init__(self, mouth: LiveMouth) -> None:
        super().__init__(mouth)
        # How many there will be is known when the conversation is over: until
        # then there is always a next one to ask for.
        self._count = sys.maxsize

    @property
    def frames(self) -> Sequence[bytes | None]:
        """The frames that were decided, None where nothing is sent."""
        return self.mouth.frames

    @property
    def duration_s(self) -> float:
        """How long it can take."""
        return self.mouth.speech.longest_s

    def ahead_s(self) -> float | None:
        """Return None: what comes next is decided when it is due, by what was heard until then."""
        return None

    def take(self) -> EncodedFrame:
        """Return the frame that is due, and turn to the one after it."""
        return EncodedTrack.take(self)  # a mouth track's way is that of frames made before the call

    def _sends(self, index: int) -> bool:
        if not self.mouth.decide(index):
            self._count = len(self.mouth.frames)
            return False
        return self.mouth.frames[index] is not None


def introduce(mouths: Mapping[str, Mouth | None], hears: Mapping[tuple[str, str], Sound]) -> None:
    """Give every live mouth its ear, on the first of what its party ``hears`` (party, of whom), and whom it follows."""
    for party, mouth in mouths.items():
        if not isinstance(mouth, LiveMouth):
            continue
        # The first alone: a conversation is of two.
        sound = next((each for (one, _), each in hears.items() if one == party), None)
        if sound is not None:
            mouth.listen(sound)
        leader = None if mouth.speech.follows is None else mouths.get(mouth.speech.follows)
        mouth.leader = leader if isinstance(leader, LiveMouth) else None


def how_it_ended(tracks: Iterable[object]) -> tuple[str | None, str | None]:
    """Return what failed a conversation, and what cut it short, each a sentence or None."""
    mouths = [track.mouth for track in tracks if isinstance(track, LiveTrack)]
    return (
        next((mouth.failed for mouth in mouths if mouth.failed is not None), None),
        next((mouth.cut for mouth in mouths if mouth.cut is not None), None),
    )
