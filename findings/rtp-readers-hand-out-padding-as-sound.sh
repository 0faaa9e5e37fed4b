#!/usr/bin/env bash
# dpkt 1.9.8 and scapy 2.8.0 hand out what RTP puts around the sound as the sound.
#
# Both parse the P and X bits of RFC 3550 §5.1 and give them names; one would expect the payload that they hand out to be
# the payload. Padding (whose last byte is its length) stays in it in both; a header extension, which every browser sends on
# every packet, stays in it in dpkt, while scapy takes it away. An Opus decoder that gets the rest takes the first byte of the
# extension for its table of contents.
#
# Seen (dpkt 1.9.8, scapy 2.8.0; a packet of 8 bytes with an extension of 8 bytes and 4 bytes of padding):
#     dpkt: 20 bytes of payload, begins with the extension: True, ends with the padding: True
#     scapy: 12 bytes of payload, begins with the extension: False, ends with the padding: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'dpkt==1.9.8' 'scapy==2.8.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import struct

import dpkt
from scapy.layers.rtp import RTP

EXTENSION = struct.pack("!HH", 0xBEDE, 1) + bytes([0x10, 0x85, 0, 0])  # RFC 8285: one element of one byte, then padding
PADDING = b"\0\0\0\4"
packet = struct.pack("!BBHII", 0x80 | 0x20 | 0x10, 111, 7, 960, 0x1234) + EXTENSION + b"eight by" + PADDING


def said(name, payload):
    begins, ends = payload.startswith(EXTENSION), payload.endswith(PADDING)
    print(f"{name}: {len(payload)} bytes of payload, begins with the extension: {begins}, ends with the padding: {ends}")


read = dpkt.rtp.RTP(packet)
assert read.x == read.p == 1
said("dpkt", read.data)
read = RTP(packet)
assert read.extension == read.padding == 1
said("scapy", bytes(read.lastlayer()))
PYTHON
diff "$folder/seen" - <<'SEEN'
dpkt: 20 bytes of payload, begins with the extension: True, ends with the padding: True
scapy: 12 bytes of payload, begins with the extension: False, ends with the padding: True
SEEN
