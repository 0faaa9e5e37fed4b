"""How fast captures are read: packets a second and core, side by side with other readers of the same file.

Usage: python benchmarks/capture_speed.py [--packets N]     (others: uv pip install dpkt scapy; what is missing is said)

A pcap of Ethernet, IPv4, UDP, RTP frames of 168 bytes is made in a temporary folder, then a pcapng, and read by turns:
ours to streams, dpkt and scapy to the RTP header of every packet, as one would write it with them. Figures are medians
of five turns of CPU time; memory is the peak of a process that reads a file ten times as long and nothing else. Then an
hour of one call, delayed by a gamma law and losing one packet in a hundred, is heard by the command itself.
Exit code 1 when ours is under three times dpkt or fifty times scapy, where they are installed, or when the hour takes
more than 20 s of CPU.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from rtcprobe.capture import read_capture

_ETHERNET = bytes(12) + b"\x08\x00"
_PAYLOAD = bytes(range(114))
LEAST_TIMES = {"dpkt": 3.0, "scapy": 50.0}
MOST_HOUR_S = 20.0


def frame(index: int) -> bytes:
    """Return one frame: 168 bytes of one of two streams."""
    stream = index & 1
    rtp = struct.pack(">BBHII", 0x80, 111, (index >> 1) & 0xFFFF, (index >> 1) * 960 & 0xFFFFFFFF, 1000 + stream)
    udp = struct.pack(">HHHH", 5000 + stream, 6000, 8 + 12 + len(_PAYLOAD), 0)
    size = 20 + 8 + 12 + len(_PAYLOAD)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return _ETHERNET + ip + udp + rtp + _PAYLOAD


def write_pcap(path: Path, packets: int) -> None:
    """Write ``packets`` frames, 10 ms apart, as a pcap of microseconds."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for index in range(packets):
            data = frame(index)
            file.write(struct.pack("<IIII", index // 100, index % 100 * 10_000, len(data), len(data)) + data)


def write_pcapng(path: Path, packets: int) -> None:
    """Write the same as a pcapng of nanoseconds."""
    with path.open("wb") as file:
        file.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        file.write(struct.pack("<IIHHIHHIII", 1, 32, 1, 0, 65535, 9, 1, 9, 0, 32))
        for index in range(packets):
            data = frame(index)
            ticks = index * 10_000_000
            length = 32 + (len(data) + 3) // 4 * 4
            file.write(struct.pack("<IIIIIII", 6, length, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data)))
            file.write(data.ljust(length - 32, b"\0") + struct.pack("<I", length))


def ours(path: Path) -> int:
    """Read a capture to its streams; return how many packets they have."""
    return sum(each.count for each in read_capture(path).streams)


def with_dpkt(dpkt: Any) -> Callable[[Path], int]:
    """Return a reader that goes to the RTP header with dpkt."""

    def read(path: Path) -> int:
        count = 0
        with path.open("rb") as file:
            for _, data in dpkt.pcap.UniversalReader(file):
                ip = dpkt.ethernet.Ethernet(data).data
                if isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.udp.UDP):
                    count += dpkt.rtp.RTP(ip.data.data).version == 2
        return count

    return read


def with_scapy(scapy: Any) -> Callable[[Path], int]:
    """Return a reader that goes to the RTP header with scapy."""

    def read(path: Path) -> int:
        with scapy.PcapReader(str(path)) as packets:
            return sum(scapy.RTP(bytes(each[scapy.UDP].payload)).version == 2 for each in packets)

    return read


def rate(read: Callable[[Path], int], path: Path, packets: int) -> float:
    """Return packets a second of CPU."""
    begun_s = time.process_time()
    found = read(path)
    taken_s = time.process_time() - begun_s
    if found != packets:
        raise SystemExit(f"{found} of {packets} packets were found in {path.name}")
    return packets / taken_s


def write_hour(path: Path) -> None:
    """Write an hour of one stream of frames of 20 ms as a receiver's machine sees it: late, and some of it lost."""
    rng = np.random.default_rng(1)
    count = 180_000
    at_s = 0.020 * np.arange(count) + rng.gamma(1.5, 0.012, count)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for index in np.argsort(at_s)[rng.random(count) >= 0.01].tolist():
            data = frame(2 * index)
            second, rest = divmod(round(float(at_s[index]) * 1e6), 10**6)
            file.write(struct.pack("<IIII", second, rest, len(data), len(data)) + data)


def hour_s(path: Path) -> float:
    """Return the CPU seconds that hearing ``path`` takes, from the command's start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "rtcprobe", "hear", str(path)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def peak_mb(path: Path) -> float:
    """Return the peak memory of a process that reads ``path``."""
    code = (
        "import resource, sys; from rtcprobe.capture.files import read_capture; read_capture(sys.argv[1]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def others() -> dict[str, Callable[[Path], int]]:
    """Return the readers that are installed."""
    found: dict[str, Callable[[Path], int]] = {}
    for name, module, make in (("dpkt", "dpkt", with_dpkt), ("scapy", "scapy.all", with_scapy)):
        try:
            found[name] = make(import_module(module))
        except ImportError:
            print(f"{name} is not installed: uv pip install {name}")
    return found


def main() -> int:
    """Measure and print; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=100_000)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("pcap", write_pcap), ("pcapng", write_pcapng)):
            path, short = Path(folder, name), Path(folder, f"short.{name}")
            few = max(1000, options.packets // 20)
            write(path, options.packets)
            write(short, few)
            readers = {"ours": ours, **others()}
            rates: dict[str, list[float]] = {each: [] for each in readers}
            for _ in range(5):
                for each, read in readers.items():  # scapy would need minutes for the whole
                    chosen, count = (short, few) if each == "scapy" else (path, options.packets)
                    rates[each].append(rate(read, chosen, count))
            medians = {each: statistics.median(found) for each, found in rates.items()}
            for each, found in medians.items():
                times = medians["ours"] / found
                needed = LEAST_TIMES.get(each, 0.0)
                failed |= each != "ours" and times < needed
                print(f"{name:<7} {each:<6} {found:>12,.0f} packets/s of CPU   ours is {times:.1f} times")
        long = Path(folder, "long")
        write_pcap(long, options.packets * 10)
        print(f"peak memory for {long.stat().st_size / 1e6:,.0f} MB: {peak_mb(long):.0f} MB")
        hour = Path(folder, "hour.pcap")
        write_hour(hour)
        taken_s = hour_s(hour)
        failed |= taken_s > MOST_HOUR_S
        print(f"an hour's call heard: {taken_s:.1f} s of CPU")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
