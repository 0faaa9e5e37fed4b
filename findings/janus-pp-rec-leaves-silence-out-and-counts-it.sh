#!/usr/bin/env bash
# janus-pp-rec 1.1.2 (Debian): of a speaker who was silent by DTX it writes an Opus file of the right length that plays too early.
#
# One would expect the file to keep a call's time: whoever lays two speakers' files side by side to hear a conversation, or to count
# overlaps, relies on it. A lost packet is filled in; but where the sender was silent by design (DTX: one packet in 400 ms, sequence
# numbers in a row, timestamps far apart) nothing is. The Ogg granules keep the call's time, so every player and `opusinfo` state the
# whole length, and the sound ends long before: what was said at 15 s is heard at 3 s. --silence-distance (its help: "to detect RTP
# silence suppression") changes nothing here. To .mka the same recording keeps every packet's time.
#
# Seen (janus-tools 1.1.2-1, PyAV 18.1.0; a tone of 2 s, 13 s of silence with one packet in 400 ms, a tone from 15 s, 4 s more):
#     opus: says 20.0 s, decodes to 8.0 s, second tone at 3.0 s
#     opus, --silence-distance 960: says 20.0 s, decodes to 8.0 s, second tone at 3.0 s
#     mka: second tone at 15.0 s
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
(
  cd "$folder"
  # FFmpeg's libraries want many others; the C library and what every Debian has are the machine's own.
  wanted=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances janus-tools |
    grep '^\w' | sort -u | grep -vE '^(janus-tools|libc6.*|libgcc.*|libstdc.*|gcc-12-base|debconf.*|perl.*|dpkg|tar|ucf|sensible.*|coreutils|.*-extra.*)$')
  # shellcheck disable=SC2086
  apt-get -q download janus-tools=1.1.2-1 $wanted >/dev/null 2>&1
  for each in *.deb; do dpkg -x "$each" .; done
)
libraries=$(find "$folder/usr/lib" "$folder/lib" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
to() { LD_LIBRARY_PATH=$libraries "$folder/usr/bin/janus-pp-rec" "${@:2}" "$folder/call.mjr" "$folder/$1" >/dev/null 2>&1; }
"$folder/venv/bin/python" - "$folder/call.mjr" <<'PYTHON'
import json
import struct
import sys
from fractions import Fraction

import av
import numpy as np

coder = av.CodecContext.create("libopus", "w")
coder.sample_rate, coder.layout, coder.format, coder.bit_rate = 48_000, "mono", "s16", 32_000
coder.open()
at_s = np.arange(20 * 48_000) / 48_000
tone = np.where((at_s < 2) | ((at_s >= 15) & (at_s < 16)), 8_000 * np.sin(2 * np.pi * 440 * at_s), 0).astype(np.int16)
about = json.dumps({"t": "a", "c": "opus", "s": 1_700_000_000_000_000, "u": 1_700_000_000_000_000}).encode()
with open(sys.argv[1], "wb") as recording:
    recording.write(b"MJR00002" + struct.pack("!H", len(about)) + about)
    sequence = 0
    for number, begin in enumerate(range(0, len(tone), 960)):
        frame = av.AudioFrame.from_ndarray(tone[None, begin : begin + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, begin, Fraction(1, 48_000)
        for packet in coder.encode(frame):
            if 110 <= number < 740 and number % 20:
                continue
            sequence += 1
            rtp = struct.pack("!BBHII", 0x80, 111, sequence, begin, 0x1234) + bytes(packet)
            recording.write(b"MEET" + struct.pack("!IH", 20 * number, len(rtp)) + rtp)
PYTHON
to plain.opus
to distance.opus --silence-distance 960
to kept.mka
found=$("$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import av
import numpy as np


def second_tone_s(file, by_packet):
    """Return the length that is said, the length of the sound, and where it grows loud for the second time."""
    with av.open(file) as opened:
        loud, length_s = [], 0.0
        for frame in opened.decode(audio=0):
            begin_s = float(frame.pts * frame.time_base) if by_packet else length_s
            if np.abs(frame.to_ndarray().astype(float)).max() > (0.05 if frame.format.name.startswith("flt") else 1_600):
                loud.append(begin_s)
            length_s += frame.samples / frame.sample_rate
        second_s = next(later for sooner, later in zip(loud, loud[1:]) if later - sooner > 0.5)
        return (opened.duration or 0) / 1e6, length_s, second_s


for name, file in (("opus", "plain.opus"), ("opus, --silence-distance 960", "distance.opus")):
    said_s, length_s, second_s = second_tone_s(f"{sys.argv[1]}/{file}", by_packet=False)
    print(f"{name}: says {said_s:.1f} s, decodes to {length_s:.1f} s, second tone at {second_s:.1f} s")
_, _, second_s = second_tone_s(f"{sys.argv[1]}/kept.mka", by_packet=True)
print(f"mka: second tone at {second_s:.1f} s")
PYTHON
)
echo "$found"
[ "$found" = "opus: says 20.0 s, decodes to 8.0 s, second tone at 3.0 s
opus, --silence-distance 960: says 20.0 s, decodes to 8.0 s, second tone at 3.0 s
mka: second tone at 15.0 s" ]
