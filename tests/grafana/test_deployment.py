"""What is deployed agrees with itself: one port, configurations that are understood, and no more rights than needed."""

import re
from pathlib import Path

import click
import pytest
import yaml

from rtcprobe.cli import cli
from rtcprobe.exporter.config import read_config

ROOT = Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "grafana"
KUBERNETES = GRAFANA / "deploy" / "kubernetes"


def default_port():
    command = cli.get_command(click.Context(cli), "serve")
    return next(each for each in command.params if each.name == "listen").default.rpartition(":")[2]


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [GRAFANA / "probes.yaml", KUBERNETES / "probes.yaml"], ids=["compose", "kubernetes"])
def test_a_configuration_that_is_deployed_is_understood(path):
    assert read_config(path).probes


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "Dockerfile",
        GRAFANA / "compose.yaml",
        GRAFANA / "prometheus" / "prometheus.yml",
        KUBERNETES / "deployment.yaml",
        KUBERNETES / "service.yaml",
        GRAFANA / "deploy" / "systemd" / "rtcprobe.service",
    ],
    ids=lambda path: path.name,
)
def test_everything_speaks_of_the_port_that_serve_listens_on(path):
    ports = set(re.findall(r"\b98\d\d\b", path.read_text(encoding="utf-8")))
    assert ports == {default_port()}


def test_a_container_runs_without_root_on_a_file_system_it_cannot_write():
    user = re.search(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    pod = read(KUBERNETES / "deployment.yaml")["spec"]["template"]["spec"]
    container = pod["containers"][0]["securityContext"]
    assert int(user[1]) == pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert read(GRAFANA / "compose.yaml")["services"]["rtcprobe"]["read_only"] is True


def test_compose_publishes_ports_to_this_machine_alone():
    for service in read(GRAFANA / "compose.yaml")["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_what_compose_mounts_is_there():
    for service in read(GRAFANA / "compose.yaml")["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert not source.startswith("./") or (GRAFANA / source).exists(), volume


def test_the_kustomize_base_names_files_that_are_there():
    base = read(KUBERNETES / "kustomization.yaml")
    named = [*base["resources"], *(name for each in base["configMapGenerator"] for name in each["files"])]
    assert all((KUBERNETES / name).is_file() for name in named)
