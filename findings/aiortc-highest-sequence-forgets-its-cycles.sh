#!/usr/bin/env bash
# aiortc 1.16.0: receiver reports lose the cycles of the sequence number: after it wraps, the highest one received falls.
#
# RFC 3550 §6.4.1: "extended highest sequence number received: 32 bits. The low 16 bits contain the highest sequence number
# received ..., and the most significant 16 bits extend that sequence number with the corresponding count of sequence number
# cycles". aiortc counts the cycles (its packets lost are right), and leaves them out of the report. Who takes the packets
# expected from two reports by their difference, as congestion control by receiver reports does, gets some -65,000 of them
# every 22 minutes of sound, and every few minutes of a picture.
#
# Seen (aiortc 1.16.0, sound between two peers on one machine for 7 s; the first number is 65386, 150 before the wrap):
#     a report before the wrap says 65386 or more: True
#     reports that say less than the one before: 1, the first after the wrap, below 65536
#     packets lost in any report: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0' 'av==18.1.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio

import aiortc.rtcrtpsender
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtp import RtcpPacket

FIRST = 65386  # RFC 3550 §5.1: the initial value SHOULD be random; aiortc draws from the lower half alone
aiortc.rtcrtpsender.random_sequence_number = lambda: FIRST


async def main():
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    sender = near.addTrack(AudioStreamTrack())
    sink = MediaBlackhole()
    far.on("track", sink.addTrack)
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    told = []
    handle = sender.transport._handle_rtcp_data

    async def seen(data):  # a look at what came over the wire, decrypted
        for packet in RtcpPacket.parse(data):
            told.extend(each for each in getattr(packet, "reports", ()) if each.ssrc == sender._ssrc)
        await handle(data)

    sender.transport._handle_rtcp_data = seen
    await near.setRemoteDescription(far.localDescription)
    await sink.start()
    await asyncio.sleep(7)
    highest = [each.highest_sequence for each in told]
    falls = [later for sooner, later in zip(highest, highest[1:]) if later < sooner]
    print(f"a report before the wrap says {FIRST} or more: {highest[0] >= FIRST}")
    print(f"reports that say less than the one before: {len(falls)}, the first after the wrap, below 65536")
    print(f"packets lost in any report: {max(each.packets_lost for each in told)}")
    await near.close()
    await far.close()


asyncio.run(main())
PYTHON
diff "$folder/seen" - <<'SEEN'
a report before the wrap says 65386 or more: True
reports that say less than the one before: 1, the first after the wrap, below 65536
packets lost in any report: 0
SEEN
