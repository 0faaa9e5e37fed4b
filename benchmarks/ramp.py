"""How soon a Chromium that shows a camera gets up to 2 Mb/s with nothing in its way: against us, against its like.

Calls are placed in turns on this machine, over no link, and told by what the sending Chromium says of itself: when its
estimate of the line is 2 Mb/s, and when it has sent 2 Mb/s for half a second, seconds since it was connected. A call in
which its camera was starved (fewer than 25 pictures a second in any of the looks at it), or this process stood still,
is left out, and counted. Chromium renews what it says every 50 ms at most, so of its estimate, which is there after two
or three of them, nothing is judged: what it sends is, within 20 %.

    python benchmarks/ramp.py [CALLS]
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Callable, Sequence

import numpy as np

from rtcprobe.call.ends.browser.camera import CameraPage, Sending
from rtcprobe.call.ends.browser.launching import find_chromium
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.camera import CameraCall, CameraTarget
from rtcprobe.probe.placing import Placing
from rtcprobe.runtime.priority import prioritised

CALLS = 10
CALL_S = 2.5
WANTED_BPS = 2e6
WINDOW_S = 0.5
LONGEST_S = 1.5
"""What happens later changes nothing any more: twice as long as either takes."""
LEAST_FPS = 25
WITHIN = 0.2
HINT = "detail"
"""The picture keeps its size: what the encoder asks for is what the line lets it have."""


def against_us(executable: str, seed: int) -> tuple[Sequence[Sending], float]:
    """Return what Chromium said while we watched it, and when it was connected.

    Of a call we stood still in nothing, and how long after it was connected that was.
    """
    target = CameraTarget(executable=executable, hint=HINT)
    setup = CallSetup(
        routes=dict.fromkeys(target.routes, ()),
        speech={"caller": None},
        connection="warm",
        dtls_timeout_s=lambda _: 1.0,
        join_timeout_s=20.0,
        linger_s=0.1,
        lasts_s=CALL_S,
    )
    attempt = Placing(target, "real").talk(setup, np.random.SeedSequence(seed), lambda _: None, lambda _: None)
    call = attempt.call
    assert isinstance(call, CameraCall)
    if call.failed is not None or call.connected_s is None:
        raise RuntimeError(call.failed or "the page was never connected")
    begun_s = call.connected_s - call.wall_offset_s - call.network.epoch_s
    stood = any(begun_s - WINDOW_S < stall.at_s < begun_s + LONGEST_S for stall in attempt.stalls)
    if stood:
        at_s = next(stall.at_s for stall in attempt.stalls if begun_s - WINDOW_S < stall.at_s < begun_s + LONGEST_S)
        return (), at_s - begun_s
    return call.told, call.connected_s


def against_chromium(executable: str) -> tuple[Sequence[Sending], float]:
    """Return what Chromium said while another watched it, and when it was connected."""

    async def call() -> tuple[Sequence[Sending], float]:
        sender, watcher = CameraPage(executable), CameraPage(executable, shows=False)
        try:
            await asyncio.gather(sender.start(), watcher.start())
            await sender.accept(await watcher.answer(await sender.offer(4e6, HINT)))
            await asyncio.sleep(CALL_S)
            connected_s = await sender.connected_s()
            if connected_s is None:
                raise RuntimeError("the two pages were never connected")
            return await sender.told(), connected_s
        finally:
            await asyncio.gather(sender.close(), watcher.close())

    with prioritised():
        return asyncio.run(call())


def starved(told: Sequence[Sending]) -> Sequence[float]:
    """Return when the camera gave too few pictures, seconds since the first: Chromium counts them over a second."""
    return [each.at_s - told[0].at_s for each in told if each.camera_fps < LEAST_FPS and each.at_s > told[0].at_s + 1.5]


def reached_s(told: Sequence[Sending], connected_s: float) -> tuple[float, float]:
    """Return when the estimate and when what was sent was 2 Mb/s first; infinite where never."""
    estimate_s = next((each.at_s for each in told if each.estimate_bps >= WANTED_BPS), float("inf"))
    at_s = np.array([each.at_s for each in told])
    sent = np.array([each.sent_bytes for each in told], dtype=float)
    before = np.interp(at_s - WINDOW_S, at_s, sent)
    fast = np.flatnonzero((8 * (sent - before) >= WANTED_BPS * WINDOW_S) & (at_s >= at_s[0] + WINDOW_S))
    sent_s = float(at_s[fast[0]]) if len(fast) else float("inf")
    return estimate_s - connected_s, sent_s - connected_s


def compared(executable: str, calls: int, say: Callable[[str], None] = print) -> dict[str, list[tuple[float, float]]]:
    """Return, by who watched, what ``reached_s`` says of each call whose camera was not starved; ``say`` why not."""
    found: dict[str, list[tuple[float, float]]] = {"us": [], "Chromium": []}
    for number in range(calls):
        for who, rows in found.items():
            told, connected_s = against_us(executable, number) if who == "us" else against_chromium(executable)
            lacking_s = starved(told)
            if not told:
                say(f"INVALID: call {number + 1} with {who}: this process stood still after {connected_s:.1f} s")
            elif lacking_s:
                span = f"{lacking_s[0]:.1f} to {lacking_s[-1]:.1f} s"
                say(f"INVALID: call {number + 1} with {who}: the camera was starved in {span}")
            else:
                rows.append(reached_s(told, connected_s))
    return found


def main() -> int:
    """Print both medians, of either figure, and their ratio."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    found = compared(find_chromium(None), calls)
    print(
        f"{calls} calls each, in turns; counted: " + ", ".join(f"{len(rows)} with {who}" for who, rows in found.items())
    )
    if not all(found.values()):
        print("this machine is too busy: every camera was starved")
        return 3
    ratios = []
    for place, what in enumerate(("its estimate is 2 Mb/s", "it has sent 2 Mb/s for 0.5 s")):
        ours, theirs = (statistics.median(row[place] for row in found[who]) for who in ("us", "Chromium"))
        ratios.append(ours / theirs if theirs < float("inf") else float("nan"))
        spreads = "; ".join(
            f"{who} {min(row[place] for row in rows):.2f}–{max(row[place] for row in rows):.2f}"
            for who, rows in found.items()
        )
        print(f"  {what}: with us {ours:.2f} s, with Chromium {theirs:.2f} s, ratio {ratios[-1]:.2f} ({spreads})")
    inside = abs(ratios[-1] - 1) <= WITHIN
    print("within 20 %" if inside else "NOT within 20 %")
    return 0 if inside else 1


if __name__ == "__main__":
    raise SystemExit(main())
