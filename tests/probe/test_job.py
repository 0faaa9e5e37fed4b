"""A run is asked for in one process and made in another: plain, picklable, and equal wherever it is made."""

import json
import pickle
import subprocess
import sys

from rtcprobe.probe import Job
from rtcprobe.result import Result

JOB = Job(
    scenario="1v1-social",
    settings=("call.duration=1s", "call.calls=1", "call.joins=1", "link=delay 20ms loss 5%"),
    seed=3,
    engine="model",
)


def test_a_job_and_its_result_travel_between_processes():
    assert pickle.loads(pickle.dumps(JOB)) == JOB
    assert Job.from_dict(json.loads(json.dumps(JOB.to_dict()))) == JOB
    result = JOB.run()
    assert result.verdict != "invalid"
    assert pickle.loads(pickle.dumps(result)) == result
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))).to_dict() == result.to_dict()


def test_what_somebody_adds_to_a_written_job_is_no_part_of_it():
    assert Job.from_dict({"scenario": "1v1-social", "settings": [], "report": None}) == Job(scenario="1v1-social")


def test_a_seed_makes_another_run_of_it():
    assert JOB.seeded(4).seeded(3).run().accounts == JOB.run().accounts != JOB.seeded(4).run().accounts


def test_handing_jobs_out_loads_nothing_that_measures():
    code = "import rtcprobe.probe.job, sys; print([n for n in sys.modules if n in ('aiortc', 'av', 'rtcprobe.call')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
