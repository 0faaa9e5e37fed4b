"""What the sections of ``calibration.py`` share: a line of the report, correlated series, and runs made of calls."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from rtcprobe.quality import mos
from rtcprobe.result import Account, HeardCall, Missed, Protection, Quality, Sample
from rtcprobe.ways import Way

Floats = npt.NDArray[np.float64]
ALARMS_AT_MOST = 0.065


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the report, and whether it is as promised."""

    text: str
    kept: bool


def chain(rng: np.random.Generator, runs: int, n: int, rho: float) -> Floats:
    """Return stationary first-order chains with standard normal margins, shape (runs, n)."""
    noise = rng.standard_normal((runs, n)) * math.sqrt(1.0 - rho**2)
    noise[:, 0] = rng.standard_normal(runs)
    return np.asarray(lfilter([1.0], [1.0, -rho], noise, axis=1))


def hash_of(case: object) -> int:
    """Return a seed that depends on the case alone (``hash`` differs between processes)."""
    return zlib.crc32(str(case).encode())


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call says of one way: delays of the markers heard, seconds; frames not played; R; its stages."""

    delays: tuple[float, ...]
    scheduled: int
    unplayed: float
    sent: int
    r: float | None = None
    burst_ratio: float = 1.0
    stages: tuple[tuple[str, float], ...] = ()


def composed(pieces: Sequence[Piece], way: Way) -> Account:
    """Return the account of a run of these calls."""
    heard = sum(len(each.delays) for each in pieces)
    scheduled = sum(each.scheduled for each in pieces)
    rated = [each.r for each in pieces if each.r is not None]
    burst_ratio = float(np.mean([each.burst_ratio for each in pieces]))
    unplayed = float(np.average([each.unplayed for each in pieces], weights=[e.sent for e in pieces]))
    r = float(np.mean(rated)) if rated else None
    return Account(
        kind="mouth_to_ear",
        way=way,
        scheduled=scheduled,
        heard=heard,
        rejected=0,
        lost=scheduled - heard,
        samples=tuple(
            Sample(marker=i, spoken_s=i / 2, heard_s=i / 2 + d, delay_s=d, correlation=1.0, call=call)
            for call, each in enumerate(pieces)
            for i, d in enumerate(each.delays)
        ),
        missed=tuple(
            Missed(marker=i, spoken_s=i / 2, fate="lost", call=call)
            for call, each in enumerate(pieces)
            for i in range(len(each.delays), each.scheduled)
        ),
        stages=dict(pieces[0].stages),
        protection=Protection(sent=sum(each.sent for each in pieces), lost_before=0, lost_after=0, unplayed=unplayed),
        quality=None
        if r is None
        else Quality(r=r, mos=mos(r), listening_mos=mos(r), loss_ratio=unplayed, burst_ratio=burst_ratio),
        calls=tuple(
            HeardCall(
                call=call,
                scheduled=each.scheduled,
                heard=len(each.delays),
                stages=dict(each.stages),
                unplayed=each.unplayed,
                r=each.r,
            )
            for call, each in enumerate(pieces)
        ),
    )
