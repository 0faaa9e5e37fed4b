#!/usr/bin/env bash
# webrtcvad 2.0.14: steady noise loud enough is speech for ever, at every aggressiveness.
#
# One would expect WebRTC's voice detector, which models noise and adapts, to take a minute of white noise or a mains hum for
# what it is after a few seconds, and the four modes to differ in how soon. They differ in the level from which it never does:
# at -20 dBFS every 20 ms of the minute is voice in all modes, at -36 dBFS hardly any is in any. As an endpointer beside a fan or
# a television it waits for ever, and what ends the wait is the level, not the sound.
#
# Seen (webrtcvad-wheels 2.0.14.post1, 60 s at 16 kHz in frames of 20 ms; share called voice in mode 0 and in mode 3):
#     white noise, -36 dBFS: 0.00 and 0.00
#     white noise, -30 dBFS: 1.00 and 0.00
#     white noise, -20 dBFS: 1.00 and 1.00
#     hum of 50 Hz, -30 dBFS: 0.00 and 0.00
#     hum of 50 Hz, -20 dBFS: 1.00 and 1.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'webrtcvad-wheels==2.0.14.post1' 'numpy==2.4.6'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import numpy as np
import webrtcvad

RATE_HZ, FRAME = 16_000, 320
time_s = np.arange(60 * RATE_HZ) / RATE_HZ
SOUNDS = {  # of an effective value of 1
    "white noise": np.random.default_rng(1).standard_normal(len(time_s)),
    "hum of 50 Hz": np.sqrt(2) * np.sin(2 * np.pi * 50 * time_s),
}


def share(sound, mode):
    detector = webrtcvad.Vad(mode)
    frames = sound.reshape(-1, FRAME)
    return sum(detector.is_speech(frame.tobytes(), RATE_HZ) for frame in frames) / len(frames)


for name, level_dbfs in (
    ("white noise", -36),
    ("white noise", -30),
    ("white noise", -20),
    ("hum of 50 Hz", -30),
    ("hum of 50 Hz", -20),
):
    sound = (SOUNDS[name] * 32768 * 10 ** (level_dbfs / 20)).clip(-32768, 32767).astype(np.int16)
    print(f"{name}, {level_dbfs} dBFS: {share(sound, 0):.2f} and {share(sound, 3):.2f}")
PYTHON
diff "$folder/seen" - <<'SEEN'
white noise, -36 dBFS: 0.00 and 0.00
white noise, -30 dBFS: 1.00 and 0.00
white noise, -20 dBFS: 1.00 and 1.00
hum of 50 Hz, -30 dBFS: 0.00 and 0.00
hum of 50 Hz, -20 dBFS: 1.00 and 1.00
SEEN
