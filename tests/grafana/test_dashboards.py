"""The dashboards and rules as they lie in the repository: made from their source, and about metrics that exist."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import yaml

from rtcprobe.exporter.metrics import PROBE_LABELS, TABLE

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"
SERIES = re.compile(r"\brtcprobe_[a-z0-9_]+")
SELECTOR = re.compile(r"\b(rtcprobe_[a-z0-9_]+)\{([^}]*)\}")
MATCHED = re.compile(r"(\w+)(?:=~|!~|!=|=)\"")


def build():
    sys.path.insert(0, str(GRAFANA))
    try:
        spec = importlib.util.spec_from_file_location("grafana_build", GRAFANA / "build.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(GRAFANA))
    return module


BUILD = build()
DASHBOARDS = {name: json.loads(text) for name, text in BUILD.rendered().items()}
PANELS = [
    (f"{name}: {panel['title']}", panel)
    for name, board in DASHBOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]


def known_series():
    """Return the names Prometheus stores for the table of metrics."""
    names = set()
    for metric in TABLE:
        names |= (
            {metric.name}
            if metric.kind != "histogram"
            else {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
        )
    return names


def labels_of(series):
    """Return the labels that a series has; ``instance`` and ``job`` are Prometheus' own."""
    named = {f"{each.name}{end}": each for each in TABLE for end in ("", "_bucket", "_sum", "_count")}
    own = named[series].labels if named[series].scope == "server" else (*PROBE_LABELS, *named[series].labels)
    return {*own, "instance", "job", *(("le",) if series.endswith("_bucket") else ())}


def test_the_dashboards_in_the_folder_are_those_of_the_source():
    lying = {path.name: path.read_text(encoding="utf-8") for path in (GRAFANA / "dashboards").glob("*.json")}
    assert lying == BUILD.rendered()


def test_a_panel_has_a_unit_a_title_and_says_how_to_read_it():
    for name, panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"], name
        assert panel["title"][0].isupper(), name
        assert panel["description"].endswith("."), name
        assert len(panel["description"]) > len(panel["title"]) / 2, name
        assert panel["targets"], name


def test_a_panel_asks_only_for_metrics_that_are_exported():
    known = known_series()
    for name, panel in PANELS:
        for target in panel["targets"]:
            named = set(SERIES.findall(target["expr"]))
            assert named <= known, name
            assert named or "process_" in target["expr"], name


def test_a_panel_picks_series_by_labels_that_they_have_and_puts_them_together_by_such():
    for name, panel in PANELS:
        for target in panel["targets"]:
            expr = target["expr"]
            found = SELECTOR.findall(expr)
            for series, matchers in found:
                assert set(MATCHED.findall(matchers)) <= labels_of(series), f"{name}: {series}"
            kept = {each.strip() for by in re.findall(r"\bby \(([^)]*)\)", expr) for each in by.split(",")}
            assert not found or kept <= set().union(*(labels_of(series) for series, _ in found)), name


def test_panels_neither_overlap_nor_leave_the_page():
    for board in DASHBOARDS.values():
        taken = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24
            assert not cells & taken
            taken |= cells
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def rules():
    for name in ("rules.yml", "alerts.yml"):
        for group in yaml.safe_load((GRAFANA / "prometheus" / name).read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def test_rules_ask_only_for_metrics_that_are_exported_or_recorded():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        assert set(SERIES.findall(rule["expr"])) <= known_series()
        assert set(re.findall(r"rtcprobe:[a-z0-9_:]+", rule["expr"])) <= recorded


def test_an_alert_says_what_is_wrong_how_bad_it_is_and_which_dashboard_shows_it():
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert f"{rule['annotations']['dashboard']}.json" in DASHBOARDS
            assert {"summary", "description"} <= set(rule["annotations"])


def test_every_alert_is_tested_firing_and_silent():
    tests = yaml.safe_load((GRAFANA / "prometheus" / "tests.yml").read_text(encoding="utf-8"))["tests"]
    checks = [check for each in tests for check in each.get("alert_rule_test", ())]
    for rule in rules():
        if "alert" in rule:
            fired = [len(check["exp_alerts"]) for check in checks if check["alertname"] == rule["alert"]]
            assert any(fired), rule["alert"]
            # silent: at another time, or beside another series that must not fire
            assert 0 in fired or rule["alert"] == "RtcprobeNobodyJoins", rule["alert"]
