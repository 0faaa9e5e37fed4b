"""The model beside the stack: two engines, one scenario, many seeds, and whether any figure tells which made it.

Usage: python benchmarks/engine_parity.py [--brief] [--scenarios N] [--seeds N]

For each of 50 scenarios (loss, bursts, jitter, rates and queues, RED, FEC, NACK and mixtures of them) each engine makes
a call of ``_CALL_S`` with every seed of its own (the stack's are 0, 1, …; the model's 1000, 1001, …, so that nothing is
paired). Of each way p50 and p95 of mouth to ear, the share of frames unplayed and the share of sound concealed are
compared by Mann and Whitney's rank test, two-sided, and held against Holm's correction for as many tests as there are:
none may fall below 5 % family-wise. Without any difference p-values are uniform (somewhat fewer are small where many
calls are equal), so those below 5 % are printed beside their expected number.

Where nothing is left to chance (delay alone, with RED, and different there and back), equal seeds are run by both, and
every figure in milliseconds must agree to 0.1 ms. FEC at 10 ms frames is not among them: NetEQ floors each term
of a delay to a millisecond (rule 1 of ``playout/neteq/history.py``), so there what is heard goes one of two ways, 13 ms
apart, with the first RTP timestamp modulo 48, which is chance.

``--brief``: 6 scenarios, 6 seeds each: about a minute. Exit 1 where the engines can be told apart.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import mannwhitneyu

from rtcprobe.probe import run_probe
from rtcprobe.result import Account, Engine
from rtcprobe.scenario import Scenario, find_scenario

_CALL_S = 12.0
_LEVEL = 0.05
_AGREE_S = 1e-4
_APART = 1000

_LINKS = (
    "delay 40ms loss 2%",
    "delay 80ms 12ms distribution normal",
    "delay 30ms 5ms loss 5% burst 3",
    "delay 60ms rate 120kbit limit 100ms",
    "delay 20ms 20ms distribution pareto loss 1%",
    "delay 45ms loss 10%",
    "delay 120ms 30ms distribution normal order free",
    "delay 50ms loss gemodel 2% 20%",
    "delay 25ms 8ms distribution normal rate 300kbit loss 3%",
    "delay 150ms 15ms distribution normal loss 4% burst 5",
)
_PROTECTION: tuple[tuple[str, ...], ...] = (
    (),
    ("protection.red=1",),
    ("protection.nack=true",),
    ("codec.fec=true", "codec.expected_loss=10%"),
    ("protection.red=2", "protection.nack=true"),
)
_CERTAIN: tuple[tuple[str, ...], ...] = (
    ("link=delay 40ms",),
    ("link=delay 10ms", "protection.red=2", "protection.nack=true"),
    ("link.caller_to_callee=delay 90ms", "link.callee_to_caller=delay 25ms", "signaling.connection=warm"),
    ("link=delay 33ms", "playout=fixed:60ms"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the engines; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brief", action="store_true")
    parser.add_argument("--scenarios", type=int)
    parser.add_argument("--seeds", type=int)
    options = parser.parse_args(arguments)
    count = options.scenarios or (6 if options.brief else len(_LINKS) * len(_PROTECTION))
    seeds = options.seeds or (6 if options.brief else 20)
    certain = exact(_CERTAIN[:2] if options.brief else _CERTAIN)
    found = list(itertools.chain.from_iterable(told_apart(each, seeds) for each in chosen(count)))
    return int(not summed(found, count, seeds) or not certain)


def chosen(count: int) -> list[tuple[str, ...]]:
    """Return ``count`` scenarios as settings, every link and every protection among the first of them."""
    every = [
        (f"link={_LINKS[place % len(_LINKS)]}", *_PROTECTION[(place + place // len(_LINKS)) % len(_PROTECTION)])
        for place in range(len(_LINKS) * len(_PROTECTION))
    ]
    return every[:count]


def exact(scenarios: Sequence[tuple[str, ...]]) -> bool:
    """Print how far the engines are apart where nothing is left to chance; return whether within ``_AGREE_S``."""
    furthest_s = 0.0
    for settings in scenarios:
        one, other = (figures(settings, seed=1, engine=engine) for engine in ("stack", "model"))
        furthest_s = max(furthest_s, *(abs(one[name] - other[name]) for name in one))
    good = furthest_s <= _AGREE_S
    print(f"without chance, {len(scenarios)} scenarios: at most {furthest_s * 1e3:.6f} ms apart")
    return good


def told_apart(settings: tuple[str, ...], seeds: int) -> Iterator[tuple[float, str]]:
    """Yield the p-value of each figure of a scenario, and what it is of."""
    stack = [figures(settings, seed=seed, engine="stack") for seed in range(seeds)]
    model = [figures(settings, seed=_APART + seed, engine="model") for seed in range(seeds)]
    least = 1.0
    for name in stack[0]:
        a, b = ([each[name] for each in side] for side in (stack, model))
        p = 1.0 if len({*a, *b}) == 1 else float(mannwhitneyu(a, b, alternative="two-sided").pvalue)
        least = min(least, p)
        yield p, f"{' '.join(settings)}: {name}, medians {np.median(a):.5g} and {np.median(b):.5g}"
    print(f"least p {least:.4f}   {' '.join(settings)}", flush=True)


def figures(settings: tuple[str, ...], *, seed: int, engine: Engine) -> dict[str, float]:
    """Return the figures of one call, both ways: seconds and shares."""
    result = run_probe(scenario(settings), seed=seed, clock="virtual", engine=engine)
    return {
        f"{direction} {name}": value
        for direction, ear in result.mouth_to_ear.items()
        for name, value in _of(ear).items()
    }


def scenario(settings: tuple[str, ...]) -> Scenario:
    """Return the situation of ``settings``: one call, and of joins as few as may be."""
    asked = [f"call.duration={_CALL_S:g}s", "call.calls=1", "call.joins=1", "budgets=[]", *settings]
    return find_scenario("1v1-social", asked)


def _of(ear: Account) -> dict[str, float]:
    delays_s = [each.delay_s for each in ear.samples]
    return {
        "p50": float(np.quantile(delays_s, 0.5)) if delays_s else np.inf,
        "p95": float(np.quantile(delays_s, 0.95)) if delays_s else np.inf,
        "unplayed": ear.unplayed or 0.0,
        "concealed": ear.concealed or 0.0,
    }


def summed(found: Sequence[tuple[float, str]], scenarios: int, seeds: int) -> bool:
    """Print how many p-values fell below, and return whether none did once there are so many tests."""
    ordered = sorted(found)
    below = sum(p < _LEVEL for p, _ in ordered)
    print(f"{scenarios} scenarios, {seeds} seeds each engine, {len(ordered)} tests")
    print(f"p below {_LEVEL:g}: {below}, by chance {_LEVEL * len(ordered):.1f}")
    apart = list(
        itertools.takewhile(
            lambda ranked: ranked[1][0] * (len(ordered) - ranked[0]) < _LEVEL,
            enumerate(ordered),  # Holm, 1979
        )
    )
    print(f"told apart, corrected for {len(ordered)} tests: {len(apart)}")
    for _, (p, what) in apart or list(enumerate(ordered))[:3]:
        print(f"   p {p:.2g}  {what}")
    return not apart


if __name__ == "__main__":
    sys.exit(main())
