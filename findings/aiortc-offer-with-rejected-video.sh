#!/usr/bin/env bash
# aiortc 1.16.0 refuses a whole offer for the sake of a section that needs no transport of its own.
#
# A section of port 0 is rejected or bundle-only and needs neither ICE nor DTLS lines (RFC 3264 §6, RFC 9429 §5.2.2), and
# in a bundle these stand in the tagged section alone (RFC 9143 §7.1.3). One would expect the audio of such an offer to be
# answered. aiortc asks every section for a name of ICE, and takes none of the offer.
#
# Seen (Python 3.11, aiortc 1.16.0, aioice 0.13.0):
#     audio alone:             answered, 1 section
#     video rejected, port 0:  ValueError: ICE username fragment or password is missing
#     video in the bundle:     ValueError: ICE username fragment or password is missing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'aiortc==1.16.0' 'aioice==0.13.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

KEY = ":".join(f"{byte:02X}" for byte in range(32))
AUDIO = f"""v=0
o=- 1 2 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:0
a=sendonly
a=rtcp-mux
a=rtpmap:96 opus/48000/2
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuv
a=fingerprint:sha-256 {KEY}
a=setup:actpass
"""
VIDEO = """m=video {port} UDP/TLS/RTP/SAVPF 97
c=IN IP4 0.0.0.0
a=mid:1
a={direction}
a=rtpmap:97 VP8/90000
"""


async def answered(what, offer):
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        await peer.setRemoteDescription(RTCSessionDescription(offer.replace("\n", "\r\n"), "offer"))
        answer = await peer.createAnswer()
        print(f"{what}: answered, {answer.sdp.count('m=')} section")
    except ValueError as error:
        print(f"{what}: ValueError: {error}")
    await peer.close()


async def main():
    await answered("audio alone", AUDIO.replace("BUNDLE 0 1", "BUNDLE 0"))
    rejected = VIDEO.format(port=0, direction="inactive")
    await answered("video rejected, port 0", AUDIO.replace("BUNDLE 0 1", "BUNDLE 0") + rejected)
    await answered("video in the bundle", AUDIO + VIDEO.format(port=9, direction="sendonly"))


asyncio.run(main())
PYTHON
diff "$folder/seen" - <<'SEEN'
audio alone: answered, 1 section
video rejected, port 0: ValueError: ICE username fragment or password is missing
video in the bundle: ValueError: ICE username fragment or password is missing
SEEN
