#!/usr/bin/env bash
# scapy 2.8.0, werift 0.24.4 and rtp.js 0.15.5: a packet that came twice is 16,777,215 or 4,095 lost; rtp.js wraps at 4,096.
#
# RFC 3550 §6.4.1: the cumulative number of packets lost is a signed number of 24 bits; duplicates make it negative, and a line
# that doubles a packet before any is lost reports -1. One would expect that of whoever reads it, or 0. scapy and
# werift read it without a sign. rtp.js has the sign in its code, but masks 12 bits of the 24 first: it never sees it, and 5,000
# lost, which sound at 5 % takes half an hour for and a picture minutes, are 904. A loss taken from the difference of two
# reports is then minus four thousand, or sixteen million. aiortc, beside them, reads it as it is written.
#
# Seen (Node.js 20; a receiver report with this number of packets lost):
#     -1: scapy 16777215, werift 16777215, rtp.js 4095, aiortc -1
#     4095: scapy 4095, werift 4095, rtp.js 4095, aiortc 4095
#     5000: scapy 5000, werift 5000, rtp.js 904, aiortc 5000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm init -y >/dev/null && npm install --silent --no-fund --no-audit --ignore-scripts werift@0.24.4 rtp.js@0.15.5 >/dev/null)
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'scapy==2.8.0' 'aiortc==1.16.0' 'aioice==0.13.0' 'av==18.1.0'
cat >"$folder/read.cjs" <<'JAVASCRIPT'
const { RtcpPacketConverter } = require("werift");
const { packets } = require("rtp.js");

const report = Buffer.from(process.argv[2], "hex");
const [werift] = RtcpPacketConverter.deSerialize(report);
const view = new DataView(report.buffer, report.byteOffset, report.length);
const rtpjs = new packets.CompoundPacket(view).dump().packets[0];
console.log(`werift ${werift.reports[0].packetsLost}, rtp.js ${rtpjs.reports[0].totalLost}`);
JAVASCRIPT
"$folder/venv/bin/python" - "$folder/read.cjs" <<'PYTHON' | tee "$folder/seen"
import struct
import subprocess
import sys

from aiortc.rtp import RtcpPacket
from scapy.contrib.rtcp import RTCP

for lost in (-1, 4095, 5000):
    block = struct.pack("!IB", 2, 0) + lost.to_bytes(3, "big", signed=True) + struct.pack("!IIII", 6000, 0, 0, 0)
    report = struct.pack("!BBHI", 0x81, 201, 7, 1) + block
    scapy = RTCP(report).report_blocks[0].cumulative_lost
    aiortc = RtcpPacket.parse(report)[0].reports[0].packets_lost
    node = subprocess.run(["node", sys.argv[1], report.hex()], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{lost}: scapy {scapy}, {node}, aiortc {aiortc}")
PYTHON
diff "$folder/seen" - <<'SEEN'
-1: scapy 16777215, werift 16777215, rtp.js 4095, aiortc -1
4095: scapy 4095, werift 4095, rtp.js 4095, aiortc 4095
5000: scapy 5000, werift 5000, rtp.js 904, aiortc 5000
SEEN
