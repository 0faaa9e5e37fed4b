#!/usr/bin/env bash
# aiortc 1.16.0: getStats gives jitter in ticks of the RTP clock where W3C's webrtc-stats has seconds.
#
# The dictionaries bear W3C's names, and roundTripTime beside it is in seconds as there (webrtc-stats, 8.2: "jitter ...
# measured in seconds"). aiortc's jitter is the whole number that stands in a receiver report (RFC 3550 §6.4.1), in units of the
# stream's clock: a dashboard that reads both from browsers and from aiortc is off by 48,000, and for sound of G.711 by 8,000.
#
# Seen (aiortc 1.16.0, sound between two peers on one machine for 3 s):
#     inbound-rtp: jitter is an int, above 1 s if it were in seconds: True
#     remote-inbound-rtp: jitter is an int; roundTripTime is a float, below 1 s: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0' 'av==18.1.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio
import random

from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.contrib.media import MediaBlackhole
from aiortc.mediastreams import AudioStreamTrack


class Uneven(AudioStreamTrack):
    async def recv(self):
        frame = await super().recv()
        await asyncio.sleep(random.uniform(0, 0.01))
        return frame


async def main():
    random.seed(1)
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    near.addTrack(Uneven())
    sink = MediaBlackhole()
    far.on("track", sink.addTrack)
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    await sink.start()
    await asyncio.sleep(3)
    inbound = next(each for each in (await far.getStats()).values() if each.type == "inbound-rtp")
    print(f"inbound-rtp: jitter is an {type(inbound.jitter).__name__}, above 1 s if it were in seconds: {inbound.jitter > 1}")
    remote = next(each for each in (await near.getStats()).values() if each.type == "remote-inbound-rtp")
    kinds = f"jitter is an {type(remote.jitter).__name__}; roundTripTime is a {type(remote.roundTripTime).__name__}"
    print(f"remote-inbound-rtp: {kinds}, below 1 s: {remote.roundTripTime < 1}")
    await near.close()
    await far.close()


asyncio.run(main())
PYTHON
diff "$folder/seen" - <<'SEEN'
inbound-rtp: jitter is an int, above 1 s if it were in seconds: True
remote-inbound-rtp: jitter is an int; roundTripTime is a float, below 1 s: True
SEEN
