"""A grid is done once, whoever dies meanwhile; what it shows is what its rows say."""

import json
from collections import Counter, deque
from concurrent.futures import Future

import pytest
from click.testing import CliRunner

from rtcprobe.cli import cli
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.probe import Job
from rtcprobe.report.sweep import surface_lines
from rtcprobe.sweep import Book, Task, by_processes, frontier, one_by_one, read_grid, read_rows, surface_of
from rtcprobe.sweep.book import line
from rtcprobe.sweep.job import done
from rtcprobe.sweep.workers import _handed_out

GRID = """
scenario: 1v1-social
set: [call.calls=1, call.joins=1, call.duration=1s]
axes:
  link: ["delay 20ms", "delay 80ms"]
  codec.fec: [false, true]
seeds: 2.0
"""


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(GRID)
    return path


def made(seed, key=None):
    return Task(job=Job(scenario="1v1-social", seed=seed), point=(("axis", "a"),), key=key or f"k-{seed}")


def row(x, y, value, seed=1):
    return {"key": f"{x}{y}{seed}", "point": {"x": x, "y": y}, "seed": seed, "figures": {"unplayed": value}}


def test_every_combination_and_seed_is_a_job_with_a_key_of_its_own(grid):
    jobs = read_grid(grid).tasks()
    assert len(jobs) == len({job.key for job in jobs}) == 8
    assert jobs[0].point == (("link", "delay 20ms"), ("codec.fec", "false"))
    assert [job.seed for job in jobs[:3]] == [1, 2, 1]


def test_a_job_keeps_its_key_whatever_else_the_grid_holds_or_the_scenario_is_called(grid):
    keys = {job.key for job in read_grid(grid).tasks()}
    grid.write_text(GRID.replace("[false, true]", "[true]").replace("seeds: 2.0", "seeds: [2]"))
    few = {job.key for job in read_grid(grid).tasks()}
    assert len(few) == 2
    assert few < keys
    grid.write_text(GRID.replace("set: [", "set: [name=other, "))
    assert {job.key for job in read_grid(grid).tasks()} == keys


def test_a_row_is_a_function_of_its_job(grid):
    job = read_grid(grid).tasks()[0]
    first, second = done(job), done(job)
    assert line(first) == line(second)
    # 10 ms capture, 20 of packet, 6.5 of look-ahead, 20 of path, 20 of device; two blocks and a frame to wait at most.
    assert 76.5 <= first["figures"]["mouth_to_ear_p50_ms"] <= 120.0
    assert first["figures"]["heard"] == 1.0
    assert first["figures"]["join_failed"] == 0.0


def test_a_modelled_job_is_another_than_a_placed_one_and_its_surface_says_so(grid):
    placed = read_grid(grid).tasks()[0]
    grid.write_text(GRID + "engine: model\n")
    modelled = read_grid(grid).tasks()[0]
    assert modelled.key != placed.key
    rows = [done(placed), done(modelled)]
    assert rows[1]["engine"] == "model"
    assert rows[1]["figures"]["join_p50_ms"] is None
    assert rows[0]["figures"]["join_p50_ms"] > 0
    surfaces = surface_of(rows, "mouth_to_ear_p50_ms")
    assert [each.engine for each in surfaces] == ["stack", "model"]
    first = str(next(surface_lines(surfaces[1])))
    assert "engine model" in first


def test_what_was_done_is_never_done_again_and_the_file_equals_that_of_a_serial_run(tmp_path):
    jobs = [made(seed) for seed in range(6)]
    rows = {job.key: {"key": job.key, "point": dict(job.point), "seed": job.seed, "figures": {}} for job in jobs}
    serial = Book(tmp_path / "serial")
    for job in jobs:
        serial.add(rows[job.key])
    serial.finish(jobs)
    serial.close()
    shuffled = Book(tmp_path / "shuffled")
    for place in (4, 0, 2):
        shuffled.add(rows[jobs[place].key])
    shuffled.close()
    with (tmp_path / "shuffled").open("ab") as file:  # a client killed while it wrote
        file.write(line(rows[jobs[1].key])[:20])
    again = Book(tmp_path / "shuffled")
    assert set(again.known) == {jobs[place].key for place in (4, 0, 2)}
    for place in (5, 3, 1, 0):  # a row that is there is not written twice
        again.add(rows[jobs[place].key])
    again.finish(jobs)
    again.close()
    assert (tmp_path / "shuffled").read_bytes() == (tmp_path / "serial").read_bytes()


def test_a_worker_that_is_killed_loses_nothing_and_doubles_nothing(monkeypatch):
    monkeypatch.syspath_prepend(str(__import__("pathlib").Path(__file__).parent))
    from workload import work

    jobs = [made(seed) for seed in (1, 2, 13, 4, 5, 6)]
    rows = list(by_processes(jobs, 2, work=work))
    assert sorted(each["seed"] for each in rows) == [1, 2, 4, 5, 6, 13]


def test_a_job_in_whose_hands_a_worker_died_is_done_alone():
    jobs, hands, beside = [made(seed) for seed in (1, 2, 3, 4)], {}, {}

    class Pool:
        def submit(self, _work, job):
            beside[job.seed] = [each.seed for each in hands.values()]
            future = Future()
            future.set_result({"seed": job.seed})
            return future

    list(_handed_out(Pool(), deque(jobs), hands, Counter({jobs[1].key: 1}), work=None, workers=2))
    assert beside == {1: [], 2: [], 3: [], 4: [3]}


def test_a_job_that_kills_every_worker_is_given_up_by_name(monkeypatch):
    monkeypatch.syspath_prepend(str(__import__("pathlib").Path(__file__).parent))
    from workload import work

    monkeypatch.setattr("rtcprobe.sweep.workers.MOST_DEATHS", 2)
    with pytest.raises(MeasurementError, match="workers died 2 times with seed 66 of axis=a"):
        list(by_processes([made(66)], 1, work=work))


def test_a_surface_is_the_mean_over_seeds_with_students_interval():
    rows = [row("1", "a", 0.01, 1), row("1", "a", 0.03, 2), row("2", "a", None, 1), row("1", "b", 0.05, 1)]
    (surface,) = surface_of(rows, "unplayed", x="x", y="y")
    point = surface.points["1", "a"]
    # Two values 0.02 apart: a standard error of 0.01, times t of one degree of freedom, 12.706.
    assert (point.value, point.low) == (pytest.approx(0.02), pytest.approx(0.02 - 0.12706, abs=1e-5))
    assert surface.points["2", "a"].missing == 1
    assert surface.points["1", "b"].low is None


def test_a_frontier_is_where_a_budget_first_breaks():
    rows = [
        row(x, y, value)
        for y, values in (("a", (0.0, 0.01, 0.05)), ("b", (0.03, 0.0, 0.0)))
        for x, value in zip("123", values, strict=True)
    ]
    (surface,) = surface_of(rows, "unplayed", x="x", y="y")
    first, second = frontier(surface, 0.02)
    assert (first.last, first.first) == ("2", "3")
    assert (second.last, second.first) == (None, "1")
    assert [(edge.last, edge.first) for edge in frontier(surface, 1.0)] == [("3", None)] * 2


def test_the_command_goes_on_where_it_was_stopped_and_shows_what_it_found(grid, tmp_path, monkeypatch):
    asked = []

    def fake(job):
        asked.append(job.key)
        value = 100.0 if "20ms" in job.point[0][1] else 220.0
        return {
            "key": job.key,
            "point": dict(job.point),
            "seed": job.seed,
            "figures": {"mouth_to_ear_p95_ms": value + job.seed},
        }

    monkeypatch.setattr("rtcprobe.sweep.workers.done", fake)
    output = tmp_path / "rows.jsonl"
    command = ["sweep", str(grid), "-o", str(output), "--workers", "1"]
    done_first = CliRunner().invoke(cli, command)
    assert done_first.exit_code == 0, done_first.exception
    assert "8 jobs, 8 of them now" in done_first.output
    assert "8 jobs, 0 of them now" in CliRunner().invoke(cli, command).output
    assert len(asked) == 8
    assert len(read_rows(output)) == 8
    shown = CliRunner().invoke(cli, ["sweep", "show", str(output), "--x", "link", "--limit", "200ms"])
    assert shown.exit_code == 0, shown.exception
    assert "101.5" in shown.output
    assert "holds up to link delay 20ms, not at delay 80ms" in " ".join(shown.output.split())


def test_a_job_that_fails_is_a_row_with_its_sentence(monkeypatch):
    def refuse(*_given, **_more):
        raise MeasurementError("nothing was heard", "listen")

    monkeypatch.setattr("rtcprobe.probe.run.run_probe", refuse)
    (only,) = one_by_one([made(1)])
    assert only["failed"] == "nothing was heard: listen"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("scenario: 1v1-social", "scenario: 1v1-socal", "1v1-social"),
        ("delay 80ms", "delay 80", "link=delay 80"),
        ("codec.fec: [false, true]", "codec.fec: []", "axis codec.fec has no values"),
        ("[false, true]", "[true, true]", "has true twice"),
        ("seeds: 2.0", "seeds: 0", "seeds 0 are impossible"),
        ("seeds: 2.0", "seeds: 1000000", "impossible"),
        ("seeds: 2.0", "seds: 2", "'seds' is not known"),
        ("seeds: 2.0", "seeds: 10000\n  ", None),
        ("axes:", "axis:", "'axis' is not known"),
        ("seeds: 2.0", "seeds: 2\nengine: modle", "engine 'modle' is not known"),
        ("codec.fec: [false, true]", "engine: [stack, model]", "engine is no axis"),
        ("set: [", "set: ['target=whip+whep://host/live', ", "needs the real clock"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_one_sentence(grid, old, new, sentence):
    grid.write_text(GRID.replace(old, new, 1))
    if sentence is None:
        assert read_grid(grid).size == 40_000
        return
    with pytest.raises(BadInputError, match=sentence):
        read_grid(grid).tasks()


def test_a_grid_of_a_million_jobs_is_refused_with_its_size(grid):
    values = json.dumps([f"{number}ms" for number in range(1, 60)])
    grid.write_text(GRID.replace('["delay 20ms", "delay 80ms"]', values).replace("seeds: 2.0", "seeds: 10000"))
    with pytest.raises(BadInputError, match="1,180,000 jobs"):
        read_grid(grid)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x\n",
        "{}\n",
        '{"key": 1, "point": [], "seed": 1}\n',
        '{"key":"a","point":{},"seed":1,"figures":{"r":"x"}}\n',
    ],
)
def test_a_file_of_something_else_is_one_sentence(tmp_path, text):
    path = tmp_path / "rows"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"no row of a sweep|no number"):
        read_rows(path)


def test_rows_of_rooms_whose_parties_stand_in_another_order_are_not_taken_for_each_other(tmp_path):
    written = """
    name: room
    serves: two, in one order or the other
    parties: {PARTIES}
    link: delay 10ms
    call: {duration: 1s, joins: 1}
    """
    keys = []
    for parties in ("ana: {}, ben: {}", "ben: {}, ana: {}"):
        path = tmp_path / "room.yaml"
        path.write_text(written.replace("PARTIES", parties), encoding="utf-8")
        grid = tmp_path / "grid.yaml"
        grid.write_text(f"scenario: {path}\nseeds: 1\naxes: {{call.duration: [1s]}}\n", encoding="utf-8")
        keys += [task.key for task in read_grid(grid).tasks()]
    assert len(set(keys)) == 2
