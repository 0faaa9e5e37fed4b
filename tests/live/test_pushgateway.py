"""A real Pushgateway takes what ``run --push`` hands it: groups, replacement, deletion, and what it refuses."""

import json
import os
import subprocess
import sys
import urllib.request
from base64 import b64encode
from pathlib import Path

import bcrypt
import pytest
from presence import need
from process import ServerProcess, answers_tcp, free_port

PASSWORD = "correct horse 7741"
SHORT = (
    "1v1-social",
    "--set",
    "call.joins=1",
    "--set",
    "call.calls=1",
    "--set",
    "call.duration=3s",
    "--set",
    "budgets=[]",
    "-q",
)
PASSED = "PASS 1v1-social\n"


class Gateway:
    """Where it listens, and what it holds."""

    def __init__(self, url):
        self.url = url

    def groups(self):
        """Return by grouping key (without job) the names of the metrics pushed."""
        token = b64encode(f"ci:{PASSWORD}".encode()).decode()
        asked = urllib.request.Request(f"{self.url}/api/v1/metrics", headers={"Authorization": f"Basic {token}"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            groups = json.load(answer)["data"]
        found = {}
        for group in groups:
            labels = {name: value for name, value in group["labels"].items() if name != "job"}
            assert group["labels"]["job"] == "rtcprobe"
            found[tuple(sorted(labels.items()))] = {name for name in group if name.startswith("rtcprobe_")}
        return found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    need("prometheus-pushgateway")
    folder = tmp_path_factory.mktemp("pushgateway")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "web.yml").write_text(json.dumps({"basic_auth_users": {"ci": hashed}}), encoding="utf-8")
    port = free_port()
    listen = f"127.0.0.1:{port}"
    command = ["prometheus-pushgateway", f"--web.listen-address={listen}", "--web.config.file=web.yml"]
    process = ServerProcess("pushgateway", command, folder=folder)
    try:
        process.start(lambda: answers_tcp("127.0.0.1", port))
        yield Gateway(f"http://{listen}")
    finally:
        process.stop()


def run(*words, password=PASSWORD):
    """Return the exit code and what was said, as (code, stdout, stderr)."""
    command = [Path(sys.executable).with_name("rtcprobe"), "run", *words]
    environment = {**os.environ, "PUSH_PASSWORD": password}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert password not in ended.stdout + ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


AUTH = ("--push-auth", "ci:env:PUSH_PASSWORD")


def test_a_group_is_put_replaced_told_apart_by_its_keys_and_deleted(gateway):
    here = (("probe", "1v1-social"),)
    branch = (("branch", "fix/the slash"), ("probe", "1v1-social"))
    keyed = ("--push-grouping", "branch=fix/the slash")
    assert run(*SHORT, "--push", gateway.url, *AUTH) == (0, PASSED, "")
    assert run(*SHORT, "--push", gateway.url, *AUTH, *keyed) == (0, PASSED, "")
    pushed = gateway.groups()
    assert set(pushed) == {here, branch}
    assert {"rtcprobe_last_join_seconds", "rtcprobe_last_run_verdict", "rtcprobe_last_mos"} <= pushed[here]
    # A run that measures less leaves nothing of the one before: there is no server at this port.
    away = ("--real-time", "--target", f"sdp+http://127.0.0.1:{free_port()}/offer")
    code, _, said = run(*SHORT, *away, "--push", gateway.url, *AUTH)
    assert (code, said) == (3, "")
    assert "rtcprobe_last_run_verdict" in gateway.groups()[here]
    assert "rtcprobe_last_join_seconds" not in gateway.groups()[here]

    code, out, _ = run("1v1-social", "--push", gateway.url, *AUTH, *keyed, "--push-delete")
    place = f"{gateway.url}/metrics/job/rtcprobe/probe/1v1-social/branch@base64/Zml4L3RoZSBzbGFzaA=="
    assert (code, out) == (0, f"deleted {place}\n")
    assert set(gateway.groups()) == {here}


def test_a_wrong_password_is_told_and_has_an_exit_code_of_its_own(gateway):
    before = gateway.groups()
    sentence = f"rtcprobe: the Pushgateway {gateway.url} refused it with 401: Unauthorized\n"
    assert run(*SHORT, "--push", gateway.url, *AUTH, password="wrong 1298") == (4, PASSED, sentence)
    assert run(*SHORT, "--push", gateway.url) == (4, PASSED, sentence)
    assert gateway.groups() == before


def test_a_wrong_address_is_told_and_has_an_exit_code_of_its_own(gateway):
    elsewhere = f"{gateway.url}/not/here"
    sentence = f"rtcprobe: the Pushgateway {elsewhere} refused it with 404: 404 page not found\n"
    assert run(*SHORT, "--push", elsewhere, *AUTH) == (4, PASSED, sentence)
    nobody = f"http://127.0.0.1:{free_port()}"
    code, _, said = run(*SHORT, "--push", nobody)
    assert (code, said.count("\n")) == (4, 1)
    assert said.startswith(f"rtcprobe: the Pushgateway {nobody} was not reached: ")
