"""Dashboards, rules and configurations, as the programs that will read them see them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from presence import INSTALLED, missing, need

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"
PROMETHEUS = GRAFANA / "prometheus"

# TypeScript takes no plain text where an enumeration of texts is wanted; what the JSON holds is that text.
MODULE = """\
import type { Dashboard } from '@grafana/schema';
type Written<T> =
  T extends string ? `${T}` : T extends (infer U)[] ? Written<U>[] :
  T extends object ? { [K in keyof T]: Written<T[K]> } : T;
export const board: Written<Dashboard> = %s;
"""


def told(*command):
    finished = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture
def typed(tmp_path):
    """A folder in which TypeScript finds @grafana/schema, and how to check what lies in it."""
    need("node")
    modules = INSTALLED / "npm" / "node_modules"
    if not (modules / "@grafana" / "schema").exists():
        missing("@grafana/schema")
    (tmp_path / "node_modules").symlink_to(modules)
    strict = ("--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler")

    def check(*texts):
        names = [f"board{number}.ts" for number, _ in enumerate(texts)]
        for name, text in zip(names, texts, strict=True):
            (tmp_path / name).write_text(MODULE % text, encoding="utf-8")
        command = ["node", modules / "typescript" / "bin" / "tsc", *strict, "--target", "es2022", *names]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    return check


def test_every_dashboard_is_of_grafanas_own_type_and_what_is_not_is_told_from_it(typed):
    texts = [path.read_text(encoding="utf-8") for path in sorted((GRAFANA / "dashboards").glob("*.json"))]
    wrong = json.dumps({**json.loads(texts[0]), "graphTooltip": "much"})
    checked = typed(*texts, wrong)
    assert re.findall(r"^(board\d)\.ts.*error", checked.stdout, re.MULTILINE) == [f"board{len(texts)}"], checked.stdout
    assert "DashboardCursorSync" in checked.stdout


def test_rules_and_configuration_are_clean_and_every_alert_does_as_its_test_says():
    need("promtool")
    told("promtool", "check", "rules", PROMETHEUS / "rules.yml", PROMETHEUS / "alerts.yml")
    told("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    told("promtool", "test", "rules", PROMETHEUS / "tests.yml")


def test_alertmanager_understands_whom_to_tell():
    need("amtool")
    told("amtool", "check-config", GRAFANA / "alertmanager" / "alertmanager.yml")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is no package of Debian's: checked where it is")
def test_the_kustomize_base_builds():
    built = told("kubectl", "kustomize", GRAFANA / "deploy" / "kubernetes")
    assert built.count("\nkind: ") == 3


@pytest.fixture
def complaints(tmp_path):
    """What systemd says against a unit of ours: it looks at all that the unit wants too, which is the machine's."""
    need("systemd-analyze")

    def of(unit):
        copy = tmp_path / "rtcprobe.service"
        copy.write_text(unit.replace("/opt/rtcprobe/bin/rtcprobe", "/bin/true"), encoding="utf-8")
        checked = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
        return [line for line in checked.stderr.splitlines() if "rtcprobe.service" in line]

    return of


def test_the_systemd_unit_has_no_key_that_systemd_does_not_know(complaints):
    unit = (GRAFANA / "deploy" / "systemd" / "rtcprobe.service").read_text(encoding="utf-8")
    assert complaints(unit) == []
    (complaint,) = complaints(unit.replace("[Service]", "[Service]\nRestartz=always"))
    assert "Restartz" in complaint
