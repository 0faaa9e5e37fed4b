#!/usr/bin/env bash
# aiortc 1.16.0: who has sent nothing yet sends sender reports all the same, and dates them 1 January 1900.
#
# RFC 3550 §6.4: a report is a sender report (SR) only where data was sent since the last ones, else a receiver report
# (RR); the SR's NTP timestamp is when it was sent. A forwarding server made of aiortc has a sender for every slot nobody
# speaks in yet, a muted participant one whose track has given nothing. Such a sender of aiortc's sends an SR a second:
# NTP timestamp 0, RTP timestamp 0, no packets. Whoever maps RTP time to a clock by the first report (lip sync, RFC 3550
# §6.4.1) is 126 years off until the next one, and the far side's getStats tells so.
#
# Seen (Python 3.11, aiortc 1.16.0, aioice 0.13.0):
#     a track that gives nothing: packetsSent 0, remoteTimestamp 1900-01-01T00:00:00+00:00
#     a track that gives sound:   packetsSent over 0, remoteTimestamp of this year
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio
import datetime

import aioice.ice
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # it leaves the loopback out


class Silent(MediaStreamTrack):
    kind = "audio"

    async def recv(self):
        await asyncio.get_running_loop().create_future()


async def reported(track):
    sends, hears = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    sends.addTransceiver(track, direction="sendonly")
    await sends.setLocalDescription(await sends.createOffer())
    await hears.setRemoteDescription(sends.localDescription)
    await hears.setLocalDescription(await hears.createAnswer())
    await sends.setRemoteDescription(hears.localDescription)
    receiver = hears.getTransceivers()[0].receiver
    for _ in range(200):
        await asyncio.sleep(0.05)
        found = [each for each in (await receiver.getStats()).values() if each.type == "remote-outbound-rtp"]
        if found:
            sent, at = found[0].packetsSent, found[0].remoteTimestamp
            when = at.isoformat() if at.year == 1900 else "of this year" if at.year == datetime.date.today().year else at
            print(f"packetsSent {'0' if sent == 0 else 'over 0'}, remoteTimestamp {when}")
            break
    await sends.close()
    await hears.close()


async def main():
    await reported(Silent())
    await reported(AudioStreamTrack())


asyncio.run(main())
PYTHON
diff "$folder/seen" - <<'SEEN'
packetsSent 0, remoteTimestamp 1900-01-01T00:00:00+00:00
packetsSent over 0, remoteTimestamp of this year
SEEN
echo "as seen"
