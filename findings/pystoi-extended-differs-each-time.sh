#!/usr/bin/env bash
# pystoi 0.4.1: extended STOI of the same two signals is another number each time, where the degraded one falls silent.
#
# One would expect a function of its input, as stoi() itself is: the measure has no chance in it (Jensen and Taal, 2016).
# Before each normalisation pystoi adds noise of 1e-16 from numpy's global generator, to divide by no nought. A stretch of
# exact zeros, as an unplayed packet leaves it or a muted microphone, is then that noise alone, scaled up to full size, and
# is correlated with the original: the score moves from call to call, in the second to fourth decimal, and so does whether a
# limit is kept. Seeding numpy's global generator first makes it repeatable; without extended it is repeatable anyway.
#
# Seen (pystoi 0.4.1, noise against itself with 0.6 s of its 1.6 s set to zero, ten times each):
#     stoi: 1 value
#     extended: 10 values, further apart than 0.001: True
#     extended, seeded before each: 1 value
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'pystoi==0.4.1' 'numpy==2.4.6' 'scipy==1.17.1'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import numpy as np
from pystoi import stoi

RATE_HZ = 10_000
clean = np.random.default_rng(1).standard_normal(16_000)
muted = clean.copy()
muted[5_000:11_000] = 0.0


def said(what, *, extended, seeded=False):
    scores = []
    for _ in range(10):
        if seeded:
            np.random.seed(1)
        scores.append(float(stoi(clean, muted, RATE_HZ, extended=extended)))
    values = len(set(scores))
    apart = f", further apart than 0.001: {max(scores) - min(scores) > 0.001}" if values > 1 else ""
    print(f"{what}: {values} value{'s' if values > 1 else ''}{apart}")


said("stoi", extended=False)
said("extended", extended=True)
said("extended, seeded before each", extended=True, seeded=True)
PYTHON
diff "$folder/seen" - <<'SEEN'
stoi: 1 value
extended: 10 values, further apart than 0.001: True
extended, seeded before each: 1 value
SEEN
