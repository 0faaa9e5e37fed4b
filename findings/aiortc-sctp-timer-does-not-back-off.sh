#!/usr/bin/env bash
# aiortc 1.16.0: SCTP's retransmission timer does not back off.
#
# RFC 9260 §6.3.3 E2: when T3-rtx expires, RTO is doubled (1, 2, 4, ... s after the first second's expiry, 60 s at most);
# §8.1: after Association.Max.Retrans (10) expirations in a row the peer is unreachable, and the association is closed.
# aiortc sends again once a second for as long as nothing is acknowledged, and counts nothing: a message over a path that
# is gone for 4 s is sent at 0, 1, 2, 3 and 4 s, where one goes at 0, 1 and 3 s by the RFC (usrsctp and dcsctp, which are
# in browsers, double). So delays of reliable messages behind an outage are shorter with aiortc than in the field.
#
# Seen (Python 3.11, aiortc 1.16.0, aioice 0.13.0), a message sent to somebody who hears nothing any more:
#     sent again after 1 s, 1 s, 1 s, 1 s, still 'open'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio
import time
from itertools import pairwise

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtcsctptransport import DataChunk

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # it leaves the loopback out


async def main():
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    channel, opened = ours.createDataChannel("messages"), asyncio.Event()
    channel.on("open", opened.set)
    await ours.setLocalDescription(await ours.createOffer())
    await theirs.setRemoteDescription(ours.localDescription)
    await theirs.setLocalDescription(await theirs.createAnswer())
    await ours.setRemoteDescription(theirs.localDescription)
    await asyncio.wait_for(opened.wait(), 10)
    await asyncio.sleep(0.5)

    async def deaf(_data):
        pass

    theirs.sctp._handle_data = deaf
    sent_s, usual = [], ours.sctp._send_chunk

    async def send_chunk(chunk):
        if isinstance(chunk, DataChunk):
            sent_s.append(time.monotonic())
        await usual(chunk)

    ours.sctp._send_chunk = send_chunk
    channel.send("is anybody there?")
    await asyncio.sleep(4.6)
    gaps = ", ".join(f"{round(other - one)} s" for one, other in pairwise(sent_s))
    print(f"sent again after {gaps}, still {channel.readyState!r}")
    await ours.close()
    await theirs.close()


asyncio.run(main())
PYTHON
diff "$folder/seen" - <<'SEEN'
sent again after 1 s, 1 s, 1 s, 1 s, still 'open'
SEEN
