#!/usr/bin/env bash
# aiortc 1.16.0 sends packets of 20 ms to a peer that takes 10 ms at most.
#
# One would expect a=maxptime, which unlike a=ptime is no wish but a limit (RFC 8866 §6.4; RFC 9429 §5.11 has the sender keep it),
# to shorten the packets or to be refused. aiortc reads neither and leaves both out of its own descriptions.
#
# Seen (aiortc 1.16.0, the answer with a=ptime:10 and a=maxptime:10; steps of the RTP timestamp of the Opus it sends):
#     step 960: 20 ms
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0' 'av==18.1.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack


async def main():
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    near.addTrack(AudioStreamTrack())
    sink, packets = MediaBlackhole(), []
    far.on("track", sink.addTrack)
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    limited = far.localDescription.sdp.replace("a=rtpmap:96 ", "a=ptime:10\r\na=maxptime:10\r\na=rtpmap:96 ")
    assert "maxptime" in limited
    await near.setRemoteDescription(RTCSessionDescription(limited, "answer"))
    receiver = far.getReceivers()[0]
    handle = receiver._handle_rtp_packet

    async def noted(packet, arrival_time_ms):
        packets.append(packet)
        await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = noted
    await sink.start()
    while len(packets) < 50:
        await asyncio.sleep(0.02)
    for step in sorted({(after.timestamp - before.timestamp) % 2**32 for before, after in zip(packets, packets[1:])}):
        print(f"step {step}: {step // 48} ms")
    await near.close()
    await far.close()


asyncio.run(main())
PYTHON
diff "$folder/seen" - <<'SEEN'
step 960: 20 ms
SEEN
