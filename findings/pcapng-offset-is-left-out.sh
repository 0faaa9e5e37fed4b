#!/usr/bin/env bash
# pcapng: two of three Python readers leave out if_tsoffset, and two of three cannot tell packets of one microsecond apart.
#
# if_tsoffset (draft-ietf-opsawg-pcapng, interface option 14) is to be added to every time stamp; a file that has it holds small
# stamps. scapy and python-pcapng read it as an option and do not add it: the call took place in 1970. A file in nanoseconds
# (if_tsresol 9), what hardware stamps give, keeps them in scapy alone; dpkt and python-pcapng make floats, which near the year 2023
# are 238 ns apart, so that one-way times and packet spacing at 10 Gb/s come out as nought.
#
# Seen (dpkt 1.9.8, scapy 2.8.0, python-pcapng 2.1.1; first stamp with the offset, then the step of two packets 1 ns apart):
#     dpkt: 1700000000.5, step 0 ns
#     scapy: 0.5, step 1 ns
#     python-pcapng: 0.5, step 0 ns
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'dpkt==1.9.8' 'scapy==2.8.0' 'python-pcapng==2.1.1'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import io
import struct

import dpkt
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket
from scapy.utils import PcapNgReader


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def capture(resolution, offset_s, stamps):
    options = option(9, bytes([resolution])) + option(14, struct.pack("<q", offset_s)) + option(0, b"")
    blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", 101, 0, 0) + options)]
    packet = bytes.fromhex("4500001c00010000401100007f0000017f000001") + struct.pack("!HHHH", 1, 2, 8, 0)
    for stamp in stamps:
        blocks.append(block(6, struct.pack("<IIIII", 0, *divmod(stamp, 2**32), len(packet), len(packet)) + packet))
    return b"".join(blocks)


READERS = {
    "dpkt": lambda data: [at for at, _ in dpkt.pcapng.Reader(io.BytesIO(data))],
    "scapy": lambda data: [each.time for each in PcapNgReader(io.BytesIO(data))],
    "python-pcapng": lambda data: [
        each.timestamp for each in FileScanner(io.BytesIO(data)) if isinstance(each, EnhancedPacket)
    ],
}
with_offset = capture(6, 1_700_000_000, [500_000])
in_nanoseconds = capture(9, 0, [1_700_000_000_123_456_789, 1_700_000_000_123_456_790])
for name, read in READERS.items():
    first, then = read(in_nanoseconds)
    print(f"{name}: {read(with_offset)[0]}, step {float(then - first) * 1e9:.0f} ns")
PYTHON
diff "$folder/seen" - <<'SEEN'
dpkt: 1700000000.5, step 0 ns
scapy: 0.5, step 1 ns
python-pcapng: 0.5, step 0 ns
SEEN
