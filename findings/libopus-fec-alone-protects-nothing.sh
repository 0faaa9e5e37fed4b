#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg's libopus): fec=1 alone protects nothing, and whether it does beside a loss depends on rate and use.
#
# One would expect fec=1 (in SDP: useinbandfec=1) to put a copy of each frame into the next. libopus weighs it against the loss it
# is told of, and it is told 0 % unless packet_loss says otherwise; copies exist in its SILK and hybrid modes alone, so a lost
# frame of application=lowdelay can never be had back; and at 16 kb/s none are written at any loss, though at 24 there are. At
# 32 kb/s the loss that one states also chooses the mode: at 1 % a part of the frames is CELT, without copies.
#
# Seen (PyAV 18.1.0, 4 s of a tone that swells in noise, 20 ms frames; frames that hold a copy of the one before, of 200):
#     voip 32 kb/s, no loss stated: none
#     voip 32 kb/s, 1 % stated: less than half
#     voip 32 kb/s, 10 % stated: most
#     voip 24 kb/s, 10 % stated: most
#     voip 16 kb/s, 10 % stated: none
#     lowdelay 32 kb/s, 10 % stated: none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'av==18.1.0' 'numpy==2.4.6'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from fractions import Fraction

import av
import numpy as np

RATE_HZ = 48_000
time_s = np.arange(4 * RATE_HZ) / RATE_HZ
tone = 5000 * np.sin(2 * np.pi * 150 * time_s) * (1 + np.sin(2 * np.pi * 3 * time_s))
sound = (tone + np.random.default_rng(1).standard_normal(len(tone)) * 300).astype(np.int16)


def encoded(application, bit_rate, options):
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE_HZ, "mono", "s16", bit_rate
    encoder.options = {"application": application, "frame_duration": "20", "fec": "1", **options}
    encoder.open()
    for at in range(0, len(sound) - 960 + 1, 960):
        frame = av.AudioFrame.from_ndarray(sound[None, at : at + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
        yield from map(bytes, encoder.encode(frame))


def has_copy(packet):
    # RFC 6716, 3.1: configurations from 16 on are CELT. 4.2.3: of one frame of SILK the first bit says voice, the next copy.
    return packet[0] >> 3 < 16 and bool(packet[1] >> 6 & 1)


for application, kbit, loss in (
    ("voip", 32, None),
    ("voip", 32, 1),
    ("voip", 32, 10),
    ("voip", 24, 10),
    ("voip", 16, 10),
    ("lowdelay", 32, 10),
):
    options = {} if loss is None else {"packet_loss": str(loss)}
    packets = list(encoded(application, kbit * 1000, options))
    share = sum(map(has_copy, packets)) / len(packets)
    word = "none" if share == 0 else "less than half" if share < 0.5 else "most"
    print(f"{application} {kbit} kb/s, {'no loss' if loss is None else f'{loss} %'} stated: {word}")
PYTHON
diff "$folder/seen" - <<'SEEN'
voip 32 kb/s, no loss stated: none
voip 32 kb/s, 1 % stated: less than half
voip 32 kb/s, 10 % stated: most
voip 24 kb/s, 10 % stated: most
voip 16 kb/s, 10 % stated: none
lowdelay 32 kb/s, 10 % stated: none
SEEN
