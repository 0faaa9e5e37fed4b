#!/usr/bin/env bash
# uvloop 0.23.0: its clock has whole milliseconds only, and waits of a fraction more end before they should.
#
# One would expect asyncio's contract at another speed: loop.time() is the monotonic clock, and sleep or call_later end after
# their time or later, never before. uvloop rounds every wait to milliseconds, so half of the fractions of one go down: 0.4 ms are
# no wait at all, and 2.5 ms, the shortest packet of Opus, are two. Its loop.time() steps by whole milliseconds, so a
# spacing of packets, a jitter or a one-way delay taken with it is off by up to 1 ms, which in a data centre is all of it.
#
# Seen (Python 3.11, uvloop 0.23.0; 200 waits each by time.monotonic; early: a tenth of them or more end 0.05 ms or more too soon):
#     asyncio: clock in whole ms: False; waits of 0.4, 2.5, 7.4 ms early: no, no, no
#     uvloop: clock in whole ms: True; waits of 0.4, 2.5, 7.4 ms early: yes, yes, yes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'uvloop==0.23.0'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio
import time

import uvloop

WAITS, SLACK_S = 200, 50e-6


async def early_sleeps(wait_s):
    early = 0
    for _ in range(WAITS):
        began = time.monotonic()
        await asyncio.sleep(wait_s)
        early += time.monotonic() < began + wait_s - SLACK_S
    return early


async def whole_milliseconds(loop):
    stamps_ms = []
    for _ in range(50):
        await asyncio.sleep(0.0013)
        stamps_ms.append(loop.time() * 1e3)
    return all(abs(stamp - round(stamp)) < 1e-4 for stamp in stamps_ms)


async def say(name):
    loop = asyncio.get_running_loop()
    whole = await whole_milliseconds(loop)
    early = ["yes" if await early_sleeps(wait_s) >= WAITS / 10 else "no" for wait_s in (0.4e-3, 2.5e-3, 7.4e-3)]
    print(f"{name}: clock in whole ms: {whole}; waits of 0.4, 2.5, 7.4 ms early: {', '.join(early)}")


asyncio.run(say("asyncio"))
uvloop.run(say("uvloop"))
PYTHON
diff "$folder/seen" - <<'SEEN'
asyncio: clock in whole ms: False; waits of 0.4, 2.5, 7.4 ms early: no, no, no
uvloop: clock in whole ms: True; waits of 0.4, 2.5, 7.4 ms early: yes, yes, yes
SEEN
