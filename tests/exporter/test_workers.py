"""Worker processes: a run that hangs, a process that dies, one that has grown; told with stand-ins of a few lines."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from rtcprobe.exporter import workers
from rtcprobe.exporter.workers import Pool
from rtcprobe.probe import Job
from rtcprobe.result import Result

WORKER = """
import json, os, sys, time
say = lambda **what: print(json.dumps(what), flush=True)
result = open(os.environ.get("RTCPROBE_TEST_RESULT", os.devnull)).read()
say(ready=True)
for line in sys.stdin:
    asked = json.loads(line)
    kind = asked["scenario"]
    say(began=True)
    if kind == "hang":
        time.sleep(600)
    if kind == "die":
        os._exit(7)
    if kind == "babble":
        print("no json", flush=True)
    if kind.startswith("say "):
        print(kind.removeprefix("say "), flush=True)
    if kind == "refused":
        say(failure="refused", sentence="it is not known")
    else:
        print(f'{{"result": {result}}}', flush=True)
    if kind == "hang after":
        time.sleep(600)
    say(done=True, report_fault="disk full" * (kind == "full"), resident_bytes=(kind == "grow") * 10**12 + 5)
"""


class Watcher:
    def __init__(self):
        self.exits, self.resident, self.reports = [], [], []

    def worker_ended(self, reason):
        self.exits.append(reason)

    def worker_resident(self, resident_bytes):
        self.resident.append(resident_bytes)

    def report_written(self, path, fault):
        self.reports.append((path.name, fault))


@pytest.fixture
def run_all(make_result, tmp_path, monkeypatch):
    """Run jobs one after another in one pool; return their outcomes and the watcher."""
    (tmp_path / "result.json").write_text(json.dumps(make_result().to_dict()), encoding="utf-8")
    monkeypatch.setenv("RTCPROBE_TEST_RESULT", str(tmp_path / "result.json"))

    def run(*kinds, timeout_s=20.0, report=None, command=(sys.executable, "-S", "-c", WORKER)):
        async def main():
            watcher = Watcher()
            pool = Pool(watcher, command)
            pool.warm(1)
            outcomes = []
            for kind in kinds:
                within_s = {"hang": 0.05, "hang after": 0.3}.get(kind, timeout_s)
                job = Job(scenario=kind)
                outcomes.append(await pool.run(job, 9, timeout_s=within_s, waited_s=0.0, report=report))
            states = dict(pool.states())
            await pool.close()
            return outcomes, watcher, states

        return asyncio.run(main())

    return run


def test_a_result_comes_back_as_it_was_and_the_worker_stays(run_all, make_result):
    (first, second), watcher, states = run_all("fine", "fine")
    assert first.result == Result.from_dict(make_result().to_dict())
    assert [goal.name for goal in first.goals] == ["600 ms to connect", "100 ms to the ear", "100 ms to the ear"]
    assert second.verdict == make_result().verdict
    assert (first.failure, first.seed) == (None, 9)
    assert watcher.exits == []
    assert watcher.resident == [5, 5]
    assert states == {"starting": 0, "idle": 1, "busy": 0}


def test_a_hung_run_is_killed_and_a_new_worker_takes_the_next(run_all):
    (hung, fine), watcher, _ = run_all("hang", "fine")
    assert (hung.failure, hung.sentence) == ("timeout", "the run took longer than 0.05 s and was killed")
    assert hung.duration_s < 15.0
    assert fine.failure is None
    assert watcher.exits == ["timeout"]


def test_a_process_that_dies_or_babbles_loses_its_run_and_no_other(run_all):
    (died, babbled, fine), watcher, _ = run_all("die", "babble", "fine")
    assert (died.failure, died.sentence) == ("crash", "the run was lost: its process ended (exit code 7)")
    assert babbled.failure == "crash"
    assert fine.failure is None
    assert watcher.exits == ["crash", "crash"]


RUBBISH = [
    "[1]",
    "7",
    "{}",
    '{"result": null}',
    '{"result": {"schema": "x"}}',
    '{"result": {"schema": "rtcprobe.result/1", "scenario": []}}',
    '{"failure": "bored", "sentence": ""}',
    '{"failure": "refused"}',
    '{"failure": []}',
    "[" * 100_000,
]


def test_whatever_a_worker_says_its_run_is_an_outcome_and_there_are_as_many_workers_as_wanted(run_all):
    outcomes, watcher, states = run_all(*(f"say {said}" for said in RUBBISH), "fine")
    assert [each.failure for each in outcomes] == ["crash"] * len(RUBBISH) + [None]
    assert all(each.sentence.startswith("the run was lost: ") for each in outcomes[:-1])
    assert watcher.exits == ["crash"] * len(RUBBISH)
    assert states == {"starting": 0, "idle": 1, "busy": 0}


def test_a_worker_killed_while_idle_costs_no_run_and_is_replaced(make_result, tmp_path, monkeypatch):
    (tmp_path / "result.json").write_text(json.dumps(make_result().to_dict()), encoding="utf-8")
    monkeypatch.setenv("RTCPROBE_TEST_RESULT", str(tmp_path / "result.json"))

    async def main():
        watcher = Watcher()
        pool = Pool(watcher, (sys.executable, "-S", "-c", WORKER))
        pool.warm(1)
        told = {"timeout_s": 20.0, "waited_s": 0.0, "report": None}
        outcomes = [await pool.run(Job(scenario="fine"), 1, **told)]
        pool._idle[0].process.kill()  # its end is not known yet
        outcomes.append(await pool.run(Job(scenario="fine"), 2, **told))
        pool._idle[0].process.kill()
        while pool.states()["idle"]:  # noqa: ASYNC110 - a process ends when it does
            await asyncio.sleep(0.01)
        while not pool.states()["idle"]:  # noqa: ASYNC110 - and another comes
            await asyncio.sleep(0.01)
        states = pool.states()
        await pool.close()
        return outcomes, watcher.exits, states

    outcomes, exits, states = asyncio.run(main())
    assert [each.failure for each in outcomes] == [None, None]
    assert exits == ["crash", "crash"]
    assert states == {"starting": 0, "idle": 1, "busy": 0}


def test_workers_that_die_as_soon_as_they_are_up_are_not_started_over_and_over():
    dies = "import json, time; print(json.dumps({'ready': True}), flush=True); time.sleep(0.05)"

    async def main():
        watcher = Watcher()
        pool = Pool(watcher, (sys.executable, "-S", "-c", dies))
        pool.warm(1)
        while not watcher.exits:  # noqa: ASYNC110 - a process ends when it does
            await asyncio.sleep(0.01)
        waiting = pool.states()
        outcome = await pool.run(Job(scenario="fine"), 1, timeout_s=20.0, waited_s=0.0, report=None)
        await pool.close()
        return waiting, outcome

    waiting, outcome = asyncio.run(main())
    assert waiting == {"starting": 0, "idle": 0, "busy": 0}
    assert outcome.failure == "crash"


def test_a_result_that_is_out_outlives_a_report_that_hangs(run_all):
    (outcome,), watcher, _ = run_all("hang after", report=Path("x.html"))
    assert outcome.result is not None
    assert watcher.reports == [("x.html", "the run ended first (timeout)")]
    assert watcher.exits == ["timeout"]


def test_a_full_disk_is_told_and_the_run_counts(run_all):
    (outcome,), watcher, _ = run_all("full", report=Path("x.html"))
    assert outcome.result is not None
    assert watcher.reports == [("x.html", "disk full")]
    assert watcher.exits == []


def test_a_refusal_has_its_sentence_and_no_report(run_all):
    (outcome,), watcher, _ = run_all("refused", report=Path("x.html"))
    assert (outcome.failure, outcome.sentence) == ("refused", "it is not known")
    assert watcher.reports == []


def test_a_worker_that_has_grown_or_served_long_is_replaced(run_all, monkeypatch):
    outcomes, watcher, states = run_all("grow", "fine")
    assert [each.failure for each in outcomes] == [None, None]
    assert watcher.exits == ["recycled"]
    assert sum(states.values()) == 1
    monkeypatch.setattr(workers, "MOST_RUNS", 1)
    _, watcher, _ = run_all("fine", "fine")
    assert watcher.exits == ["recycled", "recycled"]


def test_a_worker_that_never_comes_up_is_a_crash_and_not_a_hang(run_all):
    (outcome,), watcher, _ = run_all("fine", command=(sys.executable, "-S", "-c", "raise SystemExit(3)"))
    assert (outcome.failure, outcome.sentence) == ("crash", "the run was lost: its process ended (exit code 3)")
    assert set(watcher.exits) == {"crash"}


def test_a_worker_that_was_still_coming_up_at_the_end_is_no_crash(monkeypatch):
    async def main():
        watcher, awaited = Watcher(), asyncio.Event()

        async def answer(_worker):
            awaited.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(workers._Worker, "answer", answer)
        pool = Pool(watcher, (sys.executable, "-S", "-c", "import sys; sys.stdin.read()"))
        pool.warm(1)
        async with asyncio.timeout(20.0):
            await awaited.wait()
        await pool.close()
        return watcher.exits

    assert asyncio.run(main()) == ["cancelled"]


def test_a_cancelled_run_is_killed_at_once():
    async def main():
        watcher = Watcher()
        pool = Pool(watcher, (sys.executable, "-S", "-c", WORKER))
        run = asyncio.ensure_future(pool.run(Job(scenario="hang"), 1, timeout_s=60, waited_s=0, report=None))
        while not pool.states()["busy"]:  # noqa: ASYNC110 - a process comes up when it does
            await asyncio.sleep(0.01)
        run.cancel()
        outcome = await run
        await pool.close()
        return outcome.failure, watcher.exits

    assert asyncio.run(main()) == ("cancelled", ["cancelled"])
