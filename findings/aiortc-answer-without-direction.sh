#!/usr/bin/env bash
# aiortc 1.16.0: an SDP answer without a direction line agrees on nothing, and says nothing.
#
# RFC 8866 §6.7: where none of sendrecv, sendonly, recvonly, inactive stands in a description, sendrecv is the default;
# FreeSWITCH and others answer so. aiortc 1.16.0 takes the answer without an error, its ICE and DTLS connect, and yet the
# transceiver's currentDirection is None, there is no remote track, and its own track is never asked for a frame.
#
# Seen (Python 3.11, aiortc 1.16.0, aioice 0.13.0):
#     with a=sendrecv:       currentDirection 'sendrecv', remote track yes, frames sent yes, connected
#     without the line:      currentDirection None, remote track no, frames sent no, connected
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # it leaves the loopback out


class Counted(AudioStreamTrack):
    asked = 0

    async def recv(self):
        self.asked += 1
        return await super().recv()


async def answered(direction):
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    track = Counted()
    ours.addTrack(track)
    await ours.setLocalDescription(await ours.createOffer())
    await theirs.setRemoteDescription(ours.localDescription)
    theirs.addTrack(AudioStreamTrack())
    await theirs.setLocalDescription(await theirs.createAnswer())
    text = theirs.localDescription.sdp
    assert text.count("a=sendrecv\r\n") == 1
    text = text.replace("a=sendrecv\r\n", direction)
    await ours.setRemoteDescription(RTCSessionDescription(text, "answer"))
    for _ in range(100):
        await asyncio.sleep(0.05)
        if ours.connectionState == "connected":
            break
    await asyncio.sleep(1.0)
    transceiver = ours.getTransceivers()[0]
    print(
        f"currentDirection {transceiver.currentDirection!r}, "
        f"remote track {'yes' if transceiver.receiver.track else 'no'}, "
        f"frames sent {'yes' if track.asked else 'no'}, {ours.connectionState}"
    )
    await ours.close()
    await theirs.close()


asyncio.run(answered("a=sendrecv\r\n"))
asyncio.run(answered(""))
PYTHON
diff "$folder/seen" - <<'SEEN'
currentDirection 'sendrecv', remote track yes, frames sent yes, connected
currentDirection None, remote track no, frames sent no, connected
SEEN
