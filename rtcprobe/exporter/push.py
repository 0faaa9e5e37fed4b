"""A run's figures handed over by those who do not stay: to a Pushgateway, or to node_exporter's textfile collector.

Facts:
    A Pushgateway keeps a group of metrics by its grouping key, the path of the URL, until it is replaced (PUT) or
    deleted. Only figures of the last run make sense there: it never adds anything up. A value with a slash, or an empty
    one, goes in base64 (prometheus/pushgateway, README, URL).
    The textfile collector reads the text format; OpenMetrics of gauges alone is that, plus comments.

Rules:
    1. One group a scenario: job, probe, and what the user adds. The group's labels win over the metrics' own.
    2. Whether handing over succeeds changes no verdict: it is told, and the run's exit code stays.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, urlsplit

import httpx

from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.exporter.instruments import CONTENT_TYPES, Instruments, expose
from rtcprobe.exporter.outcome import Outcome, probe_labels, set_last_run, set_up
from rtcprobe.result import Clock
from rtcprobe.scenario import Scenario
from rtcprobe.secrets import Secret, read_secret, scrub

__all__ = ["Gateway", "run_instruments", "textfile"]

JOB: Final = "rtcprobe"
# A push must not hold a CI job up for longer than the run it tells of.
TIMEOUT_S: Final = 10.0
# A label's name, Prometheus' data model; one that begins with two underscores is Prometheus' own.
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Characters of the gateway's answer: a proxy in between answers with a page.
_MOST_REASON: Final = 200


def run_instruments(scenario: Scenario, clock: Clock, outcome: Outcome) -> Instruments:
    """Return the ``last_…`` metrics of one run; the probe is called as its scenario."""
    # A run without result still has a target: as it was written, without what is secret in it.
    target = outcome.result.target if outcome.result is not None else scenario.target.shown
    instruments = Instruments(("run",), probe_labels(scenario.name, scenario, target))
    set_up(instruments, scenario, clock)
    set_last_run(instruments, outcome)
    return instruments


def textfile(runs: Iterable[Instruments]) -> str:
    """Return the OpenMetrics text of runs, as node_exporter's textfile collector takes it too."""
    return expose(runs, "openmetrics").decode()


class Gateway:
    """A Pushgateway at ``url``; ``grouping`` are words like ``"instance=ci-7"``; ``auth`` is ``"USER:env:NAME"``.

    Raises:
        BadInputError: a URL, a grouping or an auth that cannot be meant.
    """

    def __init__(self, url: str, grouping: Iterable[str] = (), auth: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInputError(f"--push {scrub(url)!r} is no URL", "write it like http://127.0.0.1:9091")
        # A password in a URL stands in the shell's history, in CI's log and in every error of the client library.
        if parts.username is not None or parts.password is not None:
            cure = "leave it out of the URL and give --push-auth USER:env:NAME"
            raise BadInputError(f"--push {scrub(url)!r} carries a password", cure)
        # The group's path is appended: behind a query it would be part of that.
        if parts.query or parts.fragment:
            raise BadInputError(f"--push {scrub(url)!r} has more than an address", "end it with the path")
        self.url = url.rstrip("/")
        self.grouping = _grouping(grouping)
        self._auth = None if auth is None else _auth(auth)

    def put(self, run: Instruments) -> None:
        """Replace the group of this run with its metrics.

        Raises:
            MeasurementError: the gateway was not reached, or refused it; the sentence says why.
        """
        body = expose([run], "text")
        self._ask("PUT", run.common["probe"], body)

    def delete(self, probe: str) -> None:
        """Delete the group of ``probe``.

        Raises:
            MeasurementError: the gateway was not reached, or refused it.
        """
        self._ask("DELETE", probe, b"")

    def place(self, probe: str) -> str:
        """Return the URL of the group of ``probe``."""
        # job comes first: the gateway's path begins with it (/metrics/job/…).
        keys = {"job": JOB, "probe": probe, **self.grouping}
        return f"{self.url}/metrics/" + "/".join(_key(name, value) for name, value in keys.items())

    def _ask(self, method: str, probe: str, body: bytes) -> None:
        headers = {"content-type": CONTENT_TYPES["text"]}
        auth = None if self._auth is None else httpx.BasicAuth(self._auth[0], self._auth[1].reveal())
        try:
            answer = httpx.request(
                method, self.place(probe), content=body, headers=headers, auth=auth, timeout=TIMEOUT_S
            )
        except httpx.TimeoutException as error:
            raise MeasurementError(f"the Pushgateway {self.url} did not answer within {TIMEOUT_S:g} s") from error
        # A port of 70,000 is an InvalidURL, a name that does not resolve an HTTPError, a proxy's certificate file an
        # OSError.
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = scrub(" ".join(str(error).split())) or type(error).__name__
            raise MeasurementError(f"the Pushgateway {self.url} was not reached", reason) from error
        if not answer.is_success:
            said = scrub(" ".join(answer.text.split()))[:_MOST_REASON]
            raise MeasurementError(f"the Pushgateway {self.url} refused it with {answer.status_code}", said)


def _grouping(written: Iterable[str]) -> Mapping[str, str]:
    keys: dict[str, str] = {}
    for each in written:
        name, equals, value = each.partition("=")
        if not equals or not _LABEL.fullmatch(name):
            raise BadInputError(f"--push-grouping {each!r} cannot be read", "write it like instance=ci-7")
        # ``job`` and ``probe`` are ours, names with two underscores Prometheus' own.
        if name in ("job", "probe") or name in keys or name.startswith("__"):
            raise BadInputError(f"--push-grouping {name} is taken", "choose another name")
        keys[name] = value
    return keys


def _auth(written: str) -> tuple[str, Secret]:
    user, colon, secret = written.partition(":")
    if not colon or not user:
        raise BadInputError("--push-auth cannot be read", "write it like ci:env:PUSH_PASSWORD")
    return user, read_secret(secret, "the password of --push-auth")


def _key(name: str, value: str) -> str:
    if "/" in value or not value:
        # An empty value encodes to nothing, and a path segment cannot be that: "=" is what the gateway decodes to it.
        encoded = base64.urlsafe_b64encode(value.encode()).decode() or "="
        return f"{name}@base64/{encoded}"
    return f"{name}/{quote(value, safe='')}"
