"""Making the sound of a tick: decode, conceal, merge, stretch; each leaves the mode the next decision looks at.

Rules:
    1. A frame that cannot be decoded is counted, skipped in time, and concealed.
    2. A frame of silence (Opus DTX, two bytes or less) does not move the end timestamp: how long the silence lasts
       is known only when speech comes back.
    3. Nothing here decides; see ``decision`` and ``core``.

Source: ``DecodeLoop``, ``DoNormal``, ``DoMerge``, ``DoExpand``, ``DoAccelerate``, ``DoPreemptiveExpand``,
``DoCodecInternalCng`` in ``neteq_impl.cc`` (``modules/audio_coding/neteq`` of libwebrtc, branch-heads/7871).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rtcprobe.playout.base import BLOCK_SAMPLES, Decoder, Pcm
from rtcprobe.playout.neteq.buffer import WaitingPacket
from rtcprobe.playout.neteq.decision import Mode, Operation
from rtcprobe.playout.neteq.dsp import OVERLAP_SAMPLES
from rtcprobe.playout.neteq.expand import Expand
from rtcprobe.playout.neteq.merge import merge, normal_after_expand
from rtcprobe.playout.neteq.noise import WINDOW_SAMPLES, BackgroundNoise
from rtcprobe.playout.neteq.stats import Counters
from rtcprobe.playout.neteq.stretch import NEEDED_SAMPLES, accelerate, preemptive_expand
from rtcprobe.playout.neteq.sync import SyncBuffer

__all__ = ["Sound"]

_FIRST_DURATION: Final = 1440  # 30 ms are assumed until a frame was decoded


class Sound:
    """Everything between a decoder and the loudspeaker of one stream."""

    __slots__ = (
        "_counters", "_decoder", "_fast_accelerate", "_grown", "_noise", "background", "expand", "last_duration",
        "mode", "noise_since", "sync",
    )  # fmt: skip

    def __init__(self, decoder: Decoder, counters: Counters, *, fast_accelerate: bool = False) -> None:
        self._decoder = decoder
        self._fast_accelerate = fast_accelerate
        self._counters = counters
        self.background = BackgroundNoise()
        self.sync = SyncBuffer()
        self.expand = Expand()
        self.mode = Mode.NORMAL
        self.last_duration = _FIRST_DURATION
        """Samples of the frame decoded last."""
        self.noise_since: int | None = None
        """The tick in which the concealment or comfort noise now running began."""
        self._grown = False  # whether sound was decoded since the background was last listened to
        self._noise = False  # whether what was decoded last is comfort noise

    @property
    def left(self) -> int:
        """Samples that can be played without decoding."""
        return self.sync.future - OVERLAP_SAMPLES

    def decode(self, frames: list[WaitingPacket], tick: int) -> Pcm | None:
        """Return the sound of ``frames``; None where one of them is damaged."""
        counters = self._counters
        parts: list[Pcm] = []
        for frame in frames:
            try:
                part = self._decode_one(frame)
            except ValueError:
                counters.decode_errors += 1
                # Its time passes all the same: what follows must not be taken for late.
                self.sync.end_timestamp += self.last_duration
                return None
            if len(part):
                self.last_duration = len(part)
                parts.append(part)
            self._noise = frame.is_dtx
            if frame.codec_level:
                counters.fec_decoded += 1
            elif frame.red_level:
                counters.red_decoded += 1
            else:
                counters.primary_decoded += 1
        if not parts:
            return np.zeros(0, dtype=np.float32)
        sound = parts[0] if len(parts) == 1 else np.concatenate(parts)
        # How long comfort noise will last is not known, so it takes no RTP time (rule 2).
        if self._noise:
            self.noise_since = tick
        else:
            self.sync.end_timestamp += len(sound)
        return sound

    def play(self, operation: Operation, decoded: Pcm) -> Operation:
        """Append ``decoded`` the way ``operation`` says; return what was done in the end."""
        self._grown = True
        if operation is Operation.MERGE:
            self._merge(decoded)
        elif operation is Operation.NORMAL:
            self._normal(decoded)
        elif not self._stretch(operation, decoded):
            operation = Operation.NORMAL
        if self._noise and len(decoded):
            self.mode = Mode.COMFORT_NOISE
        return operation

    def conceal(self, tick: int) -> None:
        """Go on without a packet until a tick can be played."""
        sync, expand, counters = self.sync, self.expand, self._counters
        # A period is 2.5 to 15 ms: one to four of them make a tick, and what is left over begins the next
        # one.
        while sync.future - OVERLAP_SAMPLES < BLOCK_SAMPLES:
            period = expand.process(sync)
            counters.conceal(len(period), silent=expand.muted or self._noise, new_event=self.mode is not Mode.EXPAND)
            self.mode = Mode.EXPAND
            sync.push_invented(period)
        if self.noise_since is None:
            self.noise_since = tick

    def comfort_noise(self) -> None:
        """Go on with the codec's own noise: the sender is silent on purpose."""
        sound = self._decoder.conceal(BLOCK_SAMPLES)
        self._counters.generated_noise += len(sound)
        if self.mode is Mode.EXPAND:
            sound = self._after_expand(sound)
        self.sync.push(sound)
        self._grown = True
        self.mode = Mode.COMFORT_NOISE
        self.expand.reset()

    def listen(self) -> None:
        """Let the background estimate learn from what the last operation left untouched."""
        mode = self.mode
        if mode is Mode.NORMAL or mode is Mode.STRETCH_FAILED or mode is Mode.COMFORT_NOISE:
            if self._grown:
                end = self.sync.end
                self.background.update(self.sync.data[end - WINDOW_SAMPLES : end])
                self._grown = False
            else:
                self.background.update_again()
        if mode is not Mode.EXPAND and mode is not Mode.COMFORT_NOISE:
            self.noise_since = None

    def calmly(self) -> None:
        """Learn that ticks passed which played what was decoded as it is, the background listened to."""
        self.sync.trailing_invented = 0
        self._grown = self._noise = False
        self.noise_since = None

    def _decode_one(self, frame: WaitingPacket) -> Pcm:
        if frame.codec_level:
            return self._decoder.decode_fec(frame.payload, frame.duration)
        return self._decoder.decode(frame.payload)

    def _normal(self, decoded: Pcm) -> None:
        if not len(decoded):
            return
        if self.mode is Mode.EXPAND:
            decoded = self._after_expand(decoded)
        self.sync.push(decoded)
        self.mode = Mode.NORMAL
        self._counters.playing = True

    def _after_expand(self, decoded: Pcm) -> Pcm:
        self._counters.end_concealment()
        return normal_after_expand(decoded, self.expand, self.sync, self.background.energy)

    def _merge(self, decoded: Pcm) -> None:
        self._counters.end_concealment()
        borrowed = self.sync.future
        merged = merge(decoded, self.expand, self.sync)
        self._counters.conceal(merged.invented - borrowed, silent=self._noise)
        self.sync.replace_future(merged.samples, merged.invented)
        self.mode = Mode.MERGE
        self.expand.reset()

    def _stretch(self, operation: Operation, decoded: Pcm) -> bool:
        sync = self.sync
        # Sound that waits already, or was played just now, makes up the 30 ms that a stretch looks at.
        borrowed = max(0, NEEDED_SAMPLES - len(decoded))
        start = sync.end - borrowed
        signal = np.concatenate([sync.data[start : sync.end], decoded]) if borrowed else decoded
        if operation is Operation.PREEMPTIVE_EXPAND:
            played = max(0, borrowed - sync.future)
            done = preemptive_expand(signal, played, self.background.speech_energy)
            self._counters.stretch(done.moved_samples)
        else:
            # Off by default, as in Chrome: then a fast accelerate is an ordinary one that waited for no rest.
            hurry = self._fast_accelerate and operation is Operation.FAST_ACCELERATE
            done = accelerate(signal, self.background.speech_energy, hurry=hurry)
            self._counters.stretch(-done.moved_samples)
        self.expand.reset()
        if not done.moved_samples:
            sync.push(decoded)
            self.mode = Mode.STRETCH_FAILED
            return False
        sync.rewrite(start, done.samples)
        self.mode = Mode.STRETCHED
        return True
