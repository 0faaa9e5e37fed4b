#!/usr/bin/env bash
# Chromium 156 (Debian), aiortc 1.16.0, playwright 1.65.2: transport-wide feedback is about the transport, and is dropped
# without a word unless its media SSRC is one that Chromium sends.
#
# draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1 leaves the field open ("do we just pick any of the media source
# SSRCs?"), and nothing in a report depends on it. libwebrtc heeds a report only where it is a source of its own
# (``rtcp_receiver.cc``): with 0, or any other number, everything else looks right, the call goes on, and Chromium's
# estimate of the line stays at the 300 kb/s that it begins with, or below.
#
# Seen (Chromium 156.0.8078.108, over the loopback, after 5 s):
#     media SSRC 2: estimate 208 kb/s; media SSRC of a packet: 462 to 580 kb/s    (a machine with load 13; quiet, more)
set -euo pipefail
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'playwright==1.65.2' 'aiortc==1.16.0'
TMPDIR=/tmp "$folder/venv/bin/python" - "$browser" <<'PYTHON'
import asyncio
import struct
import sys
import time

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters
from playwright.async_api import async_playwright

URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
HEADER_EXTENSIONS["video"].append(RTCRtpHeaderExtensionParameters(id=9, uri=URI))
for codec in CODECS["video"]:
    codec.rtcpFeedback = [RTCRtcpFeedback(type="transport-cc")]

OFFER = """async () => {
	window.peer = new RTCPeerConnection({ iceServers: [] });
	const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480, frameRate: 30 } });
	stream.getTracks().forEach((track) => peer.addTrack(track, stream));
	const { codecs } = RTCRtpSender.getCapabilities('video');
	peer.getTransceivers()[0].setCodecPreferences(codecs.filter(({ mimeType }) => /VP8|rtx/.test(mimeType)));
	await peer.setLocalDescription();
	await new Promise((done) => (peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && done()));
	return peer.localDescription.sdp;
}"""
ESTIMATE = """async () => {
	const pairs = [...(await peer.getStats()).values()].filter((each) => each.type === 'candidate-pair');
	return Math.max(0, ...pairs.map((each) => each.availableOutgoingBitrate || 0));
}"""


def report(came, media_ssrc, count):
    """Return a report of packets {number: second}; 250 us a tick, every number between first and last told."""
    first, last = min(came), max(came)
    reference = int(came[min(came, key=came.get)] / 0.064)
    before, symbols, deltas = reference * 256, [], b""
    for number in range(first, last + 1):
        if number not in came:
            symbols.append(0)
            continue
        ticks = round(came[number] / 0.00025)
        small = 0 <= ticks - before <= 255
        symbols.append(1 if small else 2)
        deltas += struct.pack("!B" if small else "!h", ticks - before)
        before = ticks
    chunks = b""
    for place in range(0, len(symbols), 7):
        bits = 0b11
        for symbol in (symbols[place : place + 7] + [0] * 7)[:7]:
            bits = bits << 2 | symbol
        chunks += struct.pack("!H", bits)
    body = struct.pack("!IIHH", 1, media_ssrc, first & 0xFFFF, len(symbols)) + reference.to_bytes(3, "big") + bytes([count & 255])
    body += chunks + deltas
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes([padding])
    return struct.pack("!BBH", 0x80 | (0x20 if padding else 0) | 15, 205, len(body) // 4) + body


async def estimate(page, named):
    """Return Chromium's estimate after 5 s of reports that name ``named``; None: the source of what came."""
    ours = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    came, ssrc = {}, [0]

    @ours.on("track")
    def on_track(track):
        receiver = ours.getReceivers()[0]
        handle = receiver._handle_rtp_packet

        async def noted(packet, arrival_time_ms):
            number = packet.extensions.transport_sequence_number
            if number is not None:
                came[number], ssrc[0] = time.monotonic(), packet.ssrc
            await handle(packet, arrival_time_ms=arrival_time_ms)

        receiver._handle_rtp_packet = noted

    await ours.setRemoteDescription(RTCSessionDescription(await page.evaluate(OFFER), "offer"))
    await ours.setLocalDescription(await ours.createAnswer())
    assert URI in ours.localDescription.sdp and "transport-cc" in ours.localDescription.sdp
    await page.evaluate("(sdp) => peer.setRemoteDescription({ type: 'answer', sdp })", ours.localDescription.sdp)
    ends, count = time.monotonic() + 5, 0
    while time.monotonic() < ends:
        await asyncio.sleep(0.05)
        if came:
            told = dict(came)
            came.clear()
            await ours.getReceivers()[0].transport._send_rtp(report(told, ssrc[0] if named is None else named, count))
            count += 1
    found = await page.evaluate(ESTIMATE)
    await page.evaluate("() => peer.close()")
    await ours.close()
    assert count > 20, "packets were numbered, and reports went out"
    return found


async def main():
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    flags += ["--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection"]
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=sys.argv[1], args=flags)
        page = await browser.new_page()
        await page.route("https://page.test/", lambda route: route.fulfill(body="<p>page", content_type="text/html"))
        await page.goto("https://page.test/")
        foreign, own = await estimate(page, 2), await estimate(page, None)
        print(f"Chromium {browser.version}")
        print(f"media SSRC 2: estimate {foreign / 1e3:.0f} kb/s; media SSRC of a packet: {own / 1e3:.0f} kb/s")
        await browser.close()
    assert foreign < 310_000, "what names another source is dropped"
    assert own > 330_000, "the same reports, naming one of its own, are heeded"


asyncio.run(main())
PYTHON
