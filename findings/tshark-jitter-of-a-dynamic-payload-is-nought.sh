#!/usr/bin/env bash
# tshark 4.0.17 (Debian): the jitter of Opus is 0.000 ms however much it jitters, unless the call's SDP is in the file.
#
# One would expect `-z rtp,streams` to say that it does not know the clock of a dynamic payload type (96 to 127, RFC 3551 §6: Opus,
# VP8, everything WebRTC sends; its SDP is never in a capture). It prints a jitter of 0.000 in the same column in which the jitter
# of G.711 is right, with no mark in "Problems?"; the one hint is a least jitter below 0. The same arrivals under payload type 0
# and with its 8 kHz clock have 9.6 ms.
#
# Seen (tshark 4.0.17-0+deb12u3; 500 packets, 20 ms apart, each delayed by 0 to 30 ms at random):
#     type 111, 48 kHz: jitter min -1.000 mean 0.000 max 0.000
#     type 0, 8 kHz: jitter min 1.337 mean 9.566 max 14.497
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
version=4.0.17-0+deb12u3
(
  cd "$folder"
  apt-get -q download {tshark,wireshark-common,libwireshark16,libwireshark-data,libwiretap13,libwsutil14}="$version" \
    libc-ares2 libpcap0.8 libsmi2ldbl liblua5.2-0 libsnappy1v5 libnghttp2-14 libspeexdsp1 libbrotli1 libgcrypt20 libgnutls30 \
    libkrb5-3 libk5crypto3 libkrb5support0 libkeyutils1 libxml2 liblz4-1 libzstd1 libdbus-1-3 libp11-kit0 libidn2-0 libunistring2 \
    libtasn1-6 libnettle8 libhogweed6 libgmp10 libcom-err2 libicu72 libglib2.0-0 libpcre2-8-0 libgpg-error0 2>/dev/null >/dev/null
  for each in *.deb; do dpkg -x "$each" .; done
)
python3 - "$folder" <<'PYTHON'
import random
import struct
import sys

for name, kind, step in (("opus", 111, 960), ("g711", 0, 160)):
    random.seed(1)
    with open(f"{sys.argv[1]}/{name}.pcap", "wb") as capture:
        capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))  # link type 101: plain IP
        for number in range(500):
            at_us = round((number * 0.02 + random.uniform(0, 0.03)) * 1e6)
            rtp = struct.pack("!BBHII", 0x80, kind, number, number * step, 0x1234) + bytes(60)
            udp = struct.pack("!HHHH", 5000, 5004, 8 + len(rtp), 0) + rtp
            home = bytes([127, 0, 0, 1])
            packet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, home, home) + udp
            capture.write(struct.pack("<IIII", *divmod(at_us, 1_000_000), len(packet), len(packet)) + packet)
PYTHON
libraries=$(find "$folder" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
for name in opus g711; do
  LD_LIBRARY_PATH=$libraries WIRESHARK_DATA_DIR=$folder/usr/share/wireshark "$folder/usr/bin/tshark" \
    -r "$folder/$name.pcap" -d udp.port==5004,rtp -q -z rtp,streams 2>/dev/null |
    awk -v what="$([ "$name" = opus ] && echo 'type 111, 48 kHz' || echo 'type 0, 8 kHz')" \
      '$3 == "127.0.0.1" { print what ": jitter min " $(NF-2) " mean " $(NF-1) " max " $NF }'
done | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
type 111, 48 kHz: jitter min -1.000 mean 0.000 max 0.000
type 0, 8 kHz: jitter min 1.337 mean 9.566 max 14.497
SEEN
