"""Real calls whose camera adapts, beside the model of the same sender over the same line: each figure, both medians.

    python benchmarks/adapting_calls.py [SCENARIO] [SEEDS] [CONTROLLER]

Both run in virtual time, side by side, seed by seed; each row says the medians, the ranges, and whether they overlap.
The model is without parity here: aiortc offers none.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import median
from time import process_time

from rtcprobe.adaptation import FIGURES, Call, controller_of, figures_of, find_case
from rtcprobe.probe.adapting import Adapting


def main(name: str = "step", seeds: str = "8", controller: str = "gcc") -> None:
    """Print a row a figure."""
    case = find_case(name)
    adapting = Adapting("loopback", (), "down", controller)
    modelled, called = [], []
    took_s = 0.0
    for seed in range(int(seeds)):
        settings = replace(case.settings(seed), protects=False)
        modelled.append(figures_of(Call(settings, controller_of(controller)).run(), case.link))
        begun_s = process_time()
        called.append(figures_of(adapting.call(case, seed, lambda _: None).course, case.link))
        took_s += process_time() - begun_s
    print(f"{name}, {controller}, {seeds} seeds: median (range) of the model, of real calls")
    for key, words in FIGURES.items():
        columns = [sorted(value for row in rows if (value := row[key]) is not None) for rows in (modelled, called)]
        if not all(columns):
            continue
        said = [f"{median(column):8.3f} ({column[0]:.3f} to {column[-1]:.3f})" for column in columns]
        apart = columns[0][0] > columns[1][-1] or columns[1][0] > columns[0][-1]
        print(f"  {words:<50}{said[0]:<30}{said[1]:<30}{'APART' if apart else 'overlap'}")
    print(f"  a real call of {case.length_s:g} s took {took_s / int(seeds):.1f} s of CPU")


if __name__ == "__main__":
    main(*sys.argv[1:])
