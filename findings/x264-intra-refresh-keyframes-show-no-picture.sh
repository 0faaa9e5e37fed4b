#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg's libx264): with intra-refresh, what is_keyframe marks shows no picture to who begins there.
#
# One would take a packet with is_keyframe for one that a decoder can begin at: a recorder cuts there, a server lets a new
# viewer in there. With intra-refresh (x264's way of a stream without large frames, for calls) only the first packet is one,
# an IDR picture; the others so marked begin a column of fresh blocks that crosses the picture, and say so in a recovery
# point message. FFmpeg's own decoder, begun there as PyAV opens it, shows nothing until the column has crossed: here 18 frames,
# 0.6 s in which the viewer is in and sees nothing. A decoder of the whole stream calls none of them a key frame, and who looks
# for the type 5 of an IDR in the packets, as RTP servers do, finds none either until somebody asks the encoder for one.
#
# Seen (PyAV 18.1.0, 120 frames of a moving picture, 30 a second, g=30, tune=zerolatency):
#     as usual: marked 0, 30, 60, 90; IDR 0, 30, 60, 90; decoder's key frames 0, 30, 60, 90; begun at 30 shows from 30
#     intra-refresh: marked 0, 30, 60, 90; IDR 0; decoder's key frames 0; begun at 30 shows from 48
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'av==18.1.0' 'numpy==2.4.6'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, FRAMES, PERIOD, IDR = 320, 240, 120, 30, 5
blocks = np.random.default_rng(1).integers(0, 255, (HEIGHT // 8, WIDTH // 8)).repeat(8, 0).repeat(8, 1)


def encoded(**more):
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    codec.time_base, codec.framerate, codec.bit_rate = Fraction(1, 30), 30, 400_000
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(PERIOD), **more}
    packets = []
    for number in range(FRAMES):
        planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        planes[:HEIGHT] = np.roll(blocks, 2 * number, axis=1)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 30)
        packets += codec.encode(frame)
    return packets + codec.encode(None)


def decoded(packets):
    codec = av.CodecContext.create("h264", "r")
    frames = []
    for each in packets:
        packet = av.Packet(bytes(each))
        packet.pts = each.pts
        frames += codec.decode(packet)
    return frames + codec.decode(None)


def types(packet):
    return {unit[0] & 31 for unit in bytes(packet).split(b"\0\0\1")[1:]}


def listed(numbers):
    return ", ".join(str(number) for number in numbers)


for name, more in (("as usual", {}), ("intra-refresh", {"intra-refresh": "1"})):
    packets = encoded(**more)
    print(
        f"{name}: marked {listed(each.pts for each in packets if each.is_keyframe)}; "
        f"IDR {listed(each.pts for each in packets if IDR in types(each))}; "
        f"decoder's key frames {listed(each.pts for each in decoded(packets) if each.key_frame)}; "
        f"begun at {PERIOD} shows from {decoded(packets[PERIOD:])[0].pts}"
    )
PYTHON
diff "$folder/seen" - <<'SEEN'
as usual: marked 0, 30, 60, 90; IDR 0, 30, 60, 90; decoder's key frames 0, 30, 60, 90; begun at 30 shows from 30
intra-refresh: marked 0, 30, 60, 90; IDR 0; decoder's key frames 0; begun at 30 shows from 48
SEEN
