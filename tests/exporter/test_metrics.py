"""The table of metrics: what is exported is in it, what is in it is exported, and its figures are the result's."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from rtcprobe.exporter.board import view
from rtcprobe.exporter.config import OBJECTIVES, Objective
from rtcprobe.exporter.instruments import Instruments, expose, expose_gzip, negotiate, takes_gzip
from rtcprobe.exporter.metrics import EAR_BUCKETS_S, JOIN_BUCKETS_S, PHASES, PROBE_LABELS, TABLE, markdown
from rtcprobe.exporter.outcome import (
    Outcome,
    add_run,
    failed_phase,
    probe_labels,
    set_last_run,
    set_objectives,
    set_up,
    start_series,
)
from rtcprobe.exporter.page import _sparks
from rtcprobe.probe import run_probe
from rtcprobe.report.sentences import arrow
from rtcprobe.result import Join, Joins, Lateness, PlacedCall
from rtcprobe.scenario import find_scenario
from rtcprobe.verdict import goals, judge, parse_budget
from tests import rooms_made, talks, written
from tests.sights import shown

LABELS = dict(zip(PROBE_LABELS, ("p", "1v1-social", "loopback", "bangkok", "singapore"), strict=True))


def outcome(result=None, **more):
    given = {"seed": 3, "ended_unix_s": 1.7e9, "duration_s": 2.5, **more}
    return Outcome(result=result, **given)


@pytest.fixture
def watched(judged):
    """Return the same with pictures."""
    return judge(shown(judged), [])


@pytest.fixture
def judged(make_result, make_attempt):
    attempts = (*(make_attempt(),) * 20, make_attempt(dtls_lost=True), make_attempt(failed="not within 30 s"))
    budgets = [parse_budget(each) for each in ("join.failed mean <= 0%", "mouth_to_ear p95 < 100ms (advisory)")]
    return judge(make_result(join=Joins(attempts=attempts)), budgets)


@pytest.fixture
def one(judged):
    return filled(judged)


def filled(judged):
    instruments = Instruments(("probe", "run"), LABELS)
    scenario = find_scenario("1v1-social")
    start_series(instruments, scenario, outside=False)
    set_up(instruments, scenario, "virtual")
    set_objectives(instruments, OBJECTIVES)
    for name in ("interval", "timeout"):
        instruments.set(f"rtcprobe_probe_{name}_seconds", 60)
    for name in ("running", "silent"):
        instruments.set(f"rtcprobe_probe_{name}", 0)
    instruments.count("rtcprobe_runs_missed_total", reason="overlap")
    real = replace(judged, harness=replace(judged.harness, loop_lag=Lateness(p50_s=1e-4), detection_error_s=1e-5))
    add_run(instruments, outcome(real), OBJECTIVES)
    set_last_run(instruments, outcome(real, goals=goals(real)))
    return instruments


def families(body):
    return {family.name: family for family in read_text(body.decode())}


def test_the_document_is_the_table():
    document = Path(__file__).resolve().parents[2] / "grafana" / "METRICS.md"
    assert document.read_text(encoding="utf-8") == markdown(), (
        "python -m rtcprobe.exporter.metrics > grafana/METRICS.md"
    )


def test_every_metric_of_a_probe_is_exported_as_the_table_says(judged):
    watched = judge(shown(judged), [parse_budget("join.failed mean <= 0%")])
    # no scenario has all of them
    three = judge(
        rooms_made.room(
            rooms_made.heard("ana_to_ben", *[100] * 20),
            rooms_made.heard("ana_to_cho", *[150] * 20),
            rooms_made.heard("ben_to_ana", *[100] * 20, spells=[(3.5, 10.0)]),
            happenings=[(3.0, "ben", "publish")],
            joins=[rooms_made.join("cho", 0.5)],
        ),
        [],
    )
    accounts = (*watched.accounts, *talks.result().accounts, written.account())
    every = replace(watched, accounts=accounts, room=three.room)
    exported = families(expose([filled(every)], "text"))
    for row in TABLE:
        if row.scope == "server":
            continue
        family = exported.pop(row.name.removesuffix("_total") if row.kind == "counter" else row.name)
        assert family.type == row.kind
        assert family.documentation == row.meaning
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == {*PROBE_LABELS, *row.labels}
        if row.buckets:
            bounds = {float(each.labels["le"]) for each in family.samples if each.name.endswith("_bucket")}
            assert bounds == {*row.buckets, float("inf")}
    assert not exported


def test_both_formats_say_the_same_and_openmetrics_ends(one):
    text = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for f in families(expose([one], "text")).values()
        for s in f.samples
    }
    body = expose([one], "openmetrics").decode()
    strict = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in read_openmetrics(body) for s in f.samples}
    assert text == strict
    assert body.endswith("# EOF\n")
    assert body.count("# UNIT rtcprobe_join_seconds seconds") == 1


def test_what_is_packed_is_what_is_said_also_after_a_change(one):
    nothing = Instruments(("probe",), {**LABELS, "probe": "q"})
    for value in (1, 0):
        one.set("rtcprobe_probe_running", value)
        for form in ("text", "openmetrics"):
            packed = expose_gzip([one, nothing], form)
            assert gzip.decompress(packed) == expose([one, nothing], form)
            assert len(packed) < len(expose([one], form)) / 8
    assert gzip.decompress(expose_gzip([], "text")) == b""


def test_a_label_is_read_back_as_it_was_whatever_is_in_it():
    odd = {**LABELS, "caller_region": 'a "b" \\ c\nd\\n {e="f"}, é'}
    instruments = Instruments(("probe", "run"), odd)
    instruments.set("rtcprobe_probe_running", 1)
    instruments.observe("rtcprobe_join_seconds", 0.6)
    for read, form in ((read_text, "text"), (read_openmetrics, "openmetrics")):
        samples = [s for family in read(expose([instruments], form).decode()) for s in family.samples]
        assert {s.labels["caller_region"] for s in samples} == {odd["caller_region"]}
        assert {s.labels["le"]: s.value for s in samples if "le" in s.labels}["0.6"] == 1.0  # the bound is within


def test_names_and_labels_are_what_prometheus_wants():
    for row in TABLE:
        assert re.fullmatch(r"rtcprobe_[a-z0-9_]+", row.name)
        assert not set(row.labels) & {"le", "quantile", "job", "instance", *PROBE_LABELS}
        assert row.meaning.endswith(".")
        assert not row.name.endswith(("_count", "_sum", "_bucket", "_ms"))
        assert [each.split(": ")[0] for each in row.values] == [*row.labels][: len(row.values)]


def test_buckets_stand_where_budgets_do():
    assert {0.1, 0.6, 1.0, 5.0} <= set(JOIN_BUCKETS_S)
    assert {0.02, 0.1, 0.15, 0.4} <= set(EAR_BUCKETS_S)


def bucket_of(value, bounds):
    return next((number for number, bound in enumerate(bounds) if value <= bound), len(bounds))


def histogram_quantile(q, family):
    """As PromQL's histogram_quantile: the place in line, linear within its bucket."""
    counts = [(float(s.labels["le"]), s.value) for s in family if s.name.endswith("_bucket")]
    rank = q * counts[-1][1]
    low = below = 0.0
    for bound, count in counts:
        if count >= rank:
            return low if bound == float("inf") else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    raise AssertionError


def test_quantiles_of_the_histograms_agree_with_the_result_within_one_bucket(one, judged):
    exported = families(expose([one], "text"))
    joins = judged.join.summary["first_audio"]
    joins_family = exported["rtcprobe_join_seconds"].samples
    for direction, ear in judged.mouth_to_ear.items():
        ears_family = [
            s for s in exported["rtcprobe_mouth_to_ear_seconds"].samples if s.labels["direction"] == direction
        ]
        for name, q in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95)):
            found = bucket_of(histogram_quantile(q, ears_family), EAR_BUCKETS_S)
            assert abs(found - bucket_of(ear.summary.quantile(name).value, EAR_BUCKETS_S)) <= 1
    raw = bucket_of(joins.quantile("p50").value, JOIN_BUCKETS_S)
    assert abs(bucket_of(histogram_quantile(0.5, joins_family), JOIN_BUCKETS_S) - raw) <= 1


def test_a_share_at_a_bucket_is_exact(one, judged, series):
    got = series(expose([one], "text"))
    under = sum(a.first_audio_s is not None and a.first_audio_s <= 0.6 for a in judged.join.attempts)
    assert got["rtcprobe_join_seconds_bucket", "le=0.6", "probe=p"] == under == 20
    assert got["rtcprobe_join_attempts_total", "probe=p"] == 22  # one late, one never


def test_the_goals_of_everybody_stand_with_their_share_and_its_interval(one, judged, series):
    got = series(expose([one], "text"))
    # Two of 22 joins are beyond 600 ms: one of 1,487 ms, one never heard.
    name = "rtcprobe_last_join_beyond_600ms_ratio"
    assert got[name, "bound=share", "probe=p"] == pytest.approx(2 / 22)
    assert got[name, "bound=low", "probe=p"] < 2 / 22 < got[name, "bound=high", "probe=p"]
    name = "rtcprobe_last_mouth_to_ear_beyond_100ms_ratio"
    for direction, ear in judged.mouth_to_ear.items():
        share = sum(each.delay_s > 0.1 for each in ear.samples) / ear.heard
        assert got[name, "bound=share", f"direction={direction}", "probe=p"] == pytest.approx(share)


def test_calls_are_counted_by_what_became_of_them_those_of_an_invalid_run_too(judged, series):
    placed = (
        PlacedCall(call=0),
        PlacedCall(call=1, void="this machine stopped for 0.61 s at 14.2 s", cut="x"),
        PlacedCall(call=1, attempt=2, cut="the path broke"),
        PlacedCall(call=2, failed="never joined"),
    )
    for verdict in ("pass", "invalid"):
        instruments = Instruments(("probe", "run"), LABELS)
        add_run(instruments, outcome(replace(judged, calls=placed, verdict=verdict)), OBJECTIVES)
        got = series(expose([instruments], "text"))
        fates = {
            fate: got["rtcprobe_calls_total", f"fate={fate}", "probe=p"] for fate in ("whole", "void", "cut", "failed")
        }
        assert fates == {"whole": 1, "void": 1, "cut": 1, "failed": 1}


def test_a_run_of_several_calls_counts_every_marker_that_counts_once_and_draws_them_call_by_call(series):
    scenario = find_scenario("1v1-social", ["call.joins=2", "call.calls=3", "call.duration=6s"])
    result = run_probe(scenario, seed=5, clock="virtual")
    assert len({each.call for each in result.mouth_to_ear["caller_to_callee"].samples}) == 3
    instruments = Instruments(("probe", "run"), LABELS)
    tight = {"join": Objective(limit_s=1e-3, share=0.9), "mouth_to_ear": Objective(limit_s=10.0, share=0.9)}
    ended = outcome(result)
    add_run(instruments, ended, tight)
    got = series(expose([instruments], "text"))
    for direction, ear in result.mouth_to_ear.items():
        key = (f"direction={direction}", "probe=p")
        assert got["rtcprobe_mouth_to_ear_seconds_count", *key] == ear.heard == sum(each.heard for each in ear.calls)
        fates = sum(
            got["rtcprobe_markers_total", key[0], f"fate={fate}", key[1]] for fate in ("heard", "rejected", "lost")
        )
        assert fates == ear.scheduled == sum(each.scheduled for each in ear.calls)
        in_order = sorted(ear.samples, key=lambda each: (each.call, each.spoken_s))
        drawn = [each for each in view(ended).delays[direction] if each is not None]
        assert drawn == [each.delay_s for each in in_order]
    good = got["rtcprobe_slo_events_total", "outcome=good", "probe=p", "slo=mouth_to_ear"]
    assert good == sum(ear.heard for ear in result.mouth_to_ear.values())
    assert got["rtcprobe_calls_total", "fate=whole", "probe=p"] == 3
    assert got["rtcprobe_join_attempts_total", "probe=p"] == len(result.join.attempts)


def test_pictures_are_counted_frame_by_frame_and_stand_under_the_way_of_their_sound(watched, series):
    got, way = series(expose([filled(watched)], "text")), "direction=caller_to_callee"
    assert got["rtcprobe_frames_total", way, "fate=seen", "probe=p"] == 5 * 90
    assert got["rtcprobe_glass_to_glass_seconds_count", way, "probe=p"] == 5 * 90
    # Five calls of 2 s watched, frozen for 0.50 to 0.54 s.
    assert got["rtcprobe_watched_seconds_total", way, "probe=p"] == pytest.approx(10.0)
    assert got["rtcprobe_frozen_seconds_total", way, "probe=p"] == pytest.approx(2.6)
    assert got["rtcprobe_last_frozen_ratio", way, "probe=p"] == pytest.approx(0.26)
    assert got["rtcprobe_last_ssim", "aggregate=p5", way, "probe=p"] == pytest.approx(0.8)
    assert got["rtcprobe_join_first_picture_seconds_count", "probe=p"] == 21  # one of 22 was never heard
    assert got["rtcprobe_last_av_skew_seconds", "aggregate=mean", way, "probe=p"] < 0


def test_a_failed_join_is_an_attempt_and_a_failure_and_in_no_histogram(one, series):
    got = series(expose([one], "text"))
    assert got["rtcprobe_join_failures_total", "phase=answer", "probe=p"] == 1
    assert got["rtcprobe_join_failures_total", "phase=ice", "probe=p"] == 0
    assert got["rtcprobe_join_seconds_count", "probe=p"] == 21
    assert got["rtcprobe_join_retransmissions_total", "probe=p", "side=caller", "timer=dtls"] == 1
    assert got["rtcprobe_join_retransmission_cost_seconds_total", "probe=p", "timer=dtls"] == 1.0


def test_objectives_count_events_exactly_a_join_never_heard_and_a_marker_lost_are_bad(judged, series):
    instruments = Instruments(("probe", "run"), LABELS)
    tight = {"join": Objective(limit_s=0.5, share=0.9), "mouth_to_ear": Objective(limit_s=10.0, share=0.99)}
    add_run(instruments, outcome(judged), tight)
    got = series(expose([instruments], "text"))
    # 20 joins of 487 ms; one of 1,487 ms and one never
    assert got["rtcprobe_slo_events_total", "outcome=good", "probe=p", "slo=join"] == 20
    assert got["rtcprobe_slo_events_total", "outcome=bad", "probe=p", "slo=join"] == 2
    # of each direction 118 heard, 1 lost; the rejected one says nothing
    directions = len(judged.mouth_to_ear)
    assert got["rtcprobe_slo_events_total", "outcome=good", "probe=p", "slo=mouth_to_ear"] == 118 * directions
    assert got["rtcprobe_slo_events_total", "outcome=bad", "probe=p", "slo=mouth_to_ear"] == directions


def test_a_room_has_the_series_of_every_way_and_of_every_leg(make_room, series):
    room = judge(make_room(), [])
    instruments = Instruments(("probe", "run"), LABELS)
    add_run(instruments, outcome(room), OBJECTIVES)
    set_last_run(instruments, outcome(room))
    got = series(expose([instruments], "text"))
    for way, ear in room.mouth_to_ear.items():
        assert got["rtcprobe_markers_total", f"direction={way}", "fate=lost", "probe=p"] == ear.lost
        assert got["rtcprobe_last_r", f"direction={way}", "probe=p"] == pytest.approx(ear.r)
        assert got["rtcprobe_last_link_loss_ratio", f"direction={way}", "probe=p", "seen=requested"] == 0.01
    assert [spark.name for spark in _sparks(view(outcome(room)))] == [arrow(way) for way in room.mouth_to_ear]


def test_the_last_run_is_that_run_alone_and_what_it_did_not_reach_is_absent(one, make_result, make_attempt, series):
    nothing = judge(make_result(join=Joins(attempts=(make_attempt(failed="x"),)), mouth_to_ear={}, link={}), [])
    set_last_run(one, outcome(nothing))
    got = series(expose([one], "text"))
    assert got["rtcprobe_last_run_verdict", "probe=p", "verdict=inconclusive"] == 1
    assert got["rtcprobe_last_join_failures", "phase=answer", "probe=p"] == 1
    last = {key[0] for key in got if key[0].startswith("rtcprobe_last_")}
    assert "rtcprobe_last_join_seconds" not in last
    assert "rtcprobe_last_mouth_to_ear_seconds" not in last
    assert "rtcprobe_last_link_loss_ratio" not in last
    set_last_run(one, outcome(failure="timeout", sentence="late"))
    got = series(expose([one], "text"))
    assert got["rtcprobe_last_run_verdict", "probe=p", "verdict=error"] == 1
    assert not any(key[0] == "rtcprobe_last_join_attempts" for key in got)


def test_an_invalid_run_moves_the_count_of_runs_and_no_figure(one, judged, series):
    before = series(expose([one], "text"))
    add_run(one, outcome(replace(judged, verdict="invalid")), OBJECTIVES)
    after = series(expose([one], "text"))
    moved = {
        key[0].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for key in after
        if after[key] != before[key]
    }
    assert moved == {"rtcprobe_runs_total", "rtcprobe_run_duration_seconds", "rtcprobe_run_wait_seconds"}


@pytest.mark.parametrize(
    ("awaited", "phase"),
    [
        ("signaling_connected", "signaling"),
        ("tcp_connected", "tcp"),
        ("ice_connected", "ice"),  # also of a listener in a room, who was never sent an answer
        ("answer_received", "answer"),
        ("first_audio", "playout"),
        ("session_created", "session_created"),
        ("a milestone of nobody's", "other"),
        (None, "other"),  # an older result
    ],
)
def test_a_failed_join_is_blamed_on_the_phase_that_its_missing_milestone_ends(awaited, phase):
    assert failed_phase(Join(party="caller", round=0, marks={"offer_sent": 0.1}, failed="x", awaited=awaited)) == phase


def test_every_milestone_of_every_target_ends_a_phase_of_the_table():
    from rtcprobe.call.targets import janus_calls, whip
    from rtcprobe.timeline import PHASE_OF, VIDEO_ORDER

    orders = (
        janus_calls.ECHO_ORDER,
        janus_calls.SPEAKER_ORDER,
        janus_calls.LISTENER_ORDER,
        whip.WhipWhepCall.milestones,
    )
    assert {PHASE_OF.get(each, each) for order in (*orders, VIDEO_ORDER) for each in order} == set(PHASES)


def test_a_phase_that_a_strange_target_brings_is_other(series, make_result):
    strange = Join(party="caller", round=0, marks={"first_audio": 0.3}, phases={"http_https://host/secret-room": 0.3})
    instruments = Instruments(("probe", "run"), LABELS)
    add_run(instruments, outcome(judge(make_result(join=Joins(attempts=(strange,))), [])), OBJECTIVES)
    got = series(expose([instruments], "text"))
    assert got["rtcprobe_join_phase_seconds_count", "phase=other", "probe=p"] == 1


def test_families_of_several_probes_stand_together(one):
    other = Instruments(("probe", "run"), {**LABELS, "probe": "q"})
    start_series(other, find_scenario("1v1-social"), outside=False)
    names = [
        line.split()[2] for line in expose([one, other], "text").decode().splitlines() if line.startswith("# TYPE")
    ]
    assert len(names) == len(set(names))


def test_labels_of_a_probe_hold_no_secret():
    labels = probe_labels("p", find_scenario("1v1-social"), "whip+whep://user:hunter2@host/x?token=hunter3")
    assert labels["target"] == "whip+whep://***@host/x?token=***"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "text"),
        ("*/*", "text"),
        ("text/html,*/*;q=0.8", "text"),
        ("application/openmetrics-text", "openmetrics"),
        ("application/openmetrics-text; version=0.0.1", "text"),
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.3", "text"),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "openmetrics",
        ),
        ("application/openmetrics-text;q=zzz", "text"),
    ],
)
def test_the_format_is_what_the_scraper_prefers(accept, form):
    assert negotiate(accept) == form


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, identity", False),
        ("*;q=0, gzip", True),
        ("*, gzip;q=0", False),
        ("gzip;q=nonsense", False),
        ("deflate", False),
        ("", False),
    ],
)
def test_a_scrape_is_packed_where_the_scraper_takes_gzip(accepted, packed):
    # RFC 9110 §12.5.3: q=0 is "not acceptable", and what is named goes before *.
    assert takes_gzip(accepted) is packed
