"""The HTML report in a real browser: offline, both colour schemes, phone and desktop, read by axe.

Screenshots of every page are left in the folder RTCPROBE_SCREENSHOTS names, for a person to look at.
"""

import os
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from presence import INSTALLED, missing

from rtcprobe.report.html import render_comparison, render_report
from rtcprobe.result import Account, Instrument, Joins, Missed, Playout, Sample, TargetSteps
from rtcprobe.verdict import judge, parse_budget, rank
from rtcprobe.ways import BOTH_WAYS

AXE = INSTALLED / "npm" / "node_modules" / "axe-core" / "axe.min.js"
BUDGETS = ("join.first_audio p95 < 600ms", "mouth_to_ear p95 < 200ms (advisory)", "mouth_to_ear.lost mean < 1%")


@pytest.fixture(scope="module")
def browser():
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        missing("chromium")
    if find_spec("playwright") is None:
        missing("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def axe():
    """The checker's source, read once."""
    if not AXE.exists():
        missing("axe-core")
    return AXE.read_text(encoding="utf-8")


def an_hour():
    rng = np.random.default_rng(4)
    delays = 0.150 + 0.002 * rng.standard_normal(7180)
    delays[3000] = 0.9
    return Account(
        kind="mouth_to_ear", way=BOTH_WAYS[0],
        scheduled=7200, heard=7180, rejected=0, lost=20,
        samples=tuple(
            Sample(marker=i, spoken_s=i / 2, heard_s=i / 2 + d, delay_s=d, correlation=0.98)
            for i, d in enumerate(delays.tolist())
        ),
        missed=tuple(Missed(marker=7180 + i, spoken_s=3590 + i / 2, fate="lost") for i in range(20)),
        stages={"network_min": 0.15},
        playout=Playout(policy="neteq", target_steps=TargetSteps(since_s=(0.0, 60.0), target_delay_s=(0.04, 0.06))),
    )  # fmt: skip


FILES = {}


@pytest.fixture
def pages(make_result, make_attempt, tmp_path_factory):
    """A file for every state a result may be in, written once."""
    if not FILES:
        folder = tmp_path_factory.mktemp("pages")
        for name, results in states(make_result, make_attempt).items():
            FILES[name] = folder / f"{name}.html"
            FILES[name].write_text(render_report(results), encoding="utf-8")
        runs = [(label, [make_result(seed=seed) for seed in (1, 2)]) for label in ("old", "new", "newer")]
        for count in (2, 3):
            FILES[f"compare-{count}"] = folder / f"compare-{count}.html"
            page = render_comparison([rank(runs[:count])], runs)
            FILES[f"compare-{count}"].write_text(page, encoding="utf-8")
    return FILES


def states(make_result, make_attempt):
    def judged(**changes):
        return judge(make_result(**changes), [parse_budget(line) for line in BUDGETS])

    long_words = "a" * 300
    failed = Joins(attempts=(make_attempt(failed="dtls"),) * 3)
    ears = dict(make_result().mouth_to_ear)
    one_ear = ears["caller_to_callee"]
    every = {
        "usual": [judged()],
        "hour": [judged(mouth_to_ear={"caller_to_callee": an_hour(), "callee_to_caller": one_ear})],
        "nothing": [judged(join=failed, mouth_to_ear={}, link={}, harness=Instrument())],
        "joins-only": [judged(mouth_to_ear={}, interrupted=True)],
        "round-trip": [judged(mouth_to_ear={"round_trip": one_ear}, verdict="invalid", reasons=("the loop lagged",))],
        "long-words": [judged(scenario=long_words, target=long_words, warnings=(long_words, "w " * 300))],
        "empty": [
            replace(judged(), join=Joins(), accounts=(), link={}, harness=Instrument(), budgets=(), environment={})
        ],
    }
    every["several"] = [every["usual"][0], every["nothing"][0], every["joins-only"][0]]
    return every


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_every_page_opens_offline_fits_and_passes_axe(browser, axe, pages, width, scheme):
    shots = os.environ.get("RTCPROBE_SCREENSHOTS")
    faults = []
    for name, file in pages.items():
        with browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True, bypass_csp=True
        ) as context:
            page = context.new_page()
            asked, said = [], []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("console", lambda message, said=said: said.append(message.text))
            page.goto(file.as_uri())
            if shots:
                page.screenshot(path=Path(shots) / f"{name}-{width}-{scheme}.png", full_page=True)
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                faults.append(f"{name} scrolls sideways")
            if [url for url in asked if not url.startswith(("file:", "data:"))] or said:
                faults.append(f"{name}: {asked} {said}")
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            faults += [f"{name}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]
    assert faults == []


def test_the_policy_of_a_page_lets_nothing_run_and_breaks_nothing_of_it(browser, pages):
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(pages["usual"].as_uri())
        assert said == []
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x.png\">')")
        page.wait_for_timeout(200)
        assert any("Content Security Policy" in each for each in said)
        paper = page.pdf(format="A4")
        assert paper.startswith(b"%PDF")
