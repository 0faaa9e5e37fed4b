"""The doors: what they answer, to whom, and what they refuse."""

import asyncio
import base64
import gzip
import threading

import bcrypt
import httpx
import pytest

from rtcprobe.cli.serve import Scrubbed
from rtcprobe.errors import BadInputError
from rtcprobe.exporter.web import make_app
from rtcprobe.exporter.webconfig import Gate
from rtcprobe.secrets import Secret
from rtcprobe.verdict import judge

OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


JUDGED = {}


@pytest.fixture
def visit(make_fleet, make_result):
    """Ask a server for pages; ``fleet`` is its state."""

    if not JUDGED:
        JUDGED["usual"] = judge(make_result(), [])

    class Visitor:
        def __init__(self):
            self.fleet = make_fleet(JUDGED["usual"])
            self.gate = Gate({})
            self.reload = self.fleet.reload

        async def __call__(self, path, method="GET", **headers):
            app = make_app(self.fleet, lambda: self.gate, self.reload)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                return await client.request(method, path, headers={"accept-encoding": "identity", **named})

    return Visitor()


async def test_metrics_come_in_the_format_and_coding_asked_for(visit):
    plain = await visit("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    strict = await visit("/metrics", accept=OPENMETRICS)
    assert strict.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert strict.text.endswith("# EOF\n")
    packed = await visit("/metrics", accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert b"rtcprobe_build_info" in packed.content
    assert len(gzip.compress(packed.content)) < len(packed.content)


async def test_every_answer_is_counted_by_its_door_and_not_by_its_path(visit, series):
    for path in ("/metrics", "/-/healthy", "/wp-login.php", "/runs/x.html", "/.env"):
        await visit(path)
    got = series((await visit("/metrics")).content)
    assert got["rtcprobe_http_requests_total", "code=200", "handler=/metrics"] == 1
    assert got["rtcprobe_http_requests_total", "code=404", "handler=other"] == 2
    assert got["rtcprobe_http_requests_total", "code=404", "handler=/runs"] == 1
    assert not any("wp-login" in part for key in got for part in key)


async def test_every_answer_forbids_what_it_does_not_need(visit):
    for path in ("/", "/metrics", "/nothing"):
        headers = (await visit(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]


async def test_health_and_readiness_differ_while_ending(visit):
    assert (await visit("/-/ready")).status_code == 200
    visit.fleet.stopping = True
    assert (await visit("/-/ready")).status_code == 503
    assert (await visit("/-/healthy")).status_code == 200


async def test_a_probe_that_is_silent_is_not_ready_and_is_named(visit, monkeypatch):
    monkeypatch.setattr(visit.fleet, "silent", lambda: ["here"])
    answer = await visit("/-/ready")
    assert (answer.status_code, answer.text) == (503, "no outcome for two intervals: here\n")
    assert "no outcome for two intervals: here" in (await visit("/")).text
    assert (await visit("/-/healthy")).status_code == 200


async def test_reload_answers_what_became_of_it_and_only_to_a_post(visit):
    assert (await visit("/-/reload")).status_code == 405

    async def refuse():
        raise BadInputError("probes.yaml: probe a: scenario 'x' is not known", "did you mean y?")

    visit.reload = refuse
    answer = await visit("/-/reload", "POST")
    assert answer.status_code == 400
    assert (
        answer.text
        == "the old configuration goes on; probes.yaml: probe a: scenario 'x' is not known: did you mean y?\n"
    )


@pytest.mark.parametrize(
    ("query", "headers", "code", "sentence"),
    [
        ("target=evil://host", {}, 403, "target is not one of those that the configuration allows on demand"),
        ("scenario=../../etc/passwd", {}, 403, "scenario is not one of those that the configuration allows on demand"),
        ("scenario=1v1-social.yaml", {}, 403, "scenario is not one of those that the configuration allows on demand"),
        ("module=x", {}, 400, "parameter 'module' is not known: use target, scenario, debug"),
        ("target=loopback&target=x", {}, 400, "parameter target is given twice: leave one out"),
        ("debug=yes", {}, 400, "debug 'yes' is not known: use true or false"),
        (
            "",
            {"x_prometheus_scrape_timeout_seconds": "soon"},
            400,
            "X-Prometheus-Scrape-Timeout-Seconds 'soon' is no time: give seconds, like 10",
        ),
        (
            "",
            {"x_prometheus_scrape_timeout_seconds": "1"},
            400,
            "a scrape timeout of 1 s leaves no time for a call: give 1.5 s or more",
        ),
    ],
)
async def test_probe_refuses_what_the_configuration_does_not_allow(visit, query, headers, code, sentence):
    answer = await visit(f"/probe?{query}", **headers)
    assert (answer.status_code, answer.text) == (code, sentence + "\n")
    assert visit.fleet._runner.asked == []


async def test_probe_answers_one_run_with_a_registry_of_its_own(visit, series):
    answer = await visit("/probe?scenario=1v1-social&target=loopback", x_prometheus_scrape_timeout_seconds="10")
    got = series(answer.content)
    assert got["probe_success",] == 1
    assert ("probe_duration_seconds",) in got
    assert got["rtcprobe_last_run_verdict", "probe=1v1-social", "verdict=pass"] == 1
    names = {key[0] for key in got}
    assert all(name.startswith(("rtcprobe_last_", "rtcprobe_probe_info", "probe_")) for name in names)
    ((job, _, timeout_s, report),) = visit.fleet._runner.asked
    assert (job.scenario, report) == ("1v1-social", None)
    assert timeout_s == pytest.approx(9.5, abs=0.1)
    server = series((await visit("/metrics")).content)
    assert server["rtcprobe_on_demand_runs_total", "outcome=pass"] == 1


async def test_probe_that_fails_is_an_answer_and_what_it_did_not_reach_is_absent(visit, series):
    visit.fleet._runner.answer = {"failure": "unmeasured", "sentence": "the server did not answer"}
    got = series((await visit("/probe?debug=false")).content)
    assert got["probe_success",] == 0
    assert got["rtcprobe_last_run_verdict", "probe=1v1-social", "verdict=error"] == 1
    assert not any("join" in key[0] or "mouth" in key[0] for key in got)
    explained = (await visit("/probe?debug=true")).text
    assert "no result (unmeasured): the server did not answer" in explained


async def test_debug_explains_the_run_in_text(visit):
    text = (await visit("/probe?debug=true")).text
    assert text.startswith("scenario 1v1-social, target loopback, virtual clock, seed ")
    assert "PASS  1v1-social" in text
    assert "rtcprobe_last_join_seconds" in text


async def test_two_probes_at_once_are_one_too_many_where_one_is_allowed(visit):
    visit.fleet._runner.takes_s = 0.05
    answers = await asyncio.gather(visit("/probe"), visit("/probe"))
    assert sorted(each.status_code for each in answers) == [200, 503]


async def test_long_queries_and_headers_are_refused(visit):
    assert (await visit("/probe?target=" + "a" * 5000)).status_code == 414
    assert (await visit("/metrics", x_long="a" * 20_000)).status_code == 431


async def test_users_are_asked_for_their_password(visit):
    visit.gate = Gate({"ci": bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4))})
    for path in ("/", "/metrics", "/probe", "/-/healthy", "/-/reload"):
        answer = await visit(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="rtcprobe"')

    right = basic(b"ci:hunter2")
    assert (await visit("/metrics", authorization=right)).status_code == 200
    assert (await visit("/metrics", authorization=right)).status_code == 200  # remembered
    for wrong in (
        basic(b"ci:hunter"),
        basic(b"who:hunter2"),
        basic(b"ci"),
        "Basic ***",
        "Bearer x",
        basic(b"\xff:\xff"),
    ):
        assert (await visit("/metrics", authorization=wrong)).status_code == 401


class Asked:
    """Counts the hashes that a gate makes; with ``held`` they wait until it is set."""

    def __init__(self, monkeypatch, held=None):
        self.hashes = 0
        self.checkpw = bcrypt.checkpw
        self.held = held
        monkeypatch.setattr(bcrypt, "checkpw", self)

    def __call__(self, password, known):
        self.hashes += 1
        if self.held is not None:
            self.held.wait(20.0)
        return self.checkpw(password, known)


def basic(words):
    return "Basic " + base64.b64encode(words).decode()


async def test_only_credentials_cost_a_hash_and_each_of_them_once(visit, monkeypatch):
    visit.gate = Gate({"ci": bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4))})
    asked = Asked(monkeypatch)
    for header in ("", "Basic", "Basic ***", "Bearer x", basic(b"no colon"), basic(b"\xff:x"), "Basic é"):
        assert (await visit("/metrics", authorization=header.encode())).status_code == 401
    assert asked.hashes == 0
    for _ in range(3):
        assert (await visit("/metrics", authorization=basic(b"ci:hunter2"))).status_code == 200
        assert (await visit("/metrics", authorization=basic(b"ci:wrong"))).status_code == 401
        assert (await visit("/metrics", authorization=basic(b"who:hunter2"))).status_code == 401
    assert asked.hashes == 3


async def test_strangers_who_guess_are_turned_away_and_those_who_are_known_come_in(visit, monkeypatch):
    visit.gate = Gate({"ci": bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4))})
    right = basic(b"ci:hunter2")
    assert (await visit("/metrics", authorization=right)).status_code == 200
    held = threading.Event()
    asked = Asked(monkeypatch, held)
    guesses = [asyncio.ensure_future(visit("/metrics", authorization=basic(b"ci:%d" % n))) for n in range(40)]
    done, waiting = await asyncio.wait(guesses, timeout=20.0, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 32:
        more, waiting = await asyncio.wait(waiting, timeout=20.0, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert {each.result().status_code for each in done} == {503}
    assert {each.result().headers["retry-after"] for each in done} == {"5"}
    assert (await visit("/metrics", authorization=right)).status_code == 200
    held.set()
    assert [each.status_code for each in await asyncio.gather(*waiting)] == [401] * 8
    assert asked.hashes == 8


async def test_a_reload_forgets_only_those_whose_password_changed(monkeypatch):
    one, two = (bcrypt.hashpw(b"x", bcrypt.gensalt(4)) for _ in range(2))
    gate = Gate({"stays": one, "changes": one, "goes": one})
    for user in (b"stays", b"changes", b"goes"):
        assert await gate.admits(basic(user + b":x")) == "admitted"
    gate.turn({"stays": one, "changes": two})
    asked = Asked(monkeypatch)
    assert await gate.admits(basic(b"stays:x")) == "admitted"
    assert asked.hashes == 0
    assert await gate.admits(basic(b"changes:x")) == "admitted"
    assert await gate.admits(basic(b"goes:x")) == "refused"
    assert asked.hashes == 2


async def test_the_page_shows_probes_and_escapes_what_they_say(visit):
    fleet = visit.fleet
    plan = fleet.probes[0]
    fleet._apply(fleet.config)
    assert "NOT YET RUN" in (await visit("/")).text
    sentence = "<script>alert(1)</script> said https://u:hunter2@host/"
    fleet._runner.answer = {"failure": "unmeasured", "sentence": sentence}
    fleet.ended(plan, await fleet._runner.run(plan.job, 1, timeout_s=1, waited_s=0, report=None))
    page = (await visit("/")).text
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "hunter2" not in page
    assert "ERROR" in page
    await fleet.stop(0)


async def test_the_page_shows_the_last_run_as_a_picture(visit):
    fleet = visit.fleet
    fleet._apply(fleet.config)
    plan = fleet.probes[0]
    fleet.ended(plan, await fleet._runner.run(plan.job, 1, timeout_s=1, waited_s=0, report=None))
    page = (await visit("/")).text
    assert "487 ms, 20 of 20 heard" in page
    assert page.count("<polyline") >= 2
    assert "1 missed" in page
    assert "http-equiv" in page
    assert "http://" not in page
    await fleet.stop(0)


async def test_no_secret_of_a_target_is_in_metrics_page_or_answers(make_fleet, caplog):
    Secret("s3cr3t-t0ken-of-a-target")
    text = "probes: [{name: p, scenario: 1v1-social}]\non_demand: {scenarios: [1v1-social]}"
    fleet = make_fleet({"failure": "unmeasured", "sentence": "401: bad s3cr3t-t0ken-of-a-target"}, text)
    caplog.set_level("INFO", "rtcprobe")
    fleet._apply(fleet.config)
    plan = fleet.probes[0]
    outcome = await fleet._runner.run(plan.job, 1, timeout_s=1, waited_s=0, report=None)
    fleet.ended(plan, outcome)
    app = make_app(fleet, lambda: Gate({}), fleet.reload)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for path in ("/", "/metrics", "/probe", "/probe?debug=true"):
            assert "s3cr3t" not in (await client.get(path)).text, path
    formatter = Scrubbed("%(message)s")
    assert not any("s3cr3t" in formatter.format(record) for record in caplog.records)
    await fleet.stop(0)
