#!/usr/bin/env bash
# Janus 1.1.2 (Debian 12): who answers its offer and is quick loses a second of the join; who makes the offer does not.
#
# A subscriber of a VideoRoom answers Janus' offer, and is the DTLS client (a=setup:active, RFC 5763 5: what is
# recommended, as no round trip is lost). One would expect the handshake to take a few milliseconds once ICE is there, as it does
# for a publisher. But Janus nominates the pair, so ICE is done for the subscriber before Janus' own loop has said "starting DTLS
# handshake": a ClientHello that comes in between is read ("Looks like DTLS!") and dropped. OpenSSL sends the next one after a
# second (RFC 6347 4.2.4.1), so the join takes that second longer, on a clean local network, now and then; a browser's timer is
# 50 ms, which hides it. Where the client offers, it nominates, and the handshake comes later than Janus' readiness.
#
# Seen (janus 1.1.2, aiortc 1.16.0; 24 joins each and more until it is seen, on a busy machine; idle, 4 of 12 were late):
#     we offer: DTLS 3 to 75 ms after ICE, 0 of 24 a second late
#     Janus offers: DTLS 3 to 1005 ms after ICE, 1 of 24 a second late
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${janus:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aiortc==1.16.0
(
  cd "$folder"
  # Unpacked beside each other: nothing is installed. The C library and what every Debian has are the machine's own.
  wanted=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances janus |
    grep '^\w' | sort -u | grep -vE '^(janus|libc6.*|libgcc.*|libstdc.*|gcc-12-base|debconf.*|cdebconf.*|perl.*|dpkg|tar|ucf|sensible.*|coreutils|.*-extra.*|lsb-base|sysvinit.*|init-system.*|adduser|passwd|.*pam.*|.*systemd.*|mawk|gawk|original-awk|login)$')
  # shellcheck disable=SC2086
  apt-get -q download janus=1.1.2-1+b2 $wanted >/dev/null 2>&1 || apt-get -q download janus $wanted >/dev/null 2>&1
  for each in *.deb; do dpkg -x "$each" .; done
)
libraries=$(find "$folder/usr/lib" "$folder/lib" -name '*.so.*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd:)
plugins=$(dirname "$(find "$folder/usr/lib" -name libjanus_videoroom.so)")
transports=$(dirname "$(find "$folder/usr/lib" -name libjanus_http.so)")
address=$(hostname -I | cut -d' ' -f1) # Janus gathers no candidate of the loopback
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
mkdir "$folder/etc-janus"
cat >"$folder/etc-janus/janus.jcfg" <<END
general: { configs_folder = "$folder/etc-janus", plugins_folder = "$plugins", transports_folder = "$transports", debug_level = 3 }
nat: { ice_enforce_list = "$address" }
plugins: { disable = "$(cd "$plugins" && ls | grep '\.so$' | grep -v videoroom | paste -sd,)" }
transports: { disable = "$(cd "$transports" && ls | grep '\.so$' | grep -v _http | paste -sd,)" }
END
echo "general: { base_path = \"/janus\", http = true, port = $port, ip = \"$address\" }" >"$folder/etc-janus/janus.transport.http.jcfg"
echo 'room-1234: { description = "opus", publishers = 10, audiocodec = "opus" }' >"$folder/etc-janus/janus.plugin.videoroom.jcfg"
LD_LIBRARY_PATH=$libraries "$(find "$folder/usr/bin" -name janus)" -F "$folder/etc-janus" -C "$folder/etc-janus/janus.jcfg" >"$folder/log" 2>&1 &
janus=$!
for _ in $(seq 100); do
  python3 -c "import urllib.request; urllib.request.urlopen('http://$address:$port/janus/info')" 2>/dev/null && break
  kill -0 $janus || { tail "$folder/log"; exit 1; }
  sleep 0.1
done
"$folder/venv/bin/python" - "http://$address:$port/janus" 300 <<'PYTHON'
import asyncio
import itertools
import json
import sys
import urllib.request

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

URL, TIMES = sys.argv[1], int(sys.argv[2])
number = itertools.count()


def exchange(url, body=None):
    data = None if body is None else json.dumps({"transaction": str(next(number)), **body}).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


class Session:
    async def open(self):
        made = await asyncio.to_thread(exchange, URL, {"janus": "create"})
        self.url = f"{URL}/{made['data']['id']}"
        return self

    async def attach(self, plugin):
        made = await asyncio.to_thread(exchange, self.url, {"janus": "attach", "plugin": f"janus.plugin.{plugin}"})
        return f"{self.url}/{made['data']['id']}"

    async def ask(self, handle, body, jsep=None):
        await asyncio.to_thread(exchange, handle, {"janus": "message", "body": body, **({"jsep": jsep} if jsep else {})})
        while True:
            event = await asyncio.to_thread(exchange, self.url)
            if event.get("janus") == "event" and str(event["sender"]) == handle.rsplit("/", 1)[1]:
                return event

    async def close(self):
        await asyncio.to_thread(exchange, self.url, {"janus": "destroy"})


class Timed:
    """A connection; how long after ICE was there DTLS was."""

    def __init__(self):
        loop = asyncio.get_running_loop()
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.at, self.done = {}, asyncio.Event()

        def note(state):
            self.at.setdefault(state, loop.time())
            if state == "connected":
                self.done.set()

        self.peer.on("iceconnectionstatechange", lambda: note(f"ice {self.peer.iceConnectionState}"))
        self.peer.on("connectionstatechange", lambda: note(self.peer.connectionState))

    async def dtls_ms(self):
        await asyncio.wait_for(self.done.wait(), 10)
        return 1e3 * (self.at["connected"] - self.at["ice completed"])


def jsep(description):
    return {"type": description.type, "sdp": description.sdp}


async def we_offer(session):
    timed, handle = Timed(), await session.attach("videoroom")
    timed.peer.addTrack(AudioStreamTrack())
    joined = await session.ask(handle, {"request": "join", "ptype": "publisher", "room": 1234})
    await timed.peer.setLocalDescription(await timed.peer.createOffer())
    said = await session.ask(handle, {"request": "publish"}, jsep(timed.peer.localDescription))
    await timed.peer.setRemoteDescription(RTCSessionDescription(**{k: said["jsep"][k] for k in ("sdp", "type")}))
    return timed, joined["plugindata"]["data"]["id"]


async def janus_offers(session, feed):
    timed, handle = Timed(), await session.attach("videoroom")
    wanted = {"request": "join", "ptype": "subscriber", "room": 1234, "streams": [{"feed": feed}]}
    said = await session.ask(handle, wanted)
    await timed.peer.setRemoteDescription(RTCSessionDescription(**{k: said["jsep"][k] for k in ("sdp", "type")}))
    await timed.peer.setLocalDescription(await timed.peer.createAnswer())
    await session.ask(handle, {"request": "start"}, jsep(timed.peer.localDescription))
    return timed


async def main():
    offered, answered = [], []
    while len(answered) < 24 or (len(answered) < TIMES and max(answered) < 900):  # how often is the machine's matter
        speaking, listening = await Session().open(), await Session().open()
        speaker, feed = await we_offer(speaking)
        offered.append(await speaker.dtls_ms())
        await asyncio.sleep(0.2)
        listener = await janus_offers(listening, feed)
        answered.append(await listener.dtls_ms())
        for each in (listener.peer, speaker.peer):
            await each.close()
        for each in (listening, speaking):
            await each.close()
    for name, took_ms in (("we offer", offered), ("Janus offers", answered)):
        late = sum(each > 900 for each in took_ms)
        print(f"{name}: DTLS {min(took_ms):.0f} to {max(took_ms):.0f} ms after ICE, {late} of {len(took_ms)} a second late")
        assert (late > 0) == (name == "Janus offers"), "it is otherwise now"


asyncio.run(main())
PYTHON
