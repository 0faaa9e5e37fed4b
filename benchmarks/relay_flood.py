"""A relay in a flood: two senders on this machine send as fast as they can, and it ends when it was told to.

``python benchmarks/relay_flood.py [--duration 3]`` starts ``rtcprobe relay`` with a delay of 200 ms, floods it from two
processes until it has ended, and prints how long it relayed beyond its ``--duration``, how long its process went on
beside one that nobody floods, and its peak memory. Fails when either is more than half a second, or the memory more
than what may be under way (``network.MOST_UNDER_WAY_BYTES``) and a relay's own. Traffic stays on 127.0.0.1, all ends
after two minutes at the latest.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from multiprocessing import Process
from pathlib import Path
from typing import Any

from rtcprobe.runtime.direction import MOST_UNDER_WAY_BYTES

MOST_LATE_S = 0.5
OWN_BYTES = 200e6
LONGEST_S = 60.0
PAYLOAD = bytes(172)  # an RTP packet of 20 ms at 64 kbit/s


def flood(port: int) -> None:
    """Send to ``port`` as fast as this machine lets us, until killed."""
    ends_s = time.monotonic() + LONGEST_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        while time.monotonic() < ends_s and os.getppid() != 1:
            for _ in range(1000):
                try:
                    sender.send(PAYLOAD)
                except OSError:
                    time.sleep(0.01)  # the relay has ended


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has held so far; 0 where the machine does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def relayed(duration_s: float, *, senders: int) -> tuple[float, int, dict[str, Any]]:
    """Return how long a relay went on in a flood, how much memory it took, and what it says of itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))  # it takes what comes, until its buffer is full
        command = [sys.executable, "-m", "rtcprobe", "relay", "--listen", "127.0.0.1:0", "--link", "delay 200ms"]
        command += ["--to", f"127.0.0.1:{server.getsockname()[1]}", "--duration", f"{duration_s:g}s", "--json", "-"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as relay:
            assert relay.stderr is not None
            port = re.search(r"relaying 127\.0\.0\.1:(\d+)", relay.stderr.readline())
            begun_s = time.monotonic()
            if port is None:
                raise SystemExit("the relay did not start")
            floods = [Process(target=flood, args=(int(port[1]),)) for _ in range(senders)]
            for each in floods:
                each.start()
            peak = 0
            while time.monotonic() - begun_s < LONGEST_S and relay.poll() is None:
                peak = max(peak, peak_bytes(relay.pid))
                # What it prints at its end is more than a pipe holds: it is read below.
                if time.monotonic() - begun_s > duration_s:
                    break
                time.sleep(0.05)
            try:
                out, _ = relay.communicate(timeout=max(1.0, LONGEST_S - (time.monotonic() - begun_s)))
            except subprocess.TimeoutExpired:
                relay.send_signal(signal.SIGKILL)
                raise SystemExit(f"the relay was still there after {LONGEST_S:g} s") from None
            finally:
                for each in floods:
                    each.kill()
                    each.join()
            return time.monotonic() - begun_s, peak, json.loads(out)


def main() -> None:
    """Flood, print, and exit with 1 where it went on too long or took too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=3.0)
    duration_s = parser.parse_args().duration
    quiet_s, _, _ = relayed(duration_s, senders=0)
    took_s, peak, report = relayed(duration_s, senders=2)
    clients = report["clients"]
    packets = sum(each["to_server"]["achieved"]["offered"] for each in clients)
    late_s, beside_s = report["duration_s"] - duration_s, took_s - quiet_s
    print(f"{packets:,} datagrams of {len(clients)} senders relayed in {duration_s:g} s,", end=" ")
    print(f"{report['turned_away']:,} turned away, peak memory {peak / 1e6:.0f} MB")
    print(f"ended {late_s:+.2f} s from its --duration, its process {beside_s:+.2f} s from that of a quiet one", end=" ")
    print(f"(at most {MOST_LATE_S:+g})")
    good = max(late_s, beside_s) <= MOST_LATE_S and peak <= MOST_UNDER_WAY_BYTES + OWN_BYTES and packets > 0
    sys.exit(not good)


if __name__ == "__main__":
    main()
