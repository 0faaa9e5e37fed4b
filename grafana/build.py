"""The dashboards, from one small source: ``python grafana/build.py`` writes ``dashboards/*.json``; a test compares.

Rules:
    1. A dashboard answers one question; a panel's title is a question or a fact, its description says how to read it.
    2. Every panel has a unit. Limits are drawn where people set them: 600 ms, 100 ms, 150 ms.
    3. Queries use only metrics of ``METRICS.md``; a share divides counters, never averages of averages.
    4. Figures of several servers are put together only by counters; what only one server can be said to do is told by
       `instance`. The variable `$instance` holds servers that run on schedules, so what /probe and pushes leave in the
       same Prometheus is in no picture.
    5. The one time people choose is ``$window``: probes run once in minutes, so a rate needs several runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from panels import BAD, FAIR, GOOD, Dashboard, as_json, bars, heatmap, lines, number, table
from pictures import WHAT_IS_SEEN
from queries import (
    INVALID,
    ONE,
    PROBE,
    ROUTE,
    ROUTE_NAME,
    SERVER,
    UNHEARD,
    beyond_connect,
    beyond_ear,
    increase,
    kept,
    left,
    mean,
    now,
    q,
    quantile,
)
from rooms import WHO_HEARS_WHOM

FOLDER = Path(__file__).resolve().parent / "dashboards"

SHARE_LIMITS = ((0.9, FAIR), (0.95, GOOD))
LEFT_LIMITS = ((0.0, FAIR), (0.25, GOOD))
EAR_LIMITS = ((0.1, FAIR), (0.15, BAD))

BEYOND_LIMITS = ((0.05, FAIR), (0.25, BAD))
GOALS = (
    "The two numbers people feel: 600 ms, 100 ms",
    (
        number(
            "Joins beyond 600 ms",
            "Of the joins tried within the window, those that took longer than 600 ms or were never heard. One in "
            "twenty may.",
            "percentunit",
            now(beyond_connect("job"), "beyond"),
            limits=BEYOND_LIMITS,
            base=GOOD,
            width=4,
            decimals=1,
        ),
        number(
            "Speech later than 100 ms",
            "Of the markers heard within the window, those that came later than 100 ms, from where the ear notices "
            "(ITU-T G.107: no delay impairment up to it). One in twenty may; an ocean alone takes more.",
            "percentunit",
            now(beyond_ear("job"), "beyond"),
            limits=BEYOND_LIMITS,
            base=GOOD,
            width=4,
            decimals=1,
        ),
        lines(
            "Joins beyond 600 ms, by probe",
            "Share of the joins tried that took longer, or were never heard. Dashed: one in twenty.",
            "percentunit",
            q(beyond_connect("probe"), ROUTE_NAME),
            limits=((0.05, BAD),),
            width=8,
            top=1.0,
            height=5,
        ),
        lines(
            "Speech later than 100 ms, by probe",
            "Share of the markers heard that came later. Dashed: one in twenty.",
            "percentunit",
            q(beyond_ear("probe"), ROUTE_NAME),
            limits=((0.05, BAD),),
            width=8,
            top=1.0,
            height=5,
        ),
    ),
)
LAST_GOALS = (
    "The two numbers people feel: 600 ms, 100 ms",
    (
        number(
            "Joins beyond 600 ms",
            "Of the joins of the last run, those that took longer than 600 ms or were never heard, and the ends of the "
            "share's 95 % interval. One in twenty may.",
            "percentunit",
            now(f"max by (bound) (rtcprobe_last_join_beyond_600ms_ratio{{{ONE}}})", "{{bound}}"),
            limits=BEYOND_LIMITS,
            base=GOOD,
            width=12,
            decimals=1,
        ),
        number(
            "Speech later than 100 ms",
            "Of the markers heard in the last run, by direction: those that came later than 100 ms, and the ends of "
            "the share's 95 % interval. One in twenty may.",
            "percentunit",
            now(
                f"max by (direction, bound) (rtcprobe_last_mouth_to_ear_beyond_100ms_ratio{{{ONE}}})",
                "{{direction}} {{bound}}",
            ),
            limits=BEYOND_LIMITS,
            base=GOOD,
            width=12,
            decimals=1,
        ),
    ),
)

IS_IT_GOOD = Dashboard(
    uid="rtcprobe-good",
    title="rtcprobe: is it good?",
    description=(
        "Do calls connect in time and sound immediate, by region pair and target, and how much may still go wrong?"
    ),
    rows=(
        GOALS,
        (
            "Over the chosen window",
            (
                number(
                    "Joins within their limit",
                    "Of the joins tried, those heard within the limit of their probe's objective. A "
                    "join never heard counts as late.",
                    "percentunit",
                    now(kept("join", "slo"), "joins"),
                    limits=SHARE_LIMITS,
                    base=BAD,
                    decimals=1,
                ),
                number(
                    "Speech within its limit",
                    "Of the markers heard or lost, those heard within the mouth-to-ear limit of their "
                    "probe's objective.",
                    "percentunit",
                    now(kept("mouth_to_ear", "slo"), "speech"),
                    limits=SHARE_LIMITS,
                    base=BAD,
                    decimals=1,
                ),
                number(
                    "Join p95",
                    "95 of 100 joins that were heard took no longer, to within a histogram bucket.",
                    "s",
                    now(quantile(0.95, "rtcprobe_join_seconds", "job"), "p95"),
                    limits=((0.6, FAIR), (1.0, BAD)),
                    base=GOOD,
                    decimals=2,
                ),
                number(
                    "Mouth-to-ear p95",
                    "95 of 100 markers were heard no later, all directions together, to within a histogram bucket.",
                    "s",
                    now(quantile(0.95, "rtcprobe_mouth_to_ear_seconds", "job"), "p95"),
                    limits=((0.15, FAIR), (0.4, BAD)),
                    base=GOOD,
                    decimals=3,
                ),
                number(
                    "Worst MOS now",
                    "The lowest MOS (talking, ITU-T G.107 Annex B) among the last runs of the probes.",
                    "none",
                    now(f"min(rtcprobe_last_mos{{{PROBE}}})", "MOS"),
                    limits=((3.6, FAIR), (4.0, GOOD)),
                    base=BAD,
                    decimals=2,
                ),
                number(
                    "Last runs that passed",
                    "Share of the probes whose last run met every budget.",
                    "percentunit",
                    now(f'avg(rtcprobe_last_run_verdict{{{PROBE}, verdict="pass"}})', "pass"),
                    limits=((0.8, FAIR), (1.0, GOOD)),
                    base=BAD,
                    decimals=0,
                ),
            ),
        ),
        (
            "Which region pair is it?",
            (
                table(
                    "Each region pair against its objectives",
                    "Kept: share within the limit, over the window. Left: error budget not yet used "
                    "in the window; below 0 % it is spent.",
                    "percentunit",
                    (
                        ("joins kept", now(kept("join", ROUTE))),
                        ("join budget left", now(left("join", ROUTE))),
                        ("speech kept", now(kept("mouth_to_ear", ROUTE))),
                        ("speech budget left", now(left("mouth_to_ear", ROUTE))),
                        ("join p95", now(quantile(0.95, "rtcprobe_join_seconds", ROUTE))),
                        ("mouth-to-ear p95", now(quantile(0.95, "rtcprobe_mouth_to_ear_seconds", ROUTE))),
                        ("MOS", now(f"min by ({ROUTE}) (rtcprobe_last_mos{{{PROBE}}})")),
                    ),
                    keys=("probe", "target", "caller_region", "callee_region"),
                    units={"join p95": "s", "mouth-to-ear p95": "s", "MOS": "none"},
                    limits={
                        "joins kept": SHARE_LIMITS,
                        "speech kept": SHARE_LIMITS,
                        "join budget left": LEFT_LIMITS,
                        "speech budget left": LEFT_LIMITS,
                        "MOS": ((3.6, FAIR), (4.0, GOOD)),
                    },
                    bases=dict.fromkeys(
                        ("joins kept", "speech kept", "join budget left", "speech budget left", "MOS"), BAD
                    ),
                    height=9,
                ),
            ),
        ),
        (
            "Since when?",
            (
                lines(
                    "Joins kept, by probe",
                    "Share of the joins tried that were heard within the probe's limit.",
                    "percentunit",
                    q(kept("join", "probe"), ROUTE_NAME),
                    top=1.0,
                ),
                lines(
                    "Speech kept, by probe",
                    "Share of the markers heard or lost that were heard within the probe's limit.",
                    "percentunit",
                    q(kept("mouth_to_ear", "probe"), ROUTE_NAME),
                    top=1.0,
                ),
                heatmap(
                    "How long do joins take?",
                    "Every join that was heard. Darker: more joins. Buckets stand on 600 ms and 1 s.",
                    "rtcprobe_join_seconds",
                    PROBE,
                ),
                heatmap(
                    "How late is speech heard?",
                    "Every marker heard, all directions. Darker: more markers. Buckets stand on 100, 150 and 400 ms.",
                    "rtcprobe_mouth_to_ear_seconds",
                    PROBE,
                ),
                lines(
                    "Join p50 and p95, by probe",
                    "To within a histogram bucket. Joins never heard are not in it: see the share kept.",
                    "s",
                    q(quantile(0.5, "rtcprobe_join_seconds", "probe"), f"{ROUTE_NAME} p50"),
                    q(quantile(0.95, "rtcprobe_join_seconds", "probe"), f"{ROUTE_NAME} p95"),
                    limits=((0.6, BAD),),
                ),
                lines(
                    "Mouth-to-ear p50 and p95, by probe",
                    "To within a histogram bucket, all directions. Dashed: 100 ms, where the ear "
                    "notices; 150 ms (ITU-T G.114).",
                    "s",
                    q(quantile(0.5, "rtcprobe_mouth_to_ear_seconds", "probe"), f"{ROUTE_NAME} p50"),
                    q(quantile(0.95, "rtcprobe_mouth_to_ear_seconds", "probe"), f"{ROUTE_NAME} p95"),
                    limits=EAR_LIMITS,
                ),
            ),
        ),
    ),
)

WHY_IS_IT_SLOW = Dashboard(
    uid="rtcprobe-slow",
    title="rtcprobe: why is it slow?",
    description="Which phase of joining, which stage of the mouth-to-ear delay, which timer, which link?",
    rows=(
        GOALS,
        (
            "Joining",
            (
                lines(
                    "Where does a join spend its time?",
                    "Mean of each phase over the window, stacked in the order they happen; the sum is the mean join.",
                    "s",
                    q(mean("rtcprobe_join_phase_seconds", "phase"), "{{phase}}"),
                    stacked=True,
                ),
                lines(
                    "Which phase has a slow tail?",
                    "p95 of each phase, to within a histogram bucket.",
                    "s",
                    q(quantile(0.95, "rtcprobe_join_phase_seconds", "phase"), "{{phase}}"),
                ),
                lines(
                    "How much of a join do retransmissions cost?",
                    "Time that resent packets cost the joins, by the timer that waited, for each join tried.",
                    "s",
                    q(
                        f"sum by (timer) ({increase('rtcprobe_join_retransmission_cost_seconds_total')}) / "
                        f"ignoring (timer) group_left () sum ({increase('rtcprobe_join_attempts_total')})",
                        "{{timer}}",
                    ),
                    stacked=True,
                    width=8,
                ),
                lines(
                    "How often is something sent again?",
                    "Retransmissions for each join tried, by timer and by the side that resent.",
                    "none",
                    q(
                        f"sum by (timer, side) ({increase('rtcprobe_join_retransmissions_total')}) / "
                        f"ignoring (timer, side) group_left () sum ({increase('rtcprobe_join_attempts_total')})",
                        "{{timer}}, {{side}}",
                    ),
                    width=8,
                ),
                lines(
                    "In which phase do joins give up?",
                    "Share of the joins tried that were never heard, by the phase they did not finish.",
                    "percentunit",
                    q(
                        f"sum by (phase) ({increase('rtcprobe_join_failures_total')}) / "
                        f"ignoring (phase) group_left () sum ({increase('rtcprobe_join_attempts_total')})",
                        "{{phase}}",
                    ),
                    width=8,
                ),
            ),
        ),
        (
            "Voice agents",
            (
                lines(
                    "How long does the agent take to answer?",
                    "p50 and p95, to within a histogram bucket. Of the simulated agent most of it is what was written.",
                    "s",
                    q(quantile(0.5, "rtcprobe_response_seconds", "probe"), "{{probe}} p50"),
                    q(quantile(0.95, "rtcprobe_response_seconds", "probe"), "{{probe}} p95"),
                    width=8,
                ),
                lines(
                    "How long does it speak on when interrupted?",
                    "p50 and p95, to within a histogram bucket.",
                    "s",
                    q(quantile(0.5, "rtcprobe_barge_in_stop_seconds", "probe"), "{{probe}} p50"),
                    q(quantile(0.95, "rtcprobe_barge_in_stop_seconds", "probe"), "{{probe}} p95"),
                    width=8,
                ),
                lines(
                    "Which turns and interruptions came to nothing?",
                    "Share of each kind: lost are turns without an answer and interruptions that were missed.",
                    "percentunit",
                    q(
                        f"sum by (probe, kind) ({increase('rtcprobe_turns_total', UNHEARD)}) / "
                        f"sum by (probe, kind) ({increase('rtcprobe_turns_total')})",
                        "{{probe}} {{kind}}",
                    ),
                    width=8,
                ),
            ),
        ),
        (
            "Mouth to ear",
            (
                lines(
                    "Where does the delay come from?",
                    "Mean of each stage over the window and all directions, stacked as sound passes "
                    "them. The residual is not in it.",
                    "s",
                    q(mean("rtcprobe_mouth_to_ear_stage_seconds", "stage"), "{{stage}}"),
                    stacked=True,
                ),
                lines(
                    "Which direction is the slower?",
                    "p95 by direction, to within a histogram bucket. Dashed: 100 and 150 ms.",
                    "s",
                    q(quantile(0.95, "rtcprobe_mouth_to_ear_seconds", "probe, direction"), "{{probe}} {{direction}}"),
                    limits=EAR_LIMITS,
                ),
                lines(
                    "How much sound was made up?",
                    "Share of the samples that playout concealed, in the last run.",
                    "percentunit",
                    q(f"rtcprobe_last_concealed_ratio{{{PROBE}}}", "{{probe}} {{direction}}"),
                    width=8,
                ),
                lines(
                    "Which markers were not heard?",
                    "Share of the markers spoken that were lost, or rejected because they came "
                    "through too damaged to be timed.",
                    "percentunit",
                    q(
                        f"sum by (probe, fate) ({increase('rtcprobe_markers_total', UNHEARD)}) / "
                        f"ignoring (fate) group_left () sum by (probe) ({increase('rtcprobe_markers_total')})",
                        "{{probe}} {{fate}}",
                    ),
                    width=8,
                ),
                lines(
                    "How good is the conversation?",
                    "MOS of talking in the last run (ITU-T G.107 Annex B): the delay and the losses counted.",
                    "none",
                    q(f"rtcprobe_last_mos{{{PROBE}}}", "{{probe}} {{direction}}"),
                    limits=((3.6, GOOD),),
                    width=8,
                    top=4.5,
                ),
            ),
        ),
        (
            "The link: was it the network?",
            (
                lines(
                    "Loss: asked for and met",
                    "Share of the packets that the emulated link lost in the last run, beside what it "
                    "was asked to lose.",
                    "percentunit",
                    q(f"rtcprobe_last_link_loss_ratio{{{PROBE}}}", "{{probe}} {{direction}} {{seen}}"),
                ),
                lines(
                    "Delay p95: asked for and met",
                    "One-way delay of the emulated link in the last run, beside what it was asked to be.",
                    "s",
                    q(
                        f'rtcprobe_last_link_delay_seconds{{{PROBE}, aggregate="p95"}}',
                        "{{probe}} {{direction}} {{seen}}",
                    ),
                ),
            ),
        ),
    ),
)

ONE_CALL = Dashboard(
    uid="rtcprobe-call",
    title="rtcprobe: one call in depth",
    description=(
        "The last run of one probe, taken apart. The HTML report of every run is on the page of rtcprobe serve."
    ),
    single_probe=True,
    rows=(
        LAST_GOALS,
        (
            "The verdict",
            (
                number(
                    "What became of the last run?",
                    "pass, fail, inconclusive, invalid, or error: it did not get as far as a verdict.",
                    "none",
                    now(f"rtcprobe_last_run_verdict{{{ONE}}} == 1", "{{verdict}}"),
                    width=6,
                ),
                number(
                    "How long ago was it?",
                    "Time since the last run ended.",
                    "s",
                    now(f"time() - rtcprobe_last_run_timestamp_seconds{{{ONE}}}", "ago"),
                    width=4,
                ),
                number(
                    "Joins not heard",
                    "Of the joins of the last run.",
                    "none",
                    now(f"sum(rtcprobe_last_join_failures{{{ONE}}}) or vector(0)", "failed"),
                    limits=((1, BAD),),
                    base=GOOD,
                    width=4,
                ),
                number(
                    "MOS, by direction",
                    "Of talking (ITU-T G.107 Annex B), 1 to 4.5.",
                    "none",
                    now(f"rtcprobe_last_mos{{{ONE}}}", "{{direction}}"),
                    limits=((3.6, FAIR), (4.0, GOOD)),
                    base=BAD,
                    width=5,
                    decimals=2,
                ),
                number(
                    "R, by direction",
                    "Of the E-model (ITU-T G.107), at most 93.2; above 80 most users are satisfied.",
                    "none",
                    now(f"rtcprobe_last_r{{{ONE}}}", "{{direction}}"),
                    limits=((70, FAIR), (80, GOOD)),
                    base=BAD,
                    width=5,
                    decimals=1,
                ),
            ),
        ),
        (
            "The join and the delay",
            (
                bars(
                    "Where did the joins spend their time?",
                    "Mean of each phase over the joins of the last run.",
                    "s",
                    now(f"rtcprobe_last_join_phase_seconds{{{ONE}}}", "{{phase}}"),
                ),
                bars(
                    "Where does the delay come from?",
                    "The stages of the mouth-to-ear delay of the last run; in each direction they sum to its mean.",
                    "s",
                    now(f"rtcprobe_last_mouth_to_ear_stage_seconds{{{ONE}}}", "{{direction}} {{stage}}"),
                    height=10,
                ),
                lines(
                    "How long did the joins take, run by run?",
                    "Least, middle, mean and longest of the joins that were heard. A percentile of "
                    "too few joins is absent.",
                    "s",
                    q(f"rtcprobe_last_join_seconds{{{ONE}}}", "{{aggregate}}"),
                    limits=((0.6, BAD),),
                ),
                lines(
                    "How late was speech heard, run by run?",
                    "By direction. Dashed: 100 and 150 ms.",
                    "s",
                    q(f"rtcprobe_last_mouth_to_ear_seconds{{{ONE}}}", "{{direction}} {{aggregate}}"),
                    limits=EAR_LIMITS,
                ),
            ),
        ),
        (
            "The budgets and the evidence",
            (
                table(
                    "Which budgets were met?",
                    "1 met, 0 missed, of the last run; a budget that is still open has no row. "
                    "Advisory ones fail nothing.",
                    "none",
                    (("met", now(f"max by (budget, advisory) (rtcprobe_last_budget_met{{{ONE}}})")),),
                    keys=("budget", "advisory"),
                    limits={"met": ((1, GOOD),)},
                    bases={"met": BAD},
                    width=12,
                ),
                table(
                    "What did the link do?",
                    "Share of packets lost, and p95 of the one-way delay, asked for and met, in the last run.",
                    "percentunit",
                    (
                        ("loss", now(f"max by (direction, seen) (rtcprobe_last_link_loss_ratio{{{ONE}}})")),
                        (
                            "delay p95",
                            now(
                                f'max by (direction, seen) (rtcprobe_last_link_delay_seconds{{{ONE}, aggregate="p95"}})'
                            ),
                        ),
                    ),
                    keys=("direction", "seen"),
                    units={"delay p95": "s"},
                    width=12,
                ),
            ),
        ),
    ),
)

IS_THE_PROBE_HEALTHY = Dashboard(
    uid="rtcprobe-health",
    title="rtcprobe: is the probe itself healthy?",
    description=(
        "Do the figures mean anything: do runs start when due, end in time, and is the instrument out of its own way?"
    ),
    rows=(
        GOALS,
        (
            "Schedules",
            (
                number(
                    "Oldest valid run",
                    "Time since the last run whose figures count, of the probe that has waited longest.",
                    "s",
                    now(f"max(time() - rtcprobe_last_valid_run_timestamp_seconds{{{PROBE}}})", "ago"),
                    width=6,
                ),
                number(
                    "Starts missed",
                    "Due starts that did not take place within the window, for any reason.",
                    "none",
                    now(f"sum({increase('rtcprobe_runs_missed_total')}) or vector(0)", "missed"),
                    limits=((1, FAIR),),
                    base=GOOD,
                    width=6,
                    decimals=0,
                ),
                number(
                    "Invalid runs",
                    "Share of the runs in which the instrument dominated, or could not hear.",
                    "percentunit",
                    now(
                        f"(sum({increase('rtcprobe_runs_total', INVALID)}) or vector(0)) / "
                        f"sum({increase('rtcprobe_runs_total')})",
                        "invalid",
                    ),
                    limits=((0.01, FAIR), (0.1, BAD)),
                    base=GOOD,
                    width=6,
                    decimals=1,
                ),
                number(
                    "Configuration",
                    "1: the file last read is in force; 0: it was refused, and the one before goes on.",
                    "none",
                    now(f"min(rtcprobe_config_last_reload_successful{{{SERVER}}})", "understood"),
                    limits=((1, GOOD),),
                    base=BAD,
                    width=6,
                ),
                lines(
                    "What becomes of due starts?",
                    "Runs by verdict, errors and misses within the window.",
                    "none",
                    q(f"sum by (verdict) ({increase('rtcprobe_runs_total')})", "{{verdict}}"),
                    q(f"sum by (reason) ({increase('rtcprobe_run_errors_total')})", "error: {{reason}}"),
                    q(f"sum by (reason) ({increase('rtcprobe_runs_missed_total')})", "missed: {{reason}}"),
                    stacked=True,
                ),
                lines(
                    "How near to their timeout do runs come?",
                    "Mean duration of a run within the window as a share of the time it may take.",
                    "percentunit",
                    q(
                        f"{mean('rtcprobe_run_duration_seconds', 'probe')} / "
                        f"max by (probe) (rtcprobe_probe_timeout_seconds{{{PROBE}}})",
                        ROUTE_NAME,
                    ),
                    limits=((1.0, BAD),),
                ),
                lines(
                    "How long do due runs wait for a worker?",
                    "p95 within the window. Growing waits: more workers, or longer intervals.",
                    "s",
                    q(quantile(0.95, "rtcprobe_run_wait_seconds", "probe"), ROUTE_NAME),
                ),
                lines(
                    "Are there workers enough?",
                    "Worker processes by what they do, beside how many were asked for.",
                    "none",
                    q(f"sum by (state) (rtcprobe_workers{{{SERVER}}})", "{{state}}"),
                    q(f"sum(rtcprobe_workers_wanted{{{SERVER}}})", "wanted"),
                ),
            ),
        ),
        (
            "The instrument",
            (
                lines(
                    "How late was the instrument?",
                    "p95 of each part in the last run, probes on the real clock. Dashed: 5 ms, beyond "
                    "which a run is invalid.",
                    "s",
                    q(
                        f'rtcprobe_last_harness_lateness_seconds{{{PROBE}, aggregate="p95"}}',
                        "{{probe}} {{part}}",
                    ),
                    limits=((0.005, BAD),),
                ),
                lines(
                    "How late is the server's own loop?",
                    "p99 within the window: late, and scrapes time out.",
                    "s",
                    q(
                        "histogram_quantile(0.99, sum by (le, instance) "
                        f"(rate(rtcprobe_loop_lag_seconds_bucket{{{SERVER}}}[$window])))",
                        "{{instance}}",
                    ),
                ),
                lines(
                    "How fast are requests answered?",
                    "p99 within the window by handler; /probe makes a call, so it takes as long as one.",
                    "s",
                    q(
                        "histogram_quantile(0.99, sum by (le, handler) "
                        f"(rate(rtcprobe_http_request_duration_seconds_bucket{{{SERVER}}}[$window])))",
                        "{{handler}}",
                    ),
                ),
                lines(
                    "Does memory grow?",
                    "Resident memory of the server, and of the largest worker after its last run.",
                    "bytes",
                    q(f"process_resident_memory_bytes{{{SERVER}}}", "{{instance}}: server"),
                    q(f"rtcprobe_worker_max_resident_memory_bytes{{{SERVER}}}", "{{instance}}: largest worker"),
                ),
                lines(
                    "Is there room for reports?",
                    "Bytes of HTML reports on disk, beside how many they may take.",
                    "bytes",
                    q(f"rtcprobe_reports_bytes{{{SERVER}}}", "{{instance}}: used"),
                    q(f"rtcprobe_reports_limit_bytes{{{SERVER}}}", "{{instance}}: may be used"),
                ),
                lines(
                    "What became of the calls?",
                    "Calls that runs placed, by what became of them; void ones this machine's stalls took out of every "
                    "figure.",
                    "none",
                    q(f"sum by (fate) ({increase('rtcprobe_calls_total')})", "{{fate}}"),
                    stacked=True,
                ),
                lines(
                    "Which probes are silent?",
                    "1 while a probe has had no outcome, a run or an error, for two intervals.",
                    "none",
                    q(f"max by (probe) (rtcprobe_probe_silent{{{PROBE}}})", ROUTE_NAME),
                    top=1.0,
                ),
                lines(
                    "Why did worker processes end?",
                    "Within the window: recycled is housekeeping; timeout and crash are not.",
                    "none",
                    q(f"sum by (reason) (increase(rtcprobe_worker_exits_total{{{SERVER}}}[$window]))", "{{reason}}"),
                ),
            ),
        ),
    ),
)

DASHBOARDS = (IS_IT_GOOD, WHY_IS_IT_SLOW, WHAT_IS_SEEN, WHO_HEARS_WHOM, ONE_CALL, IS_THE_PROBE_HEALTHY)


def rendered() -> dict[str, str]:
    """Return every dashboard's file name and text: the same bytes for the same source."""
    return {f"{each.uid}.json": json.dumps(as_json(each), indent=2, ensure_ascii=False) + "\n" for each in DASHBOARDS}


def main() -> int:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
