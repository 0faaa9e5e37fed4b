"""The monitoring README says what is so."""

import re
from pathlib import Path

from rtcprobe.exporter.config import parse_config

TEXT = (Path(__file__).resolve().parents[2] / "grafana" / "README.md").read_text(encoding="utf-8")


def test_the_configuration_it_explains_is_understood():
    written = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[1]
    config = parse_config(written)
    assert [each.name for each in config.probes] == ["social"]
    assert list(config.on_demand.plans) == [("1v1-social", "loopback")]


def test_the_burn_rates_it_names_are_those_of_the_alerts():
    alerts = (Path(__file__).resolve().parents[2] / "grafana" / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    rates = set(re.findall(r"> ([\d.]+) \* rtcprobe:slo_allowed:ratio", alerts))
    assert rates == {"14.4", "6", "3", "1"}
    assert all(f"{rate} times" in TEXT for rate in rates - {"1"})
