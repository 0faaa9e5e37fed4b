"""``rtcprobe run`` handing its figures over: the files and requests it makes, and that its exit code stays its own."""

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from rtcprobe.errors import MeasurementError


@pytest.fixture
def gateway(monkeypatch):
    """Requests that a Pushgateway got; it answers with ``status``."""

    class Gateway:
        status = 200
        asked = []  # noqa: RUF012 - one a test

    found = Gateway()
    found.asked = []

    def request(method, url, *, content, headers, auth, timeout):
        assert timeout == 10.0
        found.asked.append((method, url, content, headers["content-type"], auth))
        return httpx.Response(found.status, text="no room")

    monkeypatch.setattr(httpx, "request", request)
    return found


@pytest.mark.usefixtures("probe")
def test_openmetrics_goes_to_a_file_whole_and_of_all_scenarios(rtcprobe, tmp_path):
    path = tmp_path / "rtcprobe.prom"
    code, _, _ = rtcprobe("run", "1v1-social", "1v1-long-haul", "-q", "--openmetrics", str(path))
    assert code == 0
    text = path.read_text(encoding="utf-8")
    families = {family.name: family for family in read_openmetrics(text)}
    probes = {sample.labels["probe"] for sample in families["rtcprobe_last_join_seconds"].samples}
    assert probes == {"1v1-social", "1v1-long-haul"}
    # node_exporter's collector reads the text format, to which the rest is comments.
    assert {family.name for family in read_text(text)} == set(families)
    assert [each.name for each in tmp_path.iterdir()] == ["rtcprobe.prom"]


@pytest.mark.usefixtures("probe")
def test_a_missed_budget_weighs_more_than_a_gateway_that_is_away(rtcprobe, gateway):
    gateway.status = 500
    missed = "budgets=[join.first_audio p50 < 1ms]"
    assert rtcprobe("run", "1v1-social", "-q", "--push", "http://h:9091", "--set", missed)[0] == 1


@pytest.mark.usefixtures("probe")
def test_push_replaces_the_group_of_the_scenario(rtcprobe, gateway):
    code, _, err = rtcprobe("run", "1v1-social", "-q", "--push", "http://h:9091", "--push-grouping", "instance=ci-7")
    assert (code, err) == (0, "")
    ((method, url, body, kind, auth),) = gateway.asked
    assert (method, url) == ("PUT", "http://h:9091/metrics/job/rtcprobe/probe/1v1-social/instance/ci-7")
    assert kind.startswith("text/plain; version=0.0.4")
    assert auth is None
    names = {family.name for family in read_text(body.decode())}
    assert "rtcprobe_last_join_seconds" in names
    assert not any(name.endswith("_total") for name in names)


@pytest.mark.usefixtures("probe")
def test_a_gateway_that_refuses_is_told_and_has_an_exit_code_of_its_own(rtcprobe, gateway):
    gateway.status = 500
    code, _, err = rtcprobe("run", "1v1-social", "-q", "--push", "http://h:9091")
    assert code == 4
    assert err == "rtcprobe: the Pushgateway http://h:9091 refused it with 500: no room\n"


def test_a_run_that_could_not_measure_is_pushed_as_such(rtcprobe, probe, gateway):
    probe.error = MeasurementError("the server did not answer")
    code, _, _ = rtcprobe("run", "1v1-social", "-q", "--push", "http://h:9091")
    assert code == 3
    samples = [s for family in read_text(gateway.asked[0][2].decode()) for s in family.samples]
    assert [s.value for s in samples if s.labels.get("verdict") == "error"] == [1.0]


def test_push_delete_measures_nothing(rtcprobe, gateway, monkeypatch):
    monkeypatch.setattr("rtcprobe.probe.run_probe", None)
    code, out, _ = rtcprobe("run", "1v1-social", "--push", "http://h:9091", "--push-delete")
    assert (code, out) == (0, "deleted http://h:9091/metrics/job/rtcprobe/probe/1v1-social\n")
    assert [each[0] for each in gateway.asked] == ["DELETE"]


@pytest.mark.usefixtures("probe")
def test_a_password_goes_to_the_gateway_and_nowhere_else(rtcprobe, gateway, monkeypatch):
    monkeypatch.setenv("RTCPROBE_TEST_PUSH", "hunter2-and-more")
    gateway.status = 401
    code, out, err = rtcprobe(
        "run", "1v1-social", "-q", "--push", "http://h:9091", "--push-auth", "ci:env:RTCPROBE_TEST_PUSH"
    )
    assert code == 4
    assert "hunter2" not in out + err
    header = next(gateway.asked[0][4].sync_auth_flow(httpx.Request("PUT", "http://h"))).headers["authorization"]
    assert header == "Basic Y2k6aHVudGVyMi1hbmQtbW9yZQ=="


def test_flags_of_pushing_without_a_gateway_are_refused(rtcprobe):
    assert rtcprobe("run", "1v1-social", "--push-delete")[::2] == (
        2,
        "rtcprobe: there is nowhere to push: give --push URL\n",
    )


def test_serve_says_what_a_configuration_comes_to_and_refuses_a_bad_one(rtcprobe, tmp_path):
    config = tmp_path / "probes.yaml"
    config.write_text("probes: [{name: a, scenario: 1v1-social}]", encoding="utf-8")
    code, out, _ = rtcprobe("serve", "--config", str(config), "--check")
    assert (code, out) == (
        0,
        (
            "a: 1v1-social, loopback, virtual clock, every 1min, at most 5min a run, "
            "join 95% within 600ms, mouth to ear 95% within 150ms\n"
        ),
    )
    config.write_text("probes: 3", encoding="utf-8")
    code, _, err = rtcprobe("serve", "--config", str(config))
    assert (code, err) == (2, f"rtcprobe: {config}: probes is not a list: begin each entry with a dash\n")
