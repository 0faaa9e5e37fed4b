#!/usr/bin/env bash
# pystoi 0.4.1: speech of less than about 0.4 s is "0.00001 intelligible", even when nothing was done to it.
#
# One would expect an error, NaN, or 1 for a signal compared with itself. STOI needs 30 frames of 25.6 ms with half overlap
# (Taal et al., 2011) and leaves out silent ones first; where fewer remain pystoi warns on stderr and returns 1e-5 as the
# score. A yes, a no or a number said alone is so short: in a mean or below a budget it is the worst word there can be. What is
# counted is speech, not the recording: half a second in ten seconds of silence is too short as well.
#
# Seen (pystoi 0.4.1, noise compared with itself at 10 kHz):
#     0.3 s: stoi 1e-05, extended 1e-05
#     0.3 s in 10 s of silence: stoi 1e-05, extended 1e-05
#     0.5 s: stoi 1.0, extended 1.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'pystoi==0.4.1' 'numpy==2.4.6' 'scipy==1.17.1'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import warnings

import numpy as np
from pystoi import stoi

warnings.simplefilter("ignore")
RATE_HZ = 10_000
noise = np.random.default_rng(1).standard_normal(RATE_HZ)


def said(what, sound):
    scores = (round(float(stoi(sound, sound, RATE_HZ, extended=extended)), 6) for extended in (False, True))
    print("{}: stoi {}, extended {}".format(what, *scores))


said("0.3 s", noise[:3000])
said("0.3 s in 10 s of silence", np.concatenate([np.zeros(50_000), noise[:3000], np.zeros(47_000)]))
said("0.5 s", noise[:5000])
PYTHON
diff "$folder/seen" - <<'SEEN'
0.3 s: stoi 1e-05, extended 1e-05
0.3 s in 10 s of silence: stoi 1e-05, extended 1e-05
0.5 s: stoi 1.0, extended 1.0
SEEN
