#!/usr/bin/env bash
# iperf3 3.12 (Debian): a datagram that comes late makes an interval lose 18446744073709551615 of them.
#
# One would take lost_packets of an interval for a count of 0 or more. iperf3 counts a gap as lost and takes one off when the late
# datagram comes; where that is in the next interval the count is minus one, and its JSON writes it without a sign: 2^64 - 1. Nor
# can one look at out_of_order to be warned: in the sender's JSON, which is what one has of a server far away, it is 0 whatever
# came; the server alone counted.
#
# Seen (iperf3 3.12-1+deb12u2, loopback, 1 Mb/s; a relay that lets every tenth datagram overtake by five):
#     an interval lost 18446744073709551615: True
#     out of order, as the sender says: 0
#     out of order, as the server says: more than 100: True
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$folder"' EXIT
(cd "$folder" && apt-get -q download iperf3=3.12-1+deb12u2 libiperf0=3.12-1+deb12u2 libsctp1=1.0.19+dfsg-2 >/dev/null && for each in *.deb; do dpkg -x "$each" .; done)
iperf3() { LD_LIBRARY_PATH=$(echo "$folder"/usr/lib/*-linux-gnu) "$folder/usr/bin/iperf3" "$@"; }
iperf3 -s -1 -J -i 0.1 -p 43131 >"$folder/server.json" &
server=$!
python3 - <<'PYTHON' &
import asyncio


async def piped(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def control(reader, writer):
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", 43131)
    await asyncio.gather(piped(reader, far_writer), piped(far_reader, writer), return_exceptions=True)


class Back(asyncio.DatagramProtocol):
    def __init__(self, front):
        self.front = front

    def datagram_received(self, data, _address):
        self.front.transport.sendto(data, self.front.client)


class Front(asyncio.DatagramProtocol):
    client, count, held = None, 0, None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.client = address
        self.count += 1
        if self.count > 40 and self.count % 10 == 0:  # the first make the connection
            self.held = data
            return
        self.back.sendto(data)
        if self.held is not None and self.count % 10 == 5:
            self.back.sendto(self.held)
            self.held = None


async def main():
    loop = asyncio.get_running_loop()
    await asyncio.start_server(control, "127.0.0.1", 43132)
    _, front = await loop.create_datagram_endpoint(Front, local_addr=("127.0.0.1", 43132))
    front.back, _ = await loop.create_datagram_endpoint(lambda: Back(front), remote_addr=("127.0.0.1", 43131))
    await asyncio.sleep(30)


asyncio.run(main())
PYTHON
sleep 1
iperf3 -c 127.0.0.1 -p 43132 -u -b 1M -l 200 -t 5 -J >"$folder/client.json"
wait "$server"
python3 - "$folder" <<'PYTHON' | tee "$folder/seen"
import json
import sys
from pathlib import Path

client, server = (json.loads((Path(sys.argv[1]) / f"{each}.json").read_text()) for each in ("client", "server"))
lost = [each["sum"].get("lost_packets", 0) for each in server["intervals"]]
print(f"an interval lost {2**64 - 1}: {2**64 - 1 in lost}")
print(f"out of order, as the sender says: {client['end']['streams'][0]['udp']['out_of_order']}")
print(f"out of order, as the server says: more than 100: {server['end']['streams'][0]['udp']['out_of_order'] > 100}")
PYTHON
diff "$folder/seen" - <<'SEEN'
an interval lost 18446744073709551615: True
out of order, as the sender says: 0
out of order, as the server says: more than 100: True
SEEN
