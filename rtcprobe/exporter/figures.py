"""The server's own metrics: requests, workers, reports, configuration, the lag of its loop.

It is what a pool tells of its processes to; what a report came to is for whoever keeps reports.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final, get_args

import rtcprobe
from rtcprobe.exporter.config import ServeConfig
from rtcprobe.exporter.instruments import Instruments
from rtcprobe.exporter.shelf import Shelf
from rtcprobe.exporter.workers import Exit

__all__ = ["ServerFigures"]

LOG: Final = logging.getLogger("rtcprobe")

# Three looks in the 15 s that scrapes are often apart; a loop that hangs for less than 5 s is seen by how late it
# wakes.
LAG_PERIOD_S: Final = 5.0


class ServerFigures:
    """The instruments of scope ``server``; ``shelf`` returns the shelf of reports, which a reload may replace."""

    def __init__(self, shelf: Callable[[], Shelf]) -> None:
        self.instruments = Instruments(("server",))
        self._shelf = shelf
        versions = {"version": rtcprobe.__version__, "python": platform.python_version(), "aiortc": version("aiortc")}
        self.instruments.set("rtcprobe_build_info", 1, **versions)
        # At 0 from the start: ``rate`` cannot see a counter's first increase where the series only begins with it.
        for reason in get_args(Exit):
            self.instruments.count("rtcprobe_worker_exits_total", 0, reason=reason)

    def answered(self, handler: str, code: int, took_s: float) -> None:
        """Count a request."""
        self.instruments.count("rtcprobe_http_requests_total", handler=handler, code=str(code))
        self.instruments.observe("rtcprobe_http_request_duration_seconds", took_s, handler=handler)

    def ran_on_demand(self, ended: str) -> None:
        """Count a run that ``/probe`` asked for."""
        self.instruments.count("rtcprobe_on_demand_runs_total", outcome=ended)

    def config_read(self, at_unix_s: float) -> None:
        """Take note that a configuration is in force."""
        self.instruments.set("rtcprobe_config_last_reload_successful", 1)
        self.instruments.set("rtcprobe_config_last_reload_success_timestamp_seconds", at_unix_s)

    def config_refused(self) -> None:
        """Take note that a configuration was refused."""
        self.instruments.set("rtcprobe_config_last_reload_successful", 0)

    def worker_ended(self, reason: Exit) -> None:
        """Count a process that ended."""
        self.instruments.count("rtcprobe_worker_exits_total", reason=reason)
        if reason in ("timeout", "crash"):
            LOG.warning("a worker process ended: %s", reason)

    def worker_resident(self, resident_bytes: int) -> None:
        """Take note of the memory of the largest worker."""
        self.instruments.set("rtcprobe_worker_max_resident_memory_bytes", resident_bytes)

    def report_written(self, path: Path, fault: str) -> None:
        """Take note of a report, written or not."""
        self._shelf().note(path, fault)
        if fault:
            self.instruments.count("rtcprobe_report_failures_total")
            LOG.warning("report %s could not be written: %s", path.name, fault)

    def report_has_no_place(self, probe: str) -> None:
        """Count a report that cannot be written."""
        self.instruments.count("rtcprobe_report_failures_total")
        LOG.warning("probe %s: no report is written: %s", probe, self._shelf().fault)

    def set_states(self, config: ServeConfig, workers: Mapping[str, int], on_demand: int) -> None:
        """Set the gauges that say how things are right now; the server's texts are few."""
        shelf = self._shelf()
        self.instruments.set("rtcprobe_probes", len(config.probes))
        self.instruments.set("rtcprobe_workers_wanted", config.concurrency)
        for state, number in workers.items():
            self.instruments.set("rtcprobe_workers", number, state=state)
        self.instruments.set("rtcprobe_on_demand_running", on_demand)
        self.instruments.set("rtcprobe_reports", shelf.count)
        self.instruments.set("rtcprobe_reports_bytes", shelf.total_bytes)
        limit_bytes = 0 if shelf.reports.folder is None else shelf.reports.limit_bytes
        self.instruments.set("rtcprobe_reports_limit_bytes", limit_bytes)
        self.instruments.set("rtcprobe_reports_writable", float(shelf.writable))

    async def measure_lag(self) -> None:
        """Measure for ever how late the loop runs."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + LAG_PERIOD_S
            await asyncio.sleep(LAG_PERIOD_S)
            self.instruments.observe("rtcprobe_loop_lag_seconds", max(0.0, loop.time() - due_s))
