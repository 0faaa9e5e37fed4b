#!/usr/bin/env bash
# aiortc 1.16.0: who has a transceiver that the offer has no m-section for cannot answer; the error names neither.
#
# RFC 8829 §5.3.1: an answer has the m-sections of the offer and no others; a transceiver of our own that none of them is
# associated with waits for the next offer. So a listener that would take sound and a picture can answer an offer of sound
# alone. In aiortc 1.16.0 createAnswer makes that answer, and setLocalDescription of it is ValueError.
#
# Seen (Python 3.11, aiortc 1.16.0, aioice 0.13.0):
#     listener with audio alone:       1 m-section created, set, currentDirection 'recvonly'
#     listener with audio and video:   1 m-section created, ValueError: None is not in list
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # it leaves the loopback out


async def answered(*kinds):
    speaker, listener = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    speaker.addTransceiver("audio", direction="sendonly")
    for kind in kinds:
        listener.addTransceiver(kind, direction="recvonly")
    await speaker.setLocalDescription(await speaker.createOffer())
    await listener.setRemoteDescription(speaker.localDescription)
    answer = await listener.createAnswer()
    said = f"{answer.sdp.count('m=audio')} m-section created, "
    try:
        await listener.setLocalDescription(answer)
        said += f"set, currentDirection {listener.getTransceivers()[0].currentDirection!r}"
    except ValueError as error:
        said += f"ValueError: {error}"
    print(f"listener with {' and '.join(kinds)}: {said}")
    await speaker.close()
    await listener.close()


asyncio.run(answered("audio"))
asyncio.run(answered("audio", "video"))
PYTHON
diff "$folder/seen" - <<'SEEN'
listener with audio: 1 m-section created, set, currentDirection 'recvonly'
listener with audio and video: 1 m-section created, ValueError: None is not in list
SEEN
