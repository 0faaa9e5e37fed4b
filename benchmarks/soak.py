"""Soak of ``rtcprobe serve``: in virtual time a week of 20 probes every 10 s, in real time what a process shows.

``python benchmarks/soak.py --virtual [--days 7]`` runs the very scheduler and metrics on a virtual loop, with runs
answered by a stand-in: some slow, some unreachable, one probe that hangs. Fails unless every due start is accounted
for. A due start costs 1 ms: a week at ``--interval 60s`` (201,600 starts) takes 4 minutes of CPU, a day half one.

``python benchmarks/soak.py [--minutes 30] [--probes 20] [--interval 10s]`` starts a server with real worker processes,
scrapes it twice a second from two scrapers, and reads its memory and file descriptors from /proc. Fails when, beyond
warm-up (the first fifth), memory or descriptors grow, when the p99 of scrapes reaches 100 ms (and four times what the
smallest answer took beside it), or when a start is not accounted for. Traffic stays on 127.0.0.1.

``python benchmarks/soak.py --rubbish [--minutes 30] [--interval 5s]`` does the same, and probes a server that answers
each request with another rubbish (``benchmarks/rubbish.py``). Fails, besides, where a run is a crash or a worker was
lost, where there are more or fewer workers than wanted, where the log tells of a fault of rtcprobe itself, or where
workers grow.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from rtcprobe.exporter.config import ServeConfig, parse_config
from rtcprobe.exporter.fleet import Fleet
from rtcprobe.exporter.outcome import Outcome
from rtcprobe.probe import Job, run_probe
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.virtual import VirtualEventLoop
from rtcprobe.units import parse_duration

SCRAPE_LIMIT_S = 0.100
GROWTH_LIMIT_BYTES = 15_000_000
SERIES = re.compile(
    r'^rtcprobe_(runs_scheduled|runs|run_errors|runs_missed)_total\{.*?probe="([^"]+)".*\} (\S+)$', re.MULTILINE
)
MEMORY = re.compile(r"^process_resident_memory_bytes (\S+)$", re.MULTILINE)
DESCRIPTORS = re.compile(r"^process_open_fds (\S+)$", re.MULTILINE)
WORKERS = re.compile(r"^rtcprobe_workers\{.*\} (\S+)$", re.MULTILINE)
LARGEST_WORKER = re.compile(r"^rtcprobe_worker_max_resident_memory_bytes (\S+)$", re.MULTILINE)


def configuration(probes: int, interval: str, concurrency: int, reports: str = "") -> str:
    """Return a configuration of that many probes, of four scenarios in turn."""
    names = ("1v1-social", "voice-room-pair", "spoken-practice", "1v1-long-haul")
    lines = [
        f"concurrency: {concurrency}",
        f"defaults: {{interval: {interval}, timeout: 60s, set: {{call.joins: 1, call.calls: 1, call.duration: 3s}}}}",
        *([f"reports: {{folder: {reports}, limit: 20MB}}"] if reports else []),
        "probes:",
        *(f"  - {{name: p{number}, scenario: {names[number % len(names)]}}}" for number in range(probes)),
    ]
    return "\n".join(lines)


DOORS = {
    "sdp": "sdp+http://127.0.0.1:{port}/sdp",
    "json": "sdp+http://127.0.0.1:{port}/json",
    "whip": "whip+whep+http://127.0.0.1:{port}/{{whip,whep}}",
    "janus": "janus+http://127.0.0.1:{port}/echotest",
    "janus-room": "janus+http://127.0.0.1:{port}/videoroom/1",
    "janus-ws": "janus+ws://127.0.0.1:{next}/echotest",
}


def rubbish_configuration(interval: str, concurrency: int, port: int) -> str:
    """Return a configuration that probes every door of the rubbish server."""
    lines = [
        f"concurrency: {concurrency}",
        f"defaults: {{interval: {interval}, timeout: 60s, set: {{link: delay 5ms, playout: 'fixed:60ms', budgets: [],",
        "  call.joins: 1, call.duration: 2s, call.join_timeout: 2s}}",
        "reports: {folder: reports, limit: 20MB}",
        "probes:",
    ]
    for name, url in DOORS.items():
        more = ", set: {target.body: json, target.fields: {model: x}}" if name == "json" else ""
        target = url.format(port=port, next=port + 1)
        lines.append(f"  - {{name: {name}, scenario: 1v1-social, target: '{target}'{more}}}")
    return "\n".join(lines)


def accounts(text: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return by probe the due starts, and what became of them."""
    due: dict[str, float] = {}
    ended: dict[str, float] = {}
    for kind, probe, value in SERIES.findall(text):
        into = due if kind == "runs_scheduled" else ended
        into[probe] = into.get(probe, 0.0) + float(value)
    return due, ended


class StandIn:
    """Makes no call: one probe hangs, a run in fifty is unreachable, the rest take some seconds."""

    def __init__(self, results: dict[str, Any], seed: int) -> None:
        self.results = results
        self.chance = Random(seed)

    async def run(self, job: Job, seed: int, *, timeout_s: float, waited_s: float, report: Path | None) -> Outcome:
        """Wait as a run would, and end as one of several kinds."""
        del report
        loop = asyncio.get_running_loop()
        hangs = job.settings[0] == "call.joins=2"
        took_s = min(timeout_s, 1e9 if hangs else self.chance.expovariate(1 / 1.5))
        await asyncio.sleep(took_s)
        kind: dict[str, Any] = {"result": self.results[job.scenario]}
        if hangs:
            kind = {"failure": "timeout", "sentence": "killed"}
        elif self.chance.random() < 0.02:
            kind = {"failure": "unmeasured", "sentence": "unreachable"}
        return Outcome(seed=seed, ended_unix_s=loop.time(), duration_s=took_s, waited_s=waited_s, **kind)

    def warm(self, count: int) -> None:
        """Have nothing to warm."""

    def states(self) -> dict[str, int]:
        """Return that there are no processes."""
        return {"starting": 0, "idle": 0, "busy": 0}

    async def close(self) -> None:
        """Have nothing to close."""


def virtual(days: float, interval: str) -> bool:
    """Run ``days`` of 20 probes in virtual time; return whether all is accounted for and nothing grew."""
    text = configuration(20, interval, concurrency=8).replace(
        "name: p3, ", "name: p3, set: {call.joins: 2, call.calls: 1, call.duration: 3s}, "
    )

    def read() -> ServeConfig:
        return parse_config(text)

    results = {plan.job.scenario: run_probe(plan.scenario, seed=1, clock="virtual") for plan in read().probes[:4]}
    fleet = Fleet(read, runner=StandIn(results, 5), wall=lambda: 1.6e9, random=Random(5))
    sizes: list[int] = []

    async def main() -> None:
        await fleet.start()
        for _ in range(20):
            await asyncio.sleep(days * 86_400.0 / 20)
            sizes.append(len(fleet.exposition("text")))
        await fleet.stop(120.0)

    logging.getLogger("rtcprobe").setLevel(logging.ERROR)
    began_s = time.monotonic()
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        runner.run(main())
    took_s = time.monotonic() - began_s
    due, ended = accounts(fleet.exposition("text").decode())
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    total = sum(due.values())
    print(f"{days:g} days, 20 probes every {interval}: {total:,.0f} due starts in {took_s:.0f} s of this machine")
    print(f"not accounted for: {sum(abs(due[probe] - ended[probe]) for probe in due):g}")
    print(
        f"exposition {sizes[1]:,} bytes after a tenth, {sizes[-1]:,} at the end; this process {resident / 1e6:.0f} MB"
    )
    return due == ended and sizes[-1] < 1.02 * sizes[1] + 20_000


@dataclass(slots=True)
class Watch:
    """What two scrapers saw: seconds each scrape took, (minute, bytes, descriptors, largest worker's bytes).

    ``bare_s`` is what the smallest answer took at the same time: so long is this machine's, and no fault of a scrape.
    """

    url: str
    ended: threading.Event = field(default_factory=threading.Event)
    took_s: list[float] = field(default_factory=list)
    bare_s: list[float] = field(default_factory=list)
    seen: list[tuple[float, float, float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def scrape(self) -> None:
        """Scrape twice a second, asking for gzip as Prometheus does, until told to end."""
        began_s = time.monotonic()
        while not self.ended.wait(0.5):
            try:
                at_s = time.monotonic()
                with urllib.request.urlopen(self.url.replace("/metrics", "/-/healthy"), timeout=10) as answer:  # noqa: S310
                    answer.read()
                self.bare_s.append(time.monotonic() - at_s)
                at_s = time.monotonic()
                request = urllib.request.Request(self.url, headers={"accept-encoding": "gzip"})  # noqa: S310
                with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own address
                    body = answer.read()
            except OSError as error:
                self.faults.append(str(error))
                continue
            self.took_s.append(time.monotonic() - at_s)
            if len(self.took_s) % 10 == 0:
                self._note((at_s - began_s) / 60, body)

    def _note(self, minute: float, body: bytes) -> None:
        import gzip  # noqa: PLC0415

        text = gzip.decompress(body).decode()
        figures = [
            float(found[1]) if (found := one.search(text)) else 0.0 for one in (MEMORY, DESCRIPTORS, LARGEST_WORKER)
        ]
        self.seen.append((minute, figures[0], figures[1], figures[2]))


def real(minutes: float, text: str, interval: str, *, worst: bool = False) -> bool:
    """Soak a server process of the configuration ``text``; return whether it kept within its limits."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "probes.yaml")
        config.write_text(text, encoding="utf-8")
        port = 19_817
        rtcprobe = str(Path(sys.executable).with_name("rtcprobe"))
        command = [rtcprobe, "serve", "--config", str(config), "--listen", f"127.0.0.1:{port}"]
        log_path = Path(folder, "log")
        with (
            log_path.open("wb") as log,
            subprocess.Popen(command, cwd=folder, stderr=log, start_new_session=True) as server,
        ):
            url = f"http://127.0.0.1:{port}/metrics"
            try:
                kept = _watched(server, url, minutes, parse_duration(interval), worst=worst)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    server.send_signal(signal.SIGTERM)
                print(f"SIGTERM: exit code {server.wait(30)}")
        return _read_log(log_path.read_text(encoding="utf-8", errors="replace")) and kept


def rubbish(minutes: float, interval: str, concurrency: int) -> bool:
    """Soak a server that probes rubbish; return whether it kept within its limits."""
    port = 19_830
    place = str(Path(__file__).with_name("rubbish.py"))
    with subprocess.Popen([sys.executable, place, str(port)], stderr=subprocess.DEVNULL) as server:
        try:
            return real(minutes, rubbish_configuration(interval, concurrency, port), interval, worst=True)
        finally:
            server.kill()


def _read_log(log: str) -> bool:
    """Say what the log tells of faults; return whether it is none."""
    faults = [line for line in log.splitlines() if "fault of rtcprobe" in line or line.startswith("Traceback")]
    for line, count in Counter(re.sub(r"^\S+ \S+ ", "", each) for each in faults).most_common(10):
        print(f"  log, {count} times: {line[:300]}")
    reasons = Counter(re.sub(r"[\d.]+", "0", each) for each in re.findall(r"INFO probe \S+: (.*)", log))
    print(f"log: {len(log) / 1e3:.0f} kB, {len(faults)} faults; {len(reasons)} different endings of runs, such as")
    for reason, count in reasons.most_common(12):
        print(f"  {count} times: {reason[:160]}")
    return not faults


def _watched(server: subprocess.Popen[bytes], url: str, minutes: float, interval_s: float, *, worst: bool) -> bool:
    _await_ready(server, url)
    watch = Watch(url)
    scrapers = [threading.Thread(target=watch.scrape, daemon=True) for _ in range(2)]
    for each in scrapers:
        each.start()
    began_s = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C: what was seen so far is told
        time.sleep(minutes * 60)
    minutes = (time.monotonic() - began_s) / 60
    watch.ended.set()
    for each in scrapers:
        each.join()
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own address
        text = answer.read().decode()
    due, ended = accounts(text)
    in_hand = sum(due.values()) - sum(ended.values())
    warm = [each for each in watch.seen if each[0] >= minutes / 5]
    memory = [each[1] for each in warm]
    descriptors = [each[2] for each in warm]
    p50, p99 = np.percentile(watch.took_s, [50, 99])
    third = max(1, len(memory) // 3)
    grown = float(np.median(memory[-third:]) - np.median(memory[:third]))
    print(f"{sum(due.values()):.0f} due starts in {minutes:.3g} min, {in_hand:.0f} of them in hand at the end")
    counted = dict(_counted(text))
    for reason, count in counted.items():
        print(f"  {reason}: {count:.0f}")
    workers = sum(float(each) for each in WORKERS.findall(text))
    wanted = float(found[1]) if (found := re.search(r"^rtcprobe_workers_wanted (\S+)$", text, re.MULTILINE)) else 0.0
    print(f"workers: {workers:.0f}, wanted {wanted:.0f}")
    scrapes = f"{len(watch.took_s)} scrapes of {len(text) / 1e6:.1f} MB"
    bare_p50, bare_p99 = np.percentile(watch.bare_s, [50, 99])
    print(f"{scrapes}: p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms; {len(watch.faults)} failed")
    print(f"/-/healthy: p50 {bare_p50 * 1e3:.1f} ms, p99 {bare_p99 * 1e3:.1f} ms; ", end="")
    print(f"a scrape's p50 is {p50 / bare_p50:.1f} of that, its p99 {p99 / bare_p99:.1f}")
    print(f"server memory {memory[0] / 1e6:.1f} MB warm, {memory[-1] / 1e6:.1f} MB at the end: {grown / 1e6:+.1f} MB")
    workers_bytes = [each[3] for each in warm]
    largest = max(workers_bytes)
    worker_grown = float(np.median(workers_bytes[-third:]) - np.median(workers_bytes[:third]))
    lost = sum(counted.get(f"{each}, crash", 0.0) for each in ("run errors", "worker exits"))
    print(f"descriptors {min(descriptors):.0f} to {max(descriptors):.0f}")
    print(f"largest worker {largest / 1e6:.0f} MB, {worker_grown / 1e6:+.1f} MB")
    return (
        not watch.faults
        and workers == wanted
        and not (worst and (lost or worker_grown >= GROWTH_LIMIT_BYTES))
        and 0 <= in_hand <= len(due)
        and p99 < max(SCRAPE_LIMIT_S, 4 * bare_p99)  # what the smallest answer takes too is the machine's
        and grown < GROWTH_LIMIT_BYTES
        and max(descriptors) - min(descriptors) <= 8
        and sum(due.values()) >= len(due) * (minutes * 60 / interval_s - 3)
    )


def _counted(text: str) -> list[tuple[str, float]]:
    totals: dict[str, float] = {}
    for line in text.splitlines():
        for name in ("runs_total", "run_errors_total", "runs_missed_total", "worker_exits_total"):
            if line.startswith(f"rtcprobe_{name}{{"):
                word = re.search(r'(?:verdict|reason)="([^"]+)"', line)
                key = f"{name.removesuffix('_total').replace('_', ' ')}, {word[1] if word else ''}"
                totals[key] = totals.get(key, 0.0) + float(line.rsplit(" ", 1)[1])
    return [(key, value) for key, value in totals.items() if value]


def _await_ready(server: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(240):
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - our own address
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise SystemExit("the server did not come up")


def main() -> None:
    """Soak, say what was seen, and exit with 1 where it was too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--virtual", action="store_true")
    parser.add_argument("--rubbish", action="store_true")
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--probes", type=int, default=20)
    parser.add_argument("--interval", default="10s")
    parser.add_argument("--concurrency", type=int, default=1)
    given = parser.parse_args()
    if given.virtual:
        kept = virtual(given.days, given.interval)
    elif given.rubbish:
        kept = rubbish(given.minutes, given.interval, given.concurrency)
    else:
        text = configuration(given.probes, given.interval, given.concurrency, "reports")
        kept = real(given.minutes, text, given.interval)
    print("kept within its limits" if kept else "NOT within its limits")
    raise SystemExit(0 if kept else 1)


if __name__ == "__main__":
    main()
