"""A worker: a process that measures what it is told, one run after another, and says so in lines of JSON.

``python -m rtcprobe.exporter.worker`` reads requests from standard input and answers on standard output::

    {"scenario": "1v1-social", "settings": [], "seed": 7, …, "report": "reports/x.html" | null}

(a ``probe.job.Job``, and where the report goes) with ``{"began": true}`` at once, then ``{"result": …}`` or
``{"failure": …, "sentence": …}``, then ``{"done": true, …}`` once the report is written.

Rules:
    1. Standard output carries answers and nothing else; whatever a library prints goes to standard error.
    2. It ends with its parent: when standard input ends, in the midst of a run too.
    3. No answer holds a secret: this process knows them all, its parent none.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from rtcprobe.errors import BadInputError, RtcprobeError
from rtcprobe.probe import Job
from rtcprobe.report.html import render_report
from rtcprobe.report.json import write_whole
from rtcprobe.result import Result
from rtcprobe.secrets import scrub, scrubbed

__all__ = ["main"]


def main() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle
    # The pipe of answers is moved away, and descriptor 1 is standard error from then on: C libraries print there, too.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    # Read beside the run: else the end of the parent would be seen only after it (rule 2).
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    _say(answers, {"ready": True})
    while True:
        line = requests.get()
        _say(answers, {"began": True})
        request = json.loads(line)
        result = _measure(answers, request)
        fault = _report(result, request["report"]) if result is not None and request["report"] else ""
        _say(answers, {"done": True, "report_fault": fault, "resident_bytes": _resident_bytes()})


def _listen(requests: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)  # rule 2: there is nobody left to answer


def _measure(answers: TextIO, request: dict[str, Any]) -> Result | None:
    try:
        result = Job.from_dict(request).run()
    except RtcprobeError as error:
        failure = "refused" if isinstance(error, BadInputError) else "unmeasured"
        _say(answers, {"failure": failure, "sentence": scrub(str(error))})
        return None
    except Exception as error:  # noqa: BLE001 - a fault of ours is told, and the worker lives on
        fault = " ".join(f"{type(error).__name__}: {error}".split())
        sentence = f"this is a fault of rtcprobe itself: {fault}; please report it"
        _say(answers, {"failure": "crash", "sentence": scrub(sentence)})
        return None
    result = scrubbed(result)
    _say(answers, {"result": result.to_dict()})
    return result


def _report(result: Result, path: str) -> str:
    """Write the HTML report to ``path``, whole or not at all; return why it could not be, or ``""``."""
    try:
        write_whole(render_report([result]), path)
    except RtcprobeError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - the figures are out already; a page is no reason to lose a worker
        return scrub(" ".join(f"{type(error).__name__}: {error}".split()))
    return ""


def _say(answers: TextIO, what: dict[str, Any]) -> None:
    answers.write(json.dumps(what, allow_nan=False) + "\n")
    answers.flush()


def _resident_bytes() -> int | None:
    """Return the memory this process holds; None where the system does not tell (not Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
