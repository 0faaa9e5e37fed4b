"""What the sound itself scored, on a terminal: a row a way, and how to read it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

from rtcprobe.listening import SEGMENT_S, Listening
from rtcprobe.ways import Way

__all__ = ["print_listening"]

# Segments: ViSQOL's median of two is a mean of two, and its spread over one network's losses is unknown.
_FEW = 3


def print_listening(rows: Iterable[tuple[Way, Listening]], console: Console) -> None:
    """Print each way as soon as it is known: median, lowest and highest MOS-LQO, and of how much speech."""
    few = False
    for index, (way, found) in enumerate(rows):
        if index == 0:
            # After the first score: models load for seconds, and an error should not stand below an empty table.
            head = f"{'MOS-LQO':<18} {'median':>7} {'lowest':>7} {'highest':>8} {'segments':>9} {'a copy':>7}"
            console.print(head, style="bold")
        few = few or len(found.scores) < _FEW
        console.print(
            f"{way.words:<18} {found.median:>7.2f} {min(found.scores):>7.2f} "
            f"{max(found.scores):>8.2f} {len(found.scores):>9} {found.copy_score:>7.2f}"
        )
    console.print(
        f"ViSQOL, speech mode: 1 (bad) to 5 (excellent), per {SEGMENT_S:g} s of speech, aligned by the markers in it; "
        "a copy: what this speech scores against itself. Delay does not count.",
        soft_wrap=True,
    )
    if few:
        console.print(f"Fewer than {_FEW} segments say little: run a longer call.")
