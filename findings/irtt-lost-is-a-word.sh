#!/usr/bin/env bash
# irtt 0.9.0 (Debian): "lost" in its JSON is a word, and what was lost on its way back says nothing of its way there.
#
# One would take "lost" for true or false. It is the string "false", "true_up", "true_down" or "true", and "false" is true
# in Python, JavaScript and jq alike: `if trip["lost"]` counts every probe as lost. And though irtt knows that a probe
# marked "true_down" reached its server, that probe has no server stamps and no "send" delay: one-way delays there can
# only be had of probes that came back, and a mean over "delay" leaves out more of the way up than was lost on it.
#
# Seen (irtt 0.9.0-2+b24, loopback, a relay that drops every 10th datagram there and every 7th back):
#     types of lost: str; truthy when not lost: yes
#     lost up: true_up, delay {}
#     lost down: true_down, delay {}, stamps of the server: none
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$folder"' EXIT
(cd "$folder" && apt-get -q download irtt=0.9.0-2+b24 >/dev/null && dpkg -x irtt_*.deb .)
irtt=$folder/usr/bin/irtt
"$irtt" server -b 127.0.0.1:43121 -i 5ms >/dev/null &
python3 - <<'PYTHON' &
import select
import socket

front, back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
front.bind(("127.0.0.1", 43122))
back.connect(("127.0.0.1", 43121))
client, there, here = None, 0, 0
while True:
    for ready in select.select([front, back], [], [])[0]:
        if ready is front:
            data, client = front.recvfrom(2048)
            there += 1
            if there % 10 or there < 20:  # the first are the handshake
                back.send(data)
        else:
            try:
                data = back.recv(2048)
            except ConnectionRefusedError:
                continue
            here += 1
            if client and (here % 7 or here < 20):
                front.sendto(data, client)
PYTHON
sleep 1
"$irtt" client -q -i 10ms -d 3s -l 160 -o "$folder/seen.json" 127.0.0.1:43122 >/dev/null
python3 - "$folder/seen.json" <<'PYTHON' | tee "$folder/seen"
import json
import sys

trips = json.load(open(sys.argv[1]))["round_trips"]
kinds = sorted({type(each["lost"]).__name__ for each in trips})
arrived = next(each for each in trips if each["lost"] == "false")
print(f"types of lost: {', '.join(kinds)}; truthy when not lost: {'yes' if arrived['lost'] else 'no'}")
up = next(each for each in trips if each["lost"] == "true_up")
print(f"lost up: {up['lost']}, delay {up['delay']}")
down = next(each for each in trips if each["lost"] == "true_down")
stamps = [each for each in down["timestamps"]["server"].values() if each]
print(f"lost down: {down['lost']}, delay {down['delay']}, stamps of the server: {'some' if stamps else 'none'}")
PYTHON
diff "$folder/seen" - <<'SEEN'
types of lost: str; truthy when not lost: yes
lost up: true_up, delay {}
lost down: true_down, delay {}, stamps of the server: none
SEEN
