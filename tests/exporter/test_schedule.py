"""When probes run, in virtual time: every due start is a run, an error or a miss, and nothing is made up for."""

import asyncio
import logging
from itertools import cycle, pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtcprobe.errors import BadInputError
from rtcprobe.exporter.config import parse_config
from rtcprobe.exporter.schedule import Slots

RUNS = "rtcprobe_runs_total"
DUE = "rtcprobe_runs_scheduled_total"
MISSED = "rtcprobe_runs_missed_total"
ERRORS = "rtcprobe_run_errors_total"


def account(got, probe):
    """Return due starts, and the sum of what became of them."""

    def total(name):
        return sum(value for key, value in got.items() if key[0] == name and f"probe={probe}" in key)

    return total(DUE), total(RUNS) + total(ERRORS) + total(MISSED)


def lasting(fleet, seconds, grace_s=0.0):
    async def main():
        await fleet.start()
        await asyncio.sleep(seconds)
        await fleet.stop(grace_s)

    return main()


async def begun(fleet, probe):
    while not fleet.running(probe):  # noqa: ASYNC110 - in virtual time, which costs nothing
        await asyncio.sleep(0.5)


@pytest.fixture
def small(make_result, make_attempt, make_ear):
    """A result of one join and two markers: what a week of runs can afford."""
    ear = make_ear(1, heard=2, rejected=0, lost=0)
    ways = {"caller_to_callee": ear, "callee_to_caller": ear}
    from rtcprobe.result import Joins

    return make_result(join=Joins(attempts=(make_attempt(),)), mouth_to_ear=ways, verdict="pass")


class Odd(BaseException):
    """No ``Exception``, and nobody's idea of a failure."""


def fate(name, result):
    """Return what a run of that name ends in: some raise, some return what is no outcome, some never end."""
    from dataclasses import replace

    from rtcprobe.exporter.outcome import Outcome
    from rtcprobe.result import Join, Joins

    made = {"seed": 1, "ended_unix_s": 1.6e9, "duration_s": float("nan") if name == "no time at all" else 1.0}
    late = Join(party="caller", round=0, marks={"first_audio": 0.3}, phases={"signaling": 0.3})
    object.__setattr__(late, "phases", {"signaling": "late"})
    if name == "an odd failure":
        return Outcome(failure="bored", **made)
    return {
        "passes": Outcome(result=result, **made),
        "an odd verdict": Outcome(result=replace(result, verdict=["?"]), **made),
        "a verdict of its own": Outcome(result=replace(result, verdict="fine"), **made),
        "a word for a time": Outcome(result=replace(result, join=Joins(attempts=(late,))), **made),
        "nothing": None,
        "a word": "pass",
        "refuses": BadInputError("result lacks 'seed'"),
        "reads rubbish": RecursionError("too deep"),
        "cancels itself": asyncio.CancelledError(),
        "raises what is no exception": Odd("?"),
        "hangs": ...,
    }[name]


FATES = (
    *(
        "passes",
        "an odd verdict",
        "a verdict of its own",
        "a word for a time",
        "no time at all",
        "an odd failure",
        "nothing",
        "a word",
    ),
    *("refuses", "reads rubbish", "cancels itself", "raises what is no exception", "hangs"),
)


@settings(max_examples=15, deadline=None)
@given(
    fates=st.lists(st.tuples(st.sampled_from(FATES), st.sampled_from((0.0, 3.0, 12.0, 40.0))), min_size=1, max_size=9),
    looks_s=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    concurrency=st.integers(1, 3),
)
@example(fates=[("passes", 12.0)], looks_s=[12], concurrency=1)  # looks in the very moment a run ends
def test_whatever_a_run_does_every_due_start_is_a_run_an_error_a_miss_or_in_hand(worlds, fates, looks_s, concurrency):
    make_fleet, in_virtual_time, series, small = worlds
    text = f"concurrency: {concurrency}\ndefaults: {{interval: 10s, timeout: 30s}}\nprobes: [" + ", ".join(
        f"{{name: p{n}, scenario: 1v1-social}}" for n in range(3)
    )
    fleet = make_fleet(small, text + "]")
    turns = cycle(fates)

    async def run(_job, _seed, **_more):
        name, takes_s = next(turns)
        end = fate(name, small)
        await asyncio.sleep(1e9 if end is ... else takes_s)
        if isinstance(end, BaseException):
            raise end
        return end

    fleet._runner.run = run

    def look():
        got = series(fleet.exposition("text"))
        accounts = [account(got, f"p{n}") for n in range(3)]
        due, ended = (sum(each[kind] for each in accounts) for kind in (0, 1))
        assert due == ended + fleet._scheduler.in_hand
        return due

    async def main():
        await fleet.start()
        for at_s in sorted(looks_s):
            await asyncio.sleep(max(0.0, at_s - asyncio.get_running_loop().time()))
            look()
        await fleet.stop(5.0)
        assert fleet._scheduler.in_hand == 0
        assert look() >= 3

    in_virtual_time(main())


@pytest.fixture
def worlds(make_fleet, in_virtual_time, series, small):
    """What each example makes anew from."""
    logging.getLogger("rtcprobe").setLevel(logging.CRITICAL)
    yield make_fleet, in_virtual_time, series, small
    logging.getLogger("rtcprobe").setLevel(logging.NOTSET)


def test_a_run_that_cannot_be_counted_is_a_crash_and_moves_no_figure(make_fleet, in_virtual_time, series, small):
    fleet = make_fleet(lambda _job: {"result": fate("a word for a time", small).result})
    in_virtual_time(lasting(fleet, 10.0))
    got = series(fleet.exposition("text"))
    assert got[ERRORS, "probe=here", "reason=crash"] == 1
    assert got["rtcprobe_join_attempts_total", "probe=here"] == 0
    assert got["rtcprobe_last_run_verdict", "probe=here", "verdict=error"] == 1
    sentence = "the run cannot be counted: ValueError: rtcprobe_join_phase_seconds cannot be 'late'"
    assert fleet.board.runs("here")[0].reasons == (sentence,)


def test_every_probe_starts_at_once_within_the_limit_and_then_keeps_its_beat(make_fleet, in_virtual_time, small):
    text = "concurrency: 2\nprobes: [" + ", ".join(f"{{name: p{n}, scenario: 1v1-social}}" for n in range(6)) + "]"
    fleet = make_fleet(small, text, takes_s=2.0)
    starts = {}
    began = fleet.began

    def note(plan):
        starts.setdefault(plan.name, []).append(asyncio.get_running_loop().time())
        began(plan)

    fleet.began = note
    in_virtual_time(lasting(fleet, 300.0))
    assert sorted(each[0] for each in starts.values()) == pytest.approx([0.0, 0.0, 2.0, 2.0, 4.0, 4.0], abs=0.01)
    for first_s, second_s, *_ in starts.values():
        assert 30.0 - 4.0 <= second_s - first_s <= 90.0 + 6.0 + 4.0  # half an interval to one and a half, and jitter


def test_a_probe_without_an_outcome_for_two_intervals_is_said_to_be_silent(make_fleet, in_virtual_time, series, small):
    text = "concurrency: 2\ndefaults: {jitter: 0s, timeout: 1h}\nprobes: [{name: hangs, scenario: video-support}, "
    fleet = make_fleet(
        small, text + "{name: runs, scenario: 1v1-social}]", lambda job: 1e9 * (job.scenario == "video-support")
    )
    said = {}

    async def main():
        await fleet.start()
        for at_s in (119.0, 121.0):
            await asyncio.sleep(at_s - asyncio.get_running_loop().time())
            got = series(fleet.exposition("text"))
            flags = [got["rtcprobe_probe_silent", f"probe={name}"] for name in ("hangs", "runs")]
            said[at_s] = (list(fleet.silent()), flags, list(fleet.troubles()))
        await fleet.stop(0.0)

    in_virtual_time(main())
    assert said == {
        119.0: ([], [0.0, 0.0], []),
        121.0: (["hangs"], [1.0, 0.0], ["no outcome for two intervals: hangs"]),
    }


def test_a_probe_runs_once_an_interval(make_fleet, in_virtual_time, series, small):
    fleet = make_fleet(small)
    in_virtual_time(lasting(fleet, 1200.0))
    got = series(fleet.exposition("text"))
    assert got[RUNS, "probe=here", "verdict=pass"] in (20, 21)
    assert got[RUNS, "probe=far", "verdict=pass"] in (10, 11)
    assert account(got, "here")[0] == account(got, "here")[1]


def test_no_two_runs_have_the_same_seed_and_probes_do_not_run_in_lockstep(make_fleet, in_virtual_time, small):
    starts = {}
    text = "probes: [" + ", ".join(f"{{name: p{n}, scenario: 1v1-social, interval: 10s}}" for n in range(20)) + "]"
    fleet = make_fleet(small, text)
    began = fleet.began

    def note(plan):
        starts.setdefault(plan.name, []).append(asyncio.get_running_loop().time())
        began(plan)

    fleet.began = note
    in_virtual_time(lasting(fleet, 35.0))
    seeds = [seed for _, seed, _, _ in fleet._runner.asked]
    assert len(set(seeds)) == len(seeds) >= 40
    seconds = sorted(each[1] for each in starts.values())  # the first is at once
    assert max(b - a for a, b in pairwise(seconds)) < 5.0  # spread over the interval of 10 s
    assert len({round(each, 2) for each in seconds}) == 20


def test_a_run_longer_than_its_interval_is_no_second_run_but_missed_ones(make_fleet, in_virtual_time, series, small):
    fleet = make_fleet(small, "probes: [{name: slow, scenario: 1v1-social, interval: 10s, jitter: 0ms}]", takes_s=25.0)
    in_virtual_time(lasting(fleet, 300.0, grace_s=60.0))
    got = series(fleet.exposition("text"))
    assert got[MISSED, "probe=slow", "reason=overlap"] == 20
    assert got[RUNS, "probe=slow", "verdict=pass"] == 10
    assert account(got, "slow") == (30, 30)


def test_runs_beyond_the_limit_wait_and_are_missed_when_the_next_is_due(make_fleet, in_virtual_time, series, small):
    text = "probes: [" + ", ".join(f"{{name: p{n}, scenario: 1v1-social, interval: 10s}}" for n in range(4)) + "]"
    fleet = make_fleet(small, text, takes_s=12.0)
    in_virtual_time(lasting(fleet, 240.0, grace_s=60.0))
    got = series(fleet.exposition("text"))
    runs = sum(got[RUNS, f"probe=p{n}", "verdict=pass"] for n in range(4))
    assert 19 <= runs <= 22  # one at a time, 12 s each, for 240 s
    assert sum(got[MISSED, f"probe=p{n}", "reason=busy"] for n in range(4)) > 15
    for n in range(4):
        assert account(got, f"p{n}")[0] == account(got, f"p{n}")[1]
        assert got["rtcprobe_run_wait_seconds_count", f"probe=p{n}"] == got[RUNS, f"probe=p{n}", "verdict=pass"]


def test_a_hung_run_is_killed_at_its_timeout_and_the_next_one_runs(make_fleet, in_virtual_time, series, small):
    text = "probes: [{name: p, scenario: 1v1-social, interval: 60s, timeout: 30s}]"
    hang = iter([1e9, 0.0, 0.0, 0.0])
    fleet = make_fleet(small, text, takes_s=lambda _job: next(hang))
    in_virtual_time(lasting(fleet, 190.0))
    got = series(fleet.exposition("text"))
    assert got[ERRORS, "probe=p", "reason=timeout"] == 1
    assert got[RUNS, "probe=p", "verdict=pass"] in (2, 3)
    assert got["rtcprobe_last_run_verdict", "probe=p", "verdict=pass"] == 1


def test_a_target_that_dies_and_returns_is_seen_in_the_counters(make_fleet, in_virtual_time, series, small):
    dead = {"failure": "unmeasured", "sentence": "the target did not answer"}
    answers = iter([small, dead, dead, small, small, small, small])
    fleet = make_fleet(lambda _job: next(answers), "probes: [{name: p, scenario: 1v1-social}]")
    in_virtual_time(lasting(fleet, 290.0))
    got = series(fleet.exposition("text"))
    assert got[ERRORS, "probe=p", "reason=unmeasured"] == 2
    assert got[RUNS, "probe=p", "verdict=pass"] in (3, 4)
    assert [run.verdict for run in fleet.board.runs("p")][-3:] == ["error", "error", "pass"]
    assert got["rtcprobe_last_join_attempts", "probe=p"] == 1  # of the last run, which measured again


def test_a_loop_that_stood_still_reports_the_starts_it_slept_through(make_fleet, in_virtual_time, series, small):
    fleet = make_fleet(small, "probes: [{name: p, scenario: 1v1-social, interval: 10s, jitter: 0ms}]")

    async def main():
        loop = asyncio.get_running_loop()
        await fleet.start()
        await asyncio.sleep(95.0)
        loop._now_ns += 60_000_000_000  # as SIGSTOP and SIGCONT a minute later
        await asyncio.sleep(45.0)
        await fleet.stop(0.0)

    in_virtual_time(main())
    got = series(fleet.exposition("text"))
    due, accounted = account(got, "p")
    assert due == accounted == 21  # one at once, and 200 s of beats
    assert got[MISSED, "probe=p", "reason=stalled"] in (4, 5)


def test_a_reload_keeps_counters_removes_what_went_and_a_run_in_hand_is_not_lost(
    make_fleet, in_virtual_time, series, small
):
    texts = ["probes: [{name: a, scenario: 1v1-social}, {name: b, scenario: 1v1-social}]"] * 2
    texts += ["probes: [{name: a, scenario: 1v1-social, interval: 30s}, {name: c, scenario: 1v1-long-haul}]"]
    reads = iter(texts[1:])
    fleet = make_fleet(small, lambda: parse_config(next(reads), folder=Path()), takes_s=20.0)

    async def main():
        await fleet.start()
        await begun(fleet, "a")
        await fleet.reload()  # in the midst of a run
        await asyncio.sleep(200.0)
        await fleet.stop(30.0)

    in_virtual_time(main())
    got = series(fleet.exposition("text"))
    assert account(got, "a")[0] == account(got, "a")[1] >= 6
    assert got[RUNS, "probe=a", "verdict=pass"] >= 3
    assert {key for key in got if "probe=b" in key} == set()
    assert got["rtcprobe_probe_interval_seconds", "probe=a"] == 30
    assert got["rtcprobe_config_last_reload_successful",] == 1


def test_an_objective_changed_by_a_reload_judges_what_comes_after_it(make_fleet, in_virtual_time, series, small):
    text = "probes: [{name: a, scenario: 1v1-social, interval: 10s, objectives: {join: {limit: %s, share: %s}}}]"
    texts = iter([text % ("30s", "95%"), text % ("1ms", "99%")])
    fleet = make_fleet(small, lambda: parse_config(next(texts), folder=Path()))
    seen = []

    async def main():
        await fleet.start()
        seen.append(series(fleet.exposition("text")))  # before the first run
        await asyncio.sleep(60.0)
        seen.append(series(fleet.exposition("text")))
        await fleet.reload()
        await asyncio.sleep(60.0)
        seen.append(series(fleet.exposition("text")))
        await fleet.stop(0.0)

    in_virtual_time(main())
    events = [
        [got["rtcprobe_slo_events_total", f"outcome={outcome}", "probe=a", "slo=join"] for outcome in ("good", "bad")]
        for got in seen
    ]
    runs = [got[RUNS, "probe=a", "verdict=pass"] for got in seen]
    assert events == [[0, 0], [runs[1], 0], [runs[1], runs[2] - runs[1]]]
    assert runs[2] > runs[1] > 0
    assert seen[2]["rtcprobe_slo_limit_seconds", "probe=a", "slo=join"] == 0.001
    assert seen[2]["rtcprobe_slo_objective_ratio", "probe=a", "slo=join"] == 0.99


def test_a_bad_configuration_is_refused_and_the_old_one_goes_on(make_fleet, in_virtual_time, series, small):
    texts = iter(["probes: [{name: a, scenario: 1v1-social}]", "probes: [{name: a, scenario: 1v1-socal}]"])
    fleet = make_fleet(small, lambda: parse_config(next(texts), folder=Path()))

    async def main():
        await fleet.start()
        await asyncio.sleep(90.0)
        with pytest.raises(BadInputError):
            await fleet.reload()
        await asyncio.sleep(90.0)
        await fleet.stop(0.0)

    in_virtual_time(main())
    got = series(fleet.exposition("text"))
    assert got["rtcprobe_config_last_reload_successful",] == 0
    assert got[RUNS, "probe=a", "verdict=pass"] in (3, 4)
    assert "refused" in " ".join(fleet.troubles())


def test_the_end_waits_for_a_run_as_long_as_it_may_and_counts_what_it_cut(make_fleet, in_virtual_time, series, small):
    for takes_s, grace_s, name, label in (
        (5.0, 10.0, RUNS, "verdict=pass"),
        (50.0, 10.0, ERRORS, "reason=cancelled"),
    ):
        fleet = make_fleet(small, "probes: [{name: p, scenario: 1v1-social, timeout: 60s}]", takes_s=takes_s)

        async def main(fleet=fleet, grace_s=grace_s):
            await fleet.start()
            await begun(fleet, "p")
            began_s = asyncio.get_running_loop().time()
            await fleet.stop(grace_s)
            return asyncio.get_running_loop().time() - began_s

        assert in_virtual_time(main()) <= grace_s + 0.1
        got = series(fleet.exposition("text"))
        assert got[name, *sorted(("probe=p", label))] == 1
        assert account(got, "p") == (1, 1)


def test_slots_are_given_in_order_and_none_is_lost_when_a_waiter_gives_up(in_virtual_time):
    async def main():
        slots = Slots(1)
        order = []

        async def use(name, within_s, holds_s):
            if not await slots.take(within_s):
                order.append(f"{name} left")
                return
            order.append(name)
            await asyncio.sleep(holds_s)
            slots.give()

        cancelled = None
        async with asyncio.TaskGroup() as group:
            group.create_task(use("first", 0.0, 10.0))
            group.create_task(use("second", 20.0, 1.0))
            group.create_task(use("third", 5.0, 1.0))
            cancelled = group.create_task(use("fourth", 50.0, 1.0))
            group.create_task(use("fifth", 50.0, 1.0))
            await asyncio.sleep(7.0)
            cancelled.cancel()
        assert order == ["first", "third left", "second", "fifth"]
        assert slots.taken == 0
        slots.resize(0)
        assert not await slots.take(1.0)
        slots.resize(2)
        assert await slots.take(0.0)

    in_virtual_time(main())


def test_an_hour_of_ten_probes_leaves_nothing_behind(make_fleet, in_virtual_time, series, small):
    """The week of twenty is benchmarks/soak.py --virtual; here most are quick, some unreachable, and one hangs."""
    names = [f"p{n}" for n in range(10)]
    text = (
        "concurrency: 4\ndefaults: {interval: 20min, timeout: 2min}\nprobes: ["
        + ", ".join(
            f"{{name: {name}, scenario: {'video-support' if name == 'p3' else '1v1-social'}}}" for name in names
        )
        + "]"
    )
    chance = Random(11)
    fleet = make_fleet(
        lambda _job: small if chance.random() < 0.95 else {"failure": "unmeasured", "sentence": "unreachable"},
        text,
        takes_s=lambda job: 1e9 if job.scenario == "video-support" else chance.expovariate(1 / 40.0),
    )
    in_virtual_time(lasting(fleet, 3_600.0, grace_s=120.0))
    body = fleet.exposition("text")
    got = series(body)
    for name in names:
        due, accounted = account(got, name)
        assert due == accounted in (2, 3, 4)
    assert got[ERRORS, "probe=p3", "reason=timeout"] >= 2
    assert len(fleet.board.runs("p0")) <= 20
    assert fleet._scheduler.in_hand == 0
    assert len(body) < 1_500_000
