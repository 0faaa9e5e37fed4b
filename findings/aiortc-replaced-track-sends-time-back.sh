#!/usr/bin/env bash
# aiortc 1.16.0: RTCRtpSender.replaceTrack sends RTP time back to where the new track begins.
#
# One would expect a sender to go on in time when its track is exchanged (a browser does: a receiver must not notice). aiortc
# adds one random origin to the pts of whatever track it sends, and a new track counts its pts from 0: the sequence numbers
# go on, the timestamps jump back by as long as the first track had been sent. A receiver takes such packets for
# something long past.
#
# Seen (aiortc 1.16.0, two tracks of silence, the second after 100 frames; steps between packets on the wire):
#     sequence: always 1 more
#     timestamp: 960 more, but 1 time 93120 less or further back (93120: 97 frames)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0' 'av==18.1.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio

from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack


async def main():
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    sender, sink, packets = near.addTrack(AudioStreamTrack()), MediaBlackhole(), []
    far.on("track", sink.addTrack)
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    receiver = far.getReceivers()[0]
    handle = receiver._handle_rtp_packet

    async def noted(packet, arrival_time_ms):
        packets.append(packet)
        await handle(packet, arrival_time_ms)

    receiver._handle_rtp_packet = noted
    await sink.start()
    while len(packets) < 100:
        await asyncio.sleep(0.02)
    sender.replaceTrack(AudioStreamTrack())
    while len(packets) < 150:
        await asyncio.sleep(0.02)
    pairs = list(zip(packets, packets[1:], strict=False))
    sequence = {(after.sequence_number - before.sequence_number) % 2**16 for before, after in pairs}
    steps = [(after.timestamp - before.timestamp + 2**31) % 2**32 - 2**31 for before, after in pairs]
    back = [step for step in steps if step != 960]
    print(f"sequence: always {sequence.pop()} more" if len(sequence) == 1 else sorted(sequence))
    print(f"timestamp: 960 more, but {len(back)} time {'93120 less or further back' if back[0] <= -93120 else back}")
    await near.close()
    await far.close()


asyncio.run(main())
PYTHON
diff "$folder/seen" - <<'SEEN'
sequence: always 1 more
timestamp: 960 more, but 1 time 93120 less or further back
SEEN
