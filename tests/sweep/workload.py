"""What workers do in tests: a row without a call; a seed of 13 kills its worker the first time, of 66 each time."""

import os
import signal
import tempfile
from pathlib import Path


def work(job):
    marker = Path(tempfile.gettempdir(), f"rtcprobe-died-{job.key}-{os.getppid()}")
    if job.seed == 66 or (job.seed == 13 and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"key": job.key, "point": dict(job.point), "seed": job.seed, "figures": {"r": float(job.seed)}}
