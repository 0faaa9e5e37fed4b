"""What loss costs in a room through a server, and what NACK and RED buy: ours against what was measured by hand.

    python benchmarks/sfu_truth.py [CALLS]

Theirs is a table of single runs of 30 s, by a forwarder of 150 lines on the same stack (host to server 40 ms, server to
listener 40 ms, 5 % random loss on the legs named, NetEQ). Ours are CALLS calls of 30 s (8 unless told), a seed each;
"±" is the standard error of their mean.

Rules:
    1. Of a call's figures a cell agrees when theirs lies within three standard errors of *one* call of ours (their
       own), that is three times the spread of our calls.
    2. A phase of a join is one draw of theirs, and no call's mean: it is bounded below by a round trip and goes far
       above it by a timer of half a second. So theirs is held against ``_JOINS`` joins of ours, and agrees when it lies
       among them: of one more draw of the same, all but 2 in ``_JOINS`` + 1 do.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from rtcprobe.probe import run_probe
from rtcprobe.scenario import parse_scenario

ROOM = """
name: sfu-truth
parties: {host: {}, eve: {sends: nothing}}
signaling: {connection: warm}
link: delay 40ms
call: {calls: 1, duration: 30s, joins: 1}
"""
_LOSS = "delay 40ms loss 5%"
_SPREADS = 3.0
_JOINS = 200


class Case(NamedTuple):
    """A row: what it is called, what is set, and theirs: share unplayed, mouth to ear p50 and p95 in ms."""

    name: str
    nack: str
    settings: tuple[str, ...]
    unplayed: float
    p50_ms: float
    p95_ms: float


DOWN, UP = f"legs.sfu_to_eve={_LOSS}", f"legs.host_to_sfu={_LOSS}"
ASKED, COPIED = "protection.nack=true", "protection.red=1"

CASES = (
    Case("no protection, loss down", "none", (DOWN,), 0.047, 158.5, 173.7),
    Case("NACK from the server's own history", "answer", (DOWN, ASKED), 0.0013, 265.5, 275.4),
    Case("NACK, loss up, server does not ask", "answer", (UP, ASKED), 0.049, 159.6, 173.2),
    Case("same, server asks", "answer+ask", (UP, ASKED), 0.002, 234.6, 277.5),
    Case("RED 1, loss down", "none", (DOWN, COPIED), 0.0033, 177.8, 190.6),
    Case("RED 1 + NACK, loss both ways", "answer+ask", (DOWN, UP, ASKED, COPIED), 0.0007, 179.9, 192.5),
)


AUDIENCE = """
name: sfu-audience
parties:
  host: {region: bangkok, access: 4g-good}
  ann: {region: singapore, access: wifi-good, sends: nothing}
  bob: {region: jakarta, access: 4g-good, sends: nothing}
  eve: {region: frankfurt, access: wifi-good, sends: nothing}
target: {kind: sfu, region: singapore}
call: {calls: 1, duration: 30s, joins: 1}
"""

PHASES = ("signaling", "answer", "ice", "dtls")

THEIRS = {
    "ann": (27.0, 16.0, 20.0, 9.0, 155.6, 46.8, 47.8),
    "bob": (153.0, 84.0, 67.0, 75.0, 200.0, 77.8, 58.6),
    "eve": (337.0, 174.0, 168.0, 169.0, 243.3, 125.8, 55.7),
}
"""By listener: the join's phases, then mouth to ear p50, network and server, jitter buffer, each in ms."""


def heard_by_audience(seed: int) -> dict[str, tuple[float, ...]]:
    """Return what one call of ours comes to, by listener: p50, network and server, jitter buffer, in ms."""
    found = {}
    for account in run_probe(parse_scenario(AUDIENCE), seed=seed, clock="virtual").accounts:
        stages = account.stages
        network_s = stages["network_min"] + stages["network_variable"]
        middle_s = float(np.median([each.delay_s for each in account.samples]))
        said_s = (middle_s, network_s, stages["jitter_buffer"])
        found[account.way.listener] = tuple(each * 1e3 for each in said_s)
    return found


def joined_by_audience() -> dict[str, np.ndarray]:
    """Return the phases of ``_JOINS`` joins of each listener, in ms: a row a join."""
    settings = [f"call.joins={_JOINS}", "call.duration=1s"]
    result = run_probe(parse_scenario(AUDIENCE, settings), seed=1, clock="virtual")
    rows: dict[str, list[list[float]]] = {}
    for each in result.join.attempts:
        rows.setdefault(each.party, []).append([1e3 * each.phases.get(phase, 0.0) for phase in PHASES])
    return {name: np.array(found) for name, found in rows.items()}


def audience(calls: int) -> int:
    """Print the table of a host and three who listen; return how many cells are apart."""
    joined, found, apart = joined_by_audience(), [heard_by_audience(seed) for seed in range(1, calls + 1)], 0
    names = (*(f"{each} [{_JOINS} joins]" for each in PHASES), "p50", "network + server", "jitter buffer")
    print("ours / theirs, ms:", ", ".join(names))
    for name, theirs in THEIRS.items():
        cells = []
        for phase, their in zip(joined[name].T, theirs, strict=False):
            agrees = phase.min() <= their <= phase.max()
            apart += not agrees
            ends = f"[{phase.min():.1f}–{phase.max():.1f}]"
            cells.append(f"{np.median(phase):.1f} {ends} / {their:.1f}{'' if agrees else ' !'}")
        ours = np.array([each[name] for each in found if name in each])
        for place, their in enumerate(theirs[len(PHASES) :]):
            mean, spread = ours[:, place].mean(), ours[:, place].std(ddof=1)
            agrees = abs(mean - their) <= _SPREADS * max(spread, 1.0)
            apart += not agrees
            cells.append(f"{mean:.1f} ±{spread / calls**0.5:.1f} / {their:.1f}{'' if agrees else ' !'}")
        print(f"{name:6}", "   ".join(cells))
    return apart


def measured(case: Case, seed: int) -> tuple[float, float, float]:
    """Return what one call comes to: share unplayed, p50 and p95 of the mouth-to-ear delay in ms."""
    settings = (f"target={{kind: sfu, nack: {case.nack}}}", *case.settings)
    result = run_probe(parse_scenario(ROOM, settings), seed=seed, clock="virtual")
    (account,) = result.accounts
    assert account.protection is not None
    delays_ms = [each.delay_s * 1e3 for each in account.samples]
    return account.protection.unplayed, *np.percentile(delays_ms, (50, 95)).tolist()


def main(calls: int) -> int:
    """Print the table; return 1 where a cell disagrees."""
    apart = 0
    print(f"{'case':36} {'unplayed':>26} {'p50, ms':>24} {'p95, ms':>24}")
    for case in CASES:
        found = np.array([measured(case, seed) for seed in range(1, calls + 1)])
        cells = []
        for place, theirs in enumerate((case.unplayed, case.p50_ms, case.p95_ms)):
            scale, unit = (100.0, "%") if place == 0 else (1.0, "")
            mean, spread = found[:, place].mean() * scale, found[:, place].std(ddof=1) * scale
            agrees = abs(mean - theirs * scale) <= _SPREADS * max(spread, 0.01)
            apart += not agrees
            cells.append(
                f"{mean:6.2f} ±{spread / calls**0.5:5.2f}{unit} / {theirs * scale:6.2f}{unit}{' ' if agrees else '!'}"
            )
        print(f"{case.name:36} {cells[0]:>26} {cells[1]:>24} {cells[2]:>24}")
    apart += audience(calls)
    print(
        f"ours / theirs; ! is more than {_SPREADS:g} spreads of a call apart, or outside all joins of ours: "
        f"{apart} of {3 * len(CASES) + 21} cells"
    )
    return int(apart > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8))
