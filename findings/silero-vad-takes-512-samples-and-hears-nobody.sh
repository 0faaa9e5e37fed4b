#!/usr/bin/env bash
# silero-vad 6.2.3: its ONNX model takes the 512 samples that it is said to work on, and hears nobody in them.
#
# One would expect a wrong size to be refused, or a right one to be right. Its wrapper takes windows of 512 samples at 16 kHz
# (256 at 8 kHz) and no others; the graph below wants the last 64 (32) of the window before in front of them, which the wrapper
# adds unseen. The graph's input has no fixed length, so whoever runs the same file from another language, or without torch,
# gives it 512 and is given a probability each time: clear speech is voice in no window at 16 kHz, and in a few at 8 kHz,
# which looks like a line that cuts words. A turn is never taken, a barge-in never heard, and no error says why.
#
# Seen (silero-vad 6.2.3's silero_vad.onnx, onnxruntime 1.32.0, espeak-ng 1.51 saying two sentences of 7 s; share of the
# windows called voice, at 0.5):
#     16 kHz: 512 samples and the 64 before them: most; 512 samples: none
#     8 kHz: 256 samples and the 32 before them: most; 256 samples: less than half
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
"$folder/venv/bin/pip" install --quiet 'onnxruntime==1.32.0' 'soxr==1.1.0' 'numpy==2.4.6'
# The wheel has the model; without its dependencies, as only the wrapper needs torch.
"$folder/venv/bin/pip" install --quiet --no-deps 'silero-vad==6.2.3'
"$folder/venv/bin/python" - "$folder" <<'PYTHON' | tee "$folder/seen"
import pathlib
import sys
import wave

import numpy as np
import onnxruntime
import soxr

folder = pathlib.Path(sys.argv[1])
with wave.open(str(folder / "speech.wav")) as file:
    spoken_hz = file.getframerate()
    spoken = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768
options = onnxruntime.SessionOptions()
options.inter_op_num_threads = options.intra_op_num_threads = 1
model = onnxruntime.InferenceSession(next(folder.rglob("silero_vad.onnx")), options)


def voiced(rate_hz, before):
    window = rate_hz * 32 // 1000
    sound = np.concatenate([np.zeros(before, np.float32), soxr.resample(spoken, spoken_hz, rate_hz)])
    state = np.zeros((2, 1, 128), np.float32)
    sure = []
    for start in range(before, len(sound) - window, window):
        taken = sound[np.newaxis, start - before : start + window]
        probability, state = model.run(None, {"input": taken, "state": state, "sr": np.array(rate_hz)})
        sure.append(probability[0, 0] >= 0.5)
    share = np.mean(sure)
    return "none" if share == 0 else "less than half" if share < 0.5 else "most"


for rate_hz, window, before in ((16_000, 512, 64), (8_000, 256, 32)):
    right, bare = voiced(rate_hz, before), voiced(rate_hz, 0)
    print(f"{rate_hz // 1000} kHz: {window} samples and the {before} before them: {right}; {window} samples: {bare}")
PYTHON
diff "$folder/seen" - <<'SEEN'
16 kHz: 512 samples and the 64 before them: most; 512 samples: none
8 kHz: 256 samples and the 32 before them: most; 256 samples: less than half
SEEN
