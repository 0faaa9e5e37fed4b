"""A real Prometheus scrapes a server of seven probes; then every expression of every dashboard and rule is asked of it.

The expressions are collected from whatever lies in grafana/, so a new panel or rule is tried here without a change.
"""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml
from presence import need
from process import ServerProcess, free_port

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"
ENOUGH_S = 150.0
"""How long all probes may take to have run twice each on a busy machine."""

PROBES = """
defaults: {interval: 8s, timeout: 60s, set: {call.joins: 3, call.calls: 1, call.duration: 5s}}
probes:
  - {name: social, scenario: 1v1-social}
  - {name: long-haul, scenario: 1v1-long-haul}
  - {name: lossy, scenario: 1v1-social, set: {link: delay 80ms 20ms loss 8%}}
  - {name: practice, scenario: spoken-practice}
  - {name: assistant, scenario: voice-assistant-barge-in, set: {call.duration: 60s}}
  - name: room
    scenario: community-stage
    interval: 20s
    set: {call.calls: 2, call.duration: 10s, call.joins: 1, messages: {rate: 2/s}}
  - {name: pictures, scenario: 1v1-video, interval: 20s}
on_demand: {scenarios: [1v1-social], concurrency: 3}
reports: {folder: reports, limit: 20MB}
"""

PROMETHEUS = """
global: {{scrape_interval: 2s, evaluation_interval: 2s}}
rule_files: [{rules}/rules.yml, {rules}/alerts.yml]
scrape_configs:
  - job_name: rtcprobe
    static_configs: [{{targets: ["127.0.0.1:{serve}"]}}]
  - job_name: on-demand
    metrics_path: /probe
    scrape_interval: 15s
    scrape_timeout: 12s
    params: {{scenario: [1v1-social]}}
    static_configs: [{{targets: [loopback]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "127.0.0.1:{serve}"}}
"""


CHOSEN = {"rtcprobe-room.json": "room", "rtcprobe-video.json": "pictures"}
"""Whom a person would choose on a dashboard of one kind of call; elsewhere the probe of the most kinds of events."""


def expressions():
    """Return (where it stands, expression) of every panel and rule; Grafana's variables as a person would choose."""
    found = []
    for path in sorted(GRAFANA.glob("**/*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in board.get("panels", []):
            for inner in (panel, *panel.get("panels", [])):
                found += [(f"{path.name}: {inner['title']}", each["expr"]) for each in inner.get("targets", [])]
    for path in sorted((GRAFANA / "prometheus").glob("*.yml")):
        for group in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("groups", []):
            found += [(f"{path.name}: {rule.get('record') or rule['alert']}", rule["expr"]) for rule in group["rules"]]
    return [(where, _chosen(expression, CHOSEN.get(where.partition(":")[0], "lossy"))) for where, expression in found]


def _chosen(expression, probe):
    times = {"window": "1m", "__rate_interval": "1m", "__range": "5m", "__interval": "15s", "instance": ".+"}
    for name, value in times.items():
        expression = re.sub(rf"\$\{{?{name}(:\w+)?\}}?(?!\w)", value, expression)
    # Where several may be chosen, also the one that converses, the room, and the one with pictures.
    several = re.sub(r'=~"\$\{?\w+(:\w+)?\}?"', '=~"lossy|assistant|room|pictures"', expression)
    return re.sub(r"\$\{?\w+(:\w+)?\}?", probe, several)


class Monitored:
    """The two servers, and how to ask Prometheus."""

    def __init__(self, serve_url, prometheus_url, serve):
        self.serve_url = serve_url
        self.prometheus_url = prometheus_url
        self.serve = serve

    def ask(self, expression):
        """Return the answer's rows, or raise with Prometheus' own words."""
        query = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"{self.prometheus_url}/api/v1/query?{query}", timeout=30) as answer:
                data = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {json.load(error)['error']}") from error
        return data["result"] if data["resultType"] != "scalar" else [data["result"]]

    def get(self, path):
        with urllib.request.urlopen(self.serve_url + path, timeout=30) as answer:
            return answer.read().decode()


def _answers(url):
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def monitored(tmp_path_factory):
    need("prometheus")
    need("promtool")
    folder = tmp_path_factory.mktemp("monitored")
    serve_port, prometheus_port = free_port(), free_port()
    (folder / "probes.yaml").write_text(PROBES, encoding="utf-8")
    text = PROMETHEUS.format(rules=GRAFANA / "prometheus", serve=serve_port)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    listen = f"127.0.0.1:{serve_port}"
    serve = ServerProcess(
        "serve",
        [Path(sys.executable).with_name("rtcprobe"), "serve", "--config", "probes.yaml", "--listen", listen],
        folder=folder,
    )
    prometheus = ServerProcess(
        "prometheus",
        [
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{prometheus_port}",
        ],
        folder=folder,
    )
    it = Monitored(f"http://{listen}", f"http://127.0.0.1:{prometheus_port}", serve)
    try:
        serve.start(lambda: _answers(f"{it.serve_url}/-/ready"))
        prometheus.start(lambda: _answers(f"{it.prometheus_url}/-/ready"))
        _await_runs(it)
        yield it
    finally:
        prometheus.stop()
        serve.stop()


def _await_runs(it):
    """Wait until each probe has run twice, and a rate of it can be taken."""
    end_s = time.monotonic() + ENOUGH_S
    wanted = 'count(min_over_time((sum by (probe) (rtcprobe_runs_total{job="rtcprobe"}))[6s:2s]) >= 2) == 7'
    while time.monotonic() < end_s:
        if it.ask(wanted) and it.ask("probe_duration_seconds"):
            return
        time.sleep(1)
    pytest.fail(f"the probes did not run twice within {ENOUGH_S:g} s: {it.ask('rtcprobe_runs_total')}")


def test_there_are_expressions_to_try():
    assert len(expressions()) >= 60


def test_every_expression_is_understood_and_answers_where_there_is_data(monitored):
    names = set(re.findall(r"[a-z_:]*rtcprobe[a-z0-9_:]+", " ".join(text for _, text in expressions())))
    absent = {name for name in names if not monitored.ask(f'count({{__name__="{name}"}})')}
    empty = []
    answered = 0
    for where, expression in expressions():
        rows = monitored.ask(expression)
        answered += bool(rows)
        compares = re.search(r"[<>]|==|!=(?=\s)|\bunless\b|\babsent\b", expression)
        if not rows and not compares and not any(name in expression for name in absent):
            empty.append(f"{where}: {expression}")
    assert not empty, "\n".join(empty)
    assert answered >= 0.7 * len(expressions())
    # What a virtual clock does not have, and failures that did not happen; a name nobody exports would be among them.
    assert absent <= {"rtcprobe_last_harness_lateness_seconds", "rtcprobe_last_join_failures"} | {
        name for name in absent if name.startswith("rtcprobe:")
    }


def test_what_is_exported_is_clean_by_promtool(monitored):
    for path in ("/metrics", "/probe?scenario=1v1-social"):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=monitored.get(path), capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_both_jobs_are_up_and_what_blackbox_rules_expect_is_there(monitored):
    up = monitored.ask("max by (job) (max_over_time(up[1m]))")
    assert {row["metric"]["job"]: row["value"][1] for row in up} == {"rtcprobe": "1", "on-demand": "1"}
    (row,) = monitored.ask("probe_success")
    assert row["metric"]["instance"] == "loopback"
    assert monitored.ask('rtcprobe_last_join_seconds{job="on-demand"}')


def test_due_starts_are_accounted_for_in_prometheus_too(monitored):
    due = "sum by (probe) (rtcprobe_runs_scheduled_total)"
    ended = "sum by (probe) ({__name__=~'rtcprobe_(runs|run_errors|runs_missed)_total'})"
    for row in monitored.ask(f"{due} - {ended}"):
        assert 0 <= float(row["value"][1]) <= 1  # the one in hand


def test_the_server_ends_in_time_with_exit_code_0(monitored):
    monitored.serve.signal(signal.SIGHUP)
    time.sleep(1)
    assert monitored.serve.running
    began_s = time.monotonic()
    process = monitored.serve._process
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert time.monotonic() - began_s < 15
