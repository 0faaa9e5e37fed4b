#!/usr/bin/env bash
# aiortc 1.16.0: its sender reports date sound by when it was sent, a packet's length after it was captured.
#
# RFC 3550 §6.4.1: the RTP timestamp of a report corresponds to the same instant as its NTP timestamp. A packet's RTP
# timestamp is the sampling instant of its first sample (§5.1), and it is sent when its last one was taken. aiortc pairs
# the timestamp of the packet it sent last with the instant of sending: of 20 ms packets reports of sound are 20 ms late,
# those of a picture, which is sent when it is captured, are not. A receiver that makes lips and voice agree by them, as
# every browser does, is told 20 ms that are not there; with 60 ms packets it is told 60.
#
# Seen (Python 3.11, aiortc 1.16.0, aioice 0.13.0), of sound captured and sent in real time, the NTP time less the
# instant at which the sample of the RTP timestamp was captured, to the nearest 20 ms:
#     packets of 20 ms: 20 ms late
#     packets of 60 ms: 60 ms late
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio
import fractions
import statistics
import time

import aioice.ice
import av
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtcpPacket, RtcpSrPacket, RtpPacket

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # it leaves the loopback out
NTP_EPOCH_S = 2_208_988_800


class Microphone(MediaStreamTrack):
    """Encoded packets of ``ptime_ms``, each handed over when its last sample was captured."""

    kind = "audio"

    def __init__(self, ptime_ms):
        super().__init__()
        self.ptime_s, self.count, self.began_s = ptime_ms / 1e3, 0, time.time()

    async def recv(self):
        index, self.count = self.count, self.count + 1
        await asyncio.sleep(max(0.0, self.began_s + self.count * self.ptime_s - time.time()))
        packet = av.Packet(bytes([0x78, 0xFF, 0xFE]))
        packet.pts, packet.time_base = round(index * self.ptime_s * 48_000), fractions.Fraction(1, 48_000)
        return packet


async def late_by(ptime_ms):
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    track = Microphone(ptime_ms)
    sender = ours.addTrack(track)
    first, off_s = [], []
    send = sender.transport._send_rtp

    async def sent(data):
        if 192 <= data[1] <= 223:
            for report in (each for each in RtcpPacket.parse(data) if isinstance(each, RtcpSrPacket)):
                if first:
                    said_s = report.sender_info.ntp_timestamp / 2**32 - NTP_EPOCH_S
                    captured_s = track.began_s + ((report.sender_info.rtp_timestamp - first[0]) % 2**32) / 48_000
                    off_s.append(said_s - captured_s)
        elif not first:
            first.append(RtpPacket.parse(data).timestamp)
        await send(data)

    sender.transport._send_rtp = sent
    await ours.setLocalDescription(await ours.createOffer())
    await theirs.setRemoteDescription(ours.localDescription)
    await theirs.setLocalDescription(await theirs.createAnswer())
    await ours.setRemoteDescription(theirs.localDescription)
    while len(off_s) < 4:
        await asyncio.sleep(0.1)
    await ours.close()
    await theirs.close()
    print(f"packets of {ptime_ms} ms: {round(statistics.median(off_s) * 1e3 / 20) * 20} ms late")


asyncio.run(late_by(20))
asyncio.run(late_by(60))
PYTHON
diff "$folder/seen" - <<'SEEN'
packets of 20 ms: 20 ms late
packets of 60 ms: 60 ms late
SEEN
