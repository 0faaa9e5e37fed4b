"""A million fates, offered one by one as a call would: how much CPU does the emulated network cost?

Exit code 1 when a million take ten seconds of CPU or more.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from rtcprobe.link import Link, parse_link

FATES = 1_000_000
ALLOWED_CPU_S = 10.0
LINK = "delay 40ms 10ms distribution normal loss 2% rate 1mbit limit 200ms"


def main() -> int:
    """Print fates per second of CPU."""
    link = Link(parse_link(LINK), np.random.SeedSequence(1))
    begun_s = time.process_time()
    for place in range(FATES):
        link.offer(160, place * 0.02)
    cpu_s = time.process_time() - begun_s
    print(f"link fates: {LINK}")
    print(f"link fates: {FATES:,} in {cpu_s:.2f} s of CPU, {FATES / cpu_s:,.0f} a second (allowed {ALLOWED_CPU_S:g} s)")
    return int(cpu_s >= ALLOWED_CPU_S)


if __name__ == "__main__":
    sys.exit(main())
