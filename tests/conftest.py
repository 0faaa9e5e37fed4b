"""A realistic result, built by hand so that reports and verdicts can be tried without making a call."""

from __future__ import annotations

import faulthandler
import gc
import math
import os
import signal
import sys
import time
import types
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from rtcprobe.result import (
    Account,
    Asked,
    Beside,
    Instrument,
    Join,
    Joins,
    LinkReport,
    Met,
    Missed,
    Playout,
    Protection,
    Quality,
    Recovered,
    Result,
    Retransmission,
    Sample,
)
from rtcprobe.ways import BOTH_LEGS, BOTH_WAYS, Leg, Way
from tests.accounts import accounts_of

# Under nohup, or in a shell's background, signals come ignored, and every process of ours would inherit that.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What hypothesis tries depends on the test alone: a run that fails today fails tomorrow, and in every clone.
settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # how long an example takes is this machine's affair
settings.load_profile("repeatable")

# Garbage waits a little longer: looking through all that imports left, after every few hundred objects, takes seconds.
gc.set_threshold(50_000, 10, 10)


# Whatever hangs ends, and says where: a test of this machine alone takes seconds, live ones have limits of their own.
HANGS_AFTER_S, SESSION_S = 300, 1800
SAID_ON, SINCE = pytest.StashKey[int](), pytest.StashKey[float]()


def watch(config, limit_s):
    config.stash[SINCE] = time.monotonic()
    faulthandler.dump_traceback_later(limit_s, file=config.stash[SAID_ON], exit=True)


def pytest_configure(config):
    """Watch the session; what it tells goes to the standard error that was there before pytest had its own."""
    config.stash[SAID_ON] = os.dup(2)
    watch(config, SESSION_S)
    config.stash[SINCE] = -math.inf


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    """End a process whose test hangs, so that its traceback, and under xdist its name, are told."""
    # A watch begun for each test would cost a second in all.
    if "live" not in item.path.parts and time.monotonic() - item.config.stash[SINCE] > 10.0:
        watch(item.config, HANGS_AFTER_S)


@pytest.fixture(scope="session", autouse=True)
def _shelf(tmp_path_factory):
    """Keep encoded films and speech apart from the user's own, which may be of another state of the sources."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RTCPROBE_CACHE", str(tmp_path_factory.mktemp("kept")))
        yield


def pytest_collection_finish():
    """Leave what imports made out of every later search for garbage: none of it ever will be."""
    gc.freeze()


def pytest_sessionfinish(session):
    """Search for garbage once: pytest, and the interpreter's end, then have nothing left to search again and again."""
    watch(session.config, SESSION_S)
    gc.collect()
    gc.freeze()


# A command annotates its step there; what tests read is what a terminal would show.
os.environ.pop("GITHUB_ACTIONS", None)

PHASES = {
    "signaling": 0.132,
    "gathering": 0.001,
    "offer": 0.0,
    "answer": 0.066,
    "ice": 0.060,
    "dtls": 0.121,
    "media": 0.045,
    "playout": 0.062,
}
STAGES = {
    "capture": 0.010,
    "packetisation": 0.020,
    "look_ahead": 0.0065,
    "sender_pacing": 0.0004,
    "network_min": 0.041,
    "network_variable": 0.0082,
    "jitter_buffer": 0.0518,
    "device": 0.020,
    "residual": 0.0001,
}


@cache
def attempt(*, dtls_lost: bool = False, failed: str | None = None) -> Join:
    if failed is not None:
        marks = {"signaling_connected": 0.132, "offer_sent": 0.133}
        return Join(
            party="caller", round=0, marks=marks, failed=failed, reached="offer_sent", awaited="answer_received"
        )
    phases = dict(PHASES)
    retransmissions: tuple[Retransmission, ...] = ()
    if dtls_lost:
        phases["dtls"] += 1.0
        retransmissions = (
            Retransmission(timer="dtls", party="caller", at_s=1.26, cost_s=1.0, what="flight with ClientHello"),
        )
    ends = np.cumsum(list(phases.values())).tolist()
    names = (
        "signaling_connected",
        "ice_gathered",
        "offer_sent",
        "answer_received",
        "ice_connected",
        "dtls_connected",
        "first_packet",
        "first_audio",
    )
    return Join(
        party="caller",
        round=0,
        marks=dict(zip(names, ends, strict=True)),
        phases=phases,
        retransmissions=retransmissions,
        rtts=ends[-1] / 0.066,
    )


@cache
def ear(seed: int, *, heard: int = 118, rejected: int = 1, lost: int = 1) -> Account:
    rng = np.random.default_rng(seed)
    total = sum(STAGES.values())
    delays = total + 0.001 * rng.standard_normal(heard)
    return Account(
        kind="mouth_to_ear",
        way=BOTH_WAYS[0],
        scheduled=heard + rejected + lost,
        heard=heard,
        rejected=rejected,
        lost=lost,
        samples=tuple(
            Sample(marker=i, spoken_s=1 + i / 2, heard_s=1 + i / 2 + d, delay_s=d, correlation=0.98)
            for i, d in enumerate(delays.tolist())
        ),
        missed=(Missed(marker=heard, spoken_s=1 + heard / 2, fate="lost"),) if lost else (),
        stages=STAGES,
        playout=Playout(policy="fixed:60ms", concealed_ratio=0.001, counts={"late": 3, "concealed_samples": 2880}),
        protection=Protection(
            sent=3000,
            lost_before=29,
            lost_after=29,
            recovered_by_red=Recovered(),
            loss={"before": 0.0097, "red": 0.0097, "fec": 0.0097, "nack": 0.0097},
            unplayed=0.0097,
        ),
        quality=Quality(r=84.1, mos=4.17, listening_mos=4.26, loss_ratio=0.0097, burst_ratio=1.02),
        beside={"stock aiortc": Beside(missing_ratio=0.0136, holding_p50_s=0.0815, holding_p95_s=0.2221)},
    )


def link_report() -> LinkReport:
    requested = {
        "loss": 0.01, "mean_burst": 1.01, "delay_min_s": 0.035, "delay_p5_s": 0.036, "delay_p50_s": 0.041,
        "delay_p95_s": 0.056, "delay_p99_s": 0.064, "delay_max_s": 0.09, "reordered": 0.0, "duplicated": 0.0,
        "corrupted": 0.0, "rate_bps": 20e6, "notes": (),
    }  # fmt: skip
    achieved = {
        "offered": 3051, "delivered": 3022, "loss": 29 / 3051, "mean_burst": 1.04, "longest_burst": 2,
        "delay_min_s": 0.0352, "delay_p5_s": 0.0361, "delay_p50_s": 0.0412, "delay_p95_s": 0.0558,
        "delay_p99_s": 0.0643, "delay_max_s": 0.081, "reordered": 0.0, "duplicated": 0.0, "corrupted": 0.0,
        "offered_bps": 48_300.0, "delivered_bps": 47_900.0, "drops": {"loss": 29},
    }  # fmt: skip
    return LinkReport(requested=Asked(**requested), achieved=Met(**achieved))


def build(**changes: Any) -> Result:
    attempts = tuple(replace(attempt(dtls_lost=i in (4, 17)), round=i) for i in range(20))
    called = {"signaling_connected": 0.05, "offer_received": 0.17}
    others = tuple(
        Join(party="callee", round=each.round, marks={**called, "first_audio": each.marks["first_audio"] - 0.02})
        for each in attempts
    )
    ears = {way: ear(seed) for seed, way in enumerate(BOTH_WAYS)}
    accounts = accounts_of(changes.pop("mouth_to_ear", ears))
    fields: dict[str, Any] = {
        "scenario": "1v1-social",
        "scenario_digest": "00112233aabbccdd",
        "seed": 1,
        "clock": "virtual",
        "target": "loopback",
        "environment": {"rtcprobe": "0.1.0", "python": "3.11.9"},
        "settings": {"name": "1v1-social"},
        "join": Joins(attempts=attempts, others=others),
        "accounts": accounts,
        "link": {leg: link_report() for leg in BOTH_LEGS},
        "harness": Instrument(timers="virtual, never late", detection_error_s=2e-5),
    }
    if "measures" in changes:
        changes["measures"] = tuple(map(Way, changes["measures"]))
    if "link" in changes:
        changes["link"] = {Leg(leg): report for leg, report in changes["link"].items()}
    return Result(**(fields | changes))


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """Return the factory: a call whose joins 4 and 17 lost a DTLS flight; keyword arguments replace fields."""
    return build


ROOM = ("ana", "ben", "cho")


def room(parties: tuple[str, ...] = ROOM, **changes: Any) -> Result:
    """Return a call in which everybody hears everybody: each way 10 ms later than the one before."""
    ways = [Way.of(talker, listener) for talker, listener in permutations(parties, 2)]
    ears = {}
    for place, way in enumerate(ways):
        heard, more_s = ear(place, heard=110 + place, lost=9 - place % 10), 0.010 * place
        ears[way] = replace(
            heard,
            samples=tuple(
                replace(each, heard_s=each.heard_s + more_s, delay_s=each.delay_s + more_s) for each in heard.samples
            ),
            stages={**heard.stages, "network_min": heard.stages["network_min"] + more_s},
        )
    legs = {Leg.between(way.talker, way.listener): link_report() for way in ways}
    return build(**{"scenario": "room", "mouth_to_ear": ears, "measures": ways, "link": legs, **changes})


@pytest.fixture
def make_room() -> Callable[..., Result]:
    """Return the factory of calls between more than two, of three where not told."""
    return room


@pytest.fixture
def make_attempt() -> Callable[..., Join]:
    return attempt


@pytest.fixture
def make_ear() -> Callable[..., Account]:
    return ear


def later(result: Result, phase_s: float = 0.0, stage_s: float = 0.0) -> Result:
    """Return ``result`` with that much more in the phase ``dtls`` and in the stage ``device``, both directions."""
    attempts = tuple(
        replace(
            each,
            marks={**each.marks, "first_audio": each.marks["first_audio"] + phase_s},
            phases={**each.phases, "dtls": each.phases["dtls"] + phase_s},
        )
        for each in result.join.attempts
    )
    ears = {
        direction: replace(
            ear,
            samples=tuple(
                replace(each, heard_s=each.heard_s + stage_s, delay_s=each.delay_s + stage_s) for each in ear.samples
            ),
            stages={**ear.stages, "device": ear.stages["device"] + stage_s},
        )
        for direction, ear in result.mouth_to_ear.items()
    }
    return replace(result, join=Joins(attempts=attempts), accounts=accounts_of(ears))


@pytest.fixture
def light() -> dict[str, Any]:
    """Return changes that make a result quick to judge: 8 joins, the fifth with a flight lost, and 24 markers a way."""
    return {
        "join": Joins(attempts=tuple(attempt(dtls_lost=i == 4) for i in range(8))),
        "mouth_to_ear": {way: ear(seed, heard=24, rejected=0, lost=0) for seed, way in enumerate(BOTH_WAYS)},
    }


@pytest.fixture
def slower() -> Callable[..., Result]:
    """Return ``later``: what plants a slower phase or stage into a result."""
    return later


@pytest.fixture
def probe(monkeypatch, make_result):
    """Put a probe in place that returns the factory's result, changed by ``probe.changes``; keeps its calls."""
    from rtcprobe.result import Progress
    from rtcprobe.verdict import judge

    calls = []
    state = types.SimpleNamespace(
        calls=calls, changes={}, error=None, before=lambda _scenario: None, alter=lambda result: result
    )

    def run_probe(scenario, *, seed, clock, progress, wav_dir, video_dir=None, engine="stack"):
        folders = {"wav_dir": wav_dir, "video_dir": video_dir}
        calls.append(types.SimpleNamespace(scenario=scenario, seed=seed, clock=clock, engine=engine, **folders))
        state.before(scenario)
        if progress is not None:
            for done in range(3):
                progress(Progress(step="joining", done=done, total=2, unit="joins"))
        if state.error is not None:
            raise state.error
        about = {
            "scenario_digest": scenario.digest,
            "settings": scenario.settings,
            "seed": seed,
            "clock": clock,
            "engine": engine,
        }
        return judge(state.alter(make_result(scenario=scenario.name, **(about | state.changes))), scenario.budgets)

    monkeypatch.setitem(sys.modules, "rtcprobe.probe", types.SimpleNamespace(run_probe=run_probe))
    return state


@pytest.fixture
def rtcprobe(capfd):
    """Run the command line; return exit code, standard output and standard error."""
    from rtcprobe import cli

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main([str(each) for each in arguments])
        out, err = capfd.readouterr()
        return left.value.code, out, err

    return run
