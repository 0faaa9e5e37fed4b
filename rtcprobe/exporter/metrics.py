"""Every metric rtcprobe exports, in one table: name, type, unit, labels, buckets, meaning.

Facts:
    Names follow Prometheus' practice (prometheus.io/docs/practices/naming): base units, ``_total`` for counters. A
    bucket stands on every limit people set, because only there is a share exact: 600 ms to join, 100, 150 and 400 ms
    mouth to ear (ITU-T G.114). The failed joins are in no histogram; a share of good joins divides by the attempts.

Rules:
    1. Nothing is exported that is not in ``TABLE``, and the table in grafana/METRICS.md is this one; tests compare.
    2. What was not measured or not reached is absent, never 0. An invalid run moves no figure but the count of runs,
       its duration, what became of its calls, and the harness. A void call moves none in any run.
    3. Label values come from the configuration or from closed lists in the code, never from a measured text.
    4. ``rtcprobe_last_…`` and ``…_info`` are of one run, so they alone are pushed, written to textfiles and answered
       by ``/probe``; counters and histograms live in a process that stays.
    5. An objective of a probe (configuration key ``objectives``: for ``join`` and ``mouth_to_ear`` a limit and a share,
       by default 95% within 600ms and within 150ms) is counted exactly, event by event, not read off buckets: alerts
       burn on it (grafana/prometheus), each probe against its own limit. Events are joins tried (never heard: bad) and
       markers heard or lost (lost: bad; rejected ones say nothing of the product). Both outcomes exist from the start.
"""

from __future__ import annotations

import sys

from rtcprobe.exporter.metric import Metric, Scope, counter, gauge, histogram
from rtcprobe.exporter.picture_metrics import PROBE_ROWS as PICTURES_OF_PROBES
from rtcprobe.exporter.picture_metrics import RUN_ROWS as PICTURES_OF_RUNS
from rtcprobe.exporter.room_metrics import RUN_ROWS as ROOMS
from rtcprobe.result import STAGES
from rtcprobe.timeline import PHASE_OF, VIDEO_ORDER

__all__ = ["PROBE_LABELS", "TABLE", "Metric", "Scope", "markdown"]

PROBE_LABELS = ("probe", "scenario", "target", "caller_region", "callee_region")
"""On every metric of a run or probe. ``probe`` names the rest: they multiply no series. Of a room the regions are those
of who speaks and of who listens (``rooms``)."""

# Closest where goals lie (0.6 s to connect, 0.1 s to the ear): a quantile is known to within its bucket, and a burn of
# a goal needs its limit to be a bound. The last is the usual limit of each.
JOIN_BUCKETS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0, 30.0)
PHASE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)  # to DTLS's second timer (RFC 6347)
EAR_BUCKETS_S = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0, 2.0)
TURN_BUCKETS_S = (0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)  # people: 0.2 s (PNAS 106, 2009)
MESSAGE_BUCKETS_S = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)  # T3: 1 s (RFC 9260 §16)
STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5)  # encode to buffer
RUN_BUCKETS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)  # a join alone to ten minutes
WAIT_BUCKETS_S = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # the usual beat is a minute
LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)  # at a second a scrape suffers
HTTP_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0)  # /metrics first, /probe last


PHASES = (
    *PHASE_OF.values(),
    *("session_created", "plugin_attached", "room_joined", "offer_received", "answer_sent", "answer_accepted"),  # Janus
    *("counter_offer", "candidates_sent"),  # WHIP and WHEP
    "feed_ready",  # of a listener that came before its publisher was known
    *VIDEO_ORDER,  # of who hears the other side and does not see it
)
"""Every phase of a join to any target; a milestone that is the target's own ends a phase of its own name."""

_VERDICTS = "pass, fail, inconclusive, invalid"
_PHASES = f"phase: {', '.join(PHASES)}, other (one that is not known)"
_WAYS = (
    "direction: caller_to_callee, callee_to_caller, round_trip (an echo), ana_to_ben (parties by name), "
    "speaker_to_audience (roles, in a room of more than 20 ways)"
)
_AGGREGATES = "aggregate: min, mean, p50, p95, max (a percentile of too few samples is absent)"
_TIMERS = "timer: stun, dtls, signaling"
_FATES = "fate: heard, rejected, lost"
_STAGES = f"stage: {', '.join(STAGES)}"
_BUDGETS = "budget: its line; advisory: true, false"
_SEEN = "seen: requested, achieved"
_BOUNDS = "bound: share, low, high (the ends of its 95 % interval)"
_TURNS = "kind: response, barge_in"
_SLOS = "slo: join, mouth_to_ear"
_ERRORS = (
    "timeout (killed), crash (its process died), unmeasured (it could not measure), refused (its scenario), cancelled"
)

_PROBE_ROWS = (
    counter("probe", "runs_scheduled_total", "Starts that were due: each becomes a run, an error or a miss."),
    counter("probe", "runs_total", "Runs that ended with a verdict.", "verdict", f"verdict: {_VERDICTS}"),
    counter("probe", "run_errors_total", "Runs that ended without one.", "reason", f"reason: {_ERRORS}"),
    counter(
        "probe",
        "runs_missed_total",
        "Starts that were due and did not take place.",
        "reason",
        "reason: overlap (the run before was still going on), busy (no worker was free until the next was due), "
        "stalled (the process was asleep), cancelled (shutdown or reload while waiting)",
    ),
    counter("probe", "join_attempts_total", "Joins tried, in runs that are not invalid."),
    counter(
        "probe",
        "join_failures_total",
        "Joins that were not heard, by the phase they never finished.",
        "phase",
        _PHASES,
    ),
    counter(
        "probe",
        "join_retransmissions_total",
        "Retransmissions while joining.",
        "timer side",
        f"{_TIMERS}; side: caller, callee (in a large room a role)",
    ),
    counter(
        "probe",
        "join_retransmission_cost_seconds_total",
        "What those retransmissions cost the joins.",
        "timer",
        _TIMERS,
    ),
    counter(
        "probe",
        "calls_total",
        "Calls that runs placed to hear markers in, by what became of them.",
        "fate",
        "fate: whole, cut (it ended before its time), failed (never joined), "
        "void (this machine stalled: nothing of it counts)",
    ),
    counter(
        "probe",
        "markers_total",
        "Markers spoken, by what became of them.",
        "direction fate",
        f"{_WAYS}; {_FATES}",
    ),
    counter(
        "probe",
        "budget_verdicts_total",
        "Verdicts on each budget line.",
        "budget advisory verdict",
        f"{_BUDGETS}; verdict: met, missed, undecided, inconclusive",
    ),
    counter(
        "probe",
        "slo_events_total",
        "Joins tried, and markers heard or lost, by whether they kept the limit of the probe's objective.",
        "slo outcome",
        f"{_SLOS}; outcome: good, bad",
    ),
    gauge("probe", "slo_limit_seconds", "The limit of the objective.", "slo", _SLOS),
    gauge("probe", "slo_objective_ratio", "The share of the events that is meant to keep it.", "slo", _SLOS),
    histogram(
        "probe",
        "join_seconds",
        "Call started until the other side is heard, of the joins that were heard.",
        buckets=JOIN_BUCKETS_S,
    ),
    histogram(
        "probe", "join_phase_seconds", "Each phase that a join finished.", "phase", _PHASES, buckets=PHASE_BUCKETS_S
    ),
    histogram(
        "probe",
        "mouth_to_ear_seconds",
        "Marker spoken until heard, an observation a marker.",
        "direction",
        _WAYS,
        buckets=EAR_BUCKETS_S,
    ),
    histogram(
        "probe",
        "mouth_to_ear_stage_seconds",
        "Each stage of the delay, an observation a run: its mean. Without the residual, which may be negative.",
        "direction stage",
        f"{_WAYS}; {_STAGES}",
        buckets=STAGE_BUCKETS_S,
    ),
    counter(
        "probe",
        "turns_total",
        "Turns of conversations with an agent, and interruptions of it, by what became of them.",
        "kind fate",
        f"{_TURNS}; {_FATES}",
    ),
    histogram(
        "probe",
        "response_seconds",
        "Last sample of a turn spoken until the first of the agent's answer is heard, an observation a turn.",
        buckets=TURN_BUCKETS_S,
    ),
    histogram(
        "probe",
        "barge_in_stop_seconds",
        "Speaking into the agent's speech until it has stopped, an observation an interruption.",
        buckets=TURN_BUCKETS_S,
    ),
    counter(
        "probe",
        "messages_total",
        "Messages sent over data channels, by what became of them.",
        "direction fate",
        f"{_WAYS}; {_FATES}",
    ),
    histogram(
        "probe",
        "message_delay_seconds",
        "Message due at one side until delivered at the other, an observation a message.",
        "direction",
        _WAYS,
        buckets=MESSAGE_BUCKETS_S,
    ),
    histogram("probe", "run_duration_seconds", "How long runs took on the machine.", buckets=RUN_BUCKETS_S),
    histogram("probe", "run_wait_seconds", "How long due runs waited for a worker.", buckets=WAIT_BUCKETS_S),
    gauge("probe", "probe_interval_seconds", "Time between two due starts."),
    gauge("probe", "probe_timeout_seconds", "How long a run may take before it is killed."),
    gauge("probe", "probe_running", "1 while a run is going on."),
    gauge("probe", "probe_silent", "1 while the probe has had no outcome (a run or an error) for two intervals."),
    gauge("probe", "last_valid_run_timestamp_seconds", "When the last run ended whose figures count."),
)

_RUN_ROWS = (
    gauge(
        "run",
        "probe_info",
        "1; how the probe is set up.",
        "clock caller_access callee_access",
        "clock: virtual, real; caller_access: rtcprobe links lists them; callee_access: likewise",
    ),
    gauge(
        "run",
        "last_run_verdict",
        "1 for what became of the last run, 0 for the rest.",
        "verdict",
        f"verdict: {_VERDICTS}, error",
    ),
    gauge("run", "last_run_timestamp_seconds", "When the last run ended."),
    gauge("run", "last_run_duration_seconds", "How long it took on the machine."),
    gauge("run", "last_join_seconds", "Its joins that were heard.", "aggregate", _AGGREGATES),
    gauge("run", "last_join_attempts", "Its joins tried."),
    gauge("run", "last_join_failures", "Its joins not heard, by the phase never finished.", "phase", _PHASES),
    gauge("run", "last_join_phase_seconds", "Mean of each phase over its joins.", "phase", _PHASES),
    gauge("run", "last_join_retransmissions", "Its retransmissions while joining.", "timer", _TIMERS),
    gauge(
        "run",
        "last_mouth_to_ear_seconds",
        "Its mouth-to-ear delay.",
        "direction aggregate",
        f"{_WAYS}; {_AGGREGATES}",
    ),
    gauge(
        "run",
        "last_mouth_to_ear_stage_seconds",
        "The stages of that delay, which sum to its mean.",
        "direction stage",
        f"{_WAYS}; {_STAGES}",
    ),
    gauge("run", "last_response_seconds", "Its answers, by an agent.", "aggregate", _AGGREGATES),
    gauge("run", "last_barge_in_stop_seconds", "Its interruptions of an agent.", "aggregate", _AGGREGATES),
    gauge(
        "run",
        "last_message_delay_seconds",
        "Its messages: due until delivered.",
        "direction aggregate",
        f"{_WAYS}; {_AGGREGATES}",
    ),
    gauge("run", "last_messages", "Its messages.", "direction fate", f"{_WAYS}; {_FATES}"),
    gauge("run", "last_markers", "Its markers.", "direction fate", f"{_WAYS}; {_FATES}"),
    gauge("run", "last_concealed_ratio", "Share of the sound that playout made up.", "direction", _WAYS),
    gauge("run", "last_unplayed_ratio", "Share of the frames that were never played.", "direction", _WAYS),
    gauge("run", "last_r", "R of the E-model (ITU-T G.107), at most 93.2.", "direction", _WAYS),
    gauge("run", "last_mos", "MOS of talking, from R (ITU-T G.107 Annex B), 1 to 4.5.", "direction", _WAYS),
    gauge("run", "last_listening_mos", "MOS of listening: the delay left out.", "direction", _WAYS),
    gauge(
        "run",
        "last_link_delay_seconds",
        "One-way delay of the emulated link.",
        "direction seen aggregate",
        f"{_WAYS}; {_SEEN}; aggregate: min, p5, p50, p95, p99, max",
    ),
    gauge(
        "run",
        "last_link_loss_ratio",
        "Share of the packets lost on the emulated link.",
        "direction seen",
        f"{_WAYS}; {_SEEN}",
    ),
    gauge(
        "run",
        "last_harness_lateness_seconds",
        "How late the instrument itself was; a virtual clock is never late and has none.",
        "part aggregate",
        "part: loop_lag, emulator_late, pacing_late; aggregate: p50, p95, p99",
    ),
    gauge("run", "last_harness_detection_error_seconds", "How far the ear misses the truth on this speech."),
    gauge(
        "run",
        "last_join_beyond_600ms_ratio",
        "Share of its joins that took longer than 600 ms, those never heard among them.",
        "bound",
        _BOUNDS,
    ),
    gauge(
        "run",
        "last_mouth_to_ear_beyond_100ms_ratio",
        "Share of its markers heard that came later than 100 ms.",
        "direction bound",
        f"{_WAYS}; {_BOUNDS}",
    ),
    gauge("run", "last_slo_kept_ratio", "Share of its events that kept the limit of the objective.", "slo", _SLOS),
    gauge("run", "last_budget_met", "1 met, 0 missed; absent while open.", "budget advisory", _BUDGETS),
)

_HANDLERS = "handler: /, /metrics, /probe, /runs, /-/healthy, /-/ready, /-/reload, other"

_SERVER_ROWS = (
    gauge("server", "build_info", "1; what is running.", "version python aiortc", ""),
    gauge("server", "config_last_reload_successful", "Whether the configuration last read was understood."),
    gauge(
        "server",
        "config_last_reload_success_timestamp_seconds",
        "When the configuration in force was read.",
    ),
    gauge("server", "probes", "Probes configured."),
    gauge("server", "workers_wanted", "Worker processes configured (concurrency)."),
    gauge("server", "workers", "Worker processes.", "state", "state: starting, idle, busy"),
    gauge("server", "worker_max_resident_memory_bytes", "Memory of the largest worker after its last run."),
    counter(
        "server",
        "worker_exits_total",
        "Worker processes that ended.",
        "reason",
        "reason: timeout (killed), crash, recycled (after its share of runs or memory), cancelled",
    ),
    gauge("server", "on_demand_running", "Requests to /probe being answered."),
    counter(
        "server",
        "on_demand_runs_total",
        "Runs that /probe asked for, by how they ended.",
        "outcome",
        f"outcome: {_VERDICTS}, timeout, crash, unmeasured, refused, cancelled",
    ),
    gauge("server", "reports", "HTML reports kept on disk."),
    gauge("server", "reports_bytes", "What they take."),
    gauge("server", "reports_limit_bytes", "What they may take."),
    gauge("server", "reports_writable", "0 after a report could not be written; 1 otherwise."),
    counter("server", "report_failures_total", "Reports that could not be made or written."),
    counter(
        "server",
        "http_requests_total",
        "Requests answered.",
        "handler code",
        f"{_HANDLERS}; code: HTTP status",
    ),
    histogram(
        "server", "http_request_duration_seconds", "Time to answer.", "handler", _HANDLERS, buckets=HTTP_BUCKETS_S
    ),
    histogram("server", "loop_lag_seconds", "How late the server's own loop runs.", buckets=LAG_BUCKETS_S),
)

TABLE: tuple[Metric, ...] = (*_PROBE_ROWS, *PICTURES_OF_PROBES, *_RUN_ROWS, *PICTURES_OF_RUNS, *ROOMS, *_SERVER_ROWS)

_SCOPES: tuple[tuple[Scope, str, str], ...] = (
    ("run", "The last run", "Exported by `rtcprobe serve`, `/probe`, `rtcprobe run --push` and `--openmetrics`."),
    ("probe", "All runs of a probe", "Exported by `rtcprobe serve`."),
    ("server", "The server itself", "Exported by `rtcprobe serve`, beside `process_…` of this process."),
)


_PREFACE = """\
Written by `python -m rtcprobe.exporter.metrics > grafana/METRICS.md`; a test compares.

Metrics of a run or a probe carry {common} before the labels below. `probe` is its name in the configuration (the
scenario's for `rtcprobe run` and `/probe`) and names the others. Durations are seconds, shares are ratios; what was not
measured is absent, never 0.

`/probe` adds the blackbox exporter's `probe_success` (1: its verdict is pass) and `probe_duration_seconds`."""


def markdown() -> str:
    """Return the table as Markdown, as grafana/METRICS.md holds it."""
    common = ", ".join(f"`{name}`" for name in PROBE_LABELS)
    lines = ["# Metrics", "", _PREFACE.format(common=common)]
    for scope, title, where in _SCOPES:
        lines += ["", f"## {title}", "", where, "", "| name | type | meaning | labels |", "|---|---|---|---|"]
        lines += [
            f"| `{each.name}` | {each.kind} | {each.meaning} | {', '.join(f'`{label}`' for label in each.labels)} |"
            for each in TABLE
            if each.scope == scope
        ]
    lines += ["", "## Label values", "", "| label | values | of |", "|---|---|---|"]
    told: dict[str, list[str]] = {}
    for each in TABLE:
        for value in each.values:
            told.setdefault(value, []).append(f"`{each.name}`")
    for value, names in told.items():
        label, _, text = value.partition(": ")
        lines.append(f"| `{label}` | {text} | {', '.join(names)} |")
    lines += ["", "## Buckets", "", "| name | upper bounds in seconds, and +Inf |", "|---|---|"]
    lines += [
        f"| `{each.name}` | {' '.join(f'{bound:g}' for bound in each.buckets)} |" for each in TABLE if each.buckets
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
