"""Rooms of three at real servers: how far five runs alike differ, pair by pair; what a mixer keeps, and by its source.

    python benchmarks/rooms_live.py [--runs 5] [--tries 12] [--late 1] [--servers janus pion rtpengine audiobridge]

Servers are those of the live tests (``.ci/install-live`` installs them), in a network of their own where root may make
one. A run that the harness calls invalid is the machine's: it is made again, ``--tries`` times in all, and counted;
how late the loop of each that counts was at its 99th percentile is told beside it, for NetEQ hears that too: with
``--late`` a run later than so many milliseconds does not count either.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from rtcprobe.probe import hearing, run_probe, talking
from rtcprobe.probe.hearing import Listened
from rtcprobe.result import Result
from rtcprobe.scenario import find_scenario

PACKET_S: Final = 0.020
LOOK_AHEAD_MS: Final = 6.5
"""312 samples at 48 kHz: libopus' for voip (``OPUS_GET_LOOKAHEAD``)."""
USUAL_PREBUFFER: Final = 6
"""DEFAULT_PREBUFFERING of ``plugins/janus_audiobridge.c``."""
LIVE: Final = Path(__file__).resolve().parents[1] / "tests" / "live"
ROOM: Final = LIVE / "room-of-three.yaml"


@contextmanager
def started(name: str, address: str, folder: Path) -> Iterator[str]:
    """Run a server of the live tests, and yield the target that it is."""
    server: Any
    if name == "pion":
        server = import_module("services").PionSfu(address, folder, LIVE.parents[1] / ".live")
        url = f"whip+whep+http://{address}:{server.port}/{{whip,whep}}/{{party}}"
    elif name == "rtpengine":
        server = import_module("rtpengine").Rtpengine(address, folder)
        url = server.url
    else:
        janus = import_module("janus")
        server = janus.Janus(address, folder)
        plugin = f"audiobridge/{janus.BRIDGE}" if name == "audiobridge" else f"videoroom/{janus.ROOM}"
        url = f"janus+ws://{address}:{server.ws_port}/{plugin}"
    server.start()
    try:
        yield url
    finally:
        server.process.stop()


def valid(url: str, asked: argparse.Namespace, *settings: str) -> tuple[Result | None, int]:
    """Return a run that the machine did not spoil (None: there was none), and how many it took."""
    for tried in range(1, asked.tries + 1):
        result = run_probe(find_scenario(str(ROOM), [f"target={url}", *settings]), seed=1, clock="real")
        if result.verdict != "invalid" and late_ms(result) <= asked.late:
            return result, tried
    return None, asked.tries


def late_ms(result: Result) -> float:
    """Return how late loop and mouth of a run were at the 99th percentile of the worse."""
    return 1e3 * max(each.p99_s or 0.0 for each in result.harness.latenesses.values())


def told(name: str, url: str, asked: argparse.Namespace) -> None:
    """Print how far the medians of several runs lie apart, and whether the phases of every join sum."""
    runs = asked.runs
    made = [valid(url, asked) for _ in range(runs)]
    found = [result for result, _ in made if result is not None]
    late = ", ".join(f"{late_ms(result):.1f}" for result in found)
    print(f"{name}: {len(found)} of {runs} runs valid, in {sum(count for _, count in made)} tries; late by {late} ms")
    if len(found) < 2:
        return
    spreads = []
    for way in found[0].ways:
        medians_s = [statistics.median(s.delay_s for s in result.mouth_to_ear[way].samples) for result in found]
        under_way_s = [result.mouth_to_ear[way].stages["network_and_target"] for result in found]
        spreads.append(max(medians_s) - min(medians_s))
        shown = " ".join(f"{each * 1e3:6.2f}" for each in medians_s)
        print(
            f"  {way.words:12} medians, ms: {shown}  apart {spreads[-1] * 1e3:5.2f}, "
            f"network and server {statistics.median(under_way_s) * 1e3:4.2f}"
        )
    joins = [attempt for result in found for attempt in result.join.attempts]
    failed = sum(attempt.failed is not None for attempt in joins)
    apart_s = [abs(sum(each.phases.values()) - each.first_audio_s) for each in joins if each.first_audio_s is not None]
    joined_s = [each.first_audio_s for each in joins if each.first_audio_s is not None]
    print(
        f"  worst pair's medians apart {max(spreads) * 1e3:.2f} ms; {len(joins)} joins, {failed} failed, median "
        f"{statistics.median(joined_s) * 1e3:.0f} ms, phases off their sum by {max(apart_s) * 1e3:.3f} ms at most"
    )


def expected_ms(each: Listened, packets: int) -> float:
    """Return what a bridge keeps by its source, ms, given when the talker's packets left and the mixes came.

    A talker's packets wait for ``packets`` others (one: for none, what came last is mixed), then for the next tick;
    6.5 ms are its encoder's look-ahead (``rtcprobe.audio.mixer``). Ticks are seen where mixes come.
    """
    left_s = np.array([departure.at_s for departure in each.said.departures])
    ticks_s = np.array([at_s for at_s, _ in each.came.arrivals])
    ticks_s = ticks_s[(ticks_s > left_s[0]) & (ticks_s < left_s[-1])]
    waited_s = ticks_s - left_s[np.searchsorted(left_s, ticks_s, side="right") - 1]
    # On a circle of one packet: a talker whose grid lies near the ticks is now just before one, now just after.
    turn = float(np.angle(np.mean(np.exp(2j * np.pi * waited_s / PACKET_S)))) / (2 * np.pi) % 1.0
    return 1e3 * ((0 if packets == 1 else packets) + turn) * PACKET_S + LOOK_AHEAD_MS


@contextmanager
def recorded() -> Iterator[list[Listened]]:
    """Yield the ways of the latest call as they were recorded."""
    kept: list[Listened] = []
    hear = hearing.hear_call

    def noted(ways: Sequence[Listened], *args: Any, **options: Any) -> Any:
        kept[:] = ways
        return hear(ways, *args, **options)

    setattr(talking, "hear_call", noted)  # noqa: B010 - it is another module's name
    try:
        yield kept
    finally:
        setattr(talking, "hear_call", hear)  # noqa: B010


def mixed(url: str, asked: argparse.Namespace) -> None:
    """Print what the mixer keeps with the prebuffer it has by itself, and with one packet, and what its source says."""
    for packets in (USUAL_PREBUFFER, 1):
        least_ms = (0 if packets == 1 else packets) * PACKET_S * 1e3 + LOOK_AHEAD_MS
        print(
            f"audiobridge, prebuffer {packets}: by its source it keeps {least_ms:.1f} to "
            f"{least_ms + PACKET_S * 1e3:.1f} ms, by where a talker's packets lie to its ticks"
        )
        apart_ms = []
        for _ in range(asked.runs):
            settings = () if packets == USUAL_PREBUFFER else (f"target.prebuffer={packets}",)
            with recorded() as ways:
                result, count = valid(url, asked, *settings)
            if result is None:
                print(f"  no valid run in {count} tries")
                continue
            kept_ms = {each.way: result.mouth_to_ear[each.way].stages["mixer"] * 1e3 for each in ways}
            said_ms = {each.way: expected_ms(each, packets) for each in ways}
            apart_ms += [kept_ms[way] - said_ms[way] for way in kept_ms]
            print("  " + ", ".join(f"{way.words} {ms:.1f} ({said_ms[way]:.1f})" for way, ms in kept_ms.items()) + " ms")
        if apart_ms:
            print(
                "  measured less (what its source says, with the ticks seen): median "
                f"{statistics.median(apart_ms):.1f}, {min(apart_ms):.1f} to {max(apart_ms):.1f} ms"
            )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tries", type=int, default=12)
    parser.add_argument("--late", type=float, default=math.inf)
    parser.add_argument("--servers", nargs="+", default=["janus", "pion", "rtpengine", "audiobridge"])
    asked = parser.parse_args()
    sys.path.insert(0, str(LIVE / "servers"))
    with suppress(PermissionError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    network = import_module("network").enter()
    if network is None:
        raise SystemExit("no address that is not the loopback's: run as root, or give the machine one")
    for name in asked.servers:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(started(name, network.address, folder))
            if name == "audiobridge":
                mixed(url, asked)
            else:
                told(name, url, asked)


if __name__ == "__main__":
    main()
