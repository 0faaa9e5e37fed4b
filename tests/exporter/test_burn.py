"""Error budgets as the server itself sees them: the same alarms as Prometheus', from the same events."""

import asyncio
import re
from pathlib import Path

import pytest
import yaml

from rtcprobe.exporter.burn import ALARMS, LONGEST_S, Budget
from rtcprobe.exporter.config import Objective
from rtcprobe.exporter.promises import run_said
from rtcprobe.exporter.web import make_app
from rtcprobe.exporter.webconfig import Gate

PROMETHEUS = Path(__file__).resolve().parents[2] / "grafana" / "prometheus"
ALLOWED = 0.05
SECONDS = {"m": 60.0, "h": 3_600.0, "d": 86_400.0}


def test_the_alarms_are_those_of_the_alerts():
    pair = re.compile(
        r"ratio_rate(\d+)(\w) > ([\d.]+) \* \S+\s+and rtcprobe:slo_bad:ratio_rate(\d+)(\w) > ([\d.]+) \*", re.DOTALL
    )
    found = []
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            for long, long_unit, rate, short, short_unit, again in pair.findall(rule["expr"]):
                assert rate == again
                windows_s = (int(long) * SECONDS[long_unit], int(short) * SECONDS[short_unit])
                for_s = int(rule["for"][:-1]) * SECONDS[rule["for"][-1]]
                found.append((rule["labels"]["severity"], float(rate), *windows_s, for_s))
    assert found == [(each.severity, each.rate, each.long_s, each.short_s, each.for_s) for each in ALARMS]


def minutes(budget, plan):
    """Add to a budget a minute at a time ``(count, events, bad)``; return the alarm's severity after each minute."""
    severities, now_s = [], 0.0
    for count, events, bad in plan:
        for _ in range(count):
            now_s += 60.0
            budget.add(now_s, events, bad)
            alarm = budget.standing(now_s, ALLOWED).alarm
            severities.append(None if alarm is None else (alarm.severity, alarm.rate))
    return severities


def test_what_the_alerts_own_test_says_of_joins_that_begin_to_fail_holds_here_too():
    # grafana/prometheus/tests.yml: 20 joins a minute; from minute 60 on 16 of 20 are bad, 95 % are promised.
    said = minutes(Budget(0.0), [(60, 20, 0), (60, 20, 16)])
    assert said[59] is None
    # After n bad minutes 16 n / 20 (60 + n) of all six hours' events are bad: more than 6 x 5 % from n = 37 on; of the
    # last hour's, 16 n / 20 x 60: more than 14.4 x 5 % from n = 55 on, which is told first. Two minutes later it pages.
    assert said[60 + 37 : 60 + 39] == [("ticket", 3.0), ("page", 6.0)]
    assert said[60 + 55 : 60 + 57] == [("page", 6.0), ("page", 14.4)]


@pytest.mark.parametrize(
    ("bad_of_100", "severity"),
    [(4, None), (6, ("ticket", 1.0)), (16, ("ticket", 3.0)), (31, ("page", 6.0)), (80, ("page", 14.4))],
)
def test_a_steady_share_of_bad_events_raises_the_alarm_of_its_burn_rate(bad_of_100, severity):
    assert minutes(Budget(0.0), [(60, 100, bad_of_100)])[-1] == severity


def test_an_alarm_ends_when_its_short_window_is_good_again():
    said = minutes(Budget(0.0), [(60, 20, 20), (20, 20, 0)])
    assert said[59] == ("page", 14.4)
    assert said[-1] == ("ticket", 3.0)  # the quarter of an hour is good, the two hours are not


def test_a_budget_holds_three_days_and_no_more_and_silence_burns_nothing():
    budget = Budget(0.0)
    for day in range(30):
        for minute in range(0, 1440, 10):
            budget.add(day * 86_400.0 + minute * 60.0, 10, 10 if day < 20 else 0)
    now_s = 30 * 86_400.0
    standing = budget.standing(now_s, ALLOWED)
    assert len(budget._slots) <= LONGEST_S / 600.0 + 2
    assert (standing.kept, standing.left(ALLOWED), standing.alarm, standing.over_s) == (1.0, 1.0, None, LONGEST_S)
    later = budget.standing(now_s + 10 * 86_400.0, ALLOWED)
    assert (later.events, later.kept, later.left(ALLOWED), later.alarm) == (0, None, None, None)


def test_a_run_says_what_it_kept_and_a_share_is_never_rounded_up_to_what_was_promised():
    objective = Objective(limit_s=0.6, share=0.95)
    assert run_said("join", objective, 20, 0) == "join within 600ms: kept, by 100% of 20 joins (95% promised)"
    assert run_said("join", objective, 2001, 101) == "join within 600ms: broken, by 94.9% of 2001 joins (95% promised)"
    assert run_said("join", objective, 0, 0) == "join within 600ms: nothing measured (95% promised)"


BROKEN = """
defaults: {interval: 60s, jitter: 0s, objectives: {join: {limit: 1ms}, mouth_to_ear: {limit: 1ms}}}
probes: [{name: here, scenario: 1v1-social}]
on_demand: {scenarios: [1v1-social], targets: [loopback]}
"""


def test_page_log_and_probe_agree_with_what_prometheus_pages_on(
    make_fleet, make_result, in_virtual_time, series, caplog
):
    from dataclasses import replace

    import httpx

    caplog.set_level("INFO", "rtcprobe")
    fleet = make_fleet(replace(make_result(), verdict="pass"), BROKEN)

    async def visit(path):
        transport = httpx.ASGITransport(make_app(fleet, lambda: Gate({}), fleet.reload))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return (await client.get(path)).text

    async def main():
        await fleet.start()
        await asyncio.sleep(1800.0)
        texts = [await visit(path) for path in ("/", "/probe?debug=true")]
        await fleet.stop(0.0)
        return texts

    page, probe = in_virtual_time(main())
    assert "1 paging, 1 pass" in page
    alarm = (
        "PAGES: its error budget is spent 20 times as fast as allowed over 1 hour, "
        "the limit being 14.4; over 15 minutes too"
    )
    assert page.count(alarm) == 2
    assert "join within 1ms, for 95%" in page
    assert "error budget left -1900%" in page
    assert f"probe here: pass; join {alarm}; mouth to ear {alarm}" in caplog.text
    assert "objective: join within 1ms: broken, by 0% of 20 joins (95% promised)" in probe
    assert "rtcprobe_last_slo_kept_ratio{" in probe
    got = series(fleet.exposition("text"))
    assert got["rtcprobe_last_slo_kept_ratio", "probe=here", "slo=join"] == 0.0
    assert got["rtcprobe_slo_events_total", "outcome=good", "probe=here", "slo=join"] == 0.0
