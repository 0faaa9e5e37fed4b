#!/usr/bin/env bash
# pipecat-ai 1.14.0: the user's turn begins 0.14 to 0.28 s later on a silent line than on a noisy one, and later for softer speech.
#
# One would expect Silero's detector, which is sure in the second or third window of 32 ms either way, to set the start of a
# turn: start_secs, 0.2 s, after it. pipecat asks for loudness as well (min_volume, 0.6 of a scale from -110 to -10 LUFS),
# and smooths it: a fifth of the loudness of the last 0.4 s is added each window. After exact zeros (a muted microphone, DTX, a
# noise gate, a bench that begins in silence) it climbs from nought while the detector is sure; over a room's noise of -55 dBFS,
# which alone is no voice, it is nearly there. So the barge-in that a bench of clean files measures is not that of a call
# from a room, in which the agent is quicker, and speech at -46 dBFS, above the threshold, waits 0.56 s.
#
# Seen (pipecat-ai 1.14.0, onnxruntime 1.32.0, espeak-ng 1.51; 3 s of silence or noise, then speech; after the first sound):
#     speech at -20 dBFS, zeros: sure after 0.04 s, speaking after 0.34 s
#     speech at -20 dBFS, noise at -55 dBFS: sure after 0.04 s, speaking after 0.20 s
#     speech at -36 dBFS, zeros: sure after 0.04 s, speaking after 0.44 s
#     speech at -36 dBFS, noise at -55 dBFS: sure after 0.04 s, speaking after 0.24 s
#     speech at -46 dBFS, zeros: sure after 0.07 s, speaking after 0.56 s
#     speech at -46 dBFS, noise at -55 dBFS: sure after 0.07 s, speaking after 0.28 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/espeak"
(
  cd "$folder/espeak"
  apt-get -q download espeak-ng=1.51+dfsg-10+deb12u2 libespeak-ng1=1.51+dfsg-10+deb12u2 espeak-ng-data=1.51+dfsg-10+deb12u2 \
    libpcaudio0=1.2-2 libsonic0=0.2.0-12 >/dev/null
  for each in *.deb; do dpkg -x "$each" .; done
  libraries=$(echo "$PWD"/usr/lib/*-linux-gnu)
  LD_LIBRARY_PATH=$libraries usr/bin/espeak-ng --path="$libraries" -w "$folder/speech.wav" \
    "Good morning. I would like to know whether the train to the coast is late today, please, and from which platform it leaves."
)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'pipecat-ai==1.14.0' 'onnxruntime==1.32.0' 'numpy==2.4.6'
"$folder/venv/bin/python" - "$folder/speech.wav" <<'PYTHON' | tee "$folder/seen"
import asyncio
import sys
import wave

from loguru import logger

logger.remove()

import numpy as np
import soxr
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState

RATE_HZ, BEFORE_S, PACKET = 16_000, 3, 320

with wave.open(sys.argv[1]) as file:
    spoken = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32768
    spoken = soxr.resample(spoken, file.getframerate(), RATE_HZ)
spoken = spoken[np.argmax(np.abs(spoken) > 0.01) :]
spoken /= np.sqrt(np.mean(spoken**2))


class Watched(SileroVADAnalyzer):
    def voice_confidence(self, buffer):
        sure = super().voice_confidence(buffer)
        self.surest.append(float(np.ravel(sure)[0]) >= self.params.confidence)
        return sure


async def heard(speech_dbfs, noise_dbfs):
    sound = np.concatenate([np.zeros(BEFORE_S * RATE_HZ), spoken * 10 ** (speech_dbfs / 20)])
    if noise_dbfs is not None:
        sound += np.random.default_rng(1).standard_normal(len(sound)) * 10 ** (noise_dbfs / 20)
    sound = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
    detector = Watched(sample_rate=RATE_HZ)
    detector.surest = []
    detector.set_sample_rate(RATE_HZ)
    speaking_s = None
    for start in range(0, len(sound) - PACKET, PACKET):
        state = await detector.analyze_audio(sound[start : start + PACKET].tobytes())
        if speaking_s is None and state is VADState.SPEAKING:
            speaking_s = (start + PACKET) / RATE_HZ - BEFORE_S
    sure_s = (detector.surest.index(True) + 1) * 0.032 - BEFORE_S
    await detector.cleanup()
    return f"sure after {sure_s:.2f} s, speaking after {speaking_s:.2f} s"


for speech_dbfs in (-20, -36, -46):
    for noise_dbfs in (None, -55):
        before = "zeros" if noise_dbfs is None else f"noise at {noise_dbfs} dBFS"
        print(f"speech at {speech_dbfs} dBFS, {before}: {asyncio.run(heard(speech_dbfs, noise_dbfs))}")
PYTHON
diff "$folder/seen" - <<'SEEN'
speech at -20 dBFS, zeros: sure after 0.04 s, speaking after 0.34 s
speech at -20 dBFS, noise at -55 dBFS: sure after 0.04 s, speaking after 0.20 s
speech at -36 dBFS, zeros: sure after 0.04 s, speaking after 0.44 s
speech at -36 dBFS, noise at -55 dBFS: sure after 0.04 s, speaking after 0.24 s
speech at -46 dBFS, zeros: sure after 0.07 s, speaking after 0.56 s
speech at -46 dBFS, noise at -55 dBFS: sure after 0.07 s, speaking after 0.28 s
SEEN
