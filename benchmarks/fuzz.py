"""Fuzz of everything that reads what others wrote: ``python benchmarks/fuzz.py [KIND ...] [--count N] [--seed N]``.

Each kind edits valid input at random and uses it as a command would. Every case must end as a value, or as one sentence
of ours (an ``RtcprobeError`` of one line): any other exception, or a case of more than a second of this process's CPU,
is a fault, and the command ends with exit code 1 and says how to make each again (``KIND --case N``).

===========  ==========================================================================  ======
results      one value of a result changed; read, shown, compared, checked, rendered     10,000
links        link lines of the words of tc(8), damaged                                   10,000
scenarios    one edit of a scenario's YAML text or of one of its values                   5,000
descriptions a server's answer or offer, damaged; used as a call would, and by the stack 10,000
messages     what a Janus says, an answer's JSON or its headers, with values of any kind 10,000
recordings   captures, Janus' recordings, measurements, damaged; heard and fitted         3,000
===========  ==========================================================================  ======

It is bounded in time (``--seconds`` a kind, 900 unless told; cases left out are said), seeded, and sends nothing
anywhere. A kind is a function from a ``Random`` to a case; a new one is an entry of ``KINDS``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import fuzz_recordings
import fuzz_results
import fuzz_servers
from fuzz_results import edited

from rtcprobe.errors import RtcprobeError

MOST_S = 1.0
GIVE_UP_S = 20.0
"""CPU after which a case is ended: patterns and loops that would never end are faults with a place, not a hang."""
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One input: ``shown`` is what it is (one line), ``attempt`` uses it."""

    shown: str
    attempt: Callable[[], object]


@dataclass(slots=True)
class Tally:
    """What became of the cases of a kind."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    slowest_s: float = 0.0

    def fault(self, where: str, number: int, shown: str) -> None:
        """Count a fault of a case, by the place it came from."""
        first = self.faults.get(where, (number, shown, 0))
        self.faults[where] = (first[0], first[1], first[2] + 1)


class TooLongError(Exception):
    """A case has used its CPU."""


def run(kind: str, make: Callable[[Random], Case], numbers: range, seed: int, seconds: float) -> Tally:
    """Try the cases of these numbers, until the time is up; return what became of them."""
    tally, begun_s = Tally(), time.monotonic()
    warnings.simplefilter("error", RuntimeWarning)  # numpy's, which a user would read between our lines
    signal.signal(signal.SIGPROF, _end)
    with contextlib.suppress(Exception):  # what is imported or made once is no part of a case
        make(Random(seed)).attempt()
    for number in numbers:
        if time.monotonic() - begun_s > seconds:
            tally.ends["left out, time was up"] = numbers.stop - number
            break
        case = make(Random(f"{seed} {kind} {number}"))
        used_s = time.process_time()
        try:
            signal.setitimer(signal.ITIMER_PROF, GIVE_UP_S)
            case.attempt()
            tally.ends["taken"] += 1
        except RtcprobeError as error:
            tally.ends["refused"] += 1
            if len(str(error).splitlines()) != 1 or not str(error).isprintable():
                tally.fault(f"a sentence that is not one printable line, {_place(error)!r}", number, case.shown)
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            tally.fault(_place(error), number, case.shown)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        took_s = time.process_time() - used_s
        tally.slowest_s = max(tally.slowest_s, took_s)
        if took_s > MOST_S:
            tally.fault(f"more than {MOST_S:g} s", number, f"{took_s:.1f} s, {case.shown}")
    return tally


def _end(*_: object) -> None:
    raise TooLongError


def _place(error: BaseException) -> str:
    """Return the exception and the innermost place of ours that it passed: faults of one place are one."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if "/rtcprobe/" in each.filename] or frames
    last = ours[-1]
    return f"{type(error).__name__} ({str(error)[:80]}) at {Path(last.filename).name}:{last.lineno} {last.name}"


# --- links -----------------------------------------------------------------------------------------------------------

TC = """delay loss rate limit reorder duplicate corrupt gap slot distribution normal pareto uniform random gemodel state
    ecn latency police cross tcp pulses outage handover burst order free keep aqm codel pi2 bucket packets bytes
    overhead seed 100ms 10ms 5ms 80 1.5sec 250usec 20msec 2s -3ms 0ms 1e400ms ∞ms 2% 0.5 25% 101% -1% % 1mbit 40kB/s
    40kBps 64kB 320kbit 1Mibit 1e9gbit 0bit 1000 100000 1e99 ٣ms nan% infms = : { tc qdisc add dev eth0 root netem
    1bps random-walk delay=80ms --loss # ' delay_trace /dev/null"""
WORDS = (*TC.split(), "\x1b[2J", "\x00", "\n", "0.5 %", "9" * 400 + "ms")

GOOD = (
    "delay 100ms 20ms 25% distribution normal loss 1% duplicate 1% reorder 25% gap 5 corrupt 0.1% rate 1mbit limit 50",
    "delay 80ms loss gemodel 1% 10% 70% 0.1% rate 500kbit 20 100 5 aqm codel ecn ect0 cross tcp 100ms",
    "delay 40ms slot 5ms 10ms packets 4 bytes 3kB outage 10s 2s 60s handover 15s 140ms 15s police 500kbit 16kB",
    "delay 30ms loss state 2% 30% 20% 40% 0.5% rate 2mbit bucket 16kB limit 200ms",
)


def links(chance: Random) -> Case:
    """Return a line of tc's words, most of them a good line damaged."""
    words = chance.choice(GOOD).split() if chance.random() < 0.7 else []
    for _ in range(chance.randint(1, 4) if words else chance.randint(0, 12)):
        at = chance.randint(0, len(words))
        change = chance.random()
        if change < 0.45 or not words:
            words.insert(at, chance.choice(WORDS))
        elif change < 0.7:
            words[at - 1] = chance.choice(WORDS)
        elif change < 0.85:
            del words[at - 1]
        else:
            words[at - 1] = damaged(words[at - 1], chance)
    line = " ".join(words)
    return Case(repr(line), lambda: _linked(line))


def _linked(line: str) -> None:
    """Read the line, and put a second of packets through what it says."""
    import numpy as np  # noqa: PLC0415

    from rtcprobe.link import Link, parse_link  # noqa: PLC0415

    link = Link(parse_link(line), np.random.SeedSequence(1))
    for number in range(50):
        link.offer(100, number * 0.02)


def damaged(text: str, chance: Random) -> str:
    """Return ``text`` with one edit of its characters."""
    at = chance.randint(0, len(text))
    odd = chance.choice(
        ["", " ", "\t", "\x00", "\x1b", "\ufeff", "²", "é", "-", "%", ":", "{", "[", "&a", "*a", "!!x", "9"]
    )
    change = chance.random()
    if change < 0.4:
        return text[:at] + odd + text[at:]
    if change < 0.7:
        return text[:at] + odd + text[at + 1 :]
    return text[:at] + text[at : at + chance.randint(1, 20)] * chance.randint(0, 3) + text[at:]


# --- scenarios -------------------------------------------------------------------------------------------------------


_ROOM = """name: room
parties:
  ana: {region: singapore, access: wifi-good}
  ben: {region: jakarta, access: 5g, leaves: 8s, playout: fixed:80ms}
  cho: {sends: nothing, hears: [ana], comes: 2s, codec: {bitrate: 24kbit}}
link: delay 40ms
legs: {ana_to_ben: delay 80ms loss 2%, ben_to_cho: {delay: 120ms}}
script: [ana stops at 5s, ben speaks after ana fell silent]
"""


@cache
def _scenarios() -> tuple[str, ...]:
    from rtcprobe.scenario import library, library_folder  # noqa: PLC0415

    two = ((library_folder() / f"{name}.yaml").read_text(encoding="utf-8") for name in library())
    return (*two, _ROOM)


@cache
def _plain_scenario(text: str) -> Any:
    import yaml  # noqa: PLC0415

    return yaml.safe_load(text)


def scenarios(chance: Random) -> Case:
    """Return a scenario of the library, its text damaged or one of its values changed."""
    text = chance.choice(_scenarios())
    if chance.random() < 0.4:
        changed = damaged(text, chance)
        at = next((at for at, (a, b) in enumerate(zip(text, changed, strict=False)) if a != b), len(text))
        shown = f"at {at}: {changed[at : at + 20]!r}"
    else:
        shown, value = edited(_plain_scenario(text), chance)
        changed = json.dumps(value)
    return Case(f"{text.splitlines()[0]}, {shown}", lambda: _read(changed))


def _read(text: str) -> None:
    """Read the scenario from a file, as ``run`` does."""
    from rtcprobe.scenario import find_scenario  # noqa: PLC0415

    with tempfile.NamedTemporaryFile("wb", suffix=".yaml") as file:
        file.write(text.encode(errors="surrogatepass"))
        file.flush()
        find_scenario(file.name)


def results(chance: Random) -> Case:
    """Return a result with one value changed."""
    return Case(*fuzz_results.results(chance))


def descriptions(chance: Random) -> Case:
    """Return what a server answers or offers, damaged."""
    return Case(*fuzz_servers.descriptions(chance))


def messages(chance: Random) -> Case:
    """Return what a server says beside descriptions, with values of any kind."""
    return Case(*fuzz_servers.messages(chance))


def recordings(chance: Random) -> Case:
    """Return a recording or a measurement, damaged."""
    return Case(*fuzz_recordings.recordings(chance))


KINDS: dict[str, tuple[int, Callable[[Random], Case]]] = {
    "results": (10_000, results),
    "links": (10_000, links),
    "scenarios": (5_000, scenarios),
    "descriptions": (10_000, descriptions),
    "messages": (10_000, messages),
    "recordings": (3_000, recordings),
}
"""How many cases are tried unless told, and what makes one."""


def main() -> int:
    """Fuzz, say what was found, and return 1 where it was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; all unless told")
    parser.add_argument("--count", type=int, help="cases a kind, in place of the table's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=900.0, help="the most time for a kind")
    parser.add_argument("--case", type=int, help="this case alone, with its traceback")
    given = parser.parse_args()
    wrong = [each for each in given.kinds if each not in KINDS]
    if wrong:
        parser.error(f"{wrong[0]!r} is none of {', '.join(KINDS)}")
    faults = 0
    for kind in given.kinds or KINDS:
        count, make = KINDS[kind]
        if given.case is not None:
            case = make(Random(f"{given.seed} {kind} {given.case}"))
            print(case.shown)
            case.attempt()
            continue
        tally = run(kind, make, range(given.count or count), given.seed, given.seconds)
        said = ", ".join(f"{number:,} {word}" for word, number in tally.ends.items())
        print(f"{kind}: {said}; slowest {tally.slowest_s:.2f} s; {len(tally.faults)} kinds of fault", flush=True)
        for where, (number, shown, times) in sorted(tally.faults.items(), key=lambda each: -each[1][2])[: 4 * SHOWN]:
            print(f"  {times} x {where}\n      --case {number}: {shown[:150]}")
        faults += len(tally.faults)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
