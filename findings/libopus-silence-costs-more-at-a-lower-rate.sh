#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg's libopus): digital silence costs 14 kb/s at 32 kb/s and 1.2 kb/s at 64, and there is no DTX.
#
# One would expect silence to cost least at the lowest rate, and DTX (RFC 7587: usedtx) to stop it. FFmpeg's wrapper of libopus
# has no such option, and PyAV leaves an option that it could not set in `options` without a word. And what silence costs depends
# on the mode that the rate brings about: CELT codes a silent frame in 3 bytes, SILK with CELT above it writes its 35.
#
# Seen (PyAV 18.1.0, application=voip, 4 s of zeros in frames of 20 ms, the middle one of the sizes):
#     32 kb/s: 200 packets, 35 bytes each
#     32 kb/s, dtx=1: 200 packets, 35 bytes each
#     64 kb/s: 200 packets, 3 bytes each
#     64 kb/s, dtx=1: 200 packets, 3 bytes each
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'av==18.1.0' 'numpy==2.4.6'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from fractions import Fraction
from statistics import median

import av
import numpy as np

for bit_rate in (32_000, 64_000):
    for more in ({}, {"dtx": "1"}):
        encoder = av.CodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "s16", bit_rate
        encoder.options = {"application": "voip", "frame_duration": "20", **more}
        encoder.open()
        sizes = []
        for number in range(200):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 960 * number, Fraction(1, 48_000)
            sizes += [packet.size for packet in encoder.encode(frame)]
        asked = f"{bit_rate // 1000} kb/s" + (", dtx=1" if more else "")
        print(f"{asked}: {len(sizes)} packets, {median(sizes):.0f} bytes each")
PYTHON
diff "$folder/seen" - <<'SEEN'
32 kb/s: 200 packets, 35 bytes each
32 kb/s, dtx=1: 200 packets, 35 bytes each
64 kb/s: 200 packets, 3 bytes each
64 kb/s, dtx=1: 200 packets, 3 bytes each
SEEN
